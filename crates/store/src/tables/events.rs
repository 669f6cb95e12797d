//! What happened: what the hub sent and what polling saw.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use model::names::UserName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something that happened on the hub: what the hub sent, and what polling saw.
pub static TABLE: TableDef = TableDef {
    name: "events",
    doc: "Something that happened on the hub: what the hub sent, and what polling saw.",
    columns: &[
        ColumnDef::always("id", ColumnKind::Text, "Tells the row from all others."),
        ColumnDef::always(
            "at",
            ColumnKind::Time,
            "When it happened; of what polling saw, when it saw it.",
        ),
        ColumnDef::maybe(
            "not_before",
            ColumnKind::Time,
            "The earliest moment it can have happened, where `at` is only when it was seen.",
        ),
        ColumnDef::always(
            "kind",
            ColumnKind::Text,
            "What happened: `server-seen`, `server-activity`, `server-gone`, `user-added` or \
             `user-removed` of what polling saw; `server-start`, `server-stop` or `server-died` of \
             what the hub said; `login`, `login-failed`, `logout`, `spawn-asked`, \
             `spawn-succeeded`, `spawn-failed`, `session-end`, `hub-started` or `events-lost` of \
             what its hooks said; `binder-launch`; or whatever another sender calls it.",
        ),
        ColumnDef::maybe("user", ColumnKind::Name, "Who it is about."),
        ColumnDef::maybe(
            "server",
            ColumnKind::Name,
            "Name of the server; empty is the default server.",
        ),
        ColumnDef::maybe(
            "detail",
            ColumnKind::Json,
            "Everything else, as a JSON object.",
        ),
        ColumnDef::always(
            "source",
            ColumnKind::Text,
            "Who said so: `poll`, `hub` (an event of the hub), `hooks` (our hooks in it), `binderhub`, \
             or the name of another sender.",
        ),
        ColumnDef::maybe("schema", ColumnKind::Text, "Schema that the sender named."),
        ColumnDef::maybe(
            "schema_version",
            ColumnKind::Text,
            "Version of that schema.",
        ),
    ],
    time: "at",
    kind: RowKind::Final,
    origin: Origin::Collected,
};

/// Something that happened on the hub: what the hub sent, and what polling saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Tells the row from all others.
    pub id: RowId,
    /// Name of the hub.
    pub hub: Arc<str>,
    /// When it happened; of what polling saw, when it saw it.
    #[serde(with = "super::micros")]
    pub at: Timestamp,
    /// The earliest moment it can have happened, where `at` is only when it was seen.
    #[serde(with = "super::micros::maybe")]
    pub not_before: Option<Timestamp>,
    /// What happened: the kinds are listed at the column.
    pub kind: Arc<str>,
    /// Who it is about.
    pub user: Option<UserName>,
    /// Name of the server; empty is the default server.
    pub server: Option<Arc<str>>,
    /// Everything else, as a JSON object.
    pub detail: Option<Arc<str>>,
    /// Who said so: `poll`, `hub` (an event of the hub), or the name of another sender.
    pub source: Arc<str>,
    /// Schema that the sender named.
    pub schema: Option<Arc<str>>,
    /// Version of that schema.
    pub schema_version: Option<Arc<str>>,
}

impl Event {
    /// What polling saw of a user: the kinds `user-added` and `user-removed`.
    pub fn about_user(
        hub: &Arc<str>,
        kind: &str,
        user: &UserName,
        at: Timestamp,
        not_before: Option<Timestamp>,
    ) -> Self {
        Self {
            id: RowId::of(&["event", hub, kind, &at.to_string(), user.as_str()]),
            hub: Arc::clone(hub),
            at,
            not_before,
            kind: kind.into(),
            user: Some(user.clone()),
            server: None,
            detail: None,
            source: "poll".into(),
            schema: None,
            schema_version: None,
        }
    }
}

impl Row for Event {
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
