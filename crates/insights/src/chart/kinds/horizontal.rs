//! A row for each name, the value at the end of its bar; there is no axis to look it up on.

use super::{Bars, Beside, all_known, range, start_series};
use crate::chart::axes;
use crate::chart::gaps::{self, Area};
use crate::chart::markup::{Px, Svg};
use crate::chart::places::{Places, Room, every};
use crate::chart::plan::Plan;
use crate::chart::scale::{Range, Scale};
use crate::chart::text::{self, Anchor, NORMAL, SMALL, Spot};
use std::fmt::Write;

/// The widest name.
const NAME: f64 = 220.0;
/// The thickest bar.
const THICK: f64 = 20.0;
/// Rows that are lower have no words.
const READABLE: f64 = 11.0;

pub(super) fn lay_out(mut plan: Plan<'_>) -> Plan<'_> {
    let chart = plan.chart;
    let n = chart.x.len();
    let names = chart.x.names(0..n);
    let widest = names
        .iter()
        .map(|name| text::width(name, NORMAL))
        .fold(0.0, f64::max);
    let names_room = widest.min(NAME).min(plan.width * 0.35) + 10.0;
    let values = all_known(chart).map(|value| text::width(&chart.unit.format(value), SMALL));
    let values_room = values.fold(0.0, f64::max).min(plan.width * 0.3) + 8.0;
    let range = range(chart).unwrap_or(Range::ZERO);
    if axes::drawable(&chart.references).next().is_some() {
        plan.plot.top += 12.0;
    }
    plan.plot.left += names_room;
    plan.plot.right -= values_room;
    let before = if range.low < 0.0 { values_room } else { 0.0 };
    plan.scale = Scale::exact(range).between(plan.plot.left + before, plan.plot.right);
    plan.places = Places::even(n, plan.plot.top, plan.plot.bottom);
    plan
}

pub(super) fn draw(plan: &Plan<'_>, svg: &mut Svg) {
    draw_names(plan, svg);
    let n = plan.chart.series.len();
    for series in 0..n {
        start_series(plan, svg, series);
        draw_series(plan, svg, series);
        svg.end();
    }
    let zero = plan.scale.at(0.0).round();
    let line = format!(
        "M{} {}V{}",
        Px(zero),
        Px(plan.plot.top),
        Px(plan.plot.bottom)
    );
    svg.start("path")
        .set("class", "axis")
        .set("d", line)
        .alone();
    axes::references(plan, svg);
}

fn draw_names(plan: &Plan<'_>, svg: &mut Svg) {
    let step = every(plan.places.each(), READABLE);
    let room = plan.plot.left - plan.rows.margin - 10.0;
    let shown = (0..plan.places.len()).step_by(step);
    for (i, name) in shown.clone().zip(plan.chart.x.names(shown)) {
        let spot = Spot {
            class: "name",
            x: plan.plot.left - 8.0,
            y: plan.places.centres[i] + 4.0,
            anchor: Anchor::End,
        };
        text::write(svg, spot, &text::cut(&name, NORMAL, room));
    }
}

fn draw_series(plan: &Plan<'_>, svg: &mut Svg, series: usize) {
    let beside = Beside::new(plan.chart.series.len(), plan.places.each(), THICK);
    let mut path = String::new();
    for x in 0..plan.places.len() {
        let middle = beside.middle(plan.places.room(x), series);
        match plan.chart.known(series, x) {
            Some(value) => bar(&mut path, plan, middle, value),
            None => gap(plan, svg, around(middle, beside.each), x),
        }
    }
    let thickness = beside.thickness();
    let bars = Bars {
        series,
        thickness,
        path,
    };
    bars.draw(plan, svg);
    if beside.each < READABLE * 0.8 {
        return;
    }
    for x in 0..plan.places.len() {
        let middle = beside.middle(plan.places.room(x), series);
        if let Some(value) = plan.chart.known(series, x) {
            draw_value(plan, svg, middle, value);
        }
    }
}

fn around(middle: f64, width: f64) -> Room {
    let (from, to) = (middle - width / 2.0, middle + width / 2.0);
    Room { from, to }
}

fn bar(path: &mut String, plan: &Plan<'_>, middle: f64, value: f64) {
    let (zero, end) = (plan.scale.at(0.0), plan.scale.at(value));
    let left = Px(zero.min(end)).rounded();
    let width = Px(zero.max(end)).rounded() - left;
    // Writing to a string does not fail.
    let _ = write!(path, "M{} {}h{}", Px(left), Px(middle), Px(width));
}

fn gap(plan: &Plan<'_>, svg: &mut Svg, room: Room, x: usize) {
    let area = Area {
        across: plan.plot.across(),
        down: room,
    };
    let why = format!("not known: {}", plan.chart.x.name(x));
    gaps::hatch(svg, &plan.id, "gap", area, &why);
}

/// Writes a value at the end of its bar.
fn draw_value(plan: &Plan<'_>, svg: &mut Svg, middle: f64, value: f64) {
    let end = plan.scale.at(value);
    let (x, anchor, room) = if value < 0.0 {
        (end - 5.0, Anchor::End, end - 5.0 - plan.plot.left)
    } else {
        (end + 5.0, Anchor::Start, plan.width - end - 5.0)
    };
    let spot = Spot {
        class: "value",
        x,
        y: middle + 4.0,
        anchor,
    };
    let value = plan.chart.unit.format(value);
    text::write(svg, spot, &text::cut(&value, SMALL, room));
}
