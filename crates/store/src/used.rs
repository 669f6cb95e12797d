//! What was used on days, summed from the rows of `usage` in the history: all users of some days at
//! once. What waits in the spool must be flushed before.
//!
//! Days and hours are the hub's, and an hour counts on the day that it begins on. Which days, and
//! what becomes of the sums, is [`crate::derive`]'s to know.

use crate::StoreError;
use crate::derive::{Hub, UsedDay, UsedDays};
use crate::flush::blocking;
use crate::history::{DataFile, History, HistoryError};
use crate::rebuild::newest;
use crate::state::used_days::Marked;
use crate::tables::{self, ColumnKind, RowId, TableDef, rows_of};
use arrow::array::{Array as _, AsArray as _, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use jiff::Timestamp;
use model::days::{Day, DaySpan};
use model::names::UserName;
use model::usage::{Used, UsedSum};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

/// Rows of usage that are held in memory at once, about: a hundred bytes each. So few in tests that a
/// month takes several rounds.
const ROWS_AT_ONCE: u64 = if cfg!(test) { 100 } else { 500_000 };

/// Columns that sums are made of.
const COLUMNS: [&str; 7] = [
    "id",
    "revision",
    "hour",
    "user",
    "cpu_core_seconds",
    "memory_byte_seconds",
    "gpu_requested_seconds",
];

/// Reads a hub's usage.
pub(crate) struct UsageReader<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) history: &'a History,
}

impl UsageReader<'_> {
    /// From which day to which the history has usage.
    pub(crate) async fn days(&self) -> Result<Option<RangeInclusive<Day>>, StoreError> {
        let def = &tables::usage::TABLE;
        let (mut first, mut last) = (None::<i64>, None::<i64>);
        for file in self.files(def).await? {
            let ends = match file.times(def) {
                Some(times) => Some((times.first, times.last)),
                None => blocking(def, move || ends_of(def, &file)).await?,
            };
            let (begin, end) = ends.unzip();
            first = [first, begin].into_iter().flatten().min();
            last = last.max(end);
        }
        let day =
            |micros| Timestamp::from_microsecond(micros).map(|at| Day::of(at, &self.hub.zone));
        let days = first.zip(last).and_then(|(first, last)| {
            // Times that no calendar has are in no row of ours.
            Some(day(first).ok()?..=day(last).ok()?)
        });
        Ok(days)
    }

    /// Sums as many of the days as can be held in memory, the first ones, with what their rows say.
    pub(crate) async fn sum(&self, mut marked: Vec<Marked>) -> Result<UsedDays, StoreError> {
        let def = &tables::usage::TABLE;
        let mut files = self.files(def).await?;
        while marked.len() > 1 && n_rows(def, &files, &self.days_of(&marked)) > ROWS_AT_ONCE {
            marked.truncate(marked.len().div_ceil(2));
        }
        let days = self.days_of(&marked);
        files.retain(|file| days.share(def, file) > 0.0);
        let used = blocking(def, move || {
            let mut lines = Lines::default();
            for file in &files {
                lines.read(def, file, &days)?;
            }
            Ok(lines.sums())
        });
        let mut used = used.await?;
        let mut known = self.known(&marked).await?;
        let days = marked
            .into_iter()
            .enumerate()
            .map(|(index, marked)| UsedDay {
                used: used.remove(&index).unwrap_or_default(),
                known: known.remove(&marked.day).unwrap_or_default(),
                marked,
            });
        Ok(UsedDays::new(days.collect()))
    }

    /// What the history says of these days, the highest revision of each row.
    async fn known(
        &self,
        marked: &[Marked],
    ) -> Result<BTreeMap<Day, BTreeMap<UserName, tables::UserDay>>, StoreError> {
        let def = &tables::user_days::TABLE;
        let days: Vec<Day> = marked.iter().map(|marked| marked.day).collect();
        let months: Vec<String> = days.iter().map(|day| tables::month_of_day(*day)).collect();
        let mut files = self.files(def).await?;
        files.retain(|file| months.contains(&file.partition.month));
        let rows = blocking(def, move || {
            let mut rows: Vec<tables::UserDay> = Vec::new();
            for file in &files {
                let days = days.clone();
                let is_wanted = move |batch| of_days(&batch, &days);
                for batch in file.read_where(def, &[def.time], is_wanted)? {
                    let failed = |error| HistoryError::rows(def, error);
                    rows.extend(rows_of::<tables::UserDay>(&batch).map_err(failed)?);
                }
            }
            Ok(newest(rows))
        });
        let mut known: BTreeMap<Day, BTreeMap<UserName, tables::UserDay>> = BTreeMap::new();
        for row in rows.await?.into_values() {
            let of_day = known.entry(Day::new(row.day)).or_default();
            of_day.insert(row.user.clone(), row);
        }
        Ok(known)
    }

    fn days_of(&self, marked: &[Marked]) -> Days {
        let spans = marked.iter().map(|marked| marked.day.span(&self.hub.zone));
        Days(spans.collect())
    }

    /// The files with rows of the hub.
    async fn files(&self, def: &'static TableDef) -> Result<Vec<DataFile>, StoreError> {
        let Some(table) = self.history.table(def).await? else {
            return Ok(Vec::new());
        };
        let mut files = table.files().await?;
        files.retain(|file| file.partition.hub == *self.hub.name);
        Ok(files)
    }
}

