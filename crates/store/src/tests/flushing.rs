//! Rows on their way from the spool into the history.

use super::*;
use crate::Phase;
use crate::tables::{Event, Session};
use crate::upkeep::{self, Age, Thoroughness};
use std::sync::atomic::{AtomicBool, AtomicUsize};

#[tokio::test]
async fn rows_are_in_the_history_after_a_flush_and_only_once() {
    let kept = kept().await;
    let facts = [
        seen("ada", "09:00", "09:01"),
        gone("ada", "09:00", "10:00", "10:01"),
    ];
    let first = kept.keeper.take(intake(&facts)).await.unwrap();
    let again = kept.keeper.take(intake(&facts)).await.unwrap();
    assert_eq!((first.n_new, first.n_known), (2, 0));
    assert_eq!((again.n_new, again.n_known), (0, 2));
    assert_eq!(
        kept.keeper.flush().await.unwrap(),
        3,
        "two events and a session"
    );
    assert_eq!(kept.keeper.flush().await.unwrap(), 0);
    assert_eq!(kept.rows::<Event>().await.len(), 2);
    let sessions = kept.rows::<Session>().await;
    assert_eq!(sessions.len(), 1);
    assert_eq!(
        (sessions[0].started, sessions[0].ended),
        (at("09:00"), at("10:01"))
    );
    assert_eq!(&*sessions[0].end_reason, "stopped");
    assert_eq!(kept.keeper.n_waiting().await.unwrap(), 0);
}

#[tokio::test]
async fn rows_older_than_remembered_ids_are_looked_up_in_the_history() {
    let kept = kept().await;
    let old = [
        fact("ada", "2026-01-05T10:00:00Z", What::Start),
        fact("ada", "2026-01-05T11:00:00Z", What::Stop),
    ];
    kept.keeper.take(intake(&old)).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let kept = kept.again().await;
    let accepted = kept.keeper.take(intake(&old)).await.unwrap();
    assert_eq!(accepted.n_new, 2, "only the history can know");
    assert_eq!(kept.rows::<Event>().await.len(), 2, "not shown twice");
    kept.keeper.flush().await.unwrap();
    assert_eq!(kept.rows::<Event>().await.len(), 2);
    assert_eq!(
        kept.rows::<Session>().await.len(),
        1,
        "late news gave a session"
    );
}

#[tokio::test]
async fn a_spool_that_forgot_its_numbers_does_not_lose_rows() {
    let kept = kept().await;
    kept.keeper
        .take(intake(&[fact("ada", "09:00", What::Start)]))
        .await
        .unwrap();
    kept.keeper.flush().await.unwrap();
    let state = crate::state::State::prepare(&kept.store.folder().state_db()).unwrap();
    state.execute_batch("delete from sequences").unwrap();
    let kept = kept.again().await;
    kept.keeper
        .take(intake(&[fact("ada", "10:00", What::Stop)]))
        .await
        .unwrap();
    kept.keeper.flush().await.unwrap();
    assert_eq!(kept.rows::<Event>().await.len(), 2);
}

#[tokio::test]
async fn a_second_process_waits_until_the_first_is_gone() {
    let kept = kept().await;
    let other = Store::open(Folder::prepare(kept.folder.path()).unwrap()).unwrap();
    assert!(other.try_keep(settings("hub")).await.unwrap().is_none());
    let second_hub = other
        .try_keep(settings("second hub, of ümlauts/and%20more"))
        .await
        .unwrap();
    let second_hub = second_hub.expect("another hub has its own lock");
    let mut rows = Intake::default();
    let hub: Arc<str> = "second hub, of ümlauts/and%20more".into();
    rows.event(&event_of(
        &hub,
        &Arc::from("poll"),
        &fact("bob", "09:00", What::Start),
    ))
    .unwrap();
    second_hub.take(rows).await.unwrap();
    kept.keeper
        .take(intake(&[fact("ada", "09:00", What::Start)]))
        .await
        .unwrap();
    let (first, second) = tokio::join!(kept.keeper.flush(), second_hub.flush());
    assert_eq!((first.unwrap(), second.unwrap()), (1, 1));
    assert_eq!(kept.rows::<Event>().await.len(), 2);
    let Kept { keeper, .. } = kept;
    drop(keeper);
    keep_when_free(&other).await;
}

