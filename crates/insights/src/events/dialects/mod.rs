//! The dialects, told apart by the keys that only they have.
//!
//! | dialect | its mark |
//! |---|---|
//! | JupyterHub 5.x and 6.x (jupyter_events), 4.x (jupyter_telemetry) | `__schema__` |
//! | BinderHub's launches and their archives | `schema`, `version` and `timestamp` |
//! | our own archive | `kind` and `timestamp` |
//! | generic | `kind` |

mod binder;
mod generic;
mod hub;

pub(crate) use binder::{LAUNCH, LAUNCH_KIND};

use super::reader::{Told, kind_of};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Longest name, kind, schema or id that is believed, in bytes: that of the hub's own columns.
const TEXT_MAX_BYTES: usize = 1024;
/// Kinds that only polling tells, with details that nobody else can know.
const OUR_OWN: [&str; 5] = [
    "server-seen",
    "server-activity",
    "server-gone",
    "user-added",
    "user-removed",
];

/// What the object says, or why it cannot be read.
pub(super) fn read(object: Map<String, Value>, now: Timestamp) -> Result<Told, String> {
    if object.contains_key("__schema__") {
        return hub::read(object, now);
    }
    let has = |key| object.contains_key(key);
    if has("timestamp") && !has("at") && (has("schema") || has("kind")) {
        return binder::read(object, now);
    }
    if has("kind") {
        return generic::read(object, now);
    }
    Err(
        "no known form: an event of a hub has `__schema__`, one of a BinderHub `schema` and \
         `timestamp`, any other `kind` and `at`"
            .to_owned(),
    )
}

/// Why a kind is refused that only polling may tell.
fn is_our_own(kind: &str) -> String {
    format!("the kind `{kind}` is what polling sees; choose another name")
}

/// The keys of an object, taken out one by one; what is left is the detail.
struct Keys(Map<String, Value>);

impl Keys {
    /// A text that may be missing or null.
    fn maybe_text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.0.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => checked(key, text).map(Some),
            Some(other) => Err(format!("`{key}` is {}, not text", kind_of(&other))),
        }
    }

    /// A text that must be there and not be empty.
    fn text(&mut self, key: &str) -> Result<String, String> {
        match self.maybe_text(key)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(format!("`{key}` is empty")),
            None => Err(format!("`{key}` is missing")),
        }
    }

    /// A text that may be missing, but not be empty.
    fn text_if_any(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.maybe_text(key)? {
            Some(text) if text.is_empty() => Err(format!("`{key}` is empty")),
            text => Ok(text),
        }
    }

    /// A version, which some write as a number.
    fn version(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.0.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => checked(key, text).map(Some),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(format!("`{key}` is {}, not a version", kind_of(&other))),
        }
    }

    fn time(&mut self, key: &str, now: Timestamp) -> Result<Timestamp, String> {
        let value = self.0.shift_remove(key);
        let value = value.ok_or_else(|| format!("`{key}` is missing"))?;
        super::time::read(key, &value, now)
    }
}

/// Names of a hub hold no control characters, and none is that long.
fn checked(key: &str, text: String) -> Result<String, String> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(format!("`{key}` is longer than {TEXT_MAX_BYTES} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("`{key}` holds a control character"));
    }
    Ok(text)
}

/// The kind of an event whose schema we do not know: the last part of the schema's name, unless
/// that means something here. Whoever may write may say when servers ran, but a schema of others
/// must not happen to.
fn kind_of_schema(schema: &str) -> String {
    if schema == binder::LAUNCH {
        return binder::LAUNCH_KIND.to_owned();
    }
    let name = schema.trim_end_matches('/').rsplit('/').next();
    let name = name.filter(|name| !name.is_empty()).unwrap_or(schema);
    let is_taken = OUR_OWN.contains(&name) || store::KINDS_OF_OTHERS.contains(&name);
    if is_taken { schema } else { name }.to_owned()
}
