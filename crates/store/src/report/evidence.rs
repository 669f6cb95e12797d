//! What the rows tell of each day: when the history begins, when the hub was looked at, and since
//! when what else is collected. What is known then is [`super::knowledge`]'s to say.

use super::asked::ReportError;
use super::calendar::{DayNumber, HubCalendar, number};
use super::definition::Need;
use super::knowledge::Knowledge;
use super::run::{Question, RowsBefore};
use super::scope::Prepared;
use crate::query::Value;
use crate::table::{Cell, Table};
use crate::tables::{events, memberships, observations, sessions, storage, usage, user_days};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Readings that are there whenever the hub was looked at.
const WATCHING: &str = "name in ('api_active_servers', 'api_users', 'jupyterhub_running_servers')";

type ByHub = BTreeMap<String, Knowledge>;

impl Question<'_> {
    pub(super) async fn knowledge(&self, prepared: &Prepared<'_>) -> Result<ByHub, ReportError> {
        let mut known = ByHub::new();
        self.add_begins(prepared, &mut known).await?;
        self.add_watched(prepared, &mut known).await?;
        let needs: BTreeSet<Need> = self.report.needs.iter().copied().collect();
        for need in needs {
            match need {
                Need::Sessions => {}
                Need::Members | Need::Accounts | Need::Hooks => {
                    self.add_span(prepared, need, &mut known).await?;
                }
                Need::Storage => {
                    let rows = RowsBefore::all(&storage::TABLE);
                    let answer = self.ask_once(prepared, STORAGE_DAYS, &[], rows).await?;
                    add_days(&answer, need, &mut known);
                }
                Need::Usage => self.add_usage(prepared, &mut known).await?,
            }
        }
        Ok(known)
    }

    /// A server that runs when the hub is looked at first tells nothing of the days before: others
    /// may have run then. Sessions that were over by then were imported.
    async fn add_begins(
        &self,
        prepared: &Prepared<'_>,
        known: &mut ByHub,
    ) -> Result<(), ReportError> {
        let readings = self.first_readings(prepared).await?;
        for (hub, calendar) in prepared.calendar.hubs() {
            let first = readings.get(hub);
            let reading = first.map(|first| first.at);
            let mut of = vec![("of", Value::Text(hub.clone()))];
            of.extend(reading.map(|reading| ("reading", Value::Time(reading))));
            let sql = first_session(reading.is_some());
            // A session that was over by then began before today.
            let answer = match reading {
                Some(reading) if reading.as_microsecond() < prepared.today() => {
                    let rows = prepared.rows_before_today(&sessions::TABLE);
                    self.ask_once(prepared, &sql, &of, rows).await?
                }
                _ => Arc::new(self.ask(prepared, &sql, &of).await?),
            };
            let begins = answer.rows().next().and_then(|row| day(row.first()?));
            let first_reading = reading.map(|reading| calendar.day_of(reading.as_microsecond()));
            let known = known.entry(hub.clone()).or_default();
            let since = first.map(FirstReading::hour_after);
            known.known_from = since.filter(|_| begins.is_none());
            known.begins = earliest(begins, first_reading);
            known.first_reading = first_reading;
        }
        Ok(())
    }

    /// The first reading of each hub. Where there was one before today, no row of today changes it.
    async fn first_readings(
        &self,
        prepared: &Prepared<'_>,
    ) -> Result<BTreeMap<String, FirstReading>, ReportError> {
        let sql = first_readings();
        let rows = prepared.rows_before_today(&observations::TABLE);
        let known = FirstReading::by_hub(&*self.ask_once(prepared, &sql, &[], rows).await?);
        let is_old = |(hub, _): (&String, _)| {
            let first = known.get(hub);
            first.is_some_and(|first| first.at.as_microsecond() < prepared.today())
        };
        if prepared.calendar.hubs().all(is_old) {
            return Ok(known);
        }
        let answer = self.ask(prepared, &sql, &[]).await?;
        Ok(FirstReading::by_hub(&answer))
    }

    /// Which hours have a reading. Those of days before today are remembered for all periods that
    /// begin in the same month.
    async fn add_watched(
        &self,
        prepared: &Prepared<'_>,
        known: &mut ByHub,
    ) -> Result<(), ReportError> {
        let (starts, ends) = prepared.ends();
        let today = prepared.today();
        let (mut watched, sql) = (Watched::default(), watched_quarters());
        let before = ends.min(today);
        let month = prepared.month_start();
        if month < before {
            let table = &observations::TABLE;
            let rows = RowsBefore { table, before };
            let between = between(month, before);
            let answer = self.ask_once(prepared, &sql, &between, rows).await?;
            watched.add(&answer, prepared, starts..ends);
        }
        if before < ends {
            let between = between(starts.max(today), ends);
            let answer = self.ask_of_moment(prepared, &sql, &between).await?;
            watched.add(&answer, prepared, starts..ends);
        }
        for (hub, of_hub) in watched.0 {
            let known = known.entry(hub).or_default();
            for (day, _) in of_hub.hours {
                *known.watched_hours.entry(day).or_default() += 1;
            }
            known.read = Timestamp::from_microsecond(of_hub.last).ok();
        }
        Ok(())
    }

    async fn add_span(
        &self,
        prepared: &Prepared<'_>,
        need: Need,
        known: &mut ByHub,
    ) -> Result<(), ReportError> {
        let told = match need {
            Need::Hooks => self.told_by_hooks(prepared).await?,
            _ => vec![self.span(prepared, need).await?],
        };
        for row in told.iter().flat_map(|told| told.rows()) {
            let [Cell::Text(hub), first, last] = &row[..] else {
                continue;
            };
            if let Some(first) = day(first) {
                let last = day(last).unwrap_or(DayNumber::MAX);
                let known = known.entry(hub.clone()).or_default();
                let days = known.spans.entry(need).or_insert(first..=last);
                *days = first.min(*days.start())..=last.max(*days.end());
            }
        }
        Ok(())
    }

    /// Hooks tell much: what they told before today is remembered.
    async fn told_by_hooks(&self, prepared: &Prepared<'_>) -> Result<Vec<Arc<Table>>, ReportError> {
        let today = Timestamp::from_microsecond(prepared.today()).unwrap_or(Timestamp::UNIX_EPOCH);
        let midnight = [("midnight", Value::Time(today))];
        let [before, since] = ["<", ">="].map(told_by_hooks);
        let rows = prepared.rows_before_today(&events::TABLE);
        Ok(vec![
            self.ask_once(prepared, &before, &midnight, rows).await?,
            self.ask_of_moment(prepared, &since, &midnight).await?,
        ])
    }

    async fn span(&self, prepared: &Prepared<'_>, need: Need) -> Result<Arc<Table>, ReportError> {
        let sql = span(need);
        if need == Need::Members {
            let rows = RowsBefore::all(&memberships::TABLE);
            return self.ask_once(prepared, &sql, &[], rows).await;
        }
        if need == Need::Accounts {
            let rows = prepared.rows_before_today(&events::TABLE);
            let answer = self.ask_once(prepared, &sql, &[], rows).await?;
            // The first of a hub's days is no other one for what comes today.
            let old: BTreeSet<String> = answer
                .rows()
                .filter_map(|row| match &row[..] {
                    [Cell::Text(hub), first, _] => {
                        let starts = prepared.calendar.hub(hub)?.start(day(first)? + 1);
                        (starts <= prepared.today()).then(|| hub.clone())
                    }
                    _ => None,
                })
                .collect();
            if prepared.calendar.hubs().all(|(hub, _)| old.contains(hub)) {
                return Ok(answer);
            }
        }
        self.ask(prepared, &sql, &[]).await.map(Arc::new)
    }

    async fn add_usage(
        &self,
        prepared: &Prepared<'_>,
        known: &mut ByHub,
    ) -> Result<(), ReportError> {
        let closed = RowsBefore::all(&user_days::TABLE);
        let answer = self.ask_once(prepared, CLOSED_DAYS, &[], closed).await?;
        for row in answer.rows() {
            let [Cell::Text(hub), number, Cell::Flag(used), Cell::Flag(ran)] = &row[..] else {
                continue;
            };
            if let Some(day) = day(number) {
                let known = known.entry(hub.clone()).or_default();
                if *used {
                    known.days.entry(Need::Usage).or_default().insert(day);
                }
                if *ran {
                    known.ran.insert(day);
                }
            }
        }
        if let Some(open) = prepared.open() {
            let answer = self.ask_of_moment(&open, OPEN_USAGE_DAYS, &[]).await?;
            add_days(&answer, Need::Usage, known);
            let ran = self.ask_of_moment(&open, OPEN_RAN_DAYS, &[]).await?;
            for row in ran.rows() {
                if let [Cell::Text(hub), number] = &row[..]
                    && let Some(day) = day(number)
                {
                    known.entry(hub.clone()).or_default().ran.insert(day);
                }
            }
        }
        for (hub, calendar) in prepared.calendar.hubs() {
            let known = known.entry(hub.clone()).or_default();
            let first_in_period = known.days.get(&Need::Usage).and_then(|days| days.first());
            let first = if self.is_used_before(prepared, hub, calendar).await? {
                Some(prepared.first)
            } else {
                first_in_period.copied()
            };
            if let Some(first) = first {
                known.spans.insert(Need::Usage, first..=DayNumber::MAX);
            }
        }
        Ok(())
    }

    /// Whether usage was collected before the first day that is read.
    async fn is_used_before(
        &self,
        prepared: &Prepared<'_>,
        hub: &str,
        calendar: &HubCalendar,
    ) -> Result<bool, ReportError> {
        let starts = Timestamp::from_microsecond(calendar.start(prepared.first));
        let Ok(starts) = starts else {
            return Ok(false);
        };
        let of = [
            ("of", Value::Text(hub.to_owned())),
            ("of_starts", Value::Time(starts)),
        ];
        let used = RowsBefore {
            table: &usage::TABLE,
            before: starts.as_microsecond(),
        };
        let both = [
            (CLOSED_BEFORE, RowsBefore::all(&user_days::TABLE)),
            (USED_BEFORE, used),
        ];
        for (sql, rows) in both {
            let answer = self.ask_once(prepared, sql, &of, rows).await?;
            if answer.rows().next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Of each hub. Readings by the minute become one of their hour later on.
fn first_readings() -> String {
    format!(
        "select hub, min(\"at\"), min(case when n < 60 then \"at\" + interval '1 hour' else \"at\" end)
         from observations where {WATCHING} group by hub"
    )
}

/// When the first session of a hub began, of those that were over by the first reading if there is one.
fn first_session(has_reading: bool) -> String {
    let imported = if has_reading {
        // Of the hour only, as long as there are readings by the minute too.
        "and ended < date_trunc('hour', $reading)"
    } else {
        ""
    };
    format!("select day_of($of, min(started)) from sessions where hub = $of {imported}")
}

/// The last reading of each quarter of an hour: at any of them an hour of the clock on the wall may
/// begin.
fn watched_quarters() -> String {
    format!(
        "select hub, max(\"at\") as last from observations
         where \"at\" >= $quarters_from and \"at\" < $quarters_to and {WATCHING}
         group by hub, date_bin(interval '15 minutes', \"at\")"
    )
}

fn between(from: i64, to: i64) -> [(&'static str, Value); 2] {
    let time = |micros| Timestamp::from_microsecond(micros).map_or(Value::Null, Value::Time);
    [("quarters_from", time(from)), ("quarters_to", time(to))]
}

/// Readings by hub.
#[derive(Default)]
struct Watched(BTreeMap<String, WatchedHub>);

#[derive(Default)]
struct WatchedHub {
    /// Day and start of each hour with a reading.
    hours: BTreeSet<(DayNumber, i64)>,
    last: i64,
}

impl Watched {
    /// Adds the readings that lie in a span of microseconds since 1970.
    fn add(&mut self, quarters: &Table, prepared: &Prepared<'_>, span: Range<i64>) {
        for (hub, last) in times(quarters) {
            let last = last.as_microsecond();
            let Some(calendar) = prepared.calendar.hub(&hub) else {
                continue;
            };
            if !span.contains(&last) {
                continue;
            }
            let of_hub = self.0.entry(hub).or_default();
            let hours = calendar.hours_of(last, last);
            of_hub
                .hours
                .extend(hours.map(|hour| (calendar.day_of(hour), hour)));
            of_hub.last = last.max(of_hub.last);
        }
    }
}

/// Rows of a hub and a moment.
fn times(table: &Table) -> impl Iterator<Item = (String, Timestamp)> + '_ {
    table.rows().filter_map(|row| match &row[..] {
        [Cell::Text(hub), Cell::Time(at)] => Some((hub.clone(), *at)),
        _ => None,
    })
}

/// The first reading of a hub.
struct FirstReading {
    at: Timestamp,
    /// The same, or if it is one of an hour in which not every minute was read, the end of that hour.
    read_from: Timestamp,
}

impl FirstReading {
    fn by_hub(table: &Table) -> BTreeMap<String, Self> {
        let of_hub = |row: Vec<Cell>| match row[..] {
            [Cell::Text(ref hub), Cell::Time(at), Cell::Time(read_from)] => {
                Some((hub.clone(), Self { at, read_from }))
            }
            _ => None,
        };
        table.rows().filter_map(of_hub).collect()
    }

    /// From which whole hour on the hub was read: the same for readings by the minute as for those by the
    /// hour that they become. An hour whose first minute was read is whole.
    fn hour_after(&self) -> Timestamp {
        const MINUTE: i64 = 60_000_000;
        const HOUR: i64 = 60 * MINUTE;
        let before = (self.read_from.as_microsecond() - MINUTE).div_euclid(HOUR);
        Timestamp::from_microsecond((before + 1) * HOUR).unwrap_or(self.read_from)
    }
}

/// Adds days with rows.
fn add_days(answer: &Table, need: Need, known: &mut ByHub) {
    for row in answer.rows() {
        if let [Cell::Text(hub), number] = &row[..]
            && let Some(day) = day(number)
        {
            let known = known.entry(hub.clone()).or_default();
            known.days.entry(need).or_default().insert(day);
        }
    }
}

/// The first day; there is no last one.
fn span(need: Need) -> String {
    let (table, condition) = match need {
        Need::Members => ("memberships", "true"),
        _ => ("events", "kind = 'user-added' and source = 'poll'"),
    };
    format!(
        "select hub, day_of(hub, min(\"at\")), cast(null as date) from {table} where {condition} group by hub"
    )
}

/// The first and the last day before or since a moment.
fn told_by_hooks(compared: &str) -> String {
    format!(
        "select hub, day_of(hub, min(\"at\")), day_of(hub, max(\"at\")) from events \
         where source = 'hooks' and \"at\" {compared} $midnight group by hub"
    )
}

const STORAGE_DAYS: &str =
    "select hub, day from storage where day >= $first and day <= $to group by hub, day";

/// Whether anything was used and any server ran on the days that the roll-up has. Of anybody, whoever
/// is asked about.
const CLOSED_DAYS: &str = "
select hub, day,
    count(cpu_core_seconds) + count(memory_byte_seconds) + count(gpu_seconds) > 0,
    max(sessions) > 0
from user_days
where day >= $first and day < $raw and day <= $to group by hub, day";

/// The same of the other days.
const OPEN_USAGE_DAYS: &str = "
select hub, day from (
    select hub, day_of(hub, hour) as day from (
        select distinct hub, hour from usage where hour >= $raw_starts and hour < $ends
    )
) where day >= $raw and day <= $to group by hub, day";

const OPEN_RAN_DAYS: &str = "
select hub, day from (
    select hub, unnest(days_of(hub, started, until)) as day from ran_in_period
    where started < $ends and (ended is null or ended >= $raw_starts)
) where day >= $raw and day <= $to group by hub, day";

const CLOSED_BEFORE: &str = "
select day from user_days
where hub = $of and day < $first
    and (cpu_core_seconds is not null or memory_byte_seconds is not null or gpu_seconds is not null)
limit 1";

const USED_BEFORE: &str = "select hour from usage where hub = $of and hour < $of_starts limit 1";

fn day(cell: &Cell) -> Option<DayNumber> {
    match cell {
        Cell::Day(date) => Some(number(*date)),
        _ => None,
    }
}

fn earliest(left: Option<DayNumber>, right: Option<DayNumber>) -> Option<DayNumber> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}
