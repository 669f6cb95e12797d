//! Activity of sessions over midnight, on days that the roll-up does not have: the events tell how many
//! seconds of each hour were active, and of a server that runs what runs tells it.

use super::asked::ReportError;
use super::calendar::{Calendar, DayNumber};
use super::run::{Question, RowsBefore};
use super::scope::Prepared;
use crate::query::{Value, Weighed};
use crate::table::{Cell, Table};
use crate::tables::events;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How long somebody was active on a day in a session over midnight.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ActiveDay {
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) day: DayNumber,
    pub(crate) seconds: f64,
}

impl Weighed for Vec<ActiveDay> {
    fn bytes(&self) -> usize {
        let names = self.iter().map(|day| day.hub.len() + day.user.len());
        names.sum::<usize>() + self.len() * size_of::<ActiveDay>()
    }
}

impl Question<'_> {
    /// Activity of sessions over midnight on days that are open. Other questions of a page ask for it, too.
    pub(super) async fn activity(
        &self,
        open: &Prepared<'_>,
    ) -> Result<Arc<Vec<ActiveDay>>, ReportError> {
        let days = (open.first, open.last);
        let key = format!("activity {:?} {days:?}", open.asked.hub);
        let found = Box::pin(self.find_activity(open));
        self.sources.answers_of_moment().get_or(key, found).await
    }

    async fn find_activity(&self, open: &Prepared<'_>) -> Result<Vec<ActiveDay>, ReportError> {
        let sessions = Ran::of(&self.ask(open, SESSIONS, &[]).await?);
        let mut told = Told::default();
        if sessions.iter().any(Ran::is_over) {
            let begins = open.moment(open.first).0;
            told.add_all(&*self.told_before(open, &sessions, begins).await?);
            let lately = ToldOf::since(begins);
            told.add_all(&Told::of(
                &self.ask(open, &events(), &lately.params()).await?,
            ));
        }
        told.add_running(&self.ask(open, RUNNING, &[]).await?);
        let calendar = &open.calendar;
        Ok(active_days(&sessions, &told, calendar, open.first))
    }

    /// What was told before the days that are open: remembered, as it is of the same sessions all day long.
    async fn told_before(
        &self,
        open: &Prepared<'_>,
        sessions: &[Ran],
        begins: Timestamp,
    ) -> Result<Arc<Told>, ReportError> {
        let Some(asked) = ToldOf::before(begins, sessions) else {
            return Ok(Arc::default());
        };
        let rows = RowsBefore {
            table: &events::TABLE,
            before: begins.as_microsecond(),
        };
        let rows = self.key_of(&[rows]);
        let key = rows.map(|rows| format!("{:?} {}\n{rows}", open.asked.hub, asked.of(sessions)));
        let told = async {
            let told = Box::pin(self.ask(open, &events(), &asked.params())).await?;
            Ok(Told::of(&told))
        };
        self.remembered(key, told).await
    }
}

/// All sessions that ran on one of the days.
pub(super) const LATELY: &str = "
select * from ran_sessions where started < $ends and (ended is null or ended >= $raw_starts)";

/// Sessions over midnight that ran on one of the days and whose activity is known.
const SESSIONS: &str = "
select hub, \"user\", server, started, until, goes_on
from (
    select hub, \"user\", server, started, until, ended is null as goes_on
    from ran_in_period
    where started < $ends and (ended is null or ended >= $raw_starts)
        and active_seconds is not null
)
where day_of(hub, started) < last_day_of(hub, started, until)";

/// What runs and started longer ago is not asked about before it stops, in days.
const LONGEST_WHILE_RUNNING: i64 = 7;

/// Of which time and of which sessions over midnight events are asked for.
#[derive(Clone, Copy, Debug)]
struct ToldOf {
    from: Timestamp,
    until: Timestamp,
    /// Sessions that go on and started before are not asked about.
    goes_on_since: Timestamp,
}

impl ToldOf {
    /// What was told from a moment on of sessions that are over.
    fn since(moment: Timestamp) -> Self {
        Self {
            from: moment,
            until: FAR,
            goes_on_since: FAR,
        }
    }

    /// What was told before a moment, of sessions that are over, and of those that may be soon: so the question is
    /// the same when they are. `None` if there are no such sessions.
    fn before(moment: Timestamp, sessions: &[Ran]) -> Option<Self> {
        let lately = moment.checked_sub((24 * LONGEST_WHILE_RUNNING).hours());
        let asked = Self {
            from: moment,
            until: moment,
            goes_on_since: lately.unwrap_or(moment),
        };
        let from = asked.sessions(sessions).map(|key| key.started).min()?;
        let from = Timestamp::from_microsecond(from).ok()?;
        Some(Self { from, ..asked })
    }

