//! Which moments an axis of time names: whole minutes, hours, days, weeks, months or years, so far
//! apart that their names can be read.

use jiff::civil::{Date, DateTime, Time, date};
use jiff::{Span, ToSpan};

/// A moment that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CalendarTick {
    pub(super) at: DateTime,
    /// Such as a day and a month.
    pub(super) label: String,
    /// What is said only where it changes, such as the year; may be empty.
    pub(super) context: String,
}

/// From one named moment to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Seconds(i8),
    Minutes(i8),
    Hours(i8),
    Days(i8),
    Weeks(i8),
    Months(i8),
    Years(i16),
}

use Step::{Days, Hours, Minutes, Months, Seconds, Weeks, Years};

/// From fine to coarse.
const STEPS: [Step; 30] = [
    Seconds(1),
    Seconds(5),
    Seconds(15),
    Seconds(30),
    Minutes(1),
    Minutes(5),
    Minutes(15),
    Minutes(30),
    Hours(1),
    Hours(2),
    Hours(3),
    Hours(6),
    Hours(12),
    Days(1),
    Days(2),
    Weeks(1),
    Weeks(2),
    Months(1),
    Months(3),
    Months(6),
    Years(1),
    Years(2),
    Years(5),
    Years(10),
    Years(20),
    Years(50),
    Years(100),
    Years(200),
    Years(500),
    Years(1000),
];

const DAY_SECONDS: f64 = 86_400.0;
/// A Monday.
const MONDAY: Date = date(1970, 1, 5);

/// The named moments from `start` to `end` on an axis of this width, `finest` apart or more.
pub(super) fn ticks(
    start: DateTime,
    end: DateTime,
    width_px: f64,
    finest: Step,
) -> Vec<CalendarTick> {
    let seconds = end.duration_since(start).as_secs_f64();
    let fits = |step: &Step| step.seconds() * width_px >= seconds * step.room_px();
    let step = STEPS.into_iter().filter(|step| *step >= finest).find(fits);
    let step = step.unwrap_or(Years(1000));
    let moments = std::iter::successors(Some(step.floor(start)), |at| step.after(*at));
    let within = moments.take_while(|at| *at <= end);
    let within = within.filter(|at| *at >= start).take(1000);
    within.map(|at| step.tick(at)).collect()
}

impl Step {
    /// How it is named.
    pub(super) fn tick(self, at: DateTime) -> CalendarTick {
        let (label, context) = match self {
            Seconds(_) => ("%H:%M:%S", "%-d %b %Y"),
            Minutes(_) | Hours(_) => ("%H:%M", "%-d %b %Y"),
            Days(_) | Weeks(_) => ("%-d %b", "%Y"),
            Months(_) => ("%b", "%Y"),
            Years(_) => ("%Y", ""),
        };
        CalendarTick {
            at,
            label: at.strftime(label).to_string(),
            context: at.strftime(context).to_string(),
        }
    }

    /// About how long it is.
    fn seconds(self) -> f64 {
        match self {
            Seconds(n) => f64::from(n),
            Minutes(n) => f64::from(n) * 60.0,
            Hours(n) => f64::from(n) * 3600.0,
            Days(n) => f64::from(n) * DAY_SECONDS,
            Weeks(n) => f64::from(n) * 7.0 * DAY_SECONDS,
            Months(n) => f64::from(n) * 30.4 * DAY_SECONDS,
            Years(n) => f64::from(n) * 365.25 * DAY_SECONDS,
        }
    }

    /// How wide its names are, with some air.
    pub(super) fn room_px(self) -> f64 {
        match self {
            Seconds(_) => 76.0,
            Months(_) => 38.0,
            _ => 58.0,
        }
    }

    /// The last named moment that is not later.
    fn floor(self, at: DateTime) -> DateTime {
        let (day, time) = (at.date(), at.time());
        let (h, m, s) = (time.hour(), time.minute(), time.second());
        match self {
            Seconds(n) => day.at(h, m, s - s % n, 0),
            Minutes(n) => day.at(h, m - m % n, 0, 0),
            Hours(n) => day.at(h - h % n, 0, 0, 0),
            Days(n) => back(day, whole_days(day).rem_euclid(i64::from(n))),
            Weeks(n) => back(day, whole_days(day).rem_euclid(7 * i64::from(n))),
            Months(n) => first_of(day.year(), day.month() - (day.month() - 1) % n),
            Years(n) => first_of(day.year() - day.year().rem_euclid(n), 1),
        }
    }

    fn after(self, at: DateTime) -> Option<DateTime> {
        let span: Span = match self {
            Seconds(n) => i32::from(n).seconds(),
            Minutes(n) => i32::from(n).minutes(),
            Hours(n) => i32::from(n).hours(),
            Days(n) => i32::from(n).days(),
            Weeks(n) => i32::from(n).weeks(),
            Months(n) => i32::from(n).months(),
            Years(n) => i32::from(n).years(),
        };
        at.checked_add(span).ok()
    }
}

/// Days since a Monday.
pub(super) fn whole_days(day: Date) -> i64 {
    day.duration_since(MONDAY).as_hours() / 24
}

