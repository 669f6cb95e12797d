//! The days and local hours of a period in each hub's zone, looked up instead of computed: a query
//! asks for the day of millions of moments.
//!
//! What a day is says [`model::days`]; the functions of SQL are in [`super::functions`].

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Unit};
use model::days::{self, Day};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// Days since 1970.
pub(crate) type DayNumber = i32;

const DAY_MICROS: i64 = 86_400_000_000;
const HOUR_MICROS: i64 = 3_600_000_000;

/// The days of all hubs that are asked about.
#[derive(Debug, Default)]
pub(crate) struct Calendar {
    hubs: BTreeMap<String, HubCalendar>,
}

/// The days of one hub.
#[derive(Debug)]
pub(crate) struct HubCalendar {
    zone: TimeZone,
    first: DayNumber,
    /// Starts of the days in microseconds since 1970, the end of the last one behind them. A day
    /// that the zone skipped has no length.
    starts: Vec<i64>,
    /// Starts of the local hours, the end of the last one behind them.
    hours: OnceLock<Vec<LocalHour>>,
}

/// A local hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LocalHour {
    start: i64,
    /// As a clock on the wall shows it: 0 to 23.
    hour: i8,
    day: DayNumber,
}

pub(crate) fn number(date: Date) -> DayNumber {
    let epoch = Date::constant(1970, 1, 1);
    // Every two days are fewer than 2^31 apart.
    epoch
        .until((Unit::Day, date))
        .map_or(0, |since| since.get_days())
}

pub(crate) fn date(number: DayNumber) -> Date {
    Date::constant(1970, 1, 1).saturating_add(number.days())
}

/// 1 is Monday, 7 is Sunday.
pub(crate) fn weekday(day: DayNumber) -> i64 {
    // The first of 1970 was a Thursday.
    i64::from((day + 3).rem_euclid(7)) + 1
}

impl Calendar {
    /// Days from the first to the last, in the zone of each hub.
    pub(crate) fn new<'a>(
        hubs: impl Iterator<Item = (&'a String, TimeZone)>,
        first: Date,
        last: Date,
    ) -> Self {
        let hubs = hubs.map(|(hub, zone)| (hub.clone(), HubCalendar::new(zone, first, last)));
        Self {
            hubs: hubs.collect(),
        }
    }

    pub(crate) fn hub(&self, hub: &str) -> Option<&HubCalendar> {
        self.hubs.get(hub)
    }

    pub(crate) fn hubs(&self) -> impl Iterator<Item = (&String, &HubCalendar)> {
        self.hubs.iter()
    }
}

fn micros_of(start: Timestamp) -> i64 {
    start.as_microsecond()
}

