//! Logging in to the service at a simulated hub, and what does not pass for a login. What a real browser
//! and a real hub make of it is in `web_browser`.

use crate::support::{
    Browser, Service, Shown, SimServer, Step, block_on, free_port, http, scrape, until,
};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use insights::config::Secret;
use insights::sim::{DEMO_TOKEN, ServiceClient, World};
use reqwest::Method;
use serde_json::Value;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use url::Url;

pub(crate) const TESTS: &[crate::Test] = &[
    ("a_login_leads_to_the_page_that_was_asked_for", round_trip),
    ("a_forged_login_is_told_of_and_lets_nobody_in", forged),
    (
        "a_cookie_counts_only_where_a_person_opens_a_page",
        stolen_cookie,
    ),
    (
        "what_a_page_asks_for_later_needs_its_token_alone",
        page_token,
    ),
    (
        "only_parts_of_pages_are_read_by_scripts_of_other_origins",
        other_origins,
    ),
    ("a_form_counts_only_with_the_token_of_its_page", forms),
    ("who_may_not_open_the_service_stays_at_the_hub", stranger),
    ("a_hub_that_is_down_during_a_login_is_a_503", hub_down),
    (
        "a_hub_that_does_not_know_the_services_token_is_told_with_the_remedy",
        wrong_secret,
    ),
    (
        "logging_in_again_ends_no_open_page_and_logging_out_all",
        again,
    ),
    ("nobody_is_sent_elsewhere_after_a_login", elsewhere),
    (
        "made_up_logins_do_not_reach_the_hub_without_end",
        made_up_logins,
    ),
    ("long_addresses_do_no_harm", long_addresses),
    (
        "two_services_of_one_host_do_not_mix_their_cookies",
        two_services,
    ),
];

const ADMIN: &str = "boss";
/// Of the group of [`USER`].
const OWNER: &str = "olga";
const USER: &str = "<i>lynx</i>";
const STRANGER: &str = "sid";

const HTML: &str = "text/html,*/*;q=0.8";

/// A service behind a hub's proxy, but for the proxy.
struct Site {
    sim: SimServer,
    /// Ends in the prefix.
    url: String,
    service: Service,
}

impl Site {
    fn start() -> Self {
        Self::start_below("/services/insights/")
    }

    fn start_below(prefix: &str) -> Self {
        let sim = SimServer::start(people);
        let url = format!("http://127.0.0.1:{}{prefix}", free_port());
        register(&sim, &url, DEMO_TOKEN);
        let listen = Url::parse(&url).unwrap();
        let listen = format!("web.listen=127.0.0.1:{}", listen.port().unwrap());
        let callback = format!("login.callback_url={url}oauth_callback");
        let hub = format!("login.hub_url={}", sim.url);
        let client = "login.client_id=service-insights";
        let below = format!("web.prefix={prefix}");
        let settings = [listen.as_str(), &callback, &hub, client, &below];
        let arguments: Vec<&str> = settings.iter().flat_map(|set| ["--set", set]).collect();
        let mut service = Service::start(&sim.url, DEMO_TOKEN, &arguments);
        let own_port = Url::parse(&service.url).unwrap().join(prefix).unwrap();
        service.url = own_port.to_string();
        let site = Self { sim, url, service };
        site.service.until("everybody", |scrape| {
            scrape.family("jupyterhub_user_name_info").len() == 4
        });
        site
    }

