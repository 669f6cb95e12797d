//! What the service relies on in a hub's REST API, asked of the simulated hub and of real ones
//! alike, so that the simulated one cannot drift into a hub that does not exist.
//!
//! A hub under test has the services of [`TOKENS`], named servers, default page limits and
//! nobody in it; [`check`] fills it through the API. What differs between the series 4, 5 and 6
//! of JupyterHub is said where it is checked. How a hub is started does not belong here.

mod oauth;

use crate::support::{HubOptions, RealHub, SimServer, block_on, http};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
    ("the_simulated_hub_answers_as_a_hub_does", simulated),
    ("a_hub_of_6_answers_as_the_simulated_one_does", || {
        real("6.1", Series::V6, "/");
    }),
    ("a_hub_of_5_answers_as_the_simulated_one_does", || {
        real("5", Series::V5, "/team/jupyter/");
    }),
    ("a_hub_of_4_answers_as_the_simulated_one_does", || {
        real("4", Series::V4, "/");
    }),
];

fn simulated() {
    let sim = SimServer::start(|world| {
        world.set_now("2026-11-20T12:00:00Z".parse().expect("a time"));
        for service in TOKENS {
            world.add_token(service.token, service.name, service.scopes);
        }
    });
    block_on(check(http().clone(), &sim.url, Series::V6));
    oauth::check(&oauth::Door::simulated(&sim), Series::V6);
}

fn real(version: &'static str, series: Series, base_url: &'static str) {
    let mut services = external_tokens();
    oauth::add_clients(&mut services);
    let hub = RealHub::start(HubOptions {
        base_url,
        service: None,
        variables: vec![
            ("EXTERNAL_TOKENS", services.to_string()),
            ("SERVICES_OF_ALL", json!([oauth::OPEN]).to_string()),
            // Whoever was added over the API may log in; hubs of 4 let everybody in.
            (
                "HUB_CONFIG",
                json!({"Authenticator": {"allow_all": true}}).to_string(),
            ),
        ],
        ..HubOptions::new(version, json!({}))
    });
    block_on(check(http().clone(), &hub.url, series));
    oauth::check(&oauth::Door::Real(&hub), series);
}

/// A series of JupyterHub with its known differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Series {
    V4,
    V5,
    V6,
}

/// A service of the hub under test, which the hub does not start.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) token: &'static str,
    pub(crate) scopes: &'static [&'static str],
}

/// What the service of this project asks for.
const READER: Service = Service {
    name: "reader",
    token: "reader-0123456789abcdef",
    scopes: &[
        "list:users",
        "read:users:groups",
        "read:users:activity",
        "read:servers",
        "list:groups",
        "read:groups",
        "read:metrics",
        "read:hub",
    ],
};
const NAMES: Service = Service {
    name: "names",
    token: "names-0123456789abcdef",
    scopes: &["list:users", "list:groups"],
};
/// Sees one group only.
const PHYSICS: Service = Service {
    name: "physics",
    token: "physics-0123456789abcdef",
    scopes: &[
        "list:users!group=physics",
        "read:users:groups!group=physics",
        "list:groups!group=physics",
        "read:groups!group=physics",
    ],
};
const ADMIN: Service = Service {
    name: "admin",
    token: "admin-0123456789abcdef",
    scopes: &["admin:users", "admin:groups", "admin:servers"],
};
const UNKNOWN: Service = Service {
    name: "unknown",
    token: "unknown-0123456789abcdef",
    scopes: &[],
};
/// Sends no token at all.
const NOBODY: Service = Service {
    name: "nobody",
    token: "",
    scopes: &[],
};

/// The services that the hub under test must know, with exactly these tokens and scopes.
pub(crate) const TOKENS: &[Service] = &[READER, NAMES, PHYSICS, ADMIN];

/// [`TOKENS`] as the `EXTERNAL_TOKENS` of `hub_config/jupyterhub_config.py`.
pub(crate) fn external_tokens() -> Value {
    let services = TOKENS.iter().map(|service| {
        let value = json!({"token": service.token, "scopes": service.scopes});
        (service.name.to_owned(), value)
    });
    Value::Object(services.collect())
}

const PAGES: &str = "application/jupyterhub-pagination+json";
const GROUPS: &[&str] = &[
    "physics",
    "chemistry",
    "team/alpha beta",
    "empty-group",
    "café",
];
const N_USERS: usize = 60;

