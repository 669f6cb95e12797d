//! What all servers used together, hour by hour, and how close the machine came to its limits.

use super::History;
use super::calendar::{MINUTE, timestamp};
use super::presence::{Hour, Reading};
use super::usage::seconds;
use crate::sim::usage::{Ceiling, Load, Machine, Past};
use model::usage::Totals;

/// Sums of what all servers used, by local hour, times seconds.
#[derive(Debug)]
pub(super) struct Loads(Vec<Load>);

/// An hour that is over and that somebody watched at least a part of.
struct WatchedHour {
    start: i64,
    seconds: f64,
    n_minutes: i64,
    /// On average.
    load: Load,
}

impl Loads {
    pub(super) fn new(n_hours: usize) -> Self {
        Self(vec![Load::default(); n_hours])
    }

    pub(super) fn add(&mut self, hour: usize, totals: &Totals) {
        self.0[hour].add_totals(totals);
    }
}

impl History {
    /// The machine's numbers by the hour, once all servers were told. Its size is such that the
    /// fullest hours are too full.
    pub fn ceilings(&self) -> Vec<Reading> {
        let hours = self.watched_hours();
        let mut readings = Vec::with_capacity(hours.len() * 10);
        watch(&hours, |hour, before, after| {
            let pairs = before.iter().zip(after);
            readings.extend(pairs.map(|(before, after)| hour.reading(before, after)));
        });
        readings
    }

    /// Where the usage ends, once all servers were told.
    pub fn past(&self) -> Past {
        let until = self.calendar.until;
        let stayed = self.people.iter().filter(|person| person.to >= until);
        let homes = stayed.filter_map(|person| Some((person.name.clone(), person.home.clone()?)));
        Past {
            seed: self.seed,
            until: Some(timestamp(until)),
            machine: watch(&self.watched_hours(), |_, _, _| {}),
            homes: homes.collect(),
            n_places: self.n_places(),
            unclosed: self.together.unclosed.clone(),
        }
    }

    fn watched_hours(&self) -> Vec<WatchedHour> {
        let sums = self.together.loads.0.iter().enumerate();
        let hours = sums.map_while(|(index, sum)| {
            let (start, end) = (
                self.calendar.hour_start(index),
                self.calendar.hour_end(index),
            );
            (end <= self.calendar.until).then_some((start, end, sum))
        });
        let watched = hours.filter_map(|(start, end, sum)| {
            let part = self.incidents.watched(start, end)?;
            let seconds = seconds(part.to - part.from);
            Some(WatchedHour {
                start,
                seconds,
                n_minutes: (part.to - part.from) / MINUTE,
                load: sum.times(1.0 / seconds),
            })
        });
        watched.collect()
    }
}

/// Lets the machine bear all hours; what is told are its numbers before and after each.
fn watch(
    hours: &[WatchedHour],
    mut tell: impl FnMut(&WatchedHour, &[Ceiling], &[Ceiling]),
) -> Machine {
    let loads = hours.iter().map(|hour| hour.load);
    let mut machine = Machine::holding(&loads.fold(Load::default(), Load::max));
    for hour in hours {
        let before = machine.ceilings(&hour.load);
        machine.bear(&hour.load, hour.seconds);
        tell(hour, &before, &machine.ceilings(&hour.load));
    }
    machine
}

impl WatchedHour {
    fn reading(&self, before: &Ceiling, after: &Ceiling) -> Reading {
        Reading {
            name: after.name,
            labels: after.labels,
            at: timestamp(self.start),
            value: f64::midpoint(before.value, after.value),
            hour: Some(Hour {
                min: before.value * (1.0 - after.swing),
                max: after.value * (1.0 + after.swing),
                last: after.value,
                n: self.n_minutes.max(1),
            }),
        }
    }
}
