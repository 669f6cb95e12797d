//! Histories of imported events, and what `report` says of them.

use crate::support::{Answer, BINARY, on_folder};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The history of one hub, of events that were imported.
pub(super) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A hub in this zone where these people had a server each.
    pub(super) fn new(zone: &str, runs: &[Run<'_>]) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let lines: String = runs.iter().map(Run::lines).collect();
        let mut child = Command::new(BINARY)
            .args(["import", "events", "-", "--set"])
            .arg(format!("store.path={}", place.store().display()))
            .args([
                "--set",
                "retention.events_days=0",
                "--set",
                "hub.name=lab",
                "--set",
            ])
            .arg(format!("hub.timezone={zone}"))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        let answer = Answer::of(&child.wait_with_output().unwrap());
        let told = format!("{} new events, 0 known, 0 rejected", 2 * runs.len());
        assert!(
            answer.stdout.contains(&told),
            "{}{}",
            answer.stdout,
            answer.stderr
        );
        place
    }

    /// Somebody's server on the leap day of 2024.
    pub(super) fn of_a_leap_day(users: &[&str]) -> Self {
        let runs: Vec<Run<'_>> = users
            .iter()
            .map(|user| Run {
                user,
                started: "2024-02-29T09:00:00Z".parse().unwrap(),
                ended: "2024-02-29T11:30:00Z".parse().unwrap(),
            })
            .collect();
        Self::new("Europe/Berlin", &runs)
    }

    pub(super) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(super) fn report(&self, words: &[&str]) -> Answer {
        report(&self.store(), words)
    }

    /// What it writes when it works.
    #[track_caller]
    pub(super) fn written(&self, words: &[&str]) -> String {
        written(&self.store(), words)
    }
}

/// A server that ran.
pub(super) struct Run<'a> {
    pub(super) user: &'a str,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
}

impl Run<'_> {
    fn lines(&self) -> String {
        let told = |kind: &str, at: Timestamp| json!({"kind": kind, "at": at, "user": self.user});
        let (start, stop) = (
            told("server-start", self.started),
            told("server-stop", self.ended),
        );
        format!("{start}\n{stop}\n")
    }
}

fn report(store: &Path, words: &[&str]) -> Answer {
    on_folder(store, &[&["report"], words].concat())
}

#[track_caller]
pub(super) fn written(store: &Path, words: &[&str]) -> String {
    let answer = report(store, words);
    assert_eq!(answer.code, Some(0), "{words:?}: {}", answer.stderr);
    assert_eq!(answer.stderr, "", "{words:?}");
    answer.stdout
}

pub(super) fn names() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let listed = written(folder.path(), &["--list"]);
    let lines = listed.lines().filter_map(|line| line.strip_prefix("  "));
    let names: Vec<String> = lines
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert!(names.len() >= 34, "{listed}");
    names
}

/// The answer as programs get it, checked against what it says of itself.
#[track_caller]
pub(super) fn reply(store: &Path, words: &[&str]) -> Value {
    let text = written(store, &[words, &["--format", "json"]].concat());
    let reply: Value = serde_json::from_str(&text).unwrap();
    let columns: Vec<&str> = list(&reply, "columns")
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    for row in list(&reply, "rows") {
        let keys: Vec<&str> = row
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, columns, "{words:?}");
    }
    reply
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap()
}
