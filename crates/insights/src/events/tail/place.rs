//! Where in which file reading goes on: a file is known again by how it begins, whatever it is
//! called by then.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of a file's beginning that tell it from others: some lines with their times.
const HEAD_BYTES: usize = 1024;
/// Files of a folder that are looked at in search of one.
const MAX_SIBLINGS: usize = 10_000;

/// A file and how far it was read, as it is kept with the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Device and inode.
    #[serde(flatten)]
    pub(crate) identity: Identity,
    /// Bytes that were dealt with: whole lines.
    pub(crate) offset: u64,
    /// How it begins.
    pub(crate) head: Head,
    /// What comes later depends on what came before.
    pub(crate) repeats: bool,
}

/// What the system calls the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// How a file begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    n_bytes: usize,
    sha256: String,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Head {
    /// Of a file as far as it has one now.
    pub(crate) fn of(file: &File) -> std::io::Result<Self> {
        Ok(Self::of_bytes(&first_bytes(file, HEAD_BYTES)?))
    }

    /// Of the first bytes of something.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(HEAD_BYTES)];
        let mut sha256 = String::new();
        for byte in Sha256::digest(bytes) {
            // Writing into a text does not fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Self {
            n_bytes: bytes.len(),
            sha256,
        }
    }

    /// Whether there is more of it to know.
    pub(crate) fn is_short(&self) -> bool {
        self.n_bytes < HEAD_BYTES
    }

    /// Whether the file begins so.
    pub(crate) fn begins(&self, file: &File) -> std::io::Result<bool> {
        Ok(Self::of_bytes(&first_bytes(file, self.n_bytes)?) == *self)
    }
}

fn first_bytes(file: &File, n_bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; n_bytes];
    let mut n_read = 0;
    while n_read < n_bytes {
        match file.read_at(&mut bytes[n_read..], n_read as u64)? {
            0 => break,
            n_more => n_read += n_more,
        }
    }
    bytes.truncate(n_read);
    Ok(bytes)
}

impl Place {
    /// Whether this is the file, with all that was read of it.
    pub(crate) fn is_in(&self, file: &File) -> std::io::Result<bool> {
        let metadata = file.metadata()?;
        Ok(metadata.is_file() && metadata.len() >= self.offset && self.head.begins(file)?)
    }
}

/// A file beside another one.
struct Sibling {
    path: PathBuf,
    identity: Identity,
    modified: SystemTime,
}

/// What became of a file that does not have its path any more.
#[derive(Default)]
pub(crate) struct Rotated {
    /// The file itself, under the name that it has now.
    pub(crate) file: Option<File>,
    /// Those that had its path after it, oldest first, but for the one that has it now.
    pub(crate) later: VecDeque<File>,
}

impl Rotated {
    /// Looks beside the path for the file of this place.
    pub(crate) fn find(path: &Path, place: &Place) -> std::io::Result<Self> {
        let now_there = std::fs::metadata(path)
            .ok()
            .map(|metadata| Identity::of(&metadata));
        let mut siblings = siblings(path)?;
        siblings.retain(|sibling| Some(sibling.identity) != now_there);
        // A copy begins like the file that it was made of, so the file itself goes first.
        siblings.sort_by_key(|sibling| (sibling.identity != place.identity, sibling.modified));
        let mut found = None;
        for (index, sibling) in siblings.iter().enumerate() {
            // It may be gone, somebody else's, or not to be read.
            let Ok(file) = File::open(&sibling.path) else {
                continue;
            };
            if place.is_in(&file).unwrap_or(false) {
                found = Some((index, file));
                break;
            }
        }
        let Some((index, file)) = found else {
            return Ok(Self::default());
        };
        let since = siblings.remove(index).modified;
        siblings.retain(|sibling| sibling.modified > since && is_rotation_of(path, &sibling.path));
        siblings.sort_by_key(|sibling| sibling.modified);
        let later = siblings
            .iter()
            .filter_map(|sibling| File::open(&sibling.path).ok());
        Ok(Self {
            file: Some(file),
            later: later.collect(),
        })
    }
}

fn siblings(path: &Path) -> std::io::Result<Vec<Sibling>> {
    let Some(folder) = path.parent() else {
        return Ok(Vec::new());
    };
    let entries = std::fs::read_dir(folder)?.take(MAX_SIBLINGS);
    let of_entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        let modified = metadata.modified().ok()?;
        metadata.is_file().then(|| Sibling {
            path: entry.path(),
            identity: Identity::of(&metadata),
            modified,
        })
    };
    Ok(entries.filter_map(of_entry).collect())
}

/// Whether a name is one that rotation gives: `events.jsonl.1`, `events.jsonl-20261120`,
/// `events-2026-11-20.jsonl`.
fn is_rotation_of(path: &Path, rotated: &Path) -> bool {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let name = text(rotated.file_name());
    let is_number = |rest: &str| {
        let is_part = |c: char| c.is_ascii_digit() || "-_.T:+Z".contains(c);
        rest.contains(|c: char| c.is_ascii_digit())
            && rest.starts_with(['.', '-', '_'])
            && rest.chars().all(is_part)
    };
    if let Some(rest) = name.strip_prefix(&text(path.file_name())) {
        return is_number(rest);
    }
    let ending = format!(".{}", text(path.extension()));
    let rest = name
        .strip_prefix(&text(path.file_stem()))
        .and_then(|rest| rest.strip_suffix(&ending));
    rest.is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotation_gives_are_known() {
        let check = |name: &str| is_rotation_of(Path::new("/var/events.jsonl"), Path::new(name));
        for name in [
            "events.jsonl.1",
            "events.jsonl-20261120",
            "events.jsonl.2026-11-20_10",
            "events-20261120.jsonl",
        ] {
            assert!(check(name), "{name}");
        }
        for name in [
            "events.jsonl",
            "events.jsonl.1.gz",
            "events.jsonl.bak",
            "events-door.jsonl",
            "events2.jsonl",
            "door.jsonl.1",
        ] {
            assert!(!check(name), "{name}");
        }
    }
}
