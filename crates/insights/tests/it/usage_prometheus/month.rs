//! A made-up month of a hub in a cluster: who ran what when, and how much it used, by arithmetic of
//! its own. What exporters say of it is `exporters`' business, what follows `expected`'s.
//!
//! All times are seconds since 1970. Values are whole numbers of small units, so that sums are exact.

use model::slug;
use std::collections::BTreeSet;

pub(crate) const NAMESPACE: &str = "hub";
/// Another hub of the same cluster, with users of the same names.
pub(crate) const OTHER_NAMESPACE: &str = "other-hub";
pub(crate) const N_USERS: usize = 500;
pub(crate) const N_GROUPS: usize = 40;
/// Between two samples of a series.
pub(crate) const INTERVAL: i64 = 60;
/// The hub's clocks are 5:45 ahead of UTC, without changes: hours begin a quarter past.
pub(crate) const ZONE: &str = "Asia/Kathmandu";
pub(crate) const ZONE_OFFSET: i64 = (5 * 60 + 45) * 60;
pub(crate) const HOUR: i64 = 3600;
pub(crate) const DAY: i64 = 24 * HOUR;
const N_DAYS: i64 = 31;
/// What runs now goes on for so long, so that a look at the present finds it.
const AFTER_NOW: i64 = 30 * 60;
/// When each node's kubelet is scraped, in seconds after the full minute: also exactly then.
pub(crate) const NODE_OFFSETS: [i64; 6] = [0, 13, 41, 29, 7, 55];
/// The machines of the cluster; pods run on those whose kubelets are in [`NODE_OFFSETS`].
pub(crate) const NODES: [Node; 8] = [
    Node::new(&[PURPOSE], "user"),
    Node::new(&[PURPOSE], "user"),
    Node::new(&[PURPOSE, GKE_POOL], "gpu-pool"),
    Node::new(&[PURPOSE, GKE_POOL], "gpu-pool"),
    Node::new(
        &[("label_karpenter_sh_nodepool", "spot \"1\"")],
        "spot \"1\"",
    ),
    Node::new(&[("label_kubernetes_io_os", "linux")], "unknown"),
    Node {
        is_cordoned: true,
        ..Node::new(&[PURPOSE], "user")
    },
    Node {
        is_ready: false,
        ..Node::new(&[PURPOSE, GKE_POOL], "gpu-pool")
    },
];
const PURPOSE: (&str, &str) = ("label_hub_jupyter_org_node_purpose", "user");
const GKE_POOL: (&str, &str) = ("label_cloud_google_com_gke_nodepool", "gpu-pool");
/// Bytes of each pod's sandbox.
pub(crate) const SANDBOX_BYTES: i64 = 458_752;
const MIB: i64 = 1 << 20;

/// Names that are no plain ones.
const ODD_NAMES: [&str; 8] = [
    "ada.lovelace@example.org",
    "Zoë Müller",
    "用户-1",
    "quote\"d",
    "back\\slash",
    "a.b|c(d)*",
    "{safe}",
    "UPPER_case--2",
];

pub(crate) struct Month {
    pub(crate) now: i64,
    pub(crate) start: i64,
    /// The last moment with samples.
    pub(crate) end: i64,
    pub(crate) people: Vec<Person>,
    pub(crate) groups: Vec<String>,
    pub(crate) pods: Vec<Pod>,
    /// From then on a second job scrapes the kubelets as well, until [`Self::end`].
    pub(crate) second_job_from: i64,
    /// Then kube-state-metrics was started anew and got another address.
    pub(crate) exporter_moved: i64,
}

pub(crate) struct Person {
    pub(crate) name: String,
    /// Places in [`Month::groups`].
    pub(crate) groups: Vec<usize>,
    /// Whether the hub still knows them.
    pub(crate) is_known: bool,
    pub(crate) directory: String,
}

/// A machine; what it has and uses follows from its place in [`NODES`].
pub(crate) struct Node {
    /// Those that kube-state-metrics tells.
    pub(crate) labels: &'static [(&'static str, &'static str)],
    pub(crate) pool: &'static str,
    pub(crate) is_ready: bool,
    pub(crate) is_cordoned: bool,
}

/// What a pod is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    DaskWorker,
    /// The hub's own.
    Hub,
    /// Keeps a place free for users' servers.
    Placeholder,
}

