//! A server that answers the queries of `sources::prometheus` by the metric that they name, about as
//! many servers as one likes, quickly enough not to be what is measured.
//!
//! Each user's pod runs from a certain hour of each day for [`HOURS`] hours, and is a new one each day.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// How long a pod runs.
const HOURS: i64 = 3;

pub(crate) struct Synthetic {
    n_users: usize,
    /// Bodies of answers about now.
    now: Mutex<HashMap<String, Arc<str>>>,
}

/// The metrics that it knows, each before those that begin like it.
const METRICS: [&str; 19] = [
    "kube_pod_annotations",
    "kube_pod_labels",
    "kube_pod_created",
    "kube_pod_status_phase",
    "kube_pod_container_resource_requests",
    "container_memory_working_set_bytes",
    "container_cpu_usage_seconds_total",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
    "container_start_time_seconds",
    "dirsize_total_size_bytes",
    "dirsize_entries_count",
    "jupyterhub_running_servers",
    "jupyterhub_total_users",
    "jupyterhub_active_users",
    "kube_node_labels",
    "kube_node_status_capacity",
    "kube_node_status_allocatable",
    "kube_node_status_condition",
];

/// One question.
struct Question {
    query: String,
    metric: &'static str,
    start: i64,
    end: i64,
    step: i64,
    is_range: bool,
}

/// Answers until the process ends; tells the port that it listens on.
pub(crate) async fn serve(n_users: usize) {
    let shared = Arc::new(Synthetic {
        n_users,
        now: Mutex::default(),
    });
    let answer =
        |State(shared): State<Arc<Synthetic>>, form: Bytes| async move { shared.answer(&form) };
    let router = Router::new()
        .route("/api/v1/query", post(answer))
        .route("/api/v1/query_range", post(answer))
        .with_state(shared);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    axum::serve(listener, router).await.expect("it serves");
}

impl Question {
    fn of(form: &[u8]) -> Self {
        let mut question = Self {
            query: String::new(),
            metric: "",
            start: 0,
            end: 0,
            step: HOUR,
            is_range: false,
        };
        for (name, value) in url::form_urlencoded::parse(form) {
            let seconds = value.split('.').next().and_then(|text| text.parse().ok());
            match &*name {
                "query" => question.query = value.into_owned(),
                "time" => {
                    (question.start, question.end) = (seconds.unwrap_or(0), seconds.unwrap_or(0));
                }
                "start" => (question.start, question.is_range) = (seconds.unwrap_or(0), true),
                "end" => question.end = seconds.unwrap_or(0),
                "step" => question.step = seconds.unwrap_or(HOUR),
                _ => {}
            }
        }
        let known = METRICS
            .iter()
            .filter_map(|metric| Some((question.query.find(metric)?, *metric)));
        question.metric = known.min().map_or("", |(_, metric)| metric);
        question
    }

    /// Raw samples of a selector with a range.
    fn is_raw(&self) -> bool {
        !self.is_range && self.query.starts_with(self.metric) && self.query.ends_with("ms]")
    }

    /// Length of the range in seconds.
    fn length(&self) -> i64 {
        let length = self.query.rsplit_once('[').map_or("", |(_, length)| length);
        let digits: String = length.chars().take_while(char::is_ascii_digit).collect();
        let number: i64 = digits.parse().unwrap_or(0);
        if length.contains("ms]") {
            (number + 999) / 1000
        } else {
            number
        }
    }

    fn has(&self, words: &str) -> bool {
        self.query.contains(words)
    }
}

/// When a user's pod runs on the day of a moment.
fn life(user: usize, at: i64) -> (i64, i64) {
    let begin = at.div_euclid(DAY) * DAY + i64::try_from(user % 20).unwrap_or(0) * HOUR + 600;
    (begin, begin + HOURS * HOUR)
}

