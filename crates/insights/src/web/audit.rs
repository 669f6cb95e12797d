//! Looks at a named person, and what was changed, are kept in the table `audit`. Who cannot be kept
//! there does not get to look.
//!
//! What somebody may look at is the business of [`super::sight`].

use super::Site;
use super::api::ApiError;
use super::pages::message;
use super::sight;
use super::visitor::Visitor;
use crate::poll::clock::now;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::tables::Audit;

/// A page and what it asks for by itself are one look, for so long after it was opened.
const ONE_LOOK: Duration = Duration::from_mins(10);

/// The person whom a session looked at last.
#[derive(Debug, Default)]
pub(super) struct LastLook(Mutex<Option<Looked>>);

#[derive(Debug)]
struct Looked {
    user: String,
    at: Instant,
}

impl LastLook {
    fn is_at(&self, user: &str, now: Instant) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |last: &Looked| last.user == user && now - last.at < ONE_LOOK;
        last.as_ref().is_some_and(is_same)
    }

    fn note(&self, user: &str, now: Instant) {
        let user = user.to_owned();
        let looked = Some(Looked { user, at: now });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = looked;
    }
}

/// Keeps that somebody looked at a person's page.
pub(super) async fn look(site: &Site, visitor: &Visitor, user: &str) -> Result<(), Box<Response>> {
    look_at(site, visitor, "page", user).await
}

/// Keeps that somebody opened a page of ours about a person; of others' own pages nothing is kept.
pub(super) async fn look_at(
    site: &Site,
    visitor: &Visitor,
    what: &str,
    user: &str,
) -> Result<(), Box<Response>> {
    keep_look(site, visitor, what, user).await.map_err(|()| {
        let text = "Looks at a person are kept, and this one could not be: try again in a minute.";
        let (status, title) = (
            StatusCode::SERVICE_UNAVAILABLE,
            "This page cannot be shown now",
        );
        Box::new(message::to(site, visitor, status, title, text))
    })
}

/// Keeps that somebody asked about a person, if the question is about one.
pub(super) async fn question(
    site: &Site,
    visitor: &Visitor,
    what: &str,
    user: Option<&str>,
) -> Result<(), ApiError> {
    let Some(user) = user else { return Ok(()) };
    let kept = keep_look(site, visitor, what, user).await;
    kept.map_err(|()| ApiError::Busy("looks are kept, and this one could not be".to_owned()))
}

/// The same of a part of a page. The page that was opened just now was kept with all its parts.
pub(super) async fn part(
    site: &Site,
    visitor: &Visitor,
    what: &str,
    user: Option<&str>,
) -> Result<(), ApiError> {
    let session = visitor.session.as_ref();
    let is_of_page = user.is_some_and(|user| {
        session.is_some_and(|session| session.last_look().is_at(user, Instant::now()))
    });
    if is_of_page {
        return Ok(());
    }
    question(site, visitor, what, user).await
}

async fn keep_look(site: &Site, visitor: &Visitor, what: &str, user: &str) -> Result<(), ()> {
    if !sight::is_look_at_another(&visitor.viewer, user) {
        return Ok(());
    }
    keep(site, visitor, &json!({"looked": what, "user": user})).await?;
    if let Some(session) = &visitor.session {
        session.last_look().note(user, Instant::now());
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_page_are_one_look_with_it_for_a_while() {
        let (last, opened) = (LastLook::default(), Instant::now());
        assert!(!last.is_at("ben", opened));
        last.note("ben", opened);
        assert!(last.is_at("ben", opened + ONE_LOOK / 2));
        assert!(!last.is_at("ben", opened + ONE_LOOK));
        assert!(!last.is_at("cy", opened));
        last.note("cy", opened);
        assert!(!last.is_at("ben", opened));
    }
}
