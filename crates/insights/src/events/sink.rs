//! Where items go, by whatever road they came: into the store, all of a batch or nothing.

use super::reader::{Item, Rejected};
use super::sources::{Heard, Sources};
use super::visits::Visits;
use crate::metrics::own::Own;
use crate::metrics::{Arrival, Counting, Naming};
use crate::poll::clock::now;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use store::tables::Event;
use store::{Intake, Keeper, Position, StoreError};

/// Under which name the state of the sources is kept.
const SOURCES: &str = "event sources";
/// It is kept at most so often: it goes with the rows, and is not worth a write of its own.
const KEEP_SOURCES_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// Takes items once the store is open, and knows who sends.
pub struct Sink {
    hub: Arc<str>,
    keeper: RwLock<Option<Keeper>>,
    sources: Arc<Sources>,
    visits: Visits,
    own: Arc<Own>,
    counting: Arc<Counting>,
    sources_kept: Mutex<Option<Timestamp>>,
}

/// Items that are taken together, with how far their source was read.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What happened.
    pub events: Vec<Event>,
    /// What could not be read, and where it came from.
    pub rejected: Vec<Rejected>,
    /// Where rejected items came from, for `dead_letters`.
    pub road: String,
    /// Kept in the same transaction.
    pub position: Option<Position>,
    /// Whether metrics may count what happened.
    pub arrival: Arrival,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Events that are new.
    pub n_new: usize,
    /// Events that were known already, or that an erased person is in.
    pub n_known: usize,
}

/// Why a batch was not taken. All of it can be sent again.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// No history is kept, or this process does not keep it yet.
    #[error("no history is kept here: see `store.path`, or the log of this service")]
    Closed,
    /// More waits than can be written.
    #[error(
        "too much is waiting to be written: send it again; if this lasts, the log of this service says why"
    )]
    Full,
    /// The store.
    #[error("the store refused")]
    Store(#[source] StoreError),
}

impl Batch {
    /// Items of a road, in order.
    pub fn of(road: &str, items: impl IntoIterator<Item = Item>) -> Self {
        let mut batch = Self {
            road: road.to_owned(),
            ..Self::default()
        };
        for item in items {
            match item {
                Item::Event(event) => batch.events.push(*event),
                Item::Rejected(rejected) => batch.rejected.push(rejected),
            }
        }
        batch
    }

    /// What could not be read, as rows.
    pub(crate) fn letters(&self, hub: &Arc<str>, now: Timestamp) -> Result<Intake, StoreError> {
        let mut intake = Intake::default();
        for rejected in &self.rejected {
            intake.row(&rejected.letter(hub, &self.road, now), None)?;
        }
        Ok(intake)
    }

    fn rows(&self, counting: &Counting, now: Timestamp) -> Result<Intake, StoreError> {
        let mut intake = Intake::default();
        for event in &self.events {
            counting.add_event(&mut intake, event, self.arrival, now)?;
        }
        if let Some(position) = &self.position {
            intake.position(position.clone());
        }
        Ok(intake)
    }
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        if error.is_busy() {
            Self::Full
        } else {
            Self::Store(error)
        }
    }
}

impl Sink {
    /// Closed until the store is open.
    pub fn new(hub: &str, own: Arc<Own>) -> Self {
        Self {
            hub: hub.into(),
            keeper: RwLock::default(),
            sources: own.sources(),
            visits: Visits::default(),
            own,
            counting: Arc::new(Counting::new(Naming::Anonymous)),
            sources_kept: Mutex::default(),
        }
    }

    /// The same, deciding together with whoever reads the hub what metrics count.
    #[must_use]
    pub fn counting_with(self, counting: Arc<Counting>) -> Self {
        Self { counting, ..self }
    }

    /// Takes items from now on.
    pub async fn open(&self, keeper: Keeper) -> Result<(), StoreError> {
        if let Some(kept) = keeper.position(SOURCES).await? {
            self.sources.restore(&kept);
        }
        *self.keeper.write().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        Ok(())
    }

    /// Takes nothing any more, and keeps who sent what.
    pub async fn close(&self) {
        let keeper = self
            .keeper
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(keeper) = keeper {
            // What is lost is known again with the next word of each source.
            let _ = self.keep_sources(&keeper, now()).await;
        }
    }

    /// The keeper, while items are taken.
    pub fn keeper(&self) -> Option<Keeper> {
        self.keeper
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Name of the hub that items are about.
    pub fn hub(&self) -> &Arc<str> {
        &self.hub
    }

    /// Who sends.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Who was at the hub lately.
    pub fn visits(&self) -> &Visits {
        &self.visits
    }

    /// Whether it is worth reading a request of about so many items: a full queue is told before.
    pub fn check_room(&self, n_items: usize) -> Result<(), SinkError> {
        let keeper = self.keeper().ok_or(SinkError::Closed)?;
        if keeper.has_room_for(n_items) {
            Ok(())
        } else {
            Err(SinkError::Full)
        }
    }

    /// Takes a batch; when this answers, it is on the disk.
    pub async fn take(&self, batch: Batch) -> Result<Taken, SinkError> {
        let keeper = self.keeper().ok_or(SinkError::Closed)?;
        let now = now();
        let taken = self.write(&keeper, &batch, now).await?;
        self.visits.heard(batch.events.iter(), now);
        if self.sources.heard(batch.events.iter(), now) == Heard::NewKind {
            // It is worth a write of its own: after a crash, who fell silent has to be known.
            self.keep_sources(&keeper, now).await?;
        }
        self.own.record_items(taken, batch.rejected.len());
        Ok(taken)
    }

    /// Takes what is counted and no event; when this answers, it is on the disk.
    pub async fn count(&self, intake: Intake) -> Result<(), SinkError> {
        let keeper = self.keeper().ok_or(SinkError::Closed)?;
        keeper.take(intake).await?;
        Ok(())
    }

    async fn write(
        &self,
        keeper: &Keeper,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Taken, SinkError> {
        // Before the rows, whose position says that all before it was dealt with. Taken twice, they
        // are one row.
        let letters = batch.letters(&self.hub, now)?;
        if !letters.is_empty() {
            keeper.take(letters).await?;
        }
        let mut rows = batch.rows(&self.counting, now)?;
        if self.is_time_to_keep_sources(now) {
            rows.position(self.kept_sources());
        }
        if rows.is_empty() {
            return Ok(Taken::default());
        }
        let accepted = keeper.take(rows).await?;
        Ok(Taken {
            n_new: accepted.n_new,
            n_known: accepted.n_known + accepted.n_erased,
        })
    }

    fn kept_sources(&self) -> Position {
        Position {
            source: SOURCES.to_owned(),
            value: self.sources.kept(),
        }
    }

    async fn keep_sources(&self, keeper: &Keeper, now: Timestamp) -> Result<(), SinkError> {
        *self.sources_kept() = Some(now);
        let mut intake = Intake::default();
        intake.position(self.kept_sources());
        keeper.take(intake).await?;
        Ok(())
    }

    fn sources_kept(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.sources_kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_time_to_keep_sources(&self, now: Timestamp) -> bool {
        let mut kept = self.sources_kept();
        let is_due = kept.is_none_or(|at| now.duration_since(at).abs() >= KEEP_SOURCES_EVERY);
        if is_due {
            *kept = Some(now);
        }
        is_due
    }
}
