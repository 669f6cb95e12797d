//! What the hub runs in: how much memory and processor time there is, and is used.
//!
//! Only the process that started this service is looked at, and only if it is the hub: whatever else
//! runs on this machine is none of our business. Its cgroup counts where that has a limit, as in a
//! container, else the whole machine. What cannot be seen is unknown and not 0.
//!
//! What servers use is read in [`crate::sources::local`], with the same readers of the machine's files.

mod cgroup;
mod proc;

use crate::metrics::live::MachineUse;
pub(crate) use cgroup::Groups;
use jiff::{SignedDuration, Timestamp};
pub(crate) use proc::Proc;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// Start times are counted from the boot, whose time is in whole seconds and may be set.
const START_SLACK: SignedDuration = SignedDuration::from_secs(2);

/// Looks at what the hub runs in.
#[derive(Debug)]
pub struct Machine {
    /// Where the system tells about processes and cgroups: `/`, but for tests.
    root: PathBuf,
    /// The process that started this one.
    parent: u32,
    last: Option<Processor>,
}

/// Processor time at a moment.
#[derive(Clone, Copy, Debug)]
struct Processor {
    at: Instant,
    used_seconds: f64,
    /// How many processors there are, or may be used.
    cores: f64,
    of: Extent,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Cgroup,
    Machine,
}

impl Machine {
    /// For a service that the process `parent` has started.
    pub fn new(parent: u32) -> Self {
        Self::under(Path::new("/"), parent)
    }

    fn under(root: &Path, parent: u32) -> Self {
        Self {
            root: root.to_owned(),
            parent,
            last: None,
        }
    }

    /// Looks, if the parent is the hub that says it started then.
    pub fn look(&mut self, hub_started: Option<Timestamp>) -> MachineUse {
        let proc = Proc::under(&self.root);
        let is_hub = proc.started(self.parent).is_some_and(|started| {
            hub_started.is_some_and(|hub| started.duration_since(hub).abs() <= START_SLACK)
        });
        if !is_hub {
            self.last = None;
            return MachineUse::default();
        }
        let groups = Groups::of(&self.root, &proc, self.parent);
        let whole = proc.memory();
        let limited = groups.memory(whole.map(|memory| memory.total_bytes));
        let memory = limited.or(whole);
        MachineUse {
            memory_used_bytes: memory.map(|memory| memory.used_bytes),
            memory_total_bytes: memory.map(|memory| memory.total_bytes),
            cpu_percent: self.processor_use(&proc, &groups),
        }
    }

    /// Since the last look; at the first one it is unknown.
    fn processor_use(&mut self, proc: &Proc, groups: &Groups) -> Option<f64> {
        let limited = groups.processor().map(|use_| (use_, Extent::Cgroup));
        let (time, of) = limited.or_else(|| Some((proc.processor()?, Extent::Machine)))?;
        let now = Processor {
            at: Instant::now(),
            used_seconds: time.used_seconds,
            cores: time.cores,
            of,
        };
        let before = self.last.replace(now).filter(|before| before.of == of)?;
        let there_was = now.at.duration_since(before.at).as_secs_f64() * now.cores;
        let used = now.used_seconds - before.used_seconds;
        let percent = 100.0 * used / there_was;
        // Times are counted in steps, and a limit may be passed for a moment.
        (there_was > 0.0 && used >= 0.0).then(|| (percent.min(100.0) * 1000.0).round() / 1000.0)
    }
}

/// Memory that there is, and is used: what the system can drop at once is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) used_bytes: u64,
    pub(crate) total_bytes: u64,
}

/// Processor time since some moment, and the processors that there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ProcessorTime {
    pub(crate) used_seconds: f64,
    pub(crate) cores: f64,
}

#[cfg(test)]
mod tests;