fn moment(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

impl HubCalendar {
    fn new(zone: TimeZone, first: Date, last: Date) -> Self {
        let first = number(first);
        let last = number(last).max(first);
        let start = |day| micros_of(Day::new(date(day)).span(&zone).start);
        Self {
            starts: (first..=last + 1).map(start).collect(),
            first,
            zone,
            hours: OnceLock::new(),
        }
    }

    /// The first day.
    pub(crate) fn first(&self) -> DayNumber {
        self.first
    }

    /// The last day.
    pub(crate) fn last(&self) -> DayNumber {
        let n_days = i32::try_from(self.starts.len()).unwrap_or(i32::MAX);
        self.first + n_days - 2
    }

    /// When a day begins, in microseconds since 1970; also of the day after the last.
    pub(crate) fn start(&self, day: DayNumber) -> i64 {
        let index = usize::try_from(day - self.first).ok();
        let known = index.and_then(|index| self.starts.get(index));
        known.copied().unwrap_or_else(|| {
            let day = Day::new(date(day));
            micros_of(day.span(&self.zone).start)
        })
    }

    /// The day that a moment lies in, also outside of the period.
    pub(crate) fn day_of(&self, at: i64) -> DayNumber {
        let (Some(start), Some(end)) = (self.starts.first(), self.starts.last()) else {
            return 0;
        };
        if at < *start || at >= *end {
            return number(Day::of(moment(at), &self.zone).date());
        }
        // Days are a day long, nearly always.
        let guess = usize::try_from((at - start) / DAY_MICROS).unwrap_or(0);
        let mut index = guess.min(self.starts.len() - 2);
        while self.starts[index] > at {
            index -= 1;
        }
        while self.starts[index + 1] <= at {
            index += 1;
        }
        self.first + i32::try_from(index).unwrap_or(0)
    }

    /// The last day on which a session ran for a moment: one that ended at midnight sharp did not on
    /// the day that begins.
    pub(crate) fn last_day_of(&self, started: i64, until: i64) -> DayNumber {
        self.day_of((until - 1).max(started))
    }

    /// The days of the period on which a session ran for a moment. One that ended at midnight
    /// sharp does not count on the day that begins, one without length on its start's.
    pub(crate) fn days_of(
        &self,
        started: i64,
        until: i64,
    ) -> impl Iterator<Item = DayNumber> + use<'_> {
        let last_moment = (until - 1).max(started);
        let (from, to) = (self.starts[0], self.starts[self.starts.len() - 1]);
        let is_in = last_moment >= from && started < to;
        let days = is_in.then(|| {
            let first = self.day_of(started.max(from));
            let last = self.day_of(last_moment.min(to - 1));
            first..=last
        });
        let has_length = |day: &DayNumber| self.start(*day) < self.start(*day + 1);
        days.into_iter().flatten().filter(has_length)
    }

    /// Microseconds of a session on a day.
    pub(crate) fn micros_on(&self, day: DayNumber, started: i64, until: i64) -> i64 {
        let from = started.max(self.start(day));
        let to = until.min(self.start(day + 1));
        (to - from).max(0)
    }

    fn hours(&self) -> &[LocalHour] {
        self.hours.get_or_init(|| {
            let end = self.starts[self.starts.len() - 1];
            let mut hours = Vec::new();
            let mut start = moment(self.starts[0]);
            while micros_of(start) < end {
                hours.push(LocalHour {
                    start: micros_of(start),
                    hour: self.zone.to_datetime(start).hour(),
                    day: self.day_of(micros_of(start)),
                });
                start = days::hour_end(start, &self.zone);
            }
            hours.push(LocalHour {
                start: end,
                hour: 0,
                day: self.last() + 1,
            });
            hours
        })
    }

    /// Index of the local hour; the moment lies in the period.
    fn hour_index(&self, at: i64) -> usize {
        let hours = self.hours();
        let guess = usize::try_from((at - hours[0].start) / HOUR_MICROS).unwrap_or(0);
        let mut index = guess.min(hours.len() - 2);
        while hours[index].start > at && index > 0 {
            index -= 1;
        }
        while hours[index + 1].start <= at && index + 2 < hours.len() {
            index += 1;
        }
        index
    }

    /// Starts of the local hours of the period in which a session ran for a moment.
    pub(crate) fn hours_of(&self, started: i64, until: i64) -> impl Iterator<Item = i64> + use<'_> {
        let last_moment = (until - 1).max(started);
        let (from, to) = (self.starts[0], self.starts[self.starts.len() - 1]);
        let range = if last_moment >= from && started < to {
            let first = self.hour_index(started.max(from));
            first..self.hour_index(last_moment.min(to - 1)) + 1
        } else {
            0..0
        };
        self.hours()[range].iter().map(|hour| hour.start)
    }

    /// Microseconds of a session in the local hour that begins then.
    pub(crate) fn micros_in(&self, hour: i64, started: i64, until: i64) -> i64 {
        let end = if self.is_inside(hour) {
            self.hours()[self.hour_index(hour) + 1].start
        } else {
            micros_of(days::hour_end(moment(hour), &self.zone))
        };
        (until.min(end) - started.max(hour)).max(0)
    }

    fn is_inside(&self, at: i64) -> bool {
        self.starts[0] <= at && at < self.starts[self.starts.len() - 1]
    }

    /// What a clock on the wall shows: 0 to 23.
    pub(crate) fn hour_of_day(&self, at: i64) -> i64 {
        let hour = if self.is_inside(at) {
            self.hours()[self.hour_index(at)].hour
        } else {
            self.zone.to_datetime(moment(at)).hour()
        };
        i64::from(hour)
    }

    /// 1 is Monday, 7 is Sunday.
    pub(crate) fn weekday_of(&self, at: i64) -> i64 {
        weekday(self.day_of(at))
    }

    /// Starts of the local hours of some days, the end of the last one behind them.
    pub(crate) fn hours_of_days(&self, days: RangeInclusive<DayNumber>) -> Vec<i64> {
        let hours = self.hours();
        let first = hours.partition_point(|hour| hour.day < *days.start());
        let end = hours.partition_point(|hour| hour.day <= *days.end());
        let starts = hours[first..hours.len().min(end + 1)].iter();
        starts.map(|hour| hour.start).collect()
    }

    /// Number of local hours of a day.
    pub(crate) fn n_hours(&self, day: DayNumber) -> usize {
        let hours = self.hours();
        let before = |day| hours.partition_point(|hour| hour.day < day);
        before(day + 1) - before(day)
    }
}

