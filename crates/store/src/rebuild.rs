//! Sessions and days derived again from the history itself: all of them for `store rebuild`, those
//! of some users when news is older than the facts at hand.
//!
//! Only rows that differ are written, with a higher revision. Events are kept for a limited time;
//! what was derived from events that are gone stays as it is.

use crate::derive::{self, Hub, PresentServers, session_row, used_of, user_day_id, user_day_row};
use crate::flush::blocking;
use crate::history::{DataFile, History, HistoryError};
use crate::state::facts;
use crate::state::{Writer, spool};
use crate::tables::{self, Event, Row, TableDef, rows_of};
use crate::upkeep::Retention;
use crate::{StateError, StoreError};
use arrow::array::{Array as _, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Date32Type};
use arrow::error::ArrowError;
use jiff::Timestamp;
use model::days::{Day, SessionSpan, UserDay, user_days};
use model::fact::{ActiveHour, Fact, KeyedFact, ServerKey};
use model::names::UserName;
use model::session::{self, End, EndReason, Origin, Recorded, Session, Standing};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Rows of events that are held in memory at once: more are read in several passes. So few in
/// tests that they pass several times too.
const EVENTS_AT_ONCE: u64 = if cfg!(test) { 20 } else { 500_000 };
/// Rows that one transaction looks at, or those of one user: whoever waits to be acknowledged waits
/// for one.
const ROWS_AT_ONCE: usize = if cfg!(test) { 10 } else { 10_000 };

/// What deriving again changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Sessions that were looked at.
    pub n_sessions: usize,
    /// Sessions that differed.
    pub n_sessions_changed: usize,
    /// Days that were looked at.
    pub n_days: usize,
    /// Days that differed.
    pub n_days_changed: usize,
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} sessions and {} of {} days differed and were written again",
            self.n_sessions_changed, self.n_sessions, self.n_days_changed, self.n_days
        )
    }
}

/// What deriving again needs.
pub(crate) struct Rebuild<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) writer: &'a Writer,
    pub(crate) history: &'a History,
    pub(crate) retention: Retention,
    pub(crate) now: Timestamp,
}

/// What is derived again.
pub(crate) enum Scope {
    /// Sessions and days.
    Everything,
    /// Sessions and days of these users.
    Users(Vec<UserName>),
}

/// Whose rows are looked at in one pass.
#[derive(Clone)]
enum Users {
    /// These.
    Named(Arc<BTreeSet<UserName>>),
    /// One share of all.
    Share { number: u64, of: u64 },
}

impl Users {
    fn has(&self, user: &str) -> bool {
        match self {
            Self::Named(users) => users.contains(user),
            Self::Share { number, of } => {
                let mut hasher = DefaultHasher::new();
                user.hash(&mut hasher);
                hasher.finish() % of == *number
            }
        }
    }
}

