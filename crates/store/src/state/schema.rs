//! The tables of `state.db`, and how one version's file becomes the next one's.

use super::StateError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// One step per format: step n makes a file of format n into one of format n + 1. Steps are only
/// ever added, so that a file of any released version opens.
const STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
];

/// How long a process waits for another one's write: two services may share the file.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn open_writer(path: &Path) -> Result<Connection, StateError> {
    let mut connection = Connection::open(path).map_err(|source| StateError::Open {
        path: path.to_owned(),
        source,
    })?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "journal_mode", "wal")?;
    // An acknowledged row is on the disk, not only with the operating system.
    connection.pragma_update(None, "synchronous", "full")?;
    // What was deleted is overwritten: an erased name must not be found in free pages.
    connection.pragma_update(None, "secure_delete", "on")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    migrate(path, &mut connection)?;
    Ok(connection)
}

pub(super) fn open_reader(path: &Path) -> Result<Connection, StateError> {
    let open = |flags| {
        Connection::open_with_flags(path, flags).map_err(|source| StateError::Open {
            path: path.to_owned(),
            source,
        })
    };
    let connection = open(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    let found = format(&connection)?;
    check_format(path, found)?;
    Ok(connection)
}

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), StateError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = format(&transaction)?;
    check_format(path, found)?;
    for (step, sql) in (1_i64..).zip(STEPS).filter(|(step, _)| *step > found) {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", step)?;
    }
    Ok(transaction.commit()?)
}

fn format(connection: &Connection) -> Result<i64, StateError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn check_format(path: &Path, found: i64) -> Result<(), StateError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StateError::Later {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}
