//! Usage from a real Prometheus and from a real VictoriaMetrics that hold a month of a made-up hub:
//! every row and every metric is what arithmetic gives.

mod expected;
mod exporters;
mod groups;
mod month;
mod present;
mod refusing;
mod rows;
mod vanishing;

use crate::support::{
    Answer, BINARY, Process, Prometheus, Service, SimServer, VictoriaMetrics, block_on, on_folder,
    sql, until,
};
use expected::{Usage, ceilings, hour_of, sessions};
use exporters::Samples;
use insights::sim::DEMO_TOKEN;
use insights::sources::prometheus::HourSpan;
use jiff::Timestamp;
use month::{DAY, HOUR, INTERVAL, Month, N_USERS, NAMESPACE, ZONE};
use nix::sys::signal::Signal;
use refusing::Refusing;
use rows::{StoredUsage, Tolerance};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_month_from_a_real_prometheus_is_what_arithmetic_gives",
        || a_month(Kind::Prometheus),
    ),
    (
        "a_month_from_a_real_victoria_metrics_is_what_arithmetic_gives",
        || a_month(Kind::VictoriaMetrics),
    ),
    (
        "a_look_at_what_is_used_now_is_what_arithmetic_gives",
        present::a_look_at_the_present,
    ),
    (
        "a_look_drops_a_pod_whose_series_a_real_prometheus_marked_as_stale",
        vanishing::a_pod_that_vanished,
    ),
    (
        "an_observed_session_is_not_told_again_by_its_pod",
        an_observed_session,
    ),
    (
        "a_killed_import_goes_on_and_gives_the_same_rows",
        a_killed_import,
    ),
    (
        "hours_of_the_running_service_are_those_of_an_import",
        || hours_of_the_service(Kind::Prometheus),
    ),
    (
        "hours_of_the_running_service_are_those_of_an_import_from_victoria_metrics",
        || hours_of_the_service(Kind::VictoriaMetrics),
    ),
    (
        "hours_asked_for_one_by_one_are_those_asked_for_at_once",
        hours_one_by_one,
    ),
    (
        "each_family_is_what_arithmetic_gives_under_each_rule",
        || groups::totals_add_up(Kind::Prometheus),
    ),
    (
        "each_family_is_what_arithmetic_gives_with_victoria_metrics",
        || groups::totals_add_up(Kind::VictoriaMetrics),
    ),
    (
        "a_time_that_cannot_be_answered_is_left_out_and_named",
        a_time_that_cannot_be_answered,
    ),
];

