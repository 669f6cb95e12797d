//! Disks for tests: one that remembers every operation, so that a power cut after each can be
//! tried, and one that fails.
//!
//! ```ignore
//! let disk = Recorder::new(folder.path());
//! let store = Arc::new(DurableFolder::new(folder.path(), disk.clone())?);
//! // … write through the store; `disk.mark("committed")` where it matters …
//! let journal = disk.journal();
//! for upto in 0..=journal.len() {
//!     after_power_cut(&journal, upto, CutPolicy::OnlySynced, fresh.path())?;
//!     // … open `fresh`, and compare with `marks(&journal[..upto])` …
//! }
//! ```

use super::disk::{Disk, RealDisk};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A file, whatever names it has.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(usize);

/// What was done to a disk. Paths are relative to the recorder's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Create {
        path: PathBuf,
        file: FileId,
    },
    Write {
        file: FileId,
        offset: usize,
        bytes: Bytes,
    },
    SyncFile(FileId),
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink(PathBuf),
    MakeDir(PathBuf),
    SyncDir(PathBuf),
    /// Something the test wants to know the place of.
    Marker(String),
}

/// Does everything for real, and keeps a journal. What failed is not in it.
///
/// The journal begins with what the folder held, as if written and synced just now;
/// [`Recorder::n_ops`] right after [`Recorder::new`] says where that ends.
#[derive(Debug)]
pub(crate) struct Recorder {
    root: PathBuf,
    // Held over each operation, so that the journal has the order of the disk.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    journal: Vec<Op>,
    files_by_inode: HashMap<u64, FileId>,
    n_files: usize,
}

impl Recorder {
    /// Panics unless the folder exists and can be read.
    pub(crate) fn new(root: impl AsRef<Path>) -> Arc<Self> {
        let root = root.as_ref().canonicalize().expect("the folder exists");
        let mut state = State::default();
        state.record_existing(&root, Path::new(""));
        Arc::new(Self {
            root,
            state: Mutex::new(state),
        })
    }

    /// Notes in the journal that something happened elsewhere, such as a commit of SQLite.
    pub(crate) fn mark(&self, text: impl Into<String>) {
        self.state().journal.push(Op::Marker(text.into()));
    }

    pub(crate) fn journal(&self) -> Vec<Op> {
        self.state().journal.clone()
    }

    pub(crate) fn n_ops(&self) -> usize {
        self.state().journal.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no operation panics")
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root)
            .expect("a store writes in its folder only")
            .to_owned()
    }

    fn record(&self, done: impl FnOnce() -> io::Result<()>, op: Op) -> io::Result<()> {
        let mut state = self.state();
        done()?;
        state.journal.push(op);
        Ok(())
    }
}

impl State {
    fn record_existing(&mut self, root: &Path, folder: &Path) {
        let mut entries: Vec<_> = fs::read_dir(root.join(folder))
            .expect("the folder can be read")
            .map(|entry| entry.expect("the folder can be read"))
            .collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = folder.join(entry.file_name());
            let metadata = entry.metadata().expect("nobody else writes there");
            if metadata.is_dir() {
                self.journal.push(Op::MakeDir(path.clone()));
                self.record_existing(root, &path);
            } else if let Some(file) = self.files_by_inode.get(&metadata.ino()).copied() {
                let from = self.first_name(file);
                self.journal.push(Op::Link { from, to: path });
            } else {
                let bytes = fs::read(entry.path()).expect("the file can be read");
                let file = self.new_file(metadata.ino());
                self.journal.push(Op::Create { path, file });
                self.journal.push(Op::Write {
                    file,
                    offset: 0,
                    bytes: bytes.into(),
                });
                self.journal.push(Op::SyncFile(file));
            }
        }
        self.journal.push(Op::SyncDir(folder.to_owned()));
    }

    fn first_name(&self, wanted: FileId) -> PathBuf {
        self.journal
            .iter()
            .find_map(|op| match op {
                Op::Create { path, file } if *file == wanted => Some(path.clone()),
                _ => None,
            })
            .expect("a known file was created")
    }

    /// An inode number comes back once its file is gone, so the newest owner has it.
    fn new_file(&mut self, inode: u64) -> FileId {
        let file = FileId(self.n_files);
        self.n_files += 1;
        self.files_by_inode.insert(inode, file);
        file
    }

    fn file(&self, file: &File) -> io::Result<FileId> {
        let inode = file.metadata()?.ino();
        let file = self.files_by_inode.get(&inode).copied();
        Ok(file.expect("each file was there at the start or came through the recorder"))
    }
}

