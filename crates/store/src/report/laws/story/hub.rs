//! What happens on a hub, in the plainest terms: laws compare reports with this.

use super::{Cut, Hub, Length, SERVERS, Stay, USERS};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use model::days::{hour_end, hour_start};
use std::collections::BTreeMap;
use std::ops::Range;

/// A session as it came about.
pub(crate) struct Session {
    pub(crate) user: &'static str,
    pub(crate) server: &'static str,
    pub(crate) started: Timestamp,
    /// Its end, or now.
    pub(crate) until: Timestamp,
    pub(crate) is_running: bool,
    /// Local hours with how many seconds of them were active.
    pub(crate) active: Option<Vec<(Timestamp, i64)>>,
    stay: Stay,
}

/// What one server used in an hour.
#[derive(Default)]
#[expect(clippy::struct_field_names, reason = "units")]
pub(crate) struct Used {
    pub(crate) cpu_core_seconds: f64,
    pub(crate) memory_byte_seconds: f64,
    pub(crate) gpu_seconds: Option<f64>,
}

impl Hub {
    pub(crate) fn zone(&self) -> TimeZone {
        TimeZone::get(self.zone).unwrap()
    }

    /// A day, counted from the first one.
    pub(crate) fn date(&self, day: i32) -> Date {
        self.first + day.days()
    }

    /// When it begins.
    pub(crate) fn midnight(&self, day: i32) -> Timestamp {
        self.date(day).to_zoned(self.zone()).unwrap().timestamp()
    }

    /// The days that have begun, counted from the first one.
    pub(crate) fn days(&self, now: Timestamp) -> Range<i32> {
        let begins = |day: &i32| self.midnight(*day) < now;
        let n_days = (0..i32::MAX).take_while(begins).count();
        0..i32::try_from(n_days).unwrap()
    }

    /// Whether anything was collected on a day.
    pub(crate) fn is_watched(&self, day: i32) -> bool {
        !self.unwatched.contains(&day)
    }

    /// All sessions up to now.
    pub(crate) fn sessions(&self, now: Timestamp) -> Vec<Session> {
        let mut sessions = Vec::new();
        for (number, stays) in self.stays.iter().enumerate() {
            let mut free = self.midnight(0);
            for stay in stays {
                let started = free + stay.pause;
                if started >= now {
                    break;
                }
                free = self.end(started, stay.length);
                let times = self.pieces(started, free.min(now));
                sessions.extend(times.into_iter().map(|(started, until)| Session {
                    user: USERS[number / SERVERS.len()],
                    server: SERVERS[number % SERVERS.len()],
                    started,
                    until,
                    is_running: until == now && free > now,
                    active: self.active(started, until, *stay),
                    stay: *stay,
                }));
            }
        }
        sessions
    }

    /// From when to when: once, or each day for itself.
    fn pieces(&self, started: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let (mut pieces, mut from) = (Vec::new(), started);
        let midnight = |from| self.end(from, Length::Midnights(1));
        while self.cut == Cut::AtMidnight && midnight(from) < until {
            pieces.push((from, midnight(from)));
            from = midnight(from);
        }
        pieces.push((from, until));
        pieces
    }

    fn end(&self, started: Timestamp, length: Length) -> Timestamp {
        match length {
            Length::Minutes(minutes) => started + SignedDuration::from_mins(minutes),
            Length::Midnights(n_midnights) => {
                let day = started.to_zoned(self.zone()).date() + n_midnights.days();
                day.to_zoned(self.zone()).unwrap().timestamp()
            }
        }
    }

    fn active(
        &self,
        started: Timestamp,
        until: Timestamp,
        stay: Stay,
    ) -> Option<Vec<(Timestamp, i64)>> {
        let percent = stay.active_percent?;
        let hours = self.hours(started, until).into_iter();
        let active = hours.map(|(hour, seconds)| (hour, seconds * percent / 100));
        Some(active.filter(|(_, seconds)| *seconds > 0).collect())
    }

    /// Local hours, and how many seconds of them lie in between.
    fn hours(&self, started: Timestamp, until: Timestamp) -> Vec<(Timestamp, i64)> {
        let zone = self.zone();
        let mut hours = Vec::new();
        let mut hour = hour_start(started, &zone);
        while hour < until {
            let end = hour_end(hour, &zone);
            let seconds = until.min(end).duration_since(started.max(hour)).as_secs();
            hours.push((hour, seconds));
            hour = end;
        }
        hours
    }

    /// What servers used, by hour, user and server; not on days on which nothing was collected.
    pub(crate) fn usage(
        &self,
        now: Timestamp,
    ) -> BTreeMap<(Timestamp, &'static str, &'static str), Used> {
        let mut usage: BTreeMap<_, Used> = BTreeMap::new();
        for session in self.sessions(now) {
            let Some(cores) = session.stay.quarter_cores else {
                continue;
            };
            for (hour, seconds) in self.hours(session.started, session.until) {
                let day = hour.to_zoned(self.zone()).date();
                let is_over = hour_end(hour, &self.zone()) <= now;
                if !is_over || self.unwatched.clone().any(|gap| self.date(gap) == day) {
                    continue;
                }
                let seconds = f64::from(i32::try_from(seconds).unwrap());
                let used = usage.entry((hour, session.user, session.server));
                let used = used.or_default();
                used.cpu_core_seconds += seconds * f64::from(cores) / 4.0;
                used.memory_byte_seconds += seconds * f64::from(cores + 1) * 268_435_456.0;
                if let Some(gpus) = session.stay.gpus {
                    *used.gpu_seconds.get_or_insert(0.0) += seconds * f64::from(gpus);
                }
            }
        }
        usage
    }
}
