//! What a hub's database holds, made up: users, groups, servers, tokens; and how they change.
//!
//! How a world is invented ([`super::generate`]) and how it is told over HTTP do not belong here.

use super::register::{Register, Row};
use super::scopes::Scopes;
use jiff::Timestamp;
use model::names::{GroupName, UserName};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Users in id order, groups in id order, servers, tokens with scopes.
///
/// A method that changes something says whether it did: an unknown name, or a change that is
/// already in place, leaves the world as it was.
#[derive(Debug)]
pub struct World {
    pub(super) users: Register<User>,
    pub(super) groups: Register<Group>,
    pub(super) tokens: HashMap<String, Arc<Token>>,
    /// The last time the world was told; what happens over HTTP happens then.
    pub(super) now: Timestamp,
    /// When the hub's process started; its counters count from then.
    pub(super) hub_started: Timestamp,
    pub(super) n_starts: u64,
    pub(super) n_stops: u64,
    /// What [`World::churn`] draws from, and the number of active users it swings around.
    pub(super) chance: SmallRng,
    pub(super) n_usually_active: usize,
}

/// A user of the hub.
#[derive(Clone, Debug)]
pub struct User {
    pub(super) id: u64,
    pub(super) name: UserName,
    /// May administrate the hub.
    pub admin: bool,
    /// In the order of joining.
    pub groups: Vec<GroupName>,
    /// `None`: never seen.
    pub last_activity: Option<Timestamp>,
    /// When the hub first knew the user.
    pub created: Timestamp,
    /// Active servers: running, starting or stopping.
    pub servers: Vec<Server>,
    /// May open the services of the hub; administrators always may.
    pub may_open_services: bool,
}

/// A group of the hub.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) id: u64,
    pub(super) name: GroupName,
    /// In the order of joining.
    pub members: Vec<UserName>,
    /// Free-form data that an administrator attached.
    pub properties: Map<String, Value>,
}

/// An active server.
#[derive(Clone, Debug)]
pub struct Server {
    /// `""` is the default server.
    pub name: String,
    /// Where it is between start and stop.
    pub state: ServerState,
    /// When its start was asked for.
    pub started: Timestamp,
    /// `None` until the first report.
    pub last_activity: Option<Timestamp>,
    /// What the user chose before the start.
    pub user_options: Map<String, Value>,
}

/// Where an active server is between start and stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Does not answer yet.
    Spawning,
    /// Answers.
    Ready,
    /// Does not answer any more.
    Stopping,
}

/// An API token.
#[derive(Debug)]
pub struct Token {
    pub(super) id: String,
    pub(super) owner: Owner,
    pub(super) scopes: Scopes,
}

/// Whose a token is.
#[derive(Debug)]
pub(super) enum Owner {
    /// Of this name.
    Service(String),
    /// Who logged in to a service with a browser.
    Visitor {
        user: UserName,
        /// Of the browser at the hub; a logout there ends all of its tokens.
        session_id: String,
    },
}

impl Owner {
    fn is_user(&self, name: &str) -> bool {
        matches!(self, Self::Visitor { user, .. } if user.as_str() == name)
    }

    fn is_session(&self, id: &str) -> bool {
        matches!(self, Self::Visitor { session_id, .. } if session_id == id)
    }
}

impl Row for User {
    type Name = UserName;

    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &UserName {
        &self.name
    }
}

impl Row for Group {
    type Name = GroupName;

    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &GroupName {
        &self.name
    }
}

impl User {
    /// The user's name.
    pub fn name(&self) -> &UserName {
        &self.name
    }

    /// Has a server that is running, starting or stopping.
    pub fn is_active(&self) -> bool {
        !self.servers.is_empty()
    }

    pub(super) fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == name)
    }
}

impl Group {
    /// The group's name.
    pub fn name(&self) -> &GroupName {
        &self.name
    }
}

impl World {
    /// Nobody, nothing, no token; the time is 1970 until it is told.
    pub fn empty() -> Self {
        Self {
            users: Register::default(),
            groups: Register::default(),
            tokens: HashMap::new(),
            now: Timestamp::UNIX_EPOCH,
            hub_started: Timestamp::UNIX_EPOCH,
            n_starts: 0,
            n_stops: 0,
            chance: SmallRng::seed_from_u64(0),
            n_usually_active: 0,
        }
    }

    /// All users, in id order, which is the order of their creation.
    pub fn users(&self) -> &[User] {
        self.users.rows()
    }

    /// The user of this name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// The user of this name, to be changed.
    pub fn user_mut(&mut self, name: &str) -> Option<&mut User> {
        self.users.get_mut(name)
    }

    /// All groups, in id order, which is the order of their creation.
    pub fn groups(&self) -> &[Group] {
        self.groups.rows()
    }

    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The group of this name, to be changed.
    pub fn group_mut(&mut self, name: &str) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// Users with a server.
    pub fn n_active(&self) -> usize {
        self.users().iter().filter(|user| user.is_active()).count()
    }

    /// Members of all groups; a user in two groups counts twice.
    pub fn n_memberships(&self) -> usize {
        self.groups().iter().map(|group| group.members.len()).sum()
    }

