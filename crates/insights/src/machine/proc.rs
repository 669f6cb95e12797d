//! What Linux tells in `/proc`.

use super::{Memory, ProcessorTime};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Parts of a second in which Linux counts processor time, on all of its platforms for programs.
const TICKS: f64 = 100.0;

pub(crate) struct Proc {
    folder: PathBuf,
}

impl Proc {
    pub(crate) fn under(root: &Path) -> Self {
        Self {
            folder: root.join("proc"),
        }
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(path)).ok()
    }

    /// When a process started.
    pub(crate) fn started(&self, pid: u32) -> Option<Timestamp> {
        let stat = self.read(&format!("{pid}/stat"))?;
        // The name of the program, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks: f64 = fields.split_whitespace().nth(19)?.parse().ok()?;
        let boot = self.read("stat")?;
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
        let seconds: f64 = boot.trim().parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not fit is no time of a process"
        )]
        let micros = ((seconds + ticks / TICKS) * 1e6) as i64;
        Timestamp::from_microsecond(micros).ok()
    }

    /// Lines of the process's cgroups: `0::/path` or `4:memory:/path`.
    pub(crate) fn cgroups(&self, pid: u32) -> Option<String> {
        self.read(&format!("{pid}/cgroup"))
    }

    /// Of the whole machine.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let text = self.read("meminfo")?;
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
            kib.checked_mul(1024)
        };
        let (total, available) = (bytes("MemTotal:")?, bytes("MemAvailable:")?);
        Some(Memory {
            used_bytes: total.saturating_sub(available),
            total_bytes: total,
        })
    }

    /// Of the whole machine.
    pub(crate) fn processor(&self) -> Option<ProcessorTime> {
        let text = self.read("stat")?;
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks = line.split_whitespace().map(str::parse::<f64>);
        let ticks: Vec<f64> = ticks.collect::<Result<_, _>>().ok()?;
        // User, nice, system, idle, waiting for disks, interrupts, soft interrupts, stolen. What
        // guests used is in the user's already.
        let busy = [0, 1, 2, 5, 6, 7];
        let used = busy.iter().filter_map(|index| ticks.get(*index));
        let is_core = |line: &&str| {
            let rest = line.strip_prefix("cpu");
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let n_cores = u32::try_from(text.lines().filter(is_core).count()).ok()?;
        (n_cores > 0).then(|| ProcessorTime {
            used_seconds: used.sum::<f64>() / TICKS,
            cores: f64::from(n_cores),
        })
    }
}
