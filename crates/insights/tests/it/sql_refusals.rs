//! `sql` with what it has to refuse: each time an error that can be read and code 1, whatever the
//! query, and never a signal.

#[path = "../../../store/src/query/tests/refusals.rs"]
mod refusals;

use crate::support::{Answer, block_on, on_folder};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::fact::{Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::tables::{Event, RowId};
use store::{Folder, Intake, KeeperSettings, Store};

pub(crate) const TESTS: &[crate::Test] = &[(
    "what_sql_refuses_is_told_and_never_ends_the_process_by_a_signal",
    refused,
)];

/// As many as there are cores to share.
const N_AT_ONCE: usize = 3;
/// Rows of `events`: their fourth power is more than any machine compares in two seconds.
const N_EVENTS: usize = 2_000;

/// What the shared list leaves to whole statements.
const MORE: &[&str] = &[
    "explain analyze insert into sessions select * from sessions",
    "explain analyze create table x as select 1",
    "explain analyze update sessions set user = 'x'",
    "explain analyze delete from sessions",
    "explain analyze drop table sessions",
    "explain set datafusion.execution.batch_size = 1",
    "select * from 'https://example.org/x.parquet'",
    "select * from \"file:///etc/passwd\"",
    "select * from information_schema.df_settings",
];

fn refused() {
    let folder = tempfile::tempdir().unwrap();
    block_on(fill(folder.path()));
    let short = [
        refusals::STATEMENTS,
        refusals::OUTSIDE,
        refusals::FUNCTIONS,
        MORE,
    ];
    let short = short.into_iter().flatten().map(|sql| (*sql).to_owned());
    let mut queries: Vec<String> = short.chain(refusals::blowing_up()).collect();
    queries.push(
        "select count(*) from events a, events b, events c, events d where a.id < b.id and b.id < c.id and c.id < d.id"
            .to_owned(),
    );
    assert_eq!(n_events(folder.path()), [(N_EVENTS + 1).to_string()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || {
            while let Some(sql) = queries.get(next.fetch_add(1, Ordering::Relaxed)) {
                check(folder.path(), sql);
            }
        };
        let workers: Vec<_> = (0..N_AT_ONCE).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    assert_eq!(n_events(folder.path()), [(N_EVENTS + 1).to_string()]);
}

fn n_events(folder: &Path) -> Vec<String> {
    sql(folder, "select count(*) as n from events").rows()
}

fn check(folder: &Path, query: &str) {
    let Answer {
        code,
        stdout,
        stderr: told,
    } = sql(folder, query);
    let what = format!("`{query:.80}`: {code:?}, {stdout:.200} {told:.500}");
    assert_eq!(code, Some(1), "{what}");
    assert!(stdout.is_empty(), "{what}");
    assert!(!told.trim().is_empty() && told.len() < 2_000, "{what}");
    for word in ["panicked", "RUST_BACKTRACE", "overflow"] {
        assert!(!told.contains(word), "{what}");
    }
}

fn sql(folder: &Path, query: &str) -> Answer {
    on_folder(folder, &["sql", "--format", "csv", "--timeout", "2", query])
}

async fn fill(folder: &Path) {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let store = Store::open(Folder::prepare(folder).unwrap()).unwrap();
    let settings =
        KeeperSettings::new("jupyterhub".into(), TimeZone::UTC, || Timestamp::UNIX_EPOCH);
    let keeper = store.try_keep(settings).await.unwrap().unwrap();
    let mut intake = Intake::default();
    for number in 0..N_EVENTS {
        let event = Event {
            id: RowId::of(&[&number.to_string()]),
            hub: "jupyterhub".into(),
            at: now,
            not_before: None,
            kind: "login".into(),
            user: Some("ada".into()),
            server: None,
            detail: None,
            source: "test".into(),
            schema: None,
            schema_version: None,
        };
        intake.event(&event).unwrap();
    }
    let what = What::Gone {
        started: Some(now),
        last_seen: now,
        watch: Watch::Watched,
        hub_restarted: None,
        stop_counted: StopEvidence::Asked,
    };
    let key = ServerKey {
        user: "ada".into(),
        server: "".into(),
    };
    let gone = KeyedFact {
        key,
        fact: Fact { at: now, what },
    };
    let gone = store::event_of(&"jupyterhub".into(), &"poll".into(), &gone);
    intake.event(&gone).unwrap();
    keeper.take(intake).await.unwrap();
    keeper.flush().await.unwrap();
}
