//! Local days and hours, and what a user did on a day.
//!
//! Days are cut in the hub's zone, so that a person who compares a number with a calendar finds
//! the same. Time is summed in whole microseconds and converted at the end: the result is the same
//! in whatever order sessions come, and the days of a session add up to exactly its length.
//!
//! Groups, and who may see whom, do not belong here.

use crate::fact::ActiveHour;
use crate::names::UserName;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// A day of the calendar. What it spans depends on the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

/// The time a local day takes: 23, 24 or 25 hours, and none at all for a day that a zone skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySpan {
    /// First moment of the day.
    pub start: Timestamp,
    /// First moment of the next day.
    pub end: Timestamp,
}

/// A session as days see it.
#[derive(Clone, Copy, Debug)]
pub struct SessionSpan<'a> {
    /// Whose it is.
    pub user: &'a UserName,
    /// Name of the server; `""` is the default one.
    pub server: &'a str,
    /// When the hub started it.
    pub started: Timestamp,
    /// Its end, or now while it is running. Before `started` means no time at all.
    pub until: Timestamp,
    /// Sorted; `None` when its activity is not known, which is not the same as none.
    pub active_hours: Option<&'a [ActiveHour]>,
}

/// What one user did on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct UserDay {
    /// Local day.
    pub day: Day,
    /// Who.
    pub user: UserName,
    /// Sessions that ran for a moment of the day. One over midnight counts on both days.
    pub sessions: u32,
    /// Server hours: two servers at once count both.
    pub hours: f64,
    /// `None` if the activity of any of these sessions is not known.
    pub active_seconds: Option<u64>,
}

/// All users' days with at least one session, sorted by day, then user.
///
/// A session counts on each day it ran a moment of; one that ended at midnight sharp does not count
/// on the day that begins, and one without length counts on its start's day. Activity that lies
/// outside its session by a clock that was off, or by hours that were cut in another zone, counts
/// on the session's nearest day, so that days add up to what the session says.
pub fn user_days<'a>(
    sessions: impl Iterator<Item = SessionSpan<'a>>,
    zone: &TimeZone,
    days: RangeInclusive<Day>,
) -> Vec<UserDay> {
    let calendar = Calendar::new(zone, days);
    let mut sums: BTreeMap<(Day, &UserName), DaySum> = BTreeMap::new();
    for session in sessions {
        for (day, span) in calendar.days_of(&session) {
            let sum = sums.entry((day, session.user));
            sum.or_insert(DaySum::NOTHING).add(&session, span);
        }
    }
    let rows = sums.into_iter().map(|((day, user), sum)| UserDay {
        day,
        user: user.clone(),
        sessions: sum.sessions,
        hours: hours(sum.microseconds),
        active_seconds: sum.active_seconds,
    });
    rows.collect()
}

/// Start of the local hour that `at` lies in.
///
/// Local hours begin where a local clock shows minute 0, and where the clock is changed by less
/// than an hour also at the change. So they never reach over the start of a day, and a repeated
/// hour is two hours.
pub fn hour_start(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let offset = zone.to_offset(at);
    // Before 1970 seconds are cut towards zero: a moment too late, which would lie in the next hour.
    let second = at.as_second() - i64::from(at.subsec_nanosecond() < 0);
    let since_full_hour = (second + i64::from(offset.seconds())).rem_euclid(3600);
    let Ok(full_hour) = Timestamp::from_second(second - since_full_hour) else {
        return Timestamp::MIN;
    };
    if zone.to_offset(full_hour) == offset {
        return full_hour;
    }
    // `preceding` leaves out a change at the very moment that is asked for.
    let after = at + SignedDuration::from_nanos(1);
    let change = zone.preceding(after).next();
    change.map_or(full_hour, |change| change.timestamp().max(full_hour))
}

/// End of the local hour that begins at `start`: an hour later, or less where the local clock is
/// changed by less than an hour.
pub fn hour_end(start: Timestamp, zone: &TimeZone) -> Timestamp {
    let full = start.saturating_add(SignedDuration::from_hours(1));
    let mut end = full.unwrap_or(Timestamp::MAX);
    // After a change in the midst of it another full hour may be near: the first of both ends it.
    loop {
        let last_moment = end.saturating_sub(SignedDuration::from_nanos(1));
        let last_hour = hour_start(last_moment.unwrap_or(start), zone);
        if last_hour <= start {
            return end;
        }
        end = last_hour;
    }
}

