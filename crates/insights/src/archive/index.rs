//! `index.jsonl`: the files of an archive, each with its date and how many events it holds.

use super::{keep, new_file};
use anyhow::Context as _;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

const NAME: &str = "index.jsonl";

/// The files by their dates.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Index {
    entries: BTreeMap<Date, Entry>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) date: Date,
    pub(super) count: u64,
}

impl Index {
    /// As it is; a line that cannot be read is a file that is written again.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(NAME);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            read => read.with_context(|| format!("cannot read `{}`", path.display()))?,
        };
        let mut index = Self::default();
        for line in bytes.split(|&byte| byte == b'\n') {
            if let Ok(entry) = serde_json::from_slice(line) {
                index.set(entry);
            }
        }
        Ok(index)
    }

    pub(super) fn count(&self, day: Date) -> Option<u64> {
        self.entries.get(&day).map(|entry| entry.count)
    }

    pub(super) fn set(&mut self, entry: Entry) {
        self.entries.insert(entry.date, entry);
    }

    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let cannot = || format!("cannot write `{}`", folder.join(NAME).display());
        let mut file = new_file(folder).with_context(cannot)?;
        for entry in self.entries.values() {
            let line = serde_json::to_string(entry)?;
            writeln!(file, "{line}").with_context(cannot)?;
        }
        keep(file, folder, NAME).with_context(cannot)
    }
}