pub(crate) struct Pod {
    pub(crate) namespace: &'static str,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) role: Role,
    /// Place in [`Month::people`], if the pod says whose it is.
    pub(crate) user: Option<usize>,
    /// Only of named servers.
    pub(crate) server: Option<String>,
    /// The place in [`NODES`] of the machine that it runs on, or would.
    pub(crate) node: usize,
    /// When it got its node, if it ever did.
    pub(crate) placed: Option<i64>,
    /// From then on it has failed, and is told of all the same.
    pub(crate) failed: Option<i64>,
    /// Whether a container of it was killed for want of memory.
    pub(crate) is_oom_killed: bool,
    /// It is there after the first and until the last moment.
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// One after another in the same pod.
    pub(crate) containers: Vec<Container>,
    pub(crate) bytes: i64,
    pub(crate) millicores: i64,
    pub(crate) bytes_per_second: i64,
    pub(crate) requested_millicores: i64,
    pub(crate) requested_bytes: i64,
    /// GPU of its node, if it has one.
    pub(crate) gpu: Option<usize>,
    /// When its counters began again at 0, if they did.
    pub(crate) reset: Option<i64>,
    /// Whether kube-state-metrics tells when it was made.
    pub(crate) tells_created: bool,
    /// One of its values of memory is not a number then.
    pub(crate) not_a_number: Option<i64>,
    /// From then on it uses the same each minute, so that a look need not be timed.
    pub(crate) steady_from: i64,
}

pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Numbers that look random and are the same each time (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.roll(i64::try_from(n).unwrap())).unwrap()
    }

    fn hex(&mut self) -> String {
        format!("{:012x}", self.roll(1 << 47))
    }
}

impl Month {
    /// Up to now, rounded down to a full minute.
    pub(crate) fn until(now: i64) -> Self {
        let now = now.div_euclid(60) * 60;
        let start = now - N_DAYS * DAY;
        let mut month = Self {
            now,
            start,
            end: now + AFTER_NOW,
            people: Vec::new(),
            groups: (0..N_GROUPS).map(group_name).collect(),
            pods: Vec::new(),
            second_job_from: hour_start(now - 3 * DAY) + 1234,
            exporter_moved: hour_start(now - 10 * DAY) + 1500,
        };
        let mut dice = Dice(5);
        month.add_people(&mut dice);
        for user in 0..=N_USERS {
            month.add_servers(user, &mut dice);
        }
        month.add_special_ones(&mut dice);
        month.add_other_hub(&mut dice);
        month.add_those_of_now(&mut dice);
        for pod in &mut month.pods {
            pod.steady_from = now - 20 * 60;
        }
        month
    }

    fn add_people(&mut self, dice: &mut Dice) {
        for number in 0..=N_USERS {
            let is_known = number < N_USERS;
            let name = match ODD_NAMES.get(number) {
                Some(name) => (*name).to_owned(),
                None if is_known => format!("user-{number:03}"),
                None => "vanished@example.org".to_owned(),
            };
            let n_groups = [1, 1, 1, 2, 2, 3, 4, 0, 1, 1][number % 10];
            let mut groups = BTreeSet::new();
            while groups.len() < n_groups {
                groups.insert(dice.index(N_GROUPS));
            }
            let directory = match number % 3 {
                0 => slug::escaped(&name),
                1 => slug::safe(&name),
                _ if name.contains(['/', '\\', '"']) => slug::escaped(&name),
                _ => name.clone(),
            };
            self.people.push(Person {
                name,
                groups: groups.into_iter().filter(|_| is_known).collect(),
                is_known,
                directory,
            });
        }
    }

