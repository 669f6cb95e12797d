//! People of a day, of 7 days and of 30.

use super::story::{History, Hub, Like, Session, histories};
use super::{Desk, Rows, assert_close, cases, is_close, period, real, run_test};
use crate::Cell;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Who ran a server on a day, counted in the plainest way.
fn came(hub: &Hub, sessions: &[Session], day: i32) -> BTreeSet<&'static str> {
    let (starts, ends) = (hub.midnight(day), hub.midnight(day + 1));
    let ran = sessions.iter().filter(|session| {
        session.started < ends && (session.until > starts || session.started >= starts)
    });
    ran.map(|session| session.user).collect()
}

/// How many of the days up to this one are known; none of those before the history.
fn n_known(hub: &Hub, day: i32, length: i32) -> i32 {
    let known = (day + 1 - length..=day).filter(|day| *day >= 0 && hub.is_watched(*day));
    i32::try_from(known.count()).unwrap()
}

/// Those of the days up to this one that are known, if these are half of them at least.
fn people(hub: &Hub, came: &[BTreeSet<&str>], day: i32, length: i32) -> Option<f64> {
    if !hub.is_watched(day) || day + 1 < length || 2 * n_known(hub, day, length) < length {
        return None;
    }
    let days = (day + 1 - length..=day).filter(|day| hub.is_watched(*day));
    let days = days.map(|day| usize::try_from(day).unwrap());
    let people: BTreeSet<_> = days.flat_map(|day| &came[day]).collect();
    Some(f64::from(u32::try_from(people.len()).unwrap()))
}

fn row_of<'a>(rows: &'a Rows, hub: &Hub, day: i32) -> &'a [Cell] {
    let (hub, day) = (Cell::Text(hub.name.to_owned()), Cell::Day(hub.date(day)));
    let mut found = rows
        .rows
        .iter()
        .filter(|row| row[0] == hub && row[1] == day);
    let row = found.next().expect("each day has a row");
    assert!(found.next().is_none(), "two rows of {day:?}");
    row
}

async fn check(history: &History) {
    let desk = Desk::new();
    let (past, asked) = (history.past(), period(history.first(), history.last()));
    let users = desk.tell(&past, "active-users", &asked).await;
    let shares = desk.tell(&past, "stickiness", &asked).await;
    let now = history.now();
    for hub in &history.hubs {
        let sessions = hub.sessions(now);
        let came: Vec<_> = hub.days(now).map(|day| came(hub, &sessions, day)).collect();
        for day in hub.days(now).filter(|day| hub.date(*day) <= history.last()) {
            let expected = [1, 7, 30].map(|length| people(hub, &came, day, length));
            let row = row_of(&users, hub, day);
            let found = [2, 3, 4].map(|column| real(&row[column]));
            assert_eq!(found, expected, "{} {}", hub.name, hub.date(day));
            for pair in found.windows(2) {
                if let [Some(fewer), Some(more)] = pair {
                    assert!(fewer <= more, "{found:?}");
                }
            }
            let row = row_of(&shares, hub, day);
            let counts = [2, 3, 4].map(|column| real(&row[column]));
            assert_eq!(counts, expected, "{} {}", hub.name, hub.date(day));
            // Over a gap there are no shares.
            let whole = counts[2].filter(|_| n_known(hub, day, 30) == 30);
            check_share(real(&row[5]), counts[0], whole);
            check_share(real(&row[6]), counts[1], whole);
        }
    }
}

/// There is a share where there is a whole; it lies between 0, which is nobody, and 1.
fn check_share(share: Option<f64>, part: Option<f64>, whole: Option<f64>) {
    let Some(share) = share else {
        assert!(
            whole.is_none_or(|whole| is_close(whole, 0.0)),
            "no share of {whole:?}"
        );
        return;
    };
    let (part, whole) = (part.unwrap(), whole.unwrap());
    assert_close(share * whole, part, "share");
    assert!((0.0..=1.0).contains(&share), "{share}");
    assert_eq!(share > 0.0, part > 0.0);
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn people_of_a_day_are_at_most_those_of_the_week_and_these_at_most_those_of_the_month(
        history in histories(Like::LONG),
    ) {
        run_test(check(&history));
    }
}
