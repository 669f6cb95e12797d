//! What was used on closed days: the sums of the rows of `usage`, whenever and however those came.

mod many;

use super::*;
use crate::state::State;
use crate::tables::{RowId, Usage, UserDay};
use jiff::civil::Date;
use std::collections::BTreeMap;

const BERLIN: &str = "Europe/Berlin";

/// An hour of a user: CPU, memory and GPUs are asked for.
fn used(user: &str, hour: &str, amounts: [Option<f64>; 3]) -> Usage {
    let hour = at(hour);
    Usage {
        id: RowId::of(&["usage", user, &hour.to_string()]),
        revision: 0,
        hub: "hub".into(),
        hour,
        user: user.into(),
        server: None,
        cpu_core_seconds: amounts[0],
        memory_byte_seconds: amounts[1],
        cpu_requested_core_seconds: Some(7.0),
        memory_requested_byte_seconds: Some(7.0),
        gpu_requested_seconds: amounts[2],
        gpu_used_seconds: Some(7.0),
        network_rx_bytes: None,
        network_tx_bytes: None,
        memory_peak_bytes: None,
        samples: 1,
    }
}

fn cores(user: &str, hour: &str, seconds: f64) -> Usage {
    used(user, hour, [Some(seconds), None, None])
}

async fn take(keeper: &Keeper, rows: &[Usage]) {
    let mut intake = Intake::default();
    for row in rows {
        intake.row(row, Some(&row.user)).unwrap();
    }
    keeper.take(intake).await.unwrap();
}

/// The same, derived and moved into the history.
async fn take_and_flush(keeper: &Keeper, rows: &[Usage]) {
    take(keeper, rows).await;
    keeper.flush().await.unwrap();
}

/// A session of two hours in the morning.
async fn run_on(keeper: &Keeper, user: &str, day: &str) {
    run(keeper, user, day, ["08:00", "10:00"]).await;
}

async fn run(keeper: &Keeper, user: &str, day: &str, times: [&str; 2]) {
    let [started, ended] = times.map(|time| format!("{day}T{time}:00Z"));
    let facts = [
        seen(user, &started, &started),
        gone(user, &started, &ended, &ended),
    ];
    keeper.take(intake(&facts)).await.unwrap();
}

/// What the view shows.
async fn shown(store: &Store) -> Vec<String> {
    let sql = r#"select day, "user", sessions, hours, cpu_core_seconds, memory_byte_seconds,
                 gpu_seconds from user_days order by day, "user""#;
    ask(store, sql).await
}

/// The highest revisions of the table, hidden rows too.
async fn newest(store: &Store) -> BTreeMap<(Date, String), UserDay> {
    let mut newest = BTreeMap::new();
    for row in rows::<UserDay>(store).await {
        let known: Option<UserDay> = newest.insert((row.day, row.user.to_string()), row.clone());
        assert!(
            known.is_none_or(|known| known.revision < row.revision),
            "{row:?}"
        );
    }
    newest
}

/// A second round and deriving everything again write nothing.
async fn check_settled(kept: &Kept) {
    let before = rows::<UserDay>(&kept.store).await;
    kept.keeper.flush().await.unwrap();
    let rebuilt = kept.keeper.rebuild().await.unwrap();
    assert_eq!(
        (rebuilt.n_sessions_changed, rebuilt.n_days_changed),
        (0, 0),
        "{rebuilt}"
    );
    assert_eq!(rows::<UserDay>(&kept.store).await, before);
}

#[tokio::test]
async fn a_day_is_closed_with_what_was_used_on_it() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    run_on(&kept.keeper, "bob", "2026-11-19").await;
    let all = |cpu, memory, gpus| [Some(cpu), Some(memory), Some(gpus)];
    let hours = [
        used("ada", "2026-11-19T08:00:00Z", all(1.5, 1e9, 0.0)),
        used("ada", "2026-11-19T09:00:00Z", all(2.0, 5e8, 3600.0)),
        // Still the 18th and already the 20th.
        used("ada", "2026-11-18T22:00:00Z", all(100.0, 1.0, 1.0)),
        used("ada", "2026-11-19T23:00:00Z", all(100.0, 1.0, 1.0)),
    ];
    take_and_flush(&kept.keeper, &hours).await;
    assert!(kept.rows::<UserDay>().await.is_empty(), "no day is over");
    take_look(&kept.keeper, look("12:00", &[])).await;
    let expected = [
        "2026-11-18,ada,0,0.0,100.0,1.0,1.0",
        "2026-11-19,ada,1,2.0,3.5,1500000000.0,3600.0",
        "2026-11-19,bob,1,2.0,,,",
    ];
    assert_eq!(shown(&kept.store).await, expected);
    let revisions = kept.rows::<UserDay>().await;
    assert!(revisions.iter().all(|row| row.revision == 1));
    check_settled(&kept).await;
}

