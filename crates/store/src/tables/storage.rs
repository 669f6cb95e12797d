//! What a user's home took on a day.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use jiff::civil::Date;
use model::names::UserName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a user's home took on a day.
pub static TABLE: TableDef = TableDef {
    name: "storage",
    doc: "What a user's home took on a day.",
    columns: &[
        ColumnDef::always("id", ColumnKind::Text, "Tells the row from all others."),
        ColumnDef::always(
            "revision",
            ColumnKind::Integer,
            "Of the rows with one id the one with the highest revision counts.",
        ),
        ColumnDef::always("day", ColumnKind::Day, "Day in the hub's time zone."),
        ColumnDef::always("user", ColumnKind::Name, "Who."),
        ColumnDef::always(
            "home_bytes",
            ColumnKind::Real,
            "Size of the home, in bytes.",
        ),
        ColumnDef::maybe("files", ColumnKind::Integer, "Files and folders in it."),
    ],
    time: "day",
    kind: RowKind::Revised,
    origin: Origin::Collected,
};

/// What a user's home took on a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Storage {
    /// Tells the row from all others.
    pub id: RowId,
    /// Of the rows with one id the one with the highest revision counts.
    pub revision: i64,
    /// Name of the hub.
    pub hub: Arc<str>,
    /// Day in the hub's time zone.
    #[serde(with = "super::days")]
    pub day: Date,
    /// Who.
    pub user: UserName,
    /// Size of the home, in bytes.
    pub home_bytes: f64,
    /// Files and folders in it.
    pub files: Option<i64>,
}

impl Row for Storage {
    const TABLE: &'static TableDef = &TABLE;

    fn id(&self) -> &RowId {
        &self.id
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn time(&self) -> Timestamp {
        super::start_in_utc(self.day)
    }
}
