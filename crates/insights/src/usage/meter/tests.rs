//! Meters against what servers were made to use.

use super::*;
use crate::sources::ServerUse;
use model::usage::{Increment, Totals};

const NEVER: SignedDuration = SignedDuration::ZERO;
const MIB: f64 = 1_048_576.0;

fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-21T18:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}

/// Whose account: `ada` of no server, `ada/` of the default one, `ada/lab`.
fn account(text: &str) -> Account {
    let (user, server) = match text.split_once('/') {
        Some((user, server)) => (user, Some(server)),
        None => (text, None),
    };
    Account {
        user: user.into(),
        server: server.map(Arc::from),
    }
}

/// A look of `ada/ 10 200, …`: account, core seconds more, MiB.
fn look(second: i64, text: &str) -> Look {
    let parts = text.split(", ").filter(|part| !part.is_empty());
    let servers = parts.map(|part| {
        let words: Vec<&str> = part.split(' ').collect();
        let number = |index: usize| words[index].parse::<f64>().ok();
        ServerUse {
            account: account(words[0]),
            amounts: Amounts {
                cpu_cores: number(1).map(|_| 0.1),
                memory_bytes: number(2).map(|mib| mib * MIB),
                memory_limit_bytes: Some(1024.0 * MIB),
                ..Amounts::default()
            },
            cpu_seconds_more: number(1).unwrap_or(0.0),
        }
    });
    Look {
        at: at(second),
        servers: servers.collect(),
        ..Look::default()
    }
}

/// What the hub lists: `ada/ 0, ada/lab 60`, each with the second of its start.
fn listed(text: &str) -> Vec<Server> {
    let parts = text.split(", ").filter(|part| !part.is_empty());
    let servers = parts.map(|part| {
        let (name, started) = part.split_once(' ').unwrap();
        let account = account(name);
        Server {
            user: account.user,
            name: account.server.unwrap(),
            started: started.parse().ok().map(at),
            last_activity: None,
            ready: true,
            pending: None,
            options: None,
            image: None,
        }
    });
    servers.collect()
}

/// Looks, each as its second, what it sees and what the hub lists.
fn after(meters: &mut Meters, looks: &[(i64, &str, &str)]) {
    for (second, seen, servers) in looks {
        meters.take(&look(*second, seen), Some(&listed(servers)));
    }
}

fn meters(looks: &[(i64, &str, &str)]) -> Meters {
    let mut meters = Meters::default();
    meters.begin(NEVER);
    after(&mut meters, looks);
    meters
}

/// `cpu=… peak=…Mi from=… until=… seconds=…` of a run, or `-`.
fn told(meters: &Meters, name: &str, started: i64) -> String {
    let Account { user, server } = account(name);
    let Some(metered) = meters.of(&user, &server.unwrap(), at(started)) else {
        return "-".to_owned();
    };
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| value.to_string());
    let second = |time: Timestamp| time.duration_since(at(0)).as_secs();
    format!(
        "cpu={} peak={} from={} until={} seconds={}",
        number(metered.cpu_core_seconds),
        number(metered.memory_peak_bytes.map(|bytes| bytes / MIB)),
        second(metered.from),
        second(metered.until),
        metered.measured_seconds()
    )
}

#[test]
fn a_server_that_begins_and_ends_while_somebody_looks_is_measured_whole() {
    let meters = meters(&[
        (0, "", ""),
        (60, "ada/ 5 100", "ada/ 20"),
        (120, "ada/ 30 700", "ada/ 20"),
        (180, "ada/ 10 300", "ada/ 20"),
        (240, "", ""),
    ]);
    let expected = "cpu=45 peak=700 from=20 until=180 seconds=160";
    assert_eq!(told(&meters, "ada/", 20), expected);
    let ada: UserName = "ada".into();
    let metered = meters.of(&ada, "", at(20)).unwrap();
    assert_eq!(metered.memory_limit_bytes, Some(1024.0 * MIB));
    assert_eq!(told(&meters, "ada/", 30), "-", "another run");
    assert_eq!(told(&meters, "ada/lab", 20), "-");
    assert_eq!(told(&meters, "ad/", 20), "-");
}

