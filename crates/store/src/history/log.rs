//! The log's own upkeep: checkpoints, entries that they make unnecessary, files it says are gone.

use super::{HistoryError, HistoryTable};
use deltalake_core::protocol::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use object_store::ObjectStore as _;
use object_store::path::Path as ObjectPath;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

impl HistoryTable {
    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Version of the newest checkpoint; 0 if there is none.
    pub(crate) fn last_checkpoint(&self) -> Result<u64, HistoryError> {
        let log = self.folder.join("_delta_log");
        let failed = |source| HistoryError::File {
            path: log.clone(),
            source,
        };
        let mut newest = 0;
        for entry in std::fs::read_dir(&log).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            let version = name
                .split_once(".checkpoint")
                .and_then(|(version, _)| version.parse().ok());
            newest = newest.max(version.unwrap_or(0));
        }
        Ok(newest)
    }

    /// Writes a checkpoint of the version that is open.
    pub(crate) async fn checkpoint(&self) -> Result<(), HistoryError> {
        create_checkpoint(&self.delta, None)
            .await
            .map_err(|error| HistoryError::delta(self.def, error))
    }

    /// Removes log entries that are older than `age` and that a checkpoint makes unnecessary.
    pub(crate) async fn forget_entries(
        &self,
        now: Timestamp,
        age: SignedDuration,
    ) -> Result<usize, HistoryError> {
        let before = now.saturating_sub(age).unwrap_or(Timestamp::MIN);
        let log_store = self.delta.log_store();
        cleanup_expired_logs_for(
            self.version(),
            log_store.as_ref(),
            before.as_millisecond(),
            None,
        )
        .await
        .map_err(|error| HistoryError::delta(self.def, error))
    }

    /// Files that the log says were replaced, and when.
    pub(crate) async fn replaced(&self) -> Result<HashMap<PathBuf, Timestamp>, HistoryError> {
        let failed = |error| HistoryError::delta(self.def, error);
        let log_store = self.delta.log_store();
        let snapshot = self.delta.snapshot().map_err(failed)?;
        let tombstones: Vec<_> = snapshot
            .all_tombstones(log_store.as_ref())
            .try_collect()
            .await
            .map_err(failed)?;
        let replaced = tombstones.into_iter().map(|tombstone| {
            let path = ObjectPath::from_url_path(tombstone.path()).map_or_else(
                |_| self.folder.join(tombstone.path().as_ref()),
                |path| self.folder.join(path.as_ref()),
            );
            let at = tombstone.deletion_timestamp().unwrap_or_default();
            (
                path,
                Timestamp::from_millisecond(at).unwrap_or(Timestamp::MIN),
            )
        });
        Ok(replaced.collect())
    }

    /// Removes files of the table from the disk.
    pub(crate) async fn delete(&self, paths: Vec<PathBuf>) -> Result<(), HistoryError> {
        let store = self.delta.log_store().object_store(None);
        let folder = self.folder.clone();
        let locations = paths.into_iter().map(move |path| {
            let below = path.strip_prefix(&folder).unwrap_or(&path);
            let parts = below.iter().map(|part| part.to_string_lossy().into_owned());
            Ok(parts.collect::<ObjectPath>())
        });
        let deleted = store.delete_stream(stream::iter(locations.collect::<Vec<_>>()).boxed());
        let failed = |error: object_store::Error| HistoryError::delta(self.def, error.into());
        deleted
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(failed)
    }
}
