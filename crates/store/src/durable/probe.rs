//! Whether the file system of a folder can keep the history safe.
//!
//! Asked once, before anything is written: on a network mount, finding out at the first power cut
//! or the first second service is too late.

use super::disk::{Disk, RealDisk};
use super::error::says_full;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

/// Something that a file system for the store must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ability {
    /// A second handle cannot lock a locked file.
    Locks,
    /// A file can have two names, and a name that is taken is refused.
    Links,
    /// Renaming over a file replaces it.
    Renames,
    /// The bytes of a file can be synced.
    FileSync,
    /// The names in a folder can be synced.
    FolderSync,
    /// A file can be removed while somebody reads it.
    OpenUnlinks,
}

impl Ability {
    fn what(self) -> &'static str {
        match self {
            Self::Locks => "exclusive file locks",
            Self::Links => "hard links that refuse a name which is taken",
            Self::Renames => "renaming over an existing file",
            Self::FileSync => "syncing a file",
            Self::FolderSync => "syncing a folder",
            Self::OpenUnlinks => "removing a file that is being read",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Locks => "two services could write to it at once",
            Self::Links => "two commits could take the same number and one be lost",
            Self::Renames => "a file could be seen half replaced",
            Self::FileSync | Self::FolderSync => "a power cut could lose what was acknowledged",
            Self::OpenUnlinks => "a report would fail while old files are removed",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Locks => {
                "on NFS v3 start `rpc.statd` and mount without `nolock`, or mount NFS v4; \
                 on Lustre mount with `flock`; or choose another `store.path`"
            }
            Self::Links => {
                "FAT, exFAT, some SMB mounts and most bucket mounts have none: choose another \
                 `store.path`"
            }
            Self::Renames | Self::FileSync | Self::FolderSync | Self::OpenUnlinks => {
                "choose another `store.path`, on a local disk or NFS v4"
            }
        }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

/// Why a folder cannot hold the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// The file system lacks something, or does not do what it says (then without a source).
    #[error(
        "the file system of `{}` lacks {ability}: {}; {}",
        folder.display(), ability.meaning(), ability.remedy()
    )]
    Missing {
        folder: PathBuf,
        ability: Ability,
        source: Option<io::Error>,
    },
    /// We may not write there.
    #[error(
        "`{}` cannot be written: let the user of this service own it, mount it writable, or \
         choose another `store.path`",
        folder.display()
    )]
    ReadOnly { folder: PathBuf, source: io::Error },
    /// There is no room left.
    #[error(
        "`{}` is full: free some space or raise the quota, or choose another `store.path`",
        folder.display()
    )]
    Full { folder: PathBuf, source: io::Error },
    /// It is missing, no folder, or broken.
    #[error("`{}` cannot be used: give an existing folder as `store.path`", folder.display())]
    Unusable { folder: PathBuf, source: io::Error },
}

/// Tries everything the store needs in a folder of its own inside `folder`, which it removes.
pub(crate) fn probe(folder: &Path) -> Result<(), ProbeError> {
    probe_on(folder, &RealDisk, File::try_lock)
}

type TryLock = fn(&File) -> Result<(), TryLockError>;

fn probe_on(folder: &Path, disk: &dyn Disk, try_lock: TryLock) -> Result<(), ProbeError> {
    let probe = Probe::new(folder, disk)?;
    probe.file_sync()?;
    probe.folder_sync()?;
    probe.locks(try_lock)?;
    probe.links()?;
    probe.renames()?;
    probe.open_unlinks()
}

struct Probe<'probe> {
    folder: &'probe Path,
    disk: &'probe dyn Disk,
    inner: PathBuf,
}

impl<'probe> Probe<'probe> {
    fn new(folder: &'probe Path, disk: &'probe dyn Disk) -> Result<Self, ProbeError> {
        // Containers on one folder may all be process 1, so that a process id would not do.
        let inner = folder.join(format!(".probe-{:016x}", rand::random::<u64>()));
        match disk.make_dir(&inner) {
            Ok(()) => Ok(Self {
                folder,
                disk,
                inner,
            }),
            Err(source) => Err(general(folder, source)),
        }
    }

