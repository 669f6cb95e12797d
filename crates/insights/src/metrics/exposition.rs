//! Prometheus' text formats: 0.0.4 and OpenMetrics 1.0, plain or compressed.
//!
//! Source: the exposition formats of Prometheus and the OpenMetrics specification. They differ
//! only in the head lines of a family and in the last line, so sample lines are written and
//! compressed once and shared: a scrape of 100,000 series copies bytes and nothing else.
//!
//! Which families exist and what their values are does not belong here.

pub use super::piece::Wanted;

use super::piece::{Piece, SQUEEZED_AT_ONCE_BYTES, Squeezed, gzip_chunks};
use bytes::Bytes;
use std::io::Write as _;
use store::Histogram;

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
    /// The same, where the name without `_total` is another family's: OpenMetrics names a counter's
    /// family so, and two families cannot have one name.
    CounterBesideGauge,
    /// Facts in labels, value 1; the name ends in `_info`.
    Info,
    /// A distribution: how many were at most as large as each bound, their number and sum.
    Histogram,
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
    wanted: Wanted,
    /// What was compressed already, if nothing else is wanted.
    squeezed: Option<Squeezed>,
}

impl Samples {
    /// No samples yet; to be written in the encodings that are wanted.
    pub fn new(head: Head, wanted: Wanted) -> Self {
        let only_gzip = wanted.gzip && !wanted.plain;
        Self {
            head,
            lines: Vec::new(),
            n_lines: 0,
            wanted,
            squeezed: only_gzip.then(Squeezed::default),
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
        self.push_line("", label_values, None, value);
        if let Some(squeezed) = &mut self.squeezed
            && self.lines.len() >= SQUEEZED_AT_ONCE_BYTES
        {
            squeezed.add(&self.lines);
            self.lines.clear();
        }
    }

    /// Adds a distribution; `bounds` are those of its buckets.
    pub fn push_histogram(&mut self, label_values: &[&str], bounds: &[f64], values: &Histogram) {
        let mut n_so_far = 0_u64;
        // Another version may have kept fewer buckets, or more, which are behind the last bound.
        for (bound, count) in bounds.iter().zip(&values.counts) {
            n_so_far = n_so_far.saturating_add(*count);
            // As OpenMetrics wants bounds written, and as the hub's own library does: `1.0`.
            let bound = format!("{bound:?}");
            self.push_line("_bucket", label_values, Some(&bound), float(n_so_far));
        }
        let count = float(values.count());
        self.push_line("_bucket", label_values, Some("+Inf"), count);
        self.push_line("_sum", label_values, None, values.sum);
        self.push_line("_count", label_values, None, count);
    }

    fn push_line(&mut self, suffix: &str, label_values: &[&str], le: Option<&str>, value: f64) {
        let lines = &mut self.lines;
        lines.extend_from_slice(self.head.name.as_bytes());
        lines.extend_from_slice(suffix.as_bytes());
        let labels = self.head.labels.iter().zip(label_values);
        let labels = labels.map(|(name, value)| (*name, *value));
        let mut opening = b'{';
        for (name, value) in labels.chain(le.map(|le| ("le", le))) {
            lines.push(std::mem::replace(&mut opening, b','));
            lines.extend_from_slice(name.as_bytes());
            lines.extend_from_slice(b"=\"");
            push_escaped(lines, value);
            lines.push(b'"');
        }
        if opening == b',' {
            lines.push(b'}');
        }
        lines.push(b' ');
        push_value(lines, value);
        lines.push(b'\n');
        self.n_lines += 1;
    }

    /// The finished family.
    pub fn finish(mut self) -> Block {
        let samples = if let Some(mut squeezed) = self.squeezed {
            squeezed.add(&self.lines);
            Piece::of_deflated(squeezed)
        } else {
            self.lines.shrink_to_fit();
            Piece::new(self.lines)
        };
        let mut block = Block {
            text_head: Piece::new(self.head.written(Dialect::Text)),
            open_metrics_head: Piece::new(self.head.written(Dialect::OpenMetrics)),
            samples,
            n_samples: self.n_lines,
        };
        block.prepare(self.wanted);
        block
    }
}

impl Head {
    fn written(&self, dialect: Dialect) -> Vec<u8> {
        let (name, kind) = match (dialect, self.kind) {
            // Text 0.0.4 has no type for facts.
            (_, Kind::Gauge) | (Dialect::Text, Kind::Info) => (self.name.as_str(), "gauge"),
            (Dialect::Text, Kind::Counter | Kind::CounterBesideGauge) => {
                (self.name.as_str(), "counter")
            }
            (Dialect::OpenMetrics, Kind::CounterBesideGauge) => (self.name.as_str(), "unknown"),
            // OpenMetrics names a family without the suffix of its samples.
            (Dialect::OpenMetrics, Kind::Counter) => (self.stem("_total"), "counter"),
            (Dialect::OpenMetrics, Kind::Info) => (self.stem("_info"), "info"),
            (_, Kind::Histogram) => (self.name.as_str(), "histogram"),
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

/// Counters pass 2^53 never.
#[expect(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
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

    /// Makes what scrapes will want, so that none waits for it, and gives up the rest: Prometheus
    /// asks for gzip, and the plain text is ten times as large.
    fn prepare(&mut self, wanted: Wanted) {
        for piece in [
            &mut self.text_head,
            &mut self.open_metrics_head,
            &mut self.samples,
        ] {
            piece.prepare(wanted);
        }
    }

    fn pieces(&self, dialect: Dialect) -> [&Piece; 2] {
        let head = match dialect {
            Dialect::Text => &self.text_head,
            Dialect::OpenMetrics => &self.open_metrics_head,
        };
        [head, &self.samples]
    }
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
    let pieces = pieces.filter(|piece| !piece.is_empty());
    let chunks: Vec<Bytes> = match encoding {
        Encoding::Identity => pieces.map(|piece| piece.plain().clone()).collect(),
        Encoding::Gzip => gzip_chunks(pieces),
    };
    Reply {
        length_bytes: chunks.iter().map(Bytes::len).sum(),
        chunks,
    }
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
        let mut samples = Samples::new(head, Wanted::default());
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
    fn a_distribution_is_the_same_in_both_formats() {
        let seconds = |labels: &'static [&'static str], values: &[&str]| {
            let head = Head {
                name: "spawn_duration_seconds".to_owned(),
                help: "Help.",
                kind: Kind::Histogram,
                labels,
            };
            let values_of = Histogram {
                counts: vec![2, 0, 1, 4],
                sum: 12.5,
            };
            let mut samples = Samples::new(head, Wanted::default());
            samples.push_histogram(values, &[0.5, 1.0, 10.0], &values_of);
            let block = samples.finish();
            assert_eq!(block.n_samples(), 6);
            block
        };
        let blocks = [seconds(&["operation"], &["a\"b"])];
        insta::assert_snapshot!(written(&blocks, Dialect::Text, Encoding::Identity), @r#"
        # HELP spawn_duration_seconds Help.
        # TYPE spawn_duration_seconds histogram
        spawn_duration_seconds_bucket{operation="a\"b",le="0.5"} 2
        spawn_duration_seconds_bucket{operation="a\"b",le="1.0"} 2
        spawn_duration_seconds_bucket{operation="a\"b",le="10.0"} 3
        spawn_duration_seconds_bucket{operation="a\"b",le="+Inf"} 7
        spawn_duration_seconds_sum{operation="a\"b"} 12.5
        spawn_duration_seconds_count{operation="a\"b"} 7
        "#);
        insta::assert_snapshot!(written(&blocks, Dialect::OpenMetrics, Encoding::Identity), @r#"
        # HELP spawn_duration_seconds Help.
        # TYPE spawn_duration_seconds histogram
        spawn_duration_seconds_bucket{operation="a\"b",le="0.5"} 2
        spawn_duration_seconds_bucket{operation="a\"b",le="1.0"} 2
        spawn_duration_seconds_bucket{operation="a\"b",le="10.0"} 3
        spawn_duration_seconds_bucket{operation="a\"b",le="+Inf"} 7
        spawn_duration_seconds_sum{operation="a\"b"} 12.5
        spawn_duration_seconds_count{operation="a\"b"} 7
        # EOF
        "#);
        let blocks = [seconds(&[], &[])];
        insta::assert_snapshot!(written(&blocks, Dialect::Text, Encoding::Identity), @r#"
        # HELP spawn_duration_seconds Help.
        # TYPE spawn_duration_seconds histogram
        spawn_duration_seconds_bucket{le="0.5"} 2
        spawn_duration_seconds_bucket{le="1.0"} 2
        spawn_duration_seconds_bucket{le="10.0"} 3
        spawn_duration_seconds_bucket{le="+Inf"} 7
        spawn_duration_seconds_sum 12.5
        spawn_duration_seconds_count 7
        "#);
    }

    #[test]
    fn a_family_that_is_compressed_as_it_comes_holds_the_same_text() {
        let head = |name: &str| Head {
            name: name.to_owned(),
            help: "Help.",
            kind: Kind::Gauge,
            labels: LABELS,
        };
        let mut squeezed = Samples::new(
            head("m"),
            Wanted {
                plain: false,
                gzip: true,
            },
        );
        let mut plain = Samples::new(head("m"), Wanted::default());
        for n in 0..50_000_u64 {
            let user = format!("user-{}", n * n % 7919);
            squeezed.push(&["physics", &user], 1.0);
            plain.push(&["physics", &user], 1.0);
        }
        let (squeezed, plain) = ([squeezed.finish()], [plain.finish()]);
        assert!(
            squeezed[0].samples.plain.get().is_none(),
            "the plain text is kept"
        );
        for encoding in [Encoding::Gzip, Encoding::Identity] {
            let expected = written(&plain, Dialect::Text, Encoding::Identity);
            assert!(expected.len() > 3 * SQUEEZED_AT_ONCE_BYTES);
            assert!(written(&squeezed, Dialect::Text, encoding) == expected);
        }
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
        fn whatever_is_kept_every_encoding_holds_the_same_text(
            rows in proptest::collection::vec((any::<String>(), any::<String>(), any::<f64>()), 0..60),
        ) {
            let family = |wanted: Wanted| {
                let head = Head {
                    name: "m".to_owned(), help: "Help.", kind: Kind::Gauge, labels: LABELS,
                };
                let mut samples = Samples::new(head, wanted);
                for (group, user, value) in &rows {
                    samples.push(&[group, user], *value);
                }
                [samples.finish()]
            };
            let plain = family(Wanted::default());
            for (plain_wanted, gzip) in [(false, false), (false, true), (true, false), (true, true)] {
                let blocks = family(Wanted { plain: plain_wanted, gzip });
                for dialect in [Dialect::Text, Dialect::OpenMetrics] {
                    let expected = written(&plain, dialect, Encoding::Identity);
                    prop_assert_eq!(&written(&blocks, dialect, Encoding::Gzip), &expected);
                    prop_assert_eq!(&written(&blocks, dialect, Encoding::Identity), &expected);
                }
            }
        }
    }
}
