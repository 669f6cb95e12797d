//! The task that looks at what servers use.

use super::Starter;
use super::tasks::{OnPanic, Task, Wish};
use crate::usage::{Source, Watch};
use crate::web::Site;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::warn;

/// Before a source is made again that could not be.
const PAUSE: Duration = Duration::from_mins(1);

/// Looks for as long as the service runs; after a bug from a source made anew.
pub(super) fn task(site: &Site, starter: Starter, source: Source) -> Task {
    let site = site.clone();
    let first = Mutex::new(Some(source));
    Task::new("usage", OnPanic::Restart, move || {
        let site = site.clone();
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let source = match first {
                Some(source) => Some(source),
                None => again(&site, starter).await,
            };
            if let Some(source) = source {
                let (published, usage) = (Arc::clone(&site.published), Arc::clone(&site.usage));
                let watch = Watch::new(&site.config, source, site.hub.clone(), published, usage);
                watch.run().await;
            }
            Ok(Wish::Nothing)
        }
    })
}

/// The source made anew; a file that it needs may be back in a moment.
async fn again(site: &Site, starter: Starter) -> Option<Source> {
    loop {
        match Source::of(&site.config, starter.hub_process()) {
            Ok(source) => return source,
            Err(error) => {
                let cause = anyhow::Error::from(error);
                warn!("What servers use cannot be read; trying again: {cause:#}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
