//! What was used, as rows of the history. The same input gives the same ids, by whatever road.

use crate::collect::observation;
use crate::hub::Number;
use crate::sources::prometheus::{HourUnattributed, HourUse};
use crate::sources::{HomeSize, Unattributed};
use jiff::Timestamp;
use jiff::civil::Date;
use model::usage::Totals;
use std::sync::Arc;
use store::tables::{Observation, RowId, Storage, Usage};

/// An hour of an account.
pub fn usage_row(hub: &Arc<str>, used: &HourUse) -> Usage {
    let HourUse {
        hour,
        account,
        totals,
    } = used;
    let name = account.user.as_str();
    let at = hour.as_microsecond().to_string();
    let id = match &account.server {
        Some(server) => RowId::of(&["usage", hub, &at, name, server]),
        None => RowId::of(&["usage", hub, &at, name]),
    };
    Usage {
        id,
        revision: 0,
        hub: Arc::clone(hub),
        hour: *hour,
        user: account.user.clone(),
        server: account.server.clone(),
        cpu_core_seconds: totals.cpu_core_seconds,
        memory_byte_seconds: totals.memory_byte_seconds,
        cpu_requested_core_seconds: totals.cpu_requested_core_seconds,
        memory_requested_byte_seconds: totals.memory_requested_byte_seconds,
        gpu_requested_seconds: totals.gpu_requested_seconds,
        gpu_used_seconds: totals.gpu_used_seconds,
        network_rx_bytes: totals.network_rx_bytes,
        network_tx_bytes: totals.network_tx_bytes,
        memory_peak_bytes: totals.memory_peak_bytes,
        samples: i64::try_from(totals.samples).unwrap_or(i64::MAX),
    }
}

/// A home on a day; of several looks on one day the last one, at `at`, counts.
pub fn storage_row(hub: &Arc<str>, day: Date, home: &HomeSize, at: Timestamp) -> Storage {
    let user = home.user.as_str();
    Storage {
        id: RowId::of(&["storage", hub, &day.to_string(), user]),
        revision: at.as_second(),
        hub: Arc::clone(hub),
        day,
        user: home.user.clone(),
        home_bytes: home.bytes,
        files: home.files.and_then(|files| i64::try_from(files).ok()),
    }
}

/// What an hour's unattributed use comes to, dated by the hour's start.
pub fn unattributed_observations(hub: &Arc<str>, used: &HourUnattributed) -> Vec<Observation> {
    let Totals {
        cpu_core_seconds,
        memory_byte_seconds,
        gpu_used_seconds,
        ..
    } = used.totals;
    let sums = [
        ("usage_unattributed_cpu_core_seconds", cpu_core_seconds),
        (
            "usage_unattributed_memory_byte_seconds",
            memory_byte_seconds,
        ),
        ("usage_unattributed_gpu_used_seconds", gpu_used_seconds),
    ];
    let known = sums
        .into_iter()
        .filter_map(|(name, sum)| Some(number(name, used.reason, sum?)));
    known
        .map(|number| Observation {
            // By the hour already, so that it is not made so again when it is old.
            min: Some(number.value),
            max: Some(number.value),
            last: Some(number.value),
            n: Some(1),
            ..observation(hub, &number, used.hour)
        })
        .collect()
}

/// What is unattributed at a moment.
pub fn unattributed_numbers(unattributed: &[Unattributed]) -> Vec<Number> {
    let mut numbers = Vec::new();
    for it in unattributed {
        let amounts = [
            ("usage_unattributed_cpu_cores", it.amounts.cpu_cores),
            ("usage_unattributed_memory_bytes", it.amounts.memory_bytes),
            ("usage_unattributed_home_bytes", it.home_bytes),
        ];
        let known = amounts.into_iter();
        numbers.extend(known.filter_map(|(name, sum)| Some(number(name, it.reason, sum?))));
    }
    numbers
}

fn number(name: &'static str, reason: &str, value: f64) -> Number {
    Number {
        name: name.into(),
        labels: vec![("reason".to_owned(), reason.to_owned())],
        value,
    }
}
