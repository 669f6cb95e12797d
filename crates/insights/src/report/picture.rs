//! The pictures of an answer: its rows as charts, the way the report's `chart` says. How a chart is
//! drawn is the business of [`crate::chart`].
//!
//! A picture has one scale. Where a report shows values of different kinds, such as core-hours and
//! bytes, there is a picture for each kind.

mod places;
mod written_days;

use super::about;
use super::heading::capital;
use super::value::{self, Reader, Shown, in_unit, names_of_days, number};
use crate::chart::{Axis, Chart, Kind as Drawn, Series, Style, Unit, below_each_other};
use places::Places;
use std::collections::HashMap;
use store::Cell;
use store::report::{Answer, ChartKind, ChartSpec, Kind};

/// Most rows of names that a picture shows unless the report says how many.
const MOST_ROWS: usize = 40;
/// Most series of a column that tells them apart, as many as there are colours.
const MOST_SERIES: usize = 8;
/// The width of a picture that stands alone.
const WIDTH: u32 = 900;
/// Between the parts of a name.
const AND: &str = " · ";

/// The charts of an answer, in their order; none if its report has none, or there is no row.
pub fn charts(answer: &Answer) -> Vec<Chart> {
    charts_of(answer, MOST_ROWS)
}

/// The same with at most so many rows of names.
pub(super) fn charts_of(answer: &Answer, most_rows: usize) -> Vec<Chart> {
    let Some(spec) = &answer.report.chart else {
        return Vec::new();
    };
    let mut rows: Vec<Vec<Cell>> = answer.table.rows().collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let reader = Reader::new(answer);
    let mut kind = spec.kind;
    // Days have an order of their own: the largest of them would be no picture.
    if kind == ChartKind::Rows
        && let Some(x) = reader.column(&spec.x)
        && written_days::read(&mut rows, x.place)
    {
        kind = ChartKind::Line;
    }
    let picture = Picture {
        reader,
        spec,
        most_rows: spec.top.unwrap_or(MOST_ROWS).min(most_rows),
        rows,
    };
    match kind {
        ChartKind::Line => picture.of_each_kind(|values| picture.course(Drawn::Line, values)),
        ChartKind::Bars => picture.of_each_kind(|values| picture.course(Drawn::Bars, values)),
        ChartKind::Stacked => {
            picture.of_each_kind(|values| picture.course(Drawn::StackedBars, values))
        }
        ChartKind::Rows => picture.of_each_kind(|values| picture.ranking(values)),
        ChartKind::Heatmap => picture.heatmaps(),
    }
}

/// The charts as one SVG that stands alone, below each other.
pub fn svg(answer: &Answer) -> Option<String> {
    let mut charts = charts(answer);
    // Once is enough.
    for chart in charts.iter_mut().skip(1) {
        chart.subtitle.clear();
    }
    match &charts[..] {
        [] => None,
        [one] => Some(one.svg(one.size(WIDTH, Style::Static), Style::Static)),
        several => {
            let title = about::visible(&answer.report.title);
            Some(below_each_other(several, &title, WIDTH))
        }
    }
}

struct Picture<'a> {
    reader: Reader<'a>,
    spec: &'a ChartSpec,
    most_rows: usize,
    rows: Vec<Vec<Cell>>,
}

/// Columns of values that share a scale.
type Values<'p, 'a> = [&'p Shown<'a>];

impl<'a> Picture<'a> {
    /// A chart for each kind of values.
    fn of_each_kind(&self, chart: impl Fn(&Values<'_, 'a>) -> Option<Chart>) -> Vec<Chart> {
        let mut kinds: Vec<Vec<&Shown<'a>>> = Vec::new();
        for column in self
            .spec
            .y
            .iter()
            .filter_map(|name| self.reader.column(name))
        {
            let scale = scale(column.column.kind);
            match kinds.iter_mut().find(|kind| scale_of(kind) == Some(scale)) {
                Some(kind) => kind.push(column),
                None => kinds.push(vec![column]),
            }
        }
        let are_several = kinds.len() > 1;
        let charts = kinds.iter().filter_map(|values| {
            let mut chart = chart(values)?;
            if are_several {
                chart.title = format!("{}: {}", chart.title, in_a_sentence(values));
                // The title says it, unless there is more to say.
                if chart.y_label == label(values) {
                    chart.y_label.clear();
                }
            }
            Some(chart)
        });
        charts.collect()
    }

