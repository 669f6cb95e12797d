//! Sizes of homes, by a walk through them that is in nobody's way.
//!
//! After each folder, or part of a large one, the walk rests four times as long as that took. It stays
//! on one file system, follows no symbolic link but one that stands for a home itself, and counts a
//! file with several names once. What counts is what is taken on the disk, not how long files say
//! they are.

use crate::sources::{HomeSize, Homes, Known, Note, Unattributed};
use model::homes::{Owners, Template};
use model::names::UserName;
use model::usage::Amounts;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// So long as a part takes, times this, is the rest after it.
const REST: u32 = 4;
/// Rests are taken in parts, since the service may want to stop.
const REST_PART: Duration = Duration::from_millis(100);
/// Entries after which a large folder is left alone for a while.
const PART: usize = 1000;
/// Of blocks, whatever the file system's are.
const BLOCK_BYTES: u64 = 512;

/// A folder of homes that belongs to nobody the hub knows.
const UNKNOWN_DIRECTORY: &str = "unknown directory";

/// Walks now and then, and knows the last result.
#[derive(Debug)]
pub(super) struct HomeWalks {
    template: String,
    interval: Duration,
    started: Option<tokio::time::Instant>,
    walk: Option<Walk>,
    unknown: Option<Unattributed>,
    note: Option<Note>,
}

/// One that is under way; ends when it is dropped.
#[derive(Debug)]
struct Walk {
    handle: JoinHandle<Result<Walked, Over>>,
    is_over: Arc<AtomicBool>,
}

/// The walk is to end before it has seen everything.
#[derive(Debug, PartialEq)]
struct Over;

/// What a walk brought.
#[derive(Debug, Default)]
struct Walked {
    homes: Homes,
    n_unknown: u64,
    unknown_bytes: u64,
    n_unreadable: u64,
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl HomeWalks {
    /// Through folders that have names of this template; an empty one is none.
    pub(super) fn new(template: &str, interval: Duration) -> Self {
        Self {
            template: template.to_owned(),
            interval,
            started: None,
            walk: None,
            unknown: None,
            note: None,
        }
    }

    /// Sizes, if a walk is over; and begins the next one when its time has come.
    pub(super) async fn look(&mut self, known: &Known) -> Option<Homes> {
        let homes = self.finished().await;
        let is_due = self.started.is_none_or(|at| at.elapsed() >= self.interval);
        if let Some(users) = known
            .users
            .as_ref()
            .filter(|_| is_due && self.walk.is_none())
        {
            self.start(users);
        }
        homes
    }

    /// What the last walk found of nobody's.
    pub(super) fn unknown(&self) -> Option<Unattributed> {
        self.unknown.clone()
    }

    /// What the administrator should know of it.
    pub(super) fn note(&self) -> Option<Note> {
        self.note.clone()
    }

    async fn finished(&mut self) -> Option<Homes> {
        let walk = self
            .walk
            .as_mut()
            .filter(|walk| walk.handle.is_finished())?;
        let walked = (&mut walk.handle).await;
        self.walk = None;
        // A walk that panicked is tried again at its next time.
        let walked = walked.ok()?.ok()?;
        self.note = self.note_of(&walked);
        self.unknown = (walked.n_unknown > 0).then(|| Unattributed {
            reason: UNKNOWN_DIRECTORY,
            n_things: walked.n_unknown,
            amounts: Amounts::default(),
            home_bytes: Some(as_number(walked.unknown_bytes)),
        });
        // Nothing that can be read is unknown, and not that all homes are empty.
        Some(walked.homes).filter(|homes| !homes.sizes.is_empty())
    }

    fn note_of(&self, walked: &Walked) -> Option<Note> {
        let text = if walked.homes.sizes.is_empty() {
            format!(
                "no user has a home that this service can read at `{}`: see whether `local.homes` is \
                 right, and whether a unit's `ProtectHome` hides them",
                self.template
            )
        } else if walked.n_unreadable > 0 {
            format!(
                "{} folders in homes cannot be read, so homes are larger than shown: run this service \
                 as root or with the capability `CAP_DAC_READ_SEARCH`",
                walked.n_unreadable
            )
        } else {
            return None;
        };
        Some(Note {
            about: "homes",
            text,
        })
    }

    fn start(&mut self, users: &Arc<[UserName]>) {
        if self.template.is_empty() {
            return;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let walker = Walker {
            is_over: Arc::clone(&is_over),
            began: Instant::now(),
            n_entries: 0,
            n_unreadable: 0,
        };
        let (template, users) = (self.template.clone(), Arc::clone(users));
        let handle = tokio::task::spawn_blocking(move || walker.walk(&template, &users));
        self.started = Some(tokio::time::Instant::now());
        self.walk = Some(Walk { handle, is_over });
    }
}

/// Walks and rests.
struct Walker {
    is_over: Arc<AtomicBool>,
    /// The part that is under way.
    began: Instant,
    n_entries: usize,
    n_unreadable: u64,
}

/// What a folder takes with all that is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Size {
    bytes: u64,
    files: u64,
}

impl Walker {
    fn walk(mut self, template: &str, users: &[UserName]) -> Result<Walked, Over> {
        let homes = home_folders(template, users);
        let strangers = strangers(template, &homes);
        let mut walked = Walked::default();
        for (folder, user) in &homes {
            if let Some(size) = self.size_of(folder)? {
                walked.homes.sizes.push(HomeSize {
                    user: user.clone(),
                    bytes: as_number(size.bytes),
                    files: Some(size.files),
                });
            }
        }
        for folder in strangers {
            if let Some(size) = self.size_of(&folder)? {
                walked.n_unknown += 1;
                walked.unknown_bytes += size.bytes;
            }
        }
        let by_user = |left: &HomeSize, right: &HomeSize| left.user.cmp(&right.user);
        walked.homes.sizes.sort_by(by_user);
        walked.homes.at = crate::poll::clock::now();
        walked.n_unreadable = self.n_unreadable;
        Ok(walked)
    }

