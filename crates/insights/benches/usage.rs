//! What usage costs: a look at many running servers, a year of the past, and the Prometheus that is
//! asked.
//!
//! ```text
//! cargo bench --profile dev --workspace --bench usage [-- look|year|load]
//! ```
//!
//! - `look`: processor time and memory of one look at 500, 5,000 and 50,000 running servers. The
//!   answers are synthetic and come from a process of their own; the last column is the time per
//!   server as a multiple of that with 500, which says whether a look is linear.
//! - `year`: `import prometheus --from '1 year ago'` of 1,000 users, answered by the same kind of
//!   server, without rests.
//! - `load`: queries that a real Prometheus is asked and samples that it looks at, for a look, and for
//!   a month of 500 users in parts of a day. Needs the tools that `./test` installs.

#![expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a table that people read; a bench is told by the environment where the tools are; and what it \
              shares with the tests fails when it meets the unexpected"
)]

#[path = "../tests/it/usage_prometheus/exporters.rs"]
mod exporters;
#[path = "../tests/it/usage_prometheus/month.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod month;
#[path = "usage/synthetic.rs"]
mod synthetic;

use exporters::Samples;
use insights::config::{PrometheusConfig, UsageConfig};
use insights::sources::Known;
use insights::sources::prometheus::{HourSpan, Load, Prometheus};
use jiff::Timestamp;
use month::{DAY, HOUR, Month, NAMESPACE, ZONE_OFFSET};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_jupyterhub-insights");
const N_RUNNING: [usize; 3] = [500, 5_000, 50_000];
const N_USERS_OF_A_YEAR: usize = 1000;
/// Looks of which the processor time is the mean.
const N_LOOKS: u32 = 5;

fn main() {
    // As the program does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--bench")
        .collect();
    let number = |word: &str| word.parse().expect("a number");
    match words[..] {
        ["--serve", n_users] => block_on(synthetic::serve(number(n_users))),
        ["--look", url, n_users] => look(url, number(n_users)),
        ["look"] => looks(),
        ["year"] => year(),
        ["load"] => load(),
        [] => {
            looks();
            year();
            load();
        }
        _ => panic!("one of `look`, `year`, `load`, or none"),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(future)
}

/// A process that answers about so many users.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(n_users: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--serve", &n_users.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let output = child.stdout.take().expect("its output");
        let mut port = String::new();
        let mut output = BufReader::new(output);
        output.read_line(&mut port).expect("its port");
        let url = format!("http://127.0.0.1:{}/", port.trim());
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn source(url: &str) -> Prometheus {
    let config = PrometheusConfig {
        url: Some(url.parse().expect("an address")),
        timeout_seconds: 600,
        ..PrometheusConfig::default()
    };
    // Homes at every look.
    let usage = UsageConfig {
        homes_interval_seconds: 0,
        ..UsageConfig::default()
    };
    Prometheus::new(&config, &usage, NAMESPACE).expect("a source")
}

fn looks() {
    println!(
        "| running servers | CPU ms a look | wall ms | peak MiB | queries | per server, to 500 |"
    );
    println!("|---|---|---|---|---|---|");
    let mut first = None;
    for n_running in N_RUNNING {
        let server = Server::start(n_running);
        let output = Command::new(std::env::current_exe().expect("a path"))
            .args(["--look", &server.url, &n_running.to_string()])
            .output()
            .expect("it looks");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<f64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [cpu_ms, wall_ms, peak_mib, n_queries] = numbers[..] else {
            panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
        };
        let per_server = cpu_ms / n_running as f64;
        let first = *first.get_or_insert(per_server);
        println!(
            "| {n_running} | {cpu_ms:.1} | {wall_ms:.0} | {peak_mib:.0} | {n_queries:.0} | {:.2} |",
            per_server / first
        );
    }
    println!();
}

/// In a process of its own, whose peak of memory is that of the looks.
fn look(url: &str, n_users: usize) {
    let users = (0..n_users).map(|user| format!("user-{user}").as_str().into());
    let known = Known {
        users: Some(users.collect()),
        spawner: None,
    };
    let mut source = source(url);
    block_on(async {
        // What is read for the first time, the server has to make first.
        let look = source.look(&known).await.expect("an answer");
        assert_eq!(look.servers.len(), n_users);
        assert_eq!(look.homes.map(|homes| homes.sizes.len()), Some(n_users));
        let (cpu, queries, began) = (cpu_seconds("self"), source.load().queries, Instant::now());
        for _ in 0..N_LOOKS {
            source.look(&known).await.expect("an answer");
        }
        let per_look = |amount: f64| amount / f64::from(N_LOOKS);
        let cpu_ms = per_look((cpu_seconds("self") - cpu) * 1000.0);
        let wall_ms = per_look(began.elapsed().as_secs_f64() * 1000.0);
        let queries = per_look((source.load().queries - queries) as f64);
        println!("{cpu_ms} {wall_ms} {} {queries}", peak_mib("self"));
    });
}

fn year() {
    let server = Server::start(N_USERS_OF_A_YEAR);
    let folder = tempfile::tempdir().expect("a folder");
    let began = Instant::now();
    let mut child = Command::new(BINARY)
        .args([
            "import",
            "prometheus",
            "--from",
            "1 year ago",
            "--share",
            "100%",
        ])
        .args(["--set", &format!("prometheus.url={}", server.url)])
        .args(["--set", &format!("prometheus.namespace={NAMESPACE}")])
        .args(["--set", "hub.timezone=UTC"])
        .args([
            "--set",
            &format!("store.path={}", folder.path().join("store").display()),
        ])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the import starts");
    let pid = child.id().to_string();
    let (mut cpu, mut peak) = (0.0_f64, 0.0_f64);
    while child.try_wait().expect("its state").is_none() {
        cpu = cpu.max(cpu_seconds(&pid));
        peak = peak.max(peak_mib(&pid));
        std::thread::sleep(Duration::from_millis(100));
    }
    let wall = began.elapsed().as_secs_f64();
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "the import failed");
    println!("| a year of | CPU s | wall s | peak MiB | what it said |");
    println!("|---|---|---|---|---|");
    let said = String::from_utf8_lossy(&output.stdout);
    println!(
        "| {N_USERS_OF_A_YEAR} users | {cpu:.0} | {wall:.0} | {peak:.0} | {} |\n",
        said.trim()
    );
}

