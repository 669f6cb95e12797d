//! Keeps the snapshot true: asks the hub in turns, publishes what is new, and copes.
//!
//! One loop, one request at a time: the hub is one thread that also serves logins. Its JSON is
//! the business of `hub`, what is shown of it that of `metrics`.

pub mod clock;
mod journal;
mod pace;

use crate::config::HubConfig;
use crate::hub::{GroupPages, HubClient, HubError, PageSize, UserWalk, WalkStep};
use crate::metrics::Published;
use crate::metrics::own::{Data, Own};
use clock::now;
use journal::Journal;
use model::attribution::RenamedPseudoGroup;
use model::snapshot::{Dated, Snapshot};
use pace::Pace;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// Reads the hub for as long as it runs.
pub struct Poller {
    hub: HubClient,
    own: Arc<Own>,
    published: Arc<Published>,
    interval: Duration,
    users_interval: Duration,
    groups: GroupPages,
    users: UserWalk,
    users_walked: Option<Instant>,
    servers_size: PageSize,
    snapshot: Snapshot,
    journal: Journal,
    /// Renamed pseudo groups that the log knows about.
    renames_told: HashSet<String>,
}

impl Poller {
    /// A poller that goes on from what is published, so that a restart forgets nothing.
    pub fn new(
        config: &HubConfig,
        hub: HubClient,
        own: Arc<Own>,
        published: Arc<Published>,
    ) -> Self {
        Self {
            hub,
            own,
            interval: config.interval(),
            users_interval: config.users_interval(),
            groups: GroupPages::default(),
            users: UserWalk::default(),
            users_walked: None,
            servers_size: PageSize::default(),
            snapshot: published.snapshot(),
            published,
            journal: Journal::default(),
            renames_told: HashSet::new(),
        }
    }

    /// Reads, publishes, waits, for ever.
    pub async fn run(mut self) {
        let mut pace = Pace::new(self.interval);
        loop {
            let started = Instant::now();
            let outcome = self.turn().await;
            tokio::time::sleep(pace.next(outcome, started.elapsed())).await;
        }
    }

    /// One round of reads; each keeps its last truth if it fails.
    async fn turn(&mut self) -> pace::Outcome {
        let groups_are_read = self.read_groups().await;
        if self.snapshot.users.is_none() {
            // The first walk through a large hub's users takes a while; groups are known now.
            self.publish().await;
        }
        let users_are_read = self.read_users().await;
        let servers_are_read = self.read_servers().await;
        self.publish().await;
        if groups_are_read && users_are_read && servers_are_read {
            pace::Outcome::Complete
        } else {
            pace::Outcome::Failed
        }
    }

    async fn read_groups(&mut self) -> bool {
        let started = Instant::now();
        match self.groups.read(&self.hub).await {
            Ok(groups) => {
                let n_groups = groups.len();
                let is_news = self
                    .snapshot
                    .groups
                    .as_ref()
                    .is_none_or(|known| known.value != groups);
                self.snapshot.groups = Some(Dated {
                    value: groups,
                    at: now(),
                });
                self.complete(Data::Groups, started);
                let duration_ms = started.elapsed().as_millis();
                if is_news {
                    info!(
                        n_groups,
                        duration_ms, "Read {n_groups} groups in {duration_ms} ms."
                    );
                } else {
                    debug!(
                        n_groups,
                        duration_ms, "Read {n_groups} groups: nothing changed."
                    );
                }
                true
            }
            Err(error) => self.fail(Data::Groups, started, &error),
        }
    }

    /// Walks on through the users, a page at a time with pauses, until the list is complete or
    /// the time for the next round has come.
    async fn read_users(&mut self) -> bool {
        let is_stale = self
            .users_walked
            .is_some_and(|at| at.elapsed() >= self.users_interval);
        if is_stale {
            self.users.restart();
            self.users_walked = None;
        }
        let round_ends = Instant::now() + self.interval;
        loop {
            let started = Instant::now();
            match self.users.step(&self.hub).await {
                Ok(WalkStep::Underway) if Instant::now() < round_ends => {
                    // At most a fifth of the hub's time.
                    let pause = (started.elapsed() * 4).max(Duration::from_millis(20));
                    tokio::time::sleep(pause).await;
                }
                Ok(WalkStep::Underway) => return true,
                Ok(step) => {
                    if let WalkStep::Complete(users) = step {
                        let n_users = users.len();
                        info!(n_users, "Know all {n_users} users of the hub.");
                        self.snapshot.users = Some(Dated {
                            value: users,
                            at: now(),
                        });
                    } else if let Some(users) = &mut self.snapshot.users {
                        users.at = now();
                    }
                    self.users_walked.get_or_insert(started);
                    self.complete(Data::Users, started);
                    return true;
                }
                Err(error) => return self.fail(Data::Users, started, &error),
            }
        }
    }

    async fn read_servers(&mut self) -> bool {
        let started = Instant::now();
        match self.hub.active_servers(&mut self.servers_size).await {
            Ok(servers) => {
                let n_servers = servers.len();
                self.snapshot.servers = Some(Dated {
                    value: servers.into(),
                    at: now(),
                });
                self.complete(Data::Servers, started);
                debug!(n_servers, "Read {n_servers} active servers.");
                true
            }
            Err(error) => self.fail(Data::Servers, started, &error),
        }
    }

    fn complete(&mut self, data: Data, started: Instant) {
        self.own.record_complete(data, started.elapsed(), now());
        self.journal.complete(data);
    }

    fn fail(&mut self, data: Data, started: Instant, error: &HubError) -> bool {
        self.own.record_failure(data, started.elapsed(), error);
        self.journal.failed(data, error);
        false
    }

    /// Writes the metrics on a thread where that may take its time.
    async fn publish(&mut self) {
        let published = Arc::clone(&self.published);
        let snapshot = self.snapshot.clone();
        let written = tokio::task::spawn_blocking(move || published.publish(&snapshot)).await;
        match written {
            Ok(renamed) => self.tell_renamed(&renamed),
            // Goes on as our own panic: counted and restarted.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
        self.own.set_series(self.published.n_series());
    }

    fn tell_renamed(&mut self, renamed: &[RenamedPseudoGroup]) {
        for RenamedPseudoGroup { taken, instead } in renamed {
            if self.renames_told.insert(taken.to_string()) {
                warn!(
                    group.name = %taken,
                    "The hub has a group called `{taken}`, so the pseudo group of that name is \
                     exported as `{instead}`."
                );
            }
        }
    }
}
