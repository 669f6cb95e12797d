//! A history of hubs over some months, put in through the keeper: nulls, names of all kinds,
//! corrections, news that comes late, a server that runs.

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use model::diff::{Running, StopCredit};
use model::fact::{ActiveHour, Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use model::names::UserName;
use model::snapshot::Dated;
use model::tally::Tally;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::tables::{
    Audit, DeadLetter, Event, Membership, Observation, Row, RowId, Storage, TableDef, Usage,
};
use store::{Intake, Keeper, KeeperSettings, PresentChange, Store, event_of};

/// The second one is a test of how folders are named.
pub(super) const HUBS: [&str; 2] = ["hub", "Hüb 2/α%20=β"];
/// None is part of another word, so that a log can be searched for them.
pub(super) const USERS: [&str; 5] = [
    "ada-q7",
    "zoë.müller@example.org",
    "李小龍",
    "o'brien \"the\" \\ 3rd",
    "🚀-user",
];
const SERVER: &str = "gpu-šerver";

/// Which rows.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) hubs: &'static [&'static str],
    pub(super) n_months: i32,
    pub(super) n_per_month: usize,
}

/// What was put in, and what follows from it.
#[derive(Default)]
pub(super) struct Made {
    /// Every revision of every row that was collected, as it was put in.
    pub(super) rows: BTreeMap<&'static str, Vec<Value>>,
    pub(super) n_sessions: usize,
}

pub(super) fn now() -> Timestamp {
    at("2026-11-20T12:00:00Z")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) async fn keep(store: &Store, hub: &str) -> Keeper {
    let zone = TimeZone::get("Asia/Kolkata").unwrap();
    let settings = KeeperSettings {
        commits_per_checkpoint: 4,
        ..KeeperSettings::new(hub.into(), zone, now)
    };
    // The process that had it may be about to end.
    loop {
        if let Some(keeper) = store.try_keep(settings.clone()).await.unwrap() {
            return keeper;
        }
        tokio::task::yield_now().await;
    }
}

/// Everything of the hubs; the last rows are still in the spool.
pub(super) async fn fill(store: &Store, size: Size) -> Made {
    let mut made = Made::default();
    for hub in size.hubs {
        let keeper = keep(store, hub).await;
        let mut door = Door {
            hub: (*hub).into(),
            intake: Intake::default(),
            made: &mut made,
        };
        door.fill(&keeper, size).await;
    }
    made
}

struct Door<'a> {
    hub: Arc<str>,
    intake: Intake,
    made: &'a mut Made,
}

