//! Lines and words around the data.

use super::gaps::{self, Area};
use super::markup::{Px, Svg};
use super::plan::Plan;
use super::text::{self, Anchor, Cut, SMALL, Spot};
use super::{Kind, Reference};
use std::fmt::Write;

/// Values from bottom to top: a faint line for each, named to the left.
pub(super) fn values_up(plan: &Plan<'_>, svg: &mut Svg) {
    let plot = plan.plot;
    svg.start("g").set("class", "values").inside();
    for tick in &plan.scale.ticks {
        let y = plan.scale.at(tick.value);
        let line = format!("M{} {}H{}", Px(plot.left), Px(y.round()), Px(plot.right));
        svg.start("path")
            .set("class", "grid")
            .set("d", line)
            .alone();
        let spot = Spot {
            class: "tick",
            x: plot.left - 8.0,
            y: y + 4.0,
            anchor: Anchor::End,
        };
        let room = plot.left - 8.0 - plan.rows.margin;
        text::write(svg, spot, &text::cut(&tick.label, SMALL, room));
    }
    svg.end();
}

/// The line at zero, or at the bottom where zero is not shown.
pub(super) fn base_line(plan: &Plan<'_>, svg: &mut Svg) {
    let plot = plan.plot;
    let y = plan.scale.at(0.0).round();
    let line = format!("M{} {}H{}", Px(plot.left), Px(y), Px(plot.right));
    svg.start("path")
        .set("class", "axis")
        .set("d", line)
        .alone();
}

/// The places of the x axis, named below the plot.
pub(super) fn names_below(plan: &Plan<'_>, svg: &mut Svg) {
    let bottom = plan.plot.bottom;
    let mut ticks = String::new();
    svg.start("g").set("class", "names").inside();
    for name in &plan.named {
        // Writing to a string does not fail.
        let _ = write!(ticks, "M{} {}v4", Px(name.at), Px(bottom));
        // Centred below its place, but not beyond the edge of the picture.
        let middle = |words: &str| {
            let half = text::width(words, SMALL) / 2.0;
            name.at.min(plan.width - half).max(half)
        };
        let spot = Spot {
            class: "tick",
            x: middle(&name.label.shown),
            y: bottom + 16.0,
            anchor: Anchor::Middle,
        };
        text::write(svg, spot, &name.label);
        if !name.context.is_empty() {
            let (x, y) = (middle(&name.context), bottom + 30.0);
            text::write(svg, Spot { x, y, ..spot }, &whole(&name.context));
        }
    }
    if !ticks.is_empty() && plan.chart.kind != Kind::Heatmap {
        svg.start("path")
            .set("class", "axis")
            .set("d", ticks)
            .alone();
    }
    svg.end();
}

/// Lines to compare with, over the data.
pub(super) fn references(plan: &Plan<'_>, svg: &mut Svg) {
    let plot = plan.plot;
    for reference in drawable(&plan.chart.references) {
        let at = plan.scale.at(reference.value).round();
        let is_up = plan.chart.kind == Kind::HorizontalBars;
        let (line, spot) = if is_up {
            let line = format!("M{} {}V{}", Px(at), Px(plot.top), Px(plot.bottom));
            (line, reference_spot(at, plot.top - 4.0, plan))
        } else {
            let line = format!("M{} {}H{}", Px(plot.left), Px(at), Px(plot.right));
            // Below the line where there is no room above it.
            let y = if at - plot.top < 14.0 {
                at + 13.0
            } else {
                at - 5.0
            };
            (line, reference_spot(plot.right, y, plan))
        };
        svg.start("path")
            .set("class", "reference")
            .set("d", line)
            .alone();
        let room = plot.across().width() * 0.6;
        text::write(svg, spot, &text::cut(&reference.label, SMALL, room));
    }
}

fn reference_spot(x: f64, y: f64, plan: &Plan<'_>) -> Spot {
    let anchor = if x > plan.plot.across().middle() {
        Anchor::End
    } else {
        Anchor::Start
    };
    Spot {
        class: "reference-name",
        x,
        y,
        anchor,
    }
}

/// Those with a value.
pub(super) fn drawable(references: &[Reference]) -> impl Iterator<Item = &Reference> {
    let is_known = |reference: &&Reference| reference.value.abs() <= super::LARGEST;
    references.iter().filter(is_known)
}

/// Says that there is nothing to see; hatched if something was asked and nothing is known.
pub(super) fn no_data(plan: &Plan<'_>, svg: &mut Svg) {
    let area = Area {
        across: plan.plot.across(),
        down: plan.plot.down(),
    };
    if plan.chart.x.len() > 0 && !plan.chart.series.is_empty() {
        gaps::hatch(svg, &plan.id, "gap", area, "not known");
    }
    let plot = plan.plot;
    let line = format!("M{} {}H{}", Px(plot.left), Px(plot.bottom), Px(plot.right));
    svg.start("path")
        .set("class", "axis")
        .set("d", line)
        .alone();
    let spot = Spot {
        class: "no-data",
        x: plot.across().middle(),
        y: plot.down().middle() + 5.0,
        anchor: Anchor::Middle,
    };
    if plan.chart.kind != Kind::HorizontalBars {
        names_below(plan, svg);
    }
    text::write(svg, spot, &whole("no data"));
}

/// A text that is known to fit.
pub(super) fn whole(text: &str) -> Cut {
    let (shown, full) = (text.to_owned(), None);
    Cut { shown, full }
}
