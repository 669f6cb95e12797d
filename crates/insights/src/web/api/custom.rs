//! `POST api/v1/metrics/counter`, `gauge` and `timing`: numbers of a site's own, answered once they
//! are on the disk.

use super::error::ApiError;
use super::events::RejectedReply;
use super::split;
use crate::metrics::OWN_EVENTS;
use crate::metrics::counted::{CUSTOM_EVENTS, CUSTOM_OPERATION_DURATION, CUSTOM_RESOURCE_USAGE};
use crate::web::{Site, access};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request};
use model::filter::Wildcard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{Intake, LABEL_MAX_BYTES, Tally};

/// Items of one request.
const MAX_ITEMS: usize = 10_000;
/// Rejected items that the reply names.
const MAX_REASONS: usize = 1000;
/// Who may count larger ones has other troubles: sums would not be exact any more.
const LARGEST: f64 = 1e15;
/// Longer keys are refused.
const KEY_MAX_BYTES: usize = 200;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What became of the items.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::web) struct CountedReply {
    /// Items that count, or did when the same request came first.
    accepted: usize,
    /// The first thousand of the others.
    rejected: Vec<RejectedReply>,
}

/// `POST api/v1/metrics/counter`
pub(in crate::web) async fn counter(
    State(site): State<Site>,
    request: Request<Body>,
) -> Result<Json<CountedReply>, ApiError> {
    take::<Counter>(site, request).await
}

/// `POST api/v1/metrics/gauge`
pub(in crate::web) async fn gauge(
    State(site): State<Site>,
    request: Request<Body>,
) -> Result<Json<CountedReply>, ApiError> {
    take::<Gauge>(site, request).await
}

/// `POST api/v1/metrics/timing`
pub(in crate::web) async fn timing(
    State(site): State<Site>,
    request: Request<Body>,
) -> Result<Json<CountedReply>, ApiError> {
    take::<Timing>(site, request).await
}

/// `{"event_type": "export", "user": "ada", "amount": 1}`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Counter {
    /// What happened.
    event_type: String,
    /// Whom it concerns; `anonymous` if not said.
    user: Option<String>,
    /// How often; 1 if not said.
    amount: Option<f64>,
}

/// `{"resource_type": "licences", "user": "ada", "value": 3}`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Gauge {
    /// What there is.
    resource_type: String,
    /// Whose; `system` if not said.
    user: Option<String>,
    /// How much of it.
    value: f64,
}

/// `{"operation": "backup", "status": "success", "seconds": 12.5}`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Timing {
    /// What was done.
    operation: String,
    /// How it went; `success` if not said.
    status: Option<String>,
    /// How long it took.
    seconds: f64,
}

/// One kind of number.
trait Item: for<'de> Deserialize<'de> {
    /// Last part of the address.
    const PATH: &'static str;
    /// What it looks like, for whoever sent something else.
    const FORM: &'static str;

    /// What is counted; the error says which key is wrong.
    fn tally(&self, allowed: &[Wildcard]) -> Result<Tally, String>;
}

impl Item for Counter {
    const PATH: &'static str = "counter";
    const FORM: &'static str = r#"{"event_type": "…", "user": "…", "amount": 1}"#;

    fn tally(&self, allowed: &[Wildcard]) -> Result<Tally, String> {
        let kind = name("event_type", &self.event_type, allowed)?;
        if OWN_EVENTS.contains(&kind) {
            return Err(format!(
                "`event_type` is `{kind}`, which is counted by itself; choose another name"
            ));
        }
        let user = label("user", self.user.as_deref(), "anonymous")?;
        let amount = self.amount.unwrap_or(1.0);
        if amount <= 0.0 || amount > LARGEST {
            return Err(format!("`amount` is not above 0 and at most {LARGEST:e}"));
        }
        Ok(Tally::add(&CUSTOM_EVENTS.def, &[kind, user], amount))
    }
}

impl Item for Gauge {
    const PATH: &'static str = "gauge";
    const FORM: &'static str = r#"{"resource_type": "…", "user": "…", "value": 1}"#;