impl Disk for Recorder {
    fn create_new(&self, path: &Path) -> io::Result<File> {
        let mut state = self.state();
        let created = RealDisk.create_new(path)?;
        let file = state.new_file(created.metadata()?.ino());
        let path = self.relative(path);
        state.journal.push(Op::Create { path, file });
        Ok(created)
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        RealDisk.write_at(file, offset, bytes)?;
        let file = state.file(file)?;
        state.journal.push(Op::Write {
            file,
            offset: usize::try_from(offset).expect("files of tests fit in memory"),
            bytes: Bytes::copy_from_slice(bytes),
        });
        Ok(())
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        let mut state = self.state();
        RealDisk.sync_file(file)?;
        let file = state.file(file)?;
        state.journal.push(Op::SyncFile(file));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op::Link {
            from: self.relative(from),
            to: self.relative(to),
        };
        self.record(|| RealDisk.link(from, to), op)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op::Rename {
            from: self.relative(from),
            to: self.relative(to),
        };
        self.record(|| RealDisk.rename(from, to), op)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let op = Op::Unlink(self.relative(path));
        self.record(|| RealDisk.unlink(path), op)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let op = Op::MakeDir(self.relative(path));
        self.record(|| RealDisk.make_dir(path), op)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let op = Op::SyncDir(self.relative(path));
        self.record(|| RealDisk.sync_dir(path), op)
    }
}

