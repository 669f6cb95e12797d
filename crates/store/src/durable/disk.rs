//! The few operations on a disk that a durable write is made of.
//!
//! Nothing here decides an order; that is [`super::folder`]'s work, and the order is what the
//! tests check by putting another disk in the place of [`RealDisk`].

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// A disk that may lose power after each of these operations.
pub(crate) trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Creates an empty file that only we may read; fails if the name is taken.
    fn create_new(&self, path: &Path) -> io::Result<File>;
    /// Writes all bytes, beginning at `offset`.
    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when the bytes of the file would survive a power cut. Its name may not.
    fn sync_file(&self, file: &File) -> io::Result<()>;
    /// Gives the file a second name; fails if that is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames, replacing in one step what had the name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes the name of a file.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Creates one folder that only we may enter; fails if the name is taken.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Returns when the names in the folder would survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}