    fn browser(&self) -> Browser<'_> {
        Browser::at(&self.sim.url)
    }

    fn at(&self, below: &str) -> Url {
        format!("{}{below}", self.url).parse().unwrap()
    }

    fn open(&self, browser: &mut Browser<'_>, below: &str) -> Step {
        browser.step(Method::GET, &self.at(below), None)
    }

    /// Asks for a page and says who one is; gives the way back to the service.
    fn to_callback(&self, browser: &mut Browser<'_>, below: &str, user: &str) -> Url {
        let away = self.open(browser, below);
        let mut login = away.location().unwrap();
        assert!(login.as_str().starts_with(&self.sim.url), "{login}");
        login.query_pairs_mut().append_pair("as", user);
        let back = browser.step(Method::GET, &login, None);
        let back = back
            .location()
            .unwrap_or_else(|| panic!("{}", back.shown().text));
        assert!(back.as_str().starts_with(&self.url), "{back}");
        back
    }

    /// Logs in on the way to this page, and shows it.
    fn log_in(&self, browser: &mut Browser<'_>, below: &str, user: &str) -> Shown {
        let back = self.to_callback(browser, below, user);
        let home = browser.step(Method::GET, &back, None);
        let home = home
            .location()
            .unwrap_or_else(|| panic!("{}", home.shown().text));
        browser.step(Method::GET, &home, None).shown()
    }

    /// Asks with these headers and no others.
    fn ask(&self, method: Method, below: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask_at(self.at(below), method, headers, body)
    }

    fn get(&self, below: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, below, headers, "")
    }
}

fn ask_at(url: Url, method: Method, headers: &[(&str, &str)], body: &str) -> Answer {
    block_on(async {
        let mut request = http().request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer {
            status,
            headers,
            text,
        }
    })
}

/// From now on the hub knows the service by this secret.
fn register(sim: &SimServer, url: &str, secret: &str) {
    sim.hub.register(ServiceClient {
        client_id: "service-insights".to_owned(),
        secret: Secret::new(secret),
        redirect_uri: format!("{url}oauth_callback"),
    });
}

fn people(world: &mut World) {
    for name in [ADMIN, OWNER, USER, STRANGER] {
        world.add_user(name);
    }
    world.user_mut(ADMIN).unwrap().admin = true;
    world.user_mut(STRANGER).unwrap().may_open_services = false;
    world.add_group("physics");
    world.add_member("physics", USER);
    let properties = &mut world.group_mut("physics").unwrap().properties;
    properties.insert("insights_owners".to_owned(), OWNER.into());
    world.start_server(USER, "", "2026-11-20T12:00:00Z".parse().unwrap());
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// No script of another one reads it.
    #[track_caller]
    fn is_for_its_own_origin(&self, url: &Url) {
        let names = self.headers.keys().map(reqwest::header::HeaderName::as_str);
        let cors: Vec<_> = names
            .filter(|name| name.starts_with("access-control-"))
            .collect();
        assert!(cors.is_empty(), "{url}: {} with {cors:?}", self.status);
    }

    /// Refuses, and says nothing of anybody.
    #[track_caller]
    fn refuses(&self, statuses: &[u16]) {
        assert!(
            statuses.contains(&self.status),
            "{}: {}",
            self.status,
            self.text
        );
        for name in [ADMIN, OWNER, "lynx", "physics"] {
            assert!(!self.text.contains(name), "{name}: {}", self.text);
        }
    }
}

/// The token that a page carries.
#[track_caller]
fn token_of(page: &Shown) -> String {
    let rest = page.text.split("name=\"page-token\" content=\"").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("no token in {}", page.text));
    rest.split('"').next().unwrap().to_owned()
}

