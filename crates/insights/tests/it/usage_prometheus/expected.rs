//! What must come out of the made-up month, by arithmetic that shares no code with the program: sums
//! of whole numbers, sample by sample.

use super::exporters::{DCGM_OFFSET, KUBE_STATE_METRICS_OFFSET};
use super::month::{
    HOUR, INTERVAL, Month, NAMESPACE, NODE_OFFSETS, NODES, Pod, RESERVED_BYTES,
    RESERVED_MILLICORES, Role, SANDBOX_BYTES, ZONE_OFFSET, node_bytes, node_bytes_used, node_cores,
    node_millicores_used, times,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Exporters that tell of one pod may be this far apart.
const MARGIN: i64 = 120;

/// Whose a row is: the start of its hour, the user, and the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) hour: i64,
    pub(crate) user: String,
    pub(crate) server: Option<String>,
}

/// Sums of an hour, in small units; `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) cpu_thousandths: Option<i64>,
    pub(crate) memory_byte_seconds: Option<i64>,
    pub(crate) cpu_requested_thousandths: Option<i64>,
    pub(crate) memory_requested_byte_seconds: Option<i64>,
    pub(crate) gpu_requested_seconds: Option<i64>,
    pub(crate) gpu_used_percent_seconds: Option<i64>,
    pub(crate) received_bytes: Option<i64>,
    pub(crate) sent_bytes: Option<i64>,
    pub(crate) peak_bytes: Option<i64>,
    pub(crate) samples: i64,
    /// One of the values of memory is not a number.
    pub(crate) has_not_a_number: bool,
}

/// A session of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) server: String,
    pub(crate) started: i64,
    pub(crate) ended: i64,
}

/// What one account uses at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Present {
    pub(crate) n_pods: u64,
    pub(crate) memory_bytes: f64,
    pub(crate) cpu_cores: f64,
    pub(crate) memory_requested_bytes: f64,
    pub(crate) cpu_requested_cores: f64,
    pub(crate) gpus_requested: f64,
    /// Unknown of a pod that has none.
    pub(crate) gpus_used: Option<f64>,
    pub(crate) received_per_second: f64,
    pub(crate) sent_per_second: f64,
}

/// Who is charged for what runs at a moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Charged {
    /// A user whom the hub knows, and the server if it is one.
    Account(String, Option<String>),
    /// Nobody, and why.
    Nobody(&'static str),
}

impl Present {
    pub(crate) fn add(&mut self, more: &Self) {
        self.n_pods += more.n_pods;
        self.memory_bytes += more.memory_bytes;
        self.cpu_cores += more.cpu_cores;
        self.memory_requested_bytes += more.memory_requested_bytes;
        self.cpu_requested_cores += more.cpu_requested_cores;
        self.gpus_requested += more.gpus_requested;
        if let Some(more) = more.gpus_used {
            *self.gpus_used.get_or_insert(0.0) += more;
        }
        self.received_per_second += more.received_per_second;
        self.sent_per_second += more.sent_per_second;
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "all numbers of the month are below 2^53"
)]
pub(crate) fn real(number: i64) -> f64 {
    number as f64
}

/// Start of the local hour that a sample belongs to: one at a full hour belongs to the hour before.
pub(crate) fn hour_of(at: i64) -> i64 {
    (at - 1 + ZONE_OFFSET).div_euclid(HOUR) * HOUR - ZONE_OFFSET
}

fn add(sum: &mut Option<i64>, more: i64) {
    *sum = Some(sum.unwrap_or(0) + more);
}

impl Sums {
    fn add(&mut self, more: &Self) {
        let pairs = [
            (&mut self.cpu_thousandths, more.cpu_thousandths),
            (&mut self.memory_byte_seconds, more.memory_byte_seconds),
            (
                &mut self.cpu_requested_thousandths,
                more.cpu_requested_thousandths,
            ),
            (
                &mut self.memory_requested_byte_seconds,
                more.memory_requested_byte_seconds,
            ),
            (&mut self.gpu_requested_seconds, more.gpu_requested_seconds),
            (
                &mut self.gpu_used_percent_seconds,
                more.gpu_used_percent_seconds,
            ),
            (&mut self.received_bytes, more.received_bytes),
            (&mut self.sent_bytes, more.sent_bytes),
        ];
        for (sum, more) in pairs {
            if let Some(more) = more {
                add(sum, more);
            }
        }
        self.peak_bytes = self.peak_bytes.max(more.peak_bytes);
        self.samples += more.samples;
        self.has_not_a_number |= more.has_not_a_number;
    }
}

