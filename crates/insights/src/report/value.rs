//! What people read in a cell and above it, by the kind of the column. Formats for programs keep
//! the values as they are.

use super::about::visible;
use super::heading::{Heading, missing_unit};
use crate::chart::Unit;
use crate::chart::number::{SPACE, fixed};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use store::Cell;
use store::report::{Answer, Kind, ReportColumn};

/// What is not known.
pub(super) const UNKNOWN: &str = "–";
/// Between two times of a clock.
const CLOCK: &str = "%F %H:%M";
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A column with its place in a row.
#[derive(Clone, Debug)]
pub(super) struct Shown<'a> {
    pub(super) column: &'a ReportColumn,
    pub(super) place: usize,
    /// For people: `CPU core hours`.
    pub(super) label: String,
    /// The same with the unit, if neither it nor the values say it: `Mean (h)`.
    pub(super) heading: String,
}

/// To which side the values of a column are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl<'a> Shown<'a> {
    /// Whether this is the column that tells a hub's rows apart.
    pub(super) fn names_rows(&self) -> bool {
        // Before it is the hub's.
        self.place == 1
    }

    fn new(answer: &Answer, place: usize, column: &'a ReportColumn) -> Self {
        let Heading { label, unit } = Heading::of(answer, column);
        let heading = match unit {
            Some(unit) => format!("{label} ({unit})"),
            None => label.clone(),
        };
        Self {
            column,
            place,
            label,
            heading,
        }
    }

    /// Numbers stand under each other by their ends.
    pub(super) fn side(&self) -> Side {
        match self.column.kind {
            Kind::Text | Kind::Name | Kind::Day | Kind::Time | Kind::Flag => Side::Left,
            _ if self.special().is_some() => Side::Left,
            _ => Side::Right,
        }
    }

    /// The column's own name, with the unit if neither it nor its values say it.
    pub(super) fn name_with_unit(&self) -> String {
        let ReportColumn { name, kind, .. } = self.column;
        match missing_unit(name, *kind) {
            Some(unit) => format!("{name} ({unit})"),
            None => name.clone(),
        }
    }

    fn special(&self) -> Option<Special> {
        match (self.column.name.as_str(), self.column.kind) {
            ("weekday", Kind::Count) => Some(Special::Weekday),
            ("hour", Kind::Count) => Some(Special::Hour),
            _ => None,
        }
    }
}

/// Numbers that are names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Weekday,
    Hour,
}

/// Reads the rows of an answer for people.
pub(super) struct Reader<'a> {
    pub(super) answer: &'a Answer,
    all: Vec<Shown<'a>>,
    /// The place of a column that says what the plain numbers of its row are measured in.
    unit: Option<usize>,
    zones: BTreeMap<&'a str, TimeZone>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(answer: &'a Answer) -> Self {
        let columns = answer.report.columns.iter().enumerate();
        let all = columns.map(|(place, column)| Shown::new(answer, place, column));
        let hubs = answer.hubs.iter();
        let zones = hubs.map(|hub| (hub.name.as_str(), zone(&hub.zone)));
        let is_unit = |column: &ReportColumn| column.name == "unit" && column.kind == Kind::Text;
        Self {
            answer,
            all: all.collect(),
            unit: answer.report.columns.iter().position(is_unit),
            zones: zones.collect(),
        }
    }

    /// Whether it has to be said of a row which hub it is about.
    pub(super) fn has_several_hubs(&self) -> bool {
        self.answer.hubs.len() > 1
    }

    /// The columns that people see: without the hub where there is one only.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Shown<'a>> {
        let hidden = usize::from(!self.has_several_hubs());
        self.all.iter().skip(hidden)
    }

    /// The column of this name.
    pub(super) fn column(&self, name: &str) -> Option<&Shown<'a>> {
        self.all.iter().find(|shown| shown.column.name == name)
    }

    fn unit<'row>(&self, row: &'row [Cell]) -> Option<&'row str> {
        match row.get(self.unit?) {
            Some(Cell::Text(unit)) => Some(unit),
            _ => None,
        }
    }

    /// The hub of a row.
    pub(super) fn hub(row: &[Cell]) -> &str {
        match row.first() {
            Some(Cell::Text(hub)) => hub,
            _ => "",
        }
    }

    /// The zone of a row's hub.
    pub(super) fn zone(&self, row: &[Cell]) -> TimeZone {
        self.zones
            .get(Self::hub(row))
            .cloned()
            .unwrap_or(TimeZone::UTC)
    }

    /// A cell of a row, in words.
    pub(super) fn text(&self, shown: &Shown<'_>, row: &[Cell]) -> String {
        match row.get(shown.place) {
            None | Some(Cell::Null) => UNKNOWN.to_owned(),
            Some(Cell::Text(text)) => name(shown.column, text),
            Some(Cell::Day(day)) => day.to_string(),
            Some(Cell::Flag(true)) => "yes".to_owned(),
            Some(Cell::Flag(false)) => "no".to_owned(),
            Some(Cell::Time(at)) => local(*at, &self.zone(row)),
            Some(Cell::Integer(number)) => match shown.special() {
                Some(special) => special.name(*number),
                None => amount(exact(*number), shown.column.kind),
            },
            Some(Cell::Real(value)) => match (shown.column.kind, self.unit(row)) {
                (Kind::Number, Some(unit)) => measured(*value, unit),
                (kind, _) => amount(*value, kind),
            },
        }
    }
}

