//! Rows by user and totals of groups, checked against sums by hand.

use super::*;
use crate::metrics::Published;
use crate::metrics::exposition::{Dialect, Encoding};
use crate::metrics::own::Own;
use crate::sources::{HomeSize, Homes, ServerUse, Unattributed};
use jiff::Timestamp;
use model::attribution::{Attribution, ExtraMultipleRow, MultiGroupRule};
use model::filter::{GroupFilter, GroupPattern};
use model::snapshot::{Dated, Group, Snapshot};

const SHAPE: UsageShape = UsageShape {
    rows: UserRows::Shown,
    names: ExporterNames::LeftOut,
    naming: Naming::Named,
};

/// ada is in two groups, bob in one, eve in none; hidden is in a group that is not shown.
fn snapshot() -> Snapshot {
    let group = |name: &str, members: &[&str]| {
        Group::new(name.into(), members.iter().map(|&name| name.into()))
    };
    let groups = vec![
        group("art", &["ada", "bob"]),
        group("empty", &[]),
        group("hr", &["hidden"]),
        group("physics", &["ada"]),
    ];
    let users: Vec<UserName> = ["ada", "bob", "eve", "hidden"].map(UserName::from).into();
    let at = Timestamp::UNIX_EPOCH;
    Snapshot {
        groups: Some(Dated {
            value: groups.into(),
            at,
        }),
        users: Some(Dated {
            value: users.into(),
            at,
        }),
        servers: Some(Dated {
            value: Vec::new().into(),
            at,
        }),
        ..Snapshot::default()
    }
}

fn server(user: &str, server: &str, cores: f64, more: f64) -> ServerUse {
    ServerUse {
        account: Account {
            user: user.into(),
            server: Some(server.into()),
        },
        amounts: Amounts {
            cpu_cores: Some(cores),
            memory_bytes: Some(cores * 100.0),
            ..Amounts::default()
        },
        cpu_seconds_more: more,
    }
}

fn look() -> Look {
    let home = |user: &str, bytes| HomeSize {
        user: user.into(),
        bytes,
        files: None,
    };
    Look {
        servers: vec![
            server("ada", "", 2.0, 10.0),
            server("ada", "lab", 1.0, 5.0),
            server("bob", "", 4.0, 20.0),
            server("hidden", "", 8.0, 40.0),
        ],
        homes: Some(Homes {
            at: Timestamp::UNIX_EPOCH,
            sizes: vec![home("ada", 7.0), home("eve", 9.0)],
        }),
        unattributed: vec![Unattributed {
            reason: "no annotation",
            n_things: 1,
            amounts: Amounts {
                cpu_cores: Some(0.25),
                ..Amounts::default()
            },
            home_bytes: None,
        }],
        ..Look::default()
    }
}

fn attribution(rule: MultiGroupRule) -> Attribution {
    Attribution {
        filter: GroupFilter {
            allowed: Vec::new(),
            denied: vec![GroupPattern::parse("hr")],
        },
        rule,
        extra_row: ExtraMultipleRow::Omit,
    }
}

fn published(rule: MultiGroupRule, shape: UsageShape) -> Published {
    let published = Published::new(attribution(rule), "ns", "jupyterhub").with_usage(shape);
    published.publish(&snapshot());
    published
}

/// Sample lines of a family, without its name.
fn samples(published: &Published, name: &str) -> Vec<String> {
    let own = Own::new("hub");
    let reply = published.reply(
        &own,
        Timestamp::UNIX_EPOCH,
        Dialect::Text,
        Encoding::Identity,
    );
    let text = String::from_utf8(reply.chunks.concat()).unwrap();
    let name = format!("jupyterhub_{name}");
    let lines = text.lines().filter_map(|line| line.strip_prefix(&name));
    let lines = lines.filter(|rest| rest.starts_with(['{', ' ']));
    lines.map(str::to_owned).collect()
}

fn of_group(published: &Published, name: &str) -> Vec<String> {
    let lines = samples(published, name);
    let short = |line: &String| line.replace(r#"namespace="ns",usergroup="#, "");
    lines.iter().map(short).collect()
}

#[test]
fn totals_of_a_rule_that_adds_up_add_up_to_all_users() {
    let published = published(MultiGroupRule::Split, SHAPE);
    published.publish_usage(&look());
    assert_eq!(
        of_group(&published, "group_cpu_cores"),
        [
            r#"{"art"} 5.5"#,
            r#"{"empty"} 0"#,
            r#"{"none"} 0"#,
            r#"{"physics"} 1.5"#
        ]
    );
    assert_eq!(
        of_group(&published, "group_home_dir_bytes"),
        [
            r#"{"art"} 3.5"#,
            r#"{"empty"} 0"#,
            r#"{"none"} 9"#,
            r#"{"physics"} 3.5"#
        ]
    );
    let rows = samples(&published, "user_group_memory_bytes");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].ends_with("} 150"), "{rows:?}");
}

#[test]
fn with_in_each_every_group_has_all_of_its_members() {
    let published = published(MultiGroupRule::InEach, SHAPE);
    published.publish_usage(&look());
    assert_eq!(
        of_group(&published, "group_cpu_cores"),
        [
            r#"{"art"} 7"#,
            r#"{"empty"} 0"#,
            r#"{"none"} 0"#,
            r#"{"physics"} 3"#
        ]
    );
}