/// Microseconds as seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 microseconds are 285 years"
)]
pub(crate) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn calendar(zone: &str, first: &str, last: &str) -> HubCalendar {
        let zone = TimeZone::get(zone).unwrap();
        HubCalendar::new(zone, first.parse().unwrap(), last.parse().unwrap())
    }

    #[test]
    fn hours_of_a_day_are_those_of_the_clock_changes() {
        for (zone, day, n_hours) in [
            ("America/New_York", "2026-03-08", 23),
            ("America/New_York", "2026-11-01", 25),
            ("Asia/Kathmandu", "2026-11-01", 24),
            // Half an hour is skipped, and repeated.
            ("Australia/Lord_Howe", "2026-10-04", 24),
            ("Australia/Lord_Howe", "2026-04-05", 25),
        ] {
            let calendar = calendar(zone, "2026-01-01", "2026-12-31");
            let day = number(day.parse().unwrap());
            assert_eq!(calendar.n_hours(day), n_hours, "{zone}");
            let (start, end) = (calendar.start(day), calendar.start(day + 1));
            let hours = calendar.hours_of(start, end);
            let sum: i64 = hours.map(|hour| calendar.micros_in(hour, start, end)).sum();
            assert_eq!(sum, end - start);
        }
    }

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        assert_eq!(weekday(number("2026-03-02".parse().unwrap())), 1);
        assert_eq!(weekday(number("2026-03-08".parse().unwrap())), 7);
        assert_eq!(weekday(number("1969-12-28".parse().unwrap())), 7);
    }

    proptest! {
        #[test]
        fn a_moment_lies_in_its_day_and_hour(
            at in 1_767_400_000_000_000i64..1_798_500_000_000_000,
            zone in proptest::sample::select(vec![
                "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe",
            ]),
        ) {
            let calendar = calendar(zone, "2026-01-01", "2026-12-31");
            let day = calendar.day_of(at);
            prop_assert_eq!(date(day), Day::of(moment(at), &calendar.zone).date());
            prop_assert!(calendar.start(day) <= at && at < calendar.start(day + 1));
            let hour = days::hour_start(moment(at), &calendar.zone);
            let found = calendar.hours()[calendar.hour_index(at)];
            prop_assert_eq!(found.start, hour.as_microsecond());
            let wall = calendar.zone.to_datetime(moment(at));
            prop_assert_eq!(calendar.hour_of_day(at), i64::from(wall.hour()));
        }

        #[test]
        fn the_days_of_a_session_add_up_to_its_length(
            started in 1_770_000_000i64..1_790_000_000,
            seconds in 0i64..2_000_000,
        ) {
            let calendar = calendar("America/New_York", "2026-01-01", "2026-12-31");
            let (started, until) = (started * 1_000_000, (started + seconds) * 1_000_000);
            let days = calendar.days_of(started, until);
            let sum: i64 = days.map(|day| calendar.micros_on(day, started, until)).sum();
            prop_assert_eq!(sum, until - started);
            let hours = calendar.hours_of(started, until);
            let sum: i64 = hours.map(|hour| calendar.micros_in(hour, started, until)).sum();
            prop_assert_eq!(sum, until - started);
        }
    }
}