fn round_trip() {
    let site = Site::start();
    let mut browser = site.browser();
    let away = site.open(&mut browser, "me?from=yesterday");
    assert_eq!(away.status(), 303);
    assert_eq!(away.header("cache-control"), "no-store");
    let attempt = away.header("set-cookie");
    for attribute in [
        "Path=/services/insights/;",
        "Max-Age=900;",
        "HttpOnly;",
        "SameSite=Lax",
    ] {
        assert!(attempt.contains(attribute), "{attempt}");
    }
    let login = away.location().unwrap();
    // The hub asks who it is, and runs nothing to find out.
    let asked = browser.step(Method::GET, &login, None);
    let policy = asked.header("content-security-policy").to_owned();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("script") && !policy.contains("unsafe"),
        "{policy}"
    );
    let asked = asked.shown();
    assert!(asked.text.contains("<title>Who are you?"), "{}", asked.text);
    assert!(asked.text.contains("owner of physics"), "{}", asked.text);
    assert!(
        !asked.text.contains("<i>") && !asked.text.contains("<script"),
        "{}",
        asked.text
    );
    // And who is chosen comes to the page that was asked for.
    let back = site.to_callback(&mut browser, "me?from=yesterday", USER);
    let home = browser.step(Method::GET, &back, None);
    let cookies = home.header("set-cookie");
    for attribute in ["Path=/services/insights/;", "HttpOnly;", "SameSite=Lax"] {
        assert!(cookies.contains(attribute), "{cookies}");
    }
    assert!(!cookies.contains("Max-Age"), "{cookies}");
    assert_eq!(home.location().unwrap(), site.at("me?from=yesterday"));
    let page = site.open(&mut browser, "me?from=yesterday").shown();
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("lynx&"), "{}", page.text);
    assert!(!page.text.contains(USER), "{}", page.text);
    // A code is good for one login.
    let again = browser.step(Method::GET, &back, None).shown();
    assert_eq!(again.status, 400, "{}", again.text);
    // Everybody sees what is theirs.
    let opened = |browser: &mut Browser<'_>, below| site.open(browser, below).status();
    assert_eq!(opened(&mut browser, "now"), 403);
    assert_eq!(opened(&mut browser, "groups"), 403);
    let mut owner = site.browser();
    assert_eq!(site.log_in(&mut owner, "groups", OWNER).status, 200);
    assert_eq!(opened(&mut owner, "now"), 403);
    let mut admin = site.browser();
    let page = site.log_in(&mut admin, "now", ADMIN);
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("lynx"), "{}", page.text);
    // Over https the cookie stays there.
    let back = site.to_callback(&mut admin, "login", ADMIN);
    let cookies = admin.cookies_for(&back);
    let below = back.as_str().strip_prefix(&site.url).unwrap();
    let proxied = site.get(
        below,
        &[("cookie", &cookies), ("x-forwarded-proto", "https,http")],
    );
    let mut set = proxied.headers.get_all("set-cookie").iter();
    assert!(
        set.any(|cookie| cookie.to_str().unwrap().ends_with("; Secure")),
        "{}",
        proxied.text
    );
}

fn forged() {
    let site = Site::start();
    let mut browser = site.browser();
    let back = site.to_callback(&mut browser, "me", USER);
    let cookies = browser.cookies_for(&back);
    let with = |changed: &[(&str, &str)], cookies: &str| {
        let mut url = back.clone();
        let pairs: Vec<(String, String)> = back.query_pairs().into_owned().collect();
        let changed = |name: &str| changed.iter().find(|(known, _)| *known == name);
        url.query_pairs_mut()
            .clear()
            .extend_pairs(pairs.into_iter().map(|(name, value)| {
                let value = changed(&name).map_or(value, |(_, new)| (*new).to_owned());
                (name, value)
            }));
        let below = url.as_str().strip_prefix(&site.url).unwrap();
        let answer = site.get(below, &[("cookie", cookies), ("accept", HTML)]);
        answer.refuses(&[400]);
        assert!(
            answer.text.contains("You are not logged in"),
            "{}",
            answer.text
        );
        let mut kept = answer.headers.get_all("set-cookie").iter();
        assert!(kept.all(|cookie| cookie.to_str().unwrap().contains("=; ")));
    };
    let state = back
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1;
    // As many letters, of which the first are right.
    let similar: String = state
        .chars()
        .take(12)
        .chain("A".repeat(31).chars())
        .collect();
    with(&[("state", "made-up")], &cookies);
    with(&[("state", &similar)], &cookies);
    with(&[("state", "")], &cookies);
    with(&[("code", "made-up")], &cookies);
    with(&[("code", "")], &cookies);
    // In another browser, also in one that logs in just now: somebody's link logs nobody in.
    with(&[], "");
    let mut other = site.browser();
    let theirs = site.to_callback(&mut other, "me", OWNER);
    with(&[], &other.cookies_for(&theirs));
    // The service has used nothing of it up.
    let home = browser.step(Method::GET, &back, None);
    assert_eq!(home.location().unwrap(), site.at("me"));
    for below in [
        "oauth_callback",
        "oauth_callback?error=access_denied",
        "oauth_callback?code=%00&state=%ff",
    ] {
        site.get(below, &[("accept", HTML)]).refuses(&[400]);
    }
    // A cookie that nobody was given is none.
    let name = cookie_name(&browser.cookies_for(&site.at("")));
    for id in ["", "made-up", "%00", "\"", &"A".repeat(43)] {
        let cookie = format!("{name}={id}");
        let head = [
            ("cookie", cookie.as_str()),
            ("accept", HTML),
            DOCUMENT,
            NAVIGATE,
        ];
        site.get("me", &head).refuses(&[303]);
        site.get("api/v1/me", &head[..1]).refuses(&[401, 403]);
    }
}

