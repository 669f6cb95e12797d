//! The history of `demo`: made before the service starts, with a progress bar.

use crate::cli::{CommandError, block_on};
use crate::sim::World;
use crate::sim::history::{Discard, FillError, Filled, History, HistoryShape, Progress, fill};
use anyhow::Context as _;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use jiff::civil::Date;
use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::sync::Arc;

/// Makes the history of the world and writes it; then the world was active when the history says.
pub(super) fn make(world: &mut World, shape: &HistoryShape, hub: &str) -> Result<(), CommandError> {
    if shape.n_days == 0 {
        return Ok(());
    }
    let history = History::plan(world, shape);
    let mut meter = Meter::new(shape.n_days);
    let filled = block_on(write(history, &hub.into(), |progress| meter.show(progress)))?;
    let Filled { history, totals } = filled.context("could not make the history")?;
    meter.finish();
    eprintln!(
        "History: {} sessions, {} rows.",
        HumanCount(totals.n_sessions),
        HumanCount(totals.n_rows())
    );
    history.settle(world);
    Ok(())
}

/// Where the history goes.
///
/// Counted and dropped, until the store can take rows of any time: then this opens the store, gives
/// a sink that appends to it, and puts [`History::running`] and the world's groups and users into
/// its present.
async fn write(
    history: History,
    hub: &Arc<str>,
    progress: impl FnMut(Progress),
) -> Result<Filled, FillError<Infallible>> {
    fill(history, hub, &Discard, progress).await
}

/// A bar on a terminal, else a line for each month.
enum Meter {
    Bar(ProgressBar),
    Lines(Option<Date>),
}

impl Meter {
    fn new(n_days: u32) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("Making a history of {n_days} days …");
            return Self::Lines(None);
        }
        let bar = ProgressBar::new(1);
        let style = "History {msg}  {wide_bar} {percent:>3} %  {elapsed} of {duration}";
        // Only fails for a mistake in the text, and then the bar looks plain.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    fn show(&mut self, progress: Progress) {
        let month = progress.month.strftime("%Y-%m");
        match self {
            Self::Bar(bar) => {
                bar.set_length(progress.n_parts);
                bar.set_position(progress.n_done);
                bar.set_message(month.to_string());
            }
            Self::Lines(shown) if *shown != Some(progress.month) => {
                *shown = Some(progress.month);
                let n_rows = HumanCount(progress.n_rows);
                eprintln!("  {month}  {n_rows} rows so far");
            }
            Self::Lines(_) => {}
        }
    }

    fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
