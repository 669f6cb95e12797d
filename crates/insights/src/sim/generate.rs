//! Invents a world: believable names of every kind that real hubs have, groups of all sizes.

use super::register::Register;
use super::world::{Server, ServerState, User, World, join};
use super::{ADMIN_SCOPES, DEMO_ADMIN_TOKEN, DEMO_TOKEN};
use crate::hub::ROLE_SCOPES;
use jiff::{SignedDuration, Timestamp};
use model::names::UserName;
use model::snapshot::OWNERS_PROPERTY;
use rand::rngs::SmallRng;
use rand::seq::index;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

/// How large an invented world is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// All users of the hub.
    pub n_users: usize,
    /// All groups; if there are several, the last one is empty.
    pub n_groups: usize,
    /// Users with a running server; at most all of them.
    pub n_active: usize,
    /// Mean over all users, of whom every tenth is in no group.
    pub groups_per_user: f64,
    /// The same seed gives the same world.
    pub seed: u64,
}

const GIVEN_NAMES: &[&str] = &[
    "ada", "grace", "alan", "emmy", "mary", "isaac", "chien", "rosalind", "linus", "hedy", "kurt",
    "sofia", "edsger", "barbara", "max", "lise", "niels", "vera", "erwin", "maria",
];
const FAMILY_NAMES: &[&str] = &[
    "lovelace",
    "hopper",
    "turing",
    "noether",
    "somerville",
    "newton",
    "wu",
    "franklin",
    "pauling",
    "lamarr",
    "goedel",
    "kovalevskaya",
    "dijkstra",
    "liskov",
    "planck",
    "meitner",
    "bohr",
    "rubin",
    "mayer",
];
const SUBJECTS: &[&str] = &["ml", "stat", "bio", "chem", "astro", "econ", "ling"];
const FIELDS: &[&str] = &[
    "physics",
    "genomics",
    "climate",
    "robotics",
    "materials",
    "neuro",
    "imaging",
    "hydrology",
];
const PROFILES: &[&str] = &["small", "medium", "large"];
/// A named server, and the profile that it has.
const GPU: &str = "gpu";
/// Which user may not open services; one in no group.
const STRANGER: usize = 9;

impl World {
    /// Invents a world of this shape, in which it is `now`, with the
    /// [`DEMO_TOKEN`] and the [`DEMO_ADMIN_TOKEN`].
    pub fn generate(shape: &Shape, now: Timestamp) -> Self {
        let mut world = Self::empty();
        world.set_now(now);
        world.chance = SmallRng::seed_from_u64(shape.seed);
        world.add_token(DEMO_TOKEN, "insights", &ROLE_SCOPES);
        world.add_token(DEMO_ADMIN_TOKEN, "administrator", ADMIN_SCOPES);
        for index in 0..shape.n_groups {
            world.add_invented_group(index, shape.n_groups);
        }
        for index in 0..shape.n_users {
            world.add_invented_user(index);
        }
        world.draw_memberships(n_memberships(shape));
        world.name_owners();
        world.start_servers(shape.n_active.min(shape.n_users));
        world.n_usually_active = world.n_active();
        world
    }

    fn add_invented_group(&mut self, index: usize, n_groups: usize) {
        let name = group_name(index, n_groups);
        self.add_group(&name);
        if let Some(group) = self.groups.get_mut(&name).filter(|_| index % 5 == 1) {
            group.properties = properties(index);
        }
    }

    fn add_invented_user(&mut self, index: usize) {
        let age = SignedDuration::from_hours(self.chance.random_range(24 * 61..24 * 900));
        let last_activity = self
            .chance
            .random_bool(0.85)
            .then(|| self.draw_time(60 * 24));
        let name = user_name(index);
        self.add_user(&name);
        if let Some(user) = self.users.get_mut(&name) {
            user.admin = index == 0;
            user.may_open_services = index != STRANGER;
            user.created -= age;
            user.last_activity = last_activity;
        }
    }

    /// A time within the last hours, exact to the microsecond.
    fn draw_time(&mut self, within_hours: i64) -> Timestamp {
        let microseconds = within_hours * 3_600 * 1_000_000;
        self.now - SignedDuration::from_micros(self.chance.random_range(0..microseconds))
    }

