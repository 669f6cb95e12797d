//! What servers use: at a moment, and summed over time.
//!
//! Where it is read (Prometheus, the kernel) does not belong here, nor to which group it counts
//! ([`crate::attribution`]). `None` is unknown everywhere, never zero.

use crate::names::UserName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who is charged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The user.
    pub user: UserName,
    /// The server, `""` is the default one; `None` where a user's servers cannot be told apart.
    pub server: Option<Arc<str>>,
}

/// What is used at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amounts {
    /// Cores, over the last seconds or minutes.
    pub cpu_cores: Option<f64>,
    /// Memory in bytes: working set of pods and units, proportional set size of processes.
    pub memory_bytes: Option<f64>,
    /// Cores that were asked for: a pod's requests, a unit's quota.
    pub cpu_requested_cores: Option<f64>,
    /// Memory that was asked for, in bytes.
    pub memory_requested_bytes: Option<f64>,
    /// Memory that it cannot have more of, in bytes; `None` also where nothing limits it.
    pub memory_limit_bytes: Option<f64>,
    /// GPUs that were asked for.
    pub gpus_requested: Option<f64>,
    /// GPUs at work: 0.5 is one at half of its time.
    pub gpus_used: Option<f64>,
    /// Bytes received per second.
    pub network_rx_bytes_per_second: Option<f64>,
    /// Bytes sent per second.
    pub network_tx_bytes_per_second: Option<f64>,
}

/// What was used over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Core seconds used.
    pub cpu_core_seconds: Option<f64>,
    /// Byte seconds used.
    pub memory_byte_seconds: Option<f64>,
    /// Core seconds asked for.
    pub cpu_requested_core_seconds: Option<f64>,
    /// Byte seconds asked for.
    pub memory_requested_byte_seconds: Option<f64>,
    /// GPU seconds asked for.
    pub gpu_requested_seconds: Option<f64>,
    /// GPU seconds at work.
    pub gpu_used_seconds: Option<f64>,
    /// Bytes received.
    pub network_rx_bytes: Option<f64>,
    /// Bytes sent.
    pub network_tx_bytes: Option<f64>,
    /// Most memory of one pod, unit or server at a moment, in bytes.
    pub memory_peak_bytes: Option<f64>,
    /// Measurements that this is made of.
    pub samples: u64,
}

/// What one account used from one moment to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Increment {
    /// Who.
    pub account: Account,
    /// From when.
    pub from: Timestamp,
    /// Until when; not before `from`.
    pub until: Timestamp,
    /// How much.
    pub totals: Totals,
}

/// What a user used on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Core seconds used.
    pub cpu_core_seconds: Option<f64>,
    /// Byte seconds used.
    pub memory_byte_seconds: Option<f64>,
    /// GPU seconds asked for.
    pub gpu_seconds: Option<f64>,
}

/// Adds up what a user's servers used in the hours of a day. The sum is the same to the last bit in
/// whatever order hours come, so that a day that is summed again has not changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsedSum([Vec<f64>; 3]);

impl Used {
    /// Whether anything was used; what is unknown and what is zero is nothing.
    pub fn is_any(&self) -> bool {
        let amounts = [
            self.cpu_core_seconds,
            self.memory_byte_seconds,
            self.gpu_seconds,
        ];
        amounts.into_iter().flatten().any(|amount| amount > 0.0)
    }
}

impl UsedSum {
    /// Adds an hour of a server.
    pub fn add(&mut self, hour: &Used) {
        let amounts = [
            hour.cpu_core_seconds,
            hour.memory_byte_seconds,
            hour.gpu_seconds,
        ];
        for (known, amount) in self.0.iter_mut().zip(amounts) {
            known.extend(amount.filter(|amount| amount.is_finite()));
        }
    }

    /// What that comes to; what none of the hours tells is unknown.
    pub fn total(self) -> Used {
        let [cpu_core_seconds, memory_byte_seconds, gpu_seconds] = self.0.map(|mut known| {
            known.sort_unstable_by(f64::total_cmp);
            (!known.is_empty()).then(|| known.into_iter().fold(0.0, |sum, more| sum + more))
        });
        Used {
            cpu_core_seconds,
            memory_byte_seconds,
            gpu_seconds,
        }
    }
}

/// The sum of two amounts of which one may be unknown.
fn sum(left: Option<f64>, right: Option<f64>) -> Option<f64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left + right),
        (known, None) | (None, known) => known,
    }
}

impl Amounts {
    /// Adds what another pod or server uses. What is unknown of one of two is taken from the other.
    pub fn add(&mut self, more: &Self) {
        self.each_with(more, |left, right| *left = sum(*left, right));
    }