fn back(day: Date, n_days: i64) -> DateTime {
    let first = day.checked_sub(n_days.days()).unwrap_or(Date::MIN);
    first.to_datetime(Time::midnight())
}

fn first_of(year: i16, month: i8) -> DateTime {
    let first = Date::new(year, month, 1).unwrap_or(Date::MIN);
    first.to_datetime(Time::midnight())
}

/// What days on an axis stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    Day,
    /// Seven days from this one on.
    Week,
    Month,
    Year,
}

impl Grain {
    /// By the days themselves: months begin on the first, weeks are seven days apart.
    pub(super) fn of(days: &[Date]) -> Self {
        let is_first = |day: &Date| day.day() == 1;
        if days.len() < 2 {
            return Self::Day;
        }
        if days.iter().all(|day| is_first(day) && day.month() == 1) {
            return Self::Year;
        }
        if days.iter().all(is_first) {
            return Self::Month;
        }
        let is_week = |pair: &[Date]| whole_days(pair[1]) - whole_days(pair[0]) == 7;
        if days.windows(2).all(is_week) {
            return Self::Week;
        }
        Self::Day
    }

    /// How one of its days is named on an axis.
    pub(super) fn step(self) -> Step {
        match self {
            Self::Day => Days(1),
            Self::Week => Weeks(1),
            Self::Month => Months(1),
            Self::Year => Years(1),
        }
    }

    /// How one of its days is named where there is room.
    pub(super) fn name(self, day: Date) -> String {
        match self {
            Self::Day => day.strftime("%F %a").to_string(),
            Self::Week => format!("week of {day}"),
            Self::Month => day.strftime("%B %Y").to_string(),
            Self::Year => day.strftime("%Y").to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: &str, end: &str, expected: &str) {
        let (start, end) = (start.parse().unwrap(), end.parse().unwrap());
        let ticks = ticks(start, end, 600.0, Seconds(1));
        let mut context = "";
        let mut text = Vec::new();
        for tick in &ticks {
            text.push(tick.label.clone());
            if tick.context != context {
                context = &tick.context;
                text.push(format!("({context})"));
            }
        }
        assert_eq!(text.join(" "), expected);
    }

    #[test]
    fn steps_follow_the_calendar() {
        check(
            "2026-03-01T10:00:07",
            "2026-03-01T10:00:12",
            "10:00:07 (1 Mar 2026) 10:00:08 10:00:09 10:00:10 10:00:11 10:00:12",
        );
        check(
            "2026-03-01T09:50",
            "2026-03-01T12:10",
            "10:00 (1 Mar 2026) 10:15 10:30 10:45 11:00 11:15 11:30 11:45 12:00",
        );
        check(
            "2026-03-01T20:00",
            "2026-03-02T16:00",
            "20:00 (1 Mar 2026) 22:00 00:00 (2 Mar 2026) 02:00 04:00 06:00 08:00 10:00 12:00 14:00 16:00",
        );
        check(
            "2025-12-29T00:00",
            "2026-01-04T00:00",
            "29 Dec (2025) 30 Dec 31 Dec 1 Jan (2026) 2 Jan 3 Jan 4 Jan",
        );
        check(
            "2026-01-01T00:00",
            "2026-02-15T00:00",
            "5 Jan (2026) 12 Jan 19 Jan 26 Jan 2 Feb 9 Feb",
        );
        check(
            "2025-11-15T00:00",
            "2026-05-20T00:00",
            "Dec (2025) Jan (2026) Feb Mar Apr May",
        );
        check(
            "2023-02-15T00:00",
            "2026-05-20T00:00",
            "Apr (2023) Jul Oct Jan (2024) Apr Jul Oct Jan (2025) Apr Jul Oct Jan (2026) Apr",
        );
        check(
            "2017-02-15T00:00",
            "2026-05-20T00:00",
            "2018 2019 2020 2021 2022 2023 2024 2025 2026",
        );
    }

    #[test]
    fn the_calendars_limits_are_no_limit() {
        let (start, end) = (DateTime::MIN, DateTime::MAX);
        assert!(ticks(start, end, 600.0, Days(1)).len() > 5);
        assert!(ticks(start, end, 1.0, Days(1)).len() < 50);
        assert!(ticks(end, end, 600.0, Days(1)).len() < 2);
    }

    #[test]
    fn days_say_what_they_stand_for() {
        let grain = |days: &[&str]| {
            let days: Vec<Date> = days.iter().map(|day| day.parse().unwrap()).collect();
            let grain = Grain::of(&days);
            format!("{grain:?}: {}", grain.name(days[0]))
        };
        assert_eq!(grain(&["2026-03-01", "2026-03-02"]), "Day: 2026-03-01 Sun");
        assert_eq!(
            grain(&["2026-03-02", "2026-03-09"]),
            "Week: week of 2026-03-02"
        );
        assert_eq!(grain(&["2026-03-01", "2026-04-01"]), "Month: March 2026");
        assert_eq!(grain(&["2025-01-01", "2026-01-01"]), "Year: 2025");
    }
}
