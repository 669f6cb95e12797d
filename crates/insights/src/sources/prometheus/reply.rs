//! Prometheus' JSON as numbers with labels.
//!
//! Values come as texts, of which `NaN` and `+Inf` are no use to anybody: they are left out and
//! counted. Stale markers, which VictoriaMetrics gives among raw samples, are `NaN` as well.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// What a query brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Each with at least one point.
    pub series: Vec<Series>,
    /// What the server thinks of it, such as that a part of its data could not be reached.
    pub warnings: Vec<String>,
    /// Values that are not numbers; they are left out.
    pub n_not_numbers: u64,
    /// Samples that the server looked at, where it says.
    pub samples: Option<u64>,
}

/// Values of one set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// In order of time.
    pub points: Vec<Point>,
}

/// A value at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When, to the millisecond.
    pub at: Timestamp,
    /// Always finite.
    pub value: f64,
}

/// Names and values, sorted by name. A label without a value is no label.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<(Box<str>, Box<str>)>);

impl Labels {
    /// The label's value; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        let label = self.0.iter().find(|(label, _)| &**label == name);
        label.map_or("", |(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let labels = labels.into_iter();
        let labels = labels.map(|(name, value)| (name.into(), value.into()));
        let mut labels: Vec<(Box<str>, Box<str>)> =
            labels.filter(|(_, value)| !value.is_empty()).collect();
        labels.sort_unstable();
        Self(labels)
    }
}

/// Reads an answer to a query.
pub(super) fn parse(body: &[u8]) -> Result<Answer, serde_json::Error> {
    let reply: Reply<'_> = serde_json::from_slice(body)?;
    let data = reply.data.ok_or_else(|| {
        let error = reply.error.as_deref().unwrap_or("it holds no data");
        serde_json::Error::custom(super::promql::without_values(error))
    })?;
    let mut answer = Answer {
        warnings: reply.warnings,
        samples: data.stats.and_then(|stats| stats.samples?.looked_at),
        ..Answer::default()
    };
    if reply.is_partial {
        answer
            .warnings
            .push("a part of the data could not be reached".to_owned());
    }
    let result = data.result.get();
    match data.kind.as_str() {
        "scalar" => answer.add(Found {
            metric: Labels::default(),
            value: Some(serde_json::from_str(result)?),
            values: Vec::new(),
        }),
        "vector" | "matrix" => {
            let found: Vec<Found> = serde_json::from_str(result)?;
            answer.series.reserve_exact(found.len());
            for series in found {
                answer.add(series);
            }
        }
        other => {
            let text = format!("its result is a `{other}`, not a vector, matrix or scalar");
            return Err(serde_json::Error::custom(text));
        }
    }
    Ok(answer)
}

impl Answer {
    fn add(&mut self, found: Found) {
        let pairs = found.value.into_iter().chain(found.values);
        let mut points = Vec::with_capacity(pairs.size_hint().0);
        for Pair(seconds, Value(value)) in pairs {
            match at(seconds) {
                Some(at) if value.is_finite() => points.push(Point { at, value }),
                _ => self.n_not_numbers += 1,
            }
        }
        if !points.is_empty() {
            self.series.push(Series {
                labels: found.metric,
                points,
            });
        }
    }
}

/// Seconds since 1970 as the server writes them, with up to three digits after the point.
fn at(seconds: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is out of range becomes the nearest number, which is no time either"
    )]
    let milliseconds = (seconds * 1000.0).round() as i64;
    Timestamp::from_millisecond(milliseconds).ok()
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    warnings: Vec<String>,
    /// Of VictoriaMetrics' cluster.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(borrow)]
    result: &'a RawValue,
    #[serde(default)]
    stats: Option<Stats>,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    samples: Option<SampleStats>,
}

#[derive(Deserialize)]
struct SampleStats {
    #[serde(default, rename = "totalQueryableSamples")]
    looked_at: Option<u64>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    metric: Labels,
    #[serde(default)]
    value: Option<Pair>,
    #[serde(default)]
    values: Vec<Pair>,
}

/// A time in seconds, and a value.
#[derive(Clone, Copy, Deserialize)]
struct Pair(f64, Value);

/// A number that is written as a text.
#[derive(Clone, Copy)]
struct Value(f64);

fn or_nothing<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Value;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number as a text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
                let number = text.parse().map(Value);
                number.map_err(|_| E::custom("a value is not a number"))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                Ok(Value(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "values are floating-point numbers"
                )]
                let number = number as f64;
                Ok(Value(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "values are floating-point numbers"
                )]
                let number = number as f64;
                Ok(Value(number))
            }

            /// As VictoriaMetrics exports what is not a number.
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value(f64::NAN))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Labels;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Vec::with_capacity(8);
                while let Some(label) = map.next_entry::<Box<str>, Box<str>>()? {
                    labels.push(label);
                }
                Ok(labels.into_iter().collect())
            }
        }
        deserializer.deserialize_map(Map)
    }
}
