//! What a person's last session used: told soon after it ended and right, also by the next process;
//! and of a history that was written long ago what plain sums of its rows are.

use crate::support::{
    Scrape, SimServer, block_on, fill_by_demo, free_port, runtime, scrape, sql, until,
};
use insights::ask::Asker;
use insights::config::{Config, Secret};
use insights::me::{LastSession, MeasuredBy, SessionUse, Sources, last_session};
use insights::metrics::Published;
use insights::poll::clock::now;
use insights::service::{Service, Starter};
use insights::sim::DEMO_TOKEN;
use insights::sim::usage::{Past, SimUsage};
use insights::usage::Usage;
use insights::web::Site;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::days::{hour_end, hour_start};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Folder, Store};
use tokio::task::JoinHandle;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_session_that_has_just_ended_is_told_with_what_it_used",
        just_ended,
    ),
    ("sessions_of_long_ago_are_told_by_their_hours", long_ago),
];

const GIB: f64 = 1_073_741_824.0;

/// A service in this process, on a simulated hub.
pub(crate) struct Running {
    pub(crate) site: Site,
    metrics: String,
    stopping: tokio_util::sync::CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(hub: &SimServer, folder: &Path) -> Self {
        let mut config = Config::default();
        config.hub.url = hub.url.parse().ok();
        config.hub.token = Some(Secret::new(DEMO_TOKEN));
        "lab".clone_into(&mut config.hub.name);
        config.hub.timezone = Some("Asia/Kolkata".to_owned());
        config.hub.interval_seconds = 1;
        config.usage.interval_seconds = 1;
        let port = free_port();
        config.metrics.listen = Some(format!("127.0.0.1:{port}"));
        let store = Store::open(Folder::prepare(folder).unwrap()).unwrap();
        let past = Past::none(&hub.hub.world(), 1, now());
        let usage = SimUsage::new(hub.hub.clone(), past, Duration::from_hours(1));
        let _guard = runtime().enter();
        let service = Service::bind(config, Starter::Other)
            .unwrap()
            .with_history(store)
            .with_simulated_usage(usage);
        Self {
            site: service.site().clone(),
            metrics: format!("http://127.0.0.1:{port}/services/insights/metrics"),
            stopping: service.stopping(),
            task: runtime().spawn(async move {
                service.run().await;
            }),
        }
    }

    pub(crate) fn stop(self) {
        self.stopping.cancel();
        block_on(self.task).unwrap();
    }

    fn last_session(&self, user: &str) -> Option<LastSession> {
        let site = &self.site;
        let sources = Sources {
            hub: &site.config.hub.name,
            zone: &site.config.hub.time_zone(),
            asker: site.asker.as_deref().unwrap(),
            published: &site.published,
            usage: &site.usage,
            now: now(),
        };
        block_on(last_session(&sources, &user.into())).unwrap()
    }

    /// Waits for a look that began after that.
    fn looks_after(&self, moment: Timestamp) {
        let looked = || self.site.usage.condition()?.last_complete;
        // What a look saw is told a moment after it.
        until("a look", || looked().filter(|at| *at > moment)).unwrap();
    }

    /// Scrapes for so long.
    fn watch(&self, long: Duration) -> Told {
        let begun = Instant::now();
        let mut told = until("its usage", || Told::of(&self.scrape())).unwrap();
        while begun.elapsed() < long {
            std::thread::sleep(Duration::from_millis(300));
            told = told.and(&Told::of(&self.scrape()).unwrap());
        }
        told
    }

    fn scrape(&self) -> Scrape {
        scrape(&self.metrics, None)
    }
}

