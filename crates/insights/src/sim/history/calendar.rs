//! The hub's calendar: local days with their season, and local hours, looked up once.
//!
//! Inside the generator times are microseconds since 1970: a year has millions of them, and most
//! are only compared and added to.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::days::{Day, hour_start};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Days from the first midnight of the history to the present.
#[derive(Debug)]
pub(super) struct Calendar {
    pub(super) zone: TimeZone,
    /// First moment of the first day.
    pub(super) begin: i64,
    /// The present.
    pub(super) until: i64,
    pub(super) days: Vec<LocalDay>,
    /// Starts of all local hours.
    hours: Vec<i64>,
}

/// A day as the hub's people live it.
#[derive(Debug)]
pub(super) struct LocalDay {
    pub(super) day: Day,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) season: Season,
    pub(super) weekday: Weekday,
    change: Option<ClockChange>,
}

#[derive(Clone, Copy, Debug)]
struct ClockChange {
    at: i64,
    /// By how much the clock is put forward.
    forward: i64,
}

/// What a university does at that time of the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Season {
    Lectures,
    Exams,
    Break,
    Holidays,
}

impl Calendar {
    pub(super) fn new(n_days: u32, zone: &TimeZone, until: Timestamp) -> Self {
        let today = Day::of(until, zone).date();
        let first = today.saturating_sub(jiff::Span::new().days(i64::from(n_days)));
        let all = std::iter::successors(Some(Day::new(first)), |day| {
            Some(day.next()).filter(|next| next > day)
        });
        let days = all.take_while(|day| day.date() <= today);
        let days: Vec<LocalDay> = days.map(|day| LocalDay::new(day, zone)).collect();
        Self {
            zone: zone.clone(),
            begin: days.first().map_or(until.as_microsecond(), |day| day.start),
            until: until.as_microsecond(),
            hours: hours(&days, zone),
            days,
        }
    }

    /// First moment of a date plus some time; also of dates before the history.
    pub(super) fn moment(&self, date: Date, after_midnight: i64) -> i64 {
        time_us(Day::new(date).span(&self.zone).start) + after_midnight
    }

    /// Index of the day that `at` lies in; the nearest for times outside.
    pub(super) fn day_index(&self, at: i64) -> usize {
        let n_begun = self.days.partition_point(|day| day.start <= at);
        n_begun.saturating_sub(1)
    }

    /// Index of the local hour that `at` lies in; the nearest for times outside.
    pub(super) fn hour_index(&self, at: i64) -> usize {
        let first = self.hours[0];
        let guess = usize::try_from((at - first) / HOUR).unwrap_or_default();
        let mut index = guess.min(self.hours.len() - 1);
        while index > 0 && self.hours[index] > at {
            index -= 1;
        }
        while self.hours.get(index + 1).is_some_and(|&next| next <= at) {
            index += 1;
        }
        index
    }

    /// How many local hours there are, those of today's rest included.
    pub(super) fn n_hours(&self) -> usize {
        self.hours.len()
    }

    /// When this hour begins.
    pub(super) fn hour_start(&self, index: usize) -> i64 {
        self.hours[index]
    }

    /// When the hour after this one begins.
    pub(super) fn hour_end(&self, index: usize) -> i64 {
        self.hours.get(index + 1).copied().unwrap_or(i64::MAX)
    }

    /// Moments at which clocks are changed, within the history.
    pub(super) fn clock_changes(&self) -> impl Iterator<Item = i64> {
        let changes = self.days.iter().filter_map(|day| day.change);
        changes.map(|change| change.at)
    }
}

impl LocalDay {
    fn new(day: Day, zone: &TimeZone) -> Self {
        let span = day.span(zone);
        Self {
            day,
            start: time_us(span.start),
            end: time_us(span.end),
            season: Season::of(day.date()),
            weekday: day.date().weekday(),
            change: ClockChange::within(span.start, span.end, zone),
        }
    }

    /// When a local clock shows this much since midnight.
    pub(super) fn moment(&self, on_the_clock: i64) -> i64 {
        let at = self.start + on_the_clock;
        match self.change {
            Some(change) if at >= change.at => at - change.forward,
            _ => at,
        }
    }

    pub(super) fn is_weekend(&self) -> bool {
        matches!(self.weekday, Weekday::Saturday | Weekday::Sunday)
    }
}

impl ClockChange {
    fn within(start: Timestamp, end: Timestamp, zone: &TimeZone) -> Option<Self> {
        let change = zone.following(start).next()?;
        let before = zone.to_offset(start);
        let forward = i64::from(change.offset().seconds() - before.seconds()) * SECOND;
        let is_within = change.timestamp() < end && forward != 0;
        is_within.then(|| Self {
            at: time_us(change.timestamp()),
            forward,
        })
    }
}

impl Season {
    fn of(date: Date) -> Self {
        match (date.month(), date.day()) {
            (12, 21..) | (1, ..=6) => Self::Holidays,
            (2, 8..) | (7, 12..) | (8, ..=2) => Self::Exams,
            (3 | 8 | 9, _) | (4 | 10, ..=13) => Self::Break,
            _ => Self::Lectures,
        }
    }
}

/// Starts of all local hours of the days, and of one day more.
fn hours(days: &[LocalDay], zone: &TimeZone) -> Vec<i64> {
    let begin = days.first().map_or(0, |day| day.start);
    let end = days.last().map_or(0, |day| day.end) + DAY;
    let starts = std::iter::successors(Some(timestamp(begin)), |hour| {
        Some(hour_start(*hour + SignedDuration::from_hours(1), zone))
    });
    starts.map(time_us).take_while(|&hour| hour < end).collect()
}

/// As a value of the model.
pub(super) fn timestamp(at_us: i64) -> Timestamp {
    Timestamp::from_microsecond(at_us).unwrap_or_default()
}

pub(super) fn time_us(at: Timestamp) -> i64 {
    at.as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str) -> Calendar {
        let until = "2026-11-20T12:00:00Z".parse().unwrap();
        Calendar::new(365, &TimeZone::get(zone).unwrap(), until)
    }

    #[test]
    fn a_year_begins_at_a_midnight_and_ends_today() {
        let calendar = calendar("Europe/Berlin");
        assert_eq!(calendar.days.len(), 366);
        assert_eq!(
            timestamp(calendar.begin).to_string(),
            "2025-11-19T23:00:00Z"
        );
        assert_eq!(calendar.clock_changes().count(), 2);
    }

    #[test]
    fn hours_are_those_of_the_model() {
        for zone in ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"] {
            let calendar = calendar(zone);
            let mut at = calendar.begin;
            while at < calendar.until {
                let expected = hour_start(timestamp(at), &calendar.zone);
                let index = calendar.hour_index(at);
                assert_eq!(timestamp(calendar.hour_start(index)), expected, "{zone}");
                assert!(calendar.hour_end(index) > at);
                at += 17 * MINUTE;
            }
        }
    }

    #[test]
    fn the_clock_shows_the_time_asked_for_also_after_a_change() {
        let calendar = calendar("Europe/Berlin");
        let changes: Vec<i64> = calendar.clock_changes().collect();
        for change in changes {
            let day = &calendar.days[calendar.day_index(change)];
            for hour in [1, 4, 23] {
                let shown = timestamp(day.moment(hour * HOUR)).to_zoned(calendar.zone.clone());
                assert_eq!(i64::from(shown.hour()), hour);
                assert_eq!(shown.date(), day.day.date());
            }
        }
    }
}
