//! A made-up year of a simulated hub: what its service would know, had it run for so long.
//!
//! [`History`] gives values of the model, the same for the same world, seed and present: facts of
//! each server, who joined and left which group, who came to the hub and went. It ends where the
//! world is, so that the poller goes on as if it had been there. [`fill`](fill()) writes all of it
//! to a [`HistorySink`]. How rows are stored does not belong here.
//!
//! From large to small: [`calendar`] (days, seasons, clock changes), [`incidents`] (restarts,
//! outages, polls), [`people`] and [`terms`] (who is in which course when), [`habits`] (how often,
//! when, how long), [`runs`] (one run of a server), [`activity`] within it, [`facts`] told of it.

mod activity;
mod calendar;
mod draw;
mod facts;
mod fill;
mod habits;
mod incidents;
mod months;
mod news;
mod people;
mod presence;
mod rows;
mod runs;
mod terms;

pub use facts::{Arrival, Teller, ToldFact};
pub use fill::{Discard, FillError, Filled, HistorySink, Progress, Totals, fill};
pub use news::{MemberNews, UserNews};
pub use presence::{Hour, Reading};

use super::World;
use calendar::{Calendar, timestamp};
use incidents::{Incidents, Polls};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::days::Day;
use model::diff::Running;
use model::fact::ServerKey;
use months::MonthPlan;
use people::Person;
use presence::Presence;
use runs::{Catalogue, Run, Workshop};
use std::ops::Range;
use std::sync::Arc;

/// What a history is like.
#[derive(Clone, Debug)]
pub struct HistoryShape {
    /// Full local days before today; 0 is no history.
    pub n_days: u32,
    /// The same seed gives the same history of the same world.
    pub seed: u64,
    /// The hub's zone: its people live by it, and days are cut in it.
    pub zone: TimeZone,
    /// The present: the moment that the world is in.
    pub until: Timestamp,
}

/// A made-up history, month by month.
#[derive(Debug)]
pub struct History {
    calendar: Calendar,
    incidents: Incidents,
    polls: Polls,
    catalogue: Catalogue,
    seed: u64,
    people: Vec<Person>,
    months: Vec<MonthPlan>,
    presence: Presence,
}

/// One server and its runs that started in a month.
#[derive(Clone, Debug)]
pub struct ServerMonth {
    /// The server.
    pub key: ServerKey,
    /// All facts about these runs, also those of later months, with repetitions.
    pub facts: Vec<ToldFact>,
    #[cfg_attr(not(test), expect(dead_code, reason = "what tests compare with"))]
    runs: Vec<Run>,
}

impl History {
    /// Prepares the history of a world; nothing has happened yet.
    pub fn plan(world: &World, shape: &HistoryShape) -> Self {
        let HistoryShape { n_days, seed, .. } = *shape;
        let calendar = Calendar::new(n_days, &shape.zone, shape.until);
        let incidents = Incidents::draw(&calendar, seed);
        let polls = Polls::new(&calendar, &incidents, seed);
        let people = Person::all(world, &calendar, seed);
        Self {
            presence: Presence::new(&people, &polls, calendar.until),
            months: if n_days == 0 {
                Vec::new()
            } else {
                MonthPlan::all(&calendar)
            },
            catalogue: Catalogue::new(),
            calendar,
            incidents,
            polls,
            seed,
            people,
        }
    }

    /// All that ever were users within the history, in the order of [`Self::servers`].
    pub fn n_users(&self) -> usize {
        self.people.len()
    }

    /// Months that [`Self::servers`] gives one after the other.
    pub fn n_months(&self) -> usize {
        self.months.len()
    }

    /// When collection began.
    pub fn begin(&self) -> Timestamp {
        timestamp(self.calendar.begin)
    }

    /// The last day that is over.
    pub fn last_closed_day(&self) -> Option<Day> {
        let days = &self.calendar.days;
        Some(days[days.len().checked_sub(2)?].day)
    }

    /// Servers of these users with runs that started in the month, sorted by user.
    ///
    /// To be asked once for each month and user, months in order: a run that goes on keeps the
    /// next from starting.
    pub fn servers(&mut self, month: usize, users: Range<usize>) -> Vec<ServerMonth> {
        let workshop = Workshop {
            calendar: &self.calendar,
            incidents: &self.incidents,
            polls: &self.polls,
            catalogue: &self.catalogue,
            seed: self.seed,
        };
        let days = &self.months[month].days;
        let mut servers = Vec::new();
        for person in &mut self.people[users] {
            for key in 0..person.keys.len() {
                let mut runs = Vec::new();
                workshop.runs(person, key, days.clone(), &mut runs);
                if runs.is_empty() {
                    continue;
                }
                let mut facts = Vec::with_capacity(runs.len() * 5);
                for run in &runs {
                    facts::facts_of(run, &self.calendar, &self.polls, &mut facts);
                    self.presence.add(run, &self.polls);
                }
                let server = Arc::clone(&person.keys[key].server);
                let user = person.name.clone();
                servers.push(ServerMonth {
                    key: ServerKey { user, server },
                    facts,
                    runs,
                });
            }
        }
        servers
    }

    /// The world's servers as the poller knows them in the present, sorted.
    pub fn running(&self) -> Vec<Running> {
        let workshop = Workshop {
            calendar: &self.calendar,
            incidents: &self.incidents,
            polls: &self.polls,
            catalogue: &self.catalogue,
            seed: self.seed,
        };
        let mut running = Vec::new();
        for person in &self.people {
            for (index, key) in person.keys.iter().enumerate() {
                let Some(open) = &key.open else { continue };
                let run = workshop.open(person, index, open);
                running.push(Running {
                    key: ServerKey {
                        user: person.name.clone(),
                        server: Arc::clone(&key.server),
                    },
                    started: timestamp(run.started),
                    is_cut: false,
                    options: run.options.clone(),
                    image: run.image.clone(),
                    seen_ready: timestamp(run.seen),
                    last_seen: timestamp(run.last_seen),
                    tally: facts::tally_of(&run, &self.calendar, &self.polls),
                });
            }
        }
        running.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        running
    }

    /// Lets the world's users have been active when the history says, once all of it was told.
    pub fn settle(&self, world: &mut World) {
        for person in &self.people {
            let Some(last_activity) = person.last_activity else {
                continue;
            };
            if let Some(user) = world.user_mut(person.name.as_str()) {
                let of_servers = user
                    .servers
                    .iter()
                    .filter_map(|server| server.last_activity);
                user.last_activity = of_servers.chain([timestamp(last_activity)]).max();
            }
        }
    }
}

#[cfg(test)]
mod tests;
