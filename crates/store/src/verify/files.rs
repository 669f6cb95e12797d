//! The data files of a table: are they there, whole, and do they hold what the log says?

use super::{Damage, Finding, Severity, cause, finding};
use crate::durable::staged::is_staged;
use crate::history::{DataFile, HistoryError, HistoryTable, Partition};
use crate::tables::{RowKind, TableDef, month_of};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// What is younger may be about to be committed.
const UNDER_WAY: SignedDuration = SignedDuration::from_hours(1);

/// Ids of one partition; files come partition by partition.
#[derive(Default)]
pub(super) struct Ids {
    partition: Option<Partition>,
    /// 128 bits of each id with its revision: ids themselves would need several times the memory.
    seen: HashSet<u128>,
}

impl Ids {
    /// Everything that is wrong with a file.
    pub(super) fn check(&mut self, def: &TableDef, file: &DataFile) -> Vec<Finding> {
        if self.partition.as_ref() != Some(&file.partition) {
            self.partition = Some(file.partition.clone());
            self.seen.clear();
        }
        if let Some(found) = check_size(def, file) {
            return vec![found];
        }
        match file.read(def) {
            Ok(batches) => self.check_rows(def, file, &batches),
            Err(error) => vec![undecodable(def, file, &error)],
        }
    }

    fn check_rows(
        &mut self,
        def: &TableDef,
        file: &DataFile,
        batches: &[RecordBatch],
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        let n_rows: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        if let Some(expected) = file.n_rows.filter(|expected| *expected != n_rows) {
            findings.push(row_count(def, file, expected, n_rows));
        }
        let (mut n_elsewhere, mut n_twice) = (0, 0);
        for batch in batches {
            n_elsewhere += n_of_other_months(def, &file.partition, batch);
            n_twice += self.n_twice(batch);
        }
        if n_elsewhere > 0 {
            findings.push(wrong_month(def, file, n_elsewhere));
        }
        if n_twice > 0 {
            findings.push(twice(def, file, n_twice));
        }
        findings
    }

    fn n_twice(&mut self, batch: &RecordBatch) -> usize {
        let Some(ids) = batch
            .column_by_name("id")
            .and_then(|ids| ids.as_string_opt::<i32>())
        else {
            return 0;
        };
        let revisions = batch
            .column_by_name("revision")
            .and_then(|revisions| revisions.as_primitive_opt::<Int64Type>());
        let is_twice = |row: &usize| {
            let revision = revisions.map_or(0, |revisions| revisions.value(*row));
            !self.seen.insert(digest(ids.value(*row), revision))
        };
        (0..ids.len()).filter(is_twice).count()
    }
}

fn digest(id: &str, revision: i64) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, id, revision).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

fn check_size(def: &TableDef, file: &DataFile) -> Option<Finding> {
    let size = match fs::metadata(&file.path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let what = "this data file is gone";
            return Some(lost(def, file, Damage::FileMissing, what.to_owned()));
        }
        Err(error) => {
            let what = format!("this data file cannot be read: {error}");
            return Some(lost(def, file, Damage::FileUndecodable, what));
        }
    };
    (size != file.size).then(|| {
        let what = format!("this data file has {size} bytes instead of {}", file.size);
        lost(def, file, Damage::FileSize, what)
    })
}

fn undecodable(def: &TableDef, file: &DataFile, error: &HistoryError) -> Finding {
    let cause = std::error::Error::source(error).map_or_else(String::new, cause);
    let what = format!("this data file cannot be decoded: {cause}");
    lost(def, file, Damage::FileUndecodable, what)
}

/// Rows that cannot be read.
fn lost(def: &TableDef, file: &DataFile, kind: Damage, what: String) -> Finding {
    use crate::tables::Origin;
    let Partition { hub, month } = &file.partition;
    let instead = match def.origin {
        Origin::Collected => String::new(),
        Origin::Derived => {
            ". If there is none, its rows can be derived again: see `store rebuild --help`"
                .to_owned()
        }
    };
    let remedy = format!(
        "Restore this file from a backup; until then queries of `{}` of the hub `{hub}` for {month} fail{instead}",
        def.name
    );
    finding(def, &file.path, kind, Severity::Error, what, remedy)
}

fn row_count(def: &TableDef, file: &DataFile, expected: u64, found: u64) -> Finding {
    finding(
        def,
        &file.path,
        Damage::RowCount,
        Severity::Error,
        format!("this data file holds {found} rows, the log says {expected}"),
        "Somebody else wrote it: restore this file from a backup; until then counts of its month are wrong",
    )
}

fn wrong_month(def: &TableDef, file: &DataFile, n_rows: usize) -> Finding {
    finding(
        def,
        &file.path,
        Damage::WrongMonth,
        Severity::Warning,
        format!(
            "{n_rows} of its rows are of another month than {}",
            file.partition.month
        ),
        "Somebody else wrote it: queries of a range of time leave these rows out; restore the table from a backup from before",
    )
}

