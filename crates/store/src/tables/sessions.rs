//! Servers that ran and ended.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use model::names::UserName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A server that ran and ended. Running ones are in the view `running_sessions`.
pub static TABLE: TableDef = TableDef {
    name: "sessions",
    doc: "A server that ran and ended. Running ones are in the view `running_sessions`.",
    columns: &[
        ColumnDef::always("id", ColumnKind::Text, "Tells the row from all others."),
        ColumnDef::always(
            "revision",
            ColumnKind::Integer,
            "Of the rows with one id the one with the highest revision counts.",
        ),
        ColumnDef::always("user", ColumnKind::Name, "Who."),
        ColumnDef::always(
            "server",
            ColumnKind::Name,
            "Name of the server; empty is the default server.",
        ),
        ColumnDef::always("started", ColumnKind::Time, "When the hub started it."),
        ColumnDef::always(
            "ended",
            ColumnKind::Time,
            "When it ended; the last moment it surely ran if nobody saw the end.",
        ),
        ColumnDef::always(
            "last_seen",
            ColumnKind::Time,
            "The last moment it surely ran.",
        ),
        ColumnDef::always(
            "end_reason",
            ColumnKind::Text,
            "`stopped`, `crashed or evicted`, `hub restart` or `unobserved`.",
        ),
        ColumnDef::maybe(
            "active_seconds",
            ColumnKind::Integer,
            "Seconds with activity; unknown if only start and stop are known.",
        ),
        ColumnDef::maybe(
            "options",
            ColumnKind::Json,
            "What the user chose at the start, as a JSON object.",
        ),
        ColumnDef::maybe(
            "image",
            ColumnKind::Text,
            "Container image, if the hub tells it.",
        ),
        ColumnDef::always(
            "withdrawn",
            ColumnKind::Flag,
            "True if later news showed that there was no such session; the views leave it out.",
        ),
    ],
    time: "started",
    kind: RowKind::Revised,
    origin: Origin::Derived,
};

/// A server that ran and ended. Running ones are in the view `running_sessions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Tells the row from all others.
    pub id: RowId,
    /// Of the rows with one id the one with the highest revision counts.
    pub revision: i64,
    /// Name of the hub.
    pub hub: Arc<str>,
    /// Who.
    pub user: UserName,
    /// Name of the server; empty is the default server.
    pub server: Arc<str>,
    /// When the hub started it.
    #[serde(with = "super::micros")]
    pub started: Timestamp,
    /// When it ended; the last moment it surely ran if nobody saw the end.
    #[serde(with = "super::micros")]
    pub ended: Timestamp,
    /// The last moment it surely ran.
    #[serde(with = "super::micros")]
    pub last_seen: Timestamp,
    /// `stopped`, `crashed or evicted`, `hub restart` or `unobserved`.
    pub end_reason: Arc<str>,
    /// Seconds with activity; unknown if only start and stop are known.
    pub active_seconds: Option<i64>,
    /// What the user chose at the start, as a JSON object.
    pub options: Option<Arc<str>>,
    /// Container image, if the hub tells it.
    pub image: Option<Arc<str>>,
    /// True if later news showed that there was no such session; the views leave it out.
    pub withdrawn: bool,
}

impl Row for Session {
    const TABLE: &'static TableDef = &TABLE;

    fn id(&self) -> &RowId {
        &self.id
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn time(&self) -> Timestamp {
        self.started
    }
}
