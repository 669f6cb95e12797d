//! Writes a history, month by month, while the next rows are made.

use super::facts::{Arrival, Teller, ToldFact};
use super::rows::Rows;
use super::{History, HistorySink, Item, ServerMonth, UserNews};
use crate::events::Reader;
use jiff::civil::Date;
use model::days::{Day, SessionSpan, user_days};
use model::fact::{Fact, KeyedFact, ServerKey};
use model::names::UserName;
use model::session::{Session, sessions};
use model::usage::{Used, UsedSum};
use std::collections::HashMap;
use std::sync::Arc;
use store::tables::{self, Event, Membership, Observation, Row, Storage, Usage};
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};

/// Users whose facts are made at once.
const BLOCK: usize = 500;
/// Rows that are written at once, so that memory is bounded.
const MOST_ROWS: usize = 125_000;
/// The same of observations, which are small.
const MOST_OBSERVATIONS: usize = 250_000;
/// Chunks that may wait: at the end of a month there is one of each table, and the next month is
/// made while they are written.
const MOST_CHUNKS: usize = 4;

/// How far [`fill`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The month that is being made.
    pub month: Date,
    /// Parts that are done …
    pub n_done: u64,
    /// … of so many.
    pub n_parts: u64,
    /// Rows written so far.
    pub n_rows: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events, counted as often as they came.
    pub n_events: u64,
    /// Sessions that ended.
    pub n_sessions: u64,
    /// Days of users.
    pub n_user_days: u64,
    /// Joined and left.
    pub n_memberships: u64,
    /// Numbers about the hub and its machine.
    pub n_observations: u64,
    /// Hours of servers.
    pub n_usage: u64,
    /// Days of homes.
    pub n_storage: u64,
}

/// A history that was written.
#[derive(Debug)]
pub struct Filled {
    /// With everything told, for [`History::running`] and [`History::settle`].
    pub history: History,
    /// What was written.
    pub totals: Totals,
}

/// Why a history could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FillError<E> {
    /// The sink did not take it.
    #[error("could not write the simulated history")]
    Sink(#[source] E),
    /// The thread that makes it did not end well.
    #[error("could not make the simulated history")]
    Maker(#[source] JoinError),
}

/// Makes all of the history and gives it to `sink`: months in order, late rows a month later.
pub async fn fill<S: HistorySink>(
    history: History,
    hub: &Arc<str>,
    sink: &S,
    mut progress: impl FnMut(Progress),
) -> Result<Filled, FillError<S::Error>> {
    let (sender, mut chunks) = mpsc::channel(MOST_CHUNKS);
    let hub = Arc::clone(hub);
    let maker = spawn_blocking(move || Maker::new(history, &hub, sender).run());
    let mut totals = Totals::default();
    while let Some(Parcel { chunk, done }) = chunks.recv().await {
        for done in done {
            progress(Progress {
                n_rows: totals.n_rows(),
                ..done
            });
        }
        totals.count(&chunk);
        chunk.write(sink).await.map_err(FillError::Sink)?;
    }
    let history = maker.await.map_err(FillError::Maker)?;
    Ok(Filled { history, totals })
}

/// What the maker sends: progress does not take the place of rows that could wait.
struct Parcel {
    chunk: Chunk,
    /// Parts that were done since the last one.
    done: Vec<Progress>,
}

enum Chunk {
    Events(Vec<Event>),
    Sessions(Vec<tables::Session>),
    UserDays(Vec<tables::UserDay>),
    Memberships(Vec<Membership>),
    Observations(Vec<Observation>),
    Usage(Vec<Usage>),
    Storage(Vec<Storage>),
    Users(Vec<UserNews>),
}

impl Chunk {
    async fn write<S: HistorySink>(self, sink: &S) -> Result<(), S::Error> {
        match self {
            Self::Events(rows) => sink.events(rows).await,
            Self::Sessions(rows) => sink.sessions(rows).await,
            Self::UserDays(rows) => sink.user_days(rows).await,
            Self::Memberships(rows) => sink.memberships(rows).await,
            Self::Observations(rows) => sink.observations(rows).await,
            Self::Usage(rows) => sink.usage(rows).await,
            Self::Storage(rows) => sink.storage(rows).await,
            Self::Users(news) => sink.users(news).await,
        }
    }
}

impl Totals {
    /// Rows of all tables.
    pub fn n_rows(&self) -> u64 {
        let derived = self.n_sessions + self.n_user_days;
        let used = self.n_usage + self.n_storage;
        self.n_events + derived + self.n_memberships + self.n_observations + used
    }

    fn count(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Events(rows) => self.n_events += rows.len() as u64,
            Chunk::Sessions(rows) => self.n_sessions += rows.len() as u64,
            Chunk::UserDays(rows) => self.n_user_days += rows.len() as u64,
            Chunk::Memberships(rows) => self.n_memberships += rows.len() as u64,
            Chunk::Observations(rows) => self.n_observations += rows.len() as u64,
            Chunk::Usage(rows) => self.n_usage += rows.len() as u64,
            Chunk::Storage(rows) => self.n_storage += rows.len() as u64,
            Chunk::Users(_) => {}
        }
    }
}

