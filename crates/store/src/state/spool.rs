//! Rows that are acknowledged and not yet in the history.
//!
//! A row is taken once ([`crate::recent`]). The number of the last row goes into the history with the rows, so that a crash between
//! the two stores neither loses nor repeats one.

use super::facts;
use super::tombstones::{Tombstones, Verdict};
use super::{StateError, keep_setting, present, setting, settings, tallies, used_days};
use crate::derive::{self, Hub};
use crate::recent::Claim;
use crate::tables::{Event, Row, RowId, TableDef, usage};
use crate::tallies::Tally;
use jiff::Timestamp;
use model::fact::{ServerKey, What};
use model::names::UserName;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

/// What one transaction takes: all of it or nothing.
#[derive(Debug, Default)]
pub struct Intake {
    rows: Vec<Taken>,
    positions: Vec<Position>,
    present: Vec<present::Change>,
    tallies: Vec<Tally>,
    request: Option<String>,
}

/// How far a source was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The source: a file, a server.
    pub source: String,
    /// What the source's reader needs to go on.
    pub value: String,
}

/// One row on its way into the spool.
#[derive(Debug)]
struct Taken {
    table: &'static TableDef,
    id: RowId,
    revision: i64,
    at: Timestamp,
    user: Option<UserName>,
    row: String,
    fact: Option<facts::KeyedFact>,
    /// What counts if the row is new.
    tallies: Vec<Tally>,
}

/// What became of an [`Intake`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Rows that are new. A row so old that only the history can tell counts as new; if it is
    /// not, nobody sees it twice, and the flush drops it.
    pub n_new: usize,
    /// Rows that were known already.
    pub n_known: usize,
    /// Rows of erased users, which are dropped.
    pub n_erased: usize,
    /// Of the new rows, those of which only the history can tell.
    pub n_unsure: usize,
    /// The request was taken before, so that nothing of it was counted.
    pub is_repeated: bool,
}

impl std::ops::AddAssign for Accepted {
    fn add_assign(&mut self, more: Self) {
        self.n_new += more.n_new;
        self.n_known += more.n_known;
        self.n_erased += more.n_erased;
        self.n_unsure += more.n_unsure;
        self.is_repeated |= more.is_repeated;
    }
}

impl Intake {
    /// Adds an event, and what it says about a server.
    pub fn event(&mut self, event: &Event) -> Result<(), StateError> {
        self.take(
            event,
            event.user.clone(),
            facts::of_event(event),
            Vec::new(),
        )
    }

    /// The same, counting something if the event turns out to be new.
    pub fn counted_event(&mut self, event: &Event, tallies: Vec<Tally>) -> Result<(), StateError> {
        self.take(event, event.user.clone(), facts::of_event(event), tallies)
    }

    /// Counts something that no row stands for.
    pub fn tally(&mut self, tally: Tally) {
        self.tallies.push(tally);
    }

    /// What [`Self::tally`] counts is counted once for all intakes of a day with this key.
    pub fn request(&mut self, key: &str) {
        self.request = Some(key.to_owned());
    }

    /// Adds a row that says nothing about servers.
    pub fn row<R: Row>(&mut self, row: &R, user: Option<&UserName>) -> Result<(), StateError> {
        self.take(row, user.cloned(), None, Vec::new())
    }

    /// Keeps how far a source was read, in the same transaction.
    pub fn position(&mut self, position: Position) {
        self.positions.push(position);
    }

    /// Keeps what the hub says now, in the same transaction.
    pub fn present(&mut self, change: present::Change) {
        self.present.push(change);
    }

