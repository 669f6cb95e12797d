//! A disk that fills up and one that cannot be written: what was acknowledged stays, the message
//! says what to do, and once there is room the store goes on.
//!
//! The disk is a small file system in memory that only a child of the test sees: `unshare` gives
//! it a name space of its own, which needs no rights.

use crate::support::block_on;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use store::tables::{Event, RowId};
use store::{
    Engine, EngineSettings, Folder, FolderError, Intake, Keeper, KeeperSettings, Limits,
    StateError, Store, StoreError,
};

pub(crate) const TESTS: &[crate::Test] = &[(
    "a_full_disk_loses_nothing_that_was_acknowledged_and_a_read_only_one_says_so",
    on_a_small_disk,
)];

/// Mounts the disk, fills it, goes on, and looks at it when it is read-only.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs -o size=24m tmpfs "$1"
"$0" --store-on-small-disk fill "$1"
mount -o remount,ro "$1"
"$0" --store-on-small-disk read-only "$1"
"#;

fn on_a_small_disk() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT])
        .arg(std::env::current_exe().unwrap())
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One step of the script, in the name space that sees the disk.
pub(crate) fn run(step: &str, disk: &Path) {
    match step {
        "fill" => block_on(fill(disk)),
        "read-only" => read_only(disk),
        _ => panic!("no such step: {step}"),
    }
}

async fn fill(disk: &Path) {
    let store = Store::open(Folder::prepare(&disk.join("store")).unwrap()).unwrap();
    let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, now);
    let keeper = store.try_keep(settings).await.unwrap().unwrap();
    let mut client = Client { n_taken: 0 };
    client.take(&keeper).await.unwrap();
    keeper.flush().await.unwrap();
    client.take(&keeper).await.unwrap();

    let filler = disk.join("filler");
    fill_up(&filler);
    // Some pages of `state.db` may be free; then not one more row fits.
    let refused = loop {
        if let Err(error) = client.take(&keeper).await {
            break error;
        }
    };
    assert!(
        matches!(refused, StoreError::State(StateError::Full(_))),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("make room"), "{refused}");
    let full = keeper.flush().await.unwrap_err();
    assert_eq!(
        n_rows(&store).await,
        client.n_taken,
        "while it is full: {full}"
    );

    std::fs::remove_file(&filler).unwrap();
    client.take(&keeper).await.unwrap();
    keeper.flush().await.unwrap();
    assert_eq!(keeper.n_waiting().await.unwrap(), 0);
    assert_eq!(n_rows(&store).await, client.n_taken, "each once");
}

fn read_only(disk: &Path) {
    let refused = Folder::prepare(&disk.join("store")).unwrap_err();
    assert!(
        matches!(
            refused,
            FolderError::Unfit {
                is_read_only: true,
                ..
            }
        ),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("read-only"), "{refused}");
}

/// Sends rows that are new, a hundred at once.
struct Client {
    n_taken: usize,
}

impl Client {
    async fn take(&mut self, keeper: &Keeper) -> Result<(), StoreError> {
        const N_ROWS: usize = 100;
        let mut intake = Intake::default();
        for number in self.n_taken..self.n_taken + N_ROWS {
            intake.event(&event(number))?;
        }
        keeper.take(intake).await?;
        self.n_taken += N_ROWS;
        Ok(())
    }
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn event(number: usize) -> Event {
    Event {
        id: RowId::of(&[&number.to_string()]),
        hub: "hub".into(),
        at: now(),
        not_before: None,
        kind: "login".into(),
        user: Some("ada".into()),
        server: None,
        detail: None,
        source: "test".into(),
        schema: None,
        schema_version: None,
    }
}

/// To the last byte.
fn fill_up(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for size in [1 << 16, 1 << 10, 1] {
        let zeros = vec![0; size];
        while file.write_all(&zeros).is_ok() {}
    }
}

/// Rows of `events` as our SQL finds them, history and spool together; every id is counted once.
async fn n_rows(store: &Store) -> usize {
    let temporary = tempfile::tempdir().unwrap();
    let engine = Engine::new(EngineSettings::new(temporary.path().to_owned()));
    let sql = "select id from events";
    let rows = store
        .query(&engine, sql, Limits::default(), now())
        .await
        .unwrap();
    let sql = "select distinct id from events";
    let ids = store
        .query(&engine, sql, Limits::default(), now())
        .await
        .unwrap();
    assert_eq!(rows.n_rows(), ids.n_rows(), "no row twice");
    rows.n_rows()
}
