//! Hours of a source that cannot be asked about the past, by real services: what they write at the
//! end of an hour, and what becomes of an hour that is open when one is killed and the next goes on.
//!
//! No hour is waited for. The hub's zone is one that the test makes: its clock shows a full hour
//! where the test wants it, and the last service finds its rules changed, so that the hour that is
//! open ends soon, and the next one ten seconds later at a full hour. That is a change in the midst of
//! an hour by less than an hour: each part of it is an hour of its own.

mod kept;
mod zone;

use crate::support::{READER_TOKEN, Service, sql, until};
use crate::usage_local::burners::{Burners, Name, Report, SLACK, assert_near, side_by_side};
use insights::poll::clock::now;
use jiff::{SignedDuration, Timestamp};
use kept::{Kept, Watcher};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zone::{Zones, full_hour_at};

pub(crate) const TESTS: &[crate::Test] = &[(
    "an_open_hour_outlives_the_services_that_sum_it_up",
    handed_over,
)];

const HUB: &str = "hours";

/// On one machine all tests see the servers of all; so these users are nobody else's.
const ADA: Name = ("hours-ada", "");
const ADA_LAB: Name = ("hours-ada", "lab");
const BEN: Name = ("hours-ben", "");
const NAMES: [Name; 3] = [ADA, ADA_LAB, BEN];

/// Between two looks.
const INTERVAL: SignedDuration = SignedDuration::from_secs(3);
/// The open hour ends so long after the last service was started, and the next one after that.
const ENDS: [SignedDuration; 2] = [SignedDuration::from_secs(15), SignedDuration::from_secs(25)];

/// A hub with burners, and what services that look at it need.
struct Scene {
    burners: Burners,
    /// What each server holds, by its size before and the pages that it then wrote to.
    held: [f64; 3],
    zones: Zones,
    folder: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let people = json!({"users": [ADA.0, BEN.0]});
        let burners = Burners::start(people, None, &json!({}));
        let pids = NAMES.map(|name| burners.begin(name));
        let bare = pids.map(resident);
        let mib = [200, 100, 300];
        let held = [0, 1, 2].map(|n| {
            let report = burners.job(NAMES[n], &format!("hold?mib={}", mib[n]));
            bare[n] + report.number("held")
        });
        let folder = tempfile::tempdir().unwrap();
        Self {
            burners,
            held,
            zones: Zones::new(&folder.path().join("zones")),
            folder,
        }
    }

    fn history(&self) -> std::path::PathBuf {
        self.folder.path().join("history")
    }

    fn service(&self) -> Service {
        let mut command = Command::new("env");
        command
            .arg(format!("TZDIR={}", self.zones.folder.display()))
            .arg(crate::support::BINARY);
        let path = format!("store.path={}", self.history().display());
        let name = format!("hub.name={HUB}");
        let zone = format!("hub.timezone={}", zone::NAME);
        let interval = format!("usage.interval_seconds={}", INTERVAL.as_secs());
        let settings = [
            "store.keep=always",
            "store.flush_interval_seconds=5",
            "usage.source=local",
            &path,
            &name,
            &zone,
            &interval,
        ];
        let words: Vec<&str> = settings.iter().flat_map(|word| ["--set", word]).collect();
        Service::start_by(command, &self.burners.hub.url, READER_TOKEN, &words)
    }

    fn reports(&self) -> [Report; 3] {
        NAMES.map(|name| self.burners.report(name))
    }
}

/// What a process has in memory, as the kernel says.
fn resident(pid: Pid) -> f64 {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(path).unwrap();
    let kib = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = kib.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<f64>().unwrap() * 1024.0
}

#[track_caller]
fn logs(service: &Service, words: &str) {
    let told = until(words, || {
        service.process.output().contains(words).then_some(())
    });
    told.unwrap_or_else(|| panic!("never said `{words}`:\n{}", service.process.output()));
}

#[track_caller]
fn wait_until(moment: Timestamp) {
    until("that moment", || (now() >= moment).then_some(())).unwrap();
}

/// Kills a service; gives when it was gone.
fn killed(mut service: Service) -> Timestamp {
    service.process.signal(Signal::SIGKILL);
    service.process.wait(Duration::from_secs(10));
    now()
}

/// A row of `usage`.
#[derive(Debug)]
struct Row {
    hour: i64,
    name: String,
    n_rows: u64,
    cpu_core_seconds: f64,
    memory_byte_seconds: f64,
    samples: u64,
}