    fn file_sync(&self) -> Result<(), ProbeError> {
        let file = self.file("sync", b"bytes")?;
        self.can(Ability::FileSync, self.disk.sync_file(&file))
    }

    fn folder_sync(&self) -> Result<(), ProbeError> {
        self.can(Ability::FolderSync, self.disk.sync_dir(&self.inner))
    }

    fn locks(&self, try_lock: TryLock) -> Result<(), ProbeError> {
        let first = self.file("lock", b"")?;
        let second = self.general(File::open(self.inner.join("lock")))?;
        match try_lock(&first) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(self.lacks(Ability::Locks, None)),
            Err(TryLockError::Error(source)) => return self.can(Ability::Locks, Err(source)),
        }
        match try_lock(&second) {
            Err(TryLockError::WouldBlock) => Ok(()),
            Ok(()) => Err(self.lacks(Ability::Locks, None)),
            Err(TryLockError::Error(source)) => self.can(Ability::Locks, Err(source)),
        }
    }

    fn links(&self) -> Result<(), ProbeError> {
        self.file("one", b"bytes")?;
        let (one, two) = (self.inner.join("one"), self.inner.join("two"));
        if let Err(source) = self.disk.link(&one, &two) {
            // EPERM is what Linux says where there are none, and we may write here.
            return Err(match source.kind() {
                kind if says_full(kind) => general(self.folder, source),
                _ => self.lacks(Ability::Links, Some(source)),
            });
        }
        match self.disk.link(&one, &two) {
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => Err(self.lacks(Ability::Links, other.err())),
        }
    }

    fn renames(&self) -> Result<(), ProbeError> {
        self.file("old", b"old")?;
        self.file("new", b"new")?;
        let (old, new) = (self.inner.join("old"), self.inner.join("new"));
        self.can(Ability::Renames, self.disk.rename(&new, &old))?;
        let bytes = self.general(fs::read(&old))?;
        if bytes != b"new" || new.exists() {
            return Err(self.lacks(Ability::Renames, None));
        }
        Ok(())
    }

    fn open_unlinks(&self) -> Result<(), ProbeError> {
        let mut file = self.file("open", b"bytes")?;
        self.can(
            Ability::OpenUnlinks,
            self.disk.unlink(&self.inner.join("open")),
        )?;
        let mut bytes = Vec::new();
        let read = file
            .rewind()
            .and_then(|()| file.read_to_end(&mut bytes).map(drop));
        self.can(Ability::OpenUnlinks, read)?;
        if bytes != b"bytes" {
            return Err(self.lacks(Ability::OpenUnlinks, None));
        }
        Ok(())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<File, ProbeError> {
        let file = self.general(self.disk.create_new(&self.inner.join(name)))?;
        self.general(self.disk.write_at(&file, 0, bytes))?;
        Ok(file)
    }

    fn general<T>(&self, result: io::Result<T>) -> Result<T, ProbeError> {
        result.map_err(|source| general(self.folder, source))
    }

    /// A failure that is not about room or rights is about the ability.
    fn can(&self, ability: Ability, result: io::Result<()>) -> Result<(), ProbeError> {
        match result {
            Ok(()) => Ok(()),
            Err(source) => Err(match general(self.folder, source) {
                ProbeError::Unusable { source, .. } => self.lacks(ability, Some(source)),
                general => general,
            }),
        }
    }

    fn lacks(&self, ability: Ability, source: Option<io::Error>) -> ProbeError {
        ProbeError::Missing {
            folder: self.folder.to_owned(),
            ability,
            source,
        }
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        // All that is left of a probe is a hidden folder of a few bytes.
        let _ = fs::remove_dir_all(&self.inner);
    }
}

