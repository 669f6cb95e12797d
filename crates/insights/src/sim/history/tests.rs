//! The made-up year: its shape, and that it is what collecting would have written.

use super::calendar::{DAY, HOUR, MINUTE, time_us};
use super::runs::Cause;
use super::*;
use crate::sim::Shape;
use model::days::{SessionSpan, user_days};
use model::fact::{Fact, What};
use model::session::{EndReason, Session, sessions};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::tables::{self, Event};

mod others;
mod used;

fn until() -> Timestamp {
    "2026-11-20T12:34:56.789012Z".parse().unwrap()
}

fn world(n_users: usize) -> World {
    let shape = Shape {
        n_users,
        n_groups: 20,
        n_active: n_users / 10,
        groups_per_user: 1.5,
        seed: 1,
    };
    World::generate(&shape, until())
}

fn shape(n_days: u32) -> HistoryShape {
    HistoryShape {
        n_days,
        seed: 1,
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        until: until(),
    }
}

/// All servers with everything about them.
fn told(history: &mut History) -> BTreeMap<ServerKey, Server> {
    everything(history).servers
}

fn everything(history: &mut History) -> Everything {
    let mut everything = Everything::default();
    for month in 0..history.n_months() {
        let servers = history.servers(month, 0..history.n_users());
        let items = history.hooks(0..history.n_users(), &servers);
        everything.items.extend(items);
        everything.items.extend(history.visits(month));
        for told in servers {
            let server = everything.servers.entry(told.key).or_default();
            server.facts.extend(told.facts);
            server.runs.extend(told.runs);
            server.usage.extend(told.usage);
        }
        let homes = history.homes(month, 0..history.n_users());
        everything.homes.extend(homes);
    }
    everything
}

#[derive(Default)]
struct Everything {
    servers: BTreeMap<ServerKey, Server>,
    items: Vec<Item>,
    homes: Vec<HomeDay>,
}

#[derive(Default)]
struct Server {
    facts: Vec<ToldFact>,
    runs: Vec<Run>,
    usage: Vec<HourUse>,
}

impl Server {
    fn sessions(&self) -> Vec<Session> {
        let facts: Vec<Fact> = self.facts.iter().map(|told| told.fact.clone()).collect();
        sessions(&facts)
    }
}

fn all_runs(servers: &BTreeMap<ServerKey, Server>) -> Vec<&Run> {
    servers.values().flat_map(|server| &server.runs).collect()
}

fn fingerprint(n_users: usize, shape: &HistoryShape) -> String {
    let mut history = History::plan(&world(n_users), shape);
    let mut hash = Sha256::new();
    let Everything {
        servers,
        items,
        homes,
    } = everything(&mut history);
    hash.update(format!("{items:?} {:?}", history.counters()));
    for (key, server) in servers {
        hash.update(format!("{key:?} {:?} {:?}", server.facts, server.usage));
    }
    hash.update(format!("{homes:?} {:?}", history.ceilings()));
    hash.update(format!("{:?}", history.places()));
    hash.update(format!("{:?} {:?}", history.members(), history.users()));
    hash.update(format!("{:?} {:?}", history.readings(), history.running()));
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let other = HistoryShape {
        seed: 2,
        ..shape(60)
    };
    assert_eq!(fingerprint(60, &shape(60)), fingerprint(60, &shape(60)));
    assert_ne!(fingerprint(60, &shape(60)), fingerprint(60, &other));
}

#[test]
fn facts_say_exactly_what_happened() {
    let mut history = History::plan(&world(300), &shape(365));
    for (key, server) in told(&mut history) {
        let sessions = server.sessions();
        assert_eq!(sessions.len(), server.runs.len(), "{key:?}");
        for (session, run) in sessions.iter().zip(&server.runs) {
            assert_eq!(time_us(session.started), run.started);
            let end = session.end.map(|end| (time_us(end.at), end.reason));
            assert_eq!(end, run.planned_end(), "{key:?} {run:?} {session:?}");
            assert_eq!(session.options, run.options);
            assert!(session.active_seconds.is_some() || end.is_none());
        }
    }
}

