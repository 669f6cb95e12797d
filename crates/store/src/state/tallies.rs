//! The numbers that metrics count, as `state.db` keeps them, and which requests were counted.

use super::StateError;
use crate::tables::RowId;
use crate::tallies::{Change, Histogram, Labels, Tallied, TallyValue};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params};
use std::sync::Arc;

/// How long requests are remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// Requests that are remembered at most, of all hubs together.
const MOST_REQUESTS: i64 = 1_000_000;

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";
const HISTOGRAM: &str = "histogram";

/// All numbers of a hub.
pub(crate) fn load(connection: &Connection, hub: &str) -> Result<Tallied, StateError> {
    Ok(all(connection, hub)?.into_iter().collect())
}

/// The same, as they would be written.
pub(crate) fn all(connection: &Connection, hub: &str) -> Result<Vec<Change>, StateError> {
    let mut select = connection.prepare_cached(
        "select family, labels, whose, kind, value, counts from tallies where hub = ?1",
    )?;
    let mut rows = select.query([hub])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn read(row: &Row<'_>) -> Result<Change, StateError> {
    let family: String = row.get(0)?;
    let labels: String = row.get(1)?;
    let whose: Option<u32> = row.get(2)?;
    let kind: String = row.get(3)?;
    let value: f64 = row.get(4)?;
    let counts: Option<String> = row.get(5)?;
    let labels: Vec<Arc<str>> = serde_json::from_str(&labels)?;
    let value = match (kind.as_str(), counts) {
        (COUNTER, None) => TallyValue::Counter(value),
        (GAUGE, None) => TallyValue::Gauge(value),
        (HISTOGRAM, Some(counts)) => TallyValue::Histogram(Histogram {
            counts: serde_json::from_str(&counts)?,
            sum: value,
        }),
        _ => return Err(StateError::Corrupt(format!("a tally of kind `{kind}`"))),
    };
    Ok(Change {
        family: family.into(),
        whose: whose
            .and_then(|index| usize::try_from(index).ok())
            .filter(|index| *index < labels.len()),
        labels: labels.into(),
        value: Some(value),
    })
}

/// Writes numbers as they are now.
pub(crate) fn write(
    connection: &Connection,
    hub: &str,
    changes: &[Change],
) -> Result<(), StateError> {
    let mut insert = connection.prepare_cached(
        "insert or replace into tallies (hub, family, labels, whose, kind, value, counts)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut delete = connection
        .prepare_cached("delete from tallies where hub = ?1 and family = ?2 and labels = ?3")?;
    for change in changes {
        let labels = labels_text(&change.labels)?;
        let (kind, value, counts) = match &change.value {
            None => {
                delete.execute(params![hub, change.family, labels])?;
                continue;
            }
            Some(TallyValue::Counter(value)) => (COUNTER, *value, None),
            Some(TallyValue::Gauge(value)) => (GAUGE, *value, None),
            Some(TallyValue::Histogram(Histogram { counts, sum })) => {
                (HISTOGRAM, *sum, Some(serde_json::to_string(counts)?))
            }
        };
        let whose = change.whose.and_then(|index| u32::try_from(index).ok());
        insert.execute(params![
            hub,
            change.family,
            labels,
            whose,
            kind,
            value,
            counts
        ])?;
    }
    Ok(())
}

fn labels_text(labels: &Labels) -> Result<String, StateError> {
    Ok(serde_json::to_string(labels)?)
}

/// Whether a request comes for the first time; if so it is remembered.
///
/// Kept as a digest: whoever sends it may have put anybody's name into it.
pub(crate) fn claim_request(
    connection: &Connection,
    hub: &str,
    key: &str,
    now: Timestamp,
) -> Result<bool, StateError> {
    let before = now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
    connection
        .prepare_cached("delete from requests where at < ?1")?
        .execute([before.as_microsecond()])?;
    let digest = RowId::of(&["request", hub, key]);
    let n_new = connection
        .prepare_cached("insert or ignore into requests (hub, digest, at) values (?1, ?2, ?3)")?
        .execute(params![hub, digest.as_str(), now.as_microsecond()])?;
    if n_new > 0 {
        connection
            .prepare_cached("delete from requests where seq <= ?1")?
            .execute([connection.last_insert_rowid() - MOST_REQUESTS])?;
    }
    Ok(n_new > 0)
}
