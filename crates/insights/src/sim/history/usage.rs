//! What runs used, hour by hour, as far as somebody looked.

use super::activity::{Stretch, stretches};
use super::calendar::{Calendar, MINUTE, timestamp};
use super::ceilings::Loads;
use super::incidents::{Incidents, Watched};
use super::runs::Run;
use crate::sim::draw::Draw;
use crate::sim::usage::{Appetite, Spell};
use crate::sources::prometheus::HourUse;
use model::usage::{Account, Increment, Totals};

/// Reads what one server used.
pub(super) struct Meter<'a> {
    pub(super) calendar: &'a Calendar,
    pub(super) incidents: &'a Incidents,
    pub(super) account: Account,
    pub(super) appetite: Appetite,
}

/// Where that is written down.
pub(super) struct Book<'a> {
    /// Closed hours of the server, in order, each once.
    pub(super) hours: &'a mut Vec<HourUse>,
    /// Of all servers, what was used in the hour that is not over.
    pub(super) unclosed: &'a mut Vec<Increment>,
    /// What all servers used together.
    pub(super) loads: &'a mut Loads,
}

impl Meter<'_> {
    /// Writes down a run, which is not before those that were. What happened between the last poll
    /// and the end was seen by nobody.
    pub(super) fn read(&self, run: &Run, book: &mut Book<'_>) {
        let mut stretches = stretches(run);
        let mut stretch = stretches.next();
        let mut from = run.started;
        let mut hour = self.calendar.hour_index(from);
        while from < run.last_seen {
            let to = self.calendar.hour_end(hour).min(run.last_seen);
            if let Some(part) = self.incidents.watched(from, to) {
                let mut active = 0;
                while let Some(Stretch { from, to }) = stretch {
                    active += (to.min(part.to) - from.max(part.from)).max(0);
                    if to > part.to {
                        break;
                    }
                    stretch = stretches.next();
                }
                let totals = self.totals(run, hour, &part, active);
                self.write(hour, &part, &totals, book);
            }
            from = to;
            hour += 1;
        }
    }

    fn totals(&self, run: &Run, hour: usize, part: &Watched, active: i64) -> Totals {
        let begin = self.calendar.begin;
        let minute = |at: i64| (at - begin).div_euclid(MINUTE);
        let n_minutes = u64::try_from(minute(part.to) - minute(part.from)).unwrap_or_default();
        let spell = Spell {
            age: seconds(part.from - run.started),
            seconds: seconds(part.to - part.from),
            active_seconds: seconds(active),
            samples: n_minutes.max(1),
        };
        let mut draw = Draw::of([run.seed, 23, hour as u64]);
        self.appetite.over(run.offer, &spell, &mut draw)
    }

    fn write(&self, hour: usize, part: &Watched, totals: &Totals, book: &mut Book<'_>) {
        if self.calendar.hour_end(hour) > self.calendar.until {
            book.unclosed.push(Increment {
                account: self.account.clone(),
                from: timestamp(part.from),
                until: timestamp(part.to),
                totals: *totals,
            });
            return;
        }
        book.loads.add(hour, totals);
        let hour = timestamp(self.calendar.hour_start(hour));
        match book.hours.last_mut() {
            // Stopped and started again within the hour.
            Some(last) if last.hour == hour => last.totals.add(totals),
            _ => book.hours.push(HourUse {
                hour,
                account: self.account.clone(),
                totals: *totals,
            }),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a run takes less than 285 years"
)]
pub(super) fn seconds(microseconds: i64) -> f64 {
    microseconds as f64 / 1e6
}
