//! What metrics count: once, for good, within bounds, and without the erased.

use super::*;
use crate::tables::{Event, RowId};
use crate::{Histogram, Tally, TallyDef, TallyKind, TallyValue};
use model::names::UserName;

static EVENTS: TallyDef = TallyDef {
    name: "events_total",
    kind: TallyKind::Counter,
    labels: &["event_type", "user"],
    whose: Some(1),
};
static USAGE: TallyDef = TallyDef {
    name: "usage",
    kind: TallyKind::Gauge,
    labels: &["resource_type", "user"],
    whose: Some(1),
};
static SECONDS: TallyDef = TallyDef {
    name: "seconds",
    kind: TallyKind::Histogram(&[1.0, 2.5]),
    labels: &["operation"],
    whose: None,
};

fn event(number: usize, user: Option<&str>) -> Event {
    Event {
        id: RowId::of(&["test", &number.to_string()]),
        hub: "hub".into(),
        at: clock(),
        not_before: None,
        kind: "login".into(),
        user: user.map(UserName::from),
        server: None,
        detail: None,
        source: "hooks".into(),
        schema: None,
        schema_version: None,
    }
}

/// An event that counts one for its user.
fn login(number: usize, user: &str) -> Intake {
    let mut intake = Intake::default();
    let tally = Tally::add(&EVENTS, &["login", user], 1.0);
    intake
        .counted_event(&event(number, Some(user)), vec![tally])
        .unwrap();
    intake
}

fn tallies(tallies: impl IntoIterator<Item = Tally>) -> Intake {
    let mut intake = Intake::default();
    for tally in tallies {
        intake.tally(tally);
    }
    intake
}

/// All numbers as `family label,label value`.
fn shown(keeper: &Keeper) -> Vec<String> {
    let tallied = keeper.tallies();
    let mut lines = Vec::new();
    for def in [&EVENTS, &USAGE, &SECONDS] {
        for (labels, value) in tallied.family(def.name) {
            let value = match value {
                TallyValue::Counter(value) | TallyValue::Gauge(value) => value.to_string(),
                TallyValue::Histogram(Histogram { counts, sum }) => format!("{counts:?} {sum}"),
            };
            lines.push(format!("{} {} {value}", def.name, labels.join(",")));
        }
    }
    lines
}

#[tokio::test]
async fn numbers_add_up_and_survive_a_restart() {
    let kept = kept().await;
    let first = [
        Tally::add(&EVENTS, &["login", "ada"], 1.0),
        Tally::add(&EVENTS, &["login", "ada"], 2.5),
        Tally::add(&EVENTS, &["login", "ada"], -7.0),
        Tally::add(&EVENTS, &["login", "ada"], f64::NAN),
        Tally::add(&EVENTS, &["begun", "anonymous"], 0.0),
        Tally::set(&USAGE, &["gpu", "system"], 3.0),
        Tally::set(&USAGE, &["gpu", "system"], -1.5),
        Tally::observe(&SECONDS, &["backup"], 1.0),
        Tally::observe(&SECONDS, &["backup"], 9.0),
    ];
    kept.keeper.take(tallies(first)).await.unwrap();
    let expected = [
        "events_total begun,anonymous 0",
        "events_total login,ada 3.5",
        "usage gpu,system -1.5",
        "seconds backup [1, 0, 1] 10",
    ];
    assert_eq!(shown(&kept.keeper), expected);
    let kept = kept.again().await;
    assert_eq!(shown(&kept.keeper), expected);
    let more = Histogram {
        counts: vec![0, 2, 1],
        sum: 9.5,
    };
    let second = [
        Tally::add(&EVENTS, &["login", "ada"], 1.0),
        Tally::merge(&SECONDS, &["backup"], more),
    ];
    kept.keeper.take(tallies(second)).await.unwrap();
    let kept = kept.again().await;
    assert_eq!(shown(&kept.keeper)[1], "events_total login,ada 4.5");
    assert_eq!(shown(&kept.keeper)[3], "seconds backup [1, 2, 2] 19.5");
}