/// A client that sends the next row as soon as one is taken, each about another server, until it
/// is told to stop or has had enough; gives how many it sent.
async fn send_on_and_on(keeper: Keeper, stop: Arc<AtomicBool>) -> usize {
    const ENOUGH: usize = 3_000;
    for number in 0..ENOUGH {
        if stop.load(Ordering::SeqCst) {
            return number;
        }
        let user = format!("user{number}");
        let facts = [
            fact(&user, "09:00", What::Start),
            fact(&user, "10:00", What::Stop),
        ];
        keeper.take(intake(&facts)).await.unwrap();
    }
    ENOUGH
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_ends_however_fast_rows_come() {
    let kept = kept().await;
    kept.keeper
        .take(intake(&[fact("ada", "09:00", What::Start)]))
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn(send_on_and_on(kept.keeper.clone(), Arc::clone(&stop)));
    kept.keeper.flush().await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let n_sent = client.await.unwrap();
    assert!(
        n_sent < 3_000,
        "the flush ended only when nothing came any more"
    );
    kept.keeper.flush().await.unwrap();
    assert_eq!(kept.rows::<Event>().await.len(), 1 + 2 * n_sent);
    assert_eq!(kept.rows::<Session>().await.len(), n_sent);
}

/// The keeper, for an observer that is made before it.
type Later = Arc<std::sync::OnceLock<Keeper>>;

/// Takes facts while the keeper derives, after it has flushed what is late and before it asks the
/// history about it.
fn take_while_late_news_is_derived(keeper: &Later, facts: Vec<KeyedFact>) -> KeeperSettings {
    let keeper = Arc::clone(keeper);
    let facts = std::sync::Mutex::new(Some(facts));
    let n_flushes = AtomicUsize::new(0);
    let observer = move |phase| {
        if phase == Phase::Flush {
            n_flushes.fetch_add(1, Ordering::SeqCst);
        }
        let is_now = phase == Phase::Derive && n_flushes.load(Ordering::SeqCst) == 1;
        if let Some(facts) = facts.lock().unwrap().take_if(|_| is_now) {
            let keeper = keeper.get().unwrap().clone();
            let taking = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                let taken = keeper.take(intake(&facts));
                runtime.unwrap().block_on(taken).unwrap();
            });
            taking.join().unwrap();
        }
    };
    KeeperSettings {
        observer: Some(Arc::new(observer)),
        ..settings("hub")
    }
}

#[tokio::test]
async fn late_news_that_comes_while_late_news_is_derived_gives_sessions_too() {
    let start_and_stop = |user: &str, day: &str| {
        [
            fact(user, &format!("{day}T10:00:00Z"), What::Start),
            fact(user, &format!("{day}T11:00:00Z"), What::Stop),
        ]
    };
    let meanwhile = [
        start_and_stop("ada", "2026-01-06"),
        start_and_stop("ada", "2026-11-20"),
    ];
    let later = Later::default();
    let settings = take_while_late_news_is_derived(&later, meanwhile.concat());
    let kept = kept_with(settings).await;
    later.set(kept.keeper.clone()).ok().unwrap();
    kept.keeper
        .take(intake(&start_and_stop("ada", "2026-01-05")))
        .await
        .unwrap();
    kept.keeper.flush().await.unwrap();
    kept.keeper.flush().await.unwrap();
    let started: Vec<String> = kept
        .rows::<Session>()
        .await
        .iter()
        .map(|session| session.started.to_string())
        .collect();
    assert_eq!(
        started,
        [
            "2026-01-05T10:00:00Z",
            "2026-01-06T10:00:00Z",
            "2026-11-20T10:00:00Z"
        ]
    );
}

#[tokio::test]
async fn merging_and_removing_files_changes_no_row() {
    let kept = kept().await;
    for minute in 0..40 {
        let time = format!("10:{minute:02}");
        kept.keeper
            .take(intake(&[fact("ada", &time, What::Start)]))
            .await
            .unwrap();
        kept.keeper.flush().await.unwrap();
    }
    let before = kept.rows::<Event>().await;
    assert_eq!(before.len(), 40);
    let history = kept.store.history();
    let n_merged = upkeep::compact(&history, "hub", Thoroughness::AsNeeded)
        .await
        .unwrap();
    assert!(
        n_merged >= 40,
        "{n_merged}: events, and the sessions that follow from them"
    );
    let table = history
        .table(&crate::tables::events::TABLE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(table.files().await.unwrap().len(), 1);
    assert_eq!(
        upkeep::checkpoint(&history, 50).await.unwrap(),
        0,
        "too few commits yet"
    );
    table.checkpoint().await.unwrap();
    let n_removed = upkeep::vacuum(&history, Age::AT_ONCE, real_now())
        .await
        .unwrap();
    assert!(
        n_removed >= 40 + 40,
        "{n_removed}: data files and log entries"
    );
    assert_eq!(kept.rows::<Event>().await, before);
    let kept = kept.again().await;
    kept.keeper
        .take(intake(&[fact("ada", "11:00", What::Start)]))
        .await
        .unwrap();
    kept.keeper.flush().await.unwrap();
    assert_eq!(kept.rows::<Event>().await.len(), 41);
}
