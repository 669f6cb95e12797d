//! One set of supervised tasks: what runs, what its panic means, and how everything ends.
//!
//! A poller's panic is counted and the poller restarted; a task that the service is nothing
//! without ends the process with code 70, so that whoever started it starts it anew.

use crate::metrics::own::{Own, Readiness};
use futures::future::BoxFuture;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// `EX_SOFTWARE` of sysexits.h: a bug ended the process.
pub const EXIT_PANIC: u8 = 70;
/// First pause before a task that panicked is started again; doubles with each panic in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A task that ran this long before it panicked is not panicking in a row.
const RECOVERED_AFTER: Duration = Duration::from_mins(5);

/// What a task's panic means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPanic {
    /// Counted, logged, and the task started again after a pause.
    Restart,
    /// The process ends with code 70.
    End,
}

/// What a task wants when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: its work is done, as that of a listener which was told to stop.
    Nothing,
    /// The service to stop, for this reason.
    Stop {
        /// For the log.
        reason: &'static str,
    },
}

/// Something that runs for as long as the service does.
pub struct Task {
    /// For the log and the panic counter.
    pub name: &'static str,
    /// What its panic means.
    pub on_panic: OnPanic,
    run: Box<dyn Fn() -> BoxFuture<'static, anyhow::Result<Wish>> + Send + Sync>,
}

impl Task {
    /// `run` is called again for each restart.
    pub fn new<F>(
        name: &'static str,
        on_panic: OnPanic,
        run: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<Wish>> + Send + 'static,
    {
        Self {
            name,
            on_panic,
            run: Box::new(move || Box::pin(run())),
        }
    }

    /// One run of it.
    pub fn start(&self) -> BoxFuture<'static, anyhow::Result<Wish>> {
        (self.run)()
    }
}

/// How the service ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody asked for it.
    Stopped,
    /// A task could not go on.
    Failed,
    /// A task that may not panic did.
    Panicked,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Stopped => Self::SUCCESS,
            Ending::Failed => Self::FAILURE,
            Ending::Panicked => Self::from(EXIT_PANIC),
        }
    }
}

/// Runs the tasks until one of them wants to stop or cannot go on.
///
/// Cancels `stopping` then, and gives those tasks that heed it `grace` to finish. Tasks that may be
/// started again hold nothing that would have to be put away, so they are dropped at once.
pub async fn supervise(
    tasks: Vec<Task>,
    own: Arc<Own>,
    stopping: CancellationToken,
    grace: Duration,
) -> Ending {
    let mut running = JoinSet::new();
    let mut droppable = Vec::new();
    for task in tasks {
        let own = Arc::clone(&own);
        let on_panic = task.on_panic;
        let handle = running.spawn(async move { keep_running(&task, &own).await });
        if on_panic == OnPanic::Restart {
            droppable.push(handle);
        }
    }
    let mut ending = Ending::Stopped;
    while let Some(outcome) = running.join_next().await {
        match outcome {
            Ok(None) => continue,
            Ok(Some(because)) => ending = because,
            // `keep_running` itself does not panic and nobody aborts it.
            Err(error) => {
                error!(%error, "A task was lost.");
                ending = Ending::Panicked;
            }
        }
        break;
    }
    own.set_readiness(Readiness::Stopping);
    stopping.cancel();
    droppable.iter().for_each(AbortHandle::abort);
    let drained = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, drained).await.is_err() {
        running.shutdown().await;
    }
    ending
}

/// Runs one task, again after a panic if it is one of those; `None` if it ended in peace.
async fn keep_running(task: &Task, own: &Own) -> Option<Ending> {
    let name = task.name;
    let mut pause = FIRST_PAUSE;
    loop {
        let started = tokio::time::Instant::now();
        let handle = AbortOnDrop(tokio::spawn(task.start()));
        let outcome = handle.join().await;
        match outcome {
            Ok(Ok(Wish::Nothing)) => return None,
            Ok(Ok(Wish::Stop { reason })) => {
                info!("Stopping: {reason}.");
                return Some(Ending::Stopped);
            }
            Ok(Err(cause)) => {
                error!(task = name, "The {name} task cannot go on: {cause:#}");
                return Some(Ending::Failed);
            }
            Err(_) => own.record_panic(name),
        }
        if task.on_panic == OnPanic::End {
            error!(
                task = name,
                "The {name} task met a bug; ending with code {EXIT_PANIC}."
            );
            return Some(Ending::Panicked);
        }
        if started.elapsed() > RECOVERED_AFTER {
            pause = FIRST_PAUSE;
        }
        let pause_s = pause.as_secs();
        warn!(
            task = name,
            pause_s, "The {name} task met a bug; starting it again in {pause_s} s."
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A spawned task that does not outlive whoever waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<anyhow::Result<Wish>>);

impl AbortOnDrop {
    async fn join(mut self) -> Result<anyhow::Result<Wish>, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn own() -> Arc<Own> {
        Arc::new(Own::new("hub"))
    }

    async fn ending(tasks: Vec<Task>) -> Ending {
        supervise(
            tasks,
            own(),
            CancellationToken::new(),
            Duration::from_secs(1),
        )
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_may_panic_is_started_again_after_growing_pauses() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let clumsy = Task::new("clumsy", OnPanic::Restart, move || {
            let n_before = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(n_before >= 4, "not yet");
                Ok(Wish::Stop {
                    reason: "it worked",
                })
            }
        });
        let started = tokio::time::Instant::now();
        assert_eq!(ending(vec![clumsy]).await, Ending::Stopped);
        assert_eq!(runs.load(Ordering::SeqCst), 5);
        assert_eq!(started.elapsed().as_secs(), 1 + 2 + 4 + 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_may_not_panic_ends_the_service_with_code_70() {
        let patient = Task::new("patient", OnPanic::Restart, std::future::pending);
        let vital = Task::new("vital", OnPanic::End, || async { panic!("a bug") });
        assert_eq!(ending(vec![patient, vital]).await, Ending::Panicked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_cannot_go_on_ends_the_service() {
        let failing = Task::new("failing", OnPanic::Restart, || async {
            anyhow::bail!("no")
        });
        assert_eq!(ending(vec![failing]).await, Ending::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_heed_the_signal_finish_their_work() {
        let stopping = CancellationToken::new();
        let is_finished = Arc::new(AtomicU32::new(0));
        let (heed, finished) = (stopping.clone(), Arc::clone(&is_finished));
        let listener = Task::new("listener", OnPanic::End, move || {
            let (heed, finished) = (heed.clone(), Arc::clone(&finished));
            async move {
                heed.cancelled().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                finished.store(1, Ordering::SeqCst);
                Ok(Wish::Nothing)
            }
        });
        let signal = Task::new("signal", OnPanic::End, || async {
            Ok(Wish::Stop { reason: "asked" })
        });
        let ending = supervise(
            vec![listener, signal],
            own(),
            stopping,
            Duration::from_secs(1),
        )
        .await;
        assert_eq!(ending, Ending::Stopped);
        assert_eq!(is_finished.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_runs_for_ever_does_not_hold_up_the_end() {
        let poller = Task::new("poll", OnPanic::Restart, std::future::pending);
        let signal = Task::new("signal", OnPanic::Restart, || async {
            Ok(Wish::Stop { reason: "asked" })
        });
        let started = tokio::time::Instant::now();
        assert_eq!(ending(vec![poller, signal]).await, Ending::Stopped);
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
