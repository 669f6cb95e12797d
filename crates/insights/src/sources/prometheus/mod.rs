//! Usage of pods, as a Prometheus knows it.
//!
//! Any server that speaks Prometheus' HTTP API will do. What is read, all in the hub's namespace:
//!
//! | number | series | from |
//! |---|---|---|
//! | CPU | `container_cpu_usage_seconds_total` | cAdvisor |
//! | memory | `container_memory_working_set_bytes` | cAdvisor |
//! | network | `container_network_{receive,transmit}_bytes_total`, without `lo` | cAdvisor |
//! | requested CPU, memory, GPUs | `kube_pod_container_resource_requests` | kube-state-metrics |
//! | limits of memory | `kube_pod_container_resource_limits` | kube-state-metrics |
//! | GPUs at work | `DCGM_FI_PROF_GR_ENGINE_ACTIVE`, else `DCGM_FI_DEV_GPU_UTIL` | DCGM exporter |
//! | whose a pod is, and what for | `kube_pod_annotations`, `kube_pod_labels` | kube-state-metrics |
//! | nodes, and which pods are on them | `kube_node_…`, `kube_pod_info` | kube-state-metrics |
//! | homes | `dirsize_total_size_bytes`, `dirsize_entries_count` | dirsize exporter |
//!
//! Gauges are summed sample by sample, times the interval of their samples; counters are read at both
//! ends of an hour. What was not scraped is not made up: a gap has fewer samples. What two exporters
//! or two scrapes say of the same pod counts once. Memory is the working set. The peak is that of a
//! pod's containers added up, of an account the largest of its pods.
//!
//! What becomes of the numbers does not belong here.

mod asker;
mod ceilings;
pub mod client;
mod counters;
mod error;
mod exporters;
mod gauge;
mod homes;
mod hours;
mod interval;
mod look;
mod nodes;
mod pods;
pub mod promql;
mod refusal;
mod reply;
mod steps;
mod sums;

pub use client::{Client, Load};
pub use error::PrometheusError;
pub use reply::{Answer, Labels, Point, Series};

use super::{HomeSize, Known, Look, Note};
use crate::config::{PrometheusConfig, UsageConfig};
use asker::{Asker, Block};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use model::homes::Template;
use model::usage::{Account, Totals};
use steps::Steps;

/// An hour is complete so long after its end: scrapes have come in by then, and what a pod is was
/// scraped after it.
pub const SETTLES: SignedDuration = SignedDuration::from_mins(3);

/// Reads usage from one Prometheus, for one hub.
#[derive(Debug)]
pub struct Prometheus {
    client: Client,
    namespace: String,
    labels: LabelNames,
    home_directories: Vec<Template>,
    most_points: u64,
    homes_interval: SignedDuration,
    /// The last look at homes.
    homes: Option<homes::LastLook>,
    /// The last look at nodes.
    nodes: Option<nodes::LastNodes>,
    steps: Steps,
}

/// Labels that hold a pod's annotations.
#[derive(Clone, Debug)]
struct LabelNames {
    user: String,
    server: String,
}

/// A local hour. A sample at its start belongs to the hour before, one at its end to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourSpan {
    /// Its start, by which it is named.
    pub start: Timestamp,
    /// Its end, the start of the next one.
    pub end: Timestamp,
}

/// What was used in some hours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hours {
    /// By hour, then account.
    pub used: Vec<HourUse>,
    /// By hour, then reason.
    pub unattributed: Vec<HourUnattributed>,
    /// What was odd in the answers: warnings, values that are not numbers.
    pub notes: Vec<Note>,
}

/// What an account used in an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct HourUse {
    /// Start of the hour.
    pub hour: Timestamp,
    /// Who; a user as the annotation says, whether the hub still knows them or not.
    pub account: Account,
    /// How much.
    pub totals: Totals,
}

