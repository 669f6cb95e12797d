//! Removing what the rewritten files and log entries left behind: at once, whatever its age.
//!
//! Only below the hub's own partitions, where this process is the only one that writes, and in the
//! log, where whoever commits holds no file that names anybody.

use crate::durable::staged::sweep_staged;
use crate::history::{HistoryError, HistoryTable};
use crate::upkeep::data_files;
use jiff::SignedDuration;
use jiff::Timestamp;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Removes the table's old log entries and the hub's old files; gives how many.
///
/// It waits for no clock: whatever is not needed by the newest version goes.
pub(super) async fn remove_old(table: &mut HistoryTable, hub: &str) -> Result<usize, HistoryError> {
    table.refresh().await?;
    let active: HashSet<PathBuf> = table
        .files()
        .await?
        .into_iter()
        .map(|file| file.path)
        .collect();
    table.checkpoint().await?;
    let mut n_removed = table
        .forget_entries(Timestamp::MAX, SignedDuration::ZERO)
        .await?;
    let folder = table.folder().to_owned();
    let mut old = Vec::new();
    for partition in hub_folders(&folder, hub)? {
        n_removed += sweep(&partition)?;
        let files = data_files(&partition)?.into_iter().map(|(path, _)| path);
        old.extend(files.filter(|path| !active.contains(path)));
    }
    n_removed += old.len();
    table.delete(old).await?;
    n_removed += remove_set_aside(&folder.join("_delta_log"))?;
    Ok(n_removed)
}

/// The folders of the hub's partitions, those that no log entry names too.
fn hub_folders(table: &Path, hub: &str) -> Result<Vec<PathBuf>, HistoryError> {
    let failed = |source| failed(table, source);
    let mut folders = Vec::new();
    for entry in fs::read_dir(table).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let value = name.and_then(|name| name.strip_prefix("hub="));
        if path.is_dir() && value.is_some_and(|value| percent_decoded(value) == hub.as_bytes()) {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// Folders of partitions bear their value percent-encoded.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

/// What crashed uploads left: nobody else uploads here.
fn sweep(folder: &Path) -> Result<usize, HistoryError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "ages of files are told by the system's clock"
    )]
    let after_all = SystemTime::now() + Duration::from_hours(24);
    sweep_staged(folder, after_all).map_err(|source| failed(folder, source))
}

/// Log entries that were set aside name nobody, but nobody needs them either.
fn remove_set_aside(log: &Path) -> Result<usize, HistoryError> {
    let mut n_removed = 0;
    for entry in fs::read_dir(log).map_err(|source| failed(log, source))? {
        let path = entry.map_err(|source| failed(log, source))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "cut-off")
        {
            n_removed += usize::from(remove(&path)?);
        }
    }
    Ok(n_removed)
}

/// Removes what queries put aside; one that runs may have to be asked again.
pub(super) fn empty_temporary(folder: &Path) -> Result<usize, HistoryError> {
    let mut n_removed = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(|source| failed(&folder, source))?,
        };
        for entry in entries {
            let entry = entry.map_err(|source| failed(&folder, source))?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                folders.push(entry.path());
            } else {
                n_removed += usize::from(remove(&entry.path())?);
            }
        }
    }
    Ok(n_removed)
}

fn remove(path: &Path) -> Result<bool, HistoryError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed(path, source)),
    }
}

fn failed(path: &Path, source: std::io::Error) -> HistoryError {
    HistoryError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_hub_is_found_whatever_its_name() {
        assert_eq!(percent_decoded("a%20b%2Fc"), b"a b/c");
        assert_eq!(percent_decoded("%zz%2"), b"%zz%2");
        assert_eq!(percent_decoded("%C3%BC"), "ü".as_bytes());
    }
}
