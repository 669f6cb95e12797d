//! The machine that all servers of the simulated hub run on, and how close it comes to its limits.
//!
//! When memory is nearly full, processes wait for it (pressure), and then the kernel kills some.

use crate::hub::Number;
use crate::sources::machines::{Pressure, Scarce, Strain};
use model::usage::{Amounts, Totals};

/// What the system and the hub itself use.
const OWN_BYTES: f64 = 1.4 * 1_073_741_824.0;
const OWN_CORES: f64 = 0.12;
/// What the largest load ever takes of the machine. It was bought for that, and for no more.
const FULLEST_MEMORY: f64 = 0.97;
const FULLEST_CPU: f64 = 0.88;
const MEMORY_STEP: f64 = 64.0 * 1_048_576.0;
/// From this share on processes wait for memory …
const SHORT: f64 = 0.89;
/// … and from this one on some are killed.
const TOO_SHORT: f64 = 0.935;
/// From this share on processes wait for cores.
const BUSY: f64 = 0.55;
/// Kills in an hour at the least and at the most.
const KILLS_PER_HOUR: f64 = 1.0;
const MORE_KILLS_PER_HOUR: f64 = 6.0;

/// What all servers together use and asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::sim) struct Load {
    pub(in crate::sim) cores: f64,
    pub(in crate::sim) bytes: f64,
    pub(in crate::sim) requested_cores: f64,
    pub(in crate::sim) requested_bytes: f64,
}

/// A machine with the counters of its kernel.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Machine {
    cores: f64,
    bytes: f64,
    waited: Waited,
    kills: f64,
}

/// Seconds in which processes waited.
#[derive(Clone, Copy, Debug, Default)]
struct Waited {
    /// At least one, for a core.
    some_cpu: f64,
    /// At least one, for memory.
    some_memory: f64,
    /// All, for memory.
    full_memory: f64,
}

/// One number about the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::sim) struct Ceiling {
    pub(in crate::sim) name: &'static str,
    pub(in crate::sim) labels: &'static [(&'static str, &'static str)],
    pub(in crate::sim) value: f64,
    /// By what share it swings around that within an hour.
    pub(in crate::sim) swing: f64,
}

impl Load {
    /// Adds what one server uses.
    pub(in crate::sim) fn add(&mut self, amounts: &Amounts) {
        self.cores += amounts.cpu_cores.unwrap_or_default();
        self.bytes += amounts.memory_bytes.unwrap_or_default();
        self.requested_cores += amounts.cpu_requested_cores.unwrap_or_default();
        self.requested_bytes += amounts.memory_requested_bytes.unwrap_or_default();
    }

    /// Adds what one server used in a time, times its seconds.
    pub(in crate::sim) fn add_totals(&mut self, totals: &Totals) {
        self.cores += totals.cpu_core_seconds.unwrap_or_default();
        self.bytes += totals.memory_byte_seconds.unwrap_or_default();
        self.requested_cores += totals.cpu_requested_core_seconds.unwrap_or_default();
        self.requested_bytes += totals.memory_requested_byte_seconds.unwrap_or_default();
    }

    /// So much of it.
    pub(in crate::sim) fn times(self, share: f64) -> Self {
        Self {
            cores: self.cores * share,
            bytes: self.bytes * share,
            requested_cores: self.requested_cores * share,
            requested_bytes: self.requested_bytes * share,
        }
    }

    /// The larger of both, number by number.
    pub(in crate::sim) fn max(self, other: Self) -> Self {
        Self {
            cores: self.cores.max(other.cores),
            bytes: self.bytes.max(other.bytes),
            requested_cores: self.requested_cores.max(other.requested_cores),
            requested_bytes: self.requested_bytes.max(other.requested_bytes),
        }
    }
}

impl Machine {
    /// One that this load just fits on.
    pub(in crate::sim) fn holding(most: &Load) -> Self {
        let bytes = (most.bytes + OWN_BYTES) / FULLEST_MEMORY;
        let cores = (most.cores + OWN_CORES) / FULLEST_CPU;
        Self {
            cores: (cores / 2.0).ceil() * 2.0,
            bytes: (bytes / MEMORY_STEP).ceil() * MEMORY_STEP,
            waited: Waited::default(),
            kills: 0.0,
        }
    }

