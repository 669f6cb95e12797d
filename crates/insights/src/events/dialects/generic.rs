//! Our own form, for whoever has something to say: documented in `docs/events.md`.

use super::super::reader::{Repeats, Told};
use super::{Keys, OUR_OWN, kind_of};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Who says so, if the sender does not.
const SOMEBODY: &str = "other";

pub(super) fn read(object: Map<String, Value>, now: Timestamp) -> Result<Told, String> {
    let mut keys = Keys(object);
    let kind = keys.text("kind")?;
    if OUR_OWN.contains(&kind.as_str()) {
        return Err(super::is_our_own(&kind));
    }
    let told = Told {
        id: keys.maybe_text("id")?.filter(|id| !id.is_empty()),
        at: keys.time("at", now)?,
        user: keys.text_if_any("user")?,
        server: keys.maybe_text("server")?,
        detail: detail(keys.0.shift_remove("detail"))?,
        source: source(&mut keys)?,
        schema: keys.maybe_text("schema")?,
        schema_version: keys.version("schema_version")?,
        repeats: Repeats::Never,
        kind,
    };
    // A name with a typo would be lost in the detail.
    match keys.0.keys().next() {
        Some(key) => Err(format!(
            "unknown key `{}`: put it into `detail`",
            shown(key)
        )),
        None => Ok(told),
    }
}

/// A key as it may stand in a message and a log.
fn shown(key: &str) -> String {
    let end = key.floor_char_boundary(100);
    key[..end].escape_debug().to_string()
}

fn detail(value: Option<Value>) -> Result<Map<String, Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(detail)) => Ok(detail),
        Some(other) => Err(format!("`detail` is {}, not an object", kind_of(&other))),
    }
}

/// `poll` is us.
fn source(keys: &mut Keys) -> Result<String, String> {
    let source = keys.maybe_text("source")?.filter(|name| !name.is_empty());
    match source {
        Some(name) if name == "poll" => {
            Err("`source` is `poll`, which is this service itself".to_owned())
        }
        Some(name) => Ok(name),
        None => Ok(SOMEBODY.to_owned()),
    }
}
