//! The process that works for a hub: it takes rows, derives, flushes and keeps the history short.
//!
//! At most one process per hub and folder is the keeper, by a file lock that ends with the
//! process. Reading needs no keeper ([`crate::Store`]).

mod derivation;
mod gone;
mod inbox;
mod rounds;

use crate::derive::{self, Adopted, Hub};
use crate::durable::DurableFolder;
use crate::flush::Flush;
use crate::folder::{Folder, FolderError, Lock};
use crate::history::{History, HistoryError};
use crate::rebuild::Scope;
use crate::recent;
use crate::state::present::Present;
use crate::state::spool::{self, Accepted, Intake};
use crate::state::{Journal, Memory, State, StateError, Writer, facts, shares, tallies};
use crate::tables::{Row, batch_of};
use crate::tallies::{Tallied, Tallies};
use crate::upkeep::{self, Age, Retention, Thoroughness, Upkeep};
use crate::{Erased, Rebuilt, StoreError, erase, hubs, rebuild};
use gone::Gone;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::fact::KeyedFact;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tracing::{error, warn};

/// Rows in the spool at which no more are taken: the disk is slower than whoever sends, or the
/// history cannot be written. A query holds them all in memory.
const FULL_SPOOL: u64 = 500_000;
/// The same in bytes: single rows may have a MiB.
const FULL_SPOOL_BYTES: u64 = 256 << 20;
/// Requests of up to so many rows are taken a little longer, so that whoever sends all they have
/// does not keep out what happens now.
const SMALL_INTAKE: usize = 100;
/// Between two looks whether there is room again.
const ROOM_PAUSE: Duration = Duration::from_millis(100);
/// A share link is known for so long after it expired or was revoked.
const ENDED_SHARES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

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
    /// Label sets that a family of [`crate::Tally`] has at most; the rest is counted as `other`.
    pub series: usize,
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
            commits_per_checkpoint: 10,
            series: 1000,
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
    /// Their bytes.
    n_waiting_bytes: AtomicU64,
    /// What has to be derived before the next flush.
    gone: Gone,
    /// Rows that were moved into the history.
    n_moved: AtomicUsize,
    /// Rows that waited and turned out to be in the history already.
    n_found: AtomicUsize,
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
        let hub = Arc::clone(&settings.hub);
        let known = state.read(move |connection| tallies::load(connection, &hub));
        let tallies = Arc::new(Tallies::new(settings.series, known.await?));
        let memory = Memory {
            recent: Arc::clone(&recent),
            tallies: Arc::clone(&tallies),
        };
        let writer =
            Writer::start(connection, memory, journal).map_err(|source| FolderError::Unusable {
                path: folder.root().to_owned(),
                source,
            })?;
        let keeper = Self {
            inner: Arc::new(Inner {
                hub: Hub {
                    name: Arc::clone(&settings.hub),
                    zone: settings.zone.clone(),
                    recent,
                    tallies,
                },
                folder: folder.clone(),
                state,
                writer,
                history,
                turn: Mutex::default(),
                n_waiting: AtomicU64::default(),
                n_waiting_bytes: AtomicU64::default(),
                gone: Gone::default(),
                n_moved: AtomicUsize::default(),
                n_found: AtomicUsize::default(),
                settings,
                _lock: lock,
            }),
        };
        keeper.keep_settings().await?;
        keeper.count_waiting().await?;
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
        if !self.has_room_for(intake.n_rows()) {
            return Err(StateError::Busy.into());
        }
        let (hub, now, n_bytes) = (self.inner.hub.clone(), self.now(), intake.n_bytes());
        let gone = intake.gone();
        let accepted = self
            .inner
            .writer
            .try_write(move |connection| intake.write(connection, &hub, now))
            .await?;
        self.note_waiting(accepted, n_bytes);
        self.inner.gone.tell(gone);
        Ok(accepted)
    }

    /// What was counted so far, as it is on the disk. Reads no file and waits for nobody.
    pub fn tallies(&self) -> Tallied {
        self.inner.hub.tallies.committed()
    }

    /// The same, waiting for room.
    pub(crate) async fn take_patiently(&self, intake: Intake) -> Result<Accepted, StoreError> {
        while !self.has_room_for(intake.n_rows()) {
            tokio::time::sleep(ROOM_PAUSE).await;
        }
        let (hub, now, n_bytes) = (self.inner.hub.clone(), self.now(), intake.n_bytes());
        let write = move |connection: &rusqlite::Connection| intake.write(connection, &hub, now);
        let accepted = self.inner.writer.write(write).await?;
        self.note_waiting(accepted, n_bytes);
        Ok(accepted)
    }

    /// Rows that were taken for new ones, and that the history turned out to hold.
    pub(crate) fn n_found_in_history(&self) -> usize {
        self.inner.n_found.load(Ordering::Relaxed)
    }

    /// Whether so many rows would be taken now: for those who ask before they read them.
    pub fn has_room_for(&self, n_rows: usize) -> bool {
        let full = match n_rows {
            0..=SMALL_INTAKE => FULL_SPOOL / 4 * 5,
            _ => FULL_SPOOL,
        };
        let n_bytes = self.inner.n_waiting_bytes.load(Ordering::Relaxed);
        self.inner.n_waiting.load(Ordering::Relaxed) < full && n_bytes < FULL_SPOOL_BYTES
    }

    /// What was taken waits from now on.
    fn note_waiting(&self, accepted: Accepted, n_bytes: u64) {
        let inner = &self.inner;
        let n_rows = accepted.n_new as u64;
        inner.n_waiting.fetch_add(n_rows, Ordering::Relaxed);
        if n_rows > 0 {
            inner.n_waiting_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        }
    }

    async fn count_waiting(&self) -> Result<(), StoreError> {
        let hub = Arc::clone(&self.inner.hub.name);
        let n_bytes =
            move |connection: &rusqlite::Connection| spool::n_waiting_bytes(connection, &hub);
        let (n_rows, n_bytes) = (
            self.n_waiting().await?,
            self.inner.state.read(n_bytes).await?,
        );
        self.inner.n_waiting.store(n_rows, Ordering::Relaxed);
        self.inner.n_waiting_bytes.store(n_bytes, Ordering::Relaxed);
        Ok(())
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
    /// ids are known to be new. Whoever writes usage so writes what it comes to in `user_days` too.
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
        let n_moved = &self.inner.n_moved;
        let before = n_moved.load(Ordering::Relaxed);
        let derived = self.derive().await;
        // What cannot be derived now is no reason to let rows wait.
        self.flush_rows().await?;
        derived?;
        Ok(n_moved.load(Ordering::Relaxed) - before)
    }

    async fn flush_rows(&self) -> Result<(), StoreError> {
        self.phase(Phase::Flush);
        let _lock = self.inner.folder.share_tables().await?;
        let n_rows = self.flusher().run().await?;
        self.inner.n_moved.fetch_add(n_rows, Ordering::Relaxed);
        self.count_waiting().await
    }

    fn flusher(&self) -> Flush<'_> {
        let inner = &self.inner;
        Flush {
            hub: &inner.hub,
            state: &inner.state,
            writer: &inner.writer,
            history: &inner.history,
            n_found: &inner.n_found,
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
        self.forget_shares(now).await?;
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

    /// Who has a link that ended lately is told so; later there is no such link.
    async fn forget_shares(&self, now: Timestamp) -> Result<(), StoreError> {
        let Ok(before) = now.checked_sub(ENDED_SHARES_KEPT) else {
            return Ok(());
        };
        let hub = Arc::clone(&self.inner.hub.name);
        let forget =
            move |connection: &rusqlite::Connection| shares::forget_ended(connection, &hub, before);
        Ok(self.inner.writer.write(forget).await?)
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
        let mut rebuilt = self.rebuild_of(Scope::Everything).await?;
        let hub = Arc::clone(&self.inner.hub.name);
        let again =
            move |connection: &rusqlite::Connection| derive::sum_all_again(connection, &hub);
        self.inner.writer.write(again).await?;
        rebuilt.n_days_changed += self.sum_usage().await?;
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
        self.empty_inbox().await?;
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

    /// How many rows wait to be moved into the history.
    pub async fn n_waiting(&self) -> Result<u64, StoreError> {
        let hub = Arc::clone(&self.inner.hub.name);
        Ok(self
            .inner
            .state
            .read(move |connection| spool::n_waiting(connection, &hub))
            .await?)
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
