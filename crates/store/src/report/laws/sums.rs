//! Parts add up to the whole, which is added up here in the plainest way.

use super::story::{History, Like, USERS, histories};
use super::{Desk, Rows, assert_close, by_rule, cases, period, rollups, run_test};
use crate::report::RollUp;
use jiff::Timestamp;
use model::attribution::MultiGroupRule;
use proptest::prelude::*;
use proptest::sample::select;

/// What happened between two days, on all hubs together.
#[derive(Clone, Copy, Debug, Default)]
struct Whole {
    sessions: f64,
    hours: f64,
    cpu_core_hours: f64,
    memory_gib_hours: f64,
    gpu_hours: f64,
}

impl Whole {
    fn of(history: &History, (from, to): (i32, i32)) -> Self {
        let (mut whole, now) = (Self::default(), history.now());
        for hub in &history.hubs {
            let (starts, ends) = (hub.midnight(from), hub.midnight(to + 1).min(now));
            let is_in = |at: Timestamp| starts <= at && at < ends;
            for session in hub.sessions(now) {
                whole.sessions += f64::from(u8::from(is_in(session.started)));
                let (since, until) = (session.started.max(starts), session.until.min(ends));
                whole.hours += until.duration_since(since).as_secs_f64().max(0.0) / 3600.0;
            }
            for (_, used) in hub.usage(now).iter().filter(|((hour, ..), _)| is_in(*hour)) {
                whole.cpu_core_hours += used.cpu_core_seconds / 3600.0;
                whole.memory_gib_hours += used.memory_byte_seconds / 3600.0 / 1_073_741_824.0;
                whole.gpu_hours += used.gpu_seconds.unwrap_or(0.0) / 3600.0;
            }
        }
        whole
    }

    #[track_caller]
    fn assert_times(&self, rows: &Rows, what: &str) {
        assert_close(
            rows.sum("sessions"),
            self.sessions,
            &format!("sessions, {what}"),
        );
        assert_close(rows.sum("hours"), self.hours, &format!("hours, {what}"));
    }

    #[track_caller]
    fn assert_usage(&self, rows: &Rows, what: &str) {
        for (column, whole) in [
            ("cpu_core_hours", self.cpu_core_hours),
            ("memory_gib_hours", self.memory_gib_hours),
            ("gpu_hours", self.gpu_hours),
        ] {
            assert_close(rows.sum(column), whole, &format!("{column}, {what}"));
        }
    }
}

async fn check_groups(history: &History, days: (i32, i32), rollup: RollUp) {
    let (desk, past, hub) = (Desk::new(), history.past(), &history.hubs[0]);
    let whole = Whole::of(history, days);
    let (from, to) = (hub.date(days.0), hub.date(days.1));
    // Activity is known of some days only: what a rule does to it is compared with another one.
    let mut active = None;
    // Whoever is in a group is in it by every rule.
    let mut came = None;
    for rule in [
        MultiGroupRule::Split,
        MultiGroupRule::Primary(vec!["math".into(), "physics".into()]),
        MultiGroupRule::Bucket("several".into()),
    ] {
        let what = format!("{rule:?}");
        let asked = by_rule(from, to, rule).with_rollup(rollup);
        let groups = desk.tell(&past, "groups", &asked).await;
        whole.assert_times(&groups, &what);
        whole.assert_usage(&groups, &what);
        let hours = groups.sum("active_hours");
        assert_close(hours, *active.get_or_insert(hours), &what);
        let people = desk.tell(&past, "participation", &asked).await;
        let participants = people.sum("participants");
        assert_close(participants, *came.get_or_insert(participants), &what);
        let usage = desk.tell(&past, "usage-by-group", &asked).await;
        whole.assert_usage(&usage, &what);
    }
}

async fn check_people_and_days(history: &History, days: (i32, i32), rollup: RollUp) {
    let (desk, past, hub) = (Desk::new(), history.past(), &history.hubs[0]);
    let whole = Whole::of(history, days);
    let asked = period(hub.date(days.0), hub.date(days.1)).with_rollup(rollup);
    for unit in ["week", "month"] {
        let asked = asked.clone().with("by", unit);
        let units = desk.tell(&past, "active-users-calendar", &asked).await;
        whole.assert_times(&units, unit);
    }
    let (mut hours, mut sessions) = (0.0, 0.0);
    for user in USERS {
        let mut asked = asked.clone();
        asked.user = Some(user.to_owned());
        let mine = desk.tell(&past, "active-users-calendar", &asked).await;
        hours += mine.sum("hours");
        sessions += mine.sum("sessions");
    }
    assert_close(hours, whole.hours, "hours of users");
    assert_close(sessions, whole.sessions, "sessions of users");
    for report in ["usage-by-user", "usage-by-day"] {
        whole.assert_usage(&desk.tell(&past, report, &asked).await, report);
    }
}

async fn check_lengths(history: &History, days: (i32, i32)) {
    let (desk, past, hub) = (Desk::new(), history.past(), &history.hubs[0]);
    let asked = period(hub.date(days.0), hub.date(days.1));
    let whole = desk.tell(&past, "session-lengths", &asked).await;
    for unit in ["day", "week", "month", "user", "server", "image", "option"] {
        let asked = asked.clone().with("by", unit);
        let parts = desk.tell(&past, "session-lengths", &asked).await;
        for column in ["sessions", "running", "hours"] {
            let what = format!("{column} by {unit}");
            assert_close(parts.sum(column), whole.sum(column), &what);
        }
    }
}

fn periods() -> impl Strategy<Value = (i32, i32)> {
    select(vec![(2, 7), (0, 9), (4, 4)])
}

proptest! {
    #![proptest_config(cases(3))]

    #[test]
    fn groups_add_up_to_the_whole_by_every_rule_that_adds_up(
        history in histories(Like::SHORT),
        days in periods(),
        rollup in rollups(),
    ) {
        run_test(check_groups(&history, days, rollup));
    }

    #[test]
    fn people_days_and_units_of_the_calendar_add_up_to_the_whole(
        history in histories(Like::SHORT),
        days in periods(),
        rollup in rollups(),
    ) {
        run_test(check_people_and_days(&history, days, rollup));
    }

    #[test]
    fn lengths_of_sessions_add_up_to_the_same_by_whatever_they_are_listed(
        history in histories(Like::SHORT),
        days in periods(),
    ) {
        run_test(check_lengths(&history, days));
    }
}
