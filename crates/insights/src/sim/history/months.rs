//! Months, so that each is written at once into its own partition.

use super::History;
use super::calendar::{Calendar, time_us, timestamp};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::days::Day;
use std::ops::Range;

/// A month of UTC, by which tables are partitioned, and the local days that begin in it.
#[derive(Debug)]
pub(super) struct MonthPlan {
    /// First of the month.
    pub(super) date: Date,
    /// Indices of days that begin before the end of the month and were in none before.
    pub(super) days: Range<usize>,
    /// End of the month of UTC.
    pub(super) end: i64,
}

impl MonthPlan {
    pub(super) fn all(calendar: &Calendar) -> Vec<Self> {
        let mut months = Vec::new();
        let mut first = 0;
        while let Some(day) = calendar.days.get(first) {
            // Where clocks are ahead of UTC, a local month begins in the month of UTC before.
            let start = timestamp(day.start).to_zoned(TimeZone::UTC).date();
            let date = start.first_of_month();
            let next = date.last_of_month().tomorrow().unwrap_or(Date::MAX);
            let end = next.to_zoned(TimeZone::UTC);
            let end = end.map_or(i64::MAX, |end| time_us(end.timestamp()));
            let n_begun = calendar.days.partition_point(|day| day.start < end);
            months.push(Self {
                date,
                days: first..n_begun,
                end,
            });
            first = n_begun;
        }
        months
    }
}

impl History {
    pub(super) fn month_date(&self, month: usize) -> Date {
        self.months[month].date
    }

    pub(super) fn month_end(&self, month: usize) -> Timestamp {
        timestamp(self.months[month].end)
    }

    /// Days that are over and whose date is in this month or before.
    pub(super) fn n_days_until(&self, month: usize) -> usize {
        let plan = &self.months[month];
        let last_date = plan.date.last_of_month();
        let days = &self.calendar.days[..plan.days.end];
        let n_of_dates = days.partition_point(|day| day.day.date() <= last_date);
        n_of_dates.min(self.calendar.days.len() - 1)
    }

    pub(super) fn day(&self, index: usize) -> Day {
        self.calendar.days[index].day
    }

    pub(super) fn day_of(&self, at: Timestamp) -> Day {
        self.day(self.calendar.day_index(time_us(at)))
    }

    pub(super) fn until(&self) -> Timestamp {
        timestamp(self.calendar.until)
    }

    pub(super) fn zone(&self) -> &TimeZone {
        &self.calendar.zone
    }
}