impl Run {
    /// How the session is to end.
    fn planned_end(&self) -> Option<(i64, EndReason)> {
        let end = self.end?;
        let at = if self.told == runs::Told::ByHub {
            end.at
        } else {
            end.missed
        };
        Some(match end.cause {
            Cause::Stopped => (at, EndReason::Stopped),
            Cause::Crashed => (at, EndReason::Crashed),
            Cause::HubRestart(_) => (end.missed, EndReason::HubRestart),
            Cause::InOutage => (self.last_seen, EndReason::Unobserved),
            Cause::Unknown => (end.missed, EndReason::Unobserved),
        })
    }
}

#[test]
fn choices_are_as_collecting_keeps_them() {
    let mut history = History::plan(&world(300), &shape(60));
    let servers = told(&mut history);
    let mut n_open_with_image = 0;
    for run in all_runs(&servers) {
        let Some(options) = &run.options else {
            assert_eq!(run.image, None);
            continue;
        };
        let kept = crate::hub::UserOptions::read(options);
        assert_eq!((&kept.text, &kept.image), (&run.options, &run.image));
        n_open_with_image += usize::from(run.end.is_none() && run.image.is_some());
    }
    assert!(n_open_with_image > 0);
}

#[test]
fn facts_may_come_in_any_order() {
    let mut history = History::plan(&world(60), &shape(120));
    for mut server in told(&mut history).into_values() {
        let expected = server.sessions();
        server.facts.reverse();
        assert_eq!(server.sessions(), expected);
        server
            .facts
            .sort_by_key(|told| told.fact.at.subsec_nanosecond());
        assert_eq!(server.sessions(), expected);
    }
}

#[test]
fn what_runs_in_the_world_is_open_and_nothing_else() {
    let world = world(300);
    let mut history = History::plan(&world, &shape(365));
    let servers = told(&mut history);
    let mut open: Vec<ServerKey> = Vec::new();
    for (key, server) in &servers {
        let sessions = server.sessions();
        let (running, ended): (Vec<_>, Vec<_>) =
            sessions.iter().partition(|session| session.end.is_none());
        assert!(ended.iter().all(|session| session.last_seen <= until()));
        for session in running {
            open.push(key.clone());
            let user = world.user(key.user.as_str()).unwrap();
            let server = user.server(&key.server).unwrap();
            assert_eq!(session.started, server.started);
        }
    }
    let running = history.running();
    assert_eq!(
        open,
        running
            .iter()
            .map(|running| running.key.clone())
            .collect::<Vec<_>>()
    );
    let n_servers: usize = world.users().iter().map(|user| user.servers.len()).sum();
    assert_eq!(open.len(), n_servers);
    for running in running {
        assert!(running.tally.last_activity <= Some(until()));
        let seen = servers[&running.key].facts.iter().any(|told| {
            matches!(told.fact.what, What::Seen { started, .. } if started == running.started)
                && told.fact.at == running.seen_ready
        });
        assert!(seen, "{running:?}");
    }
}

#[test]
fn a_year_looks_like_a_university() {
    const N_USERS: usize = 2000;
    let mut history = History::plan(&world(N_USERS), &shape(365));
    let servers = told(&mut history);
    let runs = all_runs(&servers);
    let n = runs.len();
    assert!(
        (130..180).contains(&(n / N_USERS)),
        "{} sessions per user",
        n / N_USERS
    );

    let weekend = runs.iter().filter(|run| {
        let day = history.calendar.day_index(run.started);
        history.calendar.days[day].is_weekend()
    });
    let weekend_percent = weekend.count() * 100 / n;
    assert!(
        (5..15).contains(&weekend_percent),
        "{weekend_percent} % at weekends"
    );

    let share = |reason| {
        let ends = runs.iter().filter_map(|run| run.planned_end());
        ends.filter(|&(_, planned)| planned == reason).count() * 10_000 / n
    };
    let shares = EndReason::ALL.map(share);
    assert!((9000..9900).contains(&shares[0]), "{shares:?}");
    assert!((80..300).contains(&shares[1]), "{shares:?}");
    assert!((1..50).contains(&shares[2]), "{shares:?}");
    assert!((50..200).contains(&shares[3]), "{shares:?}");

    let mut by_user: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, server) in &servers {
        *by_user.entry(key.user.as_str()).or_default() += server.runs.len();
    }
    let mut counts: Vec<usize> = by_user.into_values().collect();
    counts.sort_unstable();
    assert!(
        counts.len() < N_USERS * 95 / 100,
        "some never come: {}",
        counts.len()
    );
    let upper_tenth: usize = counts[counts.len() * 9 / 10..].iter().sum();
    let percent = upper_tenth * 100 / n;
    assert!(
        (20..50).contains(&percent),
        "the upper tenth have {percent} %"
    );
}

