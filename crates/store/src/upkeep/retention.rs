//! What is kept how long.

use super::hourly;
use super::{Rewritten, rewrite};
use crate::history::{History, HistoryError, Partition};
use crate::tables::{self, TableDef, month_of};
use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, is_null};
use arrow::datatypes::TimestampMicrosecondType;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
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
            observations_by_minute: days(60),
        }
    }
}

impl Retention {
    /// Events from before this are past their time.
    pub(crate) fn events_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.events.and_then(|kept| now.checked_sub(kept).ok())
    }

    /// Removes what is past its time from the hub's partitions; gives the number of rows.
    pub(crate) async fn apply(
        &self,
        history: &History,
        hub: &str,
        now: Timestamp,
    ) -> Result<usize, HistoryError> {
        let before =
            |kept: Option<SignedDuration>| kept.and_then(|kept| now.checked_sub(kept).ok());
        let mut n_rows = 0;
        if let Some(before) = before(self.events) {
            n_rows += expire(history, &tables::events::TABLE, hub, before).await?;
        }
        if let Some(before) = before(self.dead_letters) {
            n_rows += expire(history, &tables::dead_letters::TABLE, hub, before).await?;
        }
        if let Some(before) = before(self.addresses) {
            n_rows += forget_addresses(history, hub, before).await?;
        }
        if let Some(before) = before(self.observations_by_minute) {
            n_rows += by_the_hour(history, hub, before).await?;
        }
        Ok(n_rows)
    }
}

/// The hub's partitions that hold rows from before a time.
fn older(hub: &str, before: Timestamp) -> impl Fn(&Partition) -> bool + use<> {
    let (hub, month) = (hub.to_owned(), month_of(before));
    move |partition| partition.hub == hub && partition.month <= month
}

async fn expire(
    history: &History,
    def: &'static TableDef,
    hub: &str,
    before: Timestamp,
) -> Result<usize, HistoryError> {
    let Some(mut table) = history.table(def).await? else {
        return Ok(0);
    };
    let change = move |batch: RecordBatch| {
        let stays = compare(&batch, def.time, |time| time >= before.as_microsecond())?;
        let n_changed = stays.len() - stays.true_count();
        Ok(Rewritten {
            batch: filter_record_batch(&batch, &stays)?,
            n_changed,
        })
    };
    rewrite(&mut table, older(hub, before), Arc::new(change)).await
}

fn compare(
    batch: &RecordBatch,
    column: &str,
    is_true: impl Fn(i64) -> bool,
) -> Result<BooleanArray, arrow::error::ArrowError> {
    let times = batch.column(batch.schema().index_of(column)?);
    let times = times.as_primitive::<TimestampMicrosecondType>();
    Ok(times
        .values()
        .iter()
        .map(|time| Some(is_true(*time)))
        .collect())
}

async fn forget_addresses(
    history: &History,
    hub: &str,
    before: Timestamp,
) -> Result<usize, HistoryError> {
    let Some(mut table) = history.table(&tables::events::TABLE).await? else {
        return Ok(0);
    };
    let change = move |batch: RecordBatch| without_addresses(&batch, before);
    rewrite(&mut table, older(hub, before), Arc::new(change)).await
}

fn without_addresses(
    batch: &RecordBatch,
    before: Timestamp,
) -> Result<Rewritten, arrow::error::ArrowError> {
    let index = batch.schema().index_of("detail")?;
    let details = batch.column(index).as_string::<i32>();
    let is_old = compare(batch, "at", |time| time < before.as_microsecond())?;
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
    Ok(Rewritten {
        batch: RecordBatch::try_new(batch.schema(), columns)?,
        n_changed,
    })
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

async fn by_the_hour(
    history: &History,
    hub: &str,
    before: Timestamp,
) -> Result<usize, HistoryError> {
    let Some(mut table) = history.table(&tables::observations::TABLE).await? else {
        return Ok(0);
    };
    // Whole hours only: a half one would be summed up twice.
    let hour = SignedDuration::from_hours(1).as_micros();
    let hour = i64::try_from(hour).unwrap_or(i64::MAX);
    let before = before.as_microsecond().div_euclid(hour) * hour;
    let change = move |batch: RecordBatch| {
        let is_raw = is_null(batch.column(batch.schema().index_of("n")?))?;
        let is_old = compare(&batch, "at", |time| time < before)?;
        let old = arrow::compute::and(&is_raw, &is_old)?;
        let n_changed = old.true_count();
        if n_changed == 0 {
            return Ok(Rewritten { batch, n_changed });
        }
        let rest = filter_record_batch(&batch, &arrow::compute::not(&old)?)?;
        let summed = hourly::summed(&filter_record_batch(&batch, &old)?)?;
        let batch = arrow::compute::concat_batches(&batch.schema(), [&rest, &summed])?;
        Ok(Rewritten { batch, n_changed })
    };
    let until = Timestamp::from_microsecond(before).unwrap_or(Timestamp::MIN);
    rewrite(&mut table, older(hub, until), Arc::new(change)).await
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
