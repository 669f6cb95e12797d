//! When the keeper does what: flushes, upkeep and the jobs that command lines ask for.

use super::{Keeper, with_causes};
use crate::state::jobs::{self, Job};
use crate::upkeep::{Age, Thoroughness};
use crate::{Erased, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{error, info, warn};

/// Rows in the spool that are flushed without waiting for the interval.
const LARGE_SPOOL: u64 = 50_000;
/// The same in bytes.
const LARGE_SPOOL_BYTES: u64 = 64 << 20;
/// Between two looks at how many rows wait and whether somebody asked for something.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two rounds of retention and removal.
const ROUND_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

impl Keeper {
    /// Works until `stopping` is done: derives, flushes, and looks after the history. An error is
    /// logged and tried again; acknowledged rows wait in the spool meanwhile.
    ///
    /// Panics if the thread that writes `state.db` has: nothing can be taken any more.
    pub async fn run(&self, stopping: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = self.go_round(stopping) => {}
            // Whoever hands in need not wait for a flush.
            () = self.serve_inbox() => {}
        }
        match self.flush().await {
            Ok(n_rows) => info!(n_rows, "Moved the last {n_rows} rows into the history."),
            Err(error) => {
                let cause = with_causes(&error);
                warn!("Some rows stay in the spool until the next start: {cause}");
            }
        }
    }

    async fn go_round(&self, stopping: impl Future<Output = ()> + Send) {
        tokio::pin!(stopping);
        let mut rounds = Rounds::new(self.now());
        loop {
            tokio::select! {
                () = &mut stopping => return,
                () = self.inner.writer.gone() => panic!("the writer of `state.db` is gone"),
                () = self.inner.gone.told() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            if let Err(error) = self.round(&mut rounds).await {
                rounds.failed(&error);
            }
        }
    }

    /// One failure does not keep the rest from being done: a full disk needs the removal of files
    /// more than anything. Gives the first.
    async fn round(&self, rounds: &mut Rounds) -> Result<(), StoreError> {
        let now = self.now();
        let derived = self.derive_gone().await;
        let jobs = self.do_jobs().await;
        let flushed = self.flush_if_due(rounds, now).await;
        let cleared = self.clear_if_due(rounds, now).await;
        derived.and(jobs).and(flushed).and(cleared)?;
        rounds.succeeded();
        Ok(())
    }

    async fn flush_if_due(&self, rounds: &mut Rounds, now: Timestamp) -> Result<(), StoreError> {
        let since = now.duration_since(rounds.flushed);
        let interval = SignedDuration::try_from(self.inner.settings.flush_interval)
            .unwrap_or(SignedDuration::MAX);
        // A clock that was set back must not stop the flushes.
        let n_waiting = self.inner.n_waiting.load(Ordering::Relaxed);
        let n_bytes = self.inner.n_waiting_bytes.load(Ordering::Relaxed);
        let is_large = n_waiting >= LARGE_SPOOL || n_bytes >= LARGE_SPOOL_BYTES;
        let is_due = since >= interval || since.is_negative() || is_large;
        if is_due {
            rounds.flushed = now;
            self.flush().await?;
            let _turn = self.turn().await;
            self.tidy(Thoroughness::AsNeeded(now)).await?;
        }
        Ok(())
    }

    async fn clear_if_due(&self, rounds: &mut Rounds, now: Timestamp) -> Result<(), StoreError> {
        let since = now.duration_since(rounds.cleared);
        if since >= ROUND_INTERVAL || since.is_negative() {
            rounds.cleared = now;
            let _turn = self.turn().await;
            self.clear(Age::ORDINARY).await?;
        }
        Ok(())
    }

    async fn do_jobs(&self) -> Result<(), StoreError> {
        let (hub, now) = (Arc::clone(&self.inner.hub.name), self.now());
        let looking = Arc::clone(&hub);
        let is_any = move |connection: &rusqlite::Connection| jobs::is_any(connection, &looking);
        if !self.inner.state.read(is_any).await? {
            return Ok(());
        }
        let begin =
            move |connection: &rusqlite::Connection| jobs::begin_next(connection, &hub, now);
        let Some(asked) = self.inner.writer.write(begin).await? else {
            return Ok(());
        };
        let outcome = match &asked.job {
            Ok(job) => self.perform(job).await.map_err(|error| with_causes(&error)),
            Err(undoable) => Err(undoable.to_string()),
        };
        let outcome = match outcome {
            Ok(text) => format!("done: {text}"),
            Err(why) => format!("failed: {why}"),
        };
        let now = self.now();
        let end =
            move |connection: &rusqlite::Connection| jobs::end(connection, asked.id, &outcome, now);
        Ok(self.inner.writer.write(end).await?)
    }

    /// Does what a command line asked for; the answer is for people.
    pub async fn perform(&self, job: &Job) -> Result<String, StoreError> {
        Ok(match job {
            Job::Flush => format!("{} rows moved into the history", self.flush().await?),
            Job::Compact => format!("{} files merged", self.compact().await?.n_merged),
            Job::Vacuum => {
                let done = self.vacuum().await?;
                format!(
                    "{} files and log entries removed, {} rows were past their time",
                    done.n_removed, done.n_expired
                )
            }
            Job::Rebuild => self.rebuild().await?.to_string(),
            Job::Erase { user } => match self.erase(user).await? {
                Erased { n_rows: 0, .. } => return Err(StoreError::Nobody),
                erased => erased.to_string(),
            },
        })
    }
}

/// When things were last done, and what went wrong.
struct Rounds {
    flushed: Timestamp,
    cleared: Timestamp,
    failing: Option<String>,
}

impl Rounds {
    fn new(now: Timestamp) -> Self {
        Self {
            flushed: now,
            cleared: now,
            failing: None,
        }
    }

    /// Says once what goes wrong, however long it lasts.
    fn failed(&mut self, error: &StoreError) {
        let cause = with_causes(error);
        if self.failing.as_ref() != Some(&cause) {
            error!("The history cannot be brought up to date; rows wait in the spool: {cause}");
            self.failing = Some(cause);
        }
    }

    fn succeeded(&mut self) {
        if self.failing.take().is_some() {
            info!("The history is up to date again.");
        }
    }
}
