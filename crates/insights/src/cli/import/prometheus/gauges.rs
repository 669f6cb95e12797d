//! The hub's own gauges: how many servers ran, users there were, users were active; by the hour, as
//! the history keeps what it read itself when that gets old.

use super::covered::Span;
use crate::hub::Number;
use crate::sources::prometheus::promql::Selector;
use crate::sources::prometheus::{Client, Point, PrometheusError, Series};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::tables::{Observation, RowId};

/// A gauge: its name without the hub's prefix, and the label that tells its series apart.
struct Gauge {
    name: &'static str,
    label: Option<&'static str>,
}

const GAUGES: [Gauge; 3] = [
    Gauge {
        name: "running_servers",
        label: None,
    },
    Gauge {
        name: "total_users",
        label: None,
    },
    Gauge {
        name: "active_users",
        label: Some("period"),
    },
];

/// Labels that hold a target's namespace: that of the usual scrape configuration, and that of older
/// ones.
const NAMESPACE_LABELS: [&str; 2] = ["namespace", "kubernetes_namespace"];
/// Longer values of labels are not kept, as with what is read from the hub itself.
const LABEL_MAX_BYTES: usize = 100;

/// Whose gauges, and what they are called.
#[derive(Clone, Debug)]
pub(super) struct HubSeries {
    pub(super) hub: Arc<str>,
    pub(super) namespace: String,
    /// What the hub's metrics begin with.
    pub(super) prefix: String,
}

impl HubSeries {
    /// Rows for the UTC hours that end in the span.
    pub(super) async fn read(
        &self,
        client: &Client,
        span: Span,
    ) -> Result<Vec<Observation>, PrometheusError> {
        let Some(hours) = full_hours(span) else {
            return Ok(Vec::new());
        };
        let mut rows = Vec::new();
        for gauge in &GAUGES {
            let by_label = self.series(client, gauge, hours).await?;
            let name: Arc<str> = format!("jupyterhub_{}", gauge.name).into();
            for (value, series) in by_label {
                let label = gauge.label.map(|label| (label.to_owned(), value));
                let number = Number {
                    name: Arc::clone(&name),
                    labels: label.into_iter().collect(),
                    value: 0.0,
                };
                rows.extend(hourly(&self.hub, &number, &series));
            }
        }
        Ok(rows)
    }

    /// The gauge's series by the value of its label, of one hub.
    async fn series(
        &self,
        client: &Client,
        gauge: &Gauge,
        hours: Span,
    ) -> Result<BTreeMap<String, Vec<Vec<Point>>>, PrometheusError> {
        let name = format!("{}_{}", self.prefix, gauge.name);
        for label in NAMESPACE_LABELS {
            let selector = Selector::new(&name).equals(label, &self.namespace);
            let series = values(client, &selector, hours).await?;
            if !series.is_empty() {
                return Ok(by_label(gauge, series, hours));
            }
        }
        // A Prometheus outside of Kubernetes tells no namespace; one hub can be told all the same.
        let mut selector = Selector::new(&name);
        for label in NAMESPACE_LABELS {
            selector = selector.equals(label, "");
        }
        let series = values(client, &selector, hours).await?;
        let mut jobs: Vec<&str> = series
            .iter()
            .map(|series| series.labels.get("job"))
            .collect();
        jobs.sort_unstable();
        jobs.dedup();
        if jobs.len() > 1 {
            return Ok(BTreeMap::new());
        }
        Ok(by_label(gauge, series, hours))
    }
}

/// All values from the start of the span, without its end: as rows by the minute are put into hours.
async fn values(
    client: &Client,
    selector: &Selector,
    hours: Span,
) -> Result<Vec<Series>, PrometheusError> {
    let length = hours.to.duration_since(hours.from);
    // The time just before the end, since Prometheus' ranges hold their end and not always their
    // start.
    let last = hours.to.saturating_sub(SignedDuration::from_millis(1));
    let query = selector.over(length.as_secs() * 1000);
    let answer = client.raw(&query, last.unwrap_or(hours.to)).await?;
    Ok(answer.series)
}

fn by_label(gauge: &Gauge, series: Vec<Series>, hours: Span) -> BTreeMap<String, Vec<Vec<Point>>> {
    let mut by_label: BTreeMap<String, Vec<Vec<Point>>> = BTreeMap::new();
    for series in series {
        let value = gauge.label.map_or("", |label| series.labels.get(label));
        if value.is_empty() != gauge.label.is_none() || value.len() > LABEL_MAX_BYTES {
            continue;
        }
        let value = value.to_owned();
        let points = series.points.into_iter();
        let points = points.filter(|point| hours.from <= point.at && point.at < hours.to);
        by_label.entry(value).or_default().push(points.collect());
    }
    by_label
}

/// From the first to the last full hour of UTC that ends in the span.
fn full_hours(span: Span) -> Option<Span> {
    let from = hour_of(span.from);
    let to = hour_of(span.to);
    (from < to).then_some(Span { from, to })
}

