//! Sessions and days, derived from facts in `state.db` as news comes in.
//!
//! A derived row is never changed, only outdated by one of a higher revision. What is older than
//! the facts at hand is derived from the history itself, in [`crate::rebuild`]. The rules are the
//! model's; this is bookkeeping.

mod adopt;
mod days;
mod recorded_days;
mod rows;
mod used;
mod zone;

pub use adopt::Adopted;
pub(crate) use adopt::adopt;
pub(crate) use days::{close_days, close_days_with, nothing, recompute_days};
pub(crate) use recorded_days::{keep_day, read_day};
pub(crate) use rows::{session_id, session_row, used_of, user_day_id, user_day_row};
pub(crate) use used::{
    UsedDay, UsedDays, are_all_marked, keep_all_marked, marked_days, sum_all_again,
};
pub(crate) use zone::{keep_cut, keep_zone, name_of as zone_name, outdated_zone, reopen_days};

use crate::recent::Recent;
use crate::state::facts::{self, AT_HAND};
use crate::state::{
    StateError, forget_setting, keep_setting, present, setting, settings, spool, time_setting,
};
use crate::tallies::Tallies;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::days::Day;
use model::diff::Running;
use model::fact::{ActiveHour, Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use model::names::UserName;
use model::session::{self, Origin, Recorded, SLACK, Session, Standing};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// What metrics count of it.
    pub(crate) tallies: Arc<Tallies>,
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

/// The same for some servers; those without news are passed over. Nothing while the history has to be
/// asked first, or closed days are to be cut anew: everything waits for that.
pub(crate) fn derive_these(
    connection: &Connection,
    hub: &Hub,
    keys: &[ServerKey],
    now: Timestamp,
) -> Result<(), StateError> {
    if is_behind(connection, &hub.name)? || outdated_zone(connection, hub)?.is_some() {
        return Ok(());
    }
    let present = PresentServers::of(connection, &hub.name, keys)?;
    for key in keys {
        if facts::is_dirty(connection, &hub.name, key)? {
            look_at(connection, hub, key, &present, now)?;
        }
    }
    Ok(())
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
            running: by_server(running),
        })
    }

    /// Of these servers' users only: thousands run while one stops.
    fn of(connection: &Connection, hub: &str, keys: &[ServerKey]) -> Result<Self, StateError> {
        let users: BTreeSet<&UserName> = keys.iter().map(|key| &key.user).collect();
        let mut running = Vec::new();
        for user in users {
            running.extend(present::servers_of(connection, hub, user)?);
        }
        Ok(Self {
            at: present::read_at_servers(connection, hub)?,
            running: by_server(running),
        })
    }
}

