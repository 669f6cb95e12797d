//! Numbers of the present, each with its definition, its source and its age.

use super::view::{Bar, Card, Link, Number, Used};
use crate::chart::Unit;
use crate::chart::number::SPACE;
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
    let mut card = of_text(meaning, text, at, None);
    // The number alone is large; both together are wider than a card.
    if let Some((number, unit)) = card.number.text.rsplit_once(SPACE) {
        card.number.unit = unit.to_owned();
        card.number.text = number.to_owned();
    }
    card
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

/// What a server is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Given {
    /// It gets no more.
    AtMost(f64),
    /// It asked for so much, which is kept for it, and may take more.
    Requested(f64),
    /// Nobody knows, or nothing.
    Unknown,
}

impl Given {
    /// A limit says more than a request.
    pub(super) fn of(limit: Option<f64>, requested: Option<f64>) -> Self {
        let known = |value: &f64| *value > 0.0;
        match (limit.filter(known), requested.filter(known)) {
            (Some(limit), _) => Self::AtMost(limit),
            (None, Some(requested)) => Self::Requested(requested),
            (None, None) => Self::Unknown,
        }
    }
}

/// What is used, beside what is given. Only of a limit it is a part: more than what was asked for may be
/// used.
pub(super) fn used(value: Option<f64>, given: Given, unit: &Unit) -> Option<Used> {
    let value = value?;
    let plain = unit.format(value);
    let mut used = Used {
        text: plain,
        value,
        beside: String::new(),
        bar: None,
    };
    match given {
        Given::AtMost(limit) => {
            used.text = of_limit(&used.text, &unit.format(limit));
            used.bar = Some(Bar::of_limit(value / limit));
        }
        Given::Requested(requested) => {
            used.beside = format!("{} requested", unit.format(requested));
        }
        Given::Unknown => {}
    }
    Some(used)
}

/// Amount and limit, with a unit that both have said once.
fn of_limit(value: &str, limit: &str) -> String {
    match (value.rsplit_once(SPACE), limit.rsplit_once(SPACE)) {
        (Some((value, unit)), Some((_, of))) if unit == of => format!("{value} of {limit}"),
        _ => format!("{value} of {limit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_no_limit() {
        let gib = f64::powi(1024.0, 3);
        let memory = |given| used(Some(2.1 * gib), given, &Unit::Bytes).unwrap();
        let text = |used: &Used| used.text.replace(SPACE, " ");
        let requested = memory(Given::of(None, Some(gib)));
        assert_eq!(text(&requested), "2.1 GiB");
        assert_eq!(requested.beside.replace(SPACE, " "), "1.0 GiB requested");
        assert!(requested.bar.is_none());
        let limited = memory(Given::of(Some(4.0 * gib), Some(gib)));
        assert_eq!(text(&limited), "2.1 of 4.0 GiB");
        assert!(limited.bar.is_some());
        let alone = memory(Given::of(Some(0.0), None));
        assert_eq!(text(&alone), "2.1 GiB");
        assert!(alone.bar.is_none());
    }

    #[test]
    fn a_unit_is_said_once() {
        let text = |value, limit, unit| used(Some(value), Given::AtMost(limit), unit).unwrap().text;
        let plain = |text: String| text.replace(SPACE, " ");
        assert_eq!(plain(text(0.001, 4.0, &Unit::Cores)), "<0.01 of 4.00 cores");
        let gib = f64::powi(1024.0, 3);
        assert_eq!(
            plain(text(1.5 * gib, 4.0 * gib, &Unit::Bytes)),
            "1.5 of 4.0 GiB"
        );
        assert_eq!(
            plain(text(gib / 8.0, 4.0 * gib, &Unit::Bytes)),
            "128.0 MiB of 4.0 GiB"
        );
        let card = measured(&MEANING, Some(0.001), &Unit::Cores, None);
        assert_eq!((&*card.number.text, &*card.number.unit), ("<0.01", "cores"));
    }

    const MEANING: Meaning = Meaning::of_hub("CPU", "Cores.");

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