fn load() {
    let folder = tempfile::tempdir().expect("a folder");
    let month = Month::until(insights::poll::clock::now().as_second());
    let samples = Samples::write(&month, folder.path());
    let server = RealPrometheus::start(&samples, folder.path());
    let mut source = source(&server.url);
    let users = month
        .people
        .iter()
        .map(|person| person.name.as_str().into());
    let known = Known {
        users: Some(users.collect()),
        spawner: None,
    };
    println!("| asked | queries | samples looked at | seconds |");
    println!("|---|---|---|---|");
    block_on(async {
        let mut told = Told::new(&source);
        let look = source.look(&known).await.expect("an answer");
        told.row(
            &format!("a look at {} servers", look.servers.len()),
            &source,
        );
        let mut hours = Vec::new();
        let first = (month.start + ZONE_OFFSET).div_euclid(DAY) * DAY - ZONE_OFFSET + DAY;
        let mut start = first;
        while start + HOUR <= month.now {
            let (at, end) = (timestamp(start), timestamp(start + HOUR));
            hours.push(HourSpan { start: at, end });
            start += HOUR;
        }
        source.hours(&hours[..1]).await.expect("an answer");
        told.row("an hour", &source);
        source.hours(&hours[..24]).await.expect("an answer");
        told.row("a day of hours", &source);
        let mut n_rows = 0;
        for day in hours.chunks(24) {
            n_rows += source.hours(day).await.expect("an answer").used.len();
        }
        let days = hours.len().div_ceil(24);
        told.row(&format!("{days} days of hours, {n_rows} rows"), &source);
    });
    println!("\n{} samples in all.", samples.n_samples);
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a time")
}

/// What was told before.
struct Told {
    load: Load,
    at: Instant,
}

impl Told {
    fn new(source: &Prometheus) -> Self {
        Self {
            load: source.load(),
            at: Instant::now(),
        }
    }

    fn row(&mut self, what: &str, source: &Prometheus) {
        let load = source.load();
        println!(
            "| {what} | {} | {} | {:.2} |",
            load.queries - self.load.queries,
            load.samples - self.load.samples,
            self.at.elapsed().as_secs_f64()
        );
        *self = Self::new(source);
    }
}

/// A Prometheus with the month in it.
struct RealPrometheus {
    child: Child,
    url: String,
}

impl RealPrometheus {
    fn start(samples: &Samples, folder: &std::path::Path) -> Self {
        let programs = tools().join("prometheus/usr/bin");
        let data = folder.join("data");
        for file in &samples.files {
            let status = Command::new(programs.join("promtool"))
                .args(["tsdb", "create-blocks-from", "--max-block-duration=162h"])
                .args(["--quiet", "openmetrics"])
                .arg(file)
                .arg(&data)
                .status();
            assert!(status.expect("promtool runs").success());
        }
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, "{}").expect("a file");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let child = Command::new(programs.join("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--storage.tsdb.retention.time=1y")
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .current_dir(folder)
            .stdin(Stdio::null())
            .spawn()
            .expect("Prometheus starts");
        let url = format!("http://{address}/");
        let server = Self { child, url };
        block_on(async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client");
            let ready = format!("{}-/ready", server.url);
            let is_ready = || async {
                let reply = client.get(&ready).send().await;
                reply.is_ok_and(|reply| reply.status().is_success())
            };
            while !is_ready().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        server
    }
}

impl Drop for RealPrometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `./test` put Prometheus.
fn tools() -> PathBuf {
    let given = std::env::var_os("INSIGHTS_TOOLS").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let cache = cache.unwrap_or_else(|| home.join(".cache"));
    given.unwrap_or_else(|| cache.join("jupyterhub-insights/tools"))
}

/// Of a process, user and system.
fn cpu_seconds(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

fn peak_mib(pid: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
