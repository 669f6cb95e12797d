//! The process that is killed: this test binary, started with `--store-writer FOLDER MIDNIGHT`.
//!
//! Each line of its input is a request: `take NUMBER` takes the rows of that number, `flush`
//! flushes, `go` lets it work on the history without a pause. It answers with `ready`,
//! `taken NUMBER`, `flushed`, and tells each phase as it begins: `phase NAME`.

use super::batch::{Batch, HUB};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::future::Future;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Folder, Keeper, KeeperSettings, Store, StoreError};

/// Runs until its input ends or it is killed.
pub(crate) fn run(folder: &Path, midnight: Timestamp) {
    // Also a task that panics ends the process: the client then finds a status instead of silence.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::exit(70);
    }));
    crate::support::block_on(write(folder, midnight));
}

async fn write(folder: &Path, midnight: Timestamp) {
    let store = Store::open(Folder::prepare(folder).unwrap()).unwrap();
    let settings = KeeperSettings {
        flush_interval: Duration::ZERO,
        commits_per_checkpoint: 2,
        observer: Some(Arc::new(|phase| say(&format!("phase {phase:?}")))),
        ..KeeperSettings::new(HUB.into(), TimeZone::UTC, tomorrow)
    };
    let keeper = store.try_keep(settings).await.unwrap();
    let keeper = keeper.expect("the one before is dead");
    let mut requests = lines();
    say("ready");
    while let Some(line) = requests.recv().await {
        let keeper = keeper.clone();
        match line.split_once(' ') {
            Some(("take", number)) => {
                let number = number.parse().unwrap();
                tokio::spawn(async move {
                    let batch = Batch { number, midnight };
                    keeper.take(batch.intake()).await.unwrap();
                    say(&format!("taken {number}"));
                });
            }
            None if line == "flush" => {
                keeper.flush().await.unwrap();
                say("flushed");
            }
            None if line == "go" => work(&keeper),
            _ => panic!("what is {line:?}?"),
        }
    }
}

/// A day and two hours ahead, so that what was replaced a moment ago is old enough to be removed.
#[expect(
    clippy::disallowed_methods,
    reason = "the log of the tables is dated by the system's clock"
)]
fn tomorrow() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(26)
}

/// Requests, read on a thread of their own; there are never many.
fn lines() -> tokio::sync::mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// One write for each line: what was said before a kill is in the pipe.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("{line}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

/// The keeper's own rounds, and each step again and again beside them.
fn work(keeper: &Keeper) {
    let background = keeper.clone();
    tokio::spawn(async move { background.run(std::future::pending()).await });
    again_and_again(
        keeper,
        |keeper| async move { keeper.flush().await.map(drop) },
    );
    again_and_again(
        keeper,
        |keeper| async move { keeper.compact().await.map(drop) },
    );
    again_and_again(
        keeper,
        |keeper| async move { keeper.vacuum().await.map(drop) },
    );
}

fn again_and_again<F>(keeper: &Keeper, step: fn(Keeper) -> F)
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    const PAUSE: Duration = Duration::from_millis(50);
    let keeper = keeper.clone();
    tokio::spawn(async move {
        loop {
            step(keeper.clone()).await.unwrap();
            tokio::time::sleep(PAUSE).await;
        }
    });
}
