//! How far an import is: a bar with an estimate on a terminal, else a line a day.

use indicatif::{ProgressBar, ProgressStyle};
use model::days::Day;

/// Counts hours.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            bar: ProgressBar::new(0).with_style(style()),
        }
    }
}

impl Progress {
    /// So many hours are to be read.
    pub(super) fn begin(&self, n_hours: usize) {
        self.bar.set_length(n_hours as u64);
        self.bar.reset_eta();
    }

    pub(super) fn advance(&self, n_hours: usize) {
        self.bar.inc(n_hours as u64);
    }

    /// A day, or the part of it that was missing, is over.
    pub(super) fn day(&self, day: Day, n_rows: usize) {
        self.bar.set_message(day.to_string());
        if self.bar.is_hidden() {
            let (read, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let left = indicatif::HumanDuration(self.bar.eta());
            eprintln!("{day}: {n_rows} rows; {read} of {all} hours, {left} left");
        }
    }

    pub(super) fn say(&self, what: &'static str) {
        self.bar.set_message(what);
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{msg}  {wide_bar} {pos} of {len} hours, {eta} left");
    // Only fails for a mistake in the text, and then the bar looks plain.
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}
