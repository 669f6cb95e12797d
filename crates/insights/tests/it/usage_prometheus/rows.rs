//! Rows of a history, and whether they are what was expected.

use super::expected::{Key, Numbers, Session, Sums, real};
use super::exporters::{
    HUB_OFFSET, active_users, home_bytes, home_files, running_servers, total_users,
};
use super::month::{DAY, HOUR, INTERVAL, Month, ZONE_OFFSET, times};
use crate::support::on_folder;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What `sql` answers, a value for each row.
fn lines<T: DeserializeOwned>(folder: &Path, query: &str) -> Vec<T> {
    let answer = on_folder(folder, &["sql", "--format", "ndjson", query]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let lines = answer.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// All rows of a table as texts, without what names them.
pub(crate) fn all_of(folder: &Path, table: &str) -> BTreeSet<String> {
    let answer = on_folder(
        folder,
        &[
            "sql",
            "--format",
            "ndjson",
            &format!("select * from {table}"),
        ],
    );
    if answer.code != Some(0) {
        // There is no history yet.
        return BTreeSet::new();
    }
    let rows = answer.stdout.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row.as_object_mut().unwrap().remove("revision");
        row.to_string()
    });
    rows.collect()
}

/// How closely rows have to be as expected.
#[derive(Clone, Copy)]
pub(crate) struct Tolerance {
    /// Whether a sample that is no number makes the sum unknown.
    pub(crate) keeps_not_a_number: bool,
}

/// The table `usage`.
#[derive(Debug, PartialEq)]
pub(crate) struct StoredUsage(BTreeMap<Key, Row>);

/// From the first to the last hour with a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hours {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Row {
    hour: Timestamp,
    user: String,
    server: Option<String>,
    cpu_core_seconds: Option<f64>,
    memory_byte_seconds: Option<f64>,
    cpu_requested_core_seconds: Option<f64>,
    memory_requested_byte_seconds: Option<f64>,
    gpu_requested_seconds: Option<f64>,
    gpu_used_seconds: Option<f64>,
    network_rx_bytes: Option<f64>,
    network_tx_bytes: Option<f64>,
    memory_peak_bytes: Option<f64>,
    samples: i64,
}

