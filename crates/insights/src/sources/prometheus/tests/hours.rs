//! Hours out of replies.

use super::super::{HourUse, Hours};
use super::support::{
    END, Reply, Rule, START, Server, around, at_end, hours, on, samples, series, time,
};
use model::names::UserName;
use model::usage::{Account, Totals};
use serde_json::{Value, json};
use std::sync::Arc;

fn annotated(pods: &[Value]) -> Value {
    let pods: Vec<_> = pods.iter().map(|pod| (pod.clone(), around(1.0))).collect();
    series(&pods)
}

fn pod(name: &str, user: &str) -> Value {
    json!({"pod": name, "annotation_hub_jupyter_org_username": user})
}

/// Of one pod of each user; samples of cAdvisor and kube-state-metrics are 30 seconds apart.
fn rules(more: Vec<Rule>) -> Vec<Rule> {
    let ada = json!({"pod": "jupyter-ada", "job": "cadvisor"});
    let steady = || samples((30..=3600).step_by(30));
    let mut rules = more;
    rules.extend([
        on(
            &["last_over_time(kube_pod_annotations"],
            annotated(&[pod("jupyter-ada", "Ada L"), pod("jupyter-eve", "eve")]),
        ),
        on(
            &["count_over_time(container_memory"],
            series(&[(ada.clone(), at_end(120.0))]),
        ),
        on(
            &["sum_over_time(container_memory"],
            series(&[(ada.clone(), at_end(1000.0))]),
        ),
        on(
            &["max_over_time(container_memory"],
            series(&[(ada.clone(), at_end(15.0))]),
        ),
        on(&["^container_memory"], series(&[(ada, steady())])),
    ]);
    rules
}

async fn used(rules: Vec<Rule>) -> Hours {
    let server = Server::with_rules(rules).await;
    server.prometheus().hours(&hours(1)).await.unwrap()
}

fn account(user: &str, server: Option<&str>) -> Account {
    Account {
        user: UserName::from(user),
        server: server.map(Arc::from),
    }
}

/// The only account's totals.
fn only(hours: &Hours) -> Totals {
    let [HourUse { totals, .. }] = &hours.used[..] else {
        panic!("one account: {hours:?}");
    };
    *totals
}

#[tokio::test]
async fn samples_times_their_interval_are_what_was_used() {
    let hours = used(rules(Vec::new())).await;
    let expected = Totals {
        memory_byte_seconds: Some(30_000.0),
        memory_peak_bytes: Some(15.0),
        samples: 120,
        ..Totals::default()
    };
    let row = HourUse {
        hour: time(START),
        account: account("Ada L", None),
        totals: expected,
    };
    assert_eq!(hours.used, [row]);
    assert_eq!(hours.unattributed, []);
    assert_eq!(hours.notes, []);
}

#[tokio::test]
async fn every_question_is_about_this_hubs_namespace() {
    let server = Server::with_rules(rules(Vec::new())).await;
    server.prometheus().hours(&hours(1)).await.unwrap();
    let asked = server.asked();
    assert!(asked.len() > 15);
    for question in &asked {
        let n_selectors = question.query().matches('{').count();
        let n_namespaces = question.query().matches("namespace=\"hub\"").count();
        assert_eq!(n_selectors, n_namespaces, "{}", question.query());
    }
}

