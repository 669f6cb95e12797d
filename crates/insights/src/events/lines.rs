//! The bytes of a file, in whatever pieces they come, as lines and the lines as items.
//!
//! Of what is read one line is held, and of that no more than an item may be long. Which file it is
//! and how far it was read before are the business of [`super::tail`] and of the import.

use super::reader::{ITEM_MAX_BYTES, Item, Reader, Rejected, TOO_LONG};
use jiff::Timestamp;
use std::io::{ErrorKind, Read};
use std::sync::Arc;

/// What is kept of a line that is too long.
const KEPT_BYTES: usize = 64 * 1024;
/// Items of one transaction.
const CHUNK_ITEMS: usize = 4000;
/// Bytes of one transaction.
const CHUNK_BYTES: u64 = 1024 * 1024;
/// Bytes that are read at once: at most so many items are one too many for a chunk.
const PIECE_BYTES: usize = 16 * 1024;
/// Some editors put it at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An item with the number of its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbered {
    /// From 1, where the file was read from its beginning.
    pub line: u64,
    /// What it turned out to be.
    pub item: Item,
}

/// Makes items of bytes.
pub struct Items {
    reader: Reader,
    /// The line that has not ended, as far as it is kept.
    partial: Vec<u8>,
    /// The length of that line.
    partial_bytes: u64,
    /// Where the last line ended that did.
    offset: u64,
    n_lines: u64,
    /// Met after items that were read; told with the next chunk.
    failed: Option<std::io::Error>,
}

/// Items that are taken together.
#[derive(Debug, Default)]
pub struct Chunk {
    /// In order.
    pub items: Vec<Numbered>,
    /// What comes next.
    pub then: Then,
}

/// What comes after a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// More, perhaps.
    #[default]
    More,
    /// Nothing at the moment.
    End,
}

impl Items {
    /// At the beginning of a file about this hub.
    pub fn new(hub: Arc<str>) -> Self {
        Self::at(hub, 0)
    }

    /// In the middle of one.
    pub fn at(hub: Arc<str>, offset: u64) -> Self {
        Self {
            reader: Reader::new(hub),
            partial: Vec::new(),
            partial_bytes: 0,
            offset,
            n_lines: 0,
            failed: None,
        }
    }

    /// Where the last line ended that did: what is to be read again after a restart follows.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that it was given, those of a line that has not ended included.
    pub fn n_seen(&self) -> u64 {
        self.offset + self.partial_bytes
    }

    /// Whether what comes later depends on what came before: the n-th of equal lines is known by
    /// those before it.
    pub fn counts_repeats(&self) -> bool {
        self.reader.counts_repeats()
    }

