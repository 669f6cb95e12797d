//! Numbers of the present, each with its definition, its source and its age.

use super::view::{Bar, Card, Link, Number, Used};
use crate::chart::Unit;
use jiff::Timestamp;

/// Where the present is read.
const HUB: &str = "the hub's list of servers";

/// What a number of the present is.
pub(super) struct Meaning {
    pub(super) title: &'static str,
    pub(super) definition: &'static str,
    pub(super) source: &'static str,
}

impl Meaning {
    /// A number that the hub tells.
    pub(super) const fn of_hub(title: &'static str, definition: &'static str) -> Self {
        Self {
            title,
            definition,
            source: HUB,
        }
    }
}

/// A count, or that it is not known.
pub(super) fn card(
    meaning: &Meaning,
    count: Option<usize>,
    at: Option<Timestamp>,
    more: Option<Link>,
) -> Card {
    let text = count.map_or("–".to_owned(), grouped);
    of_text(meaning, text, at, more)
}

/// A measure as people read it, or that it is not known.
pub(super) fn measured(
    meaning: &Meaning,
    value: Option<f64>,
    unit: &Unit,
    at: Option<Timestamp>,
) -> Card {
    let text = value.map_or("–".to_owned(), |value| unit.format(value));
    of_text(meaning, text, at, None)
}

fn of_text(meaning: &Meaning, text: String, at: Option<Timestamp>, more: Option<Link>) -> Card {
    Card {
        title: meaning.title.to_owned(),
        number: Number {
            text,
            unit: String::new(),
            definition: meaning.definition.to_owned(),
            source: meaning.source.to_owned(),
            at,
        },
        unit: String::new(),
        change: None,
        more,
    }
}

/// With commas between thousands.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What is used, of what may be used if that is known.
pub(super) fn used(value: Option<f64>, limit: Option<f64>, unit: &Unit) -> Option<Used> {
    let value = value?;
    let limit = limit.filter(|limit| *limit > 0.0);
    let text = match limit {
        Some(limit) => format!("{} of {}", unit.format(value), unit.format(limit)),
        None => unit.format(value),
    };
    Some(Used {
        text,
        value,
        bar: limit.map(|limit| Bar::of_limit(value / limit)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ];
        for (count, text) in cases {
            assert_eq!(grouped(count), text);
        }
    }
}
