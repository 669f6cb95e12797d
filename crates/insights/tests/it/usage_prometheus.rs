//! Usage from a real Prometheus and from a real VictoriaMetrics that hold a month of a made-up hub:
//! every row and every metric is what arithmetic gives.

mod expected;
mod exporters;
mod month;
mod refusing;
mod rows;

use crate::support::{
    Answer, BINARY, Process, Prometheus, Scrape, Service, SimServer, VictoriaMetrics, block_on,
    on_folder, sql, until,
};
use expected::{Present, Usage, hour_of, present, real, sessions};
use exporters::{Samples, home_bytes};
use insights::config::{PrometheusConfig, UsageConfig};
use insights::sim::DEMO_TOKEN;
use insights::sources::prometheus::Prometheus as Source;
use insights::sources::{Known, Look};
use jiff::Timestamp;
use model::slug;
use model::usage::Amounts;
use month::{DAY, HOUR, Month, N_GROUPS, N_USERS, NAMESPACE, Person, ZONE};
use nix::sys::signal::Signal;
use refusing::Refusing;
use rows::{StoredUsage, Tolerance};
use serde_json::json;
use std::collections::BTreeMap;
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
        a_look_at_the_present,
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
        hours_of_the_service,
    ),
    (
        "group_totals_add_up_under_each_rule_that_does",
        group_totals_add_up,
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

fn a_look_at_the_present() {
    for kind in [Kind::Prometheus, Kind::VictoriaMetrics] {
        let (url, month) = server(kind);
        let look = look(&url, &month);
        let expected = present(&month, look.at.as_second());
        assert!(expected.len() > 90, "{}", expected.len());
        let seen = look.servers.iter().map(|server| {
            let account = &server.account;
            let name = account.server.as_deref().unwrap_or("?").to_owned();
            ((account.user.to_string(), name), server.amounts)
        });
        let seen: BTreeMap<(String, String), Amounts> = seen.collect();
        assert!(seen.keys().eq(expected.keys()), "{seen:?}");
        for (key, expected) in &expected {
            let seen = &seen[key];
            for (seen, expected) in [
                (seen.memory_bytes, expected.memory_bytes),
                (seen.cpu_cores, expected.cpu_cores),
                (seen.memory_requested_bytes, expected.memory_requested_bytes),
                (seen.cpu_requested_cores, expected.cpu_requested_cores),
            ] {
                assert_close(seen.unwrap(), expected, key);
            }
            assert_close(seen.gpus_requested.unwrap(), expected.gpus_requested, key);
            if expected.gpus_requested > 0.0 {
                assert_close(seen.gpus_used.unwrap(), expected.gpus_used, key);
            }
        }
        assert_eq!(look.homes.unwrap().sizes.len(), N_USERS);
        let nobodys = look.unattributed.iter();
        let mut nobodys = nobodys.filter(|it| it.reason == "unknown directory");
        // Everybody's, and that of somebody who is not known any more.
        assert_eq!(nobodys.next().unwrap().n_things, 2);
        assert_eq!(look.notes, []);
    }
}

fn look(url: &str, month: &Month) -> Look {
    let config = PrometheusConfig {
        url: Some(url.parse().unwrap()),
        ..PrometheusConfig::default()
    };
    let users = month.people.iter().filter(|person| person.is_known);
    let known = Known {
        users: Some(users.map(|person| person.name.as_str().into()).collect()),
        spawner: None,
    };
    let source = Source::new(&config, &UsageConfig::default(), NAMESPACE);
    block_on(source.unwrap().look(&known)).unwrap()
}

#[track_caller]
fn assert_close(left: f64, right: f64, what: &impl std::fmt::Debug) {
    let is_close = (left - right).abs() <= right.abs() * 1e-9;
    assert!(is_close, "{left} is not {right} of {what:?}");
}

fn an_observed_session() {
    let (url, month) = server(Kind::Prometheus);
    let import = Import::new(&url, month.start + 9 * DAY, month.start + 11 * DAY);
    let mut expected = sessions(&month, import.to - GONE_AFTER);
    // A server that was gone shortly before is known to be only now.
    expected.retain(|session| session.ended > import.from - GONE_AFTER);
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

fn hours_of_the_service() {
    let (url, month) = server(Kind::Prometheus);
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    InEach,
    Split,
    Primary,
    Bucket,
}

/// With the rule `primary`.
const PRIORITY: [&str; 2] = ["group-07", "group-03"];

/// To which groups a person counts, and how much.
fn shares(month: &Month, person: &Person, rule: Rule) -> Vec<(String, f64)> {
    let mut groups: Vec<&String> = person
        .groups
        .iter()
        .map(|group| &month.groups[*group])
        .collect();
    groups.sort();
    let n_groups = f64::from(u32::try_from(groups.len()).unwrap());
    match (&*groups, rule) {
        ([], _) => vec![("none".to_owned(), 1.0)],
        ([first, _, ..], Rule::Primary) => {
            let mut priority = PRIORITY.iter();
            let preferred = priority.find(|group| groups.iter().any(|it| it == *group));
            vec![(
                preferred.map_or_else(|| (*first).clone(), |group| (*group).to_owned()),
                1.0,
            )]
        }
        ([_, _, ..], Rule::Bucket) => vec![("multiple".to_owned(), 1.0)],
        (groups, Rule::Split) => groups
            .iter()
            .map(|group| ((*group).clone(), 1.0 / n_groups))
            .collect(),
        (groups, _) => groups.iter().map(|group| ((*group).clone(), 1.0)).collect(),
    }
}

fn group_totals_add_up() {
    let (url, month) = server(Kind::Prometheus);
    let sim = sim(&month);
    let users = by_user(&month);
    let total: f64 = users.values().map(|used| used.memory_bytes).sum();
    for rule in [Rule::InEach, Rule::Split, Rule::Primary, Rule::Bucket] {
        let name = match rule {
            Rule::InEach => "in-each",
            Rule::Split => "split",
            Rule::Primary => "primary",
            Rule::Bucket => "bucket",
        };
        let service = service(
            &sim,
            &url,
            &[
                format!("groups.multiple={name}"),
                format!("groups.priority={PRIORITY:?}"),
                "metrics.exporter_names=true".to_owned(),
            ],
        );
        let scrape = service.until("totals of groups", |scrape| {
            let has_homes = !scrape.family("jupyterhub_group_home_dir_bytes").is_empty();
            has_homes && sum(scrape, "jupyterhub_group_memory_bytes") > 0.0
        });
        for (family, amount) in GROUP_TOTALS {
            let mut expected: BTreeMap<String, f64> = BTreeMap::new();
            for person in month.people.iter().filter(|person| person.is_known) {
                let used = users.get(&person.name).map_or(0.0, amount);
                for (group, share) in shares(&month, person, rule) {
                    *expected.entry(group).or_default() += used * share;
                }
            }
            let seen = by_group(&scrape, family);
            for (group, expected) in &expected {
                assert_close(seen[group], *expected, group);
            }
            assert!(seen.len() >= N_GROUPS, "{family} {seen:?}");
        }
        let sum = sum(&scrape, "jupyterhub_group_memory_bytes");
        if rule == Rule::InEach {
            assert!(sum > total * 1.2, "{sum} {total}");
        } else {
            assert_close(sum, total, &name);
        }
        compare_exporter_rows(&scrape, &month, &users, rule);
    }
}

/// What each user's servers use now.
fn by_user(month: &Month) -> BTreeMap<String, Present> {
    let mut users: BTreeMap<String, Present> = BTreeMap::new();
    for ((user, _), used) in present(month, insights::poll::clock::now().as_second()) {
        users.entry(user).or_default().add(&used);
    }
    users
}

/// One of the numbers of what is used.
type Amount = fn(&Present) -> f64;

/// Totals of groups, each by the number that it sums.
const GROUP_TOTALS: [(&str, Amount); 5] = [
    ("jupyterhub_group_memory_bytes", |used| used.memory_bytes),
    ("jupyterhub_group_cpu_cores", |used| used.cpu_cores),
    ("jupyterhub_group_memory_requested_bytes", |used| {
        used.memory_requested_bytes
    }),
    ("jupyterhub_group_cpu_requested_cores", |used| {
        used.cpu_requested_cores
    }),
    ("jupyterhub_group_gpus_requested", |used| {
        used.gpus_requested
    }),
];

/// The five metrics of the Python exporter, by name and labels.
fn compare_exporter_rows(
    scrape: &Scrape,
    month: &Month,
    users: &BTreeMap<String, Present>,
    rule: Rule,
) {
    let amounts: [(&str, Amount); 4] = [
        ("memory_bytes", |used| used.memory_bytes),
        ("cpu_seconds", |used| used.cpu_cores),
        ("memory_requests_bytes", |used| used.memory_requested_bytes),
        ("cpu_requests_seconds", |used| used.cpu_requested_cores),
    ];
    for (name, amount) in amounts {
        let mut expected: BTreeMap<String, f64> = BTreeMap::new();
        for person in month.people.iter().filter(|person| person.is_known) {
            let Some(used) = users.get(&person.name) else {
                continue;
            };
            for (group, share) in shares(month, person, rule) {
                expected.insert(row_labels(&person.name, &group), amount(used) * share);
            }
        }
        compare_family(scrape, &format!("jupyterhub_user_group_{name}"), &expected);
    }
    let rows = scrape.family("jupyterhub_user_group_home_dir_bytes");
    let now = insights::poll::clock::now().as_second();
    let mut n_rows = 0;
    for (number, person) in month.people.iter().enumerate() {
        for (group, share) in shares(month, person, rule) {
            if !person.is_known {
                continue;
            }
            let labels = row_labels(&person.name, &group);
            let seen: f64 = rows[&labels].parse().unwrap();
            // Homes grow at the full hour, which may lie between look and now.
            let sizes = [now, now - 600].map(|at| real(home_bytes(number, at)) * share);
            let is_one = sizes.iter().any(|size| (seen - size).abs() <= size * 1e-9);
            assert!(is_one, "{labels}: {seen} of {sizes:?}");
            n_rows += 1;
        }
    }
    assert_eq!(rows.len(), n_rows, "{rows:?}");
}

fn compare_family(scrape: &Scrape, name: &str, expected: &BTreeMap<String, f64>) {
    let rows = scrape.family(name);
    assert!(rows.keys().eq(expected.keys()), "{name} {rows:?}");
    for (labels, value) in rows {
        assert_close(value.parse().unwrap(), expected[&labels], &labels);
    }
}

fn row_labels(user: &str, group: &str) -> String {
    let escaped = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
    format!(
        "namespace=\"{NAMESPACE}\",usergroup=\"{}\",username=\"{}\",username_escaped=\"{}\",\
         username_safe=\"{}\"",
        escaped(group),
        escaped(user),
        slug::escaped(user),
        slug::safe(user),
    )
}

fn sum(scrape: &Scrape, name: &str) -> f64 {
    by_group(scrape, name).values().sum()
}

fn by_group(scrape: &Scrape, name: &str) -> BTreeMap<String, f64> {
    let rows = scrape.family(name).into_iter();
    let rows = rows.map(|(labels, value)| {
        let (_, group) = labels.split_once("usergroup=\"").unwrap();
        let group = group.strip_suffix('"').unwrap();
        let group = group.replace("\\\"", "\"").replace(r"\\", "\\");
        (group, value.parse().unwrap())
    });
    rows.collect()
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
