//! Counters over hours: what was added to them, as their samples say.
//!
//! Nothing is estimated for the time before the first and after the last sample: `increase()` does so
//! in Prometheus and does not in VictoriaMetrics.

use super::asker::{Asker, Block, Extent, MARGIN, POD, milliseconds, pod_of};
use super::error::PrometheusError;
use super::promql::{Selector, grouped};
use super::reply::{Labels, Series};
use super::sums::PodHour;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Counters that went down are few, and their samples are looked at one by one; but not of more than
/// so many in an hour.
const MOST_LOOKS: usize = 200;
/// A counter that is first seen this long after it began counts from 0: two scrapes may lie between.
pub(super) const GRACE: SignedDuration = SignedDuration::from_mins(2);

/// A counter of pods.
#[derive(Debug)]
pub(super) struct Counter {
    metric: &'static str,
    select: fn(Selector) -> Selector,
    /// Labels that tell counters of a pod apart. A container that is started anew has another `id`.
    key: &'static [&'static str],
}

pub(super) const CONTAINER_KEY: &[&str] = &["container", "exported_container", "id", "name"];

/// CPU time in core seconds.
pub(super) const CPU: Counter = Counter {
    metric: "container_cpu_usage_seconds_total",
    select: |series| series.not_empty("name"),
    key: CONTAINER_KEY,
};

/// Bytes received, by the pod's network and not by container.
pub(super) const RECEIVED: Counter = Counter {
    metric: "container_network_receive_bytes_total",
    select: |series| series.differs("interface", "lo"),
    key: &["interface", "id", "name"],
};

/// Bytes sent.
pub(super) const SENT: Counter = Counter {
    metric: "container_network_transmit_bytes_total",
    ..RECEIVED
};

/// What began in an hour, so that its counters began at 0 in it.
#[derive(Debug, Default)]
pub(super) struct Began {
    pods: HashSet<(usize, Arc<str>)>,
    containers: HashSet<(usize, Key)>,
}

/// One counter, whoever tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) pod: Arc<str>,
    rest: Box<str>,
}

/// What is known of one counter in each hour.
#[derive(Debug)]
struct Course {
    /// Last values, from the hour before the first one on.
    last: Vec<Option<f64>>,
    /// Smallest values, which are the first ones unless it went down.
    first: Vec<Option<f64>>,
    /// Hours in which it went down.
    resets: HashSet<usize>,
    /// As its exporters label it.
    labels: Vec<Labels>,
}

impl Counter {
    /// Its series, whatever namespace they are of.
    pub(super) fn selector(&self) -> Selector {
        (self.select)(Selector::new(self.metric))
    }

