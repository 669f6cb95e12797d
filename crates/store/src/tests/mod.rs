//! The store as a whole, on real folders.

mod days_and_sessions;
mod erasing;
mod flushing;
mod power;
mod upkeep;
mod verifying;
mod zones;

use crate::state::spool::Intake;
use crate::tables::{Row, rows_of};
use crate::{Folder, Keeper, KeeperSettings, Store, event_of};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::fact::{Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The time that keepers are told; each test has its own thread and so its own runtime, but the
/// clock is one: tests that turn it say to what.
static NOW: AtomicI64 = AtomicI64::new(0);

pub(crate) fn at(text: &str) -> Timestamp {
    let text = if text.len() == 5 {
        format!("2026-11-20T{text}:00Z")
    } else {
        text.to_owned()
    };
    text.parse().unwrap()
}

/// What the time is on the clock that files are dated by.
#[expect(
    clippy::disallowed_methods,
    reason = "files are dated by the system's clock"
)]
pub(crate) fn real_now() -> Timestamp {
    Timestamp::now()
}

fn clock() -> Timestamp {
    match NOW.load(Ordering::SeqCst) {
        0 => at("2026-11-21T12:00:00Z"),
        micros => Timestamp::from_microsecond(micros).unwrap(),
    }
}

pub(crate) fn settings(hub: &str) -> KeeperSettings {
    KeeperSettings::new(hub.into(), TimeZone::get("Europe/Berlin").unwrap(), clock)
}

/// A folder with a keeper.
pub(crate) struct Kept {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) keeper: Keeper,
}

pub(crate) async fn kept() -> Kept {
    kept_with(settings("hub")).await
}

pub(crate) async fn kept_with(settings: KeeperSettings) -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
    let keeper = store
        .try_keep(settings)
        .await
        .unwrap()
        .expect("nobody else keeps it");
    Kept {
        folder,
        store,
        keeper,
    }
}

impl Kept {
    /// The same folder after the process is gone.
    pub(crate) async fn again(self) -> Self {
        let Self {
            folder,
            store,
            keeper,
        } = self;
        drop(keeper);
        let keeper = keep_when_free(&store).await;
        Self {
            folder,
            store,
            keeper,
        }
    }

    /// All rows of the table in the history.
    pub(crate) async fn rows<R: Row>(&self) -> Vec<R> {
        rows(&self.store).await
    }
}

/// The writing thread gives the lock back a moment after its last handle is gone.
pub(crate) async fn keep_when_free(store: &Store) -> Keeper {
    loop {
        if let Some(keeper) = store.try_keep(settings("hub")).await.unwrap() {
            return keeper;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn rows<R: Row>(store: &Store) -> Vec<R> {
    let mut rows = Vec::new();
    if let Some(table) = store.history().table(R::TABLE).await.unwrap() {
        for file in table.files().await.unwrap() {
            for batch in file.read(R::TABLE).unwrap() {
                rows.extend(rows_of::<R>(&batch).unwrap());
            }
        }
    }
    rows.sort_by_key(|row: &R| (row.time(), row.id().clone(), row.revision()));
    rows
}

pub(crate) fn key(user: &str) -> ServerKey {
    ServerKey {
        user: user.into(),
        server: "".into(),
    }
}

pub(crate) fn fact(user: &str, time: &str, what: What) -> KeyedFact {
    KeyedFact {
        key: key(user),
        fact: Fact { at: at(time), what },
    }
}

pub(crate) fn seen(user: &str, started: &str, time: &str) -> KeyedFact {
    fact(
        user,
        time,
        What::Seen {
            started: at(started),
            options: None,
            image: None,
        },
    )
}

pub(crate) fn gone(user: &str, started: &str, last_seen: &str, time: &str) -> KeyedFact {
    let what = What::Gone {
        started: Some(at(started)),
        last_seen: at(last_seen),
        watch: Watch::Watched,
        hub_restarted: None,
        stop_counted: StopEvidence::Asked,
    };
    fact(user, time, what)
}

pub(crate) fn intake(facts: &[KeyedFact]) -> Intake {
    let mut intake = Intake::default();
    for fact in facts {
        intake
            .event(&event_of(&Arc::from("hub"), &Arc::from("poll"), fact))
            .unwrap();
    }
    intake
}
