//! Looks out of replies.

use super::super::{DayEnd, Prometheus};
use super::support::{END, Rule, Server, on, series, time, vector};
use crate::sources::machines::{MachineNow, MachineState, Room};
use crate::sources::{Known, Look};
use model::names::UserName;
use serde_json::{Value, json};

const MEMORY: &[&str] = &["(container_memory_working_set_bytes{name"];
const REQUESTS: &[&str] = &["(kube_pod_container_resource_requests{"];
const CPU_COUNTER: &[&str] = &["(container_cpu_usage_seconds_total{name"];

fn annotated(pods: &[(&str, &str, &str)]) -> Value {
    let pods: Vec<_> = pods
        .iter()
        .map(|(pod, user, server)| {
            let labels = json!({
                "pod": pod,
                "annotation_hub_jupyter_org_username": user,
                "annotation_hub_jupyter_org_servername": server,
            });
            (labels, 1.0)
        })
        .collect();
    vector(&pods)
}

fn by_pod(values: &[(&str, f64)]) -> Value {
    let values: Vec<_> = values
        .iter()
        .map(|(pod, value)| (json!({"pod": pod}), *value))
        .collect();
    vector(&values)
}

fn known(users: &[&str]) -> Known {
    Known {
        users: Some(users.iter().map(|user| UserName::from(*user)).collect()),
        spawner: None,
    }
}

async fn look(rules: Vec<Rule>, users: &[&str]) -> Look {
    let mut prometheus = Server::with_rules(rules).await.prometheus();
    prometheus.look_at(time(END), &known(users)).await.unwrap()
}

/// What is said about this.
fn note<'a>(look: &'a Look, about: &str) -> Option<&'a str> {
    let note = look.notes.iter().find(|note| note.about == about);
    note.map(|note| note.text.as_str())
}

#[tokio::test]
async fn pods_are_summed_by_user_and_server() {
    let look = look(
        vec![
            on(
                &["kube_pod_annotations"],
                annotated(&[
                    ("jupyter-ada", "Ada L", ""),
                    ("jupyter-ada--x", "Ada L", "x"),
                    ("dask-1", "Ada L", ""),
                    ("jupyter-gone", "gone", ""),
                ]),
            ),
            on(
                &["kube_pod_labels"],
                vector(&[
                    (
                        json!({"pod": "jupyter-ada", "label_component": "singleuser-server"}),
                        1.0,
                    ),
                    (
                        json!({"pod": "jupyter-ada--x", "label_component": "singleuser-server"}),
                        1.0,
                    ),
                    (
                        json!({"pod": "jupyter-gone", "label_component": "singleuser-server"}),
                        1.0,
                    ),
                    (
                        json!({"pod": "jupyter-lost", "label_component": "singleuser-server"}),
                        1.0,
                    ),
                ]),
            ),
            (
                MEMORY,
                by_pod(&[
                    ("jupyter-ada", 1.0),
                    ("jupyter-ada--x", 2.0),
                    ("dask-1", 4.0),
                    ("jupyter-gone", 8.0),
                    ("jupyter-lost", 16.0),
                    ("hub-0", 32.0),
                ]),
            ),
            on(&["irate(container_cpu"], by_pod(&[("jupyter-ada", 0.5)])),
            on(
                &["rate(container_network_receive"],
                by_pod(&[("dask-1", 7.0)]),
            ),
        ],
        &["Ada L", "eve"],
    )
    .await;
    let servers: Vec<_> = look
        .servers
        .iter()
        .map(|used| {
            let account = &used.account;
            (
                account.user.as_str(),
                account.server.as_deref(),
                used.amounts.memory_bytes,
            )
        })
        .collect();
    assert_eq!(
        servers,
        [
            ("Ada L", None, Some(4.0)),
            ("Ada L", Some(""), Some(1.0)),
            ("Ada L", Some("x"), Some(2.0)),
        ]
    );
    assert_eq!(look.servers[1].amounts.cpu_cores, Some(0.5));
    assert_eq!(
        look.servers[0].amounts.network_rx_bytes_per_second,
        Some(7.0)
    );
    assert_eq!(look.servers[0].amounts.cpu_cores, None);
    let nobodys: Vec<_> = look
        .unattributed
        .iter()
        .map(|other| (other.reason, other.n_things, other.amounts.memory_bytes))
        .collect();
    assert_eq!(
        nobodys,
        [
            ("no annotation", 1, Some(16.0)),
            ("unknown user", 1, Some(8.0))
        ]
    );
    assert_eq!(note(&look, "pods"), None);
    assert_eq!(note(&look, "memory"), None);
}

