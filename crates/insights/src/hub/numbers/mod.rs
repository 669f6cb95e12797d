//! Numbers about the hub as a whole: from its own `/hub/metrics`, and counted in what its API said.
//!
//! A hub's page has a thousand series, most of them about requests by handler. What is kept is
//! [`KEPT`], at most [`kept::MAX_NUMBERS`]. Counters are kept as they stand, and begin at 0 with the
//! hub; what to make of that is up to whoever reads the numbers.

mod counts;
mod kept;

pub use counts::{Bucket, Distribution, Logins, ProcessCounts, RequestKey};

use super::client::{HubClient, Question};
use super::error::HubError;
use super::exposition;
use counts::{RequestLine, Requests};
use jiff::Timestamp;
use kept::{From, KEPT, Sums};
use model::snapshot::Snapshot;
use std::sync::Arc;

/// What one read of the hub's metrics brings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HubNumbers {
    /// When the hub's process started (`process_start_time_seconds`), to 10 milliseconds and the
    /// same at every read. `None` where the hub runs on an operating system without `/proc`.
    pub hub_started: Option<Timestamp>,
    /// Stops of servers that were asked for and done since then:
    /// `jupyterhub_server_stop_seconds_count{status="success"}`, which 4.x, 5.x and 6.x have from
    /// their start. A crash, and the clean-up after a failed start, do not count.
    pub stops: Option<u64>,
    /// All that is kept, in the order of [`KEPT`] and then by labels.
    pub observations: Vec<Number>,
    /// Logins, spawns and requests since then.
    pub counts: ProcessCounts,
}

/// One number with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// The hub's name of the metric, beginning with `jupyterhub_` whatever prefix the hub was given;
    /// or `process_…`; or `api_…` for what the API said.
    pub name: Arc<str>,
    /// Sorted by name. Empty values, which mean the same as none, are left out.
    pub labels: Vec<(String, String)>,
    /// Always finite.
    pub value: f64,
}

impl Number {
    fn of_api(name: &str, value: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let value = value as f64;
        Self {
            name: name.into(),
            labels: Vec::new(),
            value,
        }
    }

    /// The labels as a JSON object.
    pub fn labels_json(&self) -> String {
        let labels = self.labels.iter();
        let labels = labels.map(|(name, value)| (name.clone(), value.as_str().into()));
        serde_json::Value::Object(labels.collect()).to_string()
    }
}

/// Numbers counted in the last answers of the API, as far as there were any: `api_users`,
/// `api_groups`, `api_memberships`, `api_active_servers`, `api_ready_servers`.
///
/// Groups are all of the hub's, also those that are not shown; they are counted and not named.
pub fn api_numbers(snapshot: &Snapshot) -> Vec<Number> {
    let mut numbers = Vec::new();
    if let Some(users) = &snapshot.users {
        numbers.push(Number::of_api("api_users", users.value.len()));
    }
    if let Some(groups) = &snapshot.groups {
        let n_memberships = groups.value.iter().map(|group| group.members.len()).sum();
        numbers.push(Number::of_api("api_groups", groups.value.len()));
        numbers.push(Number::of_api("api_memberships", n_memberships));
    }
    if let Some(servers) = &snapshot.servers {
        let n_ready = servers.value.iter().filter(|server| server.ready).count();
        numbers.push(Number::of_api("api_active_servers", servers.value.len()));
        numbers.push(Number::of_api("api_ready_servers", n_ready));
    }
    numbers
}

impl HubClient {
    /// The hub's own metrics as numbers; needs `read:metrics`, unless the hub shows them to anybody.
    ///
    /// Asked once, without a second try: there is a next poll. `prefix` is what the hub's metrics
    /// are expected to begin with; where they begin otherwise that is found out.
    pub async fn numbers(&self, prefix: &str) -> Result<HubNumbers, HubError> {
        HubNumbers::parse(&self.metrics().await?, prefix)
    }

