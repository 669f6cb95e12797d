//! Control groups of units: where they are, and what the kernel counts of them.
//!
//! Version 2 has one tree; version 1, and "hybrid" systems of the years between, one for each
//! controller. What is counted of a group is counted of all groups below it as well.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Version 1 writes the largest multiple of a page instead of "no limit".
const NO_LIMIT_BYTES: f64 = 9e18;

/// Slices below the slice that is looked at: systemd puts `name@instance.service` into one of its own.
const DEEPEST_SLICE: usize = 4;

/// The trees of this machine.
#[derive(Clone, Debug)]
pub(super) enum Hierarchy {
    Unified(PathBuf),
    /// The folder of all controllers.
    Split(PathBuf),
}

/// What the kernel tells of a group; what it does not is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Group {
    /// Another one has another number, also under the same name.
    pub(super) identity: u64,
    /// Since it was made.
    pub(super) cpu_seconds: Option<f64>,
    /// Without file pages that nobody used for a while and that can be dropped at once.
    pub(super) working_set_bytes: Option<f64>,
    /// Those pages.
    pub(super) droppable_bytes: Option<f64>,
    /// Most of all pages at any time since it was made; since Linux 5.19.
    pub(super) peak_bytes: Option<f64>,
    pub(super) memory_limit_bytes: Option<f64>,
    pub(super) cpu_limit_cores: Option<f64>,
}

impl Hierarchy {
    pub(super) fn under(root: &Path) -> Option<Self> {
        let folder = root.join("sys/fs/cgroup");
        if folder.join("cgroup.controllers").is_file() {
            return Some(Self::Unified(folder));
        }
        let is_split = ["memory", "cpuacct", "cpu,cpuacct", "systemd"];
        let is_split = is_split.iter().any(|name| folder.join(name).is_dir());
        is_split.then_some(Self::Split(folder))
    }

    pub(super) fn folder(root: &Path) -> PathBuf {
        root.join("sys/fs/cgroup")
    }

    /// Services in the slice, as `name.service` and the folder of each below the top of the trees;
    /// `None` if there is no such slice.
    pub(super) fn services(&self, slice: &str) -> Option<BTreeMap<String, PathBuf>> {
        let below = slice_folder(slice);
        let mut services = None;
        for top in self.tops() {
            if top.join(&below).is_dir() {
                let services = services.get_or_insert_with(BTreeMap::new);
                collect_services(&top, &below, DEEPEST_SLICE, services);
            }
        }
        services
    }

    /// Folders that can have groups. In split trees a unit is only where something is counted or
    /// limited.
    fn tops(&self) -> Vec<PathBuf> {
        match self {
            Self::Unified(folder) => vec![folder.clone()],
            Self::Split(folder) => {
                let names = ["unified", "systemd", "memory", "cpuacct", "cpu,cpuacct"];
                names.iter().map(|name| folder.join(name)).collect()
            }
        }
    }

    /// `None` if it is gone.
    pub(super) fn read(&self, group: &Path) -> Option<Group> {
        let identity = self.identity(group)?;
        let read = match self {
            Self::Unified(folder) => unified(&folder.join(group)),
            Self::Split(folder) => split(folder, group),
        };
        // Half read, it was about to go.
        let is_there = self.identity(group) == Some(identity);
        is_there.then_some(Group { identity, ..read })
    }

    fn identity(&self, group: &Path) -> Option<u64> {
        let mut folders = self.tops().into_iter().map(|top| top.join(group));
        folders.find_map(|folder| fs::metadata(folder).ok().map(|data| data.ino()))
    }
}

fn unified(folder: &Path) -> Group {
    let current = number(&folder.join("memory.current"));
    let droppable = field(&folder.join("memory.stat"), "inactive_file");
    Group {
        identity: 0,
        cpu_seconds: field(&folder.join("cpu.stat"), "usage_usec").map(|micros| micros / 1e6),
        working_set_bytes: working_set(current, droppable),
        droppable_bytes: droppable,
        peak_bytes: number(&folder.join("memory.peak")),
        memory_limit_bytes: number(&folder.join("memory.max")),
        cpu_limit_cores: cpu_max(&folder.join("cpu.max")),
    }
}