    /// How many rows it holds.
    pub fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// How many bytes its rows have.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.rows.iter().map(|taken| taken.row.len() as u64).sum()
    }

    pub(crate) fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// The rows as they are kept, each with the name of its table.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let rows = self.rows.iter();
        rows.map(|taken| (taken.table.name, taken.row.as_str()))
    }

    /// Servers that a look missed.
    pub(crate) fn gone(&self) -> Vec<ServerKey> {
        let facts = self.rows.iter().filter_map(|taken| taken.fact.as_ref());
        let gone = facts.filter(|told| matches!(told.fact.what, What::Gone { .. }));
        gone.map(|told| told.key.clone()).collect()
    }

    /// Nothing to take.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.positions.is_empty()
            && self.present.is_empty()
            && self.tallies.is_empty()
    }

    fn take<R: Row>(
        &mut self,
        row: &R,
        user: Option<UserName>,
        fact: Option<facts::KeyedFact>,
        tallies: Vec<Tally>,
    ) -> Result<(), StateError> {
        self.rows.push(Taken {
            table: R::TABLE,
            id: row.id().clone(),
            revision: row.revision(),
            at: row.time(),
            user,
            row: serde_json::to_string(row)?,
            fact,
            tallies,
        });
        Ok(())
    }

    /// Writes everything; called within a transaction.
    pub(crate) fn write(
        self,
        connection: &Connection,
        of_hub: &Hub,
        now: Timestamp,
    ) -> Result<Accepted, StateError> {
        let Hub {
            name: hub, recent, ..
        } = of_hub;
        let tombstones = Tombstones::of(connection, hub)?;
        let facts = self.rows.iter().filter(|taken| taken.fact.is_some());
        if let Some(first) = facts.map(|taken| taken.at).min() {
            begin_by(connection, hub, first)?;
        }
        let mut accepted = Accepted::default();
        let mut numbers = Numbering::new(connection, hub);
        let mut counted: Vec<Tally> = Vec::new();
        let mut used_days = used_days::Marks::default();
        for mut taken in self.rows {
            let tallies = std::mem::take(&mut taken.tallies);
            let Some(taken) = taken.unless_erased(connection, hub, &tombstones)? else {
                accepted.n_erased += 1;
                continue;
            };
            let (table, id) = (taken.table, taken.id.as_str());
            let claim = recent.claim(table, id, taken.revision, taken.at, now);
            if claim == Claim::Known {
                accepted.n_known += 1;
                continue;
            }
            let number = numbers.next(table)?;
            append(connection, hub, number, &taken.waiting(claim))?;
            if table.name == usage::TABLE.name {
                used_days.note(of_hub, taken.at);
            }
            if let Some(fact) = &taken.fact {
                derive::mark_active_days(connection, of_hub, fact, now)?;
                facts::write(connection, hub, fact, now)?;
            }
            // One that may be in the history is not surely new.
            if claim == Claim::New {
                counted.extend(tallies);
            }
            accepted.n_new += 1;
            accepted.n_unsure += usize::from(claim == Claim::Unsure);
        }
        numbers.keep()?;
        used_days.write(connection, of_hub)?;
        accepted.is_repeated = match &self.request {
            Some(key) => !tallies::claim_request(connection, hub, key, now)?,
            None => false,
        };
        if !accepted.is_repeated {
            counted.extend(self.tallies);
        }
        tallies::write(connection, hub, &of_hub.tallies.count(&counted))?;
        for position in &self.positions {
            connection
                .prepare_cached(
                    "insert or replace into positions (hub, source, value) values (?1, ?2, ?3)",
                )?
                .execute(params![hub, position.source, position.value])?;
        }
        for change in &self.present {
            change.write(connection, hub, &tombstones)?;
        }
        Ok(accepted)
    }
}

