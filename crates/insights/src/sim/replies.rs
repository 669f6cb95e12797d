//! The hub's models of users, groups and servers: which fields exist, and which of them a token
//! may read. They borrow from the world, so that a page of large groups is written at once.

use super::scopes::Scopes;
use super::world::{Group, Owner, Server, ServerState, Token, User, World};
use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};
use std::fmt::Write;

/// A field that the token may not read is absent, which is not the same as null.
pub(super) enum Field<T> {
    Hidden,
    Shown(T),
}

impl<T> Field<T> {
    fn shown_if(is_allowed: bool, value: impl FnOnce() -> T) -> Self {
        if is_allowed {
            Self::Shown(value())
        } else {
            Self::Hidden
        }
    }

    fn is_hidden(&self) -> bool {
        matches!(self, Self::Hidden)
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hidden => serializer.serialize_unit(),
            Self::Shown(value) => value.serialize(serializer),
        }
    }
}

/// `2026-11-20T21:47:09.997214Z`; without a fraction when the microseconds are zero.
#[derive(Clone, Copy)]
pub(super) struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = self.0;
        if time.subsec_microsecond() == 0 && time.subsec_millisecond() == 0 {
            serializer.collect_str(&format_args!("{time:.0}"))
        } else {
            serializer.collect_str(&format_args!("{time:.6}"))
        }
    }
}

/// A list of names of any kind.
pub(super) struct Names<'a, N>(&'a [N]);

impl<N: std::borrow::Borrow<str>> Serialize for Names<'_, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|name| -> &str { name.borrow() }))
    }
}

/// A user as one token sees them.
#[derive(Serialize)]
pub(super) struct UserReply<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    admin: Field<bool>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    roles: Field<&'static [&'static str]>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    groups: Field<Names<'a, model::names::GroupName>>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    server: Field<Option<String>>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    pending: Field<Option<&'static str>>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    created: Field<Time>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    last_activity: Field<Option<Time>>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    auth_state: Field<()>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    servers: Field<ServersReply<'a>>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    user_info: Field<()>,
}

impl<'a> UserReply<'a> {
    pub(super) fn new(user: &'a User, scopes: &Scopes, addresses: &'a Addresses) -> Self {
        let may = |scope| scopes.covers_user(scope, user);
        let is_full = may("read:users");
        let is_named = is_full || may("read:users:name");
        let default_server = user.server("");
        Self {
            kind: "user",
            name: user.name().as_str(),
            admin: Field::shown_if(is_named || may("read:roles:users"), || user.admin),
            roles: Field::shown_if(is_full || may("read:roles:users"), || roles_of(user)),
            groups: Field::shown_if(may("read:users:groups"), || Names(&user.groups)),
            server: Field::shown_if(is_full, || {
                let ready = default_server.filter(|server| server.state == ServerState::Ready);
                ready.map(|server| addresses.server(user, server))
            }),
            pending: Field::shown_if(is_full, || {
                default_server.and_then(|server| pending(server.state))
            }),
            created: Field::shown_if(is_full, || Time(user.created)),
            last_activity: Field::shown_if(may("read:users:activity"), || {
                user.last_activity.map(Time)
            }),
            auth_state: Field::shown_if(may("admin:auth_state"), || ()),
            servers: Field::shown_if(may("read:servers"), || {
                let state = Field::shown_if(may("admin:server_state"), || ());
                ServersReply {
                    user,
                    addresses,
                    state,
                }
            }),
            user_info: Field::shown_if(is_named, || ()),
        }
    }
}

fn roles_of(user: &User) -> &'static [&'static str] {
    if user.admin {
        &["user", "admin"]
    } else {
        &["user"]
    }
}

fn pending(state: ServerState) -> Option<&'static str> {
    match state {
        ServerState::Spawning => Some("spawn"),
        ServerState::Ready => None,
        ServerState::Stopping => Some("stop"),
    }
}

/// All servers of a user, by name.
pub(super) struct ServersReply<'a> {
    user: &'a User,
    addresses: &'a Addresses,
    state: Field<()>,
}

impl Serialize for ServersReply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let servers = &self.user.servers;
        let mut map = serializer.serialize_map(Some(servers.len()))?;
        for server in servers {
            let reply = ServerReply::new(self.user, server, self.addresses);
            let state = Field::shown_if(!self.state.is_hidden(), || PROCESS);
            map.serialize_entry(&server.name, &ServerReply { state, ..reply })?;
        }
        map.end()
    }
}

/// What the spawner of the simulated hub knows of a server.
#[derive(Serialize)]
struct ProcessReply {
    pid: u32,
}

const PROCESS: ProcessReply = ProcessReply { pid: 4711 };

/// One server.
#[derive(Serialize)]
pub(super) struct ServerReply<'a> {
    name: &'a str,
    display_name: &'a str,
    full_name: String,
    last_activity: Option<Time>,
    started: Time,
    pending: Option<&'static str>,
    ready: bool,
    stopped: bool,
    url: String,
    user_options: &'a Map<String, Value>,
    progress_url: String,
    full_url: (),
    full_progress_url: (),
    #[serde(skip_serializing_if = "Field::is_hidden")]
    state: Field<ProcessReply>,
}

