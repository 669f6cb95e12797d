//! From what the poller saw to rows of the history: every look is compared with the last one that
//! was kept.
//!
//! What was kept is the truth to compare with: a look that could not be written changes nothing,
//! and the next one brings its news too. How the hub is read is `poll`'s business, what follows
//! from facts the store's.

mod folder;
mod rows;

pub use folder::{HistoryError, existing, open};

use crate::config::Config;
use crate::poll::Turn;
use crate::poll::clock::now;
use jiff::{SignedDuration, Timestamp};
use model::attribution::Attribution;
use model::diff::{Look, StopCredit, membership_changes, n_gone, server_news, user_changes};
use model::snapshot::{Dated, Group, Snapshot};
use rows::{News, Why};
use std::sync::Arc;
use store::{Intake, Keeper, Position, Present, PresentChange, StoreError};
use tracing::{error, info};

/// Looks this much further apart than configured leave open what happened in between.
const WATCH_SLACK: SignedDuration = SignedDuration::from_mins(2);
/// Hub-wide numbers are kept at most this often.
const NUMBERS_EVERY: SignedDuration = SignedDuration::from_secs(55);
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
    numbers_kept: Option<Timestamp>,
    is_failing: bool,
    passed_over: PassedOver,
}

/// When the parts of a turn were read that must not be taken.
#[derive(Clone, Copy, Debug, Default)]
struct PassedOver {
    groups: Option<Timestamp>,
    users: Option<Timestamp>,
    servers: Option<Timestamp>,
}

impl Collector {
    /// Goes on from what was kept last.
    pub async fn new(keeper: Keeper, config: &Config) -> Result<Self, StoreError> {
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
            numbers_kept: None,
            is_failing: false,
            passed_over: PassedOver::default(),
            keeper,
        })
    }

    /// Leaves out what this turn brought, also where later turns bring it again because they could
    /// not read it: another process kept the history then, and what it wrote may be newer.
    pub fn pass_over(&mut self, turn: &Turn) {
        let snapshot = &turn.snapshot;
        self.passed_over = PassedOver {
            groups: snapshot.groups.as_ref().map(|part| part.at),
            users: snapshot.users.as_ref().map(|part| part.at),
            servers: snapshot.servers.as_ref().map(|part| part.at),
        };
    }

    /// Writes down what a turn of the poller brought. If that fails, the next turn brings it.
    pub async fn take(&mut self, turn: &Turn) {
        match self.try_take(turn).await {
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                info!("What the hub says is written down again.");
            }
            Ok(()) => {}
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
        let mut intake = Intake::default();
        let mut next = self.kept.clone();
        self.groups(turn, &mut next, &mut intake)?;
        self.users(turn, &mut next, &mut intake)?;
        self.servers(turn, &mut next, &mut intake)?;
        let numbers_kept = self.numbers(turn, &mut intake)?;
        if !intake.is_empty() {
            self.keeper.take(intake).await?;
        }
        self.kept = next;
        self.numbers_kept = numbers_kept;
        Ok(())
    }

    fn groups(
        &mut self,
        turn: &Turn,
        next: &mut Present,
        intake: &mut Intake,
    ) -> Result<(), StoreError> {
        let groups = fresh(turn.snapshot.groups.as_ref(), self.passed_over.groups);
        let Some(read) = newer(groups, self.kept.groups.as_ref()) else {
            return Ok(());
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
        let news = News {
            hub: &self.hub,
            at,
            not_before: before.map(|groups| groups.at),
        };
        for change in &changes {
            let why = self.why(change, before, &visible, &read.value);
            intake.row(&news.membership(change, why), Some(&change.user))?;
        }
        if !self.is_same_filter || before.is_none() {
            intake.position(Position {
                source: FILTER.to_owned(),
                value: self.filter.clone(),
            });
            self.is_same_filter = true;
        }
        let groups = Dated { value: visible, at };
        intake.present(PresentChange::Groups(groups.clone(), changes));
        next.groups = Some(groups);
        Ok(())
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
        let users = fresh(turn.snapshot.users.as_ref(), self.passed_over.users);
        let Some(read) = newer(users, self.kept.users.as_ref()) else {
            return Ok(());
        };
        let before = self.kept.users.as_ref();
        let changes = user_changes(before.map(|users| &*users.value), &read.value);
        let at = in_order(read.at, before.map(|users| users.at));
        let news = News {
            hub: &self.hub,
            at,
            not_before: before.map(|users| users.at),
        };
        for change in &changes {
            intake.event(&news.user(change))?;
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
        let servers = fresh(turn.snapshot.servers.as_ref(), self.passed_over.servers);
        let Some(read) = newer(servers, self.kept.servers.as_ref()) else {
            return Ok(());
        };
        let before = self
            .kept
            .servers
            .as_ref()
            .map_or(&[][..], |servers| &servers.value);
        let numbers = turn.numbers.as_ref().map(|numbers| &numbers.value);
        let hub_started = numbers
            .and_then(|numbers| numbers.hub_started)
            .map(whole_micros);
        let mut stops: StopCredit = self.kept.stops.clone();
        let counter = numbers.and_then(|numbers| numbers.stops);
        let evidence = stops.advance(counter, hub_started, n_gone(before, &read.value));
        let last_poll = self.kept.servers.as_ref().map(|servers| servers.at);
        let look = Look {
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

    /// Gives when numbers were kept last, this turn included.
    fn numbers(&self, turn: &Turn, intake: &mut Intake) -> Result<Option<Timestamp>, StoreError> {
        let at = now();
        let is_due = self
            .numbers_kept
            .is_none_or(|kept| at.duration_since(kept).abs() >= NUMBERS_EVERY);
        if !is_due {
            return Ok(self.numbers_kept);
        }
        let news = News {
            hub: &self.hub,
            at: whole_micros(at),
            not_before: None,
        };
        for number in crate::hub::api_numbers(&turn.snapshot) {
            intake.row(&news.observation(&number), None)?;
        }
        if let Some(numbers) = &turn.numbers {
            for number in &numbers.value.observations {
                intake.row(&news.observation(number), None)?;
            }
        }
        Ok(Some(at))
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
    }
}

/// What was read, unless it is what was passed over.
fn fresh<T>(read: Option<&Dated<T>>, passed_over: Option<Timestamp>) -> Option<&Dated<T>> {
    read.filter(|read| passed_over != Some(read.at))
}

/// The time of a look as changes are dated by it: after the last one, so that their order is that
/// of the looks also when the clock was set back. One that went wrong by more than a day is not
/// waited for.
fn in_order(at: Timestamp, before: Option<Timestamp>) -> Timestamp {
    let Some(before) = before.filter(|before| before.duration_since(at) < CLOCK_SLACK) else {
        return at;
    };
    let next = before.checked_add(SignedDuration::from_micros(1));
    at.max(next.unwrap_or(before))
}

/// What was read, if it is newer than what was kept.
fn newer<'a, T, U>(read: Option<&'a Dated<T>>, kept: Option<&Dated<U>>) -> Option<&'a Dated<T>> {
    // A clock that was set back must not stop the collecting.
    read.filter(|read| kept.is_none_or(|kept| kept.at != read.at))
}

/// Tables hold microseconds; a finer time would differ from itself after a restart.
fn whole_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests;
