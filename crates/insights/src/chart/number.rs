//! How numbers are written for people, in charts and beside them. A value has as many decimals
//! wherever it stands, so that a page does not contradict itself.

/// Between a number and its unit; no line is broken there.
pub(crate) const SPACE: char = '\u{a0}';
/// Each has 1,024 of the one before.
pub(super) const BYTES: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// With so many decimals, and commas between thousands; nobody counts more than 15 digits.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let size = value.abs();
    let text = if size < 1e15 {
        format!("{size:.decimals$}")
    } else {
        format!("{size:.2e}")
    };
    let is_zero = !text.bytes().any(|digit| matches!(digit, b'1'..=b'9'));
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    format!("{sign}{}", grouped(&text))
}

fn grouped(text: &str) -> String {
    let whole = text.find(['.', 'e']).unwrap_or(text.len());
    let mut grouped = String::with_capacity(text.len() + whole / 3);
    for (place, digit) in text.chars().enumerate() {
        if place > 0 && place < whole && (whole - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// With so many decimals; what is more than nothing does not look like nothing.
pub(crate) fn rounded(value: f64, decimals: usize) -> String {
    let smallest = (0..decimals).fold(1.0, |smallest, _| smallest / 10.0);
    if value > 0.0 && value < smallest / 2.0 {
        return format!("<{}", fixed(smallest, decimals));
    }
    fixed(value, decimals)
}

/// In the largest unit of which there is at least one.
pub(super) fn bytes(value: f64) -> String {
    let decimals = |unit: usize| usize::from(unit > 0);
    let half = |unit: usize| if unit > 0 { 0.05 } else { 0.5 };
    let (mut scaled, mut unit) = (value, 0);
    // What would be rounded to 1,024 is one of the next.
    while scaled.abs() >= 1024.0 - half(unit) && unit + 1 < BYTES.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{}{SPACE}{}", fixed(scaled, decimals(unit)), BYTES[unit])
}

/// As people say it: `350 ms`, `12 min 30 s`.
pub(super) fn seconds(value: f64) -> String {
    match value {
        ..0.0 => format!("−{}", seconds(-value)),
        0.0 => format!("0{SPACE}s"),
        0.0..1.0 => format!("{}{SPACE}ms", plain(value * 1000.0)),
        1.0..59.95 => format!("{}{SPACE}s", decimal(value, 2)),
        59.95..3599.5 => two_units(value.round(), "min", "s"),
        3599.5..359_970.0 => two_units((value / 60.0).round(), "h", "min"),
        _ => format!("{}{SPACE}h", plain(value / 3600.0)),
    }
}

/// A whole number of the smaller unit in both, of which the larger has sixty.
fn two_units(smaller: f64, large: &str, small: &str) -> String {
    let (whole, rest) = ((smaller / 60.0).floor(), smaller % 60.0);
    if rest == 0.0 {
        return format!("{whole}{SPACE}{large}");
    }
    format!("{whole}{SPACE}{large} {rest}{SPACE}{small}")
}

/// A number of which nothing is known, with four digits that count.
pub(super) fn plain(value: f64) -> String {
    match value.abs() {
        0.0 | 1000.0.. => fixed(value, 0),
        100.0.. => decimal(value, 1),
        10.0.. => decimal(value, 2),
        1.0.. => decimal(value, 3),
        0.1.. => decimal(value, 4),
        0.000_1.. => decimal(value, 6),
        _ => format!("{value:.1e}").replace('-', "−"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(f64) -> String, cases: &[(f64, &str)]) {
        for (value, expected) in cases {
            assert_eq!(write(*value).replace(SPACE, " "), *expected, "{value}");
        }
    }

    #[test]
    fn plain_numbers_have_four_digits_that_count() {
        check(
            plain,
            &[
                (0.0, "0"),
                (-0.0, "0"),
                (0.5, "0.5"),
                (0.123_456, "0.1235"),
                (0.000_123, "0.000123"),
                (1.234_56, "1.235"),
                (99.999, "100"),
                (1_234_567.0, "1,234,567"),
                (-2.5, "−2.5"),
                (1e20, "1.00e20"),
                (1e-9, "1.0e−9"),
            ],
        );
    }

    #[test]
    fn what_is_more_than_nothing_does_not_look_like_nothing() {
        check(
            |value| rounded(value, 1),
            &[
                (0.0, "0.0"),
                (0.04, "<0.1"),
                (0.06, "0.1"),
                (-0.04, "0.0"),
                (-12.34, "−12.3"),
                (1234.56, "1,234.6"),
            ],
        );
    }

    #[test]
    fn times_are_as_people_say_them() {
        check(
            seconds,
            &[
                (0.0, "0 s"),
                (0.35, "350 ms"),
                (5.999, "6 s"),
                (45.25, "45.25 s"),
                (59.99, "1 min"),
                (750.0, "12 min 30 s"),
                (3599.9, "1 h"),
                (5000.0, "1 h 23 min"),
                (720_000.0, "200 h"),
                (-90.0, "−1 min 30 s"),
            ],
        );
    }

    #[test]
    fn bytes_are_counted_in_1024s() {
        let gib = 1024.0 * 1024.0 * 1024.0;
        check(
            bytes,
            &[
                (0.0, "0 B"),
                (1023.0, "1,023 B"),
                (1023.7, "1.0 KiB"),
                (1536.0, "1.5 KiB"),
                (-1.863 * gib, "−1.9 GiB"),
                (1023.94 * gib, "1,023.9 GiB"),
                (1023.96 * gib, "1.0 TiB"),
                (1e30, "867,361,737,988.4 EiB"),
            ],
        );
    }
}
