//! The folder of a store: `state.db`, `history/`, temporary files, and who holds the lock.
//!
//! Which folder it is, is for the configuration to say.

use crate::durable::probe::{ProbeError, probe};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The lock on the logs of all tables.
const TABLES: &str = "lock-tables";

/// Why a folder cannot hold a store.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or entered.
    #[error("cannot use the folder `{path}` for the history")]
    Unusable {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its file system lacks something that a store needs, or is read-only or full.
    #[error("the folder `{path}` cannot hold the history: {reason}")]
    Unfit {
        /// Which folder.
        path: PathBuf,
        /// What it lacks and what can be done.
        reason: String,
        /// Whether its file system is mounted to be read only.
        is_read_only: bool,
    },
    /// It holds something else, whose files are not ours to hide.
    #[error(
        "the folder `{path}` holds files of something else, for instance `{found}`: name an empty \
         or a new folder as `store.path`, for instance `{}`",
        path.join("jupyterhub-insights").display()
    )]
    Foreign {
        /// Which folder.
        path: PathBuf,
        /// What is in it.
        found: String,
    },
    /// The tables are there and the rest is not.
    #[error(
        "`{path}` is missing and the tables beside it are there: `jupyterhub-insights store verify` \
         tells what can be done"
    )]
    NoState {
        /// The file.
        path: PathBuf,
    },
}

