//! What is counted over restarts: custom metrics, and those that the hub lacks. One entry per
//! metric, like [`super::families`].
//!
//! The numbers are the store's; when something counts is decided in [`super::derived`] (events),
//! [`super::hub_counts`] (the hub's own histograms) and `web::api` (custom metrics).

use super::exposition::{Block, Head, Kind, Samples, Wanted};
use store::{Tallied, TallyDef, TallyKind, TallyValue};

/// One metric.
#[derive(Debug)]
pub struct CountedFamily {
    /// Its numbers; the name stands behind the configured prefix and `_`.
    pub def: TallyDef,
    /// What it is, for `# HELP` and the docs.
    pub help: &'static str,
    /// Where the number comes from, for the docs.
    pub from: &'static str,
}

/// The hub's own buckets for spawns: half a second to ten minutes.
const SPAWN_SECONDS: &[f64] = &[
    0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0,
];
/// The hub's own buckets for requests.
pub(super) const REQUEST_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Nobody knows what a site will time: a query takes milliseconds, a backup minutes. About three
/// buckets for each power of ten keep a percentile within a factor of two and a half.
const OPERATION_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// All of them, in the order of the page.
pub static COUNTED: &[&CountedFamily] = &[
    &CUSTOM_EVENTS,
    &CUSTOM_RESOURCE_USAGE,
    &CUSTOM_OPERATION_DURATION,
    &LOGIN_SUCCESS,
    &LOGIN_FAILURE,
    &USER_LOGIN,
    &SPAWN_SUCCESS,
    &SPAWN_FAILURE,
    &SPAWN_DURATION,
    &LAUNCH_DURATION,
    &REQUEST_COUNT,
    &API_REQUEST_DURATION,
    &HUB_RESPONSE_DURATION,
];

/// Events by type and user, as they were sent; logins and spawns are counted as user_login, server_spawn_start, server_spawn_success and server_spawn_failure.
pub static CUSTOM_EVENTS: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "custom_events_total",
        kind: TallyKind::Counter,
        labels: &["event_type", "user"],
        whose: Some(1),
    },
    help: "Events by type and user, as they were sent; logins and spawns are counted as user_login, server_spawn_start, server_spawn_success and server_spawn_failure.",
    from: "`POST api/v1/metrics/counter`; of logins and spawns as `login_success_total` and `spawn_success_total`, whose user is `anonymous` unless `metrics.users` is set.",
};

/// The last value of a resource, as it was sent.
pub static CUSTOM_RESOURCE_USAGE: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "custom_resource_usage",
        kind: TallyKind::Gauge,
        labels: &["resource_type", "user"],
        whose: Some(1),
    },
    help: "The last value of a resource, as it was sent.",
    from: "`POST api/v1/metrics/gauge`.",
};

/// Durations of operations, as they were sent.
pub static CUSTOM_OPERATION_DURATION: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "custom_operation_duration_seconds",
        kind: TallyKind::Histogram(OPERATION_SECONDS),
        labels: &["operation", "status"],
        whose: None,
    },
    help: "Durations of operations, as they were sent.",
    from: "`POST api/v1/metrics/timing`.",
};

/// Logins.
pub static LOGIN_SUCCESS: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "login_success_total",
        kind: TallyKind::Counter,
        labels: &[],
        whose: None,
    },
    help: "Logins.",
    from: "Events of the hub's hooks (`login`); of a hub process without them its own `login_duration_seconds` (since JupyterHub 6).",
};

/// Logins that were refused.
pub static LOGIN_FAILURE: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "login_failure_total",
        kind: TallyKind::Counter,
        labels: &[],
        whose: None,
    },
    help: "Logins that were refused.",
    from: "Events of the hub's hooks (`login-failed`); of a hub process without them its own `login_duration_seconds` (since JupyterHub 6).",
};

/// Logins by user and class of the authenticator; the user is anonymous unless metrics.users is set.
pub static USER_LOGIN: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "user_login_total",
        kind: TallyKind::Counter,
        labels: &["username", "authenticator"],
        whose: Some(0),
    },
    help: "Logins by user and class of the authenticator; the user is anonymous unless metrics.users is set.",
    from: "As `login_success_total`; the hub's histogram names nobody, and the authenticator is the one of `/info`.",
};