const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");

/// Of the session; attempts to log in have one each.
fn cookie_name(cookies: &str) -> String {
    let names = cookies.split("; ").filter_map(|pair| pair.split_once('='));
    let mut names = names.map(|(name, _)| name);
    let found = names.find(|name| name.starts_with("insights-") && !name.contains("-login-"));
    found
        .unwrap_or_else(|| panic!("no session in {cookies}"))
        .to_owned()
}

fn stolen_cookie() {
    let site = Site::start();
    let mut browser = site.browser();
    site.log_in(&mut browser, "now", ADMIN);
    let cookies = browser.cookies_for(&site.at("now"));
    let ask = |below: &str, rest: &[(&str, &str)]| {
        let mut headers = vec![("cookie", cookies.as_str()), ("accept", HTML)];
        headers.extend_from_slice(rest);
        site.get(below, &headers)
    };
    assert_eq!(ask("now", &[DOCUMENT, NAVIGATE]).status, 200);
    let script = |dest: &'static str| ("sec-fetch-dest", dest);
    let ways: [&[(&str, &str)]; 10] = [
        &[],
        &[script("empty"), ("sec-fetch-mode", "cors")],
        // A service worker of a user's server, which asks on the browser's behalf.
        &[script("empty"), NAVIGATE],
        &[
            DOCUMENT,
            NAVIGATE,
            ("service-worker-navigation-preload", "true"),
        ],
        &[script("iframe"), NAVIGATE],
        &[script("object"), NAVIGATE],
        &[DOCUMENT, ("sec-fetch-mode", "no-cors")],
        &[DOCUMENT],
        &[NAVIGATE],
        // A Referer proves nothing: scripts choose it.
        &[
            ("referer", site.url.as_str()),
            ("sec-fetch-site", "same-origin"),
        ],
    ];
    for below in [
        "",
        "now",
        "now/rows",
        "me",
        "api/v1/me",
        "api/v1/reports",
        "users",
    ] {
        for rest in ways {
            ask(below, rest).refuses(&[401, 403]);
        }
    }
}

fn page_token() {
    let site = Site::start();
    let mut browser = site.browser();
    let page = site.log_in(&mut browser, "now", ADMIN);
    let token = token_of(&page);
    let script = [
        ("origin", "null"),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "cross-site"),
    ];
    let ask = |below: &str, token: &str| {
        let mut headers = script.to_vec();
        headers.push(("x-insights-page", token));
        site.get(below, &headers)
    };
    let rows = ask("now/rows", &token);
    assert_eq!(rows.status, 200, "{}", rows.text);
    assert!(rows.text.contains("lynx"), "{}", rows.text);
    assert_eq!(rows.header("access-control-allow-origin"), "null");
    assert_eq!(rows.header("access-control-allow-credentials"), "");
    assert_eq!(rows.header("cache-control"), "no-store");
    let me = ask("api/v1/me", &token);
    assert_eq!(
        (me.status, me.header("cache-control")),
        (200, "no-store"),
        "{}",
        me.text
    );
    // The browser asks first whether it may send the header.
    let preflight = [
        ("origin", "null"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-insights-page"),
    ];
    let may = site.ask(Method::OPTIONS, "now/rows", &preflight, "");
    assert_eq!(
        (may.status, may.header("access-control-allow-headers")),
        (204, "x-insights-page")
    );
    assert_eq!(may.header("access-control-allow-origin"), "null");
    for wrong in ["", "made-up", "A", &"A".repeat(43), &token[1..]] {
        ask("now/rows", wrong).refuses(&[401, 403]);
    }
    // Neither is the cookie a token nor the token a cookie.
    let cookies = browser.cookies_for(&site.at("now"));
    let name = cookie_name(&cookies);
    let id = cookies
        .split("; ")
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    ask("now/rows", id.unwrap()).refuses(&[401, 403]);
    let cookie = format!("{name}={token}");
    let head = [
        ("cookie", cookie.as_str()),
        ("accept", HTML),
        DOCUMENT,
        NAVIGATE,
    ];
    site.get("now", &head).refuses(&[303]);
    // Nobody else's: with it one is who opened the page, and sees what they may.
    let mut other = site.browser();
    let theirs = token_of(&site.log_in(&mut other, "me", USER));
    assert!(theirs != token);
    ask("now/rows", &theirs).refuses(&[403]);
}