/// Longest wait for a real server to start or stop.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs all assertions against the hub at `base_url`, e.g. `http://127.0.0.1:8000/`.
///
/// Panics with the request that was not answered as expected.
pub(crate) async fn check(client: Client, base_url: &str, series: Series) {
    let hub = Hub {
        client,
        base_url: base_url.to_owned(),
        series,
    };
    hub.fill().await;
    root_health_and_info(&hub).await;
    refusals(&hub).await;
    groups(&hub).await;
    users(&hub).await;
    pages(&hub).await;
    sorted_and_filtered_users(&hub).await;
    fields_by_scope(&hub).await;
    filtered_scopes(&hub).await;
    entity_tags(&hub).await;
    whoami(&hub).await;
    metrics(&hub).await;
    edits(&hub).await;
    lists_longer_than_a_page(&hub).await;
    servers(&hub).await;
}

struct Hub {
    client: Client,
    base_url: String,
    series: Series,
}

/// What came back, with the request for the message of a failed assertion.
struct Reply {
    request: String,
    status: u16,
    headers: HeaderMap,
    text: String,
    /// Null if the body is not JSON.
    body: Value,
}

impl Hub {
    async fn send(&self, method: Method, service: &Service, path: &str, rest: Rest<'_>) -> Reply {
        let request = format!("{method} {path} as {}", service.name);
        let url = format!("{}hub{path}", self.base_url);
        let mut builder = self
            .client
            .request(method, url)
            .header("Accept", rest.accept);
        if !service.token.is_empty() {
            builder = builder.header("Authorization", format!("token {}", service.token));
        }
        if let Some(tag) = rest.if_none_match {
            builder = builder.header("If-None-Match", tag);
        }
        if let Some(body) = rest.body {
            builder = builder.json(body);
        }
        let response = builder.send().await.expect("the hub answers");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("the reply is text");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Reply {
            request,
            status,
            headers,
            text,
            body,
        }
    }

    async fn get(&self, service: &Service, path: &str) -> Reply {
        let path = format!("/api{path}");
        self.send(Method::GET, service, &path, Rest::default())
            .await
    }

    async fn page(&self, service: &Service, path: &str) -> Reply {
        let path = format!("/api{path}");
        self.send(
            Method::GET,
            service,
            &path,
            Rest {
                accept: PAGES,
                ..Rest::default()
            },
        )
        .await
    }

    /// As the administrator; `line` is a method and a path.
    async fn edit(&self, line: &str, body: Value) -> Reply {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let method = method.parse().expect("a method");
        let body = Some(&body).filter(|body| !body.is_null());
        let path = format!("/api{path}");
        self.send(
            method,
            &ADMIN,
            &path,
            Rest {
                body,
                ..Rest::default()
            },
        )
        .await
    }

    /// The message of an error that the hub has nothing to say about.
    fn standard(&self, status: StatusCode) -> Value {
        match self.series {
            Series::V4 | Series::V5 => json!(status.canonical_reason()),
            Series::V6 => Value::Null,
        }
    }

    /// `/`, or where the hub is mounted.
    fn path(&self) -> &str {
        let after_scheme = self.base_url.split_once("://").expect("a URL").1;
        &after_scheme[after_scheme.find('/').expect("a slash at the end")..]
    }

    async fn fill(&self) {
        let users: Vec<String> = (0..N_USERS).map(user).collect();
        self.edit("POST /users", json!({"usernames": users}))
            .await
            .is(201);
        for group in GROUPS {
            let line = format!("POST /groups/{}", escape(group));
            self.edit(&line, json!({"users": members(group)}))
                .await
                .is(201);
        }
    }
}

/// What a request has besides method, path and token.
#[derive(Clone, Copy)]
struct Rest<'a> {
    accept: &'a str,
    if_none_match: Option<&'a str>,
    body: Option<&'a Value>,
}

impl Default for Rest<'_> {
    fn default() -> Self {
        Self {
            accept: "*/*",
            if_none_match: None,
            body: None,
        }
    }
}

