//! Custom metrics over HTTP: what counts, what is rejected and why, and that it counts once and for
//! good, also over kills; and what is counted of a hub.

use crate::events::{Receiver, Reply, send};
use crate::support::{tools, until};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write as _;
use std::process::Command;

pub(crate) const TESTS: &[crate::Test] = &[
    ("custom_metrics_count_once_and_survive_a_restart", count),
    ("what_a_script_counts_with_the_python_file_is_shown", script),
    ("what_does_not_count_is_told_with_the_reason", reasons),
    ("many_kinds_end_in_a_bounded_number_of_series", bounds),
    (
        "hooks_count_logins_and_spawns_and_hold_the_histograms_off",
        hooks,
    ),
];

impl Receiver {
    fn metric(&self, kind: &str, body: impl AsRef<[u8]>) -> Reply {
        self.metric_with(kind, body, &[])
    }

    fn metric_with(
        &self,
        kind: &str,
        body: impl AsRef<[u8]>,
        headers: &[(&'static str, &'static str)],
    ) -> Reply {
        let url = format!("{}api/v1/metrics/{kind}", self.service.url);
        send(&url, Some(crate::events::OWN_TOKEN), body.as_ref(), headers)
    }

    /// Samples of a metric, as the text shows them.
    fn samples(&self, name: &str) -> Vec<String> {
        let text = self.service.scrape().text;
        let lines = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        lines.map(str::to_owned).collect()
    }
}

