//! Numbers about the hub as a whole: from its own `/hub/metrics`, and counted in what its API said.
//!
//! A hub's page has a thousand series, most of them about requests by handler. What is kept is
//! [`KEPT`], at most [`MAX_NUMBERS`]. Counters are kept as they stand, and begin at 0 with the hub;
//! what to make of that is up to whoever reads the numbers.

use super::client::{HubClient, Question};
use super::error::HubError;
use super::exposition::{self, Sample};
use jiff::Timestamp;
use model::snapshot::Snapshot;
use std::collections::BTreeMap;
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

/// The most numbers that one read brings, whatever the page has.
const MAX_NUMBERS: usize = 120;
/// Longer values of labels are not kept.
const LABEL_MAX_BYTES: usize = 100;
/// What labels beyond the limits are called.
const OTHER: &str = "other";

/// A metric that is kept.
struct Kept {
    /// Without the prefix, if the hub has one for it.
    name: &'static str,
    from: From,
    /// Series that differ in other labels are added up.
    by: By,
    /// The most series of it.
    limit: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// One of the hub's own metrics, whose name has the prefix.
    Hub,
    /// Told by every Python program.
    Process,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// One number.
    Nothing,
    /// This label; series beyond the limit are left out.
    Label(&'static str),
    /// `status` and `reason`. A reason beyond the limit, or a very long one, is called `other`.
    Reason,
    /// `le`, and `status` where there is one. Percentiles of a part would be wrong, so that more than
    /// the limit are none at all.
    Bucket,
    /// The label `code` as `2xx`, `3xx`, `4xx` or `5xx`.
    CodeClass,
}

const fn hub(name: &'static str, by: By, limit: usize) -> Kept {
    Kept {
        name,
        from: From::Hub,
        by,
        limit,
    }
}

const fn process(name: &'static str) -> Kept {
    Kept {
        name,
        from: From::Process,
        by: By::Nothing,
        limit: 1,
    }
}

/// What is kept of the hub's page; 4.x and 5.x do not have all of it.
///
/// Spawns: `reason` is whatever a hook of the hub says, so it is limited. Of a spawn's durations the
/// distribution is by status only, and only for those that take time (`throttled` and the like of
/// 4.x and 5.x do not).
const KEPT: &[Kept] = &[
    hub("total_users", By::Nothing, 1),
    hub("running_servers", By::Nothing, 1),
    hub("active_users", By::Label("period"), 3),
    hub("server_spawn_duration_seconds_count", By::Reason, 17),
    hub("server_spawn_duration_seconds_sum", By::Reason, 17),
    hub("server_spawn_duration_seconds_bucket", By::Bucket, 3 * 13),
    hub("login_duration_seconds_count", By::Label("status"), 2),
    hub("login_duration_seconds_sum", By::Label("status"), 2),
    hub("logout_duration_seconds_count", By::Nothing, 1),
    hub("logout_duration_seconds_sum", By::Nothing, 1),
    hub("server_stop_seconds_count", By::Label("status"), 2),
    hub("server_stop_seconds_sum", By::Label("status"), 2),
    hub("event_loop_interval_seconds_bucket", By::Bucket, 16),
    hub("event_loop_interval_seconds_count", By::Nothing, 1),
    hub("event_loop_interval_seconds_sum", By::Nothing, 1),
    hub("request_duration_seconds_count", By::CodeClass, 4),
    hub("request_duration_seconds_sum", By::CodeClass, 4),
    hub("proxy_poll_duration_seconds_count", By::Nothing, 1),
    hub("proxy_poll_duration_seconds_sum", By::Nothing, 1),
    process("process_cpu_seconds_total"),
    process("process_resident_memory_bytes"),
    process("process_start_time_seconds"),
];

const _: () = assert!(n_places() <= MAX_NUMBERS);

const fn n_places() -> usize {
    let (mut n_places, mut index) = (0, 0);
    while index < KEPT.len() {
        n_places += KEPT[index].limit;
        index += 1;
    }
    n_places
}

/// Outcomes of spawns without a reason; 4.x and 5.x have five.
const N_STATUSES: usize = 5;
/// Outcomes of spawns that take time.
const LASTING_STATUSES: [&str; 3] = ["success", "failure", "error"];

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

impl HubNumbers {
    /// Reads the page. Lines about anything else are not looked at; one that is wanted and cannot be
    /// read spoils the page, since a sum over its series would be wrong.
    fn parse(text: &str, prefix: &str) -> Result<Self, HubError> {
        let prefix = format!("{}_", actual_prefix(text, prefix));
        let mut sums: Vec<Sums> = KEPT.iter().map(|_| Sums::default()).collect();
        for line in exposition::lines(text) {
            let kept = KEPT.iter().position(|kept| match kept.from {
                From::Hub => line.name.strip_prefix(&prefix) == Some(kept.name),
                From::Process => line.name == kept.name,
            });
            let Some(index) = kept else { continue };
            let sample = line.sample().map_err(|problem| HubError::NotMetrics {
                path: PATH.to_owned(),
                problem: format!("line {} cannot be read, {problem}", line.number),
            })?;
            sums[index].add(&KEPT[index], &sample);
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
        let value = |name, labels: &[(&str, &str)]| find(&observations, name, labels);
        Ok(Self {
            hub_started: value("process_start_time_seconds", &[]).and_then(time),
            stops: value(
                "jupyterhub_server_stop_seconds_count",
                &[("status", "success")],
            )
            .and_then(count),
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

type Labels = BTreeMap<&'static str, String>;

/// Sums of one metric by the labels that are kept.
#[derive(Default)]
struct Sums {
    by_labels: BTreeMap<Labels, f64>,
    is_cut: bool,
}

impl Sums {
    fn add(&mut self, kept: &Kept, sample: &Sample<'_>) {
        if !sample.value.is_finite() {
            return;
        }
        let Some(mut labels) = labels_kept(kept.by, sample) else {
            return;
        };
        if !self.by_labels.contains_key(&labels) && self.is_full(kept, &labels) {
            match kept.by {
                By::Reason if labels.contains_key("reason") && is_lasting(&labels) => {
                    labels.insert("reason", OTHER.to_owned());
                }
                By::Bucket => {
                    self.is_cut = true;
                    return;
                }
                _ => return,
            }
        }
        *self.by_labels.entry(labels).or_default() += sample.value;
    }

    /// Whether there is no place for another series. Outcomes without a reason have places of their
    /// own, and for each status that lasts there is one for all other reasons.
    fn is_full(&self, kept: &Kept, labels: &Labels) -> bool {
        if kept.by != By::Reason {
            return self.by_labels.len() >= kept.limit;
        }
        let n_places = match labels.get("reason") {
            None => N_STATUSES,
            Some(_) => kept.limit - N_STATUSES - LASTING_STATUSES.len(),
        };
        let is_alike = |known: &&Labels| match known.get("reason") {
            None => !labels.contains_key("reason"),
            Some(reason) => labels.contains_key("reason") && reason != OTHER,
        };
        self.by_labels.keys().filter(is_alike).count() >= n_places
    }

    fn finish(self, kept: &Kept) -> impl Iterator<Item = Number> + use<> {
        let name: Arc<str> = match kept.from {
            From::Hub => format!("jupyterhub_{}", kept.name).into(),
            From::Process => kept.name.into(),
        };
        let sums = self.by_labels.into_iter().filter(move |_| !self.is_cut);
        sums.map(move |(labels, value)| {
            let labels = labels.into_iter();
            Number {
                name: name.clone(),
                labels: labels
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                value,
            }
        })
    }
}

fn is_lasting(labels: &Labels) -> bool {
    let status = labels.get("status");
    status.is_some_and(|status| LASTING_STATUSES.contains(&status.as_str()))
}

/// The labels under which a sample is counted; `None` if it is not.
fn labels_kept(by: By, sample: &Sample<'_>) -> Option<Labels> {
    let mut labels = Labels::new();
    let mut keep = |name: &'static str| {
        let value = value_of(sample, name);
        match value {
            "" => true,
            _ if value.len() > LABEL_MAX_BYTES => {
                labels.insert(name, OTHER.to_owned());
                name == "reason"
            }
            _ => {
                labels.insert(name, value.to_owned());
                true
            }
        }
    };
    let is_kept = match by {
        By::Nothing => true,
        By::Label(name) => keep(name),
        By::Reason => keep("reason") && keep("status"),
        By::Bucket => keep("le") && keep("status"),
        By::CodeClass => {
            let class = match value_of(sample, "code").as_bytes() {
                [class @ b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] => char::from(*class),
                _ => return None,
            };
            labels.insert("code", format!("{class}xx"));
            true
        }
    };
    let is_momentary = by == By::Bucket && labels.contains_key("status") && !is_lasting(&labels);
    (is_kept && !is_momentary).then_some(labels)
}

fn value_of<'a>(sample: &'a Sample<'_>, name: &str) -> &'a str {
    let mut labels = sample.labels.iter();
    labels
        .find(|label| label.name == name)
        .map_or("", |label| &label.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::snapshot::{Dated, Group, Server};
    use proptest::prelude::*;

    fn recorded(version: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
        std::fs::read_to_string(format!("{folder}/jupyterhub-{version}/metrics.txt")).unwrap()
    }

    fn render(number: &Number) -> String {
        let labels = number.labels.iter();
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{} [{}] {}", number.name, labels.join(" "), number.value)
    }

    /// The numbers of a page as `name [label=value] number`, those of buckets left out.
    fn rendered(numbers: &HubNumbers) -> Vec<String> {
        let numbers = numbers.observations.iter();
        let short = numbers.filter(|number| !number.name.ends_with("_bucket"));
        short.map(render).collect()
    }

    fn check(text: &str, expected: &[&str]) {
        let numbers = HubNumbers::parse(text, "jupyterhub").unwrap();
        let found: Vec<String> = numbers.observations.iter().map(render).collect();
        assert_eq!(found, expected, "{text}");
    }

    fn problem(text: &str) -> String {
        HubNumbers::parse(text, "jupyterhub")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_hub_of_6_tells_all_numbers() {
        let numbers = HubNumbers::parse(&recorded("6.1"), "jupyterhub").unwrap();
        assert_eq!(numbers.stops, Some(2));
        let started: Timestamp = "2026-11-20T21:46:54.93Z".parse().unwrap();
        assert_eq!(numbers.hub_started, Some(started));
        insta::assert_snapshot!(rendered(&numbers).join("\n"), @"
        jupyterhub_total_users [] 61
        jupyterhub_running_servers [] 2
        jupyterhub_active_users [period=24h] 0
        jupyterhub_active_users [period=30d] 0
        jupyterhub_active_users [period=7d] 0
        jupyterhub_server_spawn_duration_seconds_count [reason=already-pending status=failure] 0
        jupyterhub_server_spawn_duration_seconds_count [reason=error status=error] 1
        jupyterhub_server_spawn_duration_seconds_count [reason=error status=failure] 1
        jupyterhub_server_spawn_duration_seconds_count [reason=exited status=error] 4
        jupyterhub_server_spawn_duration_seconds_count [reason=quota status=failure] 1
        jupyterhub_server_spawn_duration_seconds_count [reason=throttled status=failure] 3
        jupyterhub_server_spawn_duration_seconds_count [reason=too-many-users status=failure] 0
        jupyterhub_server_spawn_duration_seconds_count [status=error] 5
        jupyterhub_server_spawn_duration_seconds_count [status=failure] 0
        jupyterhub_server_spawn_duration_seconds_count [status=success] 6
        jupyterhub_server_spawn_duration_seconds_sum [reason=already-pending status=failure] 0
        jupyterhub_server_spawn_duration_seconds_sum [reason=error status=error] 0.20138573699978224
        jupyterhub_server_spawn_duration_seconds_sum [reason=error status=failure] 0.20229489200005446
        jupyterhub_server_spawn_duration_seconds_sum [reason=exited status=error] 22.79293120500006
        jupyterhub_server_spawn_duration_seconds_sum [reason=quota status=failure] 0.27958174300010796
        jupyterhub_server_spawn_duration_seconds_sum [reason=throttled status=failure] 0.0011626230002548255
        jupyterhub_server_spawn_duration_seconds_sum [reason=too-many-users status=failure] 0
        jupyterhub_server_spawn_duration_seconds_sum [status=error] 41.32909079199999
        jupyterhub_server_spawn_duration_seconds_sum [status=failure] 0
        jupyterhub_server_spawn_duration_seconds_sum [status=success] 31.45832570200014
        jupyterhub_login_duration_seconds_count [status=LoginStatus.failure] 4
        jupyterhub_login_duration_seconds_count [status=LoginStatus.success] 10
        jupyterhub_login_duration_seconds_sum [status=LoginStatus.failure] 0.036251946999982465
        jupyterhub_login_duration_seconds_sum [status=LoginStatus.success] 0.2852210070000183
        jupyterhub_logout_duration_seconds_count [] 2
        jupyterhub_logout_duration_seconds_sum [] 0.04445347099999708
        jupyterhub_server_stop_seconds_count [status=failure] 0
        jupyterhub_server_stop_seconds_count [status=success] 2
        jupyterhub_server_stop_seconds_sum [status=failure] 0
        jupyterhub_server_stop_seconds_sum [status=success] 1.297092195000232
        jupyterhub_event_loop_interval_seconds_count [] 2679
        jupyterhub_event_loop_interval_seconds_sum [] 135.37200383099665
        jupyterhub_request_duration_seconds_count [code=2xx] 72
        jupyterhub_request_duration_seconds_count [code=3xx] 14
        jupyterhub_request_duration_seconds_count [code=4xx] 14
        jupyterhub_request_duration_seconds_count [code=5xx] 6
        jupyterhub_request_duration_seconds_sum [code=2xx] 34.747058391571045
        jupyterhub_request_duration_seconds_sum [code=3xx] 0.48535823822021484
        jupyterhub_request_duration_seconds_sum [code=4xx] 1.2910256385803223
        jupyterhub_request_duration_seconds_sum [code=5xx] 24.44403648376465
        jupyterhub_proxy_poll_duration_seconds_count [] 8
        jupyterhub_proxy_poll_duration_seconds_sum [] 0.04230269400045472
        process_cpu_seconds_total [] 6.53
        process_resident_memory_bytes [] 135110656
        process_start_time_seconds [] 1795211214.93
        ");
        let buckets = |prefix: &str| {
            let all = numbers.observations.iter().map(render);
            let buckets = all.filter(|line| line.starts_with(prefix));
            buckets.collect::<Vec<_>>()
        };
        let spawns = buckets("jupyterhub_server_spawn_duration_seconds_bucket");
        assert_eq!(spawns.len(), 3 * 13);
        for line in [
            "jupyterhub_server_spawn_duration_seconds_bucket [le=+Inf status=error] 10",
            "jupyterhub_server_spawn_duration_seconds_bucket [le=+Inf status=success] 6",
            "jupyterhub_server_spawn_duration_seconds_bucket [le=0.5 status=failure] 5",
        ] {
            assert!(
                spawns.iter().any(|spawn| spawn == line),
                "{line}\n{spawns:#?}"
            );
        }
        assert_eq!(
            buckets("jupyterhub_event_loop_interval_seconds_bucket").len(),
            16
        );
    }

    #[test]
    fn hubs_of_4_and_5_tell_what_they_have() {
        for (version, has_event_loop, started) in [
            ("4.x", false, "2026-11-20T22:03:32.26Z"),
            ("5.x", true, "2026-11-20T22:02:22.82Z"),
        ] {
            let numbers = HubNumbers::parse(&recorded(version), "jupyterhub").unwrap();
            assert_eq!(numbers.stops, Some(1), "{version}");
            assert_eq!(numbers.hub_started, started.parse().ok(), "{version}");
            let lines = rendered(&numbers);
            for line in [
                "jupyterhub_total_users [] 4",
                "jupyterhub_server_spawn_duration_seconds_count [status=success] 3",
                "jupyterhub_server_spawn_duration_seconds_count [status=throttled] 0",
                "jupyterhub_server_stop_seconds_count [status=success] 1",
            ] {
                assert!(lines.iter().any(|known| known == line), "{version}: {line}");
            }
            let tells_event_loop = lines.iter().any(|line| line.contains("event_loop"));
            assert_eq!(tells_event_loop, has_event_loop, "{version}");
        }
    }

    #[test]
    fn another_prefix_is_told_or_found_out_and_left_out_of_names() {
        let text = recorded("6.1").replace("jupyterhub_", "lab_hub_");
        let usual = HubNumbers::parse(&recorded("6.1"), "jupyterhub").unwrap();
        for prefix in ["lab_hub", "jupyterhub", "course"] {
            assert_eq!(HubNumbers::parse(&text, prefix).unwrap(), usual, "{prefix}");
        }
        assert_eq!(
            HubNumbers::parse(&recorded("6.1"), "course").unwrap(),
            usual
        );
    }

    #[test]
    fn series_are_added_up_by_the_labels_that_are_kept() {
        check(
            "jupyterhub_request_duration_seconds_count{code=\"200\",handler=\"a\"} 1\n\
             jupyterhub_request_duration_seconds_count{code=\"204\",handler=\"b\"} 2\n\
             jupyterhub_request_duration_seconds_count{code=\"404\",handler=\"{b}\"} 4\n\
             jupyterhub_request_duration_seconds_count{code=\"101\",handler=\"b\"} 8\n\
             jupyterhub_server_spawn_duration_seconds_bucket{le=\"0.5\",status=\"error\",reason=\"a\"} 3\n\
             jupyterhub_server_spawn_duration_seconds_bucket{le=\"0.5\",status=\"error\",reason=\"\"} 5\n\
             jupyterhub_server_spawn_duration_seconds_bucket{le=\"0.5\",status=\"throttled\"} 5\n",
            &[
                "jupyterhub_server_spawn_duration_seconds_bucket [le=0.5 status=error] 8",
                "jupyterhub_request_duration_seconds_count [code=2xx] 3",
                "jupyterhub_request_duration_seconds_count [code=4xx] 4",
            ],
        );
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        check(
            "jupyterhub_total_users NaN\njupyterhub_running_servers 1\nprocess_cpu_seconds_total +Inf",
            &["jupyterhub_running_servers [] 1"],
        );
        for (value, started) in [
            ("0", None),
            ("-1", None),
            ("1e300", None),
            ("1.5", Some(1_500)),
        ] {
            let text = format!("process_start_time_seconds {value}");
            let numbers = HubNumbers::parse(&text, "jupyterhub").unwrap();
            let started = started.and_then(|at| Timestamp::from_millisecond(at).ok());
            assert_eq!(numbers.hub_started, started, "{value}");
            assert_eq!(numbers.stops, None);
        }
    }

    #[test]
    fn reasons_beyond_the_limit_are_others() {
        let line = |status: &str, reason: &str| {
            let name = "jupyterhub_server_spawn_duration_seconds_count";
            format!("{name}{{reason=\"{reason}\",status=\"{status}\"}} 1\n")
        };
        let mut text = line("failure", &"long ".repeat(30));
        for number in 0..50 {
            text += &line("failure", &format!("r{number}"));
            text += &line("odd", &format!("r{number}"));
        }
        text += &line("success", "");
        let numbers = HubNumbers::parse(&text, "jupyterhub").unwrap();
        let lines = rendered(&numbers);
        assert!(lines.len() <= 17, "{lines:#?}");
        let name = "jupyterhub_server_spawn_duration_seconds_count";
        // All but the few that came first.
        let other = format!("{name} [reason=other status=failure] 46");
        assert!(lines.contains(&other), "{lines:#?}");
        let success = format!("{name} [status=success] 1");
        assert!(lines.contains(&success), "{lines:#?}");
    }

    #[test]
    fn too_many_buckets_are_none() {
        let bucket =
            |le| format!("jupyterhub_event_loop_interval_seconds_bucket{{le=\"{le}\"}} 1\n");
        let text: String = (0..16).map(bucket).collect();
        let n_kept = |text: &str| {
            let numbers = HubNumbers::parse(text, "jupyterhub").unwrap();
            numbers.observations.len()
        };
        assert_eq!(n_kept(&format!("{text}jupyterhub_total_users 1")), 17);
        let text = text + &bucket(16);
        assert_eq!(n_kept(&format!("{text}jupyterhub_total_users 1")), 1);
    }

    #[test]
    fn a_page_that_is_not_the_hubs_is_no_numbers() {
        let nothing = "hub's answer to `metrics` is not a page of its metrics: it has none of the \
                       hub's metrics";
        for text in ["", "<!DOCTYPE html>\n<title>Login</title>", "up 1\n", "{}"] {
            assert_eq!(problem(text), nothing, "{text}");
        }
        assert_eq!(
            problem("x{\njupyterhub_total_users 1\njupyterhub_running_servers many"),
            "hub's answer to `metrics` is not a page of its metrics: line 3 cannot be read, its \
             value is not a number"
        );
    }

    #[test]
    fn labels_are_json() {
        let number = |labels: &[(&str, &str)]| Number {
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Number::of_api("x", 1)
        };
        assert_eq!(number(&[]).labels_json(), "{}");
        assert_eq!(
            number(&[("reason", "a\"b"), ("status", "error")]).labels_json(),
            r#"{"reason":"a\"b","status":"error"}"#
        );
    }

    #[test]
    fn what_the_api_said_is_counted_and_what_it_did_not_say_is_not() {
        let at = Timestamp::UNIX_EPOCH;
        let mut snapshot = Snapshot::default();
        assert_eq!(api_numbers(&snapshot), []);
        let group = |name: &str, members: &[&str]| {
            Group::new(name.into(), members.iter().map(|name| (*name).into()))
        };
        let groups = [
            group("art", &["ada"]),
            group("empty", &[]),
            group("law", &["ada", "eve"]),
        ];
        snapshot.groups = Some(Dated {
            value: groups.into(),
            at,
        });
        let server = |name: &str, ready| Server {
            user: "ada".into(),
            name: name.into(),
            started: None,
            last_activity: None,
            ready,
            options: None,
            image: None,
        };
        let servers = [server("", true), server("gpu", false)];
        snapshot.servers = Some(Dated {
            value: servers.into(),
            at,
        });
        let lines: Vec<String> = api_numbers(&snapshot).iter().map(render).collect();
        assert_eq!(
            lines,
            [
                "api_groups [] 3",
                "api_memberships [] 3",
                "api_active_servers [] 2",
                "api_ready_servers [] 1"
            ]
        );
        let users = ["ada", "eve"].map(model::names::UserName::from);
        snapshot.users = Some(Dated {
            value: users.into(),
            at,
        });
        assert_eq!(render(&api_numbers(&snapshot)[0]), "api_users [] 2");
    }

    proptest! {
        #[test]
        fn no_page_panics_or_brings_too_much(
            lines in proptest::collection::vec((0..KEPT.len(), "[a-z0-9+]{0,3}", "[a-d]{0,2}", any::<f64>()), 0..300),
        ) {
            let mut text = String::new();
            for (kept, one, other, value) in &lines {
                let name = KEPT[*kept].name;
                let labels = format!(
                    "{{le=\"{one}\",status=\"{other}\",reason=\"{one}\",code=\"{one}\",period=\"{one}\"}}"
                );
                let line = |prefix| format!("{prefix}{name}{labels} {value}\n");
                text.extend(["", "jupyterhub_"].map(line));
            }
            if let Ok(numbers) = HubNumbers::parse(&text, "jupyterhub") {
                prop_assert!(numbers.observations.len() <= MAX_NUMBERS);
                prop_assert!(numbers.observations.iter().all(|number| number.value.is_finite()));
            }
        }
    }
}