/// A month of samples, and the servers that hold it.
struct Site {
    month: Arc<Month>,
    samples: Samples,
    prometheus: Option<Prometheus>,
    victoria_metrics: Option<VictoriaMetrics>,
    _folder: tempfile::TempDir,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// A pod that was not seen for so long is gone.
const GONE_AFTER: i64 = 600;

/// The tests of this module ask the same servers, which take longer to fill than to ask.
static SITE: Mutex<Option<Site>> = Mutex::new(None);

/// At the end of the run; statics are never dropped.
pub(crate) fn stop_servers() {
    *SITE.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Address of a server with the month in it, and the month.
fn server(kind: Kind) -> (String, Arc<Month>) {
    let mut site = SITE.lock().unwrap_or_else(PoisonError::into_inner);
    let site = site.get_or_insert_with(Site::new);
    let files = &site.samples.files;
    let url = match kind {
        Kind::Prometheus => {
            let start = || Prometheus::start_with_past(files);
            site.prometheus.get_or_insert_with(start).url.clone()
        }
        Kind::VictoriaMetrics => {
            let start = || VictoriaMetrics::start_with_past(files);
            site.victoria_metrics.get_or_insert_with(start).url.clone()
        }
    };
    (url, Arc::clone(&site.month))
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("month-").tempdir().unwrap();
        let month = Month::until(insights::poll::clock::now().as_second());
        let samples = Samples::write(&month, folder.path());
        println!("{} samples of {} pods", samples.n_samples, month.pods.len());
        Self {
            month: Arc::new(month),
            samples,
            prometheus: None,
            victoria_metrics: None,
            _folder: folder,
        }
    }
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// An import into a history of its own.
struct Import {
    folder: tempfile::TempDir,
    url: String,
    from: i64,
    /// Start of a local hour.
    to: i64,
}

impl Import {
    fn new(url: &str, from: i64, to: i64) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            url: url.to_owned(),
            from: hour_of(from),
            to: hour_of(to),
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn words(&self) -> Vec<String> {
        let words = ["import", "prometheus", "--share", "100%"].map(str::to_owned);
        let mut words = words.to_vec();
        words.extend(["--from".to_owned(), timestamp(self.from).to_string()]);
        words.extend(["--to".to_owned(), timestamp(self.to).to_string()]);
        for set in settings(&self.url) {
            words.extend(["--set".to_owned(), set]);
        }
        words
    }

    fn run(&self, more: &[&str]) -> Answer {
        let words = self.words();
        let words = words.iter().map(String::as_str).chain(more.iter().copied());
        on_folder(&self.store(), &words.collect::<Vec<_>>())
    }

    /// Runs it and expects that nothing is left out.
    #[track_caller]
    fn complete(&self, more: &[&str]) -> Answer {
        let answer = self.run(more);
        assert_eq!(answer.code, Some(0), "{}{}", answer.stdout, answer.stderr);
        answer
    }

    /// Starts it in a process of its own.
    fn start(&self) -> Process {
        let mut command = Command::new(BINARY);
        command
            .args(self.words())
            .args(["--set", &format!("store.path={}", self.store().display())])
            .env_clear();
        Process::start(&mut command, &self.folder.path().join("import.log"))
    }
}

fn settings(url: &str) -> [String; 3] {
    [
        format!("prometheus.url={url}"),
        format!("prometheus.namespace={NAMESPACE}"),
        format!("hub.timezone={ZONE}"),
    ]
}

fn a_month(kind: Kind) {
    let (url, month) = server(kind);
    let import = Import::new(&url, month.start, month.now - 600);
    let answer = import.complete(&[]);
    println!("{}", answer.stdout.trim());
    let tolerance = Tolerance {
        // VictoriaMetrics does not keep what is not a number.
        keeps_not_a_number: kind == Kind::Prometheus,
    };
    let store = import.store();
    let stored = StoredUsage::read(&store);
    let usage = Usage::of(&month);
    let expected = usage.within(import.from, import.to);
    assert!(expected.len() > 4000, "{}", expected.len());
    stored.compare(&expected, tolerance);
    rows::compare_unattributed(&store, &usage.nobodys, import.to);
    rows::compare_homes(&store, &month, import.from, import.to);
    rows::compare_gauges(&store, &month, import.from, import.to);
    let sessions = sessions(&month, import.to - GONE_AFTER);
    assert!(sessions.len() > 2000, "{}", sessions.len());
    rows::compare_sessions(&store, &sessions);

    // Once more, it is all known.
    let answer = import.complete(&["--again"]);
    assert!(
        answer.stdout.contains("; 0 rows new, "),
        "{}",
        answer.stdout
    );
    assert_eq!(StoredUsage::read(&store), stored);
    rows::compare_sessions(&store, &sessions);
    let answer = import.complete(&[]);
    let before = "All of that time was imported before";
    assert!(answer.stderr.contains(before), "{}", answer.stderr);
}

fn an_observed_session() {
    let (url, month) = server(Kind::Prometheus);
    let import = Import::new(&url, month.start + 9 * DAY, month.start + 11 * DAY);
    let mut expected = sessions(&month, import.to - GONE_AFTER);
    // A server that was gone shortly before is known to be only now, by its last sample.
    expected.retain(|session| session.ended - INTERVAL > import.from - GONE_AFTER);
    let observed = expected.remove(expected.len() / 2);
    // Seen for a part of the pod's life, by whoever sends events.
    let event = |kind: &str, at: i64| {
        let (user, server) = (&observed.user, &observed.server);
        let event = json!({"kind": kind, "at": at, "user": user, "server": server, "source": "x"});
        format!("{event}\n")
    };
    let (started, ended) = (observed.started + 100, observed.ended - 100);
    let events = event("server-start", started) + &event("server-stop", ended);
    let file = import.folder.path().join("events.jsonl");
    std::fs::write(&file, events).unwrap();
    let words = ["import", "events", file.to_str().unwrap()];
    assert_eq!(on_folder(&import.store(), &words).code, Some(0));
    let answer = import.complete(&[]);
    assert!(
        answer.stdout.contains("(1 more were observed)"),
        "{}",
        answer.stdout
    );
    let query = "select started, ended, end_reason from sessions where end_reason != 'unobserved'";
    let rows = sql(&import.store(), query).rows();
    assert_eq!(
        rows,
        [format!(
            "{},{},stopped",
            timestamp(started),
            timestamp(ended)
        )]
    );
    rows::compare_sessions(&import.store(), &expected);
}

fn a_killed_import() {
    let (url, month) = server(Kind::Prometheus);
    // Some days, with everything that is special.
    let (from, to) = (month.start + 6 * DAY, month.start + 23 * DAY);
    let (whole, parts) = (Import::new(&url, from, to), Import::new(&url, from, to));
    whole.complete(&[]);
    for n_kills in 0..4 {
        let mut process = parts.start();
        let n_before = n_days_told(&process);
        // Not before something was read, so that it comes to its end.
        let told = until("days to be imported", || {
            let has_more = n_days_told(&process) > n_before + 1;
            let is_over = process.output().contains("hours read");
            (has_more || is_over).then_some(())
        });
        told.unwrap_or_else(|| panic!("{}", process.output()));
        if n_kills < 3 {
            process.signal(Signal::SIGKILL);
        }
        process.wait(Duration::from_mins(2));
    }
    let output = std::fs::read_to_string(parts.folder.path().join("import.log")).unwrap();
    assert_eq!(output.matches("hours read").count(), 1, "{output}");
    assert_eq!(
        StoredUsage::read(&parts.store()),
        StoredUsage::read(&whole.store())
    );
    for table in ["sessions", "storage", "observations"] {
        let (parts, whole) = (parts.store(), whole.store());
        assert_eq!(
            rows::all_of(&parts, table),
            rows::all_of(&whole, table),
            "{table}"
        );
    }
}

/// Lines about days in what an import wrote.
fn n_days_told(process: &Process) -> usize {
    process.output().matches(" hours, ").count()
}

fn hours_of_the_service(kind: Kind) {
    let (url, month) = server(kind);
    let sim = sim(&month);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let service = service(
        &sim,
        &url,
        &[
            format!("store.path={}", store.display()),
            "store.keep=always".to_owned(),
        ],
    );
    let rows = until("closed hours to be written", || {
        let rows = StoredUsage::read(&store);
        let homes = rows::all_of(&store, "storage");
        (rows.len() > 0 && !homes.is_empty()).then_some(rows)
    });
    let rows = rows.unwrap_or_else(|| panic!("{}", service.process.output()));
    drop(service);
    let hours = rows.hours().unwrap();
    assert!(hours.last - hours.first > 12 * HOUR, "{hours:?}");
    let import = Import::new(&url, hours.first - DAY, hours.last + HOUR + 1);
    import.complete(&[]);
    let imported = StoredUsage::read(&import.store());
    assert_eq!(rows, imported.within(hours));
    // The service knows everybody, the import those who had pods in that time.
    let homes = rows::all_of(&store, "storage");
    let imported = rows::all_of(&import.store(), "storage");
    let n_alike = homes.intersection(&imported).count();
    assert_eq!(homes.len(), N_USERS);
    assert!(n_alike > 50, "{n_alike} of {}", imported.len());
    present::compare_numbers(&rows::ceilings(&store), &ceilings(&month));
}

/// What is odd about the spans: specials and their restarts, another kube-state-metrics, a second job.
fn hours_one_by_one() {
    for kind in [Kind::Prometheus, Kind::VictoriaMetrics] {
        let (url, month) = server(kind);
        let source = present::source(&url);
        let mut n_compared = 0;
        for (middle, n_hours) in [
            (month.start + 9 * DAY + 11 * HOUR, 8),
            (month.start + 11 * DAY + 11 * HOUR, 8),
            (month.exporter_moved, 6),
            (month.second_job_from, 6),
            (month.now - 4 * HOUR, 6),
        ] {
            let first = hour_of(middle - n_hours * HOUR / 2);
            let hours = (0..n_hours).map(|hour| HourSpan {
                start: timestamp(first + hour * HOUR),
                end: timestamp(first + (hour + 1) * HOUR),
            });
            let hours: Vec<HourSpan> = hours.collect();
            let at_once = block_on(source.hours(&hours)).unwrap();
            let (mut used, mut unattributed) = (Vec::new(), Vec::new());
            for hour in &hours {
                let one = block_on(source.hours(std::slice::from_ref(hour))).unwrap();
                used.extend(one.used);
                unattributed.extend(one.unattributed);
            }
            n_compared += used.len();
            assert_eq!(used, at_once.used);
            assert_eq!(unattributed, at_once.unattributed);
        }
        // In the night before now there may be few.
        assert!(n_compared > 100, "{n_compared}");
    }
}

/// The hub of the month, with its users and groups.
fn sim(month: &Month) -> SimServer {
    SimServer::start(|world| {
        for group in &month.groups {
            world.add_group(group);
        }
        for person in month.people.iter().filter(|person| person.is_known) {
            world.add_user(&person.name);
            for group in &person.groups {
                assert!(world.add_member(&month.groups[*group], &person.name));
            }
        }
    })
}

fn service(sim: &SimServer, url: &str, sets: &[String]) -> Service {
    let mut words = Vec::new();
    let mut all = settings(url).to_vec();
    all.push(format!("metrics.namespace={NAMESPACE}"));
    all.push("usage.interval_seconds=5".to_owned());
    all.extend_from_slice(sets);
    for set in &all {
        words.extend(["--set", set.as_str()]);
    }
    Service::start(&sim.url, DEMO_TOKEN, &words)
}

fn a_time_that_cannot_be_answered() {
    let (url, month) = server(Kind::Prometheus);
    let bad_hour = hour_of(month.start + 9 * DAY);
    let refusing = Refusing::start(&url, bad_hour + HOUR);
    let import = Import::new(&refusing.url, bad_hour - 20 * HOUR, bad_hour + 30 * HOUR);
    let answer = import.run(&[]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    let left_out = format!(
        "Left out {} to {}: ",
        timestamp(bad_hour),
        timestamp(bad_hour + HOUR)
    );
    assert!(answer.stderr.contains(&left_out), "{}", answer.stderr);
    assert!(
        answer.stderr.contains("too many samples"),
        "{}",
        answer.stderr
    );
    assert_eq!(
        answer.stderr.matches("Left out").count(),
        1,
        "{}",
        answer.stderr
    );
    let usage = Usage::of(&month);
    let tolerance = Tolerance {
        keeps_not_a_number: true,
    };
    let mut expected = usage.within(import.from, import.to);
    expected.retain(|key, _| key.hour != bad_hour);
    StoredUsage::read(&import.store()).compare(&expected, tolerance);
    refusing.stop_refusing();
    // Only what is missing is asked for.
    let answer = import.complete(&[]);
    assert!(
        answer.stdout.starts_with("1 hours read"),
        "{}",
        answer.stdout
    );
    let expected = usage.within(import.from, import.to);
    StoredUsage::read(&import.store()).compare(&expected, tolerance);
    let nobody = Import::new("http://127.0.0.1:9/", bad_hour, bad_hour + 2 * HOUR);
    let answer = nobody.run(&["--set", "prometheus.timeout_seconds=1"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert!(
        answer.stderr.contains("Prometheus did not answer at"),
        "{}",
        answer.stderr
    );
}
