//! What each account used in closed hours: one block of hours of equal length at a time.
//!
//! Every number is a function of its hour's samples (and of some before and after, as far as they say
//! how to read those), so that the hour that has just closed and the same hour a year later give the
//! same row.

use super::asker::{Asker, Block, Extent};
use super::counters::{self, Began};
use super::error::PrometheusError;
use super::gauge::{GPU_ACTIVE, GPU_UTILISATION, Gauge, MEMORY, REQUESTS};
use super::pods::{Pods, Whose, annotation_labels, component_labels};
use super::promql::{Selector, grouped};
use super::sums::{self, PodHour, Sums};
use super::{HourSpan, HourUnattributed, HourUse, Hours};
use model::usage::{Account, Totals};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Hours that are asked about at once. Three days of 1,000 users are some megabytes per answer.
const BLOCK_HOURS: usize = 72;

/// Runs of hours that one query can be asked about: of equal length, and not too many.
pub(super) fn blocks(hours: &[HourSpan], most_points: u64) -> Vec<&[HourSpan]> {
    // One point more is asked for than there are hours.
    let most_points = usize::try_from(most_points).unwrap_or(usize::MAX);
    let most = BLOCK_HOURS.min(most_points.saturating_sub(1)).max(1);
    let alike = |left: &HourSpan, right: &HourSpan| {
        let length = |hour: &HourSpan| hour.end.duration_since(hour.start);
        left.end == right.start && length(left) == length(right)
    };
    hours
        .chunk_by(alike)
        .flat_map(|run| run.chunks(most))
        .collect()
}

/// What is known of each pod in each hour.
#[derive(Debug)]
struct Table {
    /// By hour.
    pods: Vec<Pods>,
    rows: HashMap<(usize, Arc<str>), Totals>,
}

/// What was used in a block of hours.
pub(super) async fn used(
    asker: &mut Asker<'_>,
    block: Block<'_>,
) -> Result<Hours, PrometheusError> {
    let mut table = Table {
        pods: pods(asker, block).await?,
        rows: HashMap::new(),
    };
    let memory = Sums::of(asker, block, &MEMORY).await?;
    table.fill(memory.amounts, |totals, value| {
        totals.memory_byte_seconds = Some(value);
    });
    table.fill(memory.samples, |totals, value| {
        totals.samples = whole(value);
    });
    let peaks = sums::peaks(asker, block, &MEMORY).await?;
    table.fill(peaks, |totals, value| {
        totals.memory_peak_bytes = Some(value);
    });
    table.count(asker, block).await?;
    table.fill_requests(Sums::of(asker, block, &REQUESTS).await?);
    table.fill_gpus(asker, block).await?;
    Ok(table.charged(block))
}

/// Whose each pod is, by hour.
async fn pods(asker: &mut Asker<'_>, block: Block<'_>) -> Result<Vec<Pods>, PrometheusError> {
    let mut pods: Vec<Pods> = block.hours.iter().map(|_| Pods::default()).collect();
    let window = block.window_ms(Extent::Around);
    let names = asker.labels;
    let selector = Selector::new("kube_pod_annotations").not_empty(&names.user);
    let series = asker.mine(selector).over("last_over_time", window);
    let query = grouped("max", &annotation_labels(names), &series);
    let answer = asker.hourly(&query, block, Extent::Around).await?;
    for series in &answer.series {
        for point in &series.points {
            if let Some(hour) = block.index(point.at, Extent::Around) {
                pods[hour].add_annotation(&series.labels, names);
            }
        }
    }
    let series = asker.mine(Selector::new("kube_pod_labels"));
    let series = series.over("last_over_time", window);
    let query = grouped("max", &component_labels(), &series);
    let answer = asker.hourly(&query, block, Extent::Around).await?;
    for series in &answer.series {
        for point in &series.points {
            if let Some(hour) = block.index(point.at, Extent::Around) {
                pods[hour].add_labels(&series.labels);
            }
        }
    }
    Ok(pods)
}

impl Table {
    /// Sets a number of users' pods; all others are left out.
    fn fill(&mut self, numbers: Vec<PodHour>, set: impl Fn(&mut Totals, f64)) {
        for number in numbers {
            if self.pods[number.hour].whose(&number.pod) != Whose::NotUsers {
                let totals = self.rows.entry((number.hour, number.pod)).or_default();
                set(totals, number.value);
            }
        }
    }

