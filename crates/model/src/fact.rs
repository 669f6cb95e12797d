//! What is known about one server: single observations, by polling or told by the hub.
//!
//! A fact is never changed and never wrong about what it says, only about what it does not know:
//! "missing at noon, last seen at eleven". What follows from all facts of a server together is
//! `session`'s matter, and how facts are written down is the store's.

use crate::names::UserName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which server of a hub a fact is about. Servers of one key follow each other in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerKey {
    /// Whose it is.
    pub user: UserName,
    /// `""` is the user's default server.
    pub server: Arc<str>,
}

/// A fact and the server it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyedFact {
    /// The server.
    pub key: ServerKey,
    /// What is known about it.
    pub fact: Fact,
}

/// One thing known about the server of one key. The order is by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact {
    /// When it was seen by polling, or when the hub says it happened.
    pub at: Timestamp,
    /// What was seen or happened.
    pub what: What,
}

/// What a fact says. `started` is the hub's own, exact time and names one run of the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// Polling saw this run ready for the first time.
    Seen {
        /// Which run.
        started: Timestamp,
        /// The user's choices as JSON text; `None` when there are none.
        options: Option<Arc<str>>,
        /// Image it runs, where the hub tells.
        image: Option<Arc<str>>,
    },
    /// Polling: active seconds by local hour so far, told at midnight and at the end.
    ///
    /// The numbers are totals and not increments, so that telling them twice changes nothing. Of
    /// several numbers for one hour of one run the largest counts.
    Activity {
        /// Which run.
        started: Timestamp,
        /// Hours in which something happened; hours that were told before may be left out.
        hours: Vec<ActiveHour>,
    },
    /// Polling: it was there at `last_seen` and missing at the time of the fact.
    Gone {
        /// Which run; `None` for one known from its start event only, which no poll ever saw.
        started: Option<Timestamp>,
        /// The last poll that listed it, or the start event.
        last_seen: Timestamp,
        /// How closely it was watched in between.
        watch: Watch,
        /// When the hub's process started, if that was after `last_seen`.
        hub_restarted: Option<Timestamp>,
        /// What the hub's own counter of stops says.
        stop_counted: StopEvidence,
    },
    /// The hub: the server is up, seconds to minutes after its `started`.
    Start,
    /// The hub: it was stopped through the hub, at exactly this time.
    Stop,
    /// A hook of the hub: it went away without a stop, at exactly this time.
    Died,
    /// A hook of the hub: the hub stopped it as it was being stopped itself, at exactly this time.
    HubStop,
}

/// Active seconds in one local hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActiveHour {
    /// Start of the local hour.
    pub hour: Timestamp,
    /// At most 3600, or more where a clock change makes an hour longer.
    pub seconds: u32,
}

/// Whether polls between two moments were as frequent as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Watch {
    /// They were: whatever happened is dated to one polling interval.
    Watched,
    /// Nobody looked for longer than that.
    Unwatched,
}

/// What the hub's counter of stops says about servers that went missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StopEvidence {
    /// As many stops were asked for as servers went missing.
    Asked,
    /// Not one stop was asked for.
    NotAsked,
    /// The counter cannot be read, started afresh, or explains only some of them.
    Unknown,
}
