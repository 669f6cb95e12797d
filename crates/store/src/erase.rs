//! Removing a person's name everywhere; their rows stay under a pseudonym, so that totals stay.
//!
//! First `state.db`, in one transaction that also refuses older rows from now on; then the history,
//! a partition at a time; then everything old is removed from the disk at once. A crash leaves an
//! erasure half done and safe: asked for again, it goes on under the same pseudonym.
//!
//! What becomes of a value that names the person is [`person`]'s rule. Nothing here logs, and no
//! error carries a value.

mod files;
mod person;
mod rows;
mod state;
mod tallies;
mod text;

pub(crate) use files::percent_decoded;

use crate::StoreError;
use crate::derive::Hub;
use crate::flush::blocking;
use crate::folder::{Folder, Lock};
use crate::history::{
    Change, DataFile, History, HistoryError, HistoryTable, Partition, Replacement,
};
use crate::state::{StateError, Writer};
use crate::tables::{TABLES, TableDef};
use arrow::array::RecordBatch;
use jiff::Timestamp;
use model::names::UserName;
use person::Person;
use rows::Cleaner;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often something is tried again that another process is in the way of.
const ATTEMPTS: u32 = 60;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// What the erasure of a person changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rows that named the person.
    pub n_rows: usize,
    /// Files and log entries that were removed from the disk.
    pub n_removed: usize,
}

impl fmt::Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows do not name the person any more, {} old files are removed",
            self.n_rows, self.n_removed
        )
    }
}

/// What an erasure needs. What waited in the spool has been flushed.
pub(crate) struct Erase<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) folder: &'a Folder,
    pub(crate) writer: &'a Writer,
    pub(crate) history: &'a History,
    pub(crate) now: Timestamp,
}

impl Erase<'_> {
    pub(crate) async fn run(&self, user: &UserName) -> Result<Erased, StoreError> {
        // No row is of nobody, and each text would hold nothing infinitely often.
        if user.as_str().is_empty() {
            return Ok(Erased::default());
        }
        let (hub, name, now) = (self.hub.clone(), user.clone(), self.now);
        let (pseudonym, n_waiting) = self
            .writer
            .write(move |connection| state::erase(connection, &hub, &name, now))
            .await?;
        let person = Arc::new(Person::new(user, pseudonym));
        let mut erased = Erased {
            n_rows: n_waiting,
            n_removed: 0,
        };
        for def in TABLES {
            erased.n_rows += self.rewrite(def, &person).await?;
        }
        erased.n_removed = self.remove_old().await?;
        let (hub, name) = (Arc::clone(&self.hub.name), user.clone());
        self.writer
            .write(move |connection| state::finish(connection, &hub, &name))
            .await?;
        self.compact_state().await?;
        Ok(erased)
    }

    /// Rewrites the hub's files that name the person; gives how many rows did.
    async fn rewrite(
        &self,
        def: &'static TableDef,
        person: &Arc<Person>,
    ) -> Result<usize, StoreError> {
        let _lock = self.folder.share_tables().await?;
        let Some(mut table) = self.history.table(def).await? else {
            return Ok(0);
        };
        let mut by_partition: BTreeMap<Partition, Vec<DataFile>> = BTreeMap::new();
        let files = table.files().await?.into_iter();
        for file in files.filter(|file| file.partition.hub == *self.hub.name) {
            by_partition
                .entry(file.partition.clone())
                .or_default()
                .push(file);
        }
        let mut n_rows = 0;
        for files in by_partition.into_values() {
            n_rows += self.rewrite_partition(&mut table, files, person).await?;
        }
        Ok(n_rows)
    }

    async fn rewrite_partition(
        &self,
        table: &mut HistoryTable,
        files: Vec<DataFile>,
        person: &Arc<Person>,
    ) -> Result<usize, StoreError> {
        let def = table.def();
        let (hub, reading) = (Arc::clone(&self.hub.name), Arc::clone(person));
        let cleaned = blocking(def, move || clean(def, &hub, &reading, files)).await?;
        if cleaned.removed.is_empty() {
            return Ok(0);
        }
        let (hub, now) = (Arc::clone(&self.hub.name), self.now);
        // Before the rows lose their ids: after a crash nobody could tell which they had.
        let refused_ids = cleaned.refused_ids;
        self.writer
            .write(move |connection| state::refuse_ids(connection, &hub, def, &refused_ids, now))
            .await?;
        let replacement = Replacement {
            removed: cleaned.removed,
            batches: cleaned.batches,
            change: Change::Rows,
        };
        // Only this process changes the hub's files. If somebody else did, whoever asked asks
        // again: what is done already is not done twice.
        table.replace(replacement).await?;
        Ok(cleaned.n_rows)
    }

    async fn remove_old(&self) -> Result<usize, StoreError> {
        let _lock = self.lock_tables().await?;
        let mut n_removed = 0;
        for def in TABLES {
            if let Some(mut table) = self.history.table(def).await? {
                n_removed += files::remove_old(&mut table, &self.hub.name).await?;
            }
        }
        Ok(n_removed + files::empty_temporary(&self.folder.temporary())?)
    }

    /// Another hub's service may be at it, for a moment.
    async fn lock_tables(&self) -> Result<Lock, StoreError> {
        for _ in 0..ATTEMPTS {
            if let Some(lock) = self.folder.try_lock_tables()? {
                return Ok(lock);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(HistoryError::Conflict { table: "all" }.into())
    }

    /// Deleted rows stay in the journal of `state.db` until no reader needs it.
    async fn compact_state(&self) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            if self.writer.maintain(state::compact).await? {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(StateError::Busy.into())
    }
}

/// Files without the name.
struct Cleaned {
    removed: Vec<DataFile>,
    batches: Vec<RecordBatch>,
    refused_ids: BTreeSet<String>,
    n_rows: usize,
}

/// All revisions of a row are in one partition, so that they get one id.
fn clean(
    def: &'static TableDef,
    hub: &str,
    person: &Person,
    files: Vec<DataFile>,
) -> Result<Cleaned, HistoryError> {
    let mut cleaner = Cleaner::new(def, hub, person);
    let (mut removed, mut batches) = (Vec::new(), Vec::new());
    for file in files {
        let n_before = cleaner.n_rows;
        let mut rewritten = Vec::new();
        for batch in file.read(def)? {
            let changed = cleaner.batch(&batch);
            let changed = changed.map_err(|error| HistoryError::rows(def, error))?;
            rewritten.push(changed.unwrap_or(batch));
        }
        if cleaner.n_rows > n_before {
            removed.push(file);
            batches.append(&mut rewritten);
        }
    }
    Ok(Cleaned {
        removed,
        batches,
        n_rows: cleaner.n_rows,
        refused_ids: cleaner.refused_ids,
    })
}
