//! From values to places: where an axis begins and ends, and which values it names.

use super::unit::{Steps, Unit};

/// An axis of values.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Where `low` is, in pixels.
    from: f64,
    /// Where `high` is.
    to: f64,
    pub(super) ticks: Vec<Tick>,
}

/// A value that is named.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// From where to where values go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    pub(super) const ZERO: Self = Self {
        low: 0.0,
        high: 0.0,
    };

    /// Of all of these; `None` of none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let wider = |range: Option<Self>, value: f64| {
            let range = range.unwrap_or(Self {
                low: value,
                high: value,
            });
            Some(range.with(value))
        };
        values.into_iter().fold(None, wider)
    }

    /// With this value, too.
    pub(super) fn with(self, value: f64) -> Self {
        Self {
            low: self.low.min(value),
            high: self.high.max(value),
        }
    }

    /// With zero, unless an axis without it shows more and misleads nobody.
    pub(super) fn for_lines(self, unit: &Unit) -> Self {
        let width = self.high - self.low;
        if unit.is_amount() || width == 0.0 || width > 0.2 * self.farthest() {
            return self.with(0.0);
        }
        self
    }

    fn farthest(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }
}

impl Scale {
    /// An axis for these values with about so many steps.
    pub(super) fn new(range: Range, unit: &Unit, n_steps: f64) -> Self {
        let range = drawable(range);
        let measure = unit.measure(range.farthest());
        let (low, high) = (range.low / measure.factor, range.high / measure.factor);
        let raw = (high - low) / n_steps.max(1.0);
        let step = step_from(raw.max(low.abs().max(high.abs()) * 1e-9), measure.steps);
        // A value that is a tick but for the last bits is one.
        let start = (low / step + 1e-6).floor();
        let end = (high / step - 1e-6).ceil().max(start + 1.0);
        let decimals = decimals_of(step);
        let tick = |i: i32| {
            let value = (start + f64::from(i)) * step * measure.factor;
            let label = measure.label(value, decimals);
            Tick { value, label }
        };
        #[expect(clippy::cast_possible_truncation, reason = "a dozen")]
        let n = (end - start).clamp(1.0, 100.0) as i32;
        Self {
            low: start * step * measure.factor,
            high: end * step * measure.factor,
            from: 0.0,
            to: 1.0,
            ticks: (0..=n).map(tick).collect(),
        }
    }

    /// An axis that ends where the values do, with no ticks.
    pub(super) fn exact(range: Range) -> Self {
        let Range { low, high } = drawable(range);
        Self {
            low,
            high,
            from: 0.0,
            to: 1.0,
            ticks: Vec::new(),
        }
    }

    /// The same, between these places.
    pub(super) fn between(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    /// Where a value is.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low);
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }
}

/// With a width, and no value so small that it has no logarithm.
fn drawable(range: Range) -> Range {
    let farthest = range.farthest();
    if farthest < 1e-100 {
        return Range {
            low: 0.0,
            high: 1.0,
        };
    }
    if range.high <= range.low {
        return range.with(0.0);
    }
    range
}

/// The smallest step of the kind that is no smaller than this.
fn step_from(raw: f64, steps: Steps) -> f64 {
    let raw = if steps == Steps::Whole {
        raw.max(1.0)
    } else {
        raw
    };
    if steps == Steps::Sixties && raw > 1.0 {
        let parts = [2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0];
        let fitting = parts.into_iter().find(|part| *part >= raw);
        return fitting.unwrap_or(120.0);
    }
    let power = 10f64.powf(raw.log10().floor());
    let parts = [1.0, 2.0, 5.0].map(|part| part * power);
    let fitting = parts.into_iter().find(|part| *part >= raw * (1.0 - 1e-9));
    fitting.unwrap_or(power * 10.0)
}

