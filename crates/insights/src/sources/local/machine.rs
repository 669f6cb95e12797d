//! Ceilings of the machine that servers run on: what there is, what is used and asked for, and how
//! often it was not enough.
//!
//! Where the hub itself is limited by its control group, as in a container, and servers are processes
//! of it, those limits are the ceiling.

use crate::hub::Number;
use crate::machine::{Groups, Memory, Proc, ProcessorTime};
use crate::sources::machines::{MachineNow, Pressure, Room, Scarce, Strain};
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// Looks at the machine.
#[derive(Debug)]
pub(super) struct Ceilings {
    root: PathBuf,
    last: Option<Busy>,
}

/// Processor time at a moment.
#[derive(Clone, Copy, Debug)]
struct Busy {
    at: Instant,
    seconds: f64,
    is_limited: bool,
}

/// What all servers asked for; unknown where they cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Requested {
    pub(super) cores: Option<f64>,
    pub(super) bytes: Option<f64>,
}

impl Ceilings {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            last: None,
        }
    }

    /// `inside` is the process in whose limits all servers are, if they are.
    pub(super) fn look(&mut self, inside: Option<u32>, requested: Requested) -> Vec<Number> {
        let proc = Proc::under(&self.root);
        let groups = inside.map(|pid| Groups::of(&self.root, &proc, pid));
        let mut numbers = Vec::new();
        let mut push = |name: &str, value: Option<f64>| {
            numbers.extend(value.map(|value| number(name, &[], value)));
        };
        let whole = proc.memory();
        let total = whole.map(|memory| memory.total_bytes);
        let limited = groups.as_ref().and_then(|groups| groups.memory(total));
        if let Some(Memory {
            used_bytes,
            total_bytes,
        }) = limited.or(whole)
        {
            push(
                "machine_memory_capacity_bytes",
                Some(as_number(total_bytes)),
            );
            push("machine_memory_used_bytes", Some(as_number(used_bytes)));
        }
        let limited = groups.as_ref().and_then(Groups::processor);
        if let Some(time) = limited.or_else(|| proc.processor()) {
            push("machine_cpu_capacity_cores", Some(time.cores));
            push(
                "machine_cpu_used_cores",
                self.cores_used(time, limited.is_some()),
            );
        }
        push("machine_cpu_requested_cores", requested.cores);
        push("machine_memory_requested_bytes", requested.bytes);
        numbers.extend(self.pressures());
        numbers.extend(self.kills());
        numbers
    }

    /// The machine itself, of which these numbers are.
    pub(super) fn machine(&self, numbers: &[Number], n_gpus: usize) -> MachineNow {
        let read = |path: &str| std::fs::read_to_string(self.root.join(path)).unwrap_or_default();
        let name = read("proc/sys/kernel/hostname").trim().to_owned();
        let load = read("proc/loadavg");
        let load = load.split(' ').next().and_then(|load| load.parse().ok());
        let pressures = [
            ("cpu", Scarce::Cpu),
            ("memory", Scarce::Memory),
            ("io", Scarce::Disk),
        ];
        let pressures = pressures.into_iter().filter_map(|(file, of)| {
            let text = read(&format!("proc/pressure/{file}"));
            let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
            let percent = some
                .split(' ')
                .find_map(|word| word.strip_prefix("avg60="))?;
            let share = percent.parse::<f64>().ok()? / 100.0;
            let strain = Strain::Waited(share);
            Some(Pressure { of, strain })
        });
        MachineNow {
            pressures: pressures.collect(),
            load_average: load,
            gpus: Room {
                // Only those of one maker can be counted.
                capacity: u32::try_from(n_gpus).ok().filter(|n| *n > 0).map(f64::from),
                ..Room::default()
            },
            ..MachineNow::only(name, numbers)
        }
    }

    /// Since the last look; unknown at the first.
    fn cores_used(&mut self, time: ProcessorTime, is_limited: bool) -> Option<f64> {
        let now = Busy {
            at: Instant::now(),
            seconds: time.used_seconds,
            is_limited,
        };
        let before = self.last.replace(now)?;
        let elapsed = now.at.duration_since(before.at).as_secs_f64();
        let used = now.seconds - before.seconds;
        let is_same = before.is_limited == is_limited;
        (is_same && elapsed > 0.0 && used >= 0.0).then(|| used / elapsed)
    }

    /// Seconds since the machine's start in which some or all processes waited for something; since
    /// Linux 4.20, and not switched on everywhere.
    fn pressures(&self) -> Vec<Number> {
        let mut numbers = Vec::new();
        for resource in ["cpu", "io", "memory"] {
            let path = self.root.join("proc/pressure").join(resource);
            let text = std::fs::read_to_string(path).unwrap_or_default();
            for line in text.lines() {
                let kind = line
                    .split(' ')
                    .next()
                    .filter(|it| ["some", "full"].contains(it));
                let total = line.split_once("total=");
                let micros = total.and_then(|(_, micros)| micros.trim().parse::<f64>().ok());
                if let (Some(kind), Some(micros)) = (kind, micros) {
                    let labels = [("kind", kind), ("resource", resource)];
                    let name = "machine_pressure_seconds_total";
                    numbers.push(number(name, &labels, micros / 1e6));
                }
            }
        }
        numbers
    }

    /// Processes killed for want of memory since the machine's start; since Linux 4.13.
    fn kills(&self) -> Option<Number> {
        let text = std::fs::read_to_string(self.root.join("proc/vmstat")).ok()?;
        let n_kills = text
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))?;
        let n_kills = n_kills.trim().parse().ok()?;
        Some(number("machine_oom_kills_total", &[], n_kills))
    }
}

