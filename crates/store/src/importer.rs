//! Brings large amounts of rows in from a command line: as the keeper of the hub where nobody else
//! is, else through the one that is, whose memory of ids they must not go past.

use crate::keeper::{Keeper, KeeperSettings};
use crate::state::spool::{Accepted, Intake};
use crate::state::{StateError, Writer, inbox};
use crate::store::{Store, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Batches that were handed in and not answered: what bounds `state.db`.
const AHEAD: usize = 4;
/// Between two looks at what became of a batch.
const PAUSE: Duration = Duration::from_millis(10);
/// After so long without an answer it is looked whether the other process is gone.
const UNANSWERED: Duration = Duration::from_secs(15);
/// After so long it is given up: the other process does something else, or is stopped.
const PATIENCE: Duration = Duration::from_mins(5);

/// Why rows were not taken. Those before are; importing them again counts none twice.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It failed here.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other process refused.
    #[error("the process that keeps the history refused: {0}")]
    Refused(String),
    /// The other process does not answer.
    #[error(
        "the process that keeps the history of `{hub}` took nothing for {} minutes: see its log, \
         or stop it and import then",
        PATIENCE.as_secs() / 60
    )]
    Unanswered {
        /// Whose history.
        hub: Arc<str>,
    },
}

impl From<StateError> for ImportError {
    fn from(error: StateError) -> Self {
        Self::Store(error.into())
    }
}

/// What became of everything that was handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows that were not known before.
    pub n_new: usize,
    /// Rows that were, or that an erased person is in.
    pub n_known: usize,
    /// Of the new ones, those that are so old that only the history can tell, which it does when
    /// they are moved into it.
    pub n_unsure: usize,
}

/// Who takes the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// This process.
    Here,
    /// The one that keeps the history.
    There,
}

/// Whether rows are in the figures that [`Importer::finish`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// They are.
    Counted,
    /// They are not: what could not be read.
    Beside,
}

/// Brings rows in.
pub struct Importer {
    store: Store,
    settings: KeeperSettings,
    writer: Writer,
    keeping: Option<Keeping>,
    /// Batches that are not answered, oldest first.
    handed_in: VecDeque<HandedIn>,
    accepted: Accepted,
}

/// A batch that waits for its answer.
#[derive(Clone, Copy)]
struct HandedIn {
    id: i64,
    counting: Counting,
}

/// A keeper of our own that looks after the history meanwhile.
struct Keeping {
    keeper: Keeper,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Keeping {
    async fn try_start(
        store: &Store,
        settings: &KeeperSettings,
    ) -> Result<Option<Self>, StoreError> {
        let Some(keeper) = store.try_keep(settings.clone()).await? else {
            return Ok(None);
        };
        let (stop, stopped) = oneshot::channel();
        let working = keeper.clone();
        let running = tokio::spawn(async move {
            // Told to, or nobody is there any more who could.
            working.run(async { drop(stopped.await) }).await;
        });
        Ok(Some(Self {
            keeper,
            stop,
            running,
        }))
    }
}

impl Importer {
    /// Becomes the keeper if nobody is.
    pub async fn start(store: Store, settings: KeeperSettings) -> Result<Self, StoreError> {
        let keeping = Keeping::try_start(&store, &settings).await?;
        Ok(Self {
            writer: store.writer()?,
            store,
            settings,
            keeping,
            handed_in: VecDeque::new(),
            accepted: Accepted::default(),
        })
    }

    /// Who takes the rows now.
    pub fn takes(&self) -> Takes {
        if self.keeping.is_some() {
            Takes::Here
        } else {
            Takes::There
        }
    }

    /// How far a source was read.
    pub async fn position(&self, source: &str) -> Result<Option<String>, StoreError> {
        self.store.position(&self.settings.hub, source).await
    }