impl Scene {
    /// Rows of our users by hour and server.
    fn rows(&self) -> Vec<Row> {
        let query = "select date_part('epoch', hour) as hour, user || '/' || server as name,
            count(*) as n_rows, sum(cpu_core_seconds) as cpu, sum(memory_byte_seconds) as memory,
            sum(samples) as samples from usage where user like 'hours-%'
            group by hour, user, server order by hour, user, server";
        let rows = sql(&self.history(), query).rows();
        let rows = rows.iter().map(|row| {
            let words: Vec<&str> = row.split(',').collect();
            let number = |n: usize| words[n].parse::<f64>().unwrap();
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
            let hour = number(0) as i64;
            Row {
                hour,
                name: words[1].to_owned(),
                n_rows: words[2].parse().unwrap(),
                cpu_core_seconds: number(3),
                memory_byte_seconds: number(4),
                samples: words[5].parse().unwrap(),
            }
        });
        rows.collect()
    }

    #[track_caller]
    fn rows_of_two_hours(&self, service: &Service) -> Vec<Row> {
        let rows = until("rows of two hours", || {
            Some(self.rows()).filter(|rows| rows.len() == 2 * NAMES.len())
        });
        rows.unwrap_or_else(|| panic!("{:?}\n{}", self.rows(), service.process.output()))
    }
}

/// Whether another service looked after the one before was killed.
fn is_handed_over(before: &Kept, after: &Kept, kills: &[Timestamp]) -> bool {
    kills
        .iter()
        .any(|kill| before.at < *kill && *kill < after.at)
}

/// Seconds in which somebody looked, until a moment, and how often.
///
/// The first look of a service has nothing before it, but if it waited until it kept the history it
/// had looked all the time.
fn watched(all: &[Kept], kills: &[Timestamp], until: Timestamp) -> (f64, u64) {
    let (mut seconds, mut n_looks) = (SignedDuration::ZERO, 0);
    let mut last: Option<&Kept> = None;
    for kept in all {
        let has_grown = kept.samples > last.map_or(0, |last| last.samples);
        let from = match last {
            Some(last) if !is_handed_over(last, kept, kills) => last.at,
            Some(last) if has_grown => last.at.max(kept.at - INTERVAL),
            None if has_grown => kept.at - INTERVAL,
            _ => kept.at,
        };
        if from < until {
            seconds += kept.at.min(until).duration_since(from);
            n_looks += u64::from(from < kept.at && kept.at <= until);
        }
        last = Some(kept);
    }
    (seconds.as_secs_f64(), n_looks)
}

/// What the burners had used at the turns of the story.
struct Told {
    begun: [Report; 3],
    /// When the second service was killed, and when the third one had begun to look.
    left: [Report; 3],
    again: [Report; 3],
    at_ends: [[Report; 3]; 2],
}

impl Told {
    /// Processor time in the first hour while somebody looked, and in the second one.
    fn seconds(&self, n: usize) -> [f64; 2] {
        let seconds = |reports: &[Report; 3]| reports[n].seconds();
        let [first, second] = [0, 1].map(|end| seconds(&self.at_ends[end]));
        let unseen = seconds(&self.again) - seconds(&self.left);
        [first - seconds(&self.begun) - unseen, second - first]
    }
}

fn handed_over() {
    let scene = Scene::start();
    let hour = now() - SignedDuration::from_mins(5);
    let hour = Timestamp::from_second(hour.as_second()).unwrap();
    scene.zones.write(full_hour_at(hour), None);
    let first = scene.service();
    let watcher = Watcher::start(&scene.history(), HUB, BEN.0);
    watcher.wait_for(1);
    let begun = scene.reports();
    let kills = open_hour(&scene, &watcher, first);
    let left = scene.reports();

    // While nobody looks.
    scene.burners.job(ADA, "burn?seconds=4");
    let ends = ENDS.map(|after| Timestamp::from_second((now() + after).as_second()).unwrap());
    let change = Some((ends[0], full_hour_at(ends[1])));
    scene.zones.write(full_hour_at(hour), change);
    let third = scene.service();
    watcher.wait_for(1);
    let again = scene.reports();
    let at_ends = burning_over(&scene, &watcher, ends);
    let rows = scene.rows_of_two_hours(&third);

    let told = Told {
        begun,
        left,
        again,
        at_ends,
    };
    let looks = watcher.all();
    check_once(&looks, &kills, scene.held[2]);
    check_time(&rows, &told);
    let [of_first, of_both] = ends.map(|end| watched(&looks, &kills, end));
    let of_second = (of_both.0 - of_first.0, of_both.1 - of_first.1);
    let of_hours = [of_first, of_second];
    check_rows(&rows, [hour, ends[0]], of_hours, &scene.held);
}

