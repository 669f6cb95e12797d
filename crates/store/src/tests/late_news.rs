//! News that is older than the facts at hand, and what was derived from events that are gone.

use super::*;
use crate::Retention;

fn keeping_events(days: i64) -> KeeperSettings {
    let retention = Retention {
        events: Some(SignedDuration::from_hours(24 * days)),
        ..Retention::default()
    };
    KeeperSettings {
        retention,
        ..settings("hub")
    }
}

fn run(user: &str, day: &str, from: &str, to: &str) -> [KeyedFact; 2] {
    [
        fact(user, &format!("{day}T{from}:00Z"), What::Start),
        fact(user, &format!("{day}T{to}:00Z"), What::Stop),
    ]
}

async fn take(kept: &Kept, facts: &[KeyedFact]) {
    kept.keeper.take(intake(facts)).await.unwrap();
    kept.keeper.flush().await.unwrap();
}

#[tokio::test]
async fn what_was_derived_from_events_that_are_gone_stays() {
    let kept = kept().await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    take(&kept, &run("ada", "2026-09-10", "09:00", "10:00")).await;
    // Events are kept until the end of the 22nd.
    take(&kept, &run("ada", "2026-10-22", "08:00", "10:00")).await;
    take(&kept, &run("ada", "2026-10-22", "13:00", "14:00")).await;
    // Over the limit, and on two days.
    take(
        &kept,
        &[
            fact("ada", "2026-10-22T11:00:00Z", What::Start),
            fact("ada", "2026-10-22T11:30:00Z", What::Stop),
            fact("bob", "2026-10-22T11:00:00Z", What::Start),
            fact("bob", "2026-10-23T11:00:00Z", What::Stop),
        ],
    )
    .await;
    let (sessions, days) = figures(&kept.store).await;
    assert_eq!(
        days,
        [
            "2026-09-10 ada 1 1.000000 None",
            "2026-10-22 ada 3 3.500000 None",
            "2026-10-22 bob 1 11.000000 None",
            "2026-10-23 bob 1 13.000000 None",
        ]
    );
    // Whole days go.
    turn_clock("2026-11-22T12:00:00Z");
    let kept = kept.again_with(keeping_events(30)).await;
    assert_eq!(kept.keeper.vacuum().await.unwrap().n_expired, 9);

    // Somebody is late, and everything of theirs is derived again.
    let mut late = run("ada", "2026-11-02", "09:00", "10:00").to_vec();
    late.extend(run("bob", "2026-11-02", "09:00", "10:00"));
    take(&kept, &late).await;
    let later = figures(&kept.store).await;
    assert_eq!(later.1[..4], days);
    assert_eq!(later.0.len(), sessions.len() + 2);

    // The limit is set back, which brings no event back.
    let kept = kept.again().await;
    let rebuilt = kept.keeper.rebuild().await.unwrap();
    assert_eq!((rebuilt.n_sessions_changed, rebuilt.n_days_changed), (0, 0));
    assert_eq!(figures(&kept.store).await, later);
    take(&kept, &run("ada", "2026-11-03", "09:00", "10:00")).await;
    let (sessions, days) = figures(&kept.store).await;
    assert_eq!(
        (sessions.len(), days.len()),
        (8, 7),
        "{sessions:#?} {days:#?}"
    );
}

#[tokio::test]
async fn activity_before_midnight_that_is_told_later_counts_while_the_server_runs() {
    let kept = kept().await;
    let started = "2026-11-17T22:40:00Z";
    // Midnight in Berlin is 23:00.
    for (time, activity) in [
        ("2026-11-17T22:51:00Z", "2026-11-17T22:50:00Z"),
        ("2026-11-17T23:00:30Z", "2026-11-17T22:57:00Z"),
        ("2026-11-17T23:05:00Z", "2026-11-17T23:02:00Z"),
        ("2026-11-18T23:00:30Z", "2026-11-17T23:02:00Z"),
    ] {
        turn_clock(time);
        poll(
            &kept.keeper,
            time,
            &[listed("ada", started, Some(activity))],
        )
        .await;
    }
    let (sessions, days) = figures(&kept.store).await;
    assert!(sessions.is_empty());
    assert_eq!(
        days,
        [
            "2026-11-17 ada 1 0.333333 Some(600)",
            "2026-11-18 ada 1 24.000000 Some(120)"
        ]
    );
}

