//! The routes of the simulated hub, and what is the same for all of them: who asks, how a reply
//! is sent, `ETag`, version header.
//!
//! Reading users ([`users`]), reading groups ([`groups`]), changing either ([`edits`]) and logging
//! in ([`oauth`]) are files of their own.

mod edits;
mod groups;
mod oauth;
mod users;

use super::json;
use super::refusal::{self, Refusal};
use super::replies::WhoamiReply;
use super::scopes::{Scopes, Target};
use super::server::SimHub;
use super::world::Token;
use super::{VERSION, metrics};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, head};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

/// Everything below `{base_url}hub/`; `base_url` begins and ends with `/`.
pub(super) fn routes(hub: &SimHub) -> Router {
    let api = |path: &str| format!("{}hub/api{path}", hub.addresses().base_url);
    let page = |path: &str| format!("{}hub{path}", hub.addresses().base_url);
    Router::new()
        .route(&api(""), methods().get(root))
        .route(&api("/"), methods().get(root))
        .route(&api("/info"), methods().get(info))
        .route(&api("/user"), methods().get(whoami))
        .route(&api("/health"), health_check())
        .route(&page("/health"), health_check())
        .route(&api("/oauth2/authorize"), methods().get(oauth::authorize))
        .route(&api("/oauth2/token"), methods().post(oauth::token))
        .route(&page("/home"), methods().get(oauth::home))
        .route(&page("/logout"), methods().get(oauth::log_out))
        .route(&api("/metrics"), methods().get(hub_metrics))
        .route(&page("/metrics"), methods().get(hub_metrics))
        .route(
            &api("/users"),
            methods().get(users::list).post(edits::add_users),
        )
        .route(
            &api("/users/{user}"),
            methods()
                .get(users::one)
                .post(edits::add_user)
                .delete(edits::remove_user),
        )
        .route(
            &api("/users/{user}/server"),
            methods()
                .get(users::default_server)
                .post(edits::start_default_server)
                .delete(edits::stop_default_server),
        )
        .route(
            &api("/users/{user}/servers/{server}"),
            methods()
                .get(users::named_server)
                .post(edits::start_named_server)
                .delete(edits::stop_named_server),
        )
        .route(
            &api("/groups"),
            methods().get(groups::list).post(edits::add_groups),
        )
        .route(
            &api("/groups/{group}"),
            methods()
                .get(groups::one)
                .post(edits::add_group)
                .delete(edits::remove_group),
        )
        .route(
            &api("/groups/{group}/users"),
            methods()
                .post(edits::add_members)
                .delete(edits::remove_members),
        )
        .fallback(unknown_path)
        .layer(from_fn_with_state(hub.clone(), finish))
        .with_state(hub.clone())
}

/// No method yet: the hub refuses even HEAD where it does not say otherwise.
fn methods() -> MethodRouter<SimHub> {
    head(wrong_method).options(nothing).fallback(wrong_method)
}

/// The one resource that answers HEAD.
fn health_check() -> MethodRouter<SimHub> {
    get(health).options(nothing).fallback(wrong_method)
}

/// JSON that was asked for, or the reason why not.
type Reply = Result<JsonReply, Refusal>;

struct JsonReply {
    status: StatusCode,
    body: Vec<u8>,
}

impl IntoResponse for JsonReply {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

impl JsonReply {
    fn of(value: &impl Serialize) -> Self {
        Self {
            status: StatusCode::OK,
            body: json::to_bytes(value),
        }
    }

    fn created(value: &impl Serialize) -> Self {
        Self {
            status: StatusCode::CREATED,
            body: json::to_bytes(value),
        }
    }

    fn empty(status: StatusCode) -> Self {
        Self {
            status,
            body: Vec::new(),
        }
    }
}

/// Whose token came with the request, if it is one that the hub knows.
struct Caller(Option<Arc<Token>>);

impl Caller {
    /// The caller's scopes, if one of `any_of` covers the target.
    fn may(&self, any_of: &[&str], target: Target<'_>) -> Result<&Scopes, Refusal> {
        let scopes = &self.token()?.scopes;
        if any_of.iter().any(|scope| scopes.covers(scope, target)) {
            return Ok(scopes);
        }
        let is_filtered = matches!(target, Target::User(_) | Target::Group(_));
        if is_filtered && any_of.iter().any(|scope| scopes.has(scope)) {
            return Err(Refusal::out_of_reach());
        }
        Err(Refusal::missing_scope(any_of))
    }