/// Spawns that ended with a server that answers.
pub static SPAWN_SUCCESS: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "spawn_success_total",
        kind: TallyKind::Counter,
        labels: &["spawner_class"],
        whose: None,
    },
    help: "Spawns that ended with a server that answers.",
    from: "Events of the hub's hooks (`spawn-succeeded`); of a hub process without them its own `server_spawn_duration_seconds`, and the class of `/info`.",
};

/// Spawns that failed or were refused.
pub static SPAWN_FAILURE: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "spawn_failure_total",
        kind: TallyKind::Counter,
        labels: &["spawner_class", "error_type"],
        whose: None,
    },
    help: "Spawns that failed or were refused.",
    from: "Events of the hub's hooks (`spawn-failed`); of a hub process without them its own `server_spawn_duration_seconds`, where the type is `reason`, else `status`; a process that exited counts once, though the hub counts it twice.",
};

/// Durations of spawns that succeeded, from the question to a server that answers.
pub static SPAWN_DURATION: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "spawn_duration_seconds",
        kind: TallyKind::Histogram(SPAWN_SECONDS),
        labels: &["spawner_class"],
        whose: None,
    },
    help: "Durations of spawns that succeeded, from the question to a server that answers.",
    from: "As `spawn_success_total`.",
};

/// Durations from the question for a server to one that users reach; the user is anonymous unless metrics.users is set.
pub static LAUNCH_DURATION: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "notebook_launch_duration_seconds",
        kind: TallyKind::Histogram(SPAWN_SECONDS),
        labels: &["spawner_type", "username"],
        whose: Some(1),
    },
    help: "Durations from the question for a server to one that users reach; the user is anonymous unless metrics.users is set.",
    from: "As `spawn_success_total`: `launch_seconds` of the hooks, the whole spawn of the hub's histogram.",
};

/// Requests that the hub answered, by the Python class that did.
pub static REQUEST_COUNT: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "request_count_total",
        kind: TallyKind::Counter,
        labels: &["method", "handler", "code"],
        whose: None,
    },
    help: "Requests that the hub answered, by the Python class that did.",
    from: "The hub's `request_duration_seconds_count`, added up over its restarts since we first saw it.",
};

/// Durations of requests to the hub's REST API; the endpoint is the class in jupyterhub.apihandlers.
pub static API_REQUEST_DURATION: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "api_request_duration_seconds",
        kind: TallyKind::Histogram(REQUEST_SECONDS),
        labels: &["method", "endpoint", "status"],
        whose: None,
    },
    help: "Durations of requests to the hub's REST API; the endpoint is the class in jupyterhub.apihandlers.",
    from: "As `request_count_total`.",
};

/// Durations of all requests to the hub.
pub static HUB_RESPONSE_DURATION: CountedFamily = CountedFamily {
    def: TallyDef {
        name: "hub_response_duration_seconds",
        kind: TallyKind::Histogram(REQUEST_SECONDS),
        labels: &[],
        whose: None,
    },
    help: "Durations of all requests to the hub.",
    from: "As `request_count_total`.",
};

impl CountedFamily {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self.def.kind {
            TallyKind::Counter => Kind::Counter,
            TallyKind::Gauge => Kind::Gauge,
            TallyKind::Histogram(_) => Kind::Histogram,
        }
    }
}

/// Writes all of them; a number of another kind, which another version kept, is left out.
pub(super) fn collect(tallied: &Tallied, prefix: &str) -> Vec<Block> {
    let families = COUNTED.iter();
    families
        .map(|family| {
            let def = &family.def;
            let head = Head {
                name: format!("{prefix}_{}", def.name),
                help: family.help,
                kind: family.kind(),
                labels: def.labels,
            };
            let mut samples = Samples::new(head, Wanted::default());
            for (labels, value) in tallied.family(def.name) {
                let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
                if labels.len() != def.labels.len() {
                    continue;
                }
                match (def.kind, value) {
                    (TallyKind::Counter, TallyValue::Counter(value))
                    | (TallyKind::Gauge, TallyValue::Gauge(value)) => samples.push(&labels, *value),
                    (TallyKind::Histogram(bounds), TallyValue::Histogram(values)) => {
                        samples.push_histogram(&labels, bounds, values);
                    }
                    _ => {}
                }
            }
            samples.finish()
        })
        .collect()
}
