//! What goes where: from the outside to the inside, so that nothing stands on anything else.

use super::legend::{Corner, Explained, Legend, Looks, ROW, Space};
use super::markup::Svg;
use super::names::Named;
use super::places::{Places, Room, float};
use super::scale::{Range, Scale};
use super::text::{self, Anchor, LARGE, NORMAL, SMALL, Spot};
use super::{Axis, Chart, Kind, Size, Style, axes, gaps, hits, kinds, palette};
use std::fmt::Write;

/// A chart with a place for each of its parts.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) chart: &'a Chart,
    pub(super) style: Style,
    /// Differs between the charts of a page.
    pub(super) id: String,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Where the data are.
    pub(super) plot: Plot,
    /// Along the x axis; from top to bottom for horizontal bars.
    pub(super) places: Places,
    pub(super) named: Vec<Named>,
    /// Of values; not used by heatmaps.
    pub(super) scale: Scale,
    legend: Legend,
    pub(super) rows: Rows,
}

/// The edges of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Plot {
    pub(super) fn across(self) -> Room {
        let (from, to) = (self.left, self.right);
        Room { from, to }
    }

    pub(super) fn down(self) -> Room {
        let (from, to) = (self.top, self.bottom);
        Room { from, to }
    }
}

/// The lines of text above the plot, and what is around everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// Around everything.
    pub(super) margin: f64,
    title: f64,
    subtitle: f64,
    /// The top of the legend.
    pub(super) legend: f64,
    /// What the values are.
    about: f64,
    /// The top of the data.
    plot: f64,
}

impl Rows {
    fn new(chart: &Chart, style: Style, margin: f64, legend_height: f64) -> Self {
        let legend = margin + f64::from(heading_height(chart, style));
        let below = legend + legend_height;
        Self {
            margin,
            title: margin + 14.0,
            subtitle: margin + 31.0,
            legend,
            about: below + 12.0,
            plot: below + if chart.y_label.is_empty() { 8.0 } else { 24.0 },
        }
    }
}

/// The chart as text.
pub(super) fn draw(chart: &Chart, size: Size, style: Style) -> String {
    let plan = Plan::new(chart, size, style);
    let mut svg = Svg::default();
    plan.start(&mut svg);
    plan.define(&mut svg);
    plan.draw_words(&mut svg);
    if !chart.has_data() {
        axes::no_data(&plan, &mut svg);
        return svg.finish();
    }
    kinds::draw(&plan, &mut svg);
    let corner = Corner {
        left: plan.rows.margin,
        top: plan.rows.legend,
    };
    let looks = Looks {
        kind: chart.kind,
        style,
        id: &plan.id,
    };
    plan.legend.draw(&mut svg, corner, looks);
    if style == Style::Themed {
        hits::draw(&plan, &mut svg);
    }
    svg.finish()
}

impl<'a> Plan<'a> {
    pub(super) fn new(chart: &'a Chart, size: Size, style: Style) -> Self {
        let width = f64::from(size.width.clamp(160, 10_000));
        let height = f64::from(size.height.clamp(180, 10_000));
        let margin = if style == Style::Static { 12.0 } else { 4.0 };
        let space = Space {
            width: width - 2.0 * margin - 40.0,
            n_rows: rows_that_fit(height),
        };
        let legend = legend(chart, space);
        let rows = Rows::new(chart, style, margin, legend_height(chart, &legend));
        let below = if chart.x_label.is_empty() { 0.0 } else { 16.0 };
        let bottom = height - margin - below - kinds::room_below(chart);
        let plot = Plot {
            left: margin,
            top: rows.plot,
            right: width - margin,
            bottom: bottom.max(rows.plot + 10.0),
        };
        kinds::lay_out(Self {
            chart,
            style,
            id: id(chart, size, style),
            width,
            height,
            plot,
            // The kinds know better.
            places: Places::even(0, 0.0, 1.0),
            named: Vec::new(),
            scale: Scale::exact(Range::ZERO),
            legend,
            rows,
        })
    }

    /// Places along the x axis between these ends.
    pub(super) fn places_across(&self, room: Room) -> Places {
        let axis = &self.chart.x;
        let is_line = matches!(self.chart.kind, Kind::Line | Kind::Area);
        match axis.values().filter(|_| is_line) {
            Some(values) => Places::apart(&values, room.from, room.to),
            None => Places::even(axis.len(), room.from, room.to),
        }
    }

