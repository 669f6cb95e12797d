//! Rows on their way in, in portions: a day of a large hub is more than what is taken at once.

use store::{Intake, Position};

/// Rows that are handed in together.
const ROWS_AT_ONCE: usize = 5000;

/// Rows of one piece of time.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<Intake>);

impl Rows {
    /// Where the next row goes.
    pub(super) fn place(&mut self) -> &mut Intake {
        let is_full = |last: &Intake| last.n_rows() >= ROWS_AT_ONCE;
        if self.0.last().is_none_or(is_full) {
            self.0.push(Intake::default());
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// All portions; the last one says how far the import came. Those before it, without the last,
    /// are known when they come again.
    pub(super) fn with_position(mut self, position: Position) -> Vec<Intake> {
        self.place().position(position);
        self.0
    }
}
