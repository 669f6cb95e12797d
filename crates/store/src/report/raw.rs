//! Activity of sessions over midnight, on days that the roll-up does not have: the events tell how many
//! seconds of each hour were active, and of a server that runs what runs tells it.

use super::calendar::{Calendar, DayNumber};
use crate::table::{Cell, Table};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// How long somebody was active on a day in a session over midnight.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ActiveDay {
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) day: DayNumber,
    pub(crate) seconds: f64,
}

/// Sessions over midnight that ran on one of the days and whose activity is known.
pub(super) const SESSIONS: &str = "
select hub, \"user\", server, started, until
from (
    select hub, \"user\", server, started, until
    from ran_sessions
    where started < $ends and (ended is null or ended >= $raw_starts)
        and active_seconds is not null
)
where day_of(hub, started) < last_day_of(hub, started, until)";

/// What was told of their activity. Most is of other sessions, whose hours nobody needs.
pub(super) fn events() -> String {
    format!(
        "select hub, \"user\", server, detail
         from (
             select hub, \"user\", server, detail,
                    to_timestamp_micros(json_get_str(detail, 'started')) as started
             from events
             where kind = 'server-activity' and source = 'poll' and \"at\" >= $since
         ) e
         where exists (
             select 1 from ({SESSIONS}) s
             where s.hub = e.hub and s.\"user\" = e.\"user\" and s.server = e.server
                 and s.started = e.started
         )"
    )
}

/// What is known of the activity of servers that run.
pub(super) const RUNNING: &str = "
select hub, \"user\", server, started, active_by_hour from running_sessions
where active_by_hour is not null";

/// A session of the days.
pub(super) struct Ran {
    key: Key,
    until: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    hub: String,
    user: String,
    server: String,
    started: i64,
}

#[derive(Deserialize)]
struct Detail {
    started: Timestamp,
    #[serde(default)]
    active_seconds_by_hour: BTreeMap<Timestamp, i64>,
}

impl Ran {
    pub(super) fn of(table: &Table) -> Vec<Self> {
        table.rows().filter_map(|row| Self::of_row(&row)).collect()
    }

    fn of_row(row: &[Cell]) -> Option<Self> {
        let [
            Cell::Text(hub),
            Cell::Text(user),
            Cell::Text(server),
            Cell::Time(started),
            Cell::Time(until),
        ] = row
        else {
            return None;
        };
        Some(Self {
            key: Key {
                hub: hub.clone(),
                user: user.clone(),
                server: server.clone(),
                started: started.as_microsecond(),
            },
            until: until.as_microsecond(),
        })
    }

    fn last_moment(&self) -> i64 {
        (self.until - 1).max(self.key.started)
    }

    /// When it began: since then events tell its days apart.
    pub(super) fn started(&self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.key.started).ok()
    }
}

/// Active seconds by session and hour.
#[derive(Default)]
pub(super) struct Told(HashMap<Key, BTreeMap<i64, i64>>);

impl Told {
    pub(super) fn of(table: &Table) -> Self {
        let mut told = Self::default();
        for row in table.rows() {
            told.add(&row);
        }
        told
    }

    /// Adds what [`RUNNING`] gives.
    pub(super) fn add_running(&mut self, table: &Table) {
        for row in table.rows() {
            self.add_running_row(&row);
        }
    }

    fn add_running_row(&mut self, row: &[Cell]) -> Option<()> {
        let [
            Cell::Text(hub),
            Cell::Text(user),
            Cell::Text(server),
            Cell::Time(started),
            Cell::Text(by_hour),
        ] = row
        else {
            return None;
        };
        let key = Key {
            hub: hub.clone(),
            user: user.clone(),
            server: server.clone(),
            started: started.as_microsecond(),
        };
        self.add_hours(key, serde_json::from_str(by_hour).ok()?);
        Some(())
    }

    fn add(&mut self, row: &[Cell]) -> Option<()> {
        let [
            Cell::Text(hub),
            Cell::Text(user),
            Cell::Text(server),
            Cell::Text(detail),
        ] = row
        else {
            return None;
        };
        let detail: Detail = serde_json::from_str(detail).ok()?;
        let key = Key {
            hub: hub.clone(),
            user: user.clone(),
            server: server.clone(),
            started: detail.started.as_microsecond(),
        };
        self.add_hours(key, detail.active_seconds_by_hour);
        Some(())
    }

    fn add_hours(&mut self, key: Key, told: BTreeMap<Timestamp, i64>) {
        let hours = self.0.entry(key).or_default();
        for (hour, seconds) in told {
            // An hour that is told again was told in part before.
            let known = hours.entry(hour.as_microsecond()).or_default();
            *known = seconds.max(*known);
        }
    }
}

/// The active days of the sessions, from day `raw` on.
pub(super) fn active_days(
    sessions: &[Ran],
    told: &Told,
    calendar: &Calendar,
    raw: DayNumber,
) -> Vec<ActiveDay> {
    let mut days: BTreeMap<(&str, &str, DayNumber), i64> = BTreeMap::new();
    for session in sessions {
        let hours = told.0.get(&session.key);
        let (Some(hub), Some(hours)) = (calendar.hub(&session.key.hub), hours) else {
            continue;
        };
        for (hour, seconds) in hours {
            let moment = (*hour).clamp(session.key.started, session.last_moment());
            let day = hub.day_of(moment);
            if (raw..=hub.last()).contains(&day) {
                let key = (session.key.hub.as_str(), session.key.user.as_str(), day);
                *days.entry(key).or_default() += seconds;
            }
        }
    }
    let all = days
        .into_iter()
        .map(|((hub, user, day), seconds)| ActiveDay {
            hub: hub.to_owned(),
            user: user.to_owned(),
            day,
            seconds: whole(seconds),
        });
    all.collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of one person's day")]
fn whole(seconds: i64) -> f64 {
    seconds as f64
}
