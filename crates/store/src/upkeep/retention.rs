//! What is kept how long.

use super::hourly;
use crate::StoreError;
use crate::flush::blocking;
use crate::history::{DataFile, History, HistoryError, Partition, Replacement};
use crate::state::{StateError, Writer, keep_setting, setting};
use crate::tables::{self, TableDef};
use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch, is_null};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys of an event's detail that hold a network address.
const ADDRESS_KEYS: [&str; 3] = ["address", "remote_ip", "ip"];

/// How long things are kept; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Raw events.
    pub events: Option<SignedDuration>,
    /// Network addresses in events.
    pub addresses: Option<SignedDuration>,
    /// What could not be read.
    pub dead_letters: Option<SignedDuration>,
    /// Who looked at whom and did what. That somebody was erased is kept for ever, and names nobody.
    pub audit: Option<SignedDuration>,
    /// Observations by the minute; after that they are kept by the hour.
    pub observations_by_minute: Option<SignedDuration>,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: i64| Some(SignedDuration::from_hours(24 * days));
        Self {
            events: days(400),
            addresses: days(30),
            dead_letters: days(30),
            audit: days(400),
            observations_by_minute: days(60),
        }
    }
}

/// What retention works with.
pub(crate) struct Round<'a> {
    pub(crate) history: &'a History,
    pub(crate) writer: &'a Writer,
    pub(crate) hub: &'a Arc<str>,
    pub(crate) now: Timestamp,
}

/// What an earlier round looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// Rows before this time, in microseconds, were dealt with.
    cut: i64,
    /// In files that were written up to this time, in milliseconds of their own clock.
    written: i64,
}

/// Which rows are past their time, and which of them an earlier round may have left.
#[derive(Clone, Copy)]
struct Due {
    cut: i64,
    seen: Seen,
}

impl Due {
    /// Files with rows that are past their time and that no round has looked at.
    fn concerns(&self, def: &TableDef, file: &DataFile) -> bool {
        let is_new = file.written > self.seen.written;
        file.times(def)
            .is_none_or(|times| times.first < self.cut && (is_new || times.last >= self.seen.cut))
    }
}

impl Retention {
    /// Events from before this are past their time.
    pub(crate) fn events_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.events.and_then(|kept| now.checked_sub(kept).ok())
    }

    /// Removes what is past its time from the hub's partitions; gives the number of rows.
    ///
    /// Days end together, so that there is work once a day, and only in files with rows of that
    /// day or rows that came late.
    pub(crate) async fn apply(&self, round: &Round<'_>) -> Result<usize, StoreError> {
        let mut n_rows = 0;
        let events = &tables::events::TABLE;
        n_rows += round.work("events", events, self.events, expire).await?;
        let letters = &tables::dead_letters::TABLE;
        n_rows += round
            .work("dead letters", letters, self.dead_letters, expire)
            .await?;
        let audit = &tables::audit::TABLE;
        n_rows += round.work("audit", audit, self.audit, forget_deeds).await?;
        // Who promises to forget an address in a month must not need a day more.
        let addresses = self
            .addresses
            .map(|kept| kept - SignedDuration::from_hours(24));
        n_rows += round
            .work("addresses", events, addresses, forget_addresses)
            .await?;
        let observations = &tables::observations::TABLE;
        n_rows += round
            .work(
                "minutes",
                observations,
                self.observations_by_minute,
                by_the_hour,
            )
            .await?;
        Ok(n_rows)
    }
}

/// Changes the files of one partition.
type Change = fn(&TableDef, Due, Vec<DataFile>) -> Result<Changed, HistoryError>;

/// What a change made of the files of a partition.
#[derive(Default)]
struct Changed {
    removed: Vec<DataFile>,
    batches: Vec<RecordBatch>,
    n_rows: usize,
}

impl Changed {
    /// Takes the other rows out of the file, if it has any.
    fn keep_rows(
        &mut self,
        def: &TableDef,
        file: DataFile,
        stays: impl Fn(&RecordBatch) -> Result<BooleanArray, ArrowError>,
    ) -> Result<(), HistoryError> {
        let failed = |error| HistoryError::rows(def, error);
        let (mut n_gone, mut stay) = (0, Vec::new());
        for batch in file.read(def)? {
            let stays = stays(&batch).map_err(failed)?;
            n_gone += stays.len() - stays.true_count();
            stay.push(filter_record_batch(&batch, &stays).map_err(failed)?);
        }
        if n_gone > 0 {
            self.n_rows += n_gone;
            self.batches.extend(stay);
            self.removed.push(file);
        }
        Ok(())
    }
}