impl Taken {
    fn waiting(&self, claim: Claim) -> NewRow<'_> {
        NewRow {
            at: self.at,
            claim,
            text: &self.row,
        }
    }

    /// The row, or the part of it that is not of an erased person.
    fn unless_erased(
        self,
        connection: &Connection,
        hub: &str,
        tombstones: &Tombstones,
    ) -> Result<Option<Self>, StateError> {
        let part = match tombstones.judge(self.user.as_ref(), self.at, self.fact.as_ref()) {
            Verdict::Refuse => return Ok(None),
            Verdict::TakePart(part) => part,
            Verdict::Take => {
                let id = self.id.as_str();
                let is_refused = tombstones.refuse_row(connection, hub, self.table.name, id)?;
                return Ok((!is_refused).then_some(self));
            }
        };
        let whole: Event = serde_json::from_str(&self.row)?;
        let told = facts::event_of(&whole.hub, &whole.source, &part);
        let event = Event {
            id: told.id,
            not_before: told.not_before,
            detail: told.detail,
            ..whole
        };
        Ok(Some(Self {
            id: event.id.clone(),
            row: serde_json::to_string(&event)?,
            fact: Some(part),
            ..self
        }))
    }
}

/// The history of the hub begins with its first fact.
pub(crate) fn begin_by(
    connection: &Connection,
    hub: &str,
    at: Timestamp,
) -> Result<(), StateError> {
    let name = settings::begin(hub);
    let micros = at.as_microsecond();
    let known = setting(connection, &name)?.and_then(|text| text.parse::<i64>().ok());
    if known.is_none_or(|known| micros < known) {
        keep_setting(connection, &name, &micros.to_string())?;
    }
    Ok(())
}

/// Hands out the numbers of new rows within a transaction.
struct Numbering<'a> {
    connection: &'a Connection,
    hub: &'a str,
    given: Vec<(&'static TableDef, i64)>,
}

impl<'a> Numbering<'a> {
    fn new(connection: &'a Connection, hub: &'a str) -> Self {
        Self {
            connection,
            hub,
            given: Vec::new(),
        }
    }

    fn next(&mut self, table: &'static TableDef) -> Result<Number, StateError> {
        let known = self.given.iter().position(|(it, _)| it.name == table.name);
        let index = if let Some(index) = known {
            index
        } else {
            let given = numbers(self.connection, table, self.hub)?.given;
            self.given.push((table, given));
            self.given.len() - 1
        };
        let (_, given) = &mut self.given[index];
        *given += 1;
        Ok(Number {
            table: table.name,
            value: *given,
        })
    }

    /// Before anything else is numbered.
    fn keep(self) -> Result<(), StateError> {
        for (table, given) in self.given {
            self.connection
                .prepare_cached(
                    "insert into sequences (tbl, hub, given) values (?1, ?2, ?3)
                     on conflict do update set given = ?3",
                )?
                .execute(params![table.name, self.hub, given])?;
        }
        Ok(())
    }
}

/// Where a row stands in the spool.
#[derive(Clone, Copy)]
struct Number {
    table: &'static str,
    value: i64,
}

fn append(
    connection: &Connection,
    hub: &str,
    number: Number,
    row: &NewRow<'_>,
) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "insert into spool (tbl, hub, seq, at, unsure, row) values (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            number.table,
            hub,
            number.value,
            row.at.as_microsecond(),
            row.claim == Claim::Unsure,
            row.text
        ])?;
    Ok(())
}

/// A row that is written into the spool.
struct NewRow<'a> {
    at: Timestamp,
    claim: Claim,
    text: &'a str,
}

/// Appends a derived row, whose revision makes it new.
pub(crate) fn append_derived<R: Row>(
    connection: &Connection,
    hub: &str,
    row: &R,
) -> Result<(), StateError> {
    append_all_derived(connection, hub, std::slice::from_ref(row))
}

/// The same for many rows.
pub(crate) fn append_all_derived<R: Row>(
    connection: &Connection,
    hub: &str,
    rows: &[R],
) -> Result<(), StateError> {
    let mut numbers = Numbering::new(connection, hub);
    for row in rows {
        let number = numbers.next(R::TABLE)?;
        let row = NewRow {
            at: row.time(),
            claim: Claim::New,
            text: &serde_json::to_string(row)?,
        };
        append(connection, hub, number, &row)?;
    }
    numbers.keep()
}

