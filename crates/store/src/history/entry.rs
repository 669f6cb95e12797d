//! The last log entry of a table after a crash.
//!
//! Our own writes are synced before they get their name; a folder that was copied, or a disk that
//! lied about syncing, can still end in an entry that is cut off. It is set aside. Whether its
//! rows are still in the spool is for the numbers to say, see [`crate::flush`].

use super::HistoryError;
use std::fs;
use std::path::{Path, PathBuf};

/// A log entry that could not be read and was renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetAside {
    /// Its name now.
    pub(crate) path: PathBuf,
}

/// What the end of a table's log needs.
pub(super) struct Recovered {
    pub(super) set_aside: Option<SetAside>,
    /// Files that may not have been synced.
    pub(super) to_sync: Vec<PathBuf>,
}

/// Looks at the table's newest entries and sets aside a cut-off last one.
pub(super) fn recover(table: &Path) -> Result<Recovered, HistoryError> {
    let log = table.join("_delta_log");
    let entries = entries(&log)?;
    let mut set_aside = None;
    // An entry that cannot be read at all may be whole: that is an error.
    if let Some(last) = entries.last().cloned()
        && !is_whole(&last)?
    {
        let aside = last.with_extension("json.cut-off");
        fs::rename(&last, &aside).map_err(|source| failed(&last, source))?;
        set_aside = Some(SetAside { path: aside });
    }
    Ok(Recovered {
        set_aside,
        to_sync: to_sync(table)?,
    })
}

/// What the newest entries say, and they themselves.
pub(super) fn to_sync(table: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let mut files = Vec::new();
    for entry in entries(&table.join("_delta_log"))?
        .into_iter()
        .rev()
        .take(2)
    {
        files.extend(added_files(&entry, table)?);
        files.push(entry);
    }
    Ok(files)
}

/// The commits of the log, oldest first.
pub(crate) fn entries(log: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let listed = fs::read_dir(log).map_err(|source| failed(log, source))?;
    let mut entries = Vec::new();
    for entry in listed {
        let path = entry.map_err(|source| failed(log, source))?.path();
        let is_commit = path
            .extension()
            .is_some_and(|extension| extension == "json")
            && path.file_stem().is_some_and(|stem| {
                stem.len() == 20 && stem.as_encoded_bytes().iter().all(u8::is_ascii_digit)
            });
        if is_commit {
            entries.push(path);
        }
    }
    entries.sort();
    Ok(entries)
}

/// Whether every line of the entry is a JSON object and there is at least one.
pub(crate) fn is_whole(entry: &Path) -> Result<bool, HistoryError> {
    let text = fs::read(entry).map_err(|source| failed(entry, source))?;
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .peekable();
    Ok(lines.peek().is_some()
        && lines.all(|line| {
            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
        }))
}

fn added_files(entry: &Path, table: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let text = fs::read_to_string(entry).map_err(|source| failed(entry, source))?;
    let actions = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let paths = actions.filter_map(|action| {
        let path = action.get("add")?.get("path")?.as_str()?;
        let decoded = object_store::path::Path::from_url_path(path).ok()?;
        Some(table.join(decoded.as_ref()))
    });
    Ok(paths.filter(|path| path.exists()).collect())
}

fn failed(path: &Path, source: std::io::Error) -> HistoryError {
    HistoryError::File {
        path: path.to_owned(),
        source,
    }
}
