//! What charts look like as text, and what must hold for all of them.

mod laws;
mod limits;
mod looks;
mod xml;

use super::{Axis, Chart, Kind, Series, Size, Style, Unit};
use jiff::civil::date;
use jiff::{Timestamp, ToSpan};

const ALL_KINDS: [Kind; 6] = [
    Kind::Line,
    Kind::Area,
    Kind::Bars,
    Kind::StackedBars,
    Kind::HorizontalBars,
    Kind::Heatmap,
];
const BOTH_STYLES: [Style; 2] = [Style::Themed, Style::Static];
const SIZE: Size = Size {
    width: 800,
    height: 300,
};

fn days(n: i32) -> Axis {
    let day = |i: i32| date(2026, 1, 1).checked_add(i.days()).unwrap();
    Axis::Days((0..n).map(day).collect())
}

fn names(names: &[&str]) -> Axis {
    Axis::Categories(names.iter().map(|&name| name.to_owned()).collect())
}

fn series(name: &str, points: impl IntoIterator<Item = Option<f64>>) -> Series {
    Series {
        name: name.to_owned(),
        points: points.into_iter().collect(),
    }
}

/// A value that rises and falls like users over a week.
fn weekly(i: u32) -> f64 {
    let noise = f64::from((i * 37) % 100) * 3.0;
    if i % 7 > 4 {
        noise / 2.0
    } else {
        400.0 + noise
    }
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}
