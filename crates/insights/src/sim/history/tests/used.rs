//! What the year's servers used, how homes grew, and what the machine bore.

use super::*;
use crate::sim::usage::Past;
use model::days::{hour_end, hour_start};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Rounding of sums of numbers around 10^12 and more.
const EXACTLY: f64 = 1e-9;

fn is_equal(left: f64, right: f64) -> bool {
    (left - right).abs() <= EXACTLY * left.abs().max(right.abs()).max(1.0)
}

fn seconds_between(from: i64, to: i64) -> f64 {
    timestamp(to).duration_since(timestamp(from)).as_secs_f64()
}

/// The part of a time that is in no outage.
fn watched_seconds(history: &History, from: i64, to: i64) -> f64 {
    let outages = history.incidents.outages.iter();
    let missed = outages.map(|outage| (to.min(outage.to) - from.max(outage.from)).max(0));
    seconds_between(from, to.max(from)) - seconds_between(0, missed.sum())
}

/// When the last hour ended that is over.
fn last_full_hour(history: &History) -> i64 {
    time_us(hour_start(history.until(), history.zone()))
}

#[test]
fn every_hour_of_a_run_has_a_row_but_for_gaps() {
    let mut history = History::plan(&world(40), &shape(365));
    let servers = told(&mut history);
    let (zone, end) = (history.zone().clone(), last_full_hour(&history));
    for (key, server) in &servers {
        let hours: BTreeSet<Timestamp> = server.usage.iter().map(|used| used.hour).collect();
        assert_eq!(hours.len(), server.usage.len(), "{key:?}: an hour twice");
        let mut expected = BTreeSet::new();
        for run in &server.runs {
            let minutes = (run.started..run.last_seen.min(end)).step_by(60_000_000);
            let minutes = minutes.filter(|&minute| !history.incidents.is_outage(minute));
            expected.extend(minutes.map(|minute| hour_start(timestamp(minute), &zone)));
        }
        let missing: Vec<_> = expected.difference(&hours).collect();
        assert_eq!(missing, Vec::<&Timestamp>::new(), "{key:?}");
        for used in &server.usage {
            assert_eq!(&used.account.user, &key.user);
            assert_eq!(used.account.server.as_ref(), Some(&key.server));
            let (from, to) = (time_us(used.hour), time_us(hour_end(used.hour, &zone)));
            assert!(to <= end);
            let runs = server.runs.iter();
            let ran = runs.map(|run| {
                let (from, to) = (from.max(run.started), to.min(run.last_seen));
                watched_seconds(&history, from, to)
            });
            assert!(
                ran.sum::<f64>() > 0.0,
                "{key:?}: not running at {}",
                used.hour
            );
            assert!((1..=62).contains(&used.totals.samples), "{used:?}");
        }
    }
}

/// Rows of one hour have one id, so that they must be one row, also where one of the runs began in
/// a month that was told before.
#[test]
fn runs_that_share_an_hour_share_its_row() {
    let mut history = History::plan(&world(600), &shape(365));
    let servers = told(&mut history);
    let (zone, end) = (history.zone().clone(), last_full_hour(&history));
    let day_of = |at| timestamp(history.calendar.days[history.calendar.day_index(at)].start);
    let (mut n_shared, mut n_over_months) = (0, 0);
    for (key, server) in &servers {
        for pair in server.runs.windows(2) {
            let hour = hour_start(timestamp(pair[1].started), &zone);
            let is_shared = time_us(hour) < pair[0].last_seen && time_us(hour) < end;
            let is_seen = history
                .incidents
                .watched(pair[1].started, pair[1].started + MINUTE);
            if !is_shared || is_seen.is_none() {
                continue;
            }
            let rows = server.usage.iter().filter(|used| used.hour == hour);
            assert_eq!(rows.count(), 1, "{key:?} at {hour}");
            n_shared += 1;
            let months = [&pair[0], &pair[1]].map(|run| tables::month_of(day_of(run.started)));
            n_over_months += usize::from(months[0] != months[1]);
        }
    }
    assert!(
        n_shared > 1000 && n_over_months > 0,
        "{n_shared} {n_over_months}"
    );
}

