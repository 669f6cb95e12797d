//! What events of the hub's hooks count: a pure function of one event.
//!
//! Whether the event counts at all (new, young, and of a process that has no other source) is
//! decided in [`super::counting`].

use super::counted::{
    CUSTOM_EVENTS, LAUNCH_DURATION, LOGIN_FAILURE, LOGIN_SUCCESS, SPAWN_DURATION, SPAWN_FAILURE,
    SPAWN_SUCCESS, USER_LOGIN,
};
use super::sources::Group;
use serde_json::{Map, Value};
use store::tables::Event;
use store::{ANONYMOUS, Tally};

/// What a class or reason is called that nobody told.
pub(super) const UNKNOWN: &str = "unknown";
/// Types of our own among the custom events.
pub(super) const USER_LOGIN_EVENT: &str = "user_login";
pub(super) const SPAWN_START_EVENT: &str = "server_spawn_start";
pub(super) const SPAWN_SUCCESS_EVENT: &str = "server_spawn_success";
pub(super) const SPAWN_FAILURE_EVENT: &str = "server_spawn_failure";
/// All of them: nobody else counts under these names.
pub const OWN_EVENTS: [&str; 4] = [
    USER_LOGIN_EVENT,
    SPAWN_START_EVENT,
    SPAWN_SUCCESS_EVENT,
    SPAWN_FAILURE_EVENT,
];
/// Says that the hub's process has the hooks.
pub(super) const HELLO: &str = "hub-started";
/// Who sends these events.
pub(super) const SOURCE: &str = "hooks";

/// Whether metrics name people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By their names.
    Named,
    /// All are `anonymous`.
    Anonymous,
}

/// What an event is about; `None` if it counts nothing.
pub(super) fn group_of(kind: &str) -> Option<Group> {
    match kind {
        "login" | "login-failed" => Some(Group::Logins),
        "spawn-asked" | "spawn-succeeded" | "spawn-failed" => Some(Group::Spawns),
        _ => None,
    }
}

/// Whether the process that says hello has the hooks of this group.
pub(super) fn has_hooks_of(hello: &Event, group: Group) -> bool {
    let detail = Detail::of(hello);
    let Some(Value::Array(kinds)) = detail.0.get("hooks") else {
        return true;
    };
    let mut kinds = kinds.iter().filter_map(Value::as_str);
    kinds.any(|kind| group_of(kind) == Some(group))
}

/// With a hello it is known that there was nothing yet.
pub(super) fn begin(hello: &Event, group: Group) -> Vec<Tally> {
    match group {
        Group::Logins => vec![
            Tally::add(&LOGIN_SUCCESS.def, &[], 0.0),
            Tally::add(&LOGIN_FAILURE.def, &[], 0.0),
        ],
        Group::Spawns => {
            let detail = Detail::of(hello);
            vec![Tally::add(
                &SPAWN_SUCCESS.def,
                &[detail.class("spawner")],
                0.0,
            )]
        }
    }
}

/// What an event of the hooks counts; nothing if it is of another kind.
pub(super) fn tallies(event: &Event, naming: Naming) -> Vec<Tally> {
    let detail = Detail::of(event);
    let user = match (naming, &event.user) {
        (Naming::Named, Some(user)) => user.as_str(),
        _ => ANONYMOUS,
    };
    let spawner = detail.class("spawner");
    let one = |kind: &str| Tally::add(&CUSTOM_EVENTS.def, &[kind, user], 1.0);
    match &*event.kind {
        "login" => vec![
            Tally::add(&LOGIN_SUCCESS.def, &[], 1.0),
            Tally::add(&USER_LOGIN.def, &[user, detail.class("authenticator")], 1.0),
            one(USER_LOGIN_EVENT),
        ],
        "login-failed" => vec![Tally::add(&LOGIN_FAILURE.def, &[], 1.0)],
        "spawn-asked" => vec![one(SPAWN_START_EVENT)],
        "spawn-succeeded" => {
            let mut tallies = vec![
                Tally::add(&SPAWN_SUCCESS.def, &[spawner], 1.0),
                one(SPAWN_SUCCESS_EVENT),
            ];
            let seconds = detail.seconds("seconds");
            tallies.extend(seconds.map(|it| Tally::observe(&SPAWN_DURATION.def, &[spawner], it)));
            let seconds = detail.seconds("launch_seconds");
            let labels = [spawner, user];
            tallies.extend(seconds.map(|it| Tally::observe(&LAUNCH_DURATION.def, &labels, it)));
            tallies
        }
        "spawn-failed" => vec![
            Tally::add(
                &SPAWN_FAILURE.def,
                &[spawner, detail.text("error_type")],
                1.0,
            ),
            one(SPAWN_FAILURE_EVENT),
        ],
        _ => Vec::new(),
    }
}

/// A class by its own name: the hooks tell that, the hub's API the whole path.
pub(super) fn class_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Everything else that an event tells; what is missing or of another type is unknown.
struct Detail(Map<String, Value>);

