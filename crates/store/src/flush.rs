//! From the spool into the history: one commit per table and flush.
//!
//! The commit carries the number of the last row, and only when data and log are on the disk does
//! the spool forget. Whatever step a process dies at, the next one reads the number first, so that
//! no row is lost and none is there twice. When to flush is [`crate::keeper`]'s business.

use crate::derive::Hub;
use crate::history::{History, HistoryError, HistoryTable};
use crate::keeper::with_causes;
use crate::recent;
use crate::state::spool::{self, Numbers, Portion, Waiting, WaitingRow};
use crate::state::{State, StateError, Writer, keep_setting, settings};
use crate::tables::{TABLES, TableDef, month_of};
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::Schema;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing::error;

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
    pub(crate) hub: &'a Hub,
    pub(crate) state: &'a State,
    pub(crate) writer: &'a Writer,
    pub(crate) history: &'a History,
    /// Counts rows that the history turned out to have.
    pub(crate) n_found: &'a AtomicUsize,
}

impl Flush<'_> {
    /// Moves everything that waits now; gives the number of rows. A table that fails does not
    /// keep the others from it; the first failure is given.
    pub(crate) async fn run(&self) -> Result<usize, FlushError> {
        let mut n_rows = 0;
        let mut outcome = Ok(());
        for table in TABLES {
            match self.table(table).await {
                Ok(n_of_table) => n_rows += n_of_table,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| n_rows)
    }

    /// Makes the spool's numbers agree with the history before the first new row is numbered: a
    /// `state.db` from a backup would hand out numbers again that the history has seen. Gives where
    /// they did not agree by more than a crash explains. A table that cannot be read is settled
    /// when it can be again; its rows wait.
    pub(crate) async fn settle_all(&self) -> Result<Vec<Discord>, FlushError> {
        let mut found = Vec::new();
        for def in TABLES {
            let numbers = self.numbers(def).await?;
            let last = match self.history.table(def).await {
                Ok(Some(table)) => self.settle(&table).await?,
                Ok(None) => 0,
                Err(error) => {
                    let cause = with_causes(&error);
                    error!("The rows of a table wait until it can be read again: {cause}");
                    continue;
                }
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

    async fn table(&self, def: &'static TableDef) -> Result<usize, FlushError> {
        if self
            .waiting(def, 0, Portion::ONE_ROW)
            .await?
            .rows
            .is_empty()
        {
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
            let waiting = self.waiting(def, last, Portion::ONE_COMMIT).await?;
            if waiting.rows.is_empty() {
                return Ok(n_rows);
            }
            let upto = waiting.last;
            let n_waiting = waiting.rows.len();
            let batch = self.batch(&table, waiting).await?;
            let n_found = n_waiting.saturating_sub(batch.num_rows());
            match table.append(batch, &self.hub.name, upto).await {
                Ok(()) => {
                    n_rows += n_waiting;
                    self.n_found.fetch_add(n_found, Ordering::Relaxed);
                }
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

    async fn numbers(&self, def: &'static TableDef) -> Result<Numbers, FlushError> {
        let hub = Arc::clone(&self.hub.name);
        let read = move |connection: &rusqlite::Connection| spool::numbers(connection, def, &hub);
        Ok(self.state.read(read).await?)
    }

    /// Makes the spool agree with what the history says it holds; gives that number.
    async fn settle(&self, table: &HistoryTable) -> Result<i64, FlushError> {
        let def = table.def();
        let in_history = table.last_of(&self.hub.name).await?;
        if in_history > self.numbers(def).await?.flushed {
            // Whoever committed that may have failed, or died, before it was on the disk.
            self.history.make_durable(def).await?;
        }
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
        portion: Portion,
    ) -> Result<Waiting, FlushError> {
        let hub = Arc::clone(&self.hub.name);
        let read = move |connection: &rusqlite::Connection| {
            spool::waiting(connection, def, &hub, after, portion)
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
        let (batch, waiting) = blocking(def, move || {
            Ok((batch_of_lines(def, &waiting.rows)?, waiting))
        })
        .await?;
        let hub = &self.hub.name;
        let lookup = recent::Lookup {
            recent: &self.hub.recent,
            hub,
            table,
        };
        Ok(lookup.new_rows(&waiting.rows, batch).await?)
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
