//! Durable rows per second, and how long a single row waits for its acknowledgement meanwhile.
//!
//! Four senders keep a batch each in flight; a fifth sends single rows, one after another. The
//! service's own loop flushes, merges and clears beside them, as it does beside a hub.

use crate::now;
use crate::process::{Files, cpu, mebibytes, peak_memory};
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Folder, Intake, Keeper, KeeperSettings, Store};
use tokio::task::JoinSet;

const N_SENDERS: u64 = 4;
const ROWS_PER_BATCH: u64 = 1_000;
const BETWEEN_SINGLE_ROWS: Duration = Duration::from_millis(10);
/// What a client does that was answered 503.
const AFTER_REFUSAL: Duration = Duration::from_millis(10);
/// The sender of single rows numbers them from here.
const SINGLE: u64 = 1 << 60;

#[derive(Default)]
struct Sent {
    n_rows: AtomicU64,
    is_over: AtomicBool,
}

pub(crate) async fn run(minutes: u64) {
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::prepare(&root.path().join("store")).expect("a folder for the store");
    let store = Store::open(folder).expect("it opens");
    let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, now);
    let keeper = store.try_keep(settings).await.expect("it starts");
    let keeper = keeper.expect("nobody else has it");
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.run(async { drop(stopping.await) }).await }
    });

    let sent = Arc::new(Sent::default());
    let mut senders = JoinSet::new();
    for sender in 0..N_SENDERS {
        senders.spawn(send_batches(keeper.clone(), Arc::clone(&sent), sender));
    }
    let single = tokio::spawn(send_single(keeper.clone(), Arc::clone(&sent)));

    println!("minute    rows/s   CPU cores   peak memory   waiting   data files   log files   MiB");
    let began = Instant::now();
    let mut per_minute = Vec::new();
    for minute in 1..=minutes {
        let (rows, work) = (sent.n_rows.load(Ordering::Relaxed), cpu());
        let start = Instant::now();
        tokio::time::sleep_until((began + Duration::from_secs(60 * minute)).into()).await;
        let seconds = start.elapsed().as_secs_f64();
        let n_rows = sent.n_rows.load(Ordering::Relaxed) - rows;
        let rate = f64::from(u32::try_from(n_rows).expect("fits")) / seconds;
        per_minute.push(rate);
        let files = Files::below(root.path());
        println!(
            "{minute:6} {rate:9.0} {:11.2} {:9} MiB {:9} {:12} {:11} {:5}",
            cpu().saturating_sub(work).as_secs_f64() / seconds,
            mebibytes(peak_memory()),
            keeper.n_waiting().await.expect("it can be read"),
            files.data.len(),
            files.log.len(),
            mebibytes(files.bytes),
        );
    }
    sent.is_over.store(true, Ordering::Relaxed);
    senders.join_all().await;
    report_single(single.await.expect("it ended"));
    if let [first, .., last] = per_minute[..] {
        println!("last minute / first: {:.2}", last / first);
    }
    drop(stop);
    running.await.expect("it ended");
    check(&store, sent.n_rows.load(Ordering::Relaxed)).await;
}

async fn send_batches(keeper: Keeper, sent: Arc<Sent>, sender: u64) {
    let mut next = sender << 40;
    while !sent.is_over.load(Ordering::Relaxed) {
        let at = now();
        take(&keeper, || {
            let mut intake = Intake::default();
            for number in next..next + ROWS_PER_BATCH {
                let event = crate::event(number, at);
                intake.event(&event).expect("it can be written");
            }
            intake
        })
        .await;
        next += ROWS_PER_BATCH;
        sent.n_rows.fetch_add(ROWS_PER_BATCH, Ordering::Relaxed);
    }
}

/// Sends again, a little later, when the store says that it has enough.
async fn take(keeper: &Keeper, intake: impl Fn() -> Intake) {
    loop {
        match keeper.take(intake()).await {
            Ok(_) => return,
            Err(error) if error.is_busy() => tokio::time::sleep(AFTER_REFUSAL).await,
            Err(error) => panic!("a row was not taken: {error}"),
        }
    }
}

async fn send_single(keeper: Keeper, sent: Arc<Sent>) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in SINGLE.. {
        if sent.is_over.load(Ordering::Relaxed) {
            break;
        }
        let event = crate::event(number, now());
        let start = Instant::now();
        take(&keeper, || {
            let mut intake = Intake::default();
            intake.event(&event).expect("it can be written");
            intake
        })
        .await;
        times.push(start.elapsed());
        sent.n_rows.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(BETWEEN_SINGLE_ROWS).await;
    }
    times
}

fn report_single(mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |permille: usize| times[(times.len() - 1) * permille / 1000].as_secs_f64() * 1e3;
    println!(
        "one row acknowledged: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, worst {:.1} ms of {}",
        at(500),
        at(990),
        at(999),
        at(1000),
        times.len()
    );
}

/// A rate of rows that are not there would say nothing.
async fn check(store: &Store, n_sent: u64) {
    let temporary = tempfile::tempdir().expect("a folder");
    let engine = store::Engine::new(store::EngineSettings::new(temporary.path().to_owned()));
    let sql = "select count(*) as n from events";
    let rows = store.query(&engine, sql, store::Limits::default(), now());
    let rows = rows.await.expect("it answers");
    print!("rows sent: {n_sent}; rows found: ");
    let mut found = Vec::new();
    rows.write(store::Format::Csv, &mut found)
        .expect("it can be written");
    println!(
        "{}",
        String::from_utf8_lossy(&found)
            .lines()
            .last()
            .unwrap_or("none")
    );
}
