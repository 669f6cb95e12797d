//! A made-up year of a simulated hub: what its service would know, had it run for so long.
//!
//! [`History`] gives values of the model, the same for the same world, seed and present: facts of
//! each server, what it used, who joined and left which group, who came to the hub and went. It ends
//! where the world is, so that the poller goes on as if it had been there. [`fill`](fill()) writes
//! all of it to a [`HistorySink`]. How rows are stored does not belong here.
//!
//! From large to small: [`calendar`] (days, seasons, clock changes), [`incidents`] (restarts,
//! outages, polls), [`people`] and [`terms`] (who is in which course when), [`habits`] (how often,
//! when, how long), [`attempts`] to start a server, [`runs`] (one run of it), [`activity`] within
//! it, [`facts`] told of it, what it [used](usage), [`homes`], and the machine's [`ceilings`]. The
//! hub has [`counters`] of its [`starts`], its cluster holds [`places`]; [`hooks`] in it and others
//! ([`visits`]) send [`items`].

mod activity;
mod attempts;
mod calendar;
mod ceilings;
mod counters;
mod facts;
mod fill;
mod habits;
mod homes;
mod hooks;
mod incidents;
mod items;
mod months;
mod news;
mod people;
mod places;
mod presence;
mod rows;
mod runs;
mod sink;
mod starts;
mod terms;
mod usage;
mod visits;

pub use facts::{Arrival, Teller, ToldFact};
pub use fill::{FillError, Filled, Progress, Totals, fill};
pub use homes::HomeDay;
pub use items::{HookItem, Item, Launch, of_hub_start, of_start};
pub use news::{MemberNews, UserNews};
pub use presence::{Hour, Reading};
pub use sink::{Discard, HistorySink};

use super::World;
use super::usage::Appetite;
use crate::sources::prometheus::HourUse;
use calendar::{Calendar, timestamp};
use ceilings::Loads;
use incidents::{Incidents, Polls};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::days::Day;
use model::diff::Running;
use model::fact::ServerKey;
use model::usage::{Account, Increment};
use months::MonthPlan;
use people::Person;
use presence::Presence;
use runs::{Catalogue, Run, Workshop};
use starts::Starts;
use std::ops::Range;
use std::sync::Arc;
use usage::{Book, Meter};

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
    together: Together,
}

/// What was told of all servers together.
#[derive(Debug)]
struct Together {
    presence: Presence,
    starts: Starts,
    loads: Loads,
    /// What was used in the hour of the present.
    unclosed: Vec<Increment>,
}

/// One server and its runs that started in a month.
#[derive(Clone, Debug)]
pub struct ServerMonth {
    /// The server.
    pub key: ServerKey,
    /// All facts about these runs, also those of later months, with repetitions.
    pub facts: Vec<ToldFact>,
    /// What it used in hours that are over, in order, each hour once; of later months only what no
    /// other run can add to.
    pub usage: Vec<HourUse>,
    /// What it was made from, in the order of time.
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
            together: Together {
                presence: Presence::new(&people, &polls, calendar.until),
                starts: Starts::new(&calendar),
                loads: Loads::new(calendar.n_hours()),
                unclosed: Vec::new(),
            },
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
            person.workdays.turn(days);
            for key in 0..person.keys.len() {
                servers.extend(workshop.month(person, key, days, &mut self.together));
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

impl Workshop<'_> {
    /// A server with its runs of a month, and with what is left to tell of those before.
    fn month(
        &self,
        person: &mut Person,
        key: usize,
        days: &Range<usize>,
        together: &mut Together,
    ) -> Option<ServerMonth> {
        let mut runs = Vec::new();
        self.runs(person, key, days.clone(), &mut runs);
        let mut usage: Vec<HourUse> = person.keys[key].held.take().into_iter().collect();
        if runs.is_empty() && usage.is_empty() {
            return None;
        }
        let server = Arc::clone(&person.keys[key].server);
        let meter = Meter {
            calendar: self.calendar,
            incidents: self.incidents,
            account: Account {
                user: person.name.clone(),
                server: Some(Arc::clone(&server)),
            },
            appetite: Appetite::of(self.seed, person.name.as_str(), &server),
        };
        let mut book = Book {
            hours: &mut usage,
            unclosed: &mut together.unclosed,
            loads: &mut together.loads,
        };
        let mut facts = Vec::with_capacity(runs.len() * 5);
        for run in &runs {
            facts::facts_of(run, self.calendar, self.polls, &mut facts);
            together.presence.add(run, self.polls);
            together.starts.add(run, self.calendar);
            meter.read(run, &mut book);
            let day = |at| self.calendar.day_index(at);
            person.workdays.mark(day(run.started)..=day(run.last_seen));
        }
        // The next run may start in the hour in which the last one ended.
        let month_end = timestamp(self.calendar.days[days.end - 1].end);
        person.keys[key].held = usage.pop_if(|last| last.hour >= month_end);
        Some(ServerMonth {
            key: ServerKey {
                user: person.name.clone(),
                server,
            },
            facts,
            usage,
            runs,
        })
    }
}

#[cfg(test)]
mod tests;
