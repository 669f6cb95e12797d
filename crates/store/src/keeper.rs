//! The process that works for a hub: it takes rows, derives, flushes and keeps the history short.
//!
//! At most one process per hub and folder is the keeper, by a file lock that ends with the
//! process. Reading needs no keeper ([`crate::Store`]).

use crate::derive::{self, Adopted, Hub};
use crate::durable::DurableFolder;
use crate::flush::Flush;
use crate::folder::{Folder, FolderError, Lock};
use crate::history::{History, HistoryError};
use crate::rebuild::Scope;
use crate::recent;
use crate::state::facts;
use crate::state::jobs::{self, Job};
use crate::state::present::Present;
use crate::state::spool::{self, Accepted, Intake};
use crate::state::{Journal, State, StateError, Writer};
use crate::tables::{Row, batch_of};
use crate::upkeep::{self, Age, Retention, Thoroughness, Upkeep};
use crate::{Erased, Rebuilt, StoreError, erase, hubs, rebuild};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::fact::KeyedFact;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tracing::{error, info, warn};

/// Rows in the spool that are flushed without waiting for the interval.
const LARGE_SPOOL: u64 = 50_000;
/// Rows in the spool at which no more are taken: the disk is slower than whoever sends, or the
/// history cannot be written. A query holds them all in memory.
const FULL_SPOOL: u64 = 500_000;
/// Requests of up to so many rows are taken a little longer, so that whoever sends all they have
/// does not keep out what happens now.
const SMALL_INTAKE: usize = 100;
/// Between two looks at how many rows wait and whether somebody asked for something.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two rounds of retention and removal.
const ROUND_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// How a keeper works.
#[derive(Clone)]
pub struct KeeperSettings {
    /// Name of the hub that rows are about.
    pub hub: Arc<str>,
    /// The hub's time zone: days are cut in it.
    pub zone: TimeZone,
    /// How long things are kept.
    pub retention: Retention,
    /// Between two flushes.
    pub flush_interval: Duration,
    /// Commits of a table after which a checkpoint is written: what a reader has to replay at most.
    pub commits_per_checkpoint: u64,
    /// Tells the time.
    pub clock: fn() -> Timestamp,
    /// Hears what the keeper does, for tests that interrupt it. The last phase that it heard of is
    /// what the keeper is at.
    pub observer: Option<Arc<dyn Fn(Phase) + Send + Sync>>,
}

impl KeeperSettings {
    /// For a hub and its time zone, with what suits most hubs.
    pub fn new(hub: Arc<str>, zone: TimeZone, clock: fn() -> Timestamp) -> Self {
        Self {
            hub,
            zone,
            retention: Retention::default(),
            flush_interval: Duration::from_mins(1),
            commits_per_checkpoint: 50,
            clock,
            observer: None,
        }
    }
}

/// What the keeper is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing but taking rows.
    Idle,
    /// Deriving sessions and days.
    Derive,
    /// Moving rows into the history.
    Flush,
    /// Merging files.
    Compact,
    /// Writing checkpoints.
    Checkpoint,
    /// Removing files and log entries.
    Vacuum,
}

/// Takes rows for one hub and looks after its history.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    settings: KeeperSettings,
    hub: Hub,
    folder: Folder,
    state: State,
    writer: Writer,
    history: History,
    /// Flush, derivation and upkeep take turns.
    turn: Mutex<()>,
    /// Rows that wait, or some more: what was taken while they were counted may be in it twice.
    n_waiting: AtomicU64,
    _lock: Lock,
}

/// Held by whoever works on the history; the keeper is idle again when it is given back.
struct Turn<'a> {
    keeper: &'a Keeper,
    // Given back after `drop` said so.
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.keeper.phase(Phase::Idle);
    }
}

