//! Which of two sources counts logins and spawns: the hooks in the hub's configuration, or the hub's
//! own histograms. Exactly one for each process of the hub, so that nothing counts twice.
//!
//! A process says that it has the hooks (`hub-started`) when it starts. One that was seen for
//! [`PATIENCE`] without that is counted from its histograms, beginning included, and what its
//! hooks say later does not count.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// For how long a process may be silent before it is taken for one without hooks. Its hello waits
/// with whoever sends it while this service does not listen.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// A process dates its start by the boot of its machine in whole seconds, and may be early or late
/// by that much.
const SLACK: SignedDuration = SignedDuration::from_secs(2);
/// A process says hello at most so long after its start: a later hello is another process's.
const LATEST_HELLO: SignedDuration = SignedDuration::from_mins(5);
/// Changes of the source that are remembered: events come in order, but for those that waited.
const REMEMBERED: usize = 32;

/// Who counts a process's logins and spawns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    /// Events of its hooks.
    Hooks,
    /// Its own histograms.
    Histograms,
}

/// Logins and spawns are hooked apart: a hub that this version does not know may have one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Logins, and those that were refused.
    Logins,
    /// Spawns and what became of them.
    Spawns,
}

impl Group {
    pub(super) const ALL: [Self; 2] = [Self::Logins, Self::Spawns];
}

/// Something for each group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ByGroup<T> {
    pub(super) logins: T,
    pub(super) spawns: T,
}

impl<T> ByGroup<T> {
    pub(super) fn of(&self, group: Group) -> &T {
        match group {
            Group::Logins => &self.logins,
            Group::Spawns => &self.spawns,
        }
    }

    pub(super) fn of_mut(&mut self, group: Group) -> &mut T {
        match group {
            Group::Logins => &mut self.logins,
            Group::Spawns => &mut self.spawns,
        }
    }

    pub(super) fn map<U>(&self, change: impl Fn(&T) -> U) -> ByGroup<U> {
        ByGroup {
            logins: change(&self.logins),
            spawns: change(&self.spawns),
        }
    }
}

/// From when on which source counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    /// By time.
    changes: Vec<Change>,
}

/// From this moment on it is this source, until the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// When the process said hello or, of one without hooks, when it began at the earliest.
    pub(super) at: Timestamp,
    pub(super) source: Source,
}

/// A process of the hub, as far as the decision needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// When it began: as it says itself, else when the process before was last seen.
    pub(super) began: Timestamp,
    /// When it was first seen.
    pub(super) first_seen: Timestamp,
    /// When it was last seen.
    pub(super) last_seen: Timestamp,
}

impl Sources {
    /// Those that were kept.
    pub(super) fn of(changes: impl IntoIterator<Item = Change>) -> Self {
        let mut sources = Self::default();
        for change in changes {
            sources.add(change);
        }
        sources
    }

    /// The changes to one source, to be kept.
    pub(super) fn changes_to(&self, source: Source) -> Vec<Change> {
        let changes = self.changes.iter().copied();
        changes.filter(|change| change.source == source).collect()
    }

    /// A process said at this time that it has the hooks. One that is counted from its histograms
    /// stays so.
    pub(super) fn hear_hello(&mut self, at: Timestamp) {
        let reach = at.saturating_add(SLACK).unwrap_or(Timestamp::MAX);
        let before = self.changes.iter().rev().find(|it| it.at <= reach);
        let is_too_late = before.is_some_and(|change| {
            change.source == Source::Histograms && at.duration_since(change.at) <= LATEST_HELLO
        });
        let change = Change {
            at,
            source: Source::Hooks,
        };
        if !is_too_late && !self.changes.contains(&change) {
            self.add(change);
        }
    }

    /// Whether a process began with hooks after this.
    pub(super) fn heard_hello_after(&self, at: Timestamp) -> bool {
        let mut changes = self.changes.iter().rev();
        changes.any(|change| change.source == Source::Hooks && change.at > at)
    }

    /// Whether an event of the hooks from this time counts.
    pub(super) fn count_events_of(&self, at: Timestamp) -> bool {
        let before = self.changes.iter().rev().find(|change| change.at <= at);
        before.is_some_and(|change| change.source == Source::Hooks)
    }