fn count() {
    let mut receiver = Receiver::start();
    let taken = receiver.metric("counter", r#"{"event_type": "export", "user": "ada"}"#);
    assert_eq!(
        (taken.status, &taken.body),
        (200, &json!({"accepted": 1, "rejected": []}))
    );
    let lines = "{\"event_type\": \"export\", \"user\": \"ada\", \"amount\": 2.5}\n{\"event_type\": \"export\"}\n";
    let headers = [
        ("content-encoding", "gzip"),
        ("idempotency-key", "the-first"),
    ];
    for _ in 0..3 {
        let mut whole = GzEncoder::new(Vec::new(), Compression::fast());
        whole.write_all(lines.as_bytes()).unwrap();
        let taken = receiver.metric_with("counter", whole.finish().unwrap(), &headers);
        assert_eq!((taken.status, &taken.body["accepted"]), (200, &json!(2)));
    }
    receiver.metric(
        "gauge",
        r#"[{"resource_type": "licences", "value": 3}, {"resource_type": "licences", "value": 2}]"#,
    );
    receiver.metric("timing", r#"[{"operation": "backup", "seconds": 7}, {"operation": "backup", "seconds": 0.1, "status": "error"}]"#);
    for round in 0..2 {
        assert_eq!(
            receiver.samples("jupyterhub_custom_events_total"),
            [
                r#"jupyterhub_custom_events_total{event_type="export",user="ada"} 3.5"#,
                r#"jupyterhub_custom_events_total{event_type="export",user="anonymous"} 1"#,
            ],
            "{round}"
        );
        assert_eq!(
            receiver.samples("jupyterhub_custom_resource_usage"),
            [r#"jupyterhub_custom_resource_usage{resource_type="licences",user="system"} 2"#]
        );
        let name = "jupyterhub_custom_operation_duration_seconds";
        assert_eq!(receiver.samples(&format!("{name}_bucket")).len(), 2 * 17);
        assert_eq!(
            receiver.samples(&format!("{name}_sum")),
            [
                format!(r#"{name}_sum{{operation="backup",status="error"}} 0.1"#),
                format!(r#"{name}_sum{{operation="backup",status="success"}} 7"#),
            ]
        );
        receiver = receiver.again();
        let headers = [("idempotency-key", "the-first")];
        let repeated = receiver.metric_with("counter", lines, &headers);
        assert_eq!(repeated.body["accepted"], json!(2));
    }
}

const SCRIPT: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import jupyterhub_insights as insights
insights.connect(sys.argv[2], sys.argv[3])
insights.record_custom_event("export", user="ada")
insights.record_custom_event("export", amount=2)
insights.update_custom_gauge("licences", 2)
with insights.time_custom_operation("backup"):
    pass
@insights.time_custom_operation("restore")
def restore():
    raise ValueError
try:
    restore()
except ValueError:
    pass
insights.record_event("door-opened", user="ada", detail={"room": 7})
assert insights.flush(30)
print(insights.stats())
"#;

fn script() {
    let receiver = Receiver::start();
    let output = Command::new(tools().join("hub-6.1/bin/python"))
        .args([
            "-c",
            SCRIPT,
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../python"),
        ])
        .args([&receiver.service.url, crate::events::OWN_TOKEN])
        .env_clear()
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        told.contains("'sent': 6") && told.contains("'refused': 0"),
        "{told}"
    );
    assert_eq!(
        receiver.samples("jupyterhub_custom_events_total"),
        [
            r#"jupyterhub_custom_events_total{event_type="export",user="ada"} 1"#,
            r#"jupyterhub_custom_events_total{event_type="export",user="anonymous"} 2"#,
        ]
    );
    assert_eq!(
        receiver.samples("jupyterhub_custom_resource_usage"),
        [r#"jupyterhub_custom_resource_usage{resource_type="licences",user="system"} 2"#]
    );
    assert_eq!(
        receiver.samples("jupyterhub_custom_operation_duration_seconds_count"),
        [
            r#"jupyterhub_custom_operation_duration_seconds_count{operation="backup",status="success"} 1"#,
            r#"jupyterhub_custom_operation_duration_seconds_count{operation="restore",status="error"} 1"#,
        ]
    );
    let query = r#"select kind, "user", source from events where kind = 'door-opened'"#;
    let store = receiver.folder.path().join("store");
    assert_eq!(
        crate::support::sql(&store, query).rows(),
        ["door-opened,ada,script"]
    );
}

fn reasons() {
    let receiver = Receiver::start_with(&["--set", r#"metrics.custom_allowed=["export", "db.*"]"#]);
    let url = format!("{}api/v1/metrics/counter", receiver.service.url);
    assert_eq!(send(&url, None, b"{}", &[]).status, 403);
    let body = r#"[{"event_type": "db.read"}, {"event_type": "other"}, {"event_type": "export", "amount": -1},
                   {"event_type": "export", "extra": 1}, rubbish]"#;
    let taken = receiver.metric("counter", body);
    assert_eq!(taken.body["accepted"], json!(1));
    let rejected = taken.body["rejected"].as_array().unwrap();
    let told: Vec<String> = rejected
        .iter()
        .map(|it| format!("{} {}", it["index"], it["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(told[0], "1 `event_type` is not in `metrics.custom_allowed`");
    assert_eq!(told[1], "2 `amount` is not above 0 and at most 1e15");
    assert!(told[2].contains("unknown field `extra`"), "{told:?}");
    assert!(told[3].starts_with("4 not of the form"), "{told:?}");
    let bad_key = receiver.metric_with("gauge", "{}", &[("idempotency-key", " ")]);
    assert_eq!(bad_key.status, 400, "{bad_key:?}");
    assert_eq!(receiver.samples("jupyterhub_custom_events_total").len(), 1);
}

fn bounds() {
    let receiver = Receiver::start_with(&["--set", "metrics.series=20"]);
    for round in 0..20 {
        let items = (0..5000).map(|number| json!({"event_type": format!("kind-{round}-{number}")}));
        let items: Vec<_> = items.collect();
        let taken = receiver.metric("counter", json!(items).to_string());
        assert_eq!(taken.body["accepted"], json!(5000), "{taken:?}");
    }
    let samples = receiver.samples("jupyterhub_custom_events_total");
    assert_eq!(samples.len(), 20);
    let other = r#"jupyterhub_custom_events_total{event_type="other",user="other"} 99981"#;
    assert!(samples.iter().any(|sample| sample == other), "{samples:?}");
}

/// The real hub has no hooks here: the events are made up, about a process that starts now.
fn hooks() {
    let receiver = Receiver::start();
    let now = jiff::Timestamp::from_second(real_seconds()).unwrap();
    let event = |id: &str, kind: &str, detail: serde_json::Value| json!({"id": id, "at": now.to_string(), "kind": kind, "user": "ada", "source": "hooks", "detail": detail});
    let login = event("1", "login", json!({"authenticator": "PAMAuthenticator"}));
    receiver.post(login.to_string());
    assert_eq!(
        receiver.samples("jupyterhub_login_success_total"),
        [""; 0],
        "before the hello"
    );
    let hello = json!({"spawner": "Simple", "hooks": ["login", "login-failed", "spawn-asked", "spawn-succeeded", "spawn-failed"]});
    receiver.post(event("2", "hub-started", hello).to_string());
    for id in ["3", "4", "4"] {
        let login = event(id, "login", json!({"authenticator": "PAMAuthenticator"}));
        receiver.post(login.to_string());
    }
    let spawned = json!({"spawner": "Simple", "seconds": 3.0, "launch_seconds": 4.0});
    receiver.post(event("5", "spawn-succeeded", spawned).to_string());
    assert_eq!(
        receiver.samples("jupyterhub_login_success_total"),
        ["jupyterhub_login_success_total 2"]
    );
    assert_eq!(
        receiver.samples("jupyterhub_user_login_total"),
        [r#"jupyterhub_user_login_total{username="anonymous",authenticator="PAMAuthenticator"} 2"#]
    );
    assert_eq!(
        receiver.samples("jupyterhub_spawn_duration_seconds_count"),
        [r#"jupyterhub_spawn_duration_seconds_count{spawner_class="Simple"} 1"#]
    );
    // The hub's own counts of requests go on beside.
    until("requests to be counted", || {
        let name = "jupyterhub_hub_response_duration_seconds_count";
        let counted = receiver.samples(name);
        counted
            .first()
            .filter(|sample| !sample.ends_with(" 0"))
            .map(|_| ())
    })
    .unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "events are younger than a day by the real clock"
)]
fn real_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}
