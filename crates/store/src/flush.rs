//! From the spool into the history: one commit per table and flush.
//!
//! The commit carries the number of the last row, and only when data and log are on the disk does
//! the spool forget. Whatever step a process dies at, the next one reads the number first, so that
//! no row is lost and none is there twice. When to flush is [`crate::keeper`]'s business.

use crate::derive::Hub;
use crate::history::{DataFile, History, HistoryError, HistoryTable, Partition, Times};
use crate::recent::{self, Key};
use crate::state::spool::{self, Waiting, WaitingRow};
use crate::state::{State, StateError, Writer, keep_setting, settings};
use crate::tables::{TABLES, TableDef, month_of};
use arrow::array::{BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Rows in one commit at most: what bounds the memory of a flush.
pub(crate) const ROWS_AT_ONCE: usize = 100_000;
/// Rows that one transaction takes out of the spool at most.
const FORGOTTEN_AT_ONCE: usize = 5_000;
/// How often a commit is tried again because another process was faster.
const ATTEMPTS: u32 = 5;

/// Why rows stayed in the spool.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// The spool.
    #[error(transparent)]
    State(#[from] StateError),
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// What a flush needs.
pub(crate) struct Flush<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) state: &'a State,
    pub(crate) writer: &'a Writer,
    pub(crate) history: &'a History,
}

