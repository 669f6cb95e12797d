//! Numbers that can say what they mean, where they come from and how old they are.

use super::layout::{Link, Tone};
use super::time::second;
use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;

/// A number; the script shows the rest on hover and on focus.
#[derive(Clone, Debug, Template)]
#[template(path = "number.html")]
pub(crate) struct Number {
    /// Rounded for people: `1,234`; `–` if it is not known.
    pub(crate) text: String,
    /// Beside it, if it is short: `h`. May be empty.
    pub(crate) unit: String,
    /// How it is counted.
    pub(crate) definition: String,
    /// Where it comes from: `report “Sessions”, history of physics`.
    pub(crate) source: String,
    /// When that was read; `None` if never.
    pub(crate) at: Option<Timestamp>,
}

impl HtmlSafe for Number {}

impl Number {
    fn moment(&self) -> String {
        self.at.map(second).unwrap_or_default()
    }
}

/// One of the ten, or of a few, with its change.
#[derive(Clone, Debug, Template)]
#[template(path = "card.html")]
pub(crate) struct Card {
    /// What is counted.
    pub(crate) title: String,
    /// How many.
    pub(crate) number: Number,
    /// A long unit, below the number; may be empty.
    pub(crate) unit: String,
    /// Against the time before.
    pub(crate) change: Option<Change>,
    /// The report that tells more.
    pub(crate) more: Option<Link>,
}

impl HtmlSafe for Card {}

/// How a number changed, in words, since nobody should have to see a colour.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// `▲`, `▼`, or nothing.
    pub(crate) sign: &'static str,
    /// `12 % more`.
    pub(crate) text: String,
    /// What it is compared with, as `1,204 in the 30 days before`; may be empty.
    pub(crate) against: String,
    /// Whether that is good; mostly nobody can say.
    pub(crate) tone: Tone,
}

/// A fact with its name, in a list of such.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<div><dt>{{ name }}</dt><dd>{{ number }}{% if let Some(bar) = bar %}{{ bar }}{% endif %}</dd></div>"#
)]
pub(crate) struct Fact {
    /// What it is.
    pub(crate) name: String,
    /// The number that it is.
    pub(crate) number: Number,
    /// How much of a limit that is.
    pub(crate) bar: Option<Bar>,
}

impl HtmlSafe for Fact {}

/// A share as a bar. It says nothing to those who cannot see it: the words beside it do.
#[derive(Clone, Copy, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<svg class="bar {{ tone.class() }}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="8"/>{% if let Some(width) = self.promised_width() %}<rect class="promised" width="{{ width }}" height="8"/>{% endif %}<rect class="fill" width="{{ self.width() }}" height="8"/></svg>"#
)]
pub(crate) struct Bar {
    /// Of 1.
    pub(crate) share: f64,
    /// What was asked for and may not be used; a lighter part behind it.
    pub(crate) promised: Option<f64>,
    /// Its colour.
    pub(crate) tone: Tone,
}

impl HtmlSafe for Bar {}

impl Bar {
    /// The share of a limit: a warning from nine tenths on.
    pub(crate) fn of_limit(share: f64) -> Self {
        Self {
            share,
            promised: None,
            tone: if share >= 0.9 {
                Tone::Warning
            } else {
                Tone::Plain
            },
        }
    }

    fn width(self) -> String {
        percent(self.share)
    }

    fn promised_width(self) -> Option<String> {
        self.promised.map(percent)
    }
}

/// Within the picture, with one decimal.
fn percent(share: f64) -> String {
    let percent = if share.is_finite() {
        share.clamp(0.0, 1.0) * 100.0
    } else {
        0.0
    };
    format!("{percent:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_in_their_picture() {
        let cases = [
            (0.256, "25.6"),
            (-1.0, "0.0"),
            (7.0, "100.0"),
            (f64::NAN, "0.0"),
        ];
        for (share, expected) in cases {
            assert_eq!(percent(share), expected);
        }
    }
}
