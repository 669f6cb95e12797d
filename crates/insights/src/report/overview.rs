//! The one page for those who pay: ten numbers with their change against the time before, plain
//! sentences, three pictures, and how all of it is counted. Made to be printed, too.

mod numbers;

use super::about::{self, Look, Piece, Quotes, Whom};
use super::html::{self, Frame, WIDE, drawn};
use super::picture::charts_of;
use super::value::Reader;
use askama::Template;
use numbers::Amount;
pub(super) use numbers::Number;
use store::report::Answer;

/// The report that this page is of.
pub const NAME: &str = "overview";

/// The width of a picture beside another.
const NARROW: u32 = 440;
/// Most names in a picture.
const MOST_NAMES: usize = 10;

#[derive(Template)]
#[template(path = "report_overview.html")]
struct OverviewPage {
    frame: Frame,
    /// What it is, and whatever was chosen.
    of: String,
    period: String,
    hubs: Vec<OfHub>,
    wide: Vec<Picture>,
    narrow: Vec<Picture>,
    caveats_html: Vec<String>,
    definitions: Vec<Definition>,
}

/// The numbers of one hub.
struct OfHub {
    /// Empty where the page is about one hub only.
    name: String,
    paragraphs: Vec<String>,
    cards: Vec<Card>,
}

/// A number as it is shown.
struct Card {
    title: String,
    number: String,
    /// A short unit, beside the number.
    beside: String,
    /// A long one.
    below: Option<String>,
    /// An arrow, which says the same as the words after it.
    sign: &'static str,
    change: String,
    before: Option<String>,
}

/// A chart with the question that it answers.
struct Picture {
    title: String,
    question_html: String,
    svg: String,
}

/// How something on the page is counted.
struct Definition {
    title: String,
    html: String,
}

/// The page of these numbers, with pictures of further answers.
pub fn html(numbers: &Answer, pictures: &[&Answer]) -> anyhow::Result<String> {
    let mut of = vec![about::visible(&numbers.report.title)];
    of.extend(about::choices(numbers));
    let (wide, narrow) = pictures.split_at(pictures.len().min(1));
    let hubs_or_one = match &numbers.hubs[..] {
        [hub] => format!("The hub {} at a glance", about::visible(&hub.name)),
        _ => "The hubs at a glance".to_owned(),
    };
    let title = match Whom::of(numbers).in_words(None) {
        Some(whom) => format!("{hubs_or_one}: {whom}"),
        None => hubs_or_one,
    };
    let frame = Frame::new(numbers);
    let page = OverviewPage {
        frame: Frame { title, ..frame },
        of: of.join(" · "),
        period: about::days(numbers.from, numbers.to),
        hubs: hubs(numbers),
        wide: wide
            .iter()
            .flat_map(|answer| pictures_of(answer, WIDE))
            .collect(),
        narrow: narrow
            .iter()
            .flat_map(|answer| pictures_of(answer, NARROW))
            .collect(),
        caveats_html: caveats(numbers, pictures),
        definitions: definitions(numbers, pictures),
    };
    Ok(page.render()?)
}

fn hubs(answer: &Answer) -> Vec<OfHub> {
    let all = Number::all(answer);
    let period = Period::of(answer);
    let is_one = answer.hubs.len() == 1;
    let hubs = answer.hubs.iter().map(|hub| {
        let of_hub: Vec<&Number> = all.iter().filter(|number| number.hub == hub.name).collect();
        OfHub {
            name: if is_one {
                String::new()
            } else {
                about::visible(&hub.name)
            },
            paragraphs: numbers::paragraphs(&of_hub, &period),
            cards: of_hub.iter().map(|number| card(number)).collect(),
        }
    });
    hubs.collect()
}

fn card(number: &Number) -> Card {
    let change = number.change();
    let before = number
        .before
        .map(|before| format!("{} before", number.amount(before).short()));
    let amount = number.value.map(|value| number.amount(value));
    let amount = amount.unwrap_or_else(Amount::unknown);
    Card {
        title: number.title.clone(),
        beside: if amount.is_short() {
            amount.unit.clone()
        } else {
            String::new()
        },
        below: if amount.is_short() || number.title_says_unit() {
            None
        } else {
            Some(amount.unit)
        },
        number: amount.number,
        sign: change.sign(),
        change: number.change_in_words(),
        before,
    }
}

fn pictures_of(answer: &Answer, width: u32) -> Vec<Picture> {
    let question = html::words(
        &Reader::new(answer),
        Quotes::Columns,
        &answer.report.question,
    );
    let pictures = charts_of(answer, MOST_NAMES)
        .into_iter()
        .map(|chart| Picture {
            svg: drawn(&chart, width),
            title: chart.title,
            question_html: question.clone(),
        });
    pictures.collect()
}

/// Those of all answers, each once.
fn caveats(numbers: &Answer, pictures: &[&Answer]) -> Vec<String> {
    let mut all = Vec::new();
    for answer in std::iter::once(&numbers).chain(pictures) {
        let reader = Reader::new(answer);
        for caveat in &answer.caveats {
            let caveat = html::caveat_words(&reader, caveat);
            if !all.contains(&caveat) {
                all.push(caveat);
            }
        }
    }
    all
}

fn definitions(numbers: &Answer, pictures: &[&Answer]) -> Vec<Definition> {
    let all = std::iter::once(&numbers).chain(pictures).map(|answer| {
        let report = &answer.report;
        let is_numbers = report.name == numbers.report.name;
        Definition {
            title: if is_numbers {
                "The numbers".to_owned()
            } else {
                about::visible(&report.title)
            },
            html: definition(answer),
        }
    });
    all.collect()
}

/// Quotes of numbers become their titles.
fn definition(answer: &Answer) -> String {
    let numbers = Number::all(answer);
    let pieces = about::pieces(
        &Reader::new(answer),
        Quotes::Columns,
        &answer.report.definition,
    );
    let pieces = pieces.into_iter().map(|piece| {
        let number = numbers.iter().find(|number| number.key == piece.text);
        match (piece.look, number) {
            (Look::Code, Some(number)) => Piece {
                look: Look::Column,
                text: number.title.clone(),
            },
            _ => piece,
        }
    });
    pieces.map(|piece| html::piece(&piece)).collect()
}

/// The time that numbers of an answer are compared with, as `in the 30 days before`.
pub(super) fn before(answer: &Answer) -> String {
    Period::of(answer).before
}

/// The time that the numbers are of, and the one before it, in words.
struct Period {
    now: String,
    before: String,
}

impl Period {
    fn of(answer: &Answer) -> Self {
        let last = about::day(answer.to);
        match about::n_days(answer) {
            1 => Self {
                now: format!("On {last}"),
                before: "on the day before".to_owned(),
            },
            n => Self {
                now: format!("In the {n} days up to {last}"),
                before: format!("in the {n} days before"),
            },
        }
    }
}