/// Days in order, some of which may be missing in between.
#[derive(Clone)]
struct Days(Vec<DaySpan>);

impl Days {
    /// Which of the days a moment is on.
    fn index(&self, micros: i64) -> Option<usize> {
        let n_over = self
            .0
            .partition_point(|day| day.end.as_microsecond() <= micros);
        let day = self.0.get(n_over)?;
        (day.start.as_microsecond() <= micros).then_some(n_over)
    }

    /// About which part of a file's rows are of these days or between them; 0 only if none is.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn share(&self, def: &TableDef, file: &DataFile) -> f64 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return 0.0;
        };
        let Some(times) = file.times(def) else {
            return 1.0;
        };
        let from = times.first.max(first.start.as_microsecond());
        let to = (times.last + 1).min(last.end.as_microsecond());
        (to - from).max(0) as f64 / (times.last + 1 - times.first) as f64
    }
}

/// About how many rows of the files are of these days.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate"
)]
fn n_rows(def: &TableDef, files: &[DataFile], days: &Days) -> u64 {
    let n_rows = files.iter().map(|file| {
        // A row has some bytes even where it is compressed well.
        let n_rows = file.n_rows.unwrap_or(file.size / 8);
        n_rows as f64 * days.share(def, file)
    });
    n_rows.sum::<f64>() as u64
}

/// Rows of usage as they are summed.
#[derive(Default)]
struct Lines {
    users: HashMap<UserName, usize>,
    lines: Vec<Line>,
}

struct Line {
    id: u128,
    revision: i64,
    day: usize,
    user: usize,
    used: Used,
}

impl Lines {
    fn read(
        &mut self,
        def: &'static TableDef,
        file: &DataFile,
        days: &Days,
    ) -> Result<(), HistoryError> {
        let wanted = days.clone();
        let is_wanted = move |batch: RecordBatch| {
            let hours = times_of(&batch, def.time)?;
            let hours = hours.as_primitive::<TimestampMicrosecondType>();
            let hours = hours.iter();
            Ok(hours
                .map(|hour| hour.map(|hour| wanted.index(hour).is_some()))
                .collect::<BooleanArray>())
        };
        for batch in file.read_columns_where(def, &COLUMNS, &[def.time], is_wanted)? {
            self.add(&batch, days)
                .map_err(|error| HistoryError::rows(def, error))?;
        }
        Ok(())
    }

