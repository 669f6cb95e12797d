//! Logging in to a service: in place of a password one says who one is. Statuses and texts are those of a
//! real hub of series 6; the pages are our own.

use crate::sim::cast::{self, Person};
use crate::sim::json;
use crate::sim::oauth::{
    Challenge, Logins, NotGranted, ServiceClient, TOKEN_SECONDS, TokenRequest, Visit, random_text,
};
use crate::sim::refusal;
use crate::sim::server::SimHub;
use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::time::Instant;
use url::Url;

/// Remembers a browser, so that logging out ends what it logged in to.
const COOKIE: &str = "simulated-hub-session";
const STYLE: &str = include_str!("../pages/simulated.css");
/// Who somebody says they are.
const AS: &str = "as";

/// Names and values of a query or a form, the first of a name.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// `GET oauth2/authorize`: the page that asks, or the way back for who has chosen.
pub(super) async fn authorize(
    State(hub): State<SimHub>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let fields = Fields::read(query.unwrap_or_default().as_bytes());
    let read = Asked::read(&hub.logins(), &fields);
    let asked = match read {
        Ok(asked) => asked,
        Err(Wrong::Told(message)) => return refusal::page(StatusCode::BAD_REQUEST, message),
        Err(Wrong::Back(location)) => return found(&location),
    };
    match fields.get(AS) {
        None => ask(&hub, &asked.client, &fields),
        Some(name) => choose(&hub, &asked, name, &session_id(&headers)),
    }
}

/// What a service wants to know.
struct Asked {
    client: ServiceClient,
    state: Option<String>,
    challenge: Option<Challenge>,
}

/// What is wrong with how it asks.
enum Wrong {
    /// Is told to whoever opened the page.
    Told(&'static str),
    /// Is told to the service, at this address.
    Back(String),
}

impl Asked {
    fn read(logins: &Logins, fields: &Fields) -> Result<Self, Wrong> {
        let client = fields.get("client_id");
        let client = client.ok_or(Wrong::Told("Missing client_id parameter."))?;
        let client = logins.client(client);
        let client = client.ok_or(Wrong::Told("Invalid client_id parameter value."))?;
        if fields
            .get("redirect_uri")
            .is_some_and(|uri| uri != client.redirect_uri)
        {
            return Err(Wrong::Told("Mismatching redirect URI."));
        }
        let mut asked = Self {
            client: client.clone(),
            state: fields.get("state").map(str::to_owned),
            challenge: None,
        };
        let invalid = |why| {
            let told = [("error", "invalid_request"), ("error_description", why)];
            Wrong::Back(asked.way_back(&told))
        };
        match fields.get("response_type") {
            Some("code") => {}
            Some(_) => {
                let told = [("error", "unsupported_response_type")];
                return Err(Wrong::Back(asked.way_back(&told)));
            }
            None => return Err(invalid("Missing response_type parameter.")),
        }
        let method = fields.get("code_challenge_method");
        let challenge = match (fields.get("code_challenge"), method) {
            (None, _) => None,
            (Some(digest), Some("S256")) => Some(Challenge::Sha256(digest.to_owned())),
            (Some(text), None | Some("plain")) => Some(Challenge::Plain(text.to_owned())),
            (Some(_), Some(_)) => return Err(invalid("Transform algorithm not supported.")),
        };
        asked.challenge = challenge;
        Ok(asked)
    }

    /// To the service, with this to tell.
    fn way_back(&self, told: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(told.iter().copied().chain(state))
            .finish();
        format!("{}?{query}", self.client.redirect_uri)
    }
}

fn ask(hub: &SimHub, client: &ServiceClient, fields: &Fields) -> Response {
    let people = {
        let world = hub.world();
        let mut logins = hub.logins();
        if logins.cast.is_empty() {
            logins.cast = cast::choose(&world);
        }
        cast::described(&world, &logins.cast)
    };
    let page = LoginPage {
        style: STYLE,
        service: client.name(),
        people: people
            .into_iter()
            .map(|person| Choice::new(person, fields))
            .collect(),
        fields: &fields.0,
    };
    // The form leads to the service, and so through this policy.
    let origin = Url::parse(&client.redirect_uri).map(|url| url.origin().ascii_serialization());
    page_reply(&page, &origin.unwrap_or_default())
}

fn choose(hub: &SimHub, asked: &Asked, name: &str, session_id: &str) -> Response {
    let mut world = hub.world_mut();
    let now = world.now;
    let Some(user) = world.user_mut(name) else {
        return refusal::page(StatusCode::NOT_FOUND, "Nobody on this hub has that name.");
    };
    if !user.admin && !user.may_open_services {
        let service = asked.client.name();
        let message = format!("You do not have permission to access JupyterHub service {service}");
        return refusal::page(StatusCode::FORBIDDEN, &message);
    }
    user.last_activity = user.last_activity.max(Some(now));
    let visit = Visit {
        user: user.name().clone(),
        session_id: session_id.to_owned(),
    };
    let (id, challenge) = (&asked.client.client_id, asked.challenge.clone());
    let code = hub.logins().begin(id, visit, challenge, Instant::now());
    let mut response = found(&asked.way_back(&[("code", &code)]));
    remember(
        &mut response,
        hub,
        &format!("{session_id}; HttpOnly; SameSite=Lax"),
    );
    response
}

/// Of the browser that asks: known, or new.
fn session_id(headers: &HeaderMap) -> String {
    let known = known_session(headers);
    known.map_or_else(random_text, str::to_owned)
}

fn known_session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';'));
    let id = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_ours = id.len() == random_text().len() && id.bytes().all(is_letter);
    is_ours.then_some(id)
}

