//! *Machines* and *Health*.

use super::layout::{Badge, Layout, Link, Notice};
use super::number::Bar;
use super::part::PartBox;
use super::table::Table;
use super::time::When;
use super::words::words;
use crate::checks::Missing;
use askama::Template;
use jiff::Timestamp;

/// What servers run on, made to be learned from: each measure says what it means.
#[derive(Clone, Debug, Template)]
#[template(path = "machines.html")]
pub(crate) struct MachinesPage {
    /// Around it.
    pub(crate) layout: Layout,
    /// What has to be said before.
    pub(crate) notices: Vec<Notice>,
    /// Nodes, or the one machine.
    pub(crate) machines: Vec<MachineBox>,
    /// Why there is none, and what to do about it.
    pub(crate) nothing: String,
    /// How it went: reports about shortages and right sizes.
    pub(crate) parts: Vec<PartBox>,
}

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct MachineBox {
    /// Its name.
    pub(crate) name: String,
    /// What kind it is: `node, 16 cores`; may be empty.
    pub(crate) kind: String,
    /// `under memory pressure`, `ready`.
    pub(crate) badges: Vec<Badge>,
    /// CPU, memory, disk, GPU.
    pub(crate) measures: Vec<Measure>,
    /// What runs there; its caption is shown with the number of rows.
    pub(crate) servers: Option<Table>,
    /// When it was looked at.
    pub(crate) at: Option<Timestamp>,
}

impl MachineBox {
    fn age(&self) -> Option<When> {
        self.at.map(When::Age)
    }
}

/// A resource of a machine.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    /// `Memory`.
    pub(crate) name: String,
    /// `21.4 GiB`; `–` if it is not known.
    pub(crate) used: String,
    /// `48 GiB`; may be empty.
    pub(crate) requested: String,
    /// `64 GiB`; may be empty.
    pub(crate) capacity: String,
    /// Used and requested as parts of the capacity.
    pub(crate) bar: Option<Bar>,
    /// What this means for this machine, in a sentence: `Three quarters are promised, a third is used.`
    pub(crate) meaning: String,
}

/// What we check, and how it is.
#[derive(Clone, Debug, Template)]
#[template(path = "health.html")]
pub(crate) struct HealthPage {
    /// Around it.
    pub(crate) layout: Layout,
    /// The worst of all checks, in a sentence.
    pub(crate) overall: Notice,
    /// All checks.
    pub(crate) checks: Vec<CheckRow>,
    /// Optional parts that are off.
    pub(crate) missing: Vec<Missing>,
    /// Probes, metrics.
    pub(crate) links: Vec<Link>,
}

/// A check.
#[derive(Clone, Debug)]
pub(crate) struct CheckRow {
    /// What is checked.
    pub(crate) name: String,
    /// How it is.
    pub(crate) state: Badge,
    /// Why, and what to do about it; may be empty.
    pub(crate) reason: String,
    /// How long it took; may be empty.
    pub(crate) duration: String,
    /// When it was checked.
    pub(crate) at: Option<Timestamp>,
}

impl CheckRow {
    fn age(&self) -> Option<When> {
        self.at.map(When::Age)
    }
}
