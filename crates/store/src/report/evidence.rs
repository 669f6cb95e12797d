//! What the rows tell of each day: when the history begins, when the hub was looked at, and since
//! when what else is collected. What is known then is [`super::knowledge`]'s to say.

use super::asked::ReportError;
use super::calendar::{DayNumber, HubCalendar, number};
use super::definition::Need;
use super::knowledge::Knowledge;
use super::run::Question;
use super::scope::Prepared;
use crate::query::Value;
use crate::table::Cell;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

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
                    self.add_days(prepared, need, STORAGE_DAYS, &mut known)
                        .await?;
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
        let mut readings = BTreeMap::new();
        for row in self.ask(prepared, &first_readings(), &[]).await?.rows() {
            if let [Cell::Text(hub), Cell::Time(first)] = &row[..] {
                readings.insert(hub.clone(), *first);
            }
        }
        for (hub, calendar) in prepared.calendar.hubs() {
            let reading = readings.get(hub).copied();
            let mut of = vec![("of", Value::Text(hub.clone()))];
            of.extend(reading.map(|reading| ("reading", Value::Time(reading))));
            let sql = first_session(reading.is_some());
            let answer = self.ask(prepared, &sql, &of).await?;
            let begins = answer.rows().next().and_then(|row| day(row.first()?));
            let first_reading = reading.map(|reading| calendar.day_of(reading.as_microsecond()));
            let known = known.entry(hub.clone()).or_default();
            known.begins = earliest(begins, first_reading);
            known.first_reading = first_reading;
        }
        Ok(())
    }

    async fn add_watched(
        &self,
        prepared: &Prepared<'_>,
        known: &mut ByHub,
    ) -> Result<(), ReportError> {
        for row in self.ask(prepared, &watched(), &[]).await?.rows() {
            let [
                Cell::Text(hub),
                number,
                Cell::Integer(hours),
                Cell::Time(last),
            ] = &row[..]
            else {
                continue;
            };
            let known = known.entry(hub.clone()).or_default();
            if let Some(day) = day(number) {
                let hours = usize::try_from(*hours).unwrap_or(0);
                known.watched_hours.insert(day, hours);
            }
            known.read = known.read.max(Some(*last));
        }
        Ok(())
    }

    async fn add_span(
        &self,
        prepared: &Prepared<'_>,
        need: Need,
        known: &mut ByHub,
    ) -> Result<(), ReportError> {
        for row in self.ask(prepared, &span(need), &[]).await?.rows() {
            let [Cell::Text(hub), first, last] = &row[..] else {
                continue;
            };
            if let Some(first) = day(first) {
                let last = day(last).unwrap_or(DayNumber::MAX);
                let known = known.entry(hub.clone()).or_default();
                known.spans.insert(need, first..=last);
            }
        }
        Ok(())
    }

    async fn add_days(
        &self,
        prepared: &Prepared<'_>,
        need: Need,
        sql: &str,
        known: &mut ByHub,
    ) -> Result<(), ReportError> {
        for row in self.ask(prepared, sql, &[]).await?.rows() {
            if let [Cell::Text(hub), number] = &row[..]
                && let Some(day) = day(number)
            {
                let known = known.entry(hub.clone()).or_default();
                known.days.entry(need).or_default().insert(day);
            }
        }
        Ok(())
    }

    async fn add_usage(
        &self,
        prepared: &Prepared<'_>,
        known: &mut ByHub,
    ) -> Result<(), ReportError> {
        for row in self.ask(prepared, CLOSED_DAYS, &[]).await?.rows() {
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
        if prepared.raw <= prepared.last {
            self.add_days(prepared, Need::Usage, OPEN_USAGE_DAYS, known)
                .await?;
            for row in self.ask(prepared, OPEN_RAN_DAYS, &[]).await?.rows() {
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
        for sql in [CLOSED_BEFORE, USED_BEFORE] {
            if self.ask(prepared, sql, &of).await?.rows().next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn first_readings() -> String {
    format!("select hub, min(\"at\") from observations where {WATCHING} group by hub")
}

/// When the first session of a hub began, of those that were over by the first reading if there is one.
fn first_session(has_reading: bool) -> String {
    let imported = if has_reading {
        "and ended < $reading"
    } else {
        ""
    };
    format!("select day_of($of, min(started)) from sessions where hub = $of {imported}")
}

/// Hours are those of the clock on the wall, which may begin at any quarter of an hour.
fn watched() -> String {
    format!(
        "select hub, day, count(*) as hours, max(last) as last from (
             select hub, day_of(hub, hour) as day, hour, max(last) as last from (
                 select hub, last, unnest(hours_of(hub, last, last)) as hour from (
                     select hub, max(\"at\") as last from observations
                     where \"at\" >= $starts and \"at\" < $ends and {WATCHING}
                     group by hub, date_bin(interval '15 minutes', \"at\")
                 )
             ) group by hub, hour
         ) group by hub, day"
    )
}

/// The first and the last day; what has none goes on.
fn span(need: Need) -> String {
    let (table, condition, last) = match need {
        Need::Members => ("memberships", "true", "cast(null as date)"),
        Need::Hooks => ("events", "source = 'hooks'", "day_of(hub, max(\"at\"))"),
        _ => (
            "events",
            "kind = 'user-added' and source = 'poll'",
            "cast(null as date)",
        ),
    };
    format!(
        "select hub, day_of(hub, min(\"at\")), {last} from {table} where {condition} group by hub"
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
    select hub, unnest(days_of(hub, started, until)) as day from ran_sessions
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
