//! The service on real hubs: who is in which group, as the hub itself changes.

use crate::support::{
    HubOptions, METRICS_TOKEN, ManagedService, READER_TOKEN, RealHub, Scrape, Service, newest_hub,
    scrape, until,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const TESTS: &[crate::Test] = &[
    ("a_managed_service_exports_who_is_in_which_group", managed),
    ("an_external_service_exports_the_same", external),
    ("people_who_come_and_go_are_seen", changes),
    ("servers_that_start_are_counted_in_their_groups", servers),
    (
        "the_config_check_tells_what_the_token_may_read",
        config_check,
    ),
    ("a_hub_of_5_with_a_base_url_works", || {
        older_hub("5", "/team/jupyter/");
    }),
    ("a_hub_of_4_with_a_base_url_works", || {
        older_hub("4", "/old/");
    }),
];

fn newest() -> Arc<RealHub> {
    RealHub::shared("newest", newest_hub)
}

/// `user@group` for everybody, from the very people that the hub was given.
fn expected_memberships(people: &Value) -> Vec<String> {
    let mut groups_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for list in ["users", "admins"] {
        for user in people[list].as_array().into_iter().flatten() {
            groups_of.entry(user.as_str().unwrap()).or_default();
        }
    }
    for (group, content) in people["groups"].as_object().unwrap() {
        for user in content["users"].as_array().unwrap() {
            groups_of
                .entry(user.as_str().unwrap())
                .or_default()
                .insert(group);
        }
    }
    let rows = groups_of.into_iter().flat_map(|(user, groups)| {
        let groups = if groups.is_empty() {
            BTreeSet::from(["none"])
        } else {
            groups
        };
        groups
            .into_iter()
            .map(move |group| format!("{user}@{group}"))
            .collect::<Vec<_>>()
    });
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

fn scrape_managed(hub: &RealHub) -> Scrape {
    scrape(&hub.service_url("metrics"), Some(METRICS_TOKEN))
}

fn until_managed(hub: &RealHub, what: &str, condition: impl Fn(&Scrape) -> bool) -> Scrape {
    until(what, || {
        Some(scrape_managed(hub)).filter(|scrape| condition(scrape))
    })
    .unwrap_or_else(|| {
        panic!(
            "never saw: {what}\n{}\n{}",
            scrape_managed(hub).text,
            hub.log()
        )
    })
}

/// A hub that the tests below may change.
fn changing() -> Arc<RealHub> {
    let people = json!({"groups": {"art": {"users": ["ada"]}, "course::ml-101": {"users": []}}});
    RealHub::shared("changing", || HubOptions::new("6.1", people))
}

fn managed() {
    let hub = newest();
    let expected = expected_memberships(&newest_hub().people);
    let seen = until_managed(&hub, "all users", |scrape| scrape.memberships() == expected);
    assert_eq!(seen.value("jupyterhub_insights_hub_up", &[]), Some(1.0));
    for (group, content) in newest_hub().people["groups"].as_object().unwrap() {
        let n_users = content["users"].as_array().unwrap().len();
        let label = format!("usergroup=\"{group}\"");
        let members = seen.value("jupyterhub_group_members", &[&label]);
        assert_eq!(
            members,
            Some(f64::from(u32::try_from(n_users).unwrap())),
            "{group}"
        );
    }
    let labels = seen.family("jupyterhub_user_group_info");
    assert!(
        labels
            .keys()
            .all(|labels| labels.starts_with("namespace=\"hub-ns\",usergroup="))
    );
    // The hub that started the service is known, and so is what it runs in.
    let seen = until_managed(&hub, "the hub's processor time", |scrape| {
        let percent = scrape.value("jupyterhub_hub_cpu_usage_percent", &[]);
        percent.is_some_and(|percent| (0.0..=100.0).contains(&percent))
    });
    let bytes = |name: &str| seen.value(&format!("jupyterhub_hub_memory_{name}_bytes"), &[]);
    assert!(bytes("usage") > Some(1e6) && bytes("usage") <= bytes("total"));
}

fn external() {
    let hub = newest();
    let service = Service::start(&hub.url, READER_TOKEN, &[]);
    let expected = expected_memberships(&newest_hub().people);
    service.until("the same memberships", |scrape| {
        scrape.memberships() == expected
    });
    // Straight to the hub as well, without the proxy between.
    let service = Service::start(&hub.internal_url, READER_TOKEN, &[]);
    let seen = service.until("the same memberships", |scrape| {
        scrape.memberships() == expected
    });
    // Nobody knows what the hub runs in, and unknown is not 0.
    assert_eq!(seen.value("jupyterhub_hub_memory_total_bytes", &[]), None);
}

fn changes() {
    let hub = changing();
    let is_row = |row: &'static str| {
        move |scrape: &Scrape| scrape.memberships().iter().any(|known| known == row)
    };
    let (status, reply) = hub.api(Method::POST, "users/visitor-1", &Value::Null);
    assert_eq!(status, 201, "{reply}");
    until_managed(&hub, "a new user in no group", is_row("visitor-1@none"));

    let members = json!({"users": ["visitor-1"]});
    hub.api(Method::POST, "groups/course%3A%3Aml-101/users", &members);
    let seen = until_managed(
        &hub,
        "the user in a group",
        is_row("visitor-1@course::ml-101"),
    );
    assert!(!is_row("visitor-1@none")(&seen));

    hub.api(Method::DELETE, "groups/course%3A%3Aml-101/users", &members);
    let seen = until_managed(&hub, "the user in no group again", is_row("visitor-1@none"));
    assert!(!is_row("visitor-1@course::ml-101")(&seen));

    hub.api(Method::DELETE, "users/visitor-1", &Value::Null);
    until_managed(&hub, "the user gone", |scrape| {
        !scrape.text.contains("visitor-1")
    });
}

fn servers() {
    let hub = changing();
    hub.api(Method::POST, "users/visitor-2", &Value::Null);
    hub.api(
        Method::POST,
        "groups/art/users",
        &json!({"users": ["visitor-2"]}),
    );
    let active =
        |scrape: &Scrape| scrape.value("jupyterhub_group_active_users", &["usergroup=\"art\""]);
    until_managed(&hub, "nobody active in art", |scrape| {
        active(scrape) == Some(0.0)
    });
    let (status, reply) = hub.api(Method::POST, "users/visitor-2/server", &json!({}));
    assert!(status < 300, "{status}: {reply}");
    until_managed(&hub, "one active user in art", |scrape| {
        active(scrape) == Some(1.0)
    });
    // A real server takes a moment until it can be stopped.
    until("the server to stop", || {
        let (status, _) = hub.api(Method::DELETE, "users/visitor-2/server", &Value::Null);
        (status < 300).then_some(())
    });
    until_managed(&hub, "nobody active in art", |scrape| {
        active(scrape) == Some(0.0)
    });
    hub.api(Method::DELETE, "users/visitor-2", &Value::Null);
}

fn config_check() {
    let hub = newest();
    let check = |token: &str| {
        let mut command = std::process::Command::new(crate::support::BINARY);
        command
            .args(["config", "check", "--format", "json", "--set"])
            .arg(format!("hub.url={}", hub.url))
            .env_clear()
            .env("JUPYTERHUB_API_TOKEN", token);
        let output = command.output().unwrap();
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        let missing: Vec<String> = findings
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["verdict"] != "good")
            .map(|finding| finding["check"].as_str().unwrap().to_owned())
            .collect();
        (output.status.code(), missing)
    };
    assert_eq!(check(READER_TOKEN), (Some(0), vec![]));
    let (code, missing) = check("no-such-token");
    assert_eq!(
        (code, missing),
        (Some(1), vec!["token is known".to_owned()])
    );
    let (code, missing) = check(crate::support::NAMES_TOKEN);
    assert_eq!(code, Some(1));
    assert!(
        missing.contains(&"scope read:groups".to_owned()),
        "{missing:?}"
    );
    assert!(missing.contains(&"groups".to_owned()), "{missing:?}");
}

