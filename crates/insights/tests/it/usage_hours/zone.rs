//! A time zone of the test's own, in a folder that the variable `TZDIR` names, so that a full hour of
//! the local clock is where the test wants it.

use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Its name.
pub(crate) const NAME: &str = "Test/Soon";

/// What its local times are called.
const LETTERS: &[u8] = b"LOC\0";

/// Where the zone is.
pub(crate) struct Zones {
    pub(crate) folder: PathBuf,
}

/// Seconds that the local clock is ahead of UTC.
type Offset = i64;

/// So that the local clock shows minute 0 at that moment.
pub(crate) fn full_hour_at(moment: Timestamp) -> Offset {
    (-moment.as_second()).rem_euclid(3600)
}

impl Zones {
    pub(crate) fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("Test")).unwrap();
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Writes the zone: its offset, and one to which its clock is changed at a moment.
    pub(crate) fn write(&self, offset: Offset, change: Option<(Timestamp, Offset)>) {
        let path = self.folder.join(NAME);
        std::fs::write(&path, tzif(offset, change)).unwrap();
    }
}

/// A file as RFC 9636 describes, in version 2.
fn tzif(offset: Offset, change: Option<(Timestamp, Offset)>) -> Vec<u8> {
    // Who knows version 1 alone sees UTC.
    let mut file = header(0, 1);
    file.extend(kind(0));
    file.extend(LETTERS);
    let offsets: Vec<Offset> = std::iter::once(offset)
        .chain(change.map(|(_, to)| to))
        .collect();
    file.extend(header(u32::from(change.is_some()), offsets.len()));
    if let Some((at, _)) = change {
        file.extend(at.as_second().to_be_bytes());
        file.push(1);
    }
    file.extend(offsets.iter().flat_map(|offset| kind(*offset)));
    file.extend(LETTERS);
    // Later than the last change, and with the sign of POSIX.
    let last = offsets[offsets.len() - 1];
    let (minutes, seconds) = (last / 60, last % 60);
    file.extend(format!("\nLOC-0:{minutes:02}:{seconds:02}\n").bytes());
    file
}

fn header(n_changes: u32, n_kinds: usize) -> Vec<u8> {
    let [n_kinds, n_letters] = [n_kinds, LETTERS.len()].map(|n| u32::try_from(n).unwrap());
    let mut header = b"TZif2".to_vec();
    header.extend([0; 15]);
    for count in [0, 0, 0, n_changes, n_kinds, n_letters] {
        header.extend(count.to_be_bytes());
    }
    header
}

/// A kind of local time, never summer time.
fn kind(offset: Offset) -> Vec<u8> {
    let offset = i32::try_from(offset).unwrap();
    let mut kind = offset.to_be_bytes().to_vec();
    kind.extend([0, 0]);
    kind
}
