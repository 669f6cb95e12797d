//! What is imported: files, plain or packed, and standard input, each known again by how it begins.

use crate::events::Head;
use anyhow::{Context as _, bail};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Endings of the files of a folder that are imported.
const ENDINGS: [&str; 6] = [
    ".jsonl",
    ".ndjson",
    ".json",
    ".jsonl.gz",
    ".ndjson.gz",
    ".json.gz",
];

/// One thing that is read from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A file, by its path as it was given.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// How far an input was read, as it is kept with the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Which file it was: a changed one is read again, which counts nothing twice.
    pub(super) version: Version,
    /// Bytes that were dealt with, unpacked.
    pub(super) offset: u64,
    pub(super) is_complete: bool,
}

/// A file as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    n_bytes: u64,
    /// Nanoseconds since 1970.
    modified: i128,
    head: Head,
}

impl Input {
    /// The inputs that the arguments name; those of a folder by name.
    pub(super) fn of_arguments(arguments: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        let mut inputs = Vec::new();
        for path in arguments {
            if path.as_os_str() == "-" {
                inputs.push(Self::Stdin);
                continue;
            }
            let found = std::fs::metadata(path);
            let found = found.with_context(|| format!("cannot read `{}`", path.display()))?;
            if found.is_dir() {
                inputs.extend(of_folder(path)?);
            } else {
                inputs.push(Self::File(path.clone()));
            }
        }
        Ok(inputs)
    }

    /// For messages and dead letters.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                name.to_string_lossy().into_owned()
            }
            Self::Stdin => "standard input".to_owned(),
        }
    }

    /// Under which name its progress is kept; nobody knows if standard input is the same again.
    pub(super) fn source(&self) -> Option<String> {
        match self {
            Self::File(path) => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                Some(format!("import {}", path.display()))
            }
            Self::Stdin => None,
        }
    }

    /// Its size, if that is known before.
    pub(super) fn n_bytes(&self) -> u64 {
        match self {
            Self::File(path) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
            Self::Stdin => 0,
        }
    }

    /// The file as it is now; `None` for what cannot be read a second time.
    pub(super) fn version(&self) -> anyhow::Result<Option<Version>> {
        let Self::File(path) = self else {
            return Ok(None);
        };
        let cannot = || format!("cannot read `{}`", path.display());
        let metadata = std::fs::metadata(path).with_context(cannot)?;
        if !metadata.is_file() {
            // A pipe, such as `<(…)`.
            return Ok(None);
        }
        let file = File::open(path).with_context(cannot)?;
        let modified = jiff::Timestamp::try_from(metadata.modified().with_context(cannot)?);
        Ok(Some(Version {
            n_bytes: metadata.len(),
            modified: modified.map_or(0, jiff::Timestamp::as_nanosecond),
            head: Head::of(&file).with_context(cannot)?,
        }))
    }

    /// Its text, unpacked; `n_read` counts the bytes as they lie on the disk.
    pub(super) fn open(&self, n_read: &Arc<AtomicU64>) -> anyhow::Result<Box<dyn Read + Send>> {
        let raw: Box<dyn Read + Send> = match self {
            Self::File(path) => {
                let file = File::open(path);
                Box::new(file.with_context(|| format!("cannot read `{}`", path.display()))?)
            }
            Self::Stdin => Box::new(std::io::stdin()),
        };
        let counted = Counted {
            inner: raw,
            n_read: Arc::clone(n_read),
        };
        let mut buffered = BufReader::with_capacity(128 * 1024, counted);
        let begins = buffered
            .fill_buf()
            .with_context(|| format!("cannot read `{}`", self.name()))?;
        Ok(if begins.starts_with(&GZIP) {
            Box::new(MultiGzDecoder::new(buffered))
        } else {
            Box::new(buffered)
        })
    }
}

fn of_folder(folder: &Path) -> anyhow::Result<Vec<Input>> {
    let cannot = || format!("cannot read `{}`", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The index of an archive lists files, not events.
        let is_wanted = ENDINGS.iter().any(|ending| name.ends_with(ending))
            && !name.starts_with('.')
            && !name.starts_with("index.json");
        if is_wanted && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        bail!(
            "`{}` holds no file that ends in {}",
            folder.display(),
            ENDINGS.join(", ")
        );
    }
    paths.sort();
    Ok(paths.into_iter().map(Input::File).collect())
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    n_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.n_read.fetch_add(n_read as u64, Ordering::Relaxed);
        Ok(n_read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_files_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "b.jsonl",
            "a.jsonl.gz",
            "c.json",
            "index.jsonl",
            ".d.jsonl",
            "e.txt",
            "f.ndjson",
        ];
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("g.jsonl")).unwrap();
        let arguments = [folder.path().to_owned(), PathBuf::from("-")];
        let inputs = Input::of_arguments(&arguments).unwrap();
        let names: Vec<String> = inputs.iter().map(Input::name).collect();
        let expected = [
            "a.jsonl.gz",
            "b.jsonl",
            "c.json",
            "f.ndjson",
            "standard input",
        ];
        assert_eq!(names, expected);
        let empty = folder.path().join("g.jsonl");
        let error = Input::of_arguments(&[empty]).unwrap_err().to_string();
        assert!(
            error.contains("holds no file that ends in .jsonl"),
            "{error}"
        );
        let error = Input::of_arguments(&["/no/such".into()]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/no/such`");
    }
}
