//! What servers use, as Prometheus learns it: by user and group, and totals of groups.
//!
//! Written when a look at the usage was complete, and when memberships changed. Where it is read is
//! the business of `sources`.

use super::exposition::{Block, Head, Kind, Samples, Wanted};
use super::families::Names;
use crate::metrics::Naming;
use crate::sources::Look;
use model::attribution::{Membership, Memberships};
use model::names::{GroupName, UserName};
use model::snapshot::Server;
use model::usage::{Account, Amounts};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Which of the families are written.
#[derive(Clone, Copy, Debug)]
pub struct UsageShape {
    /// Whether there is a row per user and group.
    pub rows: UserRows,
    /// Whether the Python exporter's names stand beside ours.
    pub names: ExporterNames,
    /// Whether `resource_usage` names people.
    pub naming: Naming,
}

/// Whether there is a row per user and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRows {
    /// Yes.
    Shown,
    /// Totals of groups only.
    LeftOut,
}

/// Whether the Python exporter's names stand beside ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExporterNames {
    /// Yes.
    Shown,
    /// Only names that say what they hold.
    LeftOut,
}

/// The last look, by user, and what was counted since this process began.
#[derive(Clone, Debug, Default)]
pub struct UsageNow {
    users: HashMap<UserName, OfUser>,
    servers: Vec<(Account, Amounts)>,
    homes: HashMap<UserName, f64>,
    has_homes: bool,
    unattributed: Vec<crate::sources::Unattributed>,
    /// Core seconds of each row, added up as memberships were at the time.
    cpu_seconds: BTreeMap<(UserName, GroupName), f64>,
    group_cpu_seconds: BTreeMap<GroupName, f64>,
    /// Measures that any server has: of the others nothing is known, and 0 would be wrong.
    known: Known,
}

/// What one user's servers use together.
#[derive(Clone, Copy, Debug, Default)]
struct OfUser {
    amounts: Amounts,
    cpu_seconds_more: f64,
}

/// Which measures are known at all.
type Known = Amounts;

impl UsageNow {
    /// What follows from a look, after what was shown before.
    ///
    /// `servers` are those that the hub lists: where it lists none, nobody uses anything, which is
    /// known. A look that saw none while some run has not looked where they are.
    pub fn after(
        before: Option<&Self>,
        look: &Look,
        memberships: &Memberships,
        servers: Option<&[Server]>,
    ) -> Self {
        let mut users: HashMap<UserName, OfUser> = HashMap::new();
        let mut known = Known::default();
        for server in &look.servers {
            let user = users.entry(server.account.user.clone()).or_default();
            user.amounts.add(&server.amounts);
            user.cpu_seconds_more += server.cpu_seconds_more;
            known.add(&server.amounts);
        }
        if look.servers.is_empty() && servers.is_some_and(<[Server]>::is_empty) {
            known.cpu_cores = Some(0.0);
            known.memory_bytes = Some(0.0);
        }
        let (mut homes, mut has_homes) = (HashMap::new(), false);
        if let Some(measured) = &look.homes {
            let sizes = measured.sizes.iter();
            homes = sizes.map(|home| (home.user.clone(), home.bytes)).collect();
            has_homes = true;
        } else if let Some(before) = before {
            homes.clone_from(&before.homes);
            has_homes = before.has_homes;
        }
        let servers = look.servers.iter();
        let mut now = Self {
            servers: servers
                .map(|server| (server.account.clone(), server.amounts))
                .collect(),
            users,
            homes,
            has_homes,
            unattributed: look.unattributed.clone(),
            cpu_seconds: BTreeMap::new(),
            group_cpu_seconds: before
                .map(|before| before.group_cpu_seconds.clone())
                .unwrap_or_default(),
            known,
        };
        now.count(before, memberships);
        now
    }

    /// What a server uses, if the last look saw it.
    pub fn server(&self, user: &UserName, name: &str) -> Option<&Amounts> {
        let of_it = |account: &Account| {
            account.user == *user && account.server.as_deref().unwrap_or_default() == name
        };
        let found = self.servers.iter().find(|(account, _)| of_it(account));
        found.map(|(_, amounts)| amounts)
    }

    /// Adds what was used since the look before to the counters, by the memberships of now. The
    /// counter of a row ends with its membership.
    fn count(&mut self, before: Option<&Self>, memberships: &Memberships) {
        for row in &memberships.rows {
            let used = self.users.get(&row.user);
            let more = used.map_or(0.0, |used| used.cpu_seconds_more) * row.share;
            let key = (row.user.clone(), row.group.clone());
            let counted = before.and_then(|before| before.cpu_seconds.get(&key));
            if used.is_some() || counted.is_some() {
                self.cpu_seconds
                    .insert(key, counted.copied().unwrap_or(0.0) + more);
            }
            *self.group_cpu_seconds.entry(row.group.clone()).or_default() += more;
        }
    }
}

