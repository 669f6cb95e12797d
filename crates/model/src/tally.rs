//! Active seconds by local hour, counted from how `last_activity` advances.
//!
//! The hub does not tell how long somebody worked, only when something happened last, about every
//! five minutes. So each advance counts the time since the one before, at most ten minutes (twice
//! the hub's interval). Whole seconds are counted, the fraction of each moment left out, so that
//! the parts add up.

use crate::days::hour_start;
use crate::fact::ActiveHour;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most that one advance counts.
const LONGEST_ADVANCE_SECONDS: i64 = 600;

/// Active seconds of one run of a server so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The latest activity told so far; the first one is the baseline and counts nothing.
    pub last_activity: Option<Timestamp>,
    /// Seconds by start of the local hour. Hours without activity are left out.
    pub hours: BTreeMap<Timestamp, u32>,
}

impl Tally {
    /// Counts an advance to `last_activity`, as the time right before it. A `last_activity` that
    /// goes back counts nothing, nor does the way from there up to what was counted already.
    pub fn advance(&mut self, last_activity: Timestamp, zone: &TimeZone) {
        let Some(before) = self.last_activity else {
            self.last_activity = Some(last_activity);
            return;
        };
        if last_activity <= before {
            return;
        }
        self.last_activity = Some(last_activity);
        let advance = last_activity.as_second() - before.as_second();
        self.count(
            last_activity.as_second(),
            advance.min(LONGEST_ADVANCE_SECONDS),
            zone,
        );
    }

    /// The hours as a fact tells them.
    pub fn active_hours(&self) -> Vec<ActiveHour> {
        let hours = self.hours.iter();
        hours
            .map(|(&hour, &seconds)| ActiveHour { hour, seconds })
            .collect()
    }

    /// Drops the hours that no later advance can add to, for use once they are told. A server that
    /// runs for months would tell all of them again each midnight.
    pub fn forget_finished_hours(&mut self, zone: &TimeZone) {
        if let Some(last_activity) = self.last_activity {
            self.hours = self.hours.split_off(&hour_start(last_activity, zone));
        }
    }

    /// Counts `seconds` that ended at the Unix time `until`.
    fn count(&mut self, mut until: i64, seconds: i64, zone: &TimeZone) {
        let from = until - seconds;
        while until > from {
            // The second that ends at a full hour belongs to the hour before.
            let Ok(last_second) = Timestamp::from_second(until - 1) else {
                return;
            };
            let hour = hour_start(last_second, zone);
            let begin = hour.as_second().max(from);
            // At most ten minutes, see `advance`.
            let counted = u32::try_from(until - begin).unwrap_or_default();
            *self.hours.entry(hour).or_default() += counted;
            until = begin;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Advances, and the hours they were counted in, in the zone's local time.
    fn check(zone: &str, activities: &str, expected: &str) {
        let zone = TimeZone::get(zone).unwrap();
        let mut tally = Tally::default();
        for activity in activities.split_whitespace() {
            tally.advance(at(activity), &zone);
        }
        let hours = tally.active_hours().into_iter().map(|active| {
            let local = active.hour.to_zoned(zone.clone());
            format!("{} {}", local.strftime("%H:%M%:z"), active.seconds)
        });
        assert_eq!(hours.collect::<Vec<_>>().join(", "), expected);
    }

    #[test]
    fn the_first_activity_counts_nothing() {
        check("UTC", "2026-05-01T10:00:00Z", "");
    }

    #[test]
    fn an_advance_counts_its_length_up_to_ten_minutes() {
        check(
            "UTC",
            "2026-05-01T10:00:00Z 2026-05-01T10:05:00Z",
            "10:00+00:00 300",
        );
        check(
            "UTC",
            "2026-05-01T10:00:00Z 2026-05-01T18:30:00Z",
            "18:00+00:00 600",
        );
    }

    #[test]
    fn an_advance_over_a_full_hour_is_split_there() {
        check(
            "UTC",
            "2026-05-01T10:56:00Z 2026-05-01T11:02:00Z",
            "10:00+00:00 240, 11:00+00:00 120",
        );
        check(
            "UTC",
            "2026-05-01T10:55:00Z 2026-05-01T11:00:00Z",
            "10:00+00:00 300",
        );
    }

    #[test]
    fn going_back_counts_nothing_twice() {
        let activities = "2026-05-01T10:00:00Z 2026-05-01T10:05:00Z 2026-05-01T10:01:00Z \
                          2026-05-01T10:06:00Z";
        check("UTC", activities, "10:00+00:00 360");
    }

    #[test]
    fn fractions_of_seconds_add_up() {
        let activities = "2026-05-01T10:00:00.9Z 2026-05-01T10:00:01.2Z 2026-05-01T10:00:02.1Z";
        check("UTC", activities, "10:00+00:00 2");
    }

    #[test]
    fn hours_are_local_where_offsets_are_not_whole_hours() {
        let activities = "2026-05-01T10:28:00Z 2026-05-01T10:32:00Z";
        check(
            "Asia/Kolkata",
            activities,
            "15:00+05:30 120, 16:00+05:30 120",
        );
        let activities = "2026-05-01T10:13:00Z 2026-05-01T10:16:00Z";
        check(
            "Asia/Kathmandu",
            activities,
            "15:00+05:45 120, 16:00+05:45 60",
        );
    }

    #[test]
    fn an_hour_that_a_clock_change_repeats_is_two_hours() {
        let activities = "2026-10-25T00:58:00Z 2026-10-25T01:03:00Z";
        check(
            "Europe/Berlin",
            activities,
            "02:00+02:00 120, 02:00+01:00 180",
        );
    }

    #[test]
    fn a_clock_change_of_half_an_hour_is_a_boundary() {
        // 2:00 becomes 1:30 on Lord Howe Island, 2026-04-04T15:00Z.
        let activities = "2026-04-04T14:58:00Z 2026-04-04T15:03:00Z";
        check(
            "Australia/Lord_Howe",
            activities,
            "01:00+11:00 120, 01:30+10:30 180",
        );
    }

    #[test]
    fn finished_hours_are_forgotten_and_the_last_one_kept() {
        let mut tally = Tally::default();
        for activity in ["2026-05-01T10:55:00Z", "2026-05-01T11:05:00Z"] {
            tally.advance(at(activity), &TimeZone::UTC);
        }
        tally.forget_finished_hours(&TimeZone::UTC);
        assert_eq!(tally.hours, [(at("2026-05-01T11:00:00Z"), 300)].into());
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_capped_advances(
            steps in proptest::collection::vec(-400i64..2000, 0..60),
            zone in prop_oneof!["UTC", "Asia/Kathmandu", "Europe/Berlin", "Australia/Lord_Howe"],
        ) {
            let zone = TimeZone::get(&zone).unwrap();
            let mut tally = Tally::default();
            // Shortly before clocks go back in Berlin.
            let mut now = at("2026-10-24T20:00:00Z").as_second();
            let (mut latest, mut expected) = (now, 0);
            tally.advance(Timestamp::from_second(now).unwrap(), &zone);
            for step in steps {
                now += step;
                tally.advance(Timestamp::from_second(now).unwrap(), &zone);
                expected += (now - latest).clamp(0, 600);
                latest = latest.max(now);
            }
            let total: i64 = tally.hours.values().map(|&seconds| i64::from(seconds)).sum();
            prop_assert_eq!(total, expected);
            for (&hour, &seconds) in &tally.hours {
                prop_assert_eq!(hour_start(hour, &zone), hour);
                prop_assert!(seconds <= 3600);
            }
        }
    }
}
