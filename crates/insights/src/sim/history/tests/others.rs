//! What others than polls told of the year, and that it agrees with what truly happened.

use super::super::attempts::Attempt;
use super::super::incidents::TroubleCause;
use super::super::items::{Detail, HookItem};
use super::*;
use std::collections::{HashMap, HashSet};

const SECONDS: i64 = 1_000_000;

fn hooks(items: &[Item]) -> impl Iterator<Item = &HookItem> {
    items.iter().filter_map(|item| match item {
        Item::Hook(item) => Some(item),
        Item::Launch(_) => None,
    })
}

fn of_kind<'a>(items: &'a [Item], kind: &str) -> Vec<&'a HookItem> {
    hooks(items).filter(|item| item.kind == kind).collect()
}

fn key_of(item: &HookItem) -> ServerKey {
    ServerKey {
        user: item.user.clone().unwrap(),
        server: item.server.clone().unwrap(),
    }
}

/// Growth of a counter from each hour to the next, by the hour's start, where no process began.
fn growth(readings: &[Reading], name: &str, labels: &[(&str, &str)]) -> HashMap<i64, f64> {
    let of_series = readings.iter();
    let of_series = of_series.filter(|it| it.name == name && it.labels == labels);
    let hours: Vec<(i64, &Hour)> = of_series
        .map(|it| (time_us(it.at), it.hour.as_ref().unwrap()))
        .collect();
    let next = hours.windows(2).filter(|pair| {
        let (before, after) = (&pair[0], &pair[1]);
        after.0 - before.0 == HOUR && after.1.min >= before.1.last
    });
    next.map(|pair| (pair[1].0, pair[1].1.last - pair[0].1.last))
        .collect()
}

const SUCCEEDED: (&str, &[(&str, &str)]) = (
    "jupyterhub_server_spawn_duration_seconds_count",
    &[("status", "success")],
);

#[test]
fn each_start_since_the_hooks_came_is_told_once() {
    let mut history = History::plan(&world(300), &shape(365));
    let Everything { servers, items, .. } = everything(&mut history);
    let hooked_from = history.incidents.hooked_from;
    assert_eq!(Some(&hooked_from), history.incidents.restarts.last());
    let mut told: HashMap<ServerKey, Vec<(i64, f64)>> = HashMap::new();
    for item in of_kind(&items, "spawn-succeeded") {
        let Some(Detail::Succeeded {
            seconds,
            launch_seconds,
            ..
        }) = item.detail
        else {
            panic!("{item:?}");
        };
        assert!(launch_seconds > seconds);
        let of_server = told.entry(key_of(item)).or_default();
        of_server.push((time_us(item.at), seconds));
    }
    let mut n_runs = 0;
    for (key, server) in &servers {
        for run in server.runs.iter().filter(|run| run.started > hooked_from) {
            n_runs += 1;
            let took = usage::seconds(run.ready - run.started);
            let own = told[key].iter().filter(|(ready, seconds)| {
                (run.ready..run.ready + SECONDS).contains(ready) && (seconds - took).abs() < 1e-9
            });
            assert_eq!(own.count(), 1, "{key:?} {run:?}");
        }
    }
    assert_eq!(told.values().map(Vec::len).sum::<usize>(), n_runs);
    let n_failed = of_kind(&items, "spawn-failed").len();
    assert_eq!(of_kind(&items, "spawn-asked").len(), n_runs + n_failed);
    assert!(n_failed > 50 && n_failed * 10 < n_runs, "{n_failed}");
}

#[test]
fn every_login_is_followed_by_a_start_and_every_start_by_no_other_person() {
    let mut history = History::plan(&world(200), &shape(365));
    let Everything { items, .. } = everything(&mut history);
    let times = |kind| {
        let mut times: HashMap<&str, Vec<i64>> = HashMap::new();
        for item in of_kind(&items, kind) {
            if let Some(user) = &item.user {
                times
                    .entry(user.as_str())
                    .or_default()
                    .push(time_us(item.at));
            }
        }
        times
    };
    let (logins, asked) = (times("login"), times("spawn-asked"));
    for (user, logins) in &logins {
        for login in logins {
            let soon = *login..*login + 30 * SECONDS;
            assert!(asked[user].iter().any(|at| soon.contains(at)), "{user}");
        }
    }
    let settled = history.incidents.hooked_from + 15 * DAY;
    for (user, asked) in &asked {
        for at in asked.iter().filter(|&&at| at > settled) {
            let valid = at - 15 * DAY..*at;
            assert!(
                logins[user].iter().any(|login| valid.contains(login)),
                "{user}"
            );
        }
    }
    let n = |kind| of_kind(&items, kind).len();
    let (n_logins, n_starts) = (n("login"), n("spawn-asked"));
    assert!(
        n_logins * 10 < n_starts * 7 && n_logins * 10 > n_starts,
        "{n_logins} of {n_starts}"
    );
    assert!(n("logout") > 20 && n("logout") < n_logins);
    let failed = of_kind(&items, "login-failed");
    assert!(failed.iter().any(|item| item.user.is_some()));
    assert!(failed.iter().any(|item| item.user.is_none()));
}

