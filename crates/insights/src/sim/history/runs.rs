//! Runs of servers: when each begins and how it ends, as it truly happened and as polls saw it.

use super::attempts::Attempt;
use super::calendar::{Calendar, HOUR, LocalDay, MINUTE, SECOND, Season};
use super::habits::Kind;
use super::incidents::{Incidents, Polls};
use super::people::{Key, Open, Pattern, Person, WrittenRun};
use crate::hub::UserOptions;
use crate::sim::draw::Draw;
use crate::sim::offers::{OFFERS, Offer};
use std::ops::Range;
use std::sync::Arc;

/// A server that has ended this close to the present is left out, as it may still be listed.
const MARGIN: i64 = 3 * MINUTE;

/// One run of a server.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The hub's own time.
    pub(super) started: i64,
    /// An attempt to start it that failed, shortly before.
    pub(super) failed: Option<Attempt>,
    /// When it answered.
    pub(super) ready: i64,
    /// The first poll that saw it ready.
    pub(super) seen: i64,
    /// The last poll that saw it.
    pub(super) last_seen: i64,
    /// The last activity, of which polls may have missed the end.
    pub(super) last_activity: i64,
    pub(super) end: Option<RunEnd>,
    pub(super) options: Option<Arc<str>>,
    pub(super) image: Option<Arc<str>>,
    /// The option that was chosen.
    pub(super) offer: &'static Offer,
    pub(super) pauses: Pauses,
    /// Whether hub events tell of it.
    pub(super) told: Told,
    /// What the rest of its chance begins with.
    pub(super) seed: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunEnd {
    /// When it truly ended.
    pub(super) at: i64,
    /// The first poll that missed it.
    pub(super) missed: i64,
    pub(super) cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// By its user, or by the idle culler.
    Stopped,
    /// By itself, or because its node was drained.
    Crashed,
    /// With the hub, at this time.
    HubRestart(i64),
    /// While nobody looked.
    InOutage,
    /// The hub's counter of stops did not tell.
    Unknown,
}

/// How long people pause within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pauses {
    /// The idle culler would stop it after an hour.
    Short,
    /// Also for a night.
    Long,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Only polls saw it.
    ByPolls,
    /// Hub events, too.
    ByHub,
}

/// What the choice at the start can be, shared by all runs.
#[derive(Debug)]
pub(super) struct Catalogue(Vec<UserOptions>);

const IMAGES: [&str; 3] = [
    "quay.io/jupyter/scipy-notebook:2025-09-30",
    "quay.io/jupyter/datascience-notebook:2025-09-30",
    "quay.io/jupyter/pytorch-notebook:cuda12-2025-09-30",
];

impl Catalogue {
    pub(super) fn new() -> Self {
        let choices = OFFERS.iter().flat_map(|offer| {
            IMAGES.iter().map(move |image| {
                let chosen = serde_json::json!({"profile": offer.profile, "image": image});
                UserOptions::read(&chosen.to_string())
            })
        });
        Self(choices.collect())
    }

    fn choice(&self, profile: usize, draw: &mut Draw) -> &UserOptions {
        let image = match profile {
            3 => 2,
            _ => draw.small_index(IMAGES.len()),
        };
        &self.0[profile * IMAGES.len() + image]
    }
}

/// What runs are made from.
pub(super) struct Workshop<'a> {
    pub(super) calendar: &'a Calendar,
    pub(super) incidents: &'a Incidents,
    pub(super) polls: &'a Polls,
    pub(super) catalogue: &'a Catalogue,
    pub(super) seed: u64,
}

/// A run before it is known what befalls it.
struct Wish {
    from: i64,
    to: i64,
    last_activity: i64,
    pauses: Pauses,
    profile: usize,
    is_sturdy: bool,
}

