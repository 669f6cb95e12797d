//! Gauges summed over hours: value times time, for each pod.

use super::asker::{Asker, Block, Extent, pod_of};
use super::error::PrometheusError;
use super::exporters::{Doubles, Said, Statements};
use super::gauge::Gauge;
use super::interval::Intervals;
use super::reply::{Labels, Series};
use std::collections::HashMap;
use std::sync::Arc;

/// One number of a pod in an hour.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PodHour {
    /// Place of the hour in its block.
    pub(super) hour: usize,
    pub(super) pod: Arc<str>,
    /// The value of the label that the gauge keeps.
    pub(super) kept: Arc<str>,
    pub(super) value: f64,
}

/// What a gauge adds up to.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Its unit times seconds.
    pub(super) amounts: Vec<PodHour>,
    /// Numbers of samples.
    pub(super) samples: Vec<PodHour>,
}

/// A pod in an hour, as one exporter tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Told {
    hour: usize,
    pod: Arc<str>,
    exporter: Arc<str>,
}

impl Sums {
    /// Sums the gauge of each pod over each hour.
    pub(super) async fn of(
        asker: &mut Asker<'_>,
        block: Block<'_>,
        gauge: &Gauge,
    ) -> Result<Self, PrometheusError> {
        let counts = gauge.count(asker, block);
        let counts = asker.hourly(&counts, block, Extent::Hour).await?.series;
        if counts.is_empty() {
            return Ok(Self::default());
        }
        let intervals = Intervals::learn(asker, block, gauge, &counts).await?;
        let statements = statements(&counts, block, gauge, &intervals);
        let doubles = Doubles::find(asker, block, gauge, &statements).await?;
        let shares = shares(asker, block, gauge, &statements).await?;
        let sums = gauge.sum(asker, block);
        let sums = asker.hourly(&sums, block, Extent::Hour).await?.series;
        let mut amounts: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows(&sums, block, gauge) {
            let seconds = row.value * intervals.seconds(row.hour, row.labels);
            let share = shares.get(&row.told()).copied().unwrap_or(1.0);
            let said = amounts.entry((row.hour, row.pod, row.kept)).or_default();
            said.push((row.exporter, seconds * share));
        }
        let amounts = amounts
            .into_iter()
            .map(|((hour, pod, kept), said)| PodHour {
                hour,
                pod,
                kept,
                value: doubles.together(hour, &said),
            });
        let samples = statements.iter().map(|((hour, pod), said)| {
            let said = said.iter();
            let said: Vec<_> = said
                .map(|said| (Arc::clone(&said.exporter), said.n_samples))
                .collect();
            PodHour {
                hour: *hour,
                pod: Arc::clone(pod),
                kept: Arc::from(""),
                value: doubles.together(*hour, &said),
            }
        });
        Ok(Self {
            amounts: amounts.collect(),
            samples: samples.collect(),
        })
    }
}

fn statements<'a>(
    counts: &'a [Series],
    block: Block<'a>,
    gauge: &'a Gauge,
    intervals: &Intervals,
) -> Statements<'a> {
    let mut statements = Statements::new();
    for row in rows(counts, block, gauge) {
        let interval_seconds = intervals.seconds(row.hour, row.labels);
        let said = statements.entry((row.hour, row.pod)).or_default();
        said.push(Said {
            exporter: row.exporter,
            n_samples: row.value,
            interval_seconds,
            labels: row.labels,
        });
    }
    statements
}

/// Which part of its samples counts, for pods of which not all do.
async fn shares(
    asker: &mut Asker<'_>,
    block: Block<'_>,
    gauge: &Gauge,
    statements: &Statements<'_>,
) -> Result<HashMap<Told, f64>, PrometheusError> {
    let mut shares: HashMap<Told, f64> = HashMap::new();
    for query in gauge.idle(asker, block) {
        let answer = asker.hourly(&query, block, Extent::Hour).await?;
        for row in rows(&answer.series, block, gauge) {
            let Some(all) = statements.get(&(row.hour, Arc::clone(&row.pod))) else {
                continue;
            };
            let all = all.iter().find(|said| said.exporter == row.exporter);
            let n_samples = all.map_or(row.value, |said| said.n_samples);
            let idle = row.value / n_samples;
            let share = shares.entry(row.told()).or_insert(1.0);
            *share = (*share - idle).max(0.0);
        }
    }
    Ok(shares)
}

/// Largest values of each pod in each hour.
pub(super) async fn peaks(
    asker: &mut Asker<'_>,
    block: Block<'_>,
    gauge: &Gauge,
) -> Result<Vec<PodHour>, PrometheusError> {
    let query = gauge.peak(asker, block);
    let answer = asker.hourly(&query, block, Extent::Hour).await?;
    let mut peaks: HashMap<(usize, Arc<str>), f64> = HashMap::new();
    for row in rows(&answer.series, block, gauge) {
        let peak = peaks.entry((row.hour, row.pod)).or_default();
        *peak = peak.max(row.value);
    }
    let peaks = peaks.into_iter().map(|((hour, pod), value)| PodHour {
        hour,
        pod,
        kept: Arc::from(""),
        value,
    });
    Ok(peaks.collect())
}

struct Row<'a> {
    hour: usize,
    pod: Arc<str>,
    exporter: Arc<str>,
    kept: Arc<str>,
    labels: &'a Labels,
    value: f64,
}

impl Row<'_> {
    fn told(&self) -> Told {
        Told {
            hour: self.hour,
            pod: Arc::clone(&self.pod),
            exporter: Arc::clone(&self.exporter),
        }
    }
}

fn rows<'a>(
    series: &'a [Series],
    block: Block<'a>,
    gauge: &'a Gauge,
) -> impl Iterator<Item = Row<'a>> {
    series.iter().flat_map(move |series| {
        let labels = &series.labels;
        let pod: Arc<str> = pod_of(labels).into();
        let exporter: Arc<str> = gauge.exporter_of(labels).into();
        let kept: Arc<str> = gauge.kept(labels).into();
        series.points.iter().filter_map(move |point| {
            Some(Row {
                hour: block.index(point.at, Extent::Hour)?,
                pod: Arc::clone(&pod),
                exporter: Arc::clone(&exporter),
                kept: Arc::clone(&kept),
                labels,
                value: point.value,
            })
        })
    })
}
