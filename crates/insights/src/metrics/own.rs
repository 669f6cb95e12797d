//! Metrics about ourselves: is the hub answering, how old is what we show, what went wrong.
//!
//! Values are set where things happen and written only at a scrape, so that the large families
//! need not be written again for them. They name nobody.

use super::exposition::{Block, Head, Kind, Samples, Wanted, float};
use crate::events::{Liveness, Sources, Taken};
use crate::hub::{ErrorKind, HubError, RequestLog};
use crate::usage::Usage;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether requests are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Listening.
    Ready,
    /// Being stopped.
    Stopping,
}

/// What is read from the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// Groups with their members.
    Groups,
    /// The names of all users.
    Users,
    /// Running servers.
    Servers,
    /// The hub's own metrics.
    Numbers,
}

impl Data {
    /// Everything that is polled.
    pub const ALL: [Self; 4] = [Self::Groups, Self::Users, Self::Servers, Self::Numbers];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Users => "users",
            Self::Servers => "servers",
            Self::Numbers => "numbers",
        }
    }
}

/// Counters and last values.
#[derive(Debug)]
pub struct Own {
    hub_name: String,
    values: Mutex<Values>,
}

#[derive(Debug, Default)]
struct Values {
    polls: BTreeMap<Data, Polls>,
    requests: BTreeMap<(&'static str, Option<u16>), u64>,
    errors: BTreeMap<(Data, &'static str), u64>,
    panics: BTreeMap<&'static str, u64>,
    n_series: usize,
    is_ready: bool,
    last_login: Option<LastLogin>,
    items: Items,
    sources: Arc<Sources>,
    usage: Arc<Usage>,
}

/// Value of the label `data` of looks at what servers use.
const USAGE: &str = "usage";

/// Items that were sent to us, by what became of them.
#[derive(Debug, Default)]
struct Items {
    new: u64,
    known: u64,
    rejected: u64,
}

#[derive(Debug, Default)]
struct Polls {
    n_ok: u64,
    n_failed: u64,
    last_failed: bool,
    last_error: Option<ReadError>,
    last_duration: Option<Duration>,
    last_complete: Option<Timestamp>,
}

/// Why the last read or login failed; names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// What it is counted under.
    pub kind: ErrorKind,
    /// What the administrator can do.
    pub remedy: &'static str,
}

impl ReadError {
    fn of(error: &HubError) -> Self {
        Self {
            kind: error.kind(),
            remedy: error.remedy(),
        }
    }
}

/// Whether people can log in, by the last one who came back from the hub; names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastLogin {
    /// When.
    pub at: Timestamp,
    /// Why nobody can, if that is so.
    pub error: Option<ReadError>,
}

/// One metric about ourselves.
pub struct OwnFamily {
    /// Full name.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Where the number comes from, for the docs.
    pub from: &'static str,
    /// Names of its labels; `hub` is the first of each.
    pub labels: &'static [&'static str],
    collect: fn(&Values, &str, Timestamp, &mut Samples),
}

