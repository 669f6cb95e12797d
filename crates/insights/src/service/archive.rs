//! The task that writes the public archive while this process keeps the history.

use super::tasks::{OnPanic, Task, Wish};
use crate::archive::Archive;
use crate::poll::clock::now;
use crate::web::Site;
use std::time::Duration;
use tracing::{error, info};

/// Between two looks for days that are over or have grown.
const ROUND_INTERVAL: Duration = Duration::from_mins(10);
/// Until the store is open.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// `None` if no archive is configured.
pub(super) fn task(site: &Site) -> Option<Task> {
    site.config.archive.path.as_ref()?;
    let site = site.clone();
    Some(Task::new("archive", OnPanic::Restart, move || {
        let site = site.clone();
        async move {
            run(&site).await;
            Ok(Wish::Nothing)
        }
    }))
}

async fn run(site: &Site) {
    let archive = Archive::of(&site.config.archive, &site.config.hub.name);
    let (Some(mut archive), Some(asker)) = (archive, &site.asker) else {
        return;
    };
    let mut failing = None;
    loop {
        // Two processes would write the same files.
        if site.sink.keeper().is_none() {
            tokio::time::sleep(LOOK_INTERVAL).await;
            continue;
        }
        match archive.round(asker, now()).await {
            Ok(n_days) => {
                failing = None;
                if n_days > 0 {
                    info!(n_days, "Wrote {n_days} days into the archive.");
                }
            }
            Err(cause) => {
                let cause = format!("{cause:#}");
                if failing.as_ref() != Some(&cause) {
                    error!("The archive (`archive.path`) cannot be written, trying again: {cause}");
                    failing = Some(cause);
                }
            }
        }
        tokio::time::sleep(ROUND_INTERVAL).await;
    }
}