    /// Reads until there is enough for one transaction, or nothing more at the moment.
    pub fn next_chunk(&mut self, input: &mut impl Read, now: Timestamp) -> std::io::Result<Chunk> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut chunk = Chunk::default();
        let mut piece = [0; PIECE_BYTES];
        let begin = self.n_seen();
        while chunk.items.len() < CHUNK_ITEMS && self.n_seen() - begin < CHUNK_BYTES {
            match input.read(&mut piece) {
                Ok(0) => {
                    chunk.then = Then::End;
                    break;
                }
                Ok(n_read) => self.feed(&piece[..n_read], now, &mut chunk.items),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // What came before it is behind the offset.
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(chunk)
    }

    /// Reads what was dealt with before, up to the offset, so that repetitions are counted from
    /// the beginning.
    pub fn skip_to(
        &mut self,
        input: &mut impl Read,
        offset: u64,
        now: Timestamp,
    ) -> std::io::Result<()> {
        let mut input = input.take(offset.saturating_sub(self.n_seen()));
        while self.next_chunk(&mut input, now)?.then != Then::End {}
        Ok(())
    }

    /// The items of the lines that end in these bytes.
    fn feed(&mut self, bytes: &[u8], now: Timestamp, items: &mut Vec<Numbered>) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            match part.strip_suffix(b"\n") {
                None => self.keep(part),
                Some(end) if self.partial_bytes == 0 => {
                    self.partial_bytes = part.len() as u64;
                    self.end_line(end, now, items);
                }
                Some(end) => {
                    self.keep(end);
                    self.partial_bytes += 1;
                    let line = std::mem::take(&mut self.partial);
                    self.end_line(&line, now, items);
                    self.partial = line;
                    self.partial.clear();
                }
            }
        }
    }

    /// The last line of a file that nobody writes any more, which may not end.
    pub fn finish(&mut self, now: Timestamp) -> Option<Numbered> {
        let line = std::mem::take(&mut self.partial);
        let mut items = Vec::new();
        self.end_line(&line, now, &mut items);
        items.pop()
    }

    fn keep(&mut self, part: &[u8]) {
        self.partial_bytes += part.len() as u64;
        if self.partial_bytes <= ITEM_MAX_BYTES as u64 {
            self.partial.extend_from_slice(part);
            return;
        }
        if self.partial.len() < KEPT_BYTES {
            let room = KEPT_BYTES - self.partial.len();
            self.partial
                .extend_from_slice(&part[..room.min(part.len())]);
        }
        self.partial.truncate(KEPT_BYTES);
        self.partial.shrink_to(KEPT_BYTES);
    }

    fn end_line(&mut self, line: &[u8], now: Timestamp, items: &mut Vec<Numbered>) {
        let line_bytes = std::mem::take(&mut self.partial_bytes);
        let is_first = self.offset == 0;
        self.offset += line_bytes;
        self.n_lines += u64::from(line_bytes > 0);
        let line = line
            .strip_prefix(BYTE_ORDER_MARK)
            .filter(|_| is_first)
            .unwrap_or(line)
            .trim_ascii();
        if line.is_empty() {
            return;
        }
        // With its line feed, which an item of the largest size may have.
        let item = if line_bytes > ITEM_MAX_BYTES as u64 + 1 {
            Item::Rejected(Rejected::new(TOO_LONG, line))
        } else {
            self.reader.read(line, now)
        };
        items.push(Numbered {
            line: self.n_lines,
            item,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T10:00:00Z";

    /// Reads in pieces of so many bytes; each item as `line: kind` or `line: reason`.
    fn read(bytes: &[u8], piece: usize) -> Vec<String> {
        let now = NOW.parse().unwrap();
        let mut items = Items::new("hub".into());
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            items.feed(piece, now, &mut found);
            assert!(items.partial.capacity() <= 3 * ITEM_MAX_BYTES);
        }
        found.extend(items.finish(now));
        assert_eq!(items.offset(), bytes.len() as u64);
        let told = found.iter().map(|numbered| match &numbered.item {
            Item::Event(event) => format!("{}: {}", numbered.line, event.kind),
            Item::Rejected(rejected) => format!("{}: {}", numbered.line, rejected.reason),
        });
        told.collect()
    }

    fn line(kind: &str) -> String {
        format!(r#"{{"kind": "{kind}", "at": "2026-11-20T10:00:00Z"}}"#)
    }

    #[test]
    fn lines_are_cut_wherever_pieces_end() {
        let text = format!(
            "\u{feff}{}\n\n  \r\n{}\r\nno\n{}",
            line("a"),
            line("b"),
            line("c")
        );
        for piece in [1, 2, 7, 60, 1000] {
            let found = read(text.as_bytes(), piece);
            assert_eq!(found.len(), 4, "{found:?}");
            assert_eq!(found[..2], ["1: a", "4: b"]);
            assert!(found[2].starts_with("5: not JSON"), "{found:?}");
            assert_eq!(found[3], "6: c");
        }
    }

    #[test]
    fn a_line_of_100_mb_is_one_rejected_item_and_is_not_held() {
        let mut bytes = vec![b'x'; 100_000_000];
        bytes.extend(b"\n");
        bytes.extend(line("a").as_bytes());
        assert_eq!(read(&bytes, 65_536), ["1: longer than 1 MiB", "2: a"]);
    }

    #[test]
    fn what_is_no_text_spoils_no_other_line() {
        let bytes = [b"\0\0\0\n\xff\xfe{}\n", line("a").as_bytes()].concat();
        let found = read(&bytes, 3);
        assert!(found[0].starts_with("1: not JSON"), "{found:?}");
        assert_eq!(found[1], "2: not UTF-8 at byte 0");
        assert_eq!(found[2], "3: a");
    }

    #[test]
    fn what_came_before_a_failure_is_not_lost() {
        let now = NOW.parse().unwrap();
        let text = format!("{}\n{}", line("a"), line("b"));
        let failing = std::io::Error::other("broken");
        let mut input = text.as_bytes().chain(Failing(Some(failing)));
        let mut items = Items::new("hub".into());
        assert_eq!(items.next_chunk(&mut input, now).unwrap().items.len(), 1);
        let error = items.next_chunk(&mut input, now).unwrap_err();
        assert_eq!(error.to_string(), "broken");
        let rest = items.next_chunk(&mut input, now).unwrap();
        assert_eq!((rest.items.len(), rest.then), (0, Then::End));
        assert!(items.finish(now).is_some());
    }

    struct Failing(Option<std::io::Error>);

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            self.0.take().map_or(Ok(0), Err)
        }
    }

    #[test]
    fn chunks_are_small_and_lose_nothing() {
        let now = NOW.parse().unwrap();
        let text = format!("{}\n", line("a")).repeat(20_000);
        let mut input = text.as_bytes();
        let mut items = Items::new("hub".into());
        let (mut n_items, mut n_chunks) = (0, 0);
        loop {
            let chunk = items.next_chunk(&mut input, now).unwrap();
            assert!(chunk.items.len() < CHUNK_ITEMS + PIECE_BYTES / 2);
            n_items += chunk.items.len();
            n_chunks += 1;
            if chunk.then == Then::End {
                break;
            }
        }
        assert!(n_items == 20_000 && n_chunks >= 5, "{n_items}, {n_chunks}");
    }
}
