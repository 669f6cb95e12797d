//! Seven days later everything is the same, seven days later.

use super::same::assert_same_rows;
use super::story::{History, Like, histories};
use super::unknown::daily;
use super::{Desk, cases, period, run_test};
use crate::Cell;
use crate::report::RollUp;
use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;

fn later(cell: &Cell) -> Cell {
    match cell {
        Cell::Day(day) => Cell::Day(*day + 7.days()),
        Cell::Time(at) => Cell::Time(*at + SignedDuration::from_hours(7 * 24)),
        // Some reports write the day as a name.
        Cell::Text(text) => Cell::Text(match text.parse::<Date>() {
            Ok(day) => (day + 7.days()).to_string(),
            Err(_) => text.clone(),
        }),
        other => other.clone(),
    }
}

async fn check(history: &History) {
    let (desk, shifted) = (Desk::new(), history.later(7));
    let (before, after) = (history.past(), shifted.past());
    for daily in daily() {
        let asked = |history: &History| daily.asked(period(history.first(), history.last()));
        let sources = before.sources(RollUp::Used);
        let mut one = desk.ask(&sources, &daily.report, &asked(history)).await;
        let sources = after.sources(RollUp::Used);
        let other = desk.ask(&sources, &daily.report, &asked(&shifted)).await;
        one.rows = one
            .rows
            .iter()
            .map(|row| row.iter().map(later).collect())
            .collect();
        assert!(!one.rows.is_empty(), "{}", daily.report.name);
        assert_same_rows(&one, &other, &daily.report.name);
    }
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn what_happens_seven_days_later_is_reported_seven_days_later(
        history in histories(Like::CALM),
    ) {
        run_test(check(&history));
    }
}