impl FolderError {
    /// Whether there is just nothing.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Unusable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The folder of a store.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

/// Held for as long as a process works for a hub in a folder.
#[derive(Debug)]
pub(crate) struct Lock {
    // Unlocked when the file is closed.
    _file: File,
}

impl Folder {
    /// Makes the folder, readable by its owner only, and tries its file system. One that is there
    /// is taken if it is empty or a store's.
    pub fn prepare(root: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable {
            path: root.to_owned(),
            source,
        };
        if root.is_dir() {
            if let Some(found) = foreign(root).map_err(unusable)? {
                let path = root.to_owned();
                return Err(FolderError::Foreign { path, found });
            }
        } else {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(root)
                .map_err(|source| {
                    if source.kind() == io::ErrorKind::ReadOnlyFilesystem {
                        read_only(root)
                    } else {
                        unusable(source)
                    }
                })?;
        }
        probe(root).map_err(|error| FolderError::Unfit {
            path: root.to_owned(),
            is_read_only: matches!(&error, ProbeError::ReadOnly { source, .. }
                if source.kind() == io::ErrorKind::ReadOnlyFilesystem),
            reason: error.to_string(),
        })?;
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700)).map_err(unusable)?;
        let folder = Self {
            root: root.canonicalize().map_err(unusable)?,
        };
        let temporary = folder.temporary();
        if !temporary.is_dir() {
            DirBuilder::new()
                .mode(0o700)
                .create(&temporary)
                .map_err(unusable)?;
        }
        Ok(folder)
    }

    /// A folder that is there already, to be read only.
    pub fn existing(root: &Path) -> Result<Self, FolderError> {
        let folder = Self {
            root: root.to_owned(),
        };
        let path = folder.state_db();
        match File::open(&path) {
            Ok(_) => Ok(folder),
            Err(source)
                if source.kind() == io::ErrorKind::NotFound && folder.history().is_dir() =>
            {
                Err(FolderError::NoState { path })
            }
            Err(source) => Err(FolderError::Unusable { path, source }),
        }
    }

    /// The same, also if all that is left of it are the tables: to look for damage.
    pub fn damaged(root: &Path) -> Result<Self, FolderError> {
        match Self::existing(root) {
            Err(FolderError::NoState { .. }) => Ok(Self {
                root: root.to_owned(),
            }),
            other => other,
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of everything small that changes.
    pub fn state_db(&self) -> PathBuf {
        self.root.join("state.db")
    }

    /// The folder of the tables.
    pub fn history(&self) -> PathBuf {
        self.root.join("history")
    }

    /// Where queries put what does not fit into memory.
    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Takes the lock of the hub; `None` if another process has it.
    pub(crate) fn try_lock(&self, hub: &str) -> Result<Option<Lock>, FolderError> {
        self.lock(&format!(
            "lock-{}",
            crate::tables::RowId::of(&["lock", hub]).as_str()
        ))
    }

    /// Takes the lock for work on the logs of whole tables, whatever the hub: nobody commits
    /// meanwhile. `None` if somebody has it, or a share of it.
    pub(crate) fn try_lock_tables(&self) -> Result<Option<Lock>, FolderError> {
        self.lock(TABLES)
    }

    /// Takes a share of that lock, as everybody does who commits; waits while somebody has it.
    pub(crate) async fn share_tables(&self) -> Result<Lock, FolderError> {
        const PAUSE: Duration = Duration::from_millis(20);
        const ATTEMPTS: usize = 3_000;
        for _ in 0..ATTEMPTS {
            if let Some(lock) = self.lock_by(TABLES, File::try_lock_shared)? {
                return Ok(lock);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(FolderError::Unusable {
            path: self.root.join(TABLES),
            source: io::Error::new(
                io::ErrorKind::TimedOut,
                "another process has held this lock for more than a minute",
            ),
        })
    }

    fn lock(&self, name: &str) -> Result<Option<Lock>, FolderError> {
        self.lock_by(name, File::try_lock)
    }

    fn lock_by(
        &self,
        name: &str,
        lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<Lock>, FolderError> {
        let path = self.root.join(name);
        let unusable = |source| FolderError::Unusable {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        match lock(&file) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

/// Something in the folder that makes it another's; nothing if a store is there or begun.
fn foreign(root: &Path) -> io::Result<Option<String>> {
    // What a new file system has, and what is there before `state.db` is.
    let may_be_ours = |name: &str| {
        matches!(name, "lost+found" | "tmp")
            || name.starts_with("lock-")
            || name.starts_with(".probe-")
    };
    let mut found = None;
    for entry in std::fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if matches!(&*name, "state.db" | "history") {
            return Ok(None);
        }
        if !may_be_ours(&name) {
            found = Some(name);
        }
    }
    Ok(found)
}

fn read_only(path: &Path) -> FolderError {
    FolderError::Unfit {
        path: path.to_owned(),
        reason: "its file system is read-only: mount it writable, or choose another `store.path`"
            .to_owned(),
        is_read_only: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_of_something_else_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("jupyterhub.sqlite"), "").unwrap();
        set_mode(folder.path(), 0o755);
        let error = Folder::prepare(folder.path()).unwrap_err();
        let path = folder.path().display().to_string();
        assert_eq!(
            error.to_string().replace(&path, "/srv"),
            "the folder `/srv` holds files of something else, for instance `jupyterhub.sqlite`: \
             name an empty or a new folder as `store.path`, for instance `/srv/jupyterhub-insights`"
        );
        assert_eq!(mode(folder.path()), 0o755);
    }

    #[test]
    fn new_empty_and_own_folders_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new/er");
        Folder::prepare(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        let volume = folder.path().join("volume");
        std::fs::create_dir_all(volume.join("lost+found")).unwrap();
        set_mode(&volume, 0o755);
        Folder::prepare(&volume).unwrap();
        assert_eq!(mode(&volume), 0o700);
        std::fs::write(volume.join("state.db"), "").unwrap();
        std::fs::write(volume.join("notes.txt"), "").unwrap();
        set_mode(&volume, 0o750);
        Folder::prepare(&volume).unwrap();
        assert_eq!(mode(&volume), 0o700);
    }

    #[test]
    fn tables_without_the_rest_can_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Folder::existing(folder.path()).unwrap_err().is_absence());
        assert!(Folder::damaged(folder.path()).unwrap_err().is_absence());
        std::fs::create_dir(folder.path().join("history")).unwrap();
        let error = Folder::existing(folder.path()).unwrap_err();
        assert!(matches!(error, FolderError::NoState { .. }), "{error}");
        Folder::damaged(folder.path()).unwrap();
    }
}
