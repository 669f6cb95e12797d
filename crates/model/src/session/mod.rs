//! Sessions: runs of a server, derived from everything that is known about its key.
//!
//! [`sessions`] is a pure function of the *set* of facts. Order, repetitions and batches do not
//! matter, and news that comes late gives the list that would have been, had it come in time.
//! [`changes`] turns a new list into rows that correct what was recorded.
//!
//! Rules, where facts leave a choice:
//!
//! - Polling knows the hub's own `started`, so what it saw is the frame: one session for each
//!   `started`, also over restarts of the hub. Hub events are put into this frame in the order of
//!   their times; at the same instant a start comes before a stop, and a stop before a death.
//! - A start event belongs to the polled session that had begun by then (two seconds before its
//!   `started` are allowed for a time that was cut to whole seconds), unless polling missed it more than two seconds
//!   earlier, or a stop or death had ended it. Every other start event opens a session that is
//!   known from events only. A second start event within a polled session that nothing ended is a
//!   repetition, as is one within two seconds after a start that only events tell of; one after
//!   the end of a session is another session.
//! - A stop or death ends the latest session begun by then, if that one was still open. It is
//!   ignored when polling saw the session more than two seconds later, or missed it more than two
//!   seconds before. Of several, the earliest counts. Only a stop within two seconds after a death
//!   takes its place: the hub says "stop" only where it stopped the server itself. A stop by a hub
//!   that was being stopped itself is the restart's.
//! - Of several disappearances of one session those are refuted which come before a moment when
//!   polling saw it again. Of the rest the earliest counts, of two at the same time the one with
//!   the largest `last_seen`, and of two that are alike in this the one that knows of a restart of
//!   the hub: it was told later.
//! - A disappearance is dated to the poll that missed the server if polls were as frequent as
//!   configured; else to the last moment the server surely ran, as nobody knows how long it ran on.
//! - A watched disappearance without any evidence of why is "unobserved" and not "stopped". On hubs
//!   that neither send events nor show their metrics this is the usual end, and a guess would be
//!   counted as if it were known.
//! - Activity tells that a server ran until then, but is dated by the notebook server's clock. It
//!   moves `last_seen`, within the end that polls and the hub give; it refutes neither.
//! - Options and image are those that were seen first.

mod changes;
mod draft;
mod timeline;

pub use changes::{Recorded, Standing, changes};
pub use draft::LONGEST_RESTART;

use crate::fact::{ActiveHour, Fact};
use draft::Draft;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use timeline::Timeline;

/// How far times of polling and of hub events may contradict each other. Some sources write whole
/// seconds.
pub const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// One run of a server. Sessions of one key never overlap, and `started` names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The hub's own time, or of the start event where only that is known.
    pub started: Timestamp,
    /// `None` while nothing says that it ended.
    pub end: Option<End>,
    /// The last moment it was surely running, not after its end.
    pub last_seen: Timestamp,
    /// `None` where activity is not known, which is not the same as 0.
    pub active_seconds: Option<u64>,
    /// By local hour, sorted; empty also where activity is not known.
    pub active_hours: Vec<ActiveHour>,
    /// The user's choices as JSON text.
    pub options: Option<Arc<str>>,
    /// Image it ran, where the hub told.
    pub image: Option<Arc<str>>,
    /// How it came to be known.
    pub origin: Origin,
}

/// When a session ended and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Not before the start of the session, and not after the start of the next one.
    pub at: Timestamp,
    /// Why, as far as it is known.
    pub reason: EndReason,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EndReason {
    /// Somebody or something asked the hub to stop it: the user, an admin, the idle culler.
    Stopped,
    /// It went away by itself, or its cluster took it away.
    Crashed,
    /// It did not survive a restart of the hub, or was stopped by it.
    HubRestart,
    /// It is gone, and nobody saw how.
    Unobserved,
}

/// How a session came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// Polling saw it: `started` is the hub's own.
    Polled,
    /// Only hub events tell of it.
    EventsOnly,
}

/// The sessions of one key, sorted by `started`.
pub fn sessions(facts: &[Fact]) -> Vec<Session> {
    let facts: BTreeSet<&Fact> = facts.iter().collect();
    let drafts: Vec<Draft> = Timeline::new(&facts).drafts.into_values().collect();
    let next_starts = drafts.iter().skip(1).map(|draft| Some(draft.started));
    let next_starts: Vec<Option<Timestamp>> = next_starts.chain([None]).collect();
    let sessions = drafts.into_iter().zip(next_starts);
    sessions.map(|(draft, next)| draft.finish(next)).collect()
}

impl Session {
    /// The active hours, or `None` where activity is not known.
    pub fn known_active_hours(&self) -> Option<&[ActiveHour]> {
        self.active_seconds.map(|_| &*self.active_hours)
    }
}

impl EndReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [
        Self::Stopped,
        Self::Crashed,
        Self::HubRestart,
        Self::Unobserved,
    ];

    /// The reason as tables and reports show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Crashed => "crashed or evicted",
            Self::HubRestart => "hub restart",
            Self::Unobserved => "unobserved",
        }
    }

    /// The reason of this text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

#[cfg(test)]
mod tests;
