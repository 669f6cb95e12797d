//! From the spool into the history: one commit per table and flush.
//!
//! The commit carries the number of the last row, and only when data and log are on the disk does
//! the spool forget. Whatever step a process dies at, the next one reads the number first, so that
//! no row is lost and none is there twice. When to flush is [`crate::keeper`]'s business.

use crate::history::{History, HistoryError, HistoryTable, Partition};
use crate::state::spool::{self, RECENT, Waiting};
use crate::state::{State, StateError, Writer};
use crate::tables::{RowKind, TABLES, TableDef, month_of};
use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Rows in one commit at most: what bounds the memory of a flush.
const ROWS_AT_ONCE: usize = 100_000;
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

/// How spool and history do not agree on a table: damage, or one of them is an older copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Discord {
    /// Rows were moved into the history, which does not hold them.
    #[error(
        "rows {} to {moved} of `{table}` are missing: the history holds them up to {last} only; `store verify` says what can be done",
        last + 1
    )]
    RowsMissing {
        table: &'static str,
        last: i64,
        moved: i64,
    },
    /// The history holds numbers that were never handed out.
    #[error(
        "`state.db` is an older copy or a new file: the history holds `{table}` up to row {last}, it knows of {given}; new rows follow behind, what waited in the newer file is lost"
    )]
    StateOlder {
        table: &'static str,
        last: i64,
        given: i64,
    },
}

/// What a flush needs.
pub(crate) struct Flush<'a> {
    pub(crate) hub: &'a Arc<str>,
    pub(crate) state: &'a State,
    pub(crate) writer: &'a Writer,
    pub(crate) history: &'a History,
}

impl Flush<'_> {
    /// Moves everything that waits now; gives the number of rows.
    pub(crate) async fn run(&self, now: Timestamp) -> Result<usize, FlushError> {
        let mut n_rows = 0;
        for table in TABLES {
            n_rows += self.table(table, now).await?;
        }
        Ok(n_rows)
    }

    /// Makes the spool's numbers agree with the history before the first new row is numbered: a
    /// `state.db` from a backup would hand out numbers again that the history has seen. Gives where
    /// they did not agree by more than a crash explains.
    pub(crate) async fn settle_all(&self) -> Result<Vec<Discord>, FlushError> {
        let mut found = Vec::new();
        for def in TABLES {
            let numbers = self.numbers(def).await?;
            let last = match self.history.table(def).await? {
                Some(table) => self.settle(&table).await?,
                None => 0,
            };
            let (table, moved, given) = (def.name, numbers.flushed, numbers.given);
            if last < moved {
                found.push(Discord::RowsMissing { table, last, moved });
            } else if last > given {
                found.push(Discord::StateOlder { table, last, given });
            }
        }
        Ok(found)
    }

    async fn table(&self, def: &'static TableDef, now: Timestamp) -> Result<usize, FlushError> {
        if self.waiting(def, 0, 1).await?.lines.is_empty() {
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
                None => *until.insert(self.numbers(def).await?.given),
            };
            let waiting = self.waiting(def, last, ROWS_AT_ONCE).await?;
            if waiting.lines.is_empty() {
                return Ok(n_rows);
            }
            let upto = waiting.last;
            let n_waiting = waiting.lines.len();
            let batch = self.batch(&table, waiting, now).await?;
            match table.append(batch, self.hub, upto).await {
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

    async fn numbers(&self, def: &'static TableDef) -> Result<spool::Numbers, FlushError> {
        let hub = Arc::clone(self.hub);
        let read = move |connection: &rusqlite::Connection| spool::numbers(connection, def, &hub);
        Ok(self.state.read(read).await?)
    }

    /// Makes the spool agree with what the history says it holds; gives that number.
    async fn settle(&self, table: &HistoryTable) -> Result<i64, FlushError> {
        let def = table.def();
        let in_history = table.last_of(self.hub).await?;
        let hub = Arc::clone(self.hub);
        let settled = self.writer.write(move |connection| {
            let numbers = spool::numbers(connection, def, &hub)?;
            if in_history > numbers.given {
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
        let hub = Arc::clone(self.hub);
        let read = move |connection: &rusqlite::Connection| {
            spool::waiting(connection, def, &hub, after, limit)
        };
        Ok(self.state.read(read).await?)
    }

    async fn forget(&self, def: &'static TableDef, upto: i64) -> Result<(), FlushError> {
        let hub = Arc::clone(self.hub);
        let forget =
            move |connection: &rusqlite::Connection| spool::forget(connection, def, &hub, upto);
        Ok(self.writer.write(forget).await?)
    }

    /// The rows without those that the history has held for longer than ids are remembered.
    async fn batch(
        &self,
        table: &HistoryTable,
        waiting: Waiting,
        now: Timestamp,
    ) -> Result<RecordBatch, FlushError> {
        let def = table.def();
        let batch = batch_of_lines(def, &waiting)?;
        if def.kind == RowKind::Revised {
            return Ok(batch);
        }
        let recent = now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN);
        let late = waiting.times.iter().filter(|time| **time < recent);
        let months: BTreeSet<Partition> = late
            .map(|time| Partition {
                hub: self.hub.to_string(),
                month: month_of(*time),
            })
            .collect();
        if months.is_empty() {
            return Ok(batch);
        }
        let known = known_ids(table, months).await?;
        Ok(without(&batch, &known).map_err(|error| HistoryError::rows(def, error))?)
    }
}

/// The waiting rows with the table's columns.
pub(crate) fn batch_of_lines(
    def: &TableDef,
    waiting: &Waiting,
) -> Result<RecordBatch, HistoryError> {
    let failed = |error: arrow::error::ArrowError| HistoryError::rows(def, error);
    let schema = def.schema();
    let own = schema.fields().len() - 1;
    let carried = Arc::new(Schema::new(schema.fields()[..own].to_vec()));
    let mut decoder = arrow::json::ReaderBuilder::new(carried)
        .with_batch_size(waiting.lines.len().max(1))
        .build_decoder()
        .map_err(failed)?;
    for line in &waiting.lines {
        let n_read = decoder.decode(line.as_bytes()).map_err(failed)?;
        debug_assert_eq!(n_read, line.len(), "a batch takes all lines");
    }
    let Some(batch) = decoder.flush().map_err(failed)? else {
        return Ok(RecordBatch::new_empty(schema));
    };
    let months: StringArray = waiting
        .times
        .iter()
        .map(|time| Some(month_of(*time)))
        .collect();
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(months));
    RecordBatch::try_new(schema, columns).map_err(failed)
}

async fn known_ids(
    table: &HistoryTable,
    months: BTreeSet<Partition>,
) -> Result<HashSet<String>, FlushError> {
    let def = table.def();
    let mut known = HashSet::new();
    for file in table.files().await? {
        if !months.contains(&file.partition) {
            continue;
        }
        let batches = blocking(def, move || file.read_columns(def, &["id"])).await?;
        for batch in batches {
            let ids = batch.column(0).as_string::<i32>();
            known.extend(ids.iter().flatten().map(str::to_owned));
        }
    }
    Ok(known)
}

/// Runs what waits for the disk on a thread where waiting is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    def: &TableDef,
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|error| HistoryError::rows(def, error))?
}

fn without(
    batch: &RecordBatch,
    known: &HashSet<String>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let index = batch.schema().index_of("id")?;
    let ids = batch.column(index).as_string::<i32>();
    let is_new: BooleanArray = (0..ids.len())
        .map(|row| Some(!known.contains(ids.value(row))))
        .collect();
    filter_record_batch(batch, &is_new)
}