#[test]
fn what_was_asked_for_adds_up_to_the_time_that_servers_ran() {
    let mut history = History::plan(&world(150), &shape(365));
    let servers = told(&mut history);
    let end = last_full_hour(&history);
    let (mut cores, mut bytes, mut gpus) = (0.0, 0.0, 0.0);
    for run in all_runs(&servers) {
        let seconds = watched_seconds(&history, run.started, run.last_seen.min(end));
        cores += run.offer.requested_cores * seconds;
        bytes += run.offer.requested_bytes * seconds;
        gpus += run.offer.gpus * seconds;
    }
    let rows = servers.values().flat_map(|server| &server.usage);
    let sum = |of: fn(&model::usage::Totals) -> Option<f64>| -> f64 {
        rows.clone().filter_map(|used| of(&used.totals)).sum()
    };
    assert!(gpus > 3600.0, "somebody has a GPU");
    assert!(is_equal(sum(|it| it.cpu_requested_core_seconds), cores));
    assert!(is_equal(sum(|it| it.memory_requested_byte_seconds), bytes));
    assert!(is_equal(sum(|it| it.gpu_requested_seconds), gpus));
    let used = sum(|it| it.gpu_used_seconds);
    assert!(used > 0.0 && used < gpus);
}

#[test]
fn nobody_uses_more_on_a_day_than_their_servers_allow() {
    let mut history = History::plan(&world(150), &shape(120));
    let servers = told(&mut history);
    let zone = history.zone().clone();
    let mut used: BTreeMap<(Day, &str), f64> = BTreeMap::new();
    let mut most: BTreeMap<&str, f64> = BTreeMap::new();
    for (key, server) in &servers {
        for hour in &server.usage {
            let day = Day::of(hour.hour, &zone);
            let sum = used.entry((day, key.user.as_str())).or_default();
            *sum += hour.totals.cpu_core_seconds.unwrap();
            let totals = &hour.totals;
            let mean = totals.memory_byte_seconds.unwrap() / 3600.0;
            assert!(mean <= totals.memory_peak_bytes.unwrap());
        }
        let cores = server.runs.iter().map(|run| run.offer.most_cores);
        let cores = cores.fold(0.0, f64::max);
        let known = most.entry(key.user.as_str()).or_default();
        *known = known.max(cores);
    }
    let sessions: Vec<(&ServerKey, Session)> = servers
        .iter()
        .flat_map(|(key, server)| server.sessions().into_iter().map(move |it| (key, it)))
        .collect();
    let spans = sessions.iter().map(|(key, session)| SessionSpan {
        user: &key.user,
        server: &key.server,
        started: session.started,
        until: session.end.map_or(until(), |end| end.at),
        active_hours: session.known_active_hours(),
    });
    let days = Day::of(history.begin(), &zone)..=Day::of(until(), &zone);
    let days = user_days(spans, &zone, days);
    let hours: HashMap<(Day, &str), f64> = days
        .iter()
        .map(|day| ((day.day, day.user.as_str()), day.hours))
        .collect();
    let mut busiest: f64 = 0.0;
    for (key, used) in used {
        let allowed = hours[&key] * 3600.0 * most[key.1];
        assert!(used > 0.0 && used <= allowed + 1e-6, "{key:?}: {used}");
        busiest = busiest.max(used / allowed);
    }
    assert!(busiest > 0.3, "some calculate much: {busiest}");
}

#[test]
fn nothing_is_known_of_an_outage() {
    let mut history = History::plan(&world(200), &shape(365));
    let servers = told(&mut history);
    let zone = history.zone().clone();
    let mut n_rows: HashMap<Timestamp, usize> = HashMap::new();
    let mut samples: HashMap<Timestamp, u64> = HashMap::new();
    for used in servers.values().flat_map(|server| &server.usage) {
        *n_rows.entry(used.hour).or_default() += 1;
        let most = samples.entry(used.hour).or_default();
        *most = used.totals.samples.max(*most);
    }
    assert_eq!(history.incidents.outages.len(), 2);
    let mut n_throughout = 0;
    for outage in &history.incidents.outages {
        let first = hour_start(timestamp(outage.from), &zone);
        assert!(samples.get(&first).is_none_or(|&most| most < 60), "{first}");
        let mut hour = hour_end(first, &zone);
        while hour_end(hour, &zone) <= timestamp(outage.to) {
            assert_eq!(n_rows.get(&hour), None, "{hour}");
            hour = hour_end(hour, &zone);
        }
        let ran = all_runs(&servers).into_iter();
        let ran = ran.filter(|run| run.started < outage.from && outage.to < run.last_seen);
        n_throughout += ran.count();
    }
    assert!(n_throughout > 0, "somebody's server ran meanwhile");
}