    /// Bears a load for some time.
    pub(in crate::sim) fn bear(&mut self, load: &Load, seconds: f64) {
        let memory = self.memory_share(load);
        let waiting = self.waiting(load);
        self.waited.some_memory += seconds * waiting.some_memory;
        self.waited.full_memory += seconds * waiting.full_memory;
        self.waited.some_cpu += seconds * waiting.some_cpu;
        if memory >= TOO_SHORT {
            let share = (memory - TOO_SHORT) / (1.0 - TOO_SHORT);
            self.kills += (KILLS_PER_HOUR + MORE_KILLS_PER_HOUR * share) * seconds / 3600.0;
        }
    }

    /// How strained it is while it bears a load.
    pub(in crate::sim) fn pressures(&self, load: &Load) -> [Pressure; 3] {
        let waiting = self.waiting(load);
        let pressure = |of, share| Pressure {
            of,
            strain: Strain::Waited(share),
        };
        [
            pressure(Scarce::Cpu, waiting.some_cpu),
            pressure(Scarce::Memory, waiting.some_memory),
            pressure(Scarce::Disk, 0.0),
        ]
    }

    fn memory_share(&self, load: &Load) -> f64 {
        ((load.bytes + OWN_BYTES) / self.bytes).min(1.0)
    }

    /// In each second.
    fn waiting(&self, load: &Load) -> Waited {
        let cpu = ((load.cores + OWN_CORES) / self.cores).min(1.0);
        let waits = (self.memory_share(load) - SHORT).max(0.0) / (1.0 - SHORT);
        Waited {
            some_cpu: (cpu - BUSY).max(0.0) * 0.6,
            some_memory: waits * 0.5,
            full_memory: waits * 0.15,
        }
    }

    /// Everything about it while it bears a load.
    pub(in crate::sim) fn ceilings(&self, load: &Load) -> [Ceiling; 10] {
        let gauge = |name, value| Ceiling {
            name,
            labels: &[],
            value,
            swing: 0.0,
        };
        let used = |name, value: f64, most: f64| Ceiling {
            swing: 0.02,
            ..gauge(name, value.min(most))
        };
        let waited = |labels, seconds| Ceiling {
            labels,
            ..gauge("machine_pressure_seconds_total", seconds)
        };
        let cores = load.cores + OWN_CORES;
        let bytes = load.bytes + OWN_BYTES;
        [
            gauge("machine_cpu_capacity_cores", self.cores),
            used("machine_cpu_used_cores", cores, self.cores),
            gauge("machine_cpu_requested_cores", load.requested_cores),
            gauge("machine_memory_capacity_bytes", self.bytes),
            used("machine_memory_used_bytes", bytes, self.bytes),
            gauge("machine_memory_requested_bytes", load.requested_bytes),
            waited(
                &[("kind", "some"), ("resource", "cpu")],
                self.waited.some_cpu,
            ),
            waited(
                &[("kind", "full"), ("resource", "memory")],
                self.waited.full_memory,
            ),
            waited(
                &[("kind", "some"), ("resource", "memory")],
                self.waited.some_memory,
            ),
            gauge("machine_oom_kills_total", self.kills.floor()),
        ]
    }
}

impl Ceiling {
    pub(in crate::sim) fn number(&self) -> Number {
        let labels = self.labels.iter();
        let labels = labels.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Number {
            name: self.name.into(),
            labels: labels.collect(),
            value: self.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_gets_short_only_close_to_the_limit() {
        let most = Load {
            cores: 30.0,
            bytes: 2e11,
            requested_cores: 100.0,
            requested_bytes: 9e11,
        };
        let mut machine = Machine::holding(&most);
        let counters = |machine: &Machine| {
            let ceilings = machine.ceilings(&most);
            let totals = ceilings.iter().filter(|it| it.name.ends_with("_total"));
            totals.map(|it| it.value).collect::<Vec<f64>>()
        };
        machine.bear(&most.times(0.4), 3600.0);
        assert!(counters(&machine).iter().all(|&value| value < 1e-9));
        machine.bear(&most, 3600.0);
        let after = counters(&machine);
        assert!(after.iter().all(|&value| value > 0.0), "{after:?}");
        assert!(after[3] >= 1.0 && after[3] <= 7.0, "{after:?}");
    }

    #[test]
    fn nothing_is_used_beyond_the_capacity() {
        let machine = Machine::holding(&Load::default());
        let ceilings = machine.ceilings(&Load {
            bytes: 1e15,
            cores: 1e6,
            ..Load::default()
        });
        assert!(ceilings[1].value <= ceilings[0].value);
        assert!(ceilings[4].value <= ceilings[3].value);
    }
}
