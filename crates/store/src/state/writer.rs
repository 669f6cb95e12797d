//! The one thread that writes `state.db`.
//!
//! Requests that arrive while a transaction is being synced share the next one, so that many
//! small requests cost few syncs. A request is answered after its transaction is on the disk; one
//! that fails takes none of the others with it.

use super::StateError;
use crate::recent::Recent;
use crate::tallies::Tallies;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait at most.
const QUEUE: usize = 256;
/// Requests that share one transaction at most.
const SHARED: usize = 64;

/// Hears of each commit: for tests that cut the power between two steps.
pub(crate) trait Journal: Send + Sync {
    /// A transaction of `state.db` is on the disk.
    fn committed(&self);
}

/// What is in memory of what was written, and follows the transactions.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    /// Which rows were taken lately.
    pub(crate) recent: Arc<Recent>,
    /// What metrics count.
    pub(crate) tallies: Arc<Tallies>,
}

/// Where a transaction is.
#[derive(Clone, Copy, Default)]
struct Mark {
    recent: usize,
    tallies: usize,
}

impl Memory {
    fn mark(&self) -> Mark {
        Mark {
            recent: self.recent.mark(),
            tallies: self.tallies.mark(),
        }
    }

    fn undo(&self, mark: Mark) {
        self.recent.undo(mark.recent);
        self.tallies.undo(mark.tallies);
    }

    fn commit(&self) {
        self.recent.commit();
        self.tallies.commit();
    }
}

type Answer = Box<dyn FnOnce(Result<(), Arc<rusqlite::Error>>) + Send>;
type Within = Box<dyn FnOnce(Result<Open<'_>, Arc<rusqlite::Error>>) -> Answer + Send>;
type Outside = Box<dyn FnOnce(&Connection) + Send>;

enum Request {
    /// Shares a transaction with others.
    Within(Within),
    /// Work that SQLite does in no transaction, such as `vacuum`.
    Outside(Outside),
}

/// A transaction that is open.
struct Open<'a> {
    connection: &'a Connection,
    memory: &'a Memory,
}

/// Hands work to the writing thread.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Request>,
}

impl Writer {
    /// Starts the thread; it ends when the last handle is gone and its work is done.
    ///
    /// `memory` forgets again what came with a transaction that failed.
    pub(crate) fn start(
        connection: Connection,
        memory: Memory,
        journal: Option<Arc<dyn Journal>>,
    ) -> std::io::Result<Self> {
        let (queue, requests) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || {
                let thread = Thread {
                    connection,
                    memory,
                    journal,
                };
                thread.serve(requests);
            })?;
        Ok(Self { queue })
    }

    /// Returns when the thread has ended: it panicked, since a handle is left.
    pub(crate) async fn gone(&self) {
        self.queue.closed().await;
    }

    /// Does `work` in a transaction and answers once it is on the disk. Waits if much is waiting.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let (request, answer) = request(work);
        self.queue
            .send(request)
            .await
            .map_err(|_| StateError::Closed)?;
        answer.await.map_err(|_| StateError::Closed)?
    }

    /// The same, but refuses at once if too much is waiting.
    pub(crate) async fn try_write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let (request, answer) = request(work);
        self.queue
            .try_send(request)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => StateError::Busy,
                mpsc::error::TrySendError::Closed(_) => StateError::Closed,
            })?;
        answer.await.map_err(|_| StateError::Closed)?
    }

    /// Does `work` when no transaction is open; everybody else waits for it.
    pub(crate) async fn maintain<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let (sender, answer) = oneshot::channel();
        let outside: Outside = Box::new(move |connection| {
            // Whoever asked may have stopped waiting.
            let _ = sender.send(work(connection));
        });
        self.queue
            .send(Request::Outside(outside))
            .await
            .map_err(|_| StateError::Closed)?;
        answer.await.map_err(|_| StateError::Closed)?
    }
}

fn request<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
) -> (Request, oneshot::Receiver<Result<T, StateError>>) {
    let (sender, receiver) = oneshot::channel();
    let request: Within = Box::new(move |open| {
        let outcome = match open {
            Ok(open) => open.within_savepoint(work),
            Err(error) => Err(commit_error(&error)),
        };
        Box::new(move |committed| {
            let answer = match (outcome, committed) {
                (Ok(value), Ok(())) => Ok(value),
                (Ok(_), Err(error)) => Err(commit_error(&error)),
                (Err(error), _) => Err(error),
            };
            // Whoever asked may have stopped waiting.
            let _ = sender.send(answer);
        })
    });
    (Request::Within(request), receiver)
}

impl Open<'_> {
    fn within_savepoint<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mark = self.memory.mark();
        self.connection.execute_batch("savepoint request")?;
        let outcome = work(self.connection).and_then(|value| {
            self.connection.execute_batch("release request")?;
            Ok(value)
        });
        if outcome.is_err() {
            self.memory.undo(mark);
            self.connection
                .execute_batch("rollback to request; release request")?;
        }
        outcome
    }
}

/// One failed commit answers several requests, and SQLite's error cannot be copied.
fn commit_error(error: &rusqlite::Error) -> StateError {
    let copy = match error {
        rusqlite::Error::SqliteFailure(code, text) => {
            rusqlite::Error::SqliteFailure(*code, text.clone())
        }
        other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
    };
    copy.into()
}

/// What the writing thread works with.
struct Thread {
    connection: Connection,
    memory: Memory,
    journal: Option<Arc<dyn Journal>>,
}

impl Thread {
    fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut shared = Vec::new();
            let mut outside = None;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Within(request) => shared.push(request),
                    Request::Outside(work) => {
                        outside = Some(work);
                        break;
                    }
                }
                next = (shared.len() < SHARED)
                    .then(|| requests.try_recv().ok())
                    .flatten();
            }
            if !shared.is_empty() {
                self.share(shared);
            }
            if let Some(work) = outside {
                work(&self.connection);
            }
        }
    }

    /// Does all of it in one transaction.
    fn share(&mut self, shared: Vec<Within>) {
        let memory = &self.memory;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let (answers, committed) = match transaction {
            Ok(transaction) => {
                let begun = shared.into_iter().map(|request| {
                    request(Ok(Open {
                        connection: &transaction,
                        memory,
                    }))
                });
                (begun.collect::<Vec<_>>(), transaction.commit())
            }
            Err(error) => {
                let shared_error = Arc::new(error);
                let refuse = |request: Within| request(Err(Arc::clone(&shared_error)));
                (shared.into_iter().map(refuse).collect(), Ok(()))
            }
        };
        match &committed {
            Ok(()) => memory.commit(),
            Err(_) => memory.undo(Mark::default()),
        }
        if let Some(journal) = self.journal.as_deref().filter(|_| committed.is_ok()) {
            journal.committed();
        }
        let committed = committed.map_err(Arc::new);
        for answer in answers {
            answer(committed.clone());
        }
    }
}
