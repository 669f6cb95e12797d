//! Probes for service managers. They never ask the hub: a hub that is down is no reason to
//! restart us, and a probe must not cost it anything.

use super::Site;
use axum::extract::State;
use axum::http::StatusCode;

/// `GET health/live`: the process answers.
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// `GET health/ready`: listening, configuration good, not being stopped.
pub(super) async fn ready(State(site): State<Site>) -> (StatusCode, &'static str) {
    if site.own.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    }
}
