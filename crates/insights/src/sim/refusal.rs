//! The hub's error replies, text for text.

use super::json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A reply of the API that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    /// JupyterHub 6 sends `null` where it has nothing to add to the status.
    message: Option<String>,
}

#[derive(Serialize)]
struct RefusalReply<'a> {
    status: u16,
    message: Option<&'a str>,
}

impl Refusal {
    pub(super) fn plain(status: StatusCode) -> Self {
        Self {
            status,
            message: None,
        }
    }

    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: Some(message.into()),
        }
    }

    pub(super) fn no_credentials() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Missing or invalid credentials.")
    }

    pub(super) fn missing_scope(any_of: &[&str]) -> Self {
        let scopes = any_of.join(", ");
        Self::new(
            StatusCode::FORBIDDEN,
            format!("Action is not authorized with current scopes; requires any of [{scopes}]"),
        )
    }

    /// The token has the scope, but not for this one; nor does the hub say whether it exists.
    pub(super) fn out_of_reach() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "No access to resources or resources not found",
        )
    }

    pub(super) fn unknown_group(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("No such group: {name}"))
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let reply = RefusalReply {
            status: self.status.as_u16(),
            message: self.message.as_deref(),
        };
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        (self.status, content_type, json::to_bytes(&reply)).into_response()
    }
}

/// Outside the API the hub answers people, in HTML.
pub(super) fn page(status: StatusCode, message: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let body = format!(
        "\n<!DOCTYPE HTML>\n<html lang=\"en\">\n  <head>\n    <title>JupyterHub</title>\n  </head>\n  \
         <body>\n    <div class=\"error\">\n      <h1>{} : {reason}</h1>\n      <p>{message}</p>\n    \
         </div>\n  </body>\n</html>\n",
        status.as_u16()
    );
    (status, [(header::CONTENT_TYPE, "text/html")], body).into_response()
}