impl Synthetic {
    fn answer(&self, form: &[u8]) -> Response {
        let question = Question::of(form);
        let json = [(header::CONTENT_TYPE, "application/json")];
        let body: Arc<str> = if question.is_range {
            body("matrix", &self.hours(&question)).into()
        } else if question.is_raw() {
            body("matrix", &Self::raw(&question)).into()
        } else if question.has("timestamp(") {
            body("vector", &Self::lasts(&question)).into()
        } else if question.length() >= 600 {
            body("vector", &self.lives(&question)).into()
        } else {
            let mut known = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            let key = question
                .query
                .split('[')
                .next()
                .unwrap_or_default()
                .to_owned();
            let answer = known
                .entry(key)
                .or_insert_with(|| body("vector", &self.now(&question)).into());
            Arc::clone(answer)
        };
        (json, body.to_string()).into_response()
    }

    /// Everybody's pod, as it is now.
    fn now(&self, question: &Question) -> String {
        let mut series = String::new();
        if question.metric.is_empty() || question.has("== 0") || question.has("> 1") {
            return series;
        }
        for user in 0..self.n_users {
            for (labels, value) in series_of(question, user) {
                vector(&mut series, &labels, question.end, value);
            }
            if question.metric.starts_with("kube_node") || question.metric.starts_with("jupyterhub")
            {
                break;
            }
        }
        series
    }

    /// Values at the end of each hour, of pods that ran in it.
    fn hours(&self, question: &Question) -> String {
        let mut series = String::new();
        if question.metric.is_empty() || question.has("resets(") {
            return series;
        }
        let is_daily = question.metric.starts_with("dirsize");
        for user in 0..self.n_users {
            for (labels, value) in series_of(question, user) {
                let mut points = String::new();
                let mut at = question.start;
                while at <= question.end {
                    if let Some(value) = hour_value(question, user, at, value, is_daily) {
                        let comma = if points.is_empty() { "" } else { "," };
                        let _ = write!(points, "{comma}[{at},\"{value}\"]");
                    }
                    at += question.step;
                }
                if !points.is_empty() {
                    let comma = if series.is_empty() { "" } else { "," };
                    let _ = write!(
                        series,
                        "{comma}{{\"metric\":{{{labels}}},\"values\":[{points}]}}"
                    );
                }
            }
        }
        series
    }

    /// A sample a minute of the one series that is asked for.
    fn raw(question: &Question) -> String {
        let labels = series_of(question, 0)
            .pop()
            .map_or(String::new(), |(labels, _)| labels);
        let mut points = String::new();
        let mut at = (question.end - question.length()).div_euclid(60) * 60 + 60;
        while at <= question.end {
            let comma = if points.is_empty() { "" } else { "," };
            let _ = write!(points, "{comma}[{at},\"{}\"]", at % 7);
            at += 60;
        }
        format!("{{\"metric\":{{{labels}}},\"values\":[{points}]}}")
    }

    /// Something about each pod that ran in the range: when it was made, that it ran, that it still does.
    fn lives(&self, question: &Question) -> String {
        let mut series = String::new();
        let from = question.end - question.length();
        for user in 0..self.n_users {
            let (begin, end) = life(user, question.end - 1);
            let ran = begin < question.end && from < end;
            if !ran && question.length() < 2 * DAY {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "times")]
            let value = match question.metric {
                "kube_pod_created" => begin as f64,
                _ => 1.0,
            };
            for (labels, _) in series_of(question, user) {
                vector(&mut series, &labels, question.end, value);
            }
        }
        series
    }

    /// When the pods that the query names were last seen.
    fn lasts(question: &Question) -> String {
        let mut series = String::new();
        let names = question
            .query
            .split_once("pod=~\"")
            .map_or("", |(_, names)| names);
        let names = names.split('"').next().unwrap_or_default();
        for name in names.split('|') {
            let user = name
                .rsplit_once("2d")
                .and_then(|(_, user)| user.parse().ok());
            let Some(user) = user else { continue };
            let (_, end) = life(user, question.end - 1);
            #[expect(clippy::cast_precision_loss, reason = "times")]
            let last = end.min(question.end) as f64;
            for (labels, _) in series_of(question, user) {
                vector(&mut series, &labels, question.end, last);
            }
        }
        series
    }
}

