//! A store with events that name people everywhere, and what becomes public of them.

use super::*;
use crate::config::ArchiveConfig;
use crate::events::{Item, Reader};
use serde_json::json;
use store::tables::Event;
use store::{Folder, Intake, Keeper, KeeperSettings, Store};

fn clock() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// A folder with a history and an archive.
struct Archived {
    folder: tempfile::TempDir,
    keeper: Keeper,
    asker: Asker,
    archive: Archive,
}

impl Archived {
    async fn new(kinds: &[&str], keys: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Folder::prepare(&folder.path().join("store")).unwrap()).unwrap();
        let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, clock);
        let keeper = store.try_keep(settings).await.unwrap().unwrap();
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let config = ArchiveConfig {
            path: Some(folder.path().join("archive")),
            kinds: texts(kinds),
            keys: texts(keys),
        };
        Self {
            keeper,
            asker: Asker::new(store),
            archive: Archive::of(&config, "hub").unwrap(),
            folder,
        }
    }

    async fn take(&self, lines: &[Json]) {
        let mut reader = Reader::new("hub".into());
        let mut intake = Intake::default();
        for line in lines {
            match reader.read(line.to_string().as_bytes(), clock()) {
                Item::Event(event) => intake.event(&event).unwrap(),
                Item::Rejected(rejected) => panic!("{rejected:?}"),
            }
        }
        self.keeper.take(intake).await.unwrap();
    }

    async fn round(&mut self, now: &str) -> usize {
        self.archive
            .round(&self.asker, now.parse().unwrap())
            .await
            .unwrap()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("archive").join(name)).unwrap()
    }

    /// All files by name, and everything that they say.
    fn everything(&self) -> (Vec<String>, String) {
        let mut names = Vec::new();
        let mut text = String::new();
        for entry in std::fs::read_dir(self.folder.path().join("archive")).unwrap() {
            let entry = entry.unwrap();
            names.push(entry.file_name().into_string().unwrap());
            text.push_str(&std::fs::read_to_string(entry.path()).unwrap());
        }
        names.sort();
        (names, text)
    }
}

fn launch(time: &str, spec: &str) -> Json {
    json!({
        "timestamp": time, "schema": "binderhub.jupyter.org/launch", "version": 4,
        "provider": "GitHub", "spec": spec, "status": "success", "ref": "abc", "origin": "hub.example.org",
        "build_token": true,
    })
}

const BINDER_KEYS: [&str; 5] = ["provider", "spec", "ref", "status", "origin"];