#[tokio::test]
async fn usage_that_comes_late_corrects_its_day_and_no_other() {
    let kept = kept().await;
    for day in ["2026-11-18", "2026-11-19"] {
        run_on(&kept.keeper, "ada", day).await;
        run_on(&kept.keeper, "bob", day).await;
    }
    take(&kept.keeper, &[cores("ada", "2026-11-19T08:00:00Z", 5.0)]).await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    take_and_flush(&kept.keeper, &[cores("ada", "2026-11-19T22:00:00Z", 0.25)]).await;
    let expected = [
        "2026-11-18,ada,1,2.0,,,",
        "2026-11-18,bob,1,2.0,,,",
        "2026-11-19,ada,1,2.0,5.25,,",
        "2026-11-19,bob,1,2.0,,,",
    ];
    assert_eq!(shown(&kept.store).await, expected);
    assert_eq!(kept.rows::<UserDay>().await.len(), 5, "one correction");
    check_settled(&kept).await;
    // The same rows again are none.
    take_and_flush(&kept.keeper, &[cores("ada", "2026-11-19T22:00:00Z", 0.25)]).await;
    assert_eq!(kept.rows::<UserDay>().await.len(), 5);
}

#[tokio::test]
async fn of_a_revised_hour_the_last_revision_counts() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    let first = cores("ada", "2026-11-19T08:00:00Z", 5.0);
    let corrected = Usage {
        revision: 3,
        cpu_core_seconds: Some(4.0),
        gpu_requested_seconds: Some(60.0),
        ..first.clone()
    };
    take(&kept.keeper, &[corrected.clone(), first]).await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    assert_eq!(shown(&kept.store).await, ["2026-11-19,ada,1,2.0,4.0,,60.0"]);
    let again = Usage {
        revision: 4,
        cpu_core_seconds: None,
        ..corrected
    };
    take_and_flush(&kept.keeper, &[again]).await;
    assert_eq!(shown(&kept.store).await, ["2026-11-19,ada,1,2.0,,,60.0"]);
    check_settled(&kept).await;
}

#[tokio::test]
async fn a_user_without_sessions_has_a_day_if_anything_was_used() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    let hours = [
        cores("bob", "2026-11-19T08:00:00Z", 5.0),
        cores("cyd", "2026-11-19T08:00:00Z", 0.0),
        used("dan", "2026-11-19T08:00:00Z", [None; 3]),
    ];
    take_and_flush(&kept.keeper, &hours).await;
    let expected = ["2026-11-19,ada,1,2.0,,,", "2026-11-19,bob,0,0.0,5.0,,"];
    assert_eq!(shown(&kept.store).await, expected);
    let rows = newest(&kept.store).await;
    let bob = &rows[&("2026-11-19".parse().unwrap(), "bob".to_owned())];
    assert_eq!(
        (rows.len(), bob.revision, bob.active_seconds),
        (2, 1, None),
        "{rows:#?}"
    );
    check_settled(&kept).await;

    // It turns out that a server ran, and that nothing was used.
    run_on(&kept.keeper, "bob", "2026-11-19").await;
    kept.keeper.flush().await.unwrap();
    assert_eq!(shown(&kept.store).await[1], "2026-11-19,bob,1,2.0,5.0,,");
    let nothing = Usage {
        revision: 1,
        cpu_core_seconds: Some(0.0),
        ..cores("bob", "2026-11-19T08:00:00Z", 0.0)
    };
    take_and_flush(&kept.keeper, &[nothing]).await;
    assert_eq!(shown(&kept.store).await[1], "2026-11-19,bob,1,2.0,0.0,,");
    check_settled(&kept).await;
}

#[tokio::test]
async fn unknown_is_not_zero() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    let hours = [
        used("ada", "2026-11-19T08:00:00Z", [None, Some(0.0), None]),
        used("ada", "2026-11-19T09:00:00Z", [Some(2.0), None, None]),
    ];
    take(&kept.keeper, &hours).await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    assert_eq!(shown(&kept.store).await, ["2026-11-19,ada,1,2.0,2.0,0.0,"]);
    check_settled(&kept).await;
}

