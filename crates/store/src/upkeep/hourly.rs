//! Observations by the minute summed up to one row per hour.

use crate::tables::{Observation, Row as _, RowId, batch_of, rows_of};
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use jiff::{Timestamp, TimestampRound, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;

type Key = (Arc<str>, Timestamp, Arc<str>, Arc<str>);

/// One row per hub, hour, name and labels, with smallest, mean, largest and last value.
pub(super) fn summed(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let failed = |error: crate::tables::RowsError| ArrowError::ExternalError(error.into());
    let rows: Vec<Observation> = rows_of(batch).map_err(failed)?;
    let mut hours: BTreeMap<Key, Vec<Observation>> = BTreeMap::new();
    for row in rows {
        let hour = row.at.round(
            TimestampRound::new()
                .smallest(Unit::Hour)
                .mode(jiff::RoundMode::Floor),
        );
        let hour = hour.unwrap_or(row.at);
        let key = (
            Arc::clone(&row.hub),
            hour,
            Arc::clone(&row.name),
            Arc::clone(&row.labels),
        );
        hours.entry(key).or_default().push(row);
    }
    let summed: Vec<Observation> = hours
        .into_iter()
        .map(|(key, rows)| hour_of(key, rows))
        .collect();
    batch_of(&summed).map_err(failed)
}

fn hour_of((hub, hour, name, labels): Key, mut rows: Vec<Observation>) -> Observation {
    rows.sort_by(|left, right| {
        left.time()
            .cmp(&right.time())
            .then_with(|| left.id.cmp(&right.id))
    });
    let values = rows.iter().map(|row| row.value);
    let n = rows.len();
    #[expect(clippy::cast_precision_loss, reason = "an hour has few values")]
    let mean = values.clone().sum::<f64>() / n as f64;
    Observation {
        id: RowId::of(&["hour", &hub, &hour.to_string(), &name, &labels]),
        at: hour,
        value: mean,
        min: values.clone().reduce(f64::min),
        max: values.clone().reduce(f64::max),
        last: rows.last().map(|row| row.value),
        n: i64::try_from(n).ok(),
        hub,
        name,
        labels,
    }
}
