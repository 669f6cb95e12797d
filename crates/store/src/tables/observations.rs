//! Numbers about the hub as a whole.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A number about the hub as a whole: by the minute for 60 days, then by the hour.
pub static TABLE: TableDef = TableDef {
    name: "observations",
    doc: "A number about the hub as a whole: by the minute for 60 days, then by the hour.",
    columns: &[
        ColumnDef::always("id", ColumnKind::Text, "Tells the row from all others."),
        ColumnDef::always(
            "at",
            ColumnKind::Time,
            "When it was read; of hourly rows the start of the hour.",
        ),
        ColumnDef::always(
            "name",
            ColumnKind::Text,
            "What was read, named as the hub's metric or `api_…` for what its API said.",
        ),
        ColumnDef::always(
            "labels",
            ColumnKind::Json,
            "Labels of the metric, as a JSON object.",
        ),
        ColumnDef::always(
            "value",
            ColumnKind::Real,
            "The value; of hourly rows the mean.",
        ),
        ColumnDef::maybe(
            "min",
            ColumnKind::Real,
            "Smallest value of the hour; null in rows by the minute.",
        ),
        ColumnDef::maybe(
            "max",
            ColumnKind::Real,
            "Largest value of the hour; null in rows by the minute.",
        ),
        ColumnDef::maybe(
            "last",
            ColumnKind::Real,
            "Last value of the hour, which counters need; null in rows by the minute.",
        ),
        ColumnDef::maybe(
            "n",
            ColumnKind::Integer,
            "Values in the hour; null in rows by the minute.",
        ),
    ],
    time: "at",
    kind: RowKind::Final,
    origin: Origin::Collected,
};

/// A number about the hub as a whole: by the minute for 60 days, then by the hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Tells the row from all others.
    pub id: RowId,
    /// Name of the hub.
    pub hub: Arc<str>,
    /// When it was read; of hourly rows the start of the hour.
    #[serde(with = "super::micros")]
    pub at: Timestamp,
    /// What was read, named as the hub's metric or `api_…` for what its API said.
    pub name: Arc<str>,
    /// Labels of the metric, as a JSON object.
    pub labels: Arc<str>,
    /// The value; of hourly rows the mean.
    pub value: f64,
    /// Smallest value of the hour; null in rows by the minute.
    pub min: Option<f64>,
    /// Largest value of the hour; null in rows by the minute.
    pub max: Option<f64>,
    /// Last value of the hour, which counters need; null in rows by the minute.
    pub last: Option<f64>,
    /// Values in the hour; null in rows by the minute.
    pub n: Option<i64>,
}

impl Row for Observation {
    const TABLE: &'static TableDef = &TABLE;

    fn id(&self) -> &RowId {
        &self.id
    }

    fn revision(&self) -> i64 {
        0
    }

    fn time(&self) -> Timestamp {
        self.at
    }
}