#[test]
fn some_homes_grow_and_some_stay_still() {
    let world = world(200);
    let mut history = History::plan(&world, &shape(60));
    let Everything { servers, homes, .. } = everything(&mut history);
    let last = history.last_closed_day().unwrap().date();
    let mut of_users: BTreeMap<&str, Vec<&HomeDay>> = BTreeMap::new();
    for home in &homes {
        let days = of_users.entry(home.size.user.as_str()).or_default();
        days.push(home);
    }
    let (mut n_still, mut n_grown) = (0, 0);
    for (user, days) in &of_users {
        for pair in days.windows(2) {
            assert_eq!(pair[0].day.tomorrow().unwrap(), pair[1].day, "{user}");
        }
        if world.user(user).is_some() {
            assert_eq!(days.last().unwrap().day, last, "{user}");
        }
        let (first, last) = (&days[0].size, &days[days.len() - 1].size);
        n_still += usize::from(last.bytes <= first.bytes);
        n_grown += usize::from(last.bytes > first.bytes);
    }
    assert!(n_still > 50 && n_grown > 50, "{n_still} {n_grown}");
    let has_run = servers.keys().map(|key| key.user.as_str());
    assert!(has_run.into_iter().all(|user| of_users.contains_key(user)));
    let Past { homes, .. } = history.past();
    for user in world.users() {
        let known = of_users.get(user.name().as_str());
        let size = homes.get(user.name()).map(|home| home.size(user.name()));
        assert_eq!(known.map(|days| &days[days.len() - 1].size), size.as_ref());
    }
}

#[test]
fn memory_is_short_in_a_few_hours() {
    let mut history = History::plan(&world(500), &shape(365));
    let servers = told(&mut history);
    let mut used: HashMap<Timestamp, f64> = HashMap::new();
    for hour in servers.values().flat_map(|server| &server.usage) {
        *used.entry(hour.hour).or_default() += hour.totals.memory_byte_seconds.unwrap();
    }
    let readings = history.ceilings();
    let hours: Vec<&[Reading]> = readings.chunks(10).collect();
    let mut own: Vec<f64> = Vec::new();
    let (mut kills, mut pressure, mut n_short) = (0.0, 0.0, 0);
    for hour in &hours {
        let of = |name: &str| hour.iter().find(|it| it.name == name).unwrap();
        let memory = of("machine_memory_used_bytes");
        let capacity = of("machine_memory_capacity_bytes").value;
        let within = memory.hour.as_ref().unwrap();
        assert!(within.min <= memory.value && memory.value <= within.max);
        assert!(within.max <= capacity);
        assert!(of("machine_cpu_used_cores").value < of("machine_cpu_capacity_cores").value);
        if within.n == 60 {
            let servers = used.get(&hour[0].at).copied().unwrap_or_default() / 3600.0;
            own.push(memory.value - servers);
        }
        let last = |it: &Reading| it.hour.as_ref().unwrap().last;
        let now_killed = last(of("machine_oom_kills_total"));
        let waited = hour
            .iter()
            .find(|it| it.labels == [("kind", "full"), ("resource", "memory")]);
        let waited = last(waited.unwrap());
        assert!(
            now_killed >= kills && waited >= pressure,
            "counters only grow"
        );
        if now_killed > kills {
            n_short += 1;
            assert!(memory.value > 0.9 * capacity && waited > pressure);
        }
        (kills, pressure) = (now_killed, waited);
    }
    assert!(n_short >= 1 && n_short * 100 < hours.len(), "{n_short}");
    // Beside what servers use, the machine uses the same all the time.
    let (least, most) = own.iter().fold((f64::MAX, 0.0_f64), |(least, most), &it| {
        (least.min(it), most.max(it))
    });
    assert!(own.len() > 8700 && most - least < 4096.0, "{least} {most}");
}

