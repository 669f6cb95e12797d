//! An answer for programs: plain numbers, moments in UTC, null for what is not known.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use store::report::{Answer, HubOfAnswer, ReportColumn};
use store::{Cell, Table};

/// The answer of a report, with all that is needed to believe it.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Reply<'a> {
    /// Name of the report.
    pub report: String,
    /// Its title.
    pub title: String,
    /// The question in plain words.
    pub question: String,
    /// How the figures are defined.
    pub definition: String,
    /// The days that it is about, both included, in each hub's own calendar.
    pub period: PeriodOfReply,
    /// The hubs that it is about.
    pub hubs: Vec<HubOfReply>,
    /// The report's own parameters, chosen or by default.
    pub parameters: BTreeMap<String, String>,
    /// Only members of this group; null for everybody.
    pub group: Option<String>,
    /// Only this person; null for everybody.
    pub user: Option<String>,
    /// When it was computed.
    #[schemars(with = "String")]
    pub computed: Timestamp,
    /// Seconds from the last reading of the hub within the period to `computed`, of several hubs the
    /// most; null without any reading.
    pub age_seconds: Option<i64>,
    /// What to know before believing it, a sentence each.
    pub caveats: Vec<String>,
    /// What a row holds.
    pub columns: Vec<ColumnOfReply>,
    /// Rows of the whole answer, of which `rows` may be a page.
    pub n_rows: usize,
    /// The rows, an object each, with a value for every column: text, number, true or false; days as
    /// `2026-11-20`, moments in UTC as `2026-11-20T09:30:00Z`; null is not known.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pub rows: Rows<'a>,
}

/// Days, both included.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct PeriodOfReply {
    /// The first one.
    #[schemars(with = "String")]
    pub from: Date,
    /// The last one: the one asked for, or today.
    #[schemars(with = "String")]
    pub to: Date,
}

/// A hub that an answer is about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct HubOfReply {
    /// Its name.
    pub name: String,
    /// The time zone in which its days are cut.
    pub zone: String,
    /// First day of its history; null if there is none.
    #[schemars(with = "Option<String>")]
    pub begins: Option<Date>,
    /// The last reading of the hub in the period; null if there is none.
    #[schemars(with = "Option<String>")]
    pub read: Option<Timestamp>,
}

/// A column of the rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct ColumnOfReply {
    /// Its name.
    pub name: String,
    /// What a value is, with its unit: `text`, `name`, `day`, `time`, `flag`, `count`, `number`,
    /// `hours`, `seconds`, `bytes`, `share` (0 to 1), `cores`, `core-hours`, `gib-hours`,
    /// `gpu-hours`.
    pub kind: String,
    /// What it means.
    pub doc: String,
}

/// Rows of an answer that write themselves, without a copy.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    table: &'a Table,
    range: Range<usize>,
}

impl<'a> Reply<'a> {
    /// All rows.
    pub fn new(answer: &'a Answer) -> Self {
        Self::page(answer, 0..answer.table.n_rows())
    }

    /// Some of the rows, by their places.
    pub fn page(answer: &'a Answer, rows: Range<usize>) -> Self {
        let report = &answer.report;
        let chosen = answer.chosen.iter();
        Self {
            report: report.name.clone(),
            title: report.title.clone(),
            question: report.question.clone(),
            definition: report.definition.clone(),
            period: PeriodOfReply {
                from: answer.from,
                to: answer.to,
            },
            hubs: answer.hubs.iter().map(HubOfReply::from).collect(),
            parameters: chosen
                .map(|chosen| (chosen.name.clone(), chosen.text.clone()))
                .collect(),
            group: answer.group.clone(),
            user: answer.user.clone(),
            computed: answer.computed,
            age_seconds: age_seconds(answer),
            caveats: answer.caveats.clone(),
            columns: report.columns.iter().map(ColumnOfReply::from).collect(),
            n_rows: answer.table.n_rows(),
            rows: Rows {
                table: &answer.table,
                range: rows,
            },
        }
    }
}

fn age_seconds(answer: &Answer) -> Option<i64> {
    let oldest = answer.hubs.iter().filter_map(|hub| hub.read).min()?;
    Some(answer.computed.duration_since(oldest).as_secs().max(0))
}

impl From<&HubOfAnswer> for HubOfReply {
    fn from(hub: &HubOfAnswer) -> Self {
        Self {
            name: hub.name.clone(),
            zone: hub.zone.clone(),
            begins: hub.begins,
            read: hub.read,
        }
    }
}

impl From<&ReportColumn> for ColumnOfReply {
    fn from(column: &ReportColumn) -> Self {
        Self {
            name: column.name.clone(),
            kind: column.kind.to_string(),
            doc: column.doc.clone(),
        }
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = self.table.names().collect();
        let rows = self
            .table
            .rows()
            .skip(self.range.start)
            .take(self.range.len());
        let mut all = serializer.serialize_seq(None)?;
        for cells in rows {
            all.serialize_element(&Row {
                names: &names,
                cells: &cells,
            })?;
        }
        all.end()
    }
}

struct Row<'a> {
    names: &'a [&'a str],
    cells: &'a [Cell],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(Some(self.names.len()))?;
        for (name, cell) in self.names.iter().zip(self.cells) {
            row.serialize_entry(name, &Value(cell))?;
        }
        row.end()
    }
}

struct Value<'a>(&'a Cell);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Cell::Null => serializer.serialize_none(),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Integer(number) => serializer.serialize_i64(*number),
            // JSON has no infinity.
            Cell::Real(value) if !value.is_finite() => serializer.serialize_none(),
            Cell::Real(value) => serializer.serialize_f64(*value),
            Cell::Time(at) => serializer.collect_str(at),
            Cell::Day(day) => serializer.collect_str(day),
            Cell::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

/// Writes the answer with all rows, and a line feed at the end.
pub(super) fn write(answer: &Answer, output: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *output, &Reply::new(answer))?;
    writeln!(output)
}