/// Start of the hour of UTC, as in the history's rows.
fn hour_of(at: Timestamp) -> Timestamp {
    let seconds = at.as_second().div_euclid(3600) * 3600;
    Timestamp::from_second(seconds).unwrap_or(at)
}

/// A row for each hour with values: what the history makes of rows by the minute.
fn hourly(hub: &Arc<str>, number: &Number, series: &[Vec<Point>]) -> Vec<Observation> {
    let mut hours: BTreeMap<Timestamp, Vec<Vec<Point>>> = BTreeMap::new();
    for points in series {
        for of_hour in points.chunk_by(|left, right| hour_of(left.at) == hour_of(right.at)) {
            let hour = hour_of(of_hour[0].at);
            hours.entry(hour).or_default().push(of_hour.to_vec());
        }
    }
    let rows = hours.into_iter();
    rows.map(|(hour, series)| hour_row(hub, number, hour, &of_one_process(series)))
        .collect()
}

/// One series of several: where two scrapers ask one hub the longer one counts, and what comes
/// before and after it, of another process of the hub.
fn of_one_process(mut series: Vec<Vec<Point>>) -> Vec<f64> {
    series.sort_by_key(|points| {
        (
            std::cmp::Reverse(points.len()),
            points.first().map(|it| it.at),
        )
    });
    let mut taken: Vec<Span> = Vec::new();
    let mut points: Vec<Point> = Vec::new();
    for series in series {
        let (Some(first), Some(last)) = (series.first(), series.last()) else {
            continue;
        };
        let span = Span {
            from: first.at,
            to: last.at,
        };
        let is_taken = |point: &Point| {
            let mut taken = taken.iter();
            taken.any(|span| span.from <= point.at && point.at <= span.to)
        };
        points.extend(series.iter().filter(|point| !is_taken(point)).copied());
        taken.push(span);
    }
    points.sort_by_key(|point| point.at);
    points.iter().map(|point| point.value).collect()
}

fn hour_row(hub: &Arc<str>, number: &Number, hour: Timestamp, values: &[f64]) -> Observation {
    let labels: Arc<str> = number.labels_json().into();
    let n = values.len();
    #[expect(clippy::cast_precision_loss, reason = "an hour has few values")]
    let mean = values.iter().sum::<f64>() / n as f64;
    let all = || values.iter().copied();
    Observation {
        id: RowId::of(&["hour", hub, &hour.to_string(), &number.name, &labels]),
        hub: Arc::clone(hub),
        at: hour,
        name: Arc::clone(&number.name),
        labels,
        value: mean,
        min: all().reduce(f64::min),
        max: all().reduce(f64::max),
        last: all().next_back(),
        n: i64::try_from(n).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 / 3600 * 3600 + minute * 60).unwrap()
    }

    /// `minute=value` each.
    fn points(text: &str) -> Vec<Point> {
        let points = text.split_whitespace().map(|point| {
            let (minute, value) = point.split_once('=').unwrap();
            Point {
                at: at(minute.parse().unwrap()),
                value: value.parse().unwrap(),
            }
        });
        points.collect()
    }

    fn check(series: &[&str], expected: &str) {
        let number = Number {
            name: "jupyterhub_active_users".into(),
            labels: vec![("period".to_owned(), "24h".to_owned())],
            value: 0.0,
        };
        let series: Vec<Vec<Point>> = series.iter().map(|text| points(text)).collect();
        let rows = hourly(&"hub".into(), &number, &series);
        let rows = rows.iter().map(|row| {
            assert_eq!(&*row.labels, r#"{"period":"24h"}"#);
            let hour = (row.at.as_second() - at(0).as_second()) / 3600;
            let (min, max) = (row.min.unwrap(), row.max.unwrap());
            let (last, n) = (row.last.unwrap(), row.n.unwrap());
            format!("{hour}: {min}<{}<{max} last {last} of {n}", row.value)
        });
        assert_eq!(rows.collect::<Vec<_>>().join(", "), expected);
    }

    #[test]
    fn an_hour_holds_its_first_moment_and_not_its_last() {
        check(
            &["0=1 30=2 59=6 60=7"],
            "0: 1<3<6 last 6 of 3, 1: 7<7<7 last 7 of 1",
        );
        check(&[], "");
    }

    #[test]
    fn two_scrapers_count_once_and_two_processes_after_each_other_both() {
        check(&["0=1 20=1 40=1", "1=5 21=5"], "0: 1<1<1 last 1 of 3");
        check(&["0=2 10=2", "20=4 30=4 40=3"], "0: 2<3<4 last 3 of 5");
    }

    #[test]
    fn only_hours_that_end_in_the_span_are_read() {
        let full = |from, to| {
            let span = Span {
                from: at(from),
                to: at(to),
            };
            full_hours(span).map(|span| (span.from, span.to))
        };
        assert_eq!(full(30, 90), Some((at(0), at(60))));
        assert_eq!(full(0, 60), Some((at(0), at(60))));
        assert_eq!(full(0, 59), None);
        assert_eq!(full(60, 60), None);
    }
}
