//! Moments as people write them on a command line or in an address: `3 months ago`, a day, RFC 3339.
//!
//! What they mean depends on the clock and on the hub's zone, which the commands know.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use std::str::FromStr;

/// A moment, as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// The present one.
    Now,
    /// So long before it, by the calendar: a month ago is the same day of the month.
    Ago(Ago),
    /// The first moment of a day, week, month or year.
    StartOf(Period),
    /// This one.
    At(Timestamp),
    /// When the hub's clocks show this.
    Local(DateTime),
}

/// A number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ago {
    n: i32,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Minutes,
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

/// A part of the calendar around now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The day that is.
    Today,
    /// The day before.
    Yesterday,
    /// The week before, from its Monday.
    LastWeek,
    /// The month before.
    LastMonth,
    /// The year before.
    LastYear,
}

/// A text that is no moment.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected `now`, `today`, `yesterday`, `last week`, `last month`, `last year`, `3 months ago` (minutes, \
     hours, days, weeks, months, years), a day like 2026-01-31, or RFC 3339"
)]
pub struct NoMoment;

/// A moment that lies outside the years that can be written.
#[derive(Debug, thiserror::Error)]
#[error("the time is too far away")]
pub struct TooFar;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["now"] => return Ok(Self::Now),
            ["today"] => return Ok(Self::StartOf(Period::Today)),
            ["yesterday"] => return Ok(Self::StartOf(Period::Yesterday)),
            ["last", "week"] => return Ok(Self::StartOf(Period::LastWeek)),
            ["last", "month"] => return Ok(Self::StartOf(Period::LastMonth)),
            ["last", "year"] => return Ok(Self::StartOf(Period::LastYear)),
            [number, unit, "ago"] => return Ago::parse(number, unit).map(Self::Ago),
            _ => {}
        }
        let text = text.trim();
        let exactly = text.parse().map(Self::At);
        // A day is its midnight.
        exactly.or_else(|_| text.parse().map(Self::Local).map_err(|_| NoMoment))
    }
}

impl Ago {
    fn parse(number: &str, unit: &str) -> Result<Self, NoMoment> {
        let n = match number {
            "a" | "an" | "one" => 1,
            number => number.parse().ok().filter(|n| *n >= 0).ok_or(NoMoment)?,
        };
        let unit = match unit.strip_suffix('s').unwrap_or(unit) {
            "minute" => Unit::Minutes,
            "hour" => Unit::Hours,
            "day" => Unit::Days,
            "week" => Unit::Weeks,
            "month" => Unit::Months,
            "year" => Unit::Years,
            _ => return Err(NoMoment),
        };
        Ok(Self { n, unit })
    }

    fn span(self) -> Result<Span, jiff::Error> {
        let span = Span::new();
        match self.unit {
            Unit::Minutes => span.try_minutes(self.n),
            Unit::Hours => span.try_hours(self.n),
            Unit::Days => span.try_days(self.n),
            Unit::Weeks => span.try_weeks(self.n),
            Unit::Months => span.try_months(self.n),
            Unit::Years => span.try_years(self.n),
        }
    }
}

impl Moment {
    /// Which moment it is.
    pub fn at(&self, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, TooFar> {
        self.zoned(&now.to_zoned(zone.clone()))
            .map(|zoned| zoned.timestamp())
            .map_err(|_| TooFar)
    }

    /// The day that it lies in.
    pub fn day(&self, now: &Zoned) -> Result<Date, TooFar> {
        self.zoned(now)
            .map(|zoned| zoned.date())
            .map_err(|_| TooFar)
    }

    /// The last day that is meant: `last month` up to `last month` is the whole month.
    pub fn last_day(&self, now: &Zoned) -> Result<Date, TooFar> {
        let Self::StartOf(period) = self else {
            return self.day(now);
        };
        let last = period.first_day(now.date());
        let last = last.and_then(|first| period.last_day(first));
        last.map_err(|_| TooFar)
    }

    fn zoned(&self, now: &Zoned) -> Result<Zoned, jiff::Error> {
        let zone = now.time_zone();
        match self {
            Self::Now => Ok(now.clone()),
            Self::Ago(ago) => now.checked_sub(ago.span()?),
            Self::StartOf(period) => period.first_day(now.date())?.to_zoned(zone.clone()),
            Self::At(at) => Ok(at.to_zoned(zone.clone())),
            Self::Local(local) => local.to_zoned(zone.clone()),
        }
    }
}

impl Period {
    fn last_day(self, first: Date) -> Result<Date, jiff::Error> {
        match self {
            Self::Today | Self::Yesterday => Ok(first),
            Self::LastWeek => first.checked_add(Span::new().try_days(6)?),
            Self::LastMonth => Ok(first.last_of_month()),
            Self::LastYear => Ok(first.last_of_year()),
        }
    }