fn twice(def: &TableDef, file: &DataFile, n_rows: usize) -> Finding {
    let (kind, what) = match def.kind {
        RowKind::Final => (
            Damage::RowTwice,
            format!("{n_rows} of its rows are in the table twice"),
        ),
        RowKind::Revised => (
            Damage::RevisionTwice,
            format!("{n_rows} of its rows claim the same revision as others"),
        ),
    };
    finding(
        def,
        &file.path,
        kind,
        Severity::Warning,
        what,
        "Queries count them twice. Something else than the service appended them: restore the table from a backup from before, and please report it if nothing else writes to the folder",
    )
}

fn n_of_other_months(def: &TableDef, partition: &Partition, batch: &RecordBatch) -> usize {
    let kind = DataType::Timestamp(TimeUnit::Microsecond, None);
    let Some(times) = batch
        .column_by_name(def.time)
        .and_then(|times| cast(times, &kind).ok())
    else {
        return batch.num_rows();
    };
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let is_elsewhere = |time: &Option<i64>| {
        let time = time.and_then(|time| Timestamp::from_microsecond(time).ok());
        time.is_none_or(|time| month_of(time) != partition.month)
    };
    times.iter().filter(is_elsewhere).count()
}

/// A file below a table's folder, whatever the log says.
pub(super) struct Listed {
    path: PathBuf,
    written: Timestamp,
}

/// Every file below the folder.
pub(super) fn listed(folder: &Path) -> Result<Vec<Listed>, HistoryError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| HistoryError::File {
            path: folder.clone(),
            source,
        };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            // What vanishes meanwhile was being removed.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(path);
            } else {
                let written = metadata.modified().map_err(failed)?;
                let written = Timestamp::try_from(written).unwrap_or(Timestamp::MAX);
                found.push(Listed { path, written });
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

/// Data files that the log names, those that wait for their removal too.
pub(super) async fn known(table: &HistoryTable) -> Result<HashSet<PathBuf>, HistoryError> {
    let active = table.files().await?.into_iter().map(|file| file.path);
    let replaced = table.replaced().await?.into_keys();
    Ok(active.chain(replaced).collect())
}

/// Files that nobody needs.
pub(super) struct Leftovers<'a> {
    pub(super) def: &'static TableDef,
    pub(super) hub: Option<&'a str>,
    pub(super) now: Timestamp,
}

impl Leftovers<'_> {
    /// `known` is left out where the log cannot tell.
    pub(super) fn of(&self, listed: Vec<Listed>, known: Option<&HashSet<PathBuf>>) -> Vec<Finding> {
        let findings = listed.into_iter().filter(|file| self.is_ours(file));
        let findings = findings.filter_map(|file| {
            let age = self.now.duration_since(file.written);
            let name = file.path.file_name()?;
            let extension = file
                .path
                .extension()
                .and_then(|extension| extension.to_str());
            let is_in_log = file.path.parent()?.ends_with("_delta_log");
            if extension == Some("cut-off") {
                return Some(self.set_aside(&file.path));
            }
            if age < UNDER_WAY {
                return None;
            }
            if is_staged(name) {
                return Some(self.upload(&file.path, age));
            }
            let is_orphan = extension == Some("parquet")
                && !is_in_log
                && known.is_some_and(|known| !known.contains(&file.path));
            is_orphan.then(|| self.orphan(&file.path, age))
        });
        findings.collect()
    }

    fn is_ours(&self, file: &Listed) -> bool {
        let Some(hub) = self.hub else {
            return true;
        };
        let folders = file.path.iter().filter_map(|part| part.to_str());
        let of_hub = folders
            .filter_map(|part| part.strip_prefix("hub="))
            .next_back();
        of_hub.is_none_or(|of_hub| crate::erase::percent_decoded(of_hub) == hub.as_bytes())
    }

    fn set_aside(&self, path: &Path) -> Finding {
        finding(
            self.def,
            path,
            Damage::Leftover,
            Severity::Information,
            "this log entry was cut off and set aside",
            "Its rows stayed in the spool: the file can be removed",
        )
    }

    fn upload(&self, path: &Path, age: SignedDuration) -> Finding {
        finding(
            self.def,
            path,
            Damage::Leftover,
            Severity::Information,
            format!("an upload was never finished, {} ago", hours(age)),
            "Nothing has to be done: the service removes it in its next round",
        )
    }

    fn orphan(&self, path: &Path, age: SignedDuration) -> Finding {
        finding(
            self.def,
            path,
            Damage::Orphan,
            Severity::Information,
            format!(
                "no log entry names this data file, written {} ago",
                hours(age)
            ),
            "Nothing has to be done: the service removes it when it is a day old",
        )
    }
}

fn hours(age: SignedDuration) -> String {
    format!("{} hours", age.as_hours())
}