fn older_hub(version: &'static str, base_url: &'static str) {
    let people = json!({
        "users": ["ana", "Bo B", "élise"],
        "admins": ["boss"],
        "groups": {
            "physics": {"users": ["ana", "carl"]},
            "team/alpha beta": {"users": ["ana"]},
            "empty": {"users": []},
        },
    });
    let service = Some(ManagedService::default());
    let options = HubOptions {
        base_url,
        service,
        ..HubOptions::new(version, people.clone())
    };
    let hub = RealHub::start(options);
    // The hub lower-cases the names of users.
    let expected: Vec<String> = expected_memberships(&people)
        .iter()
        .map(|row| row.replace("Bo B", "bo b"))
        .collect();
    let mut expected = expected;
    expected.sort();
    until_managed(&hub, "all users", |scrape| scrape.memberships() == expected);
    let refused = scrape(&hub.service_url("metrics"), None);
    assert_eq!(refused.status, 403, "{}", refused.text);

    // Named servers: 4.x counts servers where later hubs count users.
    for server in ["one", "two"] {
        let path = format!("users/ana/servers/{server}");
        let (status, reply) = hub.api(Method::POST, &path, &json!({}));
        assert!(status < 300, "{status}: {reply}");
    }
    until_managed(&hub, "one active user", |scrape| {
        scrape.value("jupyterhub_group_active_users", &["usergroup=\"physics\""]) == Some(1.0)
    });
    let seen = scrape_managed(&hub);
    let errors = seen.family("jupyterhub_insights_errors_total");
    let failed: Vec<_> = errors.iter().filter(|(_, count)| *count != "0").collect();
    assert!(failed.is_empty(), "{failed:?}\n{}", hub.log());
}
