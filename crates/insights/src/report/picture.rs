//! The pictures of an answer: its rows as charts, the way the report's `chart` says. How a chart is
//! drawn is the business of [`crate::chart`].
//!
//! A picture has one scale. Where a report shows values of different kinds, such as core-hours and
//! bytes, there is a picture for each kind.

mod places;

use super::about;
use super::heading::capital;
use super::value::{Reader, Shown, names_of_days, number};
use crate::chart::{Axis, Chart, Kind as Drawn, Series, Style, Unit};
use places::Places;
use std::collections::HashMap;
use std::fmt::Write as _;
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
    let rows: Vec<Vec<Cell>> = answer.table.rows().collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let picture = Picture {
        reader: Reader::new(answer),
        spec,
        most_rows: spec.top.unwrap_or(MOST_ROWS).min(most_rows),
        rows,
    };
    match spec.kind {
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
    let charts = charts(answer);
    let drawn = |chart: &Chart| chart.svg(chart.size(WIDTH), Style::Static);
    match &charts[..] {
        [] => None,
        [one] => Some(drawn(one)),
        several => Some(below_each_other(several, drawn)),
    }
}

fn below_each_other(charts: &[Chart], drawn: impl Fn(&Chart) -> String) -> String {
    let mut inside = String::new();
    let mut height = 0;
    for chart in charts {
        let part = drawn(chart);
        // Writing to a string does not fail.
        let _ = write!(inside, "<g transform=\"translate(0 {height})\">{part}</g>");
        height += chart.size(WIDTH).height;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\">{inside}</svg>"
    )
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
                    let points = vec![None; places.len()];
                    all.push(Series { name, points });
                    all.len() - 1
                });
                all[series].points[place] = point(value, row);
            }
        }
        if self.spec.series.is_some() {
            keep_largest(&mut all, self.spec.top.unwrap_or(MOST_SERIES), kind);
        }
        let zone = self.reader.zone(self.rows.first()?);
        let names = |cell: &Cell| self.name_of_place(x, cell);
        Some(Chart {
            series: all,
            ..self.chart(kind, places.axis(kind, zone, names), values)
        })
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
        let names = rows.iter().map(|row| {
            let name = self.reader.text(x, row);
            if self.reader.has_several_hubs() {
                return format!("{name}{AND}{}", about::visible(Reader::hub(row)));
            }
            name
        });
        let series = values.iter().map(|value| Series {
            name: value.label.clone(),
            points: rows.iter().map(|row| point(value, row)).collect(),
        });
        let axis = Axis::Categories(names.collect());
        let mut chart = self.chart(Drawn::HorizontalBars, axis, values);
        chart.series = series.collect();
        if rows.len() < self.rows.len() {
            let told = format!("the {} largest of {}", rows.len(), self.rows.len());
            chart.y_label = format!("{}, {told}", capital(&in_a_sentence(values)));
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
            points: vec![None; across.len()],
        });
        let mut series: Vec<Series> = series.collect();
        for row in &rows {
            if let (Some(x), Some(y)) = (across.place(&row[x.place]), down.place(&row[y.place])) {
                series[y].points[x] = point(value, row);
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
    let factor = if value.column.kind == Kind::Share {
        100.0
    } else {
        1.0
    };
    Some(number * factor)
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
    match scale_of(values) {
        Some(Kind::Number) if are_whole => Unit::Count,
        Some(Kind::Hours) => Unit::Hours,
        Some(Kind::Seconds) => Unit::Seconds,
        Some(Kind::Bytes) => Unit::Bytes,
        Some(Kind::Share) => Unit::Percent,
        Some(Kind::Cores) => Unit::Cores,
        Some(Kind::CoreHours) => Unit::Other("core h".to_owned()),
        Some(Kind::GibHours) => Unit::Other("GiB h".to_owned()),
        Some(Kind::GpuHours) => Unit::Other("GPU h".to_owned()),
        _ => Unit::None,
    }
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

/// Of many series the largest; the rest as one where values add up.
fn keep_largest(all: &mut Vec<Series>, most: usize, kind: Drawn) {
    if all.len() <= most {
        return;
    }
    let sum = |series: &Series| series.points.iter().flatten().sum::<f64>();
    all.sort_by(|left, right| sum(right).total_cmp(&sum(left)));
    let rest = all.split_off(most);
    if kind != Drawn::StackedBars {
        return;
    }
    let n_places = rest.first().map_or(0, |series| series.points.len());
    let points = (0..n_places).map(|place| {
        let known = rest.iter().filter_map(|series| series.points[place]);
        known.reduce(|sum, value| sum + value)
    });
    all.push(Series {
        name: format!("{} others", rest.len()),
        points: points.collect(),
    });
}
