//! A folder with history: opened to read by anybody who may, and to write by one keeper per hub.

use crate::durable::DurableFolder;
use crate::durable::disk::{Disk, RealDisk};
use crate::flush::FlushError;
use crate::folder::{Folder, FolderError};
use crate::history::{History, HistoryError};
use crate::hubs::{self, KnownHub};
use crate::keeper::{Keeper, KeeperSettings};
use crate::query::{Engine, Limits, QueryError, Rows, Value};
use crate::report::{Asked, Definition, Question};
use crate::sources::Reader;
use crate::state::jobs::{self, Job};
use crate::state::present::Present;
use crate::state::spool;
use crate::state::{Journal, Memory, State, StateError, Writer};
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
    /// A person is to be erased whom no row names. Without the name: this may be written down.
    #[error("no row of this hub names such a user; names are written as the hub writes them")]
    Nobody,
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

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It failed here.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other process that keeps the history could not do it, and says why.
    #[error("the other process that keeps this history could not do it: {0}")]
    Failed(String),
    /// The other process did not begin.
    #[error(
        "another process keeps the history of `{hub}` and did not begin to do this within {} seconds: \
         it may be another command, or busy; try again when it is done, or stop the service and do it then",
        PATIENCE.as_secs()
    )]
    NotBegun {
        /// Whose history.
        hub: Arc<str>,
    },
}

impl From<StateError> for JobError {
    fn from(error: StateError) -> Self {
        Self::Store(error.into())
    }
}

/// How long another process may let a job wait.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at what became of it.
const PAUSE: Duration = Duration::from_millis(200);

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

    /// The hubs that were ever kept here, sorted by name.
    pub async fn hubs(&self) -> Result<Vec<KnownHub>, StoreError> {
        Ok(self.reader.state().read(hubs::known).await?)
    }

    /// Does a job; the answer is for people. Where another process keeps the hub that one is asked
    /// to, after `waiting` was told, and this one does it if the other ends before.
    pub async fn perform(
        &self,
        settings: KeeperSettings,
        job: Job,
        waiting: impl FnOnce(),
    ) -> Result<String, JobError> {
        if let Some(keeper) = self.try_keep(settings.clone()).await? {
            return Ok(keeper.perform(&job).await?);
        }
        waiting();
        let writer = self.writer()?;
        let (hub, asked, now) = (Arc::clone(&settings.hub), job.clone(), (settings.clock)());
        let id = writer
            .write(move |connection| jobs::ask(connection, &hub, &asked, now))
            .await?;
        let asked_at = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(PAUSE).await;
            let outcome = move |connection: &rusqlite::Connection| jobs::outcome(connection, id);
            if let Some(outcome) = self.reader.state().read(outcome).await? {
                return answer(&outcome);
            }
            if let Some(keeper) = self.try_keep(settings.clone()).await? {
                let mine = writer.write(move |connection| jobs::take_over(connection, id));
                if mine.await? {
                    return Ok(keeper.perform(&job).await?);
                }
            } else if asked_at.elapsed() >= PATIENCE
                && writer
                    .write(move |connection| jobs::withdraw(connection, id))
                    .await?
            {
                return Err(JobError::NotBegun { hub: settings.hub });
            }
        }
    }

    /// What answers lack, a sentence each: rows that were moved into the history, which does not
    /// hold them. Nothing in a healthy folder.
    pub async fn missing_rows(&self) -> Result<Vec<String>, StoreError> {
        let missing = self.reader.missing().await?;
        Ok(missing.iter().map(ToString::to_string).collect())
    }

    /// How far a source of a hub was read.
    pub async fn position(&self, hub: &str, source: &str) -> Result<Option<String>, StoreError> {
        let (hub, source) = (hub.to_owned(), source.to_owned());
        let read =
            move |connection: &rusqlite::Connection| spool::position(connection, &hub, &source);
        Ok(self.read_state(read).await?)
    }

    pub(crate) async fn read_state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        self.reader.state().read(work).await
    }

    pub(crate) fn writer(&self) -> Result<Writer, StoreError> {
        let connection = State::prepare(&self.folder.state_db())?;
        let writer = Writer::start(connection, Memory::default(), None);
        writer.map_err(|source| {
            let path = self.folder.root().to_owned();
            FolderError::Unusable { path, source }.into()
        })
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

    /// The same, with values for each `$name`.
    pub async fn query_with(
        &self,
        engine: &Engine,
        sql: &str,
        params: &[(&str, Value)],
        limits: Limits,
        now: Timestamp,
    ) -> Result<Table, AskError> {
        let sources = self.reader.sources(now).await?;
        Ok(engine.run(sql, sources, limits, params).await?)
    }

    /// The rows as they come; `params` are the values of `$name` in the query.
    pub async fn stream(
        &self,
        engine: &Engine,
        sql: &str,
        params: &[(&str, Value)],
        limits: Limits,
        now: Timestamp,
    ) -> Result<Rows, AskError> {
        let sources = self.reader.sources(now).await?;
        Ok(engine.stream(sql, sources, limits, params).await?)
    }

    /// A report with the rows as they are now.
    pub async fn question(
        &self,
        report: &Arc<Definition>,
        asked: Asked,
        now: Timestamp,
    ) -> Result<Question, StoreError> {
        let sources = self.reader.sources(now).await?;
        Ok(Question::new(Arc::clone(report), asked, sources))
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

fn answer(outcome: &str) -> Result<String, JobError> {
    match outcome.split_once(": ") {
        Some(("done", text)) => Ok(text.to_owned()),
        Some(("failed", text)) => Err(JobError::Failed(text.to_owned())),
        _ => Err(JobError::Failed(outcome.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{kept, settings};

    #[tokio::test]
    async fn a_job_is_done_by_whoever_keeps_the_hub() {
        let kept = kept().await;
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        let keeper = kept.keeper.clone();
        let running = tokio::spawn(async move {
            let stopped = async { drop(stopping.await) };
            keeper.run(stopped).await;
        });
        let done = kept.store.perform(settings("hub"), Job::Compact, || {});
        assert_eq!(done.await.unwrap(), "0 files merged");
        let nobody = Job::Erase { user: "eve".into() };
        let failed = kept.store.perform(settings("hub"), nobody, || {}).await;
        assert!(
            failed
                .unwrap_err()
                .to_string()
                .contains("no row of this hub")
        );
        stop.send(()).unwrap();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_job_is_done_here_when_the_other_process_ends() {
        let kept = kept().await;
        let crate::tests::Kept {
            keeper,
            store,
            folder,
        } = kept;
        let mut other = Some(keeper);
        let end = || drop(other.take());
        let done = store.perform(settings("hub"), Job::Flush, end).await;
        assert_eq!(done.unwrap(), "0 rows moved into the history");
        drop(folder);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_does_no_jobs_is_not_waited_for() {
        let kept = kept().await;
        let waiting = kept.store.perform(settings("hub"), Job::Flush, || {});
        let error = waiting.await.unwrap_err();
        assert!(matches!(error, JobError::NotBegun { .. }), "{error}");
        // Nobody does it later.
        let is_any = |connection: &rusqlite::Connection| jobs::is_any(connection, "hub");
        let is_left = kept.store.reader.state().read(is_any).await.unwrap();
        assert!(!is_left);
    }
}
