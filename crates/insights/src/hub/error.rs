//! What can go wrong with the hub, told by what the reader can do about it.

use serde::Serialize;
use std::error::Error as _;
use std::time::Duration;

/// A question to the hub that brought no usable answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum HubError {
    #[error("hub did not answer at `{url}`")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("hub did not finish answering `{path}` within {} s", timeout.as_secs())]
    Timeout { path: String, timeout: Duration },
    #[error("hub refused the token for `{path}`: {message}")]
    BadToken { path: String, message: String },
    #[error("hub does not take the token as the secret of the OAuth client `{client}`")]
    BadClient { client: String },
    #[error("hub refused `{path}`: the token's role needs the scope `{scope}`")]
    MissingScope { path: String, scope: String },
    #[error("hub answered `{path}` without `{field}`: the token's role needs the scope `{scope}`")]
    HiddenField {
        path: &'static str,
        field: &'static str,
        scope: &'static str,
    },
    #[error("hub is too busy for `{path}`: {message}")]
    Throttled {
        path: String,
        message: String,
        retry_after: Option<Duration>,
    },
    #[error("hub answered `{path}` with status {status}: {message}")]
    Status {
        path: String,
        status: u16,
        message: String,
    },
    #[error("hub sends `{path}` on to `{location}`")]
    Redirected { path: String, location: String },
    #[error("hub answered `{path}` with `{content_type}`, not JSON")]
    NotJson { path: String, content_type: String },
    #[error("hub's answer to `{path}` broke off after {received_bytes} bytes")]
    Truncated {
        path: String,
        received_bytes: usize,
        #[source]
        source: reqwest::Error,
    },
    #[error("hub's answer to `{path}` is not what its API promises")]
    Malformed {
        path: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("hub's answer to `{path}` is not a page of its metrics: {problem}")]
    NotMetrics { path: String, problem: String },
    #[error("hub's pages of `{path}` do not fit together: {problem}")]
    InconsistentPages { path: &'static str, problem: String },
    #[error("hub's answer to `{path}` is larger than {limit_bytes} bytes")]
    TooLarge { path: String, limit_bytes: usize },
    #[error("hub's answer to `{path}` has a name of {length_bytes} bytes")]
    ImplausibleName {
        path: &'static str,
        length_bytes: usize,
    },
}

/// Kinds of errors, for the label `kind` of the error counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[expect(missing_docs, reason = "named as the variants of `HubError`")]
pub enum ErrorKind {
    Unreachable,
    Timeout,
    BadToken,
    MissingScope,
    Throttled,
    Status,
    NotJson,
    Truncated,
    Malformed,
    InconsistentPages,
    TooLarge,
}

impl ErrorKind {
    /// All kinds, so that each counter exists from the start.
    pub const ALL: [Self; 11] = [
        Self::Unreachable,
        Self::Timeout,
        Self::BadToken,
        Self::MissingScope,
        Self::Throttled,
        Self::Status,
        Self::NotJson,
        Self::Truncated,
        Self::Malformed,
        Self::InconsistentPages,
        Self::TooLarge,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::BadToken => "bad_token",
            Self::MissingScope => "missing_scope",
            Self::Throttled => "throttled",
            Self::Status => "status",
            Self::NotJson => "not_json",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::InconsistentPages => "inconsistent_pages",
            Self::TooLarge => "too_large",
        }
    }
}

impl HubError {
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
        text.truncate(text.trim_end_matches('.').len());
        text
    }

    /// The kind it is counted under.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::BadToken { .. } | Self::BadClient { .. } => ErrorKind::BadToken,
            Self::MissingScope { .. } | Self::HiddenField { .. } => ErrorKind::MissingScope,
            Self::Throttled { .. } => ErrorKind::Throttled,
            Self::Status { .. } => ErrorKind::Status,
            Self::Redirected { .. } | Self::NotJson { .. } => ErrorKind::NotJson,
            Self::Truncated { .. } => ErrorKind::Truncated,
            Self::Malformed { .. } | Self::NotMetrics { .. } => ErrorKind::Malformed,
            Self::InconsistentPages { .. } => ErrorKind::InconsistentPages,
            Self::TooLarge { .. } | Self::ImplausibleName { .. } => ErrorKind::TooLarge,
        }
    }

    /// What the reader of the log can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check that the hub runs and that `hub.url` is its address, and with https that \
                 `hub.ca_file` names the authority of its certificate"
            }
            Self::Timeout { .. } => {
                "the hub is overloaded or hangs; raise `hub.timeout_seconds` if it is merely large"
            }
            Self::BadToken { .. } => {
                "check `hub.token`; a service that the hub starts gets a new one at each start of \
                 the hub"
            }
            Self::BadClient { .. } => {
                "people log in with the service's own token: `hub.token` has to be the `api_token` of \
                 the service in `c.JupyterHub.services` whose name, after `service-`, is \
                 `login.client_id`"
            }
            Self::MissingScope { .. } | Self::HiddenField { .. } => {
                "add the scope to the service's role in `c.JupyterHub.load_roles` and restart the \
                 hub"
            }
            Self::Throttled { .. } => "nothing to do: it is asked again later",
            Self::Status { status, .. } if *status != 404 => "see the hub's log for the reason",
            Self::Status { .. } | Self::Redirected { .. } | Self::NotJson { .. } => {
                "check that `hub.url` is the hub's address with its base URL, not that of a login \
                 page or another proxy"
            }
            Self::Truncated { .. } => {
                "see whether the hub or a proxy before it was restarted or is out of memory"
            }
            Self::NotMetrics { .. } => {
                "open the hub's `/hub/metrics` and see what answers there; everything else is read \
                 as before"
            }
            Self::Malformed { .. } | Self::InconsistentPages { .. } => {
                "check that `hub.url` leads to a JupyterHub of 4.0 or later; a list that changes \
                 while it is read is read again by itself"
            }
            Self::TooLarge { path, .. } if path == "metrics" => {
                "see which metric of the hub has so many series"
            }
            Self::TooLarge { .. } | Self::ImplausibleName { .. } => {
                "look in the hub's database for users or groups that were made by mistake"
            }
        }
    }

    /// Whether the same request may work in a moment.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Truncated { .. } | Self::Unreachable { .. } => true,
            Self::Status { status, .. } => matches!(status, 502..=504),
            _ => false,
        }
    }

    /// How long the hub asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
