//! Usage of this machine's units, processes and containers, read from the kernel.
//!
//! Which of the three depends on how the hub starts servers. Only looks are made here, and what was
//! used between two of them; hours are made of that elsewhere. What is not told is unknown and not 0.

mod accounts;
mod cgroup;
mod counters;
mod docker;
mod gpus;
mod homes;
mod ledger;
mod machine;
mod proc;
mod processes;
mod tool;
mod tree;
mod units;

use super::machines::MachineNow;
use super::{Known, Look};
use crate::config::{LocalConfig, SpawnerConfig, UsageConfig};
use docker::Docker;
use gpus::{GpuUse, Gpus, HubUnit};
use homes::HomeWalks;
use ledger::{Ledger, Moment, Seen};
use machine::{Ceilings, Requested};
use processes::Processes;
use std::path::PathBuf;
use std::time::Duration;
use tool::Tools;
use units::Units;

/// Homes in The Littlest JupyterHub, below the root.
const LITTLEST_HOMES: &str = "home/{account}";

/// Looks at this machine.
#[derive(Debug)]
pub struct Local {
    config: LocalConfig,
    interval: Duration,
    /// The hub's process, if it started this service.
    hub: Option<u32>,
    tools: Tools,
    kind: Kind,
    engine: Engine,
    ledger: Ledger,
    gpus: Gpus,
    homes: HomeWalks,
    homes_interval: Duration,
    ceilings: Ceilings,
}

/// How the hub starts servers here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Units(UnitNames),
    Processes,
    Docker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnitNames {
    Spawners,
    Littlest,
    Either,
}

#[derive(Debug)]
enum Engine {
    Units(Units),
    /// Away while it looks, which it does on a thread; a look that is dropped takes it along.
    Processes(Option<Box<Processes>>),
    Docker(Docker),
}

/// Why a look at this machine failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum LocalError {
    #[error("no processes can be read in `{}`", path.display())]
    NoProcesses {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the hub's process {pid} is gone")]
    NoHub { pid: u32 },
    #[error("there are no control groups in `{}`", path.display())]
    NoControlGroups { path: PathBuf },
    #[error("Docker did not answer `{path}` at `{}`", socket.display())]
    DockerUnreachable {
        socket: PathBuf,
        path: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("this service may not use Docker's socket `{}`", socket.display())]
    DockerDenied { socket: PathBuf },
    #[error("Docker answered `{path}` with status {status}: {message}")]
    DockerStatus {
        path: String,
        status: u16,
        message: String,
    },
    #[error("Docker's answer to `{path}` is not what its API promises")]
    DockerMalformed {
        path: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the look was broken off")]
    BrokenOff,
}

impl LocalError {
    /// For the label of a counter.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoProcesses { .. } => "no_processes",
            Self::NoHub { .. } => "no_hub",
            Self::NoControlGroups { .. } => "no_control_groups",
            Self::DockerUnreachable { .. } => "unreachable",
            Self::DockerDenied { .. } => "denied",
            Self::DockerStatus { .. } => "status",
            Self::DockerMalformed { .. } => "malformed",
            Self::BrokenOff => "broken_off",
        }
    }

    /// What the reader of the log can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoProcesses { .. } => {
                "check that `local.root` is `/`, or where the machine's root is mounted"
            }
            Self::NoHub { .. } => "nothing to do: a service ends with the hub that started it",
            Self::NoControlGroups { .. } => {
                "check that `local.root` is `/` and that systemd runs on this machine; if the hub \
                 starts servers otherwise, set `local.spawner`"
            }
            Self::DockerUnreachable { .. } => {
                "check that Docker runs and that `local.docker_socket` is its socket"
            }
            Self::DockerDenied { .. } => {
                "let this service's account use Docker's socket, usually as a member of the group \
                 `docker`, which is as good as root"
            }
            Self::DockerStatus { .. } => "see Docker's log for the reason",
            Self::DockerMalformed { .. } => {
                "check that `local.docker_socket` leads to Docker, or to Podman's service that speaks \
                 its API"
            }
            Self::BrokenOff => "nothing to do: it is looked again",
        }
    }
}

impl Local {
    /// Of servers that this hub starts, `None` if it did not start this service.
    pub fn new(config: &LocalConfig, usage: &UsageConfig, hub_pid: Option<u32>) -> Self {
        Self::with_tools(config, usage, hub_pid, Tools::default())
    }

    fn with_tools(
        config: &LocalConfig,
        usage: &UsageConfig,
        hub_pid: Option<u32>,
        tools: Tools,
    ) -> Self {
        let kind = kind(config, None);
        Self {
            interval: usage.interval(),
            hub: hub_pid,
            kind,
            engine: Engine::new(kind, config, hub_pid, &tools),
            ledger: Ledger::new(usage.interval()),
            gpus: Gpus::new(&config.root, &tools),
            homes: HomeWalks::new(&config.homes, usage.homes_interval()),
            homes_interval: usage.homes_interval(),
            ceilings: Ceilings::new(&config.root),
            config: config.clone(),
            tools,
        }
    }

