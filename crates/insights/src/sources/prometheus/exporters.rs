//! Two exporters that tell of the same pod: do they say everything twice, or has one taken over from
//! the other?
//!
//! Both happen. A second kube-state-metrics, or a second job that scrapes the same kubelet, doubles
//! everything; one that is started anew has another address, and says the rest of the hour. What is
//! doubled counts once, what is said in turns is added up.

use super::asker::{Asker, Block, milliseconds};
use super::error::PrometheusError;
use super::gauge::Gauge;
use super::reply::{Labels, Series};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Samples of two exporters that cover more than this of an hour were not taken in turns.
const WHOLE: f64 = 1.1;
/// Pairs of exporters whose samples are looked at in one hour; of all others it is taken that they
/// double each other, which counts too little rather than too much.
const MOST_LOOKS: usize = 20;

/// What one exporter says of a pod in an hour.
#[derive(Clone, Debug)]
pub(super) struct Said<'a> {
    pub(super) exporter: Arc<str>,
    /// Number of its samples.
    pub(super) n_samples: f64,
    /// Time between two of its samples.
    pub(super) interval_seconds: f64,
    pub(super) labels: &'a Labels,
}

impl Said<'_> {
    fn covered_seconds(&self) -> f64 {
        self.n_samples * self.interval_seconds
    }
}

/// What is said of each pod and hour, by one gauge.
pub(super) type Statements<'a> = HashMap<(usize, Arc<str>), Vec<Said<'a>>>;

/// Pairs of exporters that say the same at the same time, by hour. The first of two sorts first.
#[derive(Debug, Default)]
pub(super) struct Doubles {
    pairs: HashSet<Pair>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Pair {
    hour: usize,
    first: Arc<str>,
    second: Arc<str>,
}

impl Pair {
    fn new(hour: usize, left: &Arc<str>, right: &Arc<str>) -> Self {
        let (first, second) = if left <= right {
            (left, right)
        } else {
            (right, left)
        };
        Self {
            hour,
            first: Arc::clone(first),
            second: Arc::clone(second),
        }
    }
}

/// The pod by which it is found out about a pair.
struct Example<'a> {
    pod: &'a str,
    covered_seconds: f64,
    left: &'a Said<'a>,
    right: &'a Said<'a>,
}

impl Doubles {
    /// Finds out about all pairs that tell of the same pod.
    pub(super) async fn find(
        asker: &mut Asker<'_>,
        block: Block<'_>,
        gauge: &Gauge,
        statements: &Statements<'_>,
    ) -> Result<Self, PrometheusError> {
        let mut doubles = Self::default();
        let mut examples: BTreeMap<Pair, Example<'_>> = BTreeMap::new();
        for ((hour, pod), said) in statements {
            for (index, left) in said.iter().enumerate() {
                for right in &said[index + 1..] {
                    let pair = Pair::new(*hour, &left.exporter, &right.exporter);
                    let example = Example {
                        pod,
                        covered_seconds: left.covered_seconds() + right.covered_seconds(),
                        left,
                        right,
                    };
                    let better = examples
                        .get(&pair)
                        .is_none_or(|other| example.is_better_than(other));
                    if better {
                        examples.insert(pair, example);
                    }
                }
            }
        }
        let mut n_looks: HashMap<usize, usize> = HashMap::new();
        for (pair, example) in examples {
            let sure = example.covered_seconds > block.seconds() * WHOLE + example.slack_seconds();
            let n_looks = n_looks.entry(pair.hour).or_default();
            if sure || *n_looks >= MOST_LOOKS {
                doubles.pairs.insert(pair);
                continue;
            }
            *n_looks += 1;
            if example.overlaps(asker, block, pair.hour, gauge).await? {
                doubles.pairs.insert(pair);
            }
        }
        Ok(doubles)
    }

    /// What several exporters say together: those in turns added up, and of what is said at the same
    /// time the most.
    pub(super) fn together(&self, hour: usize, said: &[(Arc<str>, f64)]) -> f64 {
        if let [(_, value)] = said {
            return *value;
        }
        let mut sorted: Vec<_> = said.iter().collect();
        sorted.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        let mut shifts: Vec<Vec<&(Arc<str>, f64)>> = Vec::new();
        for value in sorted {
            let doubles = |other: &(Arc<str>, f64)| {
                let pair = Pair::new(hour, &other.0, &value.0);
                self.pairs.contains(&pair)
            };
            let shift = shifts
                .iter_mut()
                .find(|others| !others.iter().any(|other| doubles(other)));
            match shift {
                Some(others) => others.push(value),
                None => shifts.push(vec![value]),
            }
        }
        let sums = shifts
            .iter()
            .map(|values| values.iter().map(|(_, value)| value).sum::<f64>());
        sums.fold(0.0, f64::max)
    }
}

