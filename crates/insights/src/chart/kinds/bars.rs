//! Bars, side by side or on top of each other.

use super::{Bars, Beside, start_series};
use crate::chart::markup::{Px, Svg};
use crate::chart::plan::Plan;
use crate::chart::{Chart, Kind};
use std::fmt::Write;

/// The thickest bar.
const THICK: f64 = 48.0;
/// Between bars on top of each other.
const PAPER: f64 = 1.0;

pub(super) fn draw(plan: &Plan<'_>, svg: &mut Svg) {
    let n_series = plan.chart.series.len();
    let n_beside = if plan.chart.kind == Kind::StackedBars {
        1
    } else {
        n_series
    };
    let beside = Beside::new(n_beside, plan.places.each(), THICK);
    let mut stacks = vec![Stack::default(); plan.chart.x.len()];
    for series in 0..n_series {
        start_series(plan, svg, series);
        let bars = Bars {
            series,
            thickness: beside.thickness(),
            path: path(plan, series, beside, &mut stacks),
        };
        bars.draw(plan, svg);
        svg.end();
    }
}

fn path(plan: &Plan<'_>, series: usize, beside: Beside, stacks: &mut [Stack]) -> String {
    let mut path = String::new();
    for (x, stack) in stacks.iter_mut().enumerate() {
        let Some(value) = plan.chart.known(series, x) else {
            continue;
        };
        let (i, span) = match plan.chart.kind {
            Kind::StackedBars => (0, stack.put(value)),
            _ => (series, Stack::default().put(value)),
        };
        let middle = beside.middle(plan.places.room(x), i);
        bar(&mut path, plan, middle, span);
    }
    path
}

/// Between which values a bar is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    from: f64,
    to: f64,
}

/// How far the bars of a place go by now, up and down.
#[derive(Clone, Copy, Debug, Default)]
struct Stack {
    up: f64,
    down: f64,
}

impl Stack {
    fn put(&mut self, value: f64) -> Span {
        let end = if value < 0.0 {
            &mut self.down
        } else {
            &mut self.up
        };
        let from = *end;
        *end += value;
        Span { from, to: *end }
    }
}

/// How far the bars of each place go, where any is known.
pub(super) fn ends(chart: &Chart) -> impl Iterator<Item = f64> {
    let ends = move |x: usize| {
        let mut stack = Stack::default();
        let known = (0..chart.series.len()).filter_map(|series| chart.known(series, x));
        let n_known = known.map(|value| stack.put(value)).count();
        [stack.up, stack.down]
            .into_iter()
            .filter(move |_| n_known > 0)
    };
    (0..chart.x.len()).flat_map(ends)
}

/// Adds a bar. One on top of another begins a little later, so that paper shows between them. The
/// script reads these three numbers when it stacks the rest anew.
fn bar(path: &mut String, plan: &Plan<'_>, middle: f64, span: Span) {
    let (start, end) = (plan.scale.at(span.from), plan.scale.at(span.to));
    let is_on_top = span.from.abs() > 0.0 && plan.places.each() > 8.0;
    let air = if is_on_top { PAPER } else { 0.0 };
    let start = if end < start {
        (start - air).max(end)
    } else {
        (start + air).min(end)
    };
    let top = Px(start.min(end)).rounded();
    let height = Px(start.max(end)).rounded() - top;
    // Writing to a string does not fail.
    let _ = write!(path, "M{} {}v{}", Px(middle), Px(top), Px(height));
}
