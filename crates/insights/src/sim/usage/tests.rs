//! What the simulated source tells of a world.

use super::*;
use crate::sim::Shape;
use jiff::SignedDuration;

const HOUR: Duration = Duration::from_hours(1);

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-11-20T12:34:56Z".parse().unwrap();
    start + SignedDuration::from_mins(minutes)
}

fn hub() -> SimHub {
    let shape = Shape {
        n_users: 200,
        n_groups: 8,
        n_active: 40,
        groups_per_user: 1.5,
        seed: 1,
    };
    SimHub::new(World::generate(&shape, at(0)), "/")
}

fn usage(hub: &SimHub) -> SimUsage {
    let past = Past::none(&hub.world(), 1, at(0));
    SimUsage::new(hub.clone(), past, HOUR)
}

fn cores(look: &Look) -> f64 {
    let servers = look.servers.iter();
    servers.filter_map(|it| it.amounts.cpu_cores).sum()
}

#[test]
fn the_same_world_at_the_same_time_is_the_same_look() {
    let hub = hub();
    let look = |minutes| usage(&hub).look_at(at(minutes), &Known::default());
    assert_eq!(look(3), look(3));
    assert_ne!(look(3), look(30), "moods change");
    let n_servers: usize = hub.world().users().iter().map(|it| it.servers.len()).sum();
    let accounts: Vec<Account> = look(3).servers.into_iter().map(|it| it.account).collect();
    assert_eq!(accounts.len(), n_servers);
    assert!(accounts.is_sorted());
    assert!(look(3).unattributed.is_empty());
}

#[test]
fn looks_tell_all_time_that_a_server_ran() {
    let hub = hub();
    let mut usage = usage(&hub);
    let known = Known::default();
    let first = usage.look_at(at(0), &known);
    assert!(first.increments.is_empty());
    assert!(first.servers.iter().all(|it| it.cpu_seconds_more < 1e-9));
    let (old, new) = {
        let mut world = hub.world_mut();
        let idle = world.users().iter().find(|user| !user.is_active());
        let new = idle.unwrap().name().clone();
        let busy = world.users().iter().find(|user| user.is_active());
        let old = busy.unwrap().name().clone();
        assert!(world.start_server(new.as_str(), "", at(1)));
        (old, new)
    };
    let look = usage.look_at(at(3), &known);
    assert_eq!(look.increments.len(), look.servers.len());
    let of = |user: &UserName| {
        let mut all = look.increments.iter();
        all.find(|it| it.account.user == *user).unwrap()
    };
    assert_eq!((of(&old).from, of(&old).until), (at(0), at(3)));
    assert_eq!((of(&new).from, of(&new).until), (at(1), at(3)));
    let told: f64 = look
        .increments
        .iter()
        .filter_map(|it| it.totals.cpu_core_seconds)
        .sum();
    let more: f64 = look.servers.iter().map(|it| it.cpu_seconds_more).sum();
    assert!(told > 0.0 && (told - more).abs() < 1e-6, "{told} {more}");
    assert!(more <= cores(&look) * 180.0 + 1e-6);
}

#[test]
fn a_clock_that_is_put_back_tells_nothing_twice() {
    let hub = hub();
    let mut usage = usage(&hub);
    usage.look_at(at(10), &Known::default());
    let look = usage.look_at(at(5), &Known::default());
    assert!(look.increments.is_empty());
    assert!(look.servers.iter().all(|it| it.cpu_seconds_more < 1e-9));
}

#[test]
fn whom_the_hub_has_not_told_of_is_nobody_yet() {
    let hub = hub();
    let all = usage(&hub).look_at(at(3), &Known::default());
    let first = all.servers[0].account.user.clone();
    let known = Known {
        users: Some([first.clone()].into()),
        ..Known::default()
    };
    let mut usage = usage(&hub);
    usage.look_at(at(0), &known);
    let look = usage.look_at(at(3), &known);
    assert!(look.servers.iter().all(|it| it.account.user == first));
    // Later on it will be known who they are.
    assert_eq!(look.increments.len(), all.servers.len());
    let [strangers] = &look.unattributed[..] else {
        panic!("{:?}", look.unattributed);
    };
    let n_strangers = all.servers.len() - look.servers.len();
    assert_eq!(strangers.n_things, n_strangers as u64);
    let sum = cores(&look) + strangers.amounts.cpu_cores.unwrap();
    assert!((sum - cores(&all)).abs() < 1e-9, "nothing is dropped");
}

#[test]
fn homes_are_looked_at_now_and_then_and_grow() {
    let hub = hub();
    let mut usage = usage(&hub);
    let mut look = |minutes| usage.look_at(at(minutes), &Known::default()).homes;
    let first = look(0).unwrap();
    assert_eq!(look(59), None);
    let later = look(24 * 60).unwrap();
    let world = hub.world();
    let came = world.users().iter();
    let n_came = came.filter(|it| it.last_activity.is_some()).count();
    drop(world);
    assert_eq!((first.sizes.len(), later.sizes.len()), (n_came, n_came));
    assert!(
        first
            .sizes
            .is_sorted_by(|left, right| left.user < right.user)
    );
    let pairs = first.sizes.iter().zip(&later.sizes);
    let n_grown = pairs
        .clone()
        .filter(|(first, later)| later.bytes > first.bytes);
    assert!(n_grown.count() > 5);
    assert!(
        pairs
            .into_iter()
            .all(|(first, later)| later.bytes >= first.bytes)
    );
}

#[test]
fn the_machine_bears_what_its_servers_use() {
    let hub = hub();
    let look = usage(&hub).look_at(at(3), &Known::default());
    let number = |name: &str| {
        let mut numbers = look.numbers.iter();
        numbers.find(|it| *it.name == *name).unwrap().value
    };
    let used = number("machine_cpu_used_cores");
    assert!(used > cores(&look) && used < cores(&look) + 1.0);
    assert!(used < number("machine_cpu_capacity_cores"));
    let memory = number("machine_memory_used_bytes");
    assert!(memory < number("machine_memory_capacity_bytes"));
    let [machine] = &look.machines[..] else {
        panic!("{:?}", look.machines);
    };
    assert_eq!(machine.memory_bytes.used, Some(memory));
    assert_eq!(machine.pressures.len(), 3);
    let accounts: Vec<Account> = look.servers.iter().map(|it| it.account.clone()).collect();
    assert_eq!(machine.servers, accounts);
    let pressure = look.numbers.iter();
    let pressure = pressure.filter(|it| &*it.name == "machine_pressure_seconds_total");
    let labels: Vec<String> = pressure.map(crate::hub::Number::labels_json).collect();
    let expected = [
        r#"{"kind":"some","resource":"cpu"}"#,
        r#"{"kind":"full","resource":"memory"}"#,
        r#"{"kind":"some","resource":"memory"}"#,
    ];
    assert_eq!(labels, expected);
}