    /// Four or five times in the month, one after another; every eighth user has a second server
    /// beside the first, every twelfth workers, and every seventh runs one now.
    fn add_servers(&mut self, user: usize, dice: &mut Dice) {
        let is_known = self.people[user].is_known;
        // Somebody who vanished did so half-way.
        let (n_times, slot) = if is_known {
            (4 + i64::from(user.is_multiple_of(2)), 6 * DAY + 4 * HOUR)
        } else {
            (3, 4 * DAY)
        };
        for time in 0..n_times {
            let from = self.start + HOUR + time * slot + dice.roll(slot - 3 * HOUR);
            let to = from + 30 * 60 + dice.roll(40 * 60);
            self.add_server(user, None, from, to, dice);
            if user % 8 == 3 {
                let server = ["gpu", "big lab", "zwei\"3"][user % 3];
                let from = from + dice.roll(600);
                self.add_server(user, Some(server), from, to + dice.roll(900), dice);
            }
            if user % 12 == 5 {
                for _ in 0..2 {
                    let from = from + 300 + dice.roll(300);
                    self.add_worker(Some(user), from, to - dice.roll(300), dice);
                }
            }
        }
        if is_known && user.is_multiple_of(7) {
            let from = self.now - 30 * 60 - dice.roll(60 * 60);
            let pod = self.add_server(user, None, from, self.end, dice);
            if user.is_multiple_of(3) {
                pod.gpu = Some(2);
            }
            if user.is_multiple_of(14) {
                self.add_server(user, Some("second"), from + 120, self.end, dice);
            }
        }
    }

    fn add_server(
        &mut self,
        user: usize,
        server: Option<&str>,
        from: i64,
        to: i64,
        dice: &mut Dice,
    ) -> &mut Pod {
        let safe = slug::safe(&self.people[user].name);
        let name = match server {
            Some(server) => format!("jupyter-{safe}--{}", slug::safe(server)),
            None => format!("jupyter-{safe}"),
        };
        let gpu = (dice.roll(12) == 0).then_some(self.pods.len() % 4);
        self.pods.push(Pod {
            user: Some(user),
            server: server.map(str::to_owned),
            gpu,
            ..Pod::new(NAMESPACE, name, Role::Server, from, to, dice)
        });
        self.pods.last_mut().unwrap()
    }

    fn add_worker(&mut self, user: Option<usize>, from: i64, to: i64, dice: &mut Dice) {
        let name = format!("dask-worker-{}", dice.hex());
        self.pods.push(Pod {
            user,
            ..Pod::new(NAMESPACE, name, Role::DaskWorker, from, to, dice)
        });
    }

    /// What is bad or odd, each on a day of its own in the middle of the month.
    fn add_special_ones(&mut self, dice: &mut Dice) {
        let noon = |month: &Self, day: i64| month.start + day * DAY + 10 * HOUR + 17;
        // Without the annotation: a server and a worker.
        let from = noon(self, 7);
        let name = "jupyter-nobody-knows".to_owned();
        let server = Pod::new(NAMESPACE, name, Role::Server, from, from + 2 * HOUR, dice);
        self.pods.push(server);
        self.add_worker(None, from + 60, from + HOUR, dice);
        // The hub itself, which is nobody's use.
        let name = "hub-6f7d9c-x2x4z".to_owned();
        let hub = Pod::new(NAMESPACE, name, Role::Hub, from, from + 3 * HOUR, dice);
        self.pods.push(hub);
        for number in 0..12_usize {
            let from = noon(self, 8 + i64::try_from(number).unwrap()) - 1800;
            let to = from + 100 * 60;
            let user = 20 + 3 * number;
            let pod = self.add_server(user, Some("special"), from, to, dice);
            match number % 4 {
                // Its container is started again, by which its counters begin anew.
                0 => pod.restart_container(from + 40 * 60 + 7, dice),
                // Its counters begin anew although it is the same container.
                1 => pod.reset = Some(from + 50 * 60 + 7),
                2 => pod.tells_created = false,
                _ => {
                    pod.not_a_number = Some(from + 45 * 60);
                    pod.gpu = Some(1);
                }
            }
        }
        // Started anew within the hour: two pods of one name.
        let from = noon(self, 9);
        self.add_server(60, Some("again"), from, from + 20 * 60, dice);
        self.add_server(60, Some("again"), from + 25 * 60, from + 80 * 60, dice);
        // Over midnight, and without a word about when it was made.
        let midnight = (noon(self, 20) + ZONE_OFFSET).div_euclid(DAY) * DAY - ZONE_OFFSET;
        let pod = self.add_server(77, Some("night"), midnight - 3000, midnight + 3500, dice);
        pod.tells_created = false;
        // It waits for a node over the full hour, as where a cluster has to grow first.
        let from = noon(self, 11);
        let pod = self.add_server(61, Some("waits"), from, from + 150 * 60, dice);
        pod.wait_until(from + 70 * 60);
        pod.gpu = Some(0);
        // A shorter wait, and it is there for a while when it has failed.
        let from = noon(self, 12);
        let pod = self.add_server(62, Some("fails"), from, from + 150 * 60, dice);
        pod.wait_until(from + 7 * 60);
        pod.fail(from + 50 * 60);
    }

