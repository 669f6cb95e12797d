//! The history of `demo`: made before the service starts, with a progress bar.

use super::sink::Sink;
use crate::cli::{CommandError, block_on};
use crate::config::Config;
use crate::poll::clock::now;
use crate::service::keeper_settings;
use crate::sim::World;
use crate::sim::history::{Filled, History, HistoryShape, Progress, fill};
use crate::sim::usage::Past;
use anyhow::Context as _;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use jiff::civil::Date;
use std::io::IsTerminal as _;
use store::Store;

/// Makes the history of the world and writes it; then the world was active when the history says.
/// Gives what its servers' usage goes on from.
pub(super) fn make(
    world: &mut World,
    shape: &HistoryShape,
    config: &Config,
    store: &Store,
) -> Result<Past, CommandError> {
    if shape.n_days == 0 {
        return Ok(Past::none(world, shape.seed, shape.until));
    }
    let history = History::plan(world, shape);
    let mut meter = Meter::new(shape.n_days);
    let written = block_on(write(history, world, config, store, |progress| {
        meter.show(progress);
    }))?;
    let Written { filled, past } = written.context("could not make the history")?;
    let Filled { history, totals } = filled;
    meter.finish();
    eprintln!(
        "History: {} sessions, {} rows.",
        HumanCount(totals.n_sessions),
        HumanCount(totals.n_rows())
    );
    history.settle(world);
    Ok(past)
}

/// A history that was written, and where its usage ends.
struct Written {
    filled: Filled,
    past: Past,
}

/// Writes the history, and what the service needs to go on from where it ends.
async fn write(
    history: History,
    world: &World,
    config: &Config,
    store: &Store,
    progress: impl FnMut(Progress),
) -> anyhow::Result<Written> {
    let keeper = store.try_keep(keeper_settings(config)).await?;
    let keeper = keeper.context("another process keeps this history")?;
    let sink = Sink::new(keeper, config.hub.time_zone(), now());
    let filled = fill(history, &config.hub.name.as_str().into(), &sink, progress).await?;
    let past = filled.history.past();
    sink.hand_over(&filled.history, &past, world).await?;
    Ok(Written { filled, past })
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
