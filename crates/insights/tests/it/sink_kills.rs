//! Clients send without pause while service and hub are killed at random moments and started
//! again. Each client keeps a book of what was acknowledged; a batch without an answer is sent
//! again as it is. At the end the tables hold each item once.

use crate::events::{Reply, send};
use crate::support::{HubOptions, READER_TOKEN, RealHub, Service, WRITER_TOKEN, sql, until};
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[crate::Test] = &[(
    "nothing_acknowledged_is_lost_or_repeated_while_service_and_hub_are_killed",
    kills,
)];

const CLIENTS: u64 = 8;

/// Kills of the service; every third time the hub is killed as well.
fn n_kills() -> usize {
    if crate::support::variable("INSIGHTS_SOAK").is_some() {
        60
    } else {
        6
    }
}

/// What clients share.
struct Load {
    url: RwLock<String>,
    is_over: AtomicBool,
    n_unanswered: AtomicUsize,
    n_repeated: AtomicUsize,
}

fn kills() {
    let mut random = StdRng::seed_from_u64(4);
    let folder = tempfile::Builder::new()
        .prefix("sink-kills-")
        .tempdir()
        .unwrap();
    let store = folder.path().join("store");
    let mut hub = Some(RealHub::start(HubOptions {
        service: None,
        ..HubOptions::new("6.1", json!({"users": ["ada"]}))
    }));
    let internal_url = hub.as_ref().unwrap().internal_url.clone();
    let mut service = serve(&internal_url, &store);
    let load = Arc::new(Load {
        url: RwLock::new(format!("{}api/v1/events", service.url)),
        is_over: AtomicBool::new(false),
        n_unanswered: AtomicUsize::new(0),
        n_repeated: AtomicUsize::new(0),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let load = Arc::clone(&load);
            std::thread::spawn(move || load.client(client))
        })
        .collect();
    for kill in 0..n_kills() {
        std::thread::sleep(Duration::from_millis(random.random_range(100..1500)));
        service.process.signal(Signal::SIGKILL);
        service.process.wait(Duration::from_secs(10));
        if kill % 3 == 2 {
            let mut killed = hub.take().unwrap();
            killed.process.signal(Signal::SIGKILL);
            killed.process.wait(Duration::from_secs(10));
            hub = Some(killed.start_again());
        }
        service = serve(&internal_url, &store);
        *load.url.write().unwrap() = format!("{}api/v1/events", service.url);
    }
    std::thread::sleep(Duration::from_secs(1));
    load.is_over.store(true, Ordering::Relaxed);
    let books: BTreeMap<u64, u64> = clients
        .into_iter()
        .enumerate()
        .map(|(client, thread)| (client as u64, thread.join().unwrap()))
        .collect();
    let n_sent: u64 = books.values().sum();
    eprintln!(
        "{} kills: {n_sent} items acknowledged, {} requests without an answer, {} items sent again and known",
        n_kills(),
        load.n_unanswered.load(Ordering::Relaxed),
        load.n_repeated.load(Ordering::Relaxed),
    );
    let n_cut = load.n_unanswered.load(Ordering::Relaxed);
    assert!(n_cut > n_kills(), "{n_cut} requests were cut off");
    compare(&store, &books);
    // What lies in the spool and what lies in the tables are told apart by nobody.
    service.process.signal(Signal::SIGTERM);
    service.process.wait(Duration::from_secs(30));
    compare(&store, &books);
}

fn serve(hub_url: &str, store: &Path) -> Service {
    let path = format!("store.path={}", store.display());
    let words = [
        "--set",
        "store.keep=always",
        "--set",
        &path,
        "--set",
        "store.flush_interval_seconds=5",
    ];
    Service::start(hub_url, READER_TOKEN, &words)
}

impl Load {
    /// Sends batches until all is over; gives how many items were acknowledged.
    fn client(&self, client: u64) -> u64 {
        let mut random = StdRng::seed_from_u64(client);
        let mut n_acknowledged = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            let n_items = random.random_range(1..200);
            let lines: Vec<String> = (n_acknowledged..n_acknowledged + n_items)
                .map(|number| item(client, number))
                .collect();
            self.deliver(lines.join("\n").as_bytes(), n_items);
            n_acknowledged += n_items;
        }
        n_acknowledged
    }

    /// Sends a batch until it is acknowledged.
    fn deliver(&self, body: &[u8], n_items: u64) {
        let started = Instant::now();
        loop {
            let url = self.url.read().unwrap().clone();
            let reply = send(&url, Some(WRITER_TOKEN), body, &[]);
            match reply.status {
                200 => return self.acknowledged(&reply, n_items),
                0 => {
                    self.n_unanswered.fetch_add(1, Ordering::Relaxed);
                }
                // Not yet: the store is not open, or the hub cannot be asked about the token.
                503 => {}
                _ => panic!("{reply:?}"),
            }
            assert!(started.elapsed() < Duration::from_mins(2), "{reply:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn acknowledged(&self, reply: &Reply, n_items: u64) {
        let n_new = reply.body["accepted"].as_u64().unwrap();
        let n_known = reply.body["known"].as_u64().unwrap();
        assert_eq!(n_new + n_known, n_items, "{reply:?}");
        self.n_repeated
            .fetch_add(usize::try_from(n_known).unwrap(), Ordering::Relaxed);
    }
}

fn item(client: u64, number: u64) -> String {
    let at = format!(
        "2026-11-20T{:02}:{:02}:{:02}Z",
        number / 3600 % 24,
        number / 60 % 60,
        number % 60
    );
    let detail = json!({"client": client, "number": number});
    json!({"at": at, "kind": "counted", "source": "client", "detail": detail}).to_string()
}

/// Each client's numbers from 0 on, each once.
fn compare(store: &Path, books: &BTreeMap<u64, u64>) {
    let query = "select json_get_int(detail, 'client') as client, count(*), count(distinct id), \
                 count(distinct json_get_int(detail, 'number')), max(json_get_int(detail, 'number')) + 1 \
                 from events where kind = 'counted' group by 1 order by 1";
    let expected: Vec<String> = books
        .iter()
        .map(|(client, n)| format!("{client},{n},{n},{n},{n}"))
        .collect();
    let rows = until("a quiet moment", || {
        let answer = sql(store, query);
        (answer.code == Some(0)).then(|| answer.rows())
    });
    assert_eq!(rows.unwrap(), expected);
}
