//! Logging in at the hub, coming back, and logging out.
//!
//! What a browser has to bring back lies in a cookie of its own for each attempt, so that tabs that log
//! in at once do not disturb each other, and nobody who is not logged in takes up our memory.

use super::session::{Session, random_text};
use super::visitor::{self, Opener, Scheme, Visitor, cookie_name, cookies};
use super::{Site, no_store, pages};
use crate::config::Secret;
use crate::hub::{CodeExchange, HubError, Login};
use crate::poll::clock::now;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;
use url::{Position, Url};

/// An attempt may take so long: somebody may have to ask for a second factor.
const ATTEMPT_SECONDS: u32 = 900;
/// How long the hub's word is waited for while somebody looks at an empty page.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest address that is come back to; cookies have little room.
const TARGET_BYTES: usize = 1500;

/// `GET login?next=…`: to the hub, also if somebody is logged in already, for what needs a fresh login.
pub(super) async fn begin(
    State(site): State<Site>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let next = pages::value_of(&query, "next").unwrap_or_default();
    redirect_to_login(&site, Scheme::of(&site, &headers), &next)
}

/// Sends a browser to the hub, and then back to this path.
pub(super) fn redirect_to_login(site: &Site, scheme: Scheme, target: &str) -> Response {
    let Some(client) = &site.login else {
        return pages::message::show(
            site,
            StatusCode::SERVICE_UNAVAILABLE,
            "Nobody can log in here yet",
            "The service does not know its OAuth client at the hub: set `login.client_id`, \
             `login.callback_url` and `login.hub_url`, or let the hub start the service.",
        );
    };
    let login = Login {
        state: random_text(),
        verifier: random_text(),
    };
    let target = ours(site, target).unwrap_or_else(|| site.config.web.prefix.clone());
    let value = format!(
        "{}.{}.{}",
        login.state.expose(),
        login.verifier.expose(),
        URL_SAFE_NO_PAD.encode(target)
    );
    let name = attempt_name(site, login.state.expose());
    let secure = scheme.cookie_attribute();
    let cookie = format!(
        "{name}={value}; Path={}; Max-Age={ATTEMPT_SECONDS}; HttpOnly; SameSite=Lax{secure}",
        site.config.web.prefix
    );
    let mut response = Redirect::to(&client.authorize_url(&login)).into_response();
    set_cookie(&mut response, &cookie);
    no_store(&mut response);
    response
}

/// A path below our prefix, and no other: nobody is sent elsewhere by a link to us.
fn ours(site: &Site, target: &str) -> Option<String> {
    let here = Url::parse("http://here.invalid").ok()?;
    // As a browser reads it: `..`, `\` and line ends lead elsewhere.
    let url = here.join(target).ok()?;
    let is_ours = target.len() <= TARGET_BYTES
        && url.origin() == here.origin()
        && url.path().starts_with(site.config.web.prefix.as_str())
        // What is left of `/.//host/`, and to a browser that host.
        && !url.path().starts_with("//");
    is_ours.then(|| url[Position::BeforePath..Position::AfterQuery].to_owned())
}

/// Only the first letters: enough to tell attempts apart.
fn attempt_name(site: &Site, state: &str) -> String {
    let begin: String = state
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    format!("{}-login-{begin}", cookie_name(site))
}

/// `GET oauth_callback?code=…&state=…`
pub(super) async fn callback(
    State(site): State<Site>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if Opener::of(&headers) == Opener::Script {
        return not_logged_in(&site, "This login was not asked for by a person.");
    }
    let query = query.unwrap_or_default();
    let (code, state) = (
        pages::value_of(&query, "code"),
        pages::value_of(&query, "state"),
    );
    let (Some(code), Some(state)) = (code, state) else {
        return not_logged_in(&site, "The hub did not say who you are.");
    };
    let name = attempt_name(&site, &state);
    let attempt = cookies(&headers).find(|(known, _)| *known == name);
    let attempt = attempt.and_then(|(_, value)| Attempt::read(value));
    let Some(attempt) = attempt.filter(|attempt| attempt.login.state.matches(&state)) else {
        return not_logged_in(
            &site,
            "This login was not begun in this browser, or too long ago.",
        );
    };
    if site.sessions.take_login().is_err() {
        // The attempt stays good, so loading the page again goes on with it.
        return too_many(&site);
    }
    let before = visitor::cookie(&site, &headers).and_then(|id| site.sessions.get(id));
    let logging_in = log_in(&site, &attempt.login, &code, before.as_deref());
    let asked = tokio::time::timeout(PATIENCE, logging_in).await;
    let mut response = match asked.unwrap_or_else(|_| Err(Box::new(not_now(&site)))) {
        Ok(id) => {
            let target = ours(&site, &attempt.target);
            let target = target.unwrap_or_else(|| site.config.web.prefix.clone());
            let mut response = Redirect::to(&target).into_response();
            let secure = Scheme::of(&site, &headers).cookie_attribute();
            let cookie = format!(
                "{}={}; Path={}; HttpOnly; SameSite=Lax{secure}",
                cookie_name(&site),
                id.expose(),
                site.config.web.prefix
            );
            set_cookie(&mut response, &cookie);
            response
        }
        Err(response) => *response,
    };
    forget(&mut response, &site, &name);
    no_store(&mut response);
    response
}