#[test]
fn addresses_are_forgotten_after_a_month() {
    let mut history = History::plan(&world(100), &shape(120));
    let Everything { items, .. } = everything(&mut history);
    let (mut n_kept, mut n_forgotten) = (0, 0);
    for item in of_kind(&items, "login") {
        let Some(Detail::Login { address, .. }) = &item.detail else {
            panic!("{item:?}");
        };
        let is_old = time_us(item.at) < time_us(until()) - 29 * DAY;
        assert_eq!(address.is_none(), is_old, "{item:?}");
        n_forgotten += usize::from(is_old);
        n_kept += usize::from(!is_old);
    }
    assert!(n_kept > 50 && n_forgotten > 50, "{n_kept} {n_forgotten}");
}

#[test]
fn the_hub_counts_the_starts_of_each_hour() {
    let mut history = History::plan(&world(200), &shape(365));
    let servers = told(&mut history);
    let readings = history.counters();
    let counted = growth(&readings, SUCCEEDED.0, SUCCEEDED.1);
    let mut expected: HashMap<i64, f64> = HashMap::new();
    for run in all_runs(&servers) {
        let hour = history.calendar.hour_index(run.ready);
        *expected
            .entry(history.calendar.hour_start(hour))
            .or_default() += 1.0;
    }
    for (hour, n) in &counted {
        let expected = expected.get(hour).copied().unwrap_or_default();
        assert!((n - expected).abs() < 1e-9, "{n} {expected}");
    }
    assert!(counted.len() > 8600, "{}", counted.len());
    let bucket = "jupyterhub_server_spawn_duration_seconds_bucket";
    let all = growth(&readings, bucket, &[("le", "+Inf"), ("status", "success")]);
    assert_eq!(all, counted);
    let fast = growth(&readings, bucket, &[("le", "10.0"), ("status", "success")]);
    assert!(fast.iter().all(|(hour, n)| *n <= counted[hour]));
    let (fast, all): (f64, f64) = (fast.values().sum(), all.values().sum());
    assert!((0.3..0.7).contains(&(fast / all)), "{fast} of {all}");
}

#[test]
fn the_busier_the_hub_the_slower_it_answers() {
    let mut history = History::plan(&world(500), &shape(120));
    told(&mut history);
    let readings = history.counters();
    let good = [("code", "2xx")];
    let n = growth(
        &readings,
        "jupyterhub_request_duration_seconds_count",
        &good,
    );
    let seconds = growth(&readings, "jupyterhub_request_duration_seconds_sum", &good);
    let started = growth(&readings, SUCCEEDED.0, SUCCEEDED.1);
    let mut hours: Vec<(f64, f64)> = n
        .iter()
        .map(|(hour, n)| (started[hour], seconds[hour] / n))
        .collect();
    hours.sort_by(|left, right| left.0.total_cmp(&right.0));
    let tenth = hours.len() / 10;
    let sum = |hours: &[(f64, f64)]| hours.iter().map(|hour| hour.1).sum::<f64>();
    let (quiet, busy) = (sum(&hours[..tenth]), sum(&hours[hours.len() - tenth..]));
    assert!(busy > 1.3 * quiet, "{busy} {quiet}");
}

