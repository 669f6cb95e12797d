//! The hub's own counters by the hour, from the page with its metrics: starts, requests, stalls and
//! when its process began. Of all that the service keeps of that page it is what reports read.

use super::History;
use super::calendar::{DAY, MINUTE, timestamp};
use super::incidents::Watched;
use super::presence::{Hour, Reading};
use super::starts::{HourOfStarts, N_BUCKETS};
use super::usage::seconds;
use crate::sim::draw::Draw;

type Labels = &'static [(&'static str, &'static str)];

const SPAWNS: &str = "jupyterhub_server_spawn_duration_seconds_count";
const SPAWN_SECONDS: &str = "jupyterhub_server_spawn_duration_seconds_sum";
const SPAWN_BUCKETS: &str = "jupyterhub_server_spawn_duration_seconds_bucket";
const REQUESTS: &str = "jupyterhub_request_duration_seconds_count";
const REQUEST_SECONDS: &str = "jupyterhub_request_duration_seconds_sum";
const LOOKS: &str = "jupyterhub_event_loop_interval_seconds_count";
const LOOK_BUCKETS: &str = "jupyterhub_event_loop_interval_seconds_bucket";
const PROCESS_STARTED: &str = "process_start_time_seconds";

const SUCCESS: Labels = &[("status", "success")];

