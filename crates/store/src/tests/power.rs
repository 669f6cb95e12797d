//! The power is cut after every single operation of flushes, merges and removals in turn: what was
//! acknowledged by then is there, once, and the tables open.
//!
//! The history's disk is recorded operation by operation; of `state.db`, whose syncs are SQLite's
//! own, a copy is kept of each commit.

use super::*;
use crate::durable::testing::{CutPolicy, Op, Recorder, after_power_cut, marks};
use crate::state::Journal;
use crate::tables::{Event, Session};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Copies `state.db` at each of its commits.
struct Copies {
    recorder: Arc<Recorder>,
    state_db: PathBuf,
    into: PathBuf,
    n_commits: Mutex<usize>,
}

impl Journal for Copies {
    fn committed(&self) {
        let mut n_commits = self.n_commits.lock().unwrap();
        copy_state(&self.state_db, &self.into.join(n_commits.to_string()));
        self.recorder.mark(format!("state {n_commits}"));
        *n_commits += 1;
    }
}

fn copy_state(from: &Path, into: &Path) {
    std::fs::create_dir_all(into).unwrap();
    for suffix in ["", "-wal"] {
        let file = PathBuf::from(format!("{}{suffix}", from.display()));
        if file.exists() {
            std::fs::copy(&file, into.join(format!("state.db{suffix}"))).unwrap();
        }
    }
}

/// In memory where there is such a place: what is tested is the order of syncs, not their time.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

struct Recorded {
    recorder: Arc<Recorder>,
    copies: tempfile::TempDir,
    first: usize,
}

/// Flushes, a merge, a checkpoint and a removal of files, with rows acknowledged and sessions derived in
/// between.
async fn recorded() -> Recorded {
    let folder = quick_folder();
    let copies = quick_folder();
    let prepared = Folder::prepare(folder.path()).unwrap();
    std::fs::create_dir(prepared.history()).unwrap();
    drop(crate::state::State::prepare(&prepared.state_db()).unwrap());
    let recorder = Recorder::new(prepared.history());
    let journal = Copies {
        recorder: Arc::clone(&recorder),
        state_db: prepared.state_db(),
        into: copies.path().to_owned(),
        n_commits: Mutex::new(0),
    };
    journal.committed();
    let first = recorder.n_ops();
    let disk: Arc<dyn crate::durable::disk::Disk> = Arc::clone(&recorder) as _;
    let store = Store::open_on(prepared, disk, Some(Arc::new(journal))).unwrap();
    let keeper = store.try_keep(settings("hub")).await.unwrap().unwrap();
    for (round, user) in ["ada", "bob", "eve"].into_iter().enumerate() {
        let facts = [
            seen(user, "09:00", "09:01"),
            gone(user, "09:00", "10:00", "10:01"),
        ];
        keeper.take(intake(&facts)).await.unwrap();
        recorder.mark(format!("acknowledged {user}"));
        if round > 0 {
            keeper.derive_gone().await.unwrap();
        }
        keeper.flush().await.unwrap();
        if round == 1 {
            keeper.compact().await.unwrap();
        }
    }
    let history = store.history();
    let table = history
        .table(&crate::tables::events::TABLE)
        .await
        .unwrap()
        .unwrap();
    table.checkpoint().await.unwrap();
    crate::upkeep::vacuum(&history, crate::upkeep::Age::AT_ONCE, real_now())
        .await
        .unwrap();
    Recorded {
        recorder,
        copies,
        first,
    }
}

/// What a new process finds and makes of it after a cut.
async fn after_cut(recorded: &Recorded, journal: &[Op], upto: usize, policy: CutPolicy) {
    let folder = quick_folder();
    let marks = marks(&journal[..upto]);
    let commit = marks
        .iter()
        .rev()
        .find_map(|mark| mark.strip_prefix("state "))
        .unwrap();
    for entry in std::fs::read_dir(recorded.copies.path().join(commit)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    after_power_cut(journal, upto, policy, &folder.path().join("history")).unwrap();
    let acknowledged: BTreeSet<&str> = marks
        .iter()
        .filter_map(|mark| mark.strip_prefix("acknowledged "))
        .collect();

    let what = format!(
        "after operation {upto}, {policy:?}: {:?}",
        journal[..upto].last()
    );
    let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
    let keeper = store
        .try_keep(settings("hub"))
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let keeper = keeper.unwrap();
    keeper
        .flush()
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let events: Vec<Event> = rows(&store).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), events.len(), "{what}: a row is there twice");
    let users: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| Some(event.user.as_ref()?.as_str()))
        .collect();
    assert!(
        users.is_superset(&acknowledged),
        "{what}: {users:?} instead of {acknowledged:?}"
    );
    assert!(users.len() <= acknowledged.len() + 1, "{what}: {users:?}");
    let sessions: Vec<Session> = rows(&store).await;
    assert_eq!(sessions.len(), users.len(), "{what}: one session each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_after_any_operation_loses_nothing_and_repeats_nothing() {
    let recorded = recorded().await;
    let journal = recorded.recorder.journal();
    assert!(
        journal.len() - recorded.first > 50,
        "{} operations",
        journal.len()
    );
    for upto in recorded.first..=journal.len() {
        let is_marker = matches!(journal[upto - 1], Op::Marker(_));
        for policy in CutPolicy::ALL {
            // After a mark the disk is as before it; one look is enough.
            if !is_marker || policy == CutPolicy::OnlySynced {
                after_cut(&recorded, &journal, upto, policy).await;
            }
        }
    }
}

/// The rule itself: rows leave the spool only after their log entry and data are synced.
#[tokio::test]
async fn the_spool_forgets_only_what_is_synced() {
    let recorded = recorded().await;
    let journal = recorded.recorder.journal();
    let mut unsynced: BTreeSet<String> = BTreeSet::new();
    let mut n_forgotten = 0;
    for op in &journal[recorded.first..] {
        match op {
            Op::Link { to, .. } | Op::Rename { to, .. } => {
                unsynced.insert(to.display().to_string());
            }
            Op::SyncDir(folder) => {
                unsynced.retain(|name| Path::new(name).parent() != Some(folder.as_path()));
            }
            Op::Marker(mark) if mark.starts_with("state ") => {
                assert_eq!(unsynced, BTreeSet::new(), "at {mark}");
                n_forgotten += 1;
            }
            _ => {}
        }
    }
    assert!(n_forgotten > 6);
}
