//! Activity within a run: stretches of work and pauses, counted as the model's `Tally` counts.
//!
//! The tally itself looks at each report of activity, of which a year has a hundred million. Here
//! whole stretches are counted, to the same seconds; a test compares both.

use super::calendar::{Calendar, HOUR, MINUTE, SECOND, timestamp};
use super::runs::{Pauses, Run};
use crate::sim::draw::Draw;
use model::fact::ActiveHour;

/// The most that one advance counts.
const LONGEST_ADVANCE: i64 = 10 * MINUTE;
const WORK_MINUTES: &[i64] = &[6, 15, 25, 40, 55, 75, 110];
const PAUSE_MINUTES: &[i64] = &[3, 6, 10, 16, 25, 40, 56];
const NIGHT_HOURS: &[i64] = &[6, 8, 10, 13];

/// Time of uninterrupted work, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// All stretches of a run, in order and apart; the last one ends with its last activity.
pub(super) fn stretches(run: &Run) -> impl Iterator<Item = Stretch> {
    let mut draw = Draw::of([run.seed, 5]);
    let end = whole_seconds(run.last_activity.min(run.last_seen));
    let mut from = whole_seconds(run.ready) + SECOND;
    let mut awake_until = from + 9 * HOUR;
    let pauses = run.pauses;
    std::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        let to = from + draw.quantile(WORK_MINUTES) * MINUTE;
        let mut pause = draw.quantile(PAUSE_MINUTES) * MINUTE + draw.between(0, 60) * SECOND;
        if pauses == Pauses::Long && to > awake_until {
            pause = draw.quantile(NIGHT_HOURS) * HOUR;
            awake_until = to + pause + 9 * HOUR;
        }
        // Nobody pauses and never comes back: that is the end of the run.
        let is_last = to + pause + MINUTE >= end;
        let stretch = Stretch {
            from,
            to: if is_last { end } else { to },
        };
        from = if is_last { end } else { to + pause };
        Some(stretch)
    })
}

/// Active seconds by local hour, as they are told from time to time.
pub(super) struct Count<'a> {
    calendar: &'a Calendar,
    /// The last activity so far.
    pub(super) last: Option<i64>,
    /// What was not told and forgotten yet, sorted.
    pub(super) hours: Vec<ActiveHour>,
}

impl<'a> Count<'a> {
    pub(super) fn new(calendar: &'a Calendar) -> Self {
        Self {
            calendar,
            last: None,
            hours: Vec::with_capacity(4),
        }
    }

    /// Counts a stretch, which is not before those counted already.
    pub(super) fn add(&mut self, Stretch { from, to }: Stretch) {
        // The first activity is the baseline; each later one counts the way to it.
        let from = self
            .last
            .map_or(from, |last| last.max(from - LONGEST_ADVANCE));
        self.last = Some(to);
        let mut index = self.calendar.hour_index(from);
        let mut begin = from;
        while begin < to {
            let end = self.calendar.hour_end(index).min(to);
            self.count(index, (end - begin) / SECOND);
            begin = end;
            index += 1;
        }
    }

    fn count(&mut self, hour_index: usize, seconds: i64) {
        let hour = timestamp(self.calendar.hour_start(hour_index));
        let seconds = u32::try_from(seconds).unwrap_or_default();
        match self.hours.last_mut() {
            Some(last) if last.hour == hour => last.seconds += seconds,
            _ => self.hours.push(ActiveHour { hour, seconds }),
        }
    }

    /// Drops the hours that no later activity can add to.
    pub(super) fn forget_finished_hours(&mut self) {
        if let Some(last) = self.last {
            let hour = timestamp(self.calendar.hour_start(self.calendar.hour_index(last)));
            self.hours.retain(|active| active.hour >= hour);
        }
    }
}

fn whole_seconds(at: i64) -> i64 {
    at - at.rem_euclid(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use model::tally::Tally;

    #[test]
    fn stretches_count_as_the_tally_counts_their_reports() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let until = "2026-11-20T12:00:00Z".parse().unwrap();
        let calendar = Calendar::new(365, &zone, until);
        let mut draw = Draw::of([3]);
        for change in calendar.clock_changes() {
            for _ in 0..50 {
                let mut count = Count::new(&calendar);
                let mut tally = Tally::default();
                let mut from = change - draw.between(0, 10 * HOUR) / SECOND * SECOND;
                for _ in 0..12 {
                    let to = from + draw.between(1, 5000) * SECOND;
                    count.add(Stretch { from, to });
                    for report in (from..to).step_by(300_000_000).chain([to]) {
                        tally.advance(timestamp(report), &zone);
                    }
                    from = to + draw.between(1, 2000) * SECOND;
                }
                assert_eq!(count.hours, tally.active_hours());
                count.forget_finished_hours();
                tally.forget_finished_hours(&zone);
                assert_eq!(count.hours, tally.active_hours());
            }
        }
    }
}
