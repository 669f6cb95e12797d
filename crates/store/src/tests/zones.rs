//! The hub's time zone changes: closed days are cut anew, once, and only they.

use super::*;
use crate::tables::{Session, UserDay};
use crate::verify;
use jiff::SignedDuration;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

/// A session of the script.
struct Run {
    user: &'static str,
    started: &'static str,
    ended: &'static str,
}

/// Over midnights of several zones, over the clock change of Europe, twice on a day, without
/// length, and on the last day.
const RUNS: &[Run] = &[
    run("ada", "2026-10-23T20:30:00Z", "2026-10-24T05:15:00Z"),
    run("ada", "2026-10-24T22:10:00Z", "2026-10-25T09:00:00Z"),
    run("bob", "2026-11-17T03:00:00Z", "2026-11-17T04:30:00Z"),
    run("bob", "2026-11-17T15:00:00Z", "2026-11-17T23:45:00Z"),
    run("bob", "2026-11-18T12:00:00Z", "2026-11-18T12:00:00Z"),
    run("eve", "2026-11-18T21:00:00Z", "2026-11-20T02:20:00Z"),
    run("zoe", "2026-11-20T17:00:00Z", "2026-11-20T17:30:00Z"),
];

/// Runs since then.
const RUNNING: (&str, &str) = ("ida", "2026-11-19T13:00:00Z");

/// The last look: already the 21st in Tokyo, still the 20th in Los Angeles.
const LAST_LOOK: &str = "2026-11-20T18:00:00Z";

const fn run(user: &'static str, started: &'static str, ended: &'static str) -> Run {
    Run {
        user,
        started,
        ended,
    }
}

fn in_zone(zone: &str) -> KeeperSettings {
    KeeperSettings {
        zone: TimeZone::get(zone).unwrap(),
        ..settings("hub")
    }
}

async fn filled(zone: &str) -> Kept {
    let kept = kept_with(in_zone(zone)).await;
    let mut facts = vec![seen(RUNNING.0, RUNNING.1, RUNNING.1)];
    for run in RUNS {
        facts.push(seen(run.user, run.started, run.started));
        facts.push(gone(run.user, run.started, run.ended, run.ended));
    }
    kept.keeper.take(intake(&facts)).await.unwrap();
    take_look(&kept.keeper, look(LAST_LOOK, &[RUNNING])).await;
    kept
}

/// The same folder, kept by a later process in this zone, which has flushed once.
async fn restarted(kept: Kept, zone: &str) -> Kept {
    let Kept {
        folder,
        store,
        keeper,
    } = kept;
    drop(keeper);
    let keeper = loop {
        if let Some(keeper) = store.try_keep(in_zone(zone)).await.unwrap() {
            break keeper;
        }
        tokio::task::yield_now().await;
    };
    keeper.flush().await.unwrap();
    Kept {
        folder,
        store,
        keeper,
    }
}

/// What stands in `user_days`, by its highest revisions.
async fn days(store: &Store) -> Vec<String> {
    let mut newest: BTreeMap<String, UserDay> = BTreeMap::new();
    for row in rows::<UserDay>(store).await {
        newest.insert(row.id.as_str().to_owned(), row);
    }
    let shown = newest.into_values().filter(|row| row.sessions > 0);
    let mut shown: Vec<String> = shown
        .map(|row| format!("{} {} {} {:.6}", row.day, row.user, row.sessions, row.hours))
        .collect();
    shown.sort();
    shown
}

/// The same by walking through every session a minute at a time and reading the calendar.
fn expected_days(zone: &str, last_look: &str) -> Vec<String> {
    let zone = TimeZone::get(zone).unwrap();
    let date = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let minute = SignedDuration::from_mins(1);
    let mut minutes: BTreeMap<(Date, &str), u32> = BTreeMap::new();
    let mut sessions: BTreeMap<(Date, &str), BTreeSet<Timestamp>> = BTreeMap::new();
    let running = run(RUNNING.0, RUNNING.1, LAST_LOOK);
    for run in RUNS.iter().chain([&running]) {
        let (started, ended) = (at(run.started), at(run.ended).min(at(last_look)));
        sessions
            .entry((date(started), run.user))
            .or_default()
            .insert(started);
        let mut now = started;
        while now < ended {
            let key = (date(now), run.user);
            *minutes.entry(key).or_default() += 1;
            sessions.entry(key).or_default().insert(started);
            now += minute;
        }
    }
    let today = date(at(last_look));
    let closed = sessions.iter().filter(|((day, _), _)| *day < today);
    let days = closed.map(|(key, sessions)| {
        let hours = f64::from(minutes.get(key).copied().unwrap_or_default()) / 60.0;
        format!("{} {} {} {hours:.6}", key.0, key.1, sessions.len())
    });
    days.collect()
}

