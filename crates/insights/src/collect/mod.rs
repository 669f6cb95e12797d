//! From what the poller saw to rows of the history: every look is compared with the last one that
//! was kept.
//!
//! What was kept is the truth to compare with: a look that could not be written changes nothing,
//! and the next one brings its news too. How the hub is read is `poll`'s business, what follows
//! from facts the store's.

mod folder;
mod rows;

pub use folder::{HistoryError, existing, open, to_verify};

use crate::config::Config;
use crate::hub::{Number, api_numbers};
use crate::metrics::{self, Counting, HubCounts};
use crate::poll::{Start, Starts, Turn};
use jiff::{SignedDuration, Timestamp};
use model::attribution::Attribution;
use model::diff::{
    Look, StopCredit, gone_by_restart, membership_changes, n_gone, server_news, user_changes,
};
use model::fact::KeyedFact;
use model::session::LONGEST_RESTART;
use model::snapshot::{Dated, Group, Snapshot};
pub(crate) use rows::observation;
use rows::{Seen, Why};
use std::sync::Arc;
use std::time::Duration;
use store::{Intake, Keeper, Position, Present, PresentChange, StoreError};
use tokio::time::Instant;
use tracing::{debug, error, info};

/// Looks this much further apart than configured leave open what happened in between.
const WATCH_SLACK: SignedDuration = SignedDuration::from_mins(2);
/// Hub-wide numbers are kept at most this often.
const NUMBERS_EVERY: Duration = Duration::from_secs(55);
/// A clock that is set back by less is waited for.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_hours(24);
/// Under which name the filter of groups is kept, to tell hidden groups from deleted ones.
const FILTER: &str = "groups filter";

/// `docs/history.md`: what is kept and how to use it, with the tables as they are defined.
pub fn page() -> String {
    format!("{}{}", include_str!("history.md"), store::schema_markdown())
}

/// Compares looks and writes down what differs.
pub struct Collector {
    keeper: Keeper,
    hub: Arc<str>,
    zone: jiff::tz::TimeZone,
    watch_limit: SignedDuration,
    attribution: Attribution,
    filter: String,
    is_same_filter: bool,
    kept: Present,
    /// When this process became the one that keeps the hub. What it read before may be older than
    /// what the process before it kept.
    since: Instant,
    /// The reads of which the rows are kept.
    taken: Starts,
    /// The reads of which the numbers are kept.
    numbers_kept: Starts,
    counting: Arc<Counting>,
    /// What was counted of the hub's own counts.
    hub_counts: HubCounts,
    is_failing: bool,
}

/// What a turn brought beside what was kept: nothing of it counts before it is written.
struct News {
    intake: Intake,
    present: Present,
    numbers_kept: Starts,
    hub_counts: HubCounts,
    has_groups: bool,
}

impl Collector {
    /// Goes on from what was kept last.
    pub async fn new(keeper: Keeper, config: &Config) -> Result<Self, StoreError> {
        let since = Instant::now();
        let kept = keeper.present().await?;
        let filter = format!("{:?} {:?}", config.groups.allowed, config.groups.denied);
        let known_filter = keeper.position(FILTER).await?;
        let interval =
            SignedDuration::try_from(config.hub.interval()).unwrap_or(SignedDuration::MAX);
        Ok(Self {
            hub: config.hub.name.as_str().into(),
            zone: config.hub.time_zone(),
            // A slow hub is asked less often by itself, and one failed look is no gap.
            watch_limit: interval.saturating_mul(3).saturating_add(WATCH_SLACK),
            attribution: config.attribution(),
            is_same_filter: known_filter.is_none_or(|known| known == filter),
            filter,
            kept,
            since,
            taken: Starts::default(),
            numbers_kept: Starts::default(),
            counting: Arc::new(Counting::new(config.metrics.naming())),
            hub_counts: Counting::hub_counts(&keeper).await?,
            is_failing: false,
            keeper,
        })
    }

    /// The same, deciding together with whoever takes events what counts.
    #[must_use]
    pub fn counting_with(self, counting: Arc<Counting>) -> Self {
        Self { counting, ..self }
    }

    /// Writes down what a turn of the poller brought. If that fails, the next turn brings it.
    pub async fn take(&mut self, turn: &Turn) {
        let outcome = self.try_take(turn).await;
        self.tell(outcome);
    }