    /// Values over time or beside each other.
    fn course(&self, kind: Drawn, values: &Values<'_, 'a>) -> Option<Chart> {
        let x = self.reader.column(&self.spec.x)?;
        let places = Places::of(self.rows.iter().map(|row| &row[x.place]));
        let mut all = Vec::new();
        let mut by_name: HashMap<String, usize> = HashMap::new();
        for row in &self.rows {
            let Some(place) = places.place(&row[x.place]) else {
                continue;
            };
            for value in values {
                let name = self.name_of_series(value, row, values);
                let series = *by_name.entry(name.clone()).or_insert_with(|| {
                    all.push(Course::new(name, places.len()));
                    all.len() - 1
                });
                all[series].set(place, point(value, row));
            }
        }
        let n_series = all.len();
        if self.spec.series.is_some() {
            if kind != Drawn::Line {
                all.iter_mut().for_each(Course::fill);
            }
            keep_largest(&mut all, self.spec.top.unwrap_or(MOST_SERIES), kind);
        }
        let zone = self.reader.zone(self.rows.first()?);
        let names = |cell: &Cell| self.name_of_place(x, cell);
        let mut chart = self.chart(kind, places.axis(kind, zone, names), values);
        if all.len() < n_series && kind != Drawn::StackedBars {
            chart.y_label = largest(values, all.len(), n_series);
        }
        chart.series = all.into_iter().map(|course| course.series).collect();
        Some(chart)
    }

    /// What tells a series from the others.
    fn name_of_series(&self, value: &Shown<'_>, row: &[Cell], values: &Values<'_, 'a>) -> String {
        let hub = self
            .reader
            .has_several_hubs()
            .then(|| about::visible(Reader::hub(row)));
        let column = self
            .spec
            .series
            .as_ref()
            .and_then(|name| self.reader.column(name));
        let own = column.map(|column| self.reader.text(column, row));
        let mut parts: Vec<String> = hub.into_iter().chain(own).collect();
        if values.len() > 1 || parts.is_empty() {
            parts.push(value.label.clone());
        }
        parts.join(AND)
    }

    /// A bar for each name, the longest first.
    fn ranking(&self, values: &Values<'_, 'a>) -> Option<Chart> {
        let (x, first) = (self.reader.column(&self.spec.x)?, values.first()?);
        let mut rows: Vec<&Vec<Cell>> = self.rows.iter().collect();
        let of = |row: &[Cell]| number(&row[first.place]).unwrap_or(f64::NEG_INFINITY);
        rows.sort_by(|left, right| of(right).total_cmp(&of(left)));
        rows.truncate(self.most_rows);
        let series = self.spec.series.as_ref();
        let series = series.and_then(|name| self.reader.column(name));
        let names = rows.iter().map(|row| {
            let mut parts = vec![self.reader.text(x, row)];
            // The default server has no name.
            let own = series.filter(|column| row[column.place] != Cell::Null);
            let own = own.map(|column| self.reader.text(column, row));
            parts.extend(own.filter(|text| !text.is_empty()));
            if self.reader.has_several_hubs() {
                parts.push(about::visible(Reader::hub(row)));
            }
            parts.join(AND)
        });
        let series = values.iter().map(|value| Series {
            name: value.label.clone(),
            points: rows.iter().map(|row| point(value, row)).collect(),
        });
        let axis = Axis::Categories(names.collect());
        let mut chart = self.chart(Drawn::HorizontalBars, axis, values);
        chart.series = series.collect();
        if rows.len() < self.rows.len() {
            chart.y_label = largest(values, rows.len(), self.rows.len());
        }
        Some(chart)
    }

    /// A grid for each hub.
    fn heatmaps(&self) -> Vec<Chart> {
        let hubs = self.reader.answer.hubs.iter();
        hubs.filter_map(|hub| self.heatmap(&hub.name)).collect()
    }

    fn heatmap(&self, hub: &str) -> Option<Chart> {
        let x = self.reader.column(&self.spec.x)?;
        let y = self.reader.column(self.spec.y.first()?)?;
        let value = self.reader.column(self.spec.value.as_ref()?)?;
        let rows = self.rows.iter().filter(|row| Reader::hub(row) == hub);
        let rows: Vec<&Vec<Cell>> = rows.collect();
        let across = Places::of(rows.iter().map(|row| &row[x.place]));
        let down = Places::of(rows.iter().map(|row| &row[y.place]));
        let names = down.names(|cell| self.name_of_place(y, cell)).into_iter();
        let series = names.map(|name| Series {
            name,
            points: Vec::new(),
        });
        let mut series: Vec<Series> = series.collect();
        for row in &rows {
            if let (Some(x), Some(y)) = (across.place(&row[x.place]), down.place(&row[y.place])) {
                let points = &mut series[y].points;
                // A place without a row is not known if there are some behind it, else it is to come.
                points.resize(points.len().max(x + 1), None);
                points[x] = point(value, row);
            }
        }
        let axis = Axis::Categories(across.names(|cell| self.name_of_place(x, cell)));
        let mut chart = self.chart(Drawn::Heatmap, axis, &[value]);
        chart.x_label.clone_from(&x.label);
        chart.series = series;
        if self.reader.has_several_hubs() {
            chart.title = format!("{}: {}", chart.title, about::visible(hub));
        }
        (!rows.is_empty()).then_some(chart)
    }

