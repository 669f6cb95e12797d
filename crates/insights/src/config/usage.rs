//! Settings about what users' servers use, and where that is read.

use super::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Who uses how much processor time, memory, GPU, network and home storage.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UsageConfig {
    /// Where usage is read. With `auto`: from Prometheus if `prometheus.url` is set; else on this
    /// machine if the hub has started this service; else nowhere.
    pub source: UsageSourceConfig,
    /// Seconds between two looks at what is used, 1 to 3600.
    pub interval_seconds: u64,
    /// Seconds between two looks at the sizes of homes, 60 to 604800. On this machine a look walks
    /// through all of them, resting four fifths of the time.
    pub homes_interval_seconds: u64,
    /// Export a row per user and group (`user_group_memory_bytes` and its kin), as the Python exporter
    /// does. Without them there are totals of groups only, which are fewer series.
    pub per_user: bool,
}

impl Default for UsageConfig {
    fn default() -> Self {
        Self {
            source: UsageSourceConfig::Auto,
            interval_seconds: 60,
            homes_interval_seconds: 6 * 3600,
            per_user: true,
        }
    }
}

impl UsageConfig {
    /// Time between two looks.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }

    /// Time between two looks at the homes.
    pub fn homes_interval(&self) -> Duration {
        Duration::from_secs(self.homes_interval_seconds)
    }
}

/// Where usage is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageSourceConfig {
    /// Wherever it can be read.
    Auto,
    /// From the server that `prometheus.url` names.
    Prometheus,
    /// From the kernel of this machine.
    Local,
    /// Nowhere.
    None,
}

/// The Prometheus that knows what users' pods use.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusConfig {
    /// Address of a server that speaks Prometheus' HTTP API (Prometheus, VictoriaMetrics, Thanos,
    /// Mimir, or Grafana's proxy of a data source), with its path prefix and without `api/v1`, for
    /// instance `http://prometheus:9090/` or
    /// `https://grafana.example.org/api/datasources/proxy/uid/abc/`.
    #[schemars(with = "Option<String>")]
    pub url: Option<Url>,
    /// Token sent to it as `Authorization: Bearer …`. The hub's token never goes there.
    pub token: Option<Secret>,
    /// File that holds the token; read at start.
    pub token_file: Option<PathBuf>,
    /// Name for basic authentication; needs `password`.
    pub username: Option<String>,
    /// Password for basic authentication.
    pub password: Option<Secret>,
    /// File that holds the password; read at start.
    pub password_file: Option<PathBuf>,
    /// PEM file of further authorities to trust when the address is https.
    pub ca_file: Option<PathBuf>,
    /// Seconds after which a query is given up, 1 to 600.
    pub timeout_seconds: u64,
    /// Kubernetes namespace of the hub: only what is in it belongs to this hub. The default is
    /// `metrics.namespace`.
    pub namespace: Option<String>,
    /// Label of `kube_pod_annotations` that holds the user's name.
    pub user_label: String,
    /// Label of `kube_pod_annotations` that holds the server's name; only named servers have it.
    pub server_label: String,
    /// Names that directories of homes have, in `dirsize_total_size_bytes`: `{username}`, `{escaped}`
    /// (KubeSpawner before 7) and `{safe}` (since then) stand for a user's names.
    pub home_directories: Vec<String>,
    /// Most points that a query may give for one series, 100 to 100000; Prometheus' own limit is
    /// 11000.
    pub most_points: u64,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            url: None,
            token: None,
            token_file: None,
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            timeout_seconds: 60,
            namespace: None,
            user_label: text("annotation_hub_jupyter_org_username"),
            server_label: text("annotation_hub_jupyter_org_servername"),
            home_directories: vec![text("{escaped}"), text("{safe}"), text("{username}")],
            most_points: 10_000,
        }
    }
}

impl PrometheusConfig {
    /// Time after which a query is given up.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// The machine that users' servers run on, where that is this one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LocalConfig {
    /// How the hub starts servers. With `auto` the hub says it (its spawner's class).
    pub spawner: SpawnerConfig,
    /// Name of SystemdSpawner's units without `.service`, its `unit_name_template`: `{USERNAME}` stands
    /// for the user. The default is `jupyter-{USERNAME}-singleuser`, in The Littlest JupyterHub
    /// `jupyter-{USERNAME}`.
    pub unit: Option<String>,
    /// SystemdSpawner's `slice`.
    pub slice: String,
    /// Folder of a user's home: `{username}` stands for the name at the hub, `{account}` for the account
    /// in The Littlest JupyterHub, which begins with `jupyter-`. Empty: `/home/{account}` in The
    /// Littlest JupyterHub, else homes are not looked at.
    pub homes: String,
    /// Socket of Docker's API, for DockerSpawner. The service's user must be allowed to read it.
    pub docker_socket: PathBuf,
    /// Where the kernel tells about processes and control groups: folders `proc` and `sys` are below.
    pub root: PathBuf,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            spawner: SpawnerConfig::Auto,
            unit: None,
            slice: "system.slice".to_owned(),
            homes: String::new(),
            docker_socket: PathBuf::from("/var/run/docker.sock"),
            root: PathBuf::from("/"),
        }
    }
}

/// How the hub starts servers on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpawnerConfig {
    /// As the hub says.
    Auto,
    /// SystemdSpawner and The Littlest JupyterHub: a unit for each user.
    Systemd,
    /// LocalProcessSpawner, SimpleLocalProcessSpawner and their like: a process for each server.
    Process,
    /// DockerSpawner: a container for each server.
    Docker,
}
