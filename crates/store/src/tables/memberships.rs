//! Who joined and left which group.

use super::{ColumnDef, ColumnKind, Origin, Row, RowId, RowKind, TableDef};
use jiff::Timestamp;
use model::names::{GroupName, UserName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Somebody joined or left a group.
pub static TABLE: TableDef = TableDef {
    name: "memberships",
    doc: "Somebody joined or left a group.",
    columns: &[
        ColumnDef::always("id", ColumnKind::Text, "Tells the row from all others."),
        ColumnDef::always("user", ColumnKind::Name, "Who."),
        ColumnDef::always("group", ColumnKind::Text, "The group."),
        ColumnDef::always(
            "at",
            ColumnKind::Time,
            "When the hub was first seen to say so.",
        ),
        ColumnDef::maybe(
            "not_before",
            ColumnKind::Time,
            "When the hub last said otherwise; unknown for members who were there when the history began.",
        ),
        ColumnDef::always("change", ColumnKind::Text, "`joined` or `left`."),
        ColumnDef::maybe(
            "reason",
            ColumnKind::Text,
            "Why, if not by an ordinary change: `group deleted`, `person erased`, or `not collected` when the configuration hid the group.",
        ),
    ],
    time: "at",
    kind: RowKind::Final,
    origin: Origin::Collected,
};

/// Somebody joined or left a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// Tells the row from all others.
    pub id: RowId,
    /// Name of the hub.
    pub hub: Arc<str>,
    /// Who.
    pub user: UserName,
    /// The group.
    pub group: GroupName,
    /// When the hub was first seen to say so.
    #[serde(with = "super::micros")]
    pub at: Timestamp,
    /// When the hub last said otherwise; unknown for members who were there when the history began.
    #[serde(with = "super::micros::maybe")]
    pub not_before: Option<Timestamp>,
    /// `joined` or `left`.
    pub change: Arc<str>,
    /// Why, if not by an ordinary change: `group deleted`, or `not collected` when the configuration hid the group.
    pub reason: Option<Arc<str>>,
}

impl Row for Membership {
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
