//! Lines, and lines with their area filled.

use super::start_series;
use crate::chart::markup::{Px, Svg};
use crate::chart::plan::Plan;
use crate::chart::{Kind, Style, palette};
use std::fmt::Write;

/// With at most so many points, each is marked.
const FEW: usize = 31;
/// Of more points, about so many are marked where there are no colours.
const MARKS: usize = 10;
/// Half the size of a mark.
const R: f64 = 3.0;
/// Half the size of a point that stands alone among others of its series.
const DOT: f64 = 2.5;
/// Half the size of the only point of a series: nothing else leads the eye to it.
const ONLY: f64 = 5.0;

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chart) struct Point {
    pub(in crate::chart) x: f64,
    pub(in crate::chart) y: f64,
}

pub(super) fn draw(plan: &Plan<'_>, svg: &mut Svg) {
    for series in 0..plan.chart.series.len() {
        start_series(plan, svg, series);
        draw_series(plan, svg, series);
        svg.end();
    }
}

fn draw_series(plan: &Plan<'_>, svg: &mut Svg, series: usize) {
    let pieces = pieces(plan, series);
    let lines: String = pieces
        .iter()
        .filter(|piece| piece.len() > 1)
        .map(|piece| line(piece))
        .collect();
    if plan.chart.kind == Kind::Area && !lines.is_empty() {
        let zero = plan.scale.at(0.0);
        let areas: String = pieces
            .iter()
            .filter(|piece| piece.len() > 1)
            .map(|piece| area(piece, zero))
            .collect();
        svg.start("path")
            .set("class", "area")
            .set("d", areas)
            .alone();
    }
    if !lines.is_empty() {
        svg.start("path")
            .set("class", "line")
            .set("d", lines)
            .alone();
    }
    if let [piece] = &pieces[..]
        && let [only] = piece[..]
    {
        draw_only(plan, svg, series, only);
        return;
    }
    for piece in pieces.iter().filter(|piece| piece.len() == 1) {
        dot(svg, piece[0], DOT);
    }
    marks(svg, series, plan.style, &marked(&pieces, series, plan));
}

/// The only point of a series, which no line makes visible.
fn draw_only(plan: &Plan<'_>, svg: &mut Svg, series: usize, only: Point) {
    if plan.style == Style::Static && plan.chart.series.len() > 1 {
        // Its shape tells it from the others.
        dot(svg, only, DOT);
        marks(svg, series, plan.style, &[only]);
    } else {
        dot(svg, only, ONLY);
    }
}

fn dot(svg: &mut Svg, at: Point, r: f64) {
    let dot = svg.start("circle").set("class", "dot").set("r", r);
    dot.px("cx", at.x).px("cy", at.y).alone();
}

/// Points in a row that are all known.
fn pieces(plan: &Plan<'_>, series: usize) -> Vec<Vec<Point>> {
    let mut pieces = vec![Vec::new()];
    for (i, x) in plan.places.centres.iter().copied().enumerate() {
        let Some(value) = plan.chart.known(series, i) else {
            pieces.push(Vec::new());
            continue;
        };
        let y = plan.scale.at(value);
        if let Some(piece) = pieces.last_mut() {
            piece.push(Point { x, y });
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn line(piece: &[Point]) -> String {
    let mut path = String::with_capacity(piece.len() * 12);
    for (i, point) in piece.iter().enumerate() {
        let before = if i == 0 { 'M' } else { ' ' };
        // Writing to a string does not fail.
        let _ = write!(path, "{before}{} {}", Px(point.x), Px(point.y));
    }
    path
}

fn area(piece: &[Point], zero: f64) -> String {
    let (Some(first), Some(last)) = (piece.first(), piece.last()) else {
        return String::new();
    };
    let (start, end) = (Px(first.x), Px(last.x));
    format!(
        "{}L{end} {zero} {start} {zero}z",
        line(piece),
        zero = Px(zero)
    )
}

/// Which points are marked: all of few; some of many if dashes alone would have to tell lines apart.
fn marked(pieces: &[Vec<Point>], series: usize, plan: &Plan<'_>) -> Vec<Point> {
    let n = plan.places.len();
    let several = plan.chart.series.len() > 1;
    let every = match plan.style {
        _ if n <= FEW => 1,
        Style::Static if several => n.div_ceil(MARKS).max(1),
        _ => return Vec::new(),
    };
    let points = pieces.iter().flatten();
    // Not at the same places for all series, so that marks do not hide each other.
    let first = series * every / palette::N_COLOURS % every;
    points.skip(first).step_by(every).copied().collect()
}

/// Marks points: dots in colour, otherwise a shape for each series.
pub(in crate::chart) fn marks(svg: &mut Svg, series: usize, style: Style, points: &[Point]) {
    if points.is_empty() {
        return;
    }
    let shape = match style {
        Style::Themed => 0,
        Style::Static => series % palette::N_COLOURS,
    };
    let path: String = points.iter().map(|point| mark(*point, shape)).collect();
    svg.start("path")
        .set("class", "mark")
        .set("d", path)
        .alone();
}

/// A closed shape around a point.
fn mark(Point { x, y }: Point, shape: usize) -> String {
    let (left, top, bottom) = (Px(x - R), Px(y - R), Px(y + R));
    let (x, y) = (Px(x), Px(y));
    match shape {
        0 => format!("M{left} {y}a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"),
        1 => format!("M{left} {top}h6v6h-6z"),
        2 => format!("M{x} {top}l3.5 6h-7z"),
        3 => format!("M{x} {top}l3 3l-3 3l-3-3z"),
        4 => format!("M{x} {bottom}l-3.5-6h7z"),
        5 => format!("M{left} {top}l3 2l3-2v6l-3-2l-3 2z"),
        6 => format!("M{left} {y}l3-1l0-2l1 2l2 1l-2 1l-1 2l0-2z"),
        _ => format!("M{left} {top}h6l-6 6h6z"),
    }
}