fn just_ended() {
    let hub = SimServer::start(|world| {
        world.set_now(now());
        world.add_group("physics");
        for user in ["ada", "ben"] {
            world.add_user(user);
            world.add_member("physics", user);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(&hub, folder.path());
    service.looks_after(now());
    assert_eq!(service.last_session("ada"), None);

    let started = now();
    for (user, server) in [("ada", ""), ("ben", "lab")] {
        let mut world = hub.hub.world_mut();
        world.start_server(user, server, started);
        let options = json!({"profile": "small"});
        let server = world.server_mut(user, server).unwrap();
        server.user_options.clone_from(options.as_object().unwrap());
    }
    let told = service.watch(Duration::from_secs(8));
    let running = service.last_session("ada").unwrap();
    assert_eq!((running.last_session, running.running.len()), (None, 1));
    assert!(running.running[0].is_running);
    assert_eq!(running.running[0].ended, None);

    let working = now();
    let mut world = hub.hub.world_mut();
    world.server_mut("ada", "").unwrap().last_activity = Some(working);
    drop(world);
    let servers = || service.site.published.snapshot().servers;
    until("the activity to be read", || {
        servers().filter(|it| it.at > working)
    })
    .unwrap();
    let told = told.and(&service.watch(Duration::ZERO));
    let stops = now();
    hub.hub.world_mut().stop_server("ada", "");
    let stopped = stops..now();
    let ended = until("the summary", || service.last_session("ada")?.last_session).unwrap();
    let took = now().duration_since(stopped.end);
    assert!(took < SignedDuration::from_secs(5), "{took}");
    hub.hub.world_mut().start_server("ada", "next", now());
    // A look after it does not change what it was.
    service.looks_after(now());
    let next = || {
        service
            .last_session("ada")
            .filter(|it| !it.running.is_empty())
    };
    let last = until("the next server", next).unwrap();
    assert_eq!(last.running[0].server, "next");
    let session = last.last_session.unwrap();
    assert_eq!(session, ended);
    check(&session, started, stopped, working);
    told.check(&session, &service.scrape());
    let home = service.scrape();
    let home = home.value("jupyterhub_user_group_home_dir_bytes", &["\"ada\""]);
    assert_eq!(last.home.map(|home| home.bytes), home);
    let ben = service.last_session("ben").unwrap();
    assert_eq!((ben.last_session, ben.running.len()), (None, 1));

    service.stop();
    goes_on(&hub, folder.path(), &session, &ben.running[0]);
}

/// The next process knows what ended, and goes on with what runs.
fn goes_on(hub: &SimServer, folder: &Path, ended: &SessionUse, running: &SessionUse) {
    let service = Running::start(hub, folder);
    service.looks_after(now());
    let mut session = service.last_session("ada").unwrap().last_session.unwrap();
    // Written down and read again, the last digit may differ.
    let (kept, told) = (
        session.cpu_core_seconds.unwrap(),
        ended.cpu_core_seconds.unwrap(),
    );
    assert!((kept - told).abs() < 1e-9 * told, "{kept} {told}");
    session.cpu_core_seconds = ended.cpu_core_seconds;
    assert_eq!(&session, ended);
    let before = running.measured.clone().unwrap();
    let measured = || {
        let running = service.last_session("ben")?.running.pop()?;
        let measured = running.measured.clone()?;
        (measured.seconds > before.seconds + 1.0).then_some((running, measured))
    };
    let (running_on, measured) = until("the other to be measured on", measured).unwrap();
    assert_eq!(measured.from, before.from);
    let whole = measured.until.duration_since(measured.from).as_secs_f64();
    assert!(measured.seconds < whole, "{measured:?}");
    assert!(running_on.cpu_core_seconds > running.cpu_core_seconds);
    assert!(running_on.memory_peak_bytes >= running.memory_peak_bytes);
    service.stop();
}

/// What follows from when the test started and stopped it.
fn check(
    session: &SessionUse,
    started: Timestamp,
    stopped: std::ops::Range<Timestamp>,
    working: Timestamp,
) {
    assert_eq!(session.server, "");
    assert_eq!(session.started.as_microsecond(), started.as_microsecond());
    let ended = session.ended.unwrap();
    // Polls are a second apart, and each takes its time.
    let slack = SignedDuration::from_secs(3);
    assert!(
        ended >= stopped.start - slack && ended <= stopped.end + slack,
        "{ended} {stopped:?}"
    );
    let seconds = ended.duration_since(session.started).as_secs_f64();
    assert!((session.hours * 3600.0 - seconds).abs() < 1e-6);
    assert_eq!(session.end_reason.as_deref(), Some("stopped"));
    // All of the time until the last activity.
    let active = working.duration_since(started).as_secs();
    let told = i64::try_from(session.active_seconds.unwrap()).unwrap();
    assert!((told - active).abs() <= 1, "{told} {active}");
    assert_eq!(session.memory_limit_bytes, Some(2.0 * GIB));
    assert_eq!(session.memory_requested_bytes, Some(GIB));
    assert_eq!(session.gpus_requested, Some(0.0));
    let measured = session.measured.as_ref().unwrap();
    assert_eq!(measured.by, MeasuredBy::Looks);
    assert_eq!(measured.source.as_deref(), Some("simulated"));
    assert_eq!(measured.from, session.started);
    assert!(measured.until <= ended);
    let missed = ended.duration_since(measured.until).as_secs_f64();
    assert!(missed < 3.0, "{missed}");
    let whole = measured.until.duration_since(measured.from).as_secs_f64();
    assert!((measured.seconds - whole).abs() < 0.01, "{measured:?}");
}

/// What a small server of the simulated hub may take.
const MOST_CORES: f64 = 2.0;

/// What Prometheus was told meanwhile of ada, whose numbers go another way there.
struct Told {
    least_cores: f64,
    most_cores: f64,
    most_bytes: f64,
}

impl Told {
    fn of(scrape: &Scrape) -> Option<Self> {
        let ada = |name: &str| scrape.value(&format!("jupyterhub_user_group_{name}"), &["\"ada\""]);
        let cores = ada("cpu_cores")?;
        Some(Self {
            least_cores: cores,
            most_cores: cores,
            most_bytes: ada("memory_bytes")?,
        })
    }

    fn and(self, other: &Self) -> Self {
        Self {
            least_cores: self.least_cores.min(other.least_cores),
            most_cores: self.most_cores.max(other.most_cores),
            most_bytes: self.most_bytes.max(other.most_bytes),
        }
    }

    fn check(&self, session: &SessionUse, scrape: &Scrape) {
        let measured = session.measured.as_ref().unwrap();
        let seconds = measured.until.duration_since(session.started).as_secs_f64();
        let cpu = session.cpu_core_seconds.unwrap();
        assert!(self.least_cores > 0.0);
        // What is used changes with the mood, every ten minutes, and so it may between a scrape and a look.
        let unseen = 3.0_f64.min(seconds);
        let (least, most) = (self.least_cores, self.most_cores);
        assert!(cpu > least * (seconds - unseen), "{cpu} {seconds} {least}");
        let most = most * seconds + MOST_CORES * unseen;
        assert!(cpu < most, "{cpu} {seconds} {most}");
        let peak = session.memory_peak_bytes.unwrap();
        assert!(peak >= self.most_bytes, "{peak} {}", self.most_bytes);
        // By no more than what is taken until the next look.
        assert!(peak < self.most_bytes + 32e6, "{peak} {}", self.most_bytes);
        // The next server has begun meanwhile.
        let counted = scrape.value("jupyterhub_user_group_cpu_seconds_total", &["\"ada\""]);
        assert!(counted.unwrap() >= cpu - 1e-6, "{counted:?} {cpu}");
    }
}

/// A row of the store as CSV, without what needs quotes.
fn rows(folder: &Path, query: &str) -> Vec<Vec<String>> {
    let rows = sql(folder, query).rows().into_iter();
    rows.map(|row| row.split(',').map(str::to_owned).collect())
        .collect()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// What a history has of everybody.
struct Rows {
    sessions: Vec<Vec<String>>,
    usage: Vec<Vec<String>>,
    homes: BTreeMap<String, f64>,
}

impl Rows {
    fn of(store: &Path) -> Self {
        let homes = rows(
            store,
            "select \"user\", home_bytes from storage order by \"day\"",
        );
        Self {
            sessions: rows(
                store,
                "select \"user\", server, started, ended, active_seconds from sessions",
            ),
            usage: rows(
                store,
                "select \"user\", server, hour, cpu_core_seconds, memory_peak_bytes from usage",
            ),
            // Of several days the last.
            homes: homes
                .into_iter()
                .map(|row| (row[0].clone(), number(&row[1]).unwrap()))
                .collect(),
        }
    }

    fn last_of(&self, user: &str) -> Option<&Vec<String>> {
        let sessions = self.sessions.iter().filter(|row| row[0] == user);
        sessions.max_by_key(|row| time(&row[3]))
    }

    /// Core seconds and the peak of the hours in which a session ran.
    fn used(&self, session: &[String], zone: &TimeZone) -> Option<(f64, f64)> {
        let from = hour_start(time(&session[2]), zone);
        let hours = self.usage.iter().filter(|row| row[..2] == session[..2]);
        let hours = hours.filter(|row| (from..time(&session[3])).contains(&time(&row[2])));
        let used = hours.map(|row| (number(&row[3]).unwrap(), number(&row[4]).unwrap()));
        used.reduce(|(cpu, peak), (more, other)| (cpu + more, peak.max(other)))
    }
}

fn long_ago() {
    let folder = tempfile::tempdir().unwrap();
    let shape = ["--users", "60", "--groups", "4", "--days", "40"];
    fill_by_demo(folder.path(), &shape);
    let path = folder.path().join("store");
    let rows = Rows::of(&path);
    let store = Store::open(Folder::prepare(&path).unwrap()).unwrap();
    let asker = Asker::new(store);
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let published = Published::new(Config::default().attribution(), "demo", "jupyterhub");
    let sources = Sources {
        hub: "demo",
        zone: &zone,
        asker: &asker,
        published: &published,
        usage: &Usage::default(),
        now: now(),
    };
    let (mut n_by_hours, mut n_unknown) = (0, 0);
    let people: std::collections::BTreeSet<&String> =
        rows.sessions.iter().map(|row| &row[0]).collect();
    assert!(people.len() > 20, "{people:?}");
    for user in people {
        let expected = rows.last_of(user).unwrap();
        let told = block_on(last_session(&sources, &user.as_str().into()))
            .unwrap()
            .unwrap();
        assert_eq!(
            told.home.map(|home| home.bytes),
            rows.homes.get(user).copied(),
            "{user}"
        );
        let session = told.last_session.unwrap();
        assert_eq!(session.server, expected[1], "{user}");
        assert_eq!(session.started, time(&expected[2]), "{user}");
        // A made-up history keeps at hand what polls saw, and not what came late.
        let ended = session.ended.unwrap();
        let late = ended.duration_since(time(&expected[3]));
        assert!(
            late.abs() <= SignedDuration::from_secs(60),
            "{user}: {late}"
        );
        assert_eq!(session.active_seconds, expected[4].parse().ok(), "{user}");
        assert_eq!(session.memory_limit_bytes, None, "no row tells it");
        let used = rows.used(expected, &zone);
        let Some(measured) = session.measured.filter(|it| it.by == MeasuredBy::Hours) else {
            n_unknown += 1;
            continue;
        };
        n_by_hours += 1;
        let (cpu, peak) = used.unwrap();
        let told = session.cpu_core_seconds.unwrap();
        assert!((told - cpu).abs() <= 1e-9 * cpu, "{user}: {told} {cpu}");
        assert_eq!(session.memory_peak_bytes, Some(peak), "{user}");
        assert!(measured.from <= session.started, "{measured:?}");
        assert_eq!(
            measured.until,
            hour_end(
                hour_start(measured.until - SignedDuration::from_secs(1), &zone),
                &zone
            )
        );
    }
    assert!(n_by_hours > 3 * n_unknown, "{n_by_hours} {n_unknown}");
    let nobody = block_on(last_session(&sources, &"nobody".into())).unwrap();
    assert_eq!(nobody, None);
}
