//! A server that answers as the test says, and remembers what it was asked.

use super::super::{HourSpan, Prometheus};
use crate::config::{PrometheusConfig, UsageConfig};
use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Start of the first hour in these tests.
pub(super) const START: i64 = 1_800_000_000;
pub(super) const END: i64 = START + 3600;

/// One request.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) path: String,
    /// What the address had after the question mark.
    pub(super) parameters: Option<String>,
    pub(super) authorization: Option<String>,
    form: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn field(&self, name: &str) -> &str {
        let field = self.form.iter().find(|(field, _)| field == name);
        field.map_or("", |(_, value)| value)
    }

    pub(super) fn query(&self) -> &str {
        self.field("query")
    }

    /// Whether the query has all of these; one that begins with `^` has to be its beginning.
    pub(super) fn has(&self, words: &[&str]) -> bool {
        words.iter().all(|word| match word.strip_prefix('^') {
            Some(beginning) => self.query().starts_with(beginning),
            None => self.query().contains(word),
        })
    }
}

/// One reply.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Data(Value),
    Refusal(u16, Value),
    Text(u16, &'static str, &'static str),
    Redirect(String),
    /// Never.
    Silence,
}

/// What queries with these words are answered with.
pub(super) type Rule = (&'static [&'static str], Value);

pub(super) fn on(words: &'static [&'static str], data: Value) -> Rule {
    (words, data)
}

type Answers = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Answers>,
}

impl Server {
    pub(super) async fn new(answers: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}/", socket.local_addr().unwrap()),
            asked: Arc::default(),
            answers: Arc::new(answers),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(socket, router).await });
        server
    }

    /// Answers the first of these rules whose words the query has, and nothing to all others.
    pub(super) async fn with_rules(rules: Vec<Rule>) -> Self {
        Self::new(move |asked| {
            let rule = rules.iter().find(|(words, _)| asked.has(words));
            Reply::Data(rule.map_or_else(|| series(&[]), |(_, data)| data.clone()))
        })
        .await
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn config(&self) -> PrometheusConfig {
        PrometheusConfig {
            url: self.url.parse().ok(),
            timeout_seconds: 20,
            ..PrometheusConfig::default()
        }
    }

    /// For the hub in the namespace `hub`.
    pub(super) fn prometheus(&self) -> Prometheus {
        Prometheus::new(&self.config(), &UsageConfig::default(), "hub").unwrap()
    }
}

async fn answer(
    State(server): State<Server>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let form = url::form_urlencoded::parse(body.as_bytes());
    let authorization = headers.get(AUTHORIZATION);
    let asked = Asked {
        path: uri.path().to_owned(),
        parameters: uri.query().map(str::to_owned),
        authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
        form: form.into_owned().collect(),
    };
    server.asked.lock().unwrap().push(asked.clone());
    let with_type = |status: u16, content_type: &'static str, body: String| {
        let status = StatusCode::from_u16(status).unwrap();
        (status, [(CONTENT_TYPE, content_type)], body).into_response()
    };
    match (server.answers)(&asked) {
        Reply::Data(data) => with_type(200, "application/json", data.to_string()),
        Reply::Refusal(status, data) => with_type(status, "application/json", data.to_string()),
        Reply::Text(status, content_type, body) => with_type(status, content_type, body.to_owned()),
        Reply::Redirect(location) => {
            (StatusCode::FOUND, [(LOCATION, location)], "").into_response()
        }
        Reply::Silence => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            StatusCode::OK.into_response()
        }
    }
}

/// A reply with these series, each as labels and points; one point without a time makes a vector.
pub(super) fn series(series: &[(Value, Value)]) -> Value {
    let result: Vec<_> = series
        .iter()
        .map(|(labels, points)| json!({"metric": labels, "values": points}))
        .collect();
    json!({"status": "success", "data": {"resultType": "matrix", "result": result}})
}

/// A reply with one value for each of these labels.
pub(super) fn vector(values: &[(Value, f64)]) -> Value {
    let result: Vec<_> = values
        .iter()
        .map(|(labels, value)| json!({"metric": labels, "value": [END, value.to_string()]}))
        .collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": result}})
}

/// One point at the end of the first hour.
pub(super) fn at_end(value: f64) -> Value {
    json!([[END, value.to_string()]])
}

/// One point a margin after the end of the first hour, where it is asked what is so of a pod.
pub(super) fn around(value: f64) -> Value {
    json!([[END + 120, value.to_string()]])
}

/// Raw samples of 1 at these seconds after the start of the first hour.
pub(super) fn samples(seconds: impl Iterator<Item = i64>) -> Value {
    seconds.map(|second| json!([START + second, "1"])).collect()
}

pub(super) fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn hours(n_hours: i64) -> Vec<HourSpan> {
    let hour = |index| HourSpan {
        start: time(START + index * 3600),
        end: time(START + (index + 1) * 3600),
    };
    (0..n_hours).map(hour).collect()
}
