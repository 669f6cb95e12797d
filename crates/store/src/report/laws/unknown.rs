//! A day on which nothing was collected is not a day on which nothing happened.

use super::story::{History, Like, histories, past};
use super::{Desk, Rows, cases, period, real, reports, run_test};
use crate::Cell;
use crate::report::{Asked, Definition, Kind, ParameterKind};
use jiff::civil::Date;
use proptest::prelude::*;
use std::sync::Arc;

/// A report with a row for each day.
pub(super) struct Daily {
    pub(super) report: Arc<Definition>,
    /// Where it has its day: a column of days, or one of names.
    column: &'static str,
}

impl Daily {
    pub(super) fn asked(&self, asked: Asked) -> Asked {
        if self.column == "of" {
            asked.with("by", "day")
        } else {
            asked
        }
    }

    /// How many rows there are of a day of this hub; they say nothing.
    #[track_caller]
    fn rows_unknown(&self, rows: &Rows, hub: &Cell, day: Date) -> usize {
        let column = rows.column(self.column);
        let day = match self.column {
            "day" => Cell::Day(day),
            _ => Cell::Text(day.to_string()),
        };
        let is_of_day = |row: &&Vec<Cell>| row[0] == *hub && row[column] == day;
        let of_day: Vec<&Vec<Cell>> = rows.rows.iter().filter(is_of_day).collect();
        for row in &of_day {
            let mut cells = row.iter().enumerate();
            let is_unknown =
                cells.all(|(index, cell)| [0, column].contains(&index) || *cell == Cell::Null);
            let name = &self.report.name;
            assert!(is_unknown, "{name}: {:?} {row:?}", rows.names);
        }
        of_day.len()
    }
}

/// All of them.
pub(super) fn daily() -> Vec<Daily> {
    let reports = reports().into_iter();
    let daily = reports.filter_map(|report| {
        let has_days = report
            .column("day")
            .is_some_and(|column| column.kind == Kind::Day);
        let is_by_day = report
            .parameters
            .iter()
            .any(|parameter| match &parameter.kind {
                ParameterKind::Choice(choices) => choices.iter().any(|choice| choice == "day"),
                _ => false,
            });
        let column = match (has_days, is_by_day) {
            (true, _) => "day",
            (false, true) => "of",
            (false, false) => return None,
        };
        Some(Daily { report, column })
    });
    daily.collect()
}

async fn check(history: &History) {
    let (desk, past, now) = (Desk::new(), history.past(), history.now());
    for daily in daily() {
        let asked = daily.asked(period(history.first(), history.last()));
        let sources = past.sources(asked.rollup);
        let rows = desk.ask(&sources, &daily.report, &asked).await;
        for hub in &history.hubs {
            let (name, days) = (Cell::Text(hub.name.to_owned()), hub.days(now));
            for day in days.filter(|day| !hub.is_watched(*day)) {
                let n_rows = daily.rows_unknown(&rows, &name, hub.date(day));
                assert_eq!(n_rows, 1, "{}", daily.report.name);
            }
        }
    }
}

#[test]
fn there_are_reports_by_day() {
    assert!(daily().len() >= 10);
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn of_a_day_on_which_nothing_was_collected_nothing_is_said(
        history in histories(Like::WITH_GAPS),
    ) {
        run_test(check(&history));
    }
}

#[tokio::test]
async fn a_server_that_runs_when_the_hub_is_looked_at_first_tells_nothing_of_the_days_before() {
    let past = past(&[
        "hub lab Europe/Berlin".to_owned(),
        "now 2026-03-10T12:00".to_owned(),
        "watched 2026-03-08T09:00 2026-03-10T12:00".to_owned(),
        "running old - 2026-03-01T09:00 active=60 image=base".to_owned(),
        "session long - 2026-03-02T09:00 2026-03-08T09:00 active=60 image=base".to_owned(),
        // Known from elsewhere, so that the days from then on are known.
        "session kim - 2026-03-06T09:00 2026-03-08T08:59 active=60 image=base".to_owned(),
    ]);
    let (desk, lab) = (Desk::new(), Cell::Text("lab".to_owned()));
    let day = |text: &str| -> Date { text.parse().unwrap() };
    let asked = period(day("2026-03-01"), day("2026-03-10"));
    for daily in daily() {
        let asked = daily.asked(asked.clone());
        let sources = past.sources(asked.rollup);
        let rows = desk.ask(&sources, &daily.report, &asked).await;
        for unknown in ["2026-03-01", "2026-03-05"] {
            // Not every report has a row of days before the history.
            assert!(daily.rows_unknown(&rows, &lab, day(unknown)) <= 1);
        }
    }
    let rows = desk.tell(&past, "active-users", &asked).await;
    let people: Vec<&Cell> = rows.cells("users").skip(4).take(3).collect();
    assert_eq!(people, [&Cell::Null, &Cell::Integer(3), &Cell::Integer(3)]);
}

/// A hub that is looked at from half past ten on, on a Sunday.
const LOOKED_AT_FROM_A_MORNING_ON: [&str; 5] = [
    "hub lab Europe/Berlin",
    "now 2026-03-03T12:00",
    "watched 2026-03-01T10:30 2026-03-03T12:00",
    "session ada - 2026-03-01T08:00 2026-03-01T12:30",
    "session bob - 2026-03-01T11:00 2026-03-01T12:00",
];

async fn of_first_days(report: &str, more: &[&str]) -> Rows {
    let lines = LOOKED_AT_FROM_A_MORNING_ON.iter().chain(more);
    let lines: Vec<String> = lines.map(|line| (*line).to_owned()).collect();
    let asked = period("2026-03-01".parse().unwrap(), "2026-03-02".parse().unwrap());
    Desk::new().tell(&past(&lines), report, &asked).await
}

fn numbers(rows: &Rows, column: &str) -> Vec<Option<f64>> {
    rows.cells(column).map(real).collect()
}

#[tokio::test]
async fn the_night_before_the_first_look_is_not_known() {
    let rows = of_first_days("concurrency-summary", &[]).await;
    // 13 hours and a day; an hour of it with two servers, half of one with one.
    assert_eq!(numbers(&rows, "known_hours"), [Some(37.0); 2]);
    assert_eq!(numbers(&rows, "mean"), [Some(2.5 / 37.0); 2]);
    assert_eq!(numbers(&rows, "peak"), [Some(2.0); 2]);
    let rows = of_first_days("hour-of-week", &[]).await;
    let servers = numbers(&rows, "servers");
    // Of Monday all, of Sunday from the first whole hour on.
    assert_eq!(servers[..24], [Some(0.0); 24]);
    assert_eq!(servers[24..24 + 11], [None; 11]);
    assert_eq!(servers[35..38], [Some(2.0), Some(0.5), Some(0.0)]);
}

#[tokio::test]
async fn the_night_before_the_first_look_is_known_where_its_sessions_were_imported() {
    let imported = ["session kim - 2026-03-01T01:00 2026-03-01T02:00"];
    let rows = of_first_days("concurrency-summary", &imported).await;
    assert_eq!(numbers(&rows, "known_hours"), [Some(48.0); 2]);
    assert_eq!(numbers(&rows, "mean"), [Some(6.5 / 48.0); 2]);
    let rows = of_first_days("hour-of-week", &imported).await;
    assert_eq!(numbers(&rows, "servers")[24..26], [Some(0.0), Some(1.0)]);
}
