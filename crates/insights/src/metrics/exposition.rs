//! Prometheus' text formats: 0.0.4 and OpenMetrics 1.0, plain or compressed.
//!
//! Source: the exposition formats of Prometheus and the OpenMetrics specification. They differ
//! only in the head lines of a family and in the last line, so sample lines are written and
//! compressed once and shared: a scrape of 100,000 series copies bytes and nothing else.
//!
//! Which families exist and what their values are does not belong here.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::io::Write as _;
use std::sync::OnceLock;

/// Label values repeat on every line, so the fastest level already shrinks them twentyfold.
const COMPRESSION: Compression = Compression::fast();
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last deflate block without content.
const DEFLATE_END: [u8; 2] = [0x03, 0x00];

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Dialect {
    /// Value of the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// One gzip member.
    Gzip,
}

/// What kind of number a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; the name ends in `_total`.
    Counter,
    /// Facts in labels, value 1; the name ends in `_info`.
    Info,
}

/// Name, help, type and label names of a family.
#[derive(Clone, Debug)]
pub struct Head {
    /// Full name, with suffix.
    pub name: String,
    /// One sentence or two.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of the labels, in the order of the values.
    pub labels: &'static [&'static str],
}

/// Collects the sample lines of one family.
pub struct Samples {
    head: Head,
    lines: Vec<u8>,
    n_lines: usize,
}

impl Samples {
    /// No samples yet.
    pub fn new(head: Head) -> Self {
        Self {
            head,
            lines: Vec::new(),
            n_lines: 0,
        }
    }

    /// Adds a sample; `label_values` in the order of the label names.
    pub fn push(&mut self, label_values: &[&str], value: f64) {
        debug_assert_eq!(
            label_values.len(),
            self.head.labels.len(),
            "{}",
            self.head.name
        );
        let lines = &mut self.lines;
        lines.extend_from_slice(self.head.name.as_bytes());
        for (index, (name, value)) in self.head.labels.iter().zip(label_values).enumerate() {
            lines.push(if index == 0 { b'{' } else { b',' });
            lines.extend_from_slice(name.as_bytes());
            lines.extend_from_slice(b"=\"");
            push_escaped(lines, value);
            lines.push(b'"');
        }
        if !self.head.labels.is_empty() {
            lines.push(b'}');
        }
        lines.push(b' ');
        push_value(lines, value);
        lines.push(b'\n');
        self.n_lines += 1;
    }

    /// The finished family.
    pub fn finish(mut self) -> Block {
        self.lines.shrink_to_fit();
        Block {
            text_head: Piece::new(self.head.written(Dialect::Text)),
            open_metrics_head: Piece::new(self.head.written(Dialect::OpenMetrics)),
            samples: Piece::new(self.lines),
            n_samples: self.n_lines,
        }
    }
}

impl Head {
    fn written(&self, dialect: Dialect) -> Vec<u8> {
        let (name, kind) = match (dialect, self.kind) {
            // Text 0.0.4 has no type for facts.
            (_, Kind::Gauge) | (Dialect::Text, Kind::Info) => (self.name.as_str(), "gauge"),
            (Dialect::Text, Kind::Counter) => (self.name.as_str(), "counter"),
            // OpenMetrics names a family without the suffix of its samples.
            (Dialect::OpenMetrics, Kind::Counter) => (self.stem("_total"), "counter"),
            (Dialect::OpenMetrics, Kind::Info) => (self.stem("_info"), "info"),
        };
        // Help texts are our own constants without characters that need escaping; a test checks.
        format!(
            "# HELP {name} {help}\n# TYPE {name} {kind}\n",
            help = self.help
        )
        .into_bytes()
    }

    fn stem(&self, suffix: &str) -> &str {
        self.name.strip_suffix(suffix).unwrap_or(&self.name)
    }
}

/// Backslash, quote and line feed are escaped in both formats, nothing else is.
fn push_escaped(lines: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    while let Some(index) = rest
        .iter()
        .position(|byte| matches!(byte, b'\\' | b'"' | b'\n'))
    {
        lines.extend_from_slice(&rest[..index]);
        lines.extend_from_slice(match rest[index] {
            b'\\' => br"\\",
            b'"' => br#"\""#,
            _ => br"\n",
        });
        rest = &rest[index + 1..];
    }
    lines.extend_from_slice(rest);
}

