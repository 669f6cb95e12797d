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
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
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

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: [&str; 7] = [
        "tallies",
        "requests",
        "inbox",
        "used_days",
        "shares",
        "erasure_requests",
        "fact_marks",
    ];

    /// A file as the version that knew so many steps left it.
    fn file_of_format(path: &Path, n_steps: usize) {
        let connection = Connection::open(path).unwrap();
        for sql in &STEPS[..n_steps] {
            connection.execute_batch(sql).unwrap();
        }
        connection
            .pragma_update(None, "user_version", i64::try_from(n_steps).unwrap())
            .unwrap();
        connection
            .execute_batch(
                "insert into spool (tbl, hub, seq, at, unsure, row) values ('events', 'hub', 1, 1, 0, '{}');
                 insert into positions (hub, source, value) values ('hub', 'file', '7');",
            )
            .unwrap();
    }

    #[test]
    fn a_file_of_every_earlier_format_opens_with_what_is_in_it() {
        for n_steps in 1..=STEPS.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state.db");
            file_of_format(&path, n_steps);
            let connection = open_writer(&path).unwrap();
            let known = i64::try_from(STEPS.len()).unwrap();
            assert_eq!(format(&connection).unwrap(), known);
            for table in ["spool", "positions"] {
                let count = format!("select count(*) from {table}");
                let n_rows: i64 = connection.query_row(&count, [], |row| row.get(0)).unwrap();
                assert_eq!(n_rows, 1, "{table} of format {n_steps}");
            }
            for table in EMPTY {
                let count = format!("select count(*) from {table}");
                let n_rows: i64 = connection.query_row(&count, [], |row| row.get(0)).unwrap();
                assert_eq!(n_rows, 0, "{table} of format {n_steps}");
            }
            drop(connection);
            open_reader(&path).unwrap();
        }
    }
}