#[tokio::test]
async fn only_pods_that_hold_what_they_ask_for_count() {
    let request = |pod: &str, resource: &str| json!({"pod": pod, "resource": resource});
    let phase = |pod: &str, phase: &str| (json!({"pod": pod, "phase": phase}), 1.0);
    let look = look(
        vec![
            on(
                &["kube_pod_annotations"],
                annotated(&[("a", "ada", ""), ("e", "eve", ""), ("m", "mary", "")]),
            ),
            on(
                &["kube_pod_status_phase{namespace"],
                vector(&[
                    phase("a", "Running"),
                    phase("a", "Failed"),
                    phase("e", "Failed"),
                    phase("m", "Pending"),
                ]),
            ),
            on(
                &["kube_pod_status_scheduled{condition=\"true\",namespace"],
                by_pod(&[("m", 0.0)]),
            ),
            (
                REQUESTS,
                vector(&[
                    (request("a", "cpu"), 2.0),
                    // A second exporter tells the same.
                    (
                        json!({"pod": "exporter", "exported_pod": "a", "resource": "cpu"}),
                        2.0,
                    ),
                    (request("a", "nvidia_com_gpu"), 1.0),
                    (request("e", "cpu"), 4.0),
                    (request("m", "cpu"), 8.0),
                ]),
            ),
            on(&["DCGM_FI_PROF"], by_pod(&[("a", 0.25)])),
            on(&["DCGM_FI_DEV"], by_pod(&[("a", 99.0), ("e", 50.0)])),
        ],
        &["ada", "eve", "mary"],
    )
    .await;
    assert_eq!(look.servers.len(), 2);
    let ada = &look.servers[0].amounts;
    assert_eq!(ada.cpu_requested_cores, Some(2.0));
    assert_eq!(ada.memory_requested_bytes, Some(0.0));
    assert_eq!(ada.gpus_requested, Some(1.0));
    assert_eq!(ada.gpus_used, Some(0.25));
    let eve = &look.servers[1].amounts;
    assert_eq!((eve.cpu_requested_cores, eve.gpus_used), (None, Some(0.5)));
}

#[tokio::test]
async fn what_is_missing_is_said_with_its_remedy() {
    let none = look(Vec::new(), &["ada"]).await;
    assert_eq!(
        note(&none, "pods"),
        Some(
            "there are no `kube_pod_…` series of namespace `hub`: check `prometheus.namespace`, and \
             that kube-state-metrics is scraped"
        )
    );
    assert!(note(&none, "memory").unwrap().contains("cAdvisor"));
    assert!(
        note(&none, "homes")
            .unwrap()
            .contains("prometheus-dirsize-exporter")
    );
    assert_eq!(none.servers, []);

    let phases = on(
        &["kube_pod_status_phase{namespace"],
        vector(&[(json!({"pod": "hub-0", "phase": "Running"}), 1.0)]),
    );
    let nobody = look(vec![phases.clone()], &["ada"]).await;
    assert_eq!(note(&nobody, "pods"), None, "nobody has a server");
    let bare = vec![phases.clone(), (MEMORY, by_pod(&[("jupyter-ada", 1.0)]))];
    let bare = look(bare, &["ada"]).await;
    assert_eq!(bare.unattributed[0].reason, "no annotation");
    assert!(note(&bare, "pods").unwrap().ends_with(
        "`--metric-annotations-allowlist=pods=[hub.jupyter.org/username,hub.jupyter.org/servername]`"
    ));
    let pods = annotated(&[("jupyter-ada", "ada", ""), ("jupyter-ada--x", "ada", "")]);
    let two = vec![
        phases,
        on(&["kube_pod_annotations"], pods),
        (
            MEMORY,
            by_pod(&[("jupyter-ada", 1.0), ("jupyter-ada--x", 2.0)]),
        ),
    ];
    let two = look(two, &["ada"]).await;
    assert_eq!(two.servers[0].account.server, None);
    assert_eq!(two.servers[0].amounts.memory_bytes, Some(3.0));
    assert!(
        note(&two, "pods")
            .unwrap()
            .starts_with("named servers cannot be told apart")
    );
}

