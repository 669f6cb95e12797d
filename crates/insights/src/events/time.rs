//! Times as senders write them.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::Value;

/// The first release of JupyterHub is from 2014, of BinderHub from 2017.
const FIRST: Timestamp = Timestamp::constant(1_388_534_400, 0);
/// Clocks of two machines may differ.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Reads a time and holds it to what can be.
///
/// RFC 3339; the same with the `+00:00Z` that jupyter_events writes; without an offset, which
/// means UTC; or seconds since 1970 as a number. To the microsecond, as tables hold it.
pub(super) fn read(key: &str, value: &Value, now: Timestamp) -> Result<Timestamp, String> {
    let time = match value {
        Value::String(text) => of_text(text)
            .ok_or_else(|| format!("`{key}` is no time, for instance `2026-11-21T10:00:00Z`"))?,
        Value::Number(number) => of_seconds(number.as_f64())
            .ok_or_else(|| format!("`{key}` is no number of seconds since 1970"))?,
        other => {
            let kind = super::reader::kind_of(other);
            return Err(format!(
                "`{key}` is {kind}, not a time, for instance `2026-11-21T10:00:00Z`"
            ));
        }
    };
    if time < FIRST {
        return Err(format!("`{key}` is before 2014, when there was no hub"));
    }
    if time.duration_since(now) > AHEAD {
        return Err(format!("`{key}` is more than a day in the future"));
    }
    Ok(time)
}

fn of_text(text: &str) -> Option<Timestamp> {
    let text = text
        .strip_suffix("+00:00Z")
        .map_or_else(|| text.to_owned(), |stem| format!("{stem}Z"));
    // A zone in brackets, as jiff reads it, is nobody's dialect.
    if text.contains('[') {
        return None;
    }
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    Timestamp::from_microsecond(time.as_microsecond()).ok()
}

fn of_seconds(seconds: Option<f64>) -> Option<Timestamp> {
    let seconds = seconds.filter(|seconds| seconds.is_finite() && seconds.abs() < 1e11)?;
    #[expect(clippy::cast_possible_truncation, reason = "limited above")]
    Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value, expected: &str) {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let outcome = read("at", value, now).map(|time| time.to_string());
        assert_eq!(outcome.unwrap_or_else(|error| error), expected, "{value}");
    }

    #[test]
    fn times_are_read_as_hubs_and_others_write_them() {
        let text = "2026-11-20T22:03:47.493166Z";
        check(&json!("2026-11-20T22:03:47.493166Z"), text);
        check(&json!("2026-11-20T22:03:47.493166+00:00Z"), text);
        check(&json!("2026-11-20T23:03:47.493166+01:00"), text);
        check(&json!("2026-11-20T22:03:47.493166499Z"), text);
        check(&json!("2026-11-20 22:03:47.493166"), text);
        check(&json!(1_763_676_227.493_166), "2025-11-20T22:03:47.493166Z");
    }

    #[test]
    fn times_that_cannot_be_are_refused() {
        let no_time = "`at` is no time, for instance `2026-11-21T10:00:00Z`";
        check(&json!("yesterday"), no_time);
        check(&json!("2026-11-20T22:03:47+01:00[Europe/Berlin]"), no_time);
        check(&json!("2026-02-30T00:00:00Z"), no_time);
        check(&json!(""), no_time);
        let old = "`at` is before 2014, when there was no hub";
        check(&json!("1970-01-01T00:00:00Z"), old);
        check(&json!(0), old);
        let late = "`at` is more than a day in the future";
        check(&json!("9999-01-01T00:00:00Z"), late);
        // The calendar of the library ends a day earlier.
        check(&json!("9999-12-31T23:59:59Z"), no_time);
        check(&json!(1e300), "`at` is no number of seconds since 1970");
        let expected = "`at` is a list, not a time, for instance `2026-11-21T10:00:00Z`";
        check(&json!([]), expected);
    }
}