    /// Tells the time, to which later changes over HTTP are dated. The hub started when it was told
    /// first.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
        if self.hub_started == Timestamp::UNIX_EPOCH {
            self.hub_started = now;
        }
    }

    /// Starts the hub's process anew: its counters begin at 0, servers run on.
    pub fn restart_hub(&mut self, now: Timestamp) {
        self.set_now(now);
        self.hub_started = now;
        self.n_starts = 0;
        self.n_stops = 0;
    }

    /// Adds a user who is in no group and was never seen.
    pub fn add_user(&mut self, name: &str) -> bool {
        if self.users.contains(name) {
            return false;
        }
        let created = self.now;
        self.users.push(|id| User {
            id,
            name: name.into(),
            admin: false,
            groups: Vec::new(),
            last_activity: None,
            created,
            servers: Vec::new(),
            may_open_services: true,
        });
        true
    }

    /// Stops the user's servers, and removes the user from the hub and from all groups.
    pub fn remove_user(&mut self, name: &str) -> bool {
        let Some(user) = self.users.remove(name) else {
            return false;
        };
        self.n_stops += user.servers.len() as u64;
        self.tokens.retain(|_, token| !token.owner.is_user(name));
        for group in &user.groups {
            if let Some(group) = self.groups.get_mut(group.as_str()) {
                group.members.retain(|member| *member != user.name);
            }
        }
        true
    }

    /// Gives the user another name; memberships and servers stay, logins end. `false` also if it is taken.
    pub fn rename_user(&mut self, from: &str, to: &str) -> bool {
        if self.users.contains(to) || !self.users.contains(from) {
            return false;
        }
        self.tokens.retain(|_, token| !token.owner.is_user(from));
        let name = UserName::from(to);
        self.users.rename(from, |user| user.name = name.clone());
        let groups = self
            .users
            .get(to)
            .map(|user| user.groups.clone())
            .unwrap_or_default();
        for group in groups {
            let members = self
                .groups
                .get_mut(group.as_str())
                .map(|group| &mut group.members);
            let members = members.into_iter().flatten();
            members
                .filter(|member| member.as_str() == from)
                .for_each(|member| {
                    *member = name.clone();
                });
        }
        true
    }

    /// Adds a group without members.
    pub fn add_group(&mut self, name: &str) -> bool {
        if self.groups.contains(name) {
            return false;
        }
        self.groups.push(|id| Group {
            id,
            name: name.into(),
            members: Vec::new(),
            properties: Map::new(),
        });
        true
    }

    /// Removes the group; its members stay users.
    pub fn remove_group(&mut self, name: &str) -> bool {
        let Some(group) = self.groups.remove(name) else {
            return false;
        };
        for member in &group.members {
            if let Some(user) = self.users.get_mut(member.as_str()) {
                user.groups.retain(|name| *name != group.name);
            }
        }
        true
    }

    /// Puts a known user into a known group.
    pub fn add_member(&mut self, group: &str, user: &str) -> bool {
        let (Some(group), Some(user)) = (self.groups.get_mut(group), self.users.get_mut(user))
        else {
            return false;
        };
        join(group, user)
    }

    /// Takes the user out of the group.
    pub fn remove_member(&mut self, group: &str, user: &str) -> bool {
        let (Some(group), Some(user)) = (self.groups.get_mut(group), self.users.get_mut(user))
        else {
            return false;
        };
        let n_groups_before = user.groups.len();
        user.groups.retain(|name| *name != group.name);
        group.members.retain(|member| *member != user.name);
        user.groups.len() < n_groups_before
    }

    /// The user's server (`""` is the default one) answers from now on.
    ///
    /// A server that is [still starting](Self::begin_server) keeps its options and start time.
    pub fn start_server(&mut self, user: &str, server: &str, now: Timestamp) -> bool {
        self.begin_server(user, server, now);
        let Some(server) = self.server_mut(user, server) else {
            return false;
        };
        if server.state == ServerState::Ready {
            return false;
        }
        server.state = ServerState::Ready;
        server.last_activity = Some(now);
        true
    }

    /// The user asked for the server; it does not answer yet.
    pub fn begin_server(&mut self, user: &str, server: &str, now: Timestamp) -> bool {
        self.set_now(self.now.max(now));
        let Some(user) = self.users.get_mut(user) else {
            return false;
        };
        if user.server(server).is_some() {
            return false;
        }
        user.last_activity = Some(now);
        user.servers.push(Server {
            name: server.to_owned(),
            state: ServerState::Spawning,
            started: now,
            last_activity: None,
            user_options: Map::new(),
        });
        self.n_starts += 1;
        true
    }

    /// The user's server crashed: it is gone without a stop that the hub counts.
    pub fn crash_server(&mut self, user: &str, server: &str) -> bool {
        let is_gone = self.stop_server(user, server);
        self.n_stops -= u64::from(is_gone);
        is_gone
    }

    /// The user's server is stopped through the hub, which counts it.
    pub fn stop_server(&mut self, user: &str, server: &str) -> bool {
        let Some(user) = self.users.get_mut(user) else {
            return false;
        };
        let n_servers_before = user.servers.len();
        user.servers.retain(|known| known.name != server);
        let stopped = user.servers.len() < n_servers_before;
        self.n_stops += u64::from(stopped);
        stopped
    }

    /// The user's server, to be changed: its state, options, activity.
    pub fn server_mut(&mut self, user: &str, server: &str) -> Option<&mut Server> {
        self.users
            .get_mut(user)?
            .servers
            .iter_mut()
            .find(|known| known.name == server)
    }

    /// Lets the service `name` use the API with this token. A known token gets the new scopes.
    ///
    /// Scopes are those of the hub, also filtered ones such as `list:users!group=physics`.
    pub fn add_token(&mut self, token: &str, name: &str, scopes: &[&str]) {
        self.insert_token(token, Owner::Service(name.into()), Scopes::expand(scopes));
    }

    /// Lets a user use the API with a token of these scopes, as one that they made at the hub.
    pub fn add_user_token(&mut self, token: &str, user: &str, scopes: &[&str]) {
        let owner = Owner::Visitor {
            user: user.into(),
            session_id: String::new(),
        };
        self.insert_token(token, owner, Scopes::expand(scopes));
    }

    /// Lets a service act as the user who logged in to it, for nothing but to learn who it is.
    pub(super) fn add_visit(
        &mut self,
        token: &str,
        service: &str,
        user: &UserName,
        session_id: &str,
    ) {
        let scopes = [
            format!("access:services!service={service}"),
            format!("read:users:groups!user={user}"),
            format!("read:users:name!user={user}"),
        ];
        let scopes = Scopes::expand(&scopes.each_ref().map(String::as_str));
        let owner = Owner::Visitor {
            user: user.clone(),
            session_id: session_id.to_owned(),
        };
        self.insert_token(token, owner, scopes);
    }

    fn insert_token(&mut self, token: &str, owner: Owner, scopes: Scopes) {
        let id = format!("a{}", self.tokens.len() + 1);
        let known = Arc::new(Token { id, owner, scopes });
        self.tokens.insert(token.to_owned(), known);
    }

    /// Makes all tokens invalid that this browser's logins gave to services.
    pub(super) fn end_session(&mut self, id: &str) {
        self.tokens.retain(|_, token| !token.owner.is_session(id));
    }

    /// Makes the token invalid.
    pub fn remove_token(&mut self, token: &str) -> bool {
        self.tokens.remove(token).is_some()
    }
}

