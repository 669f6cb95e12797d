//! Activity of days that the roll-up does not have: of a session over midnight the events tell how
//! many seconds of each hour were active.

use super::calendar::{Calendar, DayNumber, HubCalendar};
use crate::table::{Cell, Table};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// How long somebody was active on a day, all sessions together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ActiveDay {
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) day: DayNumber,
    /// Unknown if it is of any of the sessions.
    pub(crate) seconds: Option<f64>,
}

/// Sessions that ran on one of the days.
pub(super) const SESSIONS: &str = "
select hub, \"user\", server, started, coalesce(ended, $now) as until, ended is null as is_running,
       active_seconds
from all_sessions
where started < $ends and (ended is null or ended >= $raw_starts)";

/// What was told of their activity.
pub(super) const EVENTS: &str = "
select hub, \"user\", server, detail from events
where kind = 'server-activity' and source = 'poll' and \"at\" >= $since";

/// A session of the days.
pub(super) struct Ran {
    key: Key,
    until: i64,
    is_running: bool,
    active_seconds: Option<i64>,
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
            Cell::Flag(is_running),
            active,
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
            is_running: *is_running,
            active_seconds: match active {
                Cell::Integer(seconds) => Some(*seconds),
                _ => None,
            },
        })
    }

    fn last_moment(&self) -> i64 {
        (self.until - 1).max(self.key.started)
    }

    fn is_of_one_day(&self, hub: &HubCalendar) -> bool {
        hub.day_of(self.key.started) == hub.day_of(self.last_moment())
    }

    /// Since when events are needed to tell its days apart.
    pub(super) fn needs_events_since(&self, calendar: &Calendar) -> Option<Timestamp> {
        let hub = calendar.hub(&self.key.hub)?;
        let needs = self.active_seconds.is_some() && !self.is_of_one_day(hub);
        let started = Timestamp::from_microsecond(self.key.started).ok()?;
        needs.then_some(started)
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
        let hours = self.0.entry(key).or_default();
        for (hour, seconds) in detail.active_seconds_by_hour {
            // An hour that is told again was told in part before.
            let known = hours.entry(hour.as_microsecond()).or_default();
            *known = seconds.max(*known);
        }
        Some(())
    }
}

/// What all sessions add up to, from day `raw` on.
pub(super) fn active_days(
    sessions: &[Ran],
    told: &Told,
    calendar: &Calendar,
    raw: DayNumber,
) -> Vec<ActiveDay> {
    let mut days: BTreeMap<(&str, &str, DayNumber), Option<i64>> = BTreeMap::new();
    for session in sessions {
        let Some(hub) = calendar.hub(&session.key.hub) else {
            continue;
        };
        let of_days = by_day(session, told, hub);
        for day in hub.days_of(session.key.started, session.until) {
            if day < raw {
                continue;
            }
            let key = (session.key.hub.as_str(), session.key.user.as_str(), day);
            let more = of_days
                .as_ref()
                .map(|days| days.get(&day).copied().unwrap_or(0));
            let sum = days.entry(key).or_insert(Some(0));
            *sum = sum.zip(more).map(|(sum, more)| sum + more);
        }
    }
    let all = days
        .into_iter()
        .map(|((hub, user, day), seconds)| ActiveDay {
            hub: hub.to_owned(),
            user: user.to_owned(),
            day,
            seconds: seconds.map(whole),
        });
    all.collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of one person's day")]
fn whole(seconds: i64) -> f64 {
    seconds as f64
}

/// Active seconds of a session by day; `None` where they are not known.
fn by_day(session: &Ran, told: &Told, hub: &HubCalendar) -> Option<BTreeMap<DayNumber, i64>> {
    let total = session.active_seconds?;
    let mut days = BTreeMap::new();
    if session.is_of_one_day(hub) {
        days.insert(hub.day_of(session.key.started), total);
        return Some(days);
    }
    let nothing = BTreeMap::new();
    let hours = told.0.get(&session.key).unwrap_or(&nothing);
    let last_moment = session.last_moment();
    let mut sum = 0;
    for (hour, seconds) in hours {
        let moment = (*hour).clamp(session.key.started, last_moment);
        *days.entry(hub.day_of(moment)).or_default() += seconds;
        sum += seconds;
    }
    if session.is_running && total > sum {
        // What was not told yet is of the present.
        *days.entry(hub.day_of(last_moment)).or_default() += total - sum;
    }
    Some(days)
}