fn other_origins() {
    let site = Site::start();
    let mut browser = site.browser();
    let token = token_of(&site.log_in(&mut browser, "now", ADMIN));
    let own_port = Url::parse(&site.service.url).unwrap();
    let own_port = |below: &str| own_port.join(below).unwrap();
    let behind_the_hub = [
        "",
        "metrics",
        "health/live",
        "api/v1/me",
        "api/v1/sql",
        "users",
        "shares",
        "nothing",
    ];
    let on_its_own = [
        "",
        "metrics",
        "health",
        "api/v1/me",
        "api/v1/openapi.json",
        "now/rows",
        "me/share",
        "parts/overview",
        "nothing",
    ];
    let urls = behind_the_hub.iter().map(|below| site.at(below));
    for url in urls.chain(on_its_own.iter().map(|below| own_port(below))) {
        for token in ["x", &token] {
            for origin in ["null", "https://example.org"] {
                let head = [("origin", origin), ("x-insights-page", token)];
                let answer = ask_at(url.clone(), Method::GET, &head, "");
                answer.is_for_its_own_origin(&url);
            }
        }
        let preflight = [
            ("origin", "null"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "x-insights-page"),
        ];
        let may = ask_at(url.clone(), Method::OPTIONS, &preflight, "");
        may.is_for_its_own_origin(&url);
    }
    // There is something to read: metrics are open on their own port, and the token is good.
    let head = [("x-insights-page", token.as_str())];
    let metrics = ask_at(own_port("metrics"), Method::GET, &head, "");
    assert!(metrics.text.contains("lynx"), "{}", metrics.text);
    assert_eq!(site.get("api/v1/me", &head).status, 200);
    // Our own script reads why it gets no part.
    let head = [("origin", "null"), ("x-insights-page", "x")];
    let refused = site.get("now/rows", &head);
    refused.refuses(&[401, 403]);
    assert_eq!(refused.header("access-control-allow-origin"), "null");
}

fn forms() {
    let site = Site::start();
    let mut browser = site.browser();
    let page = site.log_in(&mut browser, "now", ADMIN);
    let token = token_of(&page);
    let cookies = browser.cookies_for(&site.at("logout"));
    let post = |headers: &[(&str, &str)], body: &str| {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let mut all = vec![
            kind,
            ("accept", HTML),
            ("origin", "null"),
            DOCUMENT,
            NAVIGATE,
        ];
        all.extend_from_slice(headers);
        site.ask(Method::POST, "logout", &all, body)
    };
    let cookie = [("cookie", cookies.as_str())];
    for body in ["", "page_token=", "page_token=made-up", "other=1"] {
        post(&[], body).refuses(&[303, 401, 403]);
        post(&cookie, body).refuses(&[303, 401, 403]);
    }
    assert_eq!(
        site.open(&mut browser, "now").status(),
        200,
        "still logged in"
    );
    // Without a cookie, as a sandboxed page sends its forms.
    let bye = post(&[], &format!("page_token={token}"));
    assert_eq!(bye.status, 200, "{}", bye.text);
    assert!(bye.text.contains("You are logged out here"), "{}", bye.text);
    assert!(
        bye.text.contains(&format!("{}hub/logout", site.sim.url)),
        "{}",
        bye.text
    );
    assert_eq!(site.open(&mut browser, "now").status(), 303);
    site.get("now/rows", &[("x-insights-page", &token)])
        .refuses(&[401, 403]);
}