impl Door<'_> {
    async fn fill(&mut self, keeper: &Keeper, size: Size) {
        for months_ago in 0..size.n_months {
            for index in 0..size.n_per_month {
                self.rows_of(months_ago, index, 0);
            }
            self.late_session(months_ago);
        }
        self.present(&[]);
        self.session_by_events();
        self.pass(keeper).await;
        keeper.flush().await.unwrap();
        for index in (0..size.n_per_month).step_by(3) {
            self.corrected(0, index, 1);
        }
        self.later_news();
        self.polled_session();
        self.pass(keeper).await;
        keeper.flush().await.unwrap();
        // One table is to have more commits than the others: enough for a checkpoint.
        self.login(0, size.n_per_month);
        self.pass(keeper).await;
        keeper.flush().await.unwrap();
        keeper.compact().await.unwrap();
        self.rows_of(0, size.n_per_month + 1, 0);
        self.running_server();
        self.pass(keeper).await;
    }

    async fn pass(&mut self, keeper: &Keeper) {
        keeper.take(std::mem::take(&mut self.intake)).await.unwrap();
    }

    fn put<R: Row>(&mut self, row: &R, user: Option<&UserName>) {
        self.intake.row(row, user).unwrap();
        self.remember(R::TABLE, row);
    }

    fn event(&mut self, event: &Event) {
        self.intake.event(event).unwrap();
        self.remember(Event::TABLE, event);
    }

    fn remember(&mut self, table: &TableDef, row: &impl serde::Serialize) {
        let rows = self.made.rows.entry(table.name).or_default();
        rows.push(serde_json::to_value(row).unwrap());
    }

    fn id(&self, what: &str, months_ago: i32, index: usize) -> RowId {
        RowId::of(&[what, &self.hub, &months_ago.to_string(), &index.to_string()])
    }

    /// One row of each table that is collected.
    fn rows_of(&mut self, months_ago: i32, index: usize, revision: i64) {
        let user: UserName = USERS[index % USERS.len()].into();
        let time = time(months_ago, index);
        let is_odd = index % 2 == 1;
        let hub = Arc::clone(&self.hub);
        self.login(months_ago, index);
        self.put(
            &Membership {
                id: self.id("membership", months_ago, index),
                hub: Arc::clone(&hub),
                user: user.clone(),
                group: ["physics", "café", "team/alpha beta"][index % 3].into(),
                at: time,
                not_before: is_odd.then(|| time - 5.minutes()),
                change: if is_odd { "left" } else { "joined" }.into(),
                reason: (index % 4 == 3).then(|| "group deleted".into()),
            },
            Some(&user),
        );
        self.put(
            &Observation {
                id: self.id("observation", months_ago, index),
                hub: Arc::clone(&hub),
                at: time,
                name: "jupyterhub_active_users".into(),
                labels: format!(r#"{{"period":"{index}d"}}"#).into(),
                value: real(index) / 3.0,
                min: None,
                max: None,
                last: None,
                n: None,
            },
            None,
        );
        self.put(
            &DeadLetter {
                id: self.id("letter", months_ago, index),
                hub: Arc::clone(&hub),
                at: time,
                source: "hub".into(),
                reason: "no JSON".into(),
                text: format!("{{{} ", USERS[1]).into(),
            },
            None,
        );
        self.put(
            &Audit {
                id: self.id("audit", months_ago, index),
                hub,
                at: time,
                viewer: "command line".into(),
                what: format!("looked at {user}").into(),
            },
            None,
        );
        self.corrected(months_ago, index, revision);
    }

    fn login(&mut self, months_ago: i32, index: usize) {
        let time = time(months_ago, index);
        let is_odd = index % 2 == 1;
        self.event(&Event {
            id: self.id("event", months_ago, index),
            hub: Arc::clone(&self.hub),
            at: time,
            not_before: is_odd.then(|| time - 1.hour()),
            kind: "login".into(),
            user: (index % 7 != 6).then(|| USERS[index % USERS.len()].into()),
            server: is_odd.then(|| SERVER.into()),
            detail: is_odd.then(|| format!(r#"{{"from":"{}\n","n":{index}}}"#, USERS[2]).into()),
            source: "test".into(),
            schema: is_odd.then(|| "https://example.org/login".into()),
            schema_version: None,
        });
    }

    /// One row of each table whose rows can be corrected.
    fn corrected(&mut self, months_ago: i32, index: usize, revision: i64) {
        let user: UserName = USERS[index % USERS.len()].into();
        let time = time(months_ago, index);
        let factor = 1.0 + real(usize::try_from(revision).unwrap()) / 7.0;
        let some = |is_known: bool, value: f64| is_known.then_some(value * factor);
        let usage = Usage {
            id: self.id("usage", months_ago, index),
            revision,
            hub: Arc::clone(&self.hub),
            hour: time - 17.minutes(),
            user: user.clone(),
            server: (!index.is_multiple_of(3)).then(|| SERVER.into()),
            cpu_core_seconds: some(true, 1234.5 * real(index)),
            memory_byte_seconds: some(!index.is_multiple_of(4), 3.6e12 + real(index)),
            cpu_requested_core_seconds: some(true, 3600.0),
            memory_requested_byte_seconds: some(true, 7.2e12),
            gpu_requested_seconds: some(index.is_multiple_of(5), 1800.0),
            gpu_used_seconds: None,
            network_rx_bytes: some(true, 1e6 / 3.0),
            network_tx_bytes: some(true, 0.0),
            memory_peak_bytes: some(true, 2f64.powi(33)),
            samples: 60 + revision,
        };
        self.put(&usage, Some(&user));
        let storage = Storage {
            id: self.id("storage", months_ago, index),
            revision,
            hub: Arc::clone(&self.hub),
            day: time.to_zoned(TimeZone::UTC).date(),
            user: user.clone(),
            home_bytes: 1e9 / 7.0 * factor,
            files: index.is_multiple_of(2).then_some(1000 + revision),
        };
        self.put(&storage, Some(&user));
    }

    fn fact(&mut self, user: &str, at: Timestamp, what: What) {
        let key = ServerKey {
            user: user.into(),
            server: "".into(),
        };
        let fact = KeyedFact {
            key,
            fact: Fact { at, what },
        };
        let event = event_of(&self.hub, &"poll".into(), &fact);
        self.event(&event);
    }

    /// News from months ago, which only the history can be asked about.
    fn late_session(&mut self, months_ago: i32) {
        let started = time(months_ago, 0) - 24.hours();
        self.fact(USERS[1], started, What::Start);
        self.fact(USERS[1], started + 90.minutes(), What::Stop);
        self.made.n_sessions += 1;
    }

    /// Two sessions that later news corrects.
    fn session_by_events(&mut self) {
        self.fact(USERS[0], at("2026-11-18T09:00:00.5Z"), What::Start);
        self.fact(USERS[0], at("2026-11-18T11:00:00.123456Z"), What::Stop);
        self.fact(USERS[2], at("2026-11-17T09:00:01Z"), What::Start);
        self.fact(USERS[2], at("2026-11-17T10:00:00Z"), What::Stop);
        self.made.n_sessions += 2;
    }

    /// One was stopped earlier; the other was another one, as polling knows.
    fn later_news(&mut self) {
        self.fact(USERS[0], at("2026-11-18T10:30:00Z"), What::Stop);
        let what = What::Seen {
            started: at("2026-11-17T09:00:00Z"),
            options: None,
            image: None,
        };
        self.fact(USERS[2], at("2026-11-17T09:02:00Z"), what);
    }

    fn polled_session(&mut self) {
        let started = at("2026-11-19T06:00:00Z");
        let what = What::Seen {
            started,
            options: Some(r#"{"profile":"größer"}"#.into()),
            image: Some("quay.io/jupyter/base-notebook:latest".into()),
        };
        self.fact(USERS[3], started + 1.minute(), what);
        let hour = ActiveHour {
            hour: at("2026-11-19T05:30:00Z"),
            seconds: 1500,
        };
        let what = What::Activity {
            started,
            hours: vec![hour],
        };
        self.fact(USERS[3], started + 2.hours(), what);
        let what = What::Gone {
            started: Some(started),
            last_seen: started + 2.hours(),
            watch: Watch::Watched,
            hub_restarted: None,
            stop_counted: StopEvidence::Asked,
        };
        self.fact(USERS[3], started + 121.minutes(), what);
        self.made.n_sessions += 1;
    }

    fn running_server(&mut self) {
        let started = at("2026-11-20T08:00:00Z");
        let what = What::Seen {
            started,
            options: None,
            image: None,
        };
        self.fact(USERS[4], started + 1.minute(), what);
        self.present(&[Running {
            is_cut: false,
            key: ServerKey {
                user: USERS[4].into(),
                server: "".into(),
            },
            started,
            options: None,
            image: None,
            seen_ready: started,
            last_seen: now(),
            tally: Tally::default(),
        }]);
    }

    fn present(&mut self, running: &[Running]) {
        let servers = Dated {
            value: running.to_vec(),
            at: now(),
        };
        let change = PresentChange::Servers(servers, StopCredit::default());
        self.intake.present(change);
    }
}

/// In the first days of the month, to the microsecond.
fn time(months_ago: i32, index: usize) -> Timestamp {
    let month = date(2026, 11, 2) - months_ago.months();
    let first = month.to_zoned(TimeZone::UTC).unwrap().timestamp();
    let minutes = i64::try_from(index).unwrap() * 47;
    first + SignedDuration::from_mins(minutes) + SignedDuration::from_micros(123_457)
}

fn real(index: usize) -> f64 {
    f64::from(u32::try_from(index).unwrap())
}
