//! Runs the golden file of each report: a tiny history as text, questions, and their rows.
//!
//! `INSIGHTS_WRITE_GOLDEN=1` writes the rows, to be checked by hand; `INSIGHTS_REPORT=name` runs one.

mod asked;
mod past;
mod rolled;
mod rows;
mod sources;
mod words;
mod written;

pub(super) use past::Past;
pub(super) use sources::with;

use super::*;
use crate::query::{Engine, EngineSettings, Limits};
use asked::asked;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use words::Words;
use written::written;

/// Where the reports and their golden files lie.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reports")
}

/// The report as its file is now.
pub(super) fn text_of(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.sql"))).unwrap()
}

/// All files `NAME.sql`, but for those that nobody asked about.
pub(super) fn names() -> Vec<String> {
    let only = variable("INSIGHTS_REPORT");
    let paths = std::fs::read_dir(folder()).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| {
            let is_asked = |only: &String| only.split(',').any(|it| it == name);
            only.as_ref().is_none_or(is_asked)
        })
        .collect();
    names.sort();
    names
}

/// Stands between the rows with the roll-up and those without it, if they differ.
const DIFFERS: &str = "and without the roll-up:";

/// The golden file of a report with the rows that this query gives; ends after the first answer for
/// which `goes_on`, given the text so far, is false.
pub(super) async fn answered(
    report: Definition,
    golden: &str,
    goes_on: impl Fn(&str) -> bool,
) -> String {
    let report = Arc::new(report);
    let temporary = tempfile::tempdir().unwrap();
    // As on a small machine and as on a large one.
    let engines = [1, 4].map(|parts| {
        let settings = EngineSettings::new(temporary.path().join(format!("queries-{parts}")));
        Engine::new(EngineSettings { parts, ..settings })
    });
    let mut past = Past::new();
    let mut text = String::new();
    let mut is_answer = false;
    for line in golden.lines() {
        if let Some(question) = line.strip_prefix("ask ") {
            is_answer = true;
            writeln!(text, "{line}").unwrap();
            let mut asked = asked(&Words::of(question), &past);
            let mut outcomes = Vec::new();
            for (rollup, engine) in [RollUp::Used, RollUp::Unused].into_iter().zip(&engines) {
                asked.rollup = rollup;
                let sources = past.sources(rollup);
                let outcome = run(engine, &sources, &report, &asked, Limits::default()).await;
                outcomes.push(written(&outcome));
            }
            text.push_str(&outcomes[0]);
            if outcomes[0] != outcomes[1] {
                writeln!(text, "{DIFFERS}\n{}", outcomes[1]).unwrap();
            }
            if !goes_on(&text) {
                break;
            }
        } else if line.trim().is_empty() {
            is_answer = false;
            writeln!(text).unwrap();
        } else if !is_answer {
            writeln!(text, "{line}").unwrap();
            if !line.starts_with('#') {
                past.add(line);
            }
        }
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "who runs a test chooses by the environment"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[tokio::test]
async fn every_report_gives_what_its_golden_file_says() {
    let is_writing = variable("INSIGHTS_WRITE_GOLDEN").is_some();
    let names = names();
    assert!(!names.is_empty());
    let mut wrong = Vec::new();
    for name in names {
        let path = folder().join(format!("{name}.golden"));
        let golden = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("`{name}` has no golden file"));
        assert!(golden.contains("\nask "), "{name} asks nothing");
        let report = Definition::parse(&name, &text_of(&name));
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        let now = answered(report, &golden, |_| true).await;
        if is_writing && !now.contains(DIFFERS) {
            std::fs::write(&path, &now).unwrap();
        } else if now != golden {
            wrong.push(format!(
                "--- {name}, as it should be\n{golden}\n--- as it is\n{now}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_reports_are_read_and_their_defaults_can_be_chosen() {
    let registry = Registry::ours();
    assert_eq!(registry.left_out(), []);
    for report in registry.all() {
        for parameter in &report.parameters {
            parameter.value(&parameter.default).unwrap();
        }
    }
}
