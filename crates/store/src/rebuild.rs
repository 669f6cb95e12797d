//! Sessions and days derived again from the history itself: all of them for `store rebuild`, all days
//! when the hub's time zone changed, those of some users when news is older than the facts at hand.
//!
//! Only rows that differ are written, with a higher revision. Events are kept for a limited time;
//! what was derived from events that are gone stays as it is.

use crate::derive::{self, Hub, PresentServers, session_row, user_day_row};
use crate::flush::blocking;
use crate::history::{History, HistoryError};
use crate::state::facts::{self, AT_HAND};
use crate::state::{Writer, spool};
use crate::tables::{self, Event, Row, rows_of};
use crate::upkeep::Retention;
use crate::{StateError, StoreError};
use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use jiff::Timestamp;
use model::days::{Day, SessionSpan, user_days};
use model::fact::{Fact, KeyedFact, ServerKey};
use model::names::UserName;
use model::session::{self, Recorded, Session, Standing};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Rows of events that are held in memory at once: more are read in several passes.
const EVENTS_AT_ONCE: u64 = 500_000;

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
    /// Days alone, since nothing else depends on the hub's time zone.
    Days,
    /// Sessions and days of these users.
    Users(Vec<UserName>),
}

/// Which rows are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Derived {
    SessionsAndDays,
    Days,
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
        let derived = match scope {
            Scope::Everything | Scope::Users(_) => Derived::SessionsAndDays,
            Scope::Days => Derived::Days,
        };
        let passes = if let Scope::Users(users) = scope {
            vec![Users::Named(Arc::new(users.into_iter().collect()))]
        } else {
            let of = self.n_events().await?.div_ceil(EVENTS_AT_ONCE).max(1);
            (0..of).map(|number| Users::Share { number, of }).collect()
        };
        let mut rebuilt = Rebuilt::default();
        for users in passes {
            self.pass(&users, derived, &mut rebuilt).await?;
        }
        Ok(rebuilt)
    }

    async fn n_events(&self) -> Result<u64, StoreError> {
        let Some(table) = self.history.table(&tables::events::TABLE).await? else {
            return Ok(0);
        };
        let files = table.files().await?;
        Ok(files
            .iter()
            .map(|file| file.n_rows.unwrap_or(EVENTS_AT_ONCE))
            .sum())
    }

    async fn pass(
        &self,
        users: &Users,
        derived: Derived,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), StoreError> {
        let events: Vec<Event> = self.rows(users).await?;
        let sessions: Vec<tables::Session> = match derived {
            Derived::SessionsAndDays => self.rows(users).await?,
            Derived::Days => Vec::new(),
        };
        let days: Vec<tables::UserDay> = self.rows(users).await?;
        let found = Found {
            users: users.clone(),
            derived,
            hub: self.hub.clone(),
            now: self.now,
            horizon: self.horizon(),
            facts: by_key(&events),
            sessions: newest(sessions),
            days: newest(days),
        };
        let counted = self
            .writer
            .write(move |connection| found.write(connection))
            .await?;
        rebuilt.n_sessions += counted.n_sessions;
        rebuilt.n_sessions_changed += counted.n_sessions_changed;
        rebuilt.n_days += counted.n_days;
        rebuilt.n_days_changed += counted.n_days_changed;
        Ok(())
    }

    /// Before this, events may be gone.
    fn horizon(&self) -> Timestamp {
        let kept = self
            .retention
            .events
            .and_then(|kept| self.now.checked_sub(kept).ok());
        kept.unwrap_or(Timestamp::MIN)
    }

    /// All rows of the hub's users in the history.
    async fn rows<R: Row + Send + 'static>(&self, users: &Users) -> Result<Vec<R>, StoreError> {
        let def = R::TABLE;
        let Some(table) = self.history.table(def).await? else {
            return Ok(Vec::new());
        };
        let mut rows = Vec::new();
        for file in table.files().await? {
            if file.partition.hub != *self.hub.name {
                continue;
            }
            let users = users.clone();
            let read = blocking(def, move || {
                let mut rows: Vec<R> = Vec::new();
                for batch in file.read(def)? {
                    let batch =
                        of_users(&batch, &users).map_err(|error| HistoryError::rows(def, error))?;
                    rows.extend(
                        rows_of::<R>(&batch).map_err(|error| HistoryError::rows(def, error))?,
                    );
                }
                Ok(rows)
            });
            rows.extend(read.await?);
        }
        Ok(rows)
    }
}

