//! What can go wrong with the Prometheus, told by what the reader can do about it.
//!
//! No text in here holds a label's value: a pod's name is made of a user's.

use crate::hub::TlsFileError;
use std::error::Error as _;
use std::time::Duration;

/// A question to the Prometheus that brought no usable answer, or settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PrometheusError {
    #[error("`prometheus.url` is not set")]
    NoUrl,
    #[error("`prometheus.url` has to begin with `http://` or `https://`")]
    NotHttp,
    #[error("`prometheus.namespace` is not set")]
    NoNamespace,
    #[error("`{key}`: `{label}` is not the name of a label")]
    NotALabel { key: &'static str, label: String },
    #[error(transparent)]
    Certificate(#[from] TlsFileError),
    #[error("Prometheus did not answer at `{url}`")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("Prometheus did not finish answering `{asked}` within {} s", timeout.as_secs())]
    Timeout { asked: String, timeout: Duration },
    #[error("Prometheus refused `{asked}` with status {status}")]
    Refused { asked: String, status: u16 },
    #[error("what answers at `{url}` is not a Prometheus: {problem}")]
    NotPrometheus { url: String, problem: String },
    #[error("Prometheus gives fewer points than `{asked}` has: {message}")]
    TooManyPoints { asked: String, message: String },
    #[error("`{asked}` is more than Prometheus allows a query to read: {message}")]
    TooMuch { asked: String, message: String },
    #[error("Prometheus could not answer `{asked}` (status {status}): {message}")]
    Rejected {
        asked: String,
        status: u16,
        message: String,
    },
    #[error("Prometheus is too busy for `{asked}` (status {status}): {message}")]
    Busy {
        asked: String,
        status: u16,
        message: String,
        retry_after: Option<Duration>,
    },
    #[error("Prometheus' answer to `{asked}` broke off after {received_bytes} bytes")]
    Truncated {
        asked: String,
        received_bytes: usize,
        #[source]
        source: reqwest::Error,
    },
    #[error("Prometheus' answer to `{asked}` is larger than {limit_bytes} bytes")]
    TooLarge { asked: String, limit_bytes: usize },
    #[error("Prometheus' answer to `{asked}` is not what its API promises")]
    BadReply {
        asked: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("Prometheus answered `{asked}` for other moments than it was asked about")]
    OtherTimes { asked: String },
}

impl PrometheusError {
    /// The message and what caused it, each once.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        text
    }

    /// The kind it is counted under.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoUrl
            | Self::NotHttp
            | Self::NoNamespace
            | Self::NotALabel { .. }
            | Self::Certificate(_) => "settings",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::NotPrometheus { .. } => "not_prometheus",
            Self::TooManyPoints { .. } => "too_many_points",
            Self::TooMuch { .. } | Self::TooLarge { .. } => "too_much",
            Self::Rejected { .. } => "rejected",
            Self::Busy { .. } => "busy",
            Self::Truncated { .. } => "truncated",
            Self::BadReply { .. } | Self::OtherTimes { .. } => "bad_reply",
        }
    }

    /// What the reader of the log can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoUrl | Self::NotHttp => "set `prometheus.url` to the address of the Prometheus",
            Self::NoNamespace => {
                "set `prometheus.namespace` to the Kubernetes namespace that the hub runs in"
            }
            Self::NotALabel { .. } => {
                "write the label as Prometheus shows it: letters, digits and `_`, such as \
                 `annotation_hub_jupyter_org_username`"
            }
            Self::Certificate(_) => "check `prometheus.ca_file`",
            Self::Unreachable { .. } => {
                "check that the Prometheus runs and that `prometheus.url` is its address, and with \
                 https that `prometheus.ca_file` names the authority of its certificate"
            }
            Self::Timeout { .. } => {
                "raise `prometheus.timeout_seconds`, or give the Prometheus more processors and memory"
            }
            Self::Refused { .. } => {
                "check `prometheus.token`, or `prometheus.username` and `prometheus.password`; the \
                 hub's token is never sent there"
            }
            Self::NotPrometheus { .. } => {
                "check that `prometheus.url` is the Prometheus' address with its path prefix and \
                 without `api/v1`, not that of a login page"
            }
            Self::TooManyPoints { .. } => "lower `prometheus.most_points`",
            Self::TooMuch { .. } | Self::TooLarge { .. } => {
                "raise the Prometheus' own limits (`--query.max-samples`, in VictoriaMetrics \
                 `-search.max…`)"
            }
            Self::Rejected { .. } => "see the Prometheus' log for the reason",
            Self::Busy { .. } => "nothing to do: it is asked again later",
            Self::Truncated { .. } => {
                "see whether the Prometheus or a proxy before it was restarted or is out of memory"
            }
            Self::BadReply { .. } => {
                "check that `prometheus.url` leads to a server that speaks Prometheus' HTTP API"
            }
            Self::OtherTimes { .. } => {
                "let `prometheus.url` lead past the query front end that moves the times asked for \
                 (in Thanos `--query-range.align-range-with-step`)"
            }
        }
    }

    /// Whether the same request may work in a moment.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Truncated { .. }
        )
    }

    /// Whether a query about less time may work.
    pub fn is_too_much(&self) -> bool {
        matches!(
            self,
            Self::TooManyPoints { .. }
                | Self::TooMuch { .. }
                | Self::TooLarge { .. }
                | Self::Timeout { .. }
        )
    }

    /// Whether the Prometheus is there and did not want to answer this very query.
    pub(super) fn is_about_the_query(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Rejected { .. }) || self.is_too_much()
    }

    /// How long we were asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