    /// Labels by which it is asked for.
    pub(super) fn labels(&self) -> Vec<&'static str> {
        [&POD[..], self.key].concat()
    }

    fn query(&self, asker: &Asker<'_>, block: Block<'_>, operator: &str, function: &str) -> String {
        let window = block.window_ms(Extent::Hour);
        let series = asker.mine(self.selector()).over(function, window);
        grouped(operator, &self.labels(), &series)
    }

    /// Which counter a series is of.
    pub(super) fn key_of(&self, labels: &Labels) -> Key {
        Key::new(labels, self.key)
    }

    /// What each pod added to it in each hour.
    pub(super) async fn increases(
        &self,
        asker: &mut Asker<'_>,
        block: Block<'_>,
        began: &Began,
    ) -> Result<Vec<PodHour>, PrometheusError> {
        let courses = self.courses(asker, block).await?;
        let mut keys: Vec<&Key> = courses.keys().collect();
        // So that it is the same each time of which counters the samples are looked at.
        keys.sort_unstable();
        let mut n_looks = vec![0; block.hours.len()];
        let mut increases: HashMap<(usize, Arc<str>), f64> = HashMap::new();
        for key in keys {
            let course = &courses[key];
            for (hour, n_looks) in n_looks.iter_mut().enumerate() {
                // Whoever was there the hour before goes on from there.
                let is_new = course.last[hour].is_none() && began.includes(hour, key);
                let more = match course.increase(hour, is_new) {
                    Increase::NotSeen => continue,
                    Increase::Of(more) => more,
                    Increase::WentDown if *n_looks < MOST_LOOKS => {
                        *n_looks += 1;
                        self.look(asker, block, hour, course, is_new).await?
                    }
                    // At least what it has counted since.
                    Increase::WentDown => course.last[hour + 1].unwrap_or_default(),
                };
                let sum = increases.entry((hour, Arc::clone(&key.pod)));
                *sum.or_default() += more;
            }
        }
        let increases = increases.into_iter().map(|((hour, pod), value)| PodHour {
            hour,
            pod,
            kept: Arc::from(""),
            value,
        });
        Ok(increases.collect())
    }

    async fn courses(
        &self,
        asker: &mut Asker<'_>,
        block: Block<'_>,
    ) -> Result<HashMap<Key, Course>, PrometheusError> {
        let mut courses: HashMap<Key, Course> = HashMap::new();
        let n_hours = block.hours.len();
        let last = self.query(asker, block, "max", "last_over_time");
        let last = asker.hourly(&last, block, Extent::WithBefore).await?;
        for series in last.series {
            let course = courses.entry(self.key_of(&series.labels));
            let course = course.or_insert_with(|| Course::new(n_hours));
            for point in series.points {
                if let Some(value) = block
                    .index(point.at, Extent::WithBefore)
                    .and_then(|index| course.last.get_mut(index))
                {
                    *value = Some(value.map_or(point.value, |other| other.max(point.value)));
                }
            }
            course.labels.push(series.labels);
        }
        let first = self.query(asker, block, "min", "min_over_time");
        let first = asker.hourly(&first, block, Extent::Hour).await?;
        for series in &first.series {
            let Some(course) = courses.get_mut(&self.key_of(&series.labels)) else {
                continue;
            };
            for (hour, value) in hours_of(series, block) {
                let first = &mut course.first[hour];
                *first = Some(first.map_or(value, |other| other.min(value)));
            }
        }
        let resets = self.query(asker, block, "max", "resets");
        let resets = format!("{resets} > 0");
        let resets = asker.hourly(&resets, block, Extent::Hour).await?;
        for series in &resets.series {
            if let Some(course) = courses.get_mut(&self.key_of(&series.labels)) {
                course
                    .resets
                    .extend(hours_of(series, block).map(|(hour, _)| hour));
            }
        }
        Ok(courses)
    }

    /// From the samples of the hour and of as long a time before it.
    async fn look(
        &self,
        asker: &mut Asker<'_>,
        block: Block<'_>,
        hour: usize,
        course: &Course,
        is_new: bool,
    ) -> Result<f64, PrometheusError> {
        let span = block.hours[hour];
        let range = 2 * milliseconds(block.length());
        let mut most: f64 = 0.0;
        for labels in &course.labels {
            let selector = asker.of_pod(self.selector(), labels);
            let selector = self.key.iter().fold(selector, |selector, label| {
                selector.equals(label, labels.get(label))
            });
            let answer = asker.raw(&selector, range, span.end).await?;
            // Several exporters count the same.
            for series in &answer.series {
                most = most.max(added(series, span.start, is_new));
            }
        }
        Ok(most)
    }
}

/// What was added to a counter in an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Increase {
    /// There are no samples.
    NotSeen,
    Of(f64),
    /// First and last values do not say it.
    WentDown,
}

impl Course {
    fn new(n_hours: usize) -> Self {
        Self {
            last: vec![None; n_hours + 1],
            first: vec![None; n_hours],
            resets: HashSet::new(),
            labels: Vec::new(),
        }
    }

    fn increase(&self, hour: usize, is_new: bool) -> Increase {
        let (Some(first), Some(last)) = (self.first[hour], self.last[hour + 1]) else {
            return Increase::NotSeen;
        };
        let before = match self.last[hour] {
            Some(before) => before,
            None if is_new => 0.0,
            None => first,
        };
        if self.resets.contains(&hour) || first < before {
            return Increase::WentDown;
        }
        Increase::Of(last - before)
    }
}

impl Began {
    /// Which pods and containers began in each hour.
    pub(super) async fn find(
        asker: &mut Asker<'_>,
        block: Block<'_>,
    ) -> Result<Self, PrometheusError> {
        let mut began = Self::default();
        let mut answer = Self::ask(asker, block, "kube_pod_created").await?;
        // A pod may wait for a node over the full hour; and where only one of the two is told, an hour
        // must not depend on what others did in its block.
        answer.extend(Self::ask(asker, block, "kube_pod_start_time").await?);
        for series in &answer {
            let pod: Arc<str> = pod_of(&series.labels).into();
            for point in &series.points {
                let hour = block.index(point.at, Extent::Around);
                began.pods.extend(hour.map(|hour| (hour, Arc::clone(&pod))));
            }
        }
        let labels = [&POD[..], CONTAINER_KEY].concat();
        let started = asker.mine(started_selector());
        let started = started.over("max_over_time", block.window_ms(Extent::Hour));
        let since = (block.length() + GRACE).as_secs();
        let query = format!("{} > time() - {since}", grouped("max", &labels, &started));
        let answer = asker.hourly(&query, block, Extent::Hour).await?;
        for series in &answer.series {
            let key = Key::new(&series.labels, CONTAINER_KEY);
            let hours = hours_of(series, block);
            began
                .containers
                .extend(hours.map(|(hour, _)| (hour, key.clone())));
        }
        Ok(began)
    }

