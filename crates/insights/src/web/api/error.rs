//! Why a request was not done, as a status and a JSON object of the hub's own form.

use crate::events::SinkError;
use crate::web::{Refusal, no_store};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// Seconds after which a sender that met a full queue should try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Why a request was not done.
#[derive(Debug)]
pub(in crate::web) enum ApiError {
    /// The token.
    Refused(Refusal),
    /// Nobody is logged in, or not lately enough.
    Unauthorized(String),
    /// It is not theirs to ask.
    Denied(String),
    /// The request.
    Bad(String),
    /// There is nothing of that name.
    NotFound(String),
    /// What it goes on from is gone.
    Changed(String),
    /// There is more of it than is read.
    TooLarge(String),
    /// The request did not come to its end.
    Late(String),
    /// Not now.
    Busy(String),
    /// Ours; the log says why.
    Internal,
}

/// `{"status": 400, "message": "…"}`
#[derive(Serialize, JsonSchema)]
pub(super) struct ErrorReply {
    /// That of the reply.
    status: u16,
    /// What was wrong, or when to ask again, in one sentence.
    message: String,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<SinkError> for ApiError {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Closed | SinkError::Full => Self::Busy(error.to_string()),
            SinkError::Store(source) => {
                let cause = anyhow::Error::from(source);
                tracing::error!("Could not write down what was sent: {cause:#}");
                Self::Internal
            }
        }
    }
}

impl ApiError {
    /// Of a service that keeps no history.
    pub(in crate::web) fn no_history() -> Self {
        Self::Busy("no history is kept here".to_owned())
    }

    /// The status, and what it says to whoever asked.
    pub(in crate::web) fn told(self) -> (StatusCode, String) {
        match self {
            Self::Refused(Refusal::Forbidden(needs)) => {
                (StatusCode::FORBIDDEN, needs.told().to_owned())
            }
            Self::Refused(Refusal::TryLater { reason }) => {
                (StatusCode::SERVICE_UNAVAILABLE, reason.to_owned())
            }
            Self::Unauthorized(message) => (StatusCode::UNAUTHORIZED, message),
            Self::Denied(message) => (StatusCode::FORBIDDEN, message),
            Self::Bad(message) => (StatusCode::BAD_REQUEST, message),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message),
            Self::Changed(message) => (StatusCode::CONFLICT, message),
            Self::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message),
            Self::Late(message) => (StatusCode::REQUEST_TIMEOUT, message),
            Self::Busy(message) => (StatusCode::SERVICE_UNAVAILABLE, message),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal error".to_owned(),
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = self.told();
        let reply = ErrorReply {
            status: status.as_u16(),
            message,
        };
        let mut response = (status, Json(reply)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        no_store(&mut response);
        response
    }
}
