//! Parts of a page: a box that the script fills, and what it is filled with.

use super::layout::{Link, Notice};
use super::number::Card;
use super::table::Table;
use super::time::When;
use super::words::words;
use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;

/// The place of a part in a page. The script asks for `url` and puts the answer in; without it there
/// is a link to the report.
///
/// The script adds `width=` to the address: how many CSS pixels are there for a chart, 320 to 1400
/// in steps of 20.
#[derive(Clone, Debug, Template)]
#[template(path = "part_box.html")]
pub(crate) struct PartBox {
    /// The heading until the part is there, which brings its own.
    pub(crate) title: String,
    /// Where the part is: an [`super::Address`].
    pub(crate) url: String,
    /// Where the same can be read without the script.
    pub(crate) report_href: String,
    /// How much of the row it takes.
    pub(crate) width: Width,
    /// What is to come, so that the page does not jump.
    pub(crate) shape: Shape,
}

impl HtmlSafe for PartBox {}

/// How much of a row a part takes, where two fit beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// One beside another.
    Half,
    /// All of it.
    Whole,
}

/// What a part mainly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Numbers.
    Cards,
    /// A picture.
    Chart,
    /// Rows.
    Table,
}

impl PartBox {
    fn class(&self) -> &'static str {
        match (self.width, self.shape) {
            (Width::Half, Shape::Cards) => "half cards-to-come",
            (Width::Half, Shape::Chart) => "half chart-to-come",
            (Width::Half, Shape::Table) => "half table-to-come",
            (Width::Whole, Shape::Cards) => "whole cards-to-come",
            (Width::Whole, Shape::Chart) => "whole chart-to-come",
            (Width::Whole, Shape::Table) => "whole table-to-come",
        }
    }
}

/// A part: what `GET parts/{report}` answers, and what stands in the page of a report.
#[derive(Clone, Debug, Template)]
#[template(path = "part.html")]
pub(crate) struct Part {
    /// The heading.
    pub(crate) title: String,
    /// Whom it is about: `you`, `members of lab`; empty for everybody.
    pub(crate) whom: String,
    /// What it answers; may be empty.
    pub(crate) question_html: String,
    /// What has to be said before it: that small groups are left out.
    pub(crate) notices: Vec<Notice>,
    /// Numbers.
    pub(crate) cards: Vec<Card>,
    /// Pictures.
    pub(crate) figures: Figures,
    /// Rows.
    pub(crate) rows: Rows,
    /// Says why there is nothing, and what to do about it; then the rest is not shown.
    pub(crate) nothing: Option<Nothing>,
    /// What to know before believing it.
    pub(crate) caveats_html: Vec<String>,
    /// How it is counted; may be empty.
    pub(crate) definition_html: String,
    /// Where it comes from, without a full stop; may be empty.
    pub(crate) source: String,
    /// When that was read.
    pub(crate) at: Option<Timestamp>,
    /// The same as files.
    pub(crate) downloads: Downloads,
    /// The page of its report, unless this is it.
    pub(crate) more: Option<Link>,
}

impl HtmlSafe for Part {}

impl Part {
    fn age(&self) -> Option<When> {
        self.at.map(When::Age)
    }
}

/// Pictures, as many beside each other as they were drawn for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// In their order.
    pub(crate) all: Vec<Figure>,
    /// Of a row; none is as one.
    pub(crate) abreast: u32,
}

impl Figures {
    fn class(&self) -> &'static str {
        match self.abreast {
            0 | 1 => "figures",
            2 => "figures two",
            _ => "figures three",
        }
    }
}

/// A picture. Its SVG says what it shows; the table of the part says the same in numbers.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Empty where the heading of the part says it.
    pub(crate) title: String,
    /// As `chart` drew it, themed.
    pub(crate) svg: String,
}

/// Where the rows of a part are.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    /// Nowhere: the numbers or the picture have words enough.
    None,
    /// Below the picture, folded: its text alternative.
    Folded(Table),
    /// Open.
    Open(Table),
}

/// Says that there is nothing.
#[derive(Clone, Debug)]
pub(crate) struct Nothing {
    /// `There is nothing to show.`, and why.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) next: Option<Link>,
}

/// Links to files of a part, each called by its format: `CSV`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Downloads(pub(crate) Vec<Link>);
