//! Asks the questions of one look or one block of hours, and remembers what was odd in the answers.

use super::client::Client;
use super::error::PrometheusError;
use super::promql::{InNamespace, Selector, without_values};
use super::reply::{Answer, Labels};
use super::{HourSpan, LabelNames};
use crate::sources::Note;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// Labels that say which pod a series is about. `exported_…` are there where the exporter tells
/// about other pods than itself and is scraped without `honor_labels`.
pub(super) const POD: [&str; 3] = ["pod", "exported_pod", "exported_namespace"];
/// Most characters of a server's warning that are passed on, and most warnings.
const WARNING_CHARACTERS: usize = 200;
const MAX_WARNINGS: usize = 3;

/// Asks about one namespace.
pub(super) struct Asker<'a> {
    pub(super) client: &'a Client,
    pub(super) namespace: &'a str,
    pub(super) labels: &'a LabelNames,
    /// Most points of a series in one answer.
    pub(super) most_points: u64,
    warnings: BTreeSet<String>,
    n_not_numbers: u64,
}

/// Hours of equal length, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) hours: &'a [HourSpan],
}

/// Which samples of an hour are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Those of the hour, without its first moment and with its last.
    Hour,
    /// Those from [`MARGIN`] before to [`MARGIN`] after it: what is so of a pod throughout its life
    /// (whose it is, when it began) may be scraped a little before or after what it uses.
    Around,
    /// Those of the hour and, as one point more, of as long a time before the first.
    WithBefore,
}

/// By how much exporters that tell of the same pod may be apart.
pub(super) const MARGIN: SignedDuration = SignedDuration::from_mins(2);

impl<'a> Asker<'a> {
    pub(super) fn new(
        client: &'a Client,
        namespace: &'a str,
        labels: &'a LabelNames,
        most_points: u64,
    ) -> Self {
        Self {
            client,
            namespace,
            labels,
            most_points,
            warnings: BTreeSet::new(),
            n_not_numbers: 0,
        }
    }

    /// The series of this namespace.
    pub(super) fn mine(&self, selector: Selector) -> InNamespace {
        selector.in_namespace(self.namespace)
    }

    /// The series of the pod that these labels name, as far as they are from the same exporter.
    pub(super) fn of_pod(&self, selector: Selector, labels: &Labels) -> Selector {
        let selector = match labels.get("exported_namespace") {
            "" => selector.equals("namespace", self.namespace),
            _ => selector,
        };
        POD.iter().fold(selector, |selector, label| {
            selector.equals(label, labels.get(label))
        })
    }

    pub(super) async fn now(
        &mut self,
        promql: &str,
        at: Timestamp,
    ) -> Result<Answer, PrometheusError> {
        let answer = self.client.query(promql, at).await?;
        Ok(self.noted(answer))
    }

    pub(super) async fn raw(
        &mut self,
        selector: &Selector,
        milliseconds: i64,
        at: Timestamp,
    ) -> Result<Answer, PrometheusError> {
        let selector = selector.over(milliseconds);
        let answer = self.client.raw(&selector, at).await?;
        Ok(self.noted(answer))
    }

    /// A query for each hour, whose ranges are [`Block::window_ms`] long.
    pub(super) async fn hourly(
        &mut self,
        promql: &str,
        block: Block<'_>,
        extent: Extent,
    ) -> Result<Answer, PrometheusError> {
        let (start, end) = block.evaluated(extent);
        let step = block.length().as_secs();
        self.range(promql, start, end, step).await
    }

    pub(super) async fn range(
        &mut self,
        promql: &str,
        start: Timestamp,
        end: Timestamp,
        step_seconds: i64,
    ) -> Result<Answer, PrometheusError> {
        let answer = self
            .client
            .query_range(promql, start, end, step_seconds)
            .await?;
        Ok(self.noted(answer))
    }

    /// What the administrator should know of the answers.
    pub(super) fn notes(self) -> Vec<Note> {
        let mut notes = Vec::new();
        if !self.warnings.is_empty() {
            let warnings: Vec<_> = self.warnings.into_iter().take(MAX_WARNINGS).collect();
            notes.push(Note {
                about: "warnings",
                text: format!("Prometheus warns: {}", warnings.join("; ")),
            });
        }
        if self.n_not_numbers > 0 {
            notes.push(Note {
                about: "values",
                text: format!(
                    "{} values in Prometheus' answers are not numbers and were left out",
                    self.n_not_numbers
                ),
            });
        }
        notes
    }

    fn noted(&mut self, mut answer: Answer) -> Answer {
        self.n_not_numbers += answer.n_not_numbers;
        let warnings = std::mem::take(&mut answer.warnings);
        self.warnings.extend(warnings.iter().map(|warning| {
            let warning = without_values(warning);
            warning.chars().take(WARNING_CHARACTERS).collect()
        }));
        answer
    }
}

impl Block<'_> {
    /// How long each hour is.
    pub(super) fn length(&self) -> SignedDuration {
        let first = self.hours.first();
        first.map_or(SignedDuration::ZERO, |hour| {
            hour.end.duration_since(hour.start)
        })
    }

    /// Seconds of an hour.
    pub(super) fn seconds(&self) -> f64 {
        self.length().as_secs_f64()
    }

    /// Length of the range whose samples belong to the hour that ends with it.
    ///
    /// A sample at the full hour belongs to the hour before. Prometheus 2 takes the sample at the
    /// start of a range along, Prometheus 3 and VictoriaMetrics do not: a millisecond less is the same
    /// for all of them.
    pub(super) fn window_ms(&self, extent: Extent) -> i64 {
        let margins = match extent {
            Extent::Hour | Extent::WithBefore => SignedDuration::ZERO,
            Extent::Around => MARGIN + MARGIN,
        };
        milliseconds(self.length() + margins) - 1
    }

    /// Which hour a value belongs to; of [`Extent::WithBefore`] one more than that.
    pub(super) fn index(&self, at: Timestamp, extent: Extent) -> Option<usize> {
        let (start, end) = self.evaluated(extent);
        let length = milliseconds(self.length());
        let since = at.as_millisecond() - start.as_millisecond();
        if at > end || length == 0 {
            return None;
        }
        usize::try_from(since.div_euclid(length)).ok()
    }

    fn evaluated(&self, extent: Extent) -> (Timestamp, Timestamp) {
        let (Some(first), Some(last)) = (self.hours.first(), self.hours.last()) else {
            return (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        };
        match extent {
            Extent::Hour => (first.end, last.end),
            Extent::Around => (first.end + MARGIN, last.end + MARGIN),
            Extent::WithBefore => (first.start, last.end),
        }
    }
}

pub(super) fn milliseconds(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The pod that a series is about.
pub(super) fn pod_of(labels: &Labels) -> &str {
    match labels.get("exported_pod") {
        "" => labels.get("pod"),
        exported => exported,
    }
}
