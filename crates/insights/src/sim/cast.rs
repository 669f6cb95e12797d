//! Whom of the world one can be when one logs in: a few people of different standing, and in a sentence
//! what each of them sees.

use super::world::{Group, User, World};
use model::names::{GroupName, UserName};
use model::snapshot::OWNERS_PROPERTY;
use serde_json::Value;
use std::collections::HashSet;

/// Ordinary users among them.
const N_ORDINARY: usize = 3;

/// Somebody whom one can be.
pub(super) struct Person {
    pub(super) name: String,
    /// In a word or two.
    pub(super) role: String,
    /// In a sentence or two.
    pub(super) sees: String,
}

/// An administrator, the owner of a group, ordinary users and one who may not open services, as far as
/// there are any.
pub(super) fn choose(world: &World) -> Vec<UserName> {
    let users = world.users();
    let owners: HashSet<&str> = world.groups().iter().flat_map(owners).collect();
    let is_ordinary = |user: &User| {
        let is_owner = owners.contains(user.name().as_str());
        !user.admin && user.may_open_services && !is_owner
    };
    let is_owner = |user: &&User| !user.admin && user.may_open_services;
    let admin = users.iter().find(|user| user.admin);
    let mut in_order = world.groups().iter().flat_map(self::owners);
    let owner = in_order.find_map(|name| world.user(name).filter(is_owner));
    let mut chosen: Vec<&User> = Vec::new();
    let wanted: [fn(&User) -> bool; N_ORDINARY + 2] = [
        |user| user.is_active() && user.groups.len() > 1,
        |user| user.is_active() && user.groups.len() == 1,
        |user| !user.is_active() && user.last_activity.is_some(),
        |_| true,
        |_| true,
    ];
    for fits in wanted {
        let is_new = |user: &&User| !chosen.iter().any(|known| known.name() == user.name());
        let mut fitting = users.iter().filter(|user| is_ordinary(user) && fits(user));
        let found = fitting.find(is_new).filter(|_| chosen.len() < N_ORDINARY);
        chosen.extend(found);
    }
    let stranger = users
        .iter()
        .find(|user| !user.admin && !user.may_open_services);
    let all = admin.into_iter().chain(owner).chain(chosen).chain(stranger);
    all.map(|user| user.name().clone()).collect()
}

/// Those of them who are still there, as they are now.
pub(super) fn described(world: &World, cast: &[UserName]) -> Vec<Person> {
    let users = cast.iter().filter_map(|name| world.user(name.as_str()));
    users.map(|user| describe(world, user)).collect()
}

fn describe(world: &World, user: &User) -> Person {
    let name = user.name().as_str();
    let own = world
        .groups()
        .iter()
        .find(|group| owners(group).any(|owner| owner == name));
    let (role, sees) = if user.admin {
        let sees =
            "Sees everything: who comes, what runs now, groups, people, machines and all reports.";
        ("administrator".to_owned(), sees.to_owned())
    } else if !user.may_open_services {
        let sees =
            "Has no access to this service. The hub says so, and the service never hears of it.";
        ("stranger".to_owned(), sees.to_owned())
    } else if let Some(group) = own {
        let n_members = group.members.len();
        let sees = format!(
            "Looks after its {n_members} members: sees their days and hours, and nothing of other groups."
        );
        (format!("owner of {}", group.name()), sees)
    } else {
        ("user".to_owned(), ordinary(user))
    };
    Person {
        name: name.to_owned(),
        role,
        sees,
    }
}

fn ordinary(user: &User) -> String {
    let groups: Vec<&str> = user.groups.iter().map(GroupName::as_str).collect();
    let groups = match groups.split_last() {
        None => "In no group".to_owned(),
        Some((group, [])) => format!("In {group}"),
        Some((last, others)) => format!("In {} and {last}", others.join(", ")),
    };
    let server = if user.is_active() {
        "with a server that runs now"
    } else {
        "without a server at the moment"
    };
    format!("{groups}, {server}. Sees their own sessions, hours and storage, and nobody else's.")
}

/// As the group's property names them.
fn owners(group: &Group) -> impl Iterator<Item = &str> {
    let names: Vec<&str> = match group.properties.get(OWNERS_PROPERTY) {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(names)) => names.split(',').map(str::trim).collect(),
        _ => Vec::new(),
    };
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Shape;

    #[test]
    fn there_is_one_of_every_standing() {
        let shape = Shape {
            n_users: 200,
            n_groups: 12,
            n_active: 20,
            groups_per_user: 1.5,
            seed: 1,
        };
        let world = World::generate(&shape, "2026-11-20T12:00:00Z".parse().unwrap());
        let people = described(&world, &choose(&world));
        let roles: Vec<&str> = people.iter().map(|person| person.role.as_str()).collect();
        assert_eq!(
            roles,
            [
                "administrator",
                "owner of lab-physics",
                "user",
                "user",
                "user",
                "stranger"
            ]
        );
        let names: HashSet<&str> = people.iter().map(|person| person.name.as_str()).collect();
        assert_eq!(names.len(), people.len());
        assert!(people[2].sees.contains(" and ") && people[2].sees.contains("runs now"));
        assert!(choose(&World::empty()).is_empty());
    }

    #[test]
    fn a_small_world_offers_whom_it_has() {
        let mut world = World::empty();
        for name in ["ada", "ben", "eve"] {
            world.add_user(name);
        }
        world.user_mut("ben").unwrap().admin = true;
        let cast = choose(&world);
        let names: Vec<&str> = cast.iter().map(UserName::as_str).collect();
        assert_eq!(names, ["ben", "ada", "eve"]);
    }
}
