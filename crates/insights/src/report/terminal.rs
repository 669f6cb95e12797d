//! An answer on a terminal: aligned columns, a small bar beside the figure that the picture of the
//! report shows, and beneath it what a reader should know.

use super::about::{self, visible};
use super::value::{Reader, Shown, Side, number};
use std::io::{self, Write};
use store::Cell;
use store::report::{Answer, ChartKind};
use unicode_width::UnicodeWidthStr;

/// The terminal that is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns of letters; texts are wrapped there, rows are not.
    pub width: usize,
    /// Whether it knows bold and dim letters.
    pub ink: Ink,
    /// How many rows somebody may want to see at once.
    pub most_rows: usize,
}

/// Whether letters may be bold and dim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// A terminal that knows the usual escape sequences.
    Styled,
    /// A file, or a terminal that does not.
    Plain,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            width: 100,
            ink: Ink::Plain,
            most_rows: 1000,
        }
    }
}

/// Letters of a bar that is as long as it can be.
const BAR: usize = 10;
/// A bar's last letter, by eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// Between two columns.
const SPACE: &str = "  ";
/// Narrower text is hard to read, wherever it stands.
const NARROWEST: usize = 40;

/// Writes the answer.
pub fn write(answer: &Answer, screen: Screen, output: &mut impl Write) -> io::Result<()> {
    let page = Page {
        answer,
        reader: Reader::new(answer),
        screen,
    };
    page.write_head(output)?;
    page.write_rows(output)?;
    page.write_notes(output)
}

struct Page<'a> {
    answer: &'a Answer,
    reader: Reader<'a>,
    screen: Screen,
}

/// A column as it is printed: head and cells.
struct Printed {
    side: Side,
    width: usize,
    head: String,
    cells: Vec<String>,
}

impl Printed {
    fn new(side: Side, head: String, cells: Vec<String>) -> Self {
        let widths = cells.iter().chain([&head]).map(|text| text.width());
        let width = widths.max().unwrap_or(0);
        Self {
            side,
            width,
            head,
            cells,
        }
    }
}

impl Page<'_> {
    fn write_head(&self, output: &mut impl Write) -> io::Result<()> {
        let report = &self.answer.report;
        writeln!(output, "{}", self.styled("1", &visible(&report.title)))?;
        for line in self.wrapped(&visible(&report.question)) {
            writeln!(output, "{line}")?;
        }
        for line in self.wrapped(&about::line(self.answer)) {
            writeln!(output, "{}", self.styled("2", &line))?;
        }
        writeln!(output)
    }

    fn write_rows(&self, output: &mut impl Write) -> io::Result<()> {
        let n_rows = self.answer.table.n_rows();
        if n_rows == 0 {
            for line in self.wrapped(&about::nothing(self.answer)) {
                writeln!(output, "{line}")?;
            }
            return writeln!(output);
        }
        let columns = self.columns();
        let heads = columns.iter().map(|column| Piece {
            text: &column.head,
            column,
        });
        let head = line(heads);
        writeln!(output, "{}", self.styled("1", &head))?;
        for row in 0..n_rows.min(self.screen.most_rows) {
            let cells = columns.iter().map(|column| Piece {
                text: &column.cells[row],
                column,
            });
            writeln!(output, "{}", line(cells))?;
        }
        if let Some(left) = about::left_out(n_rows, self.screen.most_rows) {
            writeln!(output, "… {left} more rows, use --format csv")?;
        }
        writeln!(output)
    }

    fn write_notes(&self, output: &mut impl Write) -> io::Result<()> {
        for caveat in &self.answer.caveats {
            let lines = self.wrapped_behind("Note: ", &visible(caveat));
            for line in lines {
                writeln!(output, "{line}")?;
            }
        }
        if !self.answer.caveats.is_empty() {
            writeln!(output)?;
        }
        let text = [
            visible(&self.answer.report.definition),
            about::source(self.answer),
        ]
        .join(" ");
        for line in self.wrapped(&text) {
            writeln!(output, "{}", self.styled("2", &line))?;
        }
        Ok(())
    }

    fn columns(&self) -> Vec<Printed> {
        let rows = self.answer.table.rows().take(self.screen.most_rows);
        let rows: Vec<Vec<Cell>> = rows.collect();
        let mut columns = Vec::new();
        for shown in self.reader.columns() {
            let cells = rows.iter().map(|row| self.reader.text(shown, row));
            let head = visible(&shown.name_with_unit());
            columns.push(Printed::new(shown.side(), head, cells.collect()));
            if self.is_main(shown) {
                columns.push(bars(shown, &rows));
            }
        }
        columns
    }

    /// Whether the picture of the report is one of bars or lines of this column's values.
    fn is_main(&self, shown: &Shown<'_>) -> bool {
        let spec = self.answer.report.chart.as_ref();
        let spec = spec.filter(|spec| spec.kind != ChartKind::Heatmap);
        let main = spec.and_then(|spec| spec.y.first());
        main == Some(&shown.column.name) && shown.side() == Side::Right
    }

    fn styled(&self, code: &str, text: &str) -> String {
        match self.screen.ink {
            Ink::Styled if !text.is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }

    fn wrapped(&self, text: &str) -> Vec<String> {
        self.wrapped_behind("", text)
    }

    /// Lines, of which the first begins with a word and the others with as much room.
    fn wrapped_behind(&self, word: &str, text: &str) -> Vec<String> {
        let width = self.screen.width.max(NARROWEST);
        let mut lines = Vec::new();
        let mut line = word.to_owned();
        let mut has_words = false;
        for word_of_text in text.split_whitespace() {
            if has_words && line.width() + 1 + word_of_text.width() > width {
                lines.push(std::mem::replace(&mut line, " ".repeat(word.width())));
                has_words = false;
            }
            if has_words {
                line.push(' ');
            }
            line.push_str(word_of_text);
            has_words = true;
        }
        lines.push(line);
        lines
    }
}

/// A bar for each value, as long as it is of the largest one.
fn bars(shown: &Shown<'_>, rows: &[Vec<Cell>]) -> Printed {
    let values = rows.iter().map(|row| row.get(shown.place).and_then(number));
    let values: Vec<Option<f64>> = values.collect();
    let largest = values.iter().flatten().copied().fold(0.0, f64::max);
    let bars = values.iter().map(|value| match value {
        Some(value) if largest > 0.0 && *value > 0.0 => bar(value / largest),
        _ => String::new(),
    });
    Printed::new(Side::Left, " ".repeat(BAR), bars.collect())
}

/// A bar for a part of one; the shortest can still be seen.
fn bar(part: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "1 to 80"
    )]
    let eighths = (part.clamp(0.0, 1.0) * (BAR * 8) as f64).round().max(1.0) as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// One text of a line.
struct Piece<'a> {
    text: &'a str,
    column: &'a Printed,
}

/// Texts beside each other, each as wide as its column.
fn line<'a>(pieces: impl Iterator<Item = Piece<'a>>) -> String {
    let mut line = String::new();
    for piece in pieces {
        if !line.is_empty() {
            line.push_str(SPACE);
        }
        let room = " ".repeat(piece.column.width.saturating_sub(piece.text.width()));
        match piece.column.side {
            Side::Left => line.extend([piece.text, &room]),
            Side::Right => line.extend([room.as_str(), piece.text]),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part() {
        let cases = [
            (0.0, "▏"),
            (0.05, "▌"),
            (0.5, "█████"),
            (0.99, "█████████▉"),
            (1.0, "██████████"),
        ];
        for (part, expected) in cases {
            assert_eq!(bar(part), expected);
        }
    }
}
