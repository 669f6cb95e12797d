//! One query to the Prometheus: address, credentials, time limit, one more try, and what a refusal
//! means.
//!
//! The hub's token is not known here. Redirects are not followed and proxies of the environment not
//! used, so that credentials go to the one host that the settings name.

use super::error::PrometheusError;
use super::promql::without_values;
use super::refusal::Refusal;
use super::reply::{self, Answer};
use crate::config::{PrometheusConfig, Secret};
use crate::hub::TlsFileError;
use futures::StreamExt;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use url::{Url, form_urlencoded};

/// Largest reply that is read: some 5 million points.
const BODY_LIMIT_BYTES: usize = 512 * 1024 * 1024;
/// Largest refusal that is read.
const REFUSAL_LIMIT_BYTES: usize = 64 * 1024;
const QUERY: &str = "api/v1/query";
const QUERY_RANGE: &str = "api/v1/query_range";
/// Before a query is tried once more.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest `Retry-After` that is waited for.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(10);

/// Asks one server with one set of credentials.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Ends with `/`.
    base: Url,
    credentials: Credentials,
    timeout: Duration,
    queries: AtomicU64,
    samples: AtomicU64,
}

/// How much a server was asked since this process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Queries sent, second tries included.
    pub queries: u64,
    /// Samples that they made it look at, as far as it says; VictoriaMetrics does not.
    pub samples: u64,
}

#[derive(Debug)]
enum Credentials {
    None,
    Bearer(Secret),
    Basic { username: String, password: Secret },
}

/// One request, and what it is called in messages.
struct Question {
    path: &'static str,
    form: String,
    /// The query without values.
    asked: String,
}