impl Reply {
    #[track_caller]
    fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}: {}", self.request, self.text);
        self
    }

    /// An error of the API: JSON with exactly status and message.
    #[track_caller]
    fn refuses(&self, status: u16, message: impl Into<Value>) {
        let body = json!({"status": status, "message": message.into()});
        assert_eq!(self.is(status).body, body, "{}", self.request);
        assert_eq!(
            self.header("content-type"),
            "application/json",
            "{}",
            self.request
        );
        assert_eq!(
            self.header("etag"),
            "",
            "{}: errors have no tag",
            self.request
        );
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("plain text"))
    }

    /// The items of a page, or the bare list.
    #[track_caller]
    fn items(&self) -> &Vec<Value> {
        let items = self.body.get("items").unwrap_or(&self.body);
        items
            .as_array()
            .unwrap_or_else(|| panic!("{}: no list in {}", self.request, self.text))
    }

    #[track_caller]
    fn names(&self) -> Vec<&str> {
        self.items()
            .iter()
            .map(|item| item["name"].as_str().expect("a name"))
            .collect()
    }

    #[track_caller]
    fn item(&self, name: &str) -> &Value {
        let item = self.items().iter().find(|item| item["name"] == name);
        item.unwrap_or_else(|| panic!("{}: no {name} in {}", self.request, self.text))
    }

    /// Offset, limit, total, and offset of the next page.
    #[track_caller]
    fn numbers(&self) -> [Option<u64>; 4] {
        let page = &self.is(200).body["_pagination"];
        assert_eq!(keys(page), "limit next offset total", "{}", self.request);
        let next = &page["next"];
        [
            &page["offset"],
            &page["limit"],
            &page["total"],
            &next["offset"],
        ]
        .map(Value::as_u64)
    }
}

fn user(number: usize) -> String {
    format!("u{number:02}")
}

fn members(group: &str) -> Vec<String> {
    let range = match group {
        "physics" => 0..30,
        "chemistry" => 20..45,
        "team/alpha beta" => 50..55,
        "café" => 1..3,
        _ => 0..0,
    };
    range.map(user).collect()
}

/// As one segment of a path.
fn escape(name: &str) -> String {
    name.replace('/', "%2F")
        .replace(' ', "%20")
        .replace('é', "%C3%A9")
}

/// Keys of an object, sorted.
#[track_caller]
fn keys(value: &Value) -> String {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {value}"));
    object
        .keys()
        .map(String::as_str)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Texts of a list, sorted: a hub gives members and groups in no certain order.
#[track_caller]
fn sorted(value: &Value) -> Vec<&str> {
    let list = value
        .as_array()
        .unwrap_or_else(|| panic!("not a list: {value}"));
    let mut texts: Vec<&str> = list
        .iter()
        .map(|text| text.as_str().expect("text"))
        .collect();
    texts.sort_unstable();
    texts
}

/// `2026-11-20T21:47:09.997214Z`; the fraction is absent once in a million times.
#[track_caller]
fn assert_time(value: &Value) {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("not a time: {value}"));
    let is_long = text.len() == 27 && text.as_bytes()[19] == b'.';
    assert!(is_long || text.len() == 20, "{text}");
    assert!(
        text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
        "{text}"
    );
}

async fn root_health_and_info(hub: &Hub) {
    for path in ["", "/"] {
        let reply = hub.get(&NOBODY, path).await;
        assert_eq!(keys(&reply.is(200).body), "version");
        let version = reply.body["version"].as_str().expect("a version");
        let series = match hub.series {
            Series::V4 => "4.",
            Series::V5 => "5.",
            Series::V6 => "6.",
        };
        assert!(version.starts_with(series), "{version}");
        assert_eq!(reply.header("x-jupyterhub-version"), version);
    }
    for path in ["/health", "/api/health"] {
        let reply = hub.send(Method::GET, &NOBODY, path, Rest::default()).await;
        assert_eq!(reply.is(200).text, "");
        assert_eq!(reply.header("content-type"), "text/html");
        hub.send(Method::HEAD, &NOBODY, path, Rest::default())
            .await
            .is(200);
    }
    let info = hub.get(&READER, "/info").await;
    assert_eq!(
        keys(&info.is(200).body),
        "authenticator python spawner sys_executable version"
    );
    assert_eq!(keys(&info.body["spawner"]), "class version");
}

