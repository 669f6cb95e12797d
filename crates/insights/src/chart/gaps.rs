//! Where nothing that is drawn is known, the whole plot is hatched: a line that only stops is easily
//! taken for one that fell to zero. Beside others that go on it is not, so of several series the one
//! that is not known has a gap; the legend and the words for those who cannot see it name it. What is
//! drawn of bars on top of each other is their sum, which is not known unless each of them is.

use super::legend::Known;
use super::markup::Svg;
use super::places::Room;
use super::plan::Plan;
use super::{Chart, Kind};
use std::ops::RangeInclusive;

/// Side of the hatching's tile.
const TILE: f64 = 6.0;
/// Bands that are closer than this many pixels are drawn as one.
const CLOSE: f64 = 1.0;
/// Most series, and stretches of one, that are named.
const MOST_NAMES: usize = 5;

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

/// Whether anything is hatched.
pub(super) fn any(chart: &Chart) -> bool {
    let n = chart.x.len();
    let is_own_place = matches!(chart.kind, Kind::Heatmap | Kind::HorizontalBars);
    if !is_own_place {
        return (0..n).any(|x| unknown(chart, x).is_some());
    }
    chart.series.iter().enumerate().any(|(series, data)| {
        let n_drawn = match chart.kind {
            Kind::Heatmap => n.min(data.points.len()),
            _ => n,
        };
        (0..n_drawn).any(|x| chart.known(series, x).is_none())
    })
}

/// How much of each series is known, where nothing else says that it is not.
pub(super) fn known(chart: &Chart) -> Vec<Known> {
    if !matches!(chart.kind, Kind::Line | Kind::Area | Kind::Bars) {
        return vec![Known::All; chart.series.len()];
    }
    let n = chart.x.len();
    let each = missing(chart).into_iter().enumerate();
    let each = each.map(|(series, missing)| match missing.len() {
        0 => Known::All,
        _ if (0..n).all(|x| chart.known(series, x).is_none()) => Known::Nothing,
        _ => Known::Part,
    });
    each.collect()
}

/// What is not known of some series while others are, in words; empty if there is nothing of it.
pub(super) fn in_words(chart: &Chart) -> String {
    // There each value that is not known is hatched and named.
    if matches!(chart.kind, Kind::Heatmap | Kind::HorizontalBars) {
        return String::new();
    }
    let each = missing(chart).into_iter().enumerate();
    let each = each.filter(|(_, missing)| !missing.is_empty());
    let each = each.map(|(series, missing)| {
        let name = &chart.series[series].name;
        if (0..chart.x.len()).all(|x| chart.known(series, x).is_none()) {
            return name.clone();
        }
        format!("{name} ({})", stretches(chart, &missing))
    });
    let all: Vec<String> = each.collect();
    if all.is_empty() {
        return String::new();
    }
    format!("Not known: {}.", listed(&all))
}

/// Of each series the places at which it is not known and another one is.
fn missing(chart: &Chart) -> Vec<Vec<usize>> {
    let series = 0..chart.series.len();
    let is_known = |x: &usize| {
        series
            .clone()
            .any(|series| chart.known(series, *x).is_some())
    };
    let places: Vec<usize> = (0..chart.x.len()).filter(is_known).collect();
    let each = series.clone().map(|series| {
        let missing = places.iter().copied();
        let missing = missing.filter(|x| chart.known(series, *x).is_none());
        missing.collect()
    });
    each.collect()
}

/// Places in a row as one: `Monday to Wednesday, Friday`.
fn stretches(chart: &Chart, places: &[usize]) -> String {
    let mut all: Vec<RangeInclusive<usize>> = Vec::new();
    for x in places {
        match all.last_mut() {
            Some(stretch) if stretch.end() + 1 == *x => *stretch = *stretch.start()..=*x,
            _ => all.push(*x..=*x),
        }
    }
    let names: Vec<String> = all.iter().map(|stretch| named(chart, stretch)).collect();
    listed(&names)
}

fn named(chart: &Chart, places: &RangeInclusive<usize>) -> String {
    let first = chart.x.name(*places.start());
    if places.start() == places.end() {
        return first;
    }
    format!("{first} to {}", chart.x.name(*places.end()))
}

/// Names with commas, and how many are left out.
fn listed(names: &[String]) -> String {
    let (shown, rest) = names.split_at(names.len().min(MOST_NAMES));
    let shown = shown.join(", ");
    match rest.len() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
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

/// What of a place is hatched.
fn unknown(chart: &Chart, x: usize) -> Option<Unknown> {
    let is_unknown = |series: &usize| chart.known(*series, x).is_none();
    let unknown: Vec<_> = (0..chart.series.len()).filter(is_unknown).collect();
    match unknown.len() {
        0 => None,
        n if n == chart.series.len() => Some(Unknown::All),
        _ if chart.kind == Kind::StackedBars => Some(Unknown::Some(unknown)),
        _ => None,
    }
}

impl Band {
    fn says(&self, chart: &Chart) -> String {
        let what = match &self.unknown {
            Unknown::All => "not known".to_owned(),
            Unknown::Parts => "not known in part".to_owned(),
            Unknown::Some(series) => {
                let names = series.iter().map(|i| chart.series[*i].name.clone());
                let names: Vec<String> = names.collect();
                format!("not known for {}", listed(&names))
            }
        };
        format!("{what}: {}", named(chart, &(self.first..=self.last)))
    }
}
