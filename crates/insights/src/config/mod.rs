//! All settings, each defined once: the structs below make the parser, `config print`,
//! `docs/config.md` and the checks. Nobody else reads the environment.
//!
//! Where a value comes from (file, environment, flag) is the business of [`layers`]; what a hub
//! tells its services of [`environment`].

pub mod access;
pub mod docs;
pub mod environment;
pub mod layers;
mod limits;
pub mod print;
pub mod reports;
mod schema;
mod secret;
pub mod store;
pub mod usage;

pub use access::{AccessConfig, GroupOwner, LoginConfig, OwnerSees};
pub use layers::{ConfigError, Effective, Layer, Origin, load};
pub use reports::ReportsConfig;
pub use secret::Secret;
pub use usage::{LocalConfig, PrometheusConfig, SpawnerConfig, UsageConfig, UsageSourceConfig};

use crate::metrics::Naming;
use crate::metrics::usage::{ExporterNames, UsageShape, UserRows};
use jiff::tz::TimeZone;
use model::attribution::{Attribution, ExtraMultipleRow, MultiGroupRule};
use model::filter::{GroupFilter, GroupPattern, Wildcard};
use model::names::GroupName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The hub that is asked, and how often.
    pub hub: HubConfig,
    /// Which groups are shown, and how users in several of them count.
    pub groups: GroupsConfig,
    /// What Prometheus reads.
    pub metrics: MetricsConfig,
    /// What the hub's proxy passes on to browsers and scripts.
    pub web: WebConfig,
    /// How people log in. A service that the hub starts need not set any of it.
    pub login: LoginConfig,
    /// Who may see what; the table is in `docs/access.md`.
    pub access: AccessConfig,
    /// What others send: the hub's events, and custom metrics.
    pub events: EventsConfig,
    /// Who uses how much processor time, memory, GPU, network and home storage.
    pub usage: UsageConfig,
    /// The Prometheus that knows what users' pods use.
    pub prometheus: PrometheusConfig,
    /// The machine that users' servers run on, where that is this one.
    pub local: LocalConfig,
    /// The history: what was, beside what is.
    pub store: StoreConfig,
    /// How long the history is kept.
    pub retention: RetentionConfig,
    /// What everybody may know of the events: one file a day, without names.
    pub archive: ArchiveConfig,
    /// Figures with their definitions.
    pub reports: ReportsConfig,
    /// What is written to standard error.
    pub log: LogConfig,
}

/// The hub that is asked, and how often.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HubConfig {
    /// Name of this hub in labels and tables, for the case that several hubs are watched.
    pub name: String,
    /// The hub's address with its base URL, for instance `http://hub:8081/` or
    /// `https://hub.example.org/jupyter/`. A service that the hub starts need not set it.
    #[schemars(with = "Option<String>")]
    pub url: Option<Url>,
    /// API token of the service's read-only role. A service that the hub starts need not set it.
    pub token: Option<Secret>,
    /// File that holds the token, for instance a mounted secret; read at start.
    pub token_file: Option<PathBuf>,
    /// PEM file of further authorities to trust when the hub's address is https.
    pub ca_file: Option<PathBuf>,
    /// PEM certificate to show to the hub, as `internal_ssl` demands; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Seconds between two reads of groups and running servers, 1 to 86400. A read of a hub with
    /// 10,000 users costs it well under a second; a slow hub is asked less often by itself.
    pub interval_seconds: u64,
    /// Seconds between two complete reads of the user list, 60 to 604800. New and deleted users
    /// are noticed at the next `interval_seconds` anyway; the complete read notices renamed ones.
    pub users_interval_seconds: u64,
    /// Seconds after which a request to the hub is given up, 1 to 600. The first read after the
    /// start of a large hub takes seconds.
    pub timeout_seconds: u64,
    /// Time zone in which days and weeks begin and end, by its IANA name, for instance
    /// `Europe/Berlin`. The default is the machine's (`TZ` or `/etc/localtime`), else `UTC`; in
    /// containers that is mostly `UTC`, so set it where that is not your hub's.
    pub timezone: Option<String>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            name: "jupyterhub".to_owned(),
            url: None,
            token: None,
            token_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            interval_seconds: 60,
            users_interval_seconds: 6 * 3600,
            timeout_seconds: 30,
            timezone: None,
        }
    }
}