async fn refusals(hub: &Hub) {
    let no_credentials = "Missing or invalid credentials.";
    for path in [
        "/users",
        "/users/u01",
        "/groups",
        "/groups/physics",
        "/info",
        "/users/ghost",
    ] {
        for service in [&NOBODY, &UNKNOWN] {
            hub.get(service, path).await.refuses(403, no_credentials);
        }
    }
    let forbidden = hub.standard(StatusCode::FORBIDDEN);
    hub.get(&NOBODY, "/user").await.refuses(403, forbidden);
    let message = "Action is not authorized with current scopes; requires any of [read:hub]";
    hub.get(&NAMES, "/info").await.refuses(403, message);
    let integers = "Invalid argument type, offset and limit must be integers";
    for path in ["/users?limit=many", "/groups?offset=1.5", "/users?limit="] {
        hub.get(&READER, path).await.refuses(400, integers);
    }
    let state = "Unrecognized state filter: 'bogus'";
    hub.get(&READER, "/users?state=bogus")
        .await
        .refuses(400, state);
    let not_found = hub.standard(StatusCode::NOT_FOUND);
    for path in ["/users/ghost", "/nothing-here", "/groups/physics/nothing"] {
        hub.get(&READER, path).await.refuses(404, not_found.clone());
    }
    hub.get(&READER, "/groups/no-such")
        .await
        .refuses(404, "No such group: no-such");
    let method = hub.standard(StatusCode::METHOD_NOT_ALLOWED);
    hub.send(Method::PUT, &READER, "/api/groups", Rest::default())
        .await
        .refuses(405, method);
    hub.send(Method::HEAD, &READER, "/api/groups", Rest::default())
        .await
        .is(405);
}

async fn groups(hub: &Hub) {
    let reply = hub.get(&READER, "/groups").await;
    assert_eq!(reply.is(200).names(), GROUPS, "in the order of their ids");
    assert_eq!(reply.header("content-type"), "application/json");
    for name in GROUPS {
        let one = hub.get(&READER, &format!("/groups/{}", escape(name))).await;
        for group in [reply.item(name), &one.is(200).body] {
            assert_eq!(keys(group), "kind name properties users");
            assert_eq!(group["kind"], "group");
            assert_eq!(group["name"], *name);
            assert_eq!(sorted(&group["users"]), members(name), "{name}");
            assert_eq!(group["properties"], json!({}));
        }
    }
    let names_only = hub.get(&NAMES, "/groups").await;
    assert_eq!(names_only.is(200).names(), GROUPS);
    assert!(
        names_only
            .items()
            .iter()
            .all(|group| keys(group) == "kind name")
    );
    let with_roles = hub.get(&ADMIN, "/groups/physics").await;
    assert_eq!(
        keys(&with_roles.is(200).body),
        "kind name properties roles users"
    );
}

async fn users(hub: &Hub) {
    let reply = hub.get(&READER, "/users").await;
    let all: Vec<String> = (0..N_USERS).map(user).collect();
    assert_eq!(reply.is(200).names(), all, "in the order of their ids");
    for (name, groups) in [
        ("u00", vec!["physics"]),
        ("u01", vec!["café", "physics"]),
        ("u25", vec!["chemistry", "physics"]),
        ("u50", vec!["team/alpha beta"]),
        ("u59", vec![]),
    ] {
        let one = hub.get(&READER, &format!("/users/{name}")).await;
        for user in [reply.item(name), &one.is(200).body] {
            assert_eq!(sorted(&user["groups"]), groups, "{name}");
            assert_eq!(user["kind"], "user");
            assert_eq!(user["admin"], false);
            assert_eq!(user["servers"], json!({}), "{name} has no server");
            assert_eq!(user["last_activity"], Value::Null, "{name} was never seen");
        }
    }
}

async fn pages(hub: &Hub) {
    let page = hub.page(&READER, "/users?limit=5").await;
    assert_eq!(page.numbers(), [Some(0), Some(5), Some(60), Some(5)]);
    assert_eq!(page.names(), ["u00", "u01", "u02", "u03", "u04"]);
    let next = &page.body["_pagination"]["next"];
    let url = format!("{}hub/api/users?limit=5&offset=5", hub.base_url);
    assert_eq!(*next, json!({"offset": 5, "limit": 5, "url": url}));
    let last = hub.page(&READER, "/users?offset=57&limit=5").await;
    assert_eq!(last.numbers(), [Some(57), Some(5), Some(60), None]);
    assert_eq!(last.names(), ["u57", "u58", "u59"]);
    for (query, numbers) in [
        ("", [Some(0), Some(50), Some(60), Some(50)]),
        ("?offset=60", [Some(60), Some(50), Some(60), None]),
        ("?limit=1000", [Some(0), Some(200), Some(60), None]),
        ("?limit=0", [Some(0), Some(1), Some(60), Some(1)]),
        ("?limit=-3&offset=-2", [Some(2), Some(3), Some(60), Some(5)]),
    ] {
        assert_eq!(
            hub.page(&READER, &format!("/users{query}")).await.numbers(),
            numbers,
            "{query}"
        );
    }
    let groups = hub.page(&READER, "/groups?limit=2&offset=1").await;
    assert_eq!(groups.numbers(), [Some(1), Some(2), Some(5), Some(3)]);
    assert_eq!(groups.names(), GROUPS[1..3]);
    let accept = format!("{PAGES}, */*");
    let rest = Rest {
        accept: &accept,
        ..Rest::default()
    };
    let page = hub.send(Method::GET, &READER, "/api/groups", rest).await;
    assert_eq!(page.numbers(), [Some(0), Some(50), Some(5), None]);
    let bare = hub.get(&READER, "/users?limit=2&offset=4").await;
    assert!(bare.is(200).body.is_array());
    assert_eq!(bare.names(), ["u04", "u05"]);
}