impl Special {
    fn name(self, number: i64) -> String {
        let weekday = usize::try_from(number - 1)
            .ok()
            .and_then(|day| WEEKDAYS.get(day));
        match (self, weekday) {
            (Self::Weekday, Some(name)) => (*name).to_owned(),
            (Self::Hour, _) => format!("{number:02}:00"),
            _ => number.to_string(),
        }
    }
}

/// The zone of this name; that of a hub is checked when its history is opened.
pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// A moment by the clock of a hub.
pub(super) fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime(CLOCK).to_string()
}

/// A whole number as a measure.
#[expect(clippy::cast_precision_loss, reason = "people do not read 16 digits")]
pub(super) fn exact(number: i64) -> f64 {
    number as f64
}

/// The number in a cell.
pub fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Integer(number) => Some(exact(*number)),
        Cell::Real(value) => Some(*value).filter(|value| value.is_finite()),
        Cell::Flag(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    }
}

/// A text; one that is empty cannot be seen.
fn name(column: &ReportColumn, text: &str) -> String {
    match (column.kind, column.name.as_str()) {
        (Kind::Name, "server") if text.is_empty() => "(default)".to_owned(),
        (Kind::Name, _) if text.is_empty() => "(empty)".to_owned(),
        _ => visible(text),
    }
}

/// What values of a kind are measured in.
pub(super) fn unit(kind: Kind) -> Unit {
    match kind {
        Kind::Count => Unit::Count,
        Kind::Hours => Unit::Hours,
        Kind::Seconds => Unit::Seconds,
        Kind::Bytes => Unit::Bytes,
        Kind::Share => Unit::Percent,
        Kind::Cores => Unit::Cores,
        Kind::CoreHours => Unit::Other("core h".to_owned()),
        Kind::GibHours => Unit::Other("GiB h".to_owned()),
        Kind::GpuHours => Unit::Other("GPU h".to_owned()),
        Kind::Text | Kind::Name | Kind::Day | Kind::Time | Kind::Flag | Kind::Number => Unit::None,
    }
}

/// A value in the unit of its kind.
pub(super) fn in_unit(value: f64, kind: Kind) -> f64 {
    match kind {
        Kind::Share => value * 100.0,
        _ => value,
    }
}

/// A value of a kind, with its unit where the heading does not tell it.
pub(super) fn amount(value: f64, kind: Kind) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    let (unit, value) = (unit(kind), in_unit(value, kind));
    let text = match kind {
        Kind::Share => unit.format(value),
        _ => unit.number(value),
    };
    text.replace(SPACE, " ")
}

/// A value of a unit that stands beside it; with a decimal where there are few of something.
pub(super) fn measured(value: f64, unit: &str) -> String {
    match unit {
        "share" => amount(value, Kind::Share),
        "bytes" => amount(value, Kind::Bytes),
        "seconds" => amount(value, Kind::Seconds),
        _ if value.abs() < 100.0 && value.fract() != 0.0 => fixed(value, 1),
        _ => fixed(value, 0),
    }
}

/// Names of days: of months where each is the first of one.
pub(super) fn names_of_days(days: &[Date]) -> Vec<String> {
    let are_months = days.len() > 1 && days.iter().all(|day| day.day() == 1);
    let format = if are_months { "%b %Y" } else { "%F" };
    days.iter()
        .map(|day| day.strftime(format).to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_decimals_and_units_of_their_kind() {
        let cases = [
            (1_234_567.0, Kind::Count, "1,234,567"),
            (1.234, Kind::Number, "1.23"),
            (1234.56, Kind::Hours, "1,234.6"),
            (0.1234, Kind::Share, "12.3 %"),
            (0.0001, Kind::Share, "<0.1 %"),
            (512.0, Kind::Bytes, "512 B"),
            (-3_145_728.0, Kind::Bytes, "−3.0 MiB"),
            (750.0, Kind::Seconds, "12 min 30 s"),
            (2.0, Kind::Cores, "2.00"),
            (f64::NAN, Kind::Number, "–"),
        ];
        for (value, kind, expected) in cases {
            assert_eq!(amount(value, kind), expected, "{value} {kind}");
        }
    }

    #[test]
    fn weekdays_and_hours_are_named() {
        let weekdays = [0, 1, 7, 8].map(|day| Special::Weekday.name(day));
        assert_eq!(weekdays, ["0", "Mon", "Sun", "8"]);
        assert_eq!(Special::Hour.name(9), "09:00");
    }
}
