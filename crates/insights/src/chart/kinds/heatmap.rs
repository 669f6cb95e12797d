//! A row for each series, a column for each place, the value as a shade.

use super::all_known;
use crate::chart::gaps::{self, Area};
use crate::chart::markup::Svg;
use crate::chart::places::{Places, Room, every, float};
use crate::chart::plan::Plan;
use crate::chart::scale::Range;
use crate::chart::text::{self, Anchor, Cut, NORMAL, SMALL, Spot};
use crate::chart::{axes, palette};

/// The widest name of a row.
const NAME: f64 = 160.0;
const READABLE: f64 = 11.0;
/// The widest shade in the legend.
const SHADE: f64 = 16.0;
/// Between a word and what it explains.
const AIR: f64 = 8.0;
/// How much room a sample of the hatching takes.
const SWATCH: f64 = 18.0;

pub(super) fn lay_out(mut plan: Plan<'_>) -> Plan<'_> {
    let names = plan.chart.series.iter();
    let widest = names
        .map(|series| text::width(&series.name, SMALL))
        .fold(0.0, f64::max);
    plan.plot.left += widest.min(NAME).min(plan.width * 0.3) + 8.0;
    plan.places = plan.places_across(plan.plot.across());
    plan.named = plan.chart.x.named(&plan.places, plan.plot.across());
    plan
}

pub(super) fn draw(plan: &Plan<'_>, svg: &mut Svg) {
    let Some(range) = Range::of(all_known(plan.chart)) else {
        return;
    };
    let range = Range {
        low: range.low.min(0.0),
        ..range
    };
    let rows = Places::even(plan.chart.series.len(), plan.plot.top, plan.plot.bottom);
    let names = plan.chart.x.names(0..plan.places.len());
    for (series, data) in plan.chart.series.iter().enumerate() {
        let group = svg.start("g").set("class", "series");
        let group = group.set("data-series", series);
        group.set("data-name", &data.name).inside();
        // What is to come is not unknown: there is nothing to draw.
        for (x, name) in names.iter().enumerate().take(data.points.len()) {
            let area = Area {
                across: apart(plan.places.room(x)),
                down: apart(rows.room(series)),
            };
            let at = Cell { series, x, name };
            cell(plan, svg, &at, area, range);
        }
        svg.end();
    }
    draw_names(plan, svg, &rows);
    axes::names_below(plan, svg);
    draw_shades(plan, svg, range);
}

/// With a line of paper to the next, if there is room for it.
fn apart(room: Room) -> Room {
    let air = if room.width() > 5.0 { 1.0 } else { 0.0 };
    let (from, to) = (room.from, room.to - air);
    Room { from, to }
}

struct Cell<'a> {
    series: usize,
    x: usize,
    /// The place's.
    name: &'a str,
}

fn cell(plan: &Plan<'_>, svg: &mut Svg, cell: &Cell<'_>, area: Area, range: Range) {
    let Some(value) = plan.chart.known(cell.series, cell.x) else {
        let row = &plan.chart.series[cell.series].name;
        let why = format!("not known: {row}, {}", cell.name);
        gaps::hatch(svg, &plan.id, "gap", area, &why);
        return;
    };
    let Area { across, down } = area;
    let class = format!("cell h{}", shade(value, range));
    let rect = svg.start("rect").set("class", class);
    let rect = rect.px("x", across.from).px("y", down.from);
    let rect = rect.px("width", across.width()).px("height", down.width());
    let rect = rect.set("data-label", cell.name);
    rect.set("data-values", plan.chart.unit.format(value))
        .alone();
}

/// The shade of a value; only the lowest one has the faintest.
fn shade(value: f64, range: Range) -> usize {
    if value <= range.low {
        return 0;
    }
    let part = (value - range.low) / (range.high - range.low);
    let steps = float(palette::N_SHADES - 1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 7"
    )]
    let shade = (part * steps).ceil().clamp(1.0, steps) as usize;
    shade
}

fn draw_names(plan: &Plan<'_>, svg: &mut Svg, rows: &Places) {
    let step = every(rows.each(), READABLE);
    let room = plan.plot.left - plan.rows.margin - 8.0;
    for (series, at) in plan.chart.series.iter().zip(&rows.centres).step_by(step) {
        let spot = Spot {
            class: "tick",
            x: plan.plot.left - 8.0,
            y: at + 4.0,
            anchor: Anchor::End,
        };
        text::write(svg, spot, &text::cut(&series.name, SMALL, room));
    }
}

/// What the shades mean, in the place of the legend: from the lowest value to the highest, and what
/// is not known if there is room for it.
fn draw_shades(plan: &Plan<'_>, svg: &mut Svg, range: Range) {
    let room = plan.width - 2.0 * plan.rows.margin;
    let cut = |value| text::cut(&plan.chart.unit.format(value), NORMAL, room * 0.25);
    let (low, high) = (cut(range.low), cut(range.high));
    let wide = |word: &Cut| text::width(&word.shown, NORMAL) + AIR;
    let each = (room - wide(&low) - wide(&high)) / float(palette::N_SHADES);
    let each = each.min(SHADE);
    let first = plan.rows.margin + wide(&low);
    let after = first + each * float(palette::N_SHADES) + AIR;
    svg.start("g").set("class", "legend").inside();
    word(plan, svg, plan.rows.margin, &low);
    for shade in 0..palette::N_SHADES {
        let rect = svg.start("rect").set("class", format_args!("h{shade}"));
        let rect = rect.px("x", first + each * float(shade));
        let rect = rect.px("y", plan.rows.legend + 4.0);
        rect.px("width", each).px("height", 12.0).alone();
    }
    word(plan, svg, after, &high);
    draw_unknown(plan, svg, after + wide(&high) + 12.0);
    svg.end();
}

fn word(plan: &Plan<'_>, svg: &mut Svg, x: f64, word: &Cut) {
    let spot = Spot {
        class: "name",
        x,
        y: plan.rows.legend + 14.0,
        anchor: Anchor::Start,
    };
    text::write(svg, spot, word);
}

/// Explains the hatching, if there is any and there is room for it.
fn draw_unknown(plan: &Plan<'_>, svg: &mut Svg, left: f64) {
    let words = axes::whole("not known");
    let end = left + SWATCH + text::width(&words.shown, NORMAL);
    if end > plan.width || !gaps::any(plan.chart) {
        return;
    }
    let top = plan.rows.legend + 4.5;
    let area = Area {
        across: Room::new(left, left + 11.0),
        down: Room::new(top, top + 11.0),
    };
    gaps::hatch(svg, &plan.id, "note", area, "not known");
    word(plan, svg, left + SWATCH, &words);
}
