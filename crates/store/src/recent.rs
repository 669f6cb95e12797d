//! Which rows were taken lately: what makes a row that comes twice count once.
//!
//! The ids are in memory only. They stand in the spool and in the history anyway, where a start
//! finds them again; kept in an index on disk of their own, random as they are, they would cost
//! more than everything else that is done with a row. What is too old to be remembered is looked
//! up in the history when it is asked for or flushed.

use crate::StoreError;
use crate::flush::{batch_of_lines, blocking};
use crate::history::{DataFile, History, HistoryError, HistoryTable, Partition, Times};
use crate::state::State;
use crate::state::spool::{self, Portion, WaitingRow};
use crate::tables::{ColumnKind, RowKind, TABLES, TableDef, month_of};
use arrow::array::{AsArray as _, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long ids are remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// Ids that are remembered at most, with up to 50 bytes each.
const MOST: usize = 1_000_000;

/// A row's table, id and revision, in 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key([u64; 2]);

/// What became of a row that asks to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is new.
    New,
    /// It is new as far as ids are remembered, and older than that: the history has to be asked.
    Unsure,
    /// It was taken before.
    Known,
}

/// The ids of a hub's rows that were taken lately.
#[derive(Default)]
pub(crate) struct Recent {
    halves: [RandomState; 2],
    ids: Mutex<Ids>,
}

#[derive(Default)]
struct Ids {
    /// With the row's time or, if that is later, the time at which it was taken, in microseconds.
    taken: HashMap<Key, i64>,
    /// Everything up to here may be forgotten. It never goes back.
    horizon: i64,
    /// Of the transaction that is open.
    uncommitted: Vec<Key>,
}

/// A row of the history or the spool with its time in microseconds.
struct Remembered {
    key: Key,
    time: i64,
}

impl Recent {
    /// Remembers a row that came, unless it is known. It is forgotten again if the transaction
    /// that takes it fails: [`Self::undo`].
    pub(crate) fn claim(
        &self,
        def: &TableDef,
        id: &str,
        revision: i64,
        at: Timestamp,
        now: Timestamp,
    ) -> Claim {
        let key = self.key(def, id, revision);
        let mut ids = self.lock();
        let at = at.as_microsecond();
        let time = at.max(now.as_microsecond());
        if let Some(known) = ids.taken.get_mut(&key) {
            *known = time.max(*known);
            return Claim::Known;
        }
        ids.taken.insert(key, time);
        ids.uncommitted.push(key);
        if at <= ids.horizon {
            Claim::Unsure
        } else {
            Claim::New
        }
    }

    /// Where the transaction is, for [`Self::undo`].
    pub(crate) fn mark(&self) -> usize {
        self.lock().uncommitted.len()
    }

    /// Forgets what was claimed since the mark.
    pub(crate) fn undo(&self, mark: usize) {
        let mut ids = self.lock();
        let undone = ids.uncommitted.split_off(mark);
        for key in undone {
            ids.taken.remove(&key);
        }
    }

    /// What was claimed is on the disk.
    pub(crate) fn commit(&self) {
        let mut ids = self.lock();
        ids.uncommitted.clear();
        if ids.taken.len() > MOST / 4 * 5 {
            ids.trim(i64::MIN, MOST);
        }
    }

    /// Forgets what is old; called beside no transaction.
    pub(crate) fn trim(&self, now: Timestamp) {
        let before = now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        self.lock().trim(before.as_microsecond(), MOST);
    }

    /// Rows up to this time may be in the history without having come this way.
    pub(crate) fn look_up_until(&self, time: Timestamp) {
        let mut ids = self.lock();
        ids.horizon = ids.horizon.max(time.as_microsecond());
    }

    /// The keys of rows of a batch, in its order.
    pub(crate) fn keys(&self, def: &TableDef, batch: &RecordBatch) -> Result<Vec<Key>, ArrowError> {
        let ids = text_column(batch, "id")?;
        let revisions = match def.kind {
            RowKind::Final => None,
            RowKind::Revised => Some(integer_column(batch, "revision")?),
        };
        let revision = |row| revisions.map_or(0, |revisions| revisions.value(row));
        let keys = (0..batch.num_rows()).map(|row| self.key(def, ids.value(row), revision(row)));
        Ok(keys.collect())
    }