/// Rows of these users; of events only those that say something about servers.
fn of_users(batch: &RecordBatch, users: &Users) -> Result<RecordBatch, arrow::error::ArrowError> {
    let schema = batch.schema();
    let names = batch.column(schema.index_of("user")?).as_string::<i32>();
    let kinds = batch
        .column_by_name("kind")
        .map(arrow::array::AsArray::as_string::<i32>);
    let is_wanted = |row: usize| {
        names.is_valid(row)
            && kinds.is_none_or(|kinds| facts::KINDS.contains(&kinds.value(row)))
            && users.has(names.value(row))
    };
    let wanted: BooleanArray = (0..names.len()).map(|row| Some(is_wanted(row))).collect();
    filter_record_batch(batch, &wanted)
}

fn by_key(events: &[Event]) -> BTreeMap<ServerKey, Vec<Fact>> {
    let mut by_key: BTreeMap<ServerKey, Vec<Fact>> = BTreeMap::new();
    for KeyedFact { key, fact } in events.iter().filter_map(facts::of_event) {
        by_key.entry(key).or_default().push(fact);
    }
    by_key
}

/// The highest revision of each id.
fn newest<R: Row>(rows: Vec<R>) -> HashMap<String, R> {
    let mut newest: HashMap<String, R> = HashMap::with_capacity(rows.len());
    for row in rows {
        let known = newest.get(row.id().as_str());
        if known.is_none_or(|known| known.revision() < row.revision()) {
            newest.insert(row.id().as_str().to_owned(), row);
        }
    }
    newest
}

/// What the history holds of some users.
struct Found {
    users: Users,
    derived: Derived,
    hub: Hub,
    now: Timestamp,
    horizon: Timestamp,
    facts: BTreeMap<ServerKey, Vec<Fact>>,
    sessions: HashMap<String, tables::Session>,
    days: HashMap<String, tables::UserDay>,
}

impl Found {
    /// Writes what differs; called within a transaction.
    fn write(mut self, connection: &Connection) -> Result<Rebuilt, StateError> {
        let mut rebuilt = Rebuilt::default();
        let derived: BTreeMap<ServerKey, Vec<Session>> = std::mem::take(&mut self.facts)
            .into_iter()
            .map(|(key, facts)| {
                if self.derived == Derived::SessionsAndDays {
                    self.keep_at_hand(connection, &key, &facts)?;
                }
                Ok((key, session::sessions(&facts)))
            })
            .collect::<Result<_, StateError>>()?;
        if let Users::Named(users) = &self.users {
            let days = match derive::last_closed(connection, &self.hub.name)? {
                Some(_) => facts::Days::Corrected,
                None => facts::Days::NoneYet,
            };
            facts::clean_late(connection, &self.hub.name, users.iter(), days)?;
        }
        if self.derived == Derived::SessionsAndDays {
            self.write_sessions(connection, &derived, &mut rebuilt)?;
        }
        self.write_days(connection, &derived, &mut rebuilt)?;
        Ok(rebuilt)
    }

    /// Facts that ordinary news may still need. A server with news that came since the history was
    /// read stays to be looked at.
    fn keep_at_hand(
        &self,
        connection: &Connection,
        key: &ServerKey,
        facts: &[Fact],
    ) -> Result<(), StateError> {
        let recent = self.now.saturating_sub(AT_HAND).unwrap_or(Timestamp::MIN);
        let sessions = session::sessions(facts);
        let first_kept = sessions
            .iter()
            .find(|session| session.end.is_none_or(|end| end.at >= recent));
        let from = first_kept.map_or(recent, |session| session.started.min(recent));
        for fact in facts.iter().filter(|fact| fact.at >= from) {
            let is_older = derive::started_of(fact).is_some_and(|started| started < from);
            if !is_older {
                facts::put(connection, &self.hub.name, key, fact)?;
            }
        }
        Ok(())
    }

    fn write_sessions(
        &mut self,
        connection: &Connection,
        derived: &BTreeMap<ServerKey, Vec<Session>>,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), StateError> {
        let hub = &self.hub.name;
        for (key, sessions) in derived {
            for session in sessions.iter().filter(|session| session.end.is_some()) {
                if session.started < self.horizon {
                    continue;
                }
                rebuilt.n_sessions += 1;
                let recorded = Recorded {
                    session: session.clone(),
                    revision: 1,
                    standing: Standing::Valid,
                };
                let row = session_row(hub, key, &recorded);
                let known = self.sessions.remove(row.id.as_str());
                let revision = known.as_ref().map_or(0, |known| known.revision);
                let is_same = known.is_some_and(|known| {
                    tables::Session {
                        revision: 1,
                        ..known
                    } == row
                });
                let revision = if is_same { revision } else { revision + 1 };
                let row = tables::Session { revision, ..row };
                if !is_same {
                    spool::append_derived(connection, hub, &row)?;
                    rebuilt.n_sessions_changed += 1;
                }
                self.keep_recorded(connection, key, session, revision, Standing::Valid)?;
            }
        }
        self.withdraw(connection, rebuilt)
    }

