//! The only roll-up: one row per user and closed day.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use jiff::civil::Date;
use model::names::UserName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a user did on a closed day of the hub's calendar.
pub static TABLE: TableDef = TableDef {
    name: "user_days",
    doc: "What a user did on a closed day of the hub's calendar.",
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
            "sessions",
            ColumnKind::Integer,
            "Sessions that ran at some moment of the day; 0 if later news took them away.",
        ),
        ColumnDef::always(
            "hours",
            ColumnKind::Real,
            "Server hours: two servers at once count both.",
        ),
        ColumnDef::maybe(
            "active_seconds",
            ColumnKind::Integer,
            "Seconds with activity; unknown if unknown for any of the sessions.",
        ),
        ColumnDef::maybe(
            "cpu_core_seconds",
            ColumnKind::Real,
            "CPU used, in core seconds.",
        ),
        ColumnDef::maybe(
            "memory_byte_seconds",
            ColumnKind::Real,
            "Memory used, in byte seconds.",
        ),
        ColumnDef::maybe(
            "gpu_seconds",
            ColumnKind::Real,
            "GPUs requested, in GPU seconds.",
        ),
    ],
    time: "day",
    kind: RowKind::Revised,
    origin: Origin::Derived,
};

/// What a user did on a closed day of the hub's calendar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserDay {
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
    /// Sessions that ran at some moment of the day; 0 if later news took them away.
    pub sessions: i64,
    /// Server hours: two servers at once count both.
    pub hours: f64,
    /// Seconds with activity; unknown if unknown for any of the sessions.
    pub active_seconds: Option<i64>,
    /// CPU used, in core seconds.
    pub cpu_core_seconds: Option<f64>,
    /// Memory used, in byte seconds.
    pub memory_byte_seconds: Option<f64>,
    /// GPUs requested, in GPU seconds.
    pub gpu_seconds: Option<f64>,
}

impl Row for UserDay {
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