async fn sorted_and_filtered_users(hub: &Hub) {
    let page = hub.page(&READER, "/users?name_filter=U1&limit=3").await;
    assert_eq!(page.numbers(), [Some(0), Some(3), Some(10), Some(3)]);
    assert_eq!(page.names(), ["u10", "u11", "u12"]);
    let backwards = hub.page(&READER, "/users?sort=-id&limit=2").await;
    let bad = hub.get(&READER, "/users?sort=created").await;
    if hub.series == Series::V4 {
        assert_eq!(
            backwards.is(200).names(),
            ["u00", "u01"],
            "4.x does not sort"
        );
        bad.is(200);
        return;
    }
    assert_eq!(backwards.is(200).names(), ["u59", "u58"]);
    bad.refuses(
        400,
        "sort must be 'id', 'name', or 'last_activity', not 'created'",
    );
    let by_name = hub.page(&READER, "/users?sort=-name&limit=2").await;
    assert_eq!(by_name.is(200).names(), ["u59", "u58"]);
}

async fn fields_by_scope(hub: &Hub) {
    let since_6 = |keys: &str| match hub.series {
        Series::V4 | Series::V5 => keys.replace(" user_info", ""),
        Series::V6 => keys.to_owned(),
    };
    for (service, expected) in [
        (
            &READER,
            "admin groups kind last_activity name servers user_info",
        ),
        (&NAMES, "admin kind name user_info"),
        (
            &ADMIN,
            "admin auth_state created groups kind last_activity name pending roles server servers \
             user_info",
        ),
    ] {
        let list = hub.page(service, "/users?limit=3").await;
        let one = hub.get(service, "/users/u01").await;
        for user in list.is(200).items().iter().chain([&one.is(200).body]) {
            assert_eq!(keys(user), since_6(expected), "{}", service.name);
        }
    }
    let user = hub.get(&ADMIN, "/users/u01").await.body;
    assert_time(&user["created"]);
    assert_eq!(user["roles"], json!(["user"]));
    assert!(user["server"].is_null() && user["pending"].is_null() && user["auth_state"].is_null());
}

async fn filtered_scopes(hub: &Hub) {
    let out_of_reach = "No access to resources or resources not found";
    for path in [
        "/users/u59",
        "/users/ghost",
        "/groups/chemistry",
        "/groups/no-such",
    ] {
        hub.get(&PHYSICS, path).await.refuses(404, out_of_reach);
    }
    let user = hub.get(&PHYSICS, "/users/u25").await;
    assert_eq!(
        sorted(&user.is(200).body["groups"]),
        ["chemistry", "physics"]
    );
    let users = hub.page(&PHYSICS, "/users?limit=2").await;
    assert_eq!(users.numbers(), [Some(0), Some(2), Some(30), Some(2)]);
    let groups = hub.page(&PHYSICS, "/groups").await;
    assert_eq!(groups.is(200).names(), ["physics"]);
    assert_eq!(sorted(&groups.items()[0]["users"]), members("physics"));
}

async fn entity_tags(hub: &Hub) {
    for path in ["/groups", "/groups/physics", "/users", "/info", "/"] {
        let reply = hub.get(&READER, path).await;
        let tag = reply.is(200).header("etag").to_owned();
        let is_hash = tag.len() == 42 && tag.starts_with('"') && tag.ends_with('"');
        assert!(is_hash, "{path}: {tag}");
        for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let path = format!("/api{path}");
            let rest = Rest {
                if_none_match: Some(&known),
                ..Rest::default()
            };
            let reply = hub.send(Method::GET, &READER, &path, rest).await;
            assert_eq!(reply.is(304).text, "", "{known}");
            assert_eq!(reply.header("etag"), tag);
            assert_eq!(reply.header("content-type"), "");
        }
        let rest = Rest {
            if_none_match: Some("\"other\""),
            ..Rest::default()
        };
        hub.send(Method::GET, &READER, &format!("/api{path}"), rest)
            .await
            .is(200);
    }
}

