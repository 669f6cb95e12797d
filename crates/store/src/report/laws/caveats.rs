//! What is said beneath the rows, of the days that they do not wholly stand on.

use super::story::past;
use super::{Desk, period, real};
use crate::Cell;
use crate::report::Need;

/// What is said of a report from one day to another on such a history.
async fn told(lines: &[&str], report: &str, from: &str, to: &str) -> Vec<String> {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let asked = period(from.parse().unwrap(), to.parse().unwrap());
    let rows = Desk::new().tell(&past(&lines), report, &asked).await;
    rows.caveats
}

#[tokio::test]
async fn days_before_the_period_on_which_nothing_was_collected_are_named_where_figures_need_them() {
    let lines = [
        "hub lab Europe/Berlin",
        "now 2026-04-10T12:00",
        "watched 2026-01-01T00:00 2026-02-20T00:00",
        "watched 2026-02-25T00:00 2026-04-10T12:00",
    ];
    let gap = "Nothing was collected on 5 days before the period, to which figures reach back: \
               2026-02-20 to 2026-02-24.";
    for report in ["active-users", "overview"] {
        let caveats = told(&lines, report, "2026-03-01", "2026-03-31").await;
        assert!(caveats.iter().any(|it| it == gap), "{report}: {caveats:?}");
    }
    // By then no window holds them.
    let caveats = told(&lines, "active-users", "2026-03-27", "2026-03-31").await;
    assert!(!caveats.iter().any(|it| it == gap), "{caveats:?}");
}

#[tokio::test]
async fn an_hour_without_a_reading_is_told_where_hours_begin_at_a_quarter_to() {
    let lines = [
        "hub lab Asia/Kathmandu",
        "now 2026-03-05T12:00",
        "watched 2026-03-01T00:00 2026-03-03T05:00",
        "watched 2026-03-03T06:00 2026-03-05T12:00",
        // In the last local hour of the day, but in an hour of UTC of its own.
        "reading 2026-03-03T23:50 api_users {} 1",
    ];
    let caveats = told(&lines, "active-users", "2026-03-01", "2026-03-04").await;
    let partly = "Not watched all the time on 1 day: 2026-03-03.";
    assert!(caveats.iter().any(|it| it == partly), "{caveats:?}");
}

#[tokio::test]
async fn where_it_is_not_yet_today_nothing_is_said_of_today() {
    let lines = [
        "hub here Australia/Sydney",
        "now 2026-03-10T02:00Z",
        "watched 2026-03-01T00:00 2026-03-10T12:00",
        "hub far America/New_York",
        "watched 2026-03-01T00:00 2026-03-09T22:00",
    ];
    let caveats = told(&lines, "active-users", "2026-03-08", "2026-03-10").await;
    let of_far: Vec<&String> = caveats
        .iter()
        .filter(|it| it.starts_with("far: "))
        .collect();
    assert_eq!(of_far, ["far: 2026-03-09 is not over."]);
}

#[tokio::test]
async fn after_the_hooks_are_gone_nobody_knows_of_logins() {
    let lines = [
        "hub lab Europe/Berlin",
        "now 2026-03-07T12:00",
        "watched 2026-03-01T00:00 2026-03-07T12:00",
        "event 2026-03-02T09:00 login ada - source=hooks {}",
        "event 2026-03-04T09:00 logout ada - source=hooks {}",
    ];
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let asked = period("2026-03-01".parse().unwrap(), "2026-03-06".parse().unwrap());
    let rows = Desk::new().tell(&past(&lines), "logins", &asked).await;
    let logins: Vec<Option<f64>> = rows.cells("logins").map(real).collect();
    let (none, nobody) = (None, Some(0.0));
    assert_eq!(logins, [none, Some(1.0), nobody, nobody, none, none]);
    let told = "What the hub's hooks tell (logins, starts) is not known on 3 days: 2026-03-01, \
                2026-03-05 to 2026-03-06.";
    assert!(
        rows.caveats.iter().any(|it| it == told),
        "{:?}",
        rows.caveats
    );
    assert_eq!(rows.never_known, []);
    let asked = period("2026-03-05".parse().unwrap(), "2026-03-06".parse().unwrap());
    let rows = Desk::new().tell(&past(&lines), "logins", &asked).await;
    assert_eq!(rows.never_known, [Need::Hooks]);
}

#[tokio::test]
async fn since_when_usage_is_collected_does_not_depend_on_where_the_period_begins() {
    let lines = [
        "hub lab Europe/Berlin",
        "now 2026-06-10T12:00",
        "watched 2026-01-01T00:00 2026-06-10T12:00",
        "session ada - 2026-01-10T09:00 2026-01-10T10:00",
        "usage 2026-01-10T09:00 ada - cpu=3600",
    ];
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let (desk, past) = (Desk::new(), past(&lines));
    for from in ["2026-01-01", "2026-06-01", "2026-06-10"] {
        for rollup in [super::RollUp::Used, super::RollUp::Unused] {
            let asked = period(from.parse().unwrap(), "2026-06-10".parse().unwrap());
            let asked = asked.with_rollup(rollup);
            let rows = desk.tell(&past, "usage-by-day", &asked).await;
            let last = rows.cells("cpu_core_hours").last();
            assert_eq!(last, Some(&Cell::Real(0.0)), "{from}, {rollup:?}");
        }
    }
}
