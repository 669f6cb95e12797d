//! How close the cluster is to its limits: nodes by pool, and pods that found no room.
//!
//! Nodes are those of the whole cluster, since hubs share them with whatever else runs there.

use super::asker::{Asker, pod_of};
use super::error::PrometheusError;
use super::gauge::RESOURCES;
use super::pods::{Component, Pods, Whose};
use super::promql::{Selector, grouped};
use super::reply::{Answer, Labels};
use crate::hub::Number;
use crate::sources::machines::{MachineState, Scarce};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Labels of `kube_node_labels` that name a node's pool; the first that a node has counts.
const POOL: &[&str] = &[
    "label_alpha_eksctl_io_nodegroup_name",
    "label_eks_amazonaws_com_nodegroup",
    "label_cloud_google_com_gke_nodepool",
    "label_kubernetes_azure_com_agentpool",
    "label_agentpool",
    "label_karpenter_sh_nodepool",
    "label_hub_jupyter_org_node_purpose",
];
/// Of nodes whose pool is not told.
const NO_POOL: &str = "unknown";
pub(super) const NODE: &[&str] = &["node", "exported_node"];
/// Labels that say which node a series of cAdvisor is about.
const MACHINE: &[&str] = &["node", "kubernetes_io_hostname", "instance"];
/// Conditions of nodes that are looked at.
const CONDITIONS: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Labels that make up one pod's request, wherever it is.
const POD_ANYWHERE: &str = "namespace,exported_namespace,pod,exported_pod,uid";

/// What is known of a node.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) pool: Option<String>,
    is_ready: Option<bool>,
    is_cordoned: bool,
    /// Whether it declares to be short of something.
    pub(super) pressures: BTreeMap<Scarce, bool>,
    /// By resource and what of it: capacity, allocatable, requested, used.
    pub(super) amounts: BTreeMap<(Resource, &'static str), f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    Cpu,
    Memory,
    Gpu,
}

/// By name.
pub(super) type Nodes = BTreeMap<String, Node>;

/// All nodes.
pub(super) async fn nodes(asker: &mut Asker<'_>, at: Timestamp) -> Result<Nodes, PrometheusError> {
    let mut nodes = described(asker, at).await?;
    if !nodes.is_empty() {
        requested(asker, at, &mut nodes).await?;
        used(asker, at, &mut nodes).await?;
    }
    Ok(nodes)
}

async fn described(asker: &mut Asker<'_>, at: Timestamp) -> Result<Nodes, PrometheusError> {
    let mut nodes = Nodes::new();
    let labels = [NODE, POOL].concat();
    let query = grouped(
        "max",
        &labels,
        &Selector::new("kube_node_labels").to_string(),
    );
    for series in asker.now(&query, at).await?.series {
        let pool = POOL.iter().map(|label| series.labels.get(label));
        let pool = pool
            .filter(|pool| !pool.is_empty())
            .map(str::to_owned)
            .next();
        node(&mut nodes, &series.labels).pool = pool;
    }
    for what in ["capacity", "allocatable"] {
        let selector = Selector::new(&format!("kube_node_status_{what}"));
        let selector = selector.one_of("resource", RESOURCES);
        let labels = [NODE, &["resource"]].concat();
        let answer = asker
            .now(&grouped("max", &labels, &selector.to_string()), at)
            .await?;
        // What two exporters say counts once, what several GPUs' makers say is added up.
        let mut told: BTreeMap<(&str, &str), f64> = BTreeMap::new();
        for (labels, value) in values(&answer) {
            told.insert((node_of(labels), labels.get("resource")), value);
        }
        for ((name, resource), value) in told {
            if let Some(resource) = Resource::of(resource) {
                let amounts = &mut nodes.entry(name.to_owned()).or_default().amounts;
                *amounts.entry((resource, what)).or_default() += value;
            }
        }
    }
    let conditions = Selector::new("kube_node_status_condition").one_of("condition", CONDITIONS);
    let conditions = conditions.equals("status", "true").to_string();
    let conditions = grouped("max", &[NODE, &["condition"]].concat(), &conditions);
    for (labels, value) in values(&asker.now(&conditions, at).await?) {
        let node = node(&mut nodes, labels);
        match pressure_of(labels.get("condition")) {
            Some(of) => _ = node.pressures.insert(of, value > 0.0),
            None => node.is_ready = Some(value > 0.0),
        }
    }
    let cordoned = Selector::new("kube_node_spec_unschedulable").to_string();
    let cordoned = grouped("max", NODE, &cordoned);
    for (labels, value) in values(&asker.now(&cordoned, at).await?) {
        node(&mut nodes, labels).is_cordoned = value > 0.0;
    }
    Ok(nodes)
}

