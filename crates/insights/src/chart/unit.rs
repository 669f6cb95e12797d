//! What values are measured in, and how they are written.

/// What values are measured in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Nothing: plain numbers.
    #[default]
    None,
    /// Things that are whole, such as users; the axis has no fractions.
    Count,
    /// Hours, of which there can be thousands.
    Hours,
    /// Seconds, shown as milliseconds, seconds, minutes or hours.
    Seconds,
    /// Bytes, shown as KiB, MiB, GiB, ….
    Bytes,
    /// Bytes times hours, shown in the same way.
    ByteHours,
    /// Cores of processors.
    Cores,
    /// Parts of a hundred; 50 is half.
    Percent,
    /// Parts of one; 0.5 is half.
    Ratio,
    /// Anything else, by the words after the number.
    Other(String),
}

/// Between a number and its unit; no line is broken there.
const SPACE: char = '\u{a0}';
const BYTES: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl Unit {
    /// A value as people read it, with four digits that count.
    pub fn format(&self, value: f64) -> String {
        if !value.is_finite() {
            return "not known".to_owned();
        }
        let size = self.format_size(value.abs());
        if value < 0.0 && size.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
            return format!("−{size}");
        }
        size
    }

    fn format_size(&self, value: f64) -> String {
        let with = |suffix: &str| format!("{}{SPACE}{suffix}", number(value));
        match self {
            Self::None | Self::Count | Self::Ratio => number(value),
            Self::Hours => with("h"),
            Self::Seconds => seconds(value),
            Self::Bytes => bytes(value, ""),
            Self::ByteHours => bytes(value, "\u{a0}h"),
            Self::Cores if number(value) == "1" => with("core"),
            Self::Cores => with("cores"),
            Self::Percent => with("%"),
            Self::Other(unit) => with(unit),
        }
    }

    /// Whether an axis without zero would mislead: amounts, rather than parts of something.
    pub(super) fn is_amount(&self) -> bool {
        !matches!(self, Self::None | Self::Percent | Self::Ratio)
    }

    /// In what an axis is divided that goes so far from zero.
    pub(super) fn measure(&self, farthest: f64) -> Measure {
        let measure = |factor, suffix: &str, steps| Measure {
            factor,
            suffix: suffix.to_owned(),
            steps,
        };
        match self {
            Self::None | Self::Cores | Self::Ratio => measure(1.0, "", Steps::Decimal),
            Self::Count => measure(1.0, "", Steps::Whole),
            Self::Hours => measure(1.0, "\u{a0}h", Steps::Decimal),
            Self::Percent => measure(1.0, "\u{a0}%", Steps::Decimal),
            Self::Other(unit) => measure(1.0, &format!("{SPACE}{unit}"), Steps::Decimal),
            Self::Seconds => match farthest {
                0.0..1.0 => measure(0.001, "\u{a0}ms", Steps::Decimal),
                1.0..=120.0 => measure(1.0, "\u{a0}s", Steps::Sixties),
                120.0..=7200.0 => measure(60.0, "\u{a0}min", Steps::Sixties),
                _ => measure(3600.0, "\u{a0}h", Steps::Decimal),
            },
            Self::Bytes | Self::ByteHours => {
                let scaled = Scaled::of(farthest);
                let hours = if *self == Self::Bytes { "" } else { "\u{a0}h" };
                let suffix = format!("{SPACE}{}{hours}", scaled.name);
                let steps = match (self, scaled.name) {
                    (Self::Bytes, "B") => Steps::Whole,
                    _ => Steps::Decimal,
                };
                measure(scaled.factor, &suffix, steps)
            }
        }
    }
}

/// In what an axis is divided.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    /// How much of the unit one of it is.
    pub(super) factor: f64,
    /// What stands after the number, with its space.
    pub(super) suffix: String,
    pub(super) steps: Steps,
}

/// Which steps an axis may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steps {
    /// 1, 2 or 5 times a power of ten.
    Decimal,
    /// The same from 1 on.
    Whole,
    /// The same below 1, then what divides an hour or a minute.
    Sixties,
}

impl Measure {
    /// The label of a tick, with the decimals that its step needs.
    pub(super) fn label(&self, value: f64, decimals: usize) -> String {
        let value = value / self.factor;
        if value.abs() < 10f64.powi(-12) {
            return "0".to_owned();
        }
        let sign = if value < 0.0 { "−" } else { "" };
        let number = match value.abs() {
            large @ 1e15.. => format!("{large:.2e}"),
            large @ 1e7.. => format!("{}M", decimal(large / 1e6, 1)),
            small if decimals > 6 => format!("{small:.1e}"),
            plain => fixed(plain, decimals),
        };
        format!("{sign}{number}{}", self.suffix)
    }
}

/// Bytes in the largest unit of which there is at least one.
struct Scaled {
    factor: f64,
    name: &'static str,
}

