//! The answer of a report as a part of a page.

use super::empty;
use super::view::{
    Address, Card, Cell, Change, Downloads, Figure, Figures, Head, Link, Number, Part, Rows, Side,
    Table, Tone, When,
};
use crate::report::{Fragment, FragmentCell, FragmentHead, FragmentNumber, Named, Whom};
use model::viewer::{Standing, Viewer};
use store::report::Answer;

/// What of an answer a part shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Look {
    /// Numbers of an overview.
    Cards,
    /// Pictures, with the rows folded.
    Chart,
    /// The rows.
    Table,
    /// The rows, the last one first.
    Newest,
    /// Pictures and rows.
    Both,
}

impl Look {
    /// As addresses say it.
    pub(in crate::web) fn name(self) -> &'static str {
        match self {
            Self::Cards => "cards",
            Self::Chart => "chart",
            Self::Table => "table",
            Self::Newest => "newest",
            Self::Both => "both",
        }
    }

    /// The look of this name; both if there is none.
    pub(in crate::web) fn from_name(name: &str) -> Self {
        let all = [Self::Cards, Self::Chart, Self::Table, Self::Newest];
        let found = all.into_iter().find(|look| look.name() == name);
        found.unwrap_or(Self::Both)
    }
}

/// Where a part leads to.
pub(in crate::web) struct Ways<'a> {
    /// Below which all pages are.
    pub(in crate::web) prefix: &'a str,
    /// Whose pages of users and groups are linked; nobody's on shared pages.
    pub(in crate::web) viewer: Option<&'a Viewer>,
    /// The name of whoever reads it, where the answer is of the hub that they are logged in at.
    pub(in crate::web) reader: Option<&'a str>,
    /// The page of the report with the same question, but on that page itself.
    pub(in crate::web) report: Option<Address>,
    /// The page of the report about a year, where another period may be chosen.
    pub(in crate::web) longer: Option<Address>,
    /// The same about the period that its report is usually about.
    pub(in crate::web) usual: Option<Address>,
    /// Where it is read what servers use, if anywhere.
    pub(in crate::web) usage_source: Option<&'static str>,
    /// The same as files, by their formats.
    pub(in crate::web) downloads: Vec<Link>,
}

/// A part that looks so, with pictures for so many pixels.
pub(in crate::web) fn part_of(answer: &Answer, width: u32, look: Look, ways: &Ways<'_>) -> Part {
    let fragment = Fragment::new(answer, width);
    let nothing = empty::instead_of(answer, &fragment, look, ways);
    let cards: Vec<Card> = match look {
        Look::Cards => {
            let numbers = fragment.numbers.iter();
            numbers
                .map(|number| card(number, &fragment, ways))
                .collect()
        }
        Look::Chart | Look::Table | Look::Newest | Look::Both => Vec::new(),
    };
    let has_pictures = !fragment.figures.is_empty();
    let table = table(&fragment, ways);
    let figures = fragment.figures.into_iter().map(|figure| Figure {
        title: figure.title,
        svg: figure.svg,
    });
    let figures = Figures {
        all: figures.collect(),
        abreast: fragment.abreast,
    };
    let (figures, rows) = match look {
        Look::Cards => (Figures::default(), Rows::None),
        Look::Table => (Figures::default(), Rows::Open(table)),
        Look::Newest => (Figures::default(), Rows::Open(table.backwards())),
        Look::Chart if has_pictures => (figures, Rows::Folded(table)),
        Look::Chart | Look::Both => (figures, Rows::Open(table)),
    };
    let notices = match look {
        Look::Cards => empty::above_numbers(answer, ways),
        Look::Chart | Look::Table | Look::Newest | Look::Both => Vec::new(),
    };
    Part {
        title: match look {
            // Pages that begin with them are called as the report is.
            Look::Cards => "Ten numbers beside those of the time before".to_owned(),
            Look::Newest => format!("{}, the newest first", fragment.title),
            Look::Chart | Look::Table | Look::Both => fragment.title,
        },
        whom: Whom::of(answer).in_words(ways.reader).unwrap_or_default(),
        question_html: fragment.question_html,
        notices,
        cards,
        figures,
        rows,
        nothing,
        caveats_html: fragment.caveats_html,
        definition_html: fragment.definition_html,
        source: fragment.source,
        at: fragment.at,
        downloads: Downloads(ways.downloads.clone()),
        more: ways
            .report
            .as_ref()
            .map(|address| Link::new("More about it", address)),
    }
}

fn card(number: &FragmentNumber, fragment: &Fragment, ways: &Ways<'_>) -> Card {
    let (unit, below) = if number.unit.chars().count() <= 3 {
        (number.unit.clone(), String::new())
    } else {
        (String::new(), number.unit.clone())
    };
    let title = match &number.hub {
        Some(hub) => format!("{} · {hub}", number.title),
        None => number.title.clone(),
    };
    Card {
        title,
        number: Number {
            text: number.text.clone(),
            unit,
            definition: number.definition.clone(),
            source: fragment.source.clone(),
            at: fragment.at,
        },
        unit: below,
        change: (!number.change.is_empty()).then(|| Change {
            sign: number.sign,
            text: number.change.clone(),
            against: number.before.clone(),
            tone: Tone::Plain,
        }),
        more: ways.viewer.filter(|_| !number.report.is_empty()).map(|_| {
            let path = format!("reports/{}", number.report);
            Link::new("More", Address::below(ways.prefix, &path))
        }),
    }
}

fn table(fragment: &Fragment, ways: &Ways<'_>) -> Table {
    let heads = fragment.heads.iter().map(|head| Head {
        text: head.text.clone(),
        definition: head.doc.clone(),
        side: if head.is_number {
            Side::Right
        } else {
            Side::Left
        },
        is_name: head.is_name,
    });
    let rows = fragment.rows.iter().map(|row| {
        let cells = fragment.heads.iter().zip(row);
        cells.map(|(head, value)| cell(head, value, ways)).collect()
    });
    Table {
        caption: fragment.title.clone(),
        heads: heads.collect(),
        rows: rows.collect(),
        more_rows: fragment.more_rows.clone(),
    }
}

fn cell(head: &FragmentHead, value: &FragmentCell, ways: &Ways<'_>) -> Cell {
    let cell = match (value.number, value.moment, value.day) {
        (Some(number), ..) => Cell::number(&value.text, Some(number)),
        (None, Some(at), _) => Cell::when(When::Moment(at)),
        (None, None, Some(day)) => Cell::when(When::Day(day)),
        (None, None, None) if head.is_number => Cell::number(&value.text, None),
        (None, None, None) => Cell::text(&value.text),
    };
    match (head.names, &value.name, ways.viewer) {
        (Some(named), Some(name), Some(viewer)) => match way_to(named, name, viewer, ways.prefix) {
            Some(address) => cell.leading_to(address),
            None => cell,
        },
        _ => cell,
    }
}

fn way_to(named: Named, name: &str, viewer: &Viewer, prefix: &str) -> Option<Address> {
    let path = match named {
        Named::Users if viewer.standing == Standing::Admin => "users/one",
        Named::Groups if viewer.standing >= Standing::Owner => "groups/one",
        Named::Users | Named::Groups => return None,
    };
    Some(Address::below(prefix, path).with("name", name))
}
