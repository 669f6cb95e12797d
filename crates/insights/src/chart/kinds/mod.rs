//! The kinds of charts. Each lays out its plot and draws its data.

mod bars;
mod heatmap;
mod horizontal;
mod lines;

use super::markup::Svg;
use super::places::{Room, float};
use super::plan::{self, Plan};
use super::scale::{Range, Scale};
use super::text::{self, SMALL};
use super::{Chart, Kind, Style, axes, gaps, palette};
pub(super) use lines::{Point, marks};

/// How much room the words below the plot need.
pub(super) fn room_below(chart: &Chart) -> f64 {
    match chart.kind {
        Kind::HorizontalBars => 4.0,
        _ => plan::names_below(&chart.x),
    }
}

/// Gives the plot its final edges, its places and its scale.
pub(super) fn lay_out(plan: Plan<'_>) -> Plan<'_> {
    match plan.chart.kind {
        Kind::HorizontalBars => horizontal::lay_out(plan),
        Kind::Heatmap => heatmap::lay_out(plan),
        Kind::Line | Kind::Area | Kind::Bars | Kind::StackedBars => upright(plan),
    }
}

/// Draws the plot and what belongs to it.
pub(super) fn draw(plan: &Plan<'_>, svg: &mut Svg) {
    match plan.chart.kind {
        Kind::HorizontalBars => return horizontal::draw(plan, svg),
        Kind::Heatmap => return heatmap::draw(plan, svg),
        _ => {}
    }
    axes::values_up(plan, svg);
    gaps::draw(plan, svg);
    match plan.chart.kind {
        Kind::Line | Kind::Area => lines::draw(plan, svg),
        _ => bars::draw(plan, svg),
    }
    axes::base_line(plan, svg);
    axes::references(plan, svg);
    axes::names_below(plan, svg);
}

/// Values from bottom to top, places from left to right.
fn upright(mut plan: Plan<'_>) -> Plan<'_> {
    let chart = plan.chart;
    let range = range(chart).unwrap_or(Range::ZERO);
    let height = plan.plot.down().width();
    let scale = Scale::new(range, &chart.unit, (height / 44.0).clamp(2.0, 8.0).floor());
    plan.scale = scale.between(plan.plot.bottom, plan.plot.top);
    let labels = plan.scale.ticks.iter();
    let widest = labels
        .map(|tick| text::width(&tick.label, SMALL))
        .fold(0.0, f64::max);
    plan.plot.left += (widest + 10.0).min(plan.width / 2.0);
    plan.plot.right -= 6.0;
    plan.places = plan.places_across(plan.plot.across());
    plan.named = chart.x.named(&plan.places, plan.plot.across());
    plan
}

/// From where to where the values go, with zero where it has to be seen.
fn range(chart: &Chart) -> Option<Range> {
    let references = axes::drawable(&chart.references).map(|reference| reference.value);
    let range = if chart.kind == Kind::StackedBars {
        Range::of(bars::ends(chart).chain(references))
    } else {
        Range::of(all_known(chart).chain(references))
    }?;
    match chart.kind {
        Kind::Line => Some(range.for_lines(&chart.unit)),
        _ => Some(range.with(0.0)),
    }
}

/// Every value that is known.
fn all_known(chart: &Chart) -> impl Iterator<Item = f64> {
    let n = chart.x.len();
    let of = move |series| (0..n).filter_map(move |x| chart.known(series, x));
    (0..chart.series.len()).flat_map(of)
}

/// Starts the group of a series; what is inside has its colour.
fn start_series(plan: &Plan<'_>, svg: &mut Svg, series: usize) {
    let again = if series < palette::N_COLOURS {
        ""
    } else {
        " again"
    };
    let class = format!("series {}{again}", palette::class(series));
    let group = svg.start("g").set("class", class);
    let group = group.set("data-series", series);
    group
        .set("data-name", &plan.chart.series[series].name)
        .inside();
}

/// The bars of a series: thick lines in one path, which takes half the room of rectangles.
struct Bars {
    series: usize,
    thickness: f64,
    path: String,
}

impl Bars {
    fn draw(&self, plan: &Plan<'_>, svg: &mut Svg) {
        if self.path.is_empty() {
            return;
        }
        let path = svg
            .start("path")
            .set("class", "bar")
            .px("stroke-width", self.thickness);
        let path = match plan.style {
            Style::Themed => path,
            Style::Static => {
                // No colour tells them apart in grey.
                let texture = palette::texture_id(&plan.id, self.series);
                path.set("style", format_args!("stroke:url(#{texture})"))
            }
        };
        path.set("d", &self.path).alone();
    }
}

/// The middles of the bars of a place, and how thick they are.
#[derive(Clone, Copy, Debug)]
struct Beside {
    n: usize,
    each: f64,
}

impl Beside {
    /// So many bars in a place with so much room: with some air, and not so thick that they look
    /// like a wall.
    fn new(n: usize, room: f64, thickest: f64) -> Self {
        // Gaps of less than a pixel would flicker.
        let part = if room < 4.0 { 1.0 } else { 0.76 };
        let each = (room * part / float(n.max(1))).min(thickest);
        Self { n, each }
    }

    fn middle(self, room: Room, i: usize) -> f64 {
        room.middle() + (float(i) - float(self.n - 1) / 2.0) * self.each
    }

    /// With a line of paper between bars, where there is room for one. Thin bars overlap a little
    /// instead: their places are rounded, and nothing must shine through.
    fn thickness(self) -> f64 {
        if self.each > 6.0 && self.n > 1 {
            return self.each - 1.0;
        }
        if self.each < 4.0 && self.n == 1 {
            return self.each + 0.2;
        }
        self.each
    }
}