#[test]
fn the_hour_of_the_present_is_left_to_the_present() {
    let mut history = History::plan(&world(300), &shape(30));
    told(&mut history);
    let past = history.past();
    let now = until();
    assert_eq!(past.until, Some(now));
    let hour = hour_start(now, history.zone());
    for running in history.running() {
        let increments = past.unclosed().iter();
        let mut increments = increments.filter(|it| {
            let server = it.account.server.as_ref();
            it.account.user == running.key.user && server == Some(&running.key.server)
        });
        let last = increments.next_back().unwrap();
        assert_eq!(last.until, now);
        assert_eq!(last.from, hour.max(running.started), "{running:?}");
    }
}

#[tokio::test]
async fn a_sink_gets_what_was_used_each_row_once() {
    let mut history = History::plan(&world(200), &shape(100));
    let Everything { servers, homes, .. } = everything(&mut history);
    let n_hours: usize = servers.values().map(|server| server.usage.len()).sum();
    let sink = Counting::default();
    let history = History::plan(&world(200), &shape(100));
    let filled = fill(history, &"demo".into(), &sink, |_| ()).await.unwrap();
    let usage = sink.usage.into_inner().unwrap();
    let storage = sink.storage.into_inner().unwrap();
    assert_eq!((usage.len(), storage.len()), (n_hours, homes.len()));
    assert_eq!(filled.totals.n_usage, n_hours as u64);
    assert_eq!(filled.totals.n_storage, homes.len() as u64);
    let ids: HashSet<&str> = usage.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), usage.len());
    let ids: HashSet<&str> = storage.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), storage.len());
    let months = usage.iter().map(|row| tables::month_of(row.hour));
    let out_of_order = months.clone().zip(months.skip(1));
    let out_of_order = out_of_order.filter(|(one, next)| one > next).count();
    assert_eq!(out_of_order, 0, "months are written one after the other");
}

#[tokio::test]
async fn closed_days_say_what_was_used_on_them() {
    use model::usage::{Used, UsedSum};
    for zone in ["Europe/Berlin", "Asia/Kathmandu", "America/Los_Angeles"] {
        let shape = HistoryShape {
            zone: TimeZone::get(zone).unwrap(),
            ..shape(100)
        };
        let sink = Counting::default();
        let history = History::plan(&world(200), &shape);
        let filled = fill(history, &"demo".into(), &sink, |_| ()).await.unwrap();
        let last = filled.history.last_closed_day().unwrap();
        let mut expected: BTreeMap<(Day, String), UsedSum> = BTreeMap::new();
        for row in sink.usage.into_inner().unwrap() {
            let day = Day::of(row.hour, &shape.zone);
            let used = Used {
                cpu_core_seconds: row.cpu_core_seconds,
                memory_byte_seconds: row.memory_byte_seconds,
                gpu_seconds: row.gpu_requested_seconds,
            };
            if day <= last {
                let sum = expected.entry((day, row.user.to_string())).or_default();
                sum.add(&used);
            }
        }
        let days = sink.user_days.into_inner().unwrap().into_iter();
        let told = days.map(|row| {
            let used = Used {
                cpu_core_seconds: row.cpu_core_seconds,
                memory_byte_seconds: row.memory_byte_seconds,
                gpu_seconds: row.gpu_seconds,
            };
            ((Day::new(row.day), row.user.to_string()), used)
        });
        // A session that nobody watched has no usage.
        let told = told.filter(|(_, used)| *used != Used::default());
        let told: BTreeMap<_, _> = told.collect();
        let expected = expected.into_iter().map(|(day, sum)| (day, sum.total()));
        let expected: BTreeMap<_, _> = expected.collect();
        assert!(
            told == expected,
            "{zone}: {} {}",
            told.len(),
            expected.len()
        );
        assert!(told.len() > 500, "{}", told.len());
    }
}
