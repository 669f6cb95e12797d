//! The places of an axis: the values of a column, each once.

use super::super::value::{exact, number};
use super::names_of_days;
use crate::chart::{Axis, Kind};
use jiff::tz::TimeZone;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use store::Cell;

/// Values of a column: days, moments and numbers rise, names keep their order.
pub(super) struct Places {
    cells: Vec<Cell>,
    by_cell: HashMap<String, usize>,
}

impl Places {
    /// Each value once; what is not known has no place among days, moments and numbers.
    pub(super) fn of<'c>(all: impl Iterator<Item = &'c Cell>) -> Self {
        let mut seen = HashSet::new();
        let mut cells: Vec<Cell> = Vec::new();
        for cell in all {
            if seen.insert(key(cell)) {
                cells.push(cell.clone());
            }
        }
        let has_names = cells.iter().any(|cell| matches!(cell, Cell::Text(_)));
        if !has_names {
            cells.retain(|cell| *cell != Cell::Null);
            cells.sort_by(order);
        }
        let by_cell = cells
            .iter()
            .enumerate()
            .map(|(place, cell)| (key(cell), place));
        Self {
            by_cell: by_cell.collect(),
            cells,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The place of a value.
    pub(super) fn place(&self, cell: &Cell) -> Option<usize> {
        self.by_cell.get(&key(cell)).copied()
    }

    /// Their names; those of days may be shorter.
    pub(super) fn names(&self, name: impl Fn(&Cell) -> String) -> Vec<String> {
        match self.all(|cell| {
            if let Cell::Day(day) = cell {
                Some(*day)
            } else {
                None
            }
        }) {
            Some(days) => names_of_days(&days),
            None => self.cells.iter().map(name).collect(),
        }
    }

    /// An axis with these places.
    pub(super) fn axis(&self, kind: Kind, zone: TimeZone, name: impl Fn(&Cell) -> String) -> Axis {
        let days = self.all(|cell| {
            if let Cell::Day(day) = cell {
                Some(*day)
            } else {
                None
            }
        });
        if let Some(days) = days {
            return Axis::Days(days);
        }
        let at = self.all(|cell| {
            if let Cell::Time(at) = cell {
                Some(*at)
            } else {
                None
            }
        });
        if let Some(at) = at {
            return Axis::Moments { at, zone };
        }
        match self.all(number) {
            Some(numbers) if kind == Kind::Line => Axis::Numbers(numbers),
            _ => Axis::Categories(self.names(name)),
        }
    }

    /// All places, if each is of this kind.
    fn all<T>(&self, value: impl Fn(&Cell) -> Option<T>) -> Option<Vec<T>> {
        if self.cells.is_empty() {
            return None;
        }
        self.cells.iter().map(value).collect()
    }
}

/// Equal for equal values.
fn key(cell: &Cell) -> String {
    format!("{cell:?}")
}

fn order(left: &Cell, right: &Cell) -> Ordering {
    match (left, right) {
        (Cell::Day(left), Cell::Day(right)) => left.cmp(right),
        (Cell::Time(left), Cell::Time(right)) => left.cmp(right),
        (Cell::Flag(left), Cell::Flag(right)) => left.cmp(right),
        (Cell::Integer(left), Cell::Integer(right)) => left.cmp(right),
        (left, right) => {
            let of = |cell: &Cell| number(cell).unwrap_or(exact(i64::MAX));
            of(left).total_cmp(&of(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cells: &[Cell]) -> Vec<String> {
        let places = Places::of(cells.iter());
        places.names(|cell| format!("{cell:?}"))
    }

    #[test]
    fn numbers_rise_and_stand_once() {
        let cells = [10, 2, 10, 9].map(Cell::Integer);
        let places = Places::of(cells.iter().chain([&Cell::Null]));
        assert_eq!(places.len(), 3);
        assert_eq!(places.place(&Cell::Integer(10)), Some(2));
        assert_eq!(places.place(&Cell::Null), None);
    }

    #[test]
    fn names_keep_their_order() {
        let text = |name: &str| Cell::Text(name.to_owned());
        let shown = names(&[text("b"), text("a"), text("b"), Cell::Null]);
        assert_eq!(shown, ["Text(\"b\")", "Text(\"a\")", "Null"]);
    }

    #[test]
    fn first_days_of_months_are_named_as_months() {
        let day = |month, day| Cell::Day(jiff::civil::date(2026, month, day));
        assert_eq!(names(&[day(4, 1), day(3, 1)]), ["Mar 2026", "Apr 2026"]);
        assert_eq!(names(&[day(3, 1), day(3, 2)]), ["2026-03-01", "2026-03-02"]);
    }
}