#[test]
fn a_small_world_has_the_rare_cases_too() {
    let mut history = History::plan(&world(200), &shape(365));
    let servers = told(&mut history);
    let runs = all_runs(&servers);
    let ended = runs
        .iter()
        .filter_map(|run| Some((run.started, run.end?.at)));
    let ended: Vec<(i64, i64)> = ended.collect();
    let n_over = |moment: i64| {
        ended
            .iter()
            .filter(|(from, to)| *from < moment && moment < *to)
            .count()
    };
    for change in history.calendar.clock_changes() {
        assert!(n_over(change) > 0, "over the clock change");
    }
    let midnights = history
        .calendar
        .days
        .iter()
        .skip(1)
        .map(|day| n_over(day.start));
    assert!(midnights.clone().sum::<usize>() > 300);
    assert!(
        ended.iter().any(|(from, to)| to - from >= 21 * DAY),
        "three weeks"
    );
    let survived = history
        .incidents
        .restarts
        .iter()
        .map(|&restart| n_over(restart));
    assert!(
        survived.sum::<usize>() > 3,
        "most survive a restart of the hub"
    );
    let has = |reason| {
        runs.iter()
            .any(|run| run.planned_end().is_some_and(|end| end.1 == reason))
    };
    assert!(EndReason::ALL.into_iter().all(has));
    assert!(
        runs.iter()
            .any(|run| run.end.is_some_and(|end| end.cause == Cause::InOutage))
    );
    let facts = servers.values().flat_map(|server| &server.facts);
    assert!(facts.clone().any(|told| told.arrival == Arrival::Late));
    let twice = servers.values().flat_map(|server| server.facts.windows(2));
    assert!(twice.into_iter().any(|pair| pair[0] == pair[1]));
}

#[test]
fn memberships_end_as_in_the_world() {
    use model::diff::Move;
    let world = world(500);
    let history = History::plan(&world, &shape(365));
    let mut members: BTreeMap<(String, String), Timestamp> = BTreeMap::new();
    let (mut n_joined_later, mut n_left) = (0, 0);
    for news in history.members() {
        let key = (news.change.user.to_string(), news.change.group.to_string());
        match news.change.change {
            Move::Joined => {
                n_joined_later += usize::from(news.not_before.is_some());
                assert_eq!(members.insert(key, news.at), None, "joined twice");
            }
            Move::Left => {
                n_left += 1;
                assert!(members.remove(&key).is_some_and(|joined| joined < news.at));
            }
        }
    }
    let expected = world.users().iter().flat_map(|user| {
        let groups = user.groups.iter();
        groups.map(|group| (user.name().to_string(), group.to_string()))
    });
    let mut expected: Vec<_> = expected.collect();
    expected.sort_unstable();
    assert_eq!(members.into_keys().collect::<Vec<_>>(), expected);
    assert!(
        n_joined_later > 300 && n_left > 300,
        "{n_joined_later} {n_left}"
    );
}

