//! Writes elements. All text and every attribute is escaped on the way in, by the escaper of the
//! pages; characters that XML does not allow become a replacement character.

use askama::filters::{Escaper, Html};
use std::fmt::{self, Display, Write};

/// An SVG that is being written.
#[derive(Default)]
pub(super) struct Svg {
    text: String,
    open: Vec<&'static str>,
}

impl Svg {
    /// Starts an element.
    pub(super) fn start(&mut self, tag: &'static str) -> Start<'_> {
        self.text.push('<');
        self.text.push_str(tag);
        Start { svg: self, tag }
    }

    /// Ends the innermost element.
    pub(super) fn end(&mut self) {
        if let Some(tag) = self.open.pop() {
            self.close(tag);
        }
    }

    /// An element of nothing but text.
    pub(super) fn text(&mut self, tag: &'static str, text: &str) {
        self.start(tag).holding(text);
    }

    /// Text inside the innermost element.
    pub(super) fn plain(&mut self, text: &str) {
        escape(&mut self.text, text);
    }

    /// An SVG that is finished, inside the innermost element.
    pub(super) fn finished(&mut self, svg: &str) {
        self.text.push_str(svg);
    }

    /// The text of all of it.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.text
    }

    fn close(&mut self, tag: &'static str) {
        self.text.push_str("</");
        self.text.push_str(tag);
        self.text.push('>');
    }
}

/// An element whose attributes are being written.
#[must_use = "an element has to be finished with `alone`, `inside` or `holding`"]
pub(super) struct Start<'a> {
    svg: &'a mut Svg,
    tag: &'static str,
}

impl Start<'_> {
    pub(super) fn set(self, name: &'static str, value: impl Display) -> Self {
        self.svg.text.push(' ');
        self.svg.text.push_str(name);
        self.svg.text.push_str("=\"");
        escape(&mut self.svg.text, value);
        self.svg.text.push('"');
        self
    }

    /// A place or a length.
    pub(super) fn px(self, name: &'static str, value: f64) -> Self {
        self.set(name, Px(value))
    }

    /// There is nothing inside.
    pub(super) fn alone(self) {
        self.svg.text.push_str("/>");
    }

    /// What follows is inside, until `Svg::end`.
    pub(super) fn inside(self) {
        self.svg.text.push('>');
        self.svg.open.push(self.tag);
    }

    /// There is only text inside.
    pub(super) fn holding(self, text: impl Display) {
        self.svg.text.push('>');
        escape(&mut self.svg.text, text);
        self.svg.close(self.tag);
    }
}

/// A place or a length with one decimal; a tenth of a pixel cannot be seen.
pub(super) struct Px(pub(super) f64);

impl Px {
    /// The number as it is written.
    pub(super) fn rounded(self) -> f64 {
        (self.0 * 10.0).round() / 10.0 + 0.0
    }
}

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = Self(self.0).rounded();
        debug_assert!(rounded.is_finite(), "a place in a chart is no number");
        // The shortest text that gives the number again has at most one decimal.
        write!(f, "{rounded}")
    }
}

fn escape(text: &mut String, value: impl Display) {
    // Writing to a string does not fail.
    let _ = write!(Escaping(text), "{value}");
}

struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for allowed in part.split_inclusive(is_forbidden) {
            let clean = allowed.trim_end_matches(is_forbidden);
            Html.write_escaped_str(&mut *self.0, clean)?;
            if clean.len() < allowed.len() {
                self.0.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(())
    }
}

/// What an XML file cannot say, not even escaped.
fn is_forbidden(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut svg = Svg::default();
        svg.start("text").set("class", text).holding(text);
        let written = format!("<text class=\"{expected}\">{expected}</text>");
        assert_eq!(svg.finish(), written);
    }

    #[test]
    fn what_has_a_meaning_in_xml_is_escaped() {
        check("ada", "ada");
        check("<script>", "&#60;script&#62;");
        check("\"&'", "&#34;&#38;&#39;");
        check("]]>", "]]&#62;");
        check("&amp;", "&#38;amp;");
        check("Zoë 漢字 🙂", "Zoë 漢字 🙂");
    }

    #[test]
    fn what_xml_cannot_say_is_replaced() {
        check("a\0b\u{1b}\u{7f}", "a\u{fffd}b\u{fffd}\u{fffd}");
        check("\u{ffff}<", "\u{fffd}&#60;");
    }

    #[test]
    fn places_have_at_most_one_decimal() {
        let text = |px| Px(px).to_string();
        assert_eq!(text(12.0), "12");
        assert_eq!(text(12.34), "12.3");
        assert_eq!(text(0.1 + 0.2), "0.3");
        assert_eq!(text(-0.01), "0");
        assert_eq!(text(9999.96), "10000");
    }
}