/// A source whose server tells these counters of two containers at each look.
async fn counting(courses: &'static [(&'static str, &'static [f64])]) -> Vec<f64> {
    let n_looks = courses[0].1.len();
    let turn = std::sync::Arc::new(std::sync::Mutex::new(0));
    let told = std::sync::Arc::clone(&turn);
    let server = Server::new(move |asked| {
        let turn = *told.lock().unwrap();
        super::support::Reply::Data(if asked.has(&["kube_pod_annotations"]) {
            annotated(&[("jupyter-ada", "ada", "")])
        } else if asked.has(MEMORY) {
            by_pod(&[("jupyter-ada", 1.0)])
        } else if asked.has(&["container_start_time_seconds"]) {
            vector(&[(json!({"pod": "jupyter-ada", "id": "new"}), 1.0)])
        } else if asked.has(CPU_COUNTER) && !asked.has(&["irate"]) {
            let counters: Vec<_> = courses
                .iter()
                .filter(|(_, course)| course[turn] >= 0.0)
                .map(|(id, course)| (json!({"pod": "jupyter-ada", "id": id}), course[turn]))
                .collect();
            vector(&counters)
        } else {
            series(&[])
        })
    })
    .await;
    let mut prometheus: Prometheus = server.prometheus();
    let mut more = Vec::new();
    for index in 0..n_looks {
        *turn.lock().unwrap() = index;
        let minutes = i64::try_from(index).unwrap() * 60;
        let known = known(&["ada"]);
        let look = prometheus.look_at(time(END + minutes), &known).await;
        more.push(look.unwrap().servers[0].cpu_seconds_more);
    }
    more
}

#[tokio::test]
async fn counters_go_on_from_the_last_look() {
    // The second one goes down and is away for a look, the third began after the first look, and the
    // fourth was there before and is only seen now. Below 0 is not there.
    let more = counting(&[
        ("a", &[100.0, 110.0, 110.0, 115.0]),
        ("b", &[5.0, 2.0, -1.0, 3.0]),
        ("new", &[-1.0, 7.0, 8.0, 8.0]),
        ("old", &[-1.0, 1000.0, 1000.0, 1001.0]),
    ])
    .await;
    assert_eq!(more, [0.0, 10.0 + 2.0 + 7.0, 1.0, 5.0 + 1.0 + 1.0]);
}

/// The look's numbers, as lines.
fn lines(look: &Look) -> Vec<String> {
    let numbers = look.numbers.iter();
    numbers
        .map(|number| format!("{}{} {}", number.name, number.labels_json(), number.value))
        .collect()
}

