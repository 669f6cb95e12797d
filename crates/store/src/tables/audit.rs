//! Who looked at, changed or erased what.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Somebody looked at a named person, changed or erased something.
pub static TABLE: TableDef = TableDef {
    name: "audit",
    doc: "Somebody looked at a named person, changed or erased something.",
    columns: &[
        ColumnDef::always("id", ColumnKind::Text, "Tells the row from all others."),
        ColumnDef::always("at", ColumnKind::Time, "When."),
        ColumnDef::always(
            "viewer",
            ColumnKind::Name,
            "Who: a user of the hub, or `command line`.",
        ),
        ColumnDef::always("what", ColumnKind::Json, "What they did."),
    ],
    time: "at",
    kind: RowKind::Final,
    origin: Origin::Collected,
};

/// Somebody looked at a named person, changed or erased something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Tells the row from all others.
    pub id: RowId,
    /// Name of the hub.
    pub hub: Arc<str>,
    /// When.
    #[serde(with = "super::micros")]
    pub at: Timestamp,
    /// Who: a user of the hub, or `command line`.
    pub viewer: Arc<str>,
    /// What they did.
    pub what: Arc<str>,
}

impl Audit {
    /// Something that somebody does. Whom it concerns stands in `what` as `user`: they may be told.
    pub fn new(hub: Arc<str>, at: Timestamp, viewer: &str, what: &serde_json::Value) -> Self {
        Self {
            id: RowId::random(),
            hub,
            at,
            viewer: viewer.into(),
            what: what.to_string().into(),
        }
    }
}

impl Row for Audit {
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
