//! Events over HTTP, durably stored: how many a second, and how long until each is acknowledged.
//!
//! ```text
//! cargo bench --profile dev --workspace --bench sink -- [--seconds N] [--only 1|100|10000]
//! ```
//!
//! Starts the real service on a folder of its own, without a hub, and sends batches of 1 (64 clients
//! at once), 100 and 10,000 for N seconds each (600 by default), ids new throughout; then the same
//! while one client asks reports in SQL without pause. Clients share the machine with the service;
//! its CPU time is the service's alone. At the end the rows are counted.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and shares of a table that people read"
)]

use reqwest::Client;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_jupyterhub-insights");
const TOKEN: &str = "bench-token-0000000000000000000";
/// What an administrator would want to know while events come in.
const REPORTS: [&str; 3] = [
    "select kind, count(*) from events group by kind",
    "select date_trunc('hour', at), count(distinct \"user\") from events group by 1 order by 1",
    "select \"user\", count(*) n from events group by 1 order by n desc limit 20",
];

#[derive(Clone, Copy)]
struct Load {
    batch: u64,
    clients: u64,
}

const LOADS: [Load; 3] = [
    Load {
        batch: 1,
        clients: 64,
    },
    Load {
        batch: 100,
        clients: 8,
    },
    Load {
        batch: 10_000,
        clients: 2,
    },
];

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let number = |flag: &str| {
        let at = words.iter().position(|word| word == flag)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    let seconds = number("--seconds").unwrap_or(600);
    let only = number("--only");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!(
        "| batch | clients | beside | events/s | last/first minute | p50 ms | p99 ms | worst ms | cores | peak MiB | rows |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for beside in [Beside::Nothing, Beside::Reports] {
        for load in LOADS {
            if only.is_none_or(|only| only == load.batch) {
                println!("{}", runtime.block_on(run(load, beside, seconds)));
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Reports,
}

struct Service {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Service {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let sets = [
            format!("metrics.listen=127.0.0.1:{port}"),
            "hub.url=http://127.0.0.1:9/".to_owned(),
            "hub.token=none".to_owned(),
            "hub.interval_seconds=3600".to_owned(),
            format!("store.path={}", folder.path().join("store").display()),
            "store.keep=always".to_owned(),
            format!("events.token={TOKEN}"),
            "log.level=error".to_owned(),
        ];
        let mut command = Command::new(BINARY);
        command.arg("serve").env_clear().stdin(Stdio::null());
        for set in &sets {
            command.args(["--set", set]);
        }
        let child = command.spawn().expect("the service starts");
        let service = Self {
            child,
            url: format!("http://127.0.0.1:{port}/services/insights/api/v1/events"),
            folder,
        };
        let client = Client::builder().no_proxy().build().expect("a client");
        while !post(&client, &service.url, String::new()).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        service
    }

    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("store")
    }

    /// CPU seconds so far: user and system.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
        (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
    }

    fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn run(load: Load, beside: Beside, seconds: u64) -> String {
    let service = Service::start().await;
    let is_over = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU64::new(0));
    let client = Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(128)
        .build()
        .expect("a client");
    let started = Instant::now();
    let cpu_before = service.cpu_seconds();
    let senders: Vec<_> = (0..load.clients)
        .map(|_| {
            let sender = Sender {
                client: client.clone(),
                url: service.url.clone(),
                next: Arc::clone(&next),
                is_over: Arc::clone(&is_over),
                started,
            };
            tokio::spawn(sender.send(load.batch))
        })
        .collect();
    let reports = (beside == Beside::Reports).then(|| {
        let (store, is_over) = (service.store(), Arc::clone(&is_over));
        std::thread::spawn(move || ask_reports(&store, &is_over))
    });
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    is_over.store(true, Ordering::Relaxed);
    let mut sent: Vec<Acknowledged> = Vec::new();
    for sender in senders {
        sent.extend(sender.await.expect("a sender ends"));
    }
    let elapsed = started.elapsed().as_secs_f64();
    let cores = (service.cpu_seconds() - cpu_before) / elapsed;
    let n_reports = reports.map_or(0, |reports| reports.join().expect("reports end"));
    let beside = match beside {
        Beside::Nothing => "nothing".to_owned(),
        Beside::Reports => format!("{n_reports} reports"),
    };
    row(load, &beside, &service, &sent, elapsed, cores)
}

fn row(
    load: Load,
    beside: &str,
    service: &Service,
    sent: &[Acknowledged],
    elapsed: f64,
    cores: f64,
) -> String {
    let n_events = sent.len() as u64 * load.batch;
    let mut waits: Vec<f64> = sent.iter().map(|sent| sent.waited_ms).collect();
    waits.sort_by(f64::total_cmp);
    let quantile = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    let in_minute = |from: f64| {
        let n = sent
            .iter()
            .filter(|sent| (from..from + 60.0).contains(&sent.at))
            .count();
        n.max(1) as f64
    };
    let last_minute = in_minute((elapsed - 60.0).max(0.0)) / in_minute(0.0);
    let counted = count(&service.store());
    let mut row = format!("| {} | {} | {beside} ", load.batch, load.clients);
    let rate = n_events as f64 / elapsed;
    let _ = write!(
        row,
        "| {rate:.0} | {last_minute:.2} | {:.1} | {:.1} | {:.0} ",
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
    let _ = write!(
        row,
        "| {cores:.2} | {} | {n_events} sent, {counted} found |",
        service.peak_mib()
    );
    row
}

struct Sender {
    client: Client,
    url: String,
    next: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    started: Instant,
}

struct Acknowledged {
    /// Seconds since the begin.
    at: f64,
    waited_ms: f64,
}

impl Sender {
    /// Sends until all is over. A batch that is refused because the queue is full is sent again.
    async fn send(self, batch: u64) -> Vec<Acknowledged> {
        let mut sent = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(batch, Ordering::Relaxed);
            let body = body(first, batch);
            let asked = Instant::now();
            while !post(&self.client, &self.url, body.clone()).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            sent.push(Acknowledged {
                at: self.started.elapsed().as_secs_f64(),
                waited_ms: asked.elapsed().as_secs_f64() * 1000.0,
            });
        }
        sent
    }
}

/// Logins as the hub's own sender writes them, now and by one of 5,000 users.
fn body(first: u64, batch: u64) -> String {
    let now = insights::poll::clock::now();
    let mut body = String::with_capacity(batch as usize * 200);
    for number in first..first + batch {
        let _ = writeln!(
            body,
            r#"{{"id":"{number:032x}","at":"{now:.6}","kind":"login","user":"user-{}","source":"hooks","detail":{{"authenticator":"GenericOAuthenticator","address":"192.0.2.{}"}}}}"#,
            number % 5000,
            number % 250,
        );
    }
    body
}

async fn post(client: &Client, url: &str, body: String) -> bool {
    let request = client.post(url).bearer_auth(TOKEN).body(body);
    match request.send().await {
        Ok(response) => {
            let is_taken = response.status() == 200;
            let _ = response.bytes().await;
            is_taken
        }
        Err(_) => false,
    }
}

fn sql(store: &Path, query: &str) -> String {
    let output = Command::new(BINARY)
        .args(["sql", "--format", "csv", "--set"])
        .arg(format!("store.path={}", store.display()))
        .arg(query)
        .env_clear()
        .output()
        .expect("sql runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ask_reports(store: &Path, is_over: &AtomicBool) -> usize {
    let mut n_asked = 0;
    while !is_over.load(Ordering::Relaxed) {
        let _ = sql(store, REPORTS[n_asked % REPORTS.len()]);
        n_asked += 1;
    }
    n_asked
}

fn count(store: &Path) -> String {
    let counted = sql(store, "select count(*) from events");
    counted.lines().nth(1).unwrap_or("?").to_owned()
}
