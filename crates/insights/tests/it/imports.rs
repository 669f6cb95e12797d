//! `import events`: files of every sort, once, twice, interrupted and beside a running service; and
//! a BinderHub's archive, counted by another tool.

use crate::support::{Answer, BINARY, Process, Service, SimServer, duckdb, on_folder, sql, until};
use flate2::Compression;
use flate2::write::GzEncoder;
use insights::sim::DEMO_TOKEN;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
    ("files_folders_and_standard_input_are_imported", every_input),
    (
        "what_cannot_be_read_is_told_and_the_rest_is_imported",
        rubbish,
    ),
    ("a_killed_import_goes_on_and_no_line_counts_twice", killed),
    (
        "an_import_beside_a_service_goes_through_it",
        beside_a_service,
    ),
    (
        "launches_per_repository_are_what_another_tool_counts",
        launches_per_repository,
    ),
];

fn today() -> Date {
    insights::poll::clock::now().to_zoned(TimeZone::UTC).date()
}

fn event(number: u32) -> String {
    let day = today().saturating_sub(3.days());
    format!(
        "{{\"kind\": \"k{}\", \"at\": \"{day}T10:00:00Z\", \"id\": \"{number}\", \"user\": \"ada\"}}\n",
        number % 7
    )
}

fn events(numbers: std::ops::Range<u32>) -> String {
    numbers.map(event).collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A folder with a store and whatever is imported into it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn import(&self, words: &[&str]) -> Answer {
        on_folder(&self.store(), &[&["import", "events"], words].concat())
    }

    fn count(&self, table: &str) -> String {
        let query = format!("select count(*), count(distinct id) from {table}");
        sql(&self.store(), &query).rows().remove(0)
    }
}

#[track_caller]
fn says(answer: &Answer, expected: &str) {
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert_eq!(answer.stdout.trim(), expected, "{}", answer.stderr);
}

fn every_input() {
    let place = Place::new();
    let plain = place.file("archive/a.jsonl", events(0..10));
    place.file("archive/b.jsonl.gz", packed(&events(5..20)));
    place.file("archive/c.json", events(20..25).trim_end());
    place.file("archive/index.jsonl", "{\"name\": \"a.jsonl\"}\n");
    let folder = Path::new(&plain).parent().unwrap().to_str().unwrap();
    let answer = place.import(&[&plain]);
    says(
        &answer,
        "10 lines read from 1 files (0 imported before): 10 new events, 0 known, 0 rejected",
    );
    let answer = place.import(&[folder]);
    says(
        &answer,
        "20 lines read from 2 files (1 imported before): 15 new events, 5 known, 0 rejected",
    );
    assert!(
        answer.stderr.contains("`a.jsonl` was imported before"),
        "{}",
        answer.stderr
    );
    assert_eq!(place.count("events"), "25,25");
    let answer = place.import(&[folder, "--again"]);
    says(
        &answer,
        "30 lines read from 3 files (0 imported before): 0 new events, 30 known, 0 rejected",
    );
    // A file that has grown is read again.
    place.file("archive/a.jsonl", events(0..11) + &event(30));
    let answer = place.import(&[&plain]);
    says(
        &answer,
        "12 lines read from 1 files (0 imported before): 1 new events, 11 known, 0 rejected",
    );
    assert_eq!(place.count("events"), "26,26");

    for (input, n_lines) in [
        (events(30..40).into_bytes(), 10),
        (packed(&events(40..45)), 5),
    ] {
        let mut child = Command::new(BINARY)
            .args(["import", "events", "-", "--set"])
            .arg(format!("store.path={}", place.store().display()))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let answer = Answer::of(&child.wait_with_output().unwrap());
        let begin = format!("{n_lines} lines read from 1 files");
        assert!(
            answer.stdout.starts_with(&begin),
            "{} {}",
            answer.stdout,
            answer.stderr
        );
    }
    assert_eq!(place.count("events"), "40,40");
    let answer = place.import(&["/no/such/file"]);
    assert_eq!(answer.code, Some(1));
    assert!(
        answer.stderr.contains("cannot read `/no/such/file`"),
        "{}",
        answer.stderr
    );
}