#[test]
fn users_end_as_in_the_world() {
    use model::diff::Attendance;
    let world = world(200);
    let history = History::plan(&world, &shape(365));
    let mut names: Vec<String> = Vec::new();
    let mut n_removed = 0;
    for news in history.users() {
        let name = news.change.user.to_string();
        match news.change.change {
            Attendance::Added => names.push(name),
            Attendance::Removed => {
                n_removed += 1;
                names.retain(|known| *known != name);
            }
        }
    }
    let mut expected: Vec<_> = world
        .users()
        .iter()
        .map(|user| user.name().to_string())
        .collect();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!((names, n_removed), (expected, 8));
}

#[test]
fn readings_are_of_minutes_lately_and_of_hours_before() {
    let world = world(100);
    let mut history = History::plan(&world, &shape(100));
    told(&mut history);
    let readings = history.readings();
    let last = |name| {
        readings
            .iter()
            .rfind(|reading| reading.name == name)
            .unwrap()
    };
    assert!((last("api_users").value - 100.0).abs() < 1e-9);
    assert!(
        (last("api_active_servers").value - 11.0).abs() < 3.0,
        "{:?}",
        last("api_active_servers")
    );
    let n_hourly = readings
        .iter()
        .filter(|reading| reading.hour.is_some())
        .count();
    let n_single = readings.len() - n_hourly;
    assert!((1900..2000).contains(&n_hourly), "{n_hourly}");
    assert!((172_000..173_000).contains(&n_single), "{n_single}");
    assert!(readings.iter().all(|reading| reading.value >= 0.0));
    for pair in readings.windows(2) {
        let (from, to) = (time_us(pair[0].at), time_us(pair[1].at));
        assert!(
            to - from < HOUR + MINUTE || history.incidents.is_outage_in(from, to),
            "{pair:?}"
        );
    }
}

#[test]
fn a_settled_world_was_active_when_the_history_says() {
    let mut world = world(100);
    let mut history = History::plan(&world, &shape(365));
    let servers = told(&mut history);
    history.settle(&mut world);
    for user in world.users() {
        let key = ServerKey {
            user: user.name().clone(),
            server: "".into(),
        };
        let last = servers.get(&key).and_then(|server| server.runs.last());
        if let Some(run) = last.filter(|run| run.end.is_some()) {
            assert!(user.last_activity >= Some(timestamp(run.last_activity)));
        }
    }
}

#[test]
fn degenerate_histories_are_histories_too() {
    for (n_users, n_days) in [(0, 365), (1, 0), (1, 1), (30, 3), (5, 800)] {
        let mut history = History::plan(&world(n_users), &shape(n_days));
        let servers = told(&mut history);
        assert_eq!(
            servers.is_empty(),
            n_users == 0 || n_days == 0 || servers.is_empty()
        );
        history.readings();
        history.ceilings();
        history.counters();
        history.places();
        history.members();
        history.past();
    }
}

#[derive(Debug, Default)]
struct Counting {
    events: Mutex<Vec<Event>>,
    sessions: Mutex<Vec<tables::Session>>,
    user_days: Mutex<Vec<tables::UserDay>>,
    usage: Mutex<Vec<tables::Usage>>,
    storage: Mutex<Vec<tables::Storage>>,
    most_rows: AtomicUsize,
    n_calls: AtomicUsize,
}

