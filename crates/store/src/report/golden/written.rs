//! An answer as a golden file has it.

use crate::Cell;
use crate::report::{Answer, ReportError};
use std::fmt::Write as _;

/// The rows as lines, columns beneath each other.
pub(super) fn written(outcome: &Result<Answer, ReportError>) -> String {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => return format!("error: {error}\n"),
    };
    let mut lines = vec![answer.table.names().map(str::to_owned).collect::<Vec<_>>()];
    lines.extend(
        answer
            .table
            .rows()
            .map(|row| row.iter().map(cell).collect()),
    );
    let n_columns = lines[0].len();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..n_columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let line = padded.collect::<Vec<_>>().join(" | ");
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    for caveat in &answer.caveats {
        if !answer.report.caveats.contains(caveat) {
            writeln!(text, "! {caveat}").unwrap();
        }
    }
    text
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Null => "?".to_owned(),
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => {
            let text = format!("{number:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Cell::Time(time) => time.to_string(),
        Cell::Day(day) => day.to_string(),
        Cell::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
    }
}
