//! What holds of every report, or of several together, whatever the history: laws, on random tiny
//! histories and the real queries.
//!
//! What a report's rows should be for one history is in its golden file.

mod caveats;
mod days;
mod new_users;
mod readers;
mod rolling;
mod same;
mod shifted;
mod stored;
mod story;
mod sums;
mod unknown;
mod whole_store;

use super::golden::{Past, names, text_of};
use super::*;
use crate::query::{Engine, EngineSettings, Limits};
use crate::{Cell, Sources};
use jiff::civil::Date;
use model::attribution::{Attribution, ExtraMultipleRow, MultiGroupRule};
use model::filter::GroupFilter;
use proptest::prelude::{ProptestConfig, Strategy};
use std::sync::Arc;

/// So many cases, since reports are asked many questions in each; more with more than the usual 256
/// in `PROPTEST_CASES`.
fn cases(n: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: (n * usual.cases).div_ceil(256),
        max_shrink_iters: 60,
        ..usual
    }
}

fn run_test(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

/// Who answers.
struct Desk {
    engine: Engine,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = EngineSettings::new(folder.path().join("queries"));
        // As on a machine with several cores.
        let engine = Engine::new(EngineSettings {
            parts: 3,
            ..settings
        });
        Self {
            engine,
            _folder: folder,
        }
    }

    /// What a report says of these rows.
    async fn ask(&self, sources: &Sources, report: &Arc<Definition>, asked: &Asked) -> Rows {
        let answer = run(&self.engine, sources, report, asked, Limits::default()).await;
        Rows::of(&answer.unwrap_or_else(|error| panic!("{}: {error}", report.name)))
    }

    /// What a report says of a history.
    async fn tell(&self, past: &Past, name: &str, asked: &Asked) -> Rows {
        let sources = past.sources(asked.rollup);
        self.ask(&sources, &report(name), asked).await
    }
}

/// A report as its file is now.
fn report(name: &str) -> Arc<Definition> {
    let report = Definition::parse(name, &text_of(name));
    Arc::new(report.unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// All reports.
fn reports() -> Vec<Arc<Definition>> {
    names().iter().map(|name| report(name)).collect()
}

/// With the roll-up or without it.
fn rollups() -> impl Strategy<Value = RollUp> {
    proptest::sample::select(vec![RollUp::Used, RollUp::Unused])
}

/// A question about everybody.
fn period(from: Date, to: Date) -> Asked {
    by_rule(from, to, MultiGroupRule::Split)
}

fn by_rule(from: Date, to: Date, rule: MultiGroupRule) -> Asked {
    let groups = Attribution {
        filter: GroupFilter::default(),
        rule,
        extra_row: ExtraMultipleRow::Omit,
    };
    let site = Site {
        left_out: LeftOutAccounts::default(),
        groups,
        networks: vec![Network::parse("campus", "10.0.0.0/8").unwrap()],
    };
    Asked::period(from, to, site)
}

impl Asked {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.choices.insert(name.to_owned(), value.to_owned());
        self
    }

    fn with_rollup(mut self, rollup: RollUp) -> Self {
        self.rollup = rollup;
        self
    }
}

/// An answer.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "rows of an answer, beside their names"
)]
struct Rows {
    names: Vec<String>,
    rows: Vec<Vec<Cell>>,
    caveats: Vec<String>,
    never_known: Vec<Need>,
}

impl Rows {
    fn of(answer: &Answer) -> Self {
        Self {
            names: answer.table.names().map(str::to_owned).collect(),
            rows: answer.table.rows().collect(),
            caveats: answer.caveats.clone(),
            never_known: answer.never_known.clone(),
        }
    }

    fn column(&self, name: &str) -> usize {
        let position = self.names.iter().position(|known| known == name);
        position.unwrap_or_else(|| panic!("no column `{name}` in {:?}", self.names))
    }

    /// The values of a column.
    fn cells<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Cell> {
        let column = self.column(name);
        self.rows.iter().map(move |row| &row[column])
    }

    /// A column added up; what is not known adds nothing.
    fn sum(&self, name: &str) -> f64 {
        self.cells(name).filter_map(real).sum()
    }
}

/// The number in a cell; `None` if it is not known.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn real(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Null => None,
        Cell::Integer(number) => Some(*number as f64),
        Cell::Real(number) => Some(*number),
        other => panic!("{other:?} is no number"),
    }
}

/// Equal but for rounding.
fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1e-3)
}

#[track_caller]
fn assert_close(left: f64, right: f64, what: &str) {
    assert!(is_close(left, right), "{what}: {left} and {right}");
}