    fn token(&self) -> Result<&Token, Refusal> {
        self.0.as_deref().ok_or_else(Refusal::no_credentials)
    }
}

impl FromRequestParts<SimHub> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, hub: &SimHub) -> Result<Self, Infallible> {
        let token = bearer(&parts.headers);
        Ok(Self(
            token.and_then(|token| hub.world().tokens.get(token).cloned()),
        ))
    }
}

/// `token T` or `Bearer T`, in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (kind, token) = header.split_once(char::is_whitespace)?;
    let is_known = kind.eq_ignore_ascii_case("token") || kind.eq_ignore_ascii_case("bearer");
    is_known.then_some(token.trim_start())
}

#[derive(Serialize)]
struct RootReply {
    version: &'static str,
}

async fn root() -> Reply {
    Ok(JsonReply::of(&RootReply { version: VERSION }))
}

#[derive(Serialize)]
struct InfoReply {
    version: &'static str,
    python: &'static str,
    sys_executable: &'static str,
    spawner: ClassReply,
    authenticator: ClassReply,
}

#[derive(Serialize)]
struct ClassReply {
    class: &'static str,
    version: &'static str,
}

async fn info(caller: Caller) -> Reply {
    caller.may(&["read:hub"], Target::Hub)?;
    Ok(JsonReply::of(&InfoReply {
        version: VERSION,
        python: "3.11.7 (main) [GCC 12.2.0]",
        sys_executable: "/opt/hub/bin/python3.11",
        spawner: ClassReply {
            class: "jupyterhub.spawner.SimpleLocalProcessSpawner",
            version: VERSION,
        },
        authenticator: ClassReply {
            class: "jupyterhub.auth.DummyAuthenticator",
            version: VERSION,
        },
    }))
}

async fn whoami(State(hub): State<SimHub>, caller: Caller) -> Reply {
    let nobody = || Refusal::plain(StatusCode::FORBIDDEN);
    let token = caller.token().map_err(|_| nobody())?;
    let world = hub.world();
    let reply = WhoamiReply::new(token, &world, hub.addresses()).ok_or_else(nobody)?;
    Ok(JsonReply::of(&reply))
}

async fn health() -> Response {
    [(CONTENT_TYPE, "text/html")].into_response()
}

/// The scope counts even where it is filtered; the refusal is a page even below `/api`.
async fn hub_metrics(State(hub): State<SimHub>, caller: Caller) -> Response {
    if !caller
        .token()
        .is_ok_and(|token| token.scopes.has("read:metrics"))
    {
        let message = "Access to metrics requires scope 'read:metrics'";
        return refusal::page(StatusCode::FORBIDDEN, message);
    }
    let text = metrics::render(&hub.world(), hub.n_requests());
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn nothing() {}

async fn wrong_method() -> Refusal {
    Refusal::plain(StatusCode::METHOD_NOT_ALLOWED)
}

async fn unknown_path(State(hub): State<SimHub>, uri: Uri) -> Response {
    let api = format!("{}hub/api/", hub.addresses().base_url);
    if uri.path().starts_with(&api) {
        Refusal::plain(StatusCode::NOT_FOUND).into_response()
    } else {
        refusal::page(
            StatusCode::NOT_FOUND,
            "Jupyter has lots of moons, but this is not one...",
        )
    }
}

/// Counts the request and gives the reply what every reply has.
async fn finish(State(hub): State<SimHub>, request: Request, next: Next) -> Response {
    hub.note_request(format!("{} {}", request.method(), request.uri()));
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let mut response = next.run(request).await;
    if is_read && response.status() == StatusCode::OK {
        response = tag(response, known.as_ref()).await;
    }
    let version = HeaderName::from_static("x-jupyterhub-version");
    response
        .headers_mut()
        .insert(version, HeaderValue::from_static(VERSION));
    response
}

/// Adds the `ETag`; a client that knows it gets 304 and no body.
async fn tag(response: Response, known: Option<&HeaderValue>) -> Response {
    let (mut parts, body) = response.into_parts();
    // The bodies made here are in memory already and cannot fail.
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    let tag = entity_tag(&body);
    let is_known = known.is_some_and(|known| names_tag(known, &tag));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, tag);
    }
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

/// Like the hub's, 40 digits; of another hash, which no client can tell.
fn entity_tag(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    let mut tag = String::from("\"");
    for byte in &hash[..20] {
        // Writing to a `String` cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// `*`, or a list that has the tag, be it weak.
fn names_tag(header: &HeaderValue, tag: &str) -> bool {
    let Ok(header) = header.to_str() else {
        return false;
    };
    let mut known = header.split(',').map(str::trim);
    known.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests;
