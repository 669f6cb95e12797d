//! Figures that change with time and not with a change of the hub: who was active lately, and how
//! the machine does that the hub runs on. They are kept here and written at each scrape.

use super::exposition::{Block, Head, Kind, Samples, Wanted, float};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use store::{Keeper, Tallied};

/// What a scrape shows beside the snapshot.
#[derive(Default)]
pub struct Live {
    figures: Mutex<Figures>,
    keeper: RwLock<Option<Keeper>>,
}

#[derive(Clone, Debug, Default)]
struct Figures {
    active_users: Vec<ActiveUsers>,
    machine: MachineUse,
}

/// Users who were active in a period that ends now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveUsers {
    /// `24h`, `7d` or `30d`.
    pub period: &'static str,
    /// `started` or `active`.
    pub definition: &'static str,
    /// How many.
    pub n_users: u64,
}

/// What is used of what the hub runs in; `None` where it cannot be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MachineUse {
    /// Memory that is used.
    pub memory_used_bytes: Option<u64>,
    /// Memory that there is.
    pub memory_total_bytes: Option<u64>,
    /// Of all the processor time that there is, since the look before.
    pub cpu_percent: Option<f64>,
}

/// One metric.
pub struct LiveFamily {
    /// Behind the configured prefix and `_`.
    pub name: &'static str,
    /// What it is, for `# HELP` and the docs.
    pub help: &'static str,
    /// Where the number comes from, for the docs.
    pub from: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    collect: fn(&Figures, &mut Samples),
}

const MACHINE: &str = "The cgroup of the hub's process, version 1 or 2, where that has a limit, else \
    the machine (`/proc`). Only where the hub has started this service, so that its process is \
    known; else there is no such sample.";

/// All of them.
pub static LIVE: &[LiveFamily] = &[
    LiveFamily {
        name: "insights_active_users",
        help: "Users by period and definition: started, a server of theirs ran in the period; active, \
               the hub recorded any activity of theirs. The hub's own active_users is an hour old.",
        from: "The history, each ten minutes, by the query below.",
        kind: Kind::Gauge,
        labels: &["period", "definition"],
        collect: |figures, samples| {
            for active in &figures.active_users {
                samples.push(&[active.period, active.definition], float(active.n_users));
            }
        },
    },
    LiveFamily {
        name: "hub_memory_usage_bytes",
        help: "Memory used of what the hub runs in, without what the system can drop at once.",
        from: MACHINE,
        kind: Kind::Gauge,
        labels: &[],
        collect: |figures, samples| push_bytes(figures.machine.memory_used_bytes, samples),
    },
    LiveFamily {
        name: "hub_memory_total_bytes",
        help: "Memory of what the hub runs in.",
        from: MACHINE,
        kind: Kind::Gauge,
        labels: &[],
        collect: |figures, samples| push_bytes(figures.machine.memory_total_bytes, samples),
    },
    LiveFamily {
        name: "hub_cpu_usage_percent",
        help: "Processor time used of what the hub runs in, 0 to 100, between the last two looks.",
        from: MACHINE,
        kind: Kind::Gauge,
        labels: &[],
        collect: |figures, samples| {
            if let Some(percent) = figures.machine.cpu_percent {
                samples.push(&[], percent);
            }
        },
    },
];

fn push_bytes(bytes: Option<u64>, samples: &mut Samples) {
    if let Some(bytes) = bytes {
        samples.push(&[], float(bytes));
    }
}

impl Live {
    /// Shows what this keeper counts from now on.
    pub fn show_counts_of(&self, keeper: Keeper) {
        *self.keeper.write().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
    }

    /// Shows nothing that was counted any more: another process keeps the hub.
    pub fn close(&self) {
        *self.keeper.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Shows these from now on.
    pub fn set_active_users(&self, active_users: Vec<ActiveUsers>) {
        self.figures().active_users = active_users;
    }

    /// Shows this from now on.
    pub fn set_machine(&self, machine: MachineUse) {
        self.figures().machine = machine;
    }

    pub(super) fn tallied(&self) -> Tallied {
        let keeper = self.keeper.read().unwrap_or_else(PoisonError::into_inner);
        keeper.as_ref().map(Keeper::tallies).unwrap_or_default()
    }

    /// Writes all of them.
    pub(super) fn collect(&self, prefix: &str) -> Vec<Block> {
        let figures = self.figures().clone();
        let families = LIVE.iter();
        families
            .map(|family| {
                let head = Head {
                    name: format!("{prefix}_{}", family.name),
                    help: family.help,
                    kind: family.kind,
                    labels: family.labels,
                };
                let mut samples = Samples::new(head, Wanted::default());
                (family.collect)(&figures, &mut samples);
                samples.finish()
            })
            .collect()
    }

    /// Each figure is set in one step.
    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
