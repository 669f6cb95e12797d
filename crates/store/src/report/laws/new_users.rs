//! Who was there when the history began is not new.

use super::story::past;
use super::{Desk, Rows, period, real, report};
use crate::Cell;
use crate::query::Limits;
use crate::report::golden::Past;
use crate::report::run;

const N_OLD: usize = 500;

/// A hub with 500 accounts that is looked at from a day on; 300 come in the first month.
fn hub(watched: &str, more: &[&str]) -> Past {
    let mut lines = vec![
        "hub lab Europe/Berlin".to_owned(),
        "now 2026-05-20T12:00".to_owned(),
        format!("watched {watched} 2026-05-20T12:00"),
    ];
    for number in 0..N_OLD {
        lines.push(format!("account old-{number}"));
        let (day, user) = (10 + number % 20, format!("old-{number}"));
        if number % 5 < 3 {
            lines.push(format!(
                "session {user} - 2026-03-{day}T09:00 2026-03-{day}T10:00"
            ));
        }
        if number % 5 == 0 {
            lines.push(format!(
                "session {user} - 2026-04-10T09:00 2026-04-10T10:00"
            ));
        }
    }
    lines.extend(more.iter().map(|line| (*line).to_owned()));
    past(&lines)
}

async fn months(past: &Past) -> Rows {
    let asked = period("2026-02-01".parse().unwrap(), "2026-05-20".parse().unwrap());
    Desk::new().tell(past, "new-users", &asked).await
}

/// Users, and the new, staying, returning and lapsed ones, of the month that begins then.
#[track_caller]
fn figures(rows: &Rows, month: &str) -> [Option<i64>; 5] {
    let month = Cell::Day(month.parse().unwrap());
    let starts = rows.column("starts");
    let row = rows.rows.iter().find(|row| row[starts] == month);
    let row = row.expect("each month has a row");
    ["users", "new", "staying", "returning", "lapsed"].map(|name| match &row[rows.column(name)] {
        Cell::Null => None,
        Cell::Integer(number) => Some(*number),
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn in_the_first_month_of_a_hub_with_500_old_users_there_are_no_500_new_ones() {
    let past = hub(
        "2026-03-01T00:00",
        &[
            "account eve 2026-03-15T10:00",
            "session eve - 2026-03-15T11:00 2026-03-15T12:00",
        ],
    );
    let rows = months(&past).await;
    assert_eq!(figures(&rows, "2026-02-01"), [None; 5]);
    // Whether the others came the month before is not known.
    assert_eq!(
        figures(&rows, "2026-03-01"),
        [Some(301), Some(1), None, None, None]
    );
    assert_eq!(
        figures(&rows, "2026-04-01"),
        [Some(100), Some(0), Some(100), Some(0), Some(201)]
    );
}

#[tokio::test]
async fn of_a_month_in_whose_midst_the_history_begins_it_is_not_known_who_was_new() {
    let rows = months(&hub("2026-03-10T00:00", &[])).await;
    assert_eq!(
        figures(&rows, "2026-03-01"),
        [Some(300), None, None, None, None]
    );
    // March was not wholly in the history, so that April does not know who stayed.
    assert_eq!(
        figures(&rows, "2026-04-01"),
        [Some(100), Some(0), None, None, None]
    );
}

#[tokio::test]
async fn who_is_known_from_imported_sessions_only_is_not_new() {
    // The sessions of February were imported; the hub is looked at since March 10.
    let february = [
        "session kim - 2026-02-01T00:00 2026-02-01T01:00",
        "session kim - 2026-03-20T09:00 2026-03-20T10:00",
    ];
    let rows = months(&hub("2026-03-10T00:00", &february)).await;
    assert_eq!(
        figures(&rows, "2026-02-01"),
        [Some(1), None, None, None, None]
    );
    assert_eq!(
        figures(&rows, "2026-03-01"),
        [Some(301), None, Some(1), None, Some(0)]
    );
}

#[tokio::test]
async fn a_server_that_ran_before_the_first_look_makes_nobody_known_earlier() {
    let old = [
        "running old-1 - 2026-01-05T09:00",
        "session old-2 - 2026-01-05T09:00 2026-03-01T10:00",
    ];
    let rows = months(&hub("2026-03-01T00:00", &old)).await;
    assert_eq!(figures(&rows, "2026-02-01"), [None; 5]);
    // One of them comes in March anyway.
    assert_eq!(
        figures(&rows, "2026-03-01"),
        [Some(300), Some(0), None, None, None]
    );
}

#[tokio::test]
async fn no_cohort_has_anybody_who_was_there_when_the_history_began() {
    let eve = [
        "account eve 2026-03-15T10:00",
        "session eve - 2026-03-15T11:00 2026-03-15T12:00",
    ];
    let asked = period("2026-02-01".parse().unwrap(), "2026-05-20".parse().unwrap());
    let past = hub("2026-03-01T00:00", &eve);
    let rows = Desk::new().tell(&past, "retention", &asked).await;
    let sizes: Vec<_> = rows.cells("size").filter_map(real).collect();
    assert!(!sizes.is_empty());
    assert!(sizes.iter().all(|size| *size <= 1.0), "{sizes:?}");
}

#[tokio::test]
async fn a_hub_with_more_people_than_an_answer_may_have_is_told_of() {
    // Few days, so that nothing else is as many rows as people.
    let past = hub("2026-05-18T00:00", &[]);
    let asked = period("2026-05-18".parse().unwrap(), "2026-05-20".parse().unwrap());
    let (desk, report) = (Desk::new(), report("concurrency-summary"));
    let (sources, usual) = (past.sources(asked.rollup), Limits::default());
    let limits = Limits {
        max_rows: N_OLD / 2,
        ..usual
    };
    let mut answers = Vec::new();
    for limits in [usual, limits] {
        let answer = run(&desk.engine, &sources, &report, &asked, limits).await;
        answers.push(Rows::of(&answer.unwrap()).rows);
    }
    assert_eq!(answers[0], answers[1]);
    let accounts = answers[0][0].last();
    assert_eq!(accounts, Some(&Cell::Integer(500)));
}
