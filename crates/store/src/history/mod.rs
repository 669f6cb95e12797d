//! `history/`: everything large that stays, as Delta Lake tables that other tools open too.
//!
//! A table is opened, appended to, and has files replaced. When that happens and why
//! ([`crate::flush`], [`crate::upkeep`]) does not belong here, nor what is asked of it
//! ([`crate::query`]).

mod entry;
mod files;
mod log;
mod write;

pub(crate) use entry::{SetAside, entries, is_whole};
pub(crate) use files::{DataFile, Partition, Times};
pub(crate) use write::{Change, Replacement};

use crate::durable::DurableFolder;
use crate::tables::{HUB, MONTH, TABLES, TableDef};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake_core::kernel::{StructField, StructType};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::SaveMode;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the history did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The table cannot be read or written.
    #[error("cannot use the table `{table}` of the history")]
    Delta {
        /// Its name.
        table: &'static str,
        /// Why.
        #[source]
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// Another process changed the same files: read again and try again.
    #[error("another process changed the table `{table}` at the same time")]
    Conflict {
        /// Its name.
        table: &'static str,
    },
    /// Another program made the table need what this one cannot read.
    #[error(
        "another program changed how the table `{table}` is read (Delta reader version {version}, this one knows 1): rows could be missing, restore the table from a backup from before"
    )]
    Foreign {
        /// Its name.
        table: &'static str,
        /// What readers have to know.
        version: i32,
    },
    /// A file of the history cannot be read or written.
    #[error("cannot use the file `{path}` of the history")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The last log entry is not whole.
    #[error(
        "the last log entry of `{table}`, `{path}`, is cut off: start the service, which sets it aside, or see what `store verify` says"
    )]
    CutOff {
        /// Name of the table.
        table: &'static str,
        /// Which.
        path: PathBuf,
    },
    /// A data file is not what the log says.
    #[error("the file `{path}` of the history is damaged: `store verify` tells what can be done")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Rows that do not fit their table: a bug.
    #[error("rows do not fit the table `{table}`")]
    Rows {
        /// Its name.
        table: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl HistoryError {
    pub(crate) fn delta(table: &TableDef, source: deltalake_core::DeltaTableError) -> Self {
        use deltalake_core::DeltaTableError as Delta;
        use deltalake_core::kernel::transaction::TransactionError;
        let name = table.name;
        match source {
            Delta::Transaction {
                source: TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_),
            } => Self::Conflict { table: name },
            other => Self::Delta {
                table: name,
                source: Box::new(other),
            },
        }
    }

    pub(crate) fn rows(
        table: &TableDef,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Rows {
            table: table.name,
            source: source.into(),
        }
    }
}

/// The folder of the tables.
#[derive(Clone)]
pub(crate) struct History {
    root: PathBuf,
    durable: Arc<DurableFolder>,
}

/// One open table.
#[derive(Clone)]
pub(crate) struct HistoryTable {
    def: &'static TableDef,
    folder: PathBuf,
    delta: DeltaTable,
}

impl History {
    /// The tables in the folder that `durable` writes to.
    pub(crate) fn new(root: &Path, durable: Arc<DurableFolder>) -> Self {
        Self {
            root: root.to_owned(),
            durable,
        }
    }

    /// Where the table's files are.
    pub(crate) fn folder(&self, def: &TableDef) -> PathBuf {
        self.root.join(def.name)
    }

    /// The table as it is now; `None` if no row was ever written.
    pub(crate) async fn table(
        &self,
        def: &'static TableDef,
    ) -> Result<Option<HistoryTable>, HistoryError> {
        self.table_at(def, None).await
    }

    /// The table as it was at a version, or as it is now.
    pub(crate) async fn table_at(
        &self,
        def: &'static TableDef,
        version: Option<u64>,
    ) -> Result<Option<HistoryTable>, HistoryError> {
        let folder = self.folder(def);
        if !has_log(&folder) {
            return Ok(None);
        }
        let builder = self
            .durable
            .open_builder(&folder)
            .map_err(|error| HistoryError::delta(def, error))?;
        let builder = match version {
            Some(version) => builder.with_version(version),
            None => builder,
        };
        let delta = builder
            .load()
            .await
            .map_err(|error| HistoryError::delta(def, error))?;
        Ok(Some(HistoryTable { def, folder, delta }))
    }

    /// The table as it is now, made if it is not there, with all columns of this version.
    pub(crate) async fn table_to_write(
        &self,
        def: &'static TableDef,
    ) -> Result<HistoryTable, HistoryError> {
        if let Some(table) = self.table(def).await? {
            return table.with_all_columns().await;
        }
        let created = self.create(def).await;
        match (created, self.table(def).await?) {
            // Another hub's service may have been faster; then ours failed and theirs is there.
            (_, Some(table)) => table.with_all_columns().await,
            (Err(error), None) => Err(error),
            (Ok(()), None) => Err(HistoryError::Conflict { table: def.name }),
        }
    }

