//! Recorded replies of real hubs, served as they were: the client reads them, and makes of each
//! refusal a message that names the missing scope or the remedy.

use crate::support::block_on;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use insights::config::{HubConfig, Secret};
use insights::hub::{GroupPages, HubClient, HubError, PageSize};
use insights::metrics::own::Own;
use std::path::Path;
use std::sync::Arc;

pub(crate) const TESTS: &[crate::Test] = &[
    ("recorded_groups_of_4_and_5_are_read", groups),
    (
        "recorded_active_servers_of_4_5_and_6_are_read",
        active_servers,
    ),
    ("recorded_info_identity_and_metrics_are_read", about_the_hub),
    ("recorded_refusals_become_messages_with_a_remedy", refusals),
];

/// A client of a hub that answers everything with this recorded file.
fn client_of(file: &str, status: u16) -> HubClient {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(file);
    let body = std::fs::read_to_string(path).unwrap();
    let content_type = match file.rsplit_once('.').unwrap().1 {
        "html" => "text/html",
        "txt" => "text/plain; version=1.0.0; charset=utf-8",
        _ => "application/json",
    };
    let status = StatusCode::from_u16(status).unwrap();
    let router = Router::new().fallback(move || {
        let reply = (status, [(header::CONTENT_TYPE, content_type)], body.clone());
        async move { reply.into_response() }
    });
    let address = block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    });
    let config = HubConfig {
        url: format!("http://{address}/").parse().ok(),
        token: Some(Secret::new("t")),
        ..HubConfig::default()
    };
    HubClient::new(&config, Arc::new(Own::new("recorded"))).unwrap()
}

fn groups() {
    for version in ["4.x", "5.x"] {
        let client = client_of(&format!("jupyterhub-{version}/groups.json"), 200);
        let groups = block_on(GroupPages::default().read(&client)).unwrap();
        let physics = groups
            .iter()
            .find(|group| group.name.as_str() == "physics")
            .unwrap();
        assert_eq!(physics.members.len(), 1, "{version}");
        assert_eq!(groups.len(), 2, "{version}");
    }
}

fn active_servers() {
    // 4.x announces two where one user with two servers comes.
    for (version, expected) in [("4.x", 2), ("5.x", 2), ("6.1", 3)] {
        let client = client_of(&format!("jupyterhub-{version}/users_active.json"), 200);
        let servers = block_on(client.active_servers(&mut PageSize::default())).unwrap();
        assert_eq!(servers.len(), expected, "{version}: {servers:?}");
        assert!(
            servers
                .iter()
                .all(|server| server.ready && server.started.is_some())
        );
    }
}

fn about_the_hub() {
    let info = block_on(client_of("jupyterhub-6.1/api_info.json", 200).info()).unwrap();
    assert_eq!(info.version, "6.1.1");
    assert_eq!(
        info.spawner.class,
        "jupyterhub.spawner.SimpleLocalProcessSpawner"
    );
    let identity = block_on(client_of("jupyterhub-6.1/whoami_service.json", 200).whoami()).unwrap();
    assert_eq!(
        (&*identity.name, &*identity.kind),
        ("insights-external", "service")
    );
    for version in ["4.x", "5.x", "6.1"] {
        let client = client_of(&format!("jupyterhub-{version}/metrics.txt"), 200);
        let metrics = block_on(client.metrics()).unwrap();
        assert!(metrics.contains("\njupyterhub_total_users "), "{version}");
    }
}

fn refusals() {
    let check = |file: &str, status: u16, expected: &str| {
        let client = client_of(&format!("jupyterhub-6.1/{file}"), status);
        let error: HubError = if file.starts_with("metrics") {
            block_on(client.metrics()).unwrap_err()
        } else {
            block_on(client.info()).unwrap_err()
        };
        assert_eq!(error.to_string(), expected, "{file}");
        assert!(!error.remedy().is_empty());
    };
    let scope =
        |scope: &str| format!("hub refused `info`: the token's role needs the scope `{scope}`");
    check("info_403_missing_scope.json", 403, &scope("read:hub"));
    check("proxy_403_missing_scope.json", 403, &scope("proxy"));
    check(
        "user_tokens_403_missing_scope.json",
        403,
        &scope("read:tokens"),
    );
    let bad_token = "hub refused the token for `info`: Missing or invalid credentials.";
    check("users_403_bad_token.json", 403, bad_token);
    check("users_403_no_token.json", 403, bad_token);
    let hidden = "hub refused `metrics`: the token's role needs the scope `read:metrics`";
    check("metrics_403_no_scope.html", 403, hidden);
    check("metrics_403_no_token.html", 403, hidden);
    let null = "hub answered `info` with status 404: Not Found";
    check("user_unknown_404.json", 404, null);
    check("api_unknown_path_404.json", 404, null);
    check(
        "method_405.json",
        405,
        "hub answered `info` with status 405: Method Not Allowed",
    );
    let group = "hub answered `info` with status 404: No such group: no-such";
    check("group_unknown_404.json", 404, group);
    let state = "hub answered `info` with status 400: Unrecognized state filter: 'bogus'";
    check("users_bad_state_400.json", 400, state);
}
