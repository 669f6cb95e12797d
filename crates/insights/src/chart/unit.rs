//! What values are measured in, and in what an axis of them is divided.

use super::number::{self, BYTES, SPACE, fixed, rounded};

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
    /// Cores of processors.
    Cores,
    /// Parts of a hundred; 50 is half.
    Percent,
    /// Anything else, by the words after the number.
    Other(String),
}

impl Unit {
    /// A value as people read it.
    pub fn format(&self, value: f64) -> String {
        if !value.is_finite() {
            return "not known".to_owned();
        }
        let number = self.number(value);
        match self.suffix() {
            "" => number,
            suffix => format!("{number}{SPACE}{suffix}"),
        }
    }

    /// The same without [`Self::suffix`], with the decimals that values of this unit have.
    pub(crate) fn number(&self, value: f64) -> String {
        match self {
            Self::Count => fixed(value, 0),
            Self::None | Self::Cores => rounded(value, 2),
            Self::Hours | Self::Percent | Self::Other(_) => rounded(value, 1),
            Self::Seconds => number::seconds(value),
            Self::Bytes => number::bytes(value),
        }
    }

    /// What stands behind every number of this unit; nothing where it depends on the number.
    pub(crate) fn suffix(&self) -> &str {
        match self {
            Self::None | Self::Count | Self::Seconds | Self::Bytes => "",
            Self::Hours => "h",
            Self::Cores => "cores",
            Self::Percent => "%",
            Self::Other(unit) => unit,
        }
    }

    /// Whether an axis without zero would mislead: amounts, rather than parts of something.
    pub(super) fn is_amount(&self) -> bool {
        !matches!(self, Self::None | Self::Percent)
    }

    /// In what an axis is divided that goes so far from zero.
    pub(super) fn measure(&self, farthest: f64) -> Measure {
        let measure = |factor, suffix: &str, steps| Measure {
            factor,
            suffix: suffix.to_owned(),
            steps,
        };
        match self {
            Self::Seconds => match farthest {
                0.0..1.0 => measure(0.001, "\u{a0}ms", Steps::Decimal),
                1.0..=120.0 => measure(1.0, "\u{a0}s", Steps::Sixties),
                120.0..=7200.0 => measure(60.0, "\u{a0}min", Steps::Sixties),
                _ => measure(3600.0, "\u{a0}h", Steps::Decimal),
            },
            Self::Bytes => {
                let scaled = Scaled::of(farthest);
                let is_whole = scaled.name == BYTES[0];
                measure(
                    scaled.factor,
                    &format!("{SPACE}{}", scaled.name),
                    Steps::of(is_whole),
                )
            }
            // The words beside the axis say it: it would not fit behind each number.
            Self::Cores => measure_of_numbers(farthest, "", Steps::Decimal),
            _ => measure_of_numbers(farthest, self.suffix(), Steps::of(*self == Self::Count)),
        }
    }
}

/// Plain numbers, all in millions where the farthest one is long.
fn measure_of_numbers(farthest: f64, unit: &str, steps: Steps) -> Measure {
    let (factor, millions) = if farthest < 1e7 {
        (1.0, "")
    } else {
        (1e6, "M")
    };
    let space = if unit.is_empty() { "" } else { "\u{a0}" };
    let suffix = format!("{millions}{space}{unit}");
    Measure {
        factor,
        suffix,
        steps,
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

impl Steps {
    fn of(is_whole: bool) -> Self {
        if is_whole { Self::Whole } else { Self::Decimal }
    }
}

impl Measure {
    /// The label of a tick, with the decimals that its step needs.
    pub(super) fn label(&self, value: f64, decimals: usize) -> String {
        let value = value / self.factor;
        if value.abs() < 10f64.powi(-12) {
            return "0".to_owned();
        }
        let number = if decimals > 6 && value.abs() < 1e15 {
            format!("{value:.1e}").replace('-', "−")
        } else {
            fixed(value, decimals)
        };
        format!("{number}{}", self.suffix)
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
    fn values_have_the_decimals_of_their_unit() {
        check(&Unit::None, &[(3.0, "3.00"), (f64::NAN, "not known")]);
        check(&Unit::Count, &[(1234.0, "1,234"), (-0.0, "0")]);
        check(&Unit::Hours, &[(1234.0, "1,234.0 h"), (0.26, "0.3 h")]);
        check(&Unit::Seconds, &[(750.0, "12 min 30 s")]);
        check(&Unit::Bytes, &[(2048.0, "2.0 KiB")]);
        check(&Unit::Cores, &[(2.5, "2.50 cores")]);
        check(&Unit::Percent, &[(99.5, "99.5 %"), (0.01, "<0.1 %")]);
        check(&Unit::Other("kWh".to_owned()), &[(3.0, "3.0 kWh")]);
    }
}