    /// So much of it.
    #[must_use]
    pub fn times(mut self, share: f64) -> Self {
        let same = self;
        self.each_with(&same, |amount, _| {
            *amount = amount.map(|amount| amount * share);
        });
        self
    }

    fn each_with(&mut self, other: &Self, mut work: impl FnMut(&mut Option<f64>, Option<f64>)) {
        work(&mut self.cpu_cores, other.cpu_cores);
        work(&mut self.memory_bytes, other.memory_bytes);
        work(&mut self.cpu_requested_cores, other.cpu_requested_cores);
        work(
            &mut self.memory_requested_bytes,
            other.memory_requested_bytes,
        );
        work(&mut self.memory_limit_bytes, other.memory_limit_bytes);
        work(&mut self.gpus_requested, other.gpus_requested);
        work(&mut self.gpus_used, other.gpus_used);
        let (rx, tx) = (
            other.network_rx_bytes_per_second,
            other.network_tx_bytes_per_second,
        );
        work(&mut self.network_rx_bytes_per_second, rx);
        work(&mut self.network_tx_bytes_per_second, tx);
    }
}

impl Totals {
    /// Adds what was used beside or after it; the peak is the larger one.
    pub fn add(&mut self, more: &Self) {
        let peak = match (self.memory_peak_bytes, more.memory_peak_bytes) {
            (Some(left), Some(right)) => Some(left.max(right)),
            (known, None) | (None, known) => known,
        };
        self.each_sum_with(more, |left, right| *left = sum(*left, right));
        self.memory_peak_bytes = peak;
        self.samples += more.samples;
    }

    /// So much of every sum; peak and samples stay.
    #[must_use]
    pub fn times(mut self, share: f64) -> Self {
        let same = self;
        self.each_sum_with(&same, |amount, _| {
            *amount = amount.map(|amount| amount * share);
        });
        self
    }

    fn each_sum_with(&mut self, other: &Self, mut work: impl FnMut(&mut Option<f64>, Option<f64>)) {
        work(&mut self.cpu_core_seconds, other.cpu_core_seconds);
        work(&mut self.memory_byte_seconds, other.memory_byte_seconds);
        work(
            &mut self.cpu_requested_core_seconds,
            other.cpu_requested_core_seconds,
        );
        work(
            &mut self.memory_requested_byte_seconds,
            other.memory_requested_byte_seconds,
        );
        work(&mut self.gpu_requested_seconds, other.gpu_requested_seconds);
        work(&mut self.gpu_used_seconds, other.gpu_used_seconds);
        work(&mut self.network_rx_bytes, other.network_rx_bytes);
        work(&mut self.network_tx_bytes, other.network_tx_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_of_both_stays_unknown() {
        let mut totals = Totals {
            cpu_core_seconds: Some(1.0),
            memory_peak_bytes: Some(5.0),
            samples: 2,
            ..Totals::default()
        };
        totals.add(&Totals {
            cpu_core_seconds: Some(2.0),
            memory_byte_seconds: Some(7.0),
            memory_peak_bytes: Some(4.0),
            samples: 3,
            ..Totals::default()
        });
        let expected = Totals {
            cpu_core_seconds: Some(3.0),
            memory_byte_seconds: Some(7.0),
            memory_peak_bytes: Some(5.0),
            samples: 5,
            ..Totals::default()
        };
        assert_eq!(totals, expected);
        assert_eq!(totals.times(0.5).cpu_core_seconds, Some(1.5));
        assert_eq!(totals.times(0.5).samples, 5);
    }

    #[test]
    fn a_day_is_the_same_in_whatever_order_its_hours_come() {
        let hour = |cpu, gpu| Used {
            cpu_core_seconds: cpu,
            memory_byte_seconds: None,
            gpu_seconds: gpu,
        };
        let hours = [0.1, 1e16, 0.2, 3.0, 0.7].map(|cpu| hour(Some(cpu), Some(0.0)));
        let sum = |hours: &mut dyn Iterator<Item = Used>| {
            let mut sum = UsedSum::default();
            hours.for_each(|hour| sum.add(&hour));
            sum.total()
        };
        let forwards = sum(&mut hours.into_iter());
        assert_eq!(forwards, sum(&mut hours.into_iter().rev()));
        assert_eq!(forwards.memory_byte_seconds, None);
        assert_eq!(forwards.gpu_seconds, Some(0.0));
        assert!(forwards.is_any() && !hour(Some(0.0), None).is_any());
        assert_eq!(sum(&mut std::iter::empty()), Used::default());
    }
}
