//! Closing days, and correcting closed ones.

use super::recorded_days::{keep_day, recorded_day};
use super::used::UsedDays;
use super::{
    Hub, KeyedRecord, PresentServers, begin, keep_last_closed, last_closed, recorded_since,
    used_of, user_day_row,
};
use crate::state::{StateError, facts, present, spool};
use crate::tables;
use jiff::Timestamp;
use jiff::ToSpan as _;
use model::days::{Day, SessionSpan, UserDay, user_days};
use model::fact::ServerKey;
use model::names::UserName;
use model::session::{self, Session};
use model::usage::Used;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Users whose days are corrected in one transaction.
const USERS_AT_ONCE: usize = 200;

/// A session as it counts: until its end, or until it was last seen if it runs.
struct Counted {
    key: ServerKey,
    session: Session,
    until: Timestamp,
}

impl Counted {
    fn span(&self) -> SessionSpan<'_> {
        SessionSpan {
            user: &self.key.user,
            server: &self.key.server,
            started: self.session.started,
            until: self.until,
            active_hours: self.session.known_active_hours(),
        }
    }
}

/// The last day that is closed or can be.
pub(crate) fn last_over(connection: &Connection, hub: &Hub) -> Result<Option<Day>, StateError> {
    let looked = present::read_at_servers(connection, &hub.name)?;
    let yesterday = match begin(connection, &hub.name)? {
        Some(_) => looked.map(|at| day_before(Day::of(at, &hub.zone))),
        None => None,
    };
    Ok(yesterday.max(last_closed(connection, &hub.name)?))
}

/// Closes the days that are over and that a poll has looked back on; gives how many. Called within
/// a transaction.
pub(crate) fn close_days(connection: &Connection, hub: &Hub) -> Result<usize, StateError> {
    close_days_with(connection, hub, &UsedDays::default())
}

/// The same up to the last of the days whose usage is known, and with it.
pub(crate) fn close_days_with(
    connection: &Connection,
    hub: &Hub,
    used: &UsedDays,
) -> Result<usize, StateError> {
    let present = PresentServers::read(connection, &hub.name)?;
    let (Some(at), Some(begin)) = (present.at, begin(connection, &hub.name)?) else {
        return Ok(0);
    };
    let today = Day::of(at, &hub.zone);
    let open = used.last().map_or(today, |last| today.min(last.next()));
    let mut day = if let Some(last) = last_closed(connection, &hub.name)? {
        last.next()
    } else {
        let first = Day::of(begin, &hub.zone);
        keep_last_closed(connection, &hub.name, day_before(first))?;
        facts::ask_again(connection, &hub.name)?;
        first
    };
    let mut n_closed = 0;
    while day < open {
        close(connection, hub, day, &present, used)?;
        keep_last_closed(connection, &hub.name, day)?;
        day = day.next();
        n_closed += 1;
    }
    Ok(n_closed)
}

pub(super) fn day_before(day: Day) -> Day {
    Day::new(day.date().saturating_sub(1.day()))
}

fn close(
    connection: &Connection,
    hub: &Hub,
    day: Day,
    present: &PresentServers,
    used: &UsedDays,
) -> Result<(), StateError> {
    let mut counted = ended(recorded_since(
        connection,
        &hub.name,
        day.span(&hub.zone).start,
        None,
    )?);
    for key in present.running.keys() {
        counted.extend(running(connection, hub, key, present)?);
    }
    let spans = counted.iter().map(Counted::span);
    for user_day in user_days(spans, &hub.zone, day..=day) {
        let used = used.of(day, &user_day.user);
        write_if_changed(connection, hub, &user_day, used)?;
    }
    Ok(())
}

fn ended(records: Vec<KeyedRecord>) -> Vec<Counted> {
    let counted = records
        .into_iter()
        .map(|KeyedRecord { key, session }| Counted {
            until: session.end.map_or(session.last_seen, |end| end.at),
            key,
            session,
        });
    counted.collect()
}