/// What each account used in each hour, and what nobody did who is known.
pub(crate) struct Usage {
    pub(crate) rows: BTreeMap<Key, Sums>,
    pub(crate) nobodys: BTreeMap<i64, Sums>,
}

impl Usage {
    pub(crate) fn of(month: &Month) -> Self {
        let named = hours_with_named_servers(month);
        let mut usage = Self {
            rows: BTreeMap::new(),
            nobodys: BTreeMap::new(),
        };
        for pod in month.pods.iter().filter(|pod| pod.is_users()) {
            for (hour, sums) in hours_of(month, pod) {
                let Some(user) = pod.user else {
                    usage.nobodys.entry(hour).or_default().add(&sums);
                    continue;
                };
                let server = pod.server.clone().unwrap_or_default();
                let key = Key {
                    hour,
                    user: month.people[user].name.clone(),
                    // Only where some pod tells the name of a server.
                    server: (pod.role == Role::Server && named.contains(&hour)).then_some(server),
                };
                usage.rows.entry(key).or_default().add(&sums);
            }
        }
        usage
    }

    /// Those of hours that begin at or after the first and end at or before the second moment.
    pub(crate) fn within(&self, from: i64, to: i64) -> BTreeMap<&Key, &Sums> {
        let rows = self.rows.iter();
        rows.filter(|(key, _)| key.hour >= from && key.hour + HOUR <= to)
            .collect()
    }
}

fn hours_with_named_servers(month: &Month) -> BTreeSet<i64> {
    let mine = month.pods.iter().filter(|pod| pod.namespace == NAMESPACE);
    let named = mine.filter(|pod| pod.user.is_some() && pod.server.is_some());
    let mut hours = BTreeSet::new();
    for pod in named {
        for at in told(month, pod) {
            // Of which hours a sample may be a little before or after.
            hours.insert(hour_of(at - MARGIN));
            hours.insert(hour_of(at));
            hours.insert(hour_of(at + MARGIN));
        }
    }
    hours
}

/// When kube-state-metrics tells of a pod.
fn told(month: &Month, pod: &Pod) -> impl Iterator<Item = i64> + Clone {
    times(pod.from, pod.to.min(month.end), KUBE_STATE_METRICS_OFFSET)
}

/// When its kubelet does.
fn measured(month: &Month, pod: &Pod, from: i64, to: i64) -> impl Iterator<Item = i64> + Clone {
    times(from, to.min(month.end), NODE_OFFSETS[pod.node])
}

fn hours_of(month: &Month, pod: &Pod) -> HashMap<i64, Sums> {
    let mut hours: HashMap<i64, Sums> = HashMap::new();
    let mut peaks: HashMap<i64, i64> = HashMap::new();
    let begin = pod.containers[0].from;
    for container in &pod.containers {
        let mut cpu = Counter::from_zero();
        for at in measured(month, pod, container.from, container.to) {
            let sums = hours.entry(hour_of(at)).or_default();
            add(&mut sums.cpu_thousandths, cpu.more(pod.cpu(container, at)));
            let is_bad = |bad: i64| bad.div_euclid(INTERVAL) == at.div_euclid(INTERVAL);
            if pod.not_a_number.is_some_and(is_bad) {
                sums.has_not_a_number = true;
                continue;
            }
            let bytes = pod.memory(at);
            add(&mut sums.memory_byte_seconds, bytes * INTERVAL);
            let peak = peaks.entry(hour_of(at)).or_default();
            *peak = bytes.max(*peak);
        }
    }
    let mut cpu = Counter::from_zero();
    let (mut received, mut sent) = if pod.tells_created {
        (Counter::from_zero(), Counter::from_zero())
    } else {
        // When its network began to count is not known.
        (Counter::from_first(), Counter::from_first())
    };
    for at in measured(month, pod, begin, pod.runs_until()) {
        let sums = hours.entry(hour_of(at)).or_default();
        add(&mut sums.cpu_thousandths, cpu.more(pod.sandbox_cpu(at)));
        add(&mut sums.memory_byte_seconds, SANDBOX_BYTES * INTERVAL);
        let peak = peaks.get(&hour_of(at)).copied().unwrap_or(0);
        sums.peak_bytes = Some(peak + SANDBOX_BYTES);
        add(&mut sums.received_bytes, received.more(pod.received(at)));
        add(&mut sums.sent_bytes, sent.more(pod.sent(at)));
        sums.samples += 1;
    }
    for at in told(month, pod) {
        let sums = hours.entry(hour_of(at)).or_default();
        // One that waits or has failed is known to hold nothing.
        let held = if pod.holds(at) { INTERVAL } else { 0 };
        let cpu = pod.requested_millicores * held;
        add(&mut sums.cpu_requested_thousandths, cpu);
        let memory = pod.requested_bytes * held;
        add(&mut sums.memory_requested_byte_seconds, memory);
        let gpus = i64::from(pod.gpu.is_some()) * held;
        add(&mut sums.gpu_requested_seconds, gpus);
        // Where only its requests are known, these are what was measured.
        if sums.peak_bytes.is_none() {
            sums.samples += 1;
        }
    }
    if pod.gpu.is_some() {
        for at in times(begin, pod.runs_until().min(month.end), DCGM_OFFSET) {
            let sums = hours.entry(hour_of(at)).or_default();
            let used = pod.gpu_utilisation(at) * INTERVAL;
            add(&mut sums.gpu_used_percent_seconds, used);
        }
    }
    hours
}

