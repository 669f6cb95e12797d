//! Placeholder pods by the hour: places that are held for the next servers, and pods that found
//! none.

use super::History;
use super::calendar::{MINUTE, timestamp};
use super::incidents::{TroubleCause, Watched};
use super::presence::{Hour, Reading};
use super::usage::seconds;

/// So many hours a year are too full for the places that are held.
const SHORT_HOURS_A_YEAR: usize = 12;
const HOURS_A_YEAR: usize = 8760;
/// A new node is there after so many minutes.
const NODE_MINUTES: f64 = 3.0;
/// Starts that find no room on a node and push a placeholder away.
const PUSHES_AWAY: f64 = 0.5;

const HELD: &[(&str, &str)] = &[("phase", "Running")];
const WAITING: &[(&str, &str)] = &[("phase", "Pending")];

/// A number of pods within an hour.
struct Pods {
    mean: f64,
    min: f64,
    max: f64,
    last: f64,
}

impl History {
    /// What was read of pods, once all servers were told.
    pub fn places(&self) -> Vec<Reading> {
        let bursts = self.together.starts.bursts(&self.calendar);
        let held = f64::from(n_places(&bursts));
        let mut readings = Vec::with_capacity(bursts.len() * 3);
        for (hour, &burst) in bursts.iter().enumerate() {
            let (start, end) = (self.calendar.hour_start(hour), self.calendar.hour_end(hour));
            if end > self.calendar.until {
                break;
            }
            let Some(watched) = self.incidents.watched(start, end) else {
                continue;
            };
            let n = self.together.starts.of_hour(hour).n_succeeded();
            let short = self.share_without_nodes(&watched);
            let [lacking, waiting] = pods(f64::from(burst), f64::from(n), held, short);
            let kept = Pods {
                mean: held - waiting.mean,
                min: held - waiting.max,
                max: held - waiting.min,
                last: held - waiting.last,
            };
            readings.push(lacking.reading("pods_unschedulable", &[], &watched, start));
            for (pods, phase) in [(kept, HELD), (waiting, WAITING)] {
                if pods.max > 0.0 {
                    readings.push(pods.reading("pods_placeholder", phase, &watched, start));
                }
            }
        }
        readings
    }

    /// Placeholders of the hub, once all servers were told.
    pub(super) fn n_places(&self) -> u32 {
        n_places(&self.together.starts.bursts(&self.calendar))
    }

    /// The part of an hour in which the cloud gave no nodes.
    fn share_without_nodes(&self, hour: &Watched) -> f64 {
        let trouble = self.incidents.trouble_in(hour.from, hour.to);
        let trouble = trouble.filter(|trouble| trouble.cause == TroubleCause::NoNodes);
        trouble.map_or(0.0, |trouble| {
            let part = hour.to.min(trouble.to) - hour.from.max(trouble.from);
            seconds(part) / seconds(hour.to - hour.from)
        })
    }
}

/// As many as were enough for nearly all hours.
fn n_places(bursts: &[u32]) -> u32 {
    let mut sorted = bursts.to_vec();
    sorted.sort_unstable();
    let n_short = bursts.len() * SHORT_HOURS_A_YEAR / HOURS_A_YEAR;
    let enough = sorted.len().checked_sub(n_short + 1);
    enough.map_or(0, |index| sorted[index]).max(2)
}

/// Pods of people that found no node, and placeholders that wait for one, in an hour in which so
/// many servers started, so many of them within ten minutes.
fn pods(burst: f64, n_started: f64, held: f64, short: f64) -> [Pods; 2] {
    let waiting = (n_started * PUSHES_AWAY * NODE_MINUTES / 60.0).min(held);
    let most_waiting = (burst * PUSHES_AWAY).ceil().min(held);
    let excess = (burst - held).max(0.0);
    if short <= 0.0 {
        let gone = |mean: f64, max: f64| Pods {
            mean: mean.min(max),
            min: 0.0,
            max,
            last: 0.0,
        };
        let lacking = gone(excess * NODE_MINUTES / 60.0, excess);
        return [lacking, gone(waiting, most_waiting)];
    }
    // Without nodes all places are soon taken, and whoever comes then waits.
    let lacking = (n_started / 4.0).ceil().max(1.0) + excess;
    let taken = |all: f64, usual: f64, last: f64| Pods {
        mean: all * short + usual * (1.0 - short),
        min: if short < 1.0 { 0.0 } else { all },
        max: all,
        last: last.min(all),
    };
    let last = if short < 1.0 { 0.0 } else { held };
    [taken(lacking, 0.0, last), taken(held, waiting, last)]
}

impl Pods {
    fn reading(
        &self,
        name: &'static str,
        labels: &'static [(&'static str, &'static str)],
        watched: &Watched,
        hour: i64,
    ) -> Reading {
        Reading {
            name,
            labels,
            at: timestamp(hour),
            value: self.mean,
            hour: Some(Hour {
                min: self.min,
                max: self.max,
                last: self.last,
                n: ((watched.to - watched.from) / MINUTE).max(1),
            }),
        }
    }
}