#[tokio::test]
async fn news_of_sessions_leaves_what_was_used() {
    let kept = kept().await;
    for day in ["2026-11-02", "2026-11-19"] {
        run_on(&kept.keeper, "ada", day).await;
        // A third of three is a number that has to be read to its last bit.
        let hour = format!("{day}T08:00:00Z");
        take(&kept.keeper, &[cores("ada", &hour, 1e9 / 3.0)]).await;
    }
    take_look(&kept.keeper, look("12:00", &[])).await;
    // The second one is at hand, the first one in the history only.
    kept.keeper.vacuum().await.unwrap();
    for day in ["2026-11-02", "2026-11-19"] {
        run(&kept.keeper, "ada", day, ["12:00", "12:40"]).await;
        kept.keeper.flush().await.unwrap();
    }
    let before = newest(&kept.store).await;
    assert_eq!(before.len(), 2);
    for row in before.values() {
        assert_eq!(row.sessions, 2, "{row:?}");
        assert!((row.hours - 8.0 / 3.0).abs() < 1e-9, "{row:?}");
        assert_eq!(row.cpu_core_seconds, Some(1e9 / 3.0));
    }
    // And the other way round.
    for day in ["2026-11-02", "2026-11-19"] {
        let hour = format!("{day}T09:00:00Z");
        take(&kept.keeper, &[cores("ada", &hour, 1.0)]).await;
    }
    kept.keeper.flush().await.unwrap();
    for (key, row) in newest(&kept.store).await {
        let expected = UserDay {
            revision: before[&key].revision + 1,
            cpu_core_seconds: Some(1e9 / 3.0 + 1.0),
            ..before[&key].clone()
        };
        assert_eq!(row, expected);
    }
    check_settled(&kept).await;
}

#[tokio::test]
async fn deriving_again_sums_what_nobody_marked() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    let hours = [
        cores("ada", "2026-11-19T08:00:00Z", 5.0),
        cores("bob", "2026-11-19T08:00:00Z", 6.0),
    ];
    kept.keeper.append_bulk(&hours).await.unwrap();
    kept.keeper.flush().await.unwrap();
    assert_eq!(shown(&kept.store).await, ["2026-11-19,ada,1,2.0,,,"]);
    let rebuilt = kept.keeper.rebuild().await.unwrap();
    assert_eq!(rebuilt.n_days_changed, 2, "{rebuilt}");
    let expected = ["2026-11-19,ada,1,2.0,5.0,,", "2026-11-19,bob,0,0.0,6.0,,"];
    assert_eq!(shown(&kept.store).await, expected);
    check_settled(&kept).await;
}

/// A folder of a version that did not mark days.
#[tokio::test]
async fn usage_of_an_earlier_version_is_summed_at_the_first_start() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    let hours = [cores("ada", "2026-11-19T08:00:00Z", 5.0)];
    kept.keeper.append_bulk(&hours).await.unwrap();
    take(&kept.keeper, &[cores("ada", "2026-11-19T09:00:00Z", 1.0)]).await;
    let state = State::prepare(&kept.store.folder().state_db()).unwrap();
    state
        .execute_batch("delete from used_days; delete from settings where name = 'summed/hub'")
        .unwrap();
    drop(state);
    let kept = kept.again().await;
    kept.keeper.flush().await.unwrap();
    assert_eq!(shown(&kept.store).await, ["2026-11-19,ada,1,2.0,6.0,,"]);
    check_settled(&kept).await;
}

async fn fill(keeper: &Keeper, day: &str) {
    run_on(keeper, "ada", day).await;
    let hour = format!("{day}T08:00:00Z");
    let hours = [cores("ada", &hour, 5.0), cores("bob", &hour, 6.0)];
    take(keeper, &hours).await;
}

#[tokio::test]
async fn an_older_state_db_loses_no_sum_and_repeats_none() {
    let kept = kept().await;
    fill(&kept.keeper, "2026-11-03").await;
    kept.keeper.flush().await.unwrap();
    let copy = super::restored::back_up(&kept);
    fill(&kept.keeper, "2026-11-19").await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    let late = [cores("bob", "2026-11-19T09:00:00Z", 1.0)];
    take_and_flush(&kept.keeper, &late).await;
    let expected = shown(&kept.store).await;
    assert_eq!(expected.len(), 4);
    let kept = super::restored::restored(kept, &copy).await;
    take_look(&kept.keeper, look("12:01", &[])).await;
    assert_eq!(shown(&kept.store).await, expected);
    // A day at hand whose row had no session.
    run_on(&kept.keeper, "bob", "2026-11-19").await;
    kept.keeper.flush().await.unwrap();
    assert_eq!(shown(&kept.store).await[3], "2026-11-19,bob,1,2.0,7.0,,");
    newest(&kept.store).await;
    check_settled(&kept).await;
}