    /// Puts users into groups. Every tenth user stays without; the others are in as many groups
    /// as their neighbours or in one more.
    fn draw_memberships(&mut self, n_memberships: usize) {
        let n_open_groups = self.groups().len() - usize::from(self.groups().len() > 1);
        let joiners: Vec<usize> = (0..self.users().len())
            .filter(|index| index % 10 != 9)
            .collect();
        let mut n_left = n_memberships.min(joiners.len() * n_open_groups);
        let mut n_joiners_left = joiners.len();
        for user in joiners {
            let n_groups = self.chance.random_range(0..n_joiners_left) < n_left % n_joiners_left;
            let n_groups = n_left / n_joiners_left + usize::from(n_groups);
            for group in draw_groups(&mut self.chance, n_open_groups, n_groups) {
                join(
                    &mut self.groups.rows_mut()[group],
                    &mut self.users.rows_mut()[user],
                );
            }
            n_left -= n_groups;
            n_joiners_left -= 1;
        }
    }

    /// Groups with properties are looked after by one of their members. Draws nothing, so that all the
    /// rest is as it would be without owners.
    fn name_owners(&mut self) {
        let users = &self.users;
        let is_admin = |name: &UserName| users.get(name.as_str()).is_some_and(|user| user.admin);
        let groups = self.groups.rows_mut().iter_mut();
        for group in groups.filter(|group| !group.properties.is_empty()) {
            let owner = group.members.iter().find(|member| !is_admin(member));
            if let Some(owner) = owner {
                let owners = json!([owner.as_str()]);
                group.properties.insert(OWNERS_PROPERTY.to_owned(), owners);
            }
        }
    }

    fn start_servers(&mut self, n_active: usize) {
        let n_users = self.users().len();
        let mut chosen = index::sample(&mut self.chance, n_users, n_active).into_vec();
        chosen.sort_unstable();
        for user in chosen {
            let mut names = vec![""];
            match self.chance.random_range(0..20) {
                0 => names.push("batch-2"),
                1 => names = vec![GPU],
                _ => {}
            }
            for name in names {
                let server = self.invent_server(name);
                add_server(&mut self.users, user, server);
            }
        }
    }

    fn invent_server(&mut self, name: &str) -> Server {
        let started = self.draw_time(9);
        let idle = self.chance.random_range(0..30 * 60 * 1_000_000);
        let last_activity = (self.now - SignedDuration::from_micros(idle)).max(started);
        let drawn = PROFILES[self.chance.random_range(0..PROFILES.len())];
        let profile = if name == GPU { GPU } else { drawn };
        Server {
            name: name.to_owned(),
            state: ServerState::Ready,
            started,
            last_activity: Some(last_activity),
            user_options: profile_options(profile),
        }
    }

    pub(super) fn draw_profile(&mut self) -> Map<String, Value> {
        profile_options(PROFILES[self.chance.random_range(0..PROFILES.len())])
    }
}

fn add_server(users: &mut Register<User>, user: usize, server: Server) {
    let user = &mut users.rows_mut()[user];
    user.last_activity = user.last_activity.max(server.last_activity);
    user.servers.push(server);
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "exact up to 2^53 users, and a negative mean is none"
)]
fn n_memberships(shape: &Shape) -> usize {
    (shape.n_users as f64 * shape.groups_per_user).round() as usize
}