impl Scaled {
    fn of(bytes: f64) -> Self {
        let mut scaled = Self {
            factor: 1.0,
            name: "B",
        };
        for name in BYTES.into_iter().skip(1) {
            if bytes < scaled.factor * 1024.0 {
                break;
            }
            let factor = scaled.factor * 1024.0;
            scaled = Self { factor, name };
        }
        scaled
    }
}

fn bytes(value: f64, hours: &str) -> String {
    let scaled = Scaled::of(value);
    let number = number(value / scaled.factor);
    format!("{number}{SPACE}{}{hours}", scaled.name)
}

fn seconds(value: f64) -> String {
    if value == 0.0 {
        return format!("0{SPACE}s");
    }
    if value < 1.0 {
        return format!("{}{SPACE}ms", number(value * 1000.0));
    }
    if value < 59.95 {
        return format!("{}{SPACE}s", number(value));
    }
    if value < 3599.5 {
        return two_units(value.round(), "min", "s");
    }
    if value < 359_970.0 {
        return two_units((value / 60.0).round(), "h", "min");
    }
    format!("{}{SPACE}h", number(value / 3600.0))
}

/// A whole number of the smaller unit in both, of which the larger has sixty.
fn two_units(smaller: f64, large: &str, small: &str) -> String {
    let (whole, rest) = ((smaller / 60.0).floor(), smaller % 60.0);
    if rest == 0.0 {
        return format!("{whole}{SPACE}{large}");
    }
    format!("{whole}{SPACE}{large} {rest}{SPACE}{small}")
}

/// A number of zero or more, with four digits that count.
fn number(value: f64) -> String {
    match value {
        1e15.. => format!("{value:.2e}"),
        0.0 | 1000.0.. => decimal(value, 0),
        100.0.. => decimal(value, 1),
        10.0.. => decimal(value, 2),
        1.0.. => decimal(value, 3),
        0.1.. => decimal(value, 4),
        0.000_1.. => decimal(value, 6),
        _ => format!("{value:.1e}"),
    }
}

/// With at most so many decimals.
fn decimal(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// With so many decimals, and commas between thousands.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let whole = text.find('.').unwrap_or(text.len());
    let mut grouped = String::with_capacity(text.len() + whole / 3);
    for (place, digit) in text.chars().enumerate() {
        if place > 0 && place < whole && (whole - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unit: &Unit, cases: &[(f64, &str)]) {
        for (value, expected) in cases {
            let text = unit.format(*value).replace(SPACE, " ");
            assert_eq!(text, *expected, "{value} in {unit:?}");
        }
    }

    #[test]
    fn plain_numbers_have_four_digits_that_count() {
        check(
            &Unit::None,
            &[
                (0.0, "0"),
                (0.5, "0.5"),
                (0.123_456, "0.1235"),
                (0.000_123, "0.000123"),
                (3.0, "3"),
                (1.234_56, "1.235"),
                (99.999, "100"),
                (1234.5, "1,234"),
                (1_234_567.0, "1,234,567"),
                (-2.5, "−2.5"),
                (-0.0, "0"),
                (1e20, "1.00e20"),
                (1e-9, "1.0e-9"),
                (f64::NAN, "not known"),
                (f64::INFINITY, "not known"),
            ],
        );
    }

    #[test]
    fn times_are_as_people_say_them() {
        check(
            &Unit::Seconds,
            &[
                (0.0, "0 s"),
                (0.35, "350 ms"),
                (45.25, "45.25 s"),
                (59.99, "1 min"),
                (750.0, "12 min 30 s"),
                (3599.9, "1 h"),
                (5000.0, "1 h 23 min"),
                (720_000.0, "200 h"),
                (-90.0, "−1 min 30 s"),
            ],
        );
        check(&Unit::Hours, &[(1234.0, "1,234 h"), (0.25, "0.25 h")]);
    }

    #[test]
    fn bytes_are_counted_in_1024s() {
        let gib = 1024.0 * 1024.0 * 1024.0;
        check(
            &Unit::Bytes,
            &[
                (0.0, "0 B"),
                (1023.0, "1,023 B"),
                (1536.0, "1.5 KiB"),
                (2.5 * gib, "2.5 GiB"),
                (900.0 * gib, "900 GiB"),
                (2048.0 * gib, "2 TiB"),
            ],
        );
        check(&Unit::ByteHours, &[(2.5 * gib, "2.5 GiB h")]);
    }

    #[test]
    fn other_units_follow_the_number() {
        check(&Unit::Cores, &[(1.0, "1 core"), (2.5, "2.5 cores")]);
        check(&Unit::Percent, &[(99.5, "99.5 %")]);
        check(&Unit::Other("kWh".to_owned()), &[(3.0, "3 kWh")]);
    }
}