fn split(folder: &Path, group: &Path) -> Group {
    let of = |controllers: &[&str]| -> Option<PathBuf> {
        let mut folders = controllers.iter().map(|name| folder.join(name).join(group));
        folders.find(|folder| folder.is_dir())
    };
    let (memory, cpu) = (of(&["memory"]), of(&["cpu", "cpu,cpuacct"]));
    let accounting = of(&["cpuacct", "cpu,cpuacct"]);
    // The tree of version 2 beside those of version 1 counts time without any controller.
    let unified = || field(&of(&["unified"])?.join("cpu.stat"), "usage_usec");
    let in_memory = |file: &str| number(&memory.as_ref()?.join(file));
    let in_cpu = |file: &str| number(&cpu.as_ref()?.join(file));
    let counted = accounting.and_then(|folder| number(&folder.join("cpuacct.usage")));
    let counted = counted.map(|nanos| nanos / 1e9);
    let stat = memory.as_ref().map(|folder| folder.join("memory.stat"));
    let droppable = stat.and_then(|stat| field(&stat, "total_inactive_file"));
    let limit = in_memory("memory.limit_in_bytes");
    let (quota, period) = (in_cpu("cpu.cfs_quota_us"), in_cpu("cpu.cfs_period_us"));
    Group {
        identity: 0,
        cpu_seconds: counted.or_else(|| unified().map(|micros| micros / 1e6)),
        working_set_bytes: working_set(in_memory("memory.usage_in_bytes"), droppable),
        droppable_bytes: droppable,
        peak_bytes: in_memory("memory.max_usage_in_bytes"),
        memory_limit_bytes: limit.filter(|limit| *limit < NO_LIMIT_BYTES),
        cpu_limit_cores: cores(quota, period),
    }
}

fn working_set(current: Option<f64>, droppable: Option<f64>) -> Option<f64> {
    Some((current? - droppable?).max(0.0))
}

/// The slice `a-b.slice` is in `a.slice`, and `-.slice` is the top.
fn slice_folder(slice: &str) -> PathBuf {
    let name = slice.strip_suffix(".slice").unwrap_or(slice);
    let mut folder = PathBuf::new();
    if name == "-" {
        return folder;
    }
    let ends = name.match_indices('-').map(|(end, _)| end);
    for end in ends.chain([name.len()]) {
        folder.push(format!("{}.slice", &name[..end]));
    }
    folder
}

fn collect_services(
    top: &Path,
    below: &Path,
    deepest: usize,
    services: &mut BTreeMap<String, PathBuf>,
) {
    let Ok(entries) = fs::read_dir(top.join(below)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let path = below.join(&name);
        let kind = path.extension().and_then(OsStr::to_str);
        match (kind, name.to_str()) {
            (Some("service"), Some(name)) => _ = services.insert(name.to_owned(), path),
            (Some("slice"), _) if deepest > 0 => {
                collect_services(top, &path, deepest - 1, services);
            }
            _ => {}
        }
    }
}

/// `max`, as version 2 writes no limit, is no number.
fn number(path: &Path) -> Option<f64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn field(path: &Path, name: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(' '));
    fields.find(|(key, _)| *key == name)?.1.trim().parse().ok()
}

fn cpu_max(path: &Path) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    cores(quota.parse().ok(), period.parse().ok())
}

/// A quota of -1 is none.
fn cores(quota: Option<f64>, period: Option<f64>) -> Option<f64> {
    let (quota, period) = (quota?, period?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_lies_in_those_that_its_name_tells() {
        for (slice, folder) in [
            ("system.slice", "system.slice"),
            ("jupyter", "jupyter.slice"),
            ("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"),
            ("-.slice", ""),
        ] {
            assert_eq!(slice_folder(slice), Path::new(folder), "{slice}");
        }
    }
}
