//! One request to the hub: address, token, time limit, retries, and what a refusal means.

use super::error::HubError;
use super::replies::{ErrorReply, HubInfo, Identity, VersionReply};
use super::tls::{self, TlsFileError};
use crate::config::{HubConfig, Secret};
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::StreamExt;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Asks for pages; without it the hub silently cuts a list at 200 items.
const PAGINATION: &str = "application/jupyterhub-pagination+json";
/// Largest reply that is read. A page of 200 groups with 10,000 members each has some 40 MB.
const BODY_LIMIT_BYTES: usize = 256 * 1024 * 1024;
/// The same of the hub's metrics, of which a busy hub has 200 kB.
const METRICS_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// They are made in 10 ms; a hub that takes this long has trouble enough.
const METRICS_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest `Retry-After` that is waited for within one read; a longer one ends the read, and
/// the next one comes no sooner.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(10);

/// Counts requests by endpoint and outcome.
pub trait RequestLog: Send + Sync {
    /// `status` is `None` when there was no answer.
    fn record(&self, endpoint: &'static str, status: Option<u16>);
}

/// Asks one hub with one token. Cheap to clone.
#[derive(Clone)]
pub struct HubClient {
    pub(super) http: reqwest::Client,
    pub(super) api: Url,
    pub(super) token: Secret,
    pub(super) timeout: Duration,
    pub(super) log: Arc<dyn RequestLog>,
}

/// A usable reply.
pub(super) enum Answer {
    /// 304: what was known under this tag still holds.
    Unchanged,
    Body {
        bytes: Bytes,
        etag: Option<HeaderValue>,
    },
}

/// One GET.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    /// Names the endpoint in metrics.
    pub(super) endpoint: &'static str,
    /// Below `hub/api/`, with the query.
    pub(super) path: &'a str,
    pub(super) etag: Option<&'a HeaderValue>,
}

impl Question<'_> {
    fn limit_bytes(self) -> usize {
        match self.endpoint {
            "metrics" => METRICS_LIMIT_BYTES,
            _ => BODY_LIMIT_BYTES,
        }
    }
}

impl HubClient {
    /// A client for the hub that the configuration names.
    ///
    /// # Errors
    /// A certificate or key file that cannot be used.
    ///
    /// # Panics
    /// If the configuration has no `hub.url`: check `Effective::require_hub` first.
    pub fn new(config: &HubConfig, log: Arc<dyn RequestLog>) -> Result<Self, TlsFileError> {
        let base = config.url.clone().expect("`require_hub` was called");
        let api = base
            .join("hub/api/")
            .expect("a relative path joins any http URL");
        let http = tls::client_builder(config)?
            // A redirect could carry the token to another host.
            .redirect(reqwest::redirect::Policy::none())
            // So could a proxy that the environment names for the rest of the world.
            .no_proxy()
            .connect_timeout(Duration::from_secs(5).min(config.timeout()))
            .pool_max_idle_per_host(2)
            .user_agent(concat!("jupyterhub-insights/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| TlsFileError::Unusable {
                key: "hub.ca_file",
                source: Box::new(source),
            })?;
        let token = config.token.clone().unwrap_or_else(|| Secret::new(""));
        Ok(Self {
            http,
            api,
            token,
            timeout: config.timeout(),
            log,
        })
    }

    /// The hub's version, which it tells anybody.
    pub async fn version(&self) -> Result<String, HubError> {
        let reply: VersionReply = self.json("root", "./").await?;
        Ok(reply.version)
    }

    /// What the hub says of itself; needs `read:hub`.
    pub async fn info(&self) -> Result<HubInfo, HubError> {
        self.json("info", "info").await
    }

    /// Who our own token belongs to.
    pub async fn whoami(&self) -> Result<Identity, HubError> {
        self.json("user", "user").await
    }

    /// Who somebody else's token belongs to; `BadToken` if to nobody.
    pub async fn whoami_with(&self, token: &Secret) -> Result<Identity, HubError> {
        let visitor = Self {
            token: token.clone(),
            ..self.clone()
        };
        visitor.json("user", "user").await
    }

    /// Asks once for what is not JSON.
    pub(super) async fn text(&self, question: Question<'_>) -> Result<Bytes, HubError> {
        let response = self.send(question).await?;
        self.body(question, response).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        endpoint: &'static str,
        path: &str,
    ) -> Result<T, HubError> {
        match self
            .ask_patiently(Question {
                endpoint,
                path,
                etag: None,
            })
            .await?
        {
            Answer::Body { bytes, .. } => parse(path, &bytes),
            Answer::Unchanged => Err(HubError::Status {
                path: path.to_owned(),
                status: 304,
                message: "nothing was asked conditionally".to_owned(),
            }),
        }
    }

