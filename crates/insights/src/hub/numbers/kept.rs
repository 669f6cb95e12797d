//! Which series of the hub's page are kept, and how many of them.

use super::Number;
use crate::hub::exposition::Sample;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most numbers that one read brings, whatever the page has.
pub(super) const MAX_NUMBERS: usize = 120;
/// Longer values of labels are not kept.
const LABEL_MAX_BYTES: usize = 100;
/// What labels beyond the limits are called.
const OTHER: &str = "other";

/// A metric that is kept.
pub(super) struct Kept {
    /// Without the prefix, if the hub has one for it.
    pub(super) name: &'static str,
    pub(super) from: From,
    /// Series that differ in other labels are added up.
    by: By,
    /// The most series of it.
    limit: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// One of the hub's own metrics, whose name has the prefix.
    Hub,
    /// Told by every Python program.
    Process,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
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
pub(super) const KEPT: &[Kept] = &[
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

type Labels = BTreeMap<&'static str, String>;

/// Sums of one metric by the labels that are kept.
#[derive(Default)]
pub(super) struct Sums {
    by_labels: BTreeMap<Labels, f64>,
    is_cut: bool,
}

impl Sums {
    pub(super) fn add(&mut self, kept: &Kept, sample: &Sample<'_>) {
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

    pub(super) fn finish(self, kept: &Kept) -> impl Iterator<Item = Number> + use<> {
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

pub(super) fn value_of<'a>(sample: &'a Sample<'_>, name: &str) -> &'a str {
    let mut labels = sample.labels.iter();
    labels
        .find(|label| label.name == name)
        .map_or("", |label| &label.value)
}