/// Adds up what is added to a counter; one that goes down has begun anew.
struct Counter {
    last: Option<i64>,
}

impl Counter {
    fn from_zero() -> Self {
        Self { last: Some(0) }
    }

    fn from_first() -> Self {
        Self { last: None }
    }

    fn more(&mut self, value: i64) -> i64 {
        let last = self.last.replace(value).unwrap_or(value);
        if value < last { value } else { value - last }
    }
}

/// Sessions of pods that were gone for a while by this time.
pub(crate) fn sessions(month: &Month, gone_by: i64) -> Vec<Session> {
    let mine = month.pods.iter().filter(|pod| pod.is_users());
    // One that never got a node was never a session.
    let servers = mine.filter(|pod| pod.role == Role::Server && pod.placed.is_some());
    let sessions = servers.filter_map(|pod| {
        let user = pod.user?;
        let (first, last) = (told(month, pod).min()?, told(month, pod).max()?);
        (last <= gone_by).then(|| Session {
            user: month.people[user].name.clone(),
            server: pod.server.clone().unwrap_or_default(),
            started: if pod.tells_created { pod.from } else { first },
            ended: last + INTERVAL,
        })
    });
    let mut sessions: Vec<Session> = sessions.collect();
    sessions.sort();
    sessions
}

/// What runs at a moment.
pub(crate) fn present(month: &Month, at: i64) -> BTreeMap<Charged, Present> {
    let mut present: BTreeMap<Charged, Present> = BTreeMap::new();
    for pod in running(month, at) {
        let container = pod.containers.last().unwrap();
        let last = measured(month, pod, at - INTERVAL, at).last().unwrap();
        let before = last - INTERVAL;
        let per_second = |of: &dyn Fn(i64) -> i64| real(of(last) - of(before)) / real(INTERVAL);
        let cpu = |at: i64| pod.cpu(container, at) + pod.sandbox_cpu(at);
        let scraped = at - (at - DCGM_OFFSET).rem_euclid(INTERVAL);
        let gpu = pod.gpu.map(|_| pod.gpu_utilisation(scraped));
        present
            .entry(charged(month, pod))
            .or_default()
            .add(&Present {
                n_pods: 1,
                memory_bytes: real(pod.memory(last) + SANDBOX_BYTES),
                cpu_cores: per_second(&cpu) / 1000.0,
                memory_requested_bytes: real(pod.requested_bytes),
                cpu_requested_cores: real(pod.requested_millicores) / 1000.0,
                gpus_requested: f64::from(u8::from(pod.gpu.is_some())),
                gpus_used: gpu.map(|percent| real(percent) / 100.0),
                received_per_second: per_second(&|at| pod.received(at)),
                sent_per_second: per_second(&|at| pod.sent(at)),
            });
    }
    present
}