/// What families are made from.
pub struct UsageView<'a> {
    /// The last look.
    pub now: &'a UsageNow,
    /// Who counts to which group, and how much.
    pub memberships: &'a Memberships,
    /// Groups that are shown.
    pub groups: &'a [GroupName],
    /// Value of the label `namespace`.
    pub namespace: &'a str,
    /// Which families are written.
    pub shape: UsageShape,
}

/// One metric about usage.
pub struct UsageFamily {
    /// Behind the configured prefix and `_`.
    pub name: &'static str,
    /// What it is, for `# HELP` and the docs.
    pub help: &'static str,
    /// Where the number comes from, for the docs.
    pub from: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    collect: fn(&UsageView<'_>, &mut Samples),
}

const USER_LABELS: &[&str] = &[
    "namespace",
    "usergroup",
    "username",
    "username_escaped",
    "username_safe",
];
const GROUP_LABELS: &[&str] = &["namespace", "usergroup"];
const REASON: &[&str] = &["namespace", "reason"];
const EACH: &str = "The source of usage: usage.md. Multiplied with the share that the multi-group rule \
    gives, so that rows of a rule that adds up add up.";
const TOTAL: &str = "The rows of its members. Groups overlap with the multi-group rule in-each; with \
    split, primary and bucket the groups add up to all users.";
const NOBODY: &str = "The source of usage: usage.md, where the reasons are.";

/// All of them.
pub static USAGE: &[UsageFamily] = &[
    UsageFamily {
        name: "user_group_memory_bytes",
        help: "Memory that the user's servers use.",
        from: EACH,
        kind: Kind::Gauge,
        labels: USER_LABELS,
        collect: |view, samples| view.per_row(samples, |amounts| amounts.memory_bytes),
    },
    UsageFamily {
        name: "user_group_cpu_cores",
        help: "Cores that the user's servers use.",
        from: EACH,
        kind: Kind::Gauge,
        labels: USER_LABELS,
        collect: |view, samples| view.per_row(samples, |amounts| amounts.cpu_cores),
    },
    UsageFamily {
        name: "user_group_cpu_seconds",
        help: "Cores, not seconds, that the user's servers use: the Python exporter's name of \
               user_group_cpu_cores. Only with metrics.exporter_names.",
        from: EACH,
        kind: Kind::Gauge,
        labels: USER_LABELS,
        collect: |view, samples| {
            if view.shape.names == ExporterNames::Shown {
                view.per_row(samples, |amounts| amounts.cpu_cores);
            }
        },
    },
    UsageFamily {
        name: "user_group_cpu_seconds_total",
        help: "Core seconds that the user's servers used while the user was in the group, since this \
               service started.",
        from: EACH,
        kind: Kind::CounterBesideGauge,
        labels: USER_LABELS,
        collect: |view, samples| view.cpu_seconds(samples),
    },
    UsageFamily {
        name: "user_group_memory_requests_bytes",
        help: "Memory that the user's servers asked for.",
        from: EACH,
        kind: Kind::Gauge,
        labels: USER_LABELS,
        collect: |view, samples| view.per_row(samples, |amounts| amounts.memory_requested_bytes),
    },
    UsageFamily {
        name: "user_group_cpu_requested_cores",
        help: "Cores that the user's servers asked for.",
        from: EACH,
        kind: Kind::Gauge,
        labels: USER_LABELS,
        collect: |view, samples| view.per_row(samples, |amounts| amounts.cpu_requested_cores),
    },
    UsageFamily {
        name: "user_group_cpu_requests_seconds",
        help: "Cores, not seconds, that the user's servers asked for: the Python exporter's name of \
               user_group_cpu_requested_cores. Only with metrics.exporter_names.",
        from: EACH,
        kind: Kind::Gauge,
        labels: USER_LABELS,
        collect: |view, samples| {
            if view.shape.names == ExporterNames::Shown {
                view.per_row(samples, |amounts| amounts.cpu_requested_cores);
            }
        },
    },
    UsageFamily {
        name: "user_group_gpus_requested",
        help: "GPUs that the user's servers asked for.",
        from: EACH,
        kind: Kind::Gauge,
        labels: USER_LABELS,
        collect: |view, samples| view.per_row(samples, |amounts| amounts.gpus_requested),
    },
    UsageFamily {
        name: "user_group_home_dir_bytes",
        help: "Size of the user's home.",
        from: EACH,
        kind: Kind::Gauge,
        labels: USER_LABELS,
        collect: |view, samples| view.homes(samples),
    },
    UsageFamily {
        name: "group_memory_bytes",
        help: "Memory that the servers of the group's members use.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| view.per_group(samples, |amounts| amounts.memory_bytes),
    },
    UsageFamily {
        name: "group_cpu_cores",
        help: "Cores that the servers of the group's members use.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| view.per_group(samples, |amounts| amounts.cpu_cores),
    },
    UsageFamily {
        name: "group_cpu_seconds_total",
        help: "Core seconds that the servers of the group's members used while they were in it, \
               since this service started.",
        from: TOTAL,
        kind: Kind::Counter,
        labels: GROUP_LABELS,
        collect: |view, samples| {
            let counted = &view.now.group_cpu_seconds;
            view.each_group(samples, |group| {
                Some(counted.get(group).copied().unwrap_or(0.0))
            });
        },
    },
    UsageFamily {
        name: "group_memory_requested_bytes",
        help: "Memory that the servers of the group's members asked for.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| view.per_group(samples, |amounts| amounts.memory_requested_bytes),
    },
    UsageFamily {
        name: "group_cpu_requested_cores",
        help: "Cores that the servers of the group's members asked for.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| view.per_group(samples, |amounts| amounts.cpu_requested_cores),
    },
    UsageFamily {
        name: "group_gpus_requested",
        help: "GPUs that the servers of the group's members asked for.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| view.per_group(samples, |amounts| amounts.gpus_requested),
    },
    UsageFamily {
        name: "group_gpus_used",
        help: "GPUs that the servers of the group's members keep at work.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| view.per_group(samples, |amounts| amounts.gpus_used),
    },
    UsageFamily {
        name: "group_network_receive_bytes_per_second",
        help: "Bytes that the servers of the group's members receive.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| {
            view.per_group(samples, |amounts| amounts.network_rx_bytes_per_second);
        },
    },
    UsageFamily {
        name: "group_network_transmit_bytes_per_second",
        help: "Bytes that the servers of the group's members send.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| {
            view.per_group(samples, |amounts| amounts.network_tx_bytes_per_second);
        },
    },
    UsageFamily {
        name: "group_home_dir_bytes",
        help: "Size of the homes of the group's members.",
        from: TOTAL,
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        collect: |view, samples| view.group_homes(samples),
    },
    UsageFamily {
        name: "resource_usage",
        help: "What each server uses: cpu_cores, memory_bytes, cpu_requested_cores, \
               memory_requested_bytes, gpus_requested, gpus_used. Without metrics.users the sum over \
               all, called anonymous.",
        from: "The source of usage: usage.md. A server that cannot be told from others of its user has \
               an empty server_name.",
        kind: Kind::Gauge,
        labels: &["resource_type", "username", "server_name"],
        collect: |view, samples| view.resources(samples),
    },
    UsageFamily {
        name: "insights_unattributed_cpu_cores",
        help: "Cores used by nobody whom the hub knows, by reason.",
        from: NOBODY,
        kind: Kind::Gauge,
        labels: REASON,
        collect: |view, samples| view.unattributed(samples, |it| it.amounts.cpu_cores),
    },
    UsageFamily {
        name: "insights_unattributed_memory_bytes",
        help: "Memory used by nobody whom the hub knows, by reason.",
        from: NOBODY,
        kind: Kind::Gauge,
        labels: REASON,
        collect: |view, samples| view.unattributed(samples, |it| it.amounts.memory_bytes),
    },
    UsageFamily {
        name: "insights_unattributed_home_bytes",
        help: "Size of directories that are no known user's, by reason.",
        from: NOBODY,
        kind: Kind::Gauge,
        labels: REASON,
        collect: |view, samples| view.unattributed(samples, |it| it.home_bytes),
    },
];

