//! Hours that are not over yet, of a source that cannot be asked about the past.
//!
//! They are kept in `state.db` with each look, so that a restart loses what was used since the last
//! one and no more.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::days::{hour_end, hour_start};
use model::usage::{Account, Increment, Totals};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sums of hours that are not over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenHours {
    sums: BTreeMap<Hour, BTreeMap<Account, Totals>>,
    /// Hours before this one are written: what a clock that was set back dates there belongs to the
    /// first one that is not.
    closed_until: Option<Hour>,
    /// Until then another process has summed up.
    summed_until: Option<Timestamp>,
}

/// Start of a local hour.
type Hour = Timestamp;

/// What one account used in an hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct HourSum {
    /// Start of the local hour, in microseconds since 1970.
    hour: i64,
    account: Account,
    totals: Totals,
}

/// An hour that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedHour {
    /// Its start.
    pub hour: Timestamp,
    /// Who used how much.
    pub used: Vec<(Account, Totals)>,
}

impl OpenHours {
    /// Adds what was used; over the end of an hour it is shared by time.
    pub fn add(&mut self, increment: &Increment, zone: &TimeZone) {
        let Some(Increment {
            account,
            from,
            until,
            totals,
        }) = self.not_summed(increment)
        else {
            return;
        };
        let whole = until.duration_since(from).as_secs_f64();
        let mut start = hour_start(from, zone);
        if let Some(closed_until) = self.closed_until
            && until <= closed_until
        {
            let sums = self.sums.entry(closed_until).or_default();
            return sums.entry(account).or_default().add(&totals);
        }
        loop {
            let end = hour_end(start, zone);
            let part = end.min(until).duration_since(start.max(from));
            let share = if whole > 0.0 {
                part.as_secs_f64() / whole
            } else {
                1.0
            };
            if share > 0.0 {
                let hour = self.closed_until.map_or(start, |closed| closed.max(start));
                let sums = self.sums.entry(hour).or_default();
                let mut part = totals.times(share);
                // A measurement is one of the hour that it was taken in.
                if end < until {
                    part.samples = 0;
                }
                sums.entry(account.clone()).or_default().add(&part);
            }
            if end >= until || end <= start {
                return;
            }
            start = end;
        }
    }

    /// The part that no other process has summed up.
    fn not_summed(&self, increment: &Increment) -> Option<Increment> {
        let Some(summed_until) = self.summed_until.filter(|until| *until > increment.from) else {
            return Some(increment.clone());
        };
        let whole = increment.until.duration_since(increment.from).as_secs_f64();
        let rest = increment.until.duration_since(summed_until).as_secs_f64();
        (rest > 0.0).then(|| Increment {
            from: summed_until,
            totals: increment.totals.times(rest / whole),
            ..increment.clone()
        })
    }

    /// Takes out the hours that are over at a time.
    pub fn close(&mut self, now: Timestamp, zone: &TimeZone) -> Vec<ClosedHour> {
        let current = hour_start(now, zone);
        self.closed_until = self.closed_until.max(Some(current));
        let open = self.sums.split_off(&current);
        let closed = std::mem::replace(&mut self.sums, open);
        let closed = closed.into_iter().map(|(hour, used)| ClosedHour {
            hour,
            used: used.into_iter().collect(),
        });
        closed.collect()
    }

    /// Adds what another process had summed up until then.
    pub fn restore(&mut self, kept: &str, summed_until: Option<Timestamp>) {
        self.summed_until = summed_until;
        let kept: Vec<HourSum> = serde_json::from_str(kept).unwrap_or_default();
        for HourSum {
            hour,
            account,
            totals,
        } in kept
        {
            let Ok(hour) = Timestamp::from_microsecond(hour) else {
                continue;
            };
            let sums = self.sums.entry(hour).or_default();
            sums.entry(account).or_default().add(&totals);
        }
    }