/// The running session of the server, as far as it was seen.
fn running(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    present: &PresentServers,
) -> Result<Option<Counted>, StateError> {
    let Some(seen) = present.running.get(key) else {
        return Ok(None);
    };
    let facts = facts::of_key(connection, &hub.name, key)?;
    let open = session::sessions(&facts)
        .pop()
        .filter(|session| session.end.is_none());
    Ok(open.map(|session| Counted {
        key: key.clone(),
        until: seen.last_seen.max(session.last_seen),
        session,
    }))
}

/// Corrects closed days that news touched; gives for how many users. Called within a transaction.
pub(crate) fn recompute_days(connection: &Connection, hub: &Hub) -> Result<usize, StateError> {
    let dirty = dirty_days(connection, &hub.name)?;
    if dirty.is_empty() {
        return Ok(0);
    }
    let present = PresentServers::read(connection, &hub.name)?;
    for (user, days) in &dirty {
        recompute_user(connection, hub, user, days, &present)?;
        connection
            .prepare_cached("delete from dirty_days where hub = ?1 and user = ?2")?
            .execute([&*hub.name, user.as_str()])?;
    }
    Ok(dirty.len())
}

fn recompute_user(
    connection: &Connection,
    hub: &Hub,
    user: &UserName,
    days: &[Day],
    present: &PresentServers,
) -> Result<(), StateError> {
    let (Some(first), Some(last)) = (days.iter().min(), days.iter().max()) else {
        return Ok(());
    };
    let from = first.span(&hub.zone).start;
    let mut counted = ended(recorded_since(
        connection,
        &hub.name,
        from,
        Some(user.as_str()),
    )?);
    for key in present.running.keys().filter(|key| key.user == *user) {
        counted.extend(running(connection, hub, key, present)?);
    }
    let spans = counted.iter().map(Counted::span);
    let mut found: BTreeMap<Day, UserDay> = user_days(spans, &hub.zone, *first..=*last)
        .into_iter()
        .map(|day| (day.day, day))
        .collect();
    for day in days {
        let user_day = found.remove(day).unwrap_or_else(|| nothing(*day, user));
        write_if_changed(connection, hub, &user_day, None)?;
    }
    Ok(())
}

/// What stands in the table when later news took all sessions of a day away.
pub(crate) fn nothing(day: Day, user: &UserName) -> UserDay {
    UserDay {
        day,
        user: user.clone(),
        sessions: 0,
        hours: 0.0,
        active_seconds: None,
    }
}

fn dirty_days(
    connection: &Connection,
    hub: &str,
) -> Result<BTreeMap<UserName, Vec<Day>>, StateError> {
    let mut select = connection.prepare_cached(
        "select user, day from dirty_days where hub = ?1
         and user in (select distinct user from dirty_days where hub = ?1 order by user limit ?2)",
    )?;
    let limit = i64::try_from(USERS_AT_ONCE).unwrap_or(i64::MAX);
    let mut rows = select.query(params![hub, limit])?;
    let mut dirty: BTreeMap<UserName, Vec<Day>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (user, day): (String, String) = (row.get(0)?, row.get(1)?);
        let day = day
            .parse()
            .map_err(|error: jiff::Error| StateError::Corrupt(error.to_string()))?;
        dirty
            .entry(UserName::new(user))
            .or_default()
            .push(Day::new(day));
    }
    Ok(dirty)
}

/// Writes the row if it is another one. What is not summed now (`used` is `None`) stays as it is.
fn write_if_changed(
    connection: &Connection,
    hub: &Hub,
    user_day: &UserDay,
    used: Option<Used>,
) -> Result<(), StateError> {
    let known = recorded_day(connection, &hub.name, &user_day.user, user_day.day)?;
    let revision = known.as_ref().map_or(0, |known| known.revision);
    let used = used.or_else(|| known.as_ref().map(used_of));
    let row = user_day_row(&hub.name, user_day, &used.unwrap_or_default(), revision + 1);
    let is_same = match &known {
        Some(known) => {
            tables::UserDay {
                revision: row.revision,
                ..known.clone()
            } == row
        }
        None => user_day.sessions == 0,
    };
    if is_same {
        return Ok(());
    }
    spool::append_derived(connection, &hub.name, &row)?;
    keep_day(connection, &hub.name, &row)
}