fn stranger() {
    let site = Site::start();
    let mut browser = site.browser();
    let mut login = site.open(&mut browser, "me").location().unwrap();
    login.query_pairs_mut().append_pair("as", STRANGER);
    let refused = browser.step(Method::GET, &login, None);
    assert_eq!(
        (refused.status(), refused.header("content-type")),
        (403, "text/html")
    );
    let text = refused.shown().text;
    assert!(
        text.contains("do not have permission to access JupyterHub service insights"),
        "{text}"
    );
    assert_eq!(site.open(&mut browser, "me").status(), 303);
    // Whoever has lost the access since is not let in by what they have.
    let page = site.log_in(&mut browser, "me", USER);
    assert_eq!(page.status, 200, "{}", page.text);
}

fn hub_down() {
    let site = Site::start();
    let mut browser = site.browser();
    for down in ["/hub/api/oauth2/token", "/hub/api/user"] {
        let back = site.to_callback(&mut browser, "me", USER);
        site.sim
            .spoil(Arc::new(move |request: Request, next: Next| {
                Box::pin(async move {
                    if request.uri().path() == down {
                        return StatusCode::BAD_GATEWAY.into_response();
                    }
                    next.run(request).await
                })
            }));
        let answer = browser.step(Method::GET, &back, None);
        assert_eq!(answer.header("retry-after"), "5");
        let page = answer.shown();
        assert_eq!(page.status, 503, "{}", page.text);
        assert!(
            page.text.contains("The hub does not answer"),
            "{}",
            page.text
        );
        site.sim.stop_spoiling();
    }
    let page = site.log_in(&mut browser, "me", USER);
    assert_eq!(page.status, 200, "{}", page.text);
}

fn wrong_secret() {
    let site = Site::start();
    let check = || {
        let health = scrape(&format!("{}health", site.service.url), None).text;
        let health: Value = serde_json::from_str(&health).unwrap();
        let mut checks = health["checks"].as_array().unwrap().iter();
        checks.find(|check| check["name"] == "login").cloned()
    };
    assert_eq!(check(), None, "nobody has tried yet");
    register(&site.sim, &site.url, "the token of another service");
    let mut browser = site.browser();
    let back = site.to_callback(&mut browser, "me", USER);
    let page = browser.step(Method::GET, &back, None).shown();
    assert_eq!(page.status, 503, "{}", page.text);
    for told in [
        "Nobody can log in here yet",
        "does not know this service by its token",
    ] {
        assert!(page.text.contains(told), "{told}: {}", page.text);
    }
    let log = site.service.process.output();
    let (cause, remedy) = (
        "ERROR Nobody can log in: hub does not take the token as the secret of the OAuth client \
         `service-insights`",
        "`hub.token` has to be the `api_token` of the service",
    );
    let line = log.lines().find(|line| line.contains(cause));
    assert!(line.is_some_and(|line| line.contains(remedy)), "{log}");
    assert!(!log.contains(DEMO_TOKEN), "{log}");
    let failing = check().unwrap();
    assert_eq!(failing["status"], "fail");
    let reason = failing["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("nobody can log in: ") && reason.contains(remedy),
        "{reason}"
    );
    register(&site.sim, &site.url, DEMO_TOKEN);
    assert_eq!(site.log_in(&mut browser, "me", USER).status, 200);
    assert_eq!(check().unwrap()["status"], "ok");
}