fn push_value(lines: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        lines.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        lines.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.to_bits() == 1.0_f64.to_bits() {
        lines.push(b'1');
    } else {
        // Writing into a Vec cannot fail.
        let _ = write!(lines, "{value}");
    }
}

/// One family, written.
#[derive(Debug)]
pub struct Block {
    text_head: Piece,
    open_metrics_head: Piece,
    samples: Piece,
    n_samples: usize,
}

impl Block {
    /// Number of samples (series).
    pub fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// Compresses what a gzip scrape will want, so that no scrape waits for it.
    pub fn compress(&self) {
        self.text_head.deflated();
        self.open_metrics_head.deflated();
        self.samples.deflated();
    }

    fn pieces(&self, dialect: Dialect) -> [&Piece; 2] {
        let head = match dialect {
            Dialect::Text => &self.text_head,
            Dialect::OpenMetrics => &self.open_metrics_head,
        };
        [head, &self.samples]
    }
}

/// Bytes and, once somebody asks, their compressed form.
#[derive(Debug)]
struct Piece {
    plain: Bytes,
    deflated: OnceLock<Deflated>,
}

#[derive(Debug)]
struct Deflated {
    /// Whole deflate blocks, none of them the last, ending at a full byte: such runs can follow
    /// each other in one stream.
    blocks: Bytes,
    checksum: crc32fast::Hasher,
}

impl Piece {
    fn new(plain: Vec<u8>) -> Self {
        Self {
            plain: plain.into(),
            deflated: OnceLock::new(),
        }
    }

    fn deflated(&self) -> &Deflated {
        self.deflated.get_or_init(|| {
            let mut checksum = crc32fast::Hasher::new();
            checksum.update(&self.plain);
            Deflated {
                blocks: deflate(&self.plain).into(),
                checksum,
            }
        })
    }
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

/// A whole reply: its chunks, in order, and their length.
#[derive(Debug)]
pub struct Reply {
    /// To be sent one after the other.
    pub chunks: Vec<Bytes>,
    /// Sum of the chunks' lengths.
    pub length_bytes: usize,
}

/// Puts families together; the shared bytes are not copied.
pub fn compose<'a>(
    blocks: impl Iterator<Item = &'a Block>,
    dialect: Dialect,
    encoding: Encoding,
) -> Reply {
    let end = Piece::new(match dialect {
        Dialect::Text => Vec::new(),
        Dialect::OpenMetrics => b"# EOF\n".to_vec(),
    });
    let blocks: Vec<&Block> = blocks.collect();
    let pieces = blocks
        .iter()
        .flat_map(|block| block.pieces(dialect))
        .chain([&end]);
    let pieces = pieces.filter(|piece| !piece.plain.is_empty());
    let chunks: Vec<Bytes> = match encoding {
        Encoding::Identity => pieces.map(|piece| piece.plain.clone()).collect(),
        Encoding::Gzip => gzip_chunks(pieces),
    };
    Reply {
        length_bytes: chunks.iter().map(Bytes::len).sum(),
        chunks,
    }
}