/// Different groups for one user; those with a small index are drawn more often, so that some
/// groups are large and many small.
fn draw_groups(chance: &mut SmallRng, n_open_groups: usize, n_wanted: usize) -> Vec<usize> {
    if n_wanted * 2 > n_open_groups {
        return index::sample(chance, n_open_groups, n_wanted).into_vec();
    }
    let mut groups = Vec::with_capacity(n_wanted);
    while groups.len() < n_wanted {
        let group = chance.random_range(0..n_open_groups);
        let group = group.min(chance.random_range(0..n_open_groups));
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// Every kind of name that a hub's authenticators produce.
pub(super) fn user_name(index: usize) -> String {
    let given = GIVEN_NAMES[index % GIVEN_NAMES.len()];
    let family = FAMILY_NAMES[index % FAMILY_NAMES.len()];
    match index % 10 {
        0 if index == 0 => "admin".to_owned(),
        4 | 5 => format!("user-{index:05}"),
        6 => format!("{}.{}{index}", capitalized(given), capitalized(family)),
        7 if index % 20 == 7 => format!("zoë.müller{index}"),
        8 => format!("{given}.{family}{index}@example.org"),
        _ => format!("{given}.{family}{index}"),
    }
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn group_name(index: usize, n_groups: usize) -> String {
    let subject = SUBJECTS[index % SUBJECTS.len()];
    let field = FIELDS[index % FIELDS.len()];
    match index {
        0 => "course::ml-101".to_owned(),
        _ if index + 1 == n_groups => "alumni".to_owned(),
        1 => "lab-physics".to_owned(),
        2 => "team/alpha beta".to_owned(),
        3 => "café".to_owned(),
        _ if index % 4 == 1 => format!("lab-{field}-{index}"),
        _ if index % 4 == 3 => format!("{field}-staff-{index}"),
        _ => format!("course::{subject}-{}", 100 + index),
    }
}

fn properties(index: usize) -> Map<String, Value> {
    let cost_center = 1000 + index;
    Map::from_iter([
        ("dept".to_owned(), json!(FIELDS[index % FIELDS.len()])),
        ("cost_center".to_owned(), json!(cost_center)),
    ])
}

fn profile_options(profile: &str) -> Map<String, Value> {
    let mut options = Map::from_iter([("profile".to_owned(), json!(profile))]);
    let image = match profile {
        "medium" => "quay.io/jupyter/scipy-notebook:2026-11-02",
        "large" | GPU => "quay.io/jupyter/pytorch-notebook:cuda12-2026-11-02",
        // The small one runs what the hub's administrator set.
        _ => return options,
    };
    options.insert("image".to_owned(), json!(image));
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn shape(n_users: usize, n_groups: usize, groups_per_user: f64) -> Shape {
        Shape {
            n_users,
            n_groups,
            n_active: n_users / 10,
            groups_per_user,
            seed: 1,
        }
    }

    #[test]
    fn a_world_has_the_shape_that_was_asked_for() {
        let world = World::generate(&shape(1000, 30, 1.7), now());
        assert_eq!(world.users().len(), 1000);
        assert_eq!(world.groups().len(), 30);
        assert_eq!(world.n_active(), 100);
        assert_eq!(world.n_memberships(), 1700);
        assert!(
            world.groups()[29].members.is_empty(),
            "the last group is empty"
        );
        let in_n_groups = |n: usize| {
            world
                .users()
                .iter()
                .filter(|user| user.groups.len() == n)
                .count()
        };
        assert_eq!(in_n_groups(0), 100);
        assert!(in_n_groups(2) > 700);
    }

    #[test]
    fn names_are_of_every_kind_and_all_different() {
        let world = World::generate(&shape(1000, 100, 1.0), now());
        let names: HashSet<&str> = world
            .users()
            .iter()
            .map(|user| user.name().as_str())
            .collect();
        assert_eq!(names.len(), 1000);
        for kind in ["admin", "grace.hopper1", "user-00004", "zoë.müller7"] {
            assert!(names.contains(kind), "{kind}");
        }
        assert!(names.iter().any(|name| name.ends_with("@example.org")));
        assert!(
            names
                .iter()
                .any(|name| name.starts_with(char::is_uppercase))
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_world() {
        let text = |seed| {
            let world = World::generate(
                &Shape {
                    seed,
                    ..shape(200, 10, 2.0)
                },
                now(),
            );
            format!("{:?} {:?}", world.users(), world.groups())
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn some_groups_have_an_owner_and_one_user_may_not_open_services() {
        let world = World::generate(&shape(200, 12, 1.5), now());
        let owner = |group: &str| {
            let properties = &world.group(group).unwrap().properties;
            properties
                .get(OWNERS_PROPERTY)
                .map(|owners| owners[0].as_str().unwrap())
        };
        assert_eq!(owner("course::ml-101"), None);
        let owner = owner("lab-physics").unwrap();
        let members = &world.group("lab-physics").unwrap().members;
        assert!(members.iter().any(|member| member.as_str() == owner));
        let strangers = world.users().iter().filter(|user| !user.may_open_services);
        let strangers: Vec<_> = strangers.map(|user| user.groups.len()).collect();
        assert_eq!(strangers, [0]);
    }

    #[test]
    fn degenerate_shapes_are_worlds_too() {
        for (n_users, n_groups, groups_per_user) in [
            (0, 0, 0.0),
            (5, 0, 3.0),
            (0, 5, 3.0),
            (3, 1, 9.0),
            (1, 2, -1.0),
            (40, 3, 9.0),
        ] {
            let world = World::generate(&shape(n_users, n_groups, groups_per_user), now());
            assert_eq!(world.users().len(), n_users);
            assert_eq!(world.groups().len(), n_groups);
        }
    }
}
