//! What stands around the rows wherever people read them: period, hubs, choices, age of the data.

use super::value::{Reader, local, zone};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use store::report::{Answer, HubOfAnswer};

/// This program, as it signs what it made.
pub(super) const MADE_BY: &str = concat!("jupyterhub-insights ", env!("CARGO_PKG_VERSION"));

/// A day in words: `20 November 2026`.
pub(super) fn day(day: Date) -> String {
    day.strftime("%-d %B %Y").to_string()
}

/// Days in words, without saying month and year twice.
pub(super) fn days(from: Date, to: Date) -> String {
    let start = match (from.year() == to.year(), from.month() == to.month()) {
        _ if from == to => return day(to),
        (true, true) => return format!("{}–{}", from.day(), day(to)),
        (true, false) => from.strftime("%-d %B").to_string(),
        (false, _) => day(from),
    };
    format!("{start} – {}", day(to))
}

/// How many days the period has.
pub(super) fn n_days(answer: &Answer) -> i32 {
    (answer.to - answer.from).get_days() + 1
}

/// The hubs with the zones in which their days are cut.
pub(super) fn hubs(answer: &Answer) -> String {
    let named = |hub: &HubOfAnswer| format!("{} ({})", visible(&hub.name), visible(&hub.zone));
    let all: Vec<String> = answer.hubs.iter().map(named).collect();
    match answer.hubs.len() {
        0 => "none".to_owned(),
        _ => all.join(", "),
    }
}

/// What `hubs` is to be called.
pub(super) fn hub_or_hubs(answer: &Answer) -> &'static str {
    if answer.hubs.len() > 1 { "Hubs" } else { "Hub" }
}

/// What was asked beside period and hub, a few words each.
pub(super) fn choices(answer: &Answer) -> Vec<String> {
    let group = answer
        .group
        .iter()
        .map(|group| format!("members of {}", visible(group)));
    let user = answer
        .user
        .iter()
        .map(|user| format!("only {}", visible(user)));
    let chosen = answer
        .chosen
        .iter()
        .filter(|chosen| chosen.text != "nothing");
    let chosen = chosen.map(|chosen| parameter(&chosen.name, &chosen.text));
    group.chain(user).chain(chosen).collect()
}

fn parameter(name: &str, text: &str) -> String {
    format!("{} {}", name.replace('_', " "), visible(text))
}

/// One line with all of it.
pub(super) fn line(answer: &Answer) -> String {
    let hubs = format!("{} {}", hub_or_hubs(answer).to_lowercase(), hubs(answer));
    let mut parts = vec![days(answer.from, answer.to), hubs];
    parts.extend(choices(answer));
    parts.join(" · ")
}

/// Where the rows come from and how old they are.
pub(super) fn source(answer: &Answer) -> String {
    let mut text = String::from("From the history of ");
    for (index, hub) in answer.hubs.iter().enumerate() {
        let comma = if index == 0 { "" } else { "; " };
        let zone = zone(&hub.zone);
        let read = match hub.read {
            Some(read) => format!("last read {}", local(read, &zone)),
            None => "not read in this period".to_owned(),
        };
        // Writing to a string does not fail.
        let name = visible(&hub.name);
        let _ = write!(text, "{comma}{name} ({}), {read}", visible(&hub.zone));
    }
    if answer.hubs.is_empty() {
        text.push_str("no hub");
    }
    let computed = match &answer.hubs[..] {
        [one] => local(answer.computed, &zone(&one.zone)),
        _ => format!("{} UTC", local(answer.computed, &TimeZone::UTC)),
    };
    let _ = write!(text, "; computed {computed}.");
    text
}

/// How many rows are not shown of those that there are.
pub(super) fn left_out(n_rows: usize, most: usize) -> Option<usize> {
    n_rows.checked_sub(most).filter(|left| *left > 0)
}

/// A text whose control characters are written out: they would move the cursor of a terminal, or
/// turn the words around it.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || turns_or_breaks(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Marks of direction, ends of lines and of paragraphs, and a space that is none.
fn turns_or_breaks(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    )
}

/// A part of a definition or a caveat: they quote names between backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) look: Look,
    pub(super) text: String,
}

/// How a part looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Words.
    Plain,
    /// A column, by its heading.
    Column,
    /// Any other name.
    Code,
}

/// The parts of a definition or a caveat.
pub(super) fn pieces(reader: &Reader<'_>, text: &str) -> Vec<Piece> {
    let text = visible(text);
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, quoted)) = rest.split_once('`') {
        let Some((name, after)) = quoted.split_once('`') else {
            break;
        };
        push(&mut pieces, Look::Plain, before);
        match reader.column(name) {
            Some(column) => push(&mut pieces, Look::Column, &column.label),
            None => push(&mut pieces, Look::Code, name),
        }
        rest = after;
    }
    push(&mut pieces, Look::Plain, rest);
    pieces
}

fn push(pieces: &mut Vec<Piece>, look: Look, text: &str) {
    if !text.is_empty() {
        let text = text.to_owned();
        pieces.push(Piece { look, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_period_says_month_and_year_once() {
        let first = date(2026, 11, 1);
        let cases = [
            (first, first, "1 November 2026"),
            (first, date(2026, 11, 30), "1–30 November 2026"),
            (date(2026, 10, 22), first, "22 October – 1 November 2026"),
            (
                date(2025, 11, 1),
                first,
                "1 November 2025 – 1 November 2026",
            ),
        ];
        for (from, to, expected) in cases {
            assert_eq!(days(from, to), expected);
        }
    }

    #[test]
    fn control_characters_are_written_out() {
        let cases = [
            ("ada", "ada"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("a\u{202e}b\u{2066}c\u{9b}", "a\\u{202e}b\\u{2066}c\\u{9b}"),
            // Half of Persian needs it.
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("山田", "山田"),
        ];
        for (text, expected) in cases {
            assert_eq!(visible(text), expected);
        }
    }

    #[test]
    fn quoted_names_of_columns_become_headings() {
        let answer = super::super::tests::days();
        let reader = Reader::new(&answer);
        let text = "`users` of `test-*`, `left";
        let shown: Vec<(Look, String)> = pieces(&reader, text)
            .into_iter()
            .map(|piece| (piece.look, piece.text))
            .collect();
        let expected = [
            (Look::Column, "Users"),
            (Look::Plain, " of "),
            (Look::Code, "test-*"),
            (Look::Plain, ", `left"),
        ];
        assert_eq!(shown, expected.map(|(look, text)| (look, text.to_owned())));
    }

    #[test]
    fn choices_of_the_reader_are_words() {
        assert_eq!(parameter("some_option", "a\u{7}"), "some option a\\u{7}");
    }
}
