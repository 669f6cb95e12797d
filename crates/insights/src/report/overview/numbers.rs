//! The rows of the overview: numbers, how they changed, and what is said of them.

use super::Period;
use crate::chart::number::fixed;
use crate::report::about;
use crate::report::heading::capital;
use crate::report::value::{self, UNKNOWN, number};
use store::Cell;
use store::report::Answer;

/// Of so few things nobody speaks in percent.
const FEW: f64 = 20.0;

/// One row of the report.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Number {
    pub(in crate::report) hub: String,
    /// Which one it is.
    pub(in crate::report) key: String,
    pub(in crate::report) title: String,
    pub(in crate::report) value: Option<f64>,
    /// The same of as many days before.
    pub(in crate::report) before: Option<f64>,
    /// A part of what it was before.
    pub(in crate::report) change: Option<f64>,
    /// The same in its unit.
    pub(in crate::report) difference: Option<f64>,
    pub(in crate::report) unit: String,
    /// Name of the report that tells more.
    pub(in crate::report) report: String,
}

/// A number in words: `812` and `people`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Amount {
    pub(in crate::report) number: String,
    pub(in crate::report) unit: String,
}

/// What became of a number, as `4 % more`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) enum Change {
    /// It rose by so much.
    More(String),
    /// It fell by so much.
    Less(String),
    /// It changed by less than people notice.
    Same,
    /// It is not known itself.
    Unknown,
    /// There is nothing to compare it with.
    Alone,
    /// A day of it is not known, or it cannot be said in percent.
    Unsaid,
}

impl Number {
    /// All rows.
    pub(in crate::report) fn all(answer: &Answer) -> Vec<Self> {
        let names: Vec<&str> = answer.table.names().collect();
        let place = |name: &str| names.iter().position(|known| *known == name);
        let rows = answer.table.rows().map(|row| {
            let cell = |name: &str| place(name).and_then(|place| row.get(place));
            let text = |name: &str| match cell(name) {
                Some(Cell::Text(text)) => text.clone(),
                _ => String::new(),
            };
            Self {
                hub: text("hub"),
                key: text("number"),
                title: about::visible(&text("title")),
                value: cell("value").and_then(number),
                before: cell("before").and_then(number),
                change: cell("change").and_then(number),
                difference: cell("difference").and_then(number),
                unit: about::visible(&text("unit")),
                report: text("report"),
            }
        });
        rows.collect()
    }

    /// A value of this number in words.
    pub(in crate::report) fn amount(&self, value: f64) -> Amount {
        let text = value::measured(value, &self.unit);
        if !["share", "bytes", "seconds"].contains(&self.unit.as_str()) {
            return Amount::new(text, &self.unit);
        }
        match text.split_once(' ') {
            Some((number, unit)) if !unit.contains(' ') => Amount::new(number.to_owned(), unit),
            _ => Amount::new(text, ""),
        }
    }

    /// Of parts of a whole and of few things the difference, of everything else the part by which it
    /// changed.
    pub(in crate::report) fn change(&self) -> Change {
        let before = match (self.value, self.before) {
            (Some(_), Some(before)) => before,
            (Some(_), None) => return Change::Alone,
            (None, _) => return Change::Unknown,
        };
        match (self.difference, self.change) {
            (Some(difference), _) if self.unit == "share" => {
                self.changed(difference * 100.0, "points")
            }
            (Some(difference), _) if self.is_countable() && before < FEW => {
                self.changed_by_a_few(difference)
            }
            (_, Some(change)) => self.changed(change * 100.0, "%"),
            _ => Change::Unsaid,
        }
    }

    /// Whether the change is that of a part of the period: today is not over, and left out of it.
    fn is_of_part(&self) -> bool {
        let all = self
            .value
            .zip(self.before)
            .map(|(now, before)| now - before);
        let size = self.value.unwrap_or_default().abs().max(1.0);
        let differ = |(all, part): (f64, f64)| (all - part).abs() > size * 1e-9;
        all.zip(self.difference).is_some_and(differ)
    }

    /// What became of it, on a card.
    pub(in crate::report) fn change_in_words(&self) -> String {
        let words = self.change().words();
        if self.is_of_part() && !words.is_empty() {
            return format!("{words} without today");
        }
        words
    }

    /// What became of it, at the end of a sentence.
    fn tail(&self, before: &str) -> String {
        let (part, before) = if self.is_of_part() {
            (" without today,", "in as many days before")
        } else {
            ("", before)
        };
        match self.change() {
            Change::More(words) | Change::Less(words) => format!(",{part} {words} than {before}"),
            Change::Same => format!(",{part} the same as {before}"),
            Change::Unknown | Change::Alone | Change::Unsaid => String::new(),
        }
    }