    fn first_day(self, today: Date) -> Result<Date, jiff::Error> {
        match self {
            Self::Today => Ok(today),
            Self::Yesterday => today.yesterday(),
            Self::LastWeek => {
                let since_monday = today.weekday().to_monday_zero_offset();
                today.checked_sub(Span::new().try_days(i64::from(since_monday) + 7)?)
            }
            Self::LastMonth => today
                .first_of_month()
                .checked_sub(Span::new().try_months(1)?),
            Self::LastYear => today.first_of_year().checked_sub(Span::new().try_years(1)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At noon of Saturday, 21 November 2026, in Berlin.
    fn check(text: &str, expected: &str) {
        let now: Timestamp = "2026-11-21T11:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let moment = match text.parse::<Moment>() {
            Ok(moment) => moment.at(now, &zone).unwrap().to_string(),
            Err(_) => "no moment".to_owned(),
        };
        assert_eq!(moment, expected, "{text}");
    }

    #[test]
    fn times_are_those_of_the_hubs_calendar() {
        check("now", "2026-11-21T11:00:00Z");
        check("today", "2026-11-20T23:00:00Z");
        check("Yesterday", "2026-11-19T23:00:00Z");
        check("last week", "2026-11-08T23:00:00Z");
        check("last month", "2026-09-30T22:00:00Z");
        check("last year", "2024-12-31T23:00:00Z");
        check("90 minutes ago", "2026-11-21T09:30:00Z");
        check("an hour ago", "2026-11-21T10:00:00Z");
        // Over the change of the clock noon stays noon.
        check("30 days ago", "2026-10-22T10:00:00Z");
        check("2 weeks ago", "2026-11-07T11:00:00Z");
        check("3 months ago", "2026-08-21T10:00:00Z");
        check(" 1  year ago", "2025-11-21T11:00:00Z");
        check("2026-07-01", "2026-06-30T22:00:00Z");
        check("2026-07-01T08:30", "2026-07-01T06:30:00Z");
        check("2026-07-01T08:30:00Z", "2026-07-01T08:30:00Z");
        check("2026-07-01T08:30:00+05:30", "2026-07-01T03:00:00Z");
    }

    #[test]
    fn a_period_has_a_first_and_a_last_day() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = "2026-11-21T11:00:00Z".parse::<Timestamp>().unwrap();
        let now = now.to_zoned(zone);
        let days = |text: &str| {
            let moment: Moment = text.parse().unwrap();
            let day = |day: Result<Date, TooFar>| day.unwrap().to_string();
            [day(moment.day(&now)), day(moment.last_day(&now))].join(" ")
        };
        assert_eq!(days("last week"), "2026-11-09 2026-11-15");
        assert_eq!(days("last month"), "2026-10-01 2026-10-31");
        assert_eq!(days("last year"), "2025-01-01 2025-12-31");
        assert_eq!(days("yesterday"), "2026-11-20 2026-11-20");
        assert_eq!(days("3 months ago"), "2026-08-21 2026-08-21");
        assert_eq!(days("2026-07-01"), "2026-07-01 2026-07-01");
    }

    #[test]
    fn what_is_no_moment_is_said_so() {
        for text in [
            "",
            "ago",
            "x days ago",
            "-1 days ago",
            "3 moons ago",
            "2026-13-01",
            "1700000000",
        ] {
            check(text, "no moment");
        }
        let far: Moment = "20000 years ago".parse().unwrap();
        assert!(far.at(Timestamp::UNIX_EPOCH, &TimeZone::UTC).is_err());
    }
}