/// All metrics about ourselves.
pub static OWN_FAMILIES: &[OwnFamily] = &[
    OwnFamily {
        name: "jupyterhub_insights_build_info",
        from: "The program itself.",
        help: "Version of jupyterhub-insights.",
        kind: Kind::Info,
        labels: &["hub", "version"],
        collect: |_, hub, _, samples| samples.push(&[hub, env!("CARGO_PKG_VERSION")], 1.0),
    },
    OwnFamily {
        name: "jupyterhub_insights_hub_up",
        from: "Counted here, at each read of `/groups`.",
        help: "1 if the last read of the hub's groups was complete, else 0.",
        kind: Kind::Gauge,
        labels: &["hub"],
        collect: |values, hub, _, samples| {
            let groups = values.polls.get(&Data::Groups);
            let is_up = groups.is_some_and(|polls| polls.n_ok > 0 && !polls.last_failed);
            samples.push(&[hub], f64::from(u8::from(is_up)));
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_data_age_seconds",
        from: "Our clock, and when each read was complete.",
        help: "Seconds since the last complete read; absent before the first.",
        kind: Kind::Gauge,
        labels: &["hub", "data"],
        collect: |values, hub, now, samples| {
            for (data, polls) in &values.polls {
                if let Some(at) = polls.last_complete {
                    let age = now.duration_since(at).as_secs_f64().max(0.0);
                    samples.push(&[hub, data.as_str()], (age * 1000.0).round() / 1000.0);
                }
            }
            let usage = values.usage.condition();
            if let Some(at) = usage.and_then(|usage| usage.last_complete) {
                let age = now.duration_since(at).as_secs_f64().max(0.0);
                samples.push(&[hub, USAGE], (age * 1000.0).round() / 1000.0);
            }
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_poll_duration_seconds",
        from: "Measured here, from the question to the whole answer.",
        help: "Duration of the last read, failed ones included; of users the last page.",
        kind: Kind::Gauge,
        labels: &["hub", "data"],
        collect: |values, hub, _, samples| {
            for (data, polls) in &values.polls {
                if let Some(duration) = polls.last_duration {
                    samples.push(&[hub, data.as_str()], duration.as_secs_f64());
                }
            }
            let usage = values.usage.condition();
            if let Some(usage) = usage.filter(|usage| usage.n_ok + usage.n_failed > 0) {
                samples.push(&[hub, USAGE], usage.duration.as_secs_f64());
            }
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_polls_total",
        from: "Counted here.",
        help: "Reads by what was read and whether it was complete (ok) or thrown away (error).",
        kind: Kind::Counter,
        labels: &["hub", "data", "result"],
        collect: |values, hub, _, samples| {
            for data in Data::ALL {
                let polls = values.polls.get(&data);
                let n_ok = polls.map_or(0, |polls| polls.n_ok);
                let n_failed = polls.map_or(0, |polls| polls.n_failed);
                samples.push(&[hub, data.as_str(), "ok"], float(n_ok));
                samples.push(&[hub, data.as_str(), "error"], float(n_failed));
            }
            if let Some(usage) = values.usage.condition() {
                samples.push(&[hub, USAGE, "ok"], float(usage.n_ok));
                samples.push(&[hub, USAGE, "error"], float(usage.n_failed));
            }
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_errors_total",
        from: "Counted here.",
        help: "Reads that failed, by what was read and the kind of error.",
        kind: Kind::Counter,
        labels: &["hub", "data", "kind"],
        collect: |values, hub, _, samples| {
            for data in Data::ALL {
                for kind in ErrorKind::ALL {
                    let n_errors = values.errors.get(&(data, kind.as_str())).copied();
                    let labels = [hub, data.as_str(), kind.as_str()];
                    samples.push(&labels, float(n_errors.unwrap_or(0)));
                }
            }
            if let Some(usage) = values.usage.condition() {
                for (kind, n_errors) in &usage.errors {
                    samples.push(&[hub, USAGE, kind], float(*n_errors));
                }
            }
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_hub_requests_total",
        from: "Counted here, at each request to the hub.",
        help: "Requests sent to the hub, by endpoint and status; status none had no answer.",
        kind: Kind::Counter,
        labels: &["hub", "endpoint", "status"],
        collect: |values, hub, _, samples| {
            for ((endpoint, status), n_requests) in &values.requests {
                let status = status.map_or("none".to_owned(), |status| status.to_string());
                samples.push(&[hub, endpoint, &status], float(*n_requests));
            }
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_task_panics_total",
        from: "Counted here.",
        help: "Bugs that stopped a task or a request, by task.",
        kind: Kind::Counter,
        labels: &["hub", "task"],
        collect: |values, hub, _, samples| {
            for (task, n_panics) in &values.panics {
                samples.push(&[hub, task], float(*n_panics));
            }
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_items_total",
        from: "Counted here.",
        help: "Items that were sent to us: new ones, ones that were known already, and ones that \
               could not be read, which are in the table dead_letters.",
        kind: Kind::Counter,
        labels: &["hub", "result"],
        collect: |values, hub, _, samples| {
            let items = &values.items;
            samples.push(&[hub, "new"], float(items.new));
            samples.push(&[hub, "known"], float(items.known));
            samples.push(&[hub, "rejected"], float(items.rejected));
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_source_last_event_timestamp_seconds",
        from: "Our clock, at each item that was sent.",
        help: "When something last arrived, by who sent it.",
        kind: Kind::Gauge,
        labels: &["hub", "source"],
        collect: |values, hub, now, samples| {
            for source in values.sources.all(now) {
                let at = source.state.last_arrived.as_duration().as_secs_f64();
                samples.push(&[hub, &source.name], (at * 1000.0).round() / 1000.0);
            }
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_source_silent",
        from: "Items that were sent, and starts in `/users?state=active`.",
        help: "1 if servers started and a source that used to tell of starts did not, for \
               `events.silent_after_seconds`; else 0.",
        kind: Kind::Gauge,
        labels: &["hub", "source"],
        collect: |values, hub, now, samples| {
            for source in values.sources.all(now) {
                let is_silent = source.liveness == Liveness::Silent;
                samples.push(&[hub, &source.name], f64::from(u8::from(is_silent)));
            }
        },
    },
    OwnFamily {
        name: "jupyterhub_insights_series",
        from: "Counted here, at the scrape.",
        help: "Series about the hub that a scrape gets, these about ourselves left out.",
        kind: Kind::Gauge,
        labels: &["hub"],
        collect: |values, hub, _, samples| samples.push(&[hub], float(values.n_series as u64)),
    },
    OwnFamily {
        name: "jupyterhub_insights_ready",
        from: "The program itself.",
        help: "1 while listening and not being stopped.",
        kind: Kind::Gauge,
        labels: &["hub"],
        collect: |values, hub, _, samples| {
            samples.push(&[hub], f64::from(u8::from(values.is_ready)));
        },
    },
];

impl Own {
    /// All zero.
    pub fn new(hub_name: &str) -> Self {
        Self {
            hub_name: hub_name.to_owned(),
            values: Mutex::default(),
        }
    }

    /// A read was complete.
    pub fn record_complete(&self, data: Data, duration: Duration, at: Timestamp) {
        let mut values = self.values();
        let polls = values.polls.entry(data).or_default();
        polls.n_ok += 1;
        polls.last_failed = false;
        polls.last_error = None;
        polls.last_duration = Some(duration);
        polls.last_complete = Some(at);
    }

    /// What an earlier process read is shown until the hub has answered.
    pub fn restore(&self, data: Data, at: Timestamp) {
        self.values().polls.entry(data).or_default().last_complete = Some(at);
    }

    /// A read was thrown away.
    pub fn record_failure(&self, data: Data, duration: Duration, error: &HubError) {
        let mut values = self.values();
        *values
            .errors
            .entry((data, error.kind().as_str()))
            .or_default() += 1;
        let polls = values.polls.entry(data).or_default();
        polls.n_failed += 1;
        polls.last_failed = true;
        polls.last_error = Some(ReadError::of(error));
        polls.last_duration = Some(duration);
    }

    /// Somebody logged in.
    pub fn record_login(&self, at: Timestamp) {
        self.values().last_login = Some(LastLogin { at, error: None });
    }

    /// Nobody can log in until somebody mends it.
    pub fn record_failed_login(&self, error: &HubError, at: Timestamp) {
        let error = Some(ReadError::of(error));
        self.values().last_login = Some(LastLogin { at, error });
    }

    /// What became of the last login, if there was one.
    pub fn last_login(&self) -> Option<LastLogin> {
        self.values().last_login
    }

    /// A task or request panicked.
    pub fn record_panic(&self, task: &'static str) {
        *self.values().panics.entry(task).or_default() += 1;
    }

    /// How often a task or request panicked.
    pub fn n_panics(&self, task: &'static str) -> u64 {
        self.values().panics.get(task).copied().unwrap_or(0)
    }

    /// Items were dealt with.
    pub fn record_items(&self, taken: Taken, n_rejected: usize) {
        let items = &mut self.values().items;
        items.new += taken.n_new as u64;
        items.known += taken.n_known as u64;
        items.rejected += n_rejected as u64;
    }

    /// Who sends, to be told what arrives.
    pub fn sources(&self) -> Arc<Sources> {
        Arc::clone(&self.values().sources)
    }

    /// How it goes with what servers use.
    pub fn usage(&self) -> Arc<Usage> {
        Arc::clone(&self.values().usage)
    }

    /// How many series the other families have.
    pub fn set_series(&self, n_series: usize) {
        self.values().n_series = n_series;
    }

    /// Lets the panic counter of a task or of requests begin at 0, so that an increase from there
    /// is one.
    pub fn expect_panics_of(&self, task: &'static str) {
        self.values().panics.entry(task).or_default();
    }

    /// Whether requests are welcome from now on.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.values().is_ready = readiness == Readiness::Ready;
    }

    /// Whether requests are welcome.
    pub fn is_ready(&self) -> bool {
        self.values().is_ready
    }

    /// When a kind of data was last complete.
    pub fn last_complete(&self, data: Data) -> Option<Timestamp> {
        self.values().polls.get(&data)?.last_complete
    }

    /// How long the last read took.
    pub fn last_duration(&self, data: Data) -> Option<Duration> {
        self.values().polls.get(&data)?.last_duration
    }

    /// Why the last read failed, if it did.
    pub fn last_error(&self, data: Data) -> Option<ReadError> {
        self.values().polls.get(&data)?.last_error
    }

    /// Writes all of them.
    pub fn collect(&self, now: Timestamp) -> Vec<Block> {
        let values = self.values();
        let families = OWN_FAMILIES.iter();
        families
            .map(|family| {
                let head = Head {
                    name: family.name.to_owned(),
                    help: family.help,
                    kind: family.kind,
                    labels: family.labels,
                };
                let mut samples = Samples::new(head, Wanted::default());
                (family.collect)(&values, &self.hub_name, now, &mut samples);
                samples.finish()
            })
            .collect()
    }

    /// A panic while counting leaves counts that are still counts.
    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestLog for Own {
    fn record(&self, endpoint: &'static str, status: Option<u16>) {
        *self
            .values()
            .requests
            .entry((endpoint, status))
            .or_default() += 1;
    }
}
