//! What a server used in an hour.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use model::names::UserName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Name of the position under which a service keeps hours that are not over: a JSON array of objects
/// with the user as `account.user`, whom an erasure takes out of it.
pub const OPEN_HOURS: &str = "usage: open hours";

/// Name of the position under which a service keeps what running servers used since they started: a
/// JSON array of objects with the user as `account.user`, whom an erasure takes out of it.
pub const METERS: &str = "usage: meters";

/// With a user's name behind it the name of the position that holds what servers of theirs used that
/// ended last. An erasure removes it.
pub const ENDED_METERS: &str = "usage: meters of ";

/// What a server used in one hour.
pub static TABLE: TableDef = TableDef {
    name: "usage",
    doc: "What a server used in one hour.",
    columns: &[
        ColumnDef::always("id", ColumnKind::Text, "Tells the row from all others."),
        ColumnDef::always(
            "revision",
            ColumnKind::Integer,
            "Of the rows with one id the one with the highest revision counts.",
        ),
        ColumnDef::always(
            "hour",
            ColumnKind::Time,
            "Start of the full local hour in the hub's zone.",
        ),
        ColumnDef::always("user", ColumnKind::Name, "Who."),
        ColumnDef::maybe(
            "server",
            ColumnKind::Name,
            "Name of the server; unknown where named servers cannot be told apart.",
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
            "cpu_requested_core_seconds",
            ColumnKind::Real,
            "CPU requested, in core seconds.",
        ),
        ColumnDef::maybe(
            "memory_requested_byte_seconds",
            ColumnKind::Real,
            "Memory requested, in byte seconds.",
        ),
        ColumnDef::maybe(
            "gpu_requested_seconds",
            ColumnKind::Real,
            "GPUs requested, in GPU seconds.",
        ),
        ColumnDef::maybe(
            "gpu_used_seconds",
            ColumnKind::Real,
            "GPUs used, in GPU seconds.",
        ),
        ColumnDef::maybe("network_rx_bytes", ColumnKind::Real, "Bytes received."),
        ColumnDef::maybe("network_tx_bytes", ColumnKind::Real, "Bytes sent."),
        ColumnDef::maybe(
            "memory_peak_bytes",
            ColumnKind::Real,
            "Largest memory use of one pod, unit or server at a moment, in bytes.",
        ),
        ColumnDef::always(
            "samples",
            ColumnKind::Integer,
            "Measurements that the row is made of.",
        ),
    ],
    time: "hour",
    kind: RowKind::Revised,
    origin: Origin::Collected,
};

/// What a server used in one hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tells the row from all others.
    pub id: RowId,
    /// Of the rows with one id the one with the highest revision counts.
    pub revision: i64,
    /// Name of the hub.
    pub hub: Arc<str>,
    /// Start of the full local hour in the hub's zone.
    #[serde(with = "super::micros")]
    pub hour: Timestamp,
    /// Who.
    pub user: UserName,
    /// Name of the server; unknown where named servers cannot be told apart.
    pub server: Option<Arc<str>>,
    /// CPU used, in core seconds.
    pub cpu_core_seconds: Option<f64>,
    /// Memory used, in byte seconds.
    pub memory_byte_seconds: Option<f64>,
    /// CPU requested, in core seconds.
    pub cpu_requested_core_seconds: Option<f64>,
    /// Memory requested, in byte seconds.
    pub memory_requested_byte_seconds: Option<f64>,
    /// GPUs requested, in GPU seconds.
    pub gpu_requested_seconds: Option<f64>,
    /// GPUs used, in GPU seconds.
    pub gpu_used_seconds: Option<f64>,
    /// Bytes received.
    pub network_rx_bytes: Option<f64>,
    /// Bytes sent.
    pub network_tx_bytes: Option<f64>,
    /// Largest memory use of one pod, unit or server at a moment, in bytes.
    pub memory_peak_bytes: Option<f64>,
    /// Measurements that the row is made of.
    pub samples: i64,
}

impl Row for Usage {
    const TABLE: &'static TableDef = &TABLE;

    fn id(&self) -> &RowId {
        &self.id
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn time(&self) -> Timestamp {
        self.hour
    }
}