    /// Hands rows in, with how far their source was read; waits while too many wait. They are taken
    /// when [`Self::settle`] has answered.
    pub async fn hand_in(&mut self, intake: Intake, counting: Counting) -> Result<(), ImportError> {
        while self.handed_in.len() >= AHEAD {
            self.await_oldest().await?;
        }
        if self.keeping.is_some() {
            self.settle().await?;
        }
        if let Some(keeping) = &self.keeping {
            let accepted = keeping.keeper.take_patiently(intake).await?;
            self.count(accepted, counting);
            return Ok(());
        }
        let hub = Arc::clone(&self.settings.hub);
        let put = move |connection: &rusqlite::Connection| {
            inbox::put(connection, &hub, &inbox::written(&intake)?)
        };
        let id = self.writer.write(put).await?;
        self.handed_in.push_back(HandedIn { id, counting });
        Ok(())
    }

    /// Waits until everything that was handed in is on the disk.
    pub async fn settle(&mut self) -> Result<(), ImportError> {
        while !self.handed_in.is_empty() {
            self.await_oldest().await?;
        }
        Ok(())
    }

    /// The same, and what became of it; a keeper of our own moves it into the history first.
    pub async fn finish(mut self) -> Result<Imported, ImportError> {
        self.settle().await?;
        let accepted = self.accepted;
        let (mut n_new, mut n_unsure) = (accepted.n_new, accepted.n_unsure);
        let mut n_known = accepted.n_known + accepted.n_erased;
        if let Some(Keeping {
            keeper,
            stop,
            running,
        }) = self.keeping
        {
            // The keeper may have ended by a bug, which is in the log.
            let _ = stop.send(());
            running.await.map_err(|_| StateError::Closed)?;
            let n_found = keeper.n_found_in_history();
            n_new = n_new.saturating_sub(n_found);
            n_known += n_found;
            if keeper.n_waiting().await? == 0 {
                n_unsure = 0;
            }
        }
        Ok(Imported {
            n_new,
            n_known,
            n_unsure,
        })
    }

    fn count(&mut self, accepted: Accepted, counting: Counting) {
        if counting == Counting::Counted {
            self.accepted += accepted;
        }
    }