impl Rebuild<'_> {
    /// What waits in the spool must be flushed before.
    pub(crate) async fn run(&self, scope: Scope) -> Result<Rebuilt, StoreError> {
        let n_events = self.n_events().await?;
        let passes = match scope {
            Scope::Users(users) if n_events <= EVENTS_AT_ONCE => {
                vec![Users::Named(Arc::new(users.into_iter().collect()))]
            }
            Scope::Users(users) => shares(self.n_events_of(users).await?),
            Scope::Everything => {
                let of = n_events.div_ceil(EVENTS_AT_ONCE).max(1);
                (0..of).map(|number| Users::Share { number, of }).collect()
            }
        };
        let horizon = self.horizon().await?;
        let mut rebuilt = Rebuilt::default();
        for users in passes {
            self.pass(&users, horizon, &mut rebuilt).await?;
        }
        Ok(rebuilt)
    }

    async fn n_events(&self) -> Result<u64, StoreError> {
        let files = self.files(&tables::events::TABLE).await?;
        let n_rows = files.iter();
        Ok(n_rows
            .map(|file| file.n_rows.unwrap_or(EVENTS_AT_ONCE))
            .sum())
    }

    /// How many events about servers there are of each of the users.
    async fn n_events_of(
        &self,
        users: Vec<UserName>,
    ) -> Result<BTreeMap<UserName, u64>, StoreError> {
        let def = &tables::events::TABLE;
        let mut counted: BTreeMap<UserName, u64> =
            users.into_iter().map(|user| (user, 0)).collect();
        let users = Users::Named(Arc::new(counted.keys().cloned().collect()));
        for file in self.files(def).await? {
            let users = users.clone();
            let names = blocking(def, move || {
                let failed = |error| HistoryError::rows(def, error);
                let mut names: BTreeMap<String, u64> = BTreeMap::new();
                for batch in file.read_columns(def, &telling(def))? {
                    let is_wanted = wanted(&batch, &users).map_err(failed)?;
                    let batch = filter_record_batch(&batch, &is_wanted).map_err(failed)?;
                    let names_of = batch.column_by_name("user");
                    let names_of = names_of.map(AsArray::as_string::<i32>);
                    for name in names_of.into_iter().flatten().flatten() {
                        match names.get_mut(name) {
                            Some(n_rows) => *n_rows += 1,
                            None => drop(names.insert(name.to_owned(), 1)),
                        }
                    }
                }
                Ok(names)
            });
            for (name, n_rows) in names.await? {
                *counted.entry(UserName::new(name)).or_default() += n_rows;
            }
        }
        Ok(counted)
    }

    /// The last day of which the history has rows in `user_days`.
    pub(crate) async fn last_closed(&self) -> Result<Option<Day>, StoreError> {
        let def = &tables::user_days::TABLE;
        let mut last = None;
        for file in self.files(def).await? {
            let days = blocking(def, move || {
                let batches = file.read_columns(def, &[def.time])?;
                let days = batches.iter().filter_map(|batch| {
                    let days = batch.column(0).as_primitive_opt::<Date32Type>()?;
                    arrow::compute::max(days)
                });
                Ok(days.max())
            });
            last = last.max(days.await?);
        }
        Ok(last.map(tables::day_of).map(Day::new))
    }

    async fn pass(
        &self,
        users: &Users,
        horizon: Timestamp,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), StoreError> {
        let events: Vec<Event> = self.rows(users).await?;
        let sessions: Vec<tables::Session> = self.rows(users).await?;
        let days: Vec<tables::UserDay> = self.rows(users).await?;
        let users = users.clone();
        let slices = blocking(&tables::events::TABLE, move || {
            Ok(slices(&users, &events, sessions, days))
        });
        for people in slices.await? {
            let slice = Slice {
                hub: self.hub.clone(),
                now: self.now,
                horizon,
                people,
            };
            let counted = self
                .writer
                .write(move |connection| slice.write(connection))
                .await?;
            rebuilt.n_sessions += counted.n_sessions;
            rebuilt.n_sessions_changed += counted.n_sessions_changed;
            rebuilt.n_days += counted.n_days;
            rebuilt.n_days_changed += counted.n_days_changed;
        }
        Ok(())
    }

    /// Before this, events may be gone: they are past their time, or were when they were kept
    /// less long.
    async fn horizon(&self) -> Result<Timestamp, StoreError> {
        let hub = Arc::clone(&self.hub.name);
        let expired = move |connection: &Connection| derive::expired(connection, &hub);
        let expired = self.writer.write(expired).await?;
        let before = self.retention.events_before(self.now);
        Ok(expired.max(before).unwrap_or(Timestamp::MIN))
    }

    /// The files with rows of the hub.
    async fn files(&self, def: &'static TableDef) -> Result<Vec<DataFile>, StoreError> {
        let Some(table) = self.history.table(def).await? else {
            return Ok(Vec::new());
        };
        let mut files = table.files().await?;
        files.retain(|file| file.partition.hub == *self.hub.name);
        Ok(files)
    }

    /// All rows of the hub's users in the history.
    async fn rows<R: Row + Send + 'static>(&self, users: &Users) -> Result<Vec<R>, StoreError> {
        let def = R::TABLE;
        let mut rows = Vec::new();
        for file in self.files(def).await? {
            let users = users.clone();
            let read = blocking(def, move || {
                let mut rows: Vec<R> = Vec::new();
                let is_wanted = move |batch| wanted(&batch, &users);
                for batch in file.read_where(def, &telling(def), is_wanted)? {
                    let failed = |error| HistoryError::rows(def, error);
                    rows.extend(rows_of::<R>(&batch).map_err(failed)?);
                }
                Ok(rows)
            });
            rows.extend(read.await?);
        }
        Ok(rows)
    }
}