    fn changed(&self, change: f64, unit: &str) -> Change {
        let size = change.abs();
        let decimals = usize::from(unit == "points" || size < 0.95);
        let size_in_words = format!("{}\u{a0}{unit}", fixed(size, decimals));
        match change {
            _ if !change.is_finite() => Change::Unsaid,
            _ if size < 0.05 => Change::Same,
            0.0.. => Change::More(format!("{size_in_words} more")),
            _ if self.is_countable() => Change::Less(format!("{size_in_words} fewer")),
            _ => Change::Less(format!("{size_in_words} less")),
        }
    }

    fn changed_by_a_few(&self, difference: f64) -> Change {
        let size = value::measured(difference.abs(), &self.unit);
        match difference {
            0.0 => Change::Same,
            0.0.. => Change::More(format!("{size} more")),
            _ => Change::Less(format!("{size} fewer")),
        }
    }

    fn is_countable(&self) -> bool {
        let is_measure = ["share", "bytes", "seconds", ""].contains(&self.unit.as_str());
        !is_measure && !self.unit.ends_with("hours")
    }

    /// Whether the unit would only repeat the title.
    pub(in crate::report) fn title_says_unit(&self) -> bool {
        self.title
            .to_lowercase()
            .contains(&self.unit.to_lowercase())
    }
}

impl Amount {
    fn new(number: String, unit: &str) -> Self {
        let unit = unit.to_owned();
        Self { number, unit }
    }

    /// No number.
    pub(super) fn unknown() -> Self {
        Self::new(UNKNOWN.to_owned(), "")
    }

    /// Whether there is room for the unit beside the number.
    pub(super) fn is_short(&self) -> bool {
        self.unit.chars().count() <= 3
    }

    /// The number with its unit if that is short.
    pub(in crate::report) fn short(&self) -> String {
        if self.is_short() && !self.unit.is_empty() {
            return format!("{}\u{a0}{}", self.number, self.unit);
        }
        self.number.clone()
    }

    /// The number with its unit.
    fn long(&self) -> String {
        let unit = if self.number == "1" {
            one(&self.unit)
        } else {
            &self.unit
        };
        format!("{} {unit}", self.number).trim_end().to_owned()
    }
}

fn one(unit: &str) -> &str {
    match unit {
        "people" => "person",
        unit => unit.strip_suffix('s').unwrap_or(unit),
    }
}

impl Change {
    /// An arrow; colours would judge, and some people do not see them.
    pub(in crate::report) fn sign(&self) -> &'static str {
        match self {
            Self::More(_) => "▲",
            Self::Less(_) => "▼",
            Self::Same => "=",
            Self::Unknown | Self::Alone | Self::Unsaid => "",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::More(words) | Self::Less(words) => words.clone(),
            Self::Same => "no change".to_owned(),
            Self::Unknown => "not known".to_owned(),
            Self::Alone => "nothing to compare with".to_owned(),
            Self::Unsaid => String::new(),
        }
    }
}

/// What is said of a number: `{}` is the number with its unit, `{n}` the number alone.
struct Saying {
    key: &'static str,
    words: &'static str,
}

const fn saying(key: &'static str, words: &'static str) -> Saying {
    Saying { key, words }
}

/// Of people, and of what they used.
const PARAGRAPHS: [&[Saying]; 2] = [
    &[
        saying("users", "{} used the hub"),
        saying("new-users", "{} joined"),
        saying("groups", "people of {} took part"),
    ],
    &[
        saying("sessions", "people started {}"),
        saying("hours", "servers ran for {n} hours in all"),
        saying("peak", "at most {} ran at once"),
        saying("cpu", "programs used {} of processor time"),
        saying("gpu", "GPUs were held for {n} hours"),
    ],
];

/// The numbers that are known, as sentences. Nothing is said of nothing, unless nobody came.
pub(super) fn paragraphs(numbers: &[&Number], period: &Period) -> Vec<String> {
    let mut start = Some(period);
    let paragraphs = PARAGRAPHS.iter().map(|sayings| {
        let sentences = sayings.iter().filter_map(|saying| {
            let number = numbers.iter().find(|number| number.key == saying.key)?;
            let value = number
                .value
                .filter(|value| *value != 0.0 || number.key == "users")?;
            let amount = number.amount(value);
            let words = saying.words.replacen("{}", &amount.long(), 1);
            let words = words.replacen("{n}", &amount.number, 1);
            Some(match start.take() {
                Some(period) => {
                    let tail = number.tail(&period.before);
                    format!("{}, {words}{tail}.", period.now)
                }
                None => format!("{}{}.", capital(&words), number.tail("before")),
            })
        });
        sentences.collect::<Vec<_>>().join(" ")
    });
    paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .collect()
}