async fn whoami(hub: &Hub) {
    let reply = hub.get(&READER, "/user").await;
    let expected = match hub.series {
        Series::V4 => "admin kind name scopes session_id",
        Series::V5 | Series::V6 => "admin kind name scopes session_id token_id",
    };
    assert_eq!(keys(&reply.is(200).body), expected);
    assert_eq!(reply.body["kind"], "service");
    assert_eq!(reply.body["name"], "reader");
    assert_eq!(reply.body["session_id"], Value::Null);
    let mut scopes = READER.scopes.to_vec();
    scopes.extend(["read:groups:name", "read:users:name"]);
    scopes.sort_unstable();
    assert_eq!(reply.body["scopes"], json!(scopes), "in this order");
    let url = format!("{}hub/api/user", hub.base_url);
    for kind in ["Bearer", "bearer", "TOKEN"] {
        let mut header: HeaderValue = format!("{kind} {}", READER.token)
            .parse()
            .expect("a header");
        header.set_sensitive(true);
        let request = hub.client.get(&url).header("Authorization", header);
        let response = request.send().await.expect("the hub answers");
        assert_eq!(response.status(), StatusCode::OK, "{kind}");
    }
}

async fn metrics(hub: &Hub) {
    for path in ["/metrics", "/api/metrics"] {
        for service in [&NOBODY, &NAMES] {
            let reply = hub.send(Method::GET, service, path, Rest::default()).await;
            assert_eq!(reply.is(403).header("content-type"), "text/html");
            assert!(reply.text.contains("<html"), "{path}");
        }
        let reply = hub.send(Method::GET, &READER, path, Rest::default()).await;
        let content_type = reply.is(200).header("content-type");
        assert!(
            content_type.starts_with("text/plain; version="),
            "{content_type}"
        );
        for (family, kind, since) in FAMILIES {
            let head = format!("# TYPE jupyterhub_{family} {kind}");
            let has_head = reply.text.lines().any(|line| line == head);
            assert_eq!(has_head, hub.series >= *since, "{path}: {head}");
        }
        assert!(
            reply
                .text
                .lines()
                .any(|line| line == "jupyterhub_total_users 60.0"),
            "{path}"
        );
        let labels = match hub.series {
            Series::V4 | Series::V5 => r#"{le="0.5",status="success"}"#,
            Series::V6 => r#"{le="0.5",reason="",status="success"}"#,
        };
        let bucket = format!("jupyterhub_server_spawn_duration_seconds_bucket{labels}");
        assert!(reply.text.contains(&bucket), "{path}: {bucket}");
        if hub.series >= Series::V5 {
            let bucket = r#"jupyterhub_event_loop_interval_seconds_bucket{le="+Inf"}"#;
            assert!(reply.text.contains(bucket), "{path}: {bucket}");
        }
    }
    let [started, again] = [
        number(hub, "process_start_time_seconds").await,
        number(hub, "process_start_time_seconds").await,
    ];
    assert!((started - again).abs() < f64::EPSILON, "one process");
    assert!(started > 1e9, "a time of this century: {started}");
    // It is there before the first stop.
    assert!(n_stops(hub).await >= 0.0);
}

/// The value of the line of the hub's metrics that begins so.
async fn number(hub: &Hub, name: &str) -> f64 {
    let reply = hub
        .send(Method::GET, &READER, "/metrics", Rest::default())
        .await;
    let mut lines = reply.is(200).text.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no {name} in {}", reply.text));
    line.parse().expect("a number")
}

/// Stops of servers through the hub.
async fn n_stops(hub: &Hub) -> f64 {
    number(
        hub,
        r#"jupyterhub_server_stop_seconds_count{status="success"}"#,
    )
    .await
}

/// Families of the hub's own metrics, their type, and the first series that has them.
const FAMILIES: &[(&str, &str, Series)] = &[
    ("running_servers", "gauge", Series::V4),
    ("total_users", "gauge", Series::V4),
    ("active_users", "gauge", Series::V4),
    ("request_duration_seconds", "histogram", Series::V4),
    ("server_spawn_duration_seconds", "histogram", Series::V4),
    ("server_stop_seconds", "histogram", Series::V4),
    ("server_poll_duration_seconds", "histogram", Series::V4),
    ("proxy_add_duration_seconds", "histogram", Series::V4),
    ("proxy_delete_duration_seconds", "histogram", Series::V4),
    ("proxy_poll_duration_seconds", "histogram", Series::V4),
    ("check_routes_duration_seconds", "histogram", Series::V4),
    ("hub_startup_duration_seconds", "histogram", Series::V4),
    ("init_spawners_duration_seconds", "histogram", Series::V4),
    ("event_loop_interval_seconds", "histogram", Series::V5),
    ("login_duration_seconds", "histogram", Series::V6),
    ("logout_duration_seconds", "histogram", Series::V6),
    ("csp_reports_total", "counter", Series::V6),
];

