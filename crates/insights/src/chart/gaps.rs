//! What is not known is hatched, over the whole plot: a line that only stops is easily taken for
//! one that fell to zero.

use super::markup::Svg;
use super::places::Room;
use super::plan::Plan;
use super::{Chart, Kind};

/// Side of the hatching's tile.
const TILE: f64 = 6.0;
/// Bands that are closer than this many pixels are drawn as one.
const CLOSE: f64 = 1.0;

/// Points in a row of which the same is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Band {
    first: usize,
    last: usize,
    unknown: Unknown,
}

/// What is unknown in a band.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Unknown {
    All,
    /// These series.
    Some(Vec<usize>),
    /// Something, somewhere: several bands that are too thin to be told apart.
    Parts,
}

/// Whether there is any.
pub(super) fn any(chart: &Chart) -> bool {
    let n = chart.x.len();
    chart.series.iter().enumerate().any(|(series, data)| {
        let n_drawn = match chart.kind {
            Kind::Heatmap => n.min(data.points.len()),
            _ => n,
        };
        (0..n_drawn).any(|x| chart.known(series, x).is_none())
    })
}

/// The id of the hatching in a chart.
pub(super) fn pattern_id(chart: &str) -> String {
    format!("{chart}-gap")
}

/// Defines the hatching.
pub(super) fn define(svg: &mut Svg, chart: &str) {
    let pattern = svg.start("pattern").set("id", pattern_id(chart));
    let pattern = pattern.px("width", TILE).px("height", TILE);
    let pattern = pattern.set("patternUnits", "userSpaceOnUse");
    pattern.set("patternTransform", "rotate(45)").inside();
    let ground = svg.start("rect").set("class", "gap-ground");
    ground.px("width", TILE).px("height", TILE).alone();
    let line = svg.start("path").set("class", "gap-line");
    line.set("d", format_args!("M0 0v{TILE}")).alone();
    svg.end();
}

/// Draws the bands behind the data.
pub(super) fn draw(plan: &Plan<'_>, svg: &mut Svg) {
    for band in bands(plan) {
        let mut room = plan.places.rooms(band.first, band.last);
        if room.width() < CLOSE {
            // A day among thousands can still be seen.
            let middle = room.middle();
            room.from = (middle - CLOSE / 2.0).max(plan.plot.left);
            room.to = (room.from + CLOSE).min(plan.plot.right);
        }
        let area = Area {
            across: room,
            down: plan.plot.down(),
        };
        let class = if band.unknown == Unknown::All {
            "gap"
        } else {
            "gap some"
        };
        hatch(svg, &plan.id, class, area, &band.says(plan.chart));
    }
}

/// The edges of something hatched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) across: Room,
    pub(super) down: Room,
}

/// Hatches an area, and says why.
pub(super) fn hatch(svg: &mut Svg, chart: &str, class: &str, area: Area, why: &str) {
    let rect = svg.start("rect").set("class", class);
    let rect = rect.px("x", area.across.from).px("y", area.down.from);
    let rect = rect
        .px("width", area.across.width())
        .px("height", area.down.width());
    rect.set("fill", format_args!("url(#{})", pattern_id(chart)))
        .inside();
    svg.text("title", why);
    svg.end();
}

fn bands(plan: &Plan<'_>) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for x in 0..plan.chart.x.len() {
        let Some(unknown) = unknown(plan.chart, x) else {
            continue;
        };
        match bands.last_mut() {
            Some(band) if band.last + 1 == x && band.unknown == unknown => band.last = x,
            Some(band) if is_close(plan, band.last, x) => {
                band.last = x;
                band.unknown = Unknown::Parts;
            }
            _ => bands.push(Band {
                first: x,
                last: x,
                unknown,
            }),
        }
    }
    bands
}

/// Whether two bands could not be told apart.
fn is_close(plan: &Plan<'_>, last: usize, next: usize) -> bool {
    let room = plan.places.rooms(last, next);
    room.width() < 2.0 * CLOSE
}

fn unknown(chart: &Chart, x: usize) -> Option<Unknown> {
    let is_unknown = |series: &usize| chart.known(*series, x).is_none();
    let unknown: Vec<_> = (0..chart.series.len()).filter(is_unknown).collect();
    match unknown.len() {
        0 => None,
        n if n == chart.series.len() => Some(Unknown::All),
        _ => Some(Unknown::Some(unknown)),
    }
}

impl Band {
    fn says(&self, chart: &Chart) -> String {
        let what = match &self.unknown {
            Unknown::All => "not known".to_owned(),
            Unknown::Parts => "not known in part".to_owned(),
            Unknown::Some(series) => {
                let names = series.iter().take(5).map(|i| &*chart.series[*i].name);
                let names = names.collect::<Vec<_>>().join(", ");
                match series.len().saturating_sub(5) {
                    0 => format!("not known for {names}"),
                    more => format!("not known for {names} and {more} more"),
                }
            }
        };
        let first = chart.x.name(self.first);
        if self.first == self.last {
            return format!("{what}: {first}");
        }
        format!("{what}: {first} to {}", chart.x.name(self.last))
    }
}