/// RFC 1952: one member made of the pieces' deflate blocks, checksum and length of the whole.
fn gzip_chunks<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Vec<Bytes> {
    let mut checksum = crc32fast::Hasher::new();
    let mut length = 0_u32;
    let mut chunks = vec![Bytes::from_static(&GZIP_HEAD)];
    for piece in pieces {
        let deflated = piece.deflated();
        checksum.combine(&deflated.checksum);
        // The format wants the length modulo 2^32.
        length = length.wrapping_add(u32::try_from(piece.plain.len() % (1 << 32)).unwrap_or(0));
        chunks.push(deflated.blocks.clone());
    }
    let mut tail = DEFLATE_END.to_vec();
    tail.extend_from_slice(&checksum.finalize().to_le_bytes());
    tail.extend_from_slice(&length.to_le_bytes());
    chunks.push(tail.into());
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    const LABELS: &[&str] = &["usergroup", "username"];

    fn family(name: &str, kind: Kind, rows: &[(&[&str], f64)]) -> Block {
        let labels = if rows.first().is_none_or(|row| row.0.is_empty()) {
            &[]
        } else {
            LABELS
        };
        let head = Head {
            name: name.to_owned(),
            help: "Help.",
            kind,
            labels,
        };
        let mut samples = Samples::new(head);
        for (labels, value) in rows {
            samples.push(labels, *value);
        }
        samples.finish()
    }

    fn written(blocks: &[Block], dialect: Dialect, encoding: Encoding) -> String {
        let reply = compose(blocks.iter(), dialect, encoding);
        let bytes = reply.chunks.concat();
        assert_eq!(bytes.len(), reply.length_bytes);
        match encoding {
            Encoding::Identity => String::from_utf8(bytes).unwrap(),
            Encoding::Gzip => {
                let mut text = String::new();
                // GzDecoder reads one member only and checks its checksum and length.
                flate2::read::GzDecoder::new(&*bytes)
                    .read_to_string(&mut text)
                    .unwrap();
                text
            }
        }
    }

    #[test]
    fn the_two_formats_differ_in_heads_and_end() {
        let blocks = [
            family(
                "jupyterhub_user_group_info",
                Kind::Info,
                &[(&["a\\\"\nb 🚀", "ada"], 1.0)],
            ),
            family("polls_total", Kind::Counter, &[(&[], 3.0)]),
            family(
                "share",
                Kind::Gauge,
                &[(&["x", "y"], 0.5), (&["", ""], f64::NAN)],
            ),
        ];
        insta::assert_snapshot!(written(&blocks, Dialect::Text, Encoding::Identity), @r#"
        # HELP jupyterhub_user_group_info Help.
        # TYPE jupyterhub_user_group_info gauge
        jupyterhub_user_group_info{usergroup="a\\\"\nb 🚀",username="ada"} 1
        # HELP polls_total Help.
        # TYPE polls_total counter
        polls_total 3
        # HELP share Help.
        # TYPE share gauge
        share{usergroup="x",username="y"} 0.5
        share{usergroup="",username=""} NaN
        "#);
        insta::assert_snapshot!(written(&blocks, Dialect::OpenMetrics, Encoding::Identity), @r#"
        # HELP jupyterhub_user_group Help.
        # TYPE jupyterhub_user_group info
        jupyterhub_user_group_info{usergroup="a\\\"\nb 🚀",username="ada"} 1
        # HELP polls Help.
        # TYPE polls counter
        polls_total 3
        # HELP share Help.
        # TYPE share gauge
        share{usergroup="x",username="y"} 0.5
        share{usergroup="",username=""} NaN
        # EOF
        "#);
    }

    #[test]
    fn an_incompressible_family_survives_compression() {
        let noise: String = (0..200_000_u64)
            .map(|n| char::from(u8::try_from(n * n % 7919 % 93 + 33).unwrap()))
            .collect();
        let blocks = [family("noise", Kind::Gauge, &[(&[&noise, ""], 1.0)])];
        let plain = written(&blocks, Dialect::Text, Encoding::Identity);
        assert_eq!(written(&blocks, Dialect::Text, Encoding::Gzip), plain);
    }

    proptest! {
        #[test]
        fn gzip_holds_the_same_text(
            rows in proptest::collection::vec((any::<String>(), any::<String>(), any::<f64>()), 0..60),
        ) {
            let mut samples = Samples::new(Head {
                name: "m".to_owned(), help: "Help.", kind: Kind::Gauge, labels: LABELS,
            });
            for (group, user, value) in &rows {
                samples.push(&[group, user], *value);
            }
            let blocks = [samples.finish()];
            for dialect in [Dialect::Text, Dialect::OpenMetrics] {
                prop_assert_eq!(
                    written(&blocks, dialect, Encoding::Gzip),
                    written(&blocks, dialect, Encoding::Identity)
                );
            }
        }
    }
}
