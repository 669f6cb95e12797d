//! What a busy day of single events leaves behind, and what looking after it costs.
//!
//! The day passes in 1,440 steps: the service's own loop runs with tokio's clock turned on as soon
//! as nothing is left to do, and with a clock of ours as the time of day. Every event is a
//! transaction of its own; a minute is over when its rows are in the history. Half of the events
//! are starts and stops of servers, from which sessions are derived.
//!
//! Files carry the system's time, so that to the service they are as old as the day is long: what it
//! keeps for a while beside a hub it removes at once here. What would still be there counts: every
//! data file that was there in the last 70 minutes (an hour, and ten minutes between two rounds of
//! removal) and every log file of the last six hours and ten minutes.

use crate::process::{Files, cpu, mebibytes, peak_memory};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::fact::{Fact, KeyedFact, ServerKey, What};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::tables::Event;
use store::{Folder, Intake, Keeper, KeeperSettings, Phase, Store};

const MINUTES: u64 = 24 * 60;

/// The time of day, in microseconds since 1970. The day begins now: files must not be younger
/// than it.
static CLOCK: AtomicI64 = AtomicI64::new(0);

fn now() -> Timestamp {
    Timestamp::from_microsecond(CLOCK.load(Ordering::Relaxed)).expect("a day of this century")
}

fn pass(duration: SignedDuration) {
    let micros = i64::try_from(duration.as_micros()).expect("fits");
    CLOCK.fetch_add(micros, Ordering::Relaxed);
}

/// CPU of each phase of the service's work.
struct Spent {
    phase: Phase,
    since: Duration,
    of_phase: Vec<(Phase, Duration)>,
}

impl Spent {
    fn enter(&mut self, phase: Phase) {
        let now = cpu();
        let spent = now.saturating_sub(self.since);
        match self.of_phase.iter_mut().find(|(it, _)| *it == self.phase) {
            Some((_, sum)) => *sum += spent,
            None => self.of_phase.push((self.phase, spent)),
        }
        (self.phase, self.since) = (phase, now);
    }
}

pub(crate) async fn run(n_events: u64) {
    CLOCK.store(crate::now().as_microsecond(), Ordering::Relaxed);
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::prepare(&root.path().join("store")).expect("a folder for the store");
    let store = Store::open(folder).expect("it opens");
    let spent = Arc::new(Mutex::new(Spent {
        phase: Phase::Idle,
        since: cpu(),
        of_phase: Vec::new(),
    }));
    let hears = Arc::clone(&spent);
    let settings = KeeperSettings {
        observer: Some(Arc::new(move |phase| {
            hears.lock().expect("no panic").enter(phase);
        })),
        ..KeeperSettings::new("hub".into(), TimeZone::UTC, now)
    };
    let keeper = store.try_keep(settings).await.expect("it starts");
    let keeper = keeper.expect("nobody else has it");
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let looked_after = keeper.run(async { drop(stopping.await) });
    let mut seen = Seen::default();
    let day = async {
        for minute in 0..MINUTES {
            play(&keeper, minute, n_events).await;
            seen.look(minute, &Files::below(root.path()));
        }
        drop(stop);
    };
    tokio::join!(looked_after, day);
    seen.look(MINUTES, &Files::below(root.path()));
    println!(
        "{n_events} events: {} data files, {} log files",
        n_since(&seen.data, 70),
        n_since(&seen.log, 6 * 60 + 10),
    );
    report(&spent.lock().expect("no panic"), &root);
}

async fn play(keeper: &Keeper, minute: u64, n_events: u64) {
    let numbers = minute * n_events / MINUTES..(minute + 1) * n_events / MINUTES;
    let between = SignedDuration::from_mins(1)
        / i32::try_from(numbers.end - numbers.start + 1).expect("fits");
    let end = now() + SignedDuration::from_mins(1);
    for number in numbers {
        pass(between);
        let mut intake = Intake::default();
        let event = event(number, now());
        intake.event(&event).expect("it can be written");
        keeper.take(intake).await.expect("it is taken");
    }
    pass(end.duration_since(now()));
    while keeper.n_waiting().await.expect("it can be read") > 0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A login, a start, a login, a stop.
fn event(number: u64, at: Timestamp) -> Event {
    let what = match number % 4 {
        1 => What::Start,
        3 => What::Stop,
        _ => return crate::event(number, at),
    };
    let user = format!("user-{:05}", number / 4 % 10_000);
    let key = ServerKey {
        user: user.as_str().into(),
        server: "".into(),
    };
    let fact = KeyedFact {
        key,
        fact: Fact { at, what },
    };
    store::event_of(&"hub".into(), &"hub".into(), &fact)
}

/// In which minute each file was last there.
#[derive(Default)]
struct Seen {
    data: HashMap<PathBuf, u64>,
    log: HashMap<PathBuf, u64>,
}

impl Seen {
    fn look(&mut self, minute: u64, files: &Files) {
        let dated = |path: &PathBuf| (path.clone(), minute);
        self.data.extend(files.data.iter().map(dated));
        self.log.extend(files.log.iter().map(dated));
    }
}

fn n_since(last_there: &HashMap<PathBuf, u64>, minutes: u64) -> usize {
    let is_late = |last: &&u64| **last + minutes >= MINUTES;
    last_there.values().filter(is_late).count()
}

fn report(spent: &Spent, root: &tempfile::TempDir) {
    let files = Files::below(root.path());
    println!(
        "at once removed: {} data files, {} log files, {} MiB, peak memory {} MiB",
        files.data.len(),
        files.log.len(),
        mebibytes(files.bytes),
        mebibytes(peak_memory()),
    );
    for (phase, cpu) in &spent.of_phase {
        let seconds = cpu.as_secs_f64();
        let name = match phase {
            Phase::Idle => "taking rows".to_owned(),
            phase => format!("{phase:?}").to_lowercase(),
        };
        println!(
            "{name:>12}: {seconds:7.2} s of CPU, {:.3} % of a core over the day",
            seconds / 864.0
        );
    }
}
