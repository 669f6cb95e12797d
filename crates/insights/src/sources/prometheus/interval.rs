//! How far apart the samples of a gauge are: nobody says it, so it is seen from the samples.
//!
//! A sum of samples times their interval is what was used. What comes out for an hour depends on that
//! hour's samples alone, so that it is the same whenever and with whatever other hours it is asked.

use super::asker::{Asker, Block, Extent, milliseconds, pod_of};
use super::error::PrometheusError;
use super::gauge::Gauge;
use super::promql::Selector;
use super::reply::{Labels, Series};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Where a single sample stands alone in an hour, those before it say how far apart they are.
const BEFORE: SignedDuration = SignedDuration::from_hours(2);
/// Nobody scrapes more seldom: Prometheus forgets a series after five minutes.
const LONGEST_SECONDS: f64 = 900.0;
/// A gap of so many of the usual ones is a scrape that was missed: one sample less, and not samples
/// that are further apart. Another pod may have been scraped then.
const MISSED: f64 = 1.5;
/// Prometheus' own default.
const DEFAULT_SECONDS: f64 = 60.0;
/// Pods with at least this share of the most samples are as good to look at as that one.
const AS_GOOD: f64 = 0.95;

/// Seconds between two samples, by hour and job.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    seconds: HashMap<(usize, String), f64>,
}

/// Hours in which one pod's samples are looked at.
struct Run<'a> {
    labels: &'a Labels,
    from: usize,
    /// The last one.
    to: usize,
}

/// The pod to look at in an hour.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    labels: &'a Labels,
    most: f64,
}

impl Intervals {
    /// Seconds between two samples of this job in this hour.
    pub(super) fn seconds(&self, hour: usize, labels: &Labels) -> f64 {
        let job = labels.get("job");
        let known = self.seconds.get(&(hour, job.to_owned()));
        known.copied().unwrap_or(DEFAULT_SECONDS)
    }

    /// Looks at the samples of one pod for each hour and job. `counts` are numbers of samples.
    pub(super) async fn learn(
        asker: &mut Asker<'_>,
        block: Block<'_>,
        gauge: &Gauge,
        counts: &[Series],
    ) -> Result<Self, PrometheusError> {
        let mut intervals = Self::default();
        let mut by_job: HashMap<&str, Vec<Option<Candidate<'_>>>> = HashMap::new();
        for (job, hour, candidate) in candidates(counts, block) {
            let hours = by_job.entry(job).or_default();
            hours.resize(block.hours.len(), None);
            hours[hour] = Some(candidate);
        }
        let mut jobs: Vec<_> = by_job.into_iter().collect();
        jobs.sort_unstable_by_key(|(job, _)| *job);
        for (job, hours) in jobs {
            for run in runs(&hours, asker.most_points) {
                for (hour, seconds) in look(asker, block, gauge, &run).await? {
                    intervals.seconds.insert((hour, job.to_owned()), seconds);
                }
            }
        }
        Ok(intervals)
    }
}

/// For each job and hour the pod that sorts first among those with about the most samples.
fn candidates<'a>(counts: &'a [Series], block: Block<'_>) -> Vec<(&'a str, usize, Candidate<'a>)> {
    let mut most: HashMap<(&str, usize), f64> = HashMap::new();
    let points = || {
        counts.iter().flat_map(move |series| {
            let job = series.labels.get("job");
            series.points.iter().filter_map(move |point| {
                let hour = block.index(point.at, Extent::Hour)?;
                Some((&series.labels, (job, hour), point.value))
            })
        })
    };
    for (_, key, count) in points() {
        let most = most.entry(key).or_default();
        *most = most.max(count);
    }
    let mut best: HashMap<(&str, usize), Candidate<'_>> = HashMap::new();
    for (labels, key, count) in points() {
        let most = most[&key];
        if count < most * AS_GOOD {
            continue;
        }
        let candidate = best.entry(key).or_insert(Candidate { labels, most });
        if (pod_of(labels), labels) < (pod_of(candidate.labels), candidate.labels) {
            candidate.labels = labels;
        }
    }
    let best = best.into_iter();
    best.map(|((job, hour), candidate)| (job, hour, candidate))
        .collect()
}

/// Neighbouring hours with the same pod, as long as an answer has not too many points.
fn runs<'a>(hours: &[Option<Candidate<'a>>], most_points: u64) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    for (hour, candidate) in hours.iter().enumerate() {
        let Some(candidate) = candidate else { continue };
        if let Some(run) = runs.last_mut() {
            let n_hours = hour + 1 - run.from + hours_before();
            #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
            let fits = n_hours as f64 * candidate.most <= most_points as f64;
            if run.to + 1 == hour && run.labels == candidate.labels && fits {
                run.to = hour;
                continue;
            }
        }
        runs.push(Run {
            labels: candidate.labels,
            from: hour,
            to: hour,
        });
    }
    runs
}

