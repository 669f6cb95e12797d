//! Reading users and their servers.

use super::{Caller, JsonReply, Reply};
use crate::sim::listing::ListRequest;
use crate::sim::refusal::Refusal;
use crate::sim::replies::{ServerReply, UserReply};
use crate::sim::scopes::{Scopes, Target};
use crate::sim::server::SimHub;
use crate::sim::world::{ServerState, User, World};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use std::cmp::Reverse;

/// Any of these lets a token read a user, or at least some fields.
const READ_USER: &[&str] = &[
    "read:users",
    "read:users:name",
    "read:servers",
    "read:users:groups",
    "read:users:activity",
    "read:roles:users",
];

/// A part of the users, in an order of the client's choice.
pub(super) async fn list(State(hub): State<SimHub>, caller: Caller, request: ListRequest) -> Reply {
    let scopes = caller.may(&["list:users"], Target::List)?;
    let window = request.window()?;
    let sort = Sort::parse(request.argument("sort").unwrap_or("id"))?;
    let state = StateFilter::parse(request.argument("state").unwrap_or_default())?;
    let name = request
        .argument("name_filter")
        .unwrap_or_default()
        .to_lowercase();
    let world = hub.world();
    let mut users = matching(&world, scopes, state, &name);
    sort.apply(&mut users);
    let shown = window.of(&users).iter().filter(|user| state.shows(user));
    let replies = shown
        .map(|user| UserReply::new(user, scopes, hub.addresses()))
        .collect();
    Ok(JsonReply::of(&request.reply(replies, window, users.len())))
}

/// One user.
pub(super) async fn one(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(name): Path<String>,
) -> Reply {
    let world = hub.world();
    let scopes = caller.may(READ_USER, Target::User(world.user(&name)))?;
    let user = find(&world, &name)?;
    Ok(JsonReply::of(&UserReply::new(
        user,
        scopes,
        hub.addresses(),
    )))
}

/// The user's default server.
pub(super) async fn default_server(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(user): Path<String>,
) -> Reply {
    server(&hub, &caller, &user, "")
}

/// A named server of the user.
pub(super) async fn named_server(
    State(hub): State<SimHub>,
    caller: Caller,
    Path((user, name)): Path<(String, String)>,
) -> Reply {
    server(&hub, &caller, &user, &name)
}

fn server(hub: &SimHub, caller: &Caller, user: &str, name: &str) -> Reply {
    let world = hub.world();
    caller.may(&["read:servers"], Target::User(world.user(user)))?;
    let user = find(&world, user)?;
    let server = user
        .server(name)
        .ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND))?;
    Ok(JsonReply::of(&ServerReply::new(
        user,
        server,
        hub.addresses(),
    )))
}

pub(super) fn find<'a>(world: &'a World, name: &str) -> Result<&'a User, Refusal> {
    world
        .user(name)
        .ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND))
}

fn matching<'a>(
    world: &'a World,
    scopes: &Scopes,
    state: StateFilter,
    lower_case_part_of_name: &str,
) -> Vec<&'a User> {
    let has_name = |user: &User| {
        lower_case_part_of_name.is_empty()
            || user
                .name()
                .as_str()
                .to_lowercase()
                .contains(lower_case_part_of_name)
    };
    // Looked up once: this runs over all users for every page.
    let sees_all = scopes.covers("list:users", Target::Hub);
    let is_seen = |user: &User| sees_all || scopes.covers_user("list:users", user);
    let is_wanted = |user: &&User| state.counts(user) && has_name(user) && is_seen(user);
    world.users().iter().filter(is_wanted).collect()
}

/// Which users are asked for.
#[derive(Clone, Copy)]
enum StateFilter {
    All,
    Active,
    Ready,
    Inactive,
}

impl StateFilter {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "" => Ok(Self::All),
            "active" => Ok(Self::Active),
            "ready" => Ok(Self::Ready),
            "inactive" => Ok(Self::Inactive),
            other => Err(Refusal::bad_request(format!(
                "Unrecognized state filter: '{other}'"
            ))),
        }
    }

    /// Whether the user belongs to the rows that are counted and cut into pages.
    fn counts(self, user: &User) -> bool {
        match self {
            Self::All => true,
            Self::Active | Self::Ready => user.is_active(),
            Self::Inactive => !user.is_active(),
        }
    }

    /// Whether the user is shown on the page. As on a real hub, `ready` is looked at only here,
    /// so that its pages may be short and its total is that of `active`.
    fn shows(self, user: &User) -> bool {
        let is_ready = || {
            user.servers
                .iter()
                .any(|server| server.state == ServerState::Ready)
        };
        !matches!(self, Self::Ready) || is_ready()
    }
}

/// The order of a list of users.
#[derive(Clone, Copy)]
struct Sort {
    column: Column,
    direction: Direction,
}

#[derive(Clone, Copy)]
enum Column {
    Id,
    Name,
    LastActivity,
}

#[derive(Clone, Copy)]
enum Direction {
    Ascending,
    Descending,
}

impl Sort {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let (column, direction) = match text.strip_prefix('-') {
            Some(column) => (column, Direction::Descending),
            None => (text, Direction::Ascending),
        };
        let column = match column {
            "id" => Column::Id,
            "name" => Column::Name,
            "last_activity" => Column::LastActivity,
            _ => {
                return Err(Refusal::bad_request(format!(
                    "sort must be 'id', 'name', or 'last_activity', not '{text}'"
                )));
            }
        };
        Ok(Self { column, direction })
    }

    /// Users who were never seen come first, or last when descending; ties keep the order of ids.
    fn apply(self, users: &mut [&User]) {
        match (self.column, self.direction) {
            (Column::Id, Direction::Ascending) => {}
            (Column::Id, Direction::Descending) => users.reverse(),
            (Column::Name, Direction::Ascending) => {
                users.sort_by(|left, right| left.name().cmp(right.name()));
            }
            (Column::Name, Direction::Descending) => {
                users.sort_by(|left, right| right.name().cmp(left.name()));
            }
            (Column::LastActivity, Direction::Ascending) => {
                users.sort_by_key(|user| user.last_activity);
            }
            (Column::LastActivity, Direction::Descending) => {
                users.sort_by_key(|user| Reverse(user.last_activity));
            }
        }
    }
}