    /// Whether servers were read before this process kept the hub, so that it takes nothing of them.
    pub fn is_too_early(&self, turn: &Turn) -> bool {
        let began = turn.began.servers;
        began.is_some_and(|began| began.instant < self.since)
    }

    fn tell(&mut self, outcome: Result<(), StoreError>) {
        match outcome {
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                info!("What the hub says is written down again.");
            }
            Ok(()) => {}
            // The keeper says what holds it up.
            Err(error) if error.is_busy() => {
                debug!("What the hub says waits for the next look: {error}.");
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let cause = anyhow::Error::from(error);
                    error!(
                        "Could not write down what the hub says; trying again with each look: {cause:#}"
                    );
                }
            }
        }
    }

    async fn try_take(&mut self, turn: &Turn) -> Result<(), StoreError> {
        let gone_by_restart = self.gone_by_restart(turn).await?;
        let mut news = self.compare(turn)?;
        let poll: Arc<str> = "poll".into();
        for fact in &gone_by_restart {
            news.intake
                .event(&store::event_of(&self.hub, &poll, fact))?;
        }
        if !news.intake.is_empty() {
            self.keeper.take(news.intake).await?;
        }
        self.kept = news.present;
        self.numbers_kept = news.numbers_kept;
        self.hub_counts = news.hub_counts;
        self.is_same_filter |= news.has_groups;
        self.taken = turn.began;
        Ok(())
    }

    fn compare(&self, turn: &Turn) -> Result<News, StoreError> {
        let mut intake = Intake::default();
        let mut present = self.kept.clone();
        let has_groups = self.groups(turn, &mut present, &mut intake)?;
        self.users(turn, &mut present, &mut intake)?;
        self.servers(turn, &mut present, &mut intake)?;
        let numbers_kept = self.numbers(turn, &mut intake)?;
        let hub_counts = self.count(turn, &mut intake)?;
        Ok(News {
            intake,
            present,
            numbers_kept,
            hub_counts,
            has_groups,
        })
    }

    /// The part, if it was read since this process keeps the hub, and since it was kept last.
    ///
    /// By a clock that nobody sets: the time of day may be set back.
    fn fresh<'a, T>(
        &self,
        read: Option<&'a Dated<T>>,
        began: Option<Start>,
        taken: Option<Start>,
    ) -> Option<&'a Dated<T>> {
        let began = began.filter(|began| began.instant >= self.since)?;
        read.filter(|_| taken.is_none_or(|taken| taken.instant < began.instant))
    }

    /// Gives whether groups were read.
    fn groups(
        &self,
        turn: &Turn,
        next: &mut Present,
        intake: &mut Intake,
    ) -> Result<bool, StoreError> {
        let groups = turn.snapshot.groups.as_ref();
        let Some(read) = self.fresh(groups, turn.began.groups, self.taken.groups) else {
            return Ok(false);
        };
        let visible: Arc<[Group]> = read
            .value
            .iter()
            .filter(|group| self.attribution.filter.allows(&group.name))
            .cloned()
            .collect();
        let before = self.kept.groups.as_ref();
        let changes = membership_changes(before.map(|groups| &*groups.value), &visible);
        let at = in_order(read.at, before.map(|groups| groups.at));
        let seen = Seen {
            hub: &self.hub,
            at,
            not_before: before.map(|groups| groups.at),
        };
        for change in &changes {
            let why = self.why(change, before, &visible, &read.value);
            intake.row(&seen.membership(change, why), Some(&change.user))?;
        }
        if !self.is_same_filter || before.is_none() {
            intake.position(Position {
                source: FILTER.to_owned(),
                value: self.filter.clone(),
            });
        }
        let groups = Dated { value: visible, at };
        intake.present(PresentChange::Groups(groups.clone(), changes));
        next.groups = Some(groups);
        Ok(true)
    }

    /// What kind of change it is, beside somebody joining or leaving.
    fn why(
        &self,
        change: &model::diff::MembershipChange,
        before: Option<&Dated<Arc<[Group]>>>,
        visible: &[Group],
        all: &[Group],
    ) -> Why {
        let is_in = |groups: &[Group]| groups.iter().any(|group| group.name == change.group);
        match change.change {
            model::diff::Move::Left if is_in(visible) => Why::Ordinary,
            model::diff::Move::Left if is_in(all) => Why::NotCollected,
            model::diff::Move::Left => Why::GroupDeleted,
            // The group may have been there all the time, hidden by another filter.
            model::diff::Move::Joined
                if !self.is_same_filter && before.is_some_and(|before| !is_in(&before.value)) =>
            {
                Why::NewlyCollected
            }
            model::diff::Move::Joined => Why::Ordinary,
        }
    }

    fn users(
        &self,
        turn: &Turn,
        next: &mut Present,
        intake: &mut Intake,
    ) -> Result<(), StoreError> {
        let users = turn.snapshot.users.as_ref();
        let Some(read) = self.fresh(users, turn.began.users, self.taken.users) else {
            return Ok(());
        };
        let before = self.kept.users.as_ref();
        let changes = user_changes(before.map(|users| &*users.value), &read.value);
        let at = in_order(read.at, before.map(|users| users.at));
        let seen = Seen {
            hub: &self.hub,
            at,
            not_before: before.map(|users| users.at),
        };
        for change in &changes {
            intake.event(&seen.user(change))?;
        }
        let users = Dated {
            value: Arc::clone(&read.value),
            at,
        };
        intake.present(PresentChange::Users(users.clone(), changes));
        next.users = Some(users);
        Ok(())
    }

    fn servers(
        &self,
        turn: &Turn,
        next: &mut Present,
        intake: &mut Intake,
    ) -> Result<(), StoreError> {
        let (servers, began) = (turn.snapshot.servers.as_ref(), turn.began.servers);
        let Some(read) = self.fresh(servers, began, self.taken.servers) else {
            return Ok(());
        };
        let before = self
            .kept
            .servers
            .as_ref()
            .map_or(&[][..], |servers| &servers.value);
        let numbers = turn.numbers.as_ref().map(|numbers| &numbers.value);
        let hub_started = hub_started(turn);
        let mut stops: StopCredit = self.kept.stops.clone();
        let counter = numbers.and_then(|numbers| numbers.stops);
        let evidence = stops.advance(counter, hub_started, n_gone(before, &read.value));
        let last_poll = self.kept.servers.as_ref().map(|servers| servers.at);
        let look = Look {
            began: whole_micros(began.map_or(read.at, |began| began.at)),
            at: whole_micros(read.at),
            watch_limit: self.watch_limit,
            hub_started: self.kept.stops.hub_started(hub_started, last_poll),
            stops: evidence,
            zone: self.zone.clone(),
        };
        let news = server_news(before, &read.value, &look);
        let poll: Arc<str> = "poll".into();
        for fact in &news.facts {
            intake.event(&store::event_of(&self.hub, &poll, fact))?;
        }
        let servers = Dated {
            value: news.running,
            at: read.at,
        };
        intake.present(PresentChange::Servers(servers.clone(), stops.clone()));
        next.servers = Some(servers);
        next.stops = stops;
        Ok(())
    }

    /// Servers that were missed while the hub shut down, if this turn sees another process of it.
    async fn gone_by_restart(&self, turn: &Turn) -> Result<Vec<KeyedFact>, StoreError> {
        let servers = turn.snapshot.servers.as_ref();
        let is_fresh = self.fresh(servers, turn.began.servers, self.taken.servers);
        let (before, told) = (&self.kept.stops, hub_started(turn));
        let is_another =
            before.hub_started.is_some() && told.is_some() && before.hub_started != told;
        if is_fresh.is_none() || !is_another {
            return Ok(Vec::new());
        }
        let last_poll = self.kept.servers.as_ref().map(|servers| servers.at);
        let Some(restarted) = before.hub_started(told, last_poll) else {
            return Ok(Vec::new());
        };
        let from = restarted
            .saturating_sub(LONGEST_RESTART)
            .unwrap_or(Timestamp::MIN);
        // What the last look of the process before missed. After an earlier one it went on, so that
        // it was not shutting down then.
        let from = last_poll.map_or(from, |at| from.max(whole_micros(at)));
        let facts = self.keeper.facts_since(from).await?;
        Ok(gone_by_restart(&facts, restarted))
    }

    /// Gives of which reads numbers are kept, this turn included.
    fn numbers(&self, turn: &Turn, intake: &mut Intake) -> Result<Starts, StoreError> {
        let (
            Snapshot {
                groups,
                users,
                servers,
                ..
            },
            began,
        ) = (turn.snapshot.clone(), &turn.began);
        let mut kept = self.numbers_kept;
        if self.are_numbers_due(began.groups, &mut kept.groups) {
            let at = groups.as_ref().map(|groups| groups.at);
            let of = Snapshot {
                groups,
                ..Snapshot::default()
            };
            self.observe(&api_numbers(&of), at, intake)?;
        }
        if self.are_numbers_due(began.users, &mut kept.users) {
            let at = users.as_ref().map(|users| users.at);
            let of = Snapshot {
                users,
                ..Snapshot::default()
            };
            self.observe(&api_numbers(&of), at, intake)?;
        }
        if self.are_numbers_due(began.servers, &mut kept.servers) {
            let at = servers.as_ref().map(|servers| servers.at);
            let of = Snapshot {
                servers,
                ..Snapshot::default()
            };
            self.observe(&api_numbers(&of), at, intake)?;
        }
        if let Some(numbers) = &turn.numbers
            && self.are_numbers_due(began.numbers, &mut kept.numbers)
        {
            self.observe(&numbers.value.observations, Some(numbers.at), intake)?;
        }
        Ok(kept)
    }

    /// Gives what is counted of the hub's own counts, this turn included.
    fn count(&self, turn: &Turn, intake: &mut Intake) -> Result<HubCounts, StoreError> {
        let mut hub_counts = self.hub_counts.clone();
        let is_ours = turn
            .began
            .numbers
            .is_some_and(|began| began.instant >= self.since);
        if let Some(numbers) = turn.numbers.as_ref().filter(|_| is_ours) {
            let look = metrics::Look {
                at: whole_micros(numbers.at),
                started: hub_started(turn),
                counts: &numbers.value.counts,
                info: turn.info.as_deref(),
            };
            self.counting.add_look(intake, &mut hub_counts, &look)?;
        }
        Ok(hub_counts)
    }

    /// Whether the numbers of a read are to be kept; then they are the last ones.
    fn are_numbers_due(&self, began: Option<Start>, kept: &mut Option<Start>) -> bool {
        let is_due = began.is_some_and(|began| {
            let since_kept = kept.map(|kept| began.instant.duration_since(kept.instant));
            began.instant >= self.since && since_kept.is_none_or(|since| since >= NUMBERS_EVERY)
        });
        if is_due {
            *kept = began;
        }
        is_due
    }

    fn observe(
        &self,
        numbers: &[Number],
        at: Option<Timestamp>,
        intake: &mut Intake,
    ) -> Result<(), StoreError> {
        let Some(at) = at else { return Ok(()) };
        let seen = Seen {
            hub: &self.hub,
            at: whole_micros(at),
            not_before: None,
        };
        for number in numbers {
            intake.row(&seen.observation(number), None)?;
        }
        Ok(())
    }
}