    /// The hub's own metrics as text; needs `read:metrics`.
    pub async fn metrics(&self) -> Result<String, HubError> {
        let bytes = self.text(Question {
            endpoint: "metrics",
            path: PATH,
            etag: None,
        });
        Ok(String::from_utf8_lossy(&bytes.await?).into_owned())
    }
}

const PATH: &str = "metrics";
const LOGINS: &str = "login_duration_seconds";

impl HubNumbers {
    /// Reads the page. Lines about anything else are not looked at; one that is wanted and cannot be
    /// read spoils the page, since a sum over its series would be wrong.
    fn parse(text: &str, prefix: &str) -> Result<Self, HubError> {
        let prefix = format!("{}_", actual_prefix(text, prefix));
        let mut sums: Vec<Sums> = KEPT.iter().map(|_| Sums::default()).collect();
        let mut requests = Requests::default();
        for line in exposition::lines(text) {
            let kept = KEPT.iter().position(|kept| match kept.from {
                From::Hub => line.name.strip_prefix(&prefix) == Some(kept.name),
                From::Process => line.name == kept.name,
            });
            let request = line.name.strip_prefix(&prefix).and_then(RequestLine::of);
            if kept.is_none() && request.is_none() {
                continue;
            }
            let sample = line.sample().map_err(|problem| HubError::NotMetrics {
                path: PATH.to_owned(),
                problem: format!("line {} cannot be read, {problem}", line.number),
            })?;
            if let Some(index) = kept {
                sums[index].add(&KEPT[index], &sample);
            }
            if let Some(request) = request {
                requests.add(request, &sample);
            }
        }
        let finished = KEPT.iter().zip(sums);
        let observations: Vec<Number> = finished
            .flat_map(|(kept, sums)| sums.finish(kept))
            .filter(|number| number.value.is_finite())
            .collect();
        if observations.is_empty() {
            return Err(HubError::NotMetrics {
                path: PATH.to_owned(),
                problem: "it has none of the hub's metrics".to_owned(),
            });
        }
        let mut counts = ProcessCounts {
            requests: requests.finish(),
            ..counts::of_people(&observations)
        };
        // Since 6.0 the page announces logins, and has no number of them before the first.
        if exposition::families(text).any(|it| it.strip_prefix(&prefix) == Some(LOGINS)) {
            counts.logins.get_or_insert_default();
        }
        let value = |name, labels: &[(&str, &str)]| find(&observations, name, labels);
        Ok(Self {
            hub_started: value("process_start_time_seconds", &[]).and_then(time),
            stops: value(
                "jupyterhub_server_stop_seconds_count",
                &[("status", "success")],
            )
            .and_then(count),
            counts,
            observations,
        })
    }
}

fn find(numbers: &[Number], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let is_wanted = |number: &&Number| {
        let own = number.labels.iter();
        *number.name == *name && own.map(|(k, v)| (&**k, &**v)).eq(labels.iter().copied())
    };
    numbers.iter().find(is_wanted).map(|number| number.value)
}

/// The prefix on the page: the expected one, or the one with which the hub announces its spawns.
fn actual_prefix<'a>(text: &'a str, expected: &'a str) -> &'a str {
    const SPAWNS: &str = "_server_spawn_duration_seconds";
    let prefixes = exposition::families(text).filter_map(|family| family.strip_suffix(SPAWNS));
    let prefixes: Vec<&str> = prefixes.collect();
    if prefixes.contains(&expected) {
        return expected;
    }
    prefixes.first().copied().unwrap_or(expected)
}

fn count(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and a count that large is none"
    )]
    (0.0..9e15).contains(&value).then_some(value as u64)
}

fn time(seconds: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what does not fit is no time of a hub"
    )]
    let microseconds = (seconds * 1e6).round() as i64;
    Timestamp::from_microsecond(microseconds)
        .ok()
        .filter(|time| *time > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