    async fn create(&self, def: &'static TableDef) -> Result<(), HistoryError> {
        let failed = |error| HistoryError::delta(def, error);
        let folder = self.folder(def);
        let log_store = self
            .durable
            .open_builder(&folder)
            .and_then(deltalake_core::DeltaTableBuilder::build)
            .map_err(failed)?
            .log_store();
        let columns = struct_type(def)?
            .fields()
            .cloned()
            .collect::<Vec<StructField>>();
        CreateBuilder::new()
            .with_log_store(log_store)
            .with_table_name(def.name)
            .with_comment(def.doc)
            .with_columns(columns)
            .with_partition_columns([HUB, MONTH])
            .with_save_mode(SaveMode::Ignore)
            .with_configuration(properties(def))
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// An entry that is cut off would be read as if it were not there, and its rows be missing.
    pub(crate) fn check_end(&self, def: &'static TableDef) -> Result<(), HistoryError> {
        let folder = self.folder(def);
        if !has_log(&folder) {
            return Ok(());
        }
        let last = entry::entries(&folder.join("_delta_log"))?.pop();
        match last {
            Some(path) if !entry::is_whole(&path)? => Err(HistoryError::CutOff {
                table: def.name,
                path,
            }),
            _ => Ok(()),
        }
    }

    /// Sets aside a cut-off last log entry and makes sure that what is there is on the disk: an
    /// earlier process may have died between writing and syncing.
    pub(crate) async fn recover(&self) -> Result<Vec<SetAside>, HistoryError> {
        let mut set_aside = Vec::new();
        for def in TABLES {
            let folder = self.folder(def);
            if !has_log(&folder) {
                continue;
            }
            let recovered = entry::recover(&folder)?;
            set_aside.extend(recovered.set_aside);
            self.sync(folder, recovered.to_sync).await?;
        }
        Ok(set_aside)
    }

    /// Makes sure that what the log of a table says is on the disk.
    pub(crate) async fn make_durable(&self, def: &TableDef) -> Result<(), HistoryError> {
        let folder = self.folder(def);
        let to_sync = entry::to_sync(&folder)?;
        self.sync(folder, to_sync).await
    }

    async fn sync(&self, table: PathBuf, files: Vec<PathBuf>) -> Result<(), HistoryError> {
        let synced = self.durable.sync_existing(files).await;
        synced.map_err(|error| HistoryError::File {
            path: table,
            source: std::io::Error::other(error),
        })
    }
}

/// Whether the table exists: a crash while it was made leaves folders without any entry.
fn has_log(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder.join("_delta_log")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.len() > 20
            && name.as_bytes()[..20].iter().all(u8::is_ascii_digit)
            && (name.ends_with(".json") || name.ends_with(".parquet"))
    })
}

fn struct_type(def: &TableDef) -> Result<StructType, HistoryError> {
    def.schema()
        .as_ref()
        .try_into_kernel()
        .map_err(|error: arrow::error::ArrowError| HistoryError::rows(def, error))
}

/// Statistics in the log leave out every column that can hold a name: the log is kept when a
/// person is erased.
fn properties(def: &TableDef) -> Vec<(String, Option<String>)> {
    let in_statistics: Vec<&str> = def
        .columns
        .iter()
        .filter(|column| column.is_in_statistics())
        .map(|column| column.name)
        .collect();
    [
        ("delta.dataSkippingStatsColumns", in_statistics.join(",")),
        ("delta.logRetentionDuration", "interval 6 hours".to_owned()),
        (
            "delta.deletedFileRetentionDuration",
            // Longer than they are kept: the log has to know them until they are removed.
            "interval 1 days".to_owned(),
        ),
        ("delta.enableExpiredLogCleanup", "false".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), Some(value)))
    .into()
}

impl HistoryTable {
    /// What it is a table of.
    pub(crate) fn def(&self) -> &'static TableDef {
        self.def
    }

    /// Version of the log.
    pub(crate) fn version(&self) -> u64 {
        self.delta.version().unwrap_or_default()
    }

    /// Fails if its files are not all there is to know of its rows, as with vectors of deleted rows or columns
    /// of other names in them. No program of ours asks for that.
    pub(crate) fn check_readable(&self) -> Result<(), HistoryError> {
        const READER_VERSION: i32 = 1;
        let snapshot = self.delta.snapshot();
        let snapshot = snapshot.map_err(|error| HistoryError::delta(self.def, error))?;
        match snapshot.protocol().min_reader_version() {
            version if version > READER_VERSION => Err(HistoryError::Foreign {
                table: self.def.name,
                version,
            }),
            _ => Ok(()),
        }
    }

    /// Brings it up to the newest version.
    pub(crate) async fn refresh(&mut self) -> Result<(), HistoryError> {
        let def = self.def;
        self.delta
            .update_state()
            .await
            .map_err(|error| HistoryError::delta(def, error))
    }

    /// Number of the last spool row of the hub that it holds; 0 if none.
    pub(crate) async fn last_of(&self, hub: &str) -> Result<i64, HistoryError> {
        let failed = |error| HistoryError::delta(self.def, error);
        let log_store = self.delta.log_store();
        let snapshot = self.delta.snapshot().map_err(failed)?;
        let last = snapshot
            .transaction_version(log_store.as_ref(), write::app_id(hub))
            .await
            .map_err(failed)?;
        Ok(last.unwrap_or_default())
    }

    /// Later versions only add columns, nullable ones.
    async fn with_all_columns(mut self) -> Result<Self, HistoryError> {
        let def = self.def;
        let failed = |error| HistoryError::delta(def, error);
        let known: BTreeSet<String> = {
            let snapshot = self.delta.snapshot().map_err(failed)?;
            snapshot
                .schema()
                .fields()
                .map(|field| field.name().clone())
                .collect()
        };
        let wanted = struct_type(def)?;
        let missing: Vec<StructField> = wanted
            .fields()
            .filter(|field| !known.contains(field.name()))
            .cloned()
            .collect();
        if !missing.is_empty() {
            self.delta = self
                .delta
                .add_columns()
                .with_fields(missing)
                .await
                .map_err(failed)?;
        }
        Ok(self)
    }
}