impl Keeper {
    /// Takes the hub's lock and sets right what a crash left; `None` if another process has it.
    pub(crate) async fn try_start(
        folder: &Folder,
        durable: Arc<DurableFolder>,
        settings: KeeperSettings,
        journal: Option<Arc<dyn Journal>>,
    ) -> Result<Option<Self>, StoreError> {
        let Some(lock) = folder.try_lock(&settings.hub)? else {
            return Ok(None);
        };
        let connection = State::prepare(&folder.state_db())?;
        let history = History::new(&folder.history(), durable);
        for set_aside in history.recover().await? {
            let path = set_aside.path.display().to_string();
            warn!(
                path,
                "The last log entry of a table was cut off. It is set aside as `{path}`."
            );
        }
        let state = State::open(&folder.state_db())?;
        let now = (settings.clock)();
        let recent = recent::load(&settings.hub, &state, &history, now).await?;
        let writer = Writer::start(connection, Arc::clone(&recent), journal).map_err(|source| {
            FolderError::Unusable {
                path: folder.root().to_owned(),
                source,
            }
        })?;
        let keeper = Self {
            inner: Arc::new(Inner {
                hub: Hub {
                    name: Arc::clone(&settings.hub),
                    zone: settings.zone.clone(),
                    recent,
                },
                folder: folder.clone(),
                state,
                writer,
                history,
                turn: Mutex::default(),
                n_waiting: AtomicU64::default(),
                settings,
                _lock: lock,
            }),
        };
        keeper.keep_settings().await?;
        let n_waiting = keeper.n_waiting().await?;
        keeper.inner.n_waiting.store(n_waiting, Ordering::Relaxed);
        for discord in keeper.flusher().settle_all().await? {
            error!("The history and `state.db` do not agree: {discord}.");
        }
        Ok(Some(keeper))
    }

    /// Queries that show days need the zone, and commands all of it, also in other processes.
    async fn keep_settings(&self) -> Result<(), StoreError> {
        let (hub, settings) = (self.inner.hub.clone(), self.inner.settings.clone());
        let keep = move |connection: &rusqlite::Connection| {
            derive::keep_zone(connection, &hub)?;
            hubs::keep(connection, &settings)
        };
        Ok(self.inner.writer.write(keep).await?)
    }

    /// Name of the hub that it keeps.
    pub fn hub(&self) -> Arc<str> {
        Arc::clone(&self.inner.hub.name)
    }

    /// Takes everything or nothing; when this answers, it is on the disk.
    ///
    /// Refuses, with an error that [`StoreError::is_busy`], while more waits than can be moved
    /// into the history.
    pub async fn take(&self, intake: Intake) -> Result<Accepted, StoreError> {
        let full = match intake.n_rows() {
            0..=SMALL_INTAKE => FULL_SPOOL / 4 * 5,
            _ => FULL_SPOOL,
        };
        if self.inner.n_waiting.load(Ordering::Relaxed) >= full {
            return Err(StateError::Busy.into());
        }
        let (hub, now) = (self.inner.hub.clone(), self.now());
        let accepted = self
            .inner
            .writer
            .try_write(move |connection| intake.write(connection, &hub, now))
            .await?;
        self.inner
            .n_waiting
            .fetch_add(accepted.n_new as u64, Ordering::Relaxed);
        Ok(accepted)
    }

    /// The present as it was last kept.
    pub async fn present(&self) -> Result<Present, StoreError> {
        let hub = Arc::clone(&self.inner.hub.name);
        Ok(self
            .inner
            .state
            .read(move |connection| Present::read(connection, &hub))
            .await?)
    }

    /// What is known of servers since a time, as far as it is at hand.
    pub async fn facts_since(&self, from: Timestamp) -> Result<Vec<KeyedFact>, StoreError> {
        let hub = Arc::clone(&self.inner.hub.name);
        Ok(self
            .inner
            .state
            .read(move |connection| facts::since(connection, &hub, from))
            .await?)
    }

    /// How far a source was read.
    pub async fn position(&self, source: &str) -> Result<Option<String>, StoreError> {
        let (hub, source) = (Arc::clone(&self.inner.hub.name), source.to_owned());
        Ok(self
            .inner
            .state
            .read(move |connection| spool::position(connection, &hub, &source))
            .await?)
    }

    /// Writes rows of one table straight into the history, in one commit; for large amounts whose
    /// ids are known to be new.
    pub async fn append_bulk<R: Row>(&self, rows: &[R]) -> Result<(), StoreError> {
        let _turn = self.turn().await;
        let mut table = self.inner.history.table_to_write(R::TABLE).await?;
        let batch = batch_of(rows).map_err(|error| HistoryError::rows(R::TABLE, error))?;
        if let Some(last) = rows.iter().map(Row::time).max() {
            self.inner.hub.recent.look_up_until(last);
        }
        Ok(table.append_unnumbered(vec![batch]).await?)
    }