#[test]
fn before_the_first_look_nothing_is_known() {
    let meters = meters(&[(60, "ada/ 0 100", "ada/ 0"), (120, "ada/ 30 90", "ada/ 0")]);
    let expected = "cpu=30 peak=100 from=60 until=120 seconds=60";
    assert_eq!(told(&meters, "ada/", 0), expected);
    let first = super::tests::meters(&[(60, "ada/ 0 100", "ada/ 0")]);
    let expected = "cpu=- peak=100 from=60 until=60 seconds=0";
    assert_eq!(told(&first, "ada/", 0), expected);
}

#[test]
fn processor_time_that_nobody_can_tell_is_not_zero() {
    let meters = meters(&[(0, "", ""), (60, "ada/ - 100", "ada/ 10")]);
    let expected = "cpu=- peak=100 from=10 until=60 seconds=50";
    assert_eq!(told(&meters, "ada/", 10), expected);
}

#[test]
fn the_hub_may_tell_of_a_server_later_than_the_look_sees_it_begin_and_end() {
    let meters = meters(&[
        (0, "", ""),
        (60, "ada/ 5 100", ""),
        (120, "ada/ 7 110", ""),
        (180, "ada/ 9 120", "ada/ 20"),
        // Scraped before its end, and told after it.
        (240, "ada/ 3 130", ""),
        (300, "ada/ 0 130", ""),
    ]);
    let expected = "cpu=24 peak=130 from=20 until=240 seconds=220";
    assert_eq!(told(&meters, "ada/", 20), expected);
}

#[test]
fn a_list_that_lacks_a_server_once_ends_it_for_the_time_being() {
    let meters = meters(&[
        (0, "", ""),
        (60, "ada/ 5 100", "ada/ 20"),
        (120, "ada/ 6 100", ""),
        (180, "ada/ 7 100", ""),
        (240, "ada/ 8 100", "ada/ 20"),
    ]);
    let expected = "cpu=26 peak=100 from=20 until=240 seconds=220";
    assert_eq!(told(&meters, "ada/", 20), expected);
}

#[test]
fn servers_of_one_user_are_told_apart_where_the_source_does() {
    let apart = meters(&[
        (0, "", ""),
        (
            60,
            "ada 90 900, ada/ 1 10, ada/lab 2 20",
            "ada/ 5, ada/lab 6",
        ),
    ]);
    assert!(told(&apart, "ada/", 5).starts_with("cpu=1 peak=10 "));
    assert!(told(&apart, "ada/lab", 6).starts_with("cpu=2 peak=20 "));
    let together = meters(&[
        (0, "", ""),
        (60, "ada 3 30, ben 4 40", "ada/ 5, ada/lab 6, ben/lab 7"),
    ]);
    assert_eq!(told(&together, "ada/", 5), "-");
    assert_eq!(told(&together, "ada/lab", 6), "-");
    assert!(told(&together, "ben/lab", 7).starts_with("cpu=4 peak=40 "));
}

#[test]
fn memory_of_the_server_before_is_not_the_next_ones() {
    let lingering = |lingers| {
        let mut meters = Meters::default();
        meters.begin(lingers);
        let looks = [
            (0, "", ""),
            (60, "ada/ 5 900", "ada/ 20"),
            (120, "ada/ 5 900", "ada/ 100"),
            (180, "ada/ 5 900", "ada/ 100"),
            (240, "ada/ 5 200", "ada/ 100"),
            (300, "ada/ 5 250", "ada/ 100"),
        ];
        after(&mut meters, &looks);
        let Account { user, .. } = account("ada/");
        let metered = meters.of(&user, "", at(100)).unwrap();
        metered.memory_peak_bytes.map(|bytes| bytes / MIB)
    };
    assert_eq!(lingering(SignedDuration::from_mins(6)), Some(250.0));
    assert_eq!(lingering(NEVER), Some(900.0));
}

#[test]
fn what_the_kernel_saw_between_two_looks_counts_for_the_peak() {
    let mut meters = meters(&[(0, "", "")]);
    let mut seen = look(60, "ada/ 5 100");
    seen.increments.push(Increment {
        account: account("ada/"),
        from: at(0),
        until: at(60),
        totals: Totals {
            memory_peak_bytes: Some(640.0 * MIB),
            ..Totals::default()
        },
    });
    meters.take(&seen, Some(&listed("ada/ 20")));
    assert!(told(&meters, "ada/", 20).starts_with("cpu=5 peak=640 "));
}

/// What is written down, by the end of each position's name.
fn kept(meters: &mut Meters, second: i64) -> BTreeMap<String, String> {
    let Some(to_keep) = meters.to_keep(at(second)) else {
        return BTreeMap::new();
    };
    meters.kept(&to_keep);
    let positions = to_keep.positions.into_iter();
    positions.map(|it| (it.source, it.value)).collect()
}

