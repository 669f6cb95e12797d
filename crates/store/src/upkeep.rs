//! What keeps the history small and quick: merging files, checkpoints, retention, removal of what
//! no reader needs any more.
//!
//! Everything is the same operation: the rows of some files of one partition are written anew.
//! Readers keep the version that they opened; two processes that rewrite the same files are told
//! so by the log, and the later one leaves it for the next round.

mod hourly;
mod retention;
mod vacuum;

pub use retention::Retention;
pub(crate) use retention::Round;
pub(crate) use vacuum::{Age, data_files, vacuum};

use crate::flush::blocking;
use crate::history::{
    Change, DataFile, History, HistoryError, HistoryTable, Partition, Replacement,
};
use crate::tables::{self, RowKind, TABLES, TableDef, month_of};
use arrow::array::{Array as _, AsArray as _, BooleanArray, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, filter_record_batch, sort_to_indices, take_record_batch};
use arrow::datatypes::{Float64Type, Int64Type};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Files of like size that are merged: more are slower to commit and read, fewer are rewritten
/// more often.
const FILES_AT_ONCE: usize = 16;
/// The first size class ends here; each further one is as many times larger as files are merged.
const SMALL_BYTES: u64 = 64 << 10;
/// Rows that are merged at once at most, but for revised rows, which have to be seen together: what
/// bounds the memory of a merge. A file with more than half of them is left as it is.
const ROWS_AT_ONCE: u64 = 500_000;

/// How long nothing must have been written into a month that is over.
const QUIET_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// How thoroughly files are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thoroughness {
    /// Where many small files have come together, and months that are over and quiet.
    AsNeeded(Timestamp),
    /// Every partition into as few files as possible, without outdated revisions.
    Everything,
}

/// Which rows are tidied together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Further rows of the same partition may be in other files.
    SomeFiles,
    /// All of a partition, and so all rows of each id.
    WholePartition,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Files that were merged away.
    pub n_merged: usize,
    /// Checkpoints that were written.
    pub n_checkpoints: usize,
    /// Rows that were past their time.
    pub n_expired: usize,
    /// Files that were removed from the disk.
    pub n_removed: usize,
}

