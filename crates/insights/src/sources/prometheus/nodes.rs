//! Each node as it is now, and whose pods are on it.
//!
//! How full the pools are, which is written down, is the business of [`super::ceilings`].

use super::asker::{Asker, POD, pod_of};
use super::ceilings::{self, NODE, Node, Nodes, Resource, node_of};
use super::error::PrometheusError;
use super::pods::{Pods, Whose};
use super::promql::{Selector, grouped};
use crate::hub::Number;
use crate::sources::Note;
use crate::sources::machines::{MachineNow, Pressure, Room, Strain};
use jiff::{SignedDuration, Timestamp};
use model::names::UserName;
use model::usage::Account;
use std::collections::{BTreeMap, HashMap};

/// Nodes are asked about no more often, however often servers are looked at.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(25);

/// What was last found out about nodes.
#[derive(Clone, Debug)]
pub(super) struct LastNodes {
    at: Timestamp,
    /// By pool, to be written down.
    pub(super) numbers: Vec<Number>,
    pub(super) machines: Vec<MachineNow>,
    /// Why nothing is known.
    pub(super) note: Option<Note>,
}

/// The pods of one look.
pub(super) struct Placed<'a> {
    pub(super) pods: &'a Pods,
    /// Whether a pod has ended, by its name.
    pub(super) has_ended: &'a (dyn Fn(&str) -> bool + Sync),
    /// Whether the hub knows the user.
    pub(super) is_known: &'a (dyn Fn(&UserName) -> bool + Sync),
}

impl LastNodes {
    /// Whether it can still be told.
    pub(super) fn is_recent(&self, at: Timestamp) -> bool {
        at.duration_since(self.at).abs() < LOOK_EVERY
    }

    /// Looks at the nodes. A server may forbid questions about the whole cluster; that is no reason
    /// to do without the rest.
    pub(super) async fn look(
        asker: &mut Asker<'_>,
        at: Timestamp,
        placed: &Placed<'_>,
    ) -> Result<Self, PrometheusError> {
        let bare = Self {
            at,
            numbers: Vec::new(),
            machines: Vec::new(),
            note: None,
        };
        match ceilings::nodes(asker, at).await {
            Ok(nodes) if nodes.is_empty() => Ok(bare),
            Ok(nodes) => {
                let node_of = places(asker, at).await?;
                Ok(Self {
                    numbers: ceilings::numbers(&nodes),
                    machines: machines(nodes, &node_of, placed),
                    ..bare
                })
            }
            Err(error) if error.is_about_the_query() => {
                let note = Note {
                    about: "nodes",
                    text: format!(
                        "how full the nodes are is not known: {}",
                        error.with_causes()
                    ),
                };
                Ok(Self {
                    note: Some(note),
                    ..bare
                })
            }
            Err(error) => Err(error),
        }
    }
}

/// Node of each pod of this hub, by their names. A pod that was started anew is where it was seen
/// last by its name.
async fn places(
    asker: &mut Asker<'_>,
    at: Timestamp,
) -> Result<HashMap<String, String>, PrometheusError> {
    let labels = [&POD[..], NODE].concat();
    let pods = asker.mine(Selector::new("kube_pod_info")).now();
    let answer = asker.now(&grouped("max", &labels, &pods), at).await?;
    let places = answer.series.iter().map(|series| {
        let labels = &series.labels;
        (pod_of(labels).to_owned(), node_of(labels).to_owned())
    });
    Ok(places.filter(|(_, node)| !node.is_empty()).collect())
}

fn machines(
    nodes: Nodes,
    node_of: &HashMap<String, String>,
    placed: &Placed<'_>,
) -> Vec<MachineNow> {
    let mut on_nodes: BTreeMap<&str, (Vec<Account>, u64)> = BTreeMap::new();
    for (pod, node) in node_of {
        if (placed.has_ended)(pod) {
            continue;
        }
        let (servers, n_others) = on_nodes.entry(node).or_default();
        match placed.pods.whose(pod) {
            Whose::Account(account) if (placed.is_known)(&account.user) => servers.push(account),
            _ => *n_others += 1,
        }
    }
    let machines = nodes.into_iter().map(|(name, node)| {
        let (mut servers, n_others) = on_nodes.remove(&*name).unwrap_or_default();
        servers.sort_unstable();
        MachineNow {
            servers,
            n_other_pods: Some(n_others),
            ..machine(name, node)
        }
    });
    machines.collect()
}

fn machine(name: String, node: Node) -> MachineNow {
    let room = |resource: Resource| {
        let amount = |what: &'static str| node.amounts.get(&(resource, what)).copied();
        Room {
            capacity: amount("capacity"),
            allocatable: amount("allocatable"),
            requested: amount("requested"),
            used: amount("used"),
        }
    };
    let pressures = node.pressures.iter().map(|(of, is_declared)| Pressure {
        of: *of,
        strain: Strain::Declared(*is_declared),
    });
    MachineNow {
        name,
        state: node.state(),
        cpu_cores: room(Resource::Cpu),
        memory_bytes: room(Resource::Memory),
        gpus: room(Resource::Gpu),
        pressures: pressures.collect(),
        pool: node.pool,
        ..MachineNow::default()
    }
}
