//! One report on a folder that is there, cold and without the roll-up; or all of them in one process,
//! as pages ask for them.
//!
//! What DuckDB makes of the same rows, and the comparison, is in `bench/reports.py`.

use crate::process;
use jiff::civil::Date;
use model::attribution::{Attribution, ExtraMultipleRow, MultiGroupRule};
use model::filter::GroupFilter;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::report::{Asked, Definition, LeftOutAccounts, Registry, ReportError, RollUp, Site};
use store::{Engine, EngineSettings, Folder, Format, Limits, Store};

/// The folder and the period.
pub(crate) struct Year<'a> {
    pub(crate) folder: &'a str,
    pub(crate) from: Date,
    pub(crate) to: Date,
}

struct Asker<'a> {
    year: &'a Year<'a>,
    store: Store,
    engine: Engine,
}

impl<'a> Asker<'a> {
    fn new(year: &'a Year<'a>) -> Self {
        let folder = Folder::existing(Path::new(year.folder)).expect("a folder with history");
        let engine = Engine::new(EngineSettings::new(folder.temporary()));
        let store = Store::open(folder).expect("it opens");
        Self {
            year,
            store,
            engine,
        }
    }

    /// The rows as CSV.
    async fn answer(
        &self,
        report: &Arc<Definition>,
        rollup: RollUp,
    ) -> Result<Vec<u8>, ReportError> {
        let asked = Asked {
            rollup,
            ..Asked::period(self.year.from, self.year.to, site())
        };
        let limits = Limits {
            timeout: Duration::from_mins(10),
            ..Limits::default()
        };
        let question = self.store.question(report, asked, crate::now()).await;
        let question = question.expect("the store can be read");
        let answer = question.answer(&self.engine, limits).await?;
        let mut text = Vec::new();
        let written = answer.table.write(Format::Csv, &mut text);
        written.expect("memory takes it");
        Ok(text)
    }
}

/// Of a site that decided nothing.
fn site() -> Site {
    Site {
        left_out: LeftOutAccounts::default(),
        groups: Attribution {
            filter: GroupFilter::default(),
            rule: MultiGroupRule::InEach,
            extra_row: ExtraMultipleRow::Omit,
        },
        networks: Vec::new(),
    }
}

/// Prints one report of the period, made from the rows themselves.
pub(crate) async fn one(year: &Year<'_>, name: &str) {
    let registry = Registry::ours();
    let report = registry.get(name).expect("a report of this name");
    let text = Asker::new(year).answer(report, RollUp::Unused).await;
    let text = text.unwrap_or_else(|error| {
        eprintln!("store: {name}: {error}");
        std::process::exit(1)
    });
    std::io::stdout().write_all(&text).expect("somebody reads");
}

/// Prints what each report takes the second time, with the roll-up: name, CPU and wall time in
/// milliseconds. What has no answer is told on standard error.
pub(crate) async fn pages(year: &Year<'_>) {
    let asker = Asker::new(year);
    for report in Registry::ours().all() {
        if let Err(error) = asker.page(report).await {
            eprintln!("store: {}: {error}", report.name);
        }
    }
}

impl Asker<'_> {
    async fn page(&self, report: &Arc<Definition>) -> Result<(), ReportError> {
        self.answer(report, RollUp::Used).await?;
        let (cpu, wall) = (process::cpu(), Instant::now());
        self.answer(report, RollUp::Used).await?;
        let (cpu, wall) = (process::cpu().saturating_sub(cpu), wall.elapsed());
        println!("{},{},{}", report.name, cpu.as_millis(), wall.as_millis());
        Ok(())
    }
}
