//! Keeps the snapshot true: asks the hub in turns, publishes what is new, and copes.
//!
//! One loop, one request at a time: the hub is one thread that also serves logins. Its JSON is
//! the business of `hub`, what is shown of it that of `metrics`.

pub mod clock;
mod journal;
mod pace;

use crate::config::HubConfig;
use crate::hub::{
    GroupPages, HubClient, HubError, HubInfo, HubNumbers, PageSize, UserWalk, WalkStep,
};
use crate::machine::Machine;
use crate::metrics::Published;
use crate::metrics::own::{Data, Own};
use clock::now;
use jiff::Timestamp;
use journal::Journal;
use model::attribution::RenamedPseudoGroup;
use model::last_seen::Seen;
use model::names::UserName;
use model::snapshot::{Dated, Server, Snapshot};
use pace::{Pace, Round};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Between two pages of the walk through the users, however fast the hub is.
const SHORTEST_REST: Duration = Duration::from_millis(20);

/// Before a hub is asked again that did not say what it is.
const INFO_AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Reads the hub for as long as it runs.
pub struct Poller {
    hub: HubClient,
    own: Arc<Own>,
    published: Arc<Published>,
    interval: Duration,
    users_interval: Duration,
    groups: GroupPages,
    users: UserWalk,
    /// The last complete list; in the snapshot once groups were read after it.
    walked: Option<Dated<Arc<[UserName]>>>,
    /// When the read of it began, and of the walk that is under way.
    walked_since: Option<Start>,
    walk_began: Option<Start>,
    users_walked: Option<Instant>,
    servers_size: PageSize,
    /// What the hub's own metrics are expected to begin with.
    metrics_prefix: String,
    snapshot: Snapshot,
    began: Starts,
    journal: Journal,
    /// Renamed pseudo groups that the log knows about.
    renames_told: HashSet<String>,
    listener: Option<Listener>,
    machine: Option<Machine>,
    info: Option<Arc<HubInfo>>,
    /// When the hub was last asked for that, and which of its processes.
    info_asked: Option<InfoAsked>,
}

/// A process of the hub's that was asked what it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct InfoAsked {
    hub_started: Option<Timestamp>,
    at: Instant,
}

/// What one turn of reads brought.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The present. A part that could not be read is as it was, with the time of that.
    pub snapshot: Snapshot,
    /// When the read of each part began.
    pub began: Starts,
    /// The hub's own numbers, if they were read in this turn, which is after its servers: whoever
    /// compares servers that went missing with the stops that were counted relies on it.
    pub numbers: Option<Dated<HubNumbers>>,
    /// What the hub says of itself, if it does.
    pub info: Option<Arc<HubInfo>>,
}

/// When the read began that brought a part, which says how old its news is at most: it was true
/// at some moment after. `None` for a part that this process did not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Starts {
    /// Of the groups.
    pub groups: Option<Start>,
    /// Of the users.
    pub users: Option<Start>,
    /// Of the active servers.
    pub servers: Option<Start>,
    /// Of the hub's own numbers.
    pub numbers: Option<Start>,
}

/// A moment, by the clock and by one that nobody sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// By the clock.
    pub at: Timestamp,
    /// To compare with other moments of this process.
    pub instant: Instant,
}

impl Start {
    fn now() -> Self {
        Self {
            at: now(),
            instant: Instant::now(),
        }
    }
}

/// Hears of every turn, also of one in which everything failed. Called where the poller works, so
/// it has to be quick.
pub type Listener = Box<dyn FnMut(Turn) + Send>;

impl Poller {
    /// A poller that goes on from what is published, so that a restart forgets nothing.
    pub fn new(
        config: &HubConfig,
        hub: HubClient,
        own: Arc<Own>,
        published: Arc<Published>,
    ) -> Self {
        let snapshot = published.snapshot();
        Self {
            hub,
            own,
            interval: config.interval(),
            users_interval: config.users_interval(),
            groups: GroupPages::default(),
            users: UserWalk::default(),
            walked: snapshot.users.clone(),
            walked_since: None,
            walk_began: None,
            users_walked: None,
            servers_size: PageSize::default(),
            metrics_prefix: "jupyterhub".to_owned(),
            snapshot,
            began: Starts::default(),
            published,
            journal: Journal::default(),
            renames_told: HashSet::new(),
            listener: None,
            machine: None,
            info: None,
            info_asked: None,
        }
    }