/// Rows of one table as they wait, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    /// Number of the last row; what the history carries after the flush.
    pub(crate) last: i64,
    pub(crate) rows: Vec<WaitingRow>,
}

/// A row that waits.
#[derive(Clone, Debug)]
pub(crate) struct WaitingRow {
    pub(crate) number: i64,
    pub(crate) at: Timestamp,
    /// Whether the history has to be asked if it has the row already.
    pub(crate) is_unsure: bool,
    /// As JSON.
    pub(crate) line: String,
}

/// How much is read at once.
#[derive(Clone, Copy)]
pub(crate) struct Portion {
    pub(crate) n_rows: usize,
    pub(crate) n_bytes: usize,
}

impl Portion {
    /// What bounds the memory of a flush; also, one column of a batch holds 2 GiB at most.
    pub(crate) const ONE_COMMIT: Self = Self {
        n_rows: 100_000,
        n_bytes: 64 << 20,
    };
    /// Is there any?
    pub(crate) const ONE_ROW: Self = Self {
        n_rows: 1,
        n_bytes: usize::MAX,
    };
    const EVERYTHING: Self = Self {
        n_rows: usize::MAX,
        n_bytes: usize::MAX,
    };
}

/// The first rows of the table after number `after`.
pub(crate) fn waiting(
    connection: &Connection,
    table: &TableDef,
    hub: &str,
    after: i64,
    portion: Portion,
) -> Result<Waiting, StateError> {
    let mut select = connection.prepare_cached(
        "select seq, at, unsure, row from spool
         where tbl = ?1 and hub = ?2 and seq > ?3 order by seq limit ?4",
    )?;
    let limit = i64::try_from(portion.n_rows).unwrap_or(i64::MAX);
    let mut rows = select.query(params![table.name, hub, after, limit])?;
    let mut waiting = Waiting {
        last: after,
        ..Waiting::default()
    };
    let mut n_bytes = 0;
    while let Some(row) = rows.next()? {
        waiting.last = row.get(0)?;
        let line: String = row.get(3)?;
        n_bytes += line.len();
        waiting.rows.push(WaitingRow {
            number: waiting.last,
            at: super::time(row.get(1)?)?,
            is_unsure: row.get(2)?,
            line,
        });
        if n_bytes >= portion.n_bytes {
            break;
        }
    }
    Ok(waiting)
}

/// The hubs whose rows of the table wait.
pub(crate) fn hubs(connection: &Connection, table: &TableDef) -> Result<Vec<String>, StateError> {
    let mut select = connection.prepare_cached("select hub from sequences where tbl = ?1")?;
    let hubs = select.query_map([table.name], |row| row.get(0))?;
    Ok(hubs.collect::<Result<_, _>>()?)
}

/// How many rows wait in all tables of the hub.
pub(crate) fn n_waiting(connection: &Connection, hub: &str) -> Result<u64, StateError> {
    let mut count = connection.prepare_cached("select count(*) from spool where hub = ?1")?;
    let n_rows: i64 = count.query_row([hub], |row| row.get(0))?;
    Ok(n_rows.unsigned_abs())
}

/// How many bytes the rows have that wait in all tables of the hub.
pub(crate) fn n_waiting_bytes(connection: &Connection, hub: &str) -> Result<u64, StateError> {
    let mut sum = connection
        .prepare_cached("select coalesce(sum(octet_length(row)), 0) from spool where hub = ?1")?;
    let n_bytes: i64 = sum.query_row([hub], |row| row.get(0))?;
    Ok(n_bytes.unsigned_abs())
}