/// How many decimals the multiples of a step have.
fn decimals_of(step: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to a few hundred"
    )]
    let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
    decimals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels of an axis with about five steps.
    fn check(unit: &Unit, low: f64, high: f64, expected: &str) {
        let scale = Scale::new(Range { low, high }, unit, 5.0);
        let labels: Vec<_> = scale.ticks.iter().map(|tick| &*tick.label).collect();
        assert_eq!(labels.join(" | ").replace('\u{a0}', " "), expected);
    }

    #[test]
    fn steps_are_one_two_or_five() {
        check(&Unit::None, 0.0, 9.7, "0 | 2 | 4 | 6 | 8 | 10");
        check(&Unit::None, 0.0, 0.31, "0 | 0.1 | 0.2 | 0.3 | 0.4");
        check(
            &Unit::None,
            0.0,
            41_000.0,
            "0 | 10,000 | 20,000 | 30,000 | 40,000 | 50,000",
        );
        check(&Unit::None, 98.2, 99.9, "98.0 | 98.5 | 99.0 | 99.5 | 100.0");
        check(
            &Unit::Percent,
            0.0,
            100.0,
            "0 | 20 % | 40 % | 60 % | 80 % | 100 %",
        );
        check(&Unit::None, -3.0, 4.0, "−4 | −2 | 0 | 2 | 4");
        check(&Unit::None, 0.0, 4.1e7, "0 | 10M | 20M | 30M | 40M | 50M");
        check(&Unit::Hours, 0.0, 1.4e7, "0 | 5M h | 10M h | 15M h");
    }

    #[test]
    fn counts_have_no_fractions() {
        check(&Unit::Count, 0.0, 1.0, "0 | 1");
        check(&Unit::Count, 0.0, 2.0, "0 | 1 | 2");
        check(&Unit::Count, 0.0, 0.0, "0 | 1");
        check(&Unit::Bytes, 0.0, 3.0, "0 | 1 B | 2 B | 3 B");
    }

    #[test]
    fn bytes_and_times_are_divided_in_their_own_way() {
        let gib = 1024.0 * 1024.0 * 1024.0;
        check(
            &Unit::Bytes,
            0.0,
            1.9 * gib,
            "0 | 0.5 GiB | 1.0 GiB | 1.5 GiB | 2.0 GiB",
        );
        check(
            &Unit::Bytes,
            0.0,
            700.0 * gib,
            "0 | 200 GiB | 400 GiB | 600 GiB | 800 GiB",
        );
        check(
            &Unit::Seconds,
            0.0,
            0.4,
            "0 | 100 ms | 200 ms | 300 ms | 400 ms",
        );
        check(&Unit::Seconds, 0.0, 55.0, "0 | 15 s | 30 s | 45 s | 60 s");
        check(
            &Unit::Seconds,
            0.0,
            5000.0,
            "0 | 20 min | 40 min | 60 min | 80 min | 100 min",
        );
        check(
            &Unit::Seconds,
            0.0,
            36_000.0,
            "0 | 2 h | 4 h | 6 h | 8 h | 10 h",
        );
    }

    #[test]
    fn equal_values_have_an_axis() {
        check(&Unit::None, 5.0, 5.0, "0 | 1 | 2 | 3 | 4 | 5");
        check(&Unit::None, -5.0, -5.0, "−5 | −4 | −3 | −2 | −1 | 0");
    }

    #[test]
    fn values_that_hardly_differ_and_huge_ones_have_an_axis() {
        for range in [
            Range::of([1e15, 1e15 + 0.25]),
            Range::of([-1e150, 1e150]),
            Range::of([1e-320, 2e-320]),
            Range::of([1e-90, 3e-90]),
        ] {
            let scale = Scale::new(range.unwrap(), &Unit::None, 5.0).between(0.0, 100.0);
            assert!((2..=13).contains(&scale.ticks.len()), "{scale:?}");
            let places: Vec<_> = scale
                .ticks
                .iter()
                .map(|tick| scale.at(tick.value))
                .collect();
            assert!(
                places.iter().all(|place| (0.0..=100.0).contains(place)),
                "{places:?}"
            );
        }
    }
}
