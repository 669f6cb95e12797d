//! Who was at the hub lately, as its events tell. The hub itself tells of everybody only every few
//! hours; what servers run is `poll`'s to know.

use jiff::{SignedDuration, Timestamp};
use model::last_seen::{LastSeen, Seen};
use model::names::UserName;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::tables::Event;

/// What the hub counts as somebody's activity, as far as events tell of it.
const KINDS: [&str; 5] = [
    "login",
    "logout",
    "spawn-asked",
    "spawn-succeeded",
    "server-start",
];
/// Who sees that happen: others may use the same words for something else.
const SOURCES: [&str; 2] = ["hooks", "hub"];
/// Longer than between two walks through all users. A hub where everybody is new, as one of launches,
/// must not fill the memory.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Between two rounds of forgetting.
const SWEPT_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// When people were last there, by events that came to this process.
#[derive(Debug, Default)]
pub struct Visits(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    last: HashMap<UserName, Timestamp>,
    swept: Option<Timestamp>,
}

impl Visits {
    /// Something arrived.
    pub fn heard<'a>(&self, events: impl Iterator<Item = &'a Event>, now: Timestamp) {
        let mut known = self.known();
        known.sweep(now);
        for event in events.filter(|event| tells_of_a_visit(event)) {
            // Clocks that are ahead are allowed.
            let at = event.at.min(now);
            let is_recent = now.duration_since(at) < KEPT;
            if let Some(user) = event.user.as_ref().filter(|_| is_recent) {
                let last = known.last.entry(user.clone()).or_insert(at);
                *last = at.max(*last);
            }
        }
    }

    /// What the hub said, and what is known since.
    pub fn added_to(&self, last_seen: &LastSeen) -> LastSeen {
        let mut last_seen = last_seen.clone();
        for (user, at) in &self.known().last {
            last_seen.tell(user, Seen::At(*at));
        }
        last_seen
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn sweep(&mut self, now: Timestamp) {
        let is_due = self
            .swept
            .is_none_or(|swept| now.duration_since(swept).abs() >= SWEPT_EVERY);
        if is_due {
            self.swept = Some(now);
            self.last.retain(|_, at| now.duration_since(*at) < KEPT);
        }
    }
}

fn tells_of_a_visit(event: &Event) -> bool {
    KINDS.contains(&&*event.kind) && SOURCES.contains(&&*event.source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::tables::RowId;

    fn at(hour: &str) -> Timestamp {
        format!("2026-11-{hour}:00:00Z").parse().unwrap()
    }

    fn event(user: &str, kind: &str, source: &str, hour: &str) -> Event {
        Event {
            id: RowId::of(&[user, kind, source, hour]),
            hub: "hub".into(),
            at: at(hour),
            not_before: None,
            kind: kind.into(),
            user: Some(user.into()),
            server: None,
            detail: None,
            source: source.into(),
            schema: None,
            schema_version: None,
        }
    }

    #[test]
    fn what_somebody_did_since_the_hub_told_counts() {
        let visits = Visits::default();
        let events = [
            event("ada", "login", "hooks", "20T10"),
            event("ada", "login", "hooks", "20T09"),
            event("ben", "server-start", "hub", "20T08"),
            event("cleo", "login", "lab-door", "20T10"),
            event("dan", "login-failed", "hooks", "20T10"),
            event("eve", "login", "hooks", "18T10"),
        ];
        visits.heard(events.iter(), at("20T11"));
        let mut told = LastSeen::default();
        for user in ["ada", "cleo", "dan", "eve"] {
            told.tell(&user.into(), Seen::NotYet(at("20T07")));
        }
        told.tell(&"ben".into(), Seen::At(at("20T11")));
        let known = visits.added_to(&told);
        let of = |user: &str| known.of(&user.into());
        assert_eq!(of("ada"), Some(Seen::At(at("20T10"))));
        assert_eq!(of("ben"), Some(Seen::At(at("20T11"))), "the hub knew later");
        for user in ["cleo", "dan", "eve"] {
            assert_eq!(of(user), Some(Seen::NotYet(at("20T07"))), "{user}");
        }
    }

    #[test]
    fn a_visit_by_a_clock_that_is_ahead_is_now() {
        let visits = Visits::default();
        let ahead = event("ada", "login", "hooks", "20T11");
        visits.heard([ahead].iter(), at("20T10"));
        let known = visits.added_to(&LastSeen::default());
        assert_eq!(known.of(&"ada".into()), Some(Seen::At(at("20T10"))));
    }

    #[test]
    fn a_day_later_only_the_hub_is_asked() {
        let visits = Visits::default();
        visits.heard(
            [event("ada", "login", "hooks", "20T10")].iter(),
            at("20T10"),
        );
        visits.heard([].iter(), at("21T09"));
        assert_eq!(visits.known().last.len(), 1);
        visits.heard([].iter(), at("21T10"));
        assert_eq!(visits.added_to(&LastSeen::default()), LastSeen::default());
    }
}
