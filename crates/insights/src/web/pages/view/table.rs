//! Tables. The script makes their heads sort and gives long ones a field to filter by; without it
//! they are plain tables.

use super::time::When;
use askama::Template;
use askama::filters::HtmlSafe;

/// Letters of a head that may not be broken into lines.
const LONGEST_HEAD: usize = 18;
/// The same of a value.
const LONGEST_LINE: usize = 36;
/// The same of a value that gets a wide column, so that its row is not high.
const LONGEST_PARAGRAPH: usize = 60;

/// A table in a box of its own, which scrolls where it does not fit.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "table.html")]
pub(crate) struct Table {
    /// What it is, for those who cannot see what stands around it.
    pub(crate) caption: String,
    /// One for each column.
    pub(crate) heads: Vec<Head>,
    /// One cell for each head.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Says that there are more rows, if there are.
    pub(crate) more_rows: Option<String>,
}

impl HtmlSafe for Table {}

/// The head of a column.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// With the unit: `CPU (core hours)`.
    pub(crate) text: String,
    /// What the column means; shown on hover and on focus; may be empty.
    pub(crate) definition: String,
    /// Where its values stand.
    pub(crate) side: Side,
    /// Whether it tells what a row is about.
    pub(crate) is_name: bool,
}

impl Head {
    /// A column of texts.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            definition: String::new(),
            side: Side::Left,
            is_name: false,
        }
    }

    /// A column of numbers.
    pub(crate) fn number(text: impl Into<String>) -> Self {
        Self {
            side: Side::Right,
            ..Self::text(text)
        }
    }

    /// The column that names the rows.
    pub(crate) fn name(text: impl Into<String>) -> Self {
        Self {
            is_name: true,
            ..Self::text(text)
        }
    }

    /// Short words stay on one line.
    fn class(&self) -> &'static str {
        let is_long = self.text.chars().count() > LONGEST_HEAD;
        match (self.side, is_long) {
            (Side::Right, false) => "num",
            (Side::Right, true) => "num wrap",
            (Side::Left, false) => "",
            (Side::Left, true) => "wrap",
        }
    }
}

/// Where values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Texts.
    Left,
    /// Numbers, under each other by their ends.
    Right,
}

/// What stands in a place of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Words, or a number with its unit.
    pub(crate) text: String,
    /// The moment or day that it tells, behind the text.
    pub(crate) when: Option<When>,
    /// What it is sorted by, if that is not its text: the number without its unit.
    pub(crate) sort: Option<String>,
    /// Where it leads.
    pub(crate) href: Option<String>,
}

impl Cell {
    /// Words.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            when: None,
            sort: None,
            href: None,
        }
    }

    /// A number as people read it; rows without one come last, however they are sorted.
    pub(crate) fn number(text: impl Into<String>, value: Option<f64>) -> Self {
        let sort = value.filter(|value| value.is_finite());
        Self {
            sort: Some(sort.map(|value| value.to_string()).unwrap_or_default()),
            ..Self::text(text)
        }
    }

    /// A moment or a day.
    pub(crate) fn when(when: When) -> Self {
        Self {
            when: Some(when),
            sort: Some(when.value()),
            ..Self::text("")
        }
    }

    /// With a moment behind it. Rows that tell one alone come before it, however they are sorted.
    pub(crate) fn followed_by(self, when: When) -> Self {
        Self {
            when: Some(when),
            sort: Some(String::new()),
            ..self
        }
    }

    /// The same as a link.
    pub(crate) fn leading_to(self, href: impl Into<String>) -> Self {
        Self {
            href: Some(href.into()),
            ..self
        }
    }

    /// The class for words that are long enough to be broken into lines.
    fn class(&self) -> &'static str {
        match self.text.chars().count() {
            n if n > LONGEST_PARAGRAPH => "long wide",
            n if n > LONGEST_LINE => "long",
            _ => "",
        }
    }
}

impl Table {
    /// With its last row first.
    pub(crate) fn backwards(mut self) -> Self {
        self.rows.reverse();
        self
    }

    /// A head with the cell of a row below it.
    fn cells<'a>(&'a self, row: &'a [Cell]) -> impl Iterator<Item = (&'a Head, &'a Cell)> {
        self.heads.iter().zip(row)
    }
}
