//! Bytes that are kept plain, compressed, or both, and runs of them as one gzip member.
//!
//! Source: RFC 1951 (deflate) and RFC 1952 (gzip). What the bytes say does not belong here.

use bytes::Bytes;
use flate2::bufread::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::io::Read as _;
use std::sync::OnceLock;

/// Label values repeat on every line, so the fastest level already shrinks them twentyfold.
const COMPRESSION: Compression = Compression::fast();
/// Lines are compressed in runs of this length; longer ones would shrink no further.
pub(super) const SQUEEZED_AT_ONCE_BYTES: usize = 512 * 1024;
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last deflate block without content.
const DEFLATE_END: [u8; 2] = [0x03, 0x00];

/// The encodings that scrapers asked for lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// As it is.
    pub plain: bool,
    /// One gzip member.
    pub gzip: bool,
}

/// Bytes, their compressed form, or both; the one is made of the other when somebody asks.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) plain: OnceLock<Bytes>,
    deflated: OnceLock<Deflated>,
}

#[derive(Debug)]
struct Deflated {
    /// Whole deflate blocks, none of them the last, ending at a full byte: such runs can follow
    /// each other in one stream.
    blocks: Bytes,
    /// Of the plain bytes, and their number.
    checksum: crc32fast::Hasher,
    plain_length: usize,
}

impl Piece {
    pub(super) fn new(plain: Vec<u8>) -> Self {
        Self {
            plain: OnceLock::from(Bytes::from(plain)),
            deflated: OnceLock::new(),
        }
    }

    pub(super) fn of_deflated(squeezed: Squeezed) -> Self {
        let Squeezed {
            mut blocks,
            checksum,
            plain_length,
        } = squeezed;
        blocks.shrink_to_fit();
        let deflated = Deflated {
            blocks: blocks.into(),
            checksum,
            plain_length,
        };
        Self {
            plain: OnceLock::new(),
            deflated: OnceLock::from(deflated),
        }
    }

    pub(super) fn prepare(&mut self, wanted: Wanted) {
        if wanted.gzip {
            self.deflated();
            if !wanted.plain {
                self.plain.take();
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain
            .get()
            .map_or_else(|| self.deflated().plain_length == 0, Bytes::is_empty)
    }

    pub(super) fn plain(&self) -> &Bytes {
        self.plain
            .get_or_init(|| self.deflated.get().map(inflate).unwrap_or_default())
    }

    fn deflated(&self) -> &Deflated {
        self.deflated.get_or_init(|| {
            let plain = self.plain.get().cloned().unwrap_or_default();
            let mut checksum = crc32fast::Hasher::new();
            checksum.update(&plain);
            let blocks = deflate(&plain).into();
            Deflated {
                blocks,
                checksum,
                plain_length: plain.len(),
            }
        })
    }
}

/// Undoes [`deflate`].
fn inflate(deflated: &Deflated) -> Bytes {
    let mut plain = Vec::with_capacity(deflated.plain_length);
    let mut blocks = deflated.blocks.chain(&DEFLATE_END[..]);
    // Our own blocks are whole; a bug would show as a short reply, which scrapers refuse.
    let _ = DeflateDecoder::new(&mut blocks).read_to_end(&mut plain);
    plain.into()
}

/// Deflates without a last block.
fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(COMPRESSION, false);
    let mut blocks = Vec::with_capacity(plain.len() / 12 + 128);
    loop {
        let consumed = usize::try_from(compress.total_in()).unwrap_or(plain.len());
        let before = blocks.len();
        let outcome = compress.compress_vec(&plain[consumed..], &mut blocks, FlushCompress::Full);
        let is_done = compress.total_in() == plain.len() as u64 && blocks.len() < blocks.capacity();
        if is_done || !matches!(outcome, Ok(Status::Ok | Status::BufError)) {
            break;
        }
        // No room was left; an unchanged length means that none at all was.
        blocks.reserve(if blocks.len() == before {
            4096
        } else {
            before.max(4096)
        });
    }
    blocks.shrink_to_fit();
    blocks
}

/// Lines that were compressed as they came, so that the plain text, ten times as large, is never in
/// memory as a whole.
#[derive(Default)]
pub(super) struct Squeezed {
    blocks: Vec<u8>,
    checksum: crc32fast::Hasher,
    plain_length: usize,
}

impl Squeezed {
    pub(super) fn add(&mut self, lines: &[u8]) {
        self.blocks.extend_from_slice(&deflate(lines));
        self.checksum.update(lines);
        self.plain_length += lines.len();
    }
}

/// RFC 1952: one member made of the pieces' deflate blocks, checksum and length of the whole.
pub(super) fn gzip_chunks<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Vec<Bytes> {
    let mut checksum = crc32fast::Hasher::new();
    let mut length = 0_u32;
    let mut chunks = vec![Bytes::from_static(&GZIP_HEAD)];
    for piece in pieces {
        let deflated = piece.deflated();
        checksum.combine(&deflated.checksum);
        // The format wants the length modulo 2^32.
        length = length.wrapping_add(u32::try_from(deflated.plain_length % (1 << 32)).unwrap_or(0));
        chunks.push(deflated.blocks.clone());
    }
    let mut tail = DEFLATE_END.to_vec();
    tail.extend_from_slice(&checksum.finalize().to_le_bytes());
    tail.extend_from_slice(&length.to_le_bytes());
    chunks.push(tail.into());
    chunks
}
