//! One item of input, whatever its dialect, as a row or as a reason why not.

use super::dialects;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use store::tables::{DeadLetter, Event, RowId};

/// Longer items are refused unread.
pub const ITEM_MAX_BYTES: usize = 1024 * 1024;
/// What is said of them.
pub(super) const TOO_LONG: &str = "longer than 1 MiB";
/// What is kept of an item that cannot be read.
const KEPT_BYTES: usize = 64 * 1024;
/// Different lines of one file whose repetitions are counted; a day of mybinder.org has 30,000.
const MAX_COUNTED: usize = 2_000_000;

/// What an item turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Something happened.
    Event(Box<Event>),
    /// It cannot be read.
    Rejected(Rejected),
}

/// An item that cannot be read, for its sender and for `dead_letters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why, with the key in backticks and what was expected.
    pub reason: String,
    /// The item, cut at 64 KiB; what is not UTF-8 in it is replaced.
    pub text: String,
    /// Of the whole item, so that two that differ behind the cut are two.
    digest: [u8; 32],
}

impl Rejected {
    /// An item with the reason why it cannot be read.
    pub fn new(reason: impl Into<String>, item: &[u8]) -> Self {
        let kept = &item[..item.len().min(KEPT_BYTES)];
        let mut text = String::from_utf8_lossy(kept).into_owned();
        text.truncate(text.floor_char_boundary(KEPT_BYTES));
        Self {
            reason: reason.into(),
            text,
            digest: Sha256::digest(item).into(),
        }
    }

    /// As it is kept: the same rubbish, sent again the same day by the same sender, is one row.
    pub fn letter(&self, hub: &Arc<str>, source: &str, now: Timestamp) -> DeadLetter {
        let day = now.strftime("%F").to_string();
        let item = RowId::of_bytes(&self.digest);
        DeadLetter {
            id: RowId::of(&[
                "dead-letter",
                hub,
                source,
                &day,
                &self.reason,
                item.as_str(),
            ]),
            hub: Arc::clone(hub),
            at: now,
            source: source.into(),
            reason: self.reason.as_str().into(),
            text: self.text.as_str().into(),
        }
    }
}

/// Reads the items of one request or one file, in order.
///
/// It remembers lines that may really repeat (an archive's, whose times are rounded), so that the
/// n-th equal one is a row of its own and the same file, read again, gives the same rows.
pub struct Reader {
    hub: Arc<str>,
    repeats: HashMap<[u8; 16], u32>,
}

impl Reader {
    /// A reader at the beginning of a request or file about this hub.
    pub fn new(hub: Arc<str>) -> Self {
        Self {
            hub,
            repeats: HashMap::new(),
        }
    }

    /// Reads one item: a JSON object in one of the dialects. `now` is when it arrived.
    pub fn read(&mut self, item: &[u8], now: Timestamp) -> Item {
        match self.try_read(item, now) {
            Ok(event) => Item::Event(Box::new(event)),
            Err(reason) => Item::Rejected(Rejected::new(reason, item)),
        }
    }

    /// Whether it has met lines that may repeat.
    pub(super) fn counts_repeats(&self) -> bool {
        !self.repeats.is_empty()
    }

    fn try_read(&mut self, item: &[u8], now: Timestamp) -> Result<Event, String> {
        if item.len() > ITEM_MAX_BYTES {
            return Err(TOO_LONG.to_owned());
        }
        let text = str::from_utf8(item).map_err(|error| {
            let at = error.valid_up_to();
            format!("not UTF-8 at byte {at}")
        })?;
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let Value::Object(object) = value else {
            let kind = kind_of(&value);
            return Err(format!("{kind}, not a JSON object"));
        };
        let mut told = dialects::read(object, now)?;
        told.detail.sort_all_objects_in();
        let detail = Value::Object(std::mem::take(&mut told.detail)).to_string();
        let content = told.content(&detail);
        let n_before = match told.repeats {
            Repeats::Never => 0,
            Repeats::Maybe => self.n_equal_before(&content),
        };
        let id = match &told.id {
            Some(id) => RowId::of(&["event", &self.hub, "sent", &told.source, id]),
            None => RowId::of(&["event", &self.hub, "told", &content, &n_before.to_string()]),
        };
        Ok(told.event(id, &self.hub, detail))
    }

    fn n_equal_before(&mut self, content: &str) -> u32 {
        let digest = Sha256::digest(content.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        if self.repeats.len() >= MAX_COUNTED && !self.repeats.contains_key(&key) {
            return 0;
        }
        let n_seen = self.repeats.entry(key).or_default();
        *n_seen += 1;
        *n_seen - 1
    }
}

/// Whether two equal items can be two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// The time is exact: the same item again is the same event.
    Never,
    /// The time is rounded.
    Maybe,
}

/// What an item says, in our words.
#[derive(Debug)]
pub(super) struct Told {
    /// The sender's own, which makes the row's.
    pub(super) id: Option<String>,
    pub(super) at: Timestamp,
    pub(super) kind: String,
    pub(super) user: Option<String>,
    pub(super) server: Option<String>,
    /// Everything else; empty is nothing.
    pub(super) detail: Map<String, Value>,
    pub(super) source: String,
    pub(super) schema: Option<String>,
    pub(super) schema_version: Option<String>,
    pub(super) repeats: Repeats,
}

impl Told {
    /// The same text for the same event, whoever wrote its keys in which order.
    fn content(&self, detail: &str) -> String {
        let at = self.at.as_microsecond();
        let parts = serde_json::json!([
            at,
            self.kind,
            self.user,
            self.server,
            self.source,
            self.schema,
            self.schema_version
        ]);
        format!("{parts} {detail}")
    }

    fn event(self, id: RowId, hub: &Arc<str>, detail: String) -> Event {
        Event {
            id,
            hub: Arc::clone(hub),
            at: self.at,
            not_before: None,
            kind: self.kind.into(),
            user: self.user.map(|name| name.as_str().into()),
            server: self.server.map(Arc::from),
            detail: (detail != "{}").then(|| detail.into()),
            source: self.source.into(),
            schema: self.schema.map(Arc::from),
            schema_version: self.schema_version.map(Arc::from),
        }
    }
}

/// Sorted keys at every level.
trait SortAll {
    fn sort_all_objects_in(&mut self);
}

impl SortAll for Map<String, Value> {
    fn sort_all_objects_in(&mut self) {
        self.sort_keys();
        self.values_mut().for_each(Value::sort_all_objects);
    }
}

/// What a value is, for messages.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