/// What a query about hours gives for the hour that ends at a time.
fn hour_value(
    question: &Question,
    user: usize,
    at: i64,
    value: f64,
    is_daily: bool,
) -> Option<f64> {
    if is_daily {
        return Some(value);
    }
    let (begin, end) = life(user, at - HOUR / 2);
    let (hour_start, hour_end) = (at - HOUR, at);
    if begin >= hour_end || end <= hour_start {
        return None;
    }
    let seconds = end.min(hour_end) - begin.max(hour_start);
    #[expect(clippy::cast_precision_loss, reason = "seconds of days")]
    let (n_samples, since) = (seconds as f64 / 60.0, (end.min(hour_end) - begin) as f64);
    let is_counter = question.metric.ends_with("_total");
    let is_start = question.has("> time()");
    Some(match () {
        () if is_start && begin < hour_start => return None,
        () if question.has("count_over_time") => n_samples.floor(),
        () if question.has("sum_over_time") => n_samples.floor() * value,
        () if is_counter && question.has("min_over_time") => {
            value + (since - n_samples * 60.0 + 60.0)
        }
        () if is_counter => value + since,
        () => value,
    })
}

/// The labels and a value of each series of a user that a query is about.
fn series_of(question: &Question, user: usize) -> Vec<(String, f64)> {
    let pod = format!(
        "\"namespace\":\"hub\",\"pod\":\"jupyter-user-2d{user}\",\"job\":\"a\",\"instance\":\"n\""
    );
    let of = |more: &str, value: f64| (format!("{pod},{more}"), value);
    let name = format!("user-{user}");
    #[expect(clippy::cast_precision_loss, reason = "numbers of users")]
    let number = user as f64;
    match question.metric {
        "kube_pod_annotations" => {
            vec![of(
                &format!("\"annotation_hub_jupyter_org_username\":\"{name}\""),
                1.0,
            )]
        }
        "kube_pod_labels" => vec![of("\"label_component\":\"singleuser-server\"", 1.0)],
        "kube_pod_status_phase" => vec![of("\"phase\":\"Running\"", 1.0)],
        "kube_pod_container_resource_requests" => vec![
            of(
                "\"container\":\"notebook\",\"resource\":\"cpu\",\"uid\":\"u\"",
                0.5,
            ),
            of(
                "\"container\":\"notebook\",\"resource\":\"memory\",\"uid\":\"u\"",
                1_073_741_824.0,
            ),
        ],
        metric if metric.starts_with("container_") => {
            let more = format!("\"container\":\"notebook\",\"id\":\"/{user}\",\"name\":\"{user}\"");
            vec![of(&more, 5e8 + number)]
        }
        metric if metric.starts_with("dirsize") => {
            let labels = format!("\"namespace\":\"hub\",\"directory\":\"user-2d{user}\"");
            vec![(labels, 1e9 + number)]
        }
        metric if metric.starts_with("jupyterhub") => {
            vec![("\"namespace\":\"hub\",\"period\":\"24h\"".to_owned(), 5.0)]
        }
        metric if metric.starts_with("kube_node") => {
            let labels =
                "\"node\":\"n-0\",\"resource\":\"cpu\",\"condition\":\"Ready\",\"status\":\"true\"";
            vec![(labels.to_owned(), 16.0)]
        }
        _ => vec![of("\"node\":\"n-0\"", number)],
    }
}

fn vector(series: &mut String, labels: &str, at: i64, value: f64) {
    let comma = if series.is_empty() { "" } else { "," };
    let _ = write!(
        series,
        "{comma}{{\"metric\":{{{labels}}},\"value\":[{at},\"{value}\"]}}"
    );
}

fn body(kind: &str, series: &str) -> String {
    format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":[{series}]}}}}"
    )
}
