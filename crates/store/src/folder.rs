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
        /// Whether it can be read but not written.
        is_read_only: bool,
    },
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
    /// Makes the folder, readable by its owner only, and tries its file system.
    pub fn prepare(root: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable {
            path: root.to_owned(),
            source,
        };
        if !root.is_dir() {
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
            is_read_only: matches!(error, ProbeError::ReadOnly { .. }),
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
        match File::open(folder.state_db()) {
            Ok(_) => Ok(folder),
            Err(source) => Err(FolderError::Unusable {
                path: folder.state_db(),
                source,
            }),
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

fn read_only(path: &Path) -> FolderError {
    FolderError::Unfit {
        path: path.to_owned(),
        reason: "its file system is read-only: mount it writable, or choose another `store.path`"
            .to_owned(),
        is_read_only: true,
    }
}