impl Round<'_> {
    async fn work(
        &self,
        what: &str,
        def: &'static TableDef,
        kept: Option<SignedDuration>,
        change: Change,
    ) -> Result<usize, StoreError> {
        const DAY: i64 = 24 * 60 * 60 * 1_000_000;
        let Some(before) = kept.and_then(|kept| self.now.checked_sub(kept).ok()) else {
            return Ok(0);
        };
        let cut = before.as_microsecond().div_euclid(DAY) * DAY;
        let name = format!("retained/{}/{what}", self.hub);
        let seen = self.seen(&name).await?;
        if cut <= seen.cut {
            return Ok(0);
        }
        let Some(mut table) = self.history.table(def).await? else {
            return Ok(0);
        };
        let due = Due { cut, seen };
        let mut by_partition: BTreeMap<Partition, Vec<DataFile>> = BTreeMap::new();
        let mut written = seen.written;
        for file in table.files().await? {
            written = written.max(file.written);
            if file.partition.hub == **self.hub && due.concerns(def, &file) {
                let of_partition = by_partition.entry(file.partition.clone());
                of_partition.or_default().push(file);
            }
        }
        let mut n_rows = 0;
        for files in by_partition.into_values() {
            let changed = blocking(def, move || change(def, due, files)).await?;
            n_rows += changed.n_rows;
            if !changed.removed.is_empty() {
                let replacement = Replacement {
                    removed: changed.removed,
                    batches: changed.batches,
                    change: super::Change::Rows,
                };
                table.replace(replacement).await?;
            }
        }
        self.keep_seen(name, Seen { cut, written }).await?;
        Ok(n_rows)
    }

    async fn seen(&self, name: &str) -> Result<Seen, StateError> {
        let name = name.to_owned();
        let read = move |connection: &rusqlite::Connection| setting(connection, &name);
        let text = self.writer.write(read).await?;
        // What cannot be read is looked at again.
        Ok(text
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default())
    }

    async fn keep_seen(&self, name: String, seen: Seen) -> Result<(), StateError> {
        let text = serde_json::to_string(&seen)?;
        let keep = move |connection: &rusqlite::Connection| keep_setting(connection, &name, &text);
        self.writer.write(keep).await
    }
}

/// Rows that are past their time go; files without others go unread.
fn expire(def: &TableDef, due: Due, files: Vec<DataFile>) -> Result<Changed, HistoryError> {
    let mut changed = Changed::default();
    for file in files {
        let is_over = file.times(def).is_some_and(|times| times.last < due.cut);
        if let Some(n_rows) = file.n_rows.filter(|_| is_over) {
            changed.n_rows += usize::try_from(n_rows).unwrap_or(usize::MAX);
            changed.removed.push(file);
            continue;
        }
        changed.keep_rows(def, file, |batch| {
            compare(batch, def.time, |time| time >= due.cut)
        })?;
    }
    Ok(changed)
}

/// The same, but that somebody was erased stays known.
fn forget_deeds(def: &TableDef, due: Due, files: Vec<DataFile>) -> Result<Changed, HistoryError> {
    let mut changed = Changed::default();
    for file in files {
        changed.keep_rows(def, file, |batch| {
            let deeds = batch.column(batch.schema().index_of("what")?);
            let deeds = deeds.as_string::<i32>().iter();
            let erasures = deeds.map(|what| Some(what.is_some_and(tells_of_an_erasure)));
            let is_new = compare(batch, def.time, |time| time >= due.cut)?;
            arrow::compute::or(&is_new, &erasures.collect())
        })?;
    }
    Ok(changed)
}

fn tells_of_an_erasure(what: &str) -> bool {
    let what: Option<Value> = serde_json::from_str(what).ok();
    what.is_some_and(|what| what.get("erased").is_some())
}