    /// What is counted: CPU time and bytes.
    async fn count(
        &mut self,
        asker: &mut Asker<'_>,
        block: Block<'_>,
    ) -> Result<(), PrometheusError> {
        let began = Began::find(asker, block).await?;
        let cpu = counters::CPU.increases(asker, block, &began).await?;
        let received = counters::RECEIVED.increases(asker, block, &began).await?;
        let sent = counters::SENT.increases(asker, block, &began).await?;
        self.fill(cpu, |totals, value| totals.cpu_core_seconds = Some(value));
        self.fill(received, |totals, value| {
            totals.network_rx_bytes = Some(value);
        });
        self.fill(sent, |totals, value| totals.network_tx_bytes = Some(value));
        Ok(())
    }

    /// A pod that asks for anything is known not to ask for the rest.
    fn fill_requests(&mut self, requests: Sums) {
        for request in &requests.amounts {
            let key = (request.hour, Arc::clone(&request.pod));
            if self.pods[request.hour].whose(&request.pod) == Whose::NotUsers {
                continue;
            }
            let totals = self.rows.entry(key).or_default();
            for (resource, amount) in [
                ("cpu", &mut totals.cpu_requested_core_seconds),
                ("memory", &mut totals.memory_requested_byte_seconds),
                ("gpu", &mut totals.gpu_requested_seconds),
            ] {
                let is_it = resource_of(&request.kept) == resource;
                let more = if is_it { request.value } else { 0.0 };
                *amount = Some(amount.unwrap_or_default() + more);
            }
        }
        self.fill(requests.samples, |totals, value| {
            if totals.samples == 0 {
                totals.samples = whole(value);
            }
        });
    }

    async fn fill_gpus(
        &mut self,
        asker: &mut Asker<'_>,
        block: Block<'_>,
    ) -> Result<(), PrometheusError> {
        let mut known = HashSet::new();
        for (gauge, unit) in GPU_GAUGES {
            let sums = Sums::of(asker, block, &gauge).await?;
            let news: Vec<PodHour> = sums
                .amounts
                .into_iter()
                .filter(|row| !known.contains(&(row.hour, Arc::clone(&row.pod))))
                .collect();
            known.extend(news.iter().map(|row| (row.hour, Arc::clone(&row.pod))));
            self.fill(news, |totals, value| {
                totals.gpu_used_seconds = Some(value / unit);
            });
        }
        Ok(())
    }

    /// Charged to accounts, in order.
    fn charged(self, block: Block<'_>) -> Hours {
        let mut used: BTreeMap<(usize, Account), Totals> = BTreeMap::new();
        let mut unattributed: BTreeMap<(usize, &'static str), Totals> = BTreeMap::new();
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        // Sums of floating-point numbers depend on their order.
        rows.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        for ((hour, pod), totals) in rows {
            match self.pods[hour].whose(&pod) {
                Whose::Account(account) => used.entry((hour, account)).or_default().add(&totals),
                Whose::Nobody(reason) => {
                    unattributed.entry((hour, reason)).or_default().add(&totals);
                }
                Whose::NotUsers => {}
            }
        }
        let used = used.into_iter().map(|((hour, account), totals)| HourUse {
            hour: block.hours[hour].start,
            account,
            totals,
        });
        let unattributed = unattributed.into_iter();
        let unattributed = unattributed.map(|((hour, reason), totals)| HourUnattributed {
            hour: block.hours[hour].start,
            reason,
            totals,
        });
        Hours {
            used: used.collect(),
            unattributed: unattributed.collect(),
            notes: Vec::new(),
        }
    }
}

/// Ways to say how busy a GPU is, the better one first, and what a busy GPU is in it.
pub(super) const GPU_GAUGES: [(Gauge, f64); 2] = [(GPU_ACTIVE, 1.0), (GPU_UTILISATION, 100.0)];

/// What kube-state-metrics' name of a resource means to us.
pub(super) fn resource_of(name: &str) -> &'static str {
    match name {
        "cpu" => "cpu",
        "memory" => "memory",
        _ => "gpu",
    }
}

/// A number of samples.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of samples is small and not negative"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
