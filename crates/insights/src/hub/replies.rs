//! The hub's JSON, as 4.x, 5.x and 6.x write it, and its conversion into `model` types.
//!
//! A field that the token may not read is absent, not null; absence is therefore told apart
//! from an empty value, since "no members" and "members hidden" are different truths.

use super::error::HubError;
use super::options::UserOptions;
use jiff::Timestamp;
use model::last_seen::Seen;
use model::names::{NamePool, UserName};
use model::snapshot::{Group, OWNERS_PROPERTY, Pending, Server};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
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
    /// Since 3.x. What a site keeps in it is its own business, and so is not looked into.
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct UserReply<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    /// Null for somebody who was never seen, absent without the scope `read:users:activity`.
    #[serde(default, deserialize_with = "activity")]
    last_activity: Option<Activity>,
    /// Absent without the scope `read:servers`.
    #[serde(borrow)]
    servers: Option<BTreeMap<Cow<'a, str>, ServerReply<'a>>>,
}

/// When a user last did something.
#[derive(Clone, Copy, Debug)]
enum Activity {
    Never,
    Last(Timestamp),
}

#[derive(Debug, Deserialize)]
struct ServerReply<'a> {
    started: Option<Timestamp>,
    last_activity: Option<Timestamp>,
    #[serde(default)]
    ready: bool,
    /// What it is on the way to: `spawn`, `stop` or `check`.
    #[serde(borrow)]
    pending: Option<Cow<'a, str>>,
    /// Since 4.x; only `include_stopped_servers`, which we never send, lists stopped ones.
    #[serde(default)]
    stopped: bool,
    /// Anything at all, and so not looked into here: no user's choice may spoil the whole page.
    #[serde(borrow)]
    user_options: Option<&'a RawValue>,
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
    /// Whether the hub calls the user an administrator; services never are.
    #[serde(default)]
    pub admin: bool,
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
    let group = Group::new(
        (&*reply.name).into(),
        members.iter().map(|member| names.user(member)),
    );
    let owners = reply.properties.map(|properties| owners(properties.get()));
    Ok(group.owned_by(
        owners
            .unwrap_or_default()
            .iter()
            .map(|name| names.user(name)),
    ))
}

