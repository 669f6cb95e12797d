//! Sessions and days, derived from facts in `state.db` as news comes in.
//!
//! A derived row is never changed, only outdated by one of a higher revision. What is older than
//! the facts at hand is derived from the history itself, in [`crate::rebuild`]. The rules are the
//! model's; this is bookkeeping.

mod adopt;
mod days;
mod rows;
mod zone;

pub use adopt::Adopted;
pub(crate) use adopt::adopt;
pub(crate) use days::{close_days, keep_day, nothing, recompute_days};
pub(crate) use rows::{session_id, session_row, user_day_id, user_day_row};
pub(crate) use zone::{keep_cut, keep_zone, name_of as zone_name, outdated_zone, reopen_days};

use crate::recent::Recent;
use crate::state::facts::{self, AT_HAND};
use crate::state::{StateError, keep_setting, present, setting, spool, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::days::Day;
use model::diff::Running;
use model::fact::{Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use model::session::{self, Origin, Recorded, Session, Standing};
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::sync::Arc;

/// Servers looked at in one transaction.
const KEYS_AT_ONCE: usize = 500;
/// A server that an event said is up must show in a poll that began this much later.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// What derivations need to know about the hub.
#[derive(Clone)]
pub(crate) struct Hub {
    pub(crate) name: Arc<str>,
    pub(crate) zone: TimeZone,
    /// Which rows of it were taken lately.
    pub(crate) recent: Arc<Recent>,
}

/// Looks at servers with news; gives how many were looked at. Called within a transaction.
pub(crate) fn derive(
    connection: &Connection,
    hub: &Hub,
    now: Timestamp,
) -> Result<usize, StateError> {
    let keys = facts::dirty(connection, &hub.name, KEYS_AT_ONCE)?;
    if keys.is_empty() {
        return Ok(0);
    }
    let present = PresentServers::read(connection, &hub.name)?;
    for key in &keys {
        look_at(connection, hub, key, &present, now)?;
    }
    Ok(keys.len())
}

/// What runs, by server, and when that was read.
pub(crate) struct PresentServers {
    pub(crate) at: Option<Timestamp>,
    pub(crate) running: HashMap<ServerKey, Running>,
}

impl PresentServers {
    pub(crate) fn read(connection: &Connection, hub: &str) -> Result<Self, StateError> {
        let running = present::read_servers(connection, hub)?;
        Ok(Self {
            at: present::read_at_servers(connection, hub)?,
            running: running
                .into_iter()
                .map(|running| (running.key.clone(), running))
                .collect(),
        })
    }
}

fn look_at(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    present: &PresentServers,
    now: Timestamp,
) -> Result<(), StateError> {
    let facts = facts::of_key(connection, &hub.name, key)?;
    let recorded = recorded(connection, &hub.name, key)?;
    let sessions = session::sessions(&facts);
    for change in session::changes(&recorded, &sessions) {
        record(connection, hub, key, &change, now)?;
    }
    let unseen = sessions.last().filter(|last| {
        last.end.is_none()
            && last.origin == Origin::EventsOnly
            && !present.running.contains_key(key)
    });
    let Some(unseen) = unseen else {
        return facts::clean(connection, &hub.name, key);
    };
    let looked = present
        .at
        .filter(|at| at.duration_since(unseen.last_seen) > SEEN_WITHIN);
    match looked {
        Some(at) => tell_never_seen(connection, hub, key, unseen, at, now)?,
        None => facts::wait(connection, &hub.name, key)?,
    }
    Ok(())
}

/// A poll that came after the start event does not know the server: it is gone again. How long it
/// ran is not known, only that it was less than the time between two polls; and it must not
/// depend on when the event came here, so that it counts for the moment of its start.
fn tell_never_seen(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    session: &Session,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), StateError> {
    let what = What::Gone {
        started: None,
        last_seen: session.last_seen,
        watch: Watch::Unwatched,
        hub_restarted: None,
        stop_counted: StopEvidence::Unknown,
    };
    let fact = KeyedFact {
        key: key.clone(),
        fact: Fact { at, what },
    };
    let mut intake = spool::Intake::default();
    intake.event(&facts::event_of(&hub.name, &"poll".into(), &fact))?;
    intake.write(connection, hub, now)?;
    Ok(())
}

/// Writes a new revision of a session and marks the closed days it touches.
fn record(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    change: &Recorded,
    now: Timestamp,
) -> Result<(), StateError> {
    spool::append_derived(connection, &hub.name, &session_row(&hub.name, key, change))?;
    keep_recorded(connection, &hub.name, key, change)?;
    mark_days(connection, hub, key, change, now)
}

/// Keeps the highest revision of a session at hand.
pub(crate) fn keep_recorded(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
    recorded: &Recorded,
) -> Result<(), StateError> {
    let ended = recorded
        .session
        .end
        .map_or(recorded.session.last_seen, |end| end.at);
    connection
        .prepare_cached(
            "insert or replace into recorded (hub, user, server, started, ended, row) values (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            hub,
            key.user.as_str(),
            &*key.server,
            recorded.session.started.as_microsecond(),
            ended.as_microsecond(),
            serde_json::to_string(recorded)?
        ])?;
    Ok(())
}

/// Closed days from the session's start on; it may have counted on later ones while it seemed to
/// run. Days before what is at hand were counted while it ran.
fn mark_days(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    change: &Recorded,
    now: Timestamp,
) -> Result<(), StateError> {
    let Some(last) = last_closed(connection, &hub.name)? else {
        return Ok(());
    };
    let at_hand = Day::of(
        now.saturating_sub(AT_HAND).unwrap_or(Timestamp::MIN),
        &hub.zone,
    )
    .next();
    let mut day = Day::of(change.session.started, &hub.zone).max(at_hand);
    let mut insert = connection
        .prepare_cached("insert or ignore into dirty_days (hub, user, day) values (?1, ?2, ?3)")?;
    while day <= last {
        insert.execute(params![hub.name, key.user.as_str(), day.to_string()])?;
        day = day.next();
    }
    Ok(())
}

fn recorded(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
) -> Result<Vec<Recorded>, StateError> {
    let mut select = connection
        .prepare_cached("select row from recorded where hub = ?1 and user = ?2 and server = ?3")?;
    let rows = select.query_map([hub, key.user.as_str(), &key.server], |row| {
        row.get::<_, String>(0)
    })?;
    let mut recorded = Vec::new();
    for row in rows {
        recorded.push(serde_json::from_str(&row?)?);
    }
    Ok(recorded)
}

fn closed_setting(hub: &str) -> String {
    format!("closed/{hub}")
}

/// The last day that was closed.
pub(crate) fn last_closed(connection: &Connection, hub: &str) -> Result<Option<Day>, StateError> {
    let text = setting(connection, &closed_setting(hub))?;
    let day = text.map(|text| text.parse().map(Day::new)).transpose();
    day.map_err(|error: jiff::Error| StateError::Corrupt(error.to_string()))
}

pub(crate) fn keep_last_closed(
    connection: &Connection,
    hub: &str,
    day: Day,
) -> Result<(), StateError> {
    keep_setting(connection, &closed_setting(hub), &day.to_string())
}

/// Forgets what is too old to change by ordinary news: sessions that ended before `AT_HAND` and
/// before the last closed day, with their facts. Called within a transaction; gives how many
/// servers were looked at.
pub(crate) fn forget_old(
    connection: &Connection,
    hub: &Hub,
    now: Timestamp,
) -> Result<usize, StateError> {
    let Some(last) = last_closed(connection, &hub.name)? else {
        return Ok(0);
    };
    let cutoff = now
        .saturating_sub(AT_HAND)
        .unwrap_or(Timestamp::MIN)
        .min(last.span(&hub.zone).start);
    let keys = facts::keys_older_than(connection, &hub.name, cutoff, KEYS_AT_ONCE)?;
    let mut n_forgotten = 0;
    for key in &keys {
        n_forgotten += usize::from(forget_old_of(connection, hub, key, cutoff)?);
    }
    // An erased person's sessions are recorded without facts.
    connection
        .prepare_cached(
            "delete from recorded where hub = ?1 and ended < ?2 and not exists
             (select 1 from facts where facts.hub = recorded.hub
              and facts.user = recorded.user and facts.server = recorded.server)",
        )?
        .execute(params![hub.name, cutoff.as_microsecond()])?;
    connection
        .prepare_cached("delete from recorded_days where hub = ?1 and day < ?2")?
        .execute(params![hub.name, Day::of(cutoff, &hub.zone).to_string()])?;
    Ok(n_forgotten)
}

/// Everything before the first session that is still at hand goes; whether something went.
fn forget_old_of(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    cutoff: Timestamp,
) -> Result<bool, StateError> {
    let facts = facts::of_key(connection, &hub.name, key)?;
    let newest = |session: &Session| {
        let about = facts
            .iter()
            .filter(|fact| started_of(fact) == Some(session.started));
        about.map(|fact| fact.at).max()
    };
    let sessions = session::sessions(&facts);
    let first_kept = sessions.iter().find(|session| {
        let end = session.end.map(|end| end.at);
        end.is_none_or(|end| end >= cutoff) || newest(session).is_some_and(|at| at >= cutoff)
    });
    let boundary = first_kept.map_or(cutoff, |session| session.started.min(cutoff));
    let old = |fact: &&Fact| {
        fact.at < boundary || started_of(fact).is_some_and(|started| started < boundary)
    };
    let mut n_old = 0;
    for fact in facts.iter().filter(old) {
        facts::remove(connection, &hub.name, key, fact)?;
        n_old += 1;
    }
    connection
        .prepare_cached(
            "delete from recorded where hub = ?1 and user = ?2 and server = ?3 and started < ?4",
        )?
        .execute(params![
            hub.name,
            key.user.as_str(),
            &*key.server,
            boundary.as_microsecond()
        ])?;
    Ok(n_old > 0)
}

/// The run of the server that the fact names.
pub(crate) fn started_of(fact: &Fact) -> Option<Timestamp> {
    match &fact.what {
        What::Seen { started, .. } | What::Activity { started, .. } => Some(*started),
        What::Gone { started, .. } => *started,
        What::Start | What::Stop | What::Died => None,
    }
}

/// The highest revisions of sessions that touch the time from `from` on, with their servers.
pub(crate) fn recorded_since(
    connection: &Connection,
    hub: &str,
    from: Timestamp,
    user: Option<&str>,
) -> Result<Vec<KeyedRecord>, StateError> {
    let mut select = connection.prepare_cached(
        "select user, server, row from recorded
         where hub = ?1 and ended >= ?2 and (?3 is null or user = ?3) order by user, server, started",
    )?;
    let mut rows = select.query(params![hub, from.as_microsecond(), user])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (user, server, text): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let recorded: Recorded = serde_json::from_str(&text)?;
        if recorded.standing == Standing::Valid {
            let key = ServerKey {
                user: user.as_str().into(),
                server: server.into(),
            };
            found.push(KeyedRecord {
                key,
                session: recorded.session,
            });
        }
    }
    Ok(found)
}

/// A session and its server.
pub(crate) struct KeyedRecord {
    pub(crate) key: ServerKey,
    pub(crate) session: Session,
}

/// When the history of the hub begins: the time of its first fact.
pub(crate) fn begin(connection: &Connection, hub: &str) -> Result<Option<Timestamp>, StateError> {
    let text = setting(connection, &format!("begin/{hub}"))?;
    let micros = text.map(|text| text.parse::<i64>()).transpose();
    micros
        .map_err(|error| StateError::Corrupt(error.to_string()))?
        .map(time)
        .transpose()
}
