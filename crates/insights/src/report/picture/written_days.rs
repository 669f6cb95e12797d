//! Days and months that stand in a column as text, beside other choices of what a row is about.

use jiff::civil::Date;
use store::Cell;

/// Makes days of the texts in a column; `false` if any of them is no day, and then nothing changes.
pub(super) fn read(rows: &mut [Vec<Cell>], column: usize) -> bool {
    let days: Option<Vec<Date>> = rows.iter().map(|row| day(row.get(column)?)).collect();
    let Some(days) = days else {
        return false;
    };
    for (row, day) in rows.iter_mut().zip(days) {
        row[column] = Cell::Day(day);
    }
    true
}

/// The day, or the first one of the month.
fn day(cell: &Cell) -> Option<Date> {
    let Cell::Text(text) = cell else {
        return None;
    };
    match text.len() {
        10 => text.parse().ok(),
        7 => format!("{text}-01").parse().ok(),
        _ => None,
    }
}