/// Nobody reads any more: writing failed.
struct NobodyReads;

/// Makes rows in a thread of its own.
struct Maker {
    history: History,
    rows: Rows,
    /// What the service reads items of others with.
    reader: Reader,
    chunks: mpsc::Sender<Parcel>,
    events: Pile<Event>,
    sessions: Pile<tables::Session>,
    user_days: Pile<tables::UserDay>,
    usage: Pile<Usage>,
    storage: Pile<Storage>,
    /// Events to be written after their month.
    late: Vec<Event>,
    /// Sessions that reach into days to come, by block of users.
    open: Vec<Vec<Counted>>,
    /// What was used on days that are not closed, by block of users.
    used: Vec<HashMap<(Day, UserName), UsedSum>>,
    /// Days before this one are closed and written.
    next_day: usize,
    n_done: u64,
    done: Vec<Progress>,
}

/// Rows to be written, and those that belong to a later month.
struct Pile<R> {
    now: Vec<R>,
    later: Vec<R>,
}

/// A session as days see it.
struct Counted {
    key: ServerKey,
    session: Session,
    until: jiff::Timestamp,
}

impl Maker {
    fn new(history: History, hub: &Arc<str>, chunks: mpsc::Sender<Parcel>) -> Self {
        let n_blocks = history.n_users().div_ceil(BLOCK);
        Self {
            history,
            rows: Rows::new(hub),
            reader: Reader::new(Arc::clone(hub)),
            chunks,
            events: Pile::new(),
            sessions: Pile::new(),
            user_days: Pile::new(),
            usage: Pile::new(),
            storage: Pile::new(),
            late: Vec::new(),
            open: std::iter::repeat_with(Vec::new).take(n_blocks).collect(),
            used: vec![HashMap::new(); n_blocks],
            next_day: 0,
            n_done: 0,
            done: Vec::new(),
        }
    }

    fn run(mut self) -> History {
        // Whoever stopped reading knows why.
        let _ = self.tell_all();
        self.history
    }

    fn tell_all(&mut self) -> Result<(), NobodyReads> {
        if self.history.n_months() == 0 {
            return Ok(());
        }
        let users = self.history.users();
        self.send(Chunk::Users(users))?;
        let members = self.history.members().into_iter();
        let members = members.map(|news| self.rows.membership(news)).collect();
        self.send(Chunk::Memberships(members))?;
        for month in 0..self.history.n_months() {
            let late = std::mem::take(&mut self.late);
            self.tell_month(month)?;
            self.send_late(late)?;
        }
        let late = std::mem::take(&mut self.late);
        self.send_late(late)?;
        for readings in [
            self.history.readings(),
            self.history.ceilings(),
            self.history.counters(),
            self.history.places(),
        ] {
            for readings in readings.chunks(MOST_OBSERVATIONS) {
                let rows = readings.iter().map(|it| self.rows.observation(it));
                self.send(Chunk::Observations(rows.collect()))?;
            }
        }
        Ok(())
    }

    fn tell_month(&mut self, month: usize) -> Result<(), NobodyReads> {
        let (end, days) = (self.history.month_end(month), self.days_to_close(month));
        self.events.turn(end);
        self.sessions.turn(end);
        self.usage.turn(end);
        self.storage.turn(end);
        for block in 0..self.open.len() {
            let users = block * BLOCK..self.history.n_users().min((block + 1) * BLOCK);
            let servers = self.history.servers(month, users.clone());
            let items = self.history.hooks(users.clone(), &servers);
            self.tell_items(&items, end);
            for server in servers {
                self.tell_server(server, block, end);
            }
            for home in self.history.homes(month, users) {
                self.storage.push(self.rows.storage(&home), end);
            }
            self.close_days(block, days);
            self.progress(month);
            self.flush(MOST_ROWS)?;
        }
        let visits = self.history.visits(month);
        self.tell_items(&visits, end);
        self.next_day = self.days_after(month);
        self.flush(1)
    }

    fn tell_items(&mut self, items: &[Item], end: jiff::Timestamp) {
        for item in items {
            let event = Rows::told(&mut self.reader, item);
            if let Some(event) = event {
                self.events.push(event, end);
            }
        }
    }