#[tokio::test]
async fn nodes_are_numbers_by_pool() {
    let node = |name: &str| json!({"node": name});
    let of = |name: &str, resource: &str| json!({"node": name, "resource": resource});
    let in_pool =
        |name: &str| json!({"node": name, "label_cloud_google_com_gke_nodepool": "users"});
    let labels = [
        (in_pool("n1"), 1.0),
        (in_pool("n2"), 1.0),
        (node("n3"), 1.0),
    ];
    let capacity = [
        (of("n1", "cpu"), 4.0),
        (of("n2", "cpu"), 8.0),
        (of("n3", "memory"), 100.0),
    ];
    let ready = [(node("n1"), 1.0), (node("n2"), 1.0), (node("n3"), 0.0)];
    let cordoned = [(node("n1"), 0.0), (node("n2"), 1.0)];
    // A second exporter knows less.
    let second = json!({"node": "ksm", "exported_node": "n1", "resource": "cpu"});
    let requested = [(of("n1", "cpu"), 3.0), (second, 2.5)];
    let used = [
        (json!({"instance": "n1:10250"}), 1.5),
        (json!({"instance": "x"}), 9.0),
    ];
    let look = look(
        vec![
            on(&["kube_node_labels"], vector(&labels)),
            on(&["kube_node_status_capacity"], vector(&capacity)),
            on(&["kube_node_status_condition"], vector(&ready)),
            on(&["kube_node_spec_unschedulable"], vector(&cordoned)),
            on(&["unless on"], vector(&requested)),
            on(
                &["irate(container_cpu_usage_seconds_total{id=\"/\"}"],
                vector(&used),
            ),
        ],
        &[],
    )
    .await;
    assert_eq!(
        lines(&look),
        [
            r#"pool_cpu_capacity_cores{"pool":"users"} 12"#,
            r#"pool_cpu_requested_cores{"pool":"users"} 3"#,
            r#"pool_cpu_used_cores{"pool":"users"} 1.5"#,
            r#"pool_memory_capacity_bytes{"pool":"unknown"} 100"#,
            r#"pool_nodes{"pool":"unknown","state":"not-ready"} 1"#,
            r#"pool_nodes{"pool":"users","state":"cordoned"} 1"#,
            r#"pool_nodes{"pool":"users","state":"ready"} 1"#,
        ]
    );
}

/// A machine as a line.
fn line(machine: &MachineNow) -> String {
    let amount = |amount: Option<f64>| amount.map_or("-".to_owned(), |it| it.to_string());
    let room = |room: Room| {
        let amounts = [room.capacity, room.allocatable, room.requested, room.used];
        amounts.map(amount).join("/")
    };
    let pressures = machine.pressures.iter();
    let pressures: Vec<String> = pressures
        .map(|pressure| format!("{}={:?}", pressure.of.as_str(), pressure.strain))
        .collect();
    let servers = machine.servers.iter();
    let servers: Vec<String> = servers
        .map(|account| {
            format!(
                "{}:{}",
                account.user,
                account.server.as_deref().unwrap_or("?")
            )
        })
        .collect();
    format!(
        "{} {} {} cpu {} memory {} gpus {} [{}] [{}] {}",
        machine.name,
        machine.pool.as_deref().unwrap_or("-"),
        machine.state.map_or("-", MachineState::as_str),
        room(machine.cpu_cores),
        room(machine.memory_bytes),
        room(machine.gpus),
        pressures.join(" "),
        servers.join(" "),
        amount(
            machine
                .n_other_pods
                .map(|n| f64::from(u32::try_from(n).unwrap()))
        ),
    )
}

