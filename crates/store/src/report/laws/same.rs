//! Whether two answers are the same but for rounding.

use super::{Rows, is_close};
use crate::Cell;

impl Rows {
    /// By whatever is exact: measures that are equal but for rounding may have changed places.
    fn sorted(&self) -> Vec<&Vec<Cell>> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        let key = |row: &&Vec<Cell>| {
            let exact = row.iter().filter(|cell| !matches!(cell, Cell::Real(_)));
            exact.map(|cell| format!("{cell:?}")).collect::<Vec<_>>()
        };
        rows.sort_by_cached_key(key);
        rows
    }
}

fn is_same(left: &Cell, right: &Cell) -> bool {
    match (left, right) {
        (Cell::Real(left), Cell::Real(right)) => is_close(*left, *right),
        (left, right) => left == right,
    }
}

/// The rows are the same.
#[track_caller]
pub(super) fn assert_same_rows(left: &Rows, right: &Rows, what: &str) {
    let (one, other) = (left.sorted(), right.sorted());
    let are_same = left.names == right.names
        && one.len() == other.len()
        && one.iter().zip(&other).all(|(one, other)| {
            one.iter()
                .zip(other.iter())
                .all(|(one, other)| is_same(one, other))
        });
    assert!(are_same, "{what}:\n{}\nand\n{}", told(left), told(right));
}

/// The rows and what is said beneath them are the same.
#[track_caller]
pub(super) fn assert_same(left: &Rows, right: &Rows, what: &str) {
    assert_same_rows(left, right, what);
    assert_eq!(left.caveats, right.caveats, "{what}");
}

fn told(rows: &Rows) -> String {
    let lines = rows.rows.iter().map(|row| format!("{row:?}"));
    let lines: Vec<String> = lines.collect();
    format!("{:?}\n{}", rows.names, lines.join("\n"))
}