#[tokio::test]
async fn a_row_counts_when_it_is_new_and_never_again() {
    let mut kept = kept().await;
    for _ in 0..3 {
        for number in [1, 2, 2] {
            kept.keeper.take(login(number, "ada")).await.unwrap();
        }
        kept.keeper.flush().await.unwrap();
        assert_eq!(shown(&kept.keeper), ["events_total login,ada 2"]);
        kept = kept.again().await;
    }
}

#[tokio::test]
async fn what_an_erased_person_did_before_counts_nothing() {
    let kept = kept().await;
    kept.keeper.take(login(1, "ada")).await.unwrap();
    kept.keeper.erase("ada").await.unwrap();
    assert_eq!(shown(&kept.keeper), ["events_total login,anonymous 1"]);
    let accepted = kept.keeper.take(login(2, "ada")).await.unwrap();
    assert_eq!(accepted.n_erased, 1);
    assert_eq!(shown(&kept.keeper), ["events_total login,anonymous 1"]);
}

#[tokio::test]
async fn an_intake_that_fails_counts_nothing() {
    let kept = kept().await;
    kept.keeper.take(login(1, "ada")).await.unwrap();
    // An event of another user's server, whose fact cannot be written.
    let connection = crate::state::State::prepare(&kept.store.folder().state_db()).unwrap();
    connection
        .execute_batch(
            "create trigger no before insert on positions begin select raise(abort, 'no'); end",
        )
        .unwrap();
    let mut failing = login(2, "ada");
    failing.tally(Tally::set(&USAGE, &["gpu", "system"], 1.0));
    failing.position(crate::Position {
        source: "x".into(),
        value: "y".into(),
    });
    assert!(kept.keeper.take(failing).await.is_err());
    assert_eq!(shown(&kept.keeper), ["events_total login,ada 1"]);
    kept.keeper.take(login(2, "ada")).await.unwrap();
    assert_eq!(shown(&kept.keeper), ["events_total login,ada 2"]);
    let kept = kept.again().await;
    assert_eq!(shown(&kept.keeper), ["events_total login,ada 2"]);
}

#[tokio::test]
async fn a_request_that_is_sent_again_counts_once_for_a_day() {
    let mut kept = kept().await;
    let request = || {
        let mut intake = tallies([Tally::add(&EVENTS, &["sent", "ada"], 1.0)]);
        intake.request("key of ada");
        intake
    };
    for is_repeated in [false, true, true] {
        let accepted = kept.keeper.take(request()).await.unwrap();
        assert_eq!(accepted.is_repeated, is_repeated);
        assert_eq!(shown(&kept.keeper), ["events_total sent,ada 1"]);
        kept = kept.again().await;
    }
    turn_clock("2026-11-22T12:00:01Z");
    assert!(!kept.keeper.take(request()).await.unwrap().is_repeated);
    assert_eq!(shown(&kept.keeper), ["events_total sent,ada 2"]);
}

#[tokio::test]
async fn a_million_kinds_of_events_are_a_bounded_number_of_series() {
    let limit = 50;
    let settings = || KeeperSettings {
        series: limit,
        ..settings("hub")
    };
    let kept = kept_with(settings()).await;
    kept.keeper
        .take(tallies([Tally::add(&EVENTS, &["early", "bob"], 1.0)]))
        .await
        .unwrap();
    let many = |from: usize, n: usize| {
        tallies((from..from + n).map(|number| {
            let kind = format!("kind-{}", number / 2);
            let user = if number % 2 == 0 { "anonymous" } else { "ada" };
            Tally::add(&EVENTS, &[&kind, user], 1.0)
        }))
    };
    for round in 0..10 {
        kept.keeper
            .take(many(round * 100_000, 100_000))
            .await
            .unwrap();
        let n_series = kept.keeper.tallies().family(EVENTS.name).count();
        assert!(n_series <= limit, "{n_series}");
    }
    // What is known keeps counting, and nothing is lost.
    kept.keeper
        .take(tallies([Tally::add(&EVENTS, &["early", "bob"], 1.0)]))
        .await
        .unwrap();
    let kept = kept.again_with(settings()).await;
    let lines = shown(&kept.keeper);
    assert!(
        lines.contains(&"events_total early,bob 2".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("events_total other,other "))
    );
    let total: f64 = lines
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!((total - 1_000_002.0).abs() < f64::EPSILON, "{total}");
    assert!(lines.len() <= limit);
}