fn rubbish() {
    let place = Place::new();
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let deep_detail = format!(
        "{{\"kind\": \"k\", \"at\": \"2026-11-20T10:00:00Z\", \"detail\": {{\"a\": {deep}}}}}"
    );
    let long = "x".repeat(5 << 20);
    let mut bytes = format!("{}{deep}\n{deep_detail}\n{long}\n\0\0\n", event(0)).into_bytes();
    bytes.extend(b"\xff\xfe\n");
    bytes.extend(event(1).as_bytes());
    let file = place.file("bad.jsonl", bytes);
    let answer = place.import(&[&file]);
    says(
        &answer,
        "7 lines read from 1 files (0 imported before): 2 new events, 0 known, 5 rejected",
    );
    assert!(
        answer
            .stderr
            .contains("bad.jsonl, line 4: longer than 1 MiB"),
        "{}",
        answer.stderr
    );
    assert!(
        answer
            .stderr
            .contains("bad.jsonl, line 6: not UTF-8 at byte 0"),
        "{}",
        answer.stderr
    );
    assert_eq!(place.count("dead_letters"), "5,5");
    let sources = sql(&place.store(), "select distinct source from dead_letters").rows();
    assert_eq!(sources, ["import bad.jsonl"]);
    let cut = place.file("cut.jsonl.gz", &packed(&events(2..4000))[..2000]);
    let good = place.file("good.jsonl", events(2..5));
    let answer = place.import(&[&cut, &good]);
    assert_eq!(answer.code, Some(1), "{}", answer.stdout);
    assert!(
        answer
            .stderr
            .contains("cannot read `cut.jsonl.gz` to its end"),
        "{}",
        answer.stderr
    );
    let old = place.file(
        "old.jsonl",
        "{\"kind\": \"k\", \"at\": \"2019-11-20T10:00:00Z\"}\n",
    );
    let answer = place.import(&[&old]);
    let warning = "1 events are older than 400 days and will be removed within minutes";
    assert!(answer.stderr.contains(warning), "{}", answer.stderr);
}

/// Equal lines too: the n-th of them is known only by those before it.
fn killed() {
    const N_LINES: u32 = 150_000;
    let place = Place::new();
    let day = today().saturating_sub(3.days());
    let mut text = String::new();
    for number in 0..N_LINES {
        text.push_str(&launch(
            day,
            number / 1000 % 1440,
            "GitHub",
            &format!("a/b{}/main", number % 5),
        ));
    }
    let file = place.file("big.jsonl", text);
    let log = place.0.path().join("import.log");
    let mut n_kills = 0;
    loop {
        let mut command = Command::new(BINARY);
        command
            .args(["import", "events", &file, "--set"])
            .arg(format!("store.path={}", place.store().display()))
            .env_clear();
        let mut process = Process::start(&mut command, &log);
        std::thread::sleep(Duration::from_millis(700));
        if process.has_ended().is_some() || n_kills == 6 {
            process.wait(Duration::from_mins(5));
            break;
        }
        process.signal(Signal::SIGKILL);
        process.wait(Duration::from_secs(10));
        n_kills += 1;
    }
    let output = std::fs::read_to_string(&log).unwrap();
    assert!(n_kills > 0, "{output}");
    let n_read: u32 = output
        .lines()
        .find_map(|line| line.split_once(" lines read from 1 files (0 imported before)"))
        .unwrap_or_else(|| panic!("{output}"))
        .0
        .parse()
        .unwrap();
    assert!(n_read < N_LINES, "nothing was resumed: {output}");
    assert_eq!(place.count("events"), format!("{N_LINES},{N_LINES}"));
    let verified = on_folder(&place.store(), &["store", "verify"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
}

fn beside_a_service() {
    let place = Place::new();
    let hub = SimServer::start(|world| {
        world.set_now(insights::poll::clock::now());
        world.add_user("ada");
    });
    let folder = place.0.path().join("log");
    std::fs::create_dir(&folder).unwrap();
    let followed = folder.join("events.jsonl");
    let settings = [
        "store.keep=always".to_owned(),
        format!("store.path={}", place.store().display()),
        format!("events.files=[\"{}\"]", followed.display()),
    ];
    let words: Vec<&str> = settings
        .iter()
        .flat_map(|setting| ["--set", setting])
        .collect();
    let mut service = Service::start(&hub.url, DEMO_TOKEN, &words);
    let sent = "select count(*), count(distinct id) from events where source != 'poll'";
    let becomes = |expected: &str| {
        let found = until(expected, || {
            (sql(&place.store(), sent).rows() == [expected]).then_some(())
        });
        assert!(found.is_some(), "{:?}", sql(&place.store(), sent).rows());
    };
    // Followed while it runs.
    std::fs::write(&followed, events(0..1000) + &event(1000)[..10]).unwrap();
    becomes("1000,1000");
    std::fs::rename(&followed, folder.join("events.jsonl.1")).unwrap();
    std::fs::write(&followed, events(1001..1010)).unwrap();
    becomes("1009,1009");
    let letters = "select reason like 'not JSON%', source from dead_letters";
    assert_eq!(
        sql(&place.store(), letters).rows(),
        ["true,file events.jsonl"]
    );

    // What the service took from the file is no news.
    let file = place.file("big.jsonl", events(0..60_000));
    let started = std::time::Instant::now();
    let answer = place.import(&[&file]);
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("60,000 lines beside a service: {seconds:.1} s");
    assert!(
        answer.stderr.contains("Another process keeps this history"),
        "{}",
        answer.stderr
    );
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let expected =
        "60000 lines read from 1 files (0 imported before): 58991 new events, 1009 known";
    assert!(
        answer.stdout.starts_with(expected),
        "{} {}",
        answer.stdout,
        answer.stderr
    );
    assert_eq!(sql(&place.store(), sent).rows(), ["60000,60000"]);
    let answer = place.import(&[&file]);
    says(
        &answer,
        "0 lines read from 0 files (1 imported before): 0 new events, 0 known, 0 rejected",
    );

    // The service is killed, and the file grows meanwhile.
    service.process.signal(Signal::SIGKILL);
    service.process.wait(Duration::from_secs(10));
    let mut appended = std::fs::File::options()
        .append(true)
        .open(&followed)
        .unwrap();
    appended
        .write_all(events(60_000..60_010).as_bytes())
        .unwrap();
    let service = Service::start(&hub.url, DEMO_TOKEN, &words);
    becomes("60010,60010");
    drop(service);
    let answer = place.import(&[&file, "--again"]);
    says(
        &answer,
        "60000 lines read from 1 files (0 imported before): 0 new events, 60000 known, 0 rejected",
    );
    assert_eq!(sql(&place.store(), sent).rows(), ["60010,60010"]);
}

fn launch(day: Date, minute: u32, provider: &str, spec: &str) -> String {
    let (hour, minute) = (minute / 60, minute % 60);
    format!(
        "{{\"timestamp\": \"{day}T{hour:02}:{minute:02}:00+00:00\", \"schema\": \
         \"binderhub.jupyter.org/launch\", \"version\": 1, \"provider\": \"{provider}\", \"spec\": \
         \"{spec}\", \"status\": \"success\"}}\n"
    )
}

/// The line of the page, exactly as people copy it.
fn line_of_the_docs() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/binder.md");
    let page = std::fs::read_to_string(page).unwrap();
    let lines: Vec<&str> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("jupyterhub-insights sql \"")?
                .strip_suffix('"')
        })
        .collect();
    let [line] = lines[..] else {
        panic!("{lines:?}");
    };
    line.to_owned()
}

