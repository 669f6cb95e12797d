//! What a command line asks the running service to do: it holds the lock, so it does the work.

use super::StateError;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

/// Work on the store that only the process that holds its lock may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Move everything that waits into the history.
    Flush,
    /// Merge small files and corrected rows, everywhere.
    Compact,
    /// Remove files that no version of the last hour needs.
    Vacuum,
    /// Derive sessions and days again.
    Rebuild,
    /// Remove a person's name everywhere.
    Erase {
        /// Who.
        user: String,
    },
}

/// A job somebody waits for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: i64,
    pub(crate) job: Result<Job, Undoable>,
}

/// Why a job is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undoable {
    /// A later version asked for it.
    #[error("the process that keeps the history is older and does not know this job")]
    Unknown,
    /// It must not end every start anew.
    #[error("the process that began this job ended before it was done: its log tells why")]
    BegunBefore,
}

/// Asks for a job; gives its number.
pub(crate) fn ask(
    connection: &Connection,
    hub: &str,
    job: &Job,
    now: Timestamp,
) -> Result<i64, StateError> {
    connection
        .prepare_cached("insert into jobs (hub, job, asked) values (?1, ?2, ?3)")?
        .execute(params![
            hub,
            serde_json::to_string(job)?,
            now.as_microsecond()
        ])?;
    Ok(connection.last_insert_rowid())
}

/// The oldest job that nobody has done, which is begun with that.
pub(crate) fn begin_next(
    connection: &Connection,
    hub: &str,
    now: Timestamp,
) -> Result<Option<Asked>, StateError> {
    let mut select = connection.prepare_cached(
        "select id, job, begun from jobs where hub = ?1 and ended is null order by id limit 1",
    )?;
    let found: Option<(i64, String, Option<i64>)> = select
        .query_row([hub], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((id, text, begun)) = found else {
        return Ok(None);
    };
    connection
        .prepare_cached("update jobs set begun = ?2 where id = ?1")?
        .execute([id, now.as_microsecond()])?;
    let job = match begun {
        Some(_) => Err(Undoable::BegunBefore),
        None => serde_json::from_str(&text).map_err(|_| Undoable::Unknown),
    };
    Ok(Some(Asked { id, job }))
}

/// Takes back a job that nobody has begun; false if somebody has.
pub(crate) fn withdraw(connection: &Connection, id: i64) -> Result<bool, StateError> {
    let mut delete =
        connection.prepare_cached("delete from jobs where id = ?1 and begun is null")?;
    Ok(delete.execute([id])? > 0)
}

/// Takes back a job, also one that was begun by a process that is gone; false if it was done.
pub(crate) fn take_over(connection: &Connection, id: i64) -> Result<bool, StateError> {
    let mut delete =
        connection.prepare_cached("delete from jobs where id = ?1 and ended is null")?;
    Ok(delete.execute([id])? > 0)
}

/// Notes how a job ended. Its text is kept out of the file: it may hold a name.
pub(crate) fn end(
    connection: &Connection,
    id: i64,
    outcome: &str,
    now: Timestamp,
) -> Result<(), StateError> {
    connection
        .prepare_cached("update jobs set ended = ?2, outcome = ?3, job = '' where id = ?1")?
        .execute(params![id, now.as_microsecond(), outcome])?;
    Ok(())
}

/// Whether somebody waits for a job.
pub(crate) fn is_any(connection: &Connection, hub: &str) -> Result<bool, StateError> {
    let mut select = connection
        .prepare_cached("select exists (select 1 from jobs where hub = ?1 and ended is null)")?;
    Ok(select.query_row([hub], |row| row.get(0))?)
}

/// How the job ended; `None` while it waits or runs.
pub(crate) fn outcome(connection: &Connection, id: i64) -> Result<Option<String>, StateError> {
    let mut select = connection
        .prepare_cached("select outcome from jobs where id = ?1 and ended is not null")?;
    Ok(select.query_row([id], |row| row.get(0)).optional()?)
}