impl StoredUsage {
    /// Nothing, if there is no history yet.
    pub(crate) fn read(folder: &Path) -> Self {
        let query = "select * from \"usage\"";
        let answer = on_folder(folder, &["sql", "--format", "ndjson", query]);
        let mut rows = BTreeMap::new();
        for line in answer.stdout.lines() {
            let row: Row = serde_json::from_str(line).unwrap();
            let key = Key {
                hour: row.hour.as_second(),
                user: row.user.clone(),
                server: row.server.clone(),
            };
            let other = rows.insert(key, row);
            assert!(other.is_none(), "twice: {other:?}");
        }
        Self(rows)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn hours(&self) -> Option<Hours> {
        Some(Hours {
            first: self.0.first_key_value()?.0.hour,
            last: self.0.last_key_value()?.0.hour,
        })
    }

    pub(crate) fn within(mut self, hours: Hours) -> Self {
        self.0
            .retain(|key, _| hours.first <= key.hour && key.hour <= hours.last);
        self
    }

    /// Every row is there, no other is, and every number is right.
    #[track_caller]
    pub(crate) fn compare(&self, expected: &BTreeMap<&Key, &Sums>, tolerance: Tolerance) {
        let missing: Vec<_> = expected
            .keys()
            .filter(|key| !self.0.contains_key(*key))
            .collect();
        let more: Vec<_> = self
            .0
            .keys()
            .filter(|key| !expected.contains_key(key))
            .collect();
        assert!(
            missing.is_empty() && more.is_empty(),
            "{} missing: {:#?}\n{} more: {:#?}",
            missing.len(),
            &missing[..missing.len().min(5)],
            more.len(),
            &more[..more.len().min(5)]
        );
        let mut wrong = Vec::new();
        for (key, sums) in expected {
            let row = &self.0[*key];
            for (name, seen, expected) in row.pairs(sums, tolerance) {
                let is_right = match (seen, expected) {
                    (None, None) => true,
                    (Some(seen), Some(expected)) => is_close(seen, expected),
                    _ => false,
                };
                if !is_right {
                    wrong.push(format!(
                        "{name} of {key:?}: {seen:?}, expected {expected:?}"
                    ));
                }
            }
        }
        let n_wrong = wrong.len();
        wrong.truncate(10);
        assert!(wrong.is_empty(), "{n_wrong} wrong:\n{}", wrong.join("\n"));
    }
}

impl Row {
    fn pairs(
        &self,
        sums: &Sums,
        tolerance: Tolerance,
    ) -> [(&'static str, Option<f64>, Option<f64>); 10] {
        let over = |number: Option<i64>, divisor: f64| number.map(|number| real(number) / divisor);
        let is_unknown = sums.has_not_a_number && tolerance.keeps_not_a_number;
        let memory = sums.memory_byte_seconds.filter(|_| !is_unknown);
        [
            (
                "cpu",
                self.cpu_core_seconds,
                over(sums.cpu_thousandths, 1000.0),
            ),
            ("memory", self.memory_byte_seconds, over(memory, 1.0)),
            (
                "cpu requested",
                self.cpu_requested_core_seconds,
                over(sums.cpu_requested_thousandths, 1000.0),
            ),
            (
                "memory requested",
                self.memory_requested_byte_seconds,
                over(sums.memory_requested_byte_seconds, 1.0),
            ),
            (
                "gpu requested",
                self.gpu_requested_seconds,
                over(sums.gpu_requested_seconds, 1.0),
            ),
            (
                "gpu used",
                self.gpu_used_seconds,
                over(sums.gpu_used_percent_seconds, 100.0),
            ),
            (
                "received",
                self.network_rx_bytes,
                over(sums.received_bytes, 1.0),
            ),
            ("sent", self.network_tx_bytes, over(sums.sent_bytes, 1.0)),
            ("peak", self.memory_peak_bytes, over(sums.peak_bytes, 1.0)),
            (
                "samples",
                Some(real(self.samples)),
                Some(real(sums.samples)),
            ),
        ]
    }
}

fn is_close(seen: f64, expected: f64) -> bool {
    (seen - expected).abs() <= expected.abs() * 1e-9
}

/// What nobody used who is known: a server and a worker without annotation.
#[track_caller]
pub(crate) fn compare_unattributed(folder: &Path, nobodys: &BTreeMap<i64, Sums>, to: i64) {
    #[derive(Deserialize)]
    struct Line {
        at: Timestamp,
        name: String,
        labels: String,
        value: f64,
    }
    let query =
        "select \"at\", name, labels, value from observations where starts_with(name, 'usage_')";
    let mut seen: BTreeMap<(i64, String), f64> = BTreeMap::new();
    for line in lines::<Line>(folder, query) {
        assert_eq!(line.labels, r#"{"reason":"no annotation"}"#);
        seen.insert((line.at.as_second(), line.name), line.value);
    }
    let mut expected: BTreeMap<(i64, String), f64> = BTreeMap::new();
    for (hour, sums) in nobodys.iter().filter(|(hour, _)| *hour + HOUR <= to) {
        let cpu = sums.cpu_thousandths.map(|cpu| real(cpu) / 1000.0);
        let memory = sums.memory_byte_seconds.map(real);
        for (name, sum) in [
            ("usage_unattributed_cpu_core_seconds", cpu),
            ("usage_unattributed_memory_byte_seconds", memory),
        ] {
            expected.extend(sum.map(|sum| ((*hour, name.to_owned()), sum)));
        }
    }
    assert!(expected.len() >= 4);
    assert!(seen.keys().eq(expected.keys()), "{seen:?} {expected:?}");
    for (key, expected) in expected {
        assert!(
            is_close(seen[&key], expected),
            "{key:?}: {} {expected}",
            seen[&key]
        );
    }
}

/// Ceilings that a service wrote, which were the same all the time.
pub(crate) fn ceilings(folder: &Path) -> Numbers {
    #[derive(Deserialize)]
    struct Line {
        name: String,
        labels: String,
        value: f64,
    }
    let query = "select name, labels, value from observations \
                 where starts_with(name, 'pool_') or starts_with(name, 'pods_')";
    let mut numbers = Numbers::new();
    for line in lines::<Line>(folder, query) {
        let key = (line.name, line.labels);
        let other = numbers.insert(key, line.value);
        assert!(other.is_none_or(|other| is_close(other, line.value)));
    }
    numbers
}

/// The home of everybody at the end of each day.
#[track_caller]
pub(crate) fn compare_homes(folder: &Path, month: &Month, from: i64, to: i64) {
    #[derive(Deserialize)]
    struct Line {
        day: String,
        user: String,
        home_bytes: f64,
        files: Option<i64>,
    }
    let query = "select day, \"user\", home_bytes, files from storage";
    let seen = lines::<Line>(folder, query).into_iter();
    let seen: BTreeMap<(String, String), (f64, Option<i64>)> = seen
        .map(|line| ((line.day, line.user), (line.home_bytes, line.files)))
        .collect();
    let mut expected = BTreeMap::new();
    let mut day = (from + ZONE_OFFSET).div_euclid(DAY);
    while (day + 1) * DAY - ZONE_OFFSET <= to {
        // The last scrape of the day.
        let at = (day + 1) * DAY - ZONE_OFFSET - 9;
        let date = Timestamp::from_second(day * DAY)
            .unwrap()
            .to_zoned(TimeZone::UTC)
            .date();
        for (number, person) in month.people.iter().enumerate() {
            let files = (number < 100).then(|| home_files(number, at));
            let key = (date.to_string(), person.name.clone());
            expected.insert(key, (real(home_bytes(number, at)), files));
        }
        day += 1;
    }
    assert!(expected.len() > 29 * 501, "{}", expected.len());
    assert_eq!(seen, expected);
}

/// A mean, whose last digits depend on the order of its sum.
fn rounded(mean: f64) -> f64 {
    (mean * 1e9).round() / 1e9
}

/// The hub's gauges by the hour of UTC.
#[track_caller]
pub(crate) fn compare_gauges(folder: &Path, month: &Month, from: i64, to: i64) {
    #[derive(Deserialize)]
    struct Line {
        at: Timestamp,
        name: String,
        labels: String,
        value: f64,
        min: Option<f64>,
        max: Option<f64>,
        last: Option<f64>,
        n: Option<i64>,
    }
    let query = "select \"at\", name, labels, value, min, max, last, n from observations \
                 where starts_with(name, 'jupyterhub_')";
    let mut seen = BTreeMap::new();
    for line in lines::<Line>(folder, query) {
        let numbers = (
            rounded(line.value),
            line.min.unwrap(),
            line.max.unwrap(),
            line.last.unwrap(),
        );
        seen.insert(
            (line.at.as_second(), line.name, line.labels),
            (numbers, line.n.unwrap()),
        );
    }
    let mut expected = BTreeMap::new();
    let mut hour = from.div_euclid(HOUR) * HOUR;
    while hour + HOUR <= to {
        let begin = hour.max(month.start + 1);
        let times: Vec<i64> = times(begin - 1, hour + HOUR - 1, HUB_OFFSET).collect();
        let mut add = |name: &str, labels: &str, value: &dyn Fn(i64) -> i64| {
            let values: Vec<i64> = times.iter().map(|at| value(*at)).collect();
            let n = i64::try_from(values.len()).unwrap();
            let mean = real(values.iter().sum()) / real(n);
            let (min, max) = (
                real(*values.iter().min().unwrap()),
                real(*values.iter().max().unwrap()),
            );
            let numbers = (rounded(mean), min, max, real(*values.last().unwrap()));
            expected.insert((hour, name.to_owned(), labels.to_owned()), (numbers, n));
        };
        if !times.is_empty() && hour + HOUR > from {
            add("jupyterhub_running_servers", "{}", &running_servers);
            add("jupyterhub_total_users", "{}", &total_users);
            for (number, period) in ["24h", "7d", "30d"].into_iter().enumerate() {
                let labels = format!("{{\"period\":\"{period}\"}}");
                add("jupyterhub_active_users", &labels, &|at| {
                    active_users(number, at)
                });
            }
        }
        hour += HOUR;
    }
    assert!(expected.len() > 5 * 30 * 24, "{}", expected.len());
    assert_eq!(seen, expected);
    assert_eq!(INTERVAL, 60);
}

/// Sessions made of pods, all of them and no others, each marked by its source.
#[track_caller]
pub(crate) fn compare_sessions(folder: &Path, expected: &[Session]) {
    #[derive(Deserialize)]
    struct Line {
        user: String,
        server: String,
        started: Timestamp,
        ended: Timestamp,
    }
    #[derive(Deserialize)]
    struct Source {
        source: String,
    }
    let query = "select \"user\", server, started, ended from sessions \
                 where end_reason = 'unobserved'";
    let seen = lines::<Line>(folder, query)
        .into_iter()
        .map(|line| Session {
            user: line.user,
            server: line.server,
            started: line.started.as_second(),
            ended: line.ended.as_second(),
        });
    let mut seen: Vec<Session> = seen.collect();
    seen.sort();
    let missing: Vec<_> = expected
        .iter()
        .filter(|it| seen.binary_search(it).is_err())
        .collect();
    let more: Vec<_> = seen
        .iter()
        .filter(|it| expected.binary_search(it).is_err())
        .collect();
    assert!(
        missing.is_empty() && more.is_empty(),
        "{} missing: {:#?}\n{} more: {:#?}",
        missing.len(),
        &missing[..missing.len().min(5)],
        more.len(),
        &more[..more.len().min(5)]
    );
    let query = "select distinct source from events where source != 'x'";
    let sources = lines::<Source>(folder, query);
    assert!(sources.iter().all(|line| line.source == "prometheus") && sources.len() == 1);
}
