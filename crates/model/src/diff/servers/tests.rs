//! What two looks at the servers tell.

use super::*;
use crate::fact::ActiveHour;
use crate::session::{Session, sessions};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn at(text: &str) -> Timestamp {
    second(text.parse().unwrap())
}

/// `ada 100`, `ada/lab 100`; `ada -` without a start; also `pending` and `a120` for activity.
fn server(text: &str) -> Server {
    let mut words = text.split_whitespace();
    let (user, name) = match words.next().unwrap() {
        named if named.contains('/') => named.split_once('/').unwrap(),
        user => (user, ""),
    };
    let started = words.next().unwrap();
    let rest: Vec<&str> = words.collect();
    let activity = rest.iter().find_map(|word| word.strip_prefix('a'));
    Server {
        user: user.into(),
        name: name.into(),
        started: (started != "-").then(|| at(started)),
        last_activity: activity.map(at),
        ready: !rest.contains(&"pending"),
        pending: None,
        options: None,
        image: None,
    }
}

fn servers(text: &str) -> Vec<Server> {
    let servers = text.split(';').map(str::trim);
    servers
        .filter(|text| !text.is_empty())
        .map(server)
        .collect()
}

fn look(at: Timestamp) -> Look {
    Look {
        began: at,
        at,
        watch_limit: SignedDuration::from_secs(60),
        hub_started: None,
        stops: StopEvidence::Unknown,
        zone: TimeZone::UTC,
    }
}

fn render(keyed: &KeyedFact) -> String {
    let KeyedFact { key, fact } = keyed;
    let at = fact.at.as_second();
    let what = match &fact.what {
        What::Seen { started, .. } => format!("seen {}", started.as_second()),
        What::Activity { hours, .. } => {
            let hours = hours.iter();
            let hours = hours
                .map(|ActiveHour { hour, seconds }| format!(" {}={seconds}", hour.as_second()));
            format!("active{}", hours.collect::<String>())
        }
        What::Gone {
            last_seen, watch, ..
        } => match watch {
            Watch::Watched => format!("gone since {}", last_seen.as_second()),
            Watch::Unwatched => format!("gone since {} unwatched", last_seen.as_second()),
        },
        What::Start | What::Stop | What::Died | What::HubStop => panic!("polling sees no events"),
    };
    let separator = if key.server.is_empty() { "" } else { "/" };
    format!("{}{separator}{} @{at} {what}", key.user, key.server)
}

/// Lists as `@time server; server`, `|` between them; and the facts each of them brings.
#[track_caller]
fn check(lists: &str, expected: &str) {
    let mut running = Vec::new();
    let mut told = Vec::new();
    for list in lists.split('|') {
        let (time, listed) = list.trim().split_once(' ').unwrap_or((list.trim(), ""));
        let look = look(at(time.strip_prefix('@').unwrap()));
        let news = server_news(&running, &servers(listed), &look);
        running = news.running;
        told.push(news.facts.iter().map(render).collect::<Vec<_>>().join("; "));
    }
    assert_eq!(told.join(" | "), expected);
}

#[test]
fn a_ready_server_is_seen_once() {
    check("@110 ada 100 | @120 ada 100", "ada @110 seen 100 | ");
}

#[test]
fn a_server_is_known_when_it_is_ready_and_has_a_start() {
    check(
        "@110 ada - pending; bob - | @120 ada 115 pending | @130 ada 115",
        " |  | ada @130 seen 115",
    );
}

#[test]
fn a_pending_server_that_vanishes_leaves_nothing() {
    check("@110 ada 100 pending | @120", " | ");
}

#[test]
fn a_missing_server_is_gone() {
    check(
        "@110 ada 100 | @120 ada 100 | @130",
        "ada @110 seen 100 |  | ada @130 gone since 120",
    );
}