fn hours_before() -> usize {
    usize::try_from(BEFORE.as_hours()).unwrap_or_default()
}

async fn look(
    asker: &mut Asker<'_>,
    block: Block<'_>,
    gauge: &Gauge,
    run: &Run<'_>,
) -> Result<Vec<(usize, f64)>, PrometheusError> {
    let (first, last) = (block.hours[run.from], block.hours[run.to]);
    let selector: Selector = asker
        .of_pod(gauge.selector(), run.labels)
        .equals("job", run.labels.get("job"));
    let range = last.end.duration_since(first.start) + BEFORE;
    let answer = asker.raw(&selector, milliseconds(range), last.end).await?;
    let mut found = Vec::new();
    for hour in run.from..=run.to {
        let span = block.hours[hour];
        if let Some(seconds) = interval_of(&answer.series, span.start, span.end) {
            found.push((hour, seconds));
        }
    }
    Ok(found)
}

/// Of the series with the most samples in the hour.
fn interval_of(series: &[Series], start: Timestamp, end: Timestamp) -> Option<f64> {
    let samples = |series: &Series| {
        let points = series.points.iter();
        points
            .filter(|point| start < point.at && point.at <= end)
            .count()
    };
    let best = series.iter().max_by(|left, right| {
        let by_samples = samples(left).cmp(&samples(right));
        by_samples.then_with(|| right.labels.cmp(&left.labels))
    })?;
    let points = best.points.iter().map(|point| point.at);
    let times: Vec<Timestamp> = points
        .filter(|at| start - BEFORE < *at && *at <= end)
        .collect();
    let in_the_hour = gaps(&times, start);
    // One gap alone may be that of an outage which ends in this hour.
    let gaps = match in_the_hour.len() {
        0 | 1 => gaps(&times, start - BEFORE),
        _ => in_the_hour,
    };
    let longest = gaps.get(gaps.len().saturating_sub(1) / 2)? * MISSED;
    let usual = gaps.iter().take_while(|gap| **gap <= longest);
    let (n_gaps, sum) = usual.fold((0.0, 0.0), |(n, sum), gap| (n + 1.0, sum + gap));
    Some(sum / n_gaps)
}

/// Seconds between neighbours of which the later one is after this moment, the shortest first.
fn gaps(times: &[Timestamp], after: Timestamp) -> Vec<f64> {
    let pairs = times.windows(2).filter(|pair| after < pair[1]);
    let gaps = pairs.map(|pair| pair[1].duration_since(pair[0]).as_secs_f64());
    let mut gaps: Vec<f64> = gaps
        .filter(|gap| *gap > 0.0 && *gap <= LONGEST_SECONDS)
        .collect();
    gaps.sort_unstable_by(f64::total_cmp);
    gaps
}

#[cfg(test)]
mod tests {
    use super::super::reply::Point;
    use super::*;

    fn seconds(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn series(pod: &str, times: impl IntoIterator<Item = i64>) -> Series {
        Series {
            labels: [("pod", pod)].into_iter().collect(),
            points: times
                .into_iter()
                .map(|second| Point {
                    at: seconds(second),
                    value: 1.0,
                })
                .collect(),
        }
    }

    fn interval(series: &[Series]) -> Option<f64> {
        interval_of(series, seconds(0), seconds(3600))
    }

    #[test]
    fn missed_scrapes_and_outages_are_no_intervals() {
        let steady = series("a", (-30..=3600).step_by(30));
        assert_eq!(interval(&[steady]), Some(30.0));
        let outage = series("a", (0..600).step_by(30).chain((3000..3600).step_by(30)));
        assert_eq!(interval(&[outage]), Some(30.0));
        let missed = series("a", (0..=3600).step_by(30).filter(|second| *second != 600));
        assert_eq!(interval(&[missed]), Some(30.0));
    }

    #[test]
    fn a_lone_sample_is_as_far_from_the_next_as_those_before_were() {
        let alone = series("a", [-7000, -6940, -6880, 10]);
        assert_eq!(interval(&[alone]), Some(60.0));
        let very_alone = series("a", [10]);
        assert_eq!(interval(&[very_alone]), None);
        let long_ago = series("a", [-9000, -8940, 10]);
        assert_eq!(interval(&[long_ago]), None);
    }

    #[test]
    fn the_series_with_the_most_samples_says_it() {
        let few = series("a", (0..3600).step_by(60));
        let many = series("b", (0..3600).step_by(15));
        assert_eq!(interval(&[few.clone(), many.clone()]), Some(15.0));
        assert_eq!(interval(&[many, few]), Some(15.0));
    }
}