impl UsageView<'_> {
    /// A sample per membership of a user who uses something.
    fn each_row(&self, samples: &mut Samples, value: impl Fn(&Membership) -> Option<f64>) {
        if self.shape.rows == UserRows::LeftOut {
            return;
        }
        let same_user = |left: &Membership, right: &Membership| left.user == right.user;
        for rows in self.memberships.rows.chunk_by(same_user) {
            let mut names = None;
            for row in rows {
                let Some(value) = value(row) else { continue };
                let user = &row.user;
                let names = names.get_or_insert_with(|| Names::of(user));
                let labels = [
                    self.namespace,
                    row.group.as_str(),
                    user.as_str(),
                    &names.escaped,
                    &names.safe,
                ];
                samples.push(&labels, value);
            }
        }
    }

    fn per_row(&self, samples: &mut Samples, amount: impl Fn(&Amounts) -> Option<f64>) {
        self.each_row(samples, |row| {
            let used = self.now.users.get(&row.user)?;
            Some(amount(&used.amounts)? * row.share)
        });
    }

    fn cpu_seconds(&self, samples: &mut Samples) {
        self.each_row(samples, |row| {
            let key = (row.user.clone(), row.group.clone());
            self.now.cpu_seconds.get(&key).copied()
        });
    }

    fn homes(&self, samples: &mut Samples) {
        self.each_row(samples, |row| {
            Some(self.now.homes.get(&row.user)? * row.share)
        });
    }

    /// A sample per group, also of those that use nothing.
    fn each_group(&self, samples: &mut Samples, value: impl Fn(&GroupName) -> Option<f64>) {
        let of_rows = self.memberships.rows.iter().map(|row| &row.group);
        let groups: BTreeSet<&GroupName> = of_rows.chain(self.groups).collect();
        for group in groups {
            if let Some(value) = value(group) {
                samples.push(&[self.namespace, group.as_str()], value);
            }
        }
    }

    fn per_group(&self, samples: &mut Samples, amount: impl Fn(&Amounts) -> Option<f64>) {
        if amount(&self.now.known).is_none() {
            return;
        }
        // Of a group whose members' servers are there and tell nothing, nothing is known.
        let mut sums: BTreeMap<&GroupName, Option<f64>> = BTreeMap::new();
        for row in &self.memberships.rows {
            if let Some(used) = self.now.users.get(&row.user) {
                let sum = sums.entry(&row.group).or_default();
                let more = amount(&used.amounts).map(|amount| amount * row.share);
                *sum = more.map_or(*sum, |more| Some(sum.unwrap_or(0.0) + more));
            }
        }
        self.each_group(samples, |group| match sums.get(group) {
            Some(sum) => *sum,
            None => Some(0.0),
        });
    }

    fn group_homes(&self, samples: &mut Samples) {
        if !self.now.has_homes {
            return;
        }
        let mut sums: BTreeMap<&GroupName, f64> = BTreeMap::new();
        for row in &self.memberships.rows {
            if let Some(bytes) = self.now.homes.get(&row.user) {
                *sums.entry(&row.group).or_default() += bytes * row.share;
            }
        }
        self.each_group(samples, |group| {
            Some(sums.get(group).copied().unwrap_or(0.0))
        });
    }

    /// Users whom the filter of groups hides are in none of these.
    fn resources(&self, samples: &mut Samples) {
        let shown = |account: &Account| self.memberships.users.binary_search(&account.user).is_ok();
        let servers = self.now.servers.iter();
        let servers = servers.filter(|(account, _)| shown(account));
        if self.shape.naming == Naming::Anonymous {
            let mut all = Amounts::default();
            servers.for_each(|(_, amounts)| all.add(amounts));
            return push_resources(samples, store::ANONYMOUS, "", &all);
        }
        // Of two servers that cannot be told apart there is one sample.
        let mut by_name: BTreeMap<(&UserName, &str), Amounts> = BTreeMap::new();
        for (account, amounts) in servers {
            let server = account.server.as_ref().map_or("", Arc::as_ref);
            by_name
                .entry((&account.user, server))
                .or_default()
                .add(amounts);
        }
        for ((user, server), amounts) in &by_name {
            push_resources(samples, user.as_str(), server, amounts);
        }
    }

    fn unattributed(
        &self,
        samples: &mut Samples,
        amount: impl Fn(&crate::sources::Unattributed) -> Option<f64>,
    ) {
        for it in &self.now.unattributed {
            if let Some(amount) = amount(it) {
                samples.push(&[self.namespace, it.reason], amount);
            }
        }
    }
}

fn push_resources(samples: &mut Samples, user: &str, server: &str, amounts: &Amounts) {
    let resources = [
        ("cpu_cores", amounts.cpu_cores),
        ("memory_bytes", amounts.memory_bytes),
        ("cpu_requested_cores", amounts.cpu_requested_cores),
        ("memory_requested_bytes", amounts.memory_requested_bytes),
        ("gpus_requested", amounts.gpus_requested),
        ("gpus_used", amounts.gpus_used),
    ];
    for (resource, amount) in resources {
        if let Some(amount) = amount {
            samples.push(&[resource, user, server], amount);
        }
    }
}

/// Writes all of them, in the encodings that are wanted; without samples where usage was not looked at.
pub fn collect(view: Option<&UsageView<'_>>, prefix: &str, wanted: Wanted) -> Vec<Block> {
    let families = USAGE.iter();
    families
        .map(|family| {
            let head = Head {
                name: format!("{prefix}_{}", family.name),
                help: family.help,
                kind: family.kind,
                labels: family.labels,
            };
            let mut samples = Samples::new(head, wanted);
            if let Some(view) = view {
                (family.collect)(view, &mut samples);
            }
            samples.finish()
        })
        .collect()
}

#[cfg(test)]
mod tests;