#[tokio::test]
async fn activity_that_is_first_known_after_midnight_makes_the_day_before_known_once_it_is_told() {
    let kept = kept().await;
    let started = "2026-11-17T22:58:00Z";
    let active = Some("2026-11-17T23:04:00Z");
    let mut seen = Vec::new();
    // Midnight in Berlin is 23:00.
    for (time, activity) in [
        ("2026-11-17T22:59:00Z", None),
        ("2026-11-17T23:00:30Z", None),
        ("2026-11-17T23:03:00Z", Some("2026-11-17T23:02:00Z")),
        ("2026-11-17T23:05:00Z", active),
        ("2026-11-18T23:00:30Z", active),
    ] {
        turn_clock(time);
        poll(&kept.keeper, time, &[listed("ada", started, activity)]).await;
        seen.push(figures(&kept.store).await.1);
    }
    let unknown = ["2026-11-17 ada 1 0.033333 None"];
    assert_eq!(seen[1..4], [unknown, unknown, unknown]);
    assert_eq!(
        seen[4],
        [
            "2026-11-17 ada 1 0.033333 Some(0)",
            "2026-11-18 ada 1 24.000000 Some(120)"
        ]
    );
    let rebuilt = kept.keeper.rebuild().await.unwrap();
    assert_eq!((rebuilt.n_sessions_changed, rebuilt.n_days_changed), (0, 0));
}

#[tokio::test]
async fn news_after_a_long_outage_corrects_days_that_are_no_longer_at_hand() {
    let kept = kept().await;
    let ada = [listed("ada", "2026-11-05T10:00:00Z", None)];
    for (time, running) in [
        ("2026-11-05T12:00:00Z", &ada[..]),
        ("2026-11-06T10:00:00Z", &ada[..]),
        ("2026-11-18T10:00:00Z", &[]),
    ] {
        turn_clock(time);
        poll(&kept.keeper, time, running).await;
    }
    let (_, days) = figures(&kept.store).await;
    assert_eq!(
        days,
        [
            "2026-11-05 ada 1 13.000000 None",
            "2026-11-06 ada 1 11.000000 None"
        ]
    );
    kept.keeper
        .take(intake(&[fact("ada", "2026-11-12T10:00:00Z", What::Stop)]))
        .await
        .unwrap();
    kept.keeper.flush().await.unwrap();
    kept.keeper.flush().await.unwrap();
    let (sessions, days) = figures(&kept.store).await;
    assert_eq!(
        sessions,
        ["ada 2026-11-05T10:00:00Z - 2026-11-12T10:00:00Z stopped None"]
    );
    let hours: Vec<&str> = days
        .iter()
        .map(|day| day.split(' ').nth(3).unwrap())
        .collect();
    let full = "24.000000";
    assert_eq!(
        hours,
        ["13.000000", full, full, full, full, full, full, "11.000000"],
        "{days:#?}"
    );
}

#[tokio::test]
async fn late_news_of_a_day_that_is_closed_after_a_long_outage_counts() {
    let kept = kept().await;
    turn_clock("2026-11-03T12:00:00Z");
    take_look(&kept.keeper, look("2026-11-03T12:00:00Z", &[])).await;
    turn_clock("2026-11-18T12:00:00Z");
    // Too old for the facts at hand, and not closed yet.
    take(&kept, &run("ada", "2026-11-06", "09:00", "10:00")).await;
    kept.keeper.vacuum().await.unwrap();
    take_look(&kept.keeper, look("2026-11-18T12:00:00Z", &[])).await;
    let (sessions, days) = figures(&kept.store).await;
    assert_eq!(sessions.len(), 1);
    assert_eq!(days, ["2026-11-06 ada 1 1.000000 None"]);
}