#[test]
fn a_restart_loses_what_was_used_meanwhile_and_says_so() {
    let mut first = meters(&[
        (0, "", ""),
        (60, "ada/ 5 700, ben/ 1 10", "ada/ 20, ben/ 30"),
    ]);
    let running = kept(&mut first, 60).remove(METERS).unwrap();
    let mut second = meters(&[(160, "ada/ 0 100", "ada/ 20")]);
    second.restore(&running);
    after(&mut second, &[(220, "ada/ 8 200", "ada/ 20")]);
    let expected = "cpu=13 peak=700 from=20 until=220 seconds=100";
    assert_eq!(told(&second, "ada/", 20), expected);
    // One that ended meanwhile is as it was.
    let expected = "cpu=1 peak=10 from=30 until=60 seconds=30";
    assert_eq!(told(&second, "ben/", 30), expected);
    let kept = kept(&mut second, 220);
    let ben = Metered::read(&kept[&format!("{ENDED_METERS}ben")]);
    assert!(ben[0].is_of("", at(30)));
    assert_eq!(ben[0].cpu_core_seconds, Some(1.0));
    // Both measured at the same time: the one counts that did so longer.
    let mut standby = meters(&[
        (40, "", ""),
        (50, "ada/ 1 5", "ada/ 20"),
        (70, "ada/ 1 5", "ada/ 20"),
    ]);
    standby.restore(&running);
    let expected = "cpu=2 peak=700 from=20 until=70 seconds=50";
    assert_eq!(told(&standby, "ada/", 20), expected);
    standby.restore("nonsense");
    assert_eq!(told(&standby, "ada/", 20), expected);
}

#[test]
fn it_is_written_down_every_minute_and_when_a_server_ends() {
    let mut meters = meters(&[(0, "", ""), (10, "ada/ 5 1, ben/ 1 1", "ada/ 5, ben/ 5")]);
    assert_eq!(kept(&mut meters, 10).len(), 1);
    after(&mut meters, &[(20, "ada/ 5 1, ben/ 1 1", "ada/ 5, ben/ 5")]);
    assert!(kept(&mut meters, 20).is_empty());
    after(&mut meters, &[(30, "ben/ 1 1", "ben/ 5")]);
    let names: Vec<String> = kept(&mut meters, 30).into_keys().collect();
    assert_eq!(names, [METERS, &format!("{ENDED_METERS}ada")]);
    assert!(kept(&mut meters, 40).is_empty());
    assert_eq!(kept(&mut meters, 90).len(), 1);
    assert!(told(&meters, "ada/", 5).starts_with("cpu=10 "));
    after(&mut meters, &[(3 * 3600, "ben/ 1 1", "ben/ 5")]);
    assert_eq!(told(&meters, "ada/", 5), "-", "read from `state.db` now");
}

#[test]
fn until_the_hub_has_answered_nothing_ends() {
    let mut meters = meters(&[(0, "", ""), (60, "ada/ 5 100", "ada/ 20")]);
    meters.take(&look(120, "ada/ 6 100"), None);
    after(&mut meters, &[(180, "ada/ 7 100", "ada/ 20")]);
    let expected = "cpu=18 peak=100 from=20 until=180 seconds=160";
    assert_eq!(told(&meters, "ada/", 20), expected);
    assert_eq!(kept(&mut meters, 180).len(), 1, "nothing ended");
}

#[test]
fn many_servers_that_ended_take_no_more_room() {
    let mut meters = meters(&[(0, "", "")]);
    for turn in 0..3_i64 {
        let (second, next) = (60 * turn + 20, 60 * turn + 50);
        let users: Vec<String> = (0..9_000).map(|n| format!("u{turn}-{n}/")).collect();
        let seen: Vec<String> = users.iter().map(|user| format!("{user} 1 1")).collect();
        let servers: Vec<String> = users
            .iter()
            .map(|user| format!("{user} {second}"))
            .collect();
        after(
            &mut meters,
            &[
                (next, &seen.join(", "), &servers.join(", ")),
                (next + 5, "", ""),
            ],
        );
    }
    assert!(meters.ended.len() <= MOST_ENDED, "{}", meters.ended.len());
    assert_ne!(told(&meters, "u2-7/", 140), "-", "the newest stay");
    assert!(meters.unwritten.len() <= MOST_ENDED);
}
