//! Probes for service managers. They never ask the hub: a hub that is down is no reason to
//! restart us, and a probe must not cost it anything.

use super::{Refusal, Site, no_store};
use crate::checks::{self, Check, Status};
use crate::poll::clock::now;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;

/// All checks and the worst of them.
#[derive(Serialize)]
struct HealthReply {
    status: Status,
    timestamp: Timestamp,
    version: &'static str,
    checks: Vec<Check>,
}

/// `GET health`: every check, for whoever may read metrics. The status is 200 also where something
/// is wrong: what answers is alive, and a probe must not restart us for a hub that is down.
pub(super) async fn report(State(site): State<Site>) -> Result<Response, Refusal> {
    let timestamp = now();
    let checks = checks::all(&site.own, &site.sink, &site.usage, timestamp);
    let reply = HealthReply {
        status: checks
            .iter()
            .map(|check| check.status)
            .max()
            .unwrap_or(Status::Ok),
        timestamp,
        version: env!("CARGO_PKG_VERSION"),
        checks,
    };
    let mut response = Json(reply).into_response();
    no_store(&mut response);
    Ok(response)
}

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
