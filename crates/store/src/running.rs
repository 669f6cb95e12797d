//! The servers that run now, with their sessions so far, as rows of a query.
//!
//! What a session is says `model::session`; who finds out what runs is not the business of this module.

use crate::derive;
use crate::query::Sources;
use crate::state::{StateError, facts, present};
use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use jiff::Timestamp;
use model::diff::Running;
use model::fact::{ActiveHour, Fact, ServerKey, What};
use model::session::{self, Session};
use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A server that runs.
pub(crate) struct Present {
    pub(crate) hub: String,
    pub(crate) running: Running,
    /// With what was told of earlier hours.
    session: Option<Arc<Session>>,
}

/// Looks at servers that run; remembers what it derived from facts as long as they are the same: of a
/// thousand servers few are told something new between two looks.
#[derive(Default)]
pub(crate) struct Look {
    known: HashMap<String, HashMap<ServerKey, SoFar>>,
}

/// A session, and what it was derived from.
struct SoFar {
    mark: Option<i64>,
    facts: Vec<Fact>,
    started: Timestamp,
    /// Its activity in hours that are not told yet; when it was looked at makes no difference.
    hours: Option<What>,
    session: Option<Arc<Session>>,
}

impl Look {
    /// All servers of the hubs, without those of which `sessions` tells already.
    pub(crate) fn at<'a>(
        &mut self,
        connection: &Connection,
        hubs: impl Iterator<Item = &'a String>,
        now: Timestamp,
    ) -> Result<Vec<Present>, StateError> {
        let mut before = std::mem::take(&mut self.known);
        let mut all = Vec::new();
        for hub in hubs {
            let mut of_hub = before.remove(hub).unwrap_or_default();
            let known = self.known.entry(hub.clone()).or_default();
            for running in present::read_servers(connection, hub)? {
                // A stop that the hub told counts before the next look at what runs.
                if derive::has_ended(connection, hub, &running.key, running.started)? {
                    continue;
                }
                let mark = facts::mark_of_key(connection, hub, &running.key)?;
                let so_far = match of_hub.remove(&running.key) {
                    Some(so_far) if so_far.mark == mark => so_far.at(&running, now),
                    _ => {
                        let facts = facts::of_key(connection, hub, &running.key)?;
                        SoFar::of(mark, facts, &running, now)
                    }
                };
                let session = so_far.session.clone();
                known.insert(running.key.clone(), so_far);
                all.push(Present {
                    hub: hub.clone(),
                    running,
                    session,
                });
            }
        }
        Ok(all)
    }
}

impl SoFar {
    fn of(mark: Option<i64>, mut facts: Vec<Fact>, running: &Running, now: Timestamp) -> Self {
        let hours = running.activity(now).map(|keyed| keyed.fact);
        let n_told = facts.len();
        facts.extend(hours.clone());
        let sessions = session::sessions(&facts);
        facts.truncate(n_told);
        let of_this = |session: &Session| session.started == running.started;
        let session = sessions.into_iter().find(of_this).map(Arc::new);
        Self {
            mark,
            facts,
            started: running.started,
            hours: hours.map(|fact| fact.what),
            session,
        }
    }

    /// The same a little later, of the same facts.
    fn at(self, running: &Running, now: Timestamp) -> Self {
        let hours = running.activity(now).map(|keyed| keyed.fact.what);
        if self.hours == hours && self.started == running.started {
            return self;
        }
        Self::of(self.mark, self.facts, running, now)
    }
}

/// Their rows: [`Sources::running_schema`].
pub(crate) fn batch(running: &[Present]) -> Result<RecordBatch, String> {
    let text = |value: &dyn Fn(&Present) -> Option<String>| -> ArrayRef {
        Arc::new(running.iter().map(value).collect::<StringArray>())
    };
    let time = |value: &dyn Fn(&Present) -> Option<Timestamp>| -> ArrayRef {
        let micros = running
            .iter()
            .map(|present| value(present).map(Timestamp::as_microsecond));
        Arc::new(
            micros
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        )
    };
    let seconds = running.iter().map(|present| {
        let seconds = present.session.as_ref()?.active_seconds?;
        i64::try_from(seconds).ok()
    });
    let ready: BooleanArray = running.iter().map(|_| Some(true)).collect();
    let columns = vec![
        text(&|present| Some(present.hub.clone())),
        text(&|present| Some(present.running.key.user.to_string())),
        text(&|present| Some(present.running.key.server.to_string())),
        time(&|present| Some(present.running.started)),
        time(&|present| Some(present.running.last_seen)),
        time(&|present| present.running.tally.last_activity),
        Arc::new(ready),
        Arc::new(seconds.collect::<Int64Array>()),
        text(&|present| by_hour(present.session.as_ref()?.known_active_hours()?)),
        text(&|present| present.running.options.as_deref().map(str::to_owned)),
        text(&|present| present.running.image.as_deref().map(str::to_owned)),
    ];
    RecordBatch::try_new(Sources::running_schema(), columns).map_err(|error| error.to_string())
}

/// The hours as a JSON object, with their starts as names.
pub(crate) fn by_hour(hours: &[ActiveHour]) -> Option<String> {
    let by_hour: BTreeMap<Timestamp, u32> = hours
        .iter()
        .map(|active| (active.hour, active.seconds))
        .collect();
    serde_json::to_string(&by_hour).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{at, key};
    use model::tally::Tally;

    const STARTED: &str = "2026-11-21T09:00:00Z";

    fn running(last_activity: &str, seconds: u32) -> Running {
        Running {
            key: key("ada"),
            started: at(STARTED),
            is_cut: false,
            options: None,
            image: None,
            seen_ready: at(STARTED),
            last_seen: at(last_activity),
            tally: Tally {
                last_activity: Some(at(last_activity)),
                hours: BTreeMap::from([(at(STARTED), seconds)]),
            },
        }
    }

    #[test]
    fn a_session_is_derived_again_when_the_server_was_active_and_not_as_time_goes_by() {
        let seen = Fact {
            at: at(STARTED),
            what: What::Seen {
                started: at(STARTED),
                options: None,
                image: None,
            },
        };
        let quiet = running("2026-11-21T09:05:00Z", 300);
        let so_far = SoFar::of(Some(1), vec![seen], &quiet, at("2026-11-21T09:20:00Z"));
        let session = so_far.session.clone().unwrap();
        assert_eq!(session.active_seconds, Some(300));
        let so_far = so_far.at(&quiet, at("2026-11-21T09:21:00Z"));
        assert!(Arc::ptr_eq(&session, so_far.session.as_ref().unwrap()));
        let active = running("2026-11-21T09:22:00Z", 400);
        let so_far = so_far.at(&active, at("2026-11-21T09:23:00Z"));
        assert_eq!(so_far.session.unwrap().active_seconds, Some(400));
    }
}