#[tokio::test]
async fn each_node_is_a_machine_with_what_runs_there() {
    let of = |name: &str, resource: &str| json!({"node": name, "resource": resource});
    let is = |name: &str, condition: &str| json!({"node": name, "condition": condition});
    let amounts = [
        (of("n1", "cpu"), 4.0),
        (of("n1", "memory"), 1000.0),
        (of("n1", "nvidia_com_gpu"), 2.0),
        (
            json!({"node": "ksm", "exported_node": "n1", "resource": "cpu"}),
            4.0,
        ),
        (of("n2", "cpu"), 8.0),
    ];
    let conditions = [
        (is("n1", "Ready"), 1.0),
        (is("n1", "MemoryPressure"), 1.0),
        (is("n1", "DiskPressure"), 0.0),
        (is("n2", "Ready"), 0.0),
    ];
    let requested = [(of("n1", "cpu"), 3.0), (of("n1", "nvidia_com_gpu"), 1.0)];
    let used = [(json!({"instance": "n1:10250"}), 700.0)];
    let is_on = |pod: &str, node: &str| (json!({"pod": pod, "node": node}), 1.0);
    let ended = (json!({"pod": "jupyter-eve", "phase": "Succeeded"}), 1.0);
    let server = Server::with_rules(vec![
        on(
            &["kube_pod_annotations"],
            annotated(&[
                ("jupyter-ada", "ada", ""),
                ("jupyter-ada--x", "ada", "x"),
                ("jupyter-eve", "eve", ""),
                ("jupyter-gone", "gone", ""),
            ]),
        ),
        on(&["kube_pod_status_phase{namespace"], vector(&[ended])),
        on(&["kube_node_status_capacity"], vector(&amounts)),
        on(&["kube_node_status_condition"], vector(&conditions)),
        on(&["unless on"], vector(&requested)),
        on(
            &["container_memory_working_set_bytes{id=\"/\"}"],
            vector(&used),
        ),
        on(
            &["kube_pod_info"],
            vector(&[
                is_on("jupyter-ada", "n1"),
                is_on("jupyter-ada--x", "n2"),
                is_on("jupyter-eve", "n1"),
                is_on("jupyter-gone", "n1"),
                is_on("hub-0", "n1"),
                is_on("jupyter-waits", ""),
            ]),
        ),
    ])
    .await;
    let mut prometheus = server.prometheus();
    let users = known(&["ada", "eve"]);
    let first = prometheus.look_at(time(END), &users).await.unwrap();
    let lines: Vec<String> = first.machines.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "n1 - ready cpu 4/-/3/- memory 1000/-/-/700 gpus 2/-/1/- \
             [memory=Declared(true) disk=Declared(false)] [ada:] 2",
            "n2 - not-ready cpu 8/-/-/- memory -/-/-/- gpus -/-/-/- [] [ada:x] 0",
        ]
    );
    let asked = |words: &str| {
        let asked = server.asked();
        asked
            .iter()
            .filter(|asked| asked.query().contains(words))
            .count()
    };
    assert_eq!(
        (asked("kube_pod_info"), asked("kube_node_status_capacity")),
        (1, 1)
    );
    let soon = prometheus.look_at(time(END + 20), &users).await.unwrap();
    assert_eq!(
        (soon.machines, soon.numbers),
        (first.machines, first.numbers)
    );
    assert_eq!(
        (asked("kube_pod_info"), asked("kube_node_status_capacity")),
        (1, 1)
    );
    prometheus.look_at(time(END + 30), &users).await.unwrap();
    assert_eq!(
        (asked("kube_pod_info"), asked("kube_node_status_capacity")),
        (2, 2)
    );
}

#[tokio::test]
async fn a_limit_of_memory_is_of_pods_that_are_there() {
    let look = look(
        vec![
            on(
                &["kube_pod_annotations"],
                annotated(&[("a", "ada", ""), ("e", "eve", "")]),
            ),
            (MEMORY, by_pod(&[("a", 1.0)])),
            on(
                &["kube_pod_container_resource_limits{"],
                by_pod(&[("a", 7.0), ("e", 8.0)]),
            ),
        ],
        &["ada", "eve"],
    )
    .await;
    assert_eq!(look.servers.len(), 1);
    assert_eq!(look.servers[0].amounts.memory_limit_bytes, Some(7.0));
}

#[tokio::test]
async fn pods_without_a_place_and_those_that_hold_one_are_numbers() {
    let is = |pod: &str, component: &str| (json!({"pod": pod, "label_component": component}), 1.0);
    let phase = |pod: &str, phase: &str| (json!({"pod": pod, "phase": phase}), 1.0);
    let look = look(
        vec![
            on(
                &["kube_pod_status_phase{namespace"],
                vector(&[phase("held-0", "Pending"), phase("held-1", "Running")]),
            ),
            on(
                &["kube_pod_labels"],
                vector(&[
                    is("held-0", "user-placeholder"),
                    is("held-1", "user-placeholder"),
                    is("jupyter-ada", "singleuser-server"),
                ]),
            ),
            on(
                &["kube_pod_status_unschedulable"],
                by_pod(&[("jupyter-ada", 1.0), ("held-0", 1.0)]),
            ),
        ],
        &[],
    )
    .await;
    assert_eq!(
        lines(&look),
        [
            "pods_unschedulable{} 1",
            "pods_oom_killed{} 0",
            r#"pods_placeholder{"phase":"Pending"} 1"#,
            r#"pods_placeholder{"phase":"Running"} 1"#,
        ]
    );
}