#[tokio::test]
async fn a_day_is_written_once_it_is_over_and_can_be_imported_again() {
    let mut archived = Archived::new(&["binder-*"], &BINDER_KEYS).await;
    archived
        .take(&[
            launch("2026-11-20T21:47:53.123456Z", "b/c/main"),
            launch("2026-11-20T21:47:02Z", "z/c/main"),
            launch("2026-11-20T21:47:00+00:00", "b/c/main"),
            launch("2026-11-21T00:00:00+00:00", "b/c/main"),
            launch("2026-11-22T11:00:00+00:00", "b/c/main"),
        ])
        .await;
    assert_eq!(archived.round("2026-11-21T00:05:00Z").await, 0);
    assert_eq!(archived.round("2026-11-21T00:10:00Z").await, 1);
    let line = |spec: &str| {
        format!(
            "{{\"timestamp\":\"2026-11-20T21:47:00+00:00\",\"schema\":\"binderhub.jupyter.org/launch\",\
             \"version\":4,\"kind\":\"binder-launch\",\"provider\":\"GitHub\",\"spec\":\"{spec}\",\
             \"ref\":\"abc\",\"status\":\"success\",\"origin\":\"hub.example.org\"}}\n"
        )
    };
    let expected = [line("b/c/main"), line("b/c/main"), line("z/c/main")].concat();
    let day = archived.file("events-2026-11-20.jsonl");
    assert_eq!(day, expected);
    assert_eq!(archived.round("2026-11-22T12:00:00Z").await, 1);
    assert_eq!(
        archived.file("index.jsonl"),
        "{\"name\":\"events-2026-11-20.jsonl\",\"date\":\"2026-11-20\",\"count\":3}\n\
         {\"name\":\"events-2026-11-21.jsonl\",\"date\":\"2026-11-21\",\"count\":1}\n"
    );
    let mut reader = Reader::new("other".into());
    let mut ids = std::collections::BTreeSet::new();
    for line in day.lines() {
        let Item::Event(event) = reader.read(line.as_bytes(), clock()) else {
            panic!("{line}");
        };
        let Event {
            kind,
            source,
            schema_version,
            ..
        } = &*event;
        assert_eq!((&**kind, &**source), ("binder-launch", "binderhub"));
        assert_eq!(schema_version.as_deref(), Some("4"));
        ids.insert(event.id.as_str().to_owned());
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn late_events_are_added_for_eight_days_and_files_that_are_lost_are_written_again() {
    let mut archived = Archived::new(&["binder-launch"], &["spec"]).await;
    archived.take(&[launch("2026-11-10T10:00:00Z", "a")]).await;
    archived.take(&[launch("2026-11-20T10:00:00Z", "a")]).await;
    assert_eq!(archived.round("2026-11-22T12:00:00Z").await, 2);
    assert_eq!(archived.round("2026-11-22T12:10:00Z").await, 0);
    archived.take(&[launch("2026-11-10T10:01:00Z", "b")]).await;
    archived.take(&[launch("2026-11-20T10:01:00Z", "b")]).await;
    assert_eq!(archived.round("2026-11-22T12:20:00Z").await, 1);
    assert_eq!(archived.file("events-2026-11-20.jsonl").lines().count(), 2);
    assert_eq!(archived.file("events-2026-11-10.jsonl").lines().count(), 1);
    std::fs::remove_file(
        archived
            .folder
            .path()
            .join("archive/events-2026-11-20.jsonl"),
    )
    .unwrap();
    assert_eq!(archived.round("2026-11-22T12:30:00Z").await, 1);
    assert_eq!(archived.file("events-2026-11-20.jsonl").lines().count(), 2);
}

#[tokio::test]
async fn nothing_that_names_anybody_is_public() {
    let keys = ["provider", "spec", "room", "who", "list", "nested", "flag"];
    let mut archived = Archived::new(&["binder-launch", "door*", "server-start"], &keys).await;
    let at = "2026-11-20T10:20:37.654321Z";
    let personal = json!({
        "room": 7, "flag": true, "who": {"name": "secret-ada"}, "list": ["secret-ada"],
        "nested": [{"spec": "secret-ada"}], "secret-ada": "x", "user": "secret-ada",
        "remote": "192.0.2.77", "text": "secret-ada",
    });
    let mut with_names = launch(at, "b/c/main");
    for (key, value) in personal.as_object().unwrap() {
        with_names[key] = value.clone();
    }
    archived
        .take(&[
            with_names,
            json!({"kind": "door-open", "at": at, "user": "secret-ada", "server": "secret-lab",
                   "source": "secret-sender", "id": "secret-id", "detail": personal,
                   "schema": "https://example.org/secret-ada", "schema_version": "secret-1"}),
            json!({"kind": "secret-kind", "at": at, "detail": {"room": 8}}),
            json!({"__timestamp__": at, "__schema__": "hub.jupyter.org/server-action",
                   "__schema_version__": 1, "action": "start", "username": "secret-ada",
                   "servername": "secret-lab"}),
        ])
        .await;
    assert_eq!(archived.round("2026-11-22T12:00:00Z").await, 1);
    let (names, text) = archived.everything();
    assert_eq!(names, ["events-2026-11-20.jsonl", "index.jsonl"]);
    for word in ["secret", "192.0.2", ":37", "654321"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    assert_eq!(
        archived.file("events-2026-11-20.jsonl"),
        "{\"timestamp\":\"2026-11-20T10:20:00+00:00\",\"kind\":\"door-open\",\"room\":7,\"flag\":true}\n\
         {\"timestamp\":\"2026-11-20T10:20:00+00:00\",\"kind\":\"server-start\"}\n\
         {\"timestamp\":\"2026-11-20T10:20:00+00:00\",\"schema\":\"binderhub.jupyter.org/launch\",\
         \"version\":4,\"kind\":\"binder-launch\",\"provider\":\"GitHub\",\"spec\":\"b/c/main\",\
         \"room\":7,\"flag\":true}\n"
    );
    let mut reader = Reader::new("other".into());
    for line in archived.file("events-2026-11-20.jsonl").lines() {
        assert!(
            matches!(reader.read(line.as_bytes(), clock()), Item::Event(_)),
            "{line}"
        );
    }
}