/// What an hour adds to, in this order.
const SERIES: [(&str, Labels); 4 + N_BUCKETS + 8 + 2] = [
    (SPAWNS, SUCCESS),
    (SPAWNS, &[("status", "failure")]),
    (SPAWNS, &[("status", "error")]),
    (SPAWN_SECONDS, SUCCESS),
    (SPAWN_BUCKETS, &[("le", "0.5"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "1.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "2.5"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "5.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "10.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "15.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "30.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "60.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "120.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "180.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "300.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "600.0"), ("status", "success")]),
    (SPAWN_BUCKETS, &[("le", "+Inf"), ("status", "success")]),
    (REQUESTS, &[("code", "2xx")]),
    (REQUESTS, &[("code", "3xx")]),
    (REQUESTS, &[("code", "4xx")]),
    (REQUESTS, &[("code", "5xx")]),
    (REQUEST_SECONDS, &[("code", "2xx")]),
    (REQUEST_SECONDS, &[("code", "3xx")]),
    (REQUEST_SECONDS, &[("code", "4xx")]),
    (REQUEST_SECONDS, &[("code", "5xx")]),
    (LOOKS, &[]),
    (LOOK_BUCKETS, &[("le", "0.25")]),
];

/// One number for each of [`SERIES`].
type Numbers = [f64; SERIES.len()];

/// The process was that old when the history began.
const AGE_AT_BEGIN: i64 = 9 * DAY;
/// Requests of an hour: of this service and of health checks, of each server that runs, of each
/// start.
const OWN_REQUESTS: f64 = 540.0;
const REQUESTS_OF_SERVER: f64 = 12.0;
const REQUESTS_OF_START: f64 = 25.0;
/// Looks at the clock in an hour, and the most of them that are late.
const LOOKS_AN_HOUR: f64 = 72_000.0;
const MOST_STALLS: u64 = 3000;

/// What an hour was like for the hub.
struct Burden {
    starts: HourOfStarts,
    n_servers: u32,
    is_in_trouble: bool,
    is_restarted: bool,
}

/// What happened to the counters within an hour.
struct Passage {
    min: Numbers,
    max: Numbers,
    last: Numbers,
}

impl History {
    /// The hub's counters, hour by hour, once all servers were told.
    pub fn counters(&self) -> Vec<Reading> {
        let servers = self.servers_by_hour();
        let mut readings = Vec::with_capacity(servers.len() * (SERIES.len() + 1));
        let mut now: Numbers = [0.0; SERIES.len()];
        let mut started = self.calendar.begin - AGE_AT_BEGIN;
        for (hour, &n_servers) in servers.iter().enumerate() {
            let (start, end) = (self.calendar.hour_start(hour), self.calendar.hour_end(hour));
            if end > self.calendar.until {
                break;
            }
            let restart = self.incidents.restart_in(start, end);
            let burden = Burden {
                starts: *self.together.starts.of_hour(hour),
                n_servers,
                is_in_trouble: self.incidents.trouble_in(start, end).is_some(),
                is_restarted: restart.is_some(),
            };
            let growth = burden.growth(&mut Draw::of([self.seed, 51, hour as u64]));
            let part = restart.map(|restart| seconds(restart - start) / seconds(end - start));
            let passage = passage(&now, &growth, part);
            let before = started;
            started = restart.unwrap_or(before);
            now = passage.last;
            if let Some(watched) = self.incidents.watched(start, end) {
                passage.tell(start, &watched, &mut readings);
                let within = Hour {
                    min: process_time(before),
                    max: process_time(started),
                    last: process_time(started),
                    n: n_minutes(&watched),
                };
                readings.push(reading(PROCESS_STARTED, &[], start, within));
            }
        }
        readings
    }

    /// The most servers at once, by local hour.
    fn servers_by_hour(&self) -> Vec<u32> {
        let mut most = vec![0; self.calendar.n_hours()];
        let (mut at, mut hour) = (self.calendar.begin, 0);
        for n in self.together.presence.servers() {
            while self.calendar.hour_end(hour) <= at {
                hour += 1;
            }
            most[hour] = n.max(most[hour]);
            at += MINUTE;
        }
        most
    }
}

impl Burden {
    /// What it adds to the counters.
    fn growth(&self, draw: &mut Draw) -> Numbers {
        let n_started = self.starts.n_succeeded();
        let (started, servers) = (f64::from(n_started), f64::from(self.n_servers));
        let mut numbers: Numbers = [0.0; SERIES.len()];
        numbers[0] = started;
        numbers[1] = f64::from(self.starts.n_too_late);
        numbers[2] = f64::from(self.starts.n_errors);
        numbers[3] = self.starts.seconds;
        let mut n_in_time = 0;
        for (bucket, n) in self.starts.by_bucket.iter().enumerate() {
            n_in_time += n;
            numbers[4 + bucket] = f64::from(n_in_time);
        }
        let requests = self.requests(draw);
        let usual = 0.005 + servers * 2e-5 + started * 8e-5;
        let mean = usual * if self.is_in_trouble { 2.5 } else { 1.0 };
        let mean = mean * (0.9 + small(draw.below(200)) / 1000.0);
        // Errors are those that waited longest.
        for (index, (n, times)) in requests.into_iter().zip([1.0, 0.6, 1.2, 8.0]).enumerate() {
            numbers[17 + index] = n;
            numbers[21 + index] = n * mean * times;
        }
        let n_started = u64::from(n_started);
        let mut stalls = n_started * n_started * 2 + u64::from(self.n_servers) * 3;
        stalls += if self.is_in_trouble { 9000 } else { 0 };
        stalls += if self.is_restarted { 15_000 } else { 0 };
        numbers[25] = LOOKS_AN_HOUR;
        numbers[26] = LOOKS_AN_HOUR - small(draw.count(stalls).min(MOST_STALLS));
        numbers
    }

    /// By class of their status.
    fn requests(&self, draw: &mut Draw) -> [f64; 4] {
        let (started, servers) = (
            f64::from(self.starts.n_succeeded()),
            f64::from(self.n_servers),
        );
        let good = OWN_REQUESTS + servers * REQUESTS_OF_SERVER + started * REQUESTS_OF_START;
        let mut errors = u64::from(self.starts.n_failed()) + u64::from(draw.per_mille(60));
        if self.is_restarted {
            errors += 15 + draw.below(40);
        }
        let refused = 5.0 + started * 2.0 + small(draw.below(20));
        [good, 20.0 + started * 6.0, refused, small(errors)]
    }
}

/// Counters begin at 0 with a new process, which began when this part of the hour was over.
fn passage(before: &Numbers, growth: &Numbers, part: Option<f64>) -> Passage {
    let mut passage = Passage {
        min: *before,
        max: *before,
        last: *before,
    };
    for (index, more) in growth.iter().enumerate() {
        let first = part.map(|part| (more * part).floor());
        let highest = before[index] + first.unwrap_or(*more);
        let last = first.map_or(highest, |first| more - first);
        passage.min[index] = first.map_or(before[index], |_| 0.0);
        passage.max[index] = highest.max(last);
        passage.last[index] = last;
    }
    passage
}

impl Passage {
    fn tell(&self, hour: i64, watched: &Watched, readings: &mut Vec<Reading>) {
        for (index, (name, labels)) in SERIES.iter().enumerate() {
            let within = Hour {
                min: self.min[index],
                max: self.max[index],
                last: self.last[index],
                n: n_minutes(watched),
            };
            readings.push(reading(name, labels, hour, within));
        }
    }
}

fn reading(name: &'static str, labels: Labels, hour: i64, within: Hour) -> Reading {
    Reading {
        name,
        labels,
        at: timestamp(hour),
        value: f64::midpoint(within.min, within.max),
        hour: Some(within),
    }
}

fn n_minutes(watched: &Watched) -> i64 {
    ((watched.to - watched.from) / MINUTE).max(1)
}

/// As the hub's page has it, to 10 milliseconds.
fn process_time(at: i64) -> f64 {
    seconds(at - at.rem_euclid(10_000))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn small(number: u64) -> f64 {
    number as f64
}