    /// The same, expecting the hub's own metrics to begin with this; else `jupyterhub`.
    #[must_use]
    pub fn with_metrics_prefix(self, prefix: &str) -> Self {
        Self {
            metrics_prefix: prefix.to_owned(),
            ..self
        }
    }

    /// The same, looking at what the hub runs in.
    #[must_use]
    pub fn with_machine(self, machine: Machine) -> Self {
        Self {
            machine: Some(machine),
            ..self
        }
    }

    /// The same, telling of each turn.
    #[must_use]
    pub fn with_listener(self, listener: Listener) -> Self {
        Self {
            listener: Some(listener),
            ..self
        }
    }

    /// Reads, publishes, waits, for ever.
    pub async fn run(mut self) {
        let mut pace = Pace::new(self.interval);
        loop {
            let started = Instant::now();
            let mut round = Round::default();
            self.turn(&mut round).await;
            let wait = pace.next(&round, started.elapsed());
            wait.over(self.published.news_wanted()).await;
        }
    }

    /// One round of reads; each keeps its last truth if it fails.
    ///
    /// Users are read before groups, and shown only once the groups were read after them: who is
    /// in the user list and in no group would otherwise be somebody whose groups are not known
    /// yet, and a member of a hidden group would be shown as being in none.
    async fn turn(&mut self, round: &mut Round) {
        if self.walked.is_none() {
            // The first walk through a large hub's users takes a while; groups are known now.
            self.read_groups(round).await;
            self.publish().await;
        }
        self.read_users(round).await;
        // If nobody is known and the groups were just read, they would be read in vain.
        if self.walked.is_some() {
            self.read_groups(round).await;
        }
        self.read_servers(round).await;
        let numbers = self.read_numbers(round).await;
        if let Some(numbers) = &numbers {
            let hub_started = numbers.value.hub_started;
            self.look_at_machine(hub_started);
            self.read_info(hub_started, round).await;
        }
        self.publish().await;
        if let Some(listener) = &mut self.listener {
            listener(Turn {
                snapshot: self.snapshot.clone(),
                began: self.began,
                numbers,
                info: self.info.clone(),
            });
        }
    }

    async fn read_groups(&mut self, round: &mut Round) {
        let users_before = self.walked.clone();
        let start = Start::now();
        let started = start.instant;
        let outcome = self.groups.read(&self.hub).await;
        round.hub_time += started.elapsed();
        match outcome {
            Ok(groups) => {
                let n_groups = groups.len();
                let known = self.snapshot.groups.as_ref();
                let is_news = known.is_none_or(|known| known.value != groups);
                self.snapshot.groups = Some(Dated {
                    value: groups,
                    at: now(),
                });
                self.snapshot.users = users_before;
                self.began.groups = Some(start);
                self.began.users = self.walked_since;
                self.complete(Data::Groups, started);
                let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
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
            }
            Err(error) => self.fail(Data::Groups, started, &error, round),
        }
    }

    /// Walks on through the users, a page at a time with pauses, until the list is complete or
    /// the time for the next round has come.
    async fn read_users(&mut self, round: &mut Round) {
        let is_stale = self
            .users_walked
            .is_some_and(|at| at.elapsed() >= self.users_interval);
        if is_stale {
            self.users.restart();
            self.users_walked = None;
            self.walk_began = None;
        }
        let round_ends = Instant::now() + self.interval;
        loop {
            let start = Start::now();
            let started = start.instant;
            let began = *self.walk_began.get_or_insert(start);
            let outcome = self.users.step(&self.hub, start.at).await;
            let hub_time = started.elapsed();
            round.hub_time += hub_time;
            match outcome {
                Ok(WalkStep::Underway) if Instant::now() < round_ends => {
                    // At most a fifth of the hub's time.
                    tokio::time::sleep((hub_time * 4).max(SHORTEST_REST)).await;
                }
                Ok(WalkStep::Underway) => return,
                Ok(step) => {
                    if let WalkStep::Complete(users) = step {
                        let n_users = users.len();
                        let seen = self.users.last_seen().clone();
                        let seen = seen.not_before(&self.snapshot.last_seen);
                        self.snapshot.last_seen = Arc::new(seen);
                        info!(n_users, "Know all {n_users} users of the hub.");
                        self.walked = Some(Dated {
                            value: users,
                            at: now(),
                        });
                        self.walked_since = Some(began);
                    } else {
                        self.saw_newest();
                        if let Some(users) = &mut self.walked {
                            users.at = now();
                            self.walked_since = Some(start);
                        }
                    }
                    // The next page tells whether the whole list is as it was.
                    self.walk_began = None;
                    self.users_walked.get_or_insert(started);
                    return self.complete(Data::Users, started);
                }
                Err(error) => return self.fail(Data::Users, started, &error, round),
            }
        }
    }