    fn key(&self, def: &TableDef, id: &str, revision: i64) -> Key {
        let half = |state: &RandomState| state.hash_one((def.name, id, revision));
        Key(self.halves.each_ref().map(half))
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, rows: Vec<Remembered>, horizon: i64) {
        let mut ids = self.lock();
        ids.horizon = ids.horizon.max(horizon);
        for row in rows {
            let known = ids.taken.entry(row.key).or_insert(row.time);
            *known = row.time.max(*known);
        }
    }
}

impl Ids {
    fn trim(&mut self, before: i64, most: usize) {
        let mut horizon = before;
        if self.taken.len() > most {
            // A quarter more than needed, so that this is not done again at once.
            let mut times: Vec<i64> = self.taken.values().copied().collect();
            let n_forgotten = times.len() - most / 4 * 3;
            let (_, last, _) = times.select_nth_unstable(n_forgotten - 1);
            horizon = horizon.max(*last);
        }
        self.horizon = self.horizon.max(horizon);
        self.taken.retain(|_, time| *time > horizon);
        if self.taken.capacity() / 4 > self.taken.len() {
            self.taken.shrink_to_fit();
        }
    }
}

/// What was taken lately, from the spool and the history. Of a table that cannot be read
/// everything is looked up, as soon as it can be.
pub(crate) async fn load(
    hub: &Arc<str>,
    state: &State,
    history: &History,
    now: Timestamp,
) -> Result<Arc<Recent>, StoreError> {
    let recent = Arc::new(Recent::default());
    let mut horizon = now
        .saturating_sub(REMEMBERED)
        .unwrap_or(Timestamp::MIN)
        .as_microsecond();
    let mut rows = Vec::new();
    let Ok(files) = newest_first(hub, history).await else {
        recent.look_up_until(now);
        return Ok(recent);
    };
    for (def, file) in files {
        if file.times(def).is_some_and(|times| times.last <= horizon) {
            continue;
        }
        let (reading, hashing) = (file.clone(), Arc::clone(&recent));
        match blocking(def, move || rows_of(&hashing, def, &reading, horizon)).await {
            Ok(found) => rows.extend(found),
            Err(_) => recent.look_up_until(now),
        }
        if rows.len() > 2 * MOST {
            let (_, last, _) = rows.select_nth_unstable_by_key(MOST, |row| -row.time);
            horizon = last.time;
            rows.retain(|row| row.time > horizon);
        }
    }
    recent.remember(rows, horizon);
    let waiting = of_spool(hub, state, &recent).await?;
    recent.remember(waiting, horizon);
    Ok(recent)
}

async fn newest_first(
    hub: &str,
    history: &History,
) -> Result<Vec<(&'static TableDef, DataFile)>, HistoryError> {
    let mut files = Vec::new();
    for def in TABLES {
        if let Some(table) = history.table(def).await? {
            let of_hub = table.files().await?.into_iter();
            files.extend(
                of_hub
                    .filter(|file| file.partition.hub == hub)
                    .map(|file| (*def, file)),
            );
        }
    }
    // A file whose log entry does not tell its times may hold anything.
    files.sort_by_key(|(def, file)| Reverse(file.times(def).map_or(i64::MAX, |times| times.last)));
    Ok(files)
}

fn rows_of(
    recent: &Recent,
    def: &'static TableDef,
    file: &DataFile,
    horizon: i64,
) -> Result<Vec<Remembered>, HistoryError> {
    let mut rows = Vec::new();
    for batch in file.read_columns(def, &key_columns(def))? {
        let failed = |error| HistoryError::rows(def, error);
        let found = remembered(recent, def, &batch).map_err(failed)?;
        rows.extend(found.into_iter().filter(|row| row.time > horizon));
    }
    Ok(rows)
}

async fn of_spool(
    hub: &Arc<str>,
    state: &State,
    recent: &Recent,
) -> Result<Vec<Remembered>, StoreError> {
    let mut rows = Vec::new();
    for def in TABLES {
        let mut after = 0;
        loop {
            let hub = Arc::clone(hub);
            let waiting = state.read(move |connection| {
                spool::waiting(connection, def, &hub, after, Portion::ONE_COMMIT)
            });
            let waiting = waiting.await?;
            if waiting.rows.is_empty() {
                break;
            }
            after = waiting.last;
            let batch = batch_of_lines(def, &waiting.rows)?;
            let failed = |error| HistoryError::rows(def, error);
            rows.extend(remembered(recent, def, &batch).map_err(failed)?);
        }
    }
    Ok(rows)
}

