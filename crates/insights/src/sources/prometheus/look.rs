//! One look at what is used now.
//!
//! CPU and network are rates over the last minutes; all else is as it was last scraped.

use super::asker::{Asker, POD, pod_of};
use super::counters::{CPU, RECEIVED, SENT};
use super::error::PrometheusError;
use super::gauge::{MEMORY, MEMORY_LIMITS, REQUESTS};
use super::hours::{GPU_GAUGES, resource_of};
use super::nodes::{LastNodes, Placed};
use super::pods::{Pods, UNKNOWN_USER, Whose, annotation_labels, component_labels};
use super::promql::{Selector, grouped};
use super::reply::Labels;
use super::{Prometheus, ceilings, homes};
use crate::sources::{Homes, Known, Look, Note, ServerUse, Unattributed};
use jiff::Timestamp;
use model::names::UserName;
use model::usage::{Account, Amounts};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Range of rates, as in the queries of the Python exporter.
const RATE_MS: i64 = 5 * 60_000;

/// Phases of pods, each by its name. A pod of the same name may have ended a moment ago.
type Phases = HashMap<Arc<str>, HashSet<Box<str>>>;

/// What one look found out about pods.
struct Now {
    pods: Pods,
    phases: Phases,
    amounts: HashMap<Arc<str>, Amounts>,
    /// Whether cAdvisor tells of anything in this namespace.
    has_memory: bool,
}

/// What is used by one account or for one reason.
#[derive(Default)]
struct Sum {
    n_pods: u64,
    /// Of them those that run a server.
    n_servers: u64,
    amounts: Amounts,
    cpu_seconds_more: f64,
}

impl Prometheus {
    /// A look at this moment.
    pub(super) async fn look_at(
        &mut self,
        at: Timestamp,
        known: &Known,
    ) -> Result<Look, PrometheusError> {
        let mut asker = Asker::new(
            &self.client,
            &self.namespace,
            &self.labels,
            self.most_points,
        );
        let now = Now::see(&mut asker, at).await?;
        let mut notes = Vec::new();
        let mut numbers = ceilings::waiting(&mut asker, at, &now.pods, &now.phases).await?;
        let last_nodes = match self.nodes.take().filter(|last| last.is_recent(at)) {
            Some(last) => last,
            None => look_at_nodes(&mut asker, at, &now, known).await?,
        };
        numbers.extend(last_nodes.numbers.iter().cloned());
        notes.extend(last_nodes.note.clone());
        let machines = last_nodes.machines.clone();
        self.nodes = Some(last_nodes);
        let is_due = self
            .homes
            .as_ref()
            .is_none_or(|last| at.duration_since(last.at) >= self.homes_interval);
        let mut homes = None;
        if is_due && known.users.is_some() {
            let owners = homes::owners(known, &self.home_directories);
            let (last, found) = look_at_homes(&mut asker, at, &owners).await?;
            self.homes = Some(last);
            homes = found;
        }
        // Last, since what is told of once is not told again.
        let more = self.steps.more(&mut asker, at).await?;
        let (servers, mut unattributed) = now.charged(&more, known);
        notes.extend(now.note_about_pods(&servers, &unattributed, &asker));
        notes.extend(now.note_about_memory(&asker));
        if let Some(last) = &self.homes {
            notes.extend(last.note.clone());
            unattributed.extend(last.unattributed.clone());
        }
        notes.extend(asker.notes());
        Ok(Look {
            at,
            servers: servers
                .into_iter()
                .map(|(account, sum)| sum.of(account))
                .collect(),
            homes,
            unattributed,
            numbers,
            machines,
            notes,
            increments: Vec::new(),
        })
    }
}

async fn look_at_nodes(
    asker: &mut Asker<'_>,
    at: Timestamp,
    now: &Now,
    known: &Known,
) -> Result<LastNodes, PrometheusError> {
    let users = users_of(known);
    let placed = Placed {
        pods: &now.pods,
        has_ended: &|pod| now.has_ended(pod),
        is_known: &|user| is_known(users.as_ref(), user),
    };
    LastNodes::look(asker, at, &placed).await
}