    /// What is used now, and was since the last look. Homes are walked through in the background,
    /// and told of by the first look after that.
    pub async fn look(&mut self, known: &Known) -> Result<Look, LocalError> {
        self.follow(kind(&self.config, known.spawner.as_deref()));
        let unit = match self.kind {
            Kind::Units(UnitNames::Littlest) => HubUnit::Littlest,
            _ => HubUnit::Other,
        };
        let gpus = self.gpus.look(unit).await;
        let seen = self.engine.look(known, gpus.used.as_ref()).await;
        let seen = match seen {
            // Its processes went with the look that was broken off.
            Err(LocalError::BrokenOff) => {
                self.begin_anew();
                return Err(LocalError::BrokenOff);
            }
            seen => seen?,
        };
        // Units and containers have limits of their own, beside the hub's.
        let inside = self.hub.filter(|_| self.kind == Kind::Processes);
        let requested = seen.as_ref().map(requested).unwrap_or_default();
        let numbers = self.ceilings.look(inside, requested);
        let moment = Moment::now();
        let mut look = match seen {
            Some(seen) => self.ledger.close(seen, moment, known),
            None => Look {
                at: moment.at,
                ..Look::default()
            },
        };
        let servers = look.servers.iter();
        look.machines = vec![MachineNow {
            servers: servers.map(|server| server.account.clone()).collect(),
            ..self.ceilings.machine(&numbers, gpus.n_gpus)
        }];
        look.numbers = numbers;
        look.homes = self.homes.look(known).await;
        look.unattributed.extend(self.homes.unknown());
        look.notes.extend(gpus.note);
        look.notes.extend(self.homes.note());
        Ok(look)
    }

    fn follow(&mut self, kind: Kind) {
        if self.kind != kind {
            self.kind = kind;
            if self.config.homes.is_empty() && kind == Kind::Units(UnitNames::Littlest) {
                let homes = self.config.root.join(LITTLEST_HOMES);
                self.homes = HomeWalks::new(&homes.to_string_lossy(), self.homes_interval);
            }
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        self.engine = Engine::new(self.kind, &self.config, self.hub, &self.tools);
        self.ledger = Ledger::new(self.interval);
    }
}

impl Engine {
    fn new(kind: Kind, config: &LocalConfig, hub: Option<u32>, tools: &Tools) -> Self {
        const SPAWNERS: &str = "jupyter-{USERNAME}-singleuser";
        const LITTLEST: &str = "jupyter-{USERNAME}";
        let root = &config.root;
        match kind {
            Kind::Docker => Self::Docker(Docker::new(root, &config.docker_socket)),
            Kind::Processes => Self::Processes(Some(Box::new(Processes::new(root, hub, tools)))),
            Kind::Units(names) => {
                let templates = match (&config.unit, names) {
                    (Some(unit), _) => vec![unit.as_str()],
                    (None, UnitNames::Spawners) => vec![SPAWNERS],
                    (None, UnitNames::Littlest) => vec![LITTLEST],
                    (None, UnitNames::Either) => vec![SPAWNERS, LITTLEST],
                };
                Self::Units(Units::new(root, &config.slice, &templates, tools))
            }
        }
    }

    /// `None` while it is not known who there is.
    async fn look(
        &mut self,
        known: &Known,
        gpus: Option<&GpuUse>,
    ) -> Result<Option<Seen>, LocalError> {
        match self {
            Self::Units(units) => match &known.users {
                Some(users) => units.look(users, gpus).await.map(Some),
                None => Ok(None),
            },
            Self::Docker(docker) => docker.look(gpus).await.map(Some),
            Self::Processes(here) => {
                let mut processes = here.take().ok_or(LocalError::BrokenOff)?;
                let gpus = gpus.cloned();
                let look = move || {
                    let seen = processes.look(gpus.as_ref());
                    (processes, seen)
                };
                let (processes, seen) = on_thread(look).await?;
                *here = Some(processes);
                seen.map(Some)
            }
        }
    }
}

/// Reads files away from the threads that serve requests.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LocalError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|_| LocalError::BrokenOff)
}

/// As configured, else by the spawner's class. A class we have not heard of starts processes, as
/// JupyterHub's own do.
fn kind(config: &LocalConfig, class: Option<&str>) -> Kind {
    let class = class.unwrap_or_default().to_lowercase();
    let names = if class.contains("usercreatingspawner") {
        UnitNames::Littlest
    } else if class.contains("systemd") {
        UnitNames::Spawners
    } else {
        UnitNames::Either
    };
    match config.spawner {
        SpawnerConfig::Systemd => Kind::Units(names),
        SpawnerConfig::Docker => Kind::Docker,
        SpawnerConfig::Auto if names != UnitNames::Either => Kind::Units(names),
        SpawnerConfig::Auto if class.contains("docker") => Kind::Docker,
        SpawnerConfig::Process | SpawnerConfig::Auto => Kind::Processes,
    }
}

fn requested(seen: &Seen) -> Requested {
    let sum = |left: Option<f64>, right: Option<f64>| match (left, right) {
        (Some(left), Some(right)) => Some(left + right),
        (known, None) | (None, known) => known,
    };
    let amounts = seen.uses.values().map(|used| used.amounts);
    amounts.fold(Requested::default(), |all, one| Requested {
        cores: sum(all.cores, one.cpu_requested_cores),
        bytes: sum(all.bytes, one.memory_requested_bytes),
    })
}

#[cfg(test)]
mod tests;