fn remembered(
    recent: &Recent,
    def: &TableDef,
    batch: &RecordBatch,
) -> Result<Vec<Remembered>, ArrowError> {
    let times = batch
        .column_by_name(def.time)
        .ok_or_else(|| missing(def.time))?;
    let times = cast(times, &ColumnKind::Time.arrow())?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let keys = recent.keys(def, batch)?.into_iter().enumerate();
    let rows = keys.map(|(row, key)| Remembered {
        key,
        time: times.value(row),
    });
    Ok(rows.collect())
}

/// What [`Recent::keys`] and times are made of.
fn key_columns(def: &TableDef) -> Vec<&'static str> {
    match def.kind {
        RowKind::Final => vec!["id", def.time],
        RowKind::Revised => vec!["id", "revision", def.time],
    }
}

fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, ArrowError> {
    let column = batch
        .column_by_name(name)
        .map(|column| column.as_string_opt::<i32>());
    column.flatten().ok_or_else(|| missing(name))
}

fn integer_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, ArrowError> {
    let column = batch
        .column_by_name(name)
        .map(|column| column.as_primitive_opt::<Int64Type>());
    column.flatten().ok_or_else(|| missing(name))
}

fn missing(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("the column `{name}` is missing"))
}

/// Asks the history about rows that are too old to be remembered.
pub(crate) struct Lookup<'a> {
    pub(crate) recent: &'a Arc<Recent>,
    pub(crate) hub: &'a str,
    pub(crate) table: &'a HistoryTable,
}

impl Lookup<'_> {
    /// The batch of these rows without those that the history has, or that came before in it.
    pub(crate) async fn new_rows(
        &self,
        rows: &[WaitingRow],
        batch: RecordBatch,
    ) -> Result<RecordBatch, HistoryError> {
        let unsure = rows.iter().filter(|row| row.is_unsure);
        let Some(span) = Span::of(self.hub, unsure.map(|row| row.at)) else {
            return Ok(batch);
        };
        let known = self.known(&span).await?;
        let def = self.table.def();
        let failed = |error| HistoryError::rows(def, error);
        let mut seen = HashSet::new();
        let keys = self.recent.keys(def, &batch).map_err(failed)?;
        let is_new: BooleanArray = keys
            .into_iter()
            .zip(rows)
            .map(|(key, row)| {
                let is_first = seen.insert(key);
                Some(!row.is_unsure || (is_first && !known.contains(&key)))
            })
            .collect();
        filter_record_batch(&batch, &is_new).map_err(failed)
    }

    /// What the history has of these months and between these times.
    async fn known(&self, span: &Span) -> Result<HashSet<Key>, HistoryError> {
        let def = self.table.def();
        let mut known = HashSet::new();
        for file in self.table.files().await? {
            if !span.may_touch(def, &file) {
                continue;
            }
            let recent = Arc::clone(self.recent);
            let keys = blocking(def, move || {
                let mut keys = Vec::new();
                for batch in file.read_columns(def, &key_columns(def))? {
                    let failed = |error| HistoryError::rows(def, error);
                    keys.extend(recent.keys(def, &batch).map_err(failed)?);
                }
                Ok(keys)
            });
            known.extend(keys.await?);
        }
        Ok(known)
    }
}

/// Where in the history rows may be.
struct Span {
    partitions: BTreeSet<Partition>,
    times: Times,
}

impl Span {
    /// `None` for no rows.
    fn of(hub: &str, times: impl Iterator<Item = Timestamp>) -> Option<Self> {
        let mut span: Option<Self> = None;
        for time in times {
            let micros = time.as_microsecond();
            let span = span.get_or_insert_with(|| Self {
                partitions: BTreeSet::new(),
                times: Times {
                    first: micros,
                    last: micros,
                },
            });
            span.times.first = span.times.first.min(micros);
            span.times.last = span.times.last.max(micros);
            span.partitions.insert(Partition {
                hub: hub.to_owned(),
                month: month_of(time),
            });
        }
        span
    }

    fn may_touch(&self, def: &TableDef, file: &DataFile) -> bool {
        let touches =
            |times: Times| times.first <= self.times.last && self.times.first <= times.last;
        self.partitions.contains(&file.partition) && file.times(def).is_none_or(touches)
    }
}
