//! An answer in pieces, for a page that is made of several: its pictures, its rows as people read them,
//! and the words around them. Names are plain text here; what is called `…_html` is escaped.
//!
//! How pages look and where they lead is the business of [`crate::web`].

use super::about::{self, Quotes};
use super::heading::capital;
use super::html::{caveat_words, drawn, escaped, words};
use super::overview::{self, Number};
use super::picture;
use super::value::{self, Reader, Side};
use jiff::Timestamp;
use jiff::civil::Date;
use store::Cell;
use store::report::{Answer, Definition, Kind};

/// Most rows of a table in a page that has others beside it: it is to be there at once.
const MOST_ROWS: usize = 200;

/// An answer in pieces.
pub struct Fragment {
    /// Of the report.
    pub title: String,
    /// What it answers.
    pub question_html: String,
    /// How it is defined.
    pub definition_html: String,
    /// The same without markup.
    pub definition: String,
    /// What to know before believing it.
    pub caveats_html: Vec<String>,
    /// Where it comes from, and of which days.
    pub source: String,
    /// The last reading of the hub that it stands on.
    pub at: Option<Timestamp>,
    /// Numbers of an overview.
    pub numbers: Vec<FragmentNumber>,
    /// Pictures: a title, which may be empty, and an SVG.
    pub figures: Vec<FragmentFigure>,
    /// Heads of the columns.
    pub heads: Vec<FragmentHead>,
    /// A cell for each head.
    pub rows: Vec<Vec<FragmentCell>>,
    /// Says that there are more rows.
    pub more_rows: Option<String>,
    /// Says why there is no row, if there is none.
    pub nothing: Option<String>,
}

/// One of the numbers of an overview.
pub struct FragmentNumber {
    /// What is counted.
    pub title: String,
    /// How.
    pub definition: String,
    /// As people read it; `–` if it is not known.
    pub text: String,
    /// Behind it; may be empty.
    pub unit: String,
    /// `▲`, `▼` or nothing.
    pub sign: &'static str,
    /// What became of it; empty if nobody can say.
    pub change: String,
    /// Name of the report that tells more.
    pub report: String,
}

/// A picture.
pub struct FragmentFigure {
    /// Empty where the title of the answer says it.
    pub title: String,
    /// In the colours of the page.
    pub svg: String,
}

/// The head of a column.
pub struct FragmentHead {
    /// With the unit.
    pub text: String,
    /// What it means.
    pub doc: String,
    /// Whether its values are numbers, which stand right.
    pub is_number: bool,
    /// Whether it names what a row is about.
    pub is_name: bool,
    /// Whose names its values are.
    pub names: Option<Named>,
}

/// What the names in a column are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Users.
    Users,
    /// Groups.
    Groups,
}

/// A value.
pub struct FragmentCell {
    /// As people read it.
    pub text: String,
    /// The name itself, where it is one.
    pub name: Option<String>,
    /// The number itself, where it is one.
    pub number: Option<f64>,
    /// The moment itself, where it is one.
    pub moment: Option<Timestamp>,
    /// The day itself, where it is one.
    pub day: Option<Date>,
}

impl Fragment {
    /// The answer with pictures of so many pixels across.
    pub fn new(answer: &Answer, width: u32) -> Self {
        let reader = Reader::new(answer);
        let report = &answer.report;
        let n_rows = answer.table.n_rows();
        let nothing = (n_rows == 0).then(|| about::nothing(answer));
        Self {
            title: about::visible(&report.title),
            question_html: words(&reader, Quotes::Columns, &report.question),
            definition_html: words(&reader, Quotes::Columns, &report.definition),
            definition: about::visible(&report.definition),
            caveats_html: answer
                .caveats
                .iter()
                .map(|caveat| caveat_words(&reader, caveat))
                .collect(),
            source: about::line(answer),
            at: answer.hubs.iter().filter_map(|hub| hub.read).min(),
            numbers: numbers(answer),
            figures: figures(answer, width),
            heads: heads(&reader),
            rows: rows(&reader, answer),
            more_rows: about::more_rows(answer, MOST_ROWS),
            nothing,
        }
    }
}

