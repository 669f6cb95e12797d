//! Moments and days in a page. The script writes them in the words and the zone of the reader.

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::civil::Date;
use std::fmt;

/// A `<time>`; what it says without the script is plain and in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `22 Nov 2026, 08:13`.
    Moment(Timestamp),
    /// `3 min ago`, with the moment on hover.
    Age(Timestamp),
    /// A day of the hub's calendar, which no zone of a reader moves.
    Day(Date),
}

impl When {
    /// For sorting.
    pub(crate) fn value(self) -> String {
        match self {
            Self::Moment(at) | Self::Age(at) => second(at),
            Self::Day(day) => day.to_string(),
        }
    }

    /// How the script is to write it.
    fn show(self) -> &'static str {
        match self {
            Self::Moment(_) => "moment",
            Self::Age(_) => "age",
            Self::Day(_) => "day",
        }
    }
}

/// A moment as pages say it in attributes.
pub(super) fn second(at: Timestamp) -> String {
    at.strftime("%FT%TZ").to_string()
}

// Digits and our own words only.
impl HtmlSafe for When {}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Moment(at) | Self::Age(at) => at.strftime("%F %H:%M UTC").to_string(),
            Self::Day(day) => day.to_string(),
        };
        let (datetime, show) = (self.value(), self.show());
        write!(
            f,
            r#"<time datetime="{datetime}" data-show="{show}">{text}</time>"#
        )
    }
}