fn again() {
    let site = Site::start();
    let mut browser = site.browser();
    let who = |token: &str| site.get("api/v1/me", &[("x-insights-page", token)]);
    let first = token_of(&site.log_in(&mut browser, "now", ADMIN));
    // Scripts of a user's server can begin a login, and are not let through it.
    let back = site.to_callback(&mut browser, "login", ADMIN);
    let below = back.as_str().strip_prefix(&site.url).unwrap();
    let cookies = browser.cookies_for(&back);
    for (dest, mode) in [
        ("empty", "cors"),
        ("empty", "navigate"),
        ("iframe", "navigate"),
    ] {
        let head = [
            ("cookie", cookies.as_str()),
            ("accept", HTML),
            ("sec-fetch-dest", dest),
            ("sec-fetch-mode", mode),
        ];
        let refused = site.get(below, &head);
        refused.refuses(&[400]);
        assert_eq!(refused.header("set-cookie"), "");
    }
    // A window can: the page that is open goes on.
    let second = token_of(&site.log_in(&mut browser, "login?next=/services/insights/now", ADMIN));
    assert!(first != second);
    for token in [&first, &second] {
        let me = who(token);
        assert_eq!(me.status, 200, "{}", me.text);
        assert!(me.text.contains(ADMIN), "{}", me.text);
    }
    // Somebody else at the same browser.
    let next = "login?next=/services/insights/me";
    let third = token_of(&site.log_in(&mut browser, next, USER));
    for token in [&first, &second] {
        who(token).refuses(&[401, 403]);
    }
    let fourth = token_of(&site.log_in(&mut browser, next, USER));
    let mut elsewhere = site.browser();
    let fifth = token_of(&site.log_in(&mut elsewhere, "me", USER));
    assert_eq!([who(&third).status, who(&fourth).status], [200, 200]);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let form = format!("page_token={fourth}");
    assert_eq!(
        site.ask(Method::POST, "logout", &[kind, ("accept", HTML)], &form)
            .status,
        200
    );
    for token in [&third, &fourth] {
        who(token).refuses(&[401, 403]);
    }
    assert_eq!(who(&fifth).status, 200);
}

fn elsewhere() {
    let site = Site::start();
    let comes_to = |next: &str| comes_to(&site, next);
    for next in [
        "",
        "https://example.org/",
        "//example.org/services/insights/",
        "///example.org/services/insights/",
        "/\\example.org/services/insights/",
        "\\\\example.org/services/insights/",
        "/\t/example.org/services/insights/",
        "javascript:alert(1)",
        "/user/mallory/",
        "/services/insightsx",
        "/services/insights/../../user/mallory/",
        "/services/insights/%2e%2e/%2E./user/mallory/",
        "/services/insights/..\\..\\user/mallory/",
        "/services/insights/.\t./.\n./user/mallory/",
        "/services/insights/@example.org\r\nset-cookie: a=b/../../../x",
    ] {
        assert_eq!(comes_to(next), site.at(""), "{next:?}");
    }
    // Where all addresses are ours, those of other hosts are not.
    let root = Site::start_below("/");
    for next in [
        "/.//example.org/",
        "/..//example.org/",
        "/me/..//example.org/",
        "/.\\\\example.org/",
        "/%2e//example.org/",
        "/.///example.org/",
        "//example.org/",
    ] {
        assert_eq!(self::comes_to(&root, next), root.at(""), "{next:?}");
    }
    let inner = "me?a=//b";
    assert_eq!(self::comes_to(&root, &format!("/{inner}")), root.at(inner));
    for below in [
        "me",
        "reports/sessions?from=yesterday&group=a%2Fb#x",
        "groups/one?name=caf%C3%A9",
    ] {
        let (path, _) = below.split_once('#').unwrap_or((below, ""));
        assert_eq!(
            comes_to(&format!("/services/insights/{below}")),
            site.at(path)
        );
    }
}

fn comes_to(site: &Site, next: &str) -> Url {
    let mut browser = site.browser();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let below = format!("login?{}", query.append_pair("next", next).finish());
    let back = site.to_callback(&mut browser, &below, USER);
    browser.step(Method::GET, &back, None).location().unwrap()
}

