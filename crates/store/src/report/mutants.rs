//! Turns each report wrong, a little at a time, and looks whether its golden file notices.
//!
//! Every comparison is turned (`<` for `<=`, `>` for `>=`, and back), every table that is read is read
//! doubled, every condition of a filter is dropped; one at a time. `unnoticed.txt` lists what golden
//! files do not notice, each with the reason: the second calculation notices it, or it changes no
//! figure. A tenth is tried by default; `INSIGHTS_MUTANTS=FOLDER` tries all and leaves those that are
//! for the second calculation as files in the folder, for `scripts/mutants`.

mod made;

use super::golden::{answered, folder, names, text_of, variable};
use super::*;
use made::{Mutant, mutants};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Of so many mutants one is tried by default.
const SAMPLE: usize = 10;

/// The second calculation, over a year of the demo, notices it.
const SECOND: &str = "noticed by the second calculation";

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Noticed,
    Unnoticed,
    /// It is no query that gives rows: nobody would ever see its figures.
    Fails,
}

async fn outcome(mutant: &Mutant, golden: &str) -> Outcome {
    let Ok(report) = Definition::parse(&mutant.report, &mutant.sql) else {
        return Outcome::Fails;
    };
    let is_as_before = |text: &str| golden.starts_with(text);
    let text = answered(report, golden, is_as_before).await;
    let fails = |text: &str| text.matches("\nerror: ").count();
    if fails(&text) > fails(golden) {
        Outcome::Fails
    } else if is_as_before(&text) {
        Outcome::Unnoticed
    } else {
        Outcome::Noticed
    }
}

/// What is said of mutants that golden files do not notice, by their titles.
fn unnoticed() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/mutants/unnoticed.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entries = lines.map(|line| {
        let (title, reason) = line.split_once(" => ").expect("TITLE => REASON");
        assert!(!reason.trim().is_empty(), "{line}");
        (title.to_owned(), reason.to_owned())
    });
    entries.collect()
}

/// Leaves the mutant where the second calculation finds it.
fn leave(mutant: &Mutant, number: usize, to: &Path) {
    let name = format!("{}-mutant-{number}.sql", mutant.report);
    std::fs::write(to.join(name), &mutant.sql).unwrap();
}

#[tokio::test]
async fn a_report_that_is_turned_wrong_is_noticed() {
    let all = variable("INSIGHTS_MUTANTS");
    let share = if all.is_some() { 1 } else { SAMPLE };
    let known = unnoticed();
    let (mut n_tried, mut n_noticed, mut n_mutants) = (0, 0, 0);
    let mut wrong = String::new();
    for name in names() {
        let golden = std::fs::read_to_string(folder().join(format!("{name}.golden"))).unwrap();
        for mutant in mutants(&name, &text_of(&name)) {
            n_mutants += 1;
            if n_mutants % share != 0 {
                continue;
            }
            let outcome = outcome(&mutant, &golden).await;
            if outcome == Outcome::Fails {
                continue;
            }
            n_tried += 1;
            n_noticed += usize::from(outcome == Outcome::Noticed);
            let reason = known.get(&mutant.title);
            let told = match (outcome, reason) {
                (Outcome::Noticed, Some(_)) => "is noticed, and listed as if it were not",
                (Outcome::Unnoticed, None) => "is not noticed, and not listed",
                _ => "",
            };
            if !told.is_empty() {
                writeln!(wrong, "{} => {told}", mutant.title).unwrap();
            }
            if let Some(to) = all.as_deref()
                && outcome == Outcome::Unnoticed
                && reason.is_none_or(|reason| reason == SECOND)
            {
                leave(&mutant, n_mutants, Path::new(to));
            }
        }
    }
    println!("{n_noticed} of {n_tried} are noticed by golden files, of {n_mutants} in all.");
    assert!(n_noticed > 0 && wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_listed_is_a_mutant_of_a_report() {
    let mut titles = Vec::new();
    for name in Registry::ours().all().iter().map(|report| &report.name) {
        titles.extend(mutants(name, &text_of(name)).into_iter().map(|it| it.title));
    }
    for title in unnoticed().keys() {
        assert!(titles.iter().any(|it| it == title), "{title}");
    }
}