#[test]
fn after_a_long_time_without_a_look_a_missing_server_was_unwatched() {
    check(
        "@110 ada 100 | @170",
        "ada @110 seen 100 | ada @170 gone since 110",
    );
    check(
        "@110 ada 100 | @171",
        "ada @110 seen 100 | ada @171 gone since 110 unwatched",
    );
}

#[test]
fn a_stopping_server_is_still_there() {
    check(
        "@110 ada 100 | @120 ada 100 pending | @130 ada - pending | @140",
        "ada @110 seen 100 |  |  | ada @140 gone since 120",
    );
}

#[test]
fn another_start_is_another_server() {
    check(
        "@110 ada 100 | @120 ada 115",
        "ada @110 seen 100 | ada @120 seen 115; ada @120 gone since 110",
    );
    check(
        "@110 ada 100 | @120 ada 115 pending | @130 ada 115",
        "ada @110 seen 100 | ada @120 gone since 110 | ada @130 seen 115",
    );
}

#[test]
fn a_run_that_was_cut_is_the_one_that_started_earlier() {
    let running = server_news(&[], &servers("ada 100"), &look(second(110))).running;
    let cut = Running {
        started: second(105),
        is_cut: true,
        ..running[0].clone()
    };
    let news = |listed| {
        server_news(
            std::slice::from_ref(&cut),
            &servers(listed),
            &look(second(120)),
        )
    };
    let same = news("ada 100");
    assert_eq!(
        (same.facts.len(), same.running[0].started),
        (0, second(105))
    );
    assert_eq!(news("ada 115").facts.len(), 2, "another server");
    assert_eq!(news("").facts.len(), 1);
}

#[test]
fn servers_of_one_user_are_told_apart_by_name() {
    check(
        "@110 ada 100; ada/lab 105 | @120 ada/lab 105",
        "ada @110 seen 100; ada/lab @110 seen 105 | ada @120 gone since 110",
    );
}

#[test]
fn activity_is_told_at_the_end() {
    check(
        "@110 ada 100 a100 | @160 ada 100 a150 | @170",
        "ada @110 seen 100 |  | ada @170 active 0=50; ada @170 gone since 160",
    );
}

#[test]
fn a_server_that_did_nothing_was_active_for_no_time() {
    check(
        "@110 ada 100 a100 | @120",
        "ada @110 seen 100 | ada @120 active; ada @120 gone since 110",
    );
}

#[test]
fn activity_is_told_at_midnight_and_finished_hours_only_once() {
    let lists = "@82000 ada 80000 a80000 | @83000 ada 80000 a82700 | @86300 ada 80000 a86200 \
                 | @86400 ada 80000 a86300 | @86500 ada 80000 a86450 | @86510";
    let expected = "ada @82000 seen 80000 |  |  | ada @86400 active 79200=600 82800=700 \
                    |  | ada @86510 active 82800=800 86400=50; ada @86510 gone since 86500";
    check(lists, expected);
}

#[test]
fn a_clock_that_jumps_back_ends_nothing_before_it_was_seen() {
    check(
        "@110 ada 100 | @50",
        "ada @110 seen 100 | ada @110 gone since 110 unwatched",
    );
    check(
        "@50 ada 100 | @120",
        "ada @100 seen 100 | ada @120 gone since 100",
    );
    check(
        "@110 ada 100 | @50 ada 100 | @60",
        "ada @110 seen 100 |  | ada @110 gone since 110 unwatched",
    );
}

#[test]
fn a_restart_of_the_hub_is_told_if_it_came_after_the_server_was_seen() {
    let before = server_news(&[], &servers("ada 100"), &look(second(110))).running;
    for (hub_started, expected) in [(110, None), (111, Some(second(111)))] {
        let look = Look {
            hub_started: Some(second(hub_started)),
            ..look(second(120))
        };
        let news = server_news(&before, &[], &look);
        let What::Gone { hub_restarted, .. } = news.facts[0].fact.what else {
            panic!("not gone: {news:?}");
        };
        assert_eq!(hub_restarted, expected);
    }
}

