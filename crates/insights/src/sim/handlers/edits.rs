//! Changing users, groups, memberships and servers over the API, as an administrator's script
//! does. Only what such scripts need: no renaming, no properties of groups.

use super::{Caller, JsonReply, Reply, groups, users};
use crate::sim::refusal::Refusal;
use crate::sim::replies::{GroupReply, UserReply};
use crate::sim::scopes::{Scopes, Target};
use crate::sim::server::SimHub;
use crate::sim::world::World;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value};

/// `{"usernames": [...]}`: adds those who are new, in this order.
pub(super) async fn add_users(State(hub): State<SimHub>, caller: Caller, body: Bytes) -> Reply {
    let scopes = caller.may(&["admin:users"], Target::Hub)?;
    let body = object(&body)?;
    let names = names(&body, "usernames")?.filter(|names| !names.is_empty());
    let names =
        names.ok_or_else(|| Refusal::bad_request("Must specify at least one user to create"))?;
    refuse_admins(&body)?;
    let mut world = hub.world_mut();
    let added: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| world.add_user(name))
        .collect();
    if added.is_empty() {
        return Err(Refusal::conflict(format!(
            "All {} users already exist",
            names.len()
        )));
    }
    let added = added.into_iter().filter_map(|name| world.user(name));
    let replies = added.map(|user| UserReply::new(user, scopes, hub.addresses()));
    Ok(JsonReply::created(&replies.collect::<Vec<_>>()))
}

/// Adds one user.
pub(super) async fn add_user(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Reply {
    let mut world = hub.world_mut();
    let scopes = caller.may(&["admin:users"], Target::User(world.user(&name)))?;
    let body = object(&body)?;
    if world.user(&name).is_some() {
        return Err(Refusal::conflict(format!("User {name} already exists")));
    }
    refuse_admins(&body)?;
    world.add_user(&name);
    Ok(JsonReply::created(&UserReply::new(
        users::find(&world, &name)?,
        scopes,
        hub.addresses(),
    )))
}

/// Removes the user and their servers.
pub(super) async fn remove_user(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(name): Path<String>,
) -> Reply {
    let mut world = hub.world_mut();
    caller.may(&["delete:users"], Target::User(world.user(&name)))?;
    users::find(&world, &name)?;
    world.remove_user(&name);
    Ok(JsonReply::empty(StatusCode::NO_CONTENT))
}

/// `{"groups": [...]}`: adds all of them, in this order.
pub(super) async fn add_groups(State(hub): State<SimHub>, caller: Caller, body: Bytes) -> Reply {
    let scopes = caller.may(&["admin:groups"], Target::Hub)?;
    let body = object(&body)?;
    let names = names(&body, "groups")?.filter(|names| !names.is_empty());
    let names =
        names.ok_or_else(|| Refusal::bad_request("Must specify at least one group to create"))?;
    let mut world = hub.world_mut();
    for name in &names {
        add_new_group(&mut world, name, &[])?;
    }
    let groups = names.iter().filter_map(|name| world.group(name));
    Ok(JsonReply::created(
        &groups
            .map(|group| GroupReply::new(group, scopes))
            .collect::<Vec<_>>(),
    ))
}

/// Adds one group, with members if the body has `{"users": [...]}`.
pub(super) async fn add_group(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Reply {
    let scopes = caller.may(&["admin:groups"], Target::Group(&name))?;
    let body = object(&body)?;
    let members = names(&body, "users")?.unwrap_or_default();
    let mut world = hub.world_mut();
    add_new_group(&mut world, &name, &members)?;
    Ok(JsonReply::created(&GroupReply::new(
        groups::find(&world, &name)?,
        scopes,
    )))
}

fn add_new_group(world: &mut World, name: &str, members: &[&str]) -> Result<(), Refusal> {
    if world.group(name).is_some() {
        return Err(Refusal::conflict(format!("Group {name} already exists")));
    }
    refuse_unknown_users(world, members)?;
    world.add_group(name);
    for member in members {
        world.add_member(name, member);
    }
    Ok(())
}

/// Removes the group.
pub(super) async fn remove_group(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(name): Path<String>,
) -> Reply {
    caller.may(&["delete:groups"], Target::Group(&name))?;
    let mut world = hub.world_mut();
    groups::find(&world, &name)?;
    world.remove_group(&name);
    Ok(JsonReply::empty(StatusCode::NO_CONTENT))
}

/// `{"users": [...]}` join the group.
pub(super) async fn add_members(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(group): Path<String>,
    body: Bytes,
) -> Reply {
    let missing = "Must specify users to add";
    change_members(&hub, &caller, &group, &body, missing, World::add_member)
}

/// `{"users": [...]}` leave the group.
pub(super) async fn remove_members(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(group): Path<String>,
    body: Bytes,
) -> Reply {
    let missing = "Must specify users to delete";
    change_members(&hub, &caller, &group, &body, missing, World::remove_member)
}

fn change_members(
    hub: &SimHub,
    caller: &Caller,
    group: &str,
    body: &Bytes,
    missing: &'static str,
    change: fn(&mut World, &str, &str) -> bool,
) -> Reply {
    let scopes = may_change_members(hub, caller, group)?;
    let body = object(body)?;
    let users = names(&body, "users")?.ok_or_else(|| Refusal::bad_request(missing))?;
    let mut world = hub.world_mut();
    refuse_unknown_users(&world, &users)?;
    for user in users {
        change(&mut world, group, user);
    }
    Ok(JsonReply::of(&GroupReply::new(
        groups::find(&world, group)?,
        scopes,
    )))
}

fn may_change_members<'a>(
    hub: &SimHub,
    caller: &'a Caller,
    group: &str,
) -> Result<&'a Scopes, Refusal> {
    let scopes = caller.may(&["groups"], Target::Group(group))?;
    groups::find(&hub.world(), group)?;
    Ok(scopes)
}

