//! Containers of DockerSpawner, as Docker's API tells.
//!
//! Whose a container is follows from the variables that the spawner sets for it, read once for each
//! container; only who may use Docker's socket could set them otherwise, and who may do that owns the
//! machine. Memory is the working set, as everywhere else.

use super::LocalError;
use super::counters::{Counted, Counters};
use super::gpus::GpuUse;
use super::ledger::{Charge, Seen, Use};
use super::proc::Proc;
use futures::StreamExt as _;
use model::usage::{Account, Amounts};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Statistics asked for at the same time. Docker reads the control group for each.
const AT_ONCE: usize = 4;

const LIMIT: Duration = Duration::from_secs(20);

/// Looks at containers.
#[derive(Debug)]
pub(super) struct Docker {
    socket: PathBuf,
    http: Option<reqwest::Client>,
    proc: Proc,
    /// By id; `None` of containers that are nobody's server.
    known: HashMap<String, Option<Container>>,
    counters: Counters,
}

/// What a container was started as.
#[derive(Clone, Debug, PartialEq)]
struct Container {
    account: Account,
    cpu_limit_cores: Option<f64>,
    memory_limit_bytes: Option<f64>,
    gpus_requested: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    config: InspectedConfig,
    host_config: HostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    env: Option<Vec<String>>,
}

/// 0 is no limit everywhere.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    memory: f64,
    nano_cpus: f64,
    cpu_quota: f64,
    cpu_period: f64,
    device_requests: Option<Vec<DeviceRequest>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DeviceRequest {
    /// -1 is all there are.
    count: i32,
    #[serde(rename = "DeviceIDs")]
    device_ids: Option<Vec<String>>,
    capabilities: Option<Vec<Vec<String>>>,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default, rename = "cpu_stats")]
    cpu: CpuStats,
    #[serde(default, rename = "memory_stats")]
    memory: MemoryStats,
    /// Absent where a container has the host's network, or none.
    networks: Option<HashMap<String, NetworkStats>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CpuStats {
    cpu_usage: CpuUsage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    /// Nanoseconds.
    total_usage: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryStats {
    usage: Option<f64>,
    stats: Option<HashMap<String, Option<f64>>>,
}

#[derive(Deserialize)]
struct NetworkStats {
    rx_bytes: f64,
    tx_bytes: f64,
}

impl Docker {
    pub(super) fn new(root: &Path, socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            http: None,
            proc: Proc::under(root),
            known: HashMap::new(),
            counters: Counters::default(),
        }
    }

    pub(super) async fn look(&mut self, gpus: Option<&GpuUse>) -> Result<Seen, LocalError> {
        let http = self.client()?;
        let listed: Option<Vec<Listed>> = self.get(&http, "containers/json").await?;
        let ids: Vec<String> = listed.into_iter().flatten().map(|it| it.id).collect();
        self.learn(&http, &ids).await?;
        let servers = ids
            .iter()
            .filter_map(|id| Some((id, self.known.get(id)?.clone()?)));
        let servers: Vec<(&String, Container)> = servers.collect();
        let path = |id: &str| format!("containers/{id}/stats?stream=false&one-shot=true");
        let paths: Vec<String> = servers.iter().map(|(id, _)| path(id)).collect();
        let asked = futures::stream::iter(paths).map(|path| self.stats(&http, path));
        let stats: Vec<Option<Stats>> = asked.buffered(AT_ONCE).collect().await;
        Ok(Seen {
            uses: self.uses(&servers, &stats, gpus),
            notes: Vec::new(),
        })
    }

    fn uses(
        &mut self,
        servers: &[(&String, Container)],
        stats: &[Option<Stats>],
        gpus: Option<&GpuUse>,
    ) -> BTreeMap<Charge, Use> {
        let counted = servers.iter().zip(stats).map(|((id, _), stats)| {
            let counted = stats.as_ref().map(Stats::counted);
            ((*id).clone(), counted.unwrap_or_default())
        });
        let grown = self.counters.turn(counted.collect());
        let groups = self.groups_of(gpus);
        let mut by_charge: BTreeMap<Charge, Use> = BTreeMap::new();
        for ((id, container), stats) in servers.iter().zip(stats) {
            let grown = grown.get(*id).copied().unwrap_or_default();
            let is_theirs = |pid| {
                groups
                    .get(&pid)
                    .is_some_and(|group| group.contains(id.as_str()))
            };
            let used = Use {
                n_things: 1,
                cpu_seconds: grown.cpu_seconds,
                rx_bytes: grown.rx_bytes,
                tx_bytes: grown.tx_bytes,
                amounts: Amounts {
                    memory_bytes: stats.as_ref().and_then(Stats::working_set),
                    cpu_requested_cores: container.cpu_limit_cores,
                    memory_requested_bytes: container.memory_limit_bytes,
                    memory_limit_bytes: container.memory_limit_bytes,
                    gpus_requested: container.gpus_requested,
                    gpus_used: gpus.and_then(|gpus| gpus.used_by(is_theirs)),
                    ..Amounts::default()
                },
                peak_bytes: None,
            };
            let charge = Charge::Account(container.account.clone());
            by_charge.entry(charge).or_default().add(&used);
        }
        by_charge
    }

    fn client(&mut self) -> Result<reqwest::Client, LocalError> {
        if let Some(http) = &self.http {
            return Ok(http.clone());
        }
        let http = reqwest::Client::builder()
            .unix_socket(self.socket.as_path())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .user_agent(concat!("jupyterhub-insights/", env!("CARGO_PKG_VERSION")))
            .build();
        let http = http.map_err(|error| LocalError::of_docker(&self.socket, "", error))?;
        Ok(self.http.insert(http).clone())
    }

    /// What new containers were started as; nothing of their environment is kept but whose they are.
    async fn learn(&mut self, http: &reqwest::Client, ids: &[String]) -> Result<(), LocalError> {
        self.known.retain(|id, _| ids.contains(id));
        for id in ids {
            if self.known.contains_key(id) {
                continue;
            }
            let path = format!("containers/{id}/json");
            if let Some(inspected) = self.get::<Inspected>(http, &path).await? {
                self.known.insert(id.clone(), inspected.container());
            }
        }
        Ok(())
    }

    /// One that fails while others answer is unknown for this look.
    async fn stats(&self, http: &reqwest::Client, path: String) -> Option<Stats> {
        let stats = self.get::<Stats>(http, &path).await.ok().flatten();
        // Of a container that just stopped Docker tells zeros.
        stats.filter(|stats| stats.memory.usage.is_some())
    }

    /// `None` if there is no such thing any more.
    async fn get<T: DeserializeOwned>(
        &self,
        http: &reqwest::Client,
        path: &str,
    ) -> Result<Option<T>, LocalError> {
        let failed = |error| LocalError::of_docker(&self.socket, path, error);
        let response = http.get(format!("http://docker/{path}")).send().await;
        let response = response.map_err(failed)?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let bytes = response.bytes().await.map_err(failed)?;
        if !status.is_success() {
            return Err(LocalError::DockerStatus {
                path: path.to_owned(),
                status: status.as_u16(),
                // Not Docker's own words: they name containers, which are called like their users.
                message: status
                    .canonical_reason()
                    .unwrap_or("no reason given")
                    .to_owned(),
            });
        }
        let reply = serde_json::from_slice(&bytes);
        reply
            .map(Some)
            .map_err(|source| LocalError::DockerMalformed {
                path: path.to_owned(),
                source,
            })
    }

    /// Control groups of the processes that use GPUs; a container's has its id in its name.
    fn groups_of(&self, gpus: Option<&GpuUse>) -> HashMap<u32, String> {
        let pids = gpus.into_iter().flat_map(GpuUse::pids);
        pids.filter_map(|pid| Some((pid, self.proc.cgroup(pid)?)))
            .collect()
    }
}

