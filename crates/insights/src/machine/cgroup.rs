//! The limits of a process's cgroup, version 2 or 1, and what is used of them.
//!
//! A limit may be set at any level above the process, and the tightest one is what it meets. In a
//! container the path that Linux tells may be one of the machine, which is not there: then the
//! container's own folder is what is seen.

use super::proc::Proc;
use super::{Memory, ProcessorTime};
use std::path::{Path, PathBuf};

const FOLDER: &str = "sys/fs/cgroup";

pub(crate) struct Groups {
    /// From the process's own to the outermost, of version 2.
    unified: Vec<PathBuf>,
    /// The same of version 1, by what is limited.
    memory: Vec<PathBuf>,
    processor: Vec<PathBuf>,
    accounting: Vec<PathBuf>,
}

impl Groups {
    pub(crate) fn of(root: &Path, proc: &Proc, pid: u32) -> Self {
        let folder = root.join(FOLDER);
        let text = proc.cgroups(pid).unwrap_or_default();
        let path_of = |controller: &str| {
            text.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let (names, path) = (parts.next()?, parts.next()?);
                let is_it = match controller {
                    "" => names.is_empty(),
                    controller => names.split(',').any(|name| name == controller),
                };
                is_it.then_some(path)
            })
        };
        let levels = |controller: &str| match path_of(controller) {
            Some(path) => levels(&folder.join(controller), path),
            None => Vec::new(),
        };
        Self {
            unified: levels(""),
            memory: levels("memory"),
            processor: levels("cpu"),
            accounting: levels("cpuacct"),
        }
    }

    /// Of the level with the tightest limit; `None` where there is none below what there is.
    pub(crate) fn memory(&self, of_machine: Option<u64>) -> Option<Memory> {
        let unified = self.unified.iter().filter_map(|level| {
            let limit = number(&level.join("memory.max"))?;
            Some((level, limit, "memory.current", "inactive_file"))
        });
        let old = self.memory.iter().filter_map(|level| {
            let limit = number(&level.join("memory.limit_in_bytes"))?;
            Some((level, limit, "memory.usage_in_bytes", "total_inactive_file"))
        });
        let limits = unified.chain(old);
        let is_limit = |limit: u64| of_machine.is_none_or(|total| limit < total);
        let tightest = limits
            .filter(|(_, limit, ..)| is_limit(*limit))
            .min_by_key(|(_, limit, ..)| *limit);
        let (level, total_bytes, usage, droppable) = tightest?;
        let used = number(&level.join(usage))?;
        let droppable = field(&level.join("memory.stat"), droppable).unwrap_or(0);
        Some(Memory {
            used_bytes: used.saturating_sub(droppable),
            total_bytes,
        })
    }

    /// Of the level with the tightest limit; `None` where there is none.
    pub(crate) fn processor(&self) -> Option<ProcessorTime> {
        let unified = self.unified.iter().filter_map(|level| {
            let text = read(&level.join("cpu.max"))?;
            let (quota, period) = text.trim().split_once(' ')?;
            Some((cores(quota, period)?, Usage::Unified(level)))
        });
        let old = self.processor.iter().zip(&self.accounting);
        let old = old.filter_map(|(level, accounting)| {
            let quota = read(&level.join("cpu.cfs_quota_us"))?;
            let period = read(&level.join("cpu.cfs_period_us"))?;
            let cores = cores(quota.trim(), period.trim())?;
            Some((cores, Usage::Old(accounting)))
        });
        let limits = unified.chain(old);
        let (cores, usage) = limits.min_by(|(left, _), (right, _)| left.total_cmp(right))?;
        Some(ProcessorTime {
            used_seconds: usage.seconds()?,
            cores,
        })
    }
}

enum Usage<'a> {
    Unified(&'a Path),
    Old(&'a Path),
}

impl Usage<'_> {
    #[expect(clippy::cast_precision_loss, reason = "a reading, not an account")]
    fn seconds(&self) -> Option<f64> {
        Some(match self {
            Self::Unified(level) => field(&level.join("cpu.stat"), "usage_usec")? as f64 / 1e6,
            Self::Old(level) => number(&level.join("cpuacct.usage"))? as f64 / 1e9,
        })
    }
}

/// The folder of the path and those above it.
fn levels(folder: &Path, path: &str) -> Vec<PathBuf> {
    let own = folder.join(path.trim_start_matches('/'));
    if !own.is_dir() || path.contains("..") {
        return vec![folder.to_owned()];
    }
    let above = own
        .ancestors()
        .take_while(|level| level.starts_with(folder));
    above.map(Path::to_owned).collect()
}

fn cores(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// `max`, as version 2 writes no limit, is no number.
fn number(path: &Path) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

fn field(path: &Path, name: &str) -> Option<u64> {
    let text = read(path)?;
    let mut fields = text.lines().filter_map(|line| line.split_once(' '));
    fields.find(|(key, _)| *key == name)?.1.trim().parse().ok()
}
