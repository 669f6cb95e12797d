//! The order of operations that makes a write durable. All of it blocks.
//!
//! A file is written under a staged name beside its own, synced, given its name, and the folder
//! is synced; only then is it reported as done. So a name that a reader can see always has all
//! its bytes, and what was reported survives a power cut.
//!
//! When the last step, the sync of the folder, fails, the file stays: a reader may already have
//! seen it. The caller gets an error and cannot know; [`Folder::sync_existing`] settles it.

use super::disk::Disk;
use super::error::DurableError;
use super::staged::{Staged, staged_path};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Result<T> = std::result::Result<T, DurableError>;

/// What happens to a file that already has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    Refuse,
}

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    next_stage: AtomicU64,
    /// Folders whose own names this process has synced. Finding one there is not enough: whoever
    /// made it may not have come to the sync yet, or may have died before it.
    durable_dirs: Mutex<HashSet<PathBuf>>,
}

impl Folder {
    pub(super) fn new(root: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self {
            root,
            disk,
            next_stage: AtomicU64::new(1),
            durable_dirs: Mutex::default(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The path, if it names something below the root.
    pub(super) fn inside(&self, path: PathBuf) -> Result<PathBuf> {
        let goes_up = path.components().any(|part| part == Component::ParentDir);
        if path.starts_with(&self.root) && path != self.root && !goes_up {
            return Ok(path);
        }
        Err(DurableError::Outside {
            path,
            root: self.root.clone(),
        })
    }

    /// An empty staged file that can become `target`.
    pub(super) fn stage(&self, target: &Path) -> Result<Staged> {
        self.ensure_parent(target)?;
        let mut forgot = false;
        loop {
            let path = self.next_staged_path(target);
            match self.disk.create_new(&path) {
                Ok(file) => return Ok(Staged::new(path, target, file, Arc::clone(&self.disk))),
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
                // Somebody removed a folder we knew of.
                Err(source) if source.kind() == io::ErrorKind::NotFound && !forgot => {
                    forgot = true;
                    self.durable_dirs().clear();
                    self.ensure_parent(target)?;
                }
                Err(source) => return Err(DurableError::disk("create", path)(source)),
            }
        }
    }

    /// Writes the chunks one after the other, beginning at `offset`.
    pub(super) fn write<'chunks>(
        &self,
        staged: &Staged,
        mut offset: u64,
        chunks: impl IntoIterator<Item = &'chunks Bytes>,
    ) -> Result<()> {
        for chunk in chunks {
            self.disk
                .write_at(staged.file(), offset, chunk)
                .map_err(DurableError::disk("write", staged.target()))?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    /// Gives a staged file its name.
    pub(super) fn publish(&self, staged: &Staged, existing: Existing) -> Result<()> {
        self.disk
            .sync_file(staged.file())
            .map_err(DurableError::disk("sync", staged.target()))?;
        match existing {
            Existing::Replace => {
                self.disk
                    .rename(staged.path(), staged.target())
                    .map_err(DurableError::disk("publish", staged.target()))?;
                staged.has_moved();
                self.sync_parent(staged.target())
            }
            Existing::Refuse => {
                match self.link(staged.path(), staged.target()) {
                    // A network file system repeats what it got no answer to, and then finds the
                    // link that it made.
                    Err(_) if is_same_file(staged.path(), staged.target()) => {}
                    linked => linked?,
                }
                self.sync_parent(staged.target())?;
                // The file is there, whether or not its second name goes; `sweep_staged` is patient.
                let _ = staged.discard();
                Ok(())
            }
        }
    }

    /// A second name for a file, whose bytes are synced first in case others wrote them.
    pub(super) fn copy(&self, from: &Path, to: &Path, existing: Existing) -> Result<()> {
        self.sync_bytes(from)?;
        self.ensure_parent(to)?;
        match existing {
            Existing::Refuse => self.link(from, to)?,
            Existing::Replace => self.link_over(from, to)?,
        }
        self.sync_parent(to)
    }

    pub(super) fn rename(&self, from: &Path, to: &Path, existing: Existing) -> Result<()> {
        match existing {
            Existing::Replace => {
                self.sync_bytes(from)?;
                self.ensure_parent(to)?;
                self.disk
                    .rename(from, to)
                    .map_err(DurableError::disk("rename", from))?;
                // The new name first: a cut in between then leaves two names rather than none.
                self.sync_parent(to)?;
            }
            Existing::Refuse => {
                self.copy(from, to, existing)?;
                self.disk
                    .unlink(from)
                    .map_err(DurableError::disk("delete", from))?;
            }
        }
        if existing == Existing::Refuse || from.parent() != to.parent() {
            self.sync_parent(from)?;
        }
        Ok(())
    }

    /// Deletes all, then syncs each folder once. One answer for each path, in order.
    pub(super) fn delete(&self, paths: Vec<PathBuf>) -> Vec<Result<()>> {
        let deleted: Vec<_> = paths
            .into_iter()
            .map(|path| match self.disk.unlink(&path) {
                Ok(()) => Ok(path),
                Err(source) => Err(DurableError::disk("delete", path)(source)),
            })
            .collect();
        let folders: BTreeSet<&Path> = deleted
            .iter()
            .flatten()
            .filter_map(|path| path.parent())
            .collect();
        let failures: BTreeMap<PathBuf, io::Error> = folders
            .into_iter()
            .filter_map(|folder| Some((folder.to_owned(), self.disk.sync_dir(folder).err()?)))
            .collect();
        let answer = |path: PathBuf| match path.parent().and_then(|dir| failures.get(dir)) {
            Some(failure) => Err(DurableError::disk("delete", &path)(again(failure))),
            None => Ok(()),
        };
        deleted
            .into_iter()
            .map(|deleted| deleted.and_then(answer))
            .collect()
    }

    /// Syncs files and folders that an earlier process may have left unsynced, and their names.
    pub(super) fn sync_existing(&self, paths: Vec<PathBuf>) -> Result<()> {
        let mut folders = BTreeSet::new();
        for path in paths {
            let path = self.inside(self.root.join(path))?;
            if path.is_dir() {
                folders.insert(path.clone());
            } else {
                self.sync_bytes(&path)?;
            }
            self.ensure_parent(&path)?;
            folders.extend(path.parent().map(Path::to_owned));
        }
        for folder in folders {
            self.disk
                .sync_dir(&folder)
                .map_err(DurableError::disk("sync", folder))?;
        }
        Ok(())
    }

    fn sync_bytes(&self, path: &Path) -> Result<()> {
        File::open(path)
            .and_then(|file| self.disk.sync_file(&file))
            .map_err(DurableError::disk("sync", path))
    }

    fn sync_parent(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.disk
            .sync_dir(folder)
            .map_err(DurableError::disk("sync", folder))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk
            .link(from, to)
            .map_err(|source| match source.kind() {
                // Where links are unknown, Linux says EPERM, and some file systems "not supported".
                // A folder we may not write to would have refused the staged file before.
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
                    DurableError::Links {
                        path: to.to_owned(),
                        source,
                    }
                }
                _ => DurableError::disk("publish", to)(source),
            })
    }

    fn link_over(&self, from: &Path, to: &Path) -> Result<()> {
        let staged = loop {
            let staged = self.next_staged_path(to);
            match self.link(from, &staged) {
                Ok(()) => break staged,
                Err(DurableError::Disk { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        let renamed = self.disk.rename(&staged, to);
        // Renaming one name of a file over another of the same file does nothing and says so to
        // nobody, hence always; mostly the name is gone.
        let _ = self.disk.unlink(&staged);
        renamed.map_err(DurableError::disk("publish", to))
    }

    fn ensure_parent(&self, path: &Path) -> Result<()> {
        path.parent()
            .map_or(Ok(()), |parent| self.ensure_dir(parent))
    }

    fn ensure_dir(&self, dir: &Path) -> Result<()> {
        if dir == self.root || self.durable_dirs().contains(dir) {
            return Ok(());
        }
        self.ensure_parent(dir)?;
        match self.disk.make_dir(dir) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(DurableError::disk("create", dir)(source));
            }
            _ => self.sync_parent(dir)?,
        }
        self.durable_dirs().insert(dir.to_owned());
        Ok(())
    }

    fn durable_dirs(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        // A set of names cannot be left half changed.
        self.durable_dirs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn next_staged_path(&self, target: &Path) -> PathBuf {
        staged_path(target, self.next_stage.fetch_add(1, Ordering::Relaxed))
    }
}

/// The same error once more: one failed sync fails each deletion in its folder.
fn again(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn is_same_file(left: &Path, right: &Path) -> bool {
    let identity = |path: &Path| {
        let metadata = path.symlink_metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    identity(left).is_some_and(|left| identity(right) == Some(left))
}