    /// Those that began by then.
    fn sessions<'a>(&self, sessions: &'a [Ran]) -> impl Iterator<Item = &'a Key> {
        let (since, until) = (self.goes_on_since, self.until);
        let (since, until) = (since.as_microsecond(), until.as_microsecond());
        let asked = sessions.iter().filter(move |session| {
            session.key.started < until && (!session.goes_on || session.key.started >= since)
        });
        asked.map(|session| &session.key)
    }

    /// Equal for the same question about the same sessions.
    fn of(&self, sessions: &[Ran]) -> String {
        let mut keys: Vec<&Key> = self.sessions(sessions).collect();
        keys.sort_unstable();
        format!("{self:?} {keys:?}")
    }

    /// Parameters of [`events`].
    fn params(&self) -> [(&'static str, Value); 3] {
        [
            ("told_from", Value::Time(self.from)),
            ("told_until", Value::Time(self.until)),
            ("goes_on_since", Value::Time(self.goes_on_since)),
        ]
    }
}

/// Later than everything; the engine computes with moments in nanoseconds, too.
const FAR: Timestamp = Timestamp::constant(9_000_000_000, 0);

/// What was told of their activity. Most is of other sessions, whose hours nobody needs.
fn events() -> String {
    format!(
        "select hub, \"user\", server, detail
         from (
             select hub, \"user\", server, detail,
                    to_timestamp_micros(json_get_str(detail, 'started')) as started
             from events
             where kind = 'server-activity' and source = 'poll' and \"at\" >= $told_from
                 and \"at\" < $told_until
         ) e
         where exists (
             select 1 from ({SESSIONS}) s
             where (not s.goes_on or s.started >= $goes_on_since) and s.hub = e.hub
                 and s.\"user\" = e.\"user\" and s.server = e.server and s.started = e.started
         )"
    )
}

/// What is known of the activity of servers that run, also what was told of earlier hours.
const RUNNING: &str = "
select hub, \"user\", server, started, active_by_hour from running_sessions
where active_by_hour is not null";

/// A session of the days.
struct Ran {
    key: Key,
    until: i64,
    goes_on: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    fn of(table: &Table) -> Vec<Self> {
        table.rows().filter_map(|row| Self::of_row(&row)).collect()
    }

    fn of_row(row: &[Cell]) -> Option<Self> {
        let [
            Cell::Text(hub),
            Cell::Text(user),
            Cell::Text(server),
            Cell::Time(started),
            Cell::Time(until),
            Cell::Flag(goes_on),
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
            goes_on: *goes_on,
        })
    }

    fn last_moment(&self) -> i64 {
        (self.until - 1).max(self.key.started)
    }

    /// Whether events have to tell its days apart: of what runs [`RUNNING`] does.
    fn is_over(&self) -> bool {
        !self.goes_on
    }
}

/// Active seconds by session and hour.
#[derive(Default)]
struct Told(HashMap<Key, BTreeMap<i64, i64>>);

impl Weighed for Told {
    fn bytes(&self) -> usize {
        let all = self.0.iter();
        let bytes = all.map(|(key, hours)| {
            let names = key.hub.len() + key.user.len() + key.server.len();
            names + size_of::<Key>() + hours.len() * 2 * size_of::<(i64, i64)>()
        });
        bytes.sum()
    }
}

impl Told {
    fn of(table: &Table) -> Self {
        let mut told = Self::default();
        for row in table.rows() {
            told.add(&row);
        }
        told
    }

    /// Adds what was told at other times.
    fn add_all(&mut self, other: &Self) {
        for (key, hours) in &other.0 {
            self.add_hours(
                key.clone(),
                hours.iter().map(|(hour, seconds)| (*hour, *seconds)),
            );
        }
    }

    /// Adds what [`RUNNING`] gives.
    fn add_running(&mut self, table: &Table) {
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
        self.add_hours(key, micros(serde_json::from_str(by_hour).ok()?));
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
        self.add_hours(key, micros(detail.active_seconds_by_hour));
        Some(())
    }

    fn add_hours(&mut self, key: Key, told: impl Iterator<Item = (i64, i64)>) {
        let hours = self.0.entry(key).or_default();
        for (hour, seconds) in told {
            // An hour that is told again was told in part before.
            let known = hours.entry(hour).or_default();
            *known = seconds.max(*known);
        }
    }
}

fn micros(hours: BTreeMap<Timestamp, i64>) -> impl Iterator<Item = (i64, i64)> {
    let hours = hours.into_iter();
    hours.map(|(hour, seconds)| (hour.as_microsecond(), seconds))
}

/// The active days of the sessions, from day `raw` on.
fn active_days(
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