    /// A chart without points.
    fn chart(&self, kind: Drawn, axis: Axis, values: &Values<'_, 'a>) -> Chart {
        let answer = self.reader.answer;
        let words = match kind {
            Drawn::Line | Drawn::Area => "Lines",
            Drawn::Bars | Drawn::StackedBars | Drawn::HorizontalBars => "Bars",
            Drawn::Heatmap => "Grid of shades",
        };
        let days = about::days(answer.from, answer.to);
        let description = format!("{words}: {}, {days}.", in_a_sentence(values));
        Chart {
            title: about::visible(&answer.report.title),
            subtitle: about::line(answer),
            description,
            y_label: label(values),
            ..Chart::new(kind, axis, unit(values))
        }
    }

    /// What a place on an axis is called.
    fn name_of_place(&self, column: &Shown<'_>, cell: &Cell) -> String {
        let mut row = vec![Cell::Null; column.place];
        row.push(cell.clone());
        self.reader.text(column, &row)
    }
}

/// The value of a row, as the unit of its kind wants it.
fn point(value: &Shown<'_>, row: &[Cell]) -> Option<f64> {
    let number = row.get(value.place).and_then(number)?;
    Some(in_unit(number, value.column.kind))
}

/// Kinds that can share a scale are the same here.
fn scale(kind: Kind) -> Kind {
    match kind {
        Kind::Count | Kind::Flag => Kind::Number,
        other => other,
    }
}

fn scale_of(values: &Values<'_, '_>) -> Option<Kind> {
    values.first().map(|value| scale(value.column.kind))
}

fn unit(values: &Values<'_, '_>) -> Unit {
    let are_whole = values.iter().all(|value| value.column.kind == Kind::Count);
    match values.first() {
        Some(_) if are_whole => Unit::Count,
        Some(first) => value::unit(scale(first.column.kind)),
        None => Unit::None,
    }
}

/// What the values are, of which not all are shown.
fn largest(values: &Values<'_, '_>, n: usize, of: usize) -> String {
    format!(
        "{}, the {n} largest of {of}",
        capital(&in_a_sentence(values))
    )
}

/// What the values are; the legend says it where there are several.
fn label(values: &Values<'_, '_>) -> String {
    match values {
        [one] => one.label.clone(),
        _ => String::new(),
    }
}

/// Labels as words of a sentence.
fn in_a_sentence(values: &Values<'_, '_>) -> String {
    let names: Vec<String> = values.iter().map(|value| uncapital(&value.label)).collect();
    match &names[..] {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        names => names.concat(),
    }
}

/// With a small letter, unless it is an abbreviation.
fn uncapital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !letters.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// A series that is being gathered from rows.
struct Course {
    series: Series,
    /// Places with a row whose value is not known; where there is no row there is nothing to add.
    unknown: Vec<bool>,
}

impl Course {
    fn new(name: String, n_places: usize) -> Self {
        let points = vec![None; n_places];
        Self {
            series: Series { name, points },
            unknown: vec![false; n_places],
        }
    }

    fn set(&mut self, place: usize, point: Option<f64>) {
        self.series.points[place] = point;
        self.unknown[place] = point.is_none();
    }

    /// Where others have a row, a series without one has nothing; it is not unknown.
    fn fill(&mut self) {
        for (point, is_unknown) in self.series.points.iter_mut().zip(&self.unknown) {
            if point.is_none() && !is_unknown {
                *point = Some(0.0);
            }
        }
    }

    fn sum(&self) -> f64 {
        self.series.points.iter().flatten().sum()
    }
}

/// Of many series the largest; the rest as one where values add up.
fn keep_largest(all: &mut Vec<Course>, most: usize, kind: Drawn) {
    if all.len() <= most {
        return;
    }
    all.sort_by(|left, right| right.sum().total_cmp(&left.sum()));
    let rest = all.split_off(most);
    if kind == Drawn::StackedBars {
        all.push(others(&rest));
    }
}

/// The sum of series; not known where one of them is not.
fn others(rest: &[Course]) -> Course {
    let n_places = rest.first().map_or(0, |course| course.unknown.len());
    let mut others = Course::new(format!("{} others", rest.len()), n_places);
    for place in 0..n_places {
        let points = rest.iter().map(|course| course.series.points[place]);
        let known = points.flatten().reduce(|sum, value| sum + value);
        let is_known = rest.iter().all(|course| !course.unknown[place]);
        others.set(place, known.filter(|_| is_known));
    }
    others
}
