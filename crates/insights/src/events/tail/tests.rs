//! A real file, a real keeper, and somebody who rotates.

use super::place::Place;
use super::*;
use crate::events::{Batch, Item, Sink};
use crate::metrics::own::Own;
use jiff::tz::TimeZone;
use std::fs::OpenOptions;
use std::io::Write as _;
use store::{Engine, EngineSettings, Folder, Format, KeeperSettings, Limits, Position, Store};

fn clock() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn line(kind: &str) -> String {
    format!("{{\"kind\": \"{kind}\", \"at\": \"2026-11-20T10:00:00Z\"}}\n")
}

/// A launch as an archive has it: equal lines are that many launches.
fn launch(spec: &str) -> String {
    format!(
        "{{\"timestamp\": \"2026-11-20T10:00:00+00:00\", \"schema\": \
         \"binderhub.jupyter.org/launch\", \"version\": 1, \"provider\": \"GitHub\", \"spec\": \
         \"{spec}\", \"status\": \"success\"}}\n"
    )
}

/// A folder with a log that is followed.
struct Followed {
    folder: tempfile::TempDir,
    tail: Tail,
    notices: Vec<Notice>,
    last: Option<Place>,
}

impl Followed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tail = Tail::new(folder.path().join("events.jsonl"), "hub".into(), None);
        Self {
            folder,
            tail,
            notices: Vec::new(),
            last: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, text: impl AsRef<[u8]>) -> &Self {
        self.append_to("events.jsonl", text)
    }

    fn append_to(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_ref()).unwrap();
        self
    }

    fn rename(&self, from: &str, to: &str) -> &Self {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
        self
    }

    /// Whoever wrote has stopped to, and a minute passed.
    fn old(&self, name: &str, minutes: u64) -> &Self {
        let then =
            std::time::SystemTime::from(clock()) - std::time::Duration::from_secs(minutes * 60);
        let file = OpenOptions::new().append(true).open(self.path(name));
        file.unwrap().set_modified(then).unwrap();
        self
    }

    /// The kinds, or reasons, of everything that is there now.
    fn read(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(news) = self.tail.look(clock(), &mut self.notices).unwrap() {
            found.extend(
                news.chunk
                    .items
                    .iter()
                    .map(|numbered| match &numbered.item {
                        Item::Event(event) => event.kind.to_string(),
                        Item::Rejected(rejected) => rejected.reason.clone(),
                    }),
            );
            self.last = Some(news.place);
        }
        found
    }

    #[track_caller]
    fn reads(&mut self, expected: &[&str]) {
        assert_eq!(self.read(), expected);
    }

    /// As after a restart: only what was kept is known.
    fn restart(&mut self) -> &mut Self {
        let kept = self.last.as_ref().map(|place| {
            let text = serde_json::to_string(place).unwrap();
            serde_json::from_str(&text).unwrap()
        });
        self.tail = Tail::new(self.path("events.jsonl"), "hub".into(), kept);
        self
    }
}

