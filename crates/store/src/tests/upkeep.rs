//! Work on the history beside others, beside what is damaged, and as time passes.

use super::*;
use crate::HistoryError;
use crate::history::{Change, HistoryTable, Replacement};
use crate::tables::{Event, RowId, events};
use jiff::{SignedDuration, ToSpan as _};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn turn(to: Timestamp) {
    turn_clock(&to.to_string());
}

/// A login from an address.
fn login(user: &str, at: Timestamp) -> Event {
    Event {
        id: RowId::of(&["login", user, &at.to_string()]),
        hub: "hub".into(),
        at,
        not_before: None,
        kind: "login".into(),
        user: Some(user.into()),
        server: None,
        detail: Some(r#"{"address":"192.0.2.7","ok":true}"#.into()),
        source: "test".into(),
        schema: None,
        schema_version: None,
    }
}

async fn take(keeper: &Keeper, events: &[Event]) {
    let mut intake = Intake::default();
    for event in events {
        intake.event(event).unwrap();
    }
    keeper.take(intake).await.unwrap();
}

async fn events_table(store: &Store) -> HistoryTable {
    let table = store.history().table(&events::TABLE).await.unwrap();
    table.unwrap()
}

async fn paths(store: &Store) -> BTreeSet<PathBuf> {
    let files = events_table(store).await.files().await.unwrap();
    files.into_iter().map(|file| file.path).collect()
}

/// All files of the table as one.
async fn merged(table: &HistoryTable) -> Replacement {
    let removed = table.files().await.unwrap();
    let batches = removed
        .iter()
        .flat_map(|file| file.read(table.def()).unwrap());
    Replacement {
        batches: batches.collect(),
        removed,
        change: Change::Layout,
    }
}

#[tokio::test]
async fn files_that_somebody_merged_meanwhile_are_not_merged_again() {
    let kept = kept().await;
    for user in ["ada", "bob"] {
        take(&kept.keeper, &[login(user, at("10:00"))]).await;
        kept.keeper.flush().await.unwrap();
    }
    let mut ours = events_table(&kept.store).await;
    let mut theirs = events_table(&kept.store).await;
    let (first, second) = (merged(&theirs).await, merged(&ours).await);
    theirs.replace(first).await.unwrap();
    let refused = ours.replace(second).await.unwrap_err();
    assert!(
        matches!(refused, HistoryError::Conflict { .. }),
        "{refused:?}"
    );
    assert_eq!(kept.rows::<Event>().await.len(), 2, "each once");
}

#[tokio::test]
async fn rows_that_come_during_a_merge_do_not_hinder_it() {
    let kept = kept().await;
    for user in ["ada", "bob"] {
        take(&kept.keeper, &[login(user, at("10:00"))]).await;
        kept.keeper.flush().await.unwrap();
    }
    let mut table = events_table(&kept.store).await;
    let merge = merged(&table).await;
    take(&kept.keeper, &[login("eve", at("10:01"))]).await;
    kept.keeper.flush().await.unwrap();
    table.replace(merge).await.unwrap();
    assert_eq!(kept.rows::<Event>().await.len(), 3);
    assert_eq!(paths(&kept.store).await.len(), 2);
}

#[tokio::test]
async fn what_is_past_its_time_goes_once_a_day_and_late_rows_with_it() {
    let start = at("2025-01-10T08:00:00Z");
    turn(start);
    let kept = kept().await;
    let day = |days: i64| start + SignedDuration::from_hours(24 * days);
    for days in [0, 20, 40] {
        turn(day(days));
        take(&kept.keeper, &[login("ada", day(days))]).await;
        kept.keeper.flush().await.unwrap();
    }
    let with_address = async || {
        let rows = kept.rows::<Event>().await;
        let with = rows.iter().filter(|row| {
            let detail = row.detail.as_deref().unwrap_or_default();
            assert!(detail.contains(r#""ok":true"#), "{detail}");
            detail.contains("192.0.2.7")
        });
        with.map(|row| row.at).collect::<Vec<_>>()
    };
    let before = paths(&kept.store).await;
    assert_eq!(kept.keeper.vacuum().await.unwrap().n_expired, 1);
    assert_eq!(with_address().await, [day(20), day(40)]);
    let after = paths(&kept.store).await;
    assert_eq!(
        before.intersection(&after).count(),
        2,
        "others stay as they are"
    );

    // Late rows of a day that was dealt with: not at once, but with the next day.
    take(&kept.keeper, &[login("bob", day(1))]).await;
    kept.keeper.flush().await.unwrap();
    assert_eq!(kept.keeper.vacuum().await.unwrap().n_expired, 0);
    turn(day(41));
    assert_eq!(kept.keeper.vacuum().await.unwrap().n_expired, 1);
    assert_eq!(with_address().await, [day(20), day(40)]);

    // After 400 days rows go, and files with nothing else go unread.
    turn(day(410));
    let gone = kept.keeper.vacuum().await.unwrap().n_expired;
    assert_eq!(gone, 4, "two rows, and the addresses of the other two");
    assert_eq!(with_address().await, []);
    assert_eq!(kept.rows::<Event>().await.len(), 2);
}

#[tokio::test]
async fn a_month_that_is_over_and_quiet_becomes_one_file() {
    let real = real_now();
    let last_month = real - SignedDuration::from_hours(24 * 40);
    turn(real);
    let kept = kept().await;
    for minute in 0..3 {
        take(&kept.keeper, &[login("ada", last_month + minute.minutes())]).await;
        kept.keeper.flush().await.unwrap();
    }
    let history = kept.store.history();
    let compact = async |now| {
        let thoroughness = crate::upkeep::Thoroughness::AsNeeded(now);
        crate::upkeep::compact(&history, "hub", thoroughness)
            .await
            .unwrap()
    };
    assert_eq!(compact(real).await, 0, "written a moment ago");
    let later = real + SignedDuration::from_hours(25);
    assert_eq!(compact(later).await, 3);
    assert_eq!(paths(&kept.store).await.len(), 1);
    assert_eq!(compact(later).await, 0);
    assert_eq!(kept.rows::<Event>().await.len(), 3);
}

#[tokio::test]
async fn a_job_that_nobody_knows_keeps_nothing_from_being_done() {
    let kept = kept().await;
    let state = crate::state::State::prepare(&kept.store.folder().state_db()).unwrap();
    let ask = "insert into jobs (hub, job, asked) values ('hub', '{\"job\":\"dance\"}', 0)";
    state.execute(ask, []).unwrap();
    let ask = "insert into jobs (hub, job, asked, begun) values ('hub', '\"compact\"', 0, 1)";
    state.execute(ask, []).unwrap();
    take(&kept.keeper, &[login("ada", at("10:00"))]).await;
    let outcomes = || {
        let mut select = state
            .prepare("select outcome from jobs order by id")
            .unwrap();
        let outcomes = select
            .query_map([], |row| row.get::<_, Option<String>>(0))
            .unwrap();
        outcomes.map(Result::unwrap).collect::<Option<Vec<_>>>()
    };
    let done = async {
        loop {
            if let Some(outcomes) = outcomes() {
                return outcomes;
            }
            tokio::task::yield_now().await;
        }
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopping = async { drop(stopped.await) };
    let ((), outcomes) = tokio::join!(kept.keeper.run(stopping), async {
        let outcomes = done.await;
        stop.send(()).unwrap();
        outcomes
    });
    assert!(outcomes[0].contains("does not know"), "{outcomes:?}");
    assert!(
        outcomes[1].contains("ended before it was done"),
        "{outcomes:?}"
    );
    assert_eq!(kept.rows::<Event>().await.len(), 1);
}

#[tokio::test]
async fn a_table_that_cannot_be_read_keeps_the_others_from_nothing() {
    let kept = kept().await;
    let facts = [
        seen("ada", "09:00", "09:01"),
        gone("ada", "09:00", "10:00", "10:01"),
    ];
    kept.keeper.take(intake(&facts)).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let log = kept
        .store
        .history()
        .folder(&events::TABLE)
        .join("_delta_log");
    let first = log.join("00000000000000000000.json");
    let whole = std::fs::read(&first).unwrap();
    std::fs::write(&first, "{").unwrap();

    let kept = kept.again().await;
    let facts = [
        seen("bob", "11:00", "11:01"),
        gone("bob", "11:00", "12:00", "12:01"),
    ];
    kept.keeper.take(intake(&facts)).await.unwrap();
    kept.keeper.flush().await.unwrap_err();
    assert_eq!(kept.rows::<crate::tables::Session>().await.len(), 2);
    assert_eq!(kept.keeper.n_waiting().await.unwrap(), 2, "the events wait");

    std::fs::write(&first, whole).unwrap();
    kept.keeper.flush().await.unwrap();
    kept.keeper.take(intake(&facts)).await.unwrap();
    kept.keeper.flush().await.unwrap();
    assert_eq!(kept.rows::<Event>().await.len(), 4, "each once");
}

#[tokio::test]
async fn more_than_can_be_kept_is_refused_until_it_is_flushed() {
    let kept = kept().await;
    let user = |number: usize| format!("user{number}");
    let batch = |from: usize| {
        let mut intake = Intake::default();
        for number in from..from + 50_000 {
            intake.event(&login(&user(number), at("10:00"))).unwrap();
        }
        intake
    };
    let mut n_taken = 0;
    let refused = loop {
        match kept.keeper.take(batch(n_taken)).await {
            Ok(accepted) => n_taken += accepted.n_new,
            Err(error) => break error,
        }
    };
    assert!(refused.is_busy(), "{refused}");
    assert_eq!(n_taken, 500_000);
    take(&kept.keeper, &[login("ada", at("10:00"))]).await;
    kept.keeper.flush().await.unwrap();
    kept.keeper.take(batch(n_taken)).await.unwrap();
}