fn numbers(answer: &Answer) -> Vec<FragmentNumber> {
    if answer.report.name != overview::NAME {
        return Vec::new();
    }
    let numbers = Number::all(answer).into_iter().map(|number| {
        let amount = number.value.map(|value| number.amount(value));
        let (text, unit) = match amount {
            Some(amount) => (amount.number, amount.unit),
            None => (value::UNKNOWN.to_owned(), String::new()),
        };
        FragmentNumber {
            definition: clause(&answer.report.definition, &number.key),
            sign: number.change().sign(),
            change: number.change_in_words(),
            unit: if number.title_says_unit() {
                String::new()
            } else {
                unit
            },
            report: number.report.clone(),
            title: number.title,
            text,
        }
    });
    numbers.collect()
}

/// What a report answers, without an answer.
pub fn question_html(report: &Definition) -> String {
    let parts = report.question.split('`').enumerate();
    let parts = parts.map(|(place, text)| {
        let text = escaped(text);
        if place % 2 == 1 {
            format!("<code>{text}</code>")
        } else {
            text
        }
    });
    parts.collect()
}

/// What a definition says of one of several things that it names as `key`.
fn clause(definition: &str, key: &str) -> String {
    let quoted = format!("`{key}`");
    let Some(begin) = definition.find(&quoted) else {
        return about::visible(definition);
    };
    let text = &definition[begin + quoted.len()..];
    let ends = ["; `", ". "].iter().filter_map(|end| text.find(end));
    let text = text[..ends.min().unwrap_or(text.len())].trim();
    about::visible(&capital(&text.replace('`', "")))
}

fn figures(answer: &Answer, width: u32) -> Vec<FragmentFigure> {
    let page = format!("{}: ", about::visible(&answer.report.title));
    let figures = picture::charts(answer)
        .into_iter()
        .map(|chart| FragmentFigure {
            svg: drawn(&chart, width),
            title: chart
                .title
                .strip_prefix(&page)
                .map(capital)
                .unwrap_or_default(),
        });
    figures.collect()
}

fn heads(reader: &Reader<'_>) -> Vec<FragmentHead> {
    let heads = reader.columns().map(|shown| FragmentHead {
        text: shown.heading.clone(),
        doc: about::visible(&shown.column.doc),
        is_number: shown.side() == Side::Right,
        is_name: shown.names_rows(),
        names: match (shown.column.kind, shown.column.name.as_str()) {
            (Kind::Name, "user") => Some(Named::Users),
            (Kind::Name, "group") => Some(Named::Groups),
            _ => None,
        },
    });
    heads.collect()
}

fn rows(reader: &Reader<'_>, answer: &Answer) -> Vec<Vec<FragmentCell>> {
    let rows = answer.table.rows().take(MOST_ROWS).map(|row| {
        let cells = reader.columns().map(|shown| {
            let cell = row.get(shown.place);
            FragmentCell {
                text: reader.text(shown, &row),
                name: match cell {
                    Some(Cell::Text(text)) if shown.column.kind == Kind::Name => Some(text.clone()),
                    _ => None,
                },
                number: cell.and_then(value::number),
                moment: match cell {
                    Some(Cell::Time(at)) => Some(*at),
                    _ => None,
                },
                day: match cell {
                    Some(Cell::Day(day)) => Some(*day),
                    _ => None,
                },
            }
        });
        cells.collect()
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_defined_by_its_own_words() {
        let definition = "Ten numbers. `users` are people who came; `hours` server hours, both counting. \
                          Sums are over days.";
        assert_eq!(clause(definition, "users"), "Are people who came");
        assert_eq!(clause(definition, "hours"), "Server hours, both counting");
        assert_eq!(clause("All of it.", "users"), "All of it.");
    }
}