/// What pods of all namespaces ask for that are on a node and have not ended.
async fn requested(
    asker: &mut Asker<'_>,
    at: Timestamp,
    nodes: &mut Nodes,
) -> Result<(), PrometheusError> {
    let requests =
        Selector::new("kube_pod_container_resource_requests").one_of("resource", RESOURCES);
    let ended = Selector::new("kube_pod_status_phase").one_of("phase", &["Succeeded", "Failed"]);
    let waits = Selector::new("kube_pod_status_scheduled").equals("condition", "true");
    let held = format!(
        "{requests} unless on ({POD_ANYWHERE}) ({ended} == 1) unless on ({POD_ANYWHERE}) \
         ({waits} == 0)"
    );
    let exporter = ["job", "instance", "resource"];
    let by_node = [NODE, &exporter].concat();
    let mut by_container: Vec<&str> = POD_ANYWHERE.split(',').collect();
    by_container.extend(&by_node);
    by_container.extend(["container", "exported_container"]);
    let query = grouped("sum", &by_node, &grouped("max", &by_container, &held));
    largest(
        nodes,
        &asker.now(&query, at).await?,
        "requested",
        |labels, _| {
            Some((
                node_of(labels).to_owned(),
                Resource::of(labels.get("resource"))?,
            ))
        },
    );
    Ok(())
}

/// What is used on each node, by all that runs there.
async fn used(
    asker: &mut Asker<'_>,
    at: Timestamp,
    nodes: &mut Nodes,
) -> Result<(), PrometheusError> {
    let whole = |metric| Selector::new(metric).equals("id", "/");
    let cpu = whole("container_cpu_usage_seconds_total").over(300_000);
    let memory = whole("container_memory_working_set_bytes").to_string();
    for (resource, series) in [
        (Resource::Cpu, format!("irate({cpu})")),
        (Resource::Memory, memory),
    ] {
        let answer = asker.now(&grouped("max", MACHINE, &series), at).await?;
        largest(nodes, &answer, "used", |labels, nodes| {
            Some((machine_of(labels, nodes)?, resource))
        });
    }
    Ok(())
}

/// Of what several exporters say of a node the most.
fn largest(
    nodes: &mut Nodes,
    answer: &Answer,
    what: &'static str,
    whose: impl Fn(&Labels, &Nodes) -> Option<(String, Resource)>,
) {
    for (labels, value) in values(answer) {
        let Some((name, resource)) = whose(labels, nodes) else {
            continue;
        };
        if let Some(node) = nodes.get_mut(&name) {
            let amount = node.amounts.entry((resource, what)).or_default();
            *amount = amount.max(value);
        }
    }
}

/// Numbers by pool, to be written down.
pub(super) fn numbers(nodes: &Nodes) -> Vec<Number> {
    let mut amounts: BTreeMap<(String, &str), f64> = BTreeMap::new();
    let mut states: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for node in nodes.values() {
        let pool = node.pool.as_deref().unwrap_or(NO_POOL);
        for ((resource, what), amount) in &node.amounts {
            if let Some(name) = resource.number(what) {
                *amounts.entry((name, pool)).or_default() += amount;
            }
        }
        if let Some(state) = node.state() {
            *states.entry((pool, state.as_str())).or_default() += 1.0;
        }
    }
    let amounts = amounts
        .into_iter()
        .map(|((name, pool), value)| number(&name, &[("pool", pool)], value));
    let states = states.into_iter().map(|((pool, state), value)| {
        number("pool_nodes", &[("pool", pool), ("state", state)], value)
    });
    amounts.chain(states).collect()
}

