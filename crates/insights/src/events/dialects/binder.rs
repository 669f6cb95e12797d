//! Launches of a BinderHub, as it sends them and as they are archived.
//!
//! Source: the schema `binderhub.jupyter.org/launch`, versions 1 to 5, and the archive of
//! mybinder.org (one file a day, times rounded to the minute). In an archive equal lines are that
//! many launches.

use super::super::reader::{Repeats, Told};
use super::{Keys, kind_of_schema};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

const LAUNCH: &str = "binderhub.jupyter.org/launch";

pub(super) fn read(object: Map<String, Value>, now: Timestamp) -> Result<Told, String> {
    let mut keys = Keys(object);
    let schema = keys.text("schema")?;
    let schema_version = keys.version("version")?;
    let at = keys.time("timestamp", now)?;
    let is_launch = schema == LAUNCH;
    if is_launch {
        check_launch(&keys.0)?;
    }
    Ok(Told {
        id: None,
        at,
        kind: if is_launch {
            "binder-launch".to_owned()
        } else {
            kind_of_schema(&schema)
        },
        user: None,
        server: None,
        detail: keys.0,
        source: "binderhub".to_owned(),
        schema: Some(schema),
        schema_version,
        repeats: if is_whole_minute(at) {
            Repeats::Maybe
        } else {
            Repeats::Never
        },
    })
}

/// What all versions of the schema demand; later ones added `origin`, `ref` and `build_token`.
fn check_launch(launch: &Map<String, Value>) -> Result<(), String> {
    for key in ["provider", "spec", "status"] {
        match launch.get(key) {
            Some(Value::String(_)) => {}
            Some(other) => {
                let kind = super::kind_of(other);
                return Err(format!("`{key}` is {kind}, not text"));
            }
            None => return Err(format!("`{key}` is missing")),
        }
    }
    Ok(())
}

fn is_whole_minute(at: Timestamp) -> bool {
    let civil = at.to_zoned(TimeZone::UTC).datetime();
    civil.second() == 0 && civil.subsec_nanosecond() == 0
}
