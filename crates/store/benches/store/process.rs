//! What the kernel says about this process and its folder.

use nix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// CPU that the process has used, all threads.
pub(crate) fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .expect("the kernel has this clock")
        .into()
}

/// Bytes of memory at the highest moment so far.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.map_or(0, |text| text.parse::<u64>().expect("a number") << 10)
}

/// What a folder holds.
#[derive(Default)]
pub(crate) struct Files {
    /// Parquet files of the tables.
    pub(crate) data: Vec<PathBuf>,
    /// Entries and checkpoints of the logs.
    pub(crate) log: Vec<PathBuf>,
    pub(crate) bytes: u64,
}

impl Files {
    pub(crate) fn below(folder: &Path) -> Self {
        let mut files = Self::default();
        files.add(folder);
        files
    }

    fn add(&mut self, folder: &Path) {
        let is_log = folder.ends_with("_delta_log");
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let entry = entry.expect("the folder can be read");
            let kind = entry.file_type().expect("it has a type");
            if kind.is_dir() {
                self.add(&entry.path());
                continue;
            }
            // A file may vanish meanwhile.
            self.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            if is_log {
                self.log.push(entry.path());
            } else if entry.path().extension().is_some_and(|it| it == "parquet") {
                self.data.push(entry.path());
            }
        }
    }
}

pub(crate) fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}