    /// What is bad or odd now.
    fn add_those_of_now(&mut self, dice: &mut Dice) {
        let (now, end) = (self.now, self.end);
        let from = now - 55 * 60;
        self.add_pod(Role::Server, "jupyter-nobody-knows-now", from, dice);
        self.add_pod(Role::DaskWorker, "dask-worker-nobodys", from, dice);
        let hub = self.add_pod(Role::Hub, "hub-5c9d8f-q2w3e", from, dice);
        hub.is_oom_killed = true;
        hub.restart_container(now - 25 * 60, dice);
        for name in ["user-placeholder-0", "user-placeholder-1"] {
            self.add_pod(Role::Placeholder, name, from, dice);
        }
        let waits = self.add_pod(Role::Placeholder, "user-placeholder-2", from, dice);
        waits.never_start();
        // Of somebody whom the hub does not know any more.
        self.add_server(N_USERS, None, from, end, dice);
        let pod = self.add_server(1, None, from, end, dice);
        pod.gpu = Some(0);
        pod.never_start();
        let pod = self.add_server(2, None, from, end, dice);
        pod.fail(now - 30 * 60);
        pod.is_oom_killed = true;
        let pod = self.add_server(3, Some("killed"), from, end, dice);
        pod.restart_container(now - 25 * 60, dice);
        pod.is_oom_killed = true;
        // Beside a server, and alone.
        self.add_worker(Some(7), from, end, dice);
        self.add_worker(Some(4), from, end, dice);
        for user in [0, 7] {
            let name = format!("jupyter-{}", slug::safe(&self.people[user].name));
            self.pods.push(Pod {
                user: Some(user),
                ..Pod::new(OTHER_NAMESPACE, name, Role::Server, from, end, dice)
            });
        }
    }

    /// One that says nobody's name and is there until the end.
    fn add_pod(&mut self, role: Role, name: &str, from: i64, dice: &mut Dice) -> &mut Pod {
        let pod = Pod::new(NAMESPACE, name.to_owned(), role, from, self.end, dice);
        self.pods.push(pod);
        self.pods.last_mut().unwrap()
    }

    fn add_other_hub(&mut self, dice: &mut Dice) {
        for number in 0..40_usize {
            let from = self.start + i64::try_from(number).unwrap() * (DAY / 2) + dice.roll(HOUR);
            let safe = slug::safe(&self.people[number].name);
            let name = format!("jupyter-{safe}");
            self.pods.push(Pod {
                user: Some(number),
                ..Pod::new(OTHER_NAMESPACE, name, Role::Server, from, from + HOUR, dice)
            });
        }
    }
}

impl Pod {
    fn new(
        namespace: &'static str,
        name: String,
        role: Role,
        from: i64,
        to: i64,
        dice: &mut Dice,
    ) -> Self {
        let container = Container {
            id: dice.hex(),
            // The image has to be there first.
            from: from + 20,
            to,
        };
        Self {
            namespace,
            name,
            uid: format!("uid-{}", dice.hex()),
            role,
            user: None,
            server: None,
            node: dice.index(NODE_OFFSETS.len()),
            placed: Some(from),
            failed: None,
            is_oom_killed: false,
            from,
            to,
            containers: vec![container],
            bytes: (100 + dice.roll(4000)) * MIB + dice.roll(MIB),
            millicores: 50 + dice.roll(1950),
            bytes_per_second: 100 + dice.roll(100_000),
            requested_millicores: [50, 100, 500, 1000][dice.index(4)],
            requested_bytes: [256, 512, 1024][dice.index(3)] * MIB,
            gpu: None,
            reset: None,
            tells_created: true,
            not_a_number: None,
            steady_from: i64::MAX,
        }
    }

    fn restart_container(&mut self, at: i64, dice: &mut Dice) {
        let last = self.containers.last_mut().unwrap();
        last.to = at;
        self.containers.push(Container {
            id: dice.hex(),
            from: at,
            to: self.to,
        });
    }

