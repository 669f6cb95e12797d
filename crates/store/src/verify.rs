//! Looking for damage: what is wrong, where, and what can be done about it.
//!
//! It reads only, beside a running service too, whose unfinished work is no damage. What it finds is
//! text for people; nothing in it names a person.

mod files;
mod log;
mod numbers;

use crate::StoreError;
use crate::durable::DurableFolder;
use crate::durable::disk::RealDisk;
use crate::flush::blocking;
use crate::folder::{Folder, FolderError};
use crate::history::{History, HistoryTable};
use crate::tables::{TABLES, TableDef};
use jiff::Timestamp;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Table it concerns, if it concerns one.
    pub table: Option<&'static str>,
    /// File or folder.
    pub path: PathBuf,
    /// What kind of damage it is.
    pub kind: Damage,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What can be done.
    pub remedy: String,
}

/// Kinds of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Damage {
    /// The last entry of a table's log is cut off.
    LogEntryCutOff,
    /// An entry of a table's log is cut off or no JSON, and later ones follow.
    LogEntryDamaged,
    /// An entry is missing between two others.
    LogEntryMissing,
    /// The log cannot be read for another reason.
    LogUnreadable,
    /// A data file is gone.
    FileMissing,
    /// A data file is shorter or longer than the log says.
    FileSize,
    /// A data file cannot be decoded.
    FileUndecodable,
    /// A data file holds more or fewer rows than the log says.
    RowCount,
    /// A data file holds rows of another month than its folder's.
    WrongMonth,
    /// A row that is written once is there twice.
    RowTwice,
    /// Two rows claim to be the same revision of one.
    RevisionTwice,
    /// `state.db` is older than the history.
    SpoolBehind,
    /// The history is older than `state.db`.
    SpoolAhead,
    /// `state.db` is damaged.
    StateDamaged,
    /// A data file that no log entry names.
    Orphan,
    /// What an unfinished upload left, or a log entry that was set aside.
    Leftover,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It takes room and nothing else.
    Information,
    /// It is set right without anybody doing anything, or numbers may be off.
    Warning,
    /// Rows are missing or cannot be read.
    Error,
}

/// How far the search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The table that is read.
    pub table: &'static str,
    /// Its data files that were read.
    pub n_files: usize,
    /// Its data files that are to be read.
    pub n_files_in_all: usize,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, what) = (self.path.display(), &self.what);
        write!(f, "{}: `{path}`: {what}. {}.", self.severity, self.remedy)
    }
}

/// Looks for damage in a folder, of one hub or of all.
///
/// Every row of every table is decoded, which takes as long as reading all of it.
pub async fn verify(
    folder: &Folder,
    hub: Option<&str>,
    now: Timestamp,
    mut progress: impl FnMut(Checked) + Send,
) -> Result<Vec<Finding>, StoreError> {
    let (mut findings, before) = numbers::Numbers::read(&folder.state_db());
    let mut in_history = Vec::new();
    if folder.history().is_dir() {
        let history = open(folder)?;
        for def in TABLES {
            let checked = Check {
                def,
                hub,
                now,
                history: &history,
            };
            let last = checked.run(&mut findings, &mut progress).await?;
            in_history.extend(last);
        }
    }
    // Read again: a service may have handed out numbers meanwhile, and the history has them.
    let (_, after) = numbers::Numbers::read(&folder.state_db());
    if let (Some(before), Some(after)) = (before, after) {
        let compared = numbers::compare(folder, hub, &before, &after, &in_history);
        findings.extend(compared);
    }
    Ok(findings)
}

fn open(folder: &Folder) -> Result<History, StoreError> {
    let durable = DurableFolder::new(folder.history(), Arc::new(RealDisk)).map_err(|error| {
        FolderError::Unfit {
            path: folder.history(),
            reason: error.to_string(),
            is_read_only: false,
        }
    })?;
    Ok(History::new(&folder.history(), Arc::new(durable)))
}

/// What a table of the history says about a hub.
struct InHistory {
    def: &'static TableDef,
    hub: String,
    last: i64,
}

/// The check of one table.
struct Check<'a> {
    def: &'static TableDef,
    hub: Option<&'a str>,
    now: Timestamp,
    history: &'a History,
}

impl Check<'_> {
    /// Gives the numbers of the hubs' last rows, unless the log is too damaged to tell.
    async fn run(
        &self,
        findings: &mut Vec<Finding>,
        progress: &mut (impl FnMut(Checked) + Send),
    ) -> Result<Vec<InHistory>, StoreError> {
        let def = self.def;
        let folder = self.history.folder(def);
        let log = folder.join("_delta_log");
        if !log.is_dir() {
            return Ok(Vec::new());
        }
        // Before the log is: what is committed in between is then no orphan.
        let listed = {
            let folder = folder.clone();
            blocking(def, move || files::listed(&folder)).await?
        };
        let looked = blocking(def, move || log::look(def, &log)).await?;
        let is_whole = looked.findings.is_empty();
        findings.extend(looked.findings);
        let Some(version) = looked.readable else {
            return Ok(Vec::new());
        };
        let table = match self.history.table_at(def, version).await {
            Ok(Some(table)) => table,
            Ok(None) => return Ok(Vec::new()),
            Err(error) => {
                findings.push(log::unreadable(def, &folder, &error));
                return Ok(Vec::new());
            }
        };
        self.files(&table, findings, progress).await?;
        let leftovers = files::Leftovers {
            def,
            hub: self.hub,
            now: self.now,
        };
        // Of a log that is cut off nobody can say what the last entry named.
        let known = is_whole.then_some(files::known(&table).await?);
        findings.extend(leftovers.of(listed, known.as_ref()));
        self.last_numbers(&table).await
    }

    /// Reads every active file.
    async fn files(
        &self,
        table: &HistoryTable,
        findings: &mut Vec<Finding>,
        progress: &mut (impl FnMut(Checked) + Send),
    ) -> Result<(), StoreError> {
        let def = self.def;
        let mut active = table.files().await?;
        active.retain(|file| self.hub.is_none_or(|hub| file.partition.hub == hub));
        let n_files_in_all = active.len();
        let mut ids = files::Ids::default();
        for (number, file) in active.into_iter().enumerate() {
            let checked = blocking(def, move || {
                let found = ids.check(def, &file);
                Ok((ids, found))
            });
            let (same_ids, found) = checked.await?;
            ids = same_ids;
            findings.extend(found);
            progress(Checked {
                table: def.name,
                n_files: number + 1,
                n_files_in_all,
            });
        }
        Ok(())
    }

    async fn last_numbers(&self, table: &HistoryTable) -> Result<Vec<InHistory>, StoreError> {
        let files = table.files().await?.into_iter();
        let mut hubs: Vec<String> = files.map(|file| file.partition.hub).collect();
        hubs.sort();
        hubs.dedup();
        let mut numbers = Vec::new();
        for hub in hubs {
            numbers.push(InHistory {
                def: self.def,
                last: table.last_of(&hub).await?,
                hub,
            });
        }
        Ok(numbers)
    }
}

fn finding(
    def: &TableDef,
    path: &Path,
    kind: Damage,
    severity: Severity,
    what: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        table: Some(def.name),
        path: path.to_owned(),
        kind,
        severity,
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// The error with its causes, without a full stop.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let text = crate::keeper::with_causes(error);
    text.trim_end_matches('.').to_owned()
}