#[tokio::test]
async fn counters_are_read_at_both_ends_of_an_hour() {
    let label =
        |pod: &str, id: &str| json!({"pod": pod, "id": id, "name": id, "container": "notebook"});
    let hours = used(rules(vec![
        on(
            &["last_over_time(container_cpu"],
            series(&[
                // Was there before; was started anew within the hour; came out of nowhere.
                (
                    label("jupyter-ada", "a"),
                    json!([[START, "100"], [END, "160"]]),
                ),
                (label("jupyter-ada", "b"), at_end(7.0)),
                (label("jupyter-eve", "c"), at_end(50.0)),
                (label("hub-0", "d"), at_end(5.0)),
            ]),
        ),
        on(
            &["min_over_time(container_cpu"],
            series(&[
                (label("jupyter-ada", "a"), at_end(100.5)),
                (label("jupyter-ada", "b"), at_end(2.0)),
                (label("jupyter-eve", "c"), at_end(48.0)),
                (label("hub-0", "d"), at_end(1.0)),
            ]),
        ),
        on(
            &["container_start_time_seconds", "> time() - 3720"],
            series(&[(label("jupyter-ada", "b"), at_end(1.0))]),
        ),
        on(
            &[
                "last_over_time(container_network_receive",
                "interface!=\"lo\"",
            ],
            series(&[(
                json!({"pod": "jupyter-eve", "interface": "eth0"}),
                at_end(900.0),
            )]),
        ),
        on(
            &["min_over_time(container_network_receive"],
            series(&[(
                json!({"pod": "jupyter-eve", "interface": "eth0"}),
                at_end(100.0),
            )]),
        ),
        on(
            &["kube_pod_created"],
            series(&[(json!({"pod": "jupyter-other"}), around(1.0))]),
        ),
    ]))
    .await;
    assert_eq!(hours.used.len(), 2);
    assert_eq!(hours.used[0].totals.cpu_core_seconds, Some(67.0));
    assert_eq!(hours.used[1].totals.cpu_core_seconds, Some(2.0));
    assert_eq!(hours.used[1].totals.network_rx_bytes, Some(800.0));
    assert_eq!(hours.used[1].totals.network_tx_bytes, None);
    assert_eq!(hours.unattributed, []);
}

#[tokio::test]
async fn a_counter_of_a_pod_that_began_in_the_hour_began_at_nothing() {
    let label = json!({"pod": "jupyter-ada", "id": "a"});
    let hours = used(rules(vec![
        on(
            &["last_over_time(container_cpu"],
            series(&[(label.clone(), at_end(50.0))]),
        ),
        on(
            &["min_over_time(container_cpu"],
            series(&[(label, at_end(48.0))]),
        ),
        on(
            &["kube_pod_start_time", "> time() - 3840"],
            series(&[(json!({"pod": "jupyter-ada"}), around(1.0))]),
        ),
    ]))
    .await;
    assert_eq!(only(&hours).cpu_core_seconds, Some(50.0));
}

#[tokio::test]
async fn of_a_counter_that_went_down_the_samples_are_looked_at() {
    let label = json!({"pod": "jupyter-ada", "id": "a\"b"});
    let hours = used(rules(vec![
        on(
            &["last_over_time(container_cpu"],
            series(&[(label.clone(), json!([[START, "10"], [END, "4"]]))]),
        ),
        on(
            &["min_over_time(container_cpu"],
            series(&[(label.clone(), at_end(1.0))]),
        ),
        on(
            &["resets(container_cpu"],
            series(&[(label.clone(), at_end(1.0))]),
        ),
        on(
            &[
                "^container_cpu",
                "pod=\"jupyter-ada\"",
                r#"id="a\"b""#,
                "[7200000ms]",
            ],
            series(&[(
                label,
                json!([
                    [START, "10"],
                    [START + 60, "12"],
                    [START + 120, "1"],
                    [END, "4"]
                ]),
            )]),
        ),
    ]))
    .await;
    assert_eq!(only(&hours).cpu_core_seconds, Some(6.0));
}

#[tokio::test]
async fn two_exporters_that_say_the_same_count_once_and_two_in_turns_are_added_up() {
    let by = |job: &str| json!({"pod": "jupyter-ada", "job": job});
    let two = |left: f64, right: f64| {
        series(&[
            (by("cadvisor"), at_end(left)),
            (by("kubelet"), at_end(right)),
        ])
    };
    // The second one is asked twice as often.
    let doubled = used(rules(vec![
        on(&["count_over_time(container_memory"], two(120.0, 240.0)),
        on(&["sum_over_time(container_memory"], two(1000.0, 2000.0)),
        on(
            &["^container_memory", "job=\"kubelet\""],
            series(&[(by("kubelet"), samples((15..=3600).step_by(15)))]),
        ),
    ]))
    .await;
    assert_eq!(only(&doubled).memory_byte_seconds, Some(30_000.0));
    assert_eq!(only(&doubled).samples, 240);

    let in_turns = used(rules(vec![
        on(&["count_over_time(container_memory"], two(60.0, 60.0)),
        on(&["sum_over_time(container_memory"], two(400.0, 600.0)),
        on(
            &["^container_memory", "job=\"cadvisor\""],
            series(&[(by("cadvisor"), samples((30..=1800).step_by(30)))]),
        ),
        on(
            &["^container_memory", "job=\"kubelet\""],
            series(&[(by("kubelet"), samples((1830..=3600).step_by(30)))]),
        ),
    ]))
    .await;
    assert_eq!(only(&in_turns).memory_byte_seconds, Some(30_000.0));
    assert_eq!(only(&in_turns).samples, 120);

    // As many samples, but at the same time: the pod was there for half an hour.
    let short = used(rules(vec![
        on(&["count_over_time(container_memory"], two(60.0, 60.0)),
        on(&["sum_over_time(container_memory"], two(500.0, 500.0)),
        on(
            &["^container_memory", "job=\"cadvisor\""],
            series(&[(by("cadvisor"), samples((30..=1800).step_by(30)))]),
        ),
        on(
            &["^container_memory", "job=\"kubelet\""],
            series(&[(by("kubelet"), samples((40..=1800).step_by(30)))]),
        ),
    ]))
    .await;
    assert_eq!(only(&short).memory_byte_seconds, Some(15_000.0));
    assert_eq!(only(&short).samples, 60);
}