/// What was known when the last process ended, as a snapshot with the times it was read.
pub fn snapshot_of(present: &Present) -> Snapshot {
    let servers = present.servers.as_ref().map(|servers| Dated {
        at: servers.at,
        value: servers.value.iter().map(rows::server_of).collect(),
    });
    Snapshot {
        groups: present.groups.clone(),
        users: present.users.clone(),
        servers,
        ..Snapshot::default()
    }
}

/// When the hub's process started, as it says itself.
fn hub_started(turn: &Turn) -> Option<Timestamp> {
    let numbers = turn.numbers.as_ref();
    numbers
        .and_then(|numbers| numbers.value.hub_started)
        .map(whole_micros)
}

/// The time of a look as changes are dated by it: after the last one, so that their order is that
/// of the looks also when the clock was set back: of two rows about one membership the later one
/// counts. A clock that went wrong by more than a day is not waited for.
fn in_order(at: Timestamp, before: Option<Timestamp>) -> Timestamp {
    let at = whole_micros(at);
    let Some(before) = before.filter(|before| before.duration_since(at) < CLOCK_SLACK) else {
        return at;
    };
    let next = before.checked_add(SignedDuration::from_micros(1));
    at.max(next.unwrap_or(before))
}

/// Tables hold microseconds; a finer time would differ from itself after a restart.
fn whole_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests;