    fn tally(&self, allowed: &[Wildcard]) -> Result<Tally, String> {
        let kind = name("resource_type", &self.resource_type, allowed)?;
        let user = label("user", self.user.as_deref(), "system")?;
        let labels = [kind, user];
        Ok(Tally::set(&CUSTOM_RESOURCE_USAGE.def, &labels, self.value))
    }
}

impl Item for Timing {
    const PATH: &'static str = "timing";
    const FORM: &'static str = r#"{"operation": "…", "status": "success", "seconds": 1.5}"#;

    fn tally(&self, allowed: &[Wildcard]) -> Result<Tally, String> {
        let operation = name("operation", &self.operation, allowed)?;
        let status = label("status", self.status.as_deref(), "success")?;
        if self.seconds < 0.0 || self.seconds > LARGEST {
            return Err(format!("`seconds` is not between 0 and {LARGEST:e}"));
        }
        let def = &CUSTOM_OPERATION_DURATION.def;
        Ok(Tally::observe(def, &[operation, status], self.seconds))
    }
}

fn name<'a>(key: &str, text: &'a str, allowed: &[Wildcard]) -> Result<&'a str, String> {
    if text.is_empty() {
        return Err(format!("`{key}` is empty"));
    }
    let text = bounded(key, text)?;
    if allowed.iter().any(|pattern| pattern.matches(text)) {
        Ok(text)
    } else {
        Err(format!("`{key}` is not in `metrics.custom_allowed`"))
    }
}

fn label<'a>(key: &str, text: Option<&'a str>, default: &'a str) -> Result<&'a str, String> {
    let text = text.filter(|text| !text.is_empty());
    bounded(key, text.unwrap_or(default))
}