    fn start(&self, svg: &mut Svg) {
        let class = match self.style {
            Style::Themed => "chart",
            Style::Static => "chart-static",
        };
        let (title, description) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let (width, height) = (self.width, self.height);
        let mut start = svg.start("svg").set("xmlns", "http://www.w3.org/2000/svg");
        start = start.set("class", class).set("id", &self.id);
        start = start.set("role", "img").set("aria-labelledby", &title);
        let said = said(self.chart);
        if !said.is_empty() {
            start = start.set("aria-describedby", &description);
        }
        start = start.set("viewBox", format_args!("0 0 {width} {height}"));
        start.set("width", width).set("height", height).inside();
        let names = [&self.chart.title, &self.chart.y_label];
        let name = names.into_iter().find(|name| !name.is_empty());
        let name = name.map_or("chart", String::as_str);
        svg.start("title").set("id", title).holding(name);
        if !said.is_empty() {
            svg.start("desc").set("id", description).holding(said);
        }
    }

    fn define(&self, svg: &mut Svg) {
        if self.style == Style::Static {
            svg.start("style").holding(&*palette::STATIC_CSS);
            let paper = svg.start("rect").set("class", "paper");
            paper.set("width", "100%").set("height", "100%").alone();
        }
        svg.start("defs").inside();
        gaps::define(svg, &self.id);
        let has_bars = !matches!(self.chart.kind, Kind::Line | Kind::Area | Kind::Heatmap);
        if self.style == Style::Static && has_bars {
            palette::define_textures(svg, &self.id, self.chart.series.len());
        }
        svg.end();
    }

    /// Title, and what the axes are.
    fn draw_words(&self, svg: &mut Svg) {
        let (margin, room) = (self.rows.margin, self.width - 2.0 * self.rows.margin);
        let mut word = |class, y, font, words: &str| {
            let spot = Spot {
                class,
                x: margin,
                y,
                anchor: Anchor::Start,
            };
            if !words.is_empty() {
                text::write(svg, spot, &text::cut(words, font, room));
            }
        };
        if self.style == Style::Static {
            word("title", self.rows.title, LARGE, &self.chart.title);
            if !self.chart.title.is_empty() {
                word("about", self.rows.subtitle, SMALL, &self.chart.subtitle);
            }
        }
        word("about", self.rows.about, SMALL, &self.chart.y_label);
        let spot = Spot {
            class: "about",
            x: self.plot.across().middle(),
            y: self.height - margin - 4.0,
            anchor: Anchor::Middle,
        };
        let words = text::cut(&self.chart.x_label, NORMAL, self.plot.across().width());
        if !self.chart.x_label.is_empty() {
            text::write(svg, spot, &words);
        }
    }
}

/// What a chart shows and what of it is missing, for those who cannot see it.
fn said(chart: &Chart) -> String {
    let words = [chart.description.clone(), gaps::in_words(chart)];
    let words = words.into_iter().filter(|words| !words.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// How high title and subtitle are.
pub(super) fn heading_height(chart: &Chart, style: Style) -> u32 {
    match style {
        Style::Static if chart.title.is_empty() => 0,
        Style::Static if chart.subtitle.is_empty() => 26,
        Style::Static => 44,
        Style::Themed => 0,
    }
}

/// A heatmap explains its shades instead, and nothing needs no explanation.
fn legend(chart: &Chart, space: Space) -> Legend {
    if chart.kind == Kind::Heatmap || !chart.has_data() {
        return Legend::default();
    }
    let series = chart.series.iter().zip(gaps::known(chart));
    let series = series.map(|(series, known)| Explained {
        name: &series.name,
        known,
    });
    let series: Vec<_> = series.collect();
    Legend::new(&series, gaps::any(chart), space)
}

fn legend_height(chart: &Chart, legend: &Legend) -> f64 {
    match chart.kind {
        Kind::Heatmap if chart.has_data() => ROW + 6.0,
        _ if legend.n_rows == 0 => 0.0,
        _ => float(legend.n_rows) * ROW + 4.0,
    }
}

/// How many rows a legend may have without taking the chart's place.
fn rows_that_fit(height: f64) -> usize {
    match height {
        ..220.0 => 1,
        220.0..280.0 => 2,
        280.0..360.0 => 3,
        _ => 5,
    }
}

/// The same for the same chart, so that files can be compared.
fn id(chart: &Chart, size: Size, style: Style) -> String {
    let mut hasher = Hashing(crc32fast::Hasher::new());
    // Writing to a hasher does not fail.
    let _ = write!(hasher, "{chart:?}{size:?}{style:?}");
    format!("c{:08x}", hasher.0.finalize())
}

struct Hashing(crc32fast::Hasher);

impl Write for Hashing {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// How much room is needed below a plot for the names of places.
pub(super) fn names_below(axis: &Axis) -> f64 {
    match axis {
        Axis::Days(_) | Axis::Moments { .. } => 36.0,
        Axis::Categories(_) | Axis::Numbers(_) => 22.0,
    }
}
