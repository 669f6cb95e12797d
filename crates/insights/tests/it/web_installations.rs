//! The pages at hubs as sites run them: below a base URL, behind https that somebody in front of the hub ends, and
//! with a host for each service. What the browser does and looks for is in `python/installations`; who sees
//! what is the business of `web_browser`.

use crate::support::web_hub::{ADMIN, STRANGER, USER};
use crate::support::{
    ADMIN_TOKEN, HOST, HubOptions, ManagedService, RealHub, block_on, free_port, http, python_of,
    tools, until,
};
use insights::poll::clock::now;
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "pages_are_shown_below_a_base_url_and_behind_https",
        below_a_base_url,
    ),
    (
        "pages_are_shown_where_services_have_hosts_of_their_own",
        host_of_its_own,
    ),
];

/// Whose members may open the service.
const STAFF: &str = "staff";

/// The hub's pages with our link, as they are delivered.
const TEMPLATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/templates");

/// Where browsers find a hub and our service; both end in a slash.
pub(crate) struct Place {
    pub(crate) hub: String,
    pub(crate) service: String,
}

impl Place {
    /// With the service below the hub's base URL.
    pub(crate) fn below(hub: impl Into<String>) -> Self {
        let hub = hub.into();
        Self {
            service: format!("{hub}services/insights/"),
            hub,
        }
    }

    fn asked(&self, check: &str) -> Value {
        json!({"check": check, "place": {"hub": self.hub, "service": self.service}})
    }
}

/// Who is who at a hub.
#[derive(Clone, Copy)]
pub(crate) struct People<'a> {
    pub(crate) user: &'a str,
    /// May not open the service.
    pub(crate) stranger: &'a str,
    pub(crate) admin: &'a str,
}

const PEOPLE: People<'_> = People {
    user: USER,
    stranger: STRANGER,
    admin: ADMIN,
};

/// Has browsers look at a hub.
struct Visits<'a> {
    hub: &'a RealHub,
    people: People<'a>,
    fronts: Vec<Value>,
    checks: Vec<Value>,
    began: Timestamp,
}

impl<'a> Visits<'a> {
    fn of(hub: &'a RealHub, people: People<'a>) -> Self {
        Self {
            hub,
            people,
            fronts: Vec::new(),
            checks: Vec::new(),
            began: now(),
        }
    }

    /// Has these checks of `python/installations` pass at this place.
    fn at(mut self, place: &Place, checks: &[&str]) -> Self {
        let asked = checks.iter().map(|check| place.asked(check));
        self.checks.extend(asked);
        self
    }

    fn run(self) {
        let folder = self.hub.folder.path();
        let told = json!({
            "tools": tools(),
            "home": folder,
            "homes": folder.join("home"),
            "hosts": format!("MAP {HOST} 127.0.0.1, MAP *.{HOST} 127.0.0.1"),
            "api": {"url": format!("{}hub/api/", self.hub.url), "token": ADMIN_TOKEN},
            "people": {
                "user": self.people.user,
                "stranger": self.people.stranger,
                "admin": self.people.admin,
            },
            "began": self.began.as_duration().as_secs_f64(),
            "fronts": self.fronts,
            "checks": self.checks,
        });
        let answer = python_of("browser", "installations", &told);
        let answer: Map<String, Value> = serde_json::from_value(answer).unwrap();
        let is_wrong = |found: &Value| found.as_array().is_none_or(|wrong| !wrong.is_empty());
        let wrong: Map<String, Value> = answer
            .iter()
            .filter(|(_, found)| is_wrong(found))
            .map(|(check, found)| (check.clone(), found.clone()))
            .collect();
        let log = self.hub.log();
        assert!(wrong.is_empty(), "{:#}\n{log}", Value::Object(wrong));
        assert_eq!(answer.len(), self.checks.len());
    }
}

/// Somebody logs in, sees their page and logs out; somebody else is refused by the hub.
pub(crate) fn people_log_in(hub: &RealHub, people: People<'_>) {
    let place = Place::below(&hub.url);
    let visits = Visits::of(hub, people);
    visits.at(&place, &["visit", "stranger"]).run();
}

/// What a hub has to be told so that this user may log in, without a question about it.
pub(crate) fn open_to(user: &str) -> [(&'static str, String); 2] {
    [
        ("SERVICE_VISITORS", json!([user]).to_string()),
        without_a_question(),
    ]
}

fn without_a_question() -> (&'static str, String) {
    let options = json!({"oauth_no_confirm": true});
    ("SERVICE_OPTIONS", options.to_string())
}

/// Whether whoever ends https says that it was https.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Told,
    Untold,
}