    /// As it is kept.
    pub fn kept(&self) -> String {
        let sums = self.sums.iter().flat_map(|(hour, sums)| {
            sums.iter().map(|(account, totals)| HourSum {
                hour: hour.as_microsecond(),
                account: account.clone(),
                totals: *totals,
            })
        });
        let sums: Vec<HourSum> = sums.collect();
        // Names and numbers always have a JSON text.
        serde_json::to_string(&sums).unwrap_or_default()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-21T{text}Z").parse().unwrap()
    }

    fn increment(from: &str, until: &str, cpu: f64) -> Increment {
        Increment {
            account: Account {
                user: "ada".into(),
                server: Some("".into()),
            },
            from: at(from),
            until: at(until),
            totals: Totals {
                cpu_core_seconds: Some(cpu),
                memory_peak_bytes: Some(5.0),
                samples: 1,
                ..Totals::default()
            },
        }
    }

    #[test]
    fn what_is_used_over_a_full_hour_is_shared_by_time() {
        let mut hours = OpenHours::default();
        let zone = TimeZone::UTC;
        hours.add(&increment("09:59:00", "10:03:00", 8.0), &zone);
        hours.add(&increment("10:59:59", "11:00:00", 1.0), &zone);
        let again = hours.kept();
        let mut restored = OpenHours::default();
        restored.restore(&again, None);
        assert_eq!(restored, hours);
        let closed = restored.close(at("11:00:00"), &zone);
        let seen: Vec<(Timestamp, Option<f64>, u64)> = closed
            .iter()
            .map(|closed| {
                let totals = closed.used[0].1;
                (closed.hour, totals.cpu_core_seconds, totals.samples)
            })
            .collect();
        let expected = [
            (at("09:00:00"), Some(2.0), 0),
            (at("10:00:00"), Some(7.0), 2),
        ];
        assert_eq!(seen, expected);
        assert!(restored.close(at("23:00:00"), &zone).is_empty());
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let mut hours = OpenHours::default();
        let zone = TimeZone::get("Asia/Kathmandu").unwrap();
        hours.add(&increment("10:00:00", "10:30:00", 6.0), &zone);
        let closed = hours.close(at("12:00:00"), &zone);
        let starts: Vec<Timestamp> = closed.iter().map(|closed| closed.hour).collect();
        assert_eq!(starts, [at("09:15:00"), at("10:15:00")]);
    }

    #[test]
    fn what_another_process_summed_up_counts_once() {
        let mut other = OpenHours::default();
        let zone = TimeZone::UTC;
        other.add(&increment("10:00:00", "10:10:00", 10.0), &zone);
        let mut hours = OpenHours::default();
        hours.restore(&other.kept(), Some(at("10:10:00")));
        hours.add(&increment("10:05:00", "10:10:00", 5.0), &zone);
        hours.add(&increment("10:06:00", "10:12:00", 6.0), &zone);
        let closed = hours.close(at("11:00:00"), &zone);
        let sum = closed[0].used[0].1.cpu_core_seconds.unwrap();
        assert!((sum - 12.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn after_a_clock_was_set_back_nothing_is_added_to_an_hour_that_is_written() {
        let mut hours = OpenHours::default();
        let zone = TimeZone::UTC;
        hours.add(&increment("10:00:00", "11:00:00", 1.0), &zone);
        assert_eq!(hours.close(at("11:05:00"), &zone).len(), 1);
        hours.add(&increment("10:50:00", "10:55:00", 2.0), &zone);
        hours.add(&increment("10:55:00", "11:05:00", 4.0), &zone);
        assert!(hours.close(at("11:06:00"), &zone).is_empty());
        let closed = hours.close(at("12:00:00"), &zone);
        let of_hour = (closed[0].hour, closed[0].used[0].1.cpu_core_seconds);
        assert_eq!(of_hour, (at("11:00:00"), Some(6.0)));
    }

    #[test]
    fn a_moment_without_length_counts_once() {
        let mut hours = OpenHours::default();
        hours.add(&increment("10:00:00", "10:00:00", 6.0), &TimeZone::UTC);
        let closed = hours.close(at("12:00:00"), &TimeZone::UTC);
        assert_eq!(closed[0].used[0].1.cpu_core_seconds, Some(6.0));
    }
}