/// Those whom the hub knows; `None` until it has told.
fn users_of(known: &Known) -> Option<HashSet<&str>> {
    let users = known.users.as_ref()?;
    Some(users.iter().map(UserName::as_str).collect())
}

fn is_known(users: Option<&HashSet<&str>>, user: &UserName) -> bool {
    users.is_none_or(|users| users.contains(user.as_str()))
}

/// Sizes of homes, which somebody may forbid as well.
async fn look_at_homes(
    asker: &mut Asker<'_>,
    at: Timestamp,
    owners: &model::homes::Owners,
) -> Result<(homes::LastLook, Option<Homes>), PrometheusError> {
    match homes::now(asker, at, owners).await {
        Ok((last, homes)) => Ok((last, Some(homes))),
        Err(error) if error.is_about_the_query() => {
            let note = Some(Note {
                about: "homes",
                text: format!("sizes of homes are not known: {}", error.with_causes()),
            });
            let last = homes::LastLook {
                at,
                note,
                unattributed: None,
            };
            Ok((last, None))
        }
        Err(error) => Err(error),
    }
}

impl Now {
    async fn see(asker: &mut Asker<'_>, at: Timestamp) -> Result<Self, PrometheusError> {
        let pods = pods(asker, at).await?;
        let phases = phases(asker, at).await?;
        let mut now = Self {
            pods,
            phases,
            amounts: HashMap::new(),
            has_memory: false,
        };
        let memory = MEMORY.sum_now(asker);
        now.has_memory = now
            .fill(asker, at, &memory, |amounts, _, value| {
                most(&mut amounts.memory_bytes, value);
            })
            .await?;
        let rate = |function, counter: &super::counters::Counter, asker: &Asker<'_>| {
            let series = asker.mine(counter.selector()).over(function, RATE_MS);
            grouped("sum", &POD, &grouped("max", &counter.labels(), &series))
        };
        let cpu = rate("irate", &CPU, asker);
        let received = rate("rate", &RECEIVED, asker);
        let sent = rate("rate", &SENT, asker);
        now.fill(asker, at, &cpu, |amounts, _, value| {
            most(&mut amounts.cpu_cores, value);
        })
        .await?;
        now.fill(asker, at, &received, |amounts, _, value| {
            most(&mut amounts.network_rx_bytes_per_second, value);
        })
        .await?;
        now.fill(asker, at, &sent, |amounts, _, value| {
            most(&mut amounts.network_tx_bytes_per_second, value);
        })
        .await?;
        now.fill_requests(asker, at).await?;
        now.fill_limits(asker, at).await?;
        now.fill_gpus(asker, at).await?;
        Ok(now)
    }

    /// Sets an amount of users' pods; says whether there was anything, of whatever pod.
    async fn fill(
        &mut self,
        asker: &mut Asker<'_>,
        at: Timestamp,
        query: &str,
        set: impl Fn(&mut Amounts, &Labels, f64),
    ) -> Result<bool, PrometheusError> {
        let answer = asker.now(query, at).await?;
        for series in &answer.series {
            let pod = pod_of(&series.labels);
            if self.pods.whose(pod) == Whose::NotUsers {
                continue;
            }
            let amounts = self.amounts.entry(pod.into()).or_default();
            for point in &series.points {
                set(amounts, &series.labels, point.value);
            }
        }
        Ok(!answer.series.is_empty())
    }

    /// What pods ask for that have a node and have not ended. One that asks for anything is known not
    /// to ask for the rest.
    async fn fill_requests(
        &mut self,
        asker: &mut Asker<'_>,
        at: Timestamp,
    ) -> Result<(), PrometheusError> {
        let waiting = Selector::new("kube_pod_status_scheduled").equals("condition", "true");
        let waiting = grouped("max", &POD, &asker.mine(waiting).now());
        let answer = asker.now(&format!("{waiting} == 0"), at).await?;
        let waiting = answer.series.iter().map(|series| pod_of(&series.labels));
        let waiting: HashSet<&str> = waiting.collect();
        let answer = asker.now(&REQUESTS.sum_now(asker), at).await?;
        // By pod and resource: what two exporters say counts once, what several GPUs' makers say is
        // added up.
        let mut requests: BTreeMap<(&str, &str), f64> = BTreeMap::new();
        for series in &answer.series {
            let request = requests.entry((pod_of(&series.labels), REQUESTS.kept(&series.labels)));
            let request = request.or_default();
            *request = series
                .points
                .iter()
                .map(|point| point.value)
                .fold(*request, f64::max);
        }
        for ((pod, resource), value) in requests {
            let holds = !waiting.contains(pod) && !self.has_ended(pod);
            if !holds || self.pods.whose(pod) == Whose::NotUsers {
                continue;
            }
            let amounts = self.amounts.entry(pod.into()).or_default();
            for (name, amount) in [
                ("cpu", &mut amounts.cpu_requested_cores),
                ("memory", &mut amounts.memory_requested_bytes),
                ("gpu", &mut amounts.gpus_requested),
            ] {
                let more = if resource_of(resource) == name {
                    value
                } else {
                    0.0
                };
                *amount = Some(amount.unwrap_or_default() + more);
            }
        }
        Ok(())
    }

    /// Of pods that use or hold anything.
    async fn fill_limits(
        &mut self,
        asker: &mut Asker<'_>,
        at: Timestamp,
    ) -> Result<(), PrometheusError> {
        let answer = asker.now(&MEMORY_LIMITS.sum_now(asker), at).await?;
        for series in &answer.series {
            if let Some(amounts) = self.amounts.get_mut(pod_of(&series.labels)) {
                for point in &series.points {
                    most(&mut amounts.memory_limit_bytes, point.value);
                }
            }
        }
        Ok(())
    }

    async fn fill_gpus(
        &mut self,
        asker: &mut Asker<'_>,
        at: Timestamp,
    ) -> Result<(), PrometheusError> {
        let mut known: HashSet<Arc<str>> = HashSet::new();
        for (gauge, unit) in GPU_GAUGES {
            let query = gauge.sum_now(asker);
            let already = std::mem::take(&mut known);
            self.fill(asker, at, &query, |amounts, labels, value| {
                if !already.contains(pod_of(labels)) {
                    most(&mut amounts.gpus_used, value / unit);
                }
            })
            .await?;
            let with_gpus = self.amounts.iter();
            let with_gpus = with_gpus.filter(|(_, amounts)| amounts.gpus_used.is_some());
            known = with_gpus.map(|(pod, _)| Arc::clone(pod)).collect();
        }
        Ok(())
    }

    fn has_ended(&self, pod: &str) -> bool {
        let has_ended = |phase: &str| matches!(phase, "Succeeded" | "Failed");
        let phases = self.phases.get(pod);
        phases.is_some_and(|phases| phases.iter().all(|phase| has_ended(phase)))
    }

    /// By account and by reason.
    fn charged(
        &self,
        more: &HashMap<Arc<str>, f64>,
        known: &Known,
    ) -> (BTreeMap<Account, Sum>, Vec<Unattributed>) {
        let users = users_of(known);
        let is_known = |account: &Account| is_known(users.as_ref(), &account.user);
        let mut servers: BTreeMap<Account, Sum> = BTreeMap::new();
        let mut nobodys: BTreeMap<&'static str, Sum> = BTreeMap::new();
        // Sums of floating-point numbers depend on their order.
        let amounts: BTreeMap<_, _> = self.amounts.iter().collect();
        for (pod, amounts) in amounts {
            let sum = match self.pods.whose(pod) {
                Whose::Account(account) if is_known(&account) => {
                    servers.entry(account).or_default()
                }
                Whose::Account(_) => nobodys.entry(UNKNOWN_USER).or_default(),
                Whose::Nobody(reason) => nobodys.entry(reason).or_default(),
                Whose::NotUsers => continue,
            };
            sum.n_pods += 1;
            sum.n_servers += u64::from(self.pods.is_server(pod));
            sum.amounts.add(amounts);
            sum.cpu_seconds_more += more.get(pod).copied().unwrap_or_default();
        }
        let nobodys = nobodys.into_iter().map(|(reason, sum)| Unattributed {
            reason,
            n_things: sum.n_pods,
            amounts: sum.amounts,
            home_bytes: None,
        });
        (servers, nobodys.collect())
    }

    fn note_about_pods(
        &self,
        servers: &BTreeMap<Account, Sum>,
        unattributed: &[Unattributed],
        asker: &Asker<'_>,
    ) -> Option<Note> {
        let namespace = asker.namespace;
        let cannot_be_told_apart =
            !self.pods.has_servers() && servers.values().any(|sum| sum.n_servers > 1);
        let text = if self.phases.is_empty() && !self.pods.has_users() {
            format!(
                "there are no `kube_pod_…` series of namespace `{namespace}`: check \
                 `prometheus.namespace`, and that kube-state-metrics is scraped"
            )
        } else if !self.pods.has_users() && !unattributed.is_empty() {
            format!(
                "`kube_pod_annotations` has no `{}` in namespace `{namespace}`, so nobody's usage is \
                 known: start kube-state-metrics with {FLAG}",
                asker.labels.user
            )
        } else if cannot_be_told_apart {
            format!("named servers cannot be told apart: start kube-state-metrics with {FLAG}")
        } else {
            return None;
        };
        Some(Note {
            about: "pods",
            text,
        })
    }

    fn note_about_memory(&self, asker: &Asker<'_>) -> Option<Note> {
        (!self.has_memory).then(|| Note {
            about: "memory",
            text: format!(
                "there is no `container_memory_working_set_bytes` of namespace `{}`: what servers use \
                 is known to cAdvisor, which is part of the kubelet (`/metrics/cadvisor`)",
                asker.namespace
            ),
        })
    }
}