fn made_up_logins() {
    let site = Site::start();
    let mut browser = site.browser();
    let back = site.to_callback(&mut browser, "me", USER);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    site.sim
        .spoil(Arc::new(move |request: Request, next: Next| {
            if request.uri().path() == "/hub/api/oauth2/token" {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            Box::pin(next.run(request))
        }));
    // Whoever is told what the cookie is called makes one of their own.
    let cookies = browser.cookies_for(&back);
    let (name, _) = cookies.split_once('=').unwrap();
    let (name, _) = name.rsplit_once('-').unwrap();
    let cookie = format!("{name}-madeup=madeup.verifier.bWU");
    let head = [("cookie", cookie.as_str()), ("accept", HTML)];
    let begun = Instant::now();
    let refused = (0..5_000).find_map(|n| {
        let answer = site.get(&format!("oauth_callback?code={n}&state=madeup"), &head);
        answer.refuses(&[400, 503]);
        (answer.status == 503).then_some(answer)
    });
    let refused = refused.expect("made-up logins reach the hub without end");
    let told = "Many people log in at this moment";
    assert!(refused.text.contains(told), "{}", refused.text);
    assert_eq!(refused.header("retry-after"), "5");
    let allowed = 101 + 10 * usize::try_from(begun.elapsed().as_secs() + 1).unwrap();
    let asked = asked.load(Ordering::SeqCst);
    assert!((100..=allowed).contains(&asked), "{asked} of {allowed}");
    // Who was on the way before comes in by loading the page again.
    let browser = RefCell::new(browser);
    let home = until("a login after the flood", || {
        let step = browser.borrow_mut().step(Method::GET, &back, None);
        step.location()
    });
    assert_eq!(home.unwrap(), site.at("me"));
}

fn long_addresses() {
    let site = Site::start();
    let mut browser = site.browser();
    let long = "a%22".repeat(2_500);
    for below in [
        format!("me?{long}"),
        format!("login?next=/services/insights/me?{long}"),
    ] {
        let away = site.open(&mut browser, &below);
        assert_eq!(away.status(), 303);
        let cookie = away.header("set-cookie").len();
        assert!(cookie < 2_500, "{cookie}");
        assert!(away.header("location").len() < 1_000);
    }
    for below in [
        format!("oauth_callback?code={long}&state={long}"),
        format!("oauth_callback?{long}"),
    ] {
        site.get(&below, &[("accept", HTML)]).refuses(&[400]);
    }
    let back = site.to_callback(&mut browser, &format!("me?{long}"), USER);
    let home = browser.step(Method::GET, &back, None).location().unwrap();
    assert_eq!(home, site.at(""));
    for (below, status) in [("me", 200), ("reports", 200), ("nothing", 404)] {
        let page = site
            .open(&mut browser, &format!("{below}?x={long}"))
            .shown();
        assert!(
            page.status == status || page.status == 400,
            "{below}: {}",
            page.status
        );
        assert!(page.text.contains("<html"), "{below}: {}", page.text);
    }
}

fn two_services() {
    let (one, two) = (Site::start(), Site::start());
    let mut browser = one.browser();
    assert_eq!(one.log_in(&mut browser, "me", USER).status, 200);
    // A browser keeps cookies by host and path, whatever the port.
    assert_eq!(two.open(&mut browser, "me").status(), 303);
    assert_eq!(two.log_in(&mut browser, "now", ADMIN).status, 200);
    assert_eq!(one.open(&mut browser, "now").status(), 403);
    assert_eq!(one.open(&mut browser, "me").status(), 200);
    let cookies = browser.cookies_for(&one.at("me"));
    let is_session = |pair: &&str| pair.starts_with("insights-") && !pair.contains("-login-");
    let ids: Vec<&str> = cookies.split("; ").filter(is_session).collect();
    assert_eq!(ids.len(), 2, "{cookies}");
    // Nor does what others have set at the same host disturb.
    let crowd = format!("insights-00000000=x; insights-=; a; =; ;{cookies}; _xsrf=\"a=b\"");
    let head = [
        ("cookie", crowd.as_str()),
        ("accept", HTML),
        DOCUMENT,
        NAVIGATE,
    ];
    assert_eq!(one.get("me", &head).status, 200);
    let swapped = cookies.replace(&cookie_name(ids[0]), "insights-00000000");
    let head = [
        ("cookie", swapped.as_str()),
        ("accept", HTML),
        DOCUMENT,
        NAVIGATE,
    ];
    let answers = [one.get("me", &head).status, two.get("me", &head).status];
    assert!(
        answers == [303, 200] || answers == [200, 303],
        "{answers:?}"
    );
}