fn general(folder: &Path, source: io::Error) -> ProbeError {
    let folder = folder.to_owned();
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            ProbeError::ReadOnly { folder, source }
        }
        kind if says_full(kind) => ProbeError::Full { folder, source },
        _ => ProbeError::Unusable { folder, source },
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fault, FaultyDisk};
    use super::*;

    /// The message for a disk with this fault; what the probe left behind comes after it.
    fn check_fault(fault: Fault) -> String {
        let folder = tempfile::tempdir().unwrap();
        let error = probe_on(folder.path(), &FaultyDisk::new(fault), File::try_lock).unwrap_err();
        shown(folder.path(), &error)
    }

    fn shown(folder: &Path, error: &ProbeError) -> String {
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "left something");
        error.to_string().replace(folder.to_str().unwrap(), "/data")
    }

    #[test]
    fn a_local_disk_has_everything_and_nothing_stays_behind() {
        let folder = tempfile::tempdir().unwrap();
        probe(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_ability_is_named_with_its_meaning_and_remedy() {
        insta::assert_snapshot!(check_fault(Fault::NoLinks), @"the file system of `/data` lacks hard links that refuse a name which is taken: two commits could take the same number and one be lost; FAT, exFAT, some SMB mounts and most bucket mounts have none: choose another `store.path`");
        insta::assert_snapshot!(check_fault(Fault::NoFileSync), @"the file system of `/data` lacks syncing a file: a power cut could lose what was acknowledged; choose another `store.path`, on a local disk or NFS v4");
        insta::assert_snapshot!(check_fault(Fault::NoFolderSync), @"the file system of `/data` lacks syncing a folder: a power cut could lose what was acknowledged; choose another `store.path`, on a local disk or NFS v4");
        insta::assert_snapshot!(check_fault(Fault::NoRename), @"the file system of `/data` lacks renaming over an existing file: a file could be seen half replaced; choose another `store.path`, on a local disk or NFS v4");
        insta::assert_snapshot!(check_fault(Fault::NoUnlink), @"the file system of `/data` lacks removing a file that is being read: a report would fail while old files are removed; choose another `store.path`, on a local disk or NFS v4");
    }

    #[test]
    fn locks_that_exclude_nobody_are_no_locks() {
        let folder = tempfile::tempdir().unwrap();
        let error = probe_on(folder.path(), &RealDisk, |_| Ok(())).unwrap_err();
        insta::assert_snapshot!(shown(folder.path(), &error), @"the file system of `/data` lacks exclusive file locks: two services could write to it at once; on NFS v3 start `rpc.statd` and mount without `nolock`, or mount NFS v4; on Lustre mount with `flock`; or choose another `store.path`");
    }

    #[test]
    fn locks_that_the_server_refuses_are_no_locks() {
        const ENOLCK: i32 = 37;
        let folder = tempfile::tempdir().unwrap();
        let refuse: TryLock = |_| Err(TryLockError::Error(io::Error::from_raw_os_error(ENOLCK)));
        let error = probe_on(folder.path(), &RealDisk, refuse).unwrap_err();
        let ProbeError::Missing {
            ability, source, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(ability, Ability::Locks);
        assert_eq!(source.unwrap().raw_os_error(), Some(ENOLCK));
    }

    #[test]
    fn a_full_disk_is_told_from_a_bad_one() {
        insta::assert_snapshot!(check_fault(Fault::FullAfter { bytes: 2 }), @"`/data` is full: free some space or raise the quota, or choose another `store.path`");
    }

    #[test]
    fn a_read_only_folder_is_told_from_a_bad_one() {
        insta::assert_snapshot!(check_fault(Fault::ReadOnly), @"`/data` cannot be written: let the user of this service own it, mount it writable, or choose another `store.path`");
    }

    #[test]
    fn a_missing_folder_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let error = probe(&folder.path().join("nowhere")).unwrap_err();
        insta::assert_snapshot!(shown(folder.path(), &error), @"`/data/nowhere` cannot be used: give an existing folder as `store.path`");
    }
}