/// What has to be added to kube-state-metrics' command line.
const FLAG: &str = "`--metric-annotations-allowlist=pods=[hub.jupyter.org/username,\
                    hub.jupyter.org/servername]`";

impl Sum {
    fn of(self, account: Account) -> ServerUse {
        ServerUse {
            account,
            amounts: self.amounts,
            cpu_seconds_more: self.cpu_seconds_more,
        }
    }
}

async fn pods(asker: &mut Asker<'_>, at: Timestamp) -> Result<Pods, PrometheusError> {
    let mut pods = Pods::default();
    let names = asker.labels;
    let annotated = Selector::new("kube_pod_annotations").not_empty(&names.user);
    let query = grouped(
        "max",
        &annotation_labels(names),
        &asker.mine(annotated).now(),
    );
    for series in asker.now(&query, at).await?.series {
        pods.add_annotation(&series.labels, names);
    }
    let labelled = asker.mine(Selector::new("kube_pod_labels")).now();
    let query = grouped("max", &component_labels(), &labelled);
    for series in asker.now(&query, at).await?.series {
        pods.add_labels(&series.labels);
    }
    Ok(pods)
}

async fn phases(asker: &mut Asker<'_>, at: Timestamp) -> Result<Phases, PrometheusError> {
    let phase = asker.mine(Selector::new("kube_pod_status_phase")).now();
    let labels = [&POD[..], &["phase"]].concat();
    let query = format!("{} == 1", grouped("max", &labels, &phase));
    let mut phases = Phases::new();
    for series in asker.now(&query, at).await?.series {
        let pod = phases.entry(pod_of(&series.labels).into()).or_default();
        pod.insert(series.labels.get("phase").into());
    }
    Ok(phases)
}

/// Of what several exporters say of a pod the most.
fn most(amount: &mut Option<f64>, value: f64) {
    *amount = Some(amount.map_or(value, |other| other.max(value)));
}
