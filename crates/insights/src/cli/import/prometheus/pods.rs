//! What Prometheus is asked about the lives of users' pods, by kube-state-metrics' series.
//!
//! When a pod was last seen is asked for in two steps, in which hour and then when in it, since the
//! times of a day's samples of all pods are a large question. What follows from the answers is
//! [`super::lifetimes`]' business.

use super::asking::{Asking, GONE_AFTER, HOUR, by_pod, earlier, of_pod, over, pod_id, time};
use super::covered::Span;
use super::lifetimes::{Pod, PodId, Run, ServerNames, runs};
use crate::config::PrometheusConfig;
use crate::sources::prometheus::promql::{Selector, grouped};
use crate::sources::prometheus::{Client, PrometheusError, Series};
use jiff::SignedDuration;
use model::names::UserName;
use std::collections::HashSet;

/// Names of users are asked for a month at a time.
const NAMES_AT_ONCE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What KubeSpawner calls the pods of users' servers, under either label.
const SERVER: &str = "singleuser-server";
const COMPONENT_LABELS: [&str; 2] = ["label_component", "label_app_kubernetes_io_component"];

/// Where the pods of one hub are, and which labels say whose they are.
#[derive(Clone, Debug)]
pub(super) struct PodSeries {
    namespace: String,
    user_label: String,
    server_label: String,
}

impl PodSeries {
    pub(super) fn new(config: &PrometheusConfig, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            user_label: config.user_label.clone(),
            server_label: config.server_label.clone(),
        }
    }

    /// Everybody who had a pod.
    pub(super) async fn users(
        &self,
        client: &Client,
        span: Span,
    ) -> Result<Vec<UserName>, PrometheusError> {
        let mut users = Vec::new();
        let mut to = span.to;
        let mut length = NAMES_AT_ONCE;
        while to > span.from {
            let from = earlier(to, length).max(span.from);
            let length_of_it = to.duration_since(from);
            let each = self.annotated();
            let each = each.map(|selector| over("max_over_time", &selector, length_of_it));
            let query = grouped("max", &[&self.user_label], &each.join(" or "));
            match client.query(&query, to).await {
                Ok(answer) => {
                    let names = answer.series.iter();
                    let names = names.map(|series| series.labels.get(&self.user_label));
                    users.extend(names.filter(|name| !name.is_empty()).map(UserName::from));
                    to = from;
                }
                Err(error) if error.is_too_much() && length > HOUR => length /= 2,
                Err(error) => return Err(error),
            }
        }
        users.sort();
        users.dedup();
        Ok(users)
    }

    /// Sessions that follow from the pods that were gone in the span: their last samples lie in a
    /// span of the same length that ends earlier, so that each is seen to be the last.
    pub(super) async fn runs(
        &self,
        client: &Client,
        span: Span,
    ) -> Result<Vec<Run>, PrometheusError> {
        let ended_in = Span {
            from: earlier(span.from, GONE_AFTER),
            to: earlier(span.to, GONE_AFTER),
        };
        let asking = Asking {
            client,
            pods: self,
            seen_in: Span {
                from: ended_in.from,
                to: span.to,
            },
        };
        let mut seen = asking.seen(ended_in).await?;
        if seen.values().all(|seen| seen.is_alive) {
            return Ok(Vec::new());
        }
        let names = if seen.values().any(|seen| !seen.server.is_empty()) {
            ServerNames::Told
        } else {
            ServerNames::Unknown
        };
        asking.find_ends(&mut seen).await?;
        let created = by_pod(&asking.over("kube_pod_created", |series| series).await?);
        for (id, seen) in &mut seen {
            seen.created = of_pod(&created, id).and_then(time);
        }
        asking.find_starts(&mut seen, ended_in).await?;
        let interval = asking.interval(&seen).await?;
        let labels = asking.over("kube_pod_labels", |series| series).await?;
        let servers = Servers::of(&labels);
        // It may have ended long before it was gone, and so before the span.
        let started =
            |series: Selector| series.one_of("phase", &["Running", "Succeeded", "Failed"]);
        let has_run = by_pod(&asking.over("kube_pod_status_phase", started).await?);
        // One that never ran only waited for a place.
        let ran = |id: &PodId| of_pod(&has_run, id).is_none_or(|ran| ran > 0.0);
        let seen = seen.into_iter();
        let pods = seen.filter(|(id, _)| servers.holds(id) && ran(id));
        let pods: Vec<Pod> = pods.map(|(id, seen)| seen.pod(id, span.to)).collect();
        Ok(runs(&pods, names, ended_in, interval))
    }

    /// Users' pods: those that say whose they are.
    pub(super) fn annotated(&self) -> [Selector; 2] {
        let selectors = self.selectors("kube_pod_annotations");
        selectors.map(|selector| selector.not_empty(&self.user_label))
    }

    pub(super) fn user_label(&self) -> &str {
        &self.user_label
    }

    pub(super) fn server_label(&self) -> &str {
        &self.server_label
    }

    /// The series of a metric in the hub's namespace, under either label of it.
    pub(super) fn selectors(&self, metric: &str) -> [Selector; 2] {
        let plain = Selector::new(metric).equals("namespace", &self.namespace);
        let exported = Selector::new(metric).equals("exported_namespace", &self.namespace);
        [plain.equals("exported_namespace", ""), exported]
    }
}

/// Which pods are users' servers, and not something that these started.
struct Servers {
    ids: HashSet<PodId>,
    /// Whether labels say it at all.
    are_told: bool,
}

impl Servers {
    fn of(labels: &[Series]) -> Self {
        let components = |series: &Series| {
            let value = |label| series.labels.get(label).to_owned();
            COMPONENT_LABELS.map(value)
        };
        let told = labels.iter().flat_map(components);
        let are_told = told.filter(|component| !component.is_empty()).count() > 0;
        let is_server = |series: &&Series| components(series).iter().any(|it| it == SERVER);
        let servers = labels.iter().filter(is_server);
        Self {
            ids: servers.map(|series| pod_id(&series.labels)).collect(),
            are_told,
        }
    }

    fn holds(&self, id: &PodId) -> bool {
        if !self.are_told {
            // As with what is used: Dask names its pods so.
            return !id.name.starts_with("dask-");
        }
        self.ids.contains(id) || self.ids.contains(&id.without_uid())
    }
}
