//! Which series is which, above the data and never over it.

use super::kinds::{self, Point};
use super::markup::Svg;
use super::places::float;
use super::text::{self, Anchor, Cut, NORMAL, Spot};
use super::{Kind, Style, gaps, palette};

/// How high a row is.
pub(super) const ROW: f64 = 20.0;
const SWATCH: f64 = 18.0;
const AIR: f64 = 16.0;
/// The widest name.
const NAME: f64 = 180.0;
const UNKNOWN: &str = "not known";

/// The entries and where they stand.
#[derive(Debug, Default)]
pub(super) struct Legend {
    entries: Vec<Entry>,
    pub(super) n_rows: usize,
}

#[derive(Debug)]
struct Entry {
    of: Of,
    name: Cut,
    left: f64,
    row: usize,
}

/// What an entry explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Series(usize),
    /// The hatching.
    Gaps,
    /// Nothing: how many series were left out.
    Rest,
}

/// A series that is explained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explained<'a> {
    pub(super) name: &'a str,
    pub(super) known: Known,
}

/// How much of a series is known where others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    All,
    Part,
    Nothing,
}

impl Known {
    /// What stands behind the name of the series.
    fn note(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Part => " (known in part)",
            Self::Nothing => " (not known)",
        }
    }
}

/// What an entry says: a name, which may be cut, and a note behind it.
#[derive(Clone)]
struct Words {
    name: String,
    note: &'static str,
}

impl Words {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            note: "",
        }
    }

    /// In so much room; the note is left out where it would leave too little for the name.
    fn cut(&self, room: f64) -> Cut {
        let left = room - text::width(self.note, NORMAL);
        if self.note.is_empty() || left < room / 3.0 {
            return text::cut(&self.name, NORMAL, room);
        }
        let name = text::cut(&self.name, NORMAL, left.min(NAME));
        Cut {
            shown: name.shown + self.note,
            full: name.full.map(|full| full + self.note),
        }
    }
}

/// Where a legend may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) width: f64,
    pub(super) n_rows: usize,
}

impl Legend {
    /// For these series, as many as the space has room for.
    pub(super) fn new(series: &[Explained<'_>], has_gaps: bool, space: Space) -> Self {
        let all = series.iter().enumerate().filter(|_| series.len() > 1);
        let series = all.map(|(i, series)| {
            let words = Words {
                note: series.known.note(),
                ..Words::new(series.name)
            };
            (Of::Series(i), words)
        });
        let gaps = has_gaps.then(|| (Of::Gaps, Words::new(UNKNOWN)));
        let series: Vec<_> = series.collect();
        // No row holds more, so that thousands are not tried one by one.
        let mut n_shown = series.len().min(space.n_rows * 50);
        loop {
            let n_left_out = series.len() - n_shown;
            let rest = format!("and {n_left_out} more");
            let rest = (n_left_out > 0).then_some((Of::Rest, Words::new(rest)));
            let shown = series.iter().take(n_shown).cloned();
            let shown = shown.chain(rest).chain(gaps.clone());
            let legend = Self::flow(shown, space.width);
            if legend.n_rows <= space.n_rows || n_shown == 0 {
                return legend;
            }
            n_shown -= 1;
        }
    }

    fn flow(wanted: impl Iterator<Item = (Of, Words)>, width: f64) -> Self {
        let (mut left, mut row) = (0.0, 0);
        let mut entries = Vec::new();
        for (of, words) in wanted {
            let note = text::width(words.note, NORMAL);
            let name = words.cut((NAME + note).min(width - SWATCH - AIR));
            let wide = entry_width(&name);
            if left > 0.0 && left + wide > width {
                (left, row) = (0.0, row + 1);
            }
            entries.push(Entry {
                of,
                name,
                left,
                row,
            });
            left += wide + AIR;
        }
        let n_rows = entries.last().map_or(0, |entry| entry.row + 1);
        Self { entries, n_rows }
    }

    /// Draws it with its corner there.
    pub(super) fn draw(&self, svg: &mut Svg, corner: Corner, looks: Looks<'_>) {
        if self.entries.is_empty() {
            return;
        }
        svg.start("g").set("class", "legend").inside();
        for entry in &self.entries {
            let corner = Corner {
                left: corner.left + entry.left,
                top: corner.top + float(entry.row) * ROW,
            };
            entry.draw(svg, corner, looks);
        }
        svg.end();
    }
}

fn entry_width(name: &Cut) -> f64 {
    SWATCH + text::width(&name.shown, NORMAL)
}

/// The top left of something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corner {
    pub(super) left: f64,
    pub(super) top: f64,
}

/// How the series look that are explained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks<'a> {
    pub(super) kind: Kind,
    pub(super) style: Style,
    /// The chart's id.
    pub(super) id: &'a str,
}

impl Entry {
    fn draw(&self, svg: &mut Svg, corner: Corner, looks: Looks<'_>) {
        let group = svg.start("g");
        match self.of {
            Of::Series(series) => {
                let again = if series < palette::N_COLOURS {
                    ""
                } else {
                    " again"
                };
                let class = format!("entry {}{again}", palette::class(series));
                group
                    .set("class", class)
                    .set("data-series", series)
                    .inside();
            }
            Of::Gaps | Of::Rest => group.set("class", "note").inside(),
        }
        self.draw_pad(svg, corner, looks.style);
        self.draw_swatch(svg, corner, looks);
        let spot = Spot {
            class: "name",
            x: corner.left + if self.of == Of::Rest { 0.0 } else { SWATCH },
            y: corner.top + 14.0,
            anchor: Anchor::Start,
        };
        text::write(svg, spot, &self.name);
        svg.end();
    }

    /// What is clicked.
    fn draw_pad(&self, svg: &mut Svg, corner: Corner, style: Style) {
        if style == Style::Static || !matches!(self.of, Of::Series(_)) {
            return;
        }
        let pad = svg.start("rect").set("class", "pad").set("rx", 4);
        let pad = pad.px("x", corner.left - 4.0).px("y", corner.top);
        let pad = pad.px("width", entry_width(&self.name) + 8.0);
        pad.px("height", ROW - 1.0).alone();
    }

    fn draw_swatch(&self, svg: &mut Svg, corner: Corner, looks: Looks<'_>) {
        let (left, middle) = (corner.left, corner.top + 10.0);
        let square = |svg: &mut Svg, fill: Fill| {
            let square = svg.start("rect").px("x", left).px("y", middle - 5.5);
            let square = square.set("width", 11).set("height", 11).set("rx", 2);
            match fill {
                Fill::Class(class) => square.set("class", class).alone(),
                Fill::Pattern(id) => square.set("fill", format_args!("url(#{id})")).alone(),
            }
        };
        match (self.of, looks.kind) {
            (Of::Rest, _) => {}
            (Of::Gaps, _) => square(svg, Fill::Pattern(gaps::pattern_id(looks.id))),
            (Of::Series(series), Kind::Line | Kind::Area) => {
                let line = format!("M{} {middle}h13", left.round());
                svg.start("path")
                    .set("class", "line")
                    .set("d", line)
                    .alone();
                if looks.style == Style::Static {
                    let x = left.round() + 6.5;
                    kinds::marks(svg, series, looks.style, &[Point { x, y: middle }]);
                }
            }
            (Of::Series(series), _) if looks.style == Style::Static => {
                square(svg, Fill::Pattern(palette::texture_id(looks.id, series)));
            }
            (Of::Series(_), _) => square(svg, Fill::Class("swatch")),
        }
    }
}

enum Fill {
    Class(&'static str),
    Pattern(String),
}
