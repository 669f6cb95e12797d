//! Logging in at the hub, coming back, and logging out.
//!
//! What a browser has to bring back lies in a cookie of its own for each attempt, so that tabs that log
//! in at once do not disturb each other, and nobody who is not logged in takes up our memory.

use super::session::random_text;
use super::visitor::{self, Visitor, cookie_name, cookies, is_https};
use super::{Site, no_store, pages};
use crate::config::Secret;
use crate::hub::{CodeExchange, HubError, Login};
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
pub(super) async fn begin(State(site): State<Site>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let next = pages::value_of(&query, "next").unwrap_or_default();
    redirect_to_login(&site, &next)
}

/// Sends a browser to the hub, and then back to this path.
pub(super) fn redirect_to_login(site: &Site, target: &str) -> Response {
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
    let secure = if client.is_https() { "; Secure" } else { "" };
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
        && url.path().starts_with(site.config.web.prefix.as_str());
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
    let asked = tokio::time::timeout(PATIENCE, log_in(&site, &attempt.login, &code)).await;
    let mut response = match asked.unwrap_or_else(|_| Err(Box::new(not_now(&site)))) {
        Ok(id) => {
            let target = ours(&site, &attempt.target);
            let target = target.unwrap_or_else(|| site.config.web.prefix.clone());
            let mut response = Redirect::to(&target).into_response();
            let secure = if is_https(&site, &headers) {
                "; Secure"
            } else {
                ""
            };
            let cookie = format!(
                "{}={}; Path={}; HttpOnly; SameSite=Lax{secure}",
                cookie_name(&site),
                id.expose(),
                site.config.web.prefix
            );
            // A browser that logs in again does not keep the login before.
            let before = visitor::cookie(&site, &headers).and_then(|id| site.sessions.get(id));
            if let Some(before) = before {
                site.sessions.end(&before);
            }
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

/// The id of a new session.
async fn log_in(site: &Site, login: &Login, code: &str) -> Result<Secret, Box<Response>> {
    let failed = |error: HubError| {
        let cause = anyhow::Error::from(error);
        tracing::warn!("Somebody could not log in: {cause:#}");
        Box::new(not_now(site))
    };
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
    Ok(site.sessions.begin(token, identity))
}

fn not_now(site: &Site) -> Response {
    pages::message::show(
        site,
        StatusCode::SERVICE_UNAVAILABLE,
        "The hub does not answer",
        "It knows you, but did not say so when it was asked. Try again in a minute.",
    )
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
        site.sessions.end(session);
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
