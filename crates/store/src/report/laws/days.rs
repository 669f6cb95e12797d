//! A session over midnight counts on each of its days with its part, neither more nor less.

use super::same::assert_same;
use super::story::{History, Like, histories};
use super::{Desk, assert_close, cases, period, real, rollups, run_test};
use crate::Cell;
use crate::report::RollUp;
use proptest::prelude::*;
use std::collections::BTreeMap;

async fn check_hours(history: &History) {
    let (desk, past, now) = (Desk::new(), history.past(), history.now());
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    // Somewhere it may be tomorrow.
    let n_days = history.hubs.iter().map(|hub| hub.days(now).end).max();
    for day in 0..n_days.unwrap() {
        let day = history.hubs[0].date(day);
        let rows = desk
            .tell(&past, "active-users-calendar", &period(day, day))
            .await;
        for (hub, hours) in rows.cells("hub").zip(rows.cells("hours")) {
            *sums.entry(format!("{hub:?}")).or_default() += real(hours).unwrap_or(0.0);
        }
    }
    for hub in &history.hubs {
        let sessions = hub.sessions(now).into_iter();
        let seconds = sessions.map(|session| session.until.duration_since(session.started));
        let hours: f64 = seconds.map(|length| length.as_secs_f64() / 3600.0).sum();
        let name = format!("{:?}", Cell::Text(hub.name.to_owned()));
        assert_close(sums.get(&name).copied().unwrap_or(0.0), hours, hub.name);
    }
}

async fn check_cut(history: &History, rollup: RollUp) {
    let (desk, cut) = (Desk::new(), history.cut_at_midnight());
    let asked = period(history.first(), history.last()).with_rollup(rollup);
    let (whole, parts) = (history.past(), cut.past());
    for report in ["active-users", "stickiness", "concurrency", "usage-by-day"] {
        let whole = desk.tell(&whole, report, &asked).await;
        let parts = desk.tell(&parts, report, &asked).await;
        assert_same(&whole, &parts, report);
    }
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn the_hours_of_all_days_add_up_to_the_lengths_of_the_sessions(
        history in histories(Like::SHORT),
    ) {
        run_test(check_hours(&history));
    }

    #[test]
    fn a_session_that_is_cut_at_midnight_changes_no_daily_figure(
        history in histories(Like::WITH_GAPS),
        rollup in rollups(),
    ) {
        run_test(check_cut(&history, rollup));
    }
}