impl Day {
    /// The day of this date.
    pub fn new(date: Date) -> Self {
        Self(date)
    }

    /// Its date.
    pub fn date(self) -> Date {
        self.0
    }

    /// The day that `at` lies in.
    pub fn of(at: Timestamp, zone: &TimeZone) -> Self {
        let day = Self(zone.to_datetime(at).date());
        // A clock that is set back over midnight shows yesterday's date for a while; the new day
        // has begun all the same, as days do not overlap.
        if day.span(zone).end <= at {
            day.next()
        } else {
            day
        }
    }

    /// The day after; the last day that can be written has itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.tomorrow().unwrap_or(self.0))
    }

    /// When it begins and ends in a zone. It begins at midnight, or where that hour is skipped by a
    /// clock change, at the first moment after.
    pub fn span(self, zone: &TimeZone) -> DaySpan {
        DaySpan {
            start: self.start(zone),
            end: self.next().start(zone),
        }
    }

    fn start(self, zone: &TimeZone) -> Timestamp {
        // Only fails at the ends of time, in the years -9999 and 9999.
        let at_the_end_of_time = if self.0.year() < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        let start = self.0.to_zoned(zone.clone());
        start.map_or(at_the_end_of_time, |start| start.timestamp())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The days that were asked for, in order, with their spans: a year is looked up in the zone once
/// and not for each session. Skipped days are left out.
struct Calendar(Vec<(Day, DaySpan)>);

/// What the sessions of one user and day add up to.
struct DaySum {
    sessions: u32,
    microseconds: i64,
    active_seconds: Option<u64>,
}

impl Calendar {
    fn new(zone: &TimeZone, days: RangeInclusive<Day>) -> Self {
        let all = std::iter::successors(Some(*days.start()), |day| {
            Some(day.next()).filter(|next| next > day)
        });
        let spans = all
            .take_while(|day| day <= days.end())
            .map(|day| (day, day.span(zone)))
            .filter(|(_, span)| span.start < span.end);
        Self(spans.collect())
    }

    /// Days that the session ran a moment of.
    fn days_of(&self, session: &SessionSpan<'_>) -> impl Iterator<Item = (Day, DaySpan)> {
        let last_moment = session.last_moment();
        let first = self
            .0
            .partition_point(|(_, span)| span.end <= session.started);
        let days = self.0[first..].iter().copied();
        days.take_while(move |(_, span)| span.start <= last_moment)
    }
}

impl SessionSpan<'_> {
    /// The last moment it ran; `until` itself no longer counts.
    fn last_moment(&self) -> Timestamp {
        let last = self.until.checked_sub(SignedDuration::from_nanos(1));
        last.unwrap_or(self.until).max(self.started)
    }

    fn microseconds_in(&self, span: DaySpan) -> i64 {
        let from = self.started.max(span.start);
        let to = self.until.min(span.end);
        (to.as_microsecond() - from.as_microsecond()).max(0)
    }

    fn active_seconds_in(&self, span: DaySpan) -> Option<u64> {
        let hours = self.active_hours?;
        let last_moment = self.last_moment();
        let moment = |active: &ActiveHour| active.hour.clamp(self.started, last_moment);
        let first = hours.partition_point(|active| moment(active) < span.start);
        let of_day = hours[first..]
            .iter()
            .take_while(|active| moment(active) < span.end);
        Some(of_day.map(|active| u64::from(active.seconds)).sum())
    }
}

impl DaySum {
    const NOTHING: Self = Self {
        sessions: 0,
        microseconds: 0,
        active_seconds: Some(0),
    };

    fn add(&mut self, session: &SessionSpan<'_>, span: DaySpan) {
        let active_seconds = self.active_seconds.zip(session.active_seconds_in(span));
        self.sessions += 1;
        self.microseconds += session.microseconds_in(span);
        self.active_seconds = active_seconds.map(|(sum, more)| sum + more);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 microseconds are 285 years of server time on one day"
)]
fn hours(microseconds: i64) -> f64 {
    microseconds as f64 / 3.6e9
}

#[cfg(test)]
mod tests;
