//! Logging in to a service at the hub. What differs is who says who it is: a page of the simulated hub,
//! the login form of a real one.

use super::{Series, keys, sorted, user};
use crate::support::{Browser, RealHub, SimServer, block_on, http};
use insights::sim::ServiceClient;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

/// A service that everybody may open, and one that nobody may.
pub(super) const OPEN: &str = "open";
const CLOSED: &str = "closed";

const BACK: &str = "http://127.0.0.1:9/services/open/oauth_callback";
const STATE: &str = "a&b=c d";
// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Who lets people in.
pub(super) enum Door<'a> {
    Simulated(&'a SimServer),
    Real(&'a RealHub),
}

fn secret(service: &str) -> String {
    format!("{service}-0123456789abcdef")
}

/// As `EXTERNAL_TOKENS` of a real hub.
pub(super) fn add_clients(services: &mut Value) {
    for service in [OPEN, CLOSED] {
        services[service] = json!({
            "token": secret(service),
            "scopes": [],
            "oauth_redirect_uri": BACK,
            "oauth_no_confirm": true,
        });
    }
}

impl<'a> Door<'a> {
    pub(super) fn simulated(sim: &'a SimServer) -> Self {
        for service in [OPEN, CLOSED] {
            sim.hub.register(ServiceClient {
                client_id: format!("service-{service}"),
                secret: insights::config::Secret::new(&secret(service)),
                redirect_uri: BACK.to_owned(),
            });
        }
        Self::Simulated(sim)
    }

    fn url(&self) -> &'a str {
        match self {
            Self::Simulated(sim) => &sim.url,
            Self::Real(hub) => &hub.url,
        }
    }

    /// A browser in which somebody logged in, if logging in comes first.
    fn browser(&self, user: &str) -> Browser<'a> {
        let mut browser = Browser::at(self.url());
        if matches!(self, Self::Real(_)) {
            let shown = browser.log_in(user, None);
            assert_eq!(shown.status, 200, "{}", shown.text);
        }
        browser
    }

    /// What the hub answers to somebody whom a service has sent to log in; with these fields in place of
    /// the usual ones.
    fn authorize(&self, browser: &mut Browser<'_>, user: &str, fields: &[(&str, &str)]) -> Outcome {
        let mut query = BTreeMap::from([
            ("client_id", "service-open"),
            ("redirect_uri", BACK),
            ("response_type", "code"),
            ("state", STATE),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        query.extend(fields.iter().copied());
        if matches!(self, Self::Simulated(_)) {
            query.insert("as", user);
        }
        let mut url: Url = format!("{}hub/api/oauth2/authorize", self.url())
            .parse()
            .unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let step = browser.step(Method::GET, &url, None);
        Outcome {
            status: step.status(),
            kind: step.header("content-type").to_owned(),
            location: step.location(),
            text: step.shown().text,
        }
    }

    fn code(&self, browser: &mut Browser<'_>, user: &str) -> String {
        let outcome = self.authorize(browser, user, &[]);
        assert_eq!(outcome.status, 302, "{}", outcome.text);
        assert_eq!(outcome.told("state"), STATE);
        outcome.told("code")
    }

    /// Asks for a token, with these fields in place of the usual ones; an empty one is left out.
    fn token(&self, code: &str, fields: &[(&str, &str)]) -> Reply {
        let secret = secret(OPEN);
        let mut form = BTreeMap::from([
            ("client_id", "service-open"),
            ("client_secret", secret.as_str()),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(fields.iter().copied());
        form.retain(|_, value| !value.is_empty());
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let url = format!("{}hub/api/oauth2/token", self.url());
        let request = http().post(url).body(body);
        reply(request.header("content-type", "application/x-www-form-urlencoded"))
    }

    fn get(&self, path: &str, token: &str) -> Reply {
        reply(
            http()
                .get(format!("{}hub/api/{path}", self.url()))
                .bearer_auth(token),
        )
    }
}

/// What a browser gets.
struct Outcome {
    status: u16,
    kind: String,
    location: Option<Url>,
    text: String,
}

impl Outcome {
    /// A value in the address that it leads to, which is the service's.
    #[track_caller]
    fn told(&self, name: &str) -> String {
        let location = self.location.as_ref().unwrap();
        assert!(location.as_str().starts_with(BACK), "{location}");
        let mut pairs = location.query_pairs();
        let found = pairs.find(|(key, _)| key == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {location}"))
            .1
            .into_owned()
    }

    /// A page of the hub that says this.
    #[track_caller]
    fn is_page(&self, status: u16, text: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.kind, "text/html");
        assert!(self.text.contains(text), "{}", self.text);
    }
}

/// What a service gets.
struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

fn reply(request: reqwest::RequestBuilder) -> Reply {
    block_on(async {
        let response = request.send().await.unwrap();
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.json().await.unwrap_or_default(),
        }
    })
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn refuses(&self, status: u16, error: &str, description: Option<&str>) {
        let mut expected = json!({"error": error});
        if let Some(description) = description {
            expected["error_description"] = json!(description);
        }
        assert_eq!((self.status, &self.body), (status, &expected));
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        let challenge = if status == 401 {
            "Bearer error=\"invalid_client\""
        } else {
            ""
        };
        assert_eq!(self.header("www-authenticate"), challenge);
    }
}

/// Of a hub that [`super::check`] has filled.
pub(super) fn check(door: &Door<'_>, series: Series) {
    // In physics and in chemistry.
    let name = user(22);
    let mut browser = door.browser(&name);
    wrong_addresses(door, &mut browser, &name);
    strangers(door);
    let code = door.code(&mut browser, &name);
    wrong_services(door, &code);
    verifiers(door, &mut browser, &name, series);
    let token = door.token(&code, &[]);
    assert_eq!(token.status, 200, "{}", token.body);
    assert_eq!(
        keys(&token.body),
        "access_token expires_in scope token_type"
    );
    assert_eq!(token.body["expires_in"], 1_209_600);
    assert_eq!(token.body["token_type"], "Bearer");
    let mut scopes: Vec<&str> = token.body["scope"].as_str().unwrap().split(' ').collect();
    scopes.sort_unstable();
    let expected = [
        "access:services!service=open",
        "read:users:groups!user",
        "read:users:name!user",
    ];
    assert_eq!(scopes, expected);
    assert_eq!(token.header("cache-control"), "no-store");
    door.token(&code, &[]).refuses(400, "invalid_grant", None);
    let token = token.body["access_token"].as_str().unwrap();
    whoami(door, token, &name, series);
    log_out(door, &mut browser, token);
}

fn wrong_addresses(door: &Door<'_>, browser: &mut Browser<'_>, user: &str) {
    let mut ask = |fields: &[(&str, &str)]| door.authorize(browser, user, fields);
    ask(&[("client_id", "service-none")]).is_page(400, "Invalid client_id parameter value.");
    for elsewhere in [
        "http://127.0.0.1:9/services/open/",
        "https://example.org/services/open/oauth_callback",
        "/services/open/oauth_callback",
    ] {
        ask(&[("redirect_uri", elsewhere)]).is_page(400, "Mismatching redirect URI.");
    }
    let outcome = ask(&[("response_type", "token")]);
    assert_eq!(outcome.status, 302, "{}", outcome.text);
    assert_eq!(outcome.told("error"), "unsupported_response_type");
    assert_eq!(outcome.told("state"), STATE);
    let outcome = ask(&[("code_challenge_method", "S999")]);
    assert_eq!(outcome.told("error"), "invalid_request");
    assert_eq!(
        outcome.told("error_description"),
        "Transform algorithm not supported."
    );
}

/// Who may not open the service gets a page of the hub, and the service hears nothing.
fn strangers(door: &Door<'_>) {
    let name = user(41);
    let service = match door {
        Door::Simulated(sim) => {
            sim.hub
                .world_mut()
                .user_mut(&name)
                .unwrap()
                .may_open_services = false;
            OPEN
        }
        Door::Real(_) => CLOSED,
    };
    let client = format!("service-{service}");
    let outcome = door.authorize(&mut door.browser(&name), &name, &[("client_id", &client)]);
    let text = format!("You do not have permission to access JupyterHub service {service}");
    outcome.is_page(403, &text);
    assert!(outcome.location.is_none());
}

/// None of these uses the code up.
fn wrong_services(door: &Door<'_>, code: &str) {
    for wrong in ["wrong", ""] {
        door.token(code, &[("client_secret", wrong)])
            .refuses(401, "invalid_client", None);
        door.token(code, &[("client_id", wrong)])
            .refuses(401, "invalid_client", None);
    }
    let secret = secret(CLOSED);
    let other = [
        ("client_id", "service-closed"),
        ("client_secret", secret.as_str()),
    ];
    door.token(code, &other).refuses(400, "invalid_grant", None);
    let grant_type = [("grant_type", "password")];
    door.token(code, &grant_type)
        .refuses(400, "unsupported_grant_type", None);
    let elsewhere = [("redirect_uri", "http://127.0.0.1:9/")];
    let why = Some("Mismatching redirect URI.");
    door.token(code, &elsewhere)
        .refuses(400, "invalid_request", why);
    door.token("made-up", &[])
        .refuses(400, "invalid_grant", None);
    door.token("", &[])
        .refuses(400, "invalid_request", Some("Missing code parameter."));
}

/// Hubs of 4 and 5 do not look at the verifier, so there the state alone protects a login.
fn verifiers(door: &Door<'_>, browser: &mut Browser<'_>, user: &str, series: Series) {
    let code = door.code(browser, user);
    let wrong = door.token(&code, &[("code_verifier", CHALLENGE)]);
    if series < Series::V6 {
        assert_eq!(wrong.status, 200, "{}", wrong.body);
        return;
    }
    wrong.refuses(400, "invalid_grant", None);
    let none = door.token(&code, &[("code_verifier", "")]);
    none.refuses(400, "invalid_request", Some("Code verifier required."));
    assert_eq!(door.token(&code, &[]).status, 200);
}

fn whoami(door: &Door<'_>, token: &str, name: &str, series: Series) {
    let told = door.get("user", token);
    let expected = match series {
        Series::V4 => "admin groups kind name scopes session_id",
        Series::V5 => "admin groups kind name scopes session_id token_id",
        Series::V6 => "admin groups kind name scopes session_id token_id user_info",
    };
    assert_eq!(keys(&told.body), expected);
    assert_eq!(told.body["kind"], "user");
    assert_eq!(told.body["name"], name);
    assert_eq!(told.body["admin"], false);
    assert_eq!(sorted(&told.body["groups"]), ["chemistry", "physics"]);
    assert!(told.body["session_id"].is_string());
    let scopes = json!([
        "access:services!service=open",
        format!("read:users:groups!user={name}"),
        format!("read:users:name!user={name}"),
    ]);
    assert_eq!(told.body["scopes"], scopes);
    // For anything else it is no good.
    let refused = door.get("users", token);
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(
        refused.body["message"]
            .as_str()
            .unwrap()
            .contains("[list:users]")
    );
}

/// A logout at the hub ends what services have.
fn log_out(door: &Door<'_>, browser: &mut Browser<'_>, token: &str) {
    let mut other = door.browser(&user(23));
    let code = door.code(&mut other, &user(23));
    let kept = door.token(&code, &[]);
    assert_eq!(browser.log_out().status, 200);
    assert_eq!(door.get("user", token).status, 403);
    let kept = kept.body["access_token"].as_str().unwrap();
    assert_eq!(door.get("user", kept).status, 200);
}
