//! The task that keeps the history: takes the folder's lock, collects, and looks after the tables.

use super::tasks::{OnPanic, Task, Wish};
use crate::collect::{self, Collector};
use crate::config::{Config, RetentionConfig};
use crate::metrics::active_users;
use crate::metrics::own::Data;
use crate::poll::Turn;
use crate::poll::clock::now;
use crate::web::Site;
use jiff::{SignedDuration, Timestamp};
use model::snapshot::Snapshot;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Engine, EngineSettings, Keeper, KeeperSettings, Retention, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Between two counts of active users, and before the first: whoever starts has other things to do.
const COUNT_EVERY: Duration = Duration::from_mins(10);
const FIRST_COUNT_AFTER: Duration = Duration::from_mins(1);
/// Between two tries for a lock that another process holds.
const LOCK_PAUSE: Duration = Duration::from_secs(1);
/// Turns of the poller that wait while one is written down; each later one knows all that the
/// ones before did.
pub(super) const TURNS: usize = 4;

/// How this hub's history is kept.
pub fn keeper_settings(config: &Config) -> KeeperSettings {
    let hub = config.hub.name.as_str().into();
    KeeperSettings {
        retention: retention(&config.retention),
        flush_interval: config.store.flush_interval(),
        series: config.metrics.series(),
        ..KeeperSettings::new(hub, config.hub.time_zone(), now)
    }
}

fn retention(config: &RetentionConfig) -> Retention {
    let days = |days: u64| {
        i64::try_from(days)
            .ok()
            .map(|days| SignedDuration::from_hours(24 * days))
    };
    let or_for_ever = |kept: Option<SignedDuration>| kept.filter(|kept| !kept.is_zero());
    Retention {
        events: or_for_ever(days(config.events_days)),
        addresses: days(config.addresses_days),
        dead_letters: days(config.dead_letters_days),
        audit: or_for_ever(days(config.audit_days)),
        observations_by_minute: days(config.observations_minutes_days),
    }
}

/// Collects into the store for as long as the service runs. The writer is what everything else
/// relies on: its bug ends the process.
pub(super) fn task(
    site: &Site,
    store: Store,
    turns: mpsc::Receiver<Turn>,
    stopping: &CancellationToken,
) -> Task {
    let (site, stopping) = (site.clone(), stopping.clone());
    let turns = Mutex::new(Some(turns));
    Task::new("history", OnPanic::End, move || {
        let (site, store, stopping) = (site.clone(), store.clone(), stopping.clone());
        let turns = turns.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let mut turns = turns.ok_or_else(|| anyhow::anyhow!("the history runs once"))?;
            let Some(keeper) = lock(&site.config, &store, &stopping, &mut turns).await? else {
                return Ok(Wish::Nothing);
            };
            let counting = Arc::clone(&site.counting);
            counting.restore(&keeper).await?;
            let collector = Collector::new(keeper.clone(), &site.config).await?;
            let mut collector = collector.counting_with(counting);
            site.published.live().show_counts_of(keeper.clone());
            site.sink.open(keeper.clone()).await?;
            site.usage.open(keeper.clone());
            let collecting = async {
                while let Some(turn) = turns.recv().await {
                    site.sink.sources().started(last_start(&turn));
                    collector.take(&turn).await;
                    // At a start the hub may answer sooner than the history is open: it is read again
                    // soon, not a whole interval later.
                    if collector.is_too_early(&turn) {
                        site.published.want_news();
                    }
                }
                // The poller stops at once; the keeper has the last rows to move before it does.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = keeper.run(stopping.cancelled_owned()) => {}
                () = collecting => {}
                () = count_active_users(&site, &store) => {}
            }
            site.sink.close().await;
            site.usage.close();
            site.published.live().close();
            Ok(Wish::Nothing)
        }
    })
}

/// Counts them every now and then, for ever. A figure that cannot be counted stays as it was.
async fn count_active_users(site: &Site, store: &Store) {
    let mut pause = FIRST_COUNT_AFTER;
    let mut is_failing = false;
    loop {
        tokio::time::sleep(pause).await;
        pause = COUNT_EVERY;
        // Made anew each time: an engine that is used every ten minutes would hold its memory.
        let engine = Engine::new(EngineSettings::new(store.folder().temporary()));
        let hub = &site.config.hub.name;
        match active_users::count(store, &engine, hub, now()).await {
            Ok(active_users) => {
                is_failing = false;
                site.published.live().set_active_users(active_users);
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    let cause = anyhow::Error::from(error);
                    warn!("Active users cannot be counted; trying again: {cause:#}");
                }
            }
        }
    }
}

/// When the youngest server that is ready started.
fn last_start(turn: &Turn) -> Option<Timestamp> {
    let servers = turn.snapshot.servers.as_ref()?.value.iter();
    let ready = servers.filter(|server| server.ready);
    ready.filter_map(|server| server.started).max()
}

/// Waits until this process keeps the hub's history; `None` if the service stops before.
async fn lock(
    config: &Config,
    store: &Store,
    stopping: &CancellationToken,
    turns: &mut mpsc::Receiver<Turn>,
) -> anyhow::Result<Option<Keeper>> {
    let mut is_told = false;
    loop {
        if let Some(keeper) = store.try_keep(keeper_settings(config)).await? {
            if is_told {
                info!("The other process is gone: this one keeps the history now.");
            }
            return Ok(Some(keeper));
        }
        if !std::mem::replace(&mut is_told, true) {
            let (hub, path) = (&config.hub.name, store.folder().root().display());
            warn!(
                "Another process keeps the history of `{hub}` in `{path}`; this one waits until it is gone."
            );
        }
        // What the poller saw meanwhile is the other process's to write down.
        while turns.try_recv().is_ok() {}
        tokio::select! {
            () = tokio::time::sleep(LOCK_PAUSE) => {}
            () = stopping.cancelled() => return Ok(None),
        }
    }
}

/// Shows what was known when the last process ended, with its age, until the hub has answered.
pub(super) async fn restore(site: &Site, store: &Store) {
    let present = match store.present(&site.config.hub.name).await {
        Ok(present) => present,
        Err(error) => {
            let cause = anyhow::Error::from(error);
            warn!("What was known before this start cannot be read: {cause:#}");
            return;
        }
    };
    let restored = collect::snapshot_of(&present);
    let times = [
        (Data::Groups, restored.groups.as_ref().map(|part| part.at)),
        (Data::Users, restored.users.as_ref().map(|part| part.at)),
        (Data::Servers, restored.servers.as_ref().map(|part| part.at)),
    ];
    for (data, at) in times {
        if let Some(at) = at {
            site.own.restore(data, at);
        }
    }
    if restored != Snapshot::default() {
        site.published.publish(&restored);
    }
}

/// Hands the poller's turns to the collector; one that finds no room is left out.
pub(super) fn listener(sender: mpsc::Sender<Turn>) -> crate::poll::Listener {
    Box::new(move |turn| {
        // The next turn brings what this one would have.
        let _ = sender.try_send(turn);
    })
}
