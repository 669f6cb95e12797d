//! The machines that servers run on, as they are now: how large, how full, how strained, and whose
//! servers are on them.
//!
//! How they were in the past is told by `observations`; these are not written down.

use crate::hub::Number;
use model::usage::Account;

/// A node of the cluster, or the one machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineNow {
    /// Its own name.
    pub name: String,
    /// The pool that it belongs to; `None` where there are none, or it is not told.
    pub pool: Option<String>,
    /// Whether it takes servers; `None` if that is not told.
    pub state: Option<MachineState>,
    /// Cores.
    pub cpu_cores: Room,
    /// Memory, in bytes.
    pub memory_bytes: Room,
    /// GPUs.
    pub gpus: Room,
    /// What it is short of, or could be: what is not told is not here.
    pub pressures: Vec<Pressure>,
    /// Processes that ran or waited, averaged over the last minute; only of the one machine.
    pub load_average: Option<f64>,
    /// Servers on it of users whom the hub knows, sorted; without a name where a user's servers cannot
    /// be told apart, or for what a server has started.
    pub servers: Vec<Account>,
    /// Pods of the hub's namespace on it that are nobody's server: the hub, its proxy, placeholders,
    /// and those of which it is not known whose they are. `None` where there are no pods.
    pub n_other_pods: Option<u64>,
}

/// How much of something there is. What is not told is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Room {
    /// All there is.
    pub capacity: Option<f64>,
    /// What may be asked for: all but what the system keeps for itself.
    pub allocatable: Option<f64>,
    /// What was asked for, by all that is on it.
    pub requested: Option<f64>,
    /// What is used, by all that is on it.
    pub used: Option<f64>,
}

/// Whether a machine takes servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineState {
    /// It does.
    Ready,
    /// It works, and takes no more.
    Cordoned,
    /// It does not work.
    NotReady,
}

/// Whether a machine is short of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// Of what.
    pub of: Scarce,
    /// How much so.
    pub strain: Strain,
}

/// What a machine can be short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scarce {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Room on the disk of a node, time of the disks of a machine.
    Disk,
    /// Numbers of processes.
    Processes,
}

/// How strained a machine is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strain {
    /// Whether the node says that it is under pressure, upon which it evicts pods.
    Declared(bool),
    /// Share of the last minute, up to 1, in which some process waited for it.
    Waited(f64),
}

impl MachineState {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cordoned => "cordoned",
            Self::NotReady => "not-ready",
        }
    }
}

impl Scarce {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Disk, Self::Processes];

    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Processes => "processes",
        }
    }
}

impl MachineNow {
    /// The one machine that all servers run on, of which these numbers are written down.
    pub fn only(name: String, numbers: &[Number]) -> Self {
        let number = |name: &str| {
            let mut numbers = numbers.iter();
            numbers.find(|it| &*it.name == name).map(|it| it.value)
        };
        let room = |resource: &str, unit: &str| {
            let of = |what: &str| number(&format!("machine_{resource}_{what}_{unit}"));
            Room {
                capacity: of("capacity"),
                allocatable: None,
                requested: of("requested"),
                used: of("used"),
            }
        };
        Self {
            name,
            state: Some(MachineState::Ready),
            cpu_cores: room("cpu", "cores"),
            memory_bytes: room("memory", "bytes"),
            ..Self::default()
        }
    }
}