impl HubConfig {
    /// Time between two reads.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }

    /// Time between two complete reads of the user list.
    pub fn users_interval(&self) -> Duration {
        Duration::from_secs(self.users_interval_seconds)
    }

    /// The zone in which days and weeks are cut; a configuration that was loaded has one.
    pub fn time_zone(&self) -> TimeZone {
        let zone = self.timezone.as_deref();
        zone.and_then(|name| TimeZone::get(name).ok())
            .unwrap_or(TimeZone::UTC)
    }

    /// Time after which a request is given up.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// Which groups are shown, and how users in several of them count.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupsConfig {
    /// Only these groups are shown, by name or with `*` for any text; empty: all. Metrics do not show
    /// users who are in none of them; in reports they count to the group `none`.
    pub allowed: Vec<String>,
    /// These groups are never shown, by name or with `*` for any text; wins over `allowed`.
    pub denied: Vec<String>,
    /// How users in several groups count.
    pub multiple: MultipleConfig,
    /// With `multiple = "primary"`: the first of these groups that the user is in; a user in none
    /// of them counts to the first by name.
    pub priority: Vec<String>,
    /// With `multiple = "bucket"`: the name of the pseudo group. A real group of this name keeps
    /// it; the pseudo group then gets a `_` behind.
    pub bucket: String,
}

impl Default for GroupsConfig {
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            denied: Vec::new(),
            multiple: MultipleConfig::InEach,
            priority: Vec::new(),
            bucket: "multiple".to_owned(),
        }
    }
}

/// How users in several groups count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MultipleConfig {
    /// Fully in each of their groups; totals over groups overlap.
    InEach,
    /// In each of their groups with an equal share; shares add up to one.
    Split,
    /// Only in the first of them by `priority`.
    Primary,
    /// Only in the pseudo group `bucket`.
    Bucket,
}

/// What Prometheus reads.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "settings that are switches")]
pub struct MetricsConfig {
    /// Address and port of its own for metrics and probes, which the hub's proxy does not serve,
    /// for instance `0.0.0.0:9090`. Metrics are open there, so keep it inside your network. The
    /// default is `0.0.0.0:9090` where `web.listen` is not set, else none.
    pub listen: Option<String>,
    /// Value of the label `namespace`. The default is the environment variable `NAMESPACE`, else
    /// the namespace of the pod we run in, else `hub.name`.
    pub namespace: Option<String>,
    /// First part of the names of metrics about the hub, as `JUPYTERHUB_METRICS_PREFIX` sets it for
    /// the hub's own.
    pub prefix: String,
    /// Answer scrapes with names without a token even behind the hub's proxy, where every visitor
    /// can read them. Warned of at every start.
    pub open: bool,
    /// Token that a scraper may send as `Authorization: Bearer …` instead of a hub token.
    pub scrape_token: Option<Secret>,
    /// File that holds the scrape token; read at start.
    pub scrape_token_file: Option<PathBuf>,
    /// Add the row `usergroup="multiple"` for users in several groups, for dashboards that were
    /// made for the Python exporter. With `groups.multiple = "in-each"`; with `"bucket"` the row is
    /// there anyway.
    pub compat: bool,
    /// Name people in what is counted of logins and spawns. Without it the labels `user` and
    /// `username` of these are `anonymous`; users that a custom metric names are shown either way.
    pub users: bool,
    /// Combinations of labels that a counted metric has at most, 10 to 100000. Beyond that, values
    /// are called `other`; what is known keeps counting. Each takes about 200 bytes of memory, a
    /// histogram 500.
    pub series: u64,
    /// Also export `user_group_cpu_seconds` and `user_group_cpu_requests_seconds`, under which names the
    /// Python exporter exports cores, not seconds. The default is `true` with the Python exporter's flags,
    /// so that no panel jumps, else `false`: `user_group_cpu_cores` and `user_group_cpu_requested_cores`
    /// are the same numbers.
    pub exporter_names: bool,
    /// Event types, resource types and operations that custom metrics may have, by name or with `*`
    /// for any text. Others are rejected.
    pub custom_allowed: Vec<String>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: None,
            namespace: None,
            prefix: "jupyterhub".to_owned(),
            open: false,
            scrape_token: None,
            scrape_token_file: None,
            compat: false,
            users: false,
            series: 1000,
            exporter_names: false,
            custom_allowed: vec!["*".to_owned()],
        }
    }
}