#[test]
fn nobody_of_a_hidden_group_is_shown_and_unknown_is_not_zero() {
    let published = published(MultiGroupRule::InEach, SHAPE);
    assert!(samples(&published, "group_cpu_cores").is_empty());
    published.publish_usage(&look());
    let own = Own::new("hub");
    let reply = published.reply(
        &own,
        Timestamp::UNIX_EPOCH,
        Dialect::Text,
        Encoding::Identity,
    );
    let text = String::from_utf8(reply.chunks.concat()).unwrap();
    assert!(!text.contains("hidden") && !text.contains(r#""hr""#));
    assert!(samples(&published, "group_gpus_requested").is_empty());
    assert_eq!(
        samples(&published, "insights_unattributed_cpu_cores"),
        [r#"{namespace="ns",reason="no annotation"} 0.25"#]
    );
}

#[test]
fn counters_go_on_and_follow_the_memberships() {
    let published = published(MultiGroupRule::InEach, SHAPE);
    published.publish_usage(&look());
    published.publish_usage(&look());
    let of_ada = |published: &Published| {
        let rows = samples(published, "user_group_cpu_seconds_total");
        let of_ada = rows.into_iter().filter(|row| row.contains(r#"="ada""#));
        of_ada.collect::<Vec<_>>()
    };
    assert!(of_ada(&published).iter().all(|row| row.ends_with("} 30")));
    assert_eq!(of_ada(&published).len(), 2);
    let mut left = snapshot();
    let groups = left.groups.as_mut().unwrap();
    groups.value = groups.value[..3].to_vec().into();
    published.publish(&left);
    published.publish_usage(&look());
    let rows = of_ada(&published);
    assert_eq!(rows.len(), 1);
    assert!(rows[0].ends_with("} 45"), "{rows:?}");
    // A server that is gone takes nothing back.
    published.publish_usage(&Look::default());
    assert!(of_ada(&published)[0].ends_with("} 45"));
    assert_eq!(
        of_group(&published, "group_cpu_seconds_total"),
        [r#"{"art"} 105"#, r#"{"empty"} 0"#, r#"{"none"} 0"#]
    );
}

#[test]
fn the_exporters_names_and_the_rows_by_user_are_a_choice() {
    let cores = "user_group_cpu_seconds";
    let published_with = |shape| {
        let published = published(MultiGroupRule::InEach, shape);
        published.publish_usage(&look());
        published
    };
    assert!(samples(&published_with(SHAPE), cores).is_empty());
    let names = ExporterNames::Shown;
    let both = published_with(UsageShape { names, ..SHAPE });
    assert_eq!(
        samples(&both, cores),
        samples(&both, "user_group_cpu_cores")
    );
    assert_eq!(samples(&both, cores).len(), 3);
    let rows = UserRows::LeftOut;
    let totals = published_with(UsageShape { rows, ..SHAPE });
    assert!(samples(&totals, "user_group_memory_bytes").is_empty());
    assert_eq!(samples(&totals, "group_cpu_cores").len(), 4);
}

#[test]
fn a_look_that_saw_no_server_is_zero_only_where_the_hub_lists_none() {
    let published = published(MultiGroupRule::InEach, SHAPE);
    published.publish_usage(&Look::default());
    assert_eq!(of_group(&published, "group_cpu_cores").len(), 4);
    let mut running = snapshot();
    let server = Server {
        user: "ada".into(),
        name: "".into(),
        started: None,
        last_activity: None,
        ready: true,
        pending: None,
        options: None,
        image: None,
    };
    running.servers.as_mut().unwrap().value = vec![server].into();
    published.publish(&running);
    published.publish_usage(&Look::default());
    assert!(of_group(&published, "group_cpu_cores").is_empty());
}

#[test]
fn a_group_whose_servers_tell_nothing_has_no_total() {
    let published = published(MultiGroupRule::InEach, SHAPE);
    let mut look = look();
    for server in &mut look.servers[..2] {
        server.amounts.memory_bytes = None;
    }
    published.publish_usage(&look);
    assert_eq!(
        of_group(&published, "group_memory_bytes"),
        [r#"{"art"} 400"#, r#"{"empty"} 0"#, r#"{"none"} 0"#]
    );
}

#[test]
fn servers_are_named_only_where_that_is_allowed() {
    let named = published(MultiGroupRule::InEach, SHAPE);
    named.publish_usage(&look());
    let rows = samples(&named, "resource_usage");
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert_eq!(
        rows[2],
        r#"{resource_type="cpu_cores",username="ada",server_name="lab"} 1"#
    );
    let naming = Naming::Anonymous;
    let anonymous = published(MultiGroupRule::InEach, UsageShape { naming, ..SHAPE });
    anonymous.publish_usage(&look());
    assert_eq!(
        samples(&anonymous, "resource_usage"),
        [
            r#"{resource_type="cpu_cores",username="anonymous",server_name=""} 7"#,
            r#"{resource_type="memory_bytes",username="anonymous",server_name=""} 700"#,
        ]
    );
}
