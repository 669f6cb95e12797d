//! What of an event everybody may know: an allow list of kinds and keys, and the minute. Nothing
//! else has a way out.

use crate::config::ArchiveConfig;
use crate::events::{LAUNCH, LAUNCH_KIND};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::filter::Wildcard;
use serde_json::{Map, Value};

/// What is public.
pub(super) struct Public {
    kinds: Vec<Wildcard>,
    keys: Vec<String>,
}

/// An event as everybody may see it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) minute: String,
    pub(super) text: String,
}

fn schema_is_launch(row: &Value) -> bool {
    row["schema"].as_str() == Some(LAUNCH)
}

impl Public {
    pub(super) fn new(config: &ArchiveConfig) -> Self {
        let kinds = config.kinds.iter().map(|kind| Wildcard::new(kind));
        Self {
            kinds: kinds.collect(),
            keys: config.keys.clone(),
        }
    }

    pub(super) fn is_public(&self, kind: &str) -> bool {
        self.kinds.iter().any(|pattern| pattern.matches(kind))
    }

    /// A row of the history in public; `None` if nobody may know of it.
    pub(super) fn line(&self, row: &Value) -> Option<Line> {
        let text = |name: &str| row[name].as_str();
        let kind = text("kind").filter(|kind| self.is_public(kind))?;
        let at: Timestamp = text("at")?.parse().ok()?;
        let minute = at
            .to_zoned(TimeZone::UTC)
            .strftime("%Y-%m-%dT%H:%M:00+00:00")
            .to_string();
        let mut line = Map::new();
        let mut set = |key: &str, value: Value| line.insert(key.to_owned(), value);
        set("timestamp", minute.as_str().into());
        // Any other schema and version is whatever its sender liked to say.
        if let Some(schema) =
            text("schema").filter(|_| kind == LAUNCH_KIND && schema_is_launch(row))
        {
            set("schema", schema.into());
            if let Some(version) = text("schema_version").and_then(|it| it.parse::<u32>().ok()) {
                set("version", version.into());
            }
        }
        set("kind", kind.into());
        let detail: Option<Map<String, Value>> =
            text("detail").and_then(|detail| serde_json::from_str(detail).ok());
        let detail = detail.unwrap_or_default();
        for key in &self.keys {
            // What is inside of lists and objects nobody has allowed.
            if let Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) =
                detail.get(key)
            {
                set(key, value.clone());
            }
        }
        Some(Line {
            minute,
            text: Value::Object(line).to_string(),
        })
    }
}
