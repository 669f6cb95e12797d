//! Where usage is read: one module per source, each giving the same [`Look`].
//!
//! What becomes of it (metrics, rows, health) is the business of [`crate::usage`]. Whose a pod,
//! process or directory is follows from names that are looked up, never from names taken apart.

pub mod local;
pub mod machines;
pub mod prometheus;

use crate::hub::Number;
use jiff::Timestamp;
use machines::MachineNow;
use model::names::UserName;
use model::usage::{Account, Amounts, Increment};
use std::sync::Arc;

/// What one look at a source brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// When it was taken.
    pub at: Timestamp,
    /// One per account, sorted by account. Only users whom the hub knows.
    pub servers: Vec<ServerUse>,
    /// Sizes of homes, if they were looked at anew; sorted by user.
    pub homes: Option<Homes>,
    /// What is used by nobody we know.
    pub unattributed: Vec<Unattributed>,
    /// Ceilings, for `observations`: capacity, requested, used, pressure, kills.
    pub numbers: Vec<Number>,
    /// The machines that servers run on, sorted by name; empty if nobody tells of them.
    pub machines: Vec<MachineNow>,
    /// What the administrator should know, for `GET health`.
    pub notes: Vec<Note>,
    /// What was used since the last look. Only of a source that cannot be asked about the past.
    pub increments: Vec<Increment>,
}

/// What one account uses now.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerUse {
    /// Who.
    pub account: Account,
    /// How much.
    pub amounts: Amounts,
    /// Core seconds used since the last look of this process; 0 at the first.
    pub cpu_seconds_more: f64,
}

/// Sizes of homes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Homes {
    /// When the look at them was complete.
    pub at: Timestamp,
    /// Sorted by user, each once.
    pub sizes: Vec<HomeSize>,
}

/// How large a home is.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeSize {
    /// Whose.
    pub user: UserName,
    /// Bytes on the disk.
    pub bytes: f64,
    /// Files and folders in it, where they were counted.
    pub files: Option<u64>,
}

/// What is used by nobody we know. It names nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Unattributed {
    /// Why, in a few words that are the same each time: `no annotation`, `unknown user`, `unknown
    /// directory`, `left its tree`.
    pub reason: &'static str,
    /// Pods, processes, directories.
    pub n_things: u64,
    /// How much.
    pub amounts: Amounts,
    /// Size of directories, in bytes.
    pub home_bytes: Option<f64>,
}

/// Something the administrator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about: `pods`, `gpus`, `homes`, `memory`. One note for each at most.
    pub about: &'static str,
    /// Why a number is missing or less than it could be, and what to do. Names nobody.
    pub text: String,
}

/// Why a look failed; nothing that is shown changes but its age.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The Prometheus.
    #[error(transparent)]
    Prometheus(#[from] prometheus::PrometheusError),
    /// This machine.
    #[error(transparent)]
    Local(#[from] local::LocalError),
}

/// What the hub says about whom to look for.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Everybody the hub knows; `None` until that is complete.
    pub users: Option<Arc<[UserName]>>,
    /// The class of the hub's spawner, where it tells.
    pub spawner: Option<Arc<str>>,
}