/// Five days within six months and one before, with repeats, two of them packed.
fn write_archive(place: &Place) -> PathBuf {
    let specs = [
        ("GitHub", "jupyterlab/jupyterlab-demo/master", 50),
        ("GitHub", "jupyterlab/jupyterlab-demo/feature/x", 3),
        ("GitHub", "ipython/ipython-in-depth/HEAD", 7),
        ("Gist", "ada/0123456789abcdef/HEAD", 2),
        ("GitLab", "group%2Fsub%2Frepo/main", 4),
        ("Git", "https%3A%2F%2Fgit.example.org%2Fa%2Fb/0a1b2c", 1),
        ("Zenodo", "10.5281/zenodo.3242074", 5),
    ];
    for (n_day, days_ago) in (1_u32..).zip([250_i64, 170, 90, 9, 2, 1]) {
        let day = today().saturating_sub(days_ago.days());
        let mut text = String::new();
        for (n_spec, (provider, spec, n_equal)) in (0..).zip(specs) {
            for _ in 0..n_equal {
                text.push_str(&launch(day, n_day + n_spec, provider, spec));
            }
            for minute in 0..n_day {
                text.push_str(&launch(day, 600 + minute, provider, spec));
            }
        }
        let mut name = String::new();
        let _ = write!(name, "archive/events-{day}.jsonl");
        place.file(&name, text);
    }
    place.0.path().join("archive")
}

fn launches_per_repository() {
    let place = Place::new();
    let archive = write_archive(&place);
    let folder = archive.to_str().unwrap();
    let now = insights::poll::clock::now().to_zoned(TimeZone::UTC);
    let since: Timestamp = now.saturating_sub(6.months()).timestamp();
    let expected = duckdb("binder.py", &[folder, &since.to_string()], b"");
    assert_eq!(expected.len(), 6, "{expected:?}");
    assert!(
        expected[0].starts_with("GitHub/jupyterlab/jupyterlab-demo,"),
        "{expected:?}"
    );
    let n_lines: usize = std::fs::read_dir(&archive)
        .unwrap()
        .map(|file| {
            std::fs::read_to_string(file.unwrap().path())
                .unwrap()
                .lines()
                .count()
        })
        .sum();
    let line = line_of_the_docs();
    let answer = place.import(&[folder]);
    let all = format!("{n_lines} lines read from 6 files (0 imported before)");
    says(
        &answer,
        &format!("{all}: {n_lines} new events, 0 known, 0 rejected"),
    );
    assert_eq!(sql(&place.store(), &line).rows(), expected);
    let answer = place.import(&[folder, "--again"]);
    says(
        &answer,
        &format!("{all}: 0 new events, {n_lines} known, 0 rejected"),
    );
    assert_eq!(sql(&place.store(), &line).rows(), expected);

    // Through a service, twice.
    let store = place.0.path().join("other");
    let hub = SimServer::start(|world| world.set_now(insights::poll::clock::now()));
    let path = format!("store.path={}", store.display());
    let service = Service::start(
        &hub.url,
        DEMO_TOKEN,
        &["--set", "store.keep=always", "--set", &path],
    );
    until("the history to be kept", || {
        service
            .process
            .output()
            .contains("The history is in")
            .then_some(())
    });
    for words in [
        &["import", "events", folder][..],
        &["import", "events", folder, "--again"],
    ] {
        let answer = on_folder(&store, words);
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        assert_eq!(sql(&store, &line).rows(), expected);
    }
    drop(service);
    assert_eq!(sql(&store, &line).rows(), expected);
}