#[tokio::test]
async fn many_users_leave_room_for_kinds_of_events() {
    let settings = KeeperSettings {
        series: 50,
        ..settings("hub")
    };
    let kept = kept_with(settings).await;
    let users = (0..100).map(|number| {
        let user = format!("user-{number}");
        Tally::add(&EVENTS, &["login", &user], 1.0)
    });
    kept.keeper.take(tallies(users)).await.unwrap();
    kept.keeper
        .take(tallies([Tally::add(&EVENTS, &["logout", "user-1"], 1.0)]))
        .await
        .unwrap();
    let lines = shown(&kept.keeper);
    assert!(
        lines.contains(&"events_total login,other 56".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"events_total logout,other 1".to_owned()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_label_that_is_too_long_is_other() {
    let kept = kept().await;
    let (fits, long) = ("x".repeat(100), "x".repeat(101));
    let both = [&fits, &long].map(|user| Tally::add(&EVENTS, &["login", user], 1.0));
    kept.keeper.take(tallies(both)).await.unwrap();
    let expected = ["other", &*fits].map(|user| format!("events_total login,{user} 1"));
    assert_eq!(shown(&kept.keeper), expected);
}

#[tokio::test]
async fn what_was_counted_of_an_erased_person_becomes_nobodys() {
    let kept = kept().await;
    let all = [
        Tally::add(&EVENTS, &["login", "ada"], 2.0),
        Tally::add(&EVENTS, &["login", "anonymous"], 3.0),
        Tally::add(&EVENTS, &["ada", "bob"], 1.0),
        Tally::set(&USAGE, &["gpu", "ada"], 4.0),
        Tally::set(&USAGE, &["gpu", "bob"], 5.0),
    ];
    kept.keeper.take(tallies(all)).await.unwrap();
    kept.keeper.erase("ada").await.unwrap();
    let lines = shown(&kept.keeper);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("events_total erased-"), "{lines:?}");
    assert_eq!(
        lines[1..],
        ["events_total login,anonymous 5", "usage gpu,bob 5"]
    );
    let kept = kept.again().await;
    assert_eq!(shown(&kept.keeper), lines);
}

#[tokio::test]
async fn two_hubs_of_a_folder_count_apart() {
    let kept = kept().await;
    kept.keeper.take(login(1, "ada")).await.unwrap();
    let other = kept
        .store
        .try_keep(settings("hub/2"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(shown(&other), Vec::<String>::new());
    kept.keeper.erase("ada").await.unwrap();
    other
        .take(tallies([Tally::add(&EVENTS, &["login", "ada"], 1.0)]))
        .await
        .unwrap();
    assert_eq!(shown(&other), ["events_total login,ada 1"]);
    assert_eq!(shown(&kept.keeper), ["events_total login,anonymous 1"]);
}

#[tokio::test]
async fn requests_of_a_day_ago_are_forgotten() {
    let kept = kept().await;
    for time in ["2026-11-21T12:00:00Z", "2026-11-22T13:00:00Z"] {
        turn_clock(time);
        let mut intake = tallies([Tally::add(&EVENTS, &["sent", "ada"], 1.0)]);
        intake.request(time);
        kept.keeper.take(intake).await.unwrap();
    }
    let connection = crate::state::State::prepare(&kept.store.folder().state_db()).unwrap();
    let times = connection
        .prepare("select at from requests")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<Vec<i64>, _>>()
        .unwrap();
    assert_eq!(times, [at("2026-11-22T13:00:00Z").as_microsecond()]);
}