/// Rows that are past their time lose the addresses in them.
fn forget_addresses(
    def: &TableDef,
    due: Due,
    files: Vec<DataFile>,
) -> Result<Changed, HistoryError> {
    let failed = |error| HistoryError::rows(def, error);
    let mut changed = Changed::default();
    for file in files {
        let (mut n_found, mut batches) = (0, Vec::new());
        for batch in file.read(def)? {
            let (batch, n_of_batch) = without_addresses(&batch, due.cut).map_err(failed)?;
            n_found += n_of_batch;
            batches.push(batch);
        }
        if n_found > 0 {
            changed.n_rows += n_found;
            changed.batches.extend(batches);
            changed.removed.push(file);
        }
    }
    Ok(changed)
}

/// Minutes that are past their time become hours.
fn by_the_hour(def: &TableDef, due: Due, files: Vec<DataFile>) -> Result<Changed, HistoryError> {
    let failed = |error| HistoryError::rows(def, error);
    let mut changed = Changed::default();
    let mut minutes = Vec::new();
    for file in files {
        let (mut n_old, mut rest) = (0, Vec::new());
        for batch in file.read(def)? {
            let old = old_minutes(&batch, due.cut).map_err(failed)?;
            n_old += old.true_count();
            minutes.push(filter_record_batch(&batch, &old).map_err(failed)?);
            let others = arrow::compute::not(&old).map_err(failed)?;
            rest.push(filter_record_batch(&batch, &others).map_err(failed)?);
        }
        if n_old > 0 {
            changed.n_rows += n_old;
            changed.batches.extend(rest);
            changed.removed.push(file);
        }
    }
    if changed.n_rows > 0 {
        let minutes = concat_batches(&def.schema(), &minutes).map_err(failed)?;
        changed
            .batches
            .push(hourly::summed(&minutes).map_err(failed)?);
    }
    Ok(changed)
}

fn old_minutes(batch: &RecordBatch, cut: i64) -> Result<BooleanArray, ArrowError> {
    let is_minute = is_null(batch.column(batch.schema().index_of("n")?))?;
    let is_old = compare(batch, "at", |time| time < cut)?;
    arrow::compute::and(&is_minute, &is_old)
}

fn compare(
    batch: &RecordBatch,
    column: &str,
    is_true: impl Fn(i64) -> bool,
) -> Result<BooleanArray, ArrowError> {
    let times = batch.column(batch.schema().index_of(column)?);
    let times = times.as_primitive::<TimestampMicrosecondType>();
    Ok(times
        .values()
        .iter()
        .map(|time| Some(is_true(*time)))
        .collect())
}

/// The batch and how many of its rows had one.
fn without_addresses(batch: &RecordBatch, cut: i64) -> Result<(RecordBatch, usize), ArrowError> {
    let index = batch.schema().index_of("detail")?;
    let details = batch.column(index).as_string::<i32>();
    let is_old = compare(batch, "at", |time| time < cut)?;
    let mut n_changed = 0;
    let kept: StringArray = (0..details.len())
        .map(|row| {
            let detail = details.is_valid(row).then(|| details.value(row))?;
            let redacted = is_old.value(row).then(|| without_address(detail)).flatten();
            n_changed += usize::from(redacted.is_some());
            Some(redacted.unwrap_or_else(|| detail.to_owned()))
        })
        .collect();
    let mut columns = batch.columns().to_vec();
    columns[index] = Arc::new(kept);
    Ok((RecordBatch::try_new(batch.schema(), columns)?, n_changed))
}

/// The detail without addresses; `None` if there is none.
fn without_address(detail: &str) -> Option<String> {
    // Parsing millions of details for the few that have one would take minutes.
    if !ADDRESS_KEYS.iter().any(|key| detail.contains(key)) {
        return None;
    }
    let Ok(Value::Object(mut values)) = serde_json::from_str(detail) else {
        return None;
    };
    let n_before = values.len();
    values.retain(|key, _| !ADDRESS_KEYS.contains(&key.as_str()));
    (values.len() < n_before).then(|| Value::Object(values).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_and_the_rest_of_a_detail_stays() {
        assert_eq!(
            without_address(r#"{"address":"10.0.0.1","ok":true}"#).as_deref(),
            Some(r#"{"ok":true}"#)
        );
        assert_eq!(without_address(r#"{"profile":"the ip one"}"#), None);
        assert_eq!(without_address("not json, address"), None);
    }
}