#[tokio::test]
async fn a_server_that_waits_for_a_look_still_does_after_late_news() {
    let kept = kept().await;
    kept.keeper
        .take(intake(&[fact("ada", "10:00", What::Start)]))
        .await
        .unwrap();
    take_look(&kept.keeper, look("10:00", &[])).await;
    take(&kept, &run("ada", "2026-01-05", "09:00", "10:00")).await;
    take_look(&kept.keeper, look("10:01", &[])).await;
    let (sessions, _) = figures(&kept.store).await;
    assert_eq!(
        sessions,
        [
            "ada 2026-01-05T09:00:00Z - 2026-01-05T10:00:00Z stopped None",
            "ada 2026-11-20T10:00:00Z - 2026-11-20T10:00:00Z unobserved None"
        ]
    );
}

/// What is at hand begins at noon of the 13th, which was closed long ago without anybody.
#[tokio::test]
async fn a_start_that_polls_saw_and_that_comes_late_counts_when_its_end_comes() {
    turn_clock("2026-11-21T12:00:00Z");
    for (started, hours) in [("09:00", "6.000000"), ("13:00", "2.000000")] {
        let kept = kept().await;
        take(&kept, &run("bob", "2026-11-10", "09:00", "10:00")).await;
        take_look(&kept.keeper, look("2026-11-21T12:00:00Z", &[])).await;
        let started = format!("2026-11-13T{started}:00Z");
        take(&kept, &[seen("ada", &started, &started)]).await;
        let ended = "2026-11-13T15:00:00Z";
        take(&kept, &[gone("ada", &started, ended, ended)]).await;
        let (sessions, days) = figures(&kept.store).await;
        assert_eq!(sessions.len(), 2, "{sessions:#?}");
        let of_ada = format!("2026-11-13 ada 1 {hours} None");
        assert_eq!(days, ["2026-11-10 bob 1 1.000000 None", &of_ada]);
    }
}

#[tokio::test]
async fn a_session_that_late_news_took_away_can_come_back() {
    let kept = kept().await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    take(&kept, &run("ada", "2026-11-14", "10:00", "11:00")).await;
    // It belonged to a server that had run for two days.
    let earlier = "2026-11-12T09:00:00Z";
    take(&kept, &[seen("ada", earlier, "2026-11-12T10:00:00Z")]).await;
    let (sessions, _) = figures(&kept.store).await;
    assert_eq!(
        sessions,
        ["ada 2026-11-12T09:00:00Z - 2026-11-14T11:00:00Z stopped None"]
    );
    // It did not: that one was gone before.
    let gone = gone(
        "ada",
        earlier,
        "2026-11-13T13:29:00Z",
        "2026-11-13T13:30:00Z",
    );
    take(&kept, &[gone]).await;
    let (sessions, _) = figures(&kept.store).await;
    assert_eq!(
        sessions,
        [
            "ada 2026-11-12T09:00:00Z - 2026-11-13T13:30:00Z stopped None",
            "ada 2026-11-14T10:00:00Z - 2026-11-14T11:00:00Z stopped None"
        ]
    );
}

#[tokio::test]
async fn everybody_is_forgotten_however_many_servers_run_for_long() {
    turn_clock("2026-11-01T12:00:00Z");
    let kept = kept().await;
    let started = "2026-11-01T09:00:00Z";
    let names: Vec<String> = (0..501).map(|number| format!("a{number:03}")).collect();
    let running: Vec<_> = names
        .iter()
        .map(|name| listed(name, started, None))
        .collect();
    poll(&kept.keeper, "2026-11-01T12:00:00Z", &running).await;
    take(&kept, &run("zoe", "2026-11-01", "10:00", "11:00")).await;
    turn_clock("2026-11-18T12:00:00Z");
    poll(&kept.keeper, "2026-11-18T12:00:00Z", &running).await;
    kept.keeper.vacuum().await.unwrap();
    let state = crate::state::State::prepare(&kept.store.folder().state_db()).unwrap();
    let n_left = |table: &str| -> i64 {
        let sql = format!("select count(*) from {table} where user = 'zoe'");
        state.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((n_left("facts"), n_left("recorded")), (0, 0));
}
