//! What the hub's process has counted since it started: logins, spawns, and requests with their
//! durations. What to make of them over restarts is up to whoever reads them.

use super::kept::value_of;
use super::{Number, find};
use crate::hub::exposition::Sample;
use std::collections::BTreeMap;

/// Counts of one process of the hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessCounts {
    /// Logins; `None` for a hub that does not count them (before 6.0).
    pub logins: Option<Logins>,
    /// Spawns that succeeded.
    pub spawns: Distribution,
    /// Spawns that did not, by reason, or by status where there is none.
    pub failed_spawns: BTreeMap<String, u64>,
    /// Requests with their durations.
    pub requests: BTreeMap<RequestKey, Distribution>,
}

/// Logins by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// Somebody is in.
    pub n_succeeded: u64,
    /// Somebody was refused.
    pub n_failed: u64,
}

/// What kind of request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestKey {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path of the Python class that answered.
    pub handler: String,
    /// Status.
    pub code: String,
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// How many took at most so long, by seconds, ascending; the last is infinity.
    pub buckets: Vec<Bucket>,
    /// Seconds of all of them.
    pub sum_seconds: f64,
    /// How many there were.
    pub count: u64,
}

/// Things that took at most so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The limit.
    pub seconds: f64,
    /// How many.
    pub count: u64,
}

/// Kinds of requests that are told apart; a hub has a few hundred.
const MAX_REQUESTS: usize = 2000;
/// Longer paths of handlers are called `other`.
const LABEL_MAX_BYTES: usize = 100;
const OTHER: &str = "other";
/// What a client sends in place of these is up to the client, and the hub counts it as it comes.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const REQUESTS: &str = "request_duration_seconds_";

/// Collects requests from the lines of a page.
#[derive(Default)]
pub(super) struct Requests {
    by: BTreeMap<RequestKey, Distribution>,
    /// Of the last line: the lines of one series follow each other.
    last: RequestKey,
}

/// A line about requests.
#[derive(Clone, Copy)]
pub(super) enum RequestLine {
    Bucket,
    Sum,
    Count,
}

impl RequestLine {
    /// `None` if the line is about something else; `name` is without the prefix.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name.strip_prefix(REQUESTS)? {
            "bucket" => Some(Self::Bucket),
            "sum" => Some(Self::Sum),
            "count" => Some(Self::Count),
            _ => None,
        }
    }
}

impl Requests {
    pub(super) fn add(&mut self, line: RequestLine, sample: &Sample<'_>) {
        if !sample.value.is_finite() || sample.value < 0.0 {
            return;
        }
        self.turn_to(sample);
        let distribution = self.by.entry(self.last.clone()).or_default();
        match line {
            RequestLine::Bucket => {
                if let Ok(seconds) = value_of(sample, "le").parse::<f64>() {
                    distribution.add_bucket(seconds, whole(sample.value));
                }
            }
            RequestLine::Sum => distribution.sum_seconds += sample.value,
            RequestLine::Count => distribution.count += whole(sample.value),
        }
    }

    pub(super) fn finish(self) -> BTreeMap<RequestKey, Distribution> {
        self.by
    }

    fn turn_to(&mut self, sample: &Sample<'_>) {
        let method = match value_of(sample, "method") {
            method if METHODS.contains(&method) => method,
            _ => OTHER,
        };
        let handler = match value_of(sample, "handler") {
            handler if (1..=LABEL_MAX_BYTES).contains(&handler.len()) => handler,
            _ => OTHER,
        };
        let code = match value_of(sample, "code") {
            code if code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()) => code,
            _ => OTHER,
        };
        let last = &self.last;
        if last.method == method && last.handler == handler && last.code == code {
            return;
        }
        let key = |method: &str, handler: &str, code: &str| RequestKey {
            method: method.to_owned(),
            handler: handler.to_owned(),
            code: code.to_owned(),
        };
        self.last = key(method, handler, code);
        if self.by.len() >= MAX_REQUESTS && !self.by.contains_key(&self.last) {
            self.last = key(OTHER, OTHER, OTHER);
        }
    }
}