fn by_server(running: Vec<Running>) -> HashMap<ServerKey, Running> {
    let running = running.into_iter();
    running
        .map(|running| (running.key.clone(), running))
        .collect()
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
        let before = recorded
            .iter()
            .find(|before| before.session.started == change.session.started);
        record(connection, hub, key, before, &change, now)?;
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
    before: Option<&Recorded>,
    change: &Recorded,
    now: Timestamp,
) -> Result<(), StateError> {
    spool::append_derived(connection, &hub.name, &session_row(&hub.name, key, change))?;
    keep_recorded(connection, &hub.name, key, change)?;
    mark_days(connection, hub, key, before, change, now)
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
/// run. Days before what is at hand were counted while it ran, unless this changes them.
fn mark_days(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    before: Option<&Recorded>,
    change: &Recorded,
    now: Timestamp,
) -> Result<(), StateError> {
    let Some(last) = last_closed(connection, &hub.name)? else {
        return Ok(());
    };
    let at_hand = first_at_hand(hub, last, now);
    let mut day = Day::of(change.session.started, &hub.zone).max(at_hand);
    while day <= last {
        mark_day(connection, hub, key, day)?;
        day = day.next();
    }
    let limit = at_hand.span(&hub.zone).start;
    let since = at_hand_since(hub, Some(last), now);
    let is_old = change.session.started < since;
    let counted = match before {
        Some(before) => counted_before(limit, before),
        // It ran when its days were closed, and polls saw it: one that did not is not at hand.
        None if is_old && change.session.origin == Origin::Polled => counted_before(limit, change),
        None => None,
    };
    if counted != counted_before(limit, change) {
        facts::ask_history(connection, &hub.name, key)?;
    }
    Ok(())
}

fn mark_day(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    day: Day,
) -> Result<(), StateError> {
    connection
        .prepare_cached("insert or ignore into dirty_days (hub, user, day) values (?1, ?2, ?3)")?
        .execute(params![hub.name, key.user.as_str(), day.to_string()])?;
    Ok(())
}

/// What days before a moment count of a session.
fn counted_before(
    limit: Timestamp,
    recorded: &Recorded,
) -> Option<(Timestamp, Option<Vec<ActiveHour>>)> {
    let session = &recorded.session;
    if recorded.standing == Standing::Withdrawn || session.started >= limit {
        return None;
    }
    let until = session.end.map_or(session.last_seen, |end| end.at);
    let active = session.known_active_hours().map(|hours| {
        let hours = hours.iter().filter(|active| active.hour < limit);
        hours.copied().collect()
    });
    Some((until.min(limit), active))
}

/// Marks closed days on which a server was active longer than was known, or of which that was not known
/// at all. Called before the fact is written down: at midnight the last minutes of a day are not told
/// yet, and they come with the next day's while the session goes on and does not change.
pub(crate) fn mark_active_days(
    connection: &Connection,
    hub: &Hub,
    KeyedFact { key, fact }: &KeyedFact,
    now: Timestamp,
) -> Result<(), StateError> {
    let What::Activity { started, hours } = &fact.what else {
        return Ok(());
    };
    let Some(last) = last_closed(connection, &hub.name)? else {
        return Ok(());
    };
    if *started >= last.span(&hub.zone).end {
        return Ok(());
    }
    let sessions = session::sessions(&facts::of_key(connection, &hub.name, key)?);
    let of_this = sessions.iter().find(|session| session.started == *started);
    let days = match of_this.and_then(Session::known_active_hours) {
        Some(known) => days_with_more(hub, *started, known, hours),
        // Each of its days is known from now on, also those without activity.
        None => days_from(Day::of(*started, &hub.zone), last),
    };
    let at_hand = first_at_hand(hub, last, now);
    if days.first().is_some_and(|first| *first < at_hand) {
        facts::ask_history(connection, &hub.name, key)?;
    }
    for day in days.range(at_hand..).take_while(|day| **day <= last) {
        mark_day(connection, hub, key, *day)?;
    }
    Ok(())
}

/// Days of the hours of which more is told than is known.
fn days_with_more(
    hub: &Hub,
    started: Timestamp,
    known: &[ActiveHour],
    told: &[ActiveHour],
) -> BTreeSet<Day> {
    let known: HashMap<Timestamp, u32> = known
        .iter()
        .map(|active| (active.hour, active.seconds))
        .collect();
    let more = told.iter().filter(|active| {
        known
            .get(&active.hour)
            .is_none_or(|known| active.seconds > *known)
    });
    more.map(|active| Day::of(active.hour.max(started), &hub.zone))
        .collect()
}

fn days_from(first: Day, last: Day) -> BTreeSet<Day> {
    let days = std::iter::successors(Some(first), |day| Some(day.next()));
    days.take_while(|day| *day <= last).collect()
}

/// Everything that ended since then is at hand: for a while, and until its day is closed.
pub(crate) fn at_hand_since(hub: &Hub, last_closed: Option<Day>, now: Timestamp) -> Timestamp {
    let lately = now.saturating_sub(AT_HAND).unwrap_or(Timestamp::MIN);
    last_closed.map_or(lately, |last| lately.min(last.span(&hub.zone).start))
}

/// The first day of which everything is at hand.
fn first_at_hand(hub: &Hub, last_closed: Day, now: Timestamp) -> Day {
    let since = at_hand_since(hub, Some(last_closed), now);
    let day = Day::of(since, &hub.zone);
    if day.span(&hub.zone).start < since {
        day.next()
    } else {
        day
    }
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

/// Whether `sessions` tells of an end of this run of the server, of one that ran when last looked at: such are
/// at hand.
pub(crate) fn has_ended(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
    started: Timestamp,
) -> Result<bool, StateError> {
    let mut select = connection.prepare_cached(
        "select row from recorded where hub = ?1 and user = ?2 and server = ?3 and started = ?4",
    )?;
    let key = params![
        hub,
        key.user.as_str(),
        &*key.server,
        started.as_microsecond()
    ];
    let row: Option<String> = select.query_row(key, |row| row.get(0)).optional()?;
    let Some(row) = row else {
        return Ok(false);
    };
    let recorded: Recorded = serde_json::from_str(&row)?;
    Ok(recorded.standing == Standing::Valid && recorded.session.end.is_some())
}

/// The last day that was closed.
pub(crate) fn last_closed(connection: &Connection, hub: &str) -> Result<Option<Day>, StateError> {
    let text = setting(connection, &settings::closed(hub))?;
    let day = text.map(|text| text.parse().map(Day::new)).transpose();
    day.map_err(|error: jiff::Error| StateError::Corrupt(error.to_string()))
}

pub(crate) fn keep_last_closed(
    connection: &Connection,
    hub: &str,
    day: Day,
) -> Result<(), StateError> {
    keep_setting(connection, &settings::closed(hub), &day.to_string())
}

/// Forgets what is too old to change by ordinary news: sessions that ended before `AT_HAND` and
/// before the last closed day, with their facts. Called within a transaction, for some servers
/// after `after`; gives the last one that was looked at, `None` if there are no more.
pub(crate) fn forget_old(
    connection: &Connection,
    hub: &Hub,
    now: Timestamp,
    after: Option<&ServerKey>,
) -> Result<Option<ServerKey>, StateError> {
    let Some(last) = last_closed(connection, &hub.name)? else {
        return Ok(None);
    };
    let cutoff = at_hand_since(hub, Some(last), now);
    let keys = facts::keys_older_than(connection, &hub.name, cutoff, after, KEYS_AT_ONCE)?;
    let present = PresentServers::read(connection, &hub.name)?;
    for key in &keys {
        let facts = facts::of_key(connection, &hub.name, key)?;
        let running = present.running.get(key);
        let from = at_hand_from(&facts, &session::sessions(&facts), running, cutoff);
        forget_before(connection, hub, key, &facts, from)?;
    }
    if keys.len() == KEYS_AT_ONCE {
        return Ok(keys.into_iter().next_back());
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
    Ok(None)
}

/// From when on facts and sessions of a server have to be at hand: the start of its first session
/// that goes on, that ended or of which something was told after `since`, or that the last look
/// says is running, since the next one may tell of its end.
///
/// A start that polls saw, that came late, and of which no look knows, is not at hand: its days were
/// closed without it, so that the history has to be asked when its end comes.
pub(crate) fn at_hand_from(
    facts: &[Fact],
    sessions: &[Session],
    running: Option<&Running>,
    since: Timestamp,
) -> Timestamp {
    let mut told: BTreeMap<Timestamp, Timestamp> = BTreeMap::new();
    for fact in facts {
        if let Some(started) = started_of(fact) {
            let newest = told.entry(started).or_insert(fact.at);
            *newest = fact.at.max(*newest);
        }
    }
    let first_kept = sessions.iter().find(|session| {
        let is_told = told.get(&session.started).is_some_and(|at| *at >= since);
        match session.end {
            Some(end) => end.at >= since || is_told,
            None if session.origin == Origin::EventsOnly => true,
            None => running.is_some_and(|running| running.started == session.started),
        }
    });
    let starts = first_kept.map(|session| session.started);
    let starts = starts.into_iter().chain(running.map(|it| it.started));
    starts.fold(since, Timestamp::min)
}

/// Whether the fact is needed for sessions that began at `from` or later. Events may be a little
/// earlier than the start that they tell of.
pub(crate) fn is_needed(fact: &Fact, from: Timestamp) -> bool {
    let is_late_enough = from
        .saturating_sub(SLACK)
        .map_or(true, |from| fact.at >= from);
    is_late_enough && started_of(fact).is_none_or(|started| started >= from)
}

/// Everything about sessions that began before `from` goes; `facts` are those at hand.
pub(crate) fn forget_before(
    connection: &Connection,
    hub: &Hub,
    key: &ServerKey,
    facts: &[Fact],
    from: Timestamp,
) -> Result<(), StateError> {
    for fact in facts.iter().filter(|fact| !is_needed(fact, from)) {
        facts::remove(connection, &hub.name, key, fact)?;
    }
    connection
        .prepare_cached(
            "delete from recorded where hub = ?1 and user = ?2 and server = ?3 and started < ?4",
        )?
        .execute(params![
            hub.name,
            key.user.as_str(),
            &*key.server,
            from.as_microsecond()
        ])?;
    Ok(())
}

/// The run of the server that the fact names.
pub(crate) fn started_of(fact: &Fact) -> Option<Timestamp> {
    match &fact.what {
        What::Seen { started, .. } | What::Activity { started, .. } => Some(*started),
        What::Gone { started, .. } => *started,
        What::Start | What::Stop | What::Died | What::HubStop => None,
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
    time_setting(connection, &settings::begin(hub))
}

/// Before this, events of the hub are gone.
pub(crate) fn expired(connection: &Connection, hub: &str) -> Result<Option<Timestamp>, StateError> {
    time_setting(connection, &settings::expired(hub))
}

/// Events from before a time are about to be removed. Keeping them longer from then on brings none
/// back.
pub(crate) fn keep_expired(
    connection: &Connection,
    hub: &str,
    before: Timestamp,
) -> Result<(), StateError> {
    if expired(connection, hub)?.is_some_and(|known| known >= before) {
        return Ok(());
    }
    let micros = before.as_microsecond().to_string();
    keep_setting(connection, &settings::expired(hub), &micros)
}

/// Whether the history knows more of the hub than this `state.db`.
pub(crate) fn is_behind(connection: &Connection, hub: &str) -> Result<bool, StateError> {
    Ok(setting(connection, &settings::behind(hub))?.is_some())
}

/// Days up to this one are closed in the history, and which of them news has touched is told by
/// the history too, which is asked about everything next.
pub(crate) fn follow(
    connection: &Connection,
    hub: &str,
    closed: Option<Day>,
) -> Result<(), StateError> {
    if let Some(day) = closed.max(last_closed(connection, hub)?) {
        keep_last_closed(connection, hub, day)?;
    }
    connection
        .prepare_cached("delete from dirty_days where hub = ?1")?
        .execute([hub])?;
    sum_all_again(connection, hub)
}

/// Everything was derived again from the history.
pub(crate) fn caught_up(connection: &Connection, hub: &str) -> Result<(), StateError> {
    forget_setting(connection, &settings::behind(hub))
}