    /// It gets its node only then.
    fn wait_until(&mut self, at: i64) {
        self.placed = Some(at);
        self.containers[0].from = at + 20;
    }

    /// It never gets a node.
    fn never_start(&mut self) {
        self.placed = None;
        self.containers[0].from = self.to;
    }

    fn fail(&mut self, at: i64) {
        self.failed = Some(at);
        self.containers[0].to = at;
    }

    /// Until when its kubelet tells of it.
    pub(crate) fn runs_until(&self) -> i64 {
        self.failed.unwrap_or(self.to)
    }

    /// Whether it has a node and has not failed.
    pub(crate) fn holds(&self, at: i64) -> bool {
        self.placed.is_some_and(|placed| placed <= at)
            && self.failed.is_none_or(|failed| at < failed)
    }

    /// Whether it is a user's, known or not.
    pub(crate) fn is_users(&self) -> bool {
        self.namespace == NAMESPACE && matches!(self.role, Role::Server | Role::DaskWorker)
    }

    /// Bytes of the user's container, at a full minute or between two.
    pub(crate) fn memory(&self, at: i64) -> i64 {
        self.bytes + at.min(self.steady_from).div_euclid(INTERVAL) % 7 * MIB
    }

    /// Thousandths of a core second that the container has used; it never goes down but for a reset.
    pub(crate) fn cpu(&self, container: &Container, at: i64) -> i64 {
        let since = at - self.begin_of_counters(container.from, at);
        self.millicores * since + at.min(self.steady_from) * 7919 % 1000
    }

    /// The same of the sandbox.
    pub(crate) fn sandbox_cpu(&self, at: i64) -> i64 {
        (at - self.placed.unwrap_or(self.from)).div_euclid(INTERVAL)
    }

    pub(crate) fn received(&self, at: i64) -> i64 {
        let begin = self.begin_of_counters(self.placed.unwrap_or(self.from), at);
        self.bytes_per_second * (at - begin) + at.min(self.steady_from) % 50
    }

    pub(crate) fn sent(&self, at: i64) -> i64 {
        self.received(at).div_euclid(3)
    }

    /// Percent.
    pub(crate) fn gpu_utilisation(&self, at: i64) -> i64 {
        (at.min(self.steady_from).div_euclid(INTERVAL) + self.millicores) % 101
    }

    fn begin_of_counters(&self, from: i64, at: i64) -> i64 {
        self.reset.filter(|reset| *reset <= at).unwrap_or(from)
    }
}

impl Node {
    const fn new(labels: &'static [(&'static str, &'static str)], pool: &'static str) -> Self {
        Self {
            labels,
            pool,
            is_ready: true,
            is_cordoned: false,
        }
    }
}

/// Cores of the machine with this number.
pub(crate) fn node_cores(number: i64) -> i64 {
    8 + 4 * number
}

pub(crate) fn node_bytes(number: i64) -> i64 {
    (32 + 16 * number) << 30
}

/// What the system keeps for itself.
pub(crate) const RESERVED_MILLICORES: i64 = 80;
pub(crate) const RESERVED_BYTES: i64 = 1 << 30;

/// Thousandths of a core that all that runs there uses.
pub(crate) fn node_millicores_used(number: i64) -> i64 {
    1000 * number + 137
}

pub(crate) fn node_bytes_used(number: i64) -> i64 {
    (5 << 30) + number * 12_345_678
}

/// When a series is sampled: after the first moment, until the last one, so many seconds after each
/// full minute.
pub(crate) fn times(from: i64, to: i64, offset: i64) -> impl Iterator<Item = i64> + Clone {
    let first = (from - offset).div_euclid(INTERVAL) * INTERVAL + offset + INTERVAL;
    (0..)
        .map(move |n| first + n * INTERVAL)
        .take_while(move |at| *at <= to)
}

/// Start of the local hour that a moment lies in.
fn hour_start(at: i64) -> i64 {
    (at + ZONE_OFFSET).div_euclid(HOUR) * HOUR - ZONE_OFFSET
}

fn group_name(number: usize) -> String {
    match number {
        0 => "course::ml \"101\"".to_owned(),
        1 => "team/alpha β".to_owned(),
        number => format!("group-{number:02}"),
    }
}