/// Merges files of the hub's partitions; gives how many gave way.
pub(crate) async fn compact(
    history: &History,
    hub: &str,
    thoroughness: Thoroughness,
) -> Result<usize, HistoryError> {
    let mut n_merged = 0;
    for def in TABLES {
        let Some(mut table) = history.table(def).await? else {
            continue;
        };
        let files = table.files().await?;
        let n_in = |partition: &Partition| {
            let of_it = files.iter().filter(|file| file.partition == *partition);
            of_it.count()
        };
        for group in groups(def, files.clone(), hub, thoroughness) {
            let n_files = group.len();
            let extent = match group.first() {
                Some(first) if n_in(&first.partition) == n_files => Extent::WholePartition,
                _ => Extent::SomeFiles,
            };
            match merge(&mut table, group, extent).await {
                Ok(()) => n_merged += n_files,
                // Another process rewrites the same files; what it leaves is for the next round.
                Err(HistoryError::Conflict { .. }) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(n_merged)
}

/// Files of one partition that are worth merging.
fn groups(
    def: &TableDef,
    files: Vec<DataFile>,
    hub: &str,
    thoroughness: Thoroughness,
) -> Vec<Vec<DataFile>> {
    let mut by_partition: BTreeMap<Partition, Vec<DataFile>> = BTreeMap::new();
    for file in files.into_iter().filter(|file| file.partition.hub == hub) {
        by_partition
            .entry(file.partition.clone())
            .or_default()
            .push(file);
    }
    let groups = by_partition
        .into_values()
        .flat_map(|files| match thoroughness {
            Thoroughness::AsNeeded(now) if !is_quiet(&files, now) => by_size(def, files),
            _ => whole_partition(def, files),
        });
    groups.collect()
}

/// A month that is over and has had no news for a day: what stays of it stays for long.
fn is_quiet(files: &[DataFile], now: Timestamp) -> bool {
    let day_ago = now.saturating_sub(QUIET_AFTER).unwrap_or(Timestamp::MIN);
    files.iter().all(|file| {
        file.partition.month < month_of(day_ago) && file.written < day_ago.as_millisecond()
    })
}

fn by_size(def: &TableDef, files: Vec<DataFile>) -> Vec<Vec<DataFile>> {
    let mut classes: BTreeMap<u32, Vec<DataFile>> = BTreeMap::new();
    for file in files.into_iter().filter(|file| !is_large(file)) {
        classes.entry(size_class(file.size)).or_default().push(file);
    }
    classes
        .into_values()
        .filter(|files| files.len() >= FILES_AT_ONCE || n_rows(files) >= ROWS_AT_ONCE)
        .flat_map(|files| in_pieces(def, files))
        .collect()
}

fn is_large(file: &DataFile) -> bool {
    rows_in(file) > ROWS_AT_ONCE / 2
}

fn rows_in(file: &DataFile) -> u64 {
    // Every log entry of ours tells; a row has some bytes even where it is compressed well.
    file.n_rows.unwrap_or(file.size / 8)
}

fn n_rows(files: &[DataFile]) -> u64 {
    files.iter().map(rows_in).sum()
}

/// Neighbours in time together, so that the files that they become overlap little.
fn in_pieces(def: &TableDef, mut files: Vec<DataFile>) -> Vec<Vec<DataFile>> {
    files.sort_by_cached_key(|file| file.times(def).map(|times| times.first));
    let mut pieces: Vec<Vec<DataFile>> = Vec::new();
    for file in files {
        match pieces.last_mut() {
            Some(piece) if n_rows(piece) + rows_in(&file) <= ROWS_AT_ONCE => piece.push(file),
            _ => pieces.push(vec![file]),
        }
    }
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

fn size_class(size: u64) -> u32 {
    let mut class = 0;
    let mut limit = SMALL_BYTES;
    while size >= limit {
        class += 1;
        limit = limit.saturating_mul(FILES_AT_ONCE as u64);
    }
    class
}

/// Outdated revisions are found only where all files of a partition are read together.
fn whole_partition(def: &TableDef, files: Vec<DataFile>) -> Vec<Vec<DataFile>> {
    match def.kind {
        RowKind::Revised if files.len() > 1 => vec![files],
        RowKind::Revised => Vec::new(),
        RowKind::Final => {
            let small = files.into_iter().filter(|file| !is_large(file));
            in_pieces(def, small.collect())
        }
    }
}

async fn merge(
    table: &mut HistoryTable,
    files: Vec<DataFile>,
    extent: Extent,
) -> Result<(), HistoryError> {
    let def = table.def();
    let reading = files.clone();
    let batch = blocking(def, move || {
        let mut batches = Vec::new();
        for file in &reading {
            batches.extend(file.read(def)?);
        }
        tidy(def, &batches, extent).map_err(|error| HistoryError::rows(def, error))
    });
    let batch = batch.await?;
    let replacement = Replacement {
        removed: files,
        batches: vec![batch],
        change: Change::Layout,
    };
    table.replace(replacement).await
}

/// The rows in the order of their time, each id once with its highest revision.
pub(crate) fn tidy(
    def: &TableDef,
    batches: &[RecordBatch],
    extent: Extent,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let all = concat_batches(&def.schema(), batches)?;
    let all = if def.kind == RowKind::Revised {
        newest_revisions(def, &all, extent)?
    } else {
        all
    };
    let time = all.schema().index_of(def.time)?;
    let order = sort_to_indices(all.column(time), None, None)?;
    let order: UInt64Array = order.iter().map(|index| index.map(u64::from)).collect();
    take_record_batch(&all, &order)
}

/// Each id once, with its highest revision.
///
/// Where all rows of an id are here, the row that is left becomes the first revision again, or goes
/// if it counts for nothing: queries look for outdated rows only where a revision is higher. Whoever
/// corrects the row goes on from what `state.db` remembers or from what is found here, and both
/// give a higher one.
fn newest_revisions(
    def: &TableDef,
    batch: &RecordBatch,
    extent: Extent,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let column = |name: &str| batch.schema().index_of(name);
    let ids = batch.column(column("id")?).as_string::<i32>();
    let at_revision = column("revision")?;
    let revisions = batch.column(at_revision).as_primitive::<Int64Type>();
    let mut by_id: HashMap<&str, Revisions> = HashMap::with_capacity(ids.len());
    for row in 0..ids.len() {
        let known = by_id.entry(ids.value(row)).or_default();
        known.add(row, revisions.value(row));
    }
    let counts = counting(def, batch)?;
    let mut is_left = vec![false; ids.len()];
    let mut numbers = revisions.values().to_vec();
    for known in by_id.values() {
        let is_whole = extent == Extent::WholePartition || known.are_complete();
        let is_corrected = is_whole && known.newest > 1;
        is_left[known.row] = !is_corrected || counts(known.row);
        if is_corrected {
            numbers[known.row] = 1;
        }
    }
    let mut columns = batch.columns().to_vec();
    columns[at_revision] = Arc::new(Int64Array::from(numbers));
    let numbered = RecordBatch::try_new(batch.schema(), columns)?;
    filter_record_batch(&numbered, &BooleanArray::from(is_left))
}

/// The revisions of one id that were found.
#[derive(Default)]
struct Revisions {
    /// The highest, and the first row that has it: of rows that claim to be the same one is left.
    newest: i64,
    row: usize,
    /// A bit for each of the first 64.
    found: u64,
}

impl Revisions {
    fn add(&mut self, row: usize, revision: i64) {
        if self.found == 0 || revision > self.newest {
            (self.newest, self.row) = (revision, row);
        }
        let bit = u32::try_from(revision.saturating_sub(1)).ok();
        self.found |= bit.and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or(0);
    }

    /// Whether none is missing from the first to the highest.
    fn are_complete(&self) -> bool {
        (1..64).contains(&self.newest) && self.found == (1 << self.newest) - 1
    }
}

/// Which rows are shown: the rule of `query/views/sessions.sql` and `user_days.sql`.
fn counting<'a>(
    def: &TableDef,
    batch: &'a RecordBatch,
) -> Result<Box<dyn Fn(usize) -> bool + 'a>, arrow::error::ArrowError> {
    let column = |name: &str| {
        Ok::<_, arrow::error::ArrowError>(batch.column(batch.schema().index_of(name)?))
    };
    if def.name == tables::sessions::TABLE.name {
        let withdrawn = column("withdrawn")?.as_boolean();
        return Ok(Box::new(|row| !withdrawn.value(row)));
    }
    if def.name == tables::user_days::TABLE.name {
        let sessions = column("sessions")?.as_primitive::<Int64Type>();
        let measured = ["cpu_core_seconds", "memory_byte_seconds", "gpu_seconds"];
        let measured = measured
            .map(column)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let is_used = move |row| {
            let mut measured = measured
                .iter()
                .map(|column| column.as_primitive::<Float64Type>());
            measured.any(|column| column.is_valid(row) && column.value(row) > 0.0)
        };
        return Ok(Box::new(move |row| sessions.value(row) > 0 || is_used(row)));
    }
    Ok(Box::new(|_| true))
}

/// Writes a checkpoint of each table that has had this many commits since the last one; gives how
/// many.
pub(crate) async fn checkpoint(history: &History, n_commits: u64) -> Result<usize, HistoryError> {
    let mut n_checkpoints = 0;
    for def in TABLES {
        let Some(table) = history.table(def).await? else {
            continue;
        };
        let since = table.version().saturating_sub(table.last_checkpoint()?);
        if since >= n_commits {
            table.checkpoint().await?;
            n_checkpoints += 1;
        }
    }
    Ok(n_checkpoints)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as `id revision`, with `-` for a session that was withdrawn; and what is left of them.
    #[track_caller]
    fn check_tidy(extent: Extent, rows: &str, expected: &str) {
        let at = "2026-11-21T10:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let rows: Vec<tables::Session> = rows
            .split(',')
            .map(|row| {
                let mut words = row.split_whitespace();
                tables::Session {
                    id: words.next().unwrap().into(),
                    revision: words.next().unwrap().parse().unwrap(),
                    hub: "hub".into(),
                    user: "ada".into(),
                    server: "".into(),
                    started: at,
                    ended: at,
                    last_seen: at,
                    end_reason: row.trim().into(),
                    active_seconds: None,
                    options: None,
                    image: None,
                    withdrawn: words.next().is_some(),
                }
            })
            .collect();
        let batch = tables::batch_of(&rows).unwrap();
        let left = tidy(&tables::sessions::TABLE, &[batch], extent).unwrap();
        let mut left: Vec<String> = tables::rows_of::<tables::Session>(&left)
            .unwrap()
            .iter()
            .map(|row| format!("{} as {}", row.end_reason, row.revision))
            .collect();
        left.sort();
        assert_eq!(left.join(", "), expected);
    }

    #[test]
    fn of_each_id_one_row_is_left_and_it_is_the_first_revision_where_that_is_safe() {
        let some = |rows, expected| check_tidy(Extent::SomeFiles, rows, expected);
        some("a 1, b 2, b 1", "a 1 as 1, b 2 as 1");
        some("a 2, b 1, b 3", "a 2 as 2, b 3 as 3");
        some("a 1, a 1", "a 1 as 1");
        some("a 1, a 2 -, b 2 -", "b 2 - as 2");
        let all = |rows, expected| check_tidy(Extent::WholePartition, rows, expected);
        all("a 2, b 1, b 3, c 7 -", "a 2 as 1, b 3 as 1");
    }

    #[test]
    fn size_classes_grow_as_files_are_merged() {
        assert_eq!(size_class(1), 0);
        assert_eq!(size_class(SMALL_BYTES), 1);
        assert_eq!(size_class(SMALL_BYTES * 16), 2);
    }
}