/// The markers among these operations, in order.
pub(crate) fn marks(journal: &[Op]) -> Vec<&str> {
    journal
        .iter()
        .filter_map(|op| match op {
            Op::Marker(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

/// What a disk makes of operations that nobody asked it to sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutPolicy {
    /// It forgets them: bytes, new names, and removals of names.
    OnlySynced,
    /// It had done them all.
    EverythingInOrder,
    /// Names and removals landed, but only the first half of unsynced files.
    Torn,
}

impl CutPolicy {
    pub(crate) const ALL: [Self; 3] = [Self::OnlySynced, Self::EverythingInOrder, Self::Torn];
}

/// Fills the empty or missing folder `into` with what a disk would hold if power went after the
/// first `upto` operations of the journal.
pub(crate) fn after_power_cut(
    journal: &[Op],
    upto: usize,
    policy: CutPolicy,
    into: &Path,
) -> io::Result<()> {
    let mut image = Image::new();
    for op in &journal[..upto] {
        image.apply(op);
    }
    image.write(Image::ROOT, policy, into)
}

/// A disk as the processes see it (`now`), and what of it would survive (`synced`).
struct Image {
    dirs: Vec<Names>,
    files: HashMap<FileId, Content>,
}

#[derive(Default)]
struct Names {
    now: BTreeMap<OsString, Entry>,
    synced: BTreeMap<OsString, Entry>,
}

#[derive(Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    is_dirty: bool,
}

#[derive(Clone, Copy)]
enum Entry {
    File(FileId),
    Dir(usize),
}

impl Image {
    const ROOT: usize = 0;

    fn new() -> Self {
        Self {
            dirs: vec![Names::default()],
            files: HashMap::new(),
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { path, file } => {
                self.files.insert(*file, Content::default());
                self.enter(path, Entry::File(*file));
            }
            Op::Write {
                file,
                offset,
                bytes,
            } => self.content(*file).write(*offset, bytes),
            Op::SyncFile(file) => self.content(*file).sync(),
            Op::Link { from, to } => {
                let entry = self.entry(from);
                self.enter(to, entry);
            }
            Op::Rename { from, to } => self.rename(from, to),
            Op::Unlink(path) => {
                self.leave(path);
            }
            Op::MakeDir(path) => {
                self.dirs.push(Names::default());
                self.enter(path, Entry::Dir(self.dirs.len() - 1));
            }
            Op::SyncDir(path) => {
                let dir = self.dir(path);
                let names = &mut self.dirs[dir];
                names.synced.clone_from(&names.now);
            }
            Op::Marker(_) => {}
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let entry = self.entry(from);
        let folder = self.dir(to.parent().expect("a name in a folder"));
        let taken = self.dirs[folder].now.get(to.file_name().expect("a name"));
        // Two names of one file: POSIX leaves both.
        if let (Entry::File(file), Some(Entry::File(other))) = (entry, taken)
            && file == *other
        {
            return;
        }
        self.leave(from);
        self.enter(to, entry);
    }

    fn write(&self, dir: usize, policy: CutPolicy, into: &Path) -> io::Result<()> {
        fs::create_dir_all(into)?;
        let names = match policy {
            CutPolicy::OnlySynced => &self.dirs[dir].synced,
            CutPolicy::EverythingInOrder | CutPolicy::Torn => &self.dirs[dir].now,
        };
        for (name, entry) in names {
            let path = into.join(name);
            match entry {
                Entry::Dir(dir) => self.write(*dir, policy, &path)?,
                Entry::File(file) => fs::write(path, self.files[file].after(policy))?,
            }
        }
        Ok(())
    }

    fn content(&mut self, file: FileId) -> &mut Content {
        self.files.get_mut(&file).expect("a file that was created")
    }

    fn dir(&self, path: &Path) -> usize {
        path.components().fold(Self::ROOT, |dir, name| {
            match self.dirs[dir].now.get(name.as_os_str()) {
                Some(Entry::Dir(dir)) => *dir,
                _ => panic!("`{}` is no folder", path.display()),
            }
        })
    }

    fn names(&mut self, path: &Path) -> &mut BTreeMap<OsString, Entry> {
        let dir = self.dir(path.parent().expect("a name in a folder"));
        &mut self.dirs[dir].now
    }

    fn entry(&mut self, path: &Path) -> Entry {
        let name = path.file_name().expect("a name");
        *self.names(path).get(name).expect("a name that is there")
    }

    fn enter(&mut self, path: &Path, entry: Entry) {
        let name = path.file_name().expect("a name").to_owned();
        self.names(path).insert(name, entry);
    }

    fn leave(&mut self, path: &Path) {
        let name = path.file_name().expect("a name");
        self.names(path).remove(name);
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.is_dirty = true;
    }

    fn sync(&mut self) {
        self.synced.clone_from(&self.now);
        self.is_dirty = false;
    }

    fn after(&self, policy: CutPolicy) -> &[u8] {
        match policy {
            CutPolicy::OnlySynced => &self.synced,
            CutPolicy::Torn if self.is_dirty => &self.now[..self.now.len() / 2],
            CutPolicy::EverythingInOrder | CutPolicy::Torn => &self.now,
        }
    }
}

/// What is wrong with a [`FaultyDisk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Room for so many more bytes.
    FullAfter { bytes: u64 },
    /// Nothing can be created.
    ReadOnly,
    /// As FAT: EPERM.
    NoLinks,
    /// EIO from each sync of a file.
    NoFileSync,
    /// EINVAL from each sync of a folder, as some FUSE mounts say.
    NoFolderSync,
    /// EIO from each rename.
    NoRename,
    /// EBUSY from each removal.
    NoUnlink,
}

/// The real disk but for one fault.
#[derive(Debug)]
pub(crate) struct FaultyDisk {
    fault: Fault,
    n_bytes: AtomicU64,
}

impl FaultyDisk {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            n_bytes: AtomicU64::new(0),
        }
    }

    fn fail_if(&self, fault: Fault, errno: i32) -> io::Result<()> {
        if self.fault == fault {
            return Err(io::Error::from_raw_os_error(errno));
        }
        Ok(())
    }
}

// Linux's numbers, so that the errors are the ones the system would give.
const EPERM: i32 = 1;
const EIO: i32 = 5;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

impl Disk for FaultyDisk {
    fn create_new(&self, path: &Path) -> io::Result<File> {
        self.fail_if(Fault::ReadOnly, EROFS)?;
        RealDisk.create_new(path)
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        let n_bytes = self.n_bytes.fetch_add(length, Ordering::Relaxed) + length;
        if matches!(self.fault, Fault::FullAfter { bytes } if n_bytes > bytes) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        RealDisk.write_at(file, offset, bytes)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.fail_if(Fault::NoFileSync, EIO)?;
        RealDisk.sync_file(file)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fail_if(Fault::NoLinks, EPERM)?;
        RealDisk.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fail_if(Fault::NoRename, EIO)?;
        RealDisk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.fail_if(Fault::NoUnlink, EBUSY)?;
        RealDisk.unlink(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.fail_if(Fault::ReadOnly, EROFS)?;
        RealDisk.make_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.fail_if(Fault::NoFolderSync, EINVAL)?;
        RealDisk.sync_dir(path)
    }
}