    /// The source of a process that runs; `None` while it may still say hello.
    pub(super) fn decide(&mut self, candidate: Candidate) -> Option<Source> {
        let is_waited_for = candidate.last_seen.duration_since(candidate.first_seen) < PATIENCE;
        match self.told(candidate) {
            None if is_waited_for => None,
            _ => Some(self.settle(candidate)),
        }
    }

    /// The source of a process that says nothing any more.
    pub(super) fn settle(&mut self, candidate: Candidate) -> Source {
        if let Some(source) = self.told(candidate) {
            return source;
        }
        self.add(Change {
            at: candidate.began,
            source: Source::Histograms,
        });
        Source::Histograms
    }

    /// What is known of the process. A hello from after it was last seen is the next one's.
    fn told(&self, candidate: Candidate) -> Option<Source> {
        let from = candidate.began.saturating_sub(SLACK);
        let until = candidate.last_seen.saturating_add(SLACK);
        let from = from.unwrap_or(Timestamp::MIN);
        let until = until.unwrap_or(Timestamp::MAX);
        let changes = self.changes.iter().rev();
        let mut of_it = changes.filter(|change| (from..=until).contains(&change.at));
        of_it.next().map(|change| change.source)
    }

    fn add(&mut self, change: Change) {
        let place = self.changes.partition_point(|known| known.at <= change.at);
        self.changes.insert(place, change);
        // What is among the oldest was of processes that are long gone.
        let n_surplus = self.changes.len().saturating_sub(REMEMBERED);
        self.changes.drain(..n_surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn candidate(began: i64, first_seen: i64, now: i64) -> Candidate {
        Candidate {
            began: at(began),
            first_seen: at(first_seen),
            last_seen: at(now),
        }
    }

    #[test]
    fn a_process_that_said_hello_is_counted_from_its_events() {
        let mut sources = Sources::default();
        assert!(!sources.count_events_of(at(10)));
        sources.hear_hello(at(1));
        sources.hear_hello(at(1));
        assert_eq!(sources.changes.len(), 1);
        assert!(sources.count_events_of(at(1)) && sources.count_events_of(at(1000)));
        assert!(!sources.count_events_of(at(0)));
        assert_eq!(sources.decide(candidate(0, 30, 30)), Some(Source::Hooks));
    }

    #[test]
    fn a_silent_process_is_given_two_minutes() {
        let mut sources = Sources::default();
        assert_eq!(sources.decide(candidate(0, 1000, 1000)), None);
        assert_eq!(sources.decide(candidate(0, 1000, 1119)), None);
        let decided = sources.decide(candidate(0, 1000, 1120));
        assert_eq!(decided, Some(Source::Histograms));
        assert!(!sources.count_events_of(at(5)));
    }

    #[test]
    fn a_hello_that_comes_too_late_changes_nothing() {
        let mut sources = Sources::default();
        sources.decide(candidate(0, 10, 130));
        sources.hear_hello(at(3));
        assert!(!sources.count_events_of(at(200)));
        assert_eq!(
            sources.decide(candidate(0, 10, 200)),
            Some(Source::Histograms)
        );
    }

    #[test]
    fn the_next_process_may_have_hooks_and_the_one_after_that_none() {
        let mut sources = Sources::default();
        sources.decide(candidate(0, 10, 130));
        // Heard before the poller sees the process.
        sources.hear_hello(at(1001));
        assert!(sources.count_events_of(at(1001)) && !sources.count_events_of(at(1000)));
        assert_eq!(
            sources.decide(candidate(1000, 1030, 1030)),
            Some(Source::Hooks)
        );
        assert_eq!(sources.decide(candidate(2000, 2030, 2030)), None);
        let decided = sources.decide(candidate(2000, 2030, 2150));
        assert_eq!(decided, Some(Source::Histograms));
        assert!(sources.count_events_of(at(1999)) && !sources.count_events_of(at(2000)));
    }

    #[test]
    fn only_the_last_changes_are_remembered_and_survive() {
        let mut sources = Sources::default();
        for number in 0..1000 {
            sources.hear_hello(at(number));
        }
        assert_eq!(sources.changes.len(), REMEMBERED);
        assert!(sources.count_events_of(at(1000)));
        let kept = [Source::Hooks, Source::Histograms].map(|source| sources.changes_to(source));
        assert_eq!(Sources::of(kept.into_iter().flatten()), sources);
    }
}
