//! Looks at a named person, and what was changed, are kept in the table `audit`. Who cannot be kept
//! there does not get to look.

use super::Site;
use super::pages::message;
use super::visitor::Visitor;
use crate::poll::clock::now;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;
use store::tables::Audit;

/// Keeps that somebody looked at a person's page.
pub(super) async fn look(site: &Site, visitor: &Visitor, user: &str) -> Result<(), Box<Response>> {
    let what = json!({"looked": "page", "user": user});
    let kept = keep(site, visitor, &what).await;
    kept.map_err(|()| {
        let text = "Looks at a person are kept, and this one could not be: try again in a minute.";
        let (status, title) = (
            StatusCode::SERVICE_UNAVAILABLE,
            "This page cannot be shown now",
        );
        Box::new(message::to(site, visitor, status, title, text))
    })
}

/// Keeps what somebody did; the error is in the log.
pub(super) async fn keep(site: &Site, visitor: &Visitor, what: &Value) -> Result<(), ()> {
    // Without a history there is nothing to look at, and no place to keep it.
    let Some(asker) = site.asker.as_deref() else {
        return Ok(());
    };
    let hub = Arc::from(site.config.hub.name.as_str());
    let audit = Audit::new(hub, now(), visitor.viewer.user.as_str(), what);
    asker.store().audit(&audit).await.map_err(|error| {
        let cause = anyhow::Error::from(error);
        tracing::error!("What somebody did could not be kept: {cause:#}");
    })
}
