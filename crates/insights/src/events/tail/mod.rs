//! A file that somebody appends lines to, followed over rotations, truncations and restarts.
//!
//! How far it was read is kept in the transaction that takes the rows, so that a line is neither
//! lost nor read twice. The file is looked at once a second; while too much waits to be written, it
//! waits where it is.

mod follow;
pub(crate) mod place;

pub use follow::follow_all;

use super::lines::{Chunk, Items, Then};
use jiff::{SignedDuration, Timestamp};
use place::{Head, Identity, Place, Rotated};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

/// A file that has a successor is left when nobody wrote to it for so long: whoever writes may
/// need a moment to notice.
const QUIET: SignedDuration = SignedDuration::from_secs(5);

/// A file by its path, and the files that had that path before and are not read to their end.
pub(super) struct Tail {
    path: PathBuf,
    hub: Arc<str>,
    /// As it was kept, until the file is found.
    kept: Option<Place>,
    following: Option<Following>,
    /// To be read next.
    next: VecDeque<File>,
}

/// A file that is open.
struct Following {
    file: File,
    items: Items,
    place: Place,
}

/// What a look at the file brought.
#[derive(Debug)]
pub(super) struct News {
    pub(super) chunk: Chunk,
    /// To be kept with the chunk.
    pub(super) place: Place,
}

/// Something that whoever runs the service should know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The file was rotated while nobody looked and what it became is not there.
    Lost,
}

impl Tail {
    /// From where it was left, or from the beginning.
    pub(super) fn new(path: PathBuf, hub: Arc<str>, kept: Option<Place>) -> Self {
        Self {
            path,
            hub,
            kept,
            following: None,
            next: VecDeque::new(),
        }
    }

    /// The next lines; `None` if there are none at the moment.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        notices: &mut Vec<Notice>,
    ) -> std::io::Result<Option<News>> {
        loop {
            let Some(following) = &mut self.following else {
                if self.open(now, notices)? {
                    continue;
                }
                return Ok(None);
            };
            if following.is_other_now()? {
                // Truncated, perhaps after it was copied.
                self.kept = self.following.take().map(|following| following.place);
                continue;
            }
            let is_left = self.next_is_there() && self.is_quiet(now)?;
            let Some(following) = &mut self.following else {
                continue;
            };
            let mut chunk = following.read(now)?;
            let is_over = is_left && chunk.then == Then::End && chunk.items.is_empty();
            if is_over {
                if self.next.is_empty() {
                    // Usually none: the path has the next one. Before the last line is taken: a
                    // folder that cannot be read now must not lose it.
                    self.next = Rotated::find(&self.path, &following.place)?.later;
                }
                chunk.items.extend(following.items.finish(now));
                following.note_offset();
            }
            let place = following.place.clone();
            let is_at_end = chunk.then == Then::End;
            if is_over {
                self.following = None;
            }
            if !chunk.items.is_empty() {
                return Ok(Some(News { chunk, place }));
            }
            // A line may be longer than a chunk.
            if is_at_end && !is_over {
                return Ok(None);
            }
        }
    }

    /// Opens what is to be read next; false if there is nothing.
    fn open(&mut self, now: Timestamp, notices: &mut Vec<Notice>) -> std::io::Result<bool> {
        if let Some(file) = self.next.pop_front() {
            self.following = Some(Following::begin(file, &self.hub)?);
            return Ok(true);
        }
        let file = self.open_path()?;
        let Some(kept) = &self.kept else {
            let Some(file) = file else {
                return Ok(false);
            };
            self.following = Some(Following::begin(file, &self.hub)?);
            return Ok(true);
        };
        if let Some(file) = file {
            if kept.is_in(&file)? {
                self.following = Some(Following::go_on(file, &self.hub, kept, now)?);
                self.kept = None;
                return Ok(true);
            }
        } else if !self.path.parent().is_some_and(std::path::Path::is_dir) {
            return Ok(false);
        }
        let rotated = Rotated::find(&self.path, kept)?;
        match rotated.file {
            Some(file) => {
                self.following = Some(Following::go_on(file, &self.hub, kept, now)?);
                self.next = rotated.later;
            }
            // All of it was read, or of a file that was truncated as much as there was.
            None if self.path.exists() => notices.push(Notice::Lost),
            // It may be on its way to another name.
            None => return Ok(false),
        }
        self.kept = None;
        Ok(true)
    }

    fn open_path(&self) -> std::io::Result<Option<File>> {
        // Opening a pipe would wait for whoever writes to it.
        match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(std::io::Error::other("it is not a regular file")),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Whether something else is to be read after the file that is open.
    fn next_is_there(&self) -> bool {
        if !self.next.is_empty() {
            return true;
        }
        let open = self
            .following
            .as_ref()
            .map(|following| following.place.identity);
        // Whoever still writes to the file that was renamed has made nothing but an empty one.
        std::fs::metadata(&self.path)
            .is_ok_and(|metadata| metadata.len() > 0 && Some(Identity::of(&metadata)) != open)
    }

    fn is_quiet(&self, now: Timestamp) -> std::io::Result<bool> {
        let Some(following) = &self.following else {
            return Ok(true);
        };
        let modified = following.file.metadata()?.modified()?;
        // A file from the future is not waited for.
        let modified = Timestamp::try_from(modified).unwrap_or(now).min(now);
        Ok(now.duration_since(modified) >= QUIET)
    }
}

impl Following {
    fn begin(file: File, hub: &Arc<str>) -> std::io::Result<Self> {
        let identity = Identity::of(&file.metadata()?);
        let head = Head::of(&file)?;
        Ok(Self {
            file,
            items: Items::new(Arc::clone(hub)),
            place: Place {
                identity,
                offset: 0,
                head,
                repeats: false,
            },
        })
    }

    fn go_on(
        mut file: File,
        hub: &Arc<str>,
        kept: &Place,
        now: Timestamp,
    ) -> std::io::Result<Self> {
        let mut items;
        if kept.repeats {
            items = Items::new(Arc::clone(hub));
            items.skip_to(&mut file, kept.offset, now)?;
        } else {
            items = Items::at(Arc::clone(hub), kept.offset);
            file.seek(SeekFrom::Start(kept.offset))?;
        }
        let identity = Identity::of(&file.metadata()?);
        let place = Place {
            identity,
            ..kept.clone()
        };
        Ok(Self { file, items, place })
    }

    /// Whether the file was truncated, or begins otherwise now.
    fn is_other_now(&self) -> std::io::Result<bool> {
        let is_shorter = self.file.metadata()?.len() < self.items.n_seen();
        Ok(is_shorter || !self.place.head.begins(&self.file)?)
    }

    fn read(&mut self, now: Timestamp) -> std::io::Result<Chunk> {
        if self.place.head.is_short() {
            self.place.head = Head::of(&self.file)?;
        }
        let chunk = self.items.next_chunk(&mut self.file, now)?;
        self.note_offset();
        Ok(chunk)
    }

    fn note_offset(&mut self) {
        self.place.offset = self.items.offset();
        self.place.repeats = self.items.counts_repeats();
    }
}

#[cfg(test)]
mod tests;