fn remember(response: &mut Response, hub: &SimHub, value: &str) {
    let cookie = format!("{COOKIE}={value}; Path={}hub/", hub.addresses().base_url);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn found(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        Err(_) => refusal::page(StatusCode::BAD_REQUEST, "Mismatching redirect URI."),
    }
}

#[derive(Serialize)]
struct TokenReply<'a> {
    access_token: &'a str,
    expires_in: u32,
    token_type: &'static str,
    scope: String,
}

#[derive(Serialize)]
struct NotGrantedReply {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'static str>,
}

/// `POST oauth2/token`
pub(super) async fn token(State(hub): State<SimHub>, body: Bytes) -> Response {
    let form = Fields::read(&body);
    let request = TokenRequest {
        grant_type: form.get("grant_type"),
        client_id: form.get("client_id"),
        client_secret: form.get("client_secret"),
        code: form.get("code"),
        code_verifier: form.get("code_verifier"),
        redirect_uri: form.get("redirect_uri"),
    };
    let granted = {
        let mut world = hub.world_mut();
        hub.logins().grant(&mut world, request, Instant::now())
    };
    match granted {
        Ok(granted) => {
            let service = &granted.service;
            let reply = TokenReply {
                access_token: &granted.token,
                expires_in: TOKEN_SECONDS,
                token_type: "Bearer",
                scope: format!(
                    "read:users:groups!user read:users:name!user access:services!service={service}"
                ),
            };
            token_reply(StatusCode::OK, json::to_bytes(&reply))
        }
        Err(why) => not_granted(why),
    }
}

fn not_granted(why: NotGranted) -> Response {
    let (status, error, error_description) = match why {
        NotGranted::UnsupportedGrantType => (400, "unsupported_grant_type", None),
        NotGranted::InvalidClient => (401, "invalid_client", None),
        NotGranted::InvalidGrant => (400, "invalid_grant", None),
        NotGranted::InvalidRequest(description) => (400, "invalid_request", Some(description)),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let reply = NotGrantedReply {
        error,
        error_description,
    };
    let mut response = token_reply(status, json::to_bytes(&reply));
    if status == StatusCode::UNAUTHORIZED {
        let value = HeaderValue::from_static("Bearer error=\"invalid_client\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

fn token_reply(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
    ];
    (status, headers, body).into_response()
}

/// `GET hub/logout`: here, and with that at every service that this browser logged in to.
pub(super) async fn log_out(State(hub): State<SimHub>, headers: HeaderMap) -> Response {
    if let Some(id) = known_session(&headers) {
        hub.world_mut().end_session(id);
        hub.logins().end(id);
    }
    let mut response = page_reply(
        &MessagePage {
            style: STYLE,
            title: "You are logged out",
            text: "The tokens that services had of you are void: within a minute their pages ask again \
                   who you are.",
            links: links(&hub),
        },
        "",
    );
    remember(&mut response, &hub, "; Max-Age=0; HttpOnly; SameSite=Lax");
    response
}

/// `GET hub/home`: the way to the services.
pub(super) async fn home(State(hub): State<SimHub>) -> Response {
    let page = MessagePage {
        style: STYLE,
        title: "Nothing to start here",
        text: "A real hub shows its users their servers here. This one is there for its services.",
        links: links(&hub),
    };
    page_reply(&page, "")
}

fn links(hub: &SimHub) -> Vec<Link> {
    let logins = hub.logins();
    let links = logins.clients().iter().map(|client| Link {
        label: format!("Open {}", client.name()),
        href: client.home().to_owned(),
    });
    links.collect()
}

#[derive(Template)]
#[template(path = "simulated_login.html")]
struct LoginPage<'a> {
    style: &'static str,
    service: &'a str,
    people: Vec<Choice>,
    fields: &'a [(String, String)],
}

/// Somebody whom one can be.
struct Choice {
    name: String,
    role: String,
    sees: String,
    href: String,
}

impl Choice {
    fn new(person: Person, fields: &Fields) -> Self {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&fields.0).append_pair(AS, &person.name);
        Self {
            href: format!("?{}", query.finish()),
            name: person.name,
            role: person.role,
            sees: person.sees,
        }
    }
}

#[derive(Template)]
#[template(path = "simulated_message.html")]
struct MessagePage<'a> {
    style: &'static str,
    title: &'a str,
    text: &'a str,
    links: Vec<Link>,
}

struct Link {
    label: String,
    href: String,
}

/// A page without script whose forms lead here or to this origin.
fn page_reply(page: &impl Template, form_origin: &str) -> Response {
    let Ok(text) = page.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {form_origin}; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Html(text)).into_response()
}