#[test]
fn lines_are_taken_when_they_have_ended() {
    let mut log = Followed::new();
    log.reads(&[]);
    log.append(line("a")).append(&line("b")[..20]);
    log.reads(&["a"]);
    log.reads(&[]);
    log.append(&line("b")[20..])
        .append("\n\n")
        .append(line("c"));
    log.reads(&["b", "c"]);
    log.restart().reads(&[]);
    log.append(&line("d")[..9]);
    log.reads(&[]);
    log.append(&line("d")[9..]);
    log.restart().reads(&["d"]);
    assert!(log.notices.is_empty());
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_taken() {
    let mut log = Followed::new();
    log.append("\0\0\0\n").append(b"\xff{}\n").append(line("a"));
    log.append(vec![b'['; 3 << 20])
        .append("\n")
        .append(line("b"));
    let found = log.read();
    assert!(found[0].starts_with("not JSON"), "{found:?}");
    let rest = ["not UTF-8 at byte 0", "a", "longer than 1 MiB", "b"];
    assert_eq!(found[1..], rest);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let mut log = Followed::new();
    log.append(line("a"));
    log.reads(&["a"]);
    log.rename("events.jsonl", "events.jsonl.1");
    // Whoever writes has not noticed, and an empty file is no reason to leave.
    log.append_to("events.jsonl.1", line("b")).append("");
    log.old("events.jsonl.1", 1);
    log.reads(&["b"]);
    log.append_to("events.jsonl.1", &line("c")[..30]);
    log.append(line("d"));
    log.old("events.jsonl.1", 0);
    log.reads(&[]);
    log.append_to("events.jsonl.1", line("c")[30..].trim_end());
    // It does not end with a line feed, and nobody writes to it any more.
    log.old("events.jsonl.1", 1);
    log.reads(&["c", "d"]);
    log.append(line("e"));
    log.restart().reads(&["e"]);
    assert!(log.notices.is_empty());
}

#[test]
fn files_that_were_rotated_while_nobody_looked_are_read() {
    let mut log = Followed::new();
    log.append(line("a"));
    log.reads(&["a"]);
    log.append(line("b"));
    log.rename("events.jsonl", "events.jsonl.2")
        .old("events.jsonl.2", 9);
    log.append(line("c"));
    log.rename("events.jsonl", "events.jsonl.1")
        .old("events.jsonl.1", 8);
    log.append(line("d"));
    log.append_to("other.jsonl", line("x"))
        .old("other.jsonl", 7);
    log.restart().reads(&["b", "c", "d"]);
    assert!(log.notices.is_empty());
    // The same again, and what it was is gone.
    log.append(line("e"));
    std::fs::remove_file(log.path("events.jsonl")).unwrap();
    log.append(line("f"));
    log.restart().reads(&["f"]);
    assert_eq!(log.notices, [Notice::Lost]);
}

#[test]
fn a_file_that_was_copied_and_truncated_is_read_on_in_the_copy() {
    let mut log = Followed::new();
    log.append(line("a")).append(line("b"));
    log.reads(&["a", "b"]);
    log.append(line("c"));
    std::fs::copy(log.path("events.jsonl"), log.path("events.jsonl.1")).unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(log.path("events.jsonl"));
    file.unwrap().set_len(0).unwrap();
    log.append(line("d")).old("events.jsonl.1", 1);
    log.reads(&["c", "d"]);
    // Truncated without a copy, and already longer than before.
    std::fs::write(log.path("events.jsonl"), line("longer") + &line("f")).unwrap();
    log.reads(&["longer", "f"]);
    assert_eq!(log.notices, [Notice::Lost]);
}

#[test]
fn equal_lines_are_counted_on_after_a_restart() {
    let ids = |restarts: bool| {
        let mut log = Followed::new();
        let mut ids = Vec::new();
        for _ in 0..3 {
            log.append(launch("gh/a/b/main"))
                .append(launch("gh/a/c/main"));
            while let Some(news) = log.tail.look(clock(), &mut log.notices).unwrap() {
                ids.extend(news.chunk.items.into_iter().map(|numbered| numbered.item));
                log.last = Some(news.place);
            }
            if restarts {
                log.restart();
            }
        }
        ids
    };
    let once = ids(false);
    assert_eq!(once.len(), 6);
    assert_eq!(ids(true), once);
}

#[test]
fn a_folder_or_a_pipe_is_no_file() {
    let mut log = Followed::new();
    std::fs::create_dir(log.path("events.jsonl")).unwrap();
    let error = log.tail.look(clock(), &mut log.notices).unwrap_err();
    assert_eq!(error.to_string(), "it is not a regular file");
}

/// The program may end after any transaction: rows and place are one.
#[tokio::test]
async fn rows_and_place_are_kept_together() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Folder::prepare(&folder.path().join("store")).unwrap()).unwrap();
    let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, clock);
    let keeper = store.try_keep(settings).await.unwrap().unwrap();
    let sink = Sink::new("hub", Arc::new(Own::new("hub")));
    sink.open(keeper.clone()).await.unwrap();
    let mut log = Followed::new();
    for n_round in 0..5 {
        for n_line in 0..100 {
            log.append(launch(&format!("gh/a/{}/main", n_line % 3)));
            log.append(line(&format!("k{n_round}-{n_line}")));
        }
        log.append("rubbish\n");
        let kept = keeper.position("file x").await.unwrap();
        let kept = kept.map(|kept| serde_json::from_str(&kept).unwrap());
        log.tail = Tail::new(log.path("events.jsonl"), "hub".into(), kept);
        while let Some(news) = log.tail.look(clock(), &mut log.notices).unwrap() {
            let items = news.chunk.items.into_iter().map(|numbered| numbered.item);
            let mut batch = Batch::of("file x", items);
            let value = serde_json::to_string(&news.place).unwrap();
            let source = "file x".to_owned();
            batch.position = Some(Position { source, value });
            sink.take(batch).await.unwrap();
        }
    }
    let engine = Engine::new(EngineSettings::new(folder.path().join("temporary")));
    let count = async |sql: &str| {
        let table = store.query(&engine, sql, Limits::default(), clock()).await;
        let mut text = Vec::new();
        table.unwrap().write(Format::Csv, &mut text).unwrap();
        String::from_utf8(text)
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .to_owned()
    };
    let launches = "select count(*) from events where kind = 'binder-launch'";
    assert_eq!(count(launches).await, "500");
    assert_eq!(count("select count(*) from events").await, "1000");
    assert_eq!(count("select source from dead_letters").await, "file x");
    assert_eq!(count("select count(*) from dead_letters").await, "1");
}