impl Distribution {
    fn add_bucket(&mut self, seconds: f64, count: u64) {
        let known = self.buckets.iter_mut().find(|it| it.seconds >= seconds);
        match known {
            Some(bucket) if bucket.seconds <= seconds => bucket.count += count,
            _ => {
                let bucket = Bucket { seconds, count };
                let place = self.buckets.partition_point(|it| it.seconds < seconds);
                self.buckets.insert(place, bucket);
            }
        }
    }

    /// How many are in each bucket alone, of these bounds and one behind the last. Those of a bucket
    /// that has no equal count in the next larger one.
    pub fn within(&self, bounds: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        let mut n_so_far = 0;
        for bucket in &self.buckets {
            let alone = bucket.count.saturating_sub(n_so_far);
            n_so_far = n_so_far.max(bucket.count);
            counts[bounds.partition_point(|bound| *bound < bucket.seconds)] += alone;
        }
        counts[bounds.len()] += self.count.saturating_sub(n_so_far);
        counts
    }
}

/// Logins and spawns, from what is kept of the page.
pub(super) fn of_people(numbers: &[Number]) -> ProcessCounts {
    const LOGINS: &str = "jupyterhub_login_duration_seconds_count";
    let login = |status: &str| find(numbers, LOGINS, &[("status", status)]).map(whole);
    let (succeeded, failed) = (login("LoginStatus.success"), login("LoginStatus.failure"));
    let logins = (succeeded.is_some() || failed.is_some()).then(|| Logins {
        n_succeeded: succeeded.unwrap_or(0),
        n_failed: failed.unwrap_or(0),
    });
    ProcessCounts {
        logins,
        spawns: spawns(numbers),
        failed_spawns: failed_spawns(numbers),
        requests: BTreeMap::new(),
    }
}

const SPAWNS: &str = "jupyterhub_server_spawn_duration_seconds";
const SUCCESS: &str = "success";

fn spawns(numbers: &[Number]) -> Distribution {
    let of_success = |suffix: &str| {
        let name = format!("{SPAWNS}_{suffix}");
        find(numbers, &name, &[("status", SUCCESS)])
    };
    let mut spawns = Distribution {
        buckets: Vec::new(),
        sum_seconds: of_success("sum").unwrap_or(0.0),
        count: of_success("count").map_or(0, whole),
    };
    let name = format!("{SPAWNS}_bucket");
    for number in numbers.iter().filter(|number| *number.name == *name) {
        if label(number, "status") == SUCCESS
            && let Ok(seconds) = label(number, "le").parse()
        {
            spawns.add_bucket(seconds, whole(number.value));
        }
    }
    spawns
}

/// One failed attempt whose process exited is counted twice by a hub of 6.x: as `exited`, and
/// without a reason.
fn failed_spawns(numbers: &[Number]) -> BTreeMap<String, u64> {
    const ERROR: &str = "error";
    let name = format!("{SPAWNS}_count");
    let mut failed: BTreeMap<String, u64> = BTreeMap::new();
    let mut n_exited = 0;
    let mut n_without_reason = None;
    for number in numbers.iter().filter(|number| *number.name == *name) {
        let (status, reason) = (label(number, "status"), label(number, "reason"));
        let n_failed = whole(number.value);
        match (status, reason) {
            (SUCCESS, _) => continue,
            (ERROR, "") => {
                n_without_reason = Some(n_failed);
                continue;
            }
            (ERROR, "exited") => n_exited = n_failed,
            _ => {}
        }
        let kind = if reason.is_empty() { status } else { reason };
        *failed.entry(kind.to_owned()).or_default() += n_failed;
    }
    if let Some(n_failed) = n_without_reason {
        *failed.entry(ERROR.to_owned()).or_default() += n_failed.saturating_sub(n_exited);
    }
    failed
}

fn label<'a>(number: &'a Number, name: &str) -> &'a str {
    let mut labels = number.labels.iter();
    labels
        .find(|(label, _)| label == name)
        .map_or("", |(_, value)| value)
}