    fn add(&mut self, batch: &RecordBatch, days: &Days) -> Result<(), ArrowError> {
        let [ids, revisions, hours, users, cpu, memory, gpus] =
            COLUMNS.map(|name| column(batch, name));
        let (ids, users) = (ids?.as_string::<i32>(), users?.as_string::<i32>());
        let revisions = revisions?.as_primitive::<Int64Type>();
        let hours = hours?.as_primitive::<TimestampMicrosecondType>();
        let [cpu, memory, gpus] =
            [cpu?, memory?, gpus?].map(arrow::array::AsArray::as_primitive::<Float64Type>);
        let amount = |column: &Float64Array, row| column.is_valid(row).then(|| column.value(row));
        for row in 0..batch.num_rows() {
            let Some(day) = days.index(hours.value(row)) else {
                continue;
            };
            let line = Line {
                id: number_of(ids.value(row)),
                revision: revisions.value(row),
                day,
                user: self.user(users.value(row)),
                used: Used {
                    cpu_core_seconds: amount(cpu, row),
                    memory_byte_seconds: amount(memory, row),
                    gpu_seconds: amount(gpus, row),
                },
            };
            self.lines.push(line);
        }
        Ok(())
    }

    fn user(&mut self, name: &str) -> usize {
        if let Some(known) = self.users.get(name) {
            return *known;
        }
        let number = self.users.len();
        self.users.insert(UserName::new(name), number);
        number
    }

    /// By day's index, what each user used: of the rows with one id the highest revision.
    fn sums(mut self) -> HashMap<usize, BTreeMap<UserName, Used>> {
        self.lines
            .sort_unstable_by_key(|line| (line.id, Reverse(line.revision)));
        self.lines.dedup_by_key(|line| line.id);
        let mut sums: HashMap<(usize, usize), UsedSum> = HashMap::new();
        for line in &self.lines {
            let sum = sums.entry((line.day, line.user)).or_default();
            sum.add(&line.used);
        }
        let mut names = vec![None; self.users.len()];
        for (name, number) in self.users {
            names[number] = Some(name);
        }
        let mut used: HashMap<usize, BTreeMap<UserName, Used>> = HashMap::new();
        for ((day, user), sum) in sums {
            if let Some(name) = &names[user] {
                let of_day = used.entry(day).or_default();
                of_day.insert(name.clone(), sum.total());
            }
        }
        used
    }
}

/// An id in 128 bits: those of ours are as many digits.
fn number_of(id: &str) -> u128 {
    let digits = |id: &str| u128::from_str_radix(id, 16).ok();
    let ours = Some(id).filter(|id| id.len() == 32).and_then(digits);
    ours.unwrap_or_else(|| digits(RowId::of(&[id]).as_str()).unwrap_or_default())
}

/// When the rows of a file begin and end, where the log does not say so.
fn ends_of(def: &TableDef, file: &DataFile) -> Result<Option<(i64, i64)>, HistoryError> {
    let mut ends: Option<(i64, i64)> = None;
    for batch in file.read_columns(def, &[def.time])? {
        let hours = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let found = arrow::compute::min(hours).zip(arrow::compute::max(hours));
        ends = match (ends, found) {
            (Some(known), Some(found)) => Some((known.0.min(found.0), known.1.max(found.1))),
            (known, found) => known.or(found),
        };
    }
    Ok(ends)
}

fn of_days(batch: &RecordBatch, days: &[Day]) -> Result<BooleanArray, ArrowError> {
    let dates = cast(
        column(batch, tables::user_days::TABLE.time)?,
        &ColumnKind::Day.arrow(),
    )?;
    let dates = dates.as_primitive::<Date32Type>().iter();
    let is_wanted = dates.map(|date| {
        let day = date.map(|date| Day::new(tables::day_of(date)));
        day.map(|day| days.binary_search(&day).is_ok())
    });
    Ok(is_wanted.collect())
}

fn times_of(batch: &RecordBatch, name: &str) -> Result<arrow::array::ArrayRef, ArrowError> {
    cast(column(batch, name)?, &ColumnKind::Time.arrow())
}

fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::ArrayRef, ArrowError> {
    let column = batch.column_by_name(name);
    column.ok_or_else(|| ArrowError::SchemaError(format!("the column `{name}` is missing")))
}
