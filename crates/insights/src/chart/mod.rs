//! Charts as SVG text, drawn on the server: the same for pages, mail, files and the command line.
//!
//! Plain data in, text out. Reports, SQL and the store's tables do not belong here, nor does the
//! page around a chart. plotters and charts-rs were tried on paper and refused: neither writes
//! classes (so no dark theme), data attributes (so no hover without a second copy of the data) or
//! text alternatives, and neither can say "not known" other than by leaving something out.
//!
//! Unknown is not zero: a point that is `None` is a hatched band, and no line crosses it.
//!
//! Names of users and groups come from outside. Nothing reaches the SVG but through
//! `markup`, which escapes all of it. No `style` attribute and no handler stands in a themed
//! chart, so it works under `style-src 'self'; script-src 'self'`.

mod axes;
mod calendar;
mod gaps;
mod hits;
mod kinds;
mod legend;
mod markup;
mod names;
pub(crate) mod number;
mod palette;
mod places;
mod plan;
mod scale;
mod several;
mod text;
mod unit;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
pub use several::below_each_other;
pub use unit::Unit;

/// What is drawn. Fill it with `..Chart::new(kind, x, unit)`.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The name of the chart; a static chart shows it, beside a themed one the page does.
    pub title: String,
    /// Of when and of what it is; stands below the title of a static chart.
    pub subtitle: String,
    /// What it shows, for those who cannot see it.
    pub description: String,
    /// How it is drawn.
    pub kind: Kind,
    /// What the points stand over; for [`Kind::HorizontalBars`], beside.
    pub x: Axis,
    /// What the x axis says, where that is not plain from its labels; else empty.
    pub x_label: String,
    /// What the values are; empty to say nothing.
    pub y_label: String,
    /// What the values are measured in.
    pub unit: Unit,
    /// The values, with one point for each place on the x axis. A missing point is unknown.
    pub series: Vec<Series>,
    /// Limits, goals and averages to compare with; a heatmap shows none.
    pub references: Vec<Reference>,
}

impl Chart {
    /// A chart of nothing, with no words.
    pub fn new(kind: Kind, x: Axis, unit: Unit) -> Self {
        Self {
            title: String::new(),
            subtitle: String::new(),
            description: String::new(),
            kind,
            x,
            x_label: String::new(),
            y_label: String::new(),
            unit,
            series: Vec::new(),
            references: Vec::new(),
        }
    }

    /// The chart as an `<svg>` element.
    pub fn svg(&self, size: Size, style: Style) -> String {
        plan::draw(self, size, style)
    }

    /// A size of this width in which every row of names can be read.
    pub fn size(&self, width: u32, style: Style) -> Size {
        let rows = |n: usize, each: u32| each.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        let height = match self.kind {
            Kind::Line | Kind::Area | Kind::Bars | Kind::StackedBars => 300,
            Kind::Heatmap => rows(self.series.len(), 24).saturating_add(110),
            Kind::HorizontalBars => {
                let each = rows(self.series.len(), 16).saturating_add(10);
                rows(self.x.len(), each).saturating_add(100)
            }
        };
        let height = height.saturating_add(plan::heading_height(self, style));
        Size { width, height }
    }

    /// A point, if it is known: present, and a number that can be drawn.
    fn known(&self, series: usize, x: usize) -> Option<f64> {
        let point = self.series.get(series)?.points.get(x).copied().flatten();
        point.filter(|value| value.abs() <= LARGEST)
    }

    /// Whether any point is.
    pub(crate) fn has_data(&self) -> bool {
        let n = self.x.len();
        (0..self.series.len()).any(|series| (0..n).any(|x| self.known(series, x).is_some()))
    }
}

/// Beyond this, sums and differences of two values could overflow.
const LARGEST: f64 = 1e150;

/// How the values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line for each series.
    Line,
    /// The same with the area down to zero filled; for one or two series.
    Area,
    /// Bars side by side.
    Bars,
    /// Bars on top of each other, for values that add up.
    StackedBars,
    /// A row for each category, with a bar for each series: a top ten of names.
    HorizontalBars,
    /// A row for each series and a column for each x; the value is the shade.
    Heatmap,
}

/// What the points stand over, in the order in which they are drawn.
#[derive(Clone, Debug)]
pub enum Axis {
    /// Days, or the first days of weeks, months or years. Days that are left out are not
    /// unknown: a line crosses them.
    Days(Vec<Date>),
    /// Points in time.
    Moments {
        /// When.
        at: Vec<Timestamp>,
        /// Whose hours and days are shown.
        zone: TimeZone,
    },
    /// Names.
    Categories(Vec<String>),
    /// Numbers.
    Numbers(Vec<f64>),
}

impl Axis {
    /// How many points a series has.
    fn len(&self) -> usize {
        match self {
            Self::Days(days) => days.len(),
            Self::Moments { at, .. } => at.len(),
            Self::Categories(names) => names.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }
}

/// The values of one thing, such as a group.
#[derive(Clone, Debug)]
pub struct Series {
    /// Whose they are.
    pub name: String,
    /// One for each place on the x axis; `None`, infinite or no number is unknown. A row of a heatmap
    /// may end early: there is nothing behind its last point, not even something unknown.
    pub points: Vec<Option<f64>>,
}

/// A line to compare with.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Where it is.
    pub value: f64,
    /// What it is.
    pub label: String,
}

/// The size in pixels of a page; a themed chart shrinks with the window. Kept within 160 x 180
/// and 10,000 x 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// Where the chart is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// In a page that brings [`page_parts`]: classes only, light and dark, with data for the script.
    Themed,
    /// Alone, in mail, a paper or a file: with its own light colours, title, and a dash, marker or
    /// texture for each series, so that a grey print can be read.
    Static,
}

/// What a page with themed charts needs, to be served or put into `<style>` and `<script>`.
#[derive(Clone, Copy, Debug)]
pub struct PageParts {
    /// Colours, light and dark, and the rest of the looks.
    pub css: &'static str,
    /// Tooltips, and series that can be switched off.
    pub js: &'static str,
}

/// The style sheet and the script of all charts.
pub fn page_parts() -> PageParts {
    PageParts {
        css: palette::CSS,
        js: include_str!("chart.js"),
    }
}