impl Counting {
    fn note(&self, n_rows: usize) {
        self.most_rows.fetch_max(n_rows, Ordering::Relaxed);
        self.n_calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl HistorySink for Counting {
    type Error = std::convert::Infallible;

    async fn events(&self, rows: Vec<Event>) -> Result<(), Self::Error> {
        self.note(rows.len());
        self.events.lock().unwrap().extend(rows);
        Ok(())
    }

    async fn sessions(&self, rows: Vec<tables::Session>) -> Result<(), Self::Error> {
        self.note(rows.len());
        self.sessions.lock().unwrap().extend(rows);
        Ok(())
    }

    async fn user_days(&self, rows: Vec<tables::UserDay>) -> Result<(), Self::Error> {
        self.note(rows.len());
        self.user_days.lock().unwrap().extend(rows);
        Ok(())
    }

    async fn memberships(&self, rows: Vec<tables::Membership>) -> Result<(), Self::Error> {
        self.note(rows.len());
        Ok(())
    }

    async fn observations(&self, rows: Vec<tables::Observation>) -> Result<(), Self::Error> {
        self.note(rows.len());
        Ok(())
    }

    async fn usage(&self, rows: Vec<tables::Usage>) -> Result<(), Self::Error> {
        self.note(rows.len());
        self.usage.lock().unwrap().extend(rows);
        Ok(())
    }

    async fn storage(&self, rows: Vec<tables::Storage>) -> Result<(), Self::Error> {
        self.note(rows.len());
        self.storage.lock().unwrap().extend(rows);
        Ok(())
    }

    async fn users(&self, _: Vec<UserNews>) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table of counts after the other")]
async fn a_sink_gets_all_rows_month_by_month() {
    let mut history = History::plan(&world(200), &shape(365));
    let Everything { servers, items, .. } = everything(&mut history);
    let (mut n_events, mut expected) = (items.len(), Vec::new());
    for (key, server) in &servers {
        n_events += server.facts.len();
        for session in server.sessions() {
            expected.push(Counted {
                key: key.clone(),
                session,
            });
        }
    }
    let sink = Counting::default();
    let mut parts = Vec::new();
    let history = History::plan(&world(200), &shape(365));
    let hub = "demo".into();
    let filled = fill(history, &hub, &sink, |progress| parts.push(progress)).await;
    let Filled { history, totals } = filled.unwrap();
    assert_eq!(parts.len(), 13);
    assert!(parts.iter().all(|progress| progress.n_parts == 13));

    let events = sink.events.into_inner().unwrap();
    assert_eq!((events.len(), totals.n_events), (n_events, n_events as u64));
    assert!(events.iter().any(|event| &*event.source == "hub"));
    let months = events.iter().map(|event| tables::month_of(event.at));
    let out_of_order = months
        .clone()
        .zip(months.skip(1))
        .filter(|(one, next)| one > next);
    assert!((1..=5).contains(&out_of_order.count()), "late ones");

    let rows = sink.sessions.into_inner().unwrap();
    assert!(rows.is_sorted_by_key(|row| tables::month_of(row.started)));
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            (
                row.user,
                row.server,
                row.started,
                row.ended,
                row.active_seconds,
            )
        })
        .collect();
    rows.sort_unstable();
    let ended = expected.iter().filter_map(|Counted { key, session }| {
        let active_seconds = session
            .active_seconds
            .map(|seconds| i64::try_from(seconds).unwrap());
        let ServerKey { user, server } = key.clone();
        Some((
            user,
            server,
            session.started,
            session.end?.at,
            active_seconds,
        ))
    });
    assert_eq!(
        rows,
        ended.collect::<Vec<_>>(),
        "keys and starts are in order"
    );

    let spans = expected.iter().map(|Counted { key, session }| SessionSpan {
        user: &key.user,
        server: &key.server,
        started: session.started,
        until: session.end.map_or(until(), |end| end.at),
        active_hours: session.known_active_hours(),
    });
    let last = history.last_closed_day().unwrap();
    let zone = shape(365).zone;
    let first = Day::of(history.begin(), &zone);
    let days = user_days(spans, &zone, first..=last).into_iter();
    let mut days: Vec<_> = days
        .map(|day| {
            (
                day.day.date(),
                day.user,
                day.sessions,
                day.hours.to_bits(),
                day.active_seconds,
            )
        })
        .collect();
    days.sort_unstable();
    let rows = sink.user_days.into_inner().unwrap().into_iter();
    let mut rows: Vec<_> = rows
        .map(|row| {
            let active_seconds = row
                .active_seconds
                .map(|seconds| u64::try_from(seconds).unwrap());
            let sessions = u32::try_from(row.sessions).unwrap();
            (
                row.day,
                row.user,
                sessions,
                row.hours.to_bits(),
                active_seconds,
            )
        })
        .collect();
    rows.sort_unstable();
    assert!(rows == days, "{} {}", rows.len(), days.len());
}

struct Counted {
    key: ServerKey,
    session: Session,
}