fn whole(value: f64) -> u64 {
    super::count(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::HubNumbers;

    fn counts(text: &str) -> ProcessCounts {
        HubNumbers::parse(text, "jupyterhub").unwrap().counts
    }

    fn recorded(version: &str) -> ProcessCounts {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
        let page = format!("{folder}/jupyterhub-{version}/metrics.txt");
        counts(&std::fs::read_to_string(page).unwrap())
    }

    fn failed(counts: &ProcessCounts) -> String {
        let failed = counts.failed_spawns.iter();
        let failed = failed.map(|(kind, n)| format!("{kind} {n}"));
        failed.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_hub_of_6_counts_logins_spawns_and_requests() {
        let counts = recorded("6.1");
        let logins = Logins {
            n_succeeded: 10,
            n_failed: 4,
        };
        assert_eq!(counts.logins, Some(logins));
        assert_eq!(counts.spawns.count, 6);
        assert_eq!(counts.spawns.buckets.len(), 13);
        // Of 5 without a reason 4 exited; two more have the reason `error`.
        let expected = "already-pending 0, error 3, exited 4, failure 0, quota 1, throttled 3, \
                        too-many-users 0";
        assert_eq!(failed(&counts), expected);
        let key = RequestKey {
            method: "GET".into(),
            handler: "jupyterhub.apihandlers.users.UserListAPIHandler".into(),
            code: "200".into(),
        };
        let listing = &counts.requests[&key];
        assert_eq!((listing.count, listing.buckets.len()), (17, 15));
        assert_eq!(
            listing.within(&[0.005, 0.025, 0.05, 0.06]),
            [0, 10, 6, 0, 1]
        );
        let n_requests: u64 = counts.requests.values().map(|it| it.count).sum();
        assert_eq!(n_requests, 72 + 14 + 14 + 6);
    }

    #[test]
    fn hubs_of_4_and_5_count_no_logins_and_say_why_in_the_status() {
        for version in ["4.x", "5.x"] {
            let counts = recorded(version);
            assert_eq!(counts.logins, None, "{version}");
            assert_eq!(counts.spawns.count, 3, "{version}");
            let kinds: Vec<_> = counts.failed_spawns.keys().collect();
            let expected = ["already-pending", "failure", "throttled", "too-many-users"];
            assert_eq!(kinds, expected, "{version}");
            assert!(counts.requests.len() > 5, "{version}");
        }
    }

    #[test]
    fn what_a_client_makes_up_is_other_and_bounded() {
        let mut text = String::new();
        let mut line = |method: &str, handler: &str, code: &str| {
            let labels = format!("method=\"{method}\",handler=\"{handler}\",code=\"{code}\"");
            let name = "jupyterhub_request_duration_seconds_count";
            text.extend([name, "{", &labels, "} 1\n"]);
        };
        line("FETCH", "a.B", "405");
        line("BREW", "a.B", "405");
        line("GET", &"x".repeat(101), "20000");
        for number in 0..3000 {
            line("GET", &format!("a.B{number}"), "200");
        }
        let requests = counts(&text).requests;
        assert_eq!(requests.len(), MAX_REQUESTS + 1);
        let count = |method: &str, handler: &str, code: &str| {
            let [method, handler, code] = [method, handler, code].map(str::to_owned);
            let key = RequestKey {
                method,
                handler,
                code,
            };
            requests[&key].count
        };
        assert_eq!(count("other", "a.B", "405"), 2);
        assert_eq!(count("GET", "other", "other"), 1);
        assert_eq!(count("other", "other", "other"), 3002 - MAX_REQUESTS as u64);
    }

    #[test]
    fn buckets_of_others_go_into_the_next_larger_of_ours() {
        let text = "jupyterhub_request_duration_seconds_bucket{code=\"200\",le=\"+Inf\"} 9\n\
                    jupyterhub_request_duration_seconds_bucket{code=\"200\",le=\"0.1\"} 4\n\
                    jupyterhub_request_duration_seconds_bucket{code=\"200\",le=\"2\"} 7\n\
                    jupyterhub_request_duration_seconds_count{code=\"200\"} 9\n";
        let requests = counts(text).requests;
        let only = requests.values().next().unwrap();
        assert_eq!(only.within(&[0.1, 1.0, 3.0]), [4, 0, 3, 2]);
        assert_eq!(only.within(&[]), [9]);
    }
}
