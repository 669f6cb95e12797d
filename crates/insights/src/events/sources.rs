//! Who sends, and when they last did: a source that falls silent while servers start has broken.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::tables::Event;

/// Senders that are told apart; whoever comes later is `other`.
const MAX_SOURCES: usize = 50;
const OTHER: &str = "other";
/// Kinds of one source of which the last time is known.
const MAX_KINDS: usize = 50;
/// Events may be this much later than the poll that saw the server.
const GRACE: SignedDuration = SignedDuration::from_mins(5);
/// Kinds that come with every start of a server.
const STARTS: [&str; 3] = ["server-start", "spawn-asked", "spawn-succeeded"];

/// What is known of everybody who sends. Names nobody.
#[derive(Debug, Default)]
pub struct Sources {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_name: BTreeMap<String, SourceState>,
    /// The latest start of a server that polling saw.
    last_start: Option<Timestamp>,
}

/// What is known of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// When something last arrived.
    pub last_arrived: Timestamp,
    /// Items that arrived, those that were known already included.
    pub n_items: u64,
    /// When something of a kind last arrived: what is really live.
    pub kinds: BTreeMap<String, Timestamp>,
    /// Whether it has ever told of a server's start, so that it should of the next one.
    pub tells_starts: bool,
}

/// A source, and whether it does what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As the sender calls itself: `hub`, `hooks`, …
    pub name: String,
    /// What is known of it.
    pub state: SourceState,
    /// What follows.
    pub liveness: Liveness,
}

/// Whether a source does what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// As far as can be known.
    Live,
    /// Servers started, and it did not tell.
    Silent,
}

impl Sources {
    /// Something arrived.
    pub fn heard<'a>(&self, events: impl Iterator<Item = &'a Event>, now: Timestamp) {
        let mut state = self.state();
        for event in events {
            let name = state.name_of(&event.source);
            let known = state.by_name.entry(name).or_insert(SourceState {
                last_arrived: now,
                n_items: 0,
                kinds: BTreeMap::new(),
                tells_starts: false,
            });
            known.last_arrived = now;
            known.n_items += 1;
            known.heard_kind(&event.kind, now);
            known.tells_starts |= STARTS.contains(&&*event.kind);
        }
    }

    /// Polling saw servers that started up to then.
    pub fn started(&self, last_start: Option<Timestamp>) {
        let mut state = self.state();
        state.last_start = state.last_start.max(last_start);
    }

    /// Every source with what is known of it, by name.
    pub fn all(&self, now: Timestamp) -> Vec<Source> {
        let state = self.state();
        let judged = state.by_name.iter().map(|(name, known)| Source {
            name: name.clone(),
            state: known.clone(),
            liveness: known.liveness(state.last_start, now),
        });
        judged.collect()
    }

    /// As it is kept over a restart.
    pub fn kept(&self) -> String {
        // Names and numbers always have a JSON text.
        serde_json::to_string(&self.state().by_name).unwrap_or_default()
    }

    /// What an earlier process kept; what this one heard meanwhile counts.
    pub fn restore(&self, kept: &str) {
        let kept: BTreeMap<String, SourceState> = serde_json::from_str(kept).unwrap_or_default();
        let mut state = self.state();
        for (name, known) in kept {
            state.by_name.entry(name).or_insert(known);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn name_of(&self, source: &str) -> String {
        if self.by_name.contains_key(source) || self.by_name.len() < MAX_SOURCES {
            source.to_owned()
        } else {
            OTHER.to_owned()
        }
    }
}

impl SourceState {
    fn heard_kind(&mut self, kind: &str, now: Timestamp) {
        if let Some(last) = self.kinds.get_mut(kind) {
            *last = now;
        } else if self.kinds.len() < MAX_KINDS {
            self.kinds.insert(kind.to_owned(), now);
        }
    }

    /// Silent, if a server started after its last word and it has had time to tell.
    fn liveness(&self, last_start: Option<Timestamp>, now: Timestamp) -> Liveness {
        let Some(start) = last_start.filter(|_| self.tells_starts) else {
            return Liveness::Live;
        };
        let is_missed = start > self.last_arrived && now.duration_since(start) > GRACE;
        if is_missed {
            Liveness::Silent
        } else {
            Liveness::Live
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::tables::RowId;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + minute * 60).unwrap()
    }

    fn event(source: &str, kind: &str) -> Event {
        Event {
            id: RowId::random(),
            hub: "hub".into(),
            at: at(0),
            not_before: None,
            kind: kind.into(),
            user: None,
            server: None,
            detail: None,
            source: source.into(),
            schema: None,
            schema_version: None,
        }
    }

    #[test]
    fn a_source_is_silent_when_a_server_started_after_its_last_word() {
        let sources = Sources::default();
        sources.heard([event("hub", "server-start")].iter(), at(0));
        sources.heard([event("door", "opened")].iter(), at(0));
        let check = |minute, expected: &[Liveness]| {
            let all = sources.all(at(minute));
            let judged: Vec<Liveness> = all.iter().map(|source| source.liveness).collect();
            assert_eq!(judged, expected, "{all:?}");
        };
        let live = Liveness::Live;
        check(600, &[live, live]);
        sources.started(Some(at(601)));
        check(606, &[live, live]);
        check(607, &[live, Liveness::Silent]);
        sources.heard([event("hub", "server-stop")].iter(), at(608));
        check(900, &[live, live]);
    }

    #[test]
    fn made_up_sources_do_not_fill_the_memory_and_are_known_after_a_restart() {
        let sources = Sources::default();
        for number in 0..10_000 {
            sources.heard([event(&format!("s{number:05}"), "x")].iter(), at(0));
        }
        let all = sources.all(at(1));
        assert_eq!(all.len(), MAX_SOURCES + 1);
        let again = Sources::default();
        again.restore(&sources.kept());
        assert_eq!(again.all(at(1)), all);
        again.restore("rubbish");
        assert_eq!(again.all(at(1)), all);
    }
}
