//! The hub's page, as recorded and as it could be.

use super::kept::{KEPT, MAX_NUMBERS};
use super::*;
use model::snapshot::{Dated, Group, Server};
use proptest::prelude::*;

fn recorded(version: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    std::fs::read_to_string(format!("{folder}/jupyterhub-{version}/metrics.txt")).unwrap()
}

fn render(number: &Number) -> String {
    let labels = number.labels.iter();
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{} [{}] {}", number.name, labels.join(" "), number.value)
}

/// The numbers of a page as `name [label=value] number`, those of buckets left out.
fn rendered(numbers: &HubNumbers) -> Vec<String> {
    let numbers = numbers.observations.iter();
    let short = numbers.filter(|number| !number.name.ends_with("_bucket"));
    short.map(render).collect()
}

fn check(text: &str, expected: &[&str]) {
    let numbers = HubNumbers::parse(text, "jupyterhub").unwrap();
    let found: Vec<String> = numbers.observations.iter().map(render).collect();
    assert_eq!(found, expected, "{text}");
}

fn problem(text: &str) -> String {
    HubNumbers::parse(text, "jupyterhub")
        .unwrap_err()
        .to_string()
}

#[test]
fn a_hub_of_6_tells_all_numbers() {
    let numbers = HubNumbers::parse(&recorded("6.1"), "jupyterhub").unwrap();
    assert_eq!(numbers.stops, Some(2));
    let started: Timestamp = "2026-11-20T21:46:54.93Z".parse().unwrap();
    assert_eq!(numbers.hub_started, Some(started));
    insta::assert_snapshot!(rendered(&numbers).join("\n"), @"
    jupyterhub_total_users [] 61
    jupyterhub_running_servers [] 2
    jupyterhub_active_users [period=24h] 0
    jupyterhub_active_users [period=30d] 0
    jupyterhub_active_users [period=7d] 0
    jupyterhub_server_spawn_duration_seconds_count [reason=already-pending status=failure] 0
    jupyterhub_server_spawn_duration_seconds_count [reason=error status=error] 1
    jupyterhub_server_spawn_duration_seconds_count [reason=error status=failure] 1
    jupyterhub_server_spawn_duration_seconds_count [reason=exited status=error] 4
    jupyterhub_server_spawn_duration_seconds_count [reason=quota status=failure] 1
    jupyterhub_server_spawn_duration_seconds_count [reason=throttled status=failure] 3
    jupyterhub_server_spawn_duration_seconds_count [reason=too-many-users status=failure] 0
    jupyterhub_server_spawn_duration_seconds_count [status=error] 5
    jupyterhub_server_spawn_duration_seconds_count [status=failure] 0
    jupyterhub_server_spawn_duration_seconds_count [status=success] 6
    jupyterhub_server_spawn_duration_seconds_sum [reason=already-pending status=failure] 0
    jupyterhub_server_spawn_duration_seconds_sum [reason=error status=error] 0.20138573699978224
    jupyterhub_server_spawn_duration_seconds_sum [reason=error status=failure] 0.20229489200005446
    jupyterhub_server_spawn_duration_seconds_sum [reason=exited status=error] 22.79293120500006
    jupyterhub_server_spawn_duration_seconds_sum [reason=quota status=failure] 0.27958174300010796
    jupyterhub_server_spawn_duration_seconds_sum [reason=throttled status=failure] 0.0011626230002548255
    jupyterhub_server_spawn_duration_seconds_sum [reason=too-many-users status=failure] 0
    jupyterhub_server_spawn_duration_seconds_sum [status=error] 41.32909079199999
    jupyterhub_server_spawn_duration_seconds_sum [status=failure] 0
    jupyterhub_server_spawn_duration_seconds_sum [status=success] 31.45832570200014
    jupyterhub_login_duration_seconds_count [status=LoginStatus.failure] 4
    jupyterhub_login_duration_seconds_count [status=LoginStatus.success] 10
    jupyterhub_login_duration_seconds_sum [status=LoginStatus.failure] 0.036251946999982465
    jupyterhub_login_duration_seconds_sum [status=LoginStatus.success] 0.2852210070000183
    jupyterhub_logout_duration_seconds_count [] 2
    jupyterhub_logout_duration_seconds_sum [] 0.04445347099999708
    jupyterhub_server_stop_seconds_count [status=failure] 0
    jupyterhub_server_stop_seconds_count [status=success] 2
    jupyterhub_server_stop_seconds_sum [status=failure] 0
    jupyterhub_server_stop_seconds_sum [status=success] 1.297092195000232
    jupyterhub_event_loop_interval_seconds_count [] 2679
    jupyterhub_event_loop_interval_seconds_sum [] 135.37200383099665
    jupyterhub_request_duration_seconds_count [code=2xx] 72
    jupyterhub_request_duration_seconds_count [code=3xx] 14
    jupyterhub_request_duration_seconds_count [code=4xx] 14
    jupyterhub_request_duration_seconds_count [code=5xx] 6
    jupyterhub_request_duration_seconds_sum [code=2xx] 34.747058391571045
    jupyterhub_request_duration_seconds_sum [code=3xx] 0.48535823822021484
    jupyterhub_request_duration_seconds_sum [code=4xx] 1.2910256385803223
    jupyterhub_request_duration_seconds_sum [code=5xx] 24.44403648376465
    jupyterhub_proxy_poll_duration_seconds_count [] 8
    jupyterhub_proxy_poll_duration_seconds_sum [] 0.04230269400045472
    process_cpu_seconds_total [] 6.53
    process_resident_memory_bytes [] 135110656
    process_start_time_seconds [] 1795211214.93
    ");
    let buckets = |prefix: &str| {
        let all = numbers.observations.iter().map(render);
        let buckets = all.filter(|line| line.starts_with(prefix));
        buckets.collect::<Vec<_>>()
    };
    let spawns = buckets("jupyterhub_server_spawn_duration_seconds_bucket");
    assert_eq!(spawns.len(), 3 * 13);
    for line in [
        "jupyterhub_server_spawn_duration_seconds_bucket [le=+Inf status=error] 10",
        "jupyterhub_server_spawn_duration_seconds_bucket [le=+Inf status=success] 6",
        "jupyterhub_server_spawn_duration_seconds_bucket [le=0.5 status=failure] 5",
    ] {
        assert!(
            spawns.iter().any(|spawn| spawn == line),
            "{line}\n{spawns:#?}"
        );
    }
    assert_eq!(
        buckets("jupyterhub_event_loop_interval_seconds_bucket").len(),
        16
    );
}

#[test]
fn hubs_of_4_and_5_tell_what_they_have() {
    for (version, has_event_loop, started) in [
        ("4.x", false, "2026-11-20T22:03:32.26Z"),
        ("5.x", true, "2026-11-20T22:02:22.82Z"),
    ] {
        let numbers = HubNumbers::parse(&recorded(version), "jupyterhub").unwrap();
        assert_eq!(numbers.stops, Some(1), "{version}");
        assert_eq!(numbers.hub_started, started.parse().ok(), "{version}");
        let lines = rendered(&numbers);
        for line in [
            "jupyterhub_total_users [] 4",
            "jupyterhub_server_spawn_duration_seconds_count [status=success] 3",
            "jupyterhub_server_spawn_duration_seconds_count [status=throttled] 0",
            "jupyterhub_server_stop_seconds_count [status=success] 1",
        ] {
            assert!(lines.iter().any(|known| known == line), "{version}: {line}");
        }
        let tells_event_loop = lines.iter().any(|line| line.contains("event_loop"));
        assert_eq!(tells_event_loop, has_event_loop, "{version}");
    }
}

#[test]
fn another_prefix_is_told_or_found_out_and_left_out_of_names() {
    let text = recorded("6.1").replace("jupyterhub_", "lab_hub_");
    let usual = HubNumbers::parse(&recorded("6.1"), "jupyterhub").unwrap();
    for prefix in ["lab_hub", "jupyterhub", "course"] {
        assert_eq!(HubNumbers::parse(&text, prefix).unwrap(), usual, "{prefix}");
    }
    assert_eq!(
        HubNumbers::parse(&recorded("6.1"), "course").unwrap(),
        usual
    );
}

#[test]
fn series_are_added_up_by_the_labels_that_are_kept() {
    check(
        "jupyterhub_request_duration_seconds_count{code=\"200\",handler=\"a\"} 1\n\
         jupyterhub_request_duration_seconds_count{code=\"204\",handler=\"b\"} 2\n\
         jupyterhub_request_duration_seconds_count{code=\"404\",handler=\"{b}\"} 4\n\
         jupyterhub_request_duration_seconds_count{code=\"101\",handler=\"b\"} 8\n\
         jupyterhub_server_spawn_duration_seconds_bucket{le=\"0.5\",status=\"error\",reason=\"a\"} 3\n\
         jupyterhub_server_spawn_duration_seconds_bucket{le=\"0.5\",status=\"error\",reason=\"\"} 5\n\
         jupyterhub_server_spawn_duration_seconds_bucket{le=\"0.5\",status=\"throttled\"} 5\n",
        &[
            "jupyterhub_server_spawn_duration_seconds_bucket [le=0.5 status=error] 8",
            "jupyterhub_request_duration_seconds_count [code=2xx] 3",
            "jupyterhub_request_duration_seconds_count [code=4xx] 4",
        ],
    );
}

#[test]
fn what_is_no_number_is_left_out() {
    check(
        "jupyterhub_total_users NaN\njupyterhub_running_servers 1\nprocess_cpu_seconds_total +Inf",
        &["jupyterhub_running_servers [] 1"],
    );
    for (value, started) in [
        ("0", None),
        ("-1", None),
        ("1e300", None),
        ("1.5", Some(1_500)),
    ] {
        let text = format!("process_start_time_seconds {value}");
        let numbers = HubNumbers::parse(&text, "jupyterhub").unwrap();
        let started = started.and_then(|at| Timestamp::from_millisecond(at).ok());
        assert_eq!(numbers.hub_started, started, "{value}");
        assert_eq!(numbers.stops, None);
    }
}

#[test]
fn reasons_beyond_the_limit_are_others() {
    let line = |status: &str, reason: &str| {
        let name = "jupyterhub_server_spawn_duration_seconds_count";
        format!("{name}{{reason=\"{reason}\",status=\"{status}\"}} 1\n")
    };
    let mut text = line("failure", &"long ".repeat(30));
    for number in 0..50 {
        text += &line("failure", &format!("r{number}"));
        text += &line("odd", &format!("r{number}"));
    }
    text += &line("success", "");
    let numbers = HubNumbers::parse(&text, "jupyterhub").unwrap();
    let lines = rendered(&numbers);
    assert!(lines.len() <= 17, "{lines:#?}");
    let name = "jupyterhub_server_spawn_duration_seconds_count";
    // All but the few that came first.
    let other = format!("{name} [reason=other status=failure] 46");
    assert!(lines.contains(&other), "{lines:#?}");
    let success = format!("{name} [status=success] 1");
    assert!(lines.contains(&success), "{lines:#?}");
}

#[test]
fn too_many_buckets_are_none() {
    let bucket = |le| format!("jupyterhub_event_loop_interval_seconds_bucket{{le=\"{le}\"}} 1\n");
    let text: String = (0..16).map(bucket).collect();
    let n_kept = |text: &str| {
        let numbers = HubNumbers::parse(text, "jupyterhub").unwrap();
        numbers.observations.len()
    };
    assert_eq!(n_kept(&format!("{text}jupyterhub_total_users 1")), 17);
    let text = text + &bucket(16);
    assert_eq!(n_kept(&format!("{text}jupyterhub_total_users 1")), 1);
}

#[test]
fn a_page_that_is_not_the_hubs_is_no_numbers() {
    let nothing = "hub's answer to `metrics` is not a page of its metrics: it has none of the \
                   hub's metrics";
    for text in ["", "<!DOCTYPE html>\n<title>Login</title>", "up 1\n", "{}"] {
        assert_eq!(problem(text), nothing, "{text}");
    }
    assert_eq!(
        problem("x{\njupyterhub_total_users 1\njupyterhub_running_servers many"),
        "hub's answer to `metrics` is not a page of its metrics: line 3 cannot be read, its \
         value is not a number"
    );
}

#[test]
fn labels_are_json() {
    let number = |labels: &[(&str, &str)]| Number {
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..Number::of_api("x", 1)
    };
    assert_eq!(number(&[]).labels_json(), "{}");
    assert_eq!(
        number(&[("reason", "a\"b"), ("status", "error")]).labels_json(),
        r#"{"reason":"a\"b","status":"error"}"#
    );
}

#[test]
fn what_the_api_said_is_counted_and_what_it_did_not_say_is_not() {
    let at = Timestamp::UNIX_EPOCH;
    let mut snapshot = Snapshot::default();
    assert_eq!(api_numbers(&snapshot), []);
    let group = |name: &str, members: &[&str]| {
        Group::new(name.into(), members.iter().map(|name| (*name).into()))
    };
    let groups = [
        group("art", &["ada"]),
        group("empty", &[]),
        group("law", &["ada", "eve"]),
    ];
    snapshot.groups = Some(Dated {
        value: groups.into(),
        at,
    });
    let server = |name: &str, ready| Server {
        user: "ada".into(),
        name: name.into(),
        started: None,
        last_activity: None,
        ready,
        pending: None,
        options: None,
        image: None,
    };
    let servers = [server("", true), server("gpu", false)];
    snapshot.servers = Some(Dated {
        value: servers.into(),
        at,
    });
    let lines: Vec<String> = api_numbers(&snapshot).iter().map(render).collect();
    assert_eq!(
        lines,
        [
            "api_groups [] 3",
            "api_memberships [] 3",
            "api_active_servers [] 2",
            "api_ready_servers [] 1"
        ]
    );
    let users = ["ada", "eve"].map(model::names::UserName::from);
    snapshot.users = Some(Dated {
        value: users.into(),
        at,
    });
    assert_eq!(render(&api_numbers(&snapshot)[0]), "api_users [] 2");
}

proptest! {
    #[test]
    fn no_page_panics_or_brings_too_much(
        lines in proptest::collection::vec((0..KEPT.len(), "[a-z0-9+]{0,3}", "[a-d]{0,2}", any::<f64>()), 0..300),
    ) {
        let mut text = String::new();
        for (kept, one, other, value) in &lines {
            let name = KEPT[*kept].name;
            let labels = format!(
                "{{le=\"{one}\",status=\"{other}\",reason=\"{one}\",code=\"{one}\",period=\"{one}\"}}"
            );
            let line = |prefix| format!("{prefix}{name}{labels} {value}\n");
            text.extend(["", "jupyterhub_"].map(line));
        }
        if let Ok(numbers) = HubNumbers::parse(&text, "jupyterhub") {
            prop_assert!(numbers.observations.len() <= MAX_NUMBERS);
            prop_assert!(numbers.observations.iter().all(|number| number.value.is_finite()));
        }
    }
}