/// Leaves the hub as it was.
async fn edits(hub: &Hub) {
    let one = |name: &str| json!({"users": [name]});
    for (line, body, status) in [
        ("POST /users", json!({"usernames": ["u00", "x1"]}), 201),
        ("POST /users", json!({"usernames": ["u00", "x1"]}), 409),
        ("POST /users", json!({}), 400),
        ("POST /users/x2", Value::Null, 201),
        ("POST /users/x2", Value::Null, 409),
        ("POST /groups/lab%2F1", one("x1"), 201),
        ("POST /groups/lab%2F1", Value::Null, 409),
        ("POST /groups/lab%2F1/users", one("x2"), 200),
        ("POST /groups/lab%2F1/users", one("x2"), 200),
        ("POST /groups/lab%2F1/users", one("ghost"), 400),
        ("POST /groups/lab%2F1/users", json!({}), 400),
        ("POST /groups/no-such/users", one("x2"), 404),
        ("DELETE /users/x1", Value::Null, 204),
        ("DELETE /users/x1", Value::Null, 404),
    ] {
        hub.edit(line, body).await.is(status);
    }
    let group = hub.get(&READER, "/groups/lab%2F1").await;
    assert_eq!(
        group.is(200).body["users"],
        json!(["x2"]),
        "the removed user left the group"
    );
    let unknown = hub.edit("POST /groups/lab%2F1/users", one("ghost")).await;
    unknown.refuses(400, "No such user: ghost");
    let known = hub.edit("POST /users/x2", Value::Null).await;
    known.refuses(409, "User x2 already exists");
    let left = hub.edit("DELETE /groups/lab%2F1/users", one("x2")).await;
    assert_eq!(left.is(200).body["users"], json!([]));
    hub.edit("DELETE /groups/lab%2F1", Value::Null)
        .await
        .is(204);
    hub.edit("DELETE /groups/lab%2F1", Value::Null)
        .await
        .is(404);
    hub.edit("DELETE /users/x2", Value::Null).await.is(204);
    let refused = hub
        .send(Method::DELETE, &READER, "/api/users/u00", Rest::default())
        .await;
    let message = "Action is not authorized with current scopes; requires any of [delete:users]";
    refused.refuses(403, message);
    assert_eq!(hub.page(&READER, "/users").await.numbers()[2], Some(60));
}

/// Nobody tells a client without pages that its list was cut.
async fn lists_longer_than_a_page(hub: &Hub) {
    let names: Vec<String> = (0..200).map(|number| format!("many-{number:03}")).collect();
    hub.edit("POST /groups", json!({"groups": names}))
        .await
        .is(201);
    let bare = hub.get(&READER, "/groups").await;
    assert_eq!(bare.is(200).names().len(), 200);
    let first = hub.page(&READER, "/groups?limit=5000").await;
    assert_eq!(first.numbers(), [Some(0), Some(200), Some(205), Some(200)]);
    let second = hub.page(&READER, "/groups?limit=5000&offset=200").await;
    assert_eq!(second.numbers(), [Some(200), Some(200), Some(205), None]);
    assert_eq!(second.names(), names[195..]);
    for name in &names {
        hub.edit(&format!("DELETE /groups/{name}"), Value::Null)
            .await
            .is(204);
    }
}

/// What a user may choose; it comes back as it is.
fn large() -> Value {
    json!({"profile": "large", "image": "quay.io/a/b:1", "gpus": [1, {"kind": "é", "n": null}]})
}