fn number(name: &str, labels: &[(&str, &str)], value: f64) -> Number {
    let labels = labels.iter();
    let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Number {
        name: name.into(),
        labels: labels.collect(),
        value,
    }
}

#[expect(clippy::cast_precision_loss, reason = "8 PiB of memory are exact")]
fn as_number(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            write(&root, path, text);
        }
        root
    }

    fn write(root: &tempfile::TempDir, path: &str, text: &str) {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// As `name{labels} value` lines.
    fn shown(numbers: &[Number]) -> Vec<String> {
        let lines = numbers.iter().map(|number| {
            let labels = number
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            let labels: Vec<String> = labels.collect();
            format!("{}{{{}}} {}", number.name, labels.join(","), number.value)
        });
        lines.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_tells_what_there_is_and_how_often_it_was_not_enough() {
        let root = system(&[
            (
                "proc/stat",
                "cpu  100 0 100 5000 7 0 0 0 50 0\ncpu0 1\ncpu1 1\n",
            ),
            ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n"),
            (
                "proc/pressure/cpu",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n",
            ),
            (
                "proc/pressure/memory",
                "some avg10=0.0 total=1000000\nfull avg10=0.0 total=500000\n",
            ),
            ("proc/vmstat", "nr_free_pages 5\noom_kill 3\n"),
        ]);
        let mut ceilings = Ceilings::new(root.path());
        let requested = Requested {
            cores: Some(1.5),
            bytes: None,
        };
        let first = shown(&ceilings.look(None, requested));
        insta::assert_snapshot!(first.join("\n"), @r"
        machine_memory_capacity_bytes{} 1024000
        machine_memory_used_bytes{} 614400
        machine_cpu_capacity_cores{} 2
        machine_cpu_requested_cores{} 1.5
        machine_pressure_seconds_total{kind=some,resource=cpu} 2.5
        machine_pressure_seconds_total{kind=some,resource=memory} 1
        machine_pressure_seconds_total{kind=full,resource=memory} 0.5
        machine_oom_kills_total{} 3
        ");
        tokio::time::advance(Duration::from_secs(10)).await;
        write(
            &root,
            "proc/stat",
            "cpu  500 0 200 5000 7 0 0 0 0 0\ncpu0 1\ncpu1 1\n",
        );
        let second = shown(&ceilings.look(None, requested));
        assert_eq!(second[3], "machine_cpu_used_cores{} 0.5");
    }

    #[test]
    fn the_machine_is_told_with_its_load_and_its_pressures() {
        let root = system(&[
            ("proc/sys/kernel/hostname", "hub\n"),
            ("proc/loadavg", "0.52 0.58 0.59 1/467 12345\n"),
            ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n"),
            (
                "proc/pressure/memory",
                "some avg10=9.00 avg60=12.50 avg300=0.00 total=1\nfull avg10=0 avg60=3 total=1\n",
            ),
        ]);
        let mut ceilings = Ceilings::new(root.path());
        let numbers = ceilings.look(None, Requested::default());
        let machine = ceilings.machine(&numbers, 2);
        assert_eq!(machine.name, "hub");
        assert_eq!(machine.memory_bytes.capacity, Some(1_024_000.0));
        assert_eq!(machine.memory_bytes.used, Some(614_400.0));
        assert_eq!(machine.load_average, Some(0.52));
        assert_eq!(machine.gpus.capacity, Some(2.0));
        let memory = Pressure {
            of: Scarce::Memory,
            strain: Strain::Waited(0.125),
        };
        assert_eq!(machine.pressures, [memory]);
    }

    #[test]
    fn this_machine_tells_of_itself() {
        let mut ceilings = Ceilings::new(Path::new("/"));
        let numbers = ceilings.look(None, Requested::default());
        let machine = ceilings.machine(&numbers, 0);
        let name = std::process::Command::new("uname").arg("-n").output();
        let name = String::from_utf8(name.unwrap().stdout).unwrap();
        assert_eq!(machine.name, name.trim());
        let whole = Proc::under(Path::new("/")).memory().unwrap();
        assert_eq!(
            machine.memory_bytes.capacity,
            Some(as_number(whole.total_bytes))
        );
        assert!(machine.memory_bytes.used < machine.memory_bytes.capacity);
        assert!(machine.cpu_cores.capacity >= Some(1.0));
        assert!(machine.load_average >= Some(0.0));
        assert_eq!(machine.gpus.capacity, None);
    }

    #[test]
    fn an_older_kernel_tells_less() {
        let root = system(&[("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n")]);
        let numbers = Ceilings::new(root.path()).look(None, Requested::default());
        assert_eq!(numbers.len(), 2, "{numbers:?}");
    }

    #[test]
    fn a_container_that_all_is_in_is_the_ceiling() {
        let root = system(&[
            ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n"),
            (
                "proc/stat",
                "cpu  100 0 100 5000 7 0 0 0 50 0\ncpu0 1\ncpu1 1\n",
            ),
            ("proc/17/cgroup", "0::/"),
            ("sys/fs/cgroup/memory.max", "5000"),
            ("sys/fs/cgroup/memory.current", "3000"),
            ("sys/fs/cgroup/cpu.max", "50000 100000"),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 7"),
        ]);
        let inside = shown(&Ceilings::new(root.path()).look(Some(17), Requested::default()));
        assert_eq!(
            inside,
            [
                "machine_memory_capacity_bytes{} 5000",
                "machine_memory_used_bytes{} 3000",
                "machine_cpu_capacity_cores{} 0.5",
            ]
        );
        let outside = shown(&Ceilings::new(root.path()).look(None, Requested::default()));
        assert_eq!(outside[0], "machine_memory_capacity_bytes{} 1024000");
    }
}
