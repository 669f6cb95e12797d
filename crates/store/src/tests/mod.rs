//! The store as a whole, on real folders.

mod days_and_sessions;
mod days_of_usage;
mod erasing;
mod flushing;
mod late_news;
mod power;
mod restored;
mod tallies;
mod upkeep;
mod verifying;
mod zones;

use crate::state::spool::Intake;
use crate::tables::{Row, rows_of};
use crate::{
    Engine, EngineSettings, Folder, Format, Keeper, KeeperSettings, Limits, PresentChange, Store,
    event_of,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::diff::{Look, Running, StopCredit, server_news};
use model::fact::{Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use model::snapshot::{Dated, Server};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

thread_local! {
    /// The time that keepers are told. Each test has its own thread, and keepers ask for the time
    /// on the thread that calls them.
    static NOW: Cell<Option<Timestamp>> = const { Cell::new(None) };
}

/// From now on it is so late in this test.
pub(crate) fn turn_clock(time: &str) {
    NOW.set(Some(at(time)));
}

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
    NOW.get().unwrap_or_else(|| at("2026-11-21T12:00:00Z"))
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
        self.again_with(settings("hub")).await
    }

    /// The same with other settings.
    pub(crate) async fn again_with(self, settings: KeeperSettings) -> Self {
        let Self {
            folder,
            store,
            keeper,
        } = self;
        drop(keeper);
        let keeper = keep_when_free_with(&store, settings).await;
        Self {
            folder,
            store,
            keeper,
        }
    }

    /// What a query gives, as lines of CSV without the head.
    pub(crate) async fn ask(&self, sql: &str) -> Vec<String> {
        ask(&self.store, sql).await
    }

    /// All rows of the table in the history.
    pub(crate) async fn rows<R: Row>(&self) -> Vec<R> {
        rows(&self.store).await
    }
}

/// The writing thread gives the lock back a moment after its last handle is gone.
pub(crate) async fn keep_when_free(store: &Store) -> Keeper {
    keep_when_free_with(store, settings("hub")).await
}

async fn keep_when_free_with(store: &Store, settings: KeeperSettings) -> Keeper {
    loop {
        if let Some(keeper) = store.try_keep(settings.clone()).await.unwrap() {
            return keeper;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn ask(store: &Store, sql: &str) -> Vec<String> {
    let temporary = tempfile::tempdir().unwrap();
    let engine = Engine::new(EngineSettings::new(temporary.path().to_owned()));
    let found = store.query(&engine, sql, Limits::default(), clock()).await;
    let mut text = Vec::new();
    found.unwrap().write(Format::Csv, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
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

/// A look at what runs, as the collector tells it.
pub(crate) fn look(time: &str, running: &[(&str, &str)]) -> PresentChange {
    let running = running.iter().map(|(user, started)| Running {
        key: key(user),
        started: at(started),
        is_cut: false,
        options: None,
        image: None,
        seen_ready: at(started),
        last_seen: at(time),
        tally: model::tally::Tally::default(),
    });
    PresentChange::Servers(
        Dated {
            value: running.collect(),
            at: at(time),
        },
        StopCredit::default(),
    )
}

pub(crate) async fn take_look(keeper: &Keeper, change: PresentChange) {
    let mut intake = Intake::default();
    intake.present(change);
    keeper.take(intake).await.unwrap();
    keeper.flush().await.unwrap();
}

/// A server that the hub lists: of `user`, since `started`, with its last activity.
pub(crate) fn listed(user: &str, started: &str, last_activity: Option<&str>) -> Server {
    Server {
        user: user.into(),
        name: "".into(),
        started: Some(at(started)),
        last_activity: last_activity.map(at),
        ready: true,
        pending: None,
        options: None,
        image: None,
    }
}

/// What the collector makes of a list of servers: it compares with what was kept last, as after
/// each start of the process.
pub(crate) async fn poll(keeper: &Keeper, time: &str, servers: &[Server]) -> Vec<KeyedFact> {
    let facts = turn(keeper, time, servers).await;
    keeper.flush().await.unwrap();
    facts
}

/// The same before anything is flushed.
pub(crate) async fn turn(keeper: &Keeper, time: &str, servers: &[Server]) -> Vec<KeyedFact> {
    let before = keeper.present().await.unwrap().servers;
    let before = before.map_or_else(Vec::new, |servers| servers.value);
    let look = Look {
        began: at(time),
        at: at(time),
        watch_limit: SignedDuration::from_mins(3),
        hub_started: None,
        stops: StopEvidence::Unknown,
        zone: TimeZone::get("Europe/Berlin").unwrap(),
    };
    let news = server_news(&before, servers, &look);
    let mut intake = intake(&news.facts);
    let servers = Dated {
        value: news.running,
        at: at(time),
    };
    intake.present(PresentChange::Servers(servers, StopCredit::default()));
    keeper.take(intake).await.unwrap();
    news.facts
}

/// What the views show of sessions and of closed days.
pub(crate) async fn figures(store: &Store) -> (Vec<String>, Vec<String>) {
    let sql = r#"select "user", started, ended, end_reason, active_seconds from sessions
                 order by "user", started, ended"#;
    let sessions = ask(store, sql).await;
    let sessions = sessions.iter().map(|line| {
        let [user, started, ended, reason, active] = cells(line);
        format!("{user} {started} - {ended} {reason} {}", known(active))
    });
    let sql = r#"select day, "user", sessions, hours, active_seconds from user_days
                 order by day, "user""#;
    let days = ask(store, sql).await;
    let days = days.iter().map(|line| {
        let [day, user, sessions, hours, active] = cells(line);
        let hours: f64 = hours.parse().unwrap();
        format!("{day} {user} {sessions} {hours:.6} {}", known(active))
    });
    (sessions.collect(), days.collect())
}

fn cells<const N: usize>(line: &str) -> [&str; N] {
    let cells: Vec<&str> = line.split(',').collect();
    cells.try_into().unwrap()
}

fn known(cell: &str) -> String {
    let cell = (!cell.is_empty()).then_some(cell);
    cell.map_or_else(|| "None".to_owned(), |cell| format!("Some({cell})"))
}