/// Two real servers of one user, from start to stop.
async fn servers(hub: &Hub) {
    let started = hub.edit("POST /users/u03/server", large()).await;
    assert!(
        matches!(started.status, 201 | 202),
        "{}: {}",
        started.request,
        started.text
    );
    let started = hub
        .edit("POST /users/u03/servers/batch-2", Value::Null)
        .await;
    assert!(
        matches!(started.status, 201 | 202),
        "{}: {}",
        started.request,
        started.text
    );
    wait_for_user(hub, |user| {
        let is_ready = |name: &str| user["servers"][name]["ready"] == true;
        is_ready("") && is_ready("batch-2")
    })
    .await;
    // 4.x counts a user once for each active server.
    let total = if hub.series == Series::V4 { 2 } else { 1 };
    for state in ["active", "ready"] {
        let page = hub.page(&READER, &format!("/users?state={state}")).await;
        assert_eq!(
            page.numbers(),
            [Some(0), Some(50), Some(total), None],
            "{state}"
        );
        assert_eq!(page.names(), ["u03"], "{state}");
        check_servers(hub, page.item("u03"));
    }
    // So a user stands on two pages of 4.x, and nobody is missing.
    let second = hub
        .page(&READER, "/users?state=active&limit=1&offset=1")
        .await;
    let expected: &[&str] = if hub.series == Series::V4 {
        &["u03"]
    } else {
        &[]
    };
    assert_eq!(second.is(200).names(), expected);
    let inactive = hub.page(&READER, "/users?state=inactive&limit=4").await;
    assert_eq!(inactive.numbers(), [Some(0), Some(4), Some(59), Some(4)]);
    assert_eq!(inactive.names(), ["u00", "u01", "u02", "u04"]);
    let full = hub.get(&ADMIN, "/users/u03").await;
    assert!(full.is(200).body["servers"][""].get("state").is_some());
    assert_eq!(full.body["server"], format!("{}user/u03/", hub.path()));
    let again = hub.edit("POST /users/u03/server", Value::Null).await;
    again.refuses(400, "u03 is already running");
    let n_stops_before = n_stops(hub).await;
    for path in ["server", "servers/batch-2"] {
        let stopped = hub
            .edit(&format!("DELETE /users/u03/{path}"), Value::Null)
            .await;
        assert!(
            matches!(stopped.status, 202 | 204),
            "{}: {}",
            stopped.request,
            stopped.text
        );
    }
    let user = wait_for_user(hub, |user| user["servers"] == json!({})).await;
    // Each is counted in the moment in which it is gone, or in the next one.
    let counted = async {
        while n_stops(hub).await < n_stops_before + 2.0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(10), counted).await;
    counted.expect("stops are counted");
    let n_counted = n_stops(hub).await - n_stops_before;
    assert!((n_counted - 2.0).abs() < 0.5, "each once: {n_counted}");
    assert_time(&user["last_activity"]);
    assert_eq!(
        hub.page(&READER, "/users?state=active").await.numbers()[2],
        Some(0)
    );
}

fn check_servers(hub: &Hub, user: &Value) {
    assert_time(&user["last_activity"]);
    let servers = &user["servers"];
    assert_eq!(keys(servers), " batch-2");
    let expected = match hub.series {
        Series::V4 => {
            "last_activity name pending progress_url ready started stopped url user_options"
        }
        Series::V5 => {
            "full_name full_progress_url full_url last_activity name pending progress_url ready \
             started stopped url user_options"
        }
        Series::V6 => {
            "display_name full_name full_progress_url full_url last_activity name pending \
             progress_url ready started stopped url user_options"
        }
    };
    for (name, server, progress) in [
        ("", "", "server"),
        ("batch-2", "batch-2/", "servers/batch-2"),
    ] {
        let model = &servers[name];
        assert_eq!(keys(model), expected, "{name:?}");
        assert_eq!(model["name"], name);
        assert_eq!(model["pending"], Value::Null);
        assert_eq!([&model["ready"], &model["stopped"]], [true, false]);
        assert_eq!(model["url"], format!("{}user/u03/{server}", hub.path()));
        let progress_url = format!("{}hub/api/users/u03/{progress}/progress", hub.path());
        assert_eq!(model["progress_url"], progress_url);
        assert_time(&model["started"]);
        assert_time(&model["last_activity"]);
        if hub.series >= Series::V5 {
            assert_eq!(model["full_name"], format!("u03/{name}"));
            assert!(model["full_url"].is_null() && model["full_progress_url"].is_null());
        }
        if hub.series >= Series::V6 {
            assert_eq!(model["display_name"], name);
        }
    }
    assert_eq!(servers[""]["user_options"], large());
    assert_eq!(servers["batch-2"]["user_options"], json!({}));
}

/// Asks for u03 until it is as wanted; a real server takes seconds.
async fn wait_for_user(hub: &Hub, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let reply = hub.get(&READER, "/users/u03").await;
            if is_wanted(&reply.is(200).body) {
                return reply.body;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("u03's servers follow in time")
}