    /// Sessions that no event tells of any more; those from before the horizon stay.
    fn withdraw(&self, connection: &Connection, rebuilt: &mut Rebuilt) -> Result<(), StateError> {
        let left = self.sessions.values();
        for known in left.filter(|known| !known.withdrawn && known.started >= self.horizon) {
            let row = tables::Session {
                revision: known.revision + 1,
                withdrawn: true,
                ..known.clone()
            };
            spool::append_derived(connection, &self.hub.name, &row)?;
            rebuilt.n_sessions_changed += 1;
        }
        Ok(())
    }

    fn keep_recorded(
        &self,
        connection: &Connection,
        key: &ServerKey,
        session: &Session,
        revision: i64,
        standing: Standing,
    ) -> Result<(), StateError> {
        let recent = self.now.saturating_sub(AT_HAND).unwrap_or(Timestamp::MIN);
        if session.end.is_none_or(|end| end.at < recent) {
            return Ok(());
        }
        let revision = u32::try_from(revision).unwrap_or(u32::MAX);
        let recorded = Recorded {
            session: session.clone(),
            revision,
            standing,
        };
        derive::keep_recorded(connection, &self.hub.name, key, &recorded)
    }

    fn write_days(
        &mut self,
        connection: &Connection,
        derived: &BTreeMap<ServerKey, Vec<Session>>,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), StateError> {
        let (Some(last), Some(begin)) = (
            derive::last_closed(connection, &self.hub.name)?,
            derive::begin(connection, &self.hub.name)?,
        ) else {
            return Ok(());
        };
        let present = PresentServers::read(connection, &self.hub.name)?;
        // With all events at hand, days from before the first of them are another zone's.
        let is_whole = begin >= self.horizon;
        let first = if is_whole {
            Day::of(begin, &self.hub.zone)
        } else {
            // Of the day that the horizon lies in a part of the events may be gone.
            Day::of(self.horizon, &self.hub.zone).next()
        };
        let spans = derived.iter().flat_map(|(key, sessions)| {
            let running = present.running.get(key);
            sessions.iter().filter_map(move |session| {
                let until = match session.end {
                    Some(end) => end.at,
                    None => running?.last_seen.max(session.last_seen),
                };
                Some(SessionSpan {
                    user: &key.user,
                    server: &key.server,
                    started: session.started,
                    until,
                    active_hours: session.known_active_hours(),
                })
            })
        });
        let recent = self.now.saturating_sub(AT_HAND).unwrap_or(Timestamp::MIN);
        // After a long rest the days that are closed next are older than what news may change.
        let at_hand = Day::of(recent, &self.hub.zone).min(last);
        for day in user_days(spans, &self.hub.zone, first..=last) {
            rebuilt.n_days += 1;
            let row = user_day_row(&self.hub.name, &day, 1);
            let known = self.days.remove(row.id.as_str());
            rebuilt.n_days_changed += usize::from(self.write_day(connection, at_hand, known, row)?);
        }
        let left: Vec<tables::UserDay> = std::mem::take(&mut self.days).into_values().collect();
        for known in left
            .into_iter()
            .filter(|known| known.sessions > 0 && (is_whole || Day::new(known.day) >= first))
        {
            let empty = user_day_row(
                &self.hub.name,
                &derive::nothing(Day::new(known.day), &known.user),
                1,
            );
            rebuilt.n_days_changed +=
                usize::from(self.write_day(connection, at_hand, Some(known), empty)?);
        }
        Ok(())
    }

    /// Whether the day differed. What others measured of it stays; from `at_hand` on it is kept for
    /// news.
    fn write_day(
        &self,
        connection: &Connection,
        at_hand: Day,
        known: Option<tables::UserDay>,
        row: tables::UserDay,
    ) -> Result<bool, StateError> {
        let revision = known.as_ref().map_or(0, |known| known.revision);
        let row = match &known {
            Some(known) => tables::UserDay {
                cpu_core_seconds: known.cpu_core_seconds,
                memory_byte_seconds: known.memory_byte_seconds,
                gpu_seconds: known.gpu_seconds,
                ..row
            },
            None => row,
        };
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
            spool::append_derived(connection, &self.hub.name, &row)?;
        }
        if Day::new(row.day) >= at_hand {
            derive::keep_day(connection, &self.hub.name, &row)?;
        }
        Ok(!is_same)
    }
}