#[test]
fn a_server_listed_twice_counts_once() {
    check("@110 ada 100; ada 100", "ada @110 seen 100");
    assert_eq!(n_gone(&[], &servers("ada 100; ada 100")), 0);
}

fn some_servers() -> impl Strategy<Value = Vec<Server>> {
    let server = (
        proptest::option::weighted(0.8, 0i64..4),
        proptest::option::of(0i64..200_000),
        any::<bool>(),
    );
    proptest::collection::btree_map(0u8..3, server, 0..3).prop_map(|servers| {
        let servers = servers
            .into_iter()
            .map(|(user, (started, last_activity, ready))| Server {
                user: format!("u{user}").as_str().into(),
                name: "".into(),
                started: started.map(|run| second(run * 50_000)),
                last_activity: last_activity.map(second),
                ready,
                pending: None,
                options: None,
                image: None,
            });
        servers.collect()
    })
}

fn key(server: &Server) -> ServerKey {
    ServerKey {
        user: server.user.clone(),
        server: server.name.clone(),
    }
}

/// What must run after a look, by the definition and not by comparing.
fn expected_running(before: &[Running], after: &[Server]) -> BTreeSet<(ServerKey, Timestamp)> {
    let running = after.iter().filter_map(|server| {
        let key = key(server);
        let known = before.iter().find(|running| running.key == key);
        let started = match (known, server.started) {
            (Some(running), None) => running.started,
            (Some(running), Some(started)) if running.started == started => started,
            (_, Some(started)) if server.ready => started,
            _ => return None,
        };
        Some((key, started))
    });
    running.collect()
}

proptest! {
    #[test]
    fn looks_give_one_fact_for_each_server_that_comes_and_goes(
        looks in proptest::collection::vec((0i64..200_000, some_servers()), 0..12),
    ) {
        let mut running: Vec<Running> = Vec::new();
        let mut facts: Vec<KeyedFact> = Vec::new();
        for (now, after) in looks {
            let expected = expected_running(&running, &after);
            let n_gone = n_gone(&running, &after);
            let news = server_news(&running, &after, &look(second(now)));
            let names = |running: &Running| (running.key.clone(), running.started);
            prop_assert_eq!(news.running.iter().map(names).collect::<BTreeSet<_>>(), expected.clone());
            prop_assert_eq!(news.running.len(), expected.len());

            let before: BTreeSet<_> = running.iter().map(names).collect();
            let started = |keyed: &KeyedFact| match keyed.fact.what {
                What::Seen { started, .. } => Some((keyed.key.clone(), started)),
                _ => None,
            };
            let ended = |keyed: &KeyedFact| match keyed.fact.what {
                What::Gone { started, .. } => Some((keyed.key.clone(), started.unwrap())),
                _ => None,
            };
            let seen: Vec<_> = news.facts.iter().filter_map(started).collect();
            let gone: Vec<_> = news.facts.iter().filter_map(ended).collect();
            prop_assert_eq!(gone.len(), n_gone);
            prop_assert_eq!(&seen.iter().cloned().collect::<BTreeSet<_>>(), &(&expected - &before));
            prop_assert_eq!(&gone.iter().cloned().collect::<BTreeSet<_>>(), &(&before - &expected));
            prop_assert_eq!(seen.len() + before.len(), expected.len() + gone.len());
            facts.extend(news.facts);
            running = news.running;
        }
        let keys: HashSet<&ServerKey> = facts.iter().map(|keyed| &keyed.key).collect();
        for key in keys {
            let facts = facts.iter().filter(|keyed| keyed.key == *key);
            let facts: Vec<Fact> = facts.map(|keyed| keyed.fact.clone()).collect();
            let in_order = |session: &Session| session.started <= session.last_seen
                && session.end.is_none_or(|end| session.last_seen <= end.at);
            prop_assert!(sessions(&facts).iter().all(in_order));
        }
    }
}