fn directories(sizes: &[(&str, f64)]) -> Value {
    let sizes: Vec<_> = sizes
        .iter()
        .map(|(directory, bytes)| (json!({"directory": directory}), *bytes))
        .collect();
    vector(&sizes)
}

#[tokio::test]
async fn homes_are_found_by_either_scheme_and_looked_at_seldom() {
    let server = Server::with_rules(vec![
        on(
            &["dirsize_total_size_bytes"],
            directories(&[
                ("-41da-20-4c", 1.0),
                ("ada-l---7d981b26", 2.0),
                ("lost+found", 8.0),
            ]),
        ),
        on(
            &["dirsize_entries_count"],
            directories(&[("-41da-20-4c", 3.0)]),
        ),
    ])
    .await;
    let mut prometheus = server.prometheus();
    let unknown = prometheus
        .look_at(time(END), &Known::default())
        .await
        .unwrap();
    assert_eq!(unknown.homes, None, "nobody's name is known yet");
    let known = known(&["Ada L", "eve"]);
    let first = prometheus.look_at(time(END), &known).await.unwrap();
    let homes = first.homes.unwrap();
    assert_eq!(homes.sizes.len(), 1);
    assert_eq!(homes.sizes[0].user.as_str(), "Ada L");
    assert_eq!(homes.sizes[0].files, Some(3));
    assert!((homes.sizes[0].bytes - 3.0).abs() < f64::EPSILON);
    assert_eq!(first.unattributed[0].reason, "unknown directory");
    assert_eq!(first.unattributed[0].home_bytes, Some(8.0));
    let second = prometheus.look_at(time(END + 60), &known).await.unwrap();
    assert_eq!(second.homes, None);
    assert_eq!(second.unattributed, first.unattributed);
    let third = prometheus
        .look_at(time(END + 6 * 3600), &known)
        .await
        .unwrap();
    assert!(third.homes.is_some());
}

#[tokio::test]
async fn homes_of_past_days_are_as_they_were_last_seen() {
    let a_day = 24 * 3600;
    let seen = |directory: &str, points: Value| (json!({"directory": directory}), points);
    let server = Server::with_rules(vec![
        on(
            &["dirsize_total_size_bytes", "[3599999ms]"],
            series(&[seen("ada", json!([[END, "5"], [END + a_day, "6"]]))]),
        ),
        on(
            &["dirsize_total_size_bytes", "[86399999ms]"],
            series(&[
                seen("ada", json!([[END, "9"], [END + a_day, "9"]])),
                seen("eve", json!([[END + a_day, "7"]])),
                seen("trash", json!([[END, "1"]])),
            ]),
        ),
    ])
    .await;
    let days: Vec<_> = (0..2)
        .map(|index| DayEnd {
            day: jiff::civil::date(2027, 1, 15 + index),
            end: time(END + i64::from(index) * a_day),
        })
        .collect();
    let prometheus = server.prometheus();
    let homes = prometheus
        .homes(&days, &known(&["ada", "eve"]))
        .await
        .unwrap();
    let sizes = |index: usize| -> Vec<_> {
        let sizes = homes[index].sizes.iter();
        sizes.map(|home| (home.user.as_str(), home.bytes)).collect()
    };
    assert_eq!(sizes(0), [("ada", 5.0)]);
    assert_eq!(sizes(1), [("ada", 6.0), ("eve", 7.0)]);
    assert_eq!((homes[0].n_unattributed, homes[1].n_unattributed), (1, 0));
    assert!((homes[0].unattributed_bytes - 1.0).abs() < f64::EPSILON);
}