/// What each user whom the hub knows used from one look to another, as their last samples say, in
/// thousandths of a core second.
pub(crate) fn cpu_between(month: &Month, from: i64, to: i64) -> BTreeMap<String, i64> {
    let mut users: BTreeMap<String, i64> = BTreeMap::new();
    for pod in running(month, from) {
        let Charged::Account(user, _) = charged(month, pod) else {
            continue;
        };
        let container = pod.containers.last().unwrap();
        let seen = |at: i64| {
            let last = measured(month, pod, at - INTERVAL, at).last().unwrap();
            pod.cpu(container, last) + pod.sandbox_cpu(last)
        };
        *users.entry(user).or_default() += seen(to) - seen(from);
    }
    users
}

/// Users' pods that run at a moment, and have for a while.
fn running(month: &Month, at: i64) -> impl Iterator<Item = &Pod> {
    let users = month.pods.iter().filter(|pod| pod.is_users());
    users.filter(move |pod| pod.from < at - 300 && at <= pod.to && pod.holds(at))
}

fn charged(month: &Month, pod: &Pod) -> Charged {
    let Some(user) = pod.user else {
        return Charged::Nobody("no annotation");
    };
    let person = &month.people[user];
    if !person.is_known {
        return Charged::Nobody("unknown user");
    }
    let is_server = pod.role == Role::Server;
    let server = is_server.then(|| pod.server.clone().unwrap_or_default());
    Charged::Account(person.name.clone(), server)
}

/// Number of this name and with these labels, as JSON.
pub(crate) type Numbers = BTreeMap<(String, String), f64>;

/// Ceilings of now.
pub(crate) fn ceilings(month: &Month) -> Numbers {
    let mut numbers = Numbers::new();
    let mut add = |name: &str, labels: String, value: f64| {
        *numbers.entry((name.to_owned(), labels)).or_default() += value;
    };
    let pool = |number: usize| serde_json::json!({"pool": NODES[number].pool}).to_string();
    for (index, node) in NODES.iter().enumerate() {
        let number = i64::try_from(index).unwrap();
        let (cores, bytes) = (real(node_cores(number)), node_bytes(number));
        add("pool_cpu_capacity_cores", pool(index), cores);
        let reserved = real(RESERVED_MILLICORES) / 1000.0;
        add("pool_cpu_allocatable_cores", pool(index), cores - reserved);
        add("pool_memory_capacity_bytes", pool(index), real(bytes));
        let left = real(bytes - RESERVED_BYTES);
        add("pool_memory_allocatable_bytes", pool(index), left);
        if node.is_ready {
            let used = real(node_millicores_used(number)) / 1000.0;
            add("pool_cpu_used_cores", pool(index), used);
            let used = real(node_bytes_used(number));
            add("pool_memory_used_bytes", pool(index), used);
        }
        let state = match (node.is_ready, node.is_cordoned) {
            (false, _) => "not-ready",
            (true, true) => "cordoned",
            (true, false) => "ready",
        };
        let labels = serde_json::json!({"pool": node.pool, "state": state});
        add("pool_nodes", labels.to_string(), 1.0);
    }
    // Whatever it is for, and whosever hub's.
    let all = month.pods.iter();
    let there: Vec<&Pod> = all
        .filter(|pod| pod.from < month.now && month.now <= pod.to)
        .collect();
    for pod in there.iter().filter(|pod| pod.holds(month.now)) {
        let cores = real(pod.requested_millicores) / 1000.0;
        add("pool_cpu_requested_cores", pool(pod.node), cores);
        let bytes = real(pod.requested_bytes);
        add("pool_memory_requested_bytes", pool(pod.node), bytes);
    }
    let count = |is_so: &dyn Fn(&Pod) -> bool| {
        let users = there.iter().filter(|pod| pod.is_users());
        real(i64::try_from(users.filter(|pod| is_so(pod)).count()).unwrap())
    };
    let waiting = count(&|pod| pod.placed.is_none());
    add("pods_unschedulable", "{}".to_owned(), waiting);
    let killed = count(&|pod| pod.is_oom_killed);
    add("pods_oom_killed", "{}".to_owned(), killed);
    for pod in there.iter().filter(|pod| pod.role == Role::Placeholder) {
        let phase = if pod.placed.is_some() {
            "Running"
        } else {
            "Pending"
        };
        let labels = serde_json::json!({"phase": phase});
        add("pods_placeholder", labels.to_string(), 1.0);
    }
    numbers
}
