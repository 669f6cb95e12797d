//! Damaged histories: what `sql` says and whether the service starts. An answer is right or an error.

use crate::support::{
    Answer, BINARY, Process, Service, SimServer, block_on, free_port, sql, until,
};
use insights::sim::DEMO_TOKEN;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use store::tables::{Event, RowId};
use store::{Folder, Intake, KeeperSettings, Store};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_data_file_that_is_cut_or_gone_is_an_error_that_names_it_and_no_number",
        data_files,
    ),
    (
        "a_log_entry_that_is_cut_off_is_set_aside_and_what_is_missing_is_said",
        log_entries,
    ),
    (
        "a_state_db_that_is_cut_off_is_an_error_with_a_remedy",
        state_db,
    ),
];

/// Flushes, each with one event.
const N_EVENTS: usize = 3;

fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
        let clock = insights::poll::clock::now;
        let settings = KeeperSettings::new("jupyterhub".into(), TimeZone::UTC, clock);
        let keeper = store.try_keep(settings).await.unwrap().unwrap();
        for number in 0..N_EVENTS {
            let mut intake = Intake::default();
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
            keeper.take(intake).await.unwrap();
            keeper.flush().await.unwrap();
        }
        // The writer is the last to close the file: it writes the journal back.
        drop(store);
        drop(keeper);
    });
    let journal = folder.path().join("state.db-wal");
    until("the journal to be written back", || {
        (!journal.exists()).then_some(())
    });
    folder
}

/// All events, read from the files.
fn events(folder: &Path) -> Answer {
    sql(
        folder,
        "select count(user) as n from events where kind = 'login'",
    )
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn data_file(folder: &Path) -> PathBuf {
    fn find(folder: &Path) -> Option<PathBuf> {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
        entries.sort_by_key(fs::DirEntry::path);
        entries
            .into_iter()
            .map(|entry| entry.path())
            .find_map(|path| {
                if path.is_dir() {
                    find(&path)
                } else {
                    let is_data = path
                        .extension()
                        .is_some_and(|extension| extension == "parquet");
                    is_data.then_some(path)
                }
            })
    }
    let partition = folder.join("history/events");
    let hubs = fs::read_dir(partition).unwrap().flatten();
    let hub = hubs
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("hub="));
    find(&hub.unwrap()).unwrap()
}

fn last_entry(folder: &Path) -> PathBuf {
    let log = folder.join(format!("history/events/_delta_log/{N_EVENTS:020}.json"));
    assert!(log.exists());
    log
}

/// The service on the folder, which goes on to serve.
fn serves(folder: &Path) -> Service {
    let sim = SimServer::start(|world| {
        world.add_user("ada");
        world.add_group("art");
        world.add_member("art", "ada");
    });
    let path = format!("store.path={}", folder.display());
    let settings = ["--set", &path, "--set", "store.keep=always"];
    let service = Service::start(&sim.url, DEMO_TOKEN, &settings);
    service.until("ada in art", |scrape| {
        scrape.memberships().contains(&"ada@art".to_owned())
    });
    service
}

fn data_files() {
    for damage in [cut, |path: &Path| fs::remove_file(path).unwrap()] {
        let folder = filled();
        assert_eq!(events(folder.path()).rows(), [N_EVENTS.to_string()]);
        let path = data_file(folder.path());
        damage(&path);
        let answer = events(folder.path());
        assert_eq!(answer.code, Some(1), "{}", answer.stdout);
        assert_eq!(answer.stdout, "");
        assert!(answer.stderr.contains("store verify"), "{}", answer.stderr);
        let other = sql(folder.path(), "select count(*) as n from memberships");
        assert_eq!(other.rows(), ["0"], "other tables answer");
        // The present does not depend on old files.
        let service = serves(folder.path());
        assert_eq!(events(folder.path()).code, Some(1));
        drop(service);
    }
}

fn log_entries() {
    for damage in [cut, |path: &Path| fs::write(path, "").unwrap()] {
        let folder = filled();
        damage(&last_entry(folder.path()));
        let answer = events(folder.path());
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""));
        let remedy = "is cut off: start the service, which sets it aside";
        assert!(answer.stderr.contains(remedy), "{}", answer.stderr);
        let service = serves(folder.path());
        let missing = "rows 3 to 3 of `events` are missing";
        let told = until("what is missing", || {
            Some(service.process.output()).filter(|log| log.contains(missing))
        });
        let told = told.unwrap_or_else(|| panic!("{}", service.process.output()));
        assert!(told.contains("is set aside as"), "{told}");
        assert!(told.contains("store verify"), "{told}");
        let answer = events(folder.path());
        assert_eq!(answer.rows(), [(N_EVENTS - 1).to_string()]);
        assert!(answer.stderr.contains(missing), "{}", answer.stderr);
    }
}

fn state_db() {
    let folder = filled();
    let path = folder.path().join("state.db");
    cut(&path);
    let remedy = "`state.db` is damaged: stop the service and restore the file from a backup";
    let answer = events(folder.path());
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""));
    assert!(answer.stderr.contains(remedy), "{}", answer.stderr);

    let mut command = Command::new(BINARY);
    command
        .args(["serve", "--set", "hub.url=http://127.0.0.1:9/", "--set"])
        .arg(format!("metrics.listen=127.0.0.1:{}", free_port()))
        .args(["--set", &format!("store.path={}", folder.path().display())])
        .env_clear()
        .env("JUPYTERHUB_API_TOKEN", "t");
    let log = tempfile::tempdir().unwrap();
    let mut service = Process::start(&mut command, &log.path().join("log"));
    let ended = service.wait(Duration::from_secs(30));
    assert_eq!(ended.code(), Some(1), "{}", service.output());
    assert!(service.output().contains(remedy), "{}", service.output());
}