    /// Takes over a history that was written with [`Self::append_bulk`], so that it goes on from
    /// where it ends.
    pub async fn adopt(&self, adopted: Adopted) -> Result<(), StoreError> {
        let hub = self.inner.hub.clone();
        let now = self.now();
        let adopt =
            move |connection: &rusqlite::Connection| derive::adopt(connection, &hub, adopted, now);
        Ok(self.inner.writer.write(adopt).await?)
    }

    /// Derives what is new and moves everything that waits into the history.
    pub async fn flush(&self) -> Result<usize, StoreError> {
        let _turn = self.turn().await;
        self.derive().await?;
        self.flush_rows().await
    }

    /// Looks at servers with news and closes days that are over.
    async fn derive(&self) -> Result<(), StoreError> {
        self.phase(Phase::Derive);
        self.follow_history().await?;
        self.recut_days().await?;
        self.derive_late().await?;
        self.derive_news().await?;
        self.repeat(derive::close_days).await?;
        self.repeat(derive::recompute_days).await?;
        // News may have changed days that are no longer at hand.
        self.derive_late().await
    }

    async fn derive_late(&self) -> Result<(), StoreError> {
        let late = self.late_users().await?;
        if late.is_empty() {
            return Ok(());
        }
        // It corrects closed days, and closing knows only what is at hand: days that are over are
        // closed before. It reads the history, so that all rows have to be there.
        self.repeat(derive::close_days).await?;
        self.flush_rows().await?;
        self.phase(Phase::Derive);
        self.rebuild_of(Scope::Users(late)).await.map(drop)
    }

    /// After an older `state.db` was put in place, everything is derived again from the history
    /// before anything else is: what it does not know of would be derived once more.
    async fn follow_history(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        let hub = Arc::clone(&inner.hub.name);
        let is_behind = inner
            .state
            .read(move |connection| derive::is_behind(connection, &hub));
        if !is_behind.await? {
            return Ok(());
        }
        info!("`state.db` is older than the history: deriving sessions and days again.");
        let closed = self.rebuilder().last_closed().await?;
        let hub = Arc::clone(&inner.hub.name);
        let follow =
            move |connection: &rusqlite::Connection| derive::follow(connection, &hub, closed);
        inner.writer.write(follow).await?;
        self.flush_rows().await?;
        self.phase(Phase::Derive);
        self.rebuild_of(Scope::Everything).await?;
        let hub = Arc::clone(&inner.hub.name);
        let done = move |connection: &rusqlite::Connection| derive::caught_up(connection, &hub);
        Ok(inner.writer.write(done).await?)
    }

    /// Closed days that were cut in another time zone are cut anew, once.
    async fn recut_days(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        let hub = inner.hub.clone();
        let outdated = inner
            .state
            .read(move |connection| derive::outdated_zone(connection, &hub));
        let Some(before) = outdated.await? else {
            return Ok(());
        };
        // It reads the history, so that all rows have to be there.
        self.flush_rows().await?;
        self.phase(Phase::Derive);
        let hub = inner.hub.clone();
        let reopen = move |connection: &rusqlite::Connection| derive::reopen_days(connection, &hub);
        inner.writer.write(reopen).await?;
        let rebuilt = self.rebuild_of(Scope::Everything).await?;
        let hub = inner.hub.clone();
        let keep = move |connection: &rusqlite::Connection| derive::keep_cut(connection, &hub);
        inner.writer.write(keep).await?;
        let (zone, n_days) = (derive::zone_name(&inner.hub), rebuilt.n_days_changed);
        info!(
            n_days,
            "`hub.timezone` is `{zone}` and was `{before}`: {n_days} closed days of users are cut anew."
        );
        Ok(())
    }

    async fn late_users(&self) -> Result<Vec<model::names::UserName>, StoreError> {
        let hub = Arc::clone(&self.inner.hub.name);
        let is_any_late = self
            .inner
            .state
            .read(move |connection| facts::is_any_late(connection, &hub));
        if !is_any_late.await? {
            return Ok(Vec::new());
        }
        let hub = Arc::clone(&self.inner.hub.name);
        let begin = move |connection: &rusqlite::Connection| facts::begin_late(connection, &hub);
        Ok(self.inner.writer.write(begin).await?)
    }

