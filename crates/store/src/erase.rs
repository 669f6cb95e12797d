//! Removing a person's name everywhere; their rows stay under a pseudonym, so that totals stay.

use crate::StoreError;
use crate::folder::Folder;
use crate::history::History;
use crate::state::Writer;
use jiff::Timestamp;
use model::names::UserName;
use std::fmt;
use std::sync::Arc;

/// What the erasure of a person changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rows that named the person.
    pub n_rows: usize,
}

impl fmt::Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows do not name the person any more", self.n_rows)
    }
}

/// What an erasure needs.
pub(crate) struct Erase<'a> {
    pub(crate) hub: &'a Arc<str>,
    pub(crate) folder: &'a Folder,
    pub(crate) writer: &'a Writer,
    pub(crate) history: &'a History,
    pub(crate) now: Timestamp,
}

impl Erase<'_> {
    pub(crate) async fn run(&self, _user: &UserName) -> Result<Erased, StoreError> {
        todo!()
    }
}
