//! What Prometheus learns about the hub: one entry per metric, and nothing is registered
//! anywhere else. This table makes `/metrics`, `docs/metrics.md` and the naming test.
//!
//! Metrics about ourselves are a second set, in [`super::own`].

use super::exposition::{Block, Head, Kind, Samples, Wanted, float};
use model::attribution::{Attribution, Memberships, MultiGroupRule};
use model::names::{GroupName, UserName};
use model::slug;
use model::snapshot::{Group, Pending, Server, Snapshot};
use std::collections::BTreeSet;

/// Which change makes a family be written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Groups or users changed: rare, and most of the bytes.
    Membership,
    /// Running servers changed: often, and few bytes.
    Presence,
}

/// What families are made from.
pub struct View<'a> {
    /// The present.
    pub snapshot: &'a Snapshot,
    /// The rules.
    pub attribution: &'a Attribution,
    /// Their outcome; empty until groups are known.
    pub memberships: &'a Memberships,
    /// Value of the label `namespace`.
    pub namespace: &'a str,
}

/// One metric.
pub struct Family {
    /// Behind the configured prefix and `_`.
    pub name: &'static str,
    /// What it is, for `# HELP` and the docs.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Where the number comes from, for the docs.
    pub from: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// When it is written again.
    pub part: Part,
    collect: fn(&View<'_>, &mut Samples),
}

const USER_GROUP_LABELS: &[&str] = &[
    "namespace",
    "usergroup",
    "username",
    "username_escaped",
    "username_safe",
];
const GROUP_LABELS: &[&str] = &["namespace", "usergroup"];

/// All metrics about the hub.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "user_group_info",
        from: "Members in `/groups`; who is in no group from `/users`, all pages.",
        help: "Users and their groups, by the multi-group rule; users in no group have \
               usergroup=none, once all users are known.",
        kind: Kind::Info,
        labels: USER_GROUP_LABELS,
        part: Part::Membership,
        collect: |view, samples| per_membership(view, samples, |_| 1.0),
    },
    Family {
        name: "user_group_share",
        from: "As `user_group_info`.",
        help: "How much of a user counts to a group; shares of a user add up to one. Only with \
               the multi-group rule split.",
        kind: Kind::Gauge,
        labels: USER_GROUP_LABELS,
        part: Part::Membership,
        collect: |view, samples| {
            if view.attribution.rule == MultiGroupRule::Split {
                per_membership(view, samples, |share| share);
            }
        },
    },
    Family {
        name: "user_name_info",
        from: "As `user_group_info`; the names follow KubeSpawner's rules.",
        help: "Names of each user as Kubernetes objects and home directories have them, whatever \
               groups the user is in.",
        kind: Kind::Info,
        labels: &["namespace", "username", "username_escaped", "username_safe"],
        part: Part::Membership,
        collect: |view, samples| {
            for user in &view.memberships.users {
                let names = Names::of(user);
                samples.push(
                    &[view.namespace, user.as_str(), &names.escaped, &names.safe],
                    1.0,
                );
            }
        },
    },
    Family {
        name: "group_members",
        from: "Members in `/groups`.",
        help: "Users in each group of the hub, empty groups included; users in several groups \
               count in each.",
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        part: Part::Membership,
        collect: |view, samples| {
            per_group(view, samples, |group| group.members.len());
        },
    },
    Family {
        name: "group_active_users",
        from: "Members in `/groups`, servers in `/users?state=active`.",
        help: "Users in each group of the hub who have a server running, starting or stopping; \
               users in several groups count in each.",
        kind: Kind::Gauge,
        labels: GROUP_LABELS,
        part: Part::Presence,
        collect: |view, samples| {
            let Some(servers) = &view.snapshot.servers else {
                return;
            };
            let active: BTreeSet<&UserName> =
                servers.value.iter().map(|server| &server.user).collect();
            per_group(view, samples, |group| {
                group
                    .members
                    .iter()
                    .filter(|member| active.contains(member))
                    .count()
            });
        },
    },
    Family {
        name: "pending_servers",
        from: "Servers in `/users?state=active` whose `pending` is `spawn`.",
        help: "Servers that are starting.",
        kind: Kind::Gauge,
        labels: &[],
        part: Part::Presence,
        collect: |view, samples| {
            count_servers(view, samples, |server| {
                server.pending == Some(Pending::Spawn)
            });
        },
    },
    Family {
        name: "insights_running_servers",
        from: "Servers in `/users?state=active` that are `ready`.",
        help: "Servers that run and answer, by the last look; the hub's own running_servers drifts.",
        kind: Kind::Gauge,
        labels: &[],
        part: Part::Presence,
        collect: |view, samples| count_servers(view, samples, |server| server.ready),
    },
];

/// Writes the families of one part, in the encodings that are wanted.
pub fn collect(view: &View<'_>, prefix: &str, part: Part, wanted: Wanted) -> Vec<Block> {
    let families = FAMILIES.iter().filter(|family| family.part == part);
    families
        .map(|family| {
            let head = Head {
                name: format!("{prefix}_{}", family.name),
                help: family.help,
                kind: family.kind,
                labels: family.labels,
            };
            let mut samples = Samples::new(head, wanted);
            (family.collect)(view, &mut samples);
            samples.finish()
        })
        .collect()
}

/// A user's names in Kubernetes and as directories.
pub(super) struct Names {
    pub(super) escaped: String,
    pub(super) safe: String,
}

impl Names {
    pub(super) fn of(user: &UserName) -> Self {
        Self {
            escaped: slug::escaped(user.as_str()),
            safe: slug::safe(user.as_str()),
        }
    }
}

/// One sample per row; names are worked out once per user, since rows are sorted by user.
fn per_membership(view: &View<'_>, samples: &mut Samples, value: impl Fn(f64) -> f64) {
    let same_user = |left: &model::attribution::Membership,
                     right: &model::attribution::Membership| {
        left.user == right.user
    };
    for rows in view.memberships.rows.chunk_by(same_user) {
        let user = &rows[0].user;
        let names = Names::of(user);
        for row in rows {
            let group: &GroupName = &row.group;
            let labels = [
                view.namespace,
                group.as_str(),
                user.as_str(),
                &names.escaped,
                &names.safe,
            ];
            samples.push(&labels, value(row.share));
        }
    }
}

fn per_group(view: &View<'_>, samples: &mut Samples, count: impl Fn(&Group) -> usize) {
    let Some(groups) = &view.snapshot.groups else {
        return;
    };
    for group in groups
        .value
        .iter()
        .filter(|group| view.attribution.filter.allows(&group.name))
    {
        let n_users = u32::try_from(count(group)).unwrap_or(u32::MAX);
        samples.push(&[view.namespace, group.name.as_str()], f64::from(n_users));
    }
}

fn count_servers(view: &View<'_>, samples: &mut Samples, is_counted: impl Fn(&Server) -> bool) {
    if let Some(servers) = &view.snapshot.servers {
        let n_servers = servers.value.iter().filter(|server| is_counted(server));
        samples.push(&[], float(n_servers.count() as u64));
    }
}