    /// Looks at as many servers as have news now: under load there are always more.
    async fn derive_news(&self) -> Result<(), StoreError> {
        let (inner, now) = (&self.inner, self.now());
        let name = Arc::clone(&inner.hub.name);
        let n_dirty = inner
            .state
            .read(move |connection| facts::n_dirty(connection, &name));
        // Twice: the end of a server that no poll ever saw is news about it.
        let mut n_left = 2 * n_dirty.await?;
        while n_left > 0 {
            let hub = inner.hub.clone();
            let derive =
                move |connection: &rusqlite::Connection| derive::derive(connection, &hub, now);
            match inner.writer.write(derive).await? {
                0 => return Ok(()),
                n_done => n_left = n_left.saturating_sub(n_done),
            }
        }
        Ok(())
    }

    /// Repeats a piece of work, a transaction each, until there is nothing left of it.
    async fn repeat(
        &self,
        work: impl Fn(&rusqlite::Connection, &Hub) -> Result<usize, StateError> + Clone + Send + 'static,
    ) -> Result<(), StoreError> {
        loop {
            let (hub, work) = (self.inner.hub.clone(), work.clone());
            if self
                .inner
                .writer
                .write(move |connection| work(connection, &hub))
                .await?
                == 0
            {
                return Ok(());
            }
        }
    }

    async fn flush_rows(&self) -> Result<usize, StoreError> {
        self.phase(Phase::Flush);
        let _lock = self.inner.folder.share_tables().await?;
        let n_rows = self.flusher().run().await?;
        let n_waiting = self.n_waiting().await?;
        self.inner.n_waiting.store(n_waiting, Ordering::Relaxed);
        Ok(n_rows)
    }

