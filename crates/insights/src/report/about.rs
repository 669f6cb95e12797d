//! What stands around the rows wherever people read them: period, hubs, choices, age of the data.

use super::value::{Reader, local, zone};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use store::report::{Answer, HubOfAnswer, Kind, ReportColumn};

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

/// Whom an answer or a question is about; everybody, if it says nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom<'a> {
    /// Only this person.
    pub user: Option<&'a str>,
    /// Only members of this group.
    pub group: Option<&'a str>,
}

impl<'a> Whom<'a> {
    /// Whom an answer is about.
    pub fn of(answer: &'a Answer) -> Self {
        Self {
            user: answer.user.as_deref(),
            group: answer.group.as_deref(),
        }
    }

    /// As this reader says it, or as anybody does; `None` for everybody.
    pub fn in_words(self, reader: Option<&str>) -> Option<String> {
        let user = self.user.map(|user| match reader {
            Some(reader) if reader == user => "you".to_owned(),
            _ => visible(user),
        });
        match (user, self.group.map(visible)) {
            (None, None) => None,
            (Some(user), None) => Some(user),
            (None, Some(group)) => Some(format!("members of {group}")),
            (Some(user), Some(group)) => Some(format!("{user} as a member of {group}")),
        }
    }
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
    group.chain(user).chain(parameters(answer)).collect()
}

/// What of it the report lets choose.
pub(super) fn parameters(answer: &Answer) -> Vec<String> {
    let chosen = answer.chosen.iter();
    let chosen = chosen.filter(|chosen| chosen.text != "nothing");
    let chosen = chosen.map(|chosen| parameter(&chosen.name, &chosen.text));
    chosen.collect()
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

/// Most rows of a page or text: a browser gets slow, and nobody reads on.
pub(super) const MOST_ROWS: usize = 5000;

/// Says that there are no rows, and why, as far as that is plain.
pub(super) fn nothing(answer: &Answer) -> String {
    let text = "There is nothing to show.";
    match answer.report.usual_months {
        Some(usual) if answer.from > usual.before(answer.to) => {
            format!("{text} This report is usually about {usual}; the period is shorter.")
        }
        _ => text.to_owned(),
    }
}

/// Says that there are more rows than a page or text shows.
pub(super) fn more_rows(answer: &Answer, most: usize) -> Option<String> {
    let left = left_out(answer.table.n_rows(), most)?;
    let rows = if left == 1 { "row" } else { "rows" };
    Some(format!(
        "… {left} more {rows}; ask for CSV or Parquet to have them all."
    ))
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

/// What names between backticks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Columns, where there are such: in the report's own words.
    Columns,
    /// Values: an account may be called as a column is.
    Values,
}

impl Quotes {
    /// Those of a caveat: the report's own, or one that was written about this answer.
    pub(super) fn of_caveat(answer: &Answer, caveat: &str) -> Self {
        if answer.report.caveats.iter().any(|own| own == caveat) {
            Self::Columns
        } else {
            Self::Values
        }
    }

    /// Those of what is said of a column: of one of texts it says which there are.
    pub(super) fn of_column(column: &ReportColumn) -> Self {
        match column.kind {
            Kind::Text | Kind::Name => Self::Values,
            _ => Self::Columns,
        }
    }
}

/// The parts of a definition or a caveat.
pub(super) fn pieces(reader: &Reader<'_>, quotes: Quotes, text: &str) -> Vec<Piece> {
    let text = visible(text);
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, quoted)) = rest.split_once('`') {
        let Some((name, after)) = quoted.split_once('`') else {
            break;
        };
        push(&mut pieces, Look::Plain, before);
        // Nobody speaks of the column of hubs, which is hidden where there is one only.
        let is_column = quotes == Quotes::Columns && name != "hub";
        match reader.column(name).filter(|_| is_column) {
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
        let text = "`users` of `hub`, `left";
        let shown = |quotes| {
            let pieces = pieces(&reader, quotes, text).into_iter();
            pieces
                .map(|piece| (piece.look, piece.text))
                .collect::<Vec<_>>()
        };
        let expected = |look, users: &str| {
            let pieces = [
                (look, users),
                (Look::Plain, " of "),
                (Look::Code, "hub"),
                (Look::Plain, ", `left"),
            ];
            pieces.map(|(look, text)| (look, text.to_owned()))
        };
        assert_eq!(shown(Quotes::Columns), expected(Look::Column, "Users"));
        assert_eq!(shown(Quotes::Values), expected(Look::Code, "users"));
    }

    #[test]
    fn only_the_reports_own_caveats_speak_of_columns() {
        let mut answer = super::super::tests::names();
        answer.caveats = answer.report.caveats.clone();
        answer.caveats.push("Left out: `user`.".to_owned());
        let quotes = answer
            .caveats
            .iter()
            .map(|caveat| Quotes::of_caveat(&answer, caveat));
        assert_eq!(
            quotes.collect::<Vec<_>>(),
            [Quotes::Columns, Quotes::Values]
        );
    }

    #[test]
    fn an_answer_of_too_short_a_period_says_why_it_has_no_rows() {
        let mut answer = super::super::tests::days();
        let mut report = (*answer.report).clone();
        report.usual_months = Some("12 months".parse().unwrap());
        answer.report = std::sync::Arc::new(report);
        let said = "There is nothing to show. This report is usually about 12 whole months and the one \
            that runs; the period is shorter.";
        assert_eq!(nothing(&answer), said);
        answer.from = date(2025, 3, 1);
        assert_eq!(nothing(&answer), "There is nothing to show.");
    }

    #[test]
    fn whom_it_is_about_is_said_as_the_reader_says_it() {
        let said = |user, group, reader| {
            let whom = Whom { user, group };
            whom.in_words(reader).unwrap_or_default()
        };
        assert_eq!(said(None, None, Some("ada")), "");
        assert_eq!(said(Some("ada"), None, Some("ada")), "you");
        assert_eq!(said(Some("ada"), None, Some("ben")), "ada");
        assert_eq!(said(Some("a\u{7}"), None, None), "a\\u{7}");
        assert_eq!(said(None, Some("lab"), Some("lab")), "members of lab");
        let both = said(Some("ada"), Some("lab"), Some("ada"));
        assert_eq!(both, "you as a member of lab");
    }

    #[test]
    fn choices_of_the_reader_are_words() {
        assert_eq!(parameter("some_option", "a\u{7}"), "some option a\\u{7}");
    }
}