    /// `None` if there is no such folder, or nothing of it can be read.
    fn size_of(&mut self, home: &Path) -> Result<Option<Size>, Over> {
        let top = fs::metadata(home).ok().filter(Metadata::is_dir);
        let Some(top) = top else {
            return Ok(None);
        };
        // With a slash a symbolic link at its end is followed, this once.
        let mut folders = vec![(home.join(""), top.ino())];
        let mut size = Size::default();
        size.add(&top);
        let mut several_names = HashSet::new();
        let mut is_read = false;
        while let Some((folder, number)) = folders.pop() {
            let is_same = fs::symlink_metadata(&folder).is_ok_and(|it| it.ino() == number);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) if is_same => entries,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    self.n_unreadable += 1;
                    continue;
                }
                // It was removed or replaced meanwhile.
                _ => continue,
            };
            is_read = true;
            for entry in entries.flatten() {
                self.rest_after_many()?;
                let Ok(data) = entry.metadata() else {
                    continue;
                };
                if data.dev() != top.dev() {
                    continue;
                }
                if data.is_dir() {
                    folders.push((entry.path(), data.ino()));
                } else if data.nlink() > 1 && !several_names.insert(data.ino()) {
                    continue;
                }
                size.add(&data);
            }
            self.rest()?;
        }
        Ok(is_read.then_some(size))
    }

    fn rest_after_many(&mut self) -> Result<(), Over> {
        self.n_entries += 1;
        if self.n_entries < PART {
            return Ok(());
        }
        self.rest()
    }

    fn rest(&mut self) -> Result<(), Over> {
        let ends = Instant::now() + self.began.elapsed() * REST;
        loop {
            if self.is_over.load(Ordering::Relaxed) {
                return Err(Over);
            }
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(REST_PART));
        }
        self.began = Instant::now();
        self.n_entries = 0;
        Ok(())
    }
}

impl Size {
    fn add(&mut self, data: &Metadata) {
        self.bytes += data.blocks() * BLOCK_BYTES;
        self.files += 1;
    }
}

/// Folders that could be homes, each of one user.
fn home_folders(template: &str, users: &[UserName]) -> BTreeMap<PathBuf, UserName> {
    let n_parts = Path::new(template).components().count();
    let owners = Owners::new(users, &[Template::new(template)]);
    let folders = owners
        .iter()
        .map(|(path, user)| (PathBuf::from(path), user));
    // A user may be called `../root` or `a/b`.
    let folders = folders.filter(|(folder, _)| {
        let parts = folder.components();
        let is_plain = parts
            .clone()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        folder.is_absolute() && is_plain && parts.count() == n_parts
    });
    folders
        .map(|(folder, user)| (folder, user.clone()))
        .collect()
}

/// Folders beside the homes that have no user, where the user's name is in the last part.
fn strangers(template: &str, homes: &BTreeMap<PathBuf, UserName>) -> Vec<PathBuf> {
    let above = Path::new(template).parent();
    let above = above.filter(|above| !above.to_string_lossy().contains('{'));
    let entries = above.and_then(|above| fs::read_dir(above).ok());
    let entries = entries.into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let folders = folders.map(|entry| entry.path());
    folders
        .filter(|folder| !homes.contains_key(folder))
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "8 PiB are exact, and beyond them nobody counts bytes"
)]
fn as_number(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests;
