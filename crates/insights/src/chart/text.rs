//! How much room text takes. The server knows no fonts, so this is an estimate that is rather too
//! wide: what is cut with `…` stands in full in a `<title>`.

use super::markup::Svg;

/// Names, the legend, and the labels of axes.
pub(super) const SMALL: f64 = 11.0;
/// The same, where it is read first.
pub(super) const NORMAL: f64 = 12.0;
/// The title of a static chart.
pub(super) const LARGE: f64 = 15.0;

/// About how wide a text is, in pixels.
pub(super) fn width(text: &str, font: f64) -> f64 {
    text.chars().map(ems).sum::<f64>() * font
}

/// In parts of the font's size: Helvetica's widths in classes, a tenth wider for other fonts.
fn ems(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '\u{a0}' => 0.31,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' | '"' => 0.40,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 0.95,
        'A'..='Z' | '+' | '=' | '<' | '>' | '~' | '#' | '&' | '_' => 0.74,
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' => 0.0,
        '\u{1100}'.. => 1.1,
        // A replacement character is shown instead.
        _ if c.is_control() => 1.1,
        _ if c.is_uppercase() => 0.78,
        _ => 0.61,
    }
}

/// A text that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// What is shown.
    pub(super) shown: String,
    /// All of it, where something was cut off.
    pub(super) full: Option<String>,
}

/// A text that takes at most this width.
pub(super) fn cut(text: &str, font: f64, room: f64) -> Cut {
    // A room that was made for the text is not too small by its last bit.
    if width(text, font) <= room + 0.01 {
        let (shown, full) = (text.to_owned(), None);
        return Cut { shown, full };
    }
    let mut left = room - width("…", font);
    let fits = |c: &char| {
        left -= ems(*c) * font;
        left >= 0.0
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    shown.truncate(shown.trim_end().len());
    shown.push('…');
    let full = Some(text.to_owned());
    Cut { shown, full }
}

/// On which side of its place a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Where and how a text is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) class: &'static str,
    pub(super) x: f64,
    /// Of the line on which the letters stand.
    pub(super) y: f64,
    pub(super) anchor: Anchor,
}

/// Writes a text.
pub(super) fn write(svg: &mut Svg, spot: Spot, text: &Cut) {
    let start = svg.start("text").set("class", spot.class);
    let start = start.px("x", spot.x).px("y", spot.y);
    let start = match spot.anchor {
        Anchor::Start => start,
        Anchor::Middle => start.set("text-anchor", "middle"),
        Anchor::End => start.set("text-anchor", "end"),
    };
    let Some(full) = &text.full else {
        start.holding(&text.shown);
        return;
    };
    start.inside();
    svg.plain(&text.shown);
    svg.text("title", full);
    svg.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_kept_in_full() {
        let name = "wilhelmina-charlotte-caroline";
        let short = cut(name, NORMAL, 90.0);
        assert_eq!(short.shown, "wilhelmina-…");
        assert_eq!(short.full.as_deref(), Some(name));
        assert!(width(&short.shown, NORMAL) <= 90.0);
    }

    #[test]
    fn a_short_text_stays() {
        let short = cut("ada", NORMAL, 90.0);
        assert_eq!(short.shown, "ada");
        assert_eq!(short.full, None);
        assert_eq!(cut("ada", NORMAL, 3.0).shown, "…");
    }
}
