//! What becomes of a query, whatever the server does with it.

use super::super::{Point, Prometheus, PrometheusError};
use super::support::{END, Reply, START, Server, hours, series, time, vector};
use crate::config::{Secret, UsageConfig};
use crate::sources::Known;
use insta::assert_snapshot;
use serde_json::json;

/// How a query about one pod ends with these settings.
async fn outcome(prometheus: &Prometheus) -> String {
    let query = r#"m{pod="jupyter-ada"}"#;
    match prometheus.client().query(query, time(END)).await {
        Ok(answer) => format!("{} series", answer.series.len()),
        Err(error) => {
            assert!(!error.remedy().is_empty());
            format!("{}: {}", error.kind(), error.with_causes())
        }
    }
}

async fn refused(reply: Reply) -> String {
    let server = Server::new(move |_| reply.clone()).await;
    let outcome = outcome(&server.prometheus()).await;
    outcome.replace(&server.url, "http://prometheus/")
}

fn refusal(status: u16, kind: &str, error: &str) -> Reply {
    let said = json!({"status": "error", "errorType": kind, "error": error});
    Reply::Refusal(status, said)
}

#[tokio::test]
async fn each_refusal_says_what_it_means_and_names_nobody() {
    let too_many = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing \
                    the query resolution (?step=XX)";
    assert_snapshot!(refused(refusal(400, "bad_data", too_many)).await, @r#"too_many_points: Prometheus gives fewer points than `m{pod="…"}` has: exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"#);
    let too_many = "too many points for the given step=1000, start=1 and end=2: 99; cannot exceed \
                    -search.maxPointsPerTimeseries=30000";
    assert_snapshot!(refused(refusal(422, "422", too_many)).await, @r#"too_many_points: Prometheus gives fewer points than `m{pod="…"}` has: too many points for the given step=1000, start=1 and end=2: 99; cannot exceed -search.maxPointsPerTimeseries=30000"#);
    let too_much = "query processing would load too many samples into memory in query execution";
    assert_snapshot!(refused(refusal(422, "execution", too_much)).await, @r#"too_much: `m{pod="…"}` is more than Prometheus allows a query to read: query processing would load too many samples into memory in query execution"#);
    let failed = "found duplicate series for {pod=\"jupyter-ada\"}";
    assert_snapshot!(refused(refusal(422, "execution", failed)).await, @r#"rejected: Prometheus could not answer `m{pod="…"}` (status 422): found duplicate series for {pod="…"}"#);
    assert_snapshot!(refused(refusal(403, "forbidden", "no")).await, @r#"refused: Prometheus refused `m{pod="…"}` with status 403"#);
    let html = "<html>Sign in as <b>jupyter-ada</b></html>";
    assert_snapshot!(refused(Reply::Text(200, "text/html", html)).await, @"not_prometheus: what answers at `http://prometheus/` is not a Prometheus: it answers with `text/html`, not JSON");
    assert_snapshot!(refused(Reply::Text(404, "text/plain", "404")).await, @"not_prometheus: what answers at `http://prometheus/` is not a Prometheus: it answers with status 404 Not Found and not in JSON");
    assert_snapshot!(refused(Reply::Text(503, "text/plain", "no")).await, @r#"busy: Prometheus is too busy for `m{pod="…"}` (status 503): Service Unavailable"#);
    assert_snapshot!(refused(Reply::Data(json!({"status": "success"}))).await, @r#"bad_reply: Prometheus' answer to `m{pod="…"}` is not what its API promises: it holds no data"#);
    assert_snapshot!(refused(Reply::Text(200, "application/json", "{\"data\":")).await, @r#"bad_reply: Prometheus' answer to `m{pod="…"}` is not what its API promises: EOF while parsing a value at line 1 column 8"#);
}

#[tokio::test]
async fn a_server_that_is_down_or_silent_is_an_error_with_an_end() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Server::with_rules(Vec::new()).await.config();
    config.url = format!("http://ada:pass@{}/?token=x", socket.local_addr().unwrap())
        .parse()
        .ok();
    drop(socket);
    let prometheus = Prometheus::new(&config, &UsageConfig::default(), "hub").unwrap();
    let said = outcome(&prometheus).await;
    assert!(said.starts_with("unreachable: Prometheus did not answer at `http://127.0.0.1:"));
    assert!(!said.contains("pass") && !said.contains("token"), "{said}");
    assert_eq!(prometheus.load().queries, 2, "it is tried once more");

    let server = Server::new(|_| Reply::Silence).await;
    let mut config = server.config();
    config.timeout_seconds = 1;
    let prometheus = Prometheus::new(&config, &UsageConfig::default(), "hub").unwrap();
    assert_snapshot!(outcome(&prometheus).await, @r#"timeout: Prometheus did not finish answering `m{pod="…"}` within 1 s"#);
    assert_eq!(server.asked().len(), 1, "a slow server is not asked again");
}

#[tokio::test]
async fn credentials_go_to_the_server_that_is_named_and_nowhere_else() {
    let other = Server::with_rules(Vec::new()).await;
    let elsewhere = format!("{}api/v1/query?token=x", other.url);
    let server = Server::new(move |_| Reply::Redirect(elsewhere.clone())).await;
    let mut config = server.config();
    config.token = Some(Secret::new("prometheus-token"));
    config.url = format!("{}select/0/prometheus?extra_label=cluster%3Da", server.url)
        .parse()
        .ok();
    let prometheus = Prometheus::new(&config, &UsageConfig::default(), "hub").unwrap();
    let said = outcome(&prometheus).await;
    assert!(
        said.contains("it sends us on to `http://127.0.0.1:"),
        "{said}"
    );
    assert!(!said.contains("token"), "{said}");
    assert!(other.asked().is_empty());
    let [asked] = &server.asked()[..] else {
        panic!("asked once");
    };
    assert_eq!(asked.path, "/select/0/prometheus/api/v1/query");
    let parameters = asked.parameters.as_deref();
    assert_eq!(parameters, Some("extra_label=cluster%3Da"));
    let bearer = asked.authorization.as_deref();
    assert_eq!(bearer, Some("Bearer prometheus-token"));

    let server = Server::with_rules(Vec::new()).await;
    let mut config = server.config();
    config.username = Some("insights".to_owned());
    config.password = Some(Secret::new("s3cret"));
    let prometheus = Prometheus::new(&config, &UsageConfig::default(), "hub").unwrap();
    assert_eq!(outcome(&prometheus).await, "0 series");
    let asked = server.asked();
    let basic = asked[0].authorization.as_deref();
    assert_eq!(basic, Some("Basic aW5zaWdodHM6czNjcmV0"));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_the_start() {
    let server = Server::with_rules(Vec::new()).await;
    let with = |change: &dyn Fn(&mut crate::config::PrometheusConfig), namespace: &str| {
        let mut config = server.config();
        change(&mut config);
        let outcome = Prometheus::new(&config, &UsageConfig::default(), namespace);
        outcome.err().map(|error| error.with_causes()).unwrap()
    };
    assert_snapshot!(with(&|_| {}, ""), @"`prometheus.namespace` is not set");
    assert_snapshot!(with(&|config| config.url = None, "hub"), @"`prometheus.url` is not set");
    assert_snapshot!(with(&|config| config.url = "ftp://x/".parse().ok(), "hub"), @"`prometheus.url` has to begin with `http://` or `https://`");
    assert_snapshot!(with(&|config| config.user_label = "hub.jupyter.org/username".to_owned(), "hub"), @"`prometheus.user_label`: `hub.jupyter.org/username` is not the name of a label");
    assert_snapshot!(with(&|config| config.ca_file = Some("/no/such/file".into()), "hub"), @"`prometheus.ca_file`: could not read `/no/such/file`: No such file or directory (os error 2)");
}

#[tokio::test]
async fn what_is_not_a_number_is_left_out_and_counted() {
    let server = Server::new(|_| {
        Reply::Data(json!({
            "status": "success",
            "data": {
                "resultType": "matrix",
                "stats": {"samples": {"totalQueryableSamples": 7}},
                "result": [
                    {"metric": {"__name__": "m", "pod": "a"}, "values": [
                        [START, "NaN"], [1_800_000_000.25, "+Inf"], [1_800_000_000.5, "1e3"], [END, "-Inf"]
                    ]},
                    {"metric": {}, "values": [[START, null]]}
                ]
            }
        }))
    })
    .await;
    let prometheus = server.prometheus();
    let answer = prometheus.client().raw("m[1h]", time(END)).await.unwrap();
    assert_eq!(answer.n_not_numbers, 4);
    assert_eq!(answer.series.len(), 1);
    assert_eq!(answer.series[0].labels.get("pod"), "a");
    assert_eq!(answer.series[0].labels.get("none"), "");
    let point = Point {
        at: "2027-01-15T08:00:00.500Z".parse().unwrap(),
        value: 1000.0,
    };
    assert_eq!(answer.series[0].points, [point]);
    assert_eq!(prometheus.load().samples, 7);
}

#[tokio::test]
async fn what_the_server_warns_of_is_noted_and_names_nobody() {
    let server = Server::new(|_| {
        Reply::Data(json!({
            "status": "success",
            "warnings": ["PromQL warning", "store \"jupyter-ada\" is away"],
            "isPartial": true,
            "data": {
                "resultType": "matrix",
                "result": [{"metric": {"pod": "a"}, "values": [[END, "NaN"]]}]
            }
        }))
    })
    .await;
    let hours = server.prometheus().hours(&hours(1)).await.unwrap();
    let notes: Vec<_> = hours.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(
        notes[0],
        "Prometheus warns: PromQL warning; a part of the data could not be reached; store \"…\" is away"
    );
    assert!(notes[1].ends_with("values in Prometheus' answers are not numbers and were left out"));
}

#[tokio::test]
async fn other_moments_than_those_asked_about_are_refused() {
    let server = Server::new(|_| {
        let moved = json!([[START + 1800, "1"]]);
        Reply::Data(series(&[(json!({"pod": "a"}), moved)]))
    })
    .await;
    let prometheus = server.prometheus();
    let answer = prometheus
        .client()
        .query_range("m", time(START), time(END), 3600);
    let error = answer.await.unwrap_err();
    assert!(
        matches!(error, PrometheusError::OtherTimes { .. }),
        "{error}"
    );
    assert!(!error.is_too_much());
    let asked = server.asked();
    assert_eq!(asked[0].path, "/api/v1/query_range");
    assert_eq!(asked[0].field("start"), "1800000000.000");
    assert_eq!(asked[0].field("end"), "1800003600.000");
    assert_eq!(asked[0].field("step"), "3600");
    assert_eq!(asked[0].field("nocache"), "1");
    assert_eq!(asked[0].field("timeout"), "20s");
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_once_more() {
    let n_asked = std::sync::atomic::AtomicU64::new(0);
    let server =
        Server::new(
            move |_| match n_asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Reply::Text(502, "text/html", "bad gateway"),
                _ => Reply::Data(vector(&[(json!({"pod": "a"}), 1.0)])),
            },
        )
        .await;
    assert_eq!(outcome(&server.prometheus()).await, "1 series");
}

#[tokio::test]
async fn a_look_at_a_server_that_fails_is_an_error() {
    let server = Server::new(|_| refusal(422, "execution", "no")).await;
    let error = server
        .prometheus()
        .look(&Known::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "rejected");
}

#[test]
fn what_is_asked_can_wait_on_any_thread() {
    fn is_send(_: impl Send) {}
    fn all(prometheus: &mut Prometheus, known: &Known) {
        is_send(prometheus.hours(&[]));
        is_send(prometheus.homes(&[], known));
        is_send(prometheus.look(known));
    }
    let _ = all;
}