/// Deletes some rows up to this number, which are surely in the history; gives how many.
pub(crate) fn forget_some(
    connection: &Connection,
    table: &TableDef,
    hub: &str,
    upto: i64,
    limit: usize,
) -> Result<usize, StateError> {
    let mut first =
        connection.prepare_cached("select min(seq) from spool where tbl = ?1 and hub = ?2")?;
    let first: Option<i64> = first.query_row([table.name, hub], |row| row.get(0))?;
    let Some(first) = first else {
        return Ok(0);
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let last = first.saturating_add(limit - 1).min(upto);
    Ok(connection
        .prepare_cached("delete from spool where tbl = ?1 and hub = ?2 and seq <= ?3")?
        .execute(params![table.name, hub, last])?)
}

/// Rows up to this number are surely in the history: forget them here.
pub(crate) fn forget(
    connection: &Connection,
    table: &TableDef,
    hub: &str,
    upto: i64,
) -> Result<(), StateError> {
    connection
        .prepare_cached("delete from spool where tbl = ?1 and hub = ?2 and seq <= ?3")?
        .execute(params![table.name, hub, upto])?;
    // `given` follows too: a `state.db` from a backup must not hand out numbers again that the
    // history already carries, since their rows would be taken for known ones.
    connection
        .prepare_cached(
            "insert into sequences (tbl, hub, given, flushed) values (?1, ?2, ?3, ?3)
             on conflict do update set flushed = max(flushed, ?3), given = max(given, ?3)",
        )?
        .execute(params![table.name, hub, upto])?;
    Ok(())
}

/// What a table's numbers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The last number handed out.
    pub(crate) given: i64,
    /// The last number that was seen in the history.
    pub(crate) flushed: i64,
}

/// The table's numbers; zero if it never had a row.
pub(crate) fn numbers(
    connection: &Connection,
    table: &TableDef,
    hub: &str,
) -> Result<Numbers, StateError> {
    let mut select = connection
        .prepare_cached("select given, flushed from sequences where tbl = ?1 and hub = ?2")?;
    let numbers = select.query_row([table.name, hub], |row| {
        Ok(Numbers {
            given: row.get(0)?,
            flushed: row.get(1)?,
        })
    });
    Ok(numbers.optional()?.unwrap_or_default())
}

/// Sets the numbers right where the history is ahead, as after restoring `state.db` from a backup.
pub(crate) fn catch_up(
    connection: &Connection,
    table: &TableDef,
    hub: &str,
    in_history: i64,
) -> Result<(), StateError> {
    let numbers = numbers(connection, table, hub)?;
    if in_history <= numbers.given {
        return Ok(());
    }
    // What waits under numbers that the history used for other rows gets new numbers.
    let kept = waiting(connection, table, hub, numbers.flushed, Portion::EVERYTHING)?;
    forget(connection, table, hub, in_history)?;
    for (row, value) in kept.rows.iter().zip(in_history + 1..) {
        let number = Number {
            table: table.name,
            value,
        };
        let row = NewRow {
            at: row.at,
            // The numbers say that rows of this time may be in the history.
            claim: Claim::Unsure,
            text: &row.line,
        };
        append(connection, hub, number, &row)?;
    }
    let given = in_history + i64::try_from(kept.rows.len()).unwrap_or(i64::MAX);
    connection
        .prepare_cached("update sequences set given = ?3 where tbl = ?1 and hub = ?2")?
        .execute(params![table.name, hub, given])?;
    Ok(())
}

/// Where a source was last read to.
pub(crate) fn position(
    connection: &Connection,
    hub: &str,
    source: &str,
) -> Result<Option<String>, StateError> {
    let mut select =
        connection.prepare_cached("select value from positions where hub = ?1 and source = ?2")?;
    Ok(select
        .query_row([hub, source], |row| row.get(0))
        .optional()?)
}

/// The key of the digests of erased names, made at the first use.
pub(crate) fn secret_key(connection: &Connection) -> Result<String, StateError> {
    const NAME: &str = "tombstone_key";
    if let Some(key) = setting(connection, NAME)? {
        return Ok(key);
    }
    let key = format!("{}{}", RowId::random().as_str(), RowId::random().as_str());
    keep_setting(connection, NAME, &key)?;
    Ok(key)
}