impl Example<'_> {
    /// A pod that was there for longer says more; of two the one that sorts first, so that it is the
    /// same each time.
    fn is_better_than(&self, other: &Self) -> bool {
        let by_time = self.covered_seconds.total_cmp(&other.covered_seconds);
        by_time.then_with(|| other.pod.cmp(self.pod)).is_gt()
    }

    fn slack_seconds(&self) -> f64 {
        2.0 * self.left.interval_seconds.max(self.right.interval_seconds)
    }

    /// Whether both told of this pod at the same time.
    async fn overlaps(
        &self,
        asker: &mut Asker<'_>,
        block: Block<'_>,
        hour: usize,
        gauge: &Gauge,
    ) -> Result<bool, PrometheusError> {
        let hour = block.hours[hour];
        let mut spans = Vec::new();
        for said in [self.left, self.right] {
            let selector = gauge.same_exporter(asker, said.labels);
            let range = milliseconds(block.length());
            let answer = asker.raw(&selector, range, hour.end).await?;
            spans.extend(span(&answer.series, hour.start));
        }
        let [left, right] = spans[..] else {
            return Ok(false);
        };
        let interval = self.slack_seconds() / 2.0;
        Ok(are_at_once(left, right, interval))
    }
}

/// Whether two exporters with these first and last samples of a pod told of it at the same time.
fn are_at_once(
    left: (Timestamp, Timestamp),
    right: (Timestamp, Timestamp),
    interval_seconds: f64,
) -> bool {
    let length = |span: (Timestamp, Timestamp)| span.1.duration_since(span.0).as_secs_f64();
    let shared = length((left.0.max(right.0), left.1.min(right.1)));
    // While one takes over from the other both tell for a moment, of all pods.
    let shorter = length(left).min(length(right));
    let is_long = shared > (2.0 * interval_seconds).max(shorter / 2.0);
    // Who takes over begins later and ends later: not so of a pod with few samples in the hour.
    let is_within = |one: (Timestamp, Timestamp), other: (Timestamp, Timestamp)| {
        other.0 <= one.0 && one.1 <= other.1
    };
    let apart = |one, other| length((one, other)).abs() < interval_seconds;
    let are_alike = apart(left.0, right.0) && apart(left.1, right.1);
    is_long || is_within(left, right) || is_within(right, left) || are_alike
}

/// First and last sample after this moment.
fn span(series: &[Series], after: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let points = series.iter().flat_map(|series| &series.points);
    let times = points.map(|point| point.at).filter(|at| *at > after);
    times.fold(None, |span, at| match span {
        None => Some((at, at)),
        Some((first, last)) => Some((at.min(first), at.max(last))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_with_few_samples_are_at_once_unless_one_follows_the_other() {
        let check = |left: (i64, i64), right: (i64, i64), expected| {
            let span = |(first, last)| {
                let at = |second| Timestamp::from_second(second).unwrap();
                (at(first), at(last))
            };
            let (left, right) = (span(left), span(right));
            assert_eq!(
                are_at_once(left, right, 60.0),
                expected,
                "{left:?} {right:?}"
            );
            assert_eq!(
                are_at_once(right, left, 60.0),
                expected,
                "{right:?} {left:?}"
            );
        };
        check((0, 1800), (1830, 3600), false);
        check((0, 1860), (1800, 3600), false);
        check((0, 3600), (0, 3600), true);
        // The first or last minutes of a pod's life.
        check((0, 0), (0, 0), true);
        check((0, 0), (30, 30), true);
        check((0, 60), (30, 90), true);
        check((0, 0), (60, 60), false);
        check((0, 60), (120, 180), false);
        // The second began shortly before the end of the hour.
        check((0, 3600), (3590, 3590), true);
        check((0, 3540), (3590, 3590), false);
    }

    #[test]
    fn turns_are_added_up_and_doubles_count_once() {
        let exporter = |name: &str| -> Arc<str> { name.into() };
        let mut doubles = Doubles::default();
        let said = [
            (exporter("c"), 30.0),
            (exporter("a"), 10.0),
            (exporter("b"), 15.0),
        ];
        assert!((doubles.together(0, &said) - 55.0).abs() < 1e-9);
        for other in ["a", "b"] {
            let pair = Pair::new(0, &exporter("c"), &exporter(other));
            doubles.pairs.insert(pair);
        }
        // `a` and `b` take turns beside `c`.
        assert!((doubles.together(0, &said) - 30.0).abs() < 1e-9);
        let said = [
            (exporter("c"), 20.0),
            (exporter("a"), 10.0),
            (exporter("b"), 15.0),
        ];
        assert!((doubles.together(0, &said) - 25.0).abs() < 1e-9);
        assert!((doubles.together(0, &said[..1]) - 20.0).abs() < 1e-9);
    }
}