    async fn read_servers(&mut self, round: &mut Round) {
        let start = Start::now();
        let started = start.instant;
        let outcome = self.hub.active_servers(&mut self.servers_size).await;
        round.hub_time += started.elapsed();
        match outcome {
            Ok(servers) => {
                let n_servers = servers.len();
                self.saw_owners(&servers);
                self.snapshot.servers = Some(Dated {
                    value: servers.into(),
                    at: now(),
                });
                self.began.servers = Some(start);
                self.complete(Data::Servers, started);
                debug!(n_servers, "Read {n_servers} active servers.");
            }
            Err(error) => self.fail(Data::Servers, started, &error, round),
        }
    }

    /// Whoever uses a server is seen; the list of all users is read too rarely to tell.
    fn saw_owners(&mut self, servers: &[Server]) {
        let last_seen = Arc::make_mut(&mut self.snapshot.last_seen);
        for server in servers {
            if let Some(at) = server.last_activity {
                last_seen.tell(&server.user, Seen::At(at));
            }
        }
    }

    /// Who logs in for the first time was made a moment before, and did nothing until then.
    fn saw_newest(&mut self) {
        let newest = self.users.newest();
        let seen = newest.and_then(|user| self.users.last_seen().of(user));
        if let (Some(user), Some(seen)) = (newest, seen) {
            Arc::make_mut(&mut self.snapshot.last_seen).tell(user, seen);
        }
    }

    /// The hub's own metrics. A hub that just failed is not asked for them, too, unless it has
    /// answered since: they alone tell of a restart, after which servers may be missing, and a hub
    /// that is just starting often fails and answers within one turn.
    async fn read_numbers(&mut self, round: &mut Round) -> Option<Dated<HubNumbers>> {
        if round.has_failed() && self.own.last_error(Data::Servers).is_some() {
            return None;
        }
        let start = Start::now();
        let started = start.instant;
        let outcome = self.hub.numbers(&self.metrics_prefix).await;
        round.hub_time += started.elapsed();
        match outcome {
            Ok(numbers) => {
                let n_numbers = numbers.observations.len();
                self.complete(Data::Numbers, started);
                debug!(n_numbers, "Read {n_numbers} numbers of the hub's own.");
                self.began.numbers = Some(start);
                Some(Dated {
                    value: numbers,
                    at: now(),
                })
            }
            Err(error) => {
                self.fail(Data::Numbers, started, &error, round);
                None
            }
        }
    }

    /// A few small files of the system.
    fn look_at_machine(&mut self, hub_started: Option<Timestamp>) {
        if let Some(machine) = &mut self.machine {
            self.published.live().set_machine(machine.look(hub_started));
        }
    }

    /// What the hub says of itself, once for each of its processes: it names the classes of what is
    /// counted. Without the scope for it they are unknown, and nothing else suffers.
    async fn read_info(&mut self, hub_started: Option<Timestamp>, round: &mut Round) {
        let is_known = self.info_asked.is_some_and(|asked| {
            let is_recent = asked.at.elapsed() < INFO_AGAIN_AFTER;
            asked.hub_started == hub_started && (self.info.is_some() || is_recent)
        });
        if is_known {
            return;
        }
        let at = Instant::now();
        self.info_asked = Some(InfoAsked { hub_started, at });
        match self.hub.info().await {
            Ok(info) => self.info = Some(Arc::new(info)),
            Err(error) => debug!("The hub does not say what it is: {error}."),
        }
        round.hub_time += at.elapsed();
    }

    fn complete(&mut self, data: Data, started: Instant) {
        self.own.record_complete(data, started.elapsed(), now());
        self.journal.complete(data);
    }

    fn fail(&mut self, data: Data, started: Instant, error: &HubError, round: &mut Round) {
        self.own.record_failure(data, started.elapsed(), error);
        self.journal.failed(data, error);
        round.failed(data, error);
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

#[cfg(test)]
mod tests;