/// Pods of this hub that wait for a node, were killed for want of memory, or hold a place.
pub(super) async fn waiting(
    asker: &mut Asker<'_>,
    at: Timestamp,
    pods: &Pods,
    phases: &HashMap<Arc<str>, HashSet<Box<str>>>,
) -> Result<Vec<Number>, PrometheusError> {
    if phases.is_empty() {
        return Ok(Vec::new());
    }
    let mut numbers = Vec::new();
    let unschedulable = asker.mine(Selector::new("kube_pod_status_unschedulable"));
    let killed = |metric| {
        let selector = Selector::new(metric).equals("reason", "OOMKilled");
        asker.mine(selector).now()
    };
    let killed = format!(
        "{} or {}",
        killed("kube_pod_container_status_last_terminated_reason"),
        killed("kube_pod_container_status_terminated_reason")
    );
    for (name, series) in [
        ("pods_unschedulable", unschedulable.now()),
        ("pods_oom_killed", killed),
    ] {
        let query = format!("{} == 1", grouped("max", &super::asker::POD, &series));
        let answer = asker.now(&query, at).await?;
        let found = answer.series.iter().map(|series| pod_of(&series.labels));
        let found: HashSet<&str> = found
            .filter(|pod| pods.whose(pod) != Whose::NotUsers)
            .collect();
        numbers.push(number(name, &[], count(found.len())));
    }
    let mut placeholders: BTreeMap<&str, usize> = BTreeMap::new();
    for (pod, phases) in phases {
        if pods.component(pod) == Component::Placeholder {
            for phase in phases {
                *placeholders.entry(phase).or_default() += 1;
            }
        }
    }
    let placeholders = placeholders
        .into_iter()
        .map(|(phase, n_pods)| number("pods_placeholder", &[("phase", phase)], count(n_pods)));
    numbers.extend(placeholders);
    Ok(numbers)
}

impl Node {
    /// `None` if it does not say whether it is ready.
    pub(super) fn state(&self) -> Option<MachineState> {
        Some(match (self.is_ready?, self.is_cordoned) {
            (false, _) => MachineState::NotReady,
            (true, true) => MachineState::Cordoned,
            (true, false) => MachineState::Ready,
        })
    }
}

impl Resource {
    fn of(resource: &str) -> Option<Self> {
        match resource {
            "cpu" => Some(Self::Cpu),
            "memory" => Some(Self::Memory),
            gpu if gpu.ends_with("gpu") => Some(Self::Gpu),
            _ => None,
        }
    }

    /// The name of its number; that of GPUs is not written down.
    fn number(self, what: &str) -> Option<String> {
        match self {
            Self::Cpu => Some(format!("pool_cpu_{what}_cores")),
            Self::Memory => Some(format!("pool_memory_{what}_bytes")),
            Self::Gpu => None,
        }
    }
}

/// What a condition of a node that is a pressure is about.
fn pressure_of(condition: &str) -> Option<Scarce> {
    match condition {
        "MemoryPressure" => Some(Scarce::Memory),
        "DiskPressure" => Some(Scarce::Disk),
        "PIDPressure" => Some(Scarce::Processes),
        _ => None,
    }
}

fn node<'a>(nodes: &'a mut Nodes, labels: &Labels) -> &'a mut Node {
    nodes.entry(node_of(labels).to_owned()).or_default()
}

pub(super) fn node_of(labels: &Labels) -> &str {
    match labels.get("exported_node") {
        "" => labels.get("node"),
        exported => exported,
    }
}

/// The node that cAdvisor runs on, if it is one of these.
fn machine_of(labels: &Labels, nodes: &Nodes) -> Option<String> {
    let names = MACHINE.iter().map(|label| labels.get(label));
    let known = names.map(|name| name.split(':').next().unwrap_or_default());
    let mut known = known.filter(|name| nodes.contains_key(*name));
    known.next().map(str::to_owned)
}

fn values(answer: &Answer) -> impl Iterator<Item = (&Labels, f64)> {
    let series = answer.series.iter();
    series.filter_map(|series| Some((&series.labels, series.points.first()?.value)))
}

fn number(name: &str, labels: &[(&str, &str)], value: f64) -> Number {
    let labels = labels.iter();
    Number {
        name: name.into(),
        labels: labels
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        value,
    }
}

fn count(number: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let number = number as f64;
    number
}