    fn flusher(&self) -> Flush<'_> {
        let inner = &self.inner;
        Flush {
            hub: &inner.hub,
            state: &inner.state,
            writer: &inner.writer,
            history: &inner.history,
        }
    }

    /// Merges files and writes checkpoints where that is due.
    async fn tidy(&self, thoroughness: Thoroughness) -> Result<Upkeep, StoreError> {
        self.phase(Phase::Compact);
        let n_merged = {
            let _lock = self.inner.folder.share_tables().await?;
            upkeep::compact(&self.inner.history, &self.inner.hub.name, thoroughness).await?
        };
        let mut done = Upkeep {
            n_merged,
            ..Upkeep::default()
        };
        // Another hub's service may be at it.
        if let Some(_lock) = self.inner.folder.try_lock_tables()? {
            self.phase(Phase::Checkpoint);
            done.n_checkpoints = self.checkpoint().await?;
        }
        Ok(done)
    }

    async fn checkpoint(&self) -> Result<usize, StoreError> {
        let inner = &self.inner;
        Ok(upkeep::checkpoint(&inner.history, inner.settings.commits_per_checkpoint).await?)
    }

    /// Removes what is past its time and what no reader needs any more.
    async fn clear(&self, age: Age) -> Result<Upkeep, StoreError> {
        self.phase(Phase::Vacuum);
        let (inner, now) = (&self.inner, self.now());
        if let Some(before) = inner.settings.retention.events_before(now) {
            let hub = Arc::clone(&inner.hub.name);
            let keep = move |connection: &rusqlite::Connection| {
                derive::keep_expired(connection, &hub, before)
            };
            inner.writer.write(keep).await?;
        }
        let round = upkeep::Round {
            history: &inner.history,
            writer: &inner.writer,
            hub: &inner.hub.name,
            now,
        };
        let n_expired = {
            let _lock = inner.folder.share_tables().await?;
            inner.settings.retention.apply(&round).await?
        };
        let mut done = Upkeep {
            n_expired,
            ..Upkeep::default()
        };
        if let Some(_lock) = inner.folder.try_lock_tables()? {
            done.n_removed = upkeep::vacuum(&inner.history, age, now).await?;
        }
        let mut after = None;
        loop {
            let hub = inner.hub.clone();
            let forget = move |connection: &rusqlite::Connection| {
                derive::forget_old(connection, &hub, now, after.as_ref())
            };
            after = inner.writer.write(forget).await?;
            if after.is_none() {
                break;
            }
        }
        // In the writer's turn: between its transactions.
        let recent = Arc::clone(&inner.hub.recent);
        let trim = move |_: &rusqlite::Connection| {
            recent.trim(now);
            Ok(())
        };
        inner.writer.maintain(trim).await?;
        Ok(done)
    }

    /// Merges small files and outdated revisions everywhere.
    pub async fn compact(&self) -> Result<Upkeep, StoreError> {
        let _turn = self.turn().await;
        self.tidy(Thoroughness::Everything).await
    }

    /// Removes what is past its time and what no reader needs any more.
    pub async fn vacuum(&self) -> Result<Upkeep, StoreError> {
        let _turn = self.turn().await;
        self.clear(Age::ORDINARY).await
    }

    /// Derives sessions and days again from all events; gives what differed.
    pub async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        let _turn = self.turn().await;
        self.derive().await?;
        self.flush_rows().await?;
        let rebuilt = self.rebuild_of(Scope::Everything).await?;
        self.flush_rows().await?;
        Ok(rebuilt)
    }

    async fn rebuild_of(&self, scope: Scope) -> Result<Rebuilt, StoreError> {
        self.rebuilder().run(scope).await
    }

    fn rebuilder(&self) -> rebuild::Rebuild<'_> {
        let inner = &self.inner;
        rebuild::Rebuild {
            hub: &inner.hub,
            writer: &inner.writer,
            history: &inner.history,
            retention: inner.settings.retention,
            now: self.now(),
        }
    }

    /// Removes a person's name everywhere; their rows stay under a pseudonym.
    pub async fn erase(&self, user: &str) -> Result<Erased, StoreError> {
        let _turn = self.turn().await;
        self.derive().await?;
        self.flush_rows().await?;
        let inner = &self.inner;
        let erase = erase::Erase {
            hub: &inner.hub,
            folder: &inner.folder,
            writer: &inner.writer,
            history: &inner.history,
            now: self.now(),
        };
        erase.run(&user.into()).await
    }

    /// Works until `stopping` is done: derives, flushes, and looks after the history. An error is
    /// logged and tried again; acknowledged rows wait in the spool meanwhile.
    ///
    /// Panics if the thread that writes `state.db` has: nothing can be taken any more.
    pub async fn run(&self, stopping: impl Future<Output = ()> + Send) {
        tokio::pin!(stopping);
        let mut rounds = Rounds::new(self.now());
        loop {
            tokio::select! {
                () = &mut stopping => break,
                () = self.inner.writer.gone() => panic!("the writer of `state.db` is gone"),
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            if let Err(error) = self.round(&mut rounds).await {
                rounds.failed(&error);
            }
        }
        match self.flush().await {
            Ok(n_rows) => info!(n_rows, "Moved the last {n_rows} rows into the history."),
            Err(error) => {
                let cause = with_causes(&error);
                warn!("Some rows stay in the spool until the next start: {cause}");
            }
        }
    }

    /// One failure does not keep the rest from being done: a full disk needs the removal of files
    /// more than anything. Gives the first.
    async fn round(&self, rounds: &mut Rounds) -> Result<(), StoreError> {
        let now = self.now();
        let jobs = self.do_jobs().await;
        let flushed = self.flush_if_due(rounds, now).await;
        let cleared = self.clear_if_due(rounds, now).await;
        jobs.and(flushed).and(cleared)?;
        rounds.succeeded();
        Ok(())
    }

    async fn flush_if_due(&self, rounds: &mut Rounds, now: Timestamp) -> Result<(), StoreError> {
        let since = now.duration_since(rounds.flushed);
        let interval = SignedDuration::try_from(self.inner.settings.flush_interval)
            .unwrap_or(SignedDuration::MAX);
        // A clock that was set back must not stop the flushes.
        let n_waiting = self.inner.n_waiting.load(Ordering::Relaxed);
        let is_due = since >= interval || since.is_negative() || n_waiting >= LARGE_SPOOL;
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

    /// How many rows wait to be moved into the history.
    pub async fn n_waiting(&self) -> Result<u64, StoreError> {
        let hub = Arc::clone(&self.inner.hub.name);
        Ok(self
            .inner
            .state
            .read(move |connection| spool::n_waiting(connection, &hub))
            .await?)
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

    fn now(&self) -> Timestamp {
        (self.inner.settings.clock)()
    }

    async fn turn(&self) -> Turn<'_> {
        Turn {
            _turn: self.inner.turn.lock().await,
            keeper: self,
        }
    }

    fn phase(&self, phase: Phase) {
        if let Some(observer) = &self.inner.settings.observer {
            observer(phase);
        }
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

/// The error with its causes.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        // Libraries repeat their cause in their own text.
        if !text.ends_with(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}