/// What users' pods used in an hour of which it is not known whose they are.
#[derive(Clone, Debug, PartialEq)]
pub struct HourUnattributed {
    /// Start of the hour.
    pub hour: Timestamp,
    /// Why: `no annotation`, `several users`.
    pub reason: &'static str,
    /// How much.
    pub totals: Totals,
}

/// A local day and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayEnd {
    /// The day.
    pub day: Date,
    /// Its end, the start of the next one.
    pub end: Timestamp,
}

/// Sizes of homes at the end of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct DayHomes {
    /// The day.
    pub day: Date,
    /// Sorted by user, each once.
    pub sizes: Vec<HomeSize>,
    /// Directories that are no known user's.
    pub n_unattributed: u64,
    /// What these take.
    pub unattributed_bytes: f64,
}

impl Prometheus {
    /// For the hub whose pods are in this namespace.
    pub fn new(
        config: &PrometheusConfig,
        usage: &UsageConfig,
        namespace: &str,
    ) -> Result<Self, PrometheusError> {
        if namespace.is_empty() {
            return Err(PrometheusError::NoNamespace);
        }
        for (key, label) in [
            ("prometheus.user_label", &config.user_label),
            ("prometheus.server_label", &config.server_label),
        ] {
            if !promql::is_label(label) {
                let label = label.clone();
                return Err(PrometheusError::NotALabel { key, label });
            }
        }
        let homes_interval = SignedDuration::try_from(usage.homes_interval());
        Ok(Self {
            client: Client::new(config)?,
            namespace: namespace.to_owned(),
            labels: LabelNames {
                user: config.user_label.clone(),
                server: config.server_label.clone(),
            },
            home_directories: templates(&config.home_directories),
            most_points: config.most_points,
            homes_interval: homes_interval.unwrap_or(SignedDuration::MAX),
            homes: None,
            nodes: None,
            steps: Steps::default(),
        })
    }

    /// What is used now; sizes of homes only when [`UsageConfig::homes_interval`] has passed since
    /// they were looked at.
    pub async fn look(&mut self, known: &Known) -> Result<Look, PrometheusError> {
        self.look_at(crate::poll::clock::now(), known).await
    }

    /// What was used in these closed hours, which come in order and without gaps. Better not asked
    /// sooner than [`SETTLES`] after the last one's end. Splits them by itself so that no query has
    /// more points than it may, and into smaller parts where the server finds them too large.
    pub async fn hours(&self, hours: &[HourSpan]) -> Result<Hours, PrometheusError> {
        let mut asker = self.asker();
        let mut all = Hours::default();
        let mut parts = hours::blocks(hours, self.most_points);
        parts.reverse();
        while let Some(part) = parts.pop() {
            match hours::used(&mut asker, Block { hours: part }).await {
                Ok(used) => {
                    all.used.extend(used.used);
                    all.unattributed.extend(used.unattributed);
                }
                Err(error) if error.is_too_much() && part.len() > 1 => {
                    let (sooner, later) = part.split_at(part.len() / 2);
                    parts.push(later);
                    parts.push(sooner);
                }
                Err(error) => return Err(error),
            }
        }
        all.notes = asker.notes();
        Ok(all)
    }

    /// Sizes of homes at the end of each of these days, as they were last seen on it.
    pub async fn homes(
        &self,
        days: &[DayEnd],
        known: &Known,
    ) -> Result<Vec<DayHomes>, PrometheusError> {
        let owners = homes::owners(known, &self.home_directories);
        homes::at_ends(&mut self.asker(), days, &owners).await
    }

    /// Asks other things of the same server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How much the server was asked.
    pub fn load(&self) -> Load {
        self.client.load()
    }

    /// The namespace of the hub.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn asker(&self) -> Asker<'_> {
        Asker::new(
            &self.client,
            &self.namespace,
            &self.labels,
            self.most_points,
        )
    }
}

fn templates(texts: &[String]) -> Vec<Template> {
    texts.iter().map(|text| Template::new(text)).collect()
}

#[cfg(test)]
mod tests;