/// What a browser brought back.
struct Attempt {
    login: Login,
    target: String,
}

impl Attempt {
    fn read(value: &str) -> Option<Self> {
        let mut parts = value.split('.');
        let (state, verifier) = (parts.next()?, parts.next()?);
        let target = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        Some(Self {
            login: Login {
                state: Secret::new(state),
                verifier: Secret::new(verifier),
            },
            target: String::from_utf8(target).ok()?,
        })
    }
}

/// The id of a new session, after another one of this browser.
async fn log_in(
    site: &Site,
    login: &Login,
    code: &str,
    before: Option<&Session>,
) -> Result<Secret, Box<Response>> {
    let failed = |error| Box::new(failed(site, &error));
    let refused = |why: &str| Box::new(not_logged_in(site, why));
    let Some(client) = &site.login else {
        return Err(refused("This service has no OAuth client at the hub."));
    };
    let token = match site
        .hub
        .exchange(client, login, code)
        .await
        .map_err(failed)?
    {
        CodeExchange::Token(token) => token,
        CodeExchange::Refused => {
            return Err(refused("The hub does not take this login any more."));
        }
    };
    let identity = site.hub.whoami_with(&token).await.map_err(failed)?;
    site.own.record_login(now());
    Ok(site.sessions.begin(token, identity, before))
}

/// The page for whoever cannot log in; the rest is told to whoever can mend it.
fn failed(site: &Site, error: &HubError) -> Response {
    let (cause, remedy) = (error.with_causes(), error.remedy());
    if matches!(error, HubError::BadClient { .. }) {
        site.own.record_failed_login(error, now());
        tracing::error!("Nobody can log in: {cause}; {remedy}.");
        return pages::message::show(
            site,
            StatusCode::SERVICE_UNAVAILABLE,
            "Nobody can log in here yet",
            "The hub knows you, but does not know this service by its token. An administrator can \
             mend that: the service's log says how.",
        );
    }
    tracing::warn!("Somebody could not log in: {cause}; {remedy}.");
    not_now(site)
}

fn not_now(site: &Site) -> Response {
    pages::message::show(
        site,
        StatusCode::SERVICE_UNAVAILABLE,
        "The hub does not answer",
        "It knows you, but did not say so when it was asked. Try again in a minute.",
    )
}

fn too_many(site: &Site) -> Response {
    let mut response = pages::message::show(
        site,
        StatusCode::SERVICE_UNAVAILABLE,
        "Many people log in at this moment",
        "Load this page again in a few seconds: your login goes on from here.",
    );
    no_store(&mut response);
    response
}

fn not_logged_in(site: &Site, why: &str) -> Response {
    pages::message::show(site, StatusCode::BAD_REQUEST, "You are not logged in", why)
}

/// `POST logout`: here. The hub's own logout, which asks for nothing, is a click away: a form may not lead to
/// another host.
pub(super) async fn end(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    if let Some(session) = &visitor.session {
        site.sessions.end_all_of_browser(session);
    }
    let hub = site.login.as_ref().map_or("/hub/", |client| client.hub());
    let mut response = pages::message::logged_out(&site, &format!("{hub}logout"));
    forget(&mut response, &site, &cookie_name(&site));
    no_store(&mut response);
    response
}

fn forget(response: &mut Response, site: &Site, name: &str) {
    let prefix = &site.config.web.prefix;
    set_cookie(
        response,
        &format!("{name}=; Path={prefix}; Max-Age=0; HttpOnly; SameSite=Lax"),
    );
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
