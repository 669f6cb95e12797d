//! An answer as Markdown, for a wiki, an issue or a paper. Names come from outside: nothing in them
//! is markup.

use super::about::{self, Look, MADE_BY, MOST_ROWS, Quotes, visible};
use super::value::{Reader, Side};
use std::fmt::Write as _;
use store::report::Answer;
use unicode_width::UnicodeWidthStr;

/// The whole text.
pub(super) fn text(answer: &Answer) -> String {
    let reader = Reader::new(answer);
    let report = &answer.report;
    let mut text = format!("# {}\n\n", escaped(&report.title));
    text.push_str(&words(&reader, Quotes::Columns, &report.question));
    text.push_str("\n\n");
    text.push_str(&escaped(&about::line(answer)));
    text.push_str("\n\n");
    match answer.table.n_rows() {
        0 => {
            text.push_str(&about::nothing(answer));
            text.push('\n');
        }
        _ => write_table(&mut text, &reader),
    }
    // Writing to a string does not fail.
    if let Some(more) = about::more_rows(answer, MOST_ROWS) {
        let _ = write!(text, "\n{more}\n");
    }
    for caveat in &answer.caveats {
        let caveat = words(&reader, Quotes::of_caveat(answer, caveat), caveat);
        let _ = write!(text, "\n**Note.** {caveat}\n");
    }
    let definition = words(&reader, Quotes::Columns, &report.definition);
    let source = escaped(&about::source(answer));
    let _ = write!(
        text,
        "\n**Definition.** {definition}\n\n{source} Made by {MADE_BY}.\n"
    );
    text
}

/// A column with its texts, escaped.
struct Column {
    side: Side,
    width: usize,
    cells: Vec<String>,
}

/// The narrowest column: its ruler has three letters.
const NARROWEST: usize = 3;
/// The widest column whose cells are filled up; longer ones would make every row long.
const WIDEST: usize = 60;

fn write_table(text: &mut String, reader: &Reader<'_>) {
    let rows: Vec<_> = reader.answer.table.rows().take(MOST_ROWS).collect();
    let columns = reader.columns().map(|shown| {
        let cells = rows.iter().map(|row| escaped(&reader.text(shown, row)));
        let cells: Vec<String> = std::iter::once(escaped(&shown.heading))
            .chain(cells)
            .collect();
        let widest = cells.iter().map(|cell| cell.width()).max();
        Column {
            side: shown.side(),
            width: widest.unwrap_or(0).clamp(NARROWEST, WIDEST),
            cells,
        }
    });
    let columns: Vec<Column> = columns.collect();
    write_row(text, &columns, 0);
    for column in &columns {
        let line = "-".repeat(column.width + 1);
        let _ = match column.side {
            Side::Left => write!(text, "|:{line}"),
            Side::Right => write!(text, "|{line}:"),
        };
    }
    text.push_str("|\n");
    for row in 1..=rows.len() {
        write_row(text, &columns, row);
    }
}

fn write_row(text: &mut String, columns: &[Column], row: usize) {
    for column in columns {
        let cell = &column.cells[row];
        let room = " ".repeat(column.width.saturating_sub(cell.width()));
        let _ = match column.side {
            Side::Left => write!(text, "| {cell}{room} "),
            Side::Right => write!(text, "| {room}{cell} "),
        };
    }
    text.push_str("|\n");
}

/// A definition or a caveat.
fn words(reader: &Reader<'_>, quotes: Quotes, text: &str) -> String {
    let pieces = about::pieces(reader, quotes, text).into_iter();
    let written = pieces.map(|piece| match piece.look {
        Look::Plain => escaped(&piece.text),
        Look::Column => format!("*{}*", escaped(&piece.text)),
        Look::Code => format!("`{}`", piece.text),
    });
    written.collect()
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in visible(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '$' => {
                escaped.extend(['\\', letter]);
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        let cases = [
            ("a|b", r"a\|b"),
            ("<b>&", "&lt;b&gt;&amp;"),
            ("[x](y)", r"\[x\](y)"),
            ("_a_ `b` *c*", r"\_a\_ \`b\` \*c\*"),
            ("a\nb", r"a\\nb"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text), expected);
        }
    }
}