    /// Asks, and asks again after a pause if that may help.
    pub(super) async fn ask_patiently(&self, question: Question<'_>) -> Result<Answer, HubError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_times(2)
            .with_jitter()
            .build();
        loop {
            match self.ask(question).await {
                Err(error) if error.is_transient() => {
                    let Some(pause) = pauses.next() else {
                        return Err(error);
                    };
                    let asked_for = error.retry_after().unwrap_or_default();
                    if asked_for > RETRY_AFTER_LIMIT {
                        return Err(error);
                    }
                    tokio::time::sleep(pause.max(asked_for)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn ask(&self, question: Question<'_>) -> Result<Answer, HubError> {
        let response = self.send(question).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Unchanged);
        }
        let content_type = header_text(&response, &CONTENT_TYPE);
        let etag = response.headers().get(ETAG).cloned();
        if !content_type.contains("json") {
            return Err(HubError::NotJson {
                path: question.path.to_owned(),
                content_type,
            });
        }
        Ok(Answer::Body {
            bytes: self.body(question, response).await?,
            etag,
        })
    }

    /// Sends the request; a status other than 200 and 304 is an error.
    async fn send(&self, question: Question<'_>) -> Result<Response, HubError> {
        let path = question.path;
        let url = self.api.join(path).expect("our own paths are valid");
        let mut authorization = HeaderValue::try_from(format!("token {}", self.token.expose()))
            .map_err(|_| HubError::BadToken {
                path: path.to_owned(),
                message: "it holds characters that no token has".to_owned(),
            })?;
        // Kept out of `Debug`, and so out of logs.
        authorization.set_sensitive(true);
        let mut request = self
            .http
            .get(url)
            .timeout(self.timeout_of(question))
            .header(ACCEPT, PAGINATION)
            .header(AUTHORIZATION, authorization);
        if let Some(etag) = question.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let outcome = request.send().await;
        let status = outcome
            .as_ref()
            .ok()
            .map(|response| response.status().as_u16());
        self.log.record(question.endpoint, status);
        let response = outcome.map_err(|source| self.transport_error(question, source))?;
        match response.status() {
            StatusCode::OK | StatusCode::NOT_MODIFIED => Ok(response),
            status => Err(self.refusal(question, status, response).await),
        }
    }

    fn timeout_of(&self, question: Question<'_>) -> Duration {
        match question.endpoint {
            "metrics" => self.timeout.min(METRICS_TIMEOUT),
            _ => self.timeout,
        }
    }

    fn transport_error(&self, question: Question<'_>, source: reqwest::Error) -> HubError {
        if source.is_timeout() && !source.is_connect() {
            return HubError::Timeout {
                path: question.path.to_owned(),
                timeout: self.timeout_of(question),
            };
        }
        // The URL is in our message already, without its query.
        HubError::Unreachable {
            url: self.api.to_string(),
            source: source.without_url(),
        }
    }

    async fn refusal(
        &self,
        question: Question<'_>,
        status: StatusCode,
        response: Response,
    ) -> HubError {
        let path = question.path.to_owned();
        if status.is_redirection() {
            return HubError::Redirected {
                path,
                location: header_text(&response, &LOCATION),
            };
        }
        let retry_after = header_text(&response, &RETRY_AFTER)
            .parse()
            .ok()
            .map(Duration::from_secs);
        let is_json = header_text(&response, &CONTENT_TYPE).contains("json");
        let body = self.body(question, response).await.unwrap_or_default();
        let said = serde_json::from_slice::<ErrorReply>(&body)
            .ok()
            .and_then(|reply| reply.message);
        let reason = status.canonical_reason().unwrap_or("no reason given");
        let message = said.clone().unwrap_or_else(|| reason.to_owned());
        match status {
            StatusCode::FORBIDDEN => match (said.as_deref().and_then(required_scope), is_json) {
                (Some(scope), _) => HubError::MissingScope { path, scope },
                // The metrics page refuses with HTML and without naming the scope.
                (None, false) if question.endpoint == "metrics" => HubError::MissingScope {
                    path,
                    scope: "read:metrics".to_owned(),
                },
                (None, _) => HubError::BadToken { path, message },
            },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                if retry_after.is_some() || status == StatusCode::TOO_MANY_REQUESTS =>
            {
                HubError::Throttled {
                    path,
                    message,
                    retry_after,
                }
            }
            _ => HubError::Status {
                path,
                status: status.as_u16(),
                message,
            },
        }
    }

    async fn body(&self, question: Question<'_>, response: Response) -> Result<Bytes, HubError> {
        let path = question.path;
        let limit_bytes = question.limit_bytes();
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|source| {
                if source.is_timeout() {
                    HubError::Timeout {
                        path: path.to_owned(),
                        timeout: self.timeout_of(question),
                    }
                } else {
                    HubError::Truncated {
                        path: path.to_owned(),
                        received_bytes: body.len(),
                        source: source.without_url(),
                    }
                }
            })?;
            if body.len() + chunk.len() > limit_bytes {
                return Err(HubError::TooLarge {
                    path: path.to_owned(),
                    limit_bytes,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }
}

/// Reads the body's JSON.
pub(super) fn parse<'a, T: serde::Deserialize<'a>>(
    path: &str,
    bytes: &'a [u8],
) -> Result<T, HubError> {
    serde_json::from_slice(bytes).map_err(|source| HubError::Malformed {
        path: path.to_owned(),
        source,
    })
}

/// The first scope in `… requires any of [read:hub, admin:hub]`.
fn required_scope(message: &str) -> Option<String> {
    let (_, scopes) = message.split_once("requires any of [")?;
    let first = scopes.split([',', ']']).next()?.trim();
    Some(first.to_owned()).filter(|scope| !scope.is_empty())
}

fn header_text(response: &Response, name: &reqwest::header::HeaderName) -> String {
    let value = response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
