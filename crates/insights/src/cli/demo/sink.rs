//! Where the demo's history goes: straight into the tables, a commit per chunk.

use crate::sim::World;
use crate::sim::history::{History, HistorySink, UserNews};
use crate::sim::usage::Past;
use crate::usage::OpenHours;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::diff::{Attendance, StopCredit, membership_changes, user_changes};
use model::fact::{Fact, KeyedFact, ServerKey, What};
use model::names::UserName;
use model::snapshot::{Dated, Group, sorted_groups};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::tables::usage::OPEN_HOURS;
use store::tables::{Event, Membership, Observation, RowId, Session, Storage, Usage, UserDay};
use store::{Adopted, Intake, Keeper, Position, PresentChange, StoreError};

/// Sessions that ended less long ago are still open to late news.
const RECENT: SignedDuration = SignedDuration::from_hours(8 * 24);

/// What is so much older says nothing about them: no server runs for so long.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Writes into the store, and remembers what has to be at hand in the end.
pub(super) struct Sink {
    keeper: Keeper,
    zone: TimeZone,
    recent: Timestamp,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Ids of what the hub told: some of it is told twice, and the store holds an id once.
    told: HashSet<RowId>,
    /// Facts of runs that have not ended.
    open: BTreeMap<ServerKey, Vec<Fact>>,
    /// Facts of runs that ended lately.
    ended: Vec<KeyedFact>,
    days: Vec<UserDay>,
}

impl Sink {
    pub(super) fn new(keeper: Keeper, zone: TimeZone, now: Timestamp) -> Self {
        Self {
            keeper,
            zone,
            recent: now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN),
            kept: Mutex::default(),
        }
    }

    /// Lets the store go on from where the history ends.
    pub(super) async fn hand_over(
        &self,
        history: &History,
        past: &Past,
        world: &World,
    ) -> Result<(), StoreError> {
        let (begin, Some(last_closed)) = (history.begin(), history.last_closed_day()) else {
            return Ok(());
        };
        let running = history.running();
        let at = running
            .iter()
            .map(|running| running.last_seen)
            .max()
            .unwrap_or(begin);
        let (facts, days) = {
            let mut kept = self.kept();
            let mut facts = std::mem::take(&mut kept.ended);
            for (key, known) in std::mem::take(&mut kept.open) {
                let known = of_last_run(known);
                facts.extend(known.into_iter().map(|fact| KeyedFact {
                    key: key.clone(),
                    fact,
                }));
            }
            (facts, std::mem::take(&mut kept.days))
        };
        let groups = groups_of(world);
        let users = users_of(world);
        let present = vec![
            PresentChange::Groups(
                Dated {
                    at,
                    value: Arc::clone(&groups),
                },
                membership_changes(None, &groups),
            ),
            PresentChange::Users(
                Dated {
                    at,
                    value: Arc::clone(&users),
                },
                user_changes(None, &users),
            ),
            PresentChange::Servers(Dated { at, value: running }, StopCredit::default()),
        ];
        let adopted = Adopted {
            begin,
            last_closed,
            facts,
            days,
            present,
        };
        self.keeper.adopt(adopted).await?;
        self.keep_open_hours(past).await
    }

    /// What was used in the hour that is not over, as the service keeps it.
    async fn keep_open_hours(&self, past: &Past) -> Result<(), StoreError> {
        let mut hours = OpenHours::default();
        for increment in past.unclosed() {
            hours.add(increment, &self.zone);
        }
        let mut intake = Intake::default();
        intake.position(Position {
            source: OPEN_HOURS.to_owned(),
            value: hours.kept(),
        });
        self.keeper.take(intake).await?;
        Ok(())
    }

    /// Leaves out what was told before, and remembers runs that may go on.
    fn remember(&self, rows: &mut Vec<Event>) {
        let mut kept = self.kept();
        rows.retain(|row| &*row.source != "hub" || kept.told.insert(row.id.clone()));
        let oldest = self.recent.saturating_sub(LONGEST_RUN);
        let oldest = oldest.unwrap_or(Timestamp::MIN);
        // Reading what a row says takes longer than writing it.
        let young = rows.iter().filter(|row| row.at >= oldest);
        for KeyedFact { key, fact } in young.filter_map(store::fact_of) {
            let gone = matches!(fact.what, What::Gone { .. });
            let is_recent = fact.at >= self.recent;
            let open = kept.open.entry(key.clone()).or_default();
            open.push(fact);
            if gone {
                let whole = of_last_run(std::mem::take(open));
                if is_recent {
                    let whole = whole.into_iter().map(|fact| KeyedFact {
                        key: key.clone(),
                        fact,
                    });
                    kept.ended.extend(whole);
                }
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HistorySink for Sink {
    type Error = StoreError;

    async fn events(&self, mut rows: Vec<Event>) -> Result<(), StoreError> {
        self.remember(&mut rows);
        self.keeper.append_bulk(&rows).await
    }

    async fn sessions(&self, rows: Vec<Session>) -> Result<(), StoreError> {
        self.keeper.append_bulk(&rows).await
    }

    async fn user_days(&self, rows: Vec<UserDay>) -> Result<(), StoreError> {
        let recent = self.recent.to_zoned(jiff::tz::TimeZone::UTC).date();
        let at_hand = rows.iter().filter(|row| row.day >= recent).cloned();
        self.kept().days.extend(at_hand);
        self.keeper.append_bulk(&rows).await
    }

    async fn memberships(&self, rows: Vec<Membership>) -> Result<(), StoreError> {
        self.keeper.append_bulk(&rows).await
    }

    async fn observations(&self, rows: Vec<Observation>) -> Result<(), StoreError> {
        self.keeper.append_bulk(&rows).await
    }

    async fn usage(&self, rows: Vec<Usage>) -> Result<(), StoreError> {
        self.keeper.append_bulk(&rows).await
    }

    async fn storage(&self, rows: Vec<Storage>) -> Result<(), StoreError> {
        self.keeper.append_bulk(&rows).await
    }

    async fn users(&self, news: Vec<UserNews>) -> Result<(), StoreError> {
        let hub: Arc<str> = self.keeper.hub();
        let rows = news.iter().map(|news| {
            let kind = match news.change.change {
                Attendance::Added => "user-added",
                Attendance::Removed => "user-removed",
            };
            Event::about_user(&hub, kind, &news.change.user, news.at, news.not_before)
        });
        self.keeper.append_bulk(&rows.collect::<Vec<_>>()).await
    }
}

/// The facts of the last run that polls saw; what the hub told late of earlier ones is left out.
fn of_last_run(mut facts: Vec<Fact>) -> Vec<Fact> {
    let seen = facts.iter().filter_map(|fact| match fact.what {
        What::Seen { started, .. } => Some(started),
        _ => None,
    });
    let Some(started) = seen.max() else {
        return Vec::new();
    };
    facts.retain(|fact| fact.at >= started);
    facts
}

fn groups_of(world: &World) -> Arc<[Group]> {
    let groups = world.groups().iter();
    let groups =
        groups.map(|group| Group::new(group.name().clone(), group.members.iter().cloned()));
    sorted_groups(groups.collect())
}

fn users_of(world: &World) -> Arc<[UserName]> {
    let mut users: Vec<UserName> = world
        .users()
        .iter()
        .map(|user| user.name().clone())
        .collect();
    users.sort();
    users.into()
}