/// Columns that tell which rows are wanted.
fn telling(def: &TableDef) -> Vec<&'static str> {
    let columns = def.columns.iter().map(|column| column.name);
    columns
        .filter(|name| ["user", "kind"].contains(name))
        .collect()
}

/// Rows of these users; of events only those that say something about servers.
fn wanted(batch: &RecordBatch, users: &Users) -> Result<BooleanArray, ArrowError> {
    let text = |name| {
        let column = batch.column_by_name(name);
        let column = column.map(|column| cast(column, &DataType::Utf8));
        column.transpose()
    };
    let (names, kinds) = (text("user")?, text("kind")?);
    let names = names.as_ref().map(AsArray::as_string::<i32>);
    let kinds = kinds.as_ref().map(AsArray::as_string::<i32>);
    let is_wanted = |row: usize| {
        names.is_some_and(|names| names.is_valid(row) && users.has(names.value(row)))
            && kinds.is_none_or(|kinds| facts::KINDS.contains(&kinds.value(row)))
    };
    Ok((0..batch.num_rows())
        .map(|row| Some(is_wanted(row)))
        .collect())
}

/// The users in as few passes as hold all their events.
fn shares(n_events: BTreeMap<UserName, u64>) -> Vec<Users> {
    let mut shares: Vec<BTreeSet<UserName>> = Vec::new();
    let mut n_in_last = 0;
    for (user, n_events) in n_events {
        match shares.last_mut() {
            Some(last) if n_in_last + n_events <= EVENTS_AT_ONCE => {
                n_in_last += n_events;
                last.insert(user);
            }
            _ => {
                n_in_last = n_events;
                shares.push(BTreeSet::from([user]));
            }
        }
    }
    let shares = shares.into_iter();
    shares.map(|users| Users::Named(Arc::new(users))).collect()
}

/// What the history holds, and what follows from it, in pieces for one transaction each.
fn slices(
    users: &Users,
    events: &[Event],
    sessions: Vec<tables::Session>,
    days: Vec<tables::UserDay>,
) -> Vec<Vec<Found>> {
    let mut people: BTreeMap<UserName, Found> = BTreeMap::new();
    if let Users::Named(users) = users {
        for user in &**users {
            found(&mut people, user).is_late = true;
        }
    }
    for KeyedFact { key, fact } in events.iter().filter_map(facts::of_event) {
        let of_user = found(&mut people, &key.user);
        let server = of_user.servers.entry(key).or_default();
        server.facts.push(fact);
    }
    for (id, row) in newest(sessions) {
        found(&mut people, &row.user).sessions.insert(id, row);
    }
    for (id, row) in newest(days) {
        found(&mut people, &row.user).days.insert(id, row);
    }
    let mut slices: Vec<Vec<Found>> = Vec::new();
    let mut n_in_last = 0;
    for mut person in people.into_values() {
        person.derive();
        let n_rows = person.n_rows();
        match slices.last_mut() {
            Some(last) if n_in_last + n_rows <= ROWS_AT_ONCE => {
                n_in_last += n_rows;
                last.push(person);
            }
            _ => {
                n_in_last = n_rows;
                slices.push(vec![person]);
            }
        }
    }
    slices
}

fn found<'a>(people: &'a mut BTreeMap<UserName, Found>, user: &UserName) -> &'a mut Found {
    let of_user = people.entry(user.clone());
    of_user.or_insert_with(|| Found {
        user: user.clone(),
        is_late: false,
        servers: BTreeMap::new(),
        sessions: HashMap::new(),
        days: HashMap::new(),
    })
}

/// The highest revision of each id.
pub(crate) fn newest<R: Row>(rows: Vec<R>) -> HashMap<String, R> {
    let mut newest: HashMap<String, R> = HashMap::with_capacity(rows.len());
    for row in rows {
        let known = newest.get(row.id().as_str());
        if known.is_none_or(|known| known.revision() < row.revision()) {
            newest.insert(row.id().as_str().to_owned(), row);
        }
    }
    newest
}

