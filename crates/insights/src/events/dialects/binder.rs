//! Launches of a BinderHub, as it sends them and as they are archived.
//!
//! Source: the schema `binderhub.jupyter.org/launch`, versions 1 to 5, and the archive of
//! mybinder.org (one file a day, times rounded to the minute). In an archive equal lines are that
//! many launches.

use super::super::reader::{Repeats, Told};
use super::{Keys, OUR_OWN, kind_of_schema};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

/// Their schema.
pub(crate) const LAUNCH: &str = "binderhub.jupyter.org/launch";
/// What they are called here.
pub(crate) const LAUNCH_KIND: &str = "binder-launch";

pub(super) fn read(object: Map<String, Value>, now: Timestamp) -> Result<Told, String> {
    let mut keys = Keys(object);
    let schema = keys.text_if_any("schema")?;
    let schema_version = keys.version("version")?;
    let at = keys.time("timestamp", now)?;
    if schema.is_none() {
        check_archived(&keys.0)?;
    }
    let kind = match (keys.text_if_any("kind")?, &schema) {
        // Our own archive names the kind, and leaves out keys that are not public.
        (Some(kind), _) if OUR_OWN.contains(&kind.as_str()) => {
            return Err(super::is_our_own(&kind));
        }
        (Some(kind), _) => kind,
        (None, Some(schema)) => {
            if schema == LAUNCH {
                check_launch(&keys.0)?;
            }
            kind_of_schema(schema)
        }
        (None, None) => return Err("`schema` is missing".to_owned()),
    };
    Ok(Told {
        id: None,
        at,
        kind,
        user: None,
        server: None,
        detail: keys.0,
        source: if schema.is_some() {
            "binderhub".to_owned()
        } else {
            "archive".to_owned()
        },
        schema,
        schema_version,
        repeats: if is_whole_minute(at) {
            Repeats::Maybe
        } else {
            Repeats::Never
        },
    })
}

/// A generic event with `timestamp` in place of its `at` is no line of an archive, and would lose its
/// user.
fn check_archived(line: &Map<String, Value>) -> Result<(), String> {
    let is_there = |key: &&&str| line.contains_key(**key);
    match ["id", "user", "server", "source"].iter().find(is_there) {
        Some(key) => Err(format!(
            "`{key}` stands in no archive; a generic event has `at`, not `timestamp`"
        )),
        None => Ok(()),
    }
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