/// Somebody who ends https in front of a hub, at this port.
fn front(hub: &RealHub, port: u16, scheme: Scheme) -> Value {
    let folder = hub.folder.path();
    let certified = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let (certificate, key) = (folder.join("front.pem"), folder.join("front.key"));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    json!({
        "port": port,
        "hub_port": hub.proxy_port,
        "certificate": certificate,
        "key": key,
        "tells_scheme": scheme == Scheme::Told,
    })
}

/// A hub with a history and with our link on its pages.
fn options(store: &Path, further: &Value) -> HubOptions {
    let service = ManagedService {
        // All else is as it is where nobody sets it, also how often the hub is asked.
        environment: json!({
            "JUPYTERHUB_INSIGHTS__STORE__PATH": store,
            "JUPYTERHUB_INSIGHTS__STORE__KEEP": "always",
        }),
        ..ManagedService::default()
    };
    let mut config = json!({"JupyterHub": {"template_paths": [TEMPLATES]}});
    for (section, keys) in further.as_object().unwrap() {
        for (key, value) in keys.as_object().unwrap() {
            config[section][key] = value.clone();
        }
    }
    let people = json!({
        "users": [STRANGER], "admins": [ADMIN], "groups": {STAFF: {"users": [USER]}},
    });
    HubOptions {
        service: Some(service),
        variables: vec![
            ("SERVICE_VISITOR_GROUPS", json!([STAFF]).to_string()),
            without_a_question(),
            ("HUB_CONFIG", config.to_string()),
        ],
        ..HubOptions::new("6.1", people)
    }
}

fn below_a_base_url() {
    let folder = tempfile::tempdir().unwrap();
    let server = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/python/installations/server.py"
    );
    let command = json!([tools().join("hub-6.1/bin/python"), server]);
    let hub = RealHub::start(HubOptions {
        base_url: "/some/deep/",
        ..options(folder.path(), &json!({"Spawner": {"cmd": command}}))
    });
    let mut visits = Visits::of(&hub, PEOPLE);
    start_server(&hub);
    // It would be a minute until the service asks again.
    start_service_again(&hub);

    let port = free_port();
    visits.fronts.push(front(&hub, port, Scheme::Told));
    let plain = Place::below(&hub.url);
    let https = Place::below(format!("https://{HOST}:{port}/some/deep/"));
    // Browsers trust 127.0.0.1 as they do https, and no other host.
    let elsewhere = Place::below(format!("http://{HOST}:{}/some/deep/", hub.proxy_port));
    visits
        .at(&plain, &["visit", "stranger"])
        .at(&https, &["visit", "stranger", "admin", "home", "stop"])
        .at(&elsewhere, &["refused"])
        .run();
}

fn start_server(hub: &RealHub) {
    let (status, reply) = hub.api(Method::POST, &format!("users/{USER}/server"), &Value::Null);
    assert!(status < 300, "{status}: {reply}");
    until("a server", || {
        let (_, user) = hub.api(Method::GET, &format!("users/{USER}"), &Value::Null);
        user["servers"][""]["ready"]
            .as_bool()
            .filter(|ready| *ready)
    })
    .unwrap_or_else(|| panic!("{}", hub.log()));
}

/// The hub does it, for one that ended.
fn start_service_again(hub: &RealHub) {
    let before = hub.service_pids();
    for pid in &before {
        kill(Pid::from_raw(i32::try_from(*pid).unwrap()), Signal::SIGTERM).unwrap();
    }
    until("another service", || {
        let is_another = hub.service_pids().iter().any(|pid| !before.contains(pid));
        let url = hub.service_url("health/ready");
        let reply = block_on(http().get(url).send()).ok()?;
        (is_another && reply.status() == 200).then_some(())
    })
    .unwrap_or_else(|| panic!("{}", hub.log()));
}

fn host_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("https://{HOST}:{port}");
    let hub = RealHub::start(HubOptions {
        host: HOST,
        ..options(
            folder.path(),
            &json!({"JupyterHub": {"subdomain_host": url}}),
        )
    });
    let mut visits = Visits::of(&hub, PEOPLE);
    // The hub's address says it.
    visits.fronts.push(front(&hub, port, Scheme::Untold));
    let place = Place {
        hub: format!("{url}/"),
        service: format!("https://insights--service.{HOST}:{port}/services/insights/"),
    };
    visits.at(&place, &["visit", "stranger", "home"]).run();
}