/// What the history holds of one user.
struct Found {
    user: UserName,
    /// Whether late news of the user is why.
    is_late: bool,
    servers: BTreeMap<ServerKey, Derived>,
    /// By id, the highest revision.
    sessions: HashMap<String, tables::Session>,
    days: HashMap<String, tables::UserDay>,
}

/// The facts about a server, and what follows from them.
#[derive(Default)]
struct Derived {
    facts: Vec<Fact>,
    sessions: Vec<Session>,
}

impl Found {
    fn derive(&mut self) {
        for server in self.servers.values_mut() {
            server.sessions = session::sessions(&server.facts);
        }
    }

    fn n_rows(&self) -> usize {
        let facts = self.servers.values().map(|server| server.facts.len());
        facts.sum::<usize>() + self.sessions.len() + self.days.len()
    }
}

/// Some users, for one transaction.
struct Slice {
    hub: Hub,
    now: Timestamp,
    horizon: Timestamp,
    people: Vec<Found>,
}

impl Slice {
    /// Writes what differs; called within a transaction.
    fn write(mut self, connection: &Connection) -> Result<Rebuilt, StateError> {
        let people = std::mem::take(&mut self.people);
        let servers = people.iter().flat_map(|found| found.servers.values());
        let facts = servers.flat_map(|server| &server.facts);
        if let Some(first) = facts.map(|fact| fact.at).min() {
            spool::begin_by(connection, &self.hub.name, first)?;
        }
        let last_closed = derive::last_closed(connection, &self.hub.name)?;
        let since = derive::at_hand_since(&self.hub, last_closed, self.now);
        let slice = Within {
            hub: &self.hub,
            horizon: self.horizon,
            connection,
            present: PresentServers::read(connection, &self.hub.name)?,
            last_closed,
            begin: derive::begin(connection, &self.hub.name)?,
            since,
        };
        let mut rebuilt = Rebuilt::default();
        for found in people {
            slice.write(found, &mut rebuilt)?;
        }
        Ok(rebuilt)
    }
}

/// What one transaction knows.
struct Within<'a> {
    hub: &'a Hub,
    horizon: Timestamp,
    connection: &'a Connection,
    present: PresentServers,
    last_closed: Option<Day>,
    begin: Option<Timestamp>,
    /// What ended since then has to be at hand.
    since: Timestamp,
}

/// A session as days count it.
struct Counted {
    key: ServerKey,
    started: Timestamp,
    until: Timestamp,
    active_hours: Option<Vec<ActiveHour>>,
}

impl Counted {
    fn of(key: &ServerKey, session: &Session, until: Timestamp) -> Self {
        Self {
            key: key.clone(),
            started: session.started,
            until,
            active_hours: session.known_active_hours().map(<[ActiveHour]>::to_vec),
        }
    }
}

