//! Which hubs a store knows and how each is kept, for processes that are not told: commands that
//! work on a history have the service's settings from here.

use crate::keeper::KeeperSettings;
use crate::sources::ZONE;
use crate::state::{StateError, keep_setting, setting, settings_named};
use crate::upkeep::Retention;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Settings that hold how long a hub's rows are kept are named after it.
const RETENTION: &str = "retention/";

/// A hub of the store, as the process that kept it last was told to keep it.
#[derive(Clone, Debug)]
pub struct KnownHub {
    /// Its name.
    pub name: Arc<str>,
    /// In which its days are cut.
    pub zone: TimeZone,
    /// How long its rows are kept, if that is noted.
    pub retention: Option<Retention>,
}

/// [`Retention`] as it is noted: seconds, nothing is for ever.
#[derive(Serialize, Deserialize)]
struct Noted {
    events: Option<i64>,
    addresses: Option<i64>,
    dead_letters: Option<i64>,
    audit: Option<i64>,
    observations_by_minute: Option<i64>,
}

/// Notes how the hub is kept, beside its zone ([`crate::derive`]).
pub(crate) fn keep(connection: &Connection, settings: &KeeperSettings) -> Result<(), StateError> {
    let hub = &settings.hub;
    let seconds = |kept: Option<SignedDuration>| kept.map(|kept| kept.as_secs());
    let retention = &settings.retention;
    let noted = Noted {
        events: seconds(retention.events),
        addresses: seconds(retention.addresses),
        dead_letters: seconds(retention.dead_letters),
        audit: seconds(retention.audit),
        observations_by_minute: seconds(retention.observations_by_minute),
    };
    let noted = serde_json::to_string(&noted)?;
    keep_setting(connection, &format!("{RETENTION}{hub}"), &noted)
}

/// The hubs that were ever kept, sorted by name.
pub(crate) fn known(connection: &Connection) -> Result<Vec<KnownHub>, StateError> {
    let zones = settings_named(connection, ZONE)?;
    let known = zones.into_iter().map(|(name, zone)| {
        let noted = setting(connection, &format!("{RETENTION}{name}"))?;
        let noted: Option<Noted> = noted.map(|text| serde_json::from_str(&text)).transpose()?;
        Ok(KnownHub {
            zone: TimeZone::get(&zone).unwrap_or(TimeZone::UTC),
            retention: noted.map(|noted| noted.retention()),
            name: name.into(),
        })
    });
    known.collect()
}

impl Noted {
    fn retention(&self) -> Retention {
        let duration = |seconds: Option<i64>| seconds.map(SignedDuration::from_secs);
        Retention {
            events: duration(self.events),
            addresses: duration(self.addresses),
            dead_letters: duration(self.dead_letters),
            audit: duration(self.audit),
            observations_by_minute: duration(self.observations_by_minute),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{kept_with, settings};

    #[tokio::test]
    async fn how_a_hub_is_kept_is_known_to_others() {
        let retention = Retention {
            events: None,
            addresses: Some(SignedDuration::from_hours(24)),
            ..Retention::default()
        };
        let kept = kept_with(KeeperSettings {
            retention,
            ..settings("a/b")
        })
        .await;
        let hubs = kept.store.hubs().await.unwrap();
        let [hub] = &hubs[..] else { panic!("{hubs:?}") };
        assert_eq!(&*hub.name, "a/b");
        assert_eq!(hub.zone.iana_name(), Some("Europe/Berlin"));
        assert_eq!(hub.retention, Some(retention));
    }
}
