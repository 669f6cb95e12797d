//! What is served over HTTP, and to whom. The only module that picks a reply's status.
//!
//! What metrics say is the business of `metrics`; listening and stopping that of `service`.

mod access;
mod api;
mod assets;
mod audit;
mod guard;
mod headers;
mod health;
mod login;
mod metrics;
mod negotiation;
mod pages;
mod parts;
mod questions;
mod root;
mod routes;
mod session;
mod shares;
mod sight;
mod squeezed;
mod visitor;

pub use access::{Access, ClientTokens};
pub(crate) use api::Room;
#[cfg(test)]
pub(crate) use api::body_items;
pub use guard::Who;
pub use routes::{ROUTES, Route, markdown};
pub use session::Sessions;

use crate::answers::Answers;
use crate::ask::Asker;
use crate::config::Config;
use crate::events::Sink;
use crate::hub::{HubClient, OAuthClient};
use crate::me::{self, LastSession};
use crate::metrics::own::Own;
use crate::metrics::{Counting, Published};
use crate::poll::clock::now;
use crate::usage::Usage;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use model::last_seen::LastSeen;
use model::names::UserName;
use model::snapshot::Group;
use negotiation::{Wanted, page_or_metrics};
use std::any::Any;
use std::sync::Arc;
use store::AskError;
use tower_http::catch_panic::CatchPanicLayer;

/// Everything a handler may need.
#[derive(Clone)]
pub struct Site {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// To ask whom a token belongs to.
    pub hub: HubClient,
    /// What is known of the hub, written.
    pub published: Arc<Published>,
    /// What is known of ourselves.
    pub own: Arc<Own>,
    /// Outcomes of asking about tokens.
    pub tokens: Arc<ClientTokens>,
    /// Where browsers log in, if that is known.
    pub login: Option<OAuthClient>,
    /// Who is logged in.
    pub sessions: Arc<Sessions>,
    /// How requests get here.
    pub access: Access,
    /// Decides what metrics count.
    pub counting: Arc<Counting>,
    /// How it goes with what servers use.
    pub usage: Arc<Usage>,
    /// Takes what others send.
    pub sink: Arc<Sink>,
    /// Asks the history, if one is kept.
    pub asker: Option<Arc<Asker>>,
    /// Answers reports, if a history is kept.
    pub answers: Option<Arc<Answers>>,
    /// Memory for what they send.
    pub(crate) room: api::Room,
}

/// Everything below the service prefix.
pub fn router(site: Site) -> Router {
    let own = Arc::clone(&site.own);
    catching_panics(routes(site), own)
}

/// The same without what keeps a handler's panic from its client.
pub fn routes(site: Site) -> Router {
    let nothing_here = site.clone();
    let asked_of = site.clone();
    routes::router(&site)
        .fallback(async move |headers: HeaderMap| nowhere(&nothing_here, &headers))
        .with_state(site)
        .layer(from_fn_with_state(asked_of, headers::add))
}

/// An address that is none of ours.
fn nowhere(site: &Site, headers: &HeaderMap) -> Response {
    if page_or_metrics(headers) == Wanted::Page {
        return pages::message::nothing_here(site, None);
    }
    let prefix = &site.config.web.prefix;
    let told = format!("nothing here; this service answers below {prefix}\n");
    (StatusCode::NOT_FOUND, told).into_response()
}

impl Site {
    /// Whether requests come from browsers that the hub knows.
    fn is_behind_the_hub(&self) -> bool {
        self.access == Access::Proxied
    }

    /// When the hub or its events last told of each user.
    fn last_seen(&self) -> LastSeen {
        let told = self.published.snapshot().last_seen;
        self.sink.visits().added_to(&told)
    }

    /// Groups of the hub that may be shown.
    fn groups(&self) -> Vec<Group> {
        let filter = self.config.attribution().filter;
        let snapshot = self.published.snapshot();
        let groups = snapshot.groups.iter().flat_map(|groups| &*groups.value);
        let shown = groups.filter(|group| filter.allows(&group.name));
        shown.cloned().collect()
    }

    /// Those that a person is in.
    fn groups_of(&self, user: &UserName) -> Vec<Group> {
        let mut groups = self.groups();
        groups.retain(|group| group.members.binary_search(user).is_ok());
        groups
    }

    /// The last session of a person, if they had one; `None` where no history is kept.
    async fn last_session(&self, user: &UserName) -> Option<Result<Option<LastSession>, AskError>> {
        let zone = self.config.hub.time_zone();
        let sources = me::Sources {
            hub: &self.config.hub.name,
            zone: &zone,
            asker: self.asker.as_deref()?,
            usage: &self.usage,
            published: &self.published,
            now: now(),
        };
        Some(me::last_session(&sources, user).await)
    }
}

/// Turns a handler's panic into a 500 and counts it.
pub fn catching_panics(router: Router, own: Arc<Own>) -> Router {
    own.expect_panics_of("request");
    router.layer(CatchPanicLayer::custom(
        move |_: Box<dyn Any + Send>| -> Response {
            own.record_panic("request");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
        },
    ))
}

/// A refusal in one line of text; never a login page, which a scraper would take for metrics.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Forbidden(access::Needs),
    /// Too many unknown tokens at once, or the hub could not be asked about one.
    TryLater {
        reason: &'static str,
    },
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::Forbidden(needs) => {
                (StatusCode::FORBIDDEN, format!("{}\n", needs.told())).into_response()
            }
            Self::TryLater { reason } => {
                let mut response =
                    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response();
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
                response
            }
        };
        no_store(&mut response);
        response
    }
}

/// Nothing of ours may lie in a shared cache.
fn no_store(response: &mut Response) {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
