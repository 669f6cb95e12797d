//! The hub's JSON, as 4.x, 5.x and 6.x write it, and its conversion into `model` types.
//!
//! A field that the token may not read is absent, not null; absence is therefore told apart
//! from an empty value, since "no members" and "members hidden" are different truths.

use super::error::HubError;
use jiff::Timestamp;
use model::names::{NamePool, UserName};
use model::snapshot::{Group, Server};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Longest name that is believed, in bytes. The hub's own column holds 255 characters.
const NAME_MAX_BYTES: usize = 1024;

/// A list endpoint's reply.
#[derive(Debug, Deserialize)]
pub(super) struct PageReply<T> {
    pub(super) items: Vec<T>,
    #[serde(rename = "_pagination")]
    pub(super) pagination: Pagination,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pagination {
    pub(super) offset: u64,
    pub(super) total: u64,
    pub(super) next: Option<NextPage>,
}

/// `next.url` is left out on purpose: it is built from the request's own `Host`, and following
/// it could carry the token to another host.
#[derive(Debug, Deserialize)]
pub(super) struct NextPage {
    pub(super) offset: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupReply<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// Absent without the scope `read:groups`.
    #[serde(borrow)]
    users: Option<Vec<Cow<'a, str>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct UserReply<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    /// Absent without the scope `read:servers`.
    #[serde(borrow)]
    servers: Option<BTreeMap<Cow<'a, str>, ServerReply>>,
}

#[derive(Debug, Deserialize)]
struct ServerReply {
    started: Option<Timestamp>,
    last_activity: Option<Timestamp>,
    #[serde(default)]
    ready: bool,
    /// Since 4.x; only `include_stopped_servers`, which we never send, lists stopped ones.
    #[serde(default)]
    stopped: bool,
}

/// `{"status": 403, "message": "…"}`; the message is null in 6.x where nothing was said.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorReply {
    pub(super) message: Option<String>,
}

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// Name of the user or service.
    pub name: String,
    /// `user` or `service`.
    pub kind: String,
    /// Expanded scopes of the token, for instance `list:users` or `list:users!group=physics`.
    #[serde(default)]
    pub scopes: Vec<String>,
}

impl Identity {
    /// Whether the token holds the scope without a filter.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }
}

/// What the hub says of itself; needs `read:hub`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HubInfo {
    /// For instance `6.1.1`.
    pub version: String,
    /// Spawner class.
    pub spawner: ClassInfo,
    /// Authenticator class.
    pub authenticator: ClassInfo,
}

/// A class that the hub was configured with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClassInfo {
    /// Dotted Python name.
    pub class: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct VersionReply {
    pub(super) version: String,
}

pub(super) fn group(reply: &GroupReply<'_>, names: &mut NamePool) -> Result<Group, HubError> {
    let Some(members) = &reply.users else {
        return Err(HubError::HiddenField {
            path: "/groups",
            field: "users",
            scope: "read:groups",
        });
    };
    for name in members.iter().chain([&reply.name]) {
        check_name("/groups", name)?;
    }
    Ok(Group::new(
        (&*reply.name).into(),
        members.iter().map(|member| names.user(member)),
    ))
}

pub(super) fn user(reply: &UserReply<'_>) -> Result<UserName, HubError> {
    check_name("/users", &reply.name)?;
    Ok(UserName::from(&*reply.name))
}

/// A user with the servers that run, start or stop.
#[derive(Debug)]
pub(super) struct ActiveUser {
    pub(super) name: UserName,
    pub(super) servers: Vec<Server>,
}

pub(super) fn active_user(reply: &UserReply<'_>) -> Result<ActiveUser, HubError> {
    let Some(servers) = &reply.servers else {
        let path = "/users?state=active";
        return Err(HubError::HiddenField {
            path,
            field: "servers",
            scope: "read:servers",
        });
    };
    let user = user(reply)?;
    let active = servers.iter().filter(|(_, server)| !server.stopped);
    let servers = active.map(|(name, server)| Server {
        user: user.clone(),
        name: (&**name).into(),
        started: server.started,
        last_activity: server.last_activity,
        ready: server.ready,
    });
    Ok(ActiveUser {
        servers: servers.collect(),
        name: user.clone(),
    })
}

fn check_name(path: &'static str, name: &str) -> Result<(), HubError> {
    if name.is_empty() || name.len() > NAME_MAX_BYTES {
        return Err(HubError::ImplausibleName {
            path,
            length_bytes: name.len(),
        });
    }
    Ok(())
}
