//! Events of a JupyterHub: jupyter_events of 5.x and 6.x, jupyter_telemetry of 4.x, and whatever
//! else a site sends through the hub's logger.
//!
//! Source: the schema `server-action` of JupyterHub 4.1, 5.5 and 6.1, and recorded lines.

use super::super::reader::{Repeats, Told};
use super::{Keys, kind_of_schema};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Under which names 5.x and 6.x, and 4.x, announce starts and stops.
const SERVER_ACTIONS: [&str; 2] = [
    "https://schema.jupyter.org/jupyterhub/events/server-action",
    "hub.jupyter.org/server-action",
];

pub(super) fn read(object: Map<String, Value>, now: Timestamp) -> Result<Told, String> {
    let mut keys = Keys(object);
    let schema = keys.text("__schema__")?;
    let schema_version = keys.version("__schema_version__")?;
    let at = keys.time("__timestamp__", now)?;
    // Of the logger itself, and the same in all events.
    keys.0.shift_remove("__metadata_version__");
    let (kind, user, server) = if SERVER_ACTIONS.contains(&schema.as_str()) {
        let kind = match keys.text("action")?.as_str() {
            "start" => "server-start".to_owned(),
            "stop" => "server-stop".to_owned(),
            other => return Err(format!("`action` is `{other}`, not `start` or `stop`")),
        };
        let user = keys.text("username")?;
        let server = keys.maybe_text("servername")?;
        (kind, Some(user), Some(server.unwrap_or_default()))
    } else {
        of_others(&mut keys, &schema)
    };
    Ok(Told {
        id: None,
        at,
        kind,
        user,
        server,
        detail: keys.0,
        source: "hub".to_owned(),
        schema: Some(schema),
        schema_version,
        repeats: Repeats::Never,
    })
}

/// A schema that is not known is kept as it is; where it names a user as the hub's own does, so do
/// we.
fn of_others(keys: &mut Keys, schema: &str) -> (String, Option<String>, Option<String>) {
    let mut name = |key: &str| match keys.0.get(key) {
        Some(Value::String(text)) if super::checked(key, text.clone()).is_ok() => {
            let text = text.clone();
            keys.0.shift_remove(key);
            Some(text)
        }
        _ => None,
    };
    let user = name("username").filter(|user| !user.is_empty());
    let server = name("servername");
    (kind_of_schema(schema), user, server)
}
