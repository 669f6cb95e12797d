//! One session under construction: what is known about it, and what follows.

use super::{End, EndReason, Origin, SLACK, Session};
use crate::fact::{ActiveHour, Fact, StopEvidence, Watch, What};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A hub that shuts down with `cleanup_servers` stops its servers shortly before it is restarted,
/// and announces each as an ordinary stop.
pub const LONGEST_RESTART: SignedDuration = SignedDuration::from_mins(5);

pub(super) struct Draft {
    pub(super) started: Timestamp,
    pub(super) origin: Origin,
    /// The last time polling saw it, or its start.
    pub(super) seen: Timestamp,
    /// Of the last start event.
    pub(super) start_event: Option<Timestamp>,
    pub(super) disappearances: Vec<Disappearance>,
    pub(super) options: Option<Arc<str>>,
    pub(super) image: Option<Arc<str>>,
    event_end: Option<EventEnd>,
    /// Largest number told for each hour; `None` while no activity was told.
    active: Option<BTreeMap<Timestamp, u32>>,
}

/// An end that the hub dates exactly.
#[derive(Clone, Copy)]
pub(super) enum EventEnd {
    Stop(Timestamp),
    Died(Timestamp),
    /// By a hub that was being stopped.
    HubStop(Timestamp),
}

/// `What::Gone`, with `at` not before `last_seen` even if a clock was turned back.
#[derive(Clone, Copy)]
pub(super) struct Disappearance {
    pub(super) at: Timestamp,
    pub(super) last_seen: Timestamp,
    watch: Watch,
    hub_restarted: Option<Timestamp>,
    stop_counted: StopEvidence,
}

impl Draft {
    pub(super) fn new(started: Timestamp, origin: Origin) -> Self {
        Self {
            started,
            origin,
            seen: started,
            start_event: None,
            disappearances: Vec::new(),
            options: None,
            image: None,
            event_end: None,
            active: None,
        }
    }

    pub(super) fn add_activity(&mut self, hours: &[ActiveHour]) {
        let active = self.active.get_or_insert_default();
        for &ActiveHour { hour, seconds } in hours {
            let known = active.entry(hour).or_default();
            *known = seconds.max(*known);
        }
    }

    /// Whether a start event of that time can be about it. One that only events tell of
    /// started when its start event says.
    pub(super) fn may_have_started_at(&self, at: Timestamp) -> bool {
        match self.origin {
            Origin::Polled => self.started.duration_since(at) <= SLACK,
            Origin::EventsOnly => at.duration_since(self.started) <= SLACK,
        }
    }

    /// Facts are added in the order of time, so what ended it so far came before `at`.
    pub(super) fn is_open_at(&self, at: Timestamp) -> bool {
        let gone = self.disappearance();
        let is_missed = gone.is_some_and(|gone| at.duration_since(gone.at) > SLACK);
        self.event_end.is_none() && !is_missed
    }

    pub(super) fn add_event_end(&mut self, end: EventEnd) {
        let corrects_death = match (self.event_end, end) {
            (Some(EventEnd::Died(died)), EventEnd::Stop(stop) | EventEnd::HubStop(stop)) => {
                stop.duration_since(died) <= SLACK
            }
            _ => false,
        };
        let ran_on = self.last_polled().duration_since(end.at()) > SLACK;
        if corrects_death || (self.is_open_at(end.at()) && !ran_on) {
            self.event_end = Some(end);
        }
    }

    /// `next` is the start of the next session of this key.
    pub(super) fn finish(self, next: Option<Timestamp>) -> Session {
        let end = self.end(next).map(|end| End {
            at: next.map_or(end.at, |next| end.at.min(next)),
            ..end
        });
        let last_seen = self.last_sign();
        let active_seconds = self.active_seconds();
        let active_hours = self.active.into_iter().flatten();
        Session {
            started: self.started,
            end,
            last_seen: end.map_or(last_seen, |end| end.at.min(last_seen)),
            active_seconds,
            active_hours: active_hours
                .map(|(hour, seconds)| ActiveHour { hour, seconds })
                .collect(),
            options: self.options,
            image: self.image,
            origin: self.origin,
        }
    }

