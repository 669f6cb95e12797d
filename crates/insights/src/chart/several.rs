//! Several charts as one picture.

use super::markup::Svg;
use super::{Chart, Style};

/// Charts below each other, alone in a file; the title and the charts' own words are for those who
/// cannot see them.
pub fn below_each_other(charts: &[Chart], title: &str, width: u32) -> String {
    let sizes: Vec<_> = charts
        .iter()
        .map(|chart| chart.size(width, Style::Static))
        .collect();
    let height: u32 = sizes.iter().map(|size| size.height).sum();
    let described: Vec<_> = charts.iter().map(|chart| &*chart.description).collect();
    let mut svg = Svg::default();
    let start = svg.start("svg").set("xmlns", "http://www.w3.org/2000/svg");
    let start = start.set("role", "img");
    let start = start.set("viewBox", format_args!("0 0 {width} {height}"));
    start.set("width", width).set("height", height).inside();
    svg.text("title", title);
    svg.text("desc", &described.join(" "));
    let mut top = 0;
    for (chart, size) in charts.iter().zip(sizes) {
        let place = format_args!("translate(0 {top})");
        svg.start("g").set("transform", place).inside();
        svg.finished(&chart.svg(size, Style::Static));
        svg.end();
        top += size.height;
    }
    svg.finish()
}