/// Starts the default server, which answers at once.
pub(super) async fn start_default_server(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(user): Path<String>,
    body: Bytes,
) -> Reply {
    start_server(
        &hub,
        &caller,
        ServerPath {
            user: &user,
            server: "",
        },
        &body,
    )
}

/// Starts a named server, which answers at once.
pub(super) async fn start_named_server(
    State(hub): State<SimHub>,
    caller: Caller,
    Path((user, server)): Path<(String, String)>,
    body: Bytes,
) -> Reply {
    start_server(
        &hub,
        &caller,
        ServerPath {
            user: &user,
            server: &server,
        },
        &body,
    )
}

/// Stops the default server, running or not.
pub(super) async fn stop_default_server(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(user): Path<String>,
) -> Reply {
    stop_server(
        &hub,
        &caller,
        ServerPath {
            user: &user,
            server: "",
        },
    )
}

/// Stops a named server.
pub(super) async fn stop_named_server(
    State(hub): State<SimHub>,
    caller: Caller,
    Path((user, server)): Path<(String, String)>,
) -> Reply {
    stop_server(
        &hub,
        &caller,
        ServerPath {
            user: &user,
            server: &server,
        },
    )
}

/// A server and whose it is.
#[derive(Clone, Copy)]
struct ServerPath<'a> {
    user: &'a str,
    server: &'a str,
}

fn start_server(hub: &SimHub, caller: &Caller, path: ServerPath<'_>, body: &[u8]) -> Reply {
    let ServerPath { user, server } = path;
    let mut world = hub.world_mut();
    caller.may(&["start:servers"], Target::User(world.user(user)))?;
    let known = users::find(&world, user)?;
    let body = object(body)?;
    if known.server(server).is_some() {
        let name = if server.is_empty() {
            user.to_owned()
        } else {
            format!("{user}:{server}")
        };
        return Err(Refusal::bad_request(format!("{name} is already running")));
    }
    let now = world.now;
    world.start_server(user, server, now);
    if let Some(server) = world.server_mut(user, server) {
        server.user_options = user_options(body);
    }
    Ok(JsonReply::empty(StatusCode::CREATED))
}

/// The body itself, or what it names so.
fn user_options(mut body: Map<String, Value>) -> Map<String, Value> {
    match body.remove("user_options") {
        Some(Value::Object(options)) => options,
        Some(_) => Map::new(),
        None if body.contains_key("display_name") => Map::new(),
        None => body,
    }
}

fn stop_server(hub: &SimHub, caller: &Caller, path: ServerPath<'_>) -> Reply {
    let ServerPath { user, server } = path;
    let mut world = hub.world_mut();
    caller.may(&["delete:servers"], Target::User(world.user(user)))?;
    users::find(&world, user)?;
    let stopped = world.stop_server(user, server);
    if !stopped && !server.is_empty() {
        let message = format!("{user} has no server named '{server}'");
        return Err(Refusal::new(StatusCode::NOT_FOUND, message));
    }
    Ok(JsonReply::empty(StatusCode::NO_CONTENT))
}

/// The request's JSON object; no body is an empty one.
fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Refusal::bad_request(format!("Invalid JSON data: {other}"))),
        Err(_) => Err(Refusal::bad_request("Invalid JSON in body of request")),
    }
}

/// A list of names in the body, if the key is there.
fn names<'a>(body: &'a Map<String, Value>, key: &str) -> Result<Option<Vec<&'a str>>, Refusal> {
    let Some(value) = body.get(key) else {
        return Ok(None);
    };
    let names = value
        .as_array()
        .and_then(|names| names.iter().map(Value::as_str).collect());
    names
        .map(Some)
        .ok_or_else(|| Refusal::bad_request(format!("{key} must be a list of text")))
}

/// The tokens are those of services, none of which is an administrator.
fn refuse_admins(body: &Map<String, Value>) -> Result<(), Refusal> {
    if body.get("admin") == Some(&Value::Bool(true)) {
        let message = "Only admins can grant admin permissions";
        return Err(Refusal::new(StatusCode::FORBIDDEN, message));
    }
    Ok(())
}

fn refuse_unknown_users(world: &World, users: &[&str]) -> Result<(), Refusal> {
    let unknown = users.iter().find(|user| world.user(user).is_none());
    let Some(user) = unknown else { return Ok(()) };
    Err(Refusal::bad_request(format!("No such user: {user}")))
}
