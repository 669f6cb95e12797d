//! Days of which usage came that `user_days` may not tell yet: a mark for each, set by whoever takes
//! rows of `usage`, in the same transaction. What becomes of them is [`crate::derive`]'s to know.

use super::StateError;
use crate::derive::Hub;
use crate::tables::usage;
use jiff::Timestamp;
use model::days::{Day, DaySpan};
use rusqlite::{Connection, params};
use std::ops::RangeInclusive;

/// Days that are given at once.
const AT_ONCE: i64 = 31;

/// The days of the rows that a transaction takes; each is marked once.
#[derive(Default)]
pub(crate) struct Marks(Vec<(Day, DaySpan)>);

impl Marks {
    /// Notes the day of an hour that somebody used something in.
    pub(crate) fn note(&mut self, hub: &Hub, hour: Timestamp) {
        // Rows come in the order of their time, or nearly.
        let of_day = |(_, span): &(Day, DaySpan)| span.start <= hour && hour < span.end;
        if !self.0.iter().rev().any(of_day) {
            let day = Day::of(hour, &hub.zone);
            self.0.push((day, day.span(&hub.zone)));
        }
    }

    /// Called within the transaction that takes the rows.
    pub(crate) fn write(self, connection: &Connection, hub: &Hub) -> Result<(), StateError> {
        for (day, _) in self.0 {
            mark(connection, hub, day)?;
        }
        Ok(())
    }
}

/// A day that is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) day: Day,
    came: i64,
}

/// Some usage of this day is not summed.
pub(crate) fn mark(connection: &Connection, hub: &Hub, day: Day) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "insert into used_days (hub, day, came) values (?1, ?2, 1)
             on conflict do update set came = came + 1",
        )?
        .execute(params![hub.name, day.to_string()])?;
    Ok(())
}

/// From which day to which usage waits in the spool.
pub(crate) fn waiting(
    connection: &Connection,
    hub: &Hub,
) -> Result<Option<RangeInclusive<Day>>, StateError> {
    let mut select = connection
        .prepare_cached("select min(at), max(at) from spool where tbl = ?1 and hub = ?2")?;
    let ends = select.query_row([usage::TABLE.name, &*hub.name], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let (Some(first), Some(last)) = ends? else {
        return Ok(None);
    };
    let day = |micros| Ok::<_, StateError>(Day::of(super::time(micros)?, &hub.zone));
    Ok(Some(day(first)?..=day(last)?))
}

/// The first marked days after one day and up to another, in order.
pub(crate) fn marked(
    connection: &Connection,
    hub: &str,
    after: Option<Day>,
    upto: Day,
) -> Result<Vec<Marked>, StateError> {
    let mut select = connection.prepare_cached(
        "select day, came from used_days where hub = ?1 and day > ?2 and day <= ?3
         order by day limit ?4",
    )?;
    let after = after.map_or_else(String::new, |day| day.to_string());
    let mut rows = select.query(params![hub, after, upto.to_string(), AT_ONCE])?;
    let mut marked = Vec::new();
    while let Some(row) = rows.next()? {
        let day: String = row.get(0)?;
        let day = day
            .parse()
            .map_err(|error: jiff::Error| StateError::Corrupt(error.to_string()))?;
        marked.push(Marked {
            day: Day::new(day),
            came: row.get(1)?,
        });
    }
    Ok(marked)
}

/// The day was summed as it was when the mark was read; if more came since, the mark stays.
pub(crate) fn clear(connection: &Connection, hub: &str, marked: Marked) -> Result<(), StateError> {
    connection
        .prepare_cached("delete from used_days where hub = ?1 and day = ?2 and came = ?3")?
        .execute(params![hub, marked.day.to_string(), marked.came])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;
    use jiff::tz::TimeZone;

    fn hub(name: &str) -> Hub {
        Hub {
            name: name.into(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            recent: std::sync::Arc::default(),
            tallies: std::sync::Arc::default(),
        }
    }

    #[test]
    fn a_mark_that_was_set_again_stays() {
        let folder = tempfile::tempdir().unwrap();
        let connection = State::prepare(&folder.path().join("state.db")).unwrap();
        let (hub, other) = (hub("hub"), hub("other"));
        let take = |hub: &Hub, hours: &[&str]| {
            let mut marks = Marks::default();
            for hour in hours {
                marks.note(hub, hour.parse().unwrap());
            }
            marks.write(&connection, hub).unwrap();
        };
        take(
            &hub,
            &[
                "2026-11-20T22:00:00Z",
                "2026-11-20T23:00:00Z",
                "2026-11-19T23:00:00Z",
                "2026-11-21T10:00:00Z",
            ],
        );
        take(&other, &["2026-11-20T22:00:00Z"]);
        let day = |date: &str| Day::new(date.parse().unwrap());
        let last = day("2026-12-31");
        let days = |after: Option<Day>| {
            let marked = marked(&connection, "hub", after, last).unwrap();
            let days = marked.iter().map(|marked| marked.day.to_string());
            days.collect::<Vec<_>>()
        };
        assert_eq!(days(None), ["2026-11-20", "2026-11-21"]);
        assert_eq!(days(Some(day("2026-11-20"))), ["2026-11-21"]);
        let read = marked(&connection, "hub", None, last).unwrap();
        take(&hub, &["2026-11-21T11:00:00Z"]);
        for marked in read {
            clear(&connection, "hub", marked).unwrap();
        }
        assert_eq!(days(None), ["2026-11-21"]);
        assert_eq!(marked(&connection, "other", None, last).unwrap().len(), 1);
    }
}