#[tokio::test]
async fn requests_count_while_a_pod_holds_them_and_gpus_by_the_better_measure() {
    let of = |resource: &str| json!({"pod": "exporter", "exported_pod": "jupyter-ada", "exported_namespace": "hub", "job": "ksm", "resource": resource});
    let ksm = json!({"pod": "exporter", "exported_pod": "jupyter-ada", "exported_namespace": "hub", "job": "ksm"});
    let gpu = |pod: &str| json!({"pod": pod, "job": "dcgm"});
    let steady = || samples((60..=3600).step_by(60));
    let hours = used(rules(vec![
        on(
            &["count_over_time(kube_pod_container"],
            series(&[(ksm.clone(), at_end(60.0))]),
        ),
        on(
            &[
                "^kube_pod_container",
                "exported_pod=\"jupyter-ada\"",
                "pod=\"exporter\"",
                "exported_namespace=\"hub\"",
            ],
            series(&[(ksm.clone(), steady())]),
        ),
        on(
            &["sum_over_time(kube_pod_container"],
            series(&[
                (of("cpu"), at_end(30.0)),
                (of("nvidia_com_gpu"), at_end(60.0)),
                (of("amd_com_gpu"), at_end(60.0)),
            ]),
        ),
        // It had ended for a quarter of the hour, and waited for another.
        on(
            &["kube_pod_status_phase", "Succeeded|Failed"],
            series(&[(ksm.clone(), at_end(15.0))]),
        ),
        on(
            &["kube_pod_status_scheduled", "false|unknown"],
            series(&[(ksm, at_end(15.0))]),
        ),
        on(
            &["count_over_time(DCGM_FI_PROF"],
            series(&[(gpu("jupyter-ada"), at_end(60.0))]),
        ),
        on(
            &["count_over_time(DCGM_FI_DEV"],
            series(&[
                (gpu("jupyter-ada"), at_end(60.0)),
                (gpu("jupyter-eve"), at_end(60.0)),
            ]),
        ),
        on(
            &["sum_over_time(DCGM_FI_PROF"],
            series(&[(gpu("jupyter-ada"), at_end(30.0))]),
        ),
        on(
            &["sum_over_time(DCGM_FI_DEV"],
            series(&[
                (gpu("jupyter-ada"), at_end(100.0)),
                (gpu("jupyter-eve"), at_end(3000.0)),
            ]),
        ),
        on(&["^DCGM"], series(&[(gpu("jupyter-ada"), steady())])),
    ]))
    .await;
    let ada = &hours.used[0].totals;
    assert_eq!(ada.cpu_requested_core_seconds, Some(900.0));
    assert_eq!(ada.memory_requested_byte_seconds, Some(0.0));
    assert_eq!(ada.gpu_requested_seconds, Some(3600.0));
    assert_eq!(ada.gpu_used_seconds, Some(1800.0));
    let eve = &hours.used[1].totals;
    assert_eq!(eve.gpu_used_seconds, Some(1800.0));
    assert_eq!(eve.gpu_requested_seconds, None);
}

#[tokio::test]
async fn requests_before_and_after_a_pod_got_its_node_are_added_up() {
    let ksm = json!({"pod": "jupyter-ada", "job": "ksm"});
    let server = Server::with_rules(rules(vec![on(
        &["count_over_time(kube_pod_container"],
        series(&[(ksm, at_end(60.0))]),
    )]))
    .await;
    server.prometheus().hours(&hours(1)).await.unwrap();
    let asked = server.asked();
    for function in ["sum_over_time(", "count_over_time("] {
        let words = [function, "(kube_pod_container_resource_requests{"];
        let question = asked.iter().find(|asked| asked.has(&words)).unwrap();
        assert!(
            question.has(&["uid,node,exported_node) ("]),
            "{}",
            question.query()
        );
    }
}