impl MetricsConfig {
    /// Whether counted metrics name people.
    pub fn naming(&self) -> Naming {
        if self.users {
            Naming::Named
        } else {
            Naming::Anonymous
        }
    }

    /// Combinations of labels at most.
    pub fn series(&self) -> usize {
        usize::try_from(self.series).unwrap_or(usize::MAX)
    }

    /// What custom metrics may be called.
    pub fn custom_names(&self) -> Vec<Wildcard> {
        let patterns = self.custom_allowed.iter();
        patterns.map(|pattern| Wildcard::new(pattern)).collect()
    }
}

/// What the hub's proxy passes on to browsers and scripts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Address and port that the hub's proxy forwards to. A service that the hub starts gets it
    /// from the hub (`url` of the service).
    pub listen: Option<String>,
    /// Path under which everything is served.
    pub prefix: String,
    /// PEM certificate to serve https with, as `internal_ssl` demands; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// PEM file of the authorities whose client certificates are demanded.
    pub client_ca_file: Option<PathBuf>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: None,
            prefix: "/services/insights/".to_owned(),
            cert_file: None,
            key_file: None,
            client_ca_file: None,
        }
    }
}

/// What others send: the hub's events, and custom metrics.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// Token with which events and custom metrics may be sent, beside hub tokens that hold the scope
    /// `custom:insights:write`. For senders that the hub does not know.
    pub token: Option<Secret>,
    /// File that holds the token; read at start.
    pub token_file: Option<PathBuf>,
    /// Files to which a hub or somebody else appends events, one JSON object per line: absolute
    /// paths, at most 100. They are followed over rotations (renamed or copied and truncated) and
    /// restarts; one that is not there yet is waited for. The service's user must be allowed to read
    /// them and to look into their folders.
    pub files: Vec<PathBuf>,
    /// Seconds after which a source that used to tell of starts counts as silent if a server started
    /// and it did not tell, 5 to 86400.
    pub silent_after_seconds: u64,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            token: None,
            token_file: None,
            files: Vec::new(),
            silent_after_seconds: 300,
        }
    }
}

/// The history: what was, beside what is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Folder of the history, an absolute path. The default is the first of these that can be used
    /// or made: the service manager's state directory (`STATE_DIRECTORY`),
    /// `/var/lib/jupyterhub-insights`, and `jupyterhub-insights` in the user's data folder
    /// (`XDG_DATA_HOME`, else `~/.local/share`); never a temporary folder or the directory in which
    /// the service works, nor one in that where a hub starts the service: it is the hub's.
    pub path: Option<PathBuf>,
    /// Whether a history is kept. With `auto`, where a folder for it is found; not if the service is
    /// started with the Python exporter's flags and `path` is not set, or where `path` is on a
    /// read-only file system. With `always`, not to find a folder ends the start.
    pub keep: KeepConfig,
    /// Seconds between two writes of what is new into the history's tables, 5 to 3600. It is safe on
    /// disk and seen by reports before; fewer writes make fewer and larger files.
    pub flush_interval_seconds: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            path: None,
            keep: KeepConfig::Auto,
            flush_interval_seconds: 60,
        }
    }
}

impl StoreConfig {
    /// Time between two writes into the tables.
    pub fn flush_interval(&self) -> Duration {
        Duration::from_secs(self.flush_interval_seconds)
    }
}

/// Whether a history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeepConfig {
    /// Where a folder for it is found.
    Auto,
    /// Yes, or the service does not start.
    Always,
    /// No.
    Never,
}

/// How long the history is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Days for which single events are kept, 2 to 36500; 0: for ever. The default is a year and a
    /// month, so that a month can be compared with the same one of the year before. Sessions and
    /// what is summed from them stay.
    pub events_days: u64,
    /// Days for which network addresses in events are kept, 1 to 36500.
    pub addresses_days: u64,
    /// Days for which input that could not be read is kept, 1 to 36500.
    pub dead_letters_days: u64,
    /// Days for which it is kept which administrator looked at whom, asked which SQL and made which
    /// link, 1 to 36500; 0: for ever. That somebody was erased stays known, without the name.
    pub audit_days: u64,
    /// Days for which numbers about the hub as a whole are kept by the minute, 1 to 36500; after
    /// that by the hour.
    pub observations_minutes_days: u64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            events_days: 400,
            addresses_days: 30,
            dead_letters_days: 30,
            audit_days: 400,
            observations_minutes_days: 60,
        }
    }
}

