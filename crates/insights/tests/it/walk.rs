//! The walk through all users while people come and go: never a wrong list, and the right one
//! once the hub holds still.

use crate::support::{SimServer, block_on};
use insights::config::{HubConfig, Secret};
use insights::hub::{HubClient, UserWalk, WalkStep};
use insights::metrics::own::Own;
use insights::poll::clock::now;
use insights::sim::{DEMO_TOKEN, World};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "whoever_comes_and_goes_the_walk_ends_with_the_right_users",
        random_changes,
    ),
    (
        "a_complete_walk_asks_for_the_last_user_only",
        cheap_when_complete,
    ),
];

fn client(sim: &SimServer) -> HubClient {
    let config = HubConfig {
        url: sim.url.parse().ok(),
        token: Some(Secret::new(DEMO_TOKEN)),
        ..HubConfig::default()
    };
    HubClient::new(&config, Arc::new(Own::new("walk"))).unwrap()
}

fn names(world: &World) -> BTreeSet<String> {
    world
        .users()
        .iter()
        .map(|user| user.name().to_string())
        .collect()
}

/// Walks until nothing changes any more; the last complete list.
fn settled(walk: &mut UserWalk, hub: &HubClient, known: &mut BTreeSet<String>) {
    loop {
        match block_on(walk.step(hub, now())).unwrap() {
            WalkStep::Underway => {}
            WalkStep::Unchanged => return,
            WalkStep::Complete(users) => *known = users.iter().map(ToString::to_string).collect(),
        }
    }
}

fn random_changes() {
    for seed in 0..20 {
        let mut chance = SmallRng::seed_from_u64(seed);
        let sim = SimServer::start(|world| {
            for n in 0..chance.random_range(0..150) {
                world.add_user(&format!("first-{n}"));
            }
        });
        let hub = client(&sim);
        let mut walk = UserWalk::default();
        let mut known = BTreeSet::new();
        for round in 0..30 {
            // Steps and changes in any order; errors of a list that moves are allowed, wrong
            // lists are not.
            for n in 0..chance.random_range(0..4) {
                let mut world = sim.hub.world_mut();
                let existing: Vec<String> = names(&world).into_iter().collect();
                if chance.random_bool(0.5) || existing.is_empty() {
                    world.add_user(&format!("later-{round}-{n}"));
                } else {
                    world.remove_user(&existing[chance.random_range(0..existing.len())]);
                }
            }
            for _ in 0..chance.random_range(0..4) {
                let before = names(&sim.hub.world());
                if let Ok(WalkStep::Complete(users)) = block_on(walk.step(&hub, now())) {
                    let users: BTreeSet<String> = users.iter().map(ToString::to_string).collect();
                    assert_eq!(users, before, "seed {seed}, round {round}");
                    known = users;
                }
            }
        }
        settled(&mut walk, &hub, &mut known);
        assert_eq!(known, names(&sim.hub.world()), "seed {seed}");
    }
}

fn cheap_when_complete() {
    let sim = SimServer::start(|world| {
        for n in 0..1000 {
            world.add_user(&format!("user-{n}"));
        }
    });
    let hub = client(&sim);
    let mut walk = UserWalk::default();
    settled(&mut walk, &hub, &mut BTreeSet::new());
    let before = sim.hub.n_requests();
    for _ in 0..5 {
        assert_eq!(
            block_on(walk.step(&hub, now())).unwrap(),
            WalkStep::Unchanged
        );
    }
    assert_eq!(sim.hub.n_requests() - before, 5);
    let last = sim.hub.requests().pop().unwrap();
    assert!(last.contains("offset=999"), "{last}");
}
