//! How many servers started when, and how long that took: what the hub itself counts.

use super::attempts::Why;
use super::calendar::{Calendar, MINUTE};
use super::runs::Run;
use super::usage::seconds;

/// Upper bounds of the hub's buckets, in seconds; the last one has none.
const BOUNDS: [f64; 12] = [
    0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0,
];
pub(super) const N_BUCKETS: usize = BOUNDS.len() + 1;

/// Starts of the whole history.
#[derive(Debug)]
pub(super) struct Starts {
    /// By minute since the history began.
    by_minute: Vec<u32>,
    /// By local hour.
    hours: Vec<HourOfStarts>,
}

/// Attempts that ended in an hour.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HourOfStarts {
    /// Those that succeeded, by the bucket that they fall into.
    pub(super) by_bucket: [u32; N_BUCKETS],
    /// How long those took together.
    pub(super) seconds: f64,
    /// Those that took too long.
    pub(super) n_too_late: u32,
    /// All others that failed.
    pub(super) n_errors: u32,
}

impl Starts {
    pub(super) fn new(calendar: &Calendar) -> Self {
        let n_minutes = (calendar.until - calendar.begin) / MINUTE + 1;
        Self {
            by_minute: vec![0; usize::try_from(n_minutes).unwrap_or_default()],
            hours: vec![HourOfStarts::default(); calendar.n_hours()],
        }
    }

    pub(super) fn add(&mut self, run: &Run, calendar: &Calendar) {
        let minute = usize::try_from((run.started - calendar.begin) / MINUTE);
        let minute = minute
            .ok()
            .and_then(|minute| self.by_minute.get_mut(minute));
        if let Some(n) = minute {
            *n += 1;
        }
        let took = seconds(run.ready - run.started);
        let hour = &mut self.hours[calendar.hour_index(run.ready)];
        hour.by_bucket[BOUNDS.partition_point(|&bound| bound < took)] += 1;
        hour.seconds += took;
        if let Some(failed) = &run.failed {
            let hour = &mut self.hours[calendar.hour_index(failed.ended)];
            match failed.why {
                Why::TooLate => hour.n_too_late += 1,
                Why::Refused | Why::NoRoute => hour.n_errors += 1,
            }
        }
    }

    pub(super) fn of_hour(&self, hour: usize) -> &HourOfStarts {
        &self.hours[hour]
    }

    /// The most servers that started within ten minutes, by the hour in which those ended.
    pub(super) fn bursts(&self, calendar: &Calendar) -> Vec<u32> {
        const WINDOW: usize = 10;
        let mut bursts = vec![0; calendar.n_hours()];
        let (mut within, mut hour) = (0, 0);
        let mut at = calendar.begin;
        for (minute, n) in self.by_minute.iter().enumerate() {
            within += n;
            if let Some(left) = minute.checked_sub(WINDOW) {
                within -= self.by_minute[left];
            }
            while calendar.hour_end(hour) <= at {
                hour += 1;
            }
            bursts[hour] = within.max(bursts[hour]);
            at += MINUTE;
        }
        bursts
    }
}

impl HourOfStarts {
    /// Those that succeeded.
    pub(super) fn n_succeeded(&self) -> u32 {
        self.by_bucket.iter().sum()
    }

    /// Those that failed.
    pub(super) fn n_failed(&self) -> u32 {
        self.n_too_late + self.n_errors
    }
}
