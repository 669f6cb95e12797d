//! Rows that another process hands to the one that keeps the hub.
//!
//! A batch is one text: the positions on the first line, then a row per line behind its table's
//! name. It is taken whole and emptied in the same transaction.

use super::StateError;
use super::spool::{Accepted, Intake, Position};
use crate::tables::{Audit, DeadLetter, Event, Row as _};
use jiff::Timestamp;
use model::names::UserName;
use rusqlite::{Connection, OptionalExtension as _, params};

/// How a taken batch begins; what follows is what became of it.
const TAKEN: &str = "taken ";

/// A batch that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) id: i64,
    pub(crate) text: String,
}

/// The batch as a text; only events, dead letters and who did what are handed in.
pub(crate) fn written(intake: &Intake) -> Result<String, StateError> {
    let mut text = serde_json::to_string(intake.positions())?;
    for (table, row) in intake.lines() {
        text.push('\n');
        text.push_str(table);
        text.push(' ');
        text.push_str(row);
    }
    Ok(text)
}

/// The batch that was written so.
pub(crate) fn read(text: &str) -> Result<Intake, StateError> {
    let mut lines = text.lines();
    let positions: Vec<Position> = serde_json::from_str(lines.next().unwrap_or_default())?;
    let mut intake = Intake::default();
    for line in lines {
        let (table, row) = line.split_once(' ').unwrap_or((line, ""));
        if table == Event::TABLE.name {
            intake.event(&serde_json::from_str(row)?)?;
        } else if table == DeadLetter::TABLE.name {
            intake.row(&serde_json::from_str::<DeadLetter>(row)?, None)?;
        } else if table == Audit::TABLE.name {
            let audit: Audit = serde_json::from_str(row)?;
            intake.row(&audit, Some(&UserName::new(&*audit.viewer)))?;
        } else {
            return Err(StateError::Corrupt(format!(
                "rows of `{table}` cannot be handed in"
            )));
        }
    }
    for position in positions {
        intake.position(position);
    }
    Ok(intake)
}

/// Hands a batch in; gives its number.
pub(crate) fn put(connection: &Connection, hub: &str, text: &str) -> Result<i64, StateError> {
    connection
        .prepare_cached("insert into inbox (hub, batch) values (?1, ?2)")?
        .execute([hub, text])?;
    Ok(connection.last_insert_rowid())
}

/// The oldest batch that nobody has taken.
pub(crate) fn next(connection: &Connection, hub: &str) -> Result<Option<Waiting>, StateError> {
    let mut select = connection.prepare_cached(
        "select id, batch from inbox where hub = ?1 and outcome is null order by id limit 1",
    )?;
    let found = select.query_row([hub], |row| {
        Ok(Waiting {
            id: row.get(0)?,
            text: row.get(1)?,
        })
    });
    Ok(found.optional()?)
}

/// Whether it still waits.
pub(crate) fn waits(connection: &Connection, id: i64) -> Result<bool, StateError> {
    let mut select = connection
        .prepare_cached("select exists (select 1 from inbox where id = ?1 and outcome is null)")?;
    Ok(select.query_row([id], |row| row.get(0))?)
}

/// What became of a batch, which is emptied.
pub(crate) fn answer(
    connection: &Connection,
    id: i64,
    outcome: &Result<Accepted, String>,
    now: Timestamp,
) -> Result<(), StateError> {
    let text = match outcome {
        Ok(accepted) => format!("{TAKEN}{}", serde_json::to_string(accepted)?),
        Err(why) => why.clone(),
    };
    connection
        .prepare_cached("update inbox set batch = '', answered = ?2, outcome = ?3 where id = ?1")?
        .execute(params![id, now.as_microsecond(), text])?;
    Ok(())
}

/// What became of the batch; `None` while it waits.
pub(crate) fn outcome(
    connection: &Connection,
    id: i64,
) -> Result<Option<Result<Accepted, String>>, StateError> {
    let mut select = connection
        .prepare_cached("select outcome from inbox where id = ?1 and outcome not null")?;
    let found: Option<String> = select.query_row([id], |row| row.get(0)).optional()?;
    let Some(text) = found else {
        return Ok(None);
    };
    Ok(Some(match text.strip_prefix(TAKEN) {
        Some(accepted) => Ok(serde_json::from_str(accepted)?),
        None => Err(text),
    }))
}

/// The outcome was read.
pub(crate) fn forget(connection: &Connection, id: i64) -> Result<(), StateError> {
    connection
        .prepare_cached("delete from inbox where id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Forgets outcomes that nobody reads any more.
pub(crate) fn forget_answered(
    connection: &Connection,
    hub: &str,
    before: Timestamp,
) -> Result<(), StateError> {
    connection
        .prepare_cached("delete from inbox where hub = ?1 and answered < ?2")?
        .execute(params![hub, before.as_microsecond()])?;
    Ok(())
}
