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
/// Events may be this much later than the poll that saw the server, unless it is set otherwise.
const GRACE: SignedDuration = SignedDuration::from_mins(5);
/// What was heard shortly before a crash may not have been kept.
const KEPT_SLACK: SignedDuration = SignedDuration::from_secs(45);
/// Events that are older when they arrive are told late, and say nothing about who is live.
const LATE: SignedDuration = SignedDuration::from_hours(1);
/// Longest name of a source or kind that is shown.
const NAME_MAX_BYTES: usize = 64;
/// Kinds that come with every start of a server.
const STARTS: [&str; 3] = ["server-start", "spawn-asked", "spawn-succeeded"];

/// What is known of everybody who sends. Names nobody.
#[derive(Debug, Default)]
pub struct Sources {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    by_name: BTreeMap<String, SourceState>,
    /// The latest start of a server that polling saw.
    last_start: Option<Timestamp>,
    grace: SignedDuration,
}

impl Default for State {
    fn default() -> Self {
        Self {
            by_name: BTreeMap::new(),
            last_start: None,
            grace: GRACE,
        }
    }
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
    /// When it last told of a server's start as it happened; it should of the next one.
    pub start_told: Option<Timestamp>,
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

/// What arrived, as far as it matters for what is kept of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Kinds that were known.
    TheUsual,
    /// A kind for the first time: worth to be kept at once.
    NewKind,
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
    /// Lets events be so much later than the poll that saw their server.
    pub fn set_grace(&self, grace: SignedDuration) {
        self.state().grace = grace;
    }

    /// Something arrived; tells whether there was a kind in it that this source never sent before.
    pub fn heard<'a>(&self, events: impl Iterator<Item = &'a Event>, now: Timestamp) -> Heard {
        let mut state = self.state();
        let mut heard = Heard::TheUsual;
        for event in events {
            let name = state.name_of(shown(&event.source));
            let known = state.by_name.entry(name).or_insert(SourceState {
                last_arrived: now,
                n_items: 0,
                kinds: BTreeMap::new(),
                start_told: None,
            });
            known.last_arrived = now;
            known.n_items += 1;
            if now.duration_since(event.at) > LATE {
                continue;
            }
            if known.heard_kind(shown(&event.kind), now) == Heard::NewKind {
                heard = Heard::NewKind;
            }
            if STARTS.contains(&&*event.kind) {
                known.start_told = Some(now);
            }
        }
        heard
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
            liveness: known.liveness(&state, now),
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
    fn heard_kind(&mut self, kind: &str, now: Timestamp) -> Heard {
        if let Some(last) = self.kinds.get_mut(kind) {
            *last = now;
            return Heard::TheUsual;
        }
        if self.kinds.len() >= MAX_KINDS {
            return Heard::TheUsual;
        }
        self.kinds.insert(kind.to_owned(), now);
        Heard::NewKind
    }

    /// Silent, if it used to tell of starts, a server started after the last one that it told of,
    /// and it has had time to tell.
    fn liveness(&self, state: &State, now: Timestamp) -> Liveness {
        let slack = KEPT_SLACK.min(state.grace);
        match (state.last_start, self.start_told) {
            (Some(start), Some(told))
                if start.duration_since(told) > slack
                    && now.duration_since(start) > state.grace =>
            {
                Liveness::Silent
            }
            _ => Liveness::Live,
        }
    }
}

/// A name as it is shown: senders choose their own, and whoever reads metrics reads it.
fn shown(name: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/ ".contains(&byte);
    if name.len() <= NAME_MAX_BYTES && name.bytes().all(is_plain) {
        name
    } else {
        OTHER
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
        event_at(0, source, kind)
    }

    fn event_at(minute: i64, source: &str, kind: &str) -> Event {
        Event {
            id: RowId::random(),
            hub: "hub".into(),
            at: at(minute),
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
        // Whoever tells of stops only has lost the starts.
        sources.heard([event("hub", "server-stop")].iter(), at(608));
        check(900, &[live, Liveness::Silent]);
        sources.heard([event_at(609, "hub", "server-start")].iter(), at(609));
        check(900, &[live, live]);
    }

    #[test]
    fn what_is_told_late_says_nothing_about_who_is_live() {
        let sources = Sources::default();
        sources.heard([event("file", "server-start")].iter(), at(6000));
        sources.started(Some(at(6001)));
        let all = sources.all(at(7000));
        assert_eq!(
            (all[0].liveness, all[0].state.kinds.len()),
            (Liveness::Live, 0)
        );
    }

    #[test]
    fn names_that_are_not_plain_are_not_shown() {
        let sources = Sources::default();
        sources.heard([event("ada@example.org\n", &"x".repeat(65))].iter(), at(0));
        let all = sources.all(at(0));
        assert_eq!(all[0].name, OTHER);
        assert_eq!(all[0].state.kinds.keys().collect::<Vec<_>>(), [OTHER]);
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