impl Within<'_> {
    fn write(&self, mut found: Found, rebuilt: &mut Rebuilt) -> Result<(), StateError> {
        self.add_what_runs(&mut found)?;
        if found.is_late {
            let days = match self.last_closed {
                Some(_) => facts::Days::Corrected,
                None => facts::Days::NoneYet,
            };
            facts::clean_late(self.connection, &self.hub.name, [&found.user], days)?;
        }
        let counted = self.write_sessions(&mut found, rebuilt)?;
        self.write_days(found, &counted, rebuilt)
    }

    /// Of a server that has run for longer than events are kept, what is known is at hand.
    fn add_what_runs(&self, found: &mut Found) -> Result<(), StateError> {
        let running = self.present.running.values();
        let old = running
            .filter(|running| running.key.user == found.user && running.started < self.horizon);
        for running in old {
            let server = found.servers.entry(running.key.clone()).or_default();
            let at_hand = facts::of_key(self.connection, &self.hub.name, &running.key)?;
            server.facts.extend(at_hand);
            server.sessions = session::sessions(&server.facts);
        }
        Ok(())
    }

    /// Gives what counts on days.
    fn write_sessions(
        &self,
        found: &mut Found,
        rebuilt: &mut Rebuilt,
    ) -> Result<Vec<Counted>, StateError> {
        let mut counted = Vec::new();
        for (key, server) in &found.servers {
            let from = self.keep_at_hand(key, server)?;
            for session in &server.sessions {
                let Some(end) = session.end else {
                    let running = self.present.running.get(key);
                    counted.extend(running.map(|running| {
                        let until = running.last_seen.max(session.last_seen);
                        Counted::of(key, session, until)
                    }));
                    continue;
                };
                let recorded = Recorded {
                    session: session.clone(),
                    revision: 1,
                    standing: Standing::Valid,
                };
                let row = session_row(&self.hub.name, key, &recorded);
                let known = found.sessions.remove(row.id.as_str());
                if session.started < self.horizon {
                    // Some of its events are gone: what was derived before knew more.
                    let until = known.as_ref().map_or(end.at, |known| known.ended);
                    if known.is_none_or(|known| !known.withdrawn) {
                        counted.push(Counted::of(key, session, until));
                    }
                    continue;
                }
                counted.push(Counted::of(key, session, end.at));
                rebuilt.n_sessions += 1;
                let (revision, is_same) = revision_after(known.as_ref(), &row);
                if !is_same {
                    let row = tables::Session { revision, ..row };
                    spool::append_derived(self.connection, &self.hub.name, &row)?;
                    rebuilt.n_sessions_changed += 1;
                }
                if session.started >= from {
                    self.keep_recorded(key, &recorded, revision)?;
                }
            }
        }
        self.withdraw(found, &mut counted, rebuilt)?;
        Ok(counted)
    }

    /// Facts that ordinary news may still need, and none besides; gives from when on. A server with
    /// news that came since the history was read stays to be looked at.
    fn keep_at_hand(&self, key: &ServerKey, server: &Derived) -> Result<Timestamp, StateError> {
        let (connection, hub) = (self.connection, self.hub);
        let running = self.present.running.get(key);
        let from = derive::at_hand_from(&server.facts, &server.sessions, running, self.since);
        let needed = server.facts.iter();
        for fact in needed.filter(|fact| derive::is_needed(fact, from)) {
            facts::put(connection, &hub.name, key, fact)?;
        }
        let at_hand = facts::of_key(connection, &hub.name, key)?;
        derive::forget_before(connection, hub, key, &at_hand, from)?;
        Ok(from)
    }

    /// Sessions that no event tells of any more; those from before the horizon stay, and count.
    fn withdraw(
        &self,
        found: &Found,
        counted: &mut Vec<Counted>,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), StateError> {
        for known in found.sessions.values().filter(|known| !known.withdrawn) {
            let key = ServerKey {
                user: known.user.clone(),
                server: Arc::clone(&known.server),
            };
            if known.started < self.horizon {
                counted.push(Counted {
                    key,
                    started: known.started,
                    until: known.ended,
                    active_hours: None,
                });
                continue;
            }
            let row = tables::Session {
                revision: known.revision + 1,
                withdrawn: true,
                ..known.clone()
            };
            spool::append_derived(self.connection, &self.hub.name, &row)?;
            rebuilt.n_sessions_changed += 1;
            if known.ended >= self.since {
                let recorded = Recorded {
                    session: session_of(&row),
                    revision: 1,
                    standing: Standing::Withdrawn,
                };
                self.keep_recorded(&key, &recorded, row.revision)?;
            }
        }
        Ok(())
    }

    fn keep_recorded(
        &self,
        key: &ServerKey,
        recorded: &Recorded,
        revision: i64,
    ) -> Result<(), StateError> {
        let recorded = Recorded {
            revision: u32::try_from(revision).unwrap_or(u32::MAX),
            ..recorded.clone()
        };
        derive::keep_recorded(self.connection, &self.hub.name, key, &recorded)
    }

    fn write_days(
        &self,
        mut found: Found,
        counted: &[Counted],
        rebuilt: &mut Rebuilt,
    ) -> Result<(), StateError> {
        let (Some(last), Some(begin)) = (self.last_closed, self.begin) else {
            return Ok(());
        };
        let is_whole = begin >= self.horizon;
        let first = if is_whole {
            Day::of(begin, &self.hub.zone)
        } else {
            // Of the day of the horizon some events are gone.
            Day::of(self.horizon, &self.hub.zone).next()
        };
        let spans = counted.iter().map(|counted| SessionSpan {
            user: &counted.key.user,
            server: &counted.key.server,
            started: counted.started,
            until: counted.until,
            active_hours: counted.active_hours.as_deref(),
        });
        for day in user_days(spans, &self.hub.zone, first..=last) {
            rebuilt.n_days += 1;
            let id = user_day_id(&self.hub.name, day.user.as_str(), day.day.date());
            let known = found.days.remove(id.as_str());
            rebuilt.n_days_changed += usize::from(self.write_day(known, &day)?);
        }
        let left = found.days.into_values().filter(|known| {
            let day = Day::new(known.day);
            // With all events at hand, days from before the first of them, or that are not over
            // any more, are another zone's.
            let is_lost = known.sessions > 0 && (is_whole || day >= first);
            rebuilt.n_days += usize::from(known.sessions == 0 && used_of(known).is_any());
            is_lost || (day > last && used_of(known).is_any())
        });
        let left: Vec<tables::UserDay> = left.collect();
        for known in left {
            let nothing = derive::nothing(Day::new(known.day), &known.user);
            rebuilt.n_days_changed += usize::from(self.write_day(Some(known), &nothing)?);
        }
        Ok(())
    }

    /// Whether the day differed. What was used on it stays, if it is closed: that is summed by
    /// others.
    fn write_day(&self, known: Option<tables::UserDay>, day: &UserDay) -> Result<bool, StateError> {
        let revision = known.as_ref().map_or(0, |known| known.revision);
        let closed = known.as_ref().filter(|_| Some(day.day) <= self.last_closed);
        let used = closed.map(used_of).unwrap_or_default();
        let row = user_day_row(&self.hub.name, day, &used, 1);
        let is_same = known.is_some_and(|known| {
            tables::UserDay {
                revision: 1,
                ..known
            } == row
        });
        let row = tables::UserDay {
            revision: if is_same { revision } else { revision + 1 },
            ..row
        };
        if !is_same {
            spool::append_derived(self.connection, &self.hub.name, &row)?;
        }
        if Day::new(row.day) >= Day::of(self.since, &self.hub.zone) {
            derive::keep_day(self.connection, &self.hub.name, &row)?;
        }
        Ok(!is_same)
    }
}

