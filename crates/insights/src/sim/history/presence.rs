//! How many users the hub had and how many servers ran, poll by poll.

use super::History;
use super::calendar::{DAY, HOUR, timestamp};
use super::incidents::Polls;
use super::people::Person;
use super::runs::Run;
use jiff::Timestamp;

/// Older observations stand by the hour.
const BY_THE_MINUTE: i64 = 60 * DAY;

/// Changes of both numbers by number of the poll.
#[derive(Debug)]
pub(super) struct Presence {
    users: Vec<i32>,
    servers: Vec<i32>,
}

/// A number about the hub as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Name in the table of observations.
    pub name: &'static str,
    /// Sorted by name.
    pub labels: &'static [(&'static str, &'static str)],
    /// The poll, or the start of the hour.
    pub at: Timestamp,
    /// The value, or the mean of the hour.
    pub value: f64,
    /// What an hour's values were; `None` for a single one.
    pub hour: Option<Hour>,
}

/// What the values of an hour were.
#[derive(Clone, Debug, PartialEq)]
pub struct Hour {
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Last.
    pub last: f64,
    /// How many.
    pub n: i64,
}

const USERS: &str = "api_users";
const ACTIVE_SERVERS: &str = "api_active_servers";

impl Presence {
    pub(super) fn new(people: &[Person], polls: &Polls, until: i64) -> Self {
        let n_polls = index(polls.index_of(until)) + 2;
        let mut presence = Self {
            users: vec![0; n_polls],
            servers: vec![0; n_polls],
        };
        for person in people {
            let (seen, missed) = person.polls(polls, until);
            change(&mut presence.users, polls.index_of(seen), 1);
            if let Some(missed) = missed {
                change(&mut presence.users, polls.index_of(missed), -1);
            }
        }
        presence
    }

    pub(super) fn add(&mut self, run: &Run, polls: &Polls) {
        change(&mut self.servers, polls.index_of(run.seen), 1);
        if let Some(end) = &run.end {
            change(&mut self.servers, polls.index_of(end.missed), -1);
        }
    }

    /// How many servers ran, poll by poll.
    pub(super) fn servers(&self) -> impl Iterator<Item = u32> {
        self.servers.iter().scan(0, |present: &mut i32, change| {
            *present += change;
            Some(u32::try_from(*present).unwrap_or_default())
        })
    }
}

impl History {
    /// Numbers about the hub as a whole, once all servers were told.
    pub fn readings(&self) -> Vec<Reading> {
        let mut readings = self.readings_of(USERS, &self.together.presence.users);
        readings.extend(self.readings_of(ACTIVE_SERVERS, &self.together.presence.servers));
        readings
    }

    fn readings_of(&self, name: &'static str, changes: &[i32]) -> Vec<Reading> {
        let by_the_minute_from = self.calendar.until - BY_THE_MINUTE;
        let by_the_minute_from = by_the_minute_from - by_the_minute_from.rem_euclid(HOUR);
        let mut readings = Vec::new();
        let mut hour = HourSum::default();
        let mut present = 0;
        for (poll, change) in (0..).zip(changes) {
            present += change;
            let at = self.polls.time(poll);
            if !self.polls.took_place(at) {
                continue;
            }
            let start = at - at.rem_euclid(HOUR);
            if start != hour.start {
                readings.extend(hour.reading(name));
                hour = HourSum {
                    start,
                    ..HourSum::default()
                };
            }
            let value = f64::from(present);
            if start < by_the_minute_from {
                hour.values.push(value);
            } else {
                readings.push(Reading {
                    name,
                    labels: &[],
                    at: timestamp(at),
                    value,
                    hour: None,
                });
            }
        }
        readings.extend(hour.reading(name));
        readings
    }
}

#[derive(Default)]
struct HourSum {
    start: i64,
    values: Vec<f64>,
}

impl HourSum {
    #[expect(clippy::cast_precision_loss, reason = "an hour has 60 values")]
    fn reading(&self, name: &'static str) -> Option<Reading> {
        let values = self.values.iter().copied();
        let n = self.values.len();
        Some(Reading {
            name,
            labels: &[],
            at: timestamp(self.start),
            value: values.clone().sum::<f64>() / n as f64,
            hour: Some(Hour {
                min: values.clone().reduce(f64::min)?,
                max: values.clone().reduce(f64::max)?,
                last: values.last()?,
                n: i64::try_from(n).unwrap_or(i64::MAX),
            }),
        })
    }
}

/// What lies outside is counted at the nearest poll.
fn change(changes: &mut [i32], poll: i64, by: i32) {
    let last = changes.len() - 1;
    changes[index(poll).min(last)] += by;
}

fn index(poll: i64) -> usize {
    usize::try_from(poll).unwrap_or_default()
}