/// Puts the user into the group; `false` if that is so already.
///
/// The few groups of a user are searched, never the many members of a group.
pub(super) fn join(group: &mut Group, user: &mut User) -> bool {
    if user.groups.contains(&group.name) {
        return false;
    }
    user.groups.push(group.name.clone());
    group.members.push(user.name.clone());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let mut world = World::empty();
        for user in ["ada", "grace"] {
            world.add_user(user);
        }
        world.add_group("physics");
        world.add_member("physics", "ada");
        world.add_member("physics", "grace");
        world
    }

    fn members(world: &World) -> Vec<&str> {
        let group = world.group("physics").expect("it was added");
        group.members.iter().map(UserName::as_str).collect()
    }

    #[test]
    fn a_renamed_user_keeps_id_and_groups() {
        let mut world = world();
        assert!(world.rename_user("ada", "lovelace"));
        assert!(!world.rename_user("lovelace", "grace"), "the name is taken");
        assert_eq!(members(&world), ["lovelace", "grace"]);
        assert_eq!(world.users()[0].name().as_str(), "lovelace");
        assert!(world.user("ada").is_none());
    }

    #[test]
    fn a_removed_user_leaves_the_groups_and_ids_are_not_used_again() {
        let mut world = world();
        assert!(world.remove_user("ada"));
        assert!(world.add_user("ada"));
        assert_eq!(members(&world), ["grace"]);
        assert_eq!(world.users()[1].name().as_str(), "ada");
    }

    #[test]
    fn a_removed_group_leaves_its_members() {
        let mut world = world();
        assert!(world.remove_group("physics"));
        assert!(world.user("ada").expect("still a user").groups.is_empty());
    }

    #[test]
    fn joining_twice_or_leaving_twice_changes_nothing() {
        let mut world = world();
        assert!(!world.add_member("physics", "ada"));
        assert!(!world.add_member("physics", "ghost"));
        assert!(world.remove_member("physics", "ada"));
        assert!(!world.remove_member("physics", "ada"));
        assert_eq!(members(&world), ["grace"]);
    }

    #[test]
    fn a_server_starts_once_and_stops_once() {
        let mut world = world();
        let now = Timestamp::UNIX_EPOCH;
        assert!(world.begin_server("ada", "", now));
        assert!(world.start_server("ada", "", now));
        assert!(!world.start_server("ada", "", now));
        assert_eq!(world.n_active(), 1);
        assert!(world.stop_server("ada", ""));
        assert!(!world.stop_server("ada", ""));
        assert_eq!(world.n_active(), 0);
    }
}
