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

/// What a pod is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    DaskWorker,
    /// The hub's own.
    Hub,
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
    pub(crate) node: usize,
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
            self.add_server(user, None, from, self.end, dice);
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
        (at - self.from).div_euclid(INTERVAL)
    }

    pub(crate) fn received(&self, at: i64) -> i64 {
        self.bytes_per_second * (at - self.begin_of_counters(self.from, at)) + at % 50
    }

    pub(crate) fn sent(&self, at: i64) -> i64 {
        self.received(at).div_euclid(3)
    }

    /// Percent.
    pub(crate) fn gpu_utilisation(at: i64) -> i64 {
        at.div_euclid(INTERVAL) % 101
    }

    fn begin_of_counters(&self, from: i64, at: i64) -> i64 {
        self.reset.filter(|reset| *reset <= at).unwrap_or(from)
    }
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
