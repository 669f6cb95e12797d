//! What metrics count: numbers by label values that survive restarts.
//!
//! The numbers are in `state.db` ([`crate::state::tallies`]) and in memory, where a scrape reads
//! them without asking the database. Here are their rules: how changes add up, and how many
//! label sets a family may have. What is counted, and under which names, is up to whoever counts.

mod memory;

pub use memory::Tallied;
pub(crate) use memory::{Change, Tallies};

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Longer values of labels are called [`OTHER`]. They are not cut: half of a name would still be a
/// name, and nobody could find it to erase it.
pub const LABEL_MAX_BYTES: usize = 100;
/// What label values are called for which there is no place.
pub const OTHER: &str = "other";
/// Whose numbers those of an erased person become.
pub const ANONYMOUS: &str = "anonymous";
/// Whose numbers are nobody's in particular.
const NOBODY: [&str; 4] = [ANONYMOUS, OTHER, "system", ""];

/// A family of numbers.
#[derive(Debug)]
pub struct TallyDef {
    /// Without the prefix.
    pub name: &'static str,
    /// What kind of number.
    pub kind: TallyKind,
    /// Names of the labels.
    pub labels: &'static [&'static str],
    /// Which of the labels names a user.
    pub whose: Option<usize>,
}

/// What kind of number a family holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TallyKind {
    /// Only goes up.
    Counter,
    /// The last value.
    Gauge,
    /// How often something was at most as large as each of these bounds, which go up.
    Histogram(&'static [f64]),
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub enum TallyValue {
    /// Only goes up.
    Counter(f64),
    /// The last value.
    Gauge(f64),
    /// A distribution.
    Histogram(Histogram),
}

/// A distribution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many were in each bucket alone; behind the last bound there is one more.
    pub counts: Vec<u64>,
    /// Sum of everything.
    pub sum: f64,
}

impl Histogram {
    /// Nothing yet.
    pub fn empty(bounds: &[f64]) -> Self {
        Self {
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// Counts one value.
    pub fn observe(&mut self, bounds: &[f64], value: f64) {
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.sum = sum(self.sum, value);
    }

    /// Adds another one of the same bounds; what another version kept with more of them is behind
    /// the last.
    pub fn add(&mut self, other: &Self) {
        for (bucket, more) in other.counts.iter().enumerate() {
            let last = self.counts.len().saturating_sub(1);
            if let Some(count) = self.counts.get_mut(bucket.min(last)) {
                *count = count.saturating_add(*more);
            }
        }
        self.sum = sum(self.sum, other.sum);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Never infinite, so that it can always be written.
fn sum(left: f64, right: f64) -> f64 {
    (left + right).clamp(f64::MIN, f64::MAX)
}

/// A change of one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    pub(crate) family: Family,
    pub(crate) labels: Labels,
    pub(crate) change: TallyValue,
}

/// Values of a family's labels, in their order.
pub type Labels = Box<[Arc<str>]>;

/// A definition, compared by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family(pub(crate) &'static TallyDef);

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Tally {
    /// Counts up. What is negative or no number counts nothing; 0 makes the counter begin.
    pub fn add(def: &'static TallyDef, labels: &[&str], amount: f64) -> Self {
        let amount = if amount.is_finite() { amount } else { 0.0 };
        Self::new(def, labels, TallyValue::Counter(amount.max(0.0)))
    }

    /// Sets a gauge; what is no number is 0.
    pub fn set(def: &'static TallyDef, labels: &[&str], value: f64) -> Self {
        let value = if value.is_finite() { value } else { 0.0 };
        Self::new(def, labels, TallyValue::Gauge(value))
    }

    /// Counts one value of a distribution.
    pub fn observe(def: &'static TallyDef, labels: &[&str], value: f64) -> Self {
        let bounds = def.bounds();
        let mut histogram = Histogram::empty(bounds);
        if value.is_finite() {
            histogram.observe(bounds, value);
        }
        Self::new(def, labels, TallyValue::Histogram(histogram))
    }

    /// Adds to a distribution what somebody else counted.
    pub fn merge(def: &'static TallyDef, labels: &[&str], histogram: Histogram) -> Self {
        Self::new(def, labels, TallyValue::Histogram(histogram))
    }

    /// What it changes.
    pub fn def(&self) -> &'static TallyDef {
        self.family.0
    }

    /// Of which labels.
    pub fn labels(&self) -> &[Arc<str>] {
        &self.labels
    }

    /// What is added, or the value that is set.
    pub fn change(&self) -> &TallyValue {
        &self.change
    }

    fn new(def: &'static TallyDef, labels: &[&str], change: TallyValue) -> Self {
        debug_assert_eq!(def.labels.len(), labels.len(), "{}", def.name);
        let bounded = labels.iter().map(|label| match label.len() {
            0..=LABEL_MAX_BYTES => Arc::from(*label),
            _ => Arc::from(OTHER),
        });
        Self {
            family: Family(def),
            labels: bounded.collect(),
            change,
        }
    }
}

impl TallyDef {
    /// Of a histogram; else none.
    pub fn bounds(&self) -> &'static [f64] {
        match self.kind {
            TallyKind::Histogram(bounds) => bounds,
            TallyKind::Counter | TallyKind::Gauge => &[],
        }
    }
}

impl TallyValue {
    /// The number after a change of it. Of another kind, as another version may have kept it, the
    /// change is all there is.
    pub(crate) fn changed(self, change: &Self) -> Self {
        match (self, change) {
            (Self::Counter(before), Self::Counter(more)) => Self::Counter(sum(before, *more)),
            (Self::Histogram(before), Self::Histogram(more)) => {
                let mut after = Histogram {
                    counts: vec![0; more.counts.len()],
                    sum: 0.0,
                };
                after.add(&before);
                after.add(more);
                Self::Histogram(after)
            }
            (_, change) => change.clone(),
        }
    }
}