/// Two services: the second one waits, takes over, and is killed, too. Gives when each was gone.
fn open_hour(scene: &Scene, watcher: &Watcher, first: Service) -> [Timestamp; 2] {
    let burners = &scene.burners;
    // Its looks lie between those of the first one: what it saw last before it takes over is known
    // in part already.
    let last = watcher.all().last().unwrap().at;
    wait_until(last + INTERVAL / 2);
    let second = scene.service();
    logs(&second, "Another process keeps the history");
    side_by_side(&[&|| burners.jobs(ADA, &["burn?seconds=6"]), &|| {
        burners.jobs(ADA_LAB, &["burn?seconds=4"]);
    }]);
    // A look may have begun before they were done.
    watcher.wait_for(2);
    let first_gone = killed(first);
    logs(&second, "this one keeps the history now");
    watcher.wait_for(1);
    side_by_side(&[&|| burners.jobs(ADA, &["burn?seconds=4"]), &|| {
        burners.jobs(BEN, &["burn?seconds=3"]);
    }]);
    watcher.wait_for(2);
    [first_gone, killed(second)]
}

/// Reports at both ends, while one server works all the time.
fn burning_over(scene: &Scene, watcher: &Watcher, ends: [Timestamp; 2]) -> [[Report; 3]; 2] {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let latest = ends[1] + SignedDuration::from_mins(1);
            while !is_over.load(Ordering::SeqCst) && now() < latest {
                scene.burners.job(ADA, "burn?seconds=1");
            }
        });
        let at_ends = ends.map(|end| {
            wait_until(end);
            scene.reports()
        });
        watcher.wait_for(1);
        is_over.store(true, Ordering::SeqCst);
        at_ends
    })
}

/// No moment counts twice: what is held, and nothing else, is added from look to look.
fn check_once(looks: &[Kept], kills: &[Timestamp], held: f64) {
    for pair in looks.windows(2) {
        let [before, after] = [&pair[0], &pair[1]];
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let counted = (after.byte_seconds - before.byte_seconds) / held;
        if is_handed_over(before, after, kills) {
            println!("From one service to the next {seconds:.2} s, of which {counted:.2} s count");
        }
        assert!(counted < seconds * (1.0 + SLACK), "{before:?} {after:?}");
    }
}

/// A row for each server and hour: what it held while somebody looked.
fn check_rows(rows: &[Row], hours: [Timestamp; 2], watched: [(f64, u64); 2], held: &[f64; 3]) {
    for (n, row) in rows.iter().enumerate() {
        let (of_hour, (user, server)) = (n / 3, NAMES[n % 3]);
        let (seconds, n_looks) = watched[of_hour];
        println!("{row:?}: {seconds:.1} s watched in {n_looks} looks");
        assert_eq!(row.name, format!("{user}/{server}"));
        assert_eq!(row.hour, hours[of_hour].as_second());
        assert_eq!(row.n_rows, 1, "{row:?}");
        let what = format!("memory of {row:?}");
        assert_near(&what, row.memory_byte_seconds, held[n % 3] * seconds);
        let is_near = row.samples.abs_diff(n_looks) <= 1;
        assert!(is_near, "{row:?} of {n_looks} looks");
    }
}

/// Together both hours have what was used while somebody looked. What was used from one look to the
/// next is shared by time, which is not how a busy machine gave it.
fn check_time(rows: &[Row], told: &Told) {
    for (n, name) in NAMES.into_iter().enumerate() {
        let told = told.seconds(n);
        let counted = [n, 3 + n].map(|n| rows[n].cpu_core_seconds);
        println!("{name:?}: {counted:.2?} s of {told:.2?} s told");
        let whole = told[0] + told[1];
        assert_near(&format!("time of {name:?}"), counted[0] + counted[1], whole);
        let is_shared = (counted[0] - told[0]).abs() < SLACK * whole;
        assert!(is_shared, "{name:?}: {counted:?} of {told:?}");
    }
    let unseen = told.again[0].seconds() - told.left[0].seconds();
    let worked: f64 = told.seconds(0).iter().sum();
    println!("{unseen:.2} s beside {worked:.2} s while nobody looked");
    assert!(unseen > 2.0 * SLACK * worked);
}