impl<'a> ServerReply<'a> {
    pub(super) fn new(user: &User, server: &'a Server, addresses: &Addresses) -> Self {
        Self {
            name: &server.name,
            display_name: &server.name,
            full_name: format!("{}/{}", user.name(), server.name),
            last_activity: server.last_activity.map(Time),
            started: Time(server.started),
            pending: pending(server.state),
            ready: server.state == ServerState::Ready,
            stopped: false,
            url: addresses.server(user, server),
            user_options: &server.user_options,
            progress_url: addresses.progress(user, server),
            full_url: (),
            full_progress_url: (),
            state: Field::Hidden,
        }
    }
}

/// Where things are below the hub's base URL, which begins and ends with `/`.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) base_url: String,
}

impl Addresses {
    fn server(&self, user: &User, server: &Server) -> String {
        let user = escape(user.name().as_str());
        match server.name.as_str() {
            "" => format!("{}user/{user}/", self.base_url),
            name => format!("{}user/{user}/{}/", self.base_url, escape(name)),
        }
    }

    fn progress(&self, user: &User, server: &Server) -> String {
        let user = escape(user.name().as_str());
        match server.name.as_str() {
            "" => format!("{}hub/api/users/{user}/server/progress", self.base_url),
            name => {
                let server = escape(name);
                format!(
                    "{}hub/api/users/{user}/servers/{server}/progress",
                    self.base_url
                )
            }
        }
    }
}

/// As one segment of a path; `@` and `~` stay, unlike in most other programs.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'@' => {
                escaped.push(char::from(byte));
            }
            _ => {
                // Writing to a `String` cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

/// A group as one token sees it.
#[derive(Serialize)]
pub(super) struct GroupReply<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    roles: Field<&'static [&'static str]>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    users: Field<Names<'a, model::names::UserName>>,
    #[serde(skip_serializing_if = "Field::is_hidden")]
    properties: Field<&'a Map<String, Value>>,
}

impl<'a> GroupReply<'a> {
    pub(super) fn new(group: &'a Group, scopes: &Scopes) -> Self {
        let may_read = scopes.covers_group("read:groups", group);
        let may_read_roles = scopes.covers_group("read:roles:groups", group);
        Self {
            kind: "group",
            name: group.name().as_str(),
            roles: Field::shown_if(may_read_roles, || &[] as &'static [&'static str]),
            users: Field::shown_if(may_read, || Names(&group.members)),
            properties: Field::shown_if(may_read, || &group.properties),
        }
    }
}

/// Whose token it is and what it may do.
#[derive(Serialize)]
pub(super) struct WhoamiReply<'a> {
    #[serde(flatten)]
    owner: OwnerReply<'a>,
    token_id: &'a str,
    session_id: Option<&'a str>,
    scopes: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OwnerReply<'a> {
    Service {
        kind: &'static str,
        name: &'a str,
        admin: bool,
    },
    User(Box<UserReply<'a>>),
}

impl<'a> WhoamiReply<'a> {
    /// Nothing if its user is gone.
    pub(super) fn new(
        token: &'a Token,
        world: &'a World,
        addresses: &'a Addresses,
    ) -> Option<Self> {
        let (owner, session_id) = match &token.owner {
            Owner::Service(name) => {
                let (kind, admin) = ("service", false);
                (OwnerReply::Service { kind, name, admin }, None)
            }
            Owner::Visitor { user, session_id } => {
                let user = UserReply::new(world.user(user.as_str())?, &token.scopes, addresses);
                (OwnerReply::User(Box::new(user)), Some(session_id.as_str()))
            }
        };
        Some(Self {
            owner,
            token_id: &token.id,
            session_id,
            scopes: token.scopes.names().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::World;

    /// Keys of the user's model, as a token with these scopes sees it.
    fn keys(scopes: &[&str]) -> String {
        let mut world = World::empty();
        world.add_user("ada");
        world.start_server("ada", "", Timestamp::UNIX_EPOCH);
        let addresses = Addresses {
            base_url: "/".into(),
        };
        let scopes = Scopes::expand(scopes);
        let reply = UserReply::new(world.user("ada").unwrap(), &scopes, &addresses);
        let reply = serde_json::to_value(reply).unwrap();
        reply
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_user_shows_the_fields_of_the_tokens_scopes() {
        assert_eq!(keys(&["list:users"]), "kind name admin user_info");
        assert_eq!(keys(&["read:users:groups"]), "kind name groups");
        assert_eq!(keys(&["read:users:activity"]), "kind name last_activity");
        assert_eq!(keys(&["read:servers"]), "kind name admin servers user_info");
        assert_eq!(
            keys(&["admin:users"]),
            "kind name admin roles groups server pending created last_activity auth_state user_info"
        );
    }

    #[test]
    fn times_have_microseconds_unless_these_are_zero() {
        let text = |time: &str| serde_json::to_string(&Time(time.parse().unwrap())).unwrap();
        assert_eq!(
            text("2026-11-20T21:47:09.25Z"),
            "\"2026-11-20T21:47:09.250000Z\""
        );
        assert_eq!(
            text("2026-11-20T21:47:09.000014Z"),
            "\"2026-11-20T21:47:09.000014Z\""
        );
        assert_eq!(text("2026-11-20T21:47:09Z"), "\"2026-11-20T21:47:09Z\"");
    }

    #[test]
    fn names_are_escaped_in_addresses_as_the_hub_does() {
        assert_eq!(escape("zoë@a b/c~"), "zo%C3%AB@a%20b%2Fc~");
    }
}