fn bounded<'a>(key: &str, text: &'a str) -> Result<&'a str, String> {
    if text.len() > LABEL_MAX_BYTES {
        return Err(format!("`{key}` is longer than {LABEL_MAX_BYTES} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("`{key}` holds a control character"));
    }
    Ok(text)
}

async fn take<I: Item>(site: Site, request: Request<Body>) -> Result<Json<CountedReply>, ApiError> {
    access::may_write_events(&site, request.headers()).await?;
    site.sink.check_room(1)?;
    let key = request_key::<I>(request.headers())?;
    let read = site.room.read(request).await?;
    let allowed = site.config.metrics.custom_names();
    let bytes = read.bytes.clone();
    let reading = tokio::task::spawn_blocking(move || read_items::<I>(&bytes, &allowed));
    let ReadItems {
        mut intake,
        n_accepted,
        rejected,
    } = reading.await.map_err(|_| ApiError::Internal)??;
    if let Some(key) = key {
        // With what was sent: others may have thought of the same key.
        let digest = Sha256::digest(&read.bytes);
        let digest: u64 = digest[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        intake.request(&format!("{key} {digest:016x}"));
    }
    if n_accepted > 0 {
        site.sink.count(intake).await?;
    }
    Ok(Json(CountedReply {
        accepted: n_accepted,
        rejected,
    }))
}

/// The same key may be used for each kind of number.
fn request_key<I: Item>(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| {
        let is_fit = (1..=KEY_MAX_BYTES).contains(&key.len());
        is_fit && !key.trim().is_empty()
    });
    let key = key.ok_or_else(|| {
        let text = format!("`Idempotency-Key` is not 1 to {KEY_MAX_BYTES} ASCII characters");
        ApiError::Bad(text)
    })?;
    Ok(Some(format!("{} {key}", I::PATH)))
}

struct ReadItems {
    intake: Intake,
    n_accepted: usize,
    rejected: Vec<RejectedReply>,
}

fn read_items<I: Item>(body: &[u8], allowed: &[Wildcard]) -> Result<ReadItems, ApiError> {
    let items = split::items(body, MAX_ITEMS);
    if items.len() > MAX_ITEMS {
        let text = format!("more than {MAX_ITEMS} items: send them in parts");
        return Err(ApiError::TooLarge(text));
    }
    let mut read = ReadItems {
        intake: Intake::default(),
        n_accepted: 0,
        rejected: Vec::new(),
    };
    for (index, item) in items.into_iter().enumerate() {
        match read_item::<I>(item, allowed) {
            Ok(tally) => {
                read.intake.tally(tally);
                read.n_accepted += 1;
            }
            Err(reason) if read.rejected.len() < MAX_REASONS => {
                read.rejected.push(RejectedReply { index, reason });
            }
            Err(_) => {}
        }
    }
    Ok(read)
}

fn read_item<I: Item>(item: &[u8], allowed: &[Wildcard]) -> Result<Tally, String> {
    let item: I = serde_json::from_slice(item)
        .map_err(|error| format!("not of the form {}: {error}", I::FORM))?;
    item.tally(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::TallyValue;

    fn check<I: Item>(body: &str, expected: &[&str]) {
        let allowed = ["a", "b*", "ä"].map(Wildcard::new);
        let items = split::items(body.as_bytes(), 100).into_iter();
        let read = items.map(|item| match read_item::<I>(item, &allowed) {
            Err(reason) => reason,
            Ok(tally) => {
                let value = match tally.change() {
                    TallyValue::Counter(value) | TallyValue::Gauge(value) => *value,
                    TallyValue::Histogram(histogram) => histogram.sum,
                };
                format!("{} {} {value}", tally.def().name, tally.labels().join(","))
            }
        });
        assert_eq!(read.collect::<Vec<_>>(), expected, "{body}");
    }

    #[test]
    fn items_count_with_what_they_leave_out() {
        check::<Counter>(
            r#"[{"event_type": "a"}, {"event_type": "bx", "user": "ada", "amount": 2.5}]"#,
            &[
                "custom_events_total a,anonymous 1",
                "custom_events_total bx,ada 2.5",
            ],
        );
        check::<Gauge>(
            r#"{"resource_type": "ä", "value": -3, "user": ""}"#,
            &["custom_resource_usage ä,system -3"],
        );
        check::<Timing>(
            r#"[{"operation": "a", "seconds": 0}, {"operation": "a", "status": "error", "seconds": 7}]"#,
            &[
                "custom_operation_duration_seconds a,success 0",
                "custom_operation_duration_seconds a,error 7",
            ],
        );
    }

    #[test]
    fn what_does_not_count_says_why() {
        check::<Counter>(
            r#"[{"event_type": "c"}, {"event_type": ""}, {"event_type": "a", "amount": 0},
                {"event_type": "a", "amount": 1e16}, {"event_type": "b\n"}]"#,
            &[
                "`event_type` is not in `metrics.custom_allowed`",
                "`event_type` is empty",
                "`amount` is not above 0 and at most 1e15",
                "`amount` is not above 0 and at most 1e15",
                "`event_type` holds a control character",
            ],
        );
        let long = format!(
            r#"{{"operation": "a", "status": "{}", "seconds": 1}}"#,
            "x".repeat(101)
        );
        check::<Timing>(&long, &["`status` is longer than 100 bytes"]);
        check::<Timing>(
            r#"[{"operation": "a", "seconds": -1}, {"operation": "a", "seconds": 1e999}, 3]"#,
            &[
                "`seconds` is not between 0 and 1e15",
                "not of the form {\"operation\": \"…\", \"status\": \"success\", \"seconds\": 1.5}: \
                 number out of range at line 1 column 35",
                "not of the form {\"operation\": \"…\", \"status\": \"success\", \"seconds\": 1.5}: \
                 invalid type: integer `3`, expected struct Timing at line 1 column 1",
            ],
        );
    }

    #[test]
    fn a_key_is_bounded_and_of_one_kind_of_number() {
        let key = |text: &str| {
            let headers = [(IDEMPOTENCY_KEY, text.parse().unwrap())];
            let headers = headers.map(|(name, value)| (name.parse().unwrap(), value));
            request_key::<Gauge>(&headers.into_iter().collect())
        };
        assert_eq!(key("abc").unwrap().as_deref(), Some("gauge abc"));
        assert!(key("").is_err() && key(&"x".repeat(201)).is_err() && key("ä").is_err());
        assert_eq!(request_key::<Gauge>(&HeaderMap::new()).unwrap(), None);
    }
}