/// Whom the properties of a group name as its owners; nobody where they say it in no way that is known.
fn owners(properties: &str) -> Vec<String> {
    let properties: serde_json::Value = serde_json::from_str(properties).unwrap_or_default();
    let listed = |names: &Vec<serde_json::Value>| {
        let names = names.iter().filter_map(|name| name.as_str());
        names.map(str::to_owned).collect()
    };
    let named: Vec<String> = match &properties[OWNERS_PROPERTY] {
        serde_json::Value::Array(names) => listed(names),
        serde_json::Value::String(names) => names.split(',').map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let trimmed = named.iter().map(|name| name.trim().to_owned());
    trimmed
        .filter(|name| !name.is_empty() && name.len() <= NAME_MAX_BYTES)
        .collect()
}

fn activity<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Activity>, D::Error> {
    let at: Option<Timestamp> = Option::deserialize(field)?;
    Ok(Some(at.map_or(Activity::Never, Activity::Last)))
}

fn user(reply: &UserReply<'_>) -> Result<UserName, HubError> {
    check_name("/users", &reply.name)?;
    Ok(UserName::from(&*reply.name))
}

/// A user in the list of all.
#[derive(Debug)]
pub(super) struct ListedUser {
    pub(super) name: UserName,
    /// When the hub last saw them; `None` if it does not tell.
    pub(super) seen: Option<Seen>,
}

/// Of a list that the hub was asked for at this moment.
pub(super) fn listed_user(reply: &UserReply<'_>, asked: Timestamp) -> Result<ListedUser, HubError> {
    Ok(ListedUser {
        name: user(reply)?,
        seen: reply.last_activity.map(|activity| match activity {
            Activity::Never => Seen::NotYet(asked),
            Activity::Last(at) => Seen::At(at),
        }),
    })
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
    let servers = active.map(|(name, server)| {
        let UserOptions { text, image } = match server.user_options {
            Some(options) => UserOptions::read(options.get()),
            None => UserOptions::default(),
        };
        Server {
            user: user.clone(),
            name: (&**name).into(),
            // A hub that was restarted lists what ran before and then finds out whether it still
            // does: until it has, nobody knows which run this is.
            started: server.started.filter(|_| !server.is_being_checked()),
            last_activity: server.last_activity,
            ready: server.ready,
            pending: server.pending(),
            options: text,
            image,
        }
    });
    Ok(ActiveUser {
        servers: servers.collect(),
        name: user.clone(),
    })
}

impl ServerReply<'_> {
    fn pending(&self) -> Option<Pending> {
        Some(match self.pending.as_deref()? {
            "spawn" => Pending::Spawn,
            "stop" => Pending::Stop,
            _ => Pending::Other,
        })
    }

    fn is_being_checked(&self) -> bool {
        self.pending.as_deref() == Some("check")
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What a recorded file is.
    enum Recorded {
        Users(usize),
        UserList(usize),
        User,
        Groups(usize),
        GroupList(usize),
        Group,
        Server,
        Refusal(Option<&'static str>),
        Identity,
        Info,
        Version,
        /// Not JSON; read by tests of the whole.
        Text,
        /// Answers a question that is never asked: it needs scopes that the role does not have,
        /// or is worth nothing to us.
        NotAsked,
    }
    use Recorded::*;

    const RECORDED: &[(&str, Recorded)] = &[
        ("4.x/api_info.json", Info),
        ("4.x/groups.json", Groups(2)),
        ("4.x/metrics.txt", Text),
        ("4.x/proxy.json", NotAsked),
        ("4.x/user_unknown_404.json", Refusal(Some("Not Found"))),
        (
            "4.x/users_403_bad_token.json",
            Refusal(Some("Missing or invalid credentials.")),
        ),
        ("4.x/users_active.json", Users(1)),
        ("5.x/api_info.json", Info),
        ("5.x/groups.json", Groups(2)),
        ("5.x/metrics.txt", Text),
        ("5.x/proxy.json", NotAsked),
        ("5.x/user_unknown_404.json", Refusal(Some("Not Found"))),
        (
            "5.x/users_403_bad_token.json",
            Refusal(Some("Missing or invalid credentials.")),
        ),
        ("5.x/users_active.json", Users(1)),
        ("6.1/INDEX.tsv", Text),
        ("6.1/api_info.json", Info),
        ("6.1/api_root.json", Version),
        ("6.1/api_unknown_path_404.json", Refusal(None)),
        ("6.1/group_escaped_name.json", Group),
        ("6.1/group_one.json", Group),
        (
            "6.1/group_unknown_404.json",
            Refusal(Some("No such group: no-such")),
        ),
        ("6.1/groups_admin_scopes.json", Groups(2)),
        ("6.1/groups_names_only_scope.json", GroupList(6)),
        ("6.1/groups_page_limit2.json", Groups(2)),
        ("6.1/groups_plain.json", GroupList(6)),
        ("6.1/health.txt", Text),
        (
            "6.1/info_403_missing_scope.json",
            Refusal(Some(
                "Action is not authorized with current scopes; requires any of [read:hub]",
            )),
        ),
        ("6.1/managed_service_env.json", Text),
        ("6.1/method_405.json", Refusal(None)),
        ("6.1/metrics.txt", Text),
        ("6.1/metrics_403_no_scope.html", Text),
        ("6.1/metrics_403_no_token.html", Text),
        ("6.1/proxy.json", NotAsked),
        (
            "6.1/proxy_403_missing_scope.json",
            Refusal(Some(
                "Action is not authorized with current scopes; requires any of [proxy]",
            )),
        ),
        ("6.1/proxy_page.json", NotAsked),
        ("6.1/server_one.json", Server),
        ("6.1/service_one.json", NotAsked),
        ("6.1/services.json", NotAsked),
        ("6.1/user_one.json", User),
        (
            "6.1/user_tokens_403_missing_scope.json",
            Refusal(Some(
                "Action is not authorized with current scopes; requires any of [read:tokens]",
            )),
        ),
        ("6.1/user_unknown_404.json", Refusal(None)),
        (
            "6.1/users_403_bad_token.json",
            Refusal(Some("Missing or invalid credentials.")),
        ),
        (
            "6.1/users_403_no_token.json",
            Refusal(Some("Missing or invalid credentials.")),
        ),
        ("6.1/users_active.json", Users(2)),
        ("6.1/users_admin_scopes_active.json", Users(2)),
        (
            "6.1/users_bad_limit_400.json",
            Refusal(Some(
                "Invalid argument type, offset and limit must be integers",
            )),
        ),
        (
            "6.1/users_bad_sort_400.json",
            Refusal(Some(
                "sort must be 'id', 'name', or 'last_activity', not 'created'",
            )),
        ),
        (
            "6.1/users_bad_state_400.json",
            Refusal(Some("Unrecognized state filter: 'bogus'")),
        ),
        ("6.1/users_bearer.json", UserList(1)),
        ("6.1/users_inactive_limit3.json", Users(3)),
        ("6.1/users_include_stopped_limit25.json", Users(25)),
        ("6.1/users_names_only_scope.json", Users(3)),
        ("6.1/users_page1_limit5.json", Users(5)),
        ("6.1/users_page_last.json", Users(1)),
        ("6.1/users_plain.json", UserList(61)),
        ("6.1/users_ready.json", Users(2)),
        ("6.1/users_sorted_last_activity.json", Users(5)),
        ("6.1/whoami_service.json", Identity),
    ];

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
    }

    fn parsed<'a, T: Deserialize<'a>>(file: &str, text: &'a str) -> T {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn check(file: &str, recorded: &Recorded, text: &str) {
        match recorded {
            Users(n) => {
                let page: PageReply<UserReply<'_>> = parsed(file, text);
                assert_eq!(page.items.len(), *n, "{file}");
                assert!(page.pagination.total >= *n as u64, "{file}");
            }
            UserList(n) => assert_eq!(parsed::<Vec<UserReply<'_>>>(file, text).len(), *n, "{file}"),
            User => {
                let servers = active_user(&parsed(file, text)).unwrap().servers;
                assert!(
                    servers.iter().all(|server| server.started.is_some()),
                    "{file}"
                );
                assert_eq!(servers.len(), 2);
            }
            Groups(n) => {
                let page: PageReply<GroupReply<'_>> = parsed(file, text);
                assert_eq!(page.items.len(), *n, "{file}");
                let mut names = NamePool::default();
                assert!(
                    page.items
                        .iter()
                        .all(|item| group(item, &mut names).is_ok()),
                    "{file}"
                );
            }
            GroupList(n) => {
                assert_eq!(
                    parsed::<Vec<GroupReply<'_>>>(file, text).len(),
                    *n,
                    "{file}"
                );
            }
            Group => drop(parsed::<GroupReply<'_>>(file, text)),
            Server => assert!(parsed::<ServerReply<'_>>(file, text).ready),
            Refusal(message) => {
                let refusal: ErrorReply = parsed(file, text);
                assert_eq!(refusal.message.as_deref(), *message, "{file}");
            }
            Identity => assert!(parsed::<super::Identity>(file, text).has_scope("read:metrics")),
            Info => assert!(!parsed::<HubInfo>(file, text).spawner.class.is_empty()),
            Version => assert_eq!(parsed::<VersionReply>(file, text).version, "6.1.1"),
            Text | NotAsked => {}
        }
    }

    #[test]
    fn every_recorded_reply_parses() {
        for (file, recorded) in RECORDED {
            let text = std::fs::read_to_string(folder().join(format!("jupyterhub-{file}")));
            check(file, recorded, &text.unwrap());
        }
    }

    #[test]
    fn every_recorded_file_is_in_the_list() {
        let mut found = Vec::new();
        for version in ["4.x", "5.x", "6.1"] {
            let files = std::fs::read_dir(folder().join(format!("jupyterhub-{version}"))).unwrap();
            found.extend(
                files.map(|file| {
                    format!("{version}/{}", file.unwrap().file_name().to_str().unwrap())
                }),
            );
        }
        found.sort();
        let listed: Vec<&str> = RECORDED.iter().map(|(file, _)| *file).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn members_that_may_not_be_read_are_an_error_and_not_an_empty_group() {
        let reply: GroupReply<'_> = parsed("", r#"{"kind": "group", "name": "physics"}"#);
        let error = group(&reply, &mut NamePool::default()).unwrap_err();
        assert!(
            matches!(
                error,
                HubError::HiddenField {
                    scope: "read:groups",
                    ..
                }
            ),
            "{error}"
        );
    }

    /// What is known of the one server of a user who chose this.
    fn server_with(user_options: &str) -> model::snapshot::Server {
        server_that(&format!(r#""ready": true, "user_options": {user_options}"#))
    }

    fn server_that(is: &str) -> model::snapshot::Server {
        let text = format!(
            r#"{{"items": [{{"name": "ada", "servers": {{"": {{"name": "",
                "started": "2026-11-20T12:00:00Z", "last_activity": null, {is}}}}}}}],
                "_pagination": {{"offset": 0, "limit": 50, "total": 1, "next": null}}}}"#
        );
        let page: PageReply<UserReply<'_>> =
            super::super::client::parse("users", text.as_bytes()).unwrap();
        active_user(&page.items[0]).unwrap().servers.remove(0)
    }

    #[test]
    fn a_server_that_the_hub_looks_for_is_not_surely_running() {
        let started = |pending: &str| {
            let is = format!(r#""ready": false, "pending": {pending}"#);
            server_that(&is).started
        };
        assert_eq!(started(r#""check""#), None);
        assert!(started(r#""stop""#).is_some());
        assert!(started("null").is_some());
    }

    #[test]
    fn a_users_choice_comes_with_the_server() {
        let server = server_with(r#"{"profile": "large", "image": "a/b:1"}"#);
        let options = r#"{"image":"a/b:1","profile":"large"}"#;
        assert_eq!(server.options.as_deref(), Some(options));
        assert_eq!(server.image.as_deref(), Some("a/b:1"));
    }

    #[test]
    fn no_choice_spoils_the_page() {
        let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        let object = format!("{}1{}", r#"{"a":"#.repeat(300), "}".repeat(300));
        for choice in [
            "null",
            "{}",
            r#"["small"]"#,
            r#""small""#,
            "1e999",
            "-0",
            r#"{"a": "\ud800\u0000"}"#,
            r#"{"a": 1, "a": {"a": 2}}"#,
            r#"{"image": {"image": []}}"#,
            &deep,
            &object,
        ] {
            let server = server_with(choice);
            assert!(server.ready && server.image.is_none(), "{choice:.40}");
        }
    }
}
