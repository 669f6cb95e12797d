//! A folder with history: opened to read by anybody who may, and to write by one keeper per hub.

use crate::durable::DurableFolder;
use crate::durable::disk::{Disk, RealDisk};
use crate::flush::FlushError;
use crate::folder::{Folder, FolderError};
use crate::history::{History, HistoryError};
use crate::keeper::{Keeper, KeeperSettings};
use crate::query::{Engine, Limits, QueryError, Rows};
use crate::sources::Reader;
use crate::state::jobs::{self, Job};
use crate::state::present::Present;
use crate::state::{Journal, State, StateError, Writer};
use crate::table::Table;
use crate::verify::{self, Checked, Finding};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// `state.db`.
    #[error(transparent)]
    State(#[from] StateError),
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl From<FlushError> for StoreError {
    fn from(error: FlushError) -> Self {
        match error {
            FlushError::State(error) => Self::State(error),
            FlushError::History(error) => Self::History(error),
        }
    }
}

impl StoreError {
    /// Whether it may work in a moment without anybody doing anything.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::State(StateError::Busy))
    }
}

/// A folder with history.
#[derive(Clone)]
pub struct Store {
    folder: Folder,
    durable: Arc<DurableFolder>,
    journal: Option<Arc<dyn Journal>>,
    reader: Arc<Reader>,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Opens the folder; makes `state.db` and `history/` if they are not there.
    pub fn open(folder: Folder) -> Result<Self, StoreError> {
        Self::open_on(folder, Arc::new(RealDisk), None)
    }

    pub(crate) fn open_on(
        folder: Folder,
        disk: Arc<dyn Disk>,
        journal: Option<Arc<dyn Journal>>,
    ) -> Result<Self, StoreError> {
        drop(State::prepare(&folder.state_db())?);
        let durable =
            DurableFolder::new(folder.history(), disk).map_err(|error| FolderError::Unfit {
                path: folder.history(),
                reason: error.to_string(),
                is_read_only: false,
            })?;
        let durable = Arc::new(durable);
        let history = History::new(&folder.history(), Arc::clone(&durable));
        let state = State::open(&folder.state_db())?;
        Ok(Self {
            reader: Arc::new(Reader::new(state, history)),
            folder,
            durable,
            journal,
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Becomes the keeper of the hub; `None` if another process is.
    pub async fn try_keep(&self, settings: KeeperSettings) -> Result<Option<Keeper>, StoreError> {
        Keeper::try_start(
            &self.folder,
            Arc::clone(&self.durable),
            settings,
            self.journal.clone(),
        )
        .await
    }

    /// The present of a hub as it was last kept.
    pub async fn present(&self, hub: &str) -> Result<Present, StoreError> {
        let hub = hub.to_owned();
        let read = move |connection: &rusqlite::Connection| Present::read(connection, &hub);
        Ok(self.reader.state().read(read).await?)
    }

    /// Asks the process that keeps the hub to do a job, and waits until it has.
    ///
    /// The answer is for people; an error of the job is an answer that begins with `failed: `.
    pub async fn ask(
        &self,
        hub: &Arc<str>,
        job: Job,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        const PAUSE: Duration = Duration::from_millis(200);
        let writer = Writer::start(
            State::prepare(&self.folder.state_db())?,
            Arc::default(),
            None,
        )
        .map_err(|source| FolderError::Unusable {
            path: self.folder.root().to_owned(),
            source,
        })?;
        let asked_hub = Arc::clone(hub);
        let id = writer
            .write(move |connection| jobs::ask(connection, &asked_hub, &job, now))
            .await?;
        let state = State::open(&self.folder.state_db())?;
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Some(outcome) = state
                .read(move |connection| jobs::outcome(connection, id))
                .await?
            {
                return Ok(outcome);
            }
        }
    }

    /// What answers lack, a sentence each: rows that were moved into the history, which does not
    /// hold them. Nothing in a healthy folder.
    pub async fn missing_rows(&self) -> Result<Vec<String>, StoreError> {
        let missing = self.reader.missing().await?;
        Ok(missing.iter().map(ToString::to_string).collect())
    }

    /// Asks the history, the spool and the present, as one; all rows at once.
    pub async fn query(
        &self,
        engine: &Engine,
        sql: &str,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Table, AskError> {
        let sources = self.reader.sources(now).await?;
        Ok(engine.run(sql, sources, limits, &[]).await?)
    }

    /// The same, as the rows come.
    pub async fn stream(
        &self,
        engine: &Engine,
        sql: &str,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Rows, AskError> {
        let sources = self.reader.sources(now).await?;
        Ok(engine.stream(sql, sources, limits, &[]).await?)
    }

    /// Who was in which group of a hub at a moment.
    pub async fn members_as_of(
        &self,
        engine: &Engine,
        hub: &str,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Table, AskError> {
        let sources = self.reader.sources(now).await?;
        Ok(engine
            .members_as_of(hub, at, sources, Limits::default())
            .await?)
    }

    /// Looks for damage; changes nothing. A folder whose `state.db` does not even open is for
    /// [`crate::verify`].
    pub async fn verify(
        &self,
        hub: Option<&str>,
        now: Timestamp,
        progress: impl FnMut(Checked) + Send,
    ) -> Result<Vec<Finding>, StoreError> {
        verify::verify(&self.folder, hub, now, progress).await
    }

    #[cfg(test)]
    pub(crate) fn history(&self) -> History {
        History::new(&self.folder.history(), Arc::clone(&self.durable))
    }
}
