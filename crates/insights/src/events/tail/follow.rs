//! Hands what a followed file brings to the sink, for as long as the service runs.

use super::place::Place;
use super::{News, Notice, Tail};
use crate::events::sink::{Batch, Sink, SinkError};
use crate::metrics::Arrival;
use crate::poll::clock::now;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Keeper, Position};
use tracing::{debug, error, info, warn};

/// Between two looks at a file that has nothing new.
const PAUSE: Duration = Duration::from_secs(1);
/// The same while what was read cannot be taken; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Takes the lines of a file as they come. Waits for the store to open and for the file to be
/// there; never ends.
async fn follow(sink: &Sink, path: &Path) {
    let source = source_of(path);
    let mut problem = Problem::new(path);
    let kept = loop {
        let Some(keeper) = sink.keeper() else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        match place_of(&keeper, &source).await {
            Ok(kept) => break kept,
            Err(error) => problem.met(&format!("{:#}", anyhow::Error::from(error))),
        }
        tokio::time::sleep(LONGEST_WAIT).await;
    };
    // What was there before the file was followed is history.
    let mut arrival = match kept {
        Some(_) => Arrival::Live,
        None => Arrival::Stored,
    };
    let mut tail = Tail::new(path.to_owned(), Arc::clone(sink.hub()), kept);
    loop {
        let looked = Looked::at(tail).await;
        let Some(Looked {
            tail: same,
            news,
            notices,
        }) = looked
        else {
            // Its bug is in the log of the process; so is the rest with the next start.
            return;
        };
        tail = same;
        for notice in &notices {
            tell(notice, path);
        }
        match news {
            Ok(Some(news)) => {
                problem.is_over();
                let batch = Batch {
                    arrival,
                    ..batch_of(news, &source, path)
                };
                take(sink, &batch).await;
            }
            Ok(None) => {
                arrival = Arrival::Live;
                problem.is_over();
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                problem.met(&error.to_string());
                tokio::time::sleep(LONGEST_WAIT).await;
            }
        }
    }
}

/// A look, on a thread where waiting is allowed.
struct Looked {
    tail: Tail,
    news: std::io::Result<Option<News>>,
    notices: Vec<Notice>,
}

impl Looked {
    /// `None` if it met a bug.
    async fn at(mut tail: Tail) -> Option<Self> {
        let looking = tokio::task::spawn_blocking(move || {
            let mut notices = Vec::new();
            let news = tail.look(now(), &mut notices);
            Self {
                tail,
                news,
                notices,
            }
        });
        match looking.await {
            Ok(looked) => Some(looked),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }
}

/// Under which name the place is kept.
fn source_of(path: &Path) -> String {
    format!("file {}", path.display())
}

async fn place_of(keeper: &Keeper, source: &str) -> Result<Option<Place>, store::StoreError> {
    let kept = keeper.position(source).await?;
    // One that a later version wrote: from the beginning, which counts nothing twice.
    Ok(kept.and_then(|kept| serde_json::from_str(&kept).ok()))
}

fn batch_of(News { chunk, place }: News, source: &str, path: &Path) -> Batch {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let road = format!("file {}", name.to_string_lossy());
    let mut batch = Batch::of(&road, chunk.items.into_iter().map(|numbered| numbered.item));
    // Numbers and texts always have a JSON text.
    let value = serde_json::to_string(&place).unwrap_or_default();
    batch.position = Some(Position {
        source: source.to_owned(),
        value,
    });
    batch
}

/// Waits until the batch is taken.
async fn take(sink: &Sink, batch: &Batch) {
    let mut wait = FIRST_WAIT;
    let mut is_told = false;
    loop {
        match sink.take(batch.clone()).await {
            Ok(_) => return,
            // While too much waits, or this process stops.
            Err(SinkError::Full | SinkError::Closed) => {}
            Err(SinkError::Store(cause)) => {
                if !std::mem::replace(&mut is_told, true) {
                    let cause = anyhow::Error::from(cause);
                    error!(
                        "Lines of {} cannot be taken, trying again: {cause:#}",
                        batch.road
                    );
                }
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// What keeps a file from being read, said once for as long as it lasts.
struct Problem<'a> {
    path: &'a Path,
    told: Option<String>,
}

impl<'a> Problem<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, told: None }
    }

    fn met(&mut self, cause: &str) {
        let path = self.path.display();
        if self.told.as_deref() == Some(cause) {
            debug!("`{path}` still cannot be read: {cause}");
            return;
        }
        warn!(
            "`{path}` (`events.files`) cannot be read and is tried again: {cause}. The user that \
             this service runs as must be allowed to read the file and to look into its folder."
        );
        self.told = Some(cause.to_owned());
    }

    fn is_over(&mut self) {
        if self.told.take().is_some() {
            info!("`{}` can be read again.", self.path.display());
        }
    }
}

fn tell(notice: &Notice, path: &Path) {
    let path = path.display();
    match notice {
        Notice::Lost => warn!(
            "`{path}` is another file than before, and what it was is not beside it. If lines at \
             the end of that are missing, `import events` takes them from where it is now."
        ),
    }
}

/// All of the files, each for itself.
pub async fn follow_all(sink: &Sink, paths: &[PathBuf]) {
    futures::future::join_all(paths.iter().map(|path| follow(sink, path))).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Item, Reader};
    use crate::metrics::own::Own;
    use jiff::tz::TimeZone;
    use store::{Folder, KeeperSettings, Store};

    #[tokio::test]
    async fn what_was_read_waits_until_it_can_be_taken() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
        let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, now);
        let keeper = store.try_keep(settings).await.unwrap().unwrap();
        let sink = Sink::new("hub", Arc::new(Own::new("hub")));
        let item = Reader::new("hub".into())
            .read(br#"{"kind": "a", "at": "2026-11-20T10:00:00Z"}"#, now());
        assert!(matches!(item, Item::Event(_)));
        let batch = Batch::of("file x", [item]);
        let opening = async {
            // After the first refusal.
            tokio::task::yield_now().await;
            sink.open(keeper.clone()).await.unwrap();
        };
        tokio::join!(take(&sink, &batch), opening);
        assert_eq!(keeper.n_waiting().await.unwrap(), 1);
    }
}
