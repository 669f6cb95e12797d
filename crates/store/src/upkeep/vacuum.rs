//! Removing files that no reader needs any more: data files that were replaced, what crashed
//! writes left, and old entries of the log.

use crate::durable::staged::sweep_staged;
use crate::flush::blocking;
use crate::history::{History, HistoryError, HistoryTable};
use crate::tables::TABLES;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How old something must be to be removed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    /// Replaced files: a reader may still be at work on the version before.
    pub(crate) replaced: SignedDuration,
    /// Files that no log entry names: somebody may be about to commit them.
    pub(crate) orphaned: SignedDuration,
    /// Log entries that a checkpoint makes unnecessary.
    pub(crate) entries: SignedDuration,
}

impl Age {
    /// For the background.
    pub(crate) const ORDINARY: Self = Self {
        replaced: SignedDuration::from_hours(1),
        orphaned: SignedDuration::from_hours(24),
        entries: SignedDuration::from_hours(6),
    };
    /// Whatever no version needs: for tests, which pass no time.
    #[cfg(test)]
    pub(crate) const AT_ONCE: Self = Self {
        replaced: SignedDuration::ZERO,
        orphaned: SignedDuration::from_hours(24),
        entries: SignedDuration::ZERO,
    };
}

/// Removes what is old enough from all tables; gives the number of files.
pub(crate) async fn vacuum(
    history: &History,
    age: Age,
    now: Timestamp,
) -> Result<usize, HistoryError> {
    let mut n_removed = 0;
    for def in TABLES {
        let Some(table) = history.table(def).await? else {
            continue;
        };
        n_removed += table.forget_entries(now, age.entries).await?;
        let unneeded = unneeded_files(&table, age, now).await?;
        n_removed += unneeded.len();
        table.delete(unneeded).await?;
        let folder = table.folder().to_owned();
        n_removed += blocking(def, move || sweep(&folder)).await?;
    }
    Ok(n_removed)
}

/// Uploads that were never finished: their process is gone after an hour.
fn sweep(folder: &Path) -> Result<usize, HistoryError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "ages of files are told by the system's clock"
    )]
    let before = SystemTime::now() - Duration::from_hours(1);
    sweep_staged(folder, before).map_err(|source| HistoryError::File {
        path: folder.to_owned(),
        source,
    })
}

async fn unneeded_files(
    table: &HistoryTable,
    age: Age,
    now: Timestamp,
) -> Result<Vec<PathBuf>, HistoryError> {
    let active: HashSet<PathBuf> = table
        .files()
        .await?
        .into_iter()
        .map(|file| file.path)
        .collect();
    let replaced: HashMap<PathBuf, Timestamp> = table.replaced().await?;
    let folder = table.folder().to_owned();
    let def = table.def();
    blocking(def, move || {
        let mut unneeded = Vec::new();
        for (path, written) in data_files(&folder)? {
            if active.contains(&path) {
                continue;
            }
            let is_unneeded = match replaced.get(&path) {
                Some(at) => now.duration_since(*at) >= age.replaced,
                None => now.duration_since(written) >= age.orphaned,
            };
            if is_unneeded {
                unneeded.push(path);
            }
        }
        Ok(unneeded)
    })
    .await
}

/// Every data file below the folder, whatever the log says, with the time it was written.
pub(crate) fn data_files(folder: &Path) -> Result<Vec<(PathBuf, Timestamp)>, HistoryError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| HistoryError::File {
            path: folder.clone(),
            source,
        };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let metadata = entry.metadata().map_err(failed)?;
            if metadata.is_dir() {
                if entry.file_name() != "_delta_log" {
                    folders.push(path);
                }
            } else if path
                .extension()
                .is_some_and(|extension| extension == "parquet")
            {
                let written = metadata.modified().map_err(failed)?;
                found.push((path, Timestamp::try_from(written).unwrap_or(Timestamp::MAX)));
            }
        }
    }
    found.sort();
    Ok(found)
}
