//! What could not be read.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something that arrived and could not be read. Kept for 30 days.
pub static TABLE: TableDef = TableDef {
    name: "dead_letters",
    doc: "Something that arrived and could not be read. Kept for 30 days.",
    columns: &[
        ColumnDef::always("id", ColumnKind::Text, "Tells the row from all others."),
        ColumnDef::always("at", ColumnKind::Time, "When it arrived."),
        ColumnDef::always("source", ColumnKind::Text, "Where it came from."),
        ColumnDef::always("reason", ColumnKind::Text, "Why it could not be read."),
        ColumnDef::always("text", ColumnKind::Json, "What arrived, cut at 64 KiB."),
    ],
    time: "at",
    kind: RowKind::Final,
    origin: Origin::Collected,
};

/// Something that arrived and could not be read. Kept for 30 days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Tells the row from all others.
    pub id: RowId,
    /// Name of the hub.
    pub hub: Arc<str>,
    /// When it arrived.
    #[serde(with = "super::micros")]
    pub at: Timestamp,
    /// Where it came from.
    pub source: Arc<str>,
    /// Why it could not be read.
    pub reason: Arc<str>,
    /// What arrived, cut at 64 KiB.
    pub text: Arc<str>,
}

impl Row for DeadLetter {
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