impl Client {
    /// A client for the server that the settings name.
    pub fn new(config: &PrometheusConfig) -> Result<Self, PrometheusError> {
        let mut base = config.url.clone().ok_or(PrometheusError::NoUrl)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(PrometheusError::NotHttp);
        }
        if !base.path().ends_with('/') {
            // Without it `join` would replace the last part of the path.
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let unusable = |source| TlsFileError::Unusable {
            key: "prometheus.ca_file",
            source,
        };
        let mut builder = reqwest::Client::builder();
        if let Some(file) = &config.ca_file {
            let certificates = reqwest::Certificate::from_pem_bundle(&read(file)?)
                .map_err(|source| unusable(source.into()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(10).min(config.timeout()))
            .pool_max_idle_per_host(2)
            .user_agent(concat!("jupyterhub-insights/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| unusable(source.into()))?;
        Ok(Self {
            http,
            base,
            credentials: Credentials::of(config),
            timeout: config.timeout(),
            queries: AtomicU64::new(0),
            samples: AtomicU64::new(0),
        })
    }

    /// The values at a moment: a vector, or raw samples of a selector with a range.
    pub async fn query(&self, promql: &str, at: Timestamp) -> Result<Answer, PrometheusError> {
        let form = self.form(promql, &[("time", &seconds(at))]);
        self.ask(QUERY, promql, form).await
    }

    /// The samples as they were scraped, of a selector with a range such as `up[3600000ms]`.
    ///
    /// A sample at the very start of the range may be among them or not: Prometheus 2 says it,
    /// Prometheus 3 and VictoriaMetrics do not.
    pub async fn raw(
        &self,
        selector_with_range: &str,
        at: Timestamp,
    ) -> Result<Answer, PrometheusError> {
        self.query(selector_with_range, at).await
    }

    /// The values at `start` and each step after it, up to and with `end`.
    pub async fn query_range(
        &self,
        promql: &str,
        start: Timestamp,
        end: Timestamp,
        step_seconds: i64,
    ) -> Result<Answer, PrometheusError> {
        let form = [
            ("start", &*seconds(start)),
            ("end", &seconds(end)),
            ("step", &step_seconds.to_string()),
            // VictoriaMetrics would move times to multiples of the step, for its cache.
            ("nocache", "1"),
        ];
        let form = self.form(promql, &form);
        let answer = self.ask(QUERY_RANGE, promql, form).await?;
        let is_asked = |at: Timestamp| {
            let since = at.as_millisecond() - start.as_millisecond();
            start <= at && at <= end && since % (step_seconds * 1000) == 0
        };
        let mut points = answer.series.iter().flat_map(|series| &series.points);
        if points.all(|point| is_asked(point.at)) {
            return Ok(answer);
        }
        Err(PrometheusError::OtherTimes {
            asked: without_values(promql),
        })
    }

    /// How much it was asked.
    pub fn load(&self) -> Load {
        Load {
            queries: self.queries.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
        }
    }

    fn form(&self, promql: &str, more: &[(&str, &str)]) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("query", promql)
            // So that it does not go on with what nobody waits for.
            .append_pair("timeout", &format!("{}s", self.timeout.as_secs().max(1)))
            .append_pair("stats", "true")
            // A part of the data would be taken for all of it: Thanos, and VictoriaMetrics' cluster.
            .append_pair("partial_response", "false")
            .append_pair("deny_partial_response", "1")
            .extend_pairs(more)
            .finish()
    }

    /// Asks, and asks once more if that may help.
    async fn ask(
        &self,
        path: &'static str,
        promql: &str,
        form: String,
    ) -> Result<Answer, PrometheusError> {
        let question = Question {
            path,
            form,
            asked: without_values(promql),
        };
        match self.ask_once(&question).await {
            Err(error) if error.is_transient() => {
                let asked_for = error.retry_after().unwrap_or_default();
                if asked_for > RETRY_AFTER_LIMIT {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE.max(asked_for)).await;
                self.ask_once(&question).await
            }
            outcome => outcome,
        }
    }

    async fn ask_once(&self, question: &Question) -> Result<Answer, PrometheusError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let response = self.request(question).send().await;
        let response = response.map_err(|source| self.transport_error(question, source))?;
        let status = response.status();
        let content_type = header(&response, &CONTENT_TYPE);
        if !status.is_success() {
            return Err(self.refusal(question, response).await);
        }
        if !content_type.contains("json") {
            return Err(self.not_prometheus(format!("it answers with `{content_type}`, not JSON")));
        }
        let body = self.body(question, response, BODY_LIMIT_BYTES).await?;
        let answer = reply::parse(&body).map_err(|source| PrometheusError::BadReply {
            asked: question.asked.clone(),
            source,
        })?;
        let samples = answer.samples.unwrap_or_default();
        self.samples.fetch_add(samples, Ordering::Relaxed);
        Ok(answer)
    }

    fn request(&self, question: &Question) -> RequestBuilder {
        let url = self.base.join(question.path);
        let mut url = url.expect("a relative path joins any http URL");
        // Such as VictoriaMetrics' `extra_label`.
        url.set_query(self.base.query());
        let request = self
            .http
            .post(url)
            .timeout(self.timeout)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(question.form.clone());
        match &self.credentials {
            Credentials::None => request,
            Credentials::Bearer(token) => request.bearer_auth(token.expose()),
            Credentials::Basic { username, password } => {
                request.basic_auth(username, Some(password.expose()))
            }
        }
    }

    fn transport_error(&self, question: &Question, source: reqwest::Error) -> PrometheusError {
        if source.is_timeout() && !source.is_connect() {
            return self.timed_out(question);
        }
        PrometheusError::Unreachable {
            url: self.shown_url(),
            source: source.without_url(),
        }
    }

    fn timed_out(&self, question: &Question) -> PrometheusError {
        PrometheusError::Timeout {
            asked: question.asked.clone(),
            timeout: self.timeout,
        }
    }

    fn not_prometheus(&self, problem: String) -> PrometheusError {
        PrometheusError::NotPrometheus {
            url: self.shown_url(),
            problem,
        }
    }

    /// The address without a password or token that may be in it.
    fn shown_url(&self) -> String {
        let mut url = self.base.clone();
        // Fails for addresses without a host, which http has not.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.to_string()
    }

    async fn refusal(&self, question: &Question, response: Response) -> PrometheusError {
        let status = response.status();
        if status.is_redirection() {
            let location = header(&response, &LOCATION);
            let location = location.split(['?', '#']).next().unwrap_or_default();
            return self.not_prometheus(format!("it sends us on to `{location}`"));
        }
        let asked = question.asked.clone();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let status = status.as_u16();
            return PrometheusError::Refused { asked, status };
        }
        let retry_after = header(&response, &RETRY_AFTER).parse().ok();
        let retry_after = retry_after.map(Duration::from_secs);
        let body = self.body(question, response, REFUSAL_LIMIT_BYTES).await;
        let refusal = Refusal {
            asked,
            status,
            retry_after,
        };
        let error = refusal.meaning(&body.unwrap_or_default());
        error.unwrap_or_else(|| {
            self.not_prometheus(format!("it answers with status {status} and not in JSON"))
        })
    }

    async fn body(
        &self,
        question: &Question,
        response: Response,
        limit_bytes: usize,
    ) -> Result<Vec<u8>, PrometheusError> {
        let asked = || question.asked.clone();
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|source| {
                if source.is_timeout() {
                    return self.timed_out(question);
                }
                PrometheusError::Truncated {
                    asked: asked(),
                    received_bytes: body.len(),
                    source: source.without_url(),
                }
            })?;
            if body.len() + chunk.len() > limit_bytes {
                let asked = asked();
                return Err(PrometheusError::TooLarge { asked, limit_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl Credentials {
    fn of(config: &PrometheusConfig) -> Self {
        let token = config.token.as_ref().filter(|token| !token.is_empty());
        if let Some(token) = token {
            return Self::Bearer(token.clone());
        }
        let username = config.username.as_ref().filter(|name| !name.is_empty());
        username.map_or(Self::None, |username| Self::Basic {
            username: username.clone(),
            password: config.password.clone().unwrap_or_else(|| Secret::new("")),
        })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsFileError> {
    std::fs::read(file).map_err(|source| TlsFileError::Unreadable {
        key: "prometheus.ca_file",
        file: file.to_owned(),
        source,
    })
}

fn header(response: &Response, name: &HeaderName) -> String {
    let value = response.headers().get(name);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// As the API takes a moment, in seconds.
fn seconds(at: Timestamp) -> String {
    let milliseconds = at.as_millisecond();
    let (whole, part) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    format!("{whole}.{part:03}")
}