    async fn await_oldest(&mut self) -> Result<(), ImportError> {
        let Some(&HandedIn { id, counting }) = self.handed_in.front() else {
            return Ok(());
        };
        let asked = Instant::now();
        let mut looked = asked;
        loop {
            let outcome = move |connection: &rusqlite::Connection| inbox::outcome(connection, id);
            if let Some(outcome) = self.store.read_state(outcome).await? {
                let forget = move |connection: &rusqlite::Connection| inbox::forget(connection, id);
                self.writer.write(forget).await?;
                self.handed_in.pop_front();
                self.count(outcome.map_err(ImportError::Refused)?, counting);
                return Ok(());
            }
            if self.keeping.is_none() && looked.elapsed() >= UNANSWERED {
                looked = Instant::now();
                // It takes what waits.
                self.keeping = Keeping::try_start(&self.store, &self.settings).await?;
            }
            if asked.elapsed() >= PATIENCE {
                let hub = Arc::clone(&self.settings.hub);
                return Err(ImportError::Unanswered { hub });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;
    use crate::tables::{Event, RowId};
    use crate::tests::{at, kept, settings};

    fn intake(kinds: &[&str], time: &str) -> Intake {
        let mut intake = Intake::default();
        for kind in kinds {
            let event = Event {
                id: RowId::of(&["event", kind]),
                hub: "hub".into(),
                at: at(time),
                not_before: None,
                kind: (*kind).into(),
                user: Some("ada".into()),
                server: None,
                detail: None,
                source: "x".into(),
                schema: None,
                schema_version: None,
            };
            intake.event(&event).unwrap();
        }
        let value = kinds.join(" ");
        intake.position(Position {
            source: "file".into(),
            value,
        });
        intake
    }

    const COUNT: &str = "select count(*), count(distinct id) from events";

    #[tokio::test]
    async fn rows_that_are_handed_in_are_known_to_the_keeper() {
        let kept = kept().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let keeper = kept.keeper.clone();
        let running = tokio::spawn(async move {
            keeper.run(async { drop(stopped.await) }).await;
        });
        let mut importer = Importer::start(kept.store.clone(), settings("hub"))
            .await
            .unwrap();
        assert_eq!(importer.takes(), Takes::There);
        let today = "2026-11-21T11:00:00Z";
        for _ in 0..10 {
            importer
                .hand_in(intake(&["a", "b"], today), Counting::Counted)
                .await
                .unwrap();
        }
        importer
            .hand_in(intake(&["old"], "2025-01-01T00:00:00Z"), Counting::Counted)
            .await
            .unwrap();
        importer.settle().await.unwrap();
        let position = importer.position("file").await.unwrap();
        assert_eq!(position.as_deref(), Some("old"));
        let expected = Imported {
            n_new: 3,
            n_known: 18,
            n_unsure: 1,
        };
        assert_eq!(importer.finish().await.unwrap(), expected);
        let again = kept.keeper.take(intake(&["a", "c"], today)).await.unwrap();
        assert_eq!((again.n_new, again.n_known), (1, 1));
        assert_eq!(kept.ask(COUNT).await, ["4,4"]);
        stop.send(()).unwrap();
        running.await.unwrap();
        let left = |connection: &rusqlite::Connection| {
            Ok(connection.query_row("select count(*) from inbox", [], |row| row.get(0))?)
        };
        assert_eq!(kept.store.read_state::<i64>(left).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_import_goes_on_when_the_other_process_ends() {
        let kept = kept().await;
        let mut importer = Importer::start(kept.store.clone(), settings("hub"))
            .await
            .unwrap();
        let old = "2025-01-01T00:00:00Z";
        importer
            .hand_in(intake(&["a"], old), Counting::Counted)
            .await
            .unwrap();
        drop(kept.keeper);
        importer.settle().await.unwrap();
        assert_eq!(importer.takes(), Takes::Here);
        importer
            .hand_in(intake(&["a", "b"], old), Counting::Counted)
            .await
            .unwrap();
        let done = importer.finish().await.unwrap();
        assert_eq!((done.n_new, done.n_known, done.n_unsure), (2, 1, 0));
        assert_eq!(crate::tests::ask(&kept.store, COUNT).await, ["2,2"]);
    }

    #[tokio::test]
    async fn an_import_of_what_the_history_holds_says_so() {
        let kept = kept().await;
        drop(kept.keeper);
        for (n_new, n_known) in [(2, 0), (0, 2)] {
            let importer = Importer::start(kept.store.clone(), settings("hub"));
            let mut importer = importer.await.unwrap();
            while importer.takes() == Takes::There {
                // The lock is given back a moment after the last handle is gone.
                importer = Importer::start(kept.store.clone(), settings("hub"))
                    .await
                    .unwrap();
            }
            let old = "2025-01-01T00:00:00Z";
            importer
                .hand_in(intake(&["a", "b"], old), Counting::Counted)
                .await
                .unwrap();
            let done = importer.finish().await.unwrap();
            let expected = Imported {
                n_new,
                n_known,
                n_unsure: 0,
            };
            assert_eq!(done, expected);
        }
        assert_eq!(crate::tests::ask(&kept.store, COUNT).await, ["2,2"]);
    }

    #[tokio::test]
    async fn an_erasure_takes_what_waits_and_leaves_no_name() {
        let kept = kept().await;
        let mut importer = Importer::start(kept.store.clone(), settings("hub"))
            .await
            .unwrap();
        importer
            .hand_in(intake(&["a"], "10:00"), Counting::Counted)
            .await
            .unwrap();
        kept.keeper.erase("ada").await.unwrap();
        let named = |connection: &rusqlite::Connection| {
            let sql = "select count(*) from inbox where batch != ''";
            Ok(connection.query_row(sql, [], |row| row.get(0))?)
        };
        assert_eq!(kept.store.read_state::<i64>(named).await.unwrap(), 0);
        assert_eq!(
            kept.ask("select count(*) from events where user = 'ada'")
                .await,
            ["0"]
        );
        assert_eq!(kept.ask("select count(*) from events").await, ["1"]);
    }
}