impl Detail {
    fn of(event: &Event) -> Self {
        let detail = event.detail.as_deref();
        let detail = detail.and_then(|text| serde_json::from_str(text).ok());
        Self(detail.unwrap_or_default())
    }

    fn text(&self, key: &str) -> &str {
        let text = self.0.get(key).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).unwrap_or(UNKNOWN)
    }

    fn class(&self, key: &str) -> &str {
        class_name(self.text(key))
    }

    fn seconds(&self, key: &str) -> Option<f64> {
        let seconds = self.0.get(key).and_then(Value::as_f64);
        seconds.filter(|seconds| *seconds >= 0.0)
    }
}

/// A change as text, for tests.
#[cfg(test)]
pub(super) fn shown(tally: &Tally) -> String {
    use store::TallyValue;
    let change = match tally.change() {
        TallyValue::Counter(more) => format!("+{more}"),
        TallyValue::Gauge(value) => format!("={value}"),
        TallyValue::Histogram(more) => format!("+{} of {}", more.count(), more.sum),
    };
    format!(
        "{}[{}] {change}",
        tally.def().name,
        tally.labels().join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use store::tables::RowId;

    fn event(kind: &str, detail: &str) -> Event {
        Event {
            id: RowId::of(&[kind, detail]),
            hub: "hub".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            not_before: None,
            kind: kind.into(),
            user: Some("ada".into()),
            server: None,
            detail: Some(Arc::from(detail)),
            source: SOURCE.into(),
            schema: None,
            schema_version: None,
        }
    }

    fn check(kind: &str, detail: &str, naming: Naming, expected: &[&str]) {
        let tallies = tallies(&event(kind, detail), naming);
        let lines: Vec<String> = tallies.iter().map(shown).collect();
        assert_eq!(lines, expected, "{kind} {detail}");
    }

    #[test]
    fn logins_count_in_three_places() {
        let detail = r#"{"authenticator": "a.Pam"}"#;
        check(
            "login",
            detail,
            Naming::Named,
            &[
                "login_success_total[] +1",
                "user_login_total[ada Pam] +1",
                "custom_events_total[user_login ada] +1",
            ],
        );
        check(
            "login",
            "null",
            Naming::Anonymous,
            &[
                "login_success_total[] +1",
                "user_login_total[anonymous unknown] +1",
                "custom_events_total[user_login anonymous] +1",
            ],
        );
        check(
            "login-failed",
            "{}",
            Naming::Named,
            &["login_failure_total[] +1"],
        );
    }

    #[test]
    fn spawns_count_with_their_durations() {
        let (anonymous, s) = (Naming::Anonymous, r#""spawner": "k.S""#);
        check(
            "spawn-asked",
            &format!("{{{s}}}"),
            anonymous,
            &["custom_events_total[server_spawn_start anonymous] +1"],
        );
        check(
            "spawn-succeeded",
            &format!(r#"{{{s}, "seconds": 4.5, "launch_seconds": 700}}"#),
            anonymous,
            &[
                "spawn_success_total[S] +1",
                "custom_events_total[server_spawn_success anonymous] +1",
                "spawn_duration_seconds[S] +1 of 4.5",
                "notebook_launch_duration_seconds[S anonymous] +1 of 700",
            ],
        );
        check(
            "spawn-succeeded",
            r#"{"seconds": "4", "launch_seconds": -1, "spawner": 3}"#,
            anonymous,
            &[
                "spawn_success_total[unknown] +1",
                "custom_events_total[server_spawn_success anonymous] +1",
            ],
        );
        check(
            "spawn-failed",
            &format!(r#"{{{s}, "error_type": "TimeoutError", "seconds": 60}}"#),
            Naming::Named,
            &[
                "spawn_failure_total[S TimeoutError] +1",
                "custom_events_total[server_spawn_failure ada] +1",
            ],
        );
    }

    #[test]
    fn a_hello_lets_counters_begin_of_what_is_hooked() {
        let check = |hooks: &str, expected: &[&str]| {
            let hello = event(HELLO, &format!(r#"{{"spawner": "k.S"{hooks}}}"#));
            let groups = Group::ALL.into_iter();
            let groups = groups.filter(|group| has_hooks_of(&hello, *group));
            let begun = groups.flat_map(|group| begin(&hello, group));
            let lines: Vec<String> = begun.map(|tally| shown(&tally)).collect();
            assert_eq!(lines, expected, "{hooks}");
        };
        let logins = ["login_success_total[] +0", "login_failure_total[] +0"];
        let spawns = "spawn_success_total[S] +0";
        check("", &[logins[0], logins[1], spawns]);
        check(r#", "hooks": ["logout", "login", "login-failed"]"#, &logins);
        check(r#", "hooks": ["spawn-asked"]"#, &[spawns]);
        check(r#", "hooks": []"#, &[]);
    }

    #[test]
    fn events_of_other_kinds_count_nothing() {
        check("server-start", "{}", Naming::Named, &[]);
        check(HELLO, "{}", Naming::Named, &[]);
        assert_eq!(group_of("server-start"), None);
    }
}
