//! What a server means when it does not answer a query.

use super::error::PrometheusError;
use super::promql::without_values;
use reqwest::StatusCode;
use serde::Deserialize;
use std::time::Duration;

/// How much of what a server says is passed on.
const MESSAGE_LIMIT_CHARACTERS: usize = 300;

/// A reply that is none.
pub(super) struct Refusal {
    /// The query without values.
    pub(super) asked: String,
    pub(super) status: StatusCode,
    /// How long the server asks us to wait.
    pub(super) retry_after: Option<Duration>,
}

/// Its body.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    error: Option<String>,
    #[serde(default, rename = "errorType")]
    kind: Option<String>,
}

impl Refusal {
    /// What it means; nothing if it is not one of a Prometheus.
    pub(super) fn meaning(self, body: &[u8]) -> Option<PrometheusError> {
        let said = serde_json::from_slice::<Said>(body).ok();
        let said = said.filter(|said| said.kind.is_some() || said.error.is_some());
        match said {
            Some(said) => Some(self.in_words(&said)),
            None => self.without_words(),
        }
    }

    fn in_words(self, said: &Said) -> PrometheusError {
        let text = said.error.as_deref().or(said.kind.as_deref());
        let text = text.unwrap_or_default();
        let message = without_values(text)
            .chars()
            .take(MESSAGE_LIMIT_CHARACTERS)
            .collect();
        let asked = self.asked;
        let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
        // Of Prometheus, Thanos and Mimir; the other two of VictoriaMetrics.
        if says(&[
            "exceeded maximum resolution",
            "too many points",
            "maxPointsPerTimeseries",
        ]) {
            return PrometheusError::TooManyPoints { asked, message };
        }
        // `--query.max-samples`; Mimir's `err-mimir-max-…`; VictoriaMetrics' `-search.max…`.
        let limits = [
            "too many samples",
            "exceeds the limit",
            "-search.max",
            "-max-",
        ];
        let is_late = said.kind.as_deref() == Some("timeout") || says(&["query timed out"]);
        if is_late || says(&limits) {
            return PrometheusError::TooMuch { asked, message };
        }
        let status = self.status.as_u16();
        if is_busy(self.status) {
            let retry_after = self.retry_after;
            return PrometheusError::Busy {
                asked,
                status,
                message,
                retry_after,
            };
        }
        PrometheusError::Rejected {
            asked,
            status,
            message,
        }
    }

    /// By something between us and the server.
    fn without_words(self) -> Option<PrometheusError> {
        let asked = self.asked;
        let reason = self.status.canonical_reason();
        let message = reason.unwrap_or("no reason given").to_owned();
        if is_busy(self.status) {
            return Some(PrometheusError::Busy {
                asked,
                status: self.status.as_u16(),
                message,
                retry_after: self.retry_after,
            });
        }
        let is_large = self.status == StatusCode::PAYLOAD_TOO_LARGE;
        is_large.then_some(PrometheusError::TooMuch { asked, message })
    }
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || matches!(status.as_u16(), 502..=504)
}