    fn tell_server(
        &mut self,
        ServerMonth {
            key, facts, usage, ..
        }: ServerMonth,
        block: usize,
        end: jiff::Timestamp,
    ) {
        for used in &usage {
            let row = self.rows.usage(used);
            let day = (self.history.day_of(row.hour), row.user.clone());
            self.used[block].entry(day).or_default().add(&Used {
                cpu_core_seconds: row.cpu_core_seconds,
                memory_byte_seconds: row.memory_byte_seconds,
                gpu_seconds: row.gpu_requested_seconds,
            });
            self.usage.push(row, end);
        }
        let mut tellings: Vec<Telling> = Vec::with_capacity(facts.len());
        let mut known: Vec<Fact> = Vec::with_capacity(facts.len());
        for ToldFact {
            fact,
            teller,
            arrival,
        } in facts
        {
            tellings.push(Telling { teller, arrival });
            known.push(fact);
        }
        for session in sessions(&known) {
            if let Some(row) = self.rows.session(&key, &session) {
                self.sessions.push(row, end);
            }
            let until = session.end.map_or(self.history.until(), |end| end.at);
            self.open[block].push(Counted {
                key: key.clone(),
                session,
                until,
            });
        }
        for (fact, telling) in known.into_iter().zip(tellings) {
            let event = self.rows.event(
                &KeyedFact {
                    key: key.clone(),
                    fact,
                },
                telling.teller,
            );
            match telling.arrival {
                Arrival::InTime => self.events.push(event, end),
                Arrival::Late => self.late.push(event),
            }
        }
    }

    /// Days of the calendar month that are over, from the first one not closed yet.
    fn days_to_close(&self, month: usize) -> Option<DayRange> {
        let last = self.days_after(month).checked_sub(1)?;
        let first = self.next_day;
        (first <= last).then(|| DayRange {
            first: self.history.day(first),
            last: self.history.day(last),
        })
    }

    /// Index of the first day that is not to be closed with this month.
    fn days_after(&self, month: usize) -> usize {
        self.history.n_days_until(month)
    }

    fn close_days(&mut self, block: usize, days: Option<DayRange>) {
        let Some(DayRange { first, last }) = days else {
            return;
        };
        let zone = self.history.zone();
        let spans = self.open[block].iter().map(Counted::span);
        for day in user_days(spans, zone, first..=last) {
            let used = self.used[block].remove(&(day.day, day.user.clone()));
            let used = used.map(UsedSum::total).unwrap_or_default();
            self.user_days.now.push(self.rows.user_day(day, &used));
        }
        let end = last.span(zone).end;
        self.open[block].retain(|counted| counted.until > end);
    }

    /// Sends piles that are at least so high.
    fn flush(&mut self, n_rows: usize) -> Result<(), NobodyReads> {
        let events = self.events.take(n_rows).map(Chunk::Events);
        let sessions = self.sessions.take(n_rows).map(Chunk::Sessions);
        let user_days = self.user_days.take(n_rows).map(Chunk::UserDays);
        let usage = self.usage.take(n_rows).map(Chunk::Usage);
        let storage = self.storage.take(n_rows).map(Chunk::Storage);
        let chunks = [events, sessions, user_days, usage, storage];
        chunks
            .into_iter()
            .flatten()
            .try_for_each(|chunk| self.send(chunk))
    }

    fn progress(&mut self, month: usize) {
        self.n_done += 1;
        let n_parts = self.history.n_months() * self.open.len();
        self.done.push(Progress {
            month: self.history.month_date(month),
            n_done: self.n_done,
            n_parts: n_parts as u64,
            n_rows: 0,
        });
    }

    fn send_late(&mut self, mut late: Vec<Event>) -> Result<(), NobodyReads> {
        if late.is_empty() {
            return Ok(());
        }
        late.sort_by_key(|event| event.at);
        self.send(Chunk::Events(late))
    }

    fn send(&mut self, chunk: Chunk) -> Result<(), NobodyReads> {
        let done = std::mem::take(&mut self.done);
        let parcel = Parcel { chunk, done };
        self.chunks.blocking_send(parcel).map_err(|_| NobodyReads)
    }
}

struct Telling {
    teller: Teller,
    arrival: Arrival,
}

#[derive(Clone, Copy)]
struct DayRange {
    first: Day,
    last: Day,
}

impl<R: Row> Pile<R> {
    fn new() -> Self {
        Self {
            now: Vec::new(),
            later: Vec::new(),
        }
    }

    fn push(&mut self, row: R, month_end: jiff::Timestamp) {
        if row.time() < month_end {
            self.now.push(row);
        } else {
            self.later.push(row);
        }
    }

    /// What is to be written now, if it is so many rows at least.
    fn take(&mut self, n_rows: usize) -> Option<Vec<R>> {
        let height = self.now.len();
        if height < n_rows {
            return None;
        }
        // The next pile will be about as high: growing to that would copy it again and again.
        let next = Vec::with_capacity(height + height / 8);
        Some(std::mem::replace(&mut self.now, next))
    }

    /// The month has ended, the one that ends then begins.
    fn turn(&mut self, month_end: jiff::Timestamp) {
        for row in std::mem::take(&mut self.later) {
            self.push(row, month_end);
        }
    }
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