impl Inspected {
    fn container(self) -> Option<Container> {
        let variables = self.config.env.unwrap_or_default();
        let value = |name: &str| {
            let mut variables = variables
                .iter()
                .filter_map(|variable| variable.split_once('='));
            variables
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let user = value("JUPYTERHUB_USER").filter(|user| !user.is_empty())?;
        let server = value("JUPYTERHUB_SERVER_NAME")?;
        Some(Container {
            account: Account {
                user: user.into(),
                server: Some(server.into()),
            },
            cpu_limit_cores: self.host_config.cpu_limit_cores(),
            memory_limit_bytes: positive(self.host_config.memory),
            gpus_requested: self.host_config.gpus_requested(),
        })
    }
}

impl HostConfig {
    fn cpu_limit_cores(&self) -> Option<f64> {
        // Docker's own default where only the quota is given.
        let period = positive(self.cpu_period).unwrap_or(100_000.0);
        let of_quota = positive(self.cpu_quota).map(|quota| quota / period);
        positive(self.nano_cpus)
            .map(|nanos| nanos / 1e9)
            .or(of_quota)
    }

    fn gpus_requested(&self) -> Option<f64> {
        let requests = self.device_requests.iter().flatten();
        let mut gpus = requests.filter(|request| {
            let mut capabilities = request.capabilities.iter().flatten().flatten();
            capabilities.any(|capability| capability == "gpu")
        });
        gpus.try_fold(0.0, |sum, request| {
            let n_named = request.device_ids.as_ref().map_or(0, Vec::len);
            let n_named = i32::try_from(n_named).ok()?;
            let n_gpus = if n_named > 0 { n_named } else { request.count };
            (n_gpus >= 0).then_some(sum + f64::from(n_gpus))
        })
    }
}

fn positive(number: f64) -> Option<f64> {
    (number > 0.0).then_some(number)
}

impl Stats {
    fn counted(&self) -> Counted {
        let sum = |of: fn(&NetworkStats) -> f64| {
            let networks = self.networks.as_ref()?;
            Some(
                networks
                    .values()
                    .map(of)
                    .fold(0.0, |sum, bytes| sum + bytes),
            )
        };
        Counted {
            identity: 0,
            cpu_seconds: Some(self.cpu.cpu_usage.total_usage / 1e9),
            rx_bytes: sum(|network| network.rx_bytes),
            tx_bytes: sum(|network| network.tx_bytes),
        }
    }

    /// File pages that can be dropped at once are called otherwise in version 1 of control groups.
    fn working_set(&self) -> Option<f64> {
        let stats = self.memory.stats.as_ref()?;
        let bytes = |name: &str| stats.get(name).copied().flatten();
        let droppable = bytes("total_inactive_file").or_else(|| bytes("inactive_file"))?;
        Some((self.memory.usage? - droppable).max(0.0))
    }
}

impl LocalError {
    fn of_docker(socket: &Path, path: &str, source: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&source);
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            if io.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied) {
                return Self::DockerDenied {
                    socket: socket.to_owned(),
                };
            }
            cause = error.source();
        }
        Self::DockerUnreachable {
            socket: socket.to_owned(),
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests;
