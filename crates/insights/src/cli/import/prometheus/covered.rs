//! Which time was imported: spans that grow together, so that an import goes on where one ended, and
//! what could not be had is asked for again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// From one moment to another; the first is not in it, the last is, as with the samples of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// Spans that do not touch, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Covered(Vec<Span>);

impl Covered {
    /// Reads what [`Self::kept`] gave; nothing is covered if that cannot be read.
    pub(super) fn restore(kept: &str) -> Self {
        let mut covered = Self::default();
        let spans: Vec<Span> = serde_json::from_str(kept).unwrap_or_default();
        for span in spans {
            covered.add(span);
        }
        covered
    }

    /// As it is kept with the rows.
    pub(super) fn kept(&self) -> String {
        // Times always have a JSON text.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn add(&mut self, span: Span) {
        if span.from >= span.to {
            return;
        }
        let touches = |other: &Span| other.from <= span.to && span.from <= other.to;
        let mut whole = span;
        for other in self.0.iter().filter(|other| touches(other)) {
            whole.from = whole.from.min(other.from);
            whole.to = whole.to.max(other.to);
        }
        self.0.retain(|other| !touches(other));
        let place = self.0.partition_point(|other| other.from < whole.from);
        self.0.insert(place, whole);
    }

    /// The parts of a span that are not covered, in order.
    pub(super) fn missing_in(&self, span: Span) -> Vec<Span> {
        let mut missing = Vec::new();
        let mut from = span.from;
        for covered in &self.0 {
            let to = covered.from.min(span.to);
            if from < to {
                missing.push(Span { from, to });
            }
            from = from.max(covered.to);
        }
        if from < span.to {
            missing.push(Span { from, to: span.to });
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Span {
        let (from, to) = text.split_once('-').unwrap();
        let at = |text: &str| Timestamp::from_second(text.parse().unwrap()).unwrap();
        Span {
            from: at(from),
            to: at(to),
        }
    }

    fn text(spans: &[Span]) -> String {
        let spans = spans
            .iter()
            .map(|span| format!("{}-{}", span.from.as_second(), span.to.as_second()));
        spans.collect::<Vec<_>>().join(" ")
    }

    fn check(spans: &str, covered: &str, asked: &str, missing: &str) {
        let mut all = Covered::default();
        for added in spans.split_whitespace() {
            all.add(span(added));
        }
        assert_eq!(text(&all.0), covered);
        assert_eq!(text(&all.missing_in(span(asked))), missing);
        assert_eq!(Covered::restore(&all.kept()), all);
    }

    #[test]
    fn what_is_covered_grows_together_and_is_not_asked_for_again() {
        check("", "", "1-9", "1-9");
        check("3-4 4-5", "3-5", "1-9", "1-3 5-9");
        check("7-8 3-4 1-2", "1-2 3-4 7-8", "2-9", "2-3 4-7 8-9");
        check("1-2 3-4 2-3", "1-4", "2-3", "");
        check("1-9 3-4", "1-9", "0-10", "0-1 9-10");
        check("5-5 6-4", "", "1-2", "1-2");
        check("1-3 7-9", "1-3 7-9", "2-8", "3-7");
        check("1-3 7-9", "1-3 7-9", "4-6", "4-6");
        check("1-3 7-9", "1-3 7-9", "10-12", "10-12");
    }

    #[test]
    fn what_cannot_be_read_covers_nothing() {
        assert_eq!(Covered::restore("rubbish"), Covered::default());
    }
}
