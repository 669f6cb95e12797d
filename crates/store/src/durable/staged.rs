//! Files that are being written: they have a name that no listing shows.
//!
//! `object_store`'s local store hides every `name#digits` and refuses to open it, and Delta
//! readers list nothing that the log does not name.

use super::disk::Disk;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// A file without its name; dropping it removes it.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
    target: PathBuf,
    file: File,
    disk: Arc<dyn Disk>,
    is_there: AtomicBool,
}

impl Staged {
    pub(super) fn new(path: PathBuf, target: &Path, file: File, disk: Arc<dyn Disk>) -> Self {
        Self {
            path,
            target: target.to_owned(),
            file,
            disk,
            is_there: AtomicBool::new(true),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The staged name was renamed: there is nothing to remove.
    pub(super) fn has_moved(&self) {
        self.is_there.store(false, Ordering::Release);
    }

    /// Removes the staged name, once. A write under way goes to a file without a name.
    pub(super) fn discard(&self) -> io::Result<()> {
        if self.is_there.swap(false, Ordering::AcqRel) {
            self.disk.unlink(&self.path)
        } else {
            Ok(())
        }
    }

    /// The tag that `object_store`'s local store gives the file, before and after publishing.
    pub(super) fn e_tag(&self) -> io::Result<String> {
        self.file.metadata().map(|metadata| e_tag(&metadata))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What cannot be removed now is removed by `sweep_staged`.
        let _ = self.discard();
    }
}

fn e_tag(metadata: &Metadata) -> String {
    let modified = metadata
        .modified()
        .ok()
        .and_then(|modified| modified.duration_since(SystemTime::UNIX_EPOCH).ok())
        .unwrap_or_default()
        .as_micros();
    format!("{:x}-{modified:x}-{:x}", metadata.ino(), metadata.len())
}

pub(super) fn staged_path(target: &Path, number: u64) -> PathBuf {
    let mut path = target.as_os_str().to_owned();
    path.push(format!("#{number}"));
    path.into()
}

/// Removes what crashed uploads left below `root`, if last written before `older_than`.
///
/// Give it an hour: uploads that are under way, here or in another process, are younger.
/// Returns how many were removed. One that vanishes meanwhile is no error.
pub(crate) fn sweep_staged(root: &Path, older_than: SystemTime) -> io::Result<usize> {
    let mut n_removed = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if is_staged(&entry.file_name()) {
                n_removed += usize::from(remove_if_older(&entry.path(), older_than)?);
            }
        }
    }
    Ok(n_removed)
}

fn remove_if_older(path: &Path, older_than: SystemTime) -> io::Result<bool> {
    let removed = fs::symlink_metadata(path)
        .and_then(|metadata| metadata.modified())
        .and_then(|modified| {
            if modified >= older_than {
                return Ok(false);
            }
            fs::remove_file(path).map(|()| true)
        });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other,
    }
}

/// As `object_store` tells them: all that follows the first `#` is digits.
pub(crate) fn is_staged(name: &OsStr) -> bool {
    let mut halves = name.as_bytes().splitn(2, |byte| *byte == b'#');
    halves.next();
    halves
        .next()
        .is_some_and(|suffix| !suffix.is_empty() && suffix.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_old_leftovers_of_uploads_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("month=2025-01")).unwrap();
        for name in [
            "month=2025-01/a.parquet#7",
            "b#1",
            "b",
            "c#x",
            "d#1#2",
            "e#",
        ] {
            fs::write(folder.path().join(name), "bytes").unwrap();
        }
        let written = fs::metadata(folder.path().join("b"))
            .unwrap()
            .modified()
            .unwrap();
        let sweep = |older_than| sweep_staged(folder.path(), older_than).unwrap();

        assert_eq!(sweep(written - Duration::from_mins(1)), 0);
        assert_eq!(sweep(written + Duration::from_mins(1)), 2);

        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["b", "c#x", "d#1#2", "e#", "month=2025-01"]);
    }
}