#[test]
fn in_troubles_starts_fail_and_places_are_taken() {
    let mut history = History::plan(&world(600), &shape(365));
    let servers = told(&mut history);
    let failed = |is_in_trouble: bool| {
        let runs = all_runs(&servers).into_iter().filter(|run| {
            let trouble = history.incidents.trouble_at(run.started);
            trouble.is_some() == is_in_trouble
        });
        let (n, n_failed) = runs.fold((0, 0), |(n, n_failed), run| {
            (n + 1, n_failed + usize::from(run.failed.is_some()))
        });
        assert!(n > 50, "{n}");
        n_failed * 1000 / n
    };
    assert!((250..500).contains(&failed(true)), "{}", failed(true));
    assert!((3..15).contains(&failed(false)), "{}", failed(false));

    for run in all_runs(&servers) {
        if let Some(Attempt { asked, ended, .. }) = run.failed {
            assert!(asked < ended && ended < run.started);
        }
    }
    let places = history.places();
    let most = |name: &str, labels: &[(&str, &str)], from: i64, to: i64| {
        let of = places
            .iter()
            .filter(|it| it.name == name && it.labels == labels);
        let of = of.filter(|it| from < time_us(it.at) + HOUR && time_us(it.at) < to);
        of.map(|it| it.hour.as_ref().unwrap().max)
            .fold(0.0, f64::max)
    };
    let held = f64::from(history.n_places());
    let mut n_without_nodes = 0;
    for trouble in &history.incidents.troubles {
        let waiting = most(
            "pods_placeholder",
            &[("phase", "Pending")],
            trouble.from,
            trouble.to,
        );
        let lacking = most("pods_unschedulable", &[], trouble.from, trouble.to);
        if trouble.cause == TroubleCause::NoNodes {
            n_without_nodes += 1;
            assert!(
                (waiting - held).abs() < 1e-9 && lacking >= 1.0,
                "{trouble:?}"
            );
        }
    }
    assert!(n_without_nodes >= 3);
    let short = places
        .iter()
        .filter(|it| it.name == "pods_unschedulable" && it.value > 0.0);
    let n_short = short.count();
    assert!((8..60).contains(&n_short), "{n_short} hours");
}

#[test]
fn nothing_at_all_is_known_of_one_day_of_a_year() {
    let mut history = History::plan(&world(100), &shape(365));
    let Everything { items, homes, .. } = everything(&mut history);
    let zone = history.zone().clone();
    let mut known: HashMap<Day, [bool; 4]> = HashMap::new();
    let day_of = |at: Timestamp| Day::of(at, &zone);
    let sources = [
        history.readings(),
        history.ceilings(),
        history.counters(),
        history.places(),
    ];
    for (index, readings) in sources.iter().enumerate() {
        for reading in readings {
            known.entry(day_of(reading.at)).or_default()[index] = true;
        }
    }
    let days = &history.calendar.days[..history.calendar.days.len() - 1];
    let is_unknown = |day: &Day| known.get(day).is_none_or(|known| *known == [false; 4]);
    let unknown: Vec<Day> = days.iter().map(|it| it.day).filter(is_unknown).collect();
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert!(days.iter().all(|it| {
        let known = known.get(&it.day).copied().unwrap_or_default();
        known == [true; 4] || it.day == unknown[0]
    }));
    assert!(homes.iter().all(|home| Day::new(home.day) != unknown[0]));
    assert!(items.iter().all(|item| day_of(item.at()) != unknown[0]));
}

#[test]
fn a_restart_of_the_hub_is_seen_and_told() {
    let mut history = History::plan(&world(20), &shape(365));
    let Everything { items, .. } = everything(&mut history);
    let (restarts, counters) = (history.incidents.restarts.clone(), history.counters());
    let processes = counters
        .iter()
        .filter(|it| it.name == "process_start_time_seconds");
    let started: Vec<f64> = processes.map(|it| it.hour.as_ref().unwrap().last).collect();
    let changes: Vec<f64> = started
        .windows(2)
        .filter(|pair| pair[0] < pair[1])
        .map(|pair| pair[1])
        .collect();
    assert_eq!(changes.len(), restarts.len());
    for (seen, restart) in changes.iter().zip(&restarts) {
        let late = usage::seconds(*restart) - seen;
        assert!((-1e-6..0.0101).contains(&late), "{late}");
    }
    let told = of_kind(&items, "hub-started");
    assert_eq!(told.len(), 1);
    let late = time_us(told[0].at) - restarts[restarts.len() - 1];
    assert!((0..60 * SECONDS).contains(&late));
}

#[tokio::test]
async fn the_service_reads_every_item_that_was_sent() {
    let mut history = History::plan(&world(200), &shape(200));
    let Everything { items, .. } = everything(&mut history);
    let sink = Counting::default();
    let history = History::plan(&world(200), &shape(200));
    fill(history, &"demo".into(), &sink, |_| ()).await.unwrap();
    let events = sink.events.into_inner().unwrap();
    let from = |source: &str| events.iter().filter(|it| &*it.source == source).count();
    assert_eq!(from("hooks"), hooks(&items).count());
    assert_eq!(from("binderhub"), items.len() - hooks(&items).count());
    assert!(from("binderhub") > 300 && from("hooks") > 3000);
    let others = events
        .iter()
        .filter(|it| matches!(&*it.source, "hooks" | "binderhub"));
    let ids: HashSet<&str> = others.map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), items.len(), "each has an id of its own");
    let launch = events
        .iter()
        .find(|it| &*it.kind == "binder-launch")
        .unwrap();
    assert!(
        launch
            .detail
            .as_ref()
            .unwrap()
            .contains(r#""status":"success""#)
    );
}
