//! The answer of a report: rows, what was asked, and what a reader should know of it.

use super::asked::Chosen;
use super::definition::{Definition, Need};
use crate::table::Table;
use jiff::Timestamp;
use jiff::civil::Date;
use std::sync::Arc;

/// How the caveat begins that names accounts which do not count.
pub(super) const ACCOUNTS_LEFT_OUT: &str = "Accounts left out: ";
/// How the one begins that names groups whose members do not.
pub(super) const MEMBERS_LEFT_OUT: &str = "Members of these groups are left out: ";

/// Rows with all that is needed to believe them.
#[derive(Debug)]
pub struct Answer {
    /// The question with its definition.
    pub report: Arc<Definition>,
    /// First day of the period.
    pub from: Date,
    /// Last day: the one asked for, or today.
    pub to: Date,
    /// The hubs that it is about, with their zones.
    pub hubs: Vec<HubOfAnswer>,
    /// Only members of this group.
    pub group: Option<String>,
    /// Only this person.
    pub user: Option<String>,
    /// The report's parameters.
    pub chosen: Vec<Chosen>,
    /// The rows.
    pub table: Table,
    /// What a reader should know before believing it, a sentence each.
    pub caveats: Vec<String>,
    /// What the report needs and was known on no day of the period, of no hub.
    pub never_known: Vec<Need>,
    /// When it was computed.
    pub computed: Timestamp,
}

/// A hub that an answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubOfAnswer {
    /// Its name.
    pub name: String,
    /// The zone in which its days are cut.
    pub zone: String,
    /// First day of its history, if there is any.
    pub begins: Option<Date>,
    /// The last reading of the hub in the period: how old the data are.
    pub read: Option<Timestamp>,
}
