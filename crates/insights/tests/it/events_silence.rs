//! A hub whose hooks are gone: its servers start, nobody tells, and that is shown.

use crate::support::{
    HubOptions, METRICS_TOKEN, ManagedService, RealHub, Scrape, scrape, tools, until,
};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) const TESTS: &[crate::Test] = &[(
    "a_source_that_stops_while_servers_start_is_silent_until_it_speaks_again",
    silence,
)];

/// Variable of the hub's configuration that calls `configure`; empty: not called.
const CONFIGURE: &str = "INSIGHTS_CONFIGURE";

fn silence() {
    assert!(tools().is_dir());
    let folder = tempfile::tempdir().unwrap();
    let service = ManagedService {
        environment: json!({
            "JUPYTERHUB_INSIGHTS__HUB__INTERVAL_SECONDS": "1",
            "JUPYTERHUB_INSIGHTS__STORE__PATH": folder.path(),
            "JUPYTERHUB_INSIGHTS__STORE__KEEP": "always",
            "JUPYTERHUB_INSIGHTS__EVENTS__SILENT_AFTER_SECONDS": "5",
        }),
        ..ManagedService::default()
    };
    let mut hub = RealHub::start(HubOptions {
        service: Some(service),
        variables: vec![(CONFIGURE, json!({}).to_string())],
        ..HubOptions::new("6.1", json!({"users": ["ada"]}))
    });
    start_server(&hub);
    until_silence_is(&hub, "0", "ok");

    hub.set_next(CONFIGURE, String::new());
    hub = hub.start_again();
    start_server(&hub);
    until_silence_is(&hub, "1", "warn");

    hub.set_next(CONFIGURE, json!({}).to_string());
    hub = hub.start_again();
    start_server(&hub);
    until_silence_is(&hub, "0", "ok");
    drop(hub);
}

/// Starts the server, anew if the hub's end has not stopped it.
#[track_caller]
fn start_server(hub: &RealHub) {
    let server = |hub: &RealHub| {
        let (_, user) = hub.api(Method::GET, "users/ada", &Value::Null);
        user["servers"][""].clone()
    };
    hub.api(Method::DELETE, "users/ada/server", &Value::Null);
    let gone = until("no server", || server(hub).is_null().then_some(()));
    gone.unwrap();
    let (status, reply) = hub.api(Method::POST, "users/ada/server", &json!({}));
    assert!(status < 300, "{status} {reply}\n{}", hub.log());
    let ready = until("a server", || (server(hub)["ready"] == true).then_some(()));
    ready.unwrap_or_else(|| panic!("{}", hub.log()));
}

/// What the metric says of the hooks, and the health of the service.
#[track_caller]
fn until_silence_is(hub: &RealHub, silent: &str, status: &str) {
    let seen = || -> Option<(String, Scrape)> {
        let metrics = scrape(&hub.service_url("metrics"), Some(METRICS_TOKEN));
        let samples = metrics.family("jupyterhub_insights_source_silent");
        let mut hooks = samples
            .into_iter()
            .filter(|(labels, _)| labels.contains(r#"source="hooks""#));
        let health = scrape(&hub.service_url("health"), Some(METRICS_TOKEN));
        Some((hooks.next()?.1, health))
    };
    let found = until("the silence", || {
        let (value, health) = seen()?;
        let health: Value = serde_json::from_str(&health.text).ok()?;
        let checks = health["checks"].as_array()?.clone();
        let hooks = checks
            .into_iter()
            .find(|check| check["name"] == "events hooks")?;
        (value == silent && hooks["status"] == status).then_some(hooks)
    });
    let hooks = found.unwrap_or_else(|| panic!("{:?}\n{}", seen().map(|seen| seen.0), hub.log()));
    let reason = hooks["reason"].as_str().unwrap();
    assert_eq!(
        reason.contains("servers started and it did not tell"),
        status == "warn",
        "{reason}"
    );
}