impl Workshop<'_> {
    /// Runs of one server that start on these days, in the order of time.
    pub(super) fn runs(
        &self,
        person: &mut Person,
        key: usize,
        days: Range<usize>,
        runs: &mut Vec<Run>,
    ) {
        let first = &self.calendar.days[days.start];
        let last = &self.calendar.days[days.end - 1];
        let (begin, end) = (first.start, last.end);
        if let Pattern::Written(written) = &person.keys[key].pattern {
            let written: Vec<WrittenRun> = written.clone();
            for run in written
                .iter()
                .filter(|run| (begin..end).contains(&run.from))
            {
                let mut draw = Draw::of([self.seed, person.number, 2, run.from.cast_unsigned()]);
                self.push(person, key, Wish::written(run), &mut draw, runs);
            }
        } else if person.from < end && begin < person.to {
            for day in days {
                let day_draw = [self.seed, person.number, key as u64 + 3, day as u64];
                self.push_day(
                    person,
                    key,
                    &self.calendar.days[day],
                    Draw::of(day_draw),
                    runs,
                );
            }
        }
        let open = person.keys[key].open.as_ref();
        let open = open.filter(|open| (begin..end).contains(&open.started));
        runs.extend(open.map(|open| self.open(person, key, open)));
    }

    fn push_day(
        &self,
        person: &mut Person,
        key: usize,
        day: &LocalDay,
        mut draw: Draw,
        runs: &mut Vec<Run>,
    ) {
        let mut clocks: [i64; 12] = [i64::MAX; 12];
        let mut n = 0;
        let is_named = matches!(person.keys[key].pattern, Pattern::Named);
        let mean = if is_named {
            person.kind.named_runs_on(day)
        } else {
            person.kind.runs_on(day) * person.pace / 1000
        };
        let n_by_habit = draw.count(mean).min(8);
        for _ in 0..n_by_habit {
            clocks[n] = person.kind.draw_clock(&mut draw);
            n += 1;
        }
        if !is_named && day.season == Season::Lectures && person.kind != Kind::Absent {
            for class in person
                .stays
                .iter()
                .filter_map(|stay| stay.class_on(day))
                .take(3)
            {
                if draw.per_mille(600) {
                    clocks[n] = class.clock + draw.between(-4 * MINUTE, 11 * MINUTE);
                    n += 1;
                }
            }
        }
        let clocks = &mut clocks[..n];
        clocks.sort_unstable();
        for &mut clock in clocks {
            let wish = Wish::draw(person.kind, is_named, day.moment(clock), &mut draw);
            self.push(person, key, wish, &mut draw, runs);
        }
    }

    /// Adds the run, unless it cannot be, and finds out what befell it.
    fn push(
        &self,
        person: &mut Person,
        key: usize,
        mut wish: Wish,
        draw: &mut Draw,
        runs: &mut Vec<Run>,
    ) {
        let Key {
            open, free_from, ..
        } = &person.keys[key];
        let limit = open
            .as_ref()
            .map_or(person.to, |open| open.started.min(person.to))
            - MARGIN;
        let started = self.incidents.after_downtime(wish.from);
        if started < *free_from || started < person.from || wish.to <= started {
            return;
        }
        let mut cause = self.befall(&mut wish, draw);
        let ready = started + self.draw_wait(started, draw);
        let seen = self.polls.after(ready);
        let mut end = match cause {
            Cause::HubRestart(_) => wish.to,
            _ => self.incidents.after_downtime(wish.to),
        };
        let last_poll = self.polls.before(end);
        let missed = self.polls.after(end);
        // Whoever stopped right before the hub did cannot be told from those that it took along.
        if let Some(restart) = self.incidents.restart_in(last_poll, missed) {
            cause = Cause::HubRestart(restart);
            end = restart;
        }
        if self.incidents.is_outage_in(last_poll, missed) {
            cause = Cause::InOutage;
        }
        if seen >= last_poll || missed >= limit || end >= limit {
            return;
        }
        let choice = self.catalogue.choice(wish.profile, draw);
        let told = self.told(started, cause);
        let number = draw.next();
        let free = (*free_from).max(person.from);
        runs.push(Run {
            started,
            failed: self.failed_before(started, free, number),
            ready,
            seen,
            last_seen: last_poll,
            last_activity: wish.last_activity.min(end),
            end: Some(RunEnd {
                at: end,
                missed,
                cause,
            }),
            options: choice.text.clone(),
            image: choice.image.clone(),
            offer: &OFFERS[wish.profile],
            pauses: wish.pauses,
            told,
            seed: number,
        });
        person.last_activity = person.last_activity.max(Some(wish.last_activity.min(end)));
        person.keys[key].free_from = missed + draw.between(SECOND, 4 * MINUTE);
    }

    /// Crashes, drained nodes and restarts shorten the run.
    fn befall(&self, wish: &mut Wish, draw: &mut Draw) -> Cause {
        let mut cause = match draw.below(1000) {
            chance if chance < 13 => Cause::Crashed,
            chance if chance < 25 => Cause::Unknown,
            _ => Cause::Stopped,
        };
        if wish.is_sturdy {
            return Cause::Stopped;
        }
        if cause == Cause::Crashed {
            let length = wish.to - wish.from;
            wish.to = wish.from + draw.between(length / 5, length);
        }
        for &drain in &self.incidents.drains {
            let is_hit = wish.profile >= 2 && (wish.from..wish.to).contains(&drain);
            if is_hit && draw.per_mille(350) {
                wish.to = drain + draw.between(0, 4 * MINUTE);
                cause = Cause::Crashed;
            }
        }
        if let Some(restart) = self.incidents.restart_in(wish.from, wish.to)
            && draw.per_mille(120)
        {
            wish.to = restart;
            cause = Cause::HubRestart(restart);
        }
        wish.last_activity = wish.last_activity.min(wish.to);
        cause
    }

    fn told(&self, started: i64, cause: Cause) -> Told {
        let is_told = started > self.incidents.hooked_from
            && !self.incidents.is_outage(started)
            && cause != Cause::Unknown;
        if is_told { Told::ByHub } else { Told::ByPolls }
    }

    /// A server of the world, as far as it has come.
    pub(super) fn open(&self, person: &Person, key: usize, open: &Open) -> Run {
        let until = self.calendar.until;
        let seed = [self.seed, person.number, 1000 + key as u64];
        let ready = (open.started + 5 * SECOND).min(until);
        Run {
            started: open.started,
            failed: None,
            ready,
            seen: self.polls.after(ready).min(until),
            last_seen: until,
            last_activity: open.last_activity,
            end: None,
            options: open.options.text.clone(),
            image: open.options.image.clone(),
            offer: open.offer,
            pauses: Pauses::Short,
            told: self.told(open.started, Cause::Stopped),
            seed: Draw::of(seed).next(),
        }
    }
}

impl Wish {
    fn draw(kind: Kind, is_named: bool, from: i64, draw: &mut Draw) -> Self {
        let work = if is_named {
            Kind::draw_named_work(draw)
        } else {
            kind.draw_work(draw)
        };
        let last_activity = from + work;
        let is_culled = draw.per_mille(570);
        let idle = if is_culled {
            HOUR + draw.between(0, 6 * MINUTE)
        } else {
            draw.between(5 * SECOND, 4 * MINUTE)
        };
        let is_long = is_named || work > 10 * HOUR;
        Self {
            from,
            to: last_activity + idle,
            last_activity,
            pauses: if is_long { Pauses::Long } else { Pauses::Short },
            profile: if is_named {
                2 + draw.index(2)
            } else {
                kind.draw_profile(draw)
            },
            is_sturdy: false,
        }
    }

    fn written(run: &WrittenRun) -> Self {
        Self {
            from: run.from,
            to: run.to,
            last_activity: run.to - MINUTE,
            pauses: Pauses::Long,
            profile: 3,
            is_sturdy: true,
        }
    }
}
