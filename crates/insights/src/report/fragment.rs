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
use crate::chart::Chart;
use jiff::Timestamp;
use jiff::civil::Date;
use store::Cell;
use store::report::{Answer, Definition, Kind};

/// Most rows of a table in a page that has others beside it: it is to be there at once.
const MOST_ROWS: usize = 200;
/// Pixels between two pictures beside each other.
const GAP: u32 = 20;
/// A picture that is narrower is hard to read.
const NARROWEST: u32 = 340;

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
    /// Pictures: a title, which may be empty, and an SVG. One in which nothing could be seen is left out.
    pub figures: Vec<FragmentFigure>,
    /// How many of them stand beside each other, and are drawn for that.
    pub abreast: u32,
    /// How many are left out.
    pub n_empty_figures: usize,
    /// Heads of the columns.
    pub heads: Vec<FragmentHead>,
    /// A cell for each head.
    pub rows: Vec<Vec<FragmentCell>>,
    /// Says that there are more rows.
    pub more_rows: Option<String>,
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
    /// What that is against, as `1,204 in the 30 days before`; empty if that is not known.
    pub before: String,
    /// The hub, where the answer is of several.
    pub hub: Option<String>,
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
        let pictures = Pictures::of(answer);
        let abreast = abreast(pictures.seen.len(), width);
        let each = (width - GAP * (abreast - 1)) / abreast;
        Self {
            title: about::visible(&report.title),
            question_html: words(&reader, Quotes::Columns, &report.question),
            definition_html: words(&reader, Quotes::Columns, &report.definition),
            definition: about::visible(&report.definition),
            caveats_html: caveats(&reader, answer, &pictures),
            source: about::line(answer),
            at: answer.hubs.iter().filter_map(|hub| hub.read).min(),
            numbers: numbers(answer),
            figures: pictures
                .seen
                .into_iter()
                .map(|drawing| FragmentFigure {
                    svg: drawn(&drawing.chart, each),
                    title: drawing.title,
                })
                .collect(),
            abreast,
            n_empty_figures: pictures.empty.len(),
            heads: heads(&reader),
            rows: rows(&reader, answer),
            more_rows: about::more_rows(answer, MOST_ROWS),
        }
    }
}

fn numbers(answer: &Answer) -> Vec<FragmentNumber> {
    if answer.report.name != overview::NAME {
        return Vec::new();
    }
    let (is_one, period) = (answer.hubs.len() == 1, overview::before(answer));
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
            before: number.before.map_or(String::new(), |before| {
                format!("{} {period}", number.amount(before).short())
            }),
            hub: (!is_one).then(|| about::visible(&number.hub)),
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

fn caveats(reader: &Reader<'_>, answer: &Answer, pictures: &Pictures) -> Vec<String> {
    let told = answer.caveats.iter();
    let told = told.map(|caveat| caveat_words(reader, caveat));
    let empty = pictures.empty.iter().filter(|title| !title.is_empty());
    let left_out = empty.map(|title| {
        let title = escaped(title);
        format!("{title}: nothing of it is known in this period, so there is no picture of it.")
    });
    told.chain(left_out).collect()
}

/// How many of so many pictures fit beside each other.
fn abreast(n_figures: usize, width: u32) -> u32 {
    let n_figures = u32::try_from(n_figures).unwrap_or(u32::MAX);
    ((width + GAP) / (NARROWEST + GAP)).clamp(1, n_figures.clamp(1, 3))
}

/// The pictures of an answer, and the titles of those in which nothing could be seen.
struct Pictures {
    seen: Vec<Drawing>,
    empty: Vec<String>,
}

/// A picture and its title, which is empty where that of the answer says it.
struct Drawing {
    title: String,
    chart: Chart,
}

impl Pictures {
    fn of(answer: &Answer) -> Self {
        let page = format!("{}: ", about::visible(&answer.report.title));
        let all = picture::charts(answer).into_iter().map(|chart| Drawing {
            title: chart
                .title
                .strip_prefix(&page)
                .map(capital)
                .unwrap_or_default(),
            chart,
        });
        let (seen, empty): (Vec<_>, Vec<_>) = all.partition(|drawing| drawing.chart.has_data());
        Self {
            seen,
            empty: empty.into_iter().map(|drawing| drawing.title).collect(),
        }
    }
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
    fn pictures_stand_beside_each_other_where_each_can_be_read() {
        let cases = [
            (0, 1280, 1),
            (1, 1280, 1),
            (3, 1280, 3),
            (3, 900, 2),
            (3, 600, 1),
            (8, 1600, 3),
        ];
        for (n_figures, width, expected) in cases {
            assert_eq!(
                abreast(n_figures, width),
                expected,
                "{n_figures} in {width}"
            );
        }
    }

    #[test]
    fn a_number_is_defined_by_its_own_words() {
        let definition = "Ten numbers. `users` are people who came; `hours` server hours, both counting. \
                          Sums are over days.";
        assert_eq!(clause(definition, "users"), "Are people who came");
        assert_eq!(clause(definition, "hours"), "Server hours, both counting");
        assert_eq!(clause("All of it.", "users"), "All of it.");
    }
}
