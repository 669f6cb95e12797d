//! An older `state.db` beside a newer history, as after restoring it from a backup.

use super::*;
use std::path::{Path, PathBuf};

/// A whole copy, as a backup of the running service makes it.
pub(super) fn back_up(kept: &Kept) -> PathBuf {
    let copy = kept.folder.path().join("backup.db");
    let state = crate::state::State::prepare(&kept.store.folder().state_db()).unwrap();
    state
        .execute("vacuum into ?1", [copy.to_str().unwrap()])
        .unwrap();
    copy
}

/// Puts another file in the place of `state.db` while nobody uses it.
pub(super) async fn restored(kept: Kept, copy: &Path) -> Kept {
    let Kept {
        folder,
        store,
        keeper,
    } = kept;
    drop(keeper);
    // Whoever can keep it is alone.
    drop(keep_when_free(&store).await);
    let state_db = store.folder().state_db();
    drop(store);
    // The writing thread closes the file a moment later, and removes its journal by name then.
    while is_open(&state_db) {
        tokio::task::yield_now().await;
    }
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", state_db.display()));
    }
    std::fs::copy(copy, &state_db).unwrap();
    let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
    let keeper = keep_when_free(&store).await;
    Kept {
        folder,
        store,
        keeper,
    }
}

/// Whether this process has the file open.
fn is_open(file: &Path) -> bool {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut files = files.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    files.any(|open| open == file)
}

/// Some days of a hub, as the service sees them; the copy is made on the evening of the 3rd.
async fn november(kept: &Kept) -> PathBuf {
    let keeper = &kept.keeper;
    let run = |user: &'static str, day: u32| {
        let t = |time: &str| format!("2026-11-{day:02}T{time}:00Z");
        [
            seen(user, &t("09:00"), &t("09:01")),
            gone(user, &t("09:00"), &t("11:00"), &t("11:01")),
        ]
    };
    let since = "2026-11-03T10:00:00Z";
    let bob = [listed("bob", since, None)];
    turn_clock("2026-11-03T12:00:00Z");
    keeper.take(intake(&run("ada", 2))).await.unwrap();
    keeper.take(intake(&run("ada", 3))).await.unwrap();
    poll(keeper, "2026-11-03T12:00:00Z", &bob).await;
    let copy = back_up(kept);
    for day in 4..=18 {
        let noon = format!("2026-11-{day:02}T12:00:00Z");
        turn_clock(&noon);
        keeper.take(intake(&run("ada", day))).await.unwrap();
        // Once corrected: there is a second revision.
        keeper
            .take(intake(&[fact(
                "ada",
                &format!("2026-11-{:02}T10:59:30Z", day - 1),
                What::Stop,
            )]))
            .await
            .unwrap();
        let running = if day < 6 { &bob[..] } else { &[] };
        poll(keeper, &noon, running).await;
        keeper.vacuum().await.unwrap();
    }
    copy
}

#[tokio::test]
async fn an_older_state_db_makes_nothing_count_twice() {
    let kept = kept().await;
    let copy = november(&kept).await;
    let expected = figures(&kept.store).await;
    assert_eq!(
        (expected.0.len(), expected.1.len()),
        (18, 19),
        "{expected:#?}"
    );

    turn_clock("2026-11-18T12:01:00Z");
    let kept = restored(kept, &copy).await;
    // The copy says that bob's server runs.
    let news = poll(&kept.keeper, "2026-11-18T12:01:00Z", &[]).await;
    assert_eq!(news.len(), 1, "{news:?}");
    assert_eq!(figures(&kept.store).await, expected);
    turn_clock("2026-11-19T12:00:00Z");
    poll(&kept.keeper, "2026-11-19T12:00:00Z", &[]).await;
    let (sessions, days) = figures(&kept.store).await;
    assert_eq!((sessions.len(), days.len()), (18, 20), "the 18th is over");
    assert_eq!((&sessions, &days[..19]), (&expected.0, &expected.1[..]));
    let rebuilt = kept.keeper.rebuild().await.unwrap();
    assert_eq!((rebuilt.n_sessions_changed, rebuilt.n_days_changed), (0, 0));
    kept.keeper.compact().await.unwrap();
    assert_eq!(figures(&kept.store).await, (sessions, days));
}

#[tokio::test]
async fn what_a_look_misses_waits_until_the_history_was_asked() {
    let kept = kept().await;
    let copy = november(&kept).await;
    let expected = figures(&kept.store).await;
    turn_clock("2026-11-18T12:01:00Z");
    let kept = restored(kept, &copy).await;
    // The copy says that bob's server runs, and the history that it ended.
    let news = turn(&kept.keeper, "2026-11-18T12:01:00Z", &[]).await;
    assert_eq!(news.len(), 1, "{news:?}");
    kept.keeper.derive_gone().await.unwrap();
    assert_eq!(figures(&kept.store).await.0, expected.0);
    kept.keeper.flush().await.unwrap();
    assert_eq!(figures(&kept.store).await, expected);
}

#[tokio::test]
async fn a_lost_state_db_makes_nothing_count_twice() {
    let kept = kept().await;
    let empty = kept.folder.path().join("empty.db");
    drop(crate::state::State::prepare(&empty).unwrap());
    november(&kept).await;
    let expected = figures(&kept.store).await;
    turn_clock("2026-11-18T12:01:00Z");
    let kept = restored(kept, &empty).await;
    poll(&kept.keeper, "2026-11-18T12:01:00Z", &[]).await;
    assert_eq!(figures(&kept.store).await, expected);
    turn_clock("2026-11-19T12:00:00Z");
    poll(&kept.keeper, "2026-11-19T12:00:00Z", &[]).await;
    let (sessions, days) = figures(&kept.store).await;
    assert_eq!((sessions.len(), days.len()), (18, 20), "the 18th is over");
    assert_eq!((&sessions, &days[..19]), (&expected.0, &expected.1[..]));
}

#[tokio::test]
async fn merging_heals_rows_that_are_there_twice() {
    let kept = kept().await;
    let facts = [
        seen("ada", "09:00", "09:01"),
        gone("ada", "09:00", "10:00", "10:01"),
    ];
    kept.keeper.take(intake(&facts)).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let rows = kept.rows::<crate::tables::Session>().await;
    kept.keeper.append_bulk(&rows).await.unwrap();
    assert_eq!(figures(&kept.store).await.0.len(), 2);
    kept.keeper.compact().await.unwrap();
    assert_eq!(figures(&kept.store).await.0.len(), 1);
}
