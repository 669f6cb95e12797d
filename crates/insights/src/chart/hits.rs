//! Areas for the script: where the pointer is, what is there, and the values as they are read.
//! Heatmaps need none, since their cells say it themselves.

use super::markup::{Px, Svg};
use super::places::{Places, Room};
use super::plan::Plan;
use super::{Chart, Kind};

/// More could not be told apart by hand.
const MOST: usize = 400;
/// Places are rounded, and the pointer must not fall between two areas.
const OVERLAP: f64 = 0.2;
/// Between the values of several series; no formatted value has one.
const BETWEEN: &str = "|";

/// Draws them over everything, as lines that are as thick as the room of a point: half as long to
/// write as rectangles.
pub(super) fn draw(plan: &Plan<'_>, svg: &mut Svg) {
    if plan.chart.kind == Kind::Heatmap {
        return;
    }
    let hits = some(&plan.places);
    let usual = hits.first().map_or(0.0, |hit| hit.room.width());
    let mut group = svg
        .start("g")
        .set("class", "hits")
        .px("stroke-width", usual + OVERLAP);
    if plan.chart.kind == Kind::StackedBars {
        // On which the script stacks the series that are left.
        group = group.set("data-zero", Px(plan.scale.at(0.0)));
    }
    group.inside();
    let names = plan.chart.x.names(hits.iter().map(|hit| hit.of));
    for (hit, name) in hits.iter().zip(names) {
        let path = svg.start("path").set("d", line(plan, hit.room.middle()));
        let path = match hit.room.width() {
            width if (width - usual).abs() < 0.1 => path,
            width => path.px("stroke-width", width + OVERLAP),
        };
        let path = path.set("data-label", name);
        path.set("data-values", values(plan.chart, hit.of)).alone();
    }
    svg.end();
}

/// Through the middle of a point's room.
fn line(plan: &Plan<'_>, middle: f64) -> String {
    if plan.chart.kind == Kind::HorizontalBars {
        return format!("M0 {}h{}", Px(middle), Px(plan.width));
    }
    let (top, height) = (plan.plot.top, plan.plot.down().width());
    format!("M{} {}v{}", Px(middle), Px(top), Px(height))
}

/// The values at a place, of all series, then of all together where they add up.
fn values(chart: &Chart, x: usize) -> String {
    let known: Vec<_> = (0..chart.series.len()).map(|i| chart.known(i, x)).collect();
    let words = |value: &Option<f64>| match value {
        Some(value) => chart.unit.format(*value).replace(BETWEEN, "/"),
        None => "not known".to_owned(),
    };
    let mut values: Vec<_> = known.iter().map(words).collect();
    if chart.kind == Kind::StackedBars && known.len() > 1 {
        // What is not known in part has no sum.
        let total: Option<f64> = known.iter().copied().sum();
        values.push(words(&total));
    }
    values.join(BETWEEN)
}

/// An area and the point that it tells about.
struct Hit {
    of: usize,
    room: Room,
}

/// Every so many points, each with the area up to the next.
fn some(places: &Places) -> Vec<Hit> {
    let n = places.len();
    let every = n.div_ceil(MOST).max(1);
    let hit = |first: usize| {
        let last = (first + every - 1).min(n - 1);
        Hit {
            of: usize::midpoint(first, last),
            room: places.rooms(first, last),
        }
    };
    (0..n).step_by(every).map(hit).collect()
}