    fn end(&self, next: Option<Timestamp>) -> Option<End> {
        if let Some(end) = self.event_end {
            let reason = self.reason_of_event(end);
            return Some(End {
                at: end.at(),
                reason,
            });
        }
        let Some(gone) = self.disappearance() else {
            return next.map(|_| End {
                at: self.last_sign(),
                reason: EndReason::Unobserved,
            });
        };
        let at = match gone.watch {
            Watch::Watched => gone.at,
            Watch::Unwatched => self.last_sign().min(gone.at),
        };
        let reason = self.reason_of_disappearance(&gone);
        Some(End { at, reason })
    }

    fn reason_of_event(&self, end: EventEnd) -> EndReason {
        let stop = match end {
            EventEnd::Stop(stop) => stop,
            EventEnd::Died(_) => return EndReason::Crashed,
            EventEnd::HubStop(_) => return EndReason::HubRestart,
        };
        let restarted = self.disappearance().and_then(|gone| gone.hub_restarted);
        let by_restart = restarted.is_some_and(|restarted| {
            let until_restart = restarted.duration_since(stop);
            (SignedDuration::ZERO..=LONGEST_RESTART).contains(&until_restart)
        });
        if by_restart {
            EndReason::HubRestart
        } else {
            EndReason::Stopped
        }
    }

    fn reason_of_disappearance(&self, gone: &Disappearance) -> EndReason {
        let last_seen = self
            .last_polled()
            .max(self.start_event.unwrap_or(self.started));
        if gone
            .hub_restarted
            .is_some_and(|restarted| restarted > last_seen)
        {
            return EndReason::HubRestart;
        }
        match gone.stop_counted {
            StopEvidence::Asked => EndReason::Stopped,
            StopEvidence::NotAsked => EndReason::Crashed,
            // This hub tells of stops, so what it did not tell of was none.
            StopEvidence::Unknown if self.start_event.is_some() && gone.watch == Watch::Watched => {
                EndReason::Crashed
            }
            StopEvidence::Unknown => EndReason::Unobserved,
        }
    }

    /// The disappearance that counts.
    fn disappearance(&self) -> Option<Disappearance> {
        let last_polled = self.last_polled();
        let gones = self.disappearances.iter().copied();
        gones
            .filter(|gone| last_polled <= gone.at)
            .min_by_key(Disappearance::precedence)
    }

    fn active_seconds(&self) -> Option<u64> {
        let active = self.active.as_ref()?;
        Some(active.values().map(|&seconds| u64::from(seconds)).sum())
    }

    fn last_polled(&self) -> Timestamp {
        let gones = self.disappearances.iter().map(|gone| gone.last_seen);
        gones.fold(self.seen, Timestamp::max)
    }

    /// The last moment it surely ran, from polls, events and activity. Ends are left out.
    fn last_sign(&self) -> Timestamp {
        let active = self.active.iter().flatten().filter_map(|(hour, seconds)| {
            // So many active seconds take at least so long.
            hour.checked_add(SignedDuration::from_secs(i64::from(*seconds)))
                .ok()
        });
        let events = self.start_event.into_iter();
        let exact_end = self.event_end.map(EventEnd::at);
        let signs = active.chain(events).chain(exact_end);
        signs.fold(self.last_polled(), Timestamp::max)
    }
}

impl EventEnd {
    pub(super) fn at(self) -> Timestamp {
        let (Self::Stop(at) | Self::Died(at) | Self::HubStop(at)) = self;
        at
    }
}

impl Disappearance {
    pub(super) fn of(fact: &Fact) -> Option<Self> {
        let What::Gone {
            started,
            last_seen,
            watch,
            hub_restarted,
            stop_counted,
        } = fact.what
        else {
            return None;
        };
        let last_seen = started.map_or(last_seen, |started| last_seen.max(started));
        Some(Self {
            at: fact.at.max(last_seen),
            last_seen,
            watch,
            hub_restarted,
            stop_counted,
        })
    }

    /// The smallest counts. All fields take part, so that the order of facts does not.
    fn precedence(&self) -> impl Ord + use<> {
        (
            self.at,
            Reverse(self.last_seen),
            self.watch,
            self.hub_restarted.is_none(),
            self.hub_restarted,
            self.stop_counted,
        )
    }
}