#[tokio::test]
async fn a_users_pod_without_annotation_is_nobodys_and_the_hubs_own_are_left_out() {
    let by = |pod: &str| json!({"pod": pod, "job": "cadvisor"});
    let hours = used(rules(vec![
        on(
            &["last_over_time(kube_pod_labels"],
            series(&[
                (
                    json!({"pod": "jupyter-ada", "label_component": "singleuser-server"}),
                    around(1.0),
                ),
                (
                    json!({"pod": "dask-1", "label_app_kubernetes_io_component": "dask-worker"}),
                    around(1.0),
                ),
                (
                    json!({"pod": "hub-0", "label_component": "hub"}),
                    around(1.0),
                ),
            ]),
        ),
        on(
            &["count_over_time(container_memory"],
            series(&[
                (by("jupyter-ada"), at_end(120.0)),
                (by("dask-1"), at_end(120.0)),
                (by("hub-0"), at_end(120.0)),
            ]),
        ),
        on(
            &["sum_over_time(container_memory"],
            series(&[
                (by("jupyter-ada"), at_end(1.0)),
                (by("dask-1"), at_end(2.0)),
                (by("hub-0"), at_end(3.0)),
            ]),
        ),
    ]))
    .await;
    assert_eq!(only(&hours).memory_byte_seconds, Some(30.0));
    assert_eq!(hours.unattributed.len(), 1);
    assert_eq!(hours.unattributed[0].reason, "no annotation");
    assert_eq!(hours.unattributed[0].totals.memory_byte_seconds, Some(60.0));
}

#[tokio::test]
async fn hours_that_are_too_much_at_once_are_asked_for_in_parts() {
    let server = Server::new(|asked| {
        let seconds = |name| asked.field(name).parse::<f64>().unwrap_or_default();
        if seconds("end") - seconds("start") > 3.0 * 3600.0 {
            let error = "exceeded maximum resolution of 3 points per timeseries";
            let said = json!({"status": "error", "errorType": "bad_data", "error": error});
            return Reply::Refusal(400, said);
        }
        if !asked.has(&["kube_pod_annotations"]) && !asked.has(&["max_over_time(container_memory"])
        {
            return Reply::Data(series(&[]));
        }
        let mut points = Vec::new();
        let mut at = seconds("start");
        while at <= seconds("end") {
            points.push(json!([at, "1"]));
            at += 3600.0;
        }
        Reply::Data(series(&[(pod("jupyter-ada", "ada"), Value::Array(points))]))
    })
    .await;
    let found = server.prometheus().hours(&hours(10)).await.unwrap();
    let starts: Vec<_> = found.used.iter().map(|row| row.hour).collect();
    let expected: Vec<_> = hours(10).iter().map(|hour| hour.start).collect();
    assert_eq!(starts, expected);
}

#[tokio::test]
async fn hours_of_another_length_are_asked_about_apart() {
    let server = Server::with_rules(Vec::new()).await;
    let mut spans = hours(5);
    // A clock that is set by half an hour makes a short hour, and all after it are moved.
    spans[2].end = time(START + 2 * 3600 + 1800);
    for span in &mut spans[3..] {
        span.start = time(span.start.as_second() - 1800);
        span.end = time(span.end.as_second() - 1800);
    }
    server.prometheus().hours(&spans).await.unwrap();
    let asked = server.asked();
    let peaks = asked
        .iter()
        .filter(|asked| asked.has(&["max_over_time(container_memory"]));
    let seen: Vec<_> = peaks
        .map(|asked| {
            let (start, end) = (asked.field("start"), asked.field("end"));
            let window = asked
                .query()
                .split('[')
                .nth(1)
                .and_then(|rest| rest.split(']').next());
            format!("{start} {end} {} {}", asked.field("step"), window.unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            "1800003600.000 1800007200.000 3600 3599999ms",
            "1800009000.000 1800009000.000 1800 1799999ms",
            "1800012600.000 1800016200.000 3600 3599999ms",
        ]
    );
}
