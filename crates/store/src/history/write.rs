//! Commits: rows appended, files replaced by others.

use super::files::DataFile;
use super::{HistoryError, HistoryTable};
use arrow::array::RecordBatch;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::writer::{DeltaWriter as _, RecordBatchWriter};
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;

use crate::tables::{HUB, MONTH};

/// How often a replacement is tried again because another process committed something else.
const ATTEMPTS: u32 = 20;
/// Rows per group within a file: what a reader skips or reads at once.
const ROW_GROUP_ROWS: usize = 131_072;
/// Files are cut here, so that rewriting one never needs more memory than that many bytes hold.
const FILE_BYTES: u64 = 64 << 20;

/// What a replacement does to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The same rows in fewer files.
    Layout,
    /// Other rows: some are gone or differ.
    Rows,
}

/// Files that give way to others in one commit.
pub(crate) struct Replacement {
    /// What is taken out.
    pub(crate) removed: Vec<DataFile>,
    /// What is put in, partition columns included.
    pub(crate) batches: Vec<RecordBatch>,
    /// Whether readers would see a difference.
    pub(crate) change: Change,
}

/// Who wrote: the service of this hub.
pub(super) fn app_id(hub: &str) -> String {
    format!("jupyterhub-insights/{hub}")
}

impl HistoryTable {
    /// Appends the rows in one commit that carries the number of the hub's last spool row.
    pub(crate) async fn append(
        &mut self,
        batch: RecordBatch,
        hub: &str,
        last: i64,
    ) -> Result<(), HistoryError> {
        let adds = self.data_files(vec![batch]).await?;
        let properties = properties()
            .with_metadata([("isBlindAppend".to_owned(), Value::Bool(true))])
            .with_application_transaction(Transaction::new(app_id(hub), last));
        self.commit(properties, adds, appending()).await
    }

    /// Appends rows that no spool numbers, as the demo and `store rebuild` make them.
    pub(crate) async fn append_unnumbered(
        &mut self,
        batches: Vec<RecordBatch>,
    ) -> Result<(), HistoryError> {
        let adds = self.data_files(batches).await?;
        let properties =
            properties().with_metadata([("isBlindAppend".to_owned(), Value::Bool(true))]);
        self.commit(properties, adds, appending()).await
    }

    /// Puts other files in the place of some.
    ///
    /// Another process' commit in between does no harm as long as the files are still there;
    /// if one is not, that is a conflict, and whoever read them reads again. (The library's own
    /// check lets merges of the same files pass one after the other, and every row be there twice.)
    pub(crate) async fn replace(&mut self, replacement: Replacement) -> Result<(), HistoryError> {
        let Replacement {
            removed,
            batches,
            change,
        } = replacement;
        let data_change = change == Change::Rows;
        let mut actions: Vec<Action> = removed
            .iter()
            .map(|file| Action::Remove(file.removal(data_change)))
            .collect();
        for action in self.data_files(batches).await? {
            actions.push(match action {
                Action::Add(add) => Action::Add(Add { data_change, ..add }),
                other => other,
            });
        }
        // Neither operation names a predicate: it would stand in the log in clear text.
        let operation = match change {
            Change::Layout => DeltaOperation::Optimize {
                predicate: None,
                target_size: i64::try_from(FILE_BYTES).unwrap_or(i64::MAX),
            },
            Change::Rows => DeltaOperation::Update { predicate: None },
        };
        let mut n_attempts = 0;
        loop {
            let properties = properties().with_max_retries(0);
            let committed = self.commit(properties, actions.clone(), operation.clone());
            match committed.await {
                Err(HistoryError::Conflict { .. }) if n_attempts < ATTEMPTS => n_attempts += 1,
                other => return other,
            }
            self.refresh().await?;
            let active: HashSet<PathBuf> =
                self.files().await?.into_iter().map(|it| it.path).collect();
            if !removed.iter().all(|file| active.contains(&file.path)) {
                return Err(HistoryError::Conflict {
                    table: self.def.name,
                });
            }
        }
    }

    async fn data_files(&self, batches: Vec<RecordBatch>) -> Result<Vec<Action>, HistoryError> {
        let failed = |error| HistoryError::delta(self.def, error);
        let mut writer = RecordBatchWriter::for_table(&self.delta)
            .map_err(failed)?
            .with_target_file_size(FILE_BYTES)
            .with_writer_properties(writer_properties());
        for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            writer.write(batch).await.map_err(failed)?;
        }
        let adds = writer.flush().await.map_err(failed)?;
        Ok(adds.into_iter().map(Action::Add).collect())
    }

    async fn commit(
        &mut self,
        properties: CommitProperties,
        actions: Vec<Action>,
        operation: DeltaOperation,
    ) -> Result<(), HistoryError> {
        let failed = |error| HistoryError::delta(self.def, error);
        let log_store = self.delta.log_store();
        let snapshot = self.delta.snapshot().map_err(failed)?;
        let finalized = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(snapshot), log_store, operation)
            .await
            .map_err(failed)?;
        self.delta.state = Some(finalized.snapshot());
        Ok(())
    }
}

fn appending() -> DeltaOperation {
    DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: Some(vec![HUB.to_owned(), MONTH.to_owned()]),
        predicate: None,
    }
}

/// Checkpoints and the clean-up of the log are made in the background: an error of theirs must not
/// look like a failed commit.
fn properties() -> CommitProperties {
    CommitProperties::default()
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
}

fn writer_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("jupyterhub-insights ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}
