//! Names of columns as people read them: `memory_peak_bytes` is `Memory peak`.

use super::about::visible;
use super::value::unit;
use store::report::{Answer, Kind, ReportColumn};

/// What stands above a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) label: String,
    /// The unit, if neither the label nor the values say it.
    pub(super) unit: Option<String>,
}

impl Heading {
    pub(super) fn of(answer: &Answer, column: &ReportColumn) -> Self {
        let name = without_unit(answer, column);
        let words: Vec<&str> = name.split('_').map(word).collect();
        Self {
            label: capital(&words.join(" ")),
            unit: missing_unit(&name, column.kind),
        }
    }
}

/// A column's name without the unit that its values say.
fn without_unit(answer: &Answer, column: &ReportColumn) -> String {
    // What a row is about is a choice of the reader.
    let by = answer.chosen.iter().find(|chosen| chosen.name == "by");
    let name = match (column.name.as_str(), by) {
        ("of", Some(by)) if by.text != "nothing" => visible(&by.text),
        (name, _) => name.to_owned(),
    };
    let short = match column.kind {
        Kind::Bytes => name.strip_suffix("_bytes"),
        Kind::Seconds => name.strip_suffix("_seconds"),
        Kind::Cores => name.strip_suffix("_cores"),
        _ => None,
    };
    short.unwrap_or(&name).to_owned()
}

/// The unit of values without one, if the name does not say it.
pub(super) fn missing_unit(name: &str, kind: Kind) -> Option<String> {
    let unit = unit(kind);
    // A share says it itself.
    let unit = Some(unit.suffix()).filter(|unit| !unit.is_empty() && kind != Kind::Share)?;
    let has = |word: &str| name.split('_').any(|part| part.eq_ignore_ascii_case(word));
    let is_told = unit.split(' ').all(|word| match word {
        "h" => has("hours"),
        word => has(word),
    });
    (!is_told).then(|| unit.to_owned())
}

fn word(word: &str) -> &str {
    match word {
        "cpu" => "CPU",
        "gpu" => "GPU",
        "gib" => "GiB",
        "rx" => "received",
        "tx" => "sent",
        other => other,
    }
}

/// With a capital letter, unless a number follows it, as in `p90`.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first)
            if !letters
                .as_str()
                .starts_with(|next: char| next.is_ascii_digit()) =>
        {
            first.to_uppercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_say_units_that_values_do_not() {
        let cases = [
            ("users", Kind::Count, "Users", None),
            ("cpu_core_hours", Kind::CoreHours, "CPU core hours", None),
            ("memory_gib_hours", Kind::GibHours, "Memory GiB hours", None),
            ("gpu_used_hours", Kind::GpuHours, "GPU used hours", None),
            ("network_rx_bytes", Kind::Bytes, "Network received", None),
            ("p90", Kind::Hours, "p90", Some("h")),
            ("idle", Kind::GpuHours, "Idle", Some("GPU h")),
            ("mean", Kind::Hours, "Mean", Some("h")),
            ("hours_per_week", Kind::Hours, "Hours per week", None),
            ("cpu_used_cores", Kind::Cores, "CPU used", Some("cores")),
            ("median_seconds", Kind::Seconds, "Median", None),
        ];
        let answer = super::super::tests::days();
        for (name, kind, label, unit) in cases {
            let column = ReportColumn {
                name: name.to_owned(),
                kind,
                doc: String::new(),
            };
            let (label, unit) = (label.to_owned(), unit.map(str::to_owned));
            assert_eq!(Heading::of(&answer, &column), Heading { label, unit });
        }
    }
}