/// The revision that the row gets, and whether it is the one that is known.
fn revision_after(known: Option<&tables::Session>, row: &tables::Session) -> (i64, bool) {
    let Some(known) = known else {
        return (1, false);
    };
    let is_same = tables::Session {
        revision: row.revision,
        ..known.clone()
    } == *row;
    (known.revision + i64::from(!is_same), is_same)
}

/// The session of a row, as far as it tells: what is withdrawn is compared with nothing.
fn session_of(row: &tables::Session) -> Session {
    Session {
        started: row.started,
        end: Some(End {
            at: row.ended,
            reason: EndReason::parse(&row.end_reason).unwrap_or(EndReason::Unobserved),
        }),
        last_seen: row.last_seen,
        active_seconds: row
            .active_seconds
            .and_then(|seconds| u64::try_from(seconds).ok()),
        active_hours: Vec::new(),
        options: row.options.clone(),
        image: row.image.clone(),
        origin: Origin::EventsOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_pass_together_as_long_as_their_events_are_few() {
        let n_events = [("ada", 5), ("bob", 15), ("cyd", 1), ("dan", 90), ("eve", 0)];
        let n_events = n_events.map(|(user, n_events)| (user.into(), n_events));
        let shares = shares(n_events.into());
        let names: Vec<Vec<&str>> = shares
            .iter()
            .map(|users| match users {
                Users::Named(users) => users.iter().map(UserName::as_str).collect(),
                Users::Share { .. } => Vec::new(),
            })
            .collect();
        assert_eq!(
            names,
            [vec!["ada", "bob"], vec!["cyd"], vec!["dan"], vec!["eve"]]
        );
    }
}
