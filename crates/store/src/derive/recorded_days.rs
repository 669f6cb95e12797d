//! Rows of closed days that can still change, at hand in `state.db`: each with its highest revision.

use crate::state::StateError;
use crate::tables;
use model::days::Day;
use model::names::UserName;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Keeps the highest revision of a day at hand.
pub(crate) fn keep_day(
    connection: &Connection,
    hub: &str,
    row: &tables::UserDay,
) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "insert or replace into recorded_days (hub, user, day, row) values (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            hub,
            row.user.as_str(),
            row.day.to_string(),
            serde_json::to_string(row)?
        ])?;
    Ok(())
}

/// The row of a user's day.
pub(super) fn recorded_day(
    connection: &Connection,
    hub: &str,
    user: &UserName,
    day: Day,
) -> Result<Option<tables::UserDay>, StateError> {
    let mut select = connection.prepare_cached(
        "select row from recorded_days where hub = ?1 and user = ?2 and day = ?3",
    )?;
    let text: Option<String> = select
        .query_row([hub, user.as_str(), &day.to_string()], |row| row.get(0))
        .optional()?;
    text.map(|text| read_day(&text)).transpose()
}

/// The rows of all users from one day to another.
pub(super) fn recorded_between(
    connection: &Connection,
    hub: &str,
    first: Day,
    last: Day,
) -> Result<Vec<tables::UserDay>, StateError> {
    let mut select = connection.prepare_cached(
        "select row from recorded_days where hub = ?1 and day >= ?2 and day <= ?3",
    )?;
    let mut rows = select.query([hub, &first.to_string(), &last.to_string()])?;
    let mut recorded = Vec::new();
    while let Some(row) = rows.next()? {
        recorded.push(read_day(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(recorded)
}

/// A row as it is kept at hand.
///
/// Numbers are read to their last bit, which `serde_json` does not promise: a row that is written
/// again must not differ from the one in the history.
pub(crate) fn read_day(text: &str) -> Result<tables::UserDay, StateError> {
    let row: tables::UserDay = serde_json::from_str(text)?;
    let exact: Exact<'_> = serde_json::from_str(text)?;
    Ok(tables::UserDay {
        hours: number(exact.hours)?,
        cpu_core_seconds: exact.cpu_core_seconds.map(number).transpose()?,
        memory_byte_seconds: exact.memory_byte_seconds.map(number).transpose()?,
        gpu_seconds: exact.gpu_seconds.map(number).transpose()?,
        ..row
    })
}

/// The digits as they stand there.
#[derive(Deserialize)]
struct Exact<'a> {
    #[serde(borrow)]
    hours: &'a RawValue,
    #[serde(borrow)]
    cpu_core_seconds: Option<&'a RawValue>,
    #[serde(borrow)]
    memory_byte_seconds: Option<&'a RawValue>,
    #[serde(borrow)]
    gpu_seconds: Option<&'a RawValue>,
}

fn number(digits: &RawValue) -> Result<f64, StateError> {
    let number = digits.get().parse();
    number.map_err(|error: std::num::ParseFloatError| StateError::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::user_day_row;
    use jiff::civil::date;
    use model::days::UserDay;
    use model::usage::Used;

    #[test]
    fn numbers_are_read_to_their_last_bit() {
        for n in 1..2_000_u32 {
            let number = f64::from(n).sqrt() * 1e12 / 3.0;
            let day = UserDay {
                day: Day::new(date(2026, 11, 20)),
                user: "ada".into(),
                sessions: 1,
                hours: number.recip(),
                active_seconds: None,
            };
            let used = Used {
                cpu_core_seconds: Some(number),
                memory_byte_seconds: None,
                gpu_seconds: Some(0.0),
            };
            let row = user_day_row(&"hub".into(), &day, &used, 1);
            let text = serde_json::to_string(&row).unwrap();
            assert_eq!(read_day(&text).unwrap(), row);
        }
    }
}
