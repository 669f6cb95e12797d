//! What a token may do: the hub's scopes, those that follow from them, and how far each reaches.

use super::world::{Group, User};
use std::collections::{BTreeMap, BTreeSet};

/// Scopes that hold others. Those without an entry stand for themselves.
const SUBSCOPES: &[(&str, &[&str])] = &[
    (
        "admin:users",
        &[
            "admin:auth_state",
            "users",
            "read:roles:users",
            "delete:users",
        ],
    ),
    ("users", &["read:users", "list:users", "users:activity"]),
    ("list:users", &["read:users:name"]),
    (
        "read:users",
        &[
            "read:users:name",
            "read:users:groups",
            "read:users:activity",
        ],
    ),
    ("users:activity", &["read:users:activity"]),
    (
        "read:roles",
        &[
            "read:roles:users",
            "read:roles:services",
            "read:roles:groups",
        ],
    ),
    ("admin:servers", &["admin:server_state", "servers"]),
    (
        "servers",
        &["read:servers", "start:servers", "delete:servers"],
    ),
    ("read:servers", &["read:users:name"]),
    ("tokens", &["read:tokens"]),
    (
        "admin:groups",
        &["groups", "read:roles:groups", "delete:groups"],
    ),
    ("groups", &["read:groups", "list:groups"]),
    ("list:groups", &["read:groups:name"]),
    ("read:groups", &["read:groups:name"]),
    ("list:services", &["read:services:name"]),
    ("read:services", &["read:services:name"]),
];

/// The scopes of one token, with all that follow from them.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    expanded: BTreeSet<String>,
    reaches: BTreeMap<String, Reach>,
}

/// Whom a scope covers.
#[derive(Clone, Debug)]
enum Reach {
    All,
    /// From `scope!user=…` and `scope!group=…`.
    Only {
        users: BTreeSet<String>,
        groups: BTreeSet<String>,
    },
}

/// What a request is about, as far as a filtered scope may cover it or not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a> {
    /// The hub as a whole: filtered scopes do not help.
    Hub,
    /// A list that shows what the scope covers.
    List,
    /// One user. `None`: there is no such user, so no group of theirs can cover them.
    User(Option<&'a User>),
    /// The group of this name, whether it exists or not.
    Group(&'a str),
}

impl Scopes {
    /// Adds all scopes that follow. `scope!kind=name` gives its filter to those.
    pub fn expand(scopes: &[&str]) -> Self {
        let mut all = Self::default();
        for scope in scopes {
            match scope.split_once('!') {
                Some((scope, filter)) => all.add(scope, Some(filter)),
                None => all.add(scope, None),
            }
        }
        all
    }

    fn add(&mut self, scope: &str, filter: Option<&str>) {
        let text = filter.map_or_else(|| scope.to_owned(), |filter| format!("{scope}!{filter}"));
        self.expanded.insert(text);
        self.reaches
            .entry(scope.to_owned())
            .or_insert_with(Reach::nobody)
            .extend(filter);
        let subscopes = SUBSCOPES.iter().find(|(known, _)| *known == scope);
        for subscope in subscopes.into_iter().flat_map(|(_, subscopes)| *subscopes) {
            self.add(subscope, filter);
        }
    }

    /// Everything the token may do, sorted, as the hub lists it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.expanded.iter().map(String::as_str)
    }

    /// Has the scope, be it for few.
    pub(super) fn has(&self, scope: &str) -> bool {
        self.reaches.contains_key(scope)
    }

    pub(super) fn covers(&self, scope: &str, target: Target<'_>) -> bool {
        match (self.reaches.get(scope), target) {
            (None, _) | (Some(Reach::Only { .. }), Target::Hub | Target::User(None)) => false,
            (Some(Reach::All), _) | (Some(Reach::Only { .. }), Target::List) => true,
            (Some(Reach::Only { users, groups }), Target::User(Some(user))) => {
                users.contains(user.name().as_str())
                    || user
                        .groups
                        .iter()
                        .any(|group| groups.contains(group.as_str()))
            }
            (Some(Reach::Only { groups, .. }), Target::Group(name)) => groups.contains(name),
        }
    }

    pub(super) fn covers_user(&self, scope: &str, user: &User) -> bool {
        self.covers(scope, Target::User(Some(user)))
    }

    pub(super) fn covers_group(&self, scope: &str, group: &Group) -> bool {
        self.covers(scope, Target::Group(group.name().as_str()))
    }
}

impl Reach {
    fn nobody() -> Self {
        Self::Only {
            users: BTreeSet::new(),
            groups: BTreeSet::new(),
        }
    }

    fn extend(&mut self, filter: Option<&str>) {
        let Some(filter) = filter else {
            *self = Self::All;
            return;
        };
        let Self::Only { users, groups } = self else {
            return;
        };
        match filter.split_once('=') {
            Some(("user", name)) => users.insert(name.to_owned()),
            Some(("group", name)) => groups.insert(name.to_owned()),
            // The API served here has no services and no single servers to cover.
            _ => false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::World;

    #[test]
    fn what_follows_from_a_scope_follows_with_its_filter() {
        let scopes = Scopes::expand(&["list:groups", "list:users!group=physics"]);
        assert_eq!(
            scopes.names().collect::<Vec<_>>(),
            [
                "list:groups",
                "list:users!group=physics",
                "read:groups:name",
                "read:users:name!group=physics"
            ]
        );
    }

    #[test]
    fn a_filter_covers_members_and_named_users_only() {
        let mut world = World::empty();
        world.add_group("physics");
        for user in ["ada", "grace", "mary"] {
            world.add_user(user);
        }
        world.add_member("physics", "ada");
        let scopes = Scopes::expand(&["read:users!group=physics", "read:users!user=grace"]);
        let covered = |user: &str| scopes.covers("read:users", Target::User(world.user(user)));
        assert!(covered("ada") && covered("grace"));
        assert!(!covered("mary") && !covered("ghost"));
        assert!(!scopes.covers("read:users", Target::Hub));
    }

    #[test]
    fn the_wider_of_two_grants_counts() {
        for scopes in [
            ["read:hub", "read:hub!user=ada"],
            ["read:hub!user=ada", "read:hub"],
        ] {
            assert!(Scopes::expand(&scopes).covers("read:hub", Target::Hub));
        }
    }
}
