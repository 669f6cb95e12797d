//! The roll-up of a tiny history, as the service makes it.

use super::past::Past;
use crate::tables::{self, RowId};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::days::{Day, SessionSpan, user_days};
use model::names::UserName;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Past {
    /// The roll-up as the service makes it: every day before today.
    pub(crate) fn rolled(&self) -> Vec<tables::UserDay> {
        let mut rows = Vec::new();
        for (hub, zone, _) in &self.zones {
            self.roll(hub, zone, &mut rows);
        }
        rows
    }

    fn roll(&self, hub: &Arc<str>, zone: &TimeZone, rows: &mut Vec<tables::UserDay>) {
        let today = Day::of(self.now.unwrap(), zone);
        let first = Day::new(today.date().saturating_sub(800.days()));
        let last = Day::new(today.date().yesterday().unwrap());
        let listed = [(&self.sessions, false), (&self.running, true)];
        let spans = listed.into_iter().flat_map(|(sessions, is_running)| {
            sessions
                .iter()
                .enumerate()
                .filter(|(_, session)| session.hub == *hub)
                .map(move |(index, session)| SessionSpan {
                    user: &session.user,
                    server: &session.server,
                    started: session.started,
                    until: session.ended,
                    active_hours: self
                        .active
                        .iter()
                        .find(|(known, running, _)| *known == index && *running == is_running)
                        .map(|(.., hours)| &hours[..]),
                })
        });
        let mut days: BTreeMap<(Date, UserName), tables::UserDay> = BTreeMap::new();
        for day in user_days(spans, zone, first..=last) {
            let row = Self::user_day(hub, day.day.date(), &day.user);
            let row = tables::UserDay {
                sessions: i64::from(day.sessions),
                hours: day.hours,
                active_seconds: day
                    .active_seconds
                    .map(|seconds| i64::try_from(seconds).unwrap()),
                ..row
            };
            days.insert((row.day, row.user.clone()), row);
        }
        for used in self.usage.iter().filter(|used| used.hub == *hub) {
            let day = Day::of(used.hour, zone).date();
            if day > last.date() {
                continue;
            }
            let row = days.entry((day, used.user.clone()));
            let row = row.or_insert_with(|| Self::user_day(hub, day, &used.user));
            let add = |sum: &mut Option<f64>, more: Option<f64>| {
                *sum = more.map(|more| more + sum.unwrap_or(0.0)).or(*sum);
            };
            add(&mut row.cpu_core_seconds, used.cpu_core_seconds);
            add(&mut row.memory_byte_seconds, used.memory_byte_seconds);
            add(&mut row.gpu_seconds, used.gpu_requested_seconds);
        }
        rows.extend(days.into_values());
    }

    fn user_day(hub: &Arc<str>, day: Date, user: &UserName) -> tables::UserDay {
        tables::UserDay {
            id: RowId::of(&[hub, &day.to_string(), user.as_str()]),
            revision: 1,
            hub: hub.clone(),
            day,
            user: user.clone(),
            sessions: 0,
            hours: 0.0,
            active_seconds: None,
            cpu_core_seconds: None,
            memory_byte_seconds: None,
            gpu_seconds: None,
        }
    }
}