    async fn ask(
        asker: &mut Asker<'_>,
        block: Block<'_>,
        metric: &str,
    ) -> Result<Vec<Series>, PrometheusError> {
        let created = asker.mine(Selector::new(metric));
        let created = created.over("max_over_time", block.window_ms(Extent::Around));
        let since = (block.length() + GRACE + MARGIN).as_secs();
        let query = format!("{} > time() - {since}", grouped("max", &POD, &created));
        Ok(asker.hourly(&query, block, Extent::Around).await?.series)
    }

    fn includes(&self, hour: usize, key: &Key) -> bool {
        self.pods.contains(&(hour, Arc::clone(&key.pod)))
            || self.containers.contains(&(hour, key.clone()))
    }
}

/// When containers started, in seconds since 1970.
pub(super) fn started_selector() -> Selector {
    Selector::new("container_start_time_seconds").not_empty("name")
}

impl Key {
    fn new(labels: &Labels, names: &[&str]) -> Self {
        let container = match labels.get("exported_container") {
            "" => labels.get("container"),
            exported => exported,
        };
        let mut rest = String::new();
        for name in names {
            match *name {
                "container" => rest.push_str(container),
                "exported_container" => continue,
                name => rest.push_str(labels.get(name)),
            }
            rest.push('\u{1f}');
        }
        Self {
            pod: pod_of(labels).into(),
            rest: rest.into(),
        }
    }
}

fn hours_of(series: &Series, block: Block<'_>) -> impl Iterator<Item = (usize, f64)> {
    let points = series.points.iter();
    points.filter_map(move |point| Some((block.index(point.at, Extent::Hour)?, point.value)))
}

/// The sum of all steps upwards after this moment; a step downwards is a new beginning at 0.
fn added(series: &Series, start: Timestamp, is_new: bool) -> f64 {
    let n_before = series.points.partition_point(|point| point.at <= start);
    let (before, points) = series.points.split_at(n_before);
    let mut last = match (before.last(), points.first()) {
        (Some(before), _) => before.value,
        (None, Some(first)) if !is_new => first.value,
        _ => 0.0,
    };
    let mut sum = 0.0;
    for point in points {
        let step = point.value - last;
        sum += if step < 0.0 { point.value } else { step };
        last = point.value;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::reply::Point;
    use super::*;

    fn series(values: &[(i64, f64)]) -> Series {
        let point = |(second, value): &(i64, f64)| Point {
            at: Timestamp::from_second(*second).unwrap(),
            value: *value,
        };
        Series {
            labels: Labels::default(),
            points: values.iter().map(point).collect(),
        }
    }

    #[test]
    fn a_counter_that_goes_down_begins_anew() {
        let start = Timestamp::from_second(100).unwrap();
        let check = |values: &[(i64, f64)], is_new, expected: f64| {
            let sum = added(&series(values), start, is_new);
            assert!((sum - expected).abs() < 1e-9, "{values:?}: {sum}");
        };
        check(&[(90, 5.0), (110, 7.0), (120, 1.0), (130, 4.0)], false, 6.0);
        check(&[(110, 7.0), (120, 9.0)], false, 2.0);
        check(&[(110, 7.0), (120, 9.0)], true, 9.0);
        // A sample at the full hour belongs to the hour before.
        check(&[(100, 7.0), (120, 9.0)], true, 2.0);
        check(&[(90, 7.0)], true, 0.0);
        check(&[], false, 0.0);
    }

    #[test]
    fn what_first_and_last_values_do_not_say_is_looked_at() {
        let mut course = Course::new(3);
        course.last = vec![Some(10.0), Some(15.0), Some(12.0), None];
        course.first = vec![Some(11.0), Some(2.0), None];
        assert_eq!(course.increase(0, false), Increase::Of(5.0));
        assert_eq!(course.increase(1, false), Increase::WentDown);
        assert_eq!(course.increase(2, false), Increase::NotSeen);
        course.resets.insert(0);
        assert_eq!(course.increase(0, false), Increase::WentDown);
        course.last[0] = None;
        course.resets.clear();
        assert_eq!(course.increase(0, false), Increase::Of(4.0));
        assert_eq!(course.increase(0, true), Increase::Of(15.0));
    }
}