/// What everybody may know of the events: one file a day, without names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveConfig {
    /// Folder of the archive, an absolute path; made if it is not there. Not set: none is written.
    /// It needs `kinds`, and a history. After each day, by UTC, its events become
    /// `events-YYYY-MM-DD.jsonl`, an object per line with `timestamp` to the minute, `schema`,
    /// `version`, `kind` and the `keys` below; `index.jsonl` names the files with their dates and
    /// counts. Users, servers, ids, senders and seconds are never in it. Events that come late are
    /// added for eight days.
    pub path: Option<PathBuf>,
    /// Kinds of events that are in the archive, by name or with `*` for any text, for instance
    /// `["binder-launch"]`. Whoever may send events chooses their kinds, so name those that you know.
    pub kinds: Vec<String>,
    /// Keys of an event's `detail` that are in the archive, for instance
    /// `["provider", "spec", "ref", "status", "origin"]`. Their values are written as they are if
    /// they are text, numbers, true or false, and left out otherwise: allow what names nobody.
    pub keys: Vec<String>,
}

/// What is written to standard error.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Text for people or JSON for collectors.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`. User names appear at `debug` only.
    pub level: LogLevel,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: LogLevel::Info,
        }
    }
}

/// Text for people or JSON for collectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line per event.
    Text,
    /// One object per line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// We coped.
    Warn,
    /// Per poll.
    Info,
    /// Per request and user.
    Debug,
    /// Everything.
    Trace,
}

impl Config {
    /// The multi-group rule and filter, as the model wants them.
    pub fn attribution(&self) -> Attribution {
        let patterns = |texts: &[String]| texts.iter().map(|t| GroupPattern::parse(t)).collect();
        let groups = &self.groups;
        let name = |text: &String| GroupName::from(text.as_str());
        Attribution {
            filter: GroupFilter {
                allowed: patterns(&groups.allowed),
                denied: patterns(&groups.denied),
            },
            rule: match groups.multiple {
                MultipleConfig::InEach => MultiGroupRule::InEach,
                MultipleConfig::Split => MultiGroupRule::Split,
                MultipleConfig::Primary => {
                    MultiGroupRule::Primary(groups.priority.iter().map(name).collect())
                }
                MultipleConfig::Bucket => MultiGroupRule::Bucket(name(&groups.bucket)),
            },
            extra_row: if self.metrics.compat {
                ExtraMultipleRow::Add
            } else {
                ExtraMultipleRow::Omit
            },
        }
    }

    /// Which families about usage are written.
    pub fn usage_shape(&self) -> UsageShape {
        let has_rows = self.usage.per_user;
        let has_names = self.metrics.exporter_names;
        UsageShape {
            rows: if has_rows {
                UserRows::Shown
            } else {
                UserRows::LeftOut
            },
            names: if has_names {
                ExporterNames::Shown
            } else {
                ExporterNames::LeftOut
            },
            naming: self.metrics.naming(),
        }
    }

    /// Kubernetes namespace of the hub's pods, as Prometheus labels them.
    pub fn namespace_of_pods(&self) -> String {
        let namespace = self.prometheus.namespace.as_ref();
        let namespace = namespace.or(self.metrics.namespace.as_ref());
        namespace.unwrap_or(&self.hub.name).clone()
    }

    /// Where metrics are served on a port of their own, if they are.
    pub fn metrics_listen(&self) -> Option<&str> {
        match (&self.metrics.listen, &self.web.listen) {
            (Some(own), Some(web)) if own == web || is_any_address_of_port(own, web) => None,
            (Some(own), _) => Some(own),
            (None, Some(_)) => None,
            (None, None) => Some("0.0.0.0:9090"),
        }
    }
}

/// The Python exporter's `--port` names a port of all addresses; where the hub's proxy forwards
/// to that very port there is one listener, and it is the closed one.
fn is_any_address_of_port(own: &str, web: &str) -> bool {
    let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
    own.starts_with("0.0.0.0:") && port(own) == port(web)
}
