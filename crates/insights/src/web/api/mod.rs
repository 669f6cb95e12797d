//! Everything under `api/v1/`: JSON in, JSON out, never a page.
//!
//! What is read here names people: until the pages bring roles, it needs an administrator's token.

mod body;
mod custom;
mod error;
mod events;
mod list;
mod openapi;
mod reports;
mod split;

pub(crate) use body::Room;
#[cfg(test)]
pub(crate) use split::items as body_items;

use super::Site;
use axum::Router;
use axum::routing::{get, post};

/// Routes below the service prefix.
pub(super) fn routes(prefix: &str) -> Router<Site> {
    let below = |path: &str| format!("{prefix}api/v1/{path}");
    Router::new()
        .route(&below("events"), get(list::list).post(events::take))
        .route(&below("reports"), get(reports::list))
        .route(&below("reports/{name}"), get(reports::answer))
        .route(&below("openapi.json"), get(openapi::show))
        .route(&below("metrics/counter"), post(custom::counter))
        .route(&below("metrics/gauge"), post(custom::gauge))
        .route(&below("metrics/timing"), post(custom::timing))
}
