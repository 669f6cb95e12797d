//! The routes, asked without a socket.

use crate::sim::{ServerState, SimHub, World};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

const PAGES: &str = "application/jupyterhub-pagination+json";

/// Users a, b, c in physics; c in art as well; a has a server. Tokens `reader`, `names`,
/// `physics` (filtered) and `admin`.
fn hub() -> SimHub {
    let mut world = World::empty();
    for name in ["a", "b", "c"] {
        world.add_user(name);
    }
    for (group, members) in [("physics", "abc"), ("art/x", "c")] {
        world.add_group(group);
        for member in members.chars() {
            world.add_member(group, &member.to_string());
        }
    }
    world.start_server("a", "", Timestamp::UNIX_EPOCH);
    world.add_token("reader", "reader", &crate::hub::ROLE_SCOPES);
    world.add_token("names", "names", &["list:users", "list:groups"]);
    world.add_token(
        "art",
        "art",
        &["list:users!group=art/x", "read:groups!group=art/x"],
    );
    world.add_token(
        "admin",
        "admin",
        &["admin:users", "admin:groups", "admin:servers"],
    );
    SimHub::new(world, "/jupyter/")
}

/// Asks as `METHOD path`, e.g. `GET /groups`.
async fn ask(hub: &SimHub, token: &str, line: &str, body: &str) -> Response {
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder()
        .method(method)
        .uri(format!("/jupyter/hub/api{path}"))
        .header("Authorization", format!("token {token}"))
        .header("Accept", PAGES)
        .body(Body::from(body.to_owned()))
        .unwrap();
    hub.router().oneshot(request).await.unwrap()
}

async fn json(response: Response) -> Value {
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}

/// Status and message, or the names of the items.
async fn check(hub: &SimHub, token: &str, line: &str, expected: &str) {
    let response = ask(hub, token, line, "").await;
    let status = response.status().as_u16();
    let reply = json(response).await;
    let names = |items: &Vec<Value>| {
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let text = match &reply["items"] {
        Value::Array(items) => names(items),
        _ => reply["message"]
            .as_str()
            .or(reply["name"].as_str())
            .unwrap_or("null")
            .to_owned(),
    };
    assert_eq!(format!("{status} {text}"), expected, "{line} as {token}");
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_cut() {
    let hub = hub();
    check(&hub, "reader", "GET /users", "200 a b c").await;
    check(&hub, "reader", "GET /users?sort=-name&limit=2", "200 c b").await;
    check(
        &hub,
        "reader",
        "GET /users?sort=-last_activity",
        "200 a b c",
    )
    .await;
    check(&hub, "reader", "GET /users?sort=last_activity", "200 b c a").await;
    check(&hub, "reader", "GET /users?state=active", "200 a").await;
    check(
        &hub,
        "reader",
        "GET /users?state=inactive&offset=1",
        "200 c",
    )
    .await;
    check(&hub, "reader", "GET /users?name_filter=B", "200 b").await;
    check(&hub, "art", "GET /users", "200 c").await;
}

#[tokio::test]
async fn a_starting_server_is_active_but_not_ready() {
    let hub = hub();
    hub.world_mut().begin_server("b", "", Timestamp::UNIX_EPOCH);
    check(&hub, "reader", "GET /users?state=active", "200 a b").await;
    let reply = json(ask(&hub, "reader", "GET /users?state=ready", "").await).await;
    assert_eq!(reply["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        reply["_pagination"]["total"], 2,
        "the hub counts before it looks"
    );
    let state = hub.world().user("b").unwrap().servers[0].state;
    assert_eq!(state, ServerState::Spawning);
}

#[tokio::test]
async fn refusals_have_the_hubs_words() {
    let hub = hub();
    check(
        &hub,
        "bad",
        "GET /users",
        "403 Missing or invalid credentials.",
    )
    .await;
    check(
        &hub,
        "names",
        "GET /info",
        "403 Action is not authorized with current scopes; requires any of [read:hub]",
    )
    .await;
    let out_of_reach = "404 No access to resources or resources not found";
    check(&hub, "art", "GET /groups/physics", out_of_reach).await;
    check(&hub, "art", "GET /users/a", out_of_reach).await;
    check(&hub, "art", "GET /groups/art%2Fx", "200 art/x").await;
    check(&hub, "reader", "GET /groups/no", "404 No such group: no").await;
    check(&hub, "reader", "GET /users/no", "404 null").await;
    check(&hub, "reader", "GET /nothing", "404 null").await;
    check(&hub, "reader", "PUT /groups", "405 null").await;
    check(&hub, "reader", "HEAD /groups", "405 null").await;
    check(
        &hub,
        "reader",
        "GET /users?state=x",
        "400 Unrecognized state filter: 'x'",
    )
    .await;
}

#[tokio::test]
async fn a_known_tag_saves_the_body_until_the_world_changes() {
    let hub = hub();
    let get = |tag: String| {
        let request = Request::builder()
            .uri("/jupyter/hub/api/groups")
            .header("Authorization", "Bearer reader")
            .header("If-None-Match", tag)
            .body(Body::empty())
            .unwrap();
        hub.router().oneshot(request)
    };
    let first = get(String::new()).await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let second = get(tag.clone()).await.unwrap();
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(json(second).await, Value::Null);
    hub.world_mut().remove_member("physics", "a");
    assert_eq!(get(tag).await.unwrap().status(), StatusCode::OK);
    assert_eq!(hub.n_requests(), 3);
    assert_eq!(hub.requests()[0], "GET /jupyter/hub/api/groups");
}

#[tokio::test]
async fn the_api_changes_the_world() {
    let hub = hub();
    let edits = [
        ("POST /users", r#"{"usernames": ["d", "a"]}"#, 201),
        ("POST /users", r#"{"usernames": ["d", "a"]}"#, 409),
        ("POST /users/e", "", 201),
        ("POST /users/f", r#"{"admin": true}"#, 403),
        ("DELETE /users/b", "", 204),
        ("POST /groups/lab", r#"{"users": ["d"]}"#, 201),
        (
            "POST /groups/lab/users",
            r#"{"users": ["e", "ghost"]}"#,
            400,
        ),
        ("POST /groups/lab/users", r#"{"users": ["e"]}"#, 200),
        ("DELETE /groups/lab/users", r#"{"users": ["d"]}"#, 200),
        ("DELETE /groups/art%2Fx", "", 204),
        ("POST /users/e/servers/big", r#"{"profile": "large"}"#, 201),
        ("POST /users/e/servers/big", "", 400),
        ("DELETE /users/a/server", "", 204),
        ("POST /users", "not JSON", 400),
    ];
    for (line, body, status) in edits {
        let response = ask(&hub, "admin", line, body).await;
        assert_eq!(response.status().as_u16(), status, "{line} {body}");
    }
    check(&hub, "admin", "GET /users", "200 a c d e").await;
    check(&hub, "admin", "GET /groups", "200 physics lab").await;
    let user = json(ask(&hub, "admin", "GET /users/e", "").await).await;
    assert_eq!(user["groups"], json!(["lab"]));
    assert_eq!(
        user["servers"]["big"]["user_options"],
        json!({"profile": "large"})
    );
    assert_eq!(user["servers"]["big"]["url"], "/jupyter/user/e/big/");
}
