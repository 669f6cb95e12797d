//! `state.db`: everything small that changes, in SQLite.
//!
//! Rows not yet in the history (the spool), positions of sources, the present as the
//! hub last told it, and what sessions and days are derived from. One thread writes; what it
//! answers for is on the disk. What the rows mean and what becomes of them in the history do not
//! belong here.

pub(crate) mod erasure_requests;
pub(crate) mod facts;
pub(crate) mod inbox;
pub(crate) mod jobs;
pub(crate) mod present;
mod schema;
pub(crate) mod settings;
pub(crate) mod shares;
pub(crate) mod spool;
pub(crate) mod tallies;
pub(crate) mod tombstones;
pub(crate) mod used_days;
mod writer;

pub(crate) use writer::{Journal, Memory, Writer};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Why `state.db` did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be opened or is no database.
    #[error("cannot open `{path}`")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The disk is full: nothing of the request was taken.
    #[error(
        "the disk that holds `state.db` is full: make room, nothing that was acknowledged is lost"
    )]
    Full(#[source] rusqlite::Error),
    /// The file belongs to a later version.
    #[error(
        "`{path}` was written by a later version (format {found}, this one knows {known}): install that version again"
    )]
    Later {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Too much is waiting to be written.
    #[error("too much is waiting to be written to `state.db`: try again in a moment")]
    Busy,
    /// The file is not whole.
    #[error(
        "`state.db` is damaged: stop the service and restore the file from a backup; `store verify` says what can be done without one"
    )]
    Damaged(#[source] rusqlite::Error),
    /// SQLite refused.
    #[error("`state.db` refused")]
    Sqlite(#[source] rusqlite::Error),
    /// A value that was stored cannot be read.
    #[error("`state.db` holds a value that cannot be read: {0}")]
    Corrupt(String),
    /// The writer is gone: a bug, or the store is closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full(error),
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Damaged(error)
            }
            _ => Self::Sqlite(error),
        }
    }
}

impl From<serde_json::Error> for StateError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// Several readers and one writer on `state.db`.
#[derive(Clone)]
pub(crate) struct State {
    reader: Arc<Mutex<Connection>>,
}

impl State {
    /// Opens the file to read. It must exist.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        let reader = schema::open_reader(path)?;
        Ok(Self {
            reader: Arc::new(Mutex::new(reader)),
        })
    }

    /// Makes the file if it is not there, brings it to this version's format.
    pub(crate) fn prepare(path: &Path) -> Result<Connection, StateError> {
        schema::open_writer(path)
    }

    /// Reads on a thread where waiting is allowed; sees one moment of the file.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let reader = Arc::clone(&self.reader);
        let outcome = tokio::task::spawn_blocking(move || {
            let mut connection = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction()?;
            work(&transaction)
        });
        outcome.await.map_err(|_| StateError::Closed)?
    }
}

/// A value that is kept by name.
pub(crate) fn setting(connection: &Connection, name: &str) -> Result<Option<String>, StateError> {
    let mut select = connection.prepare_cached("select value from settings where name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}

/// The values whose names begin with `prefix`, by the rest of the name.
pub(crate) fn settings_named(
    connection: &Connection,
    prefix: &str,
) -> Result<BTreeMap<String, String>, StateError> {
    let mut select = connection.prepare_cached("select name, value from settings")?;
    let mut rows = select.query([])?;
    let mut named = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (name, value): (String, String) = (row.get(0)?, row.get(1)?);
        if let Some(rest) = name.strip_prefix(prefix) {
            named.insert(rest.to_owned(), value);
        }
    }
    Ok(named)
}

/// Keeps a value by name.
pub(crate) fn keep_setting(
    connection: &Connection,
    name: &str,
    value: &str,
) -> Result<(), StateError> {
    connection
        .prepare_cached("insert or replace into settings (name, value) values (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}

/// Forgets a value.
pub(crate) fn forget_setting(connection: &Connection, name: &str) -> Result<(), StateError> {
    connection
        .prepare_cached("delete from settings where name = ?1")?
        .execute([name])?;
    Ok(())
}

/// A time that is kept by name.
pub(crate) fn time_setting(
    connection: &Connection,
    name: &str,
) -> Result<Option<Timestamp>, StateError> {
    let text = setting(connection, name)?;
    let micros = text.map(|text| text.parse::<i64>()).transpose();
    micros
        .map_err(|error| StateError::Corrupt(error.to_string()))?
        .map(time)
        .transpose()
}

/// Reads a time from microseconds.
pub(crate) fn time(micros: i64) -> Result<Timestamp, StateError> {
    Timestamp::from_microsecond(micros).map_err(|error| StateError::Corrupt(error.to_string()))
}