#[tokio::test]
async fn a_new_time_zone_cuts_closed_days_anew_and_nothing_else() {
    let mut kept = filled("Europe/Berlin").await;
    assert_eq!(
        days(&kept.store).await,
        expected_days("Europe/Berlin", LAST_LOOK)
    );
    let sessions = kept.rows::<Session>().await;
    for zone in [
        "America/Los_Angeles",
        "Asia/Tokyo",
        "Asia/Kathmandu",
        "Pacific/Kiritimati",
        "Europe/Berlin",
    ] {
        let before = days(&kept.store).await;
        kept = restarted(kept, zone).await;
        let after = days(&kept.store).await;
        assert_ne!(after, before, "{zone}");
        assert_eq!(after, expected_days(zone, LAST_LOOK), "{zone}");
        assert_eq!(kept.rows::<Session>().await, sessions, "{zone}");
    }
    let findings = verify(kept.store.folder(), None, real_now(), |_| {}).await;
    assert_eq!(findings.unwrap(), []);
}

#[tokio::test]
async fn days_are_cut_anew_once() {
    let kept = filled("Europe/Berlin").await;
    let kept = restarted(kept, "Asia/Tokyo").await;
    let rows = kept.rows::<UserDay>().await;
    let kept = restarted(kept, "Asia/Tokyo").await;
    assert_eq!(kept.rows::<UserDay>().await, rows);
    let rebuilt = kept.keeper.rebuild().await.unwrap();
    assert_eq!(
        (rebuilt.n_sessions_changed, rebuilt.n_days_changed),
        (0, 0),
        "{rebuilt}"
    );
}

#[tokio::test]
async fn days_that_are_open_again_are_closed_when_they_are_over() {
    let kept = filled("Asia/Tokyo").await;
    let kept = restarted(kept, "America/Los_Angeles").await;
    let zoe = "2026-11-20 zoe 1 0.500000".to_owned();
    assert!(!days(&kept.store).await.contains(&zoe));
    let later = "2026-11-21T09:00:00Z";
    take_look(&kept.keeper, look(later, &[])).await;
    let gone = gone(RUNNING.0, RUNNING.1, LAST_LOOK, LAST_LOOK);
    kept.keeper.take(intake(&[gone])).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let shown = days(&kept.store).await;
    assert!(shown.contains(&zoe), "{shown:?}");
    assert_eq!(shown, expected_days("America/Los_Angeles", later));
    let findings = verify(kept.store.folder(), None, real_now(), |_| {}).await;
    assert_eq!(findings.unwrap(), []);
}

#[tokio::test]
async fn what_a_look_misses_waits_until_days_are_cut_anew() {
    let kept = filled("Europe/Berlin").await;
    let kept = kept.again_with(in_zone("Asia/Tokyo")).await;
    let n_before = kept.rows::<Session>().await.len();
    let gone = gone(RUNNING.0, RUNNING.1, LAST_LOOK, LAST_LOOK);
    kept.keeper.take(intake(&[gone])).await.unwrap();
    kept.keeper.derive_gone().await.unwrap();
    let n_sessions = "select count(*) from sessions";
    assert_eq!(kept.ask(n_sessions).await, [n_before.to_string()]);
    kept.keeper.flush().await.unwrap();
    assert_eq!(kept.ask(n_sessions).await, [(n_before + 1).to_string()]);
    assert_eq!(
        days(&kept.store).await,
        expected_days("Asia/Tokyo", LAST_LOOK)
    );
}

#[tokio::test]
async fn a_folder_from_before_days_remembered_their_zone_is_cut_anew_too() {
    let kept = filled("Europe/Berlin").await;
    let forget = "delete from settings where name like 'days cut in/%'";
    let state = crate::state::State::prepare(&kept.store.folder().state_db()).unwrap();
    assert_eq!(state.execute(forget, []).unwrap(), 1);
    drop(state);
    let kept = restarted(kept, "Asia/Tokyo").await;
    assert_eq!(
        days(&kept.store).await,
        expected_days("Asia/Tokyo", LAST_LOOK)
    );
}

/// The last thing that an interrupted cut has to write is that it is done.
#[tokio::test]
async fn a_cut_that_was_interrupted_is_done_at_the_next_start() {
    let kept = filled("Europe/Berlin").await;
    let kept = restarted(kept, "Asia/Tokyo").await;
    let interrupt = "update settings set value = 'Europe/Berlin' where name like 'days cut in/%'";
    let state = crate::state::State::prepare(&kept.store.folder().state_db()).unwrap();
    assert_eq!(state.execute(interrupt, []).unwrap(), 1);
    drop(state);
    let rows = kept.rows::<UserDay>().await;
    let kept = restarted(kept, "Asia/Tokyo").await;
    assert_eq!(kept.rows::<UserDay>().await, rows, "nothing differed");
}