#[tokio::test]
async fn an_erased_persons_sums_are_the_pseudonyms() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    let hours = ["2026-11-18T08:00:00Z", "2026-11-19T08:00:00Z"];
    for hour in hours {
        take(
            &kept.keeper,
            &[cores("ada", hour, 5.0), cores("bob", hour, 6.0)],
        )
        .await;
    }
    take_look(&kept.keeper, look("12:00", &[])).await;
    take(&kept.keeper, &[cores("ada", "2026-11-19T10:00:00Z", 0.5)]).await;
    kept.keeper.erase("ada").await.unwrap();
    // Of the day that is not over, and again of days that are.
    take_and_flush(&kept.keeper, &[cores("bob", "2026-11-18T09:00:00Z", 1.0)]).await;
    take(&kept.keeper, &[cores("ada", "2026-11-19T11:00:00Z", 99.0)]).await;
    take_look(&kept.keeper, look("2026-11-21T12:00:00Z", &[])).await;
    let lines = shown(&kept.store).await;
    let pseudonym = lines[1].split(',').nth(1).unwrap().to_owned();
    assert!(pseudonym.starts_with("erased-"), "{lines:?}");
    let lines: Vec<String> = lines
        .iter()
        .map(|line| line.replace(&pseudonym, "somebody"))
        .collect();
    let expected = [
        "2026-11-18,bob,0,0.0,7.0,,",
        "2026-11-18,somebody,0,0.0,5.0,,",
        "2026-11-19,bob,0,0.0,6.0,,",
        "2026-11-19,somebody,1,2.0,5.5,,",
    ];
    let mut lines = lines;
    lines.sort();
    assert_eq!(lines, expected);
    check_settled(&kept).await;
}

/// Half of what the person used is the pseudonym's then.
#[tokio::test]
async fn nothing_is_summed_while_somebody_is_half_erased() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    take(&kept.keeper, &[cores("ada", "2026-11-19T08:00:00Z", 5.0)]).await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    let before = shown(&kept.store).await;
    let state = State::prepare(&kept.store.folder().state_db()).unwrap();
    let half = "insert into settings (name, value) values ('erasing/hub/0123', 'erased-x')";
    state.execute(half, []).unwrap();
    take_and_flush(&kept.keeper, &[cores("bob", "2026-11-19T09:00:00Z", 1.0)]).await;
    assert_eq!(shown(&kept.store).await, before);
    let done = "delete from settings where name like 'erasing/%'";
    state.execute(done, []).unwrap();
    drop(state);
    kept.keeper.flush().await.unwrap();
    assert_eq!(shown(&kept.store).await.len(), 2);
    check_settled(&kept).await;
}

#[tokio::test]
async fn merging_changes_no_sum() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    take_look(&kept.keeper, look("12:00", &[])).await;
    for (n, user) in ["ada", "bob", "cyd"].into_iter().enumerate() {
        let hour = format!("2026-11-19T0{n}:00:00Z");
        let number = f64::from(u32::try_from(n).unwrap());
        take_and_flush(&kept.keeper, &[cores(user, &hour, 0.1 + number)]).await;
    }
    // All of what somebody used was a mistake.
    let none = Usage {
        revision: 1,
        cpu_core_seconds: None,
        ..cores("cyd", "2026-11-19T02:00:00Z", 0.0)
    };
    take_and_flush(&kept.keeper, &[none]).await;
    let before = shown(&kept.store).await;
    assert_eq!(before.len(), 2);
    kept.keeper.compact().await.unwrap();
    assert_eq!(kept.rows::<UserDay>().await.len(), 2);
    check_settled(&kept).await;
    // The hidden row is gone from the history, and still at hand.
    take_and_flush(&kept.keeper, &[cores("cyd", "2026-11-19T03:00:00Z", 8.0)]).await;
    assert_eq!(shown(&kept.store).await.len(), 3);
    check_settled(&kept).await;
}