impl Flush<'_> {
    /// Moves everything that waits now; gives the number of rows.
    pub(crate) async fn run(&self) -> Result<usize, FlushError> {
        let mut n_rows = 0;
        for table in TABLES {
            n_rows += self.table(table).await?;
        }
        Ok(n_rows)
    }

    /// Makes the spool's numbers agree with the history before the first new row is numbered: a
    /// `state.db` from a backup would hand out numbers again that the history has seen.
    pub(crate) async fn settle_all(&self) -> Result<(), FlushError> {
        for def in TABLES {
            if let Some(table) = self.history.table(def).await? {
                self.settle(&table).await?;
            }
        }
        Ok(())
    }

    async fn table(&self, def: &'static TableDef) -> Result<usize, FlushError> {
        if self.waiting(def, 0, 1).await?.rows.is_empty() {
            return Ok(0);
        }
        let mut table = self.history.table_to_write(def).await?;
        let mut n_rows = 0;
        let mut n_conflicts = 0;
        let mut until = None;
        loop {
            let last = self.settle(&table).await?;
            let until = match until {
                Some(until) => until,
                None => *until.insert(self.given(def).await?),
            };
            let waiting = self.waiting(def, last, ROWS_AT_ONCE).await?;
            if waiting.rows.is_empty() {
                return Ok(n_rows);
            }
            let upto = waiting.last;
            let n_waiting = waiting.rows.len();
            let batch = self.batch(&table, waiting).await?;
            match table.append(batch, &self.hub.name, upto).await {
                Ok(()) => n_rows += n_waiting,
                Err(HistoryError::Conflict { .. }) if n_conflicts < ATTEMPTS => {
                    n_conflicts += 1;
                    table.refresh().await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            self.forget(def, upto).await?;
            // Under load there is always more, and the other tables have to have their turn.
            if upto >= until {
                return Ok(n_rows);
            }
        }
    }

    /// Number of the last row that was taken.
    async fn given(&self, def: &'static TableDef) -> Result<i64, FlushError> {
        let hub = Arc::clone(&self.hub.name);
        let read = move |connection: &rusqlite::Connection| spool::numbers(connection, def, &hub);
        Ok(self.state.read(read).await?.given)
    }

    /// Makes the spool agree with what the history says it holds; gives that number.
    async fn settle(&self, table: &HistoryTable) -> Result<i64, FlushError> {
        let def = table.def();
        let in_history = table.last_of(&self.hub.name).await?;
        let hub = Arc::clone(&self.hub.name);
        let settled = self.writer.write(move |connection| {
            let numbers = spool::numbers(connection, def, &hub)?;
            if in_history > numbers.given {
                // What was derived since is unknown here: it would be derived again.
                keep_setting(connection, &settings::behind(&hub), "")?;
                spool::catch_up(connection, def, &hub, in_history)?;
            } else if in_history > numbers.flushed {
                spool::forget(connection, def, &hub, in_history)?;
            }
            Ok(())
        });
        settled.await?;
        Ok(in_history)
    }

    async fn waiting(
        &self,
        def: &'static TableDef,
        after: i64,
        limit: usize,
    ) -> Result<Waiting, FlushError> {
        let hub = Arc::clone(&self.hub.name);
        let read = move |connection: &rusqlite::Connection| {
            spool::waiting(connection, def, &hub, after, limit)
        };
        Ok(self.state.read(read).await?)
    }

    /// Piece by piece: whoever wants to be acknowledged waits for one piece at most. The numbers
    /// follow with the last one.
    async fn forget(&self, def: &'static TableDef, upto: i64) -> Result<(), FlushError> {
        loop {
            let hub = Arc::clone(&self.hub.name);
            let forget = move |connection: &rusqlite::Connection| {
                spool::forget_some(connection, def, &hub, upto, FORGOTTEN_AT_ONCE)
            };
            if self.writer.write(forget).await? < FORGOTTEN_AT_ONCE {
                break;
            }
        }
        let hub = Arc::clone(&self.hub.name);
        let forget =
            move |connection: &rusqlite::Connection| spool::forget(connection, def, &hub, upto);
        Ok(self.writer.write(forget).await?)
    }

    /// The rows without those that the history has.
    async fn batch(
        &self,
        table: &HistoryTable,
        waiting: Waiting,
    ) -> Result<RecordBatch, FlushError> {
        let def = table.def();
        let batch = batch_of_lines(def, &waiting.rows)?;
        let unsure = waiting.rows.iter().filter(|row| row.is_unsure);
        let Some(span) = Span::of(&self.hub.name, unsure.map(|row| row.at)) else {
            return Ok(batch);
        };
        let known = self.known(table, &span).await?;
        let failed = |error| HistoryError::rows(def, error);
        let mut seen = HashSet::new();
        let keys = self.hub.recent.keys(def, &batch).map_err(failed)?;
        let is_new: BooleanArray = keys
            .into_iter()
            .zip(&waiting.rows)
            .map(|(key, row)| {
                let is_first = seen.insert(key);
                Some(!row.is_unsure || (is_first && !known.contains(&key)))
            })
            .collect();
        Ok(filter_record_batch(&batch, &is_new).map_err(failed)?)
    }

    /// What the history has of these months and between these times.
    async fn known(&self, table: &HistoryTable, span: &Span) -> Result<HashSet<Key>, FlushError> {
        let def = table.def();
        let mut known = HashSet::new();
        for file in table.files().await? {
            if !span.may_touch(def, &file) {
                continue;
            }
            let recent = Arc::clone(&self.hub.recent);
            let keys = blocking(def, move || {
                let mut keys = Vec::new();
                for batch in file.read_columns(def, &recent::key_columns(def))? {
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

/// The waiting rows with the table's columns.
pub(crate) fn batch_of_lines(
    def: &TableDef,
    waiting: &[WaitingRow],
) -> Result<RecordBatch, HistoryError> {
    let failed = |error: arrow::error::ArrowError| HistoryError::rows(def, error);
    let schema = def.schema();
    let own = schema.fields().len() - 1;
    let carried = Arc::new(Schema::new(schema.fields()[..own].to_vec()));
    let mut decoder = arrow::json::ReaderBuilder::new(carried)
        .with_batch_size(waiting.len().max(1))
        .build_decoder()
        .map_err(failed)?;
    for row in waiting {
        let n_read = decoder.decode(row.line.as_bytes()).map_err(failed)?;
        debug_assert_eq!(n_read, row.line.len(), "a batch takes all lines");
    }
    let Some(batch) = decoder.flush().map_err(failed)? else {
        return Ok(RecordBatch::new_empty(schema));
    };
    let months: StringArray = waiting.iter().map(|row| Some(month_of(row.at))).collect();
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(months));
    RecordBatch::try_new(schema, columns).map_err(failed)
}

/// Runs what waits for the disk on a thread where waiting is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    def: &TableDef,
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|error| HistoryError::rows(def, error))?
}
