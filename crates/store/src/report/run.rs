//! Runs a report: finds out what is known of the period, prepares the views, asks.

use super::answer::{Answer, HubOfAnswer};
use super::asked::{Asked, Chosen, ReportError, RollUp};
use super::calendar::{Calendar, DayNumber, date, number};
use super::definition::{Definition, Lead, Need};
use super::knowledge::{Caveats, Knowledge};
use super::members::{self, Interval};
use super::raw::{self, Ran, Told};
use super::scope::Prepared;
use crate::Sources;
use crate::query::{Engine, Limits, Scope, Value};
use crate::table::{Cell, Table};
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use model::attribution::MultiGroupRule;
use model::days::Day;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Readings that are there whenever the hub was looked at.
const WATCHING: &str = "name in ('api_active_servers', 'api_users', 'jupyterhub_running_servers')";

/// Answers a question from these rows.
pub(crate) async fn run(
    engine: &Engine,
    sources: &Sources,
    report: &Arc<Definition>,
    asked: &Asked,
    limits: Limits,
) -> Result<Answer, ReportError> {
    let question = Question {
        engine,
        sources,
        report,
        asked,
        limits,
    };
    question.answer().await
}

struct Question<'a> {
    engine: &'a Engine,
    sources: &'a Sources,
    report: &'a Arc<Definition>,
    asked: &'a Asked,
    limits: Limits,
}

impl Question<'_> {
    async fn answer(&self) -> Result<Answer, ReportError> {
        self.asked.check(self.report)?;
        let mut prepared = self.prepare()?;
        prepared.knowledge = self.knowledge(&prepared).await?;
        self.add_members(&mut prepared).await?;
        if self.reads("period_user_days") || self.reads("period_group_days") {
            self.add_activity(&mut prepared).await?;
        }
        let chosen = self.asked.values(self.report);
        let table = self.rows(&prepared, &chosen).await?;
        self.check_columns(&table)?;
        Ok(Answer {
            report: Arc::clone(self.report),
            from: self.asked.from,
            to: date(prepared.last),
            hubs: self.hubs(&prepared),
            group: self.asked.group.clone(),
            user: self.asked.user.clone(),
            chosen,
            table,
            caveats: self.caveats(&prepared),
            computed: self.sources.now(),
        })
    }

    fn reads(&self, view: &str) -> bool {
        self.report.sql.contains(view)
    }

    fn prepare(&self) -> Result<Prepared<'_>, ReportError> {
        let zones = self.sources.zones();
        if let Some(hub) = self
            .asked
            .hub
            .as_ref()
            .filter(|hub| !zones.contains_key(*hub))
        {
            return Err(ReportError::NotFound {
                what: "hub",
                name: hub.clone(),
                known: zones.keys().cloned().collect(),
            });
        }
        let is_asked = |hub: &&String| self.asked.hub.as_ref().is_none_or(|asked| asked == *hub);
        let zone = |hub: &String| TimeZone::get(&zones[hub]).unwrap_or(TimeZone::UTC);
        let hubs: Vec<(&String, TimeZone)> = zones
            .keys()
            .filter(is_asked)
            .map(|hub| (hub, zone(hub)))
            .collect();
        let now = self.sources.now();
        let today = hubs.iter().map(|(_, zone)| Day::of(now, zone).date()).max();
        let today = today.unwrap_or_else(|| Day::of(now, &TimeZone::UTC).date());
        if self.asked.from > today {
            let told = format!("the period begins on {}, which is to come", self.asked.from);
            return Err(ReportError::Wrong(told));
        }
        let (from, to) = (self.asked.from, self.asked.to.min(today));
        let lead = match self.report.lead {
            Lead::Days(days) => i32::from(days),
            Lead::Period => number(to) - number(from) + 1,
        };
        let first = from.saturating_sub(lead.days());
        let closed = hubs.iter().map(|(hub, _)| self.sources.closed(hub));
        let closed = closed
            .min()
            .flatten()
            .filter(|_| self.asked.rollup == RollUp::Used);
        let raw = closed.map_or(number(first), |closed| number(closed) + 1);
        Ok(Prepared {
            asked: self.asked,
            calendar: Arc::new(Calendar::new(hubs.into_iter(), first, to)),
            first: number(first),
            last: number(to),
            raw: raw.max(number(first)),
            now,
            knowledge: BTreeMap::new(),
            spans: Vec::new(),
            group_days: Vec::new(),
            left_out: Vec::new(),
            activity: Vec::new(),
        })
    }

    /// Asks with the calendar's functions and parameters, and what was prepared so far.
    async fn ask(
        &self,
        prepared: &Prepared<'_>,
        sql: &str,
        more: &[(&str, Value)],
    ) -> Result<Table, ReportError> {
        let scope: Scope = prepared.scope()?;
        let sources = self.sources.clone().with_scope(Arc::new(scope));
        let own = prepared.params();
        let mut params: Vec<(&str, Value)> = more.to_vec();
        params.extend(own);
        let answer = self.engine.run(sql, sources, self.limits, &params);
        Ok(answer.await?)
    }

    async fn rows(&self, prepared: &Prepared<'_>, chosen: &[Chosen]) -> Result<Table, ReportError> {
        let values = chosen
            .iter()
            .map(|chosen| (chosen.name.as_str(), chosen.value.clone()));
        let values: Vec<(&str, Value)> = values.collect();
        self.ask(prepared, &self.report.sql, &values).await
    }

    /// A report that gives something else than it says is a mistake in its file.
    fn check_columns(&self, table: &Table) -> Result<(), ReportError> {
        let given: Vec<(&str, crate::tables::ColumnKind)> = table.kinds().collect();
        let said = self.report.columns.iter();
        let said: Vec<(&str, crate::tables::ColumnKind)> = said
            .map(|column| (column.name.as_str(), column.kind.column()))
            .collect();
        let is_alike = |given: &(&str, crate::tables::ColumnKind), said: &(&str, _)| {
            given.0 == said.0 && given.1.sql() == crate::tables::ColumnKind::sql(said.1)
        };
        let are_alike = given.len() == said.len()
            && given
                .iter()
                .zip(&said)
                .all(|(given, said)| is_alike(given, said));
        if are_alike {
            return Ok(());
        }
        let list = |columns: &[(&str, crate::tables::ColumnKind)]| {
            let all = columns
                .iter()
                .map(|(name, kind)| format!("{name} {}", kind.sql()));
            all.collect::<Vec<_>>().join(", ")
        };
        let told = format!(
            "the report `{}` says that it gives {} and gives {}",
            self.report.name,
            list(&said),
            list(&given)
        );
        Err(ReportError::Wrong(told))
    }

    async fn knowledge(
        &self,
        prepared: &Prepared<'_>,
    ) -> Result<BTreeMap<String, Knowledge>, ReportError> {
        let mut known: BTreeMap<String, Knowledge> = BTreeMap::new();
        let begins = format!(
            "select hub, min(day_of(hub, started)) as first, null as reading from sessions group by hub
             union all
             select hub, min(day_of(hub, started)), null from running_sessions group by hub
             union all
             select hub, day_of(hub, min(\"at\")), day_of(hub, min(\"at\")) from observations
             where {WATCHING} group by hub"
        );
        for row in self.ask(prepared, &begins, &[]).await?.rows() {
            let [Cell::Text(hub), first, reading] = &row[..] else {
                continue;
            };
            let known = known.entry(hub.clone()).or_default();
            known.begins = earliest(known.begins, day(first));
            known.first_reading = earliest(known.first_reading, day(reading));
        }
        self.add_watched(prepared, &mut known).await?;
        let needs: BTreeSet<Need> = self.report.needs.iter().copied().collect();
        for need in needs {
            self.add_need(prepared, need, &mut known).await?;
        }
        Ok(known)
    }

    async fn add_watched(
        &self,
        prepared: &Prepared<'_>,
        known: &mut BTreeMap<String, Knowledge>,
    ) -> Result<(), ReportError> {
        let watched = format!(
            "select hub, day, count(*) as hours, max(last) as last from (
                 select hub, day_of(hub, \"at\") as day, date_trunc('hour', \"at\") as hour,
                        max(\"at\") as last
                 from observations where \"at\" >= $starts and \"at\" < $ends and {WATCHING}
                 group by hub, day_of(hub, \"at\"), date_trunc('hour', \"at\")
             ) group by hub, day"
        );
        for row in self.ask(prepared, &watched, &[]).await?.rows() {
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

    async fn add_need(
        &self,
        prepared: &Prepared<'_>,
        need: Need,
        known: &mut BTreeMap<String, Knowledge>,
    ) -> Result<(), ReportError> {
        let since = |table: &str, condition: &str| {
            format!(
                "select hub, day_of(hub, min(\"at\")) from {table} where {condition} group by hub"
            )
        };
        let sql = match need {
            Need::Sessions => return Ok(()),
            Need::Members => since("memberships", "true"),
            Need::Accounts => since("events", "kind = 'user-added' and source = 'poll'"),
            Need::Hooks => since("events", "source = 'hooks'"),
            Need::Storage => STORAGE_DAYS.to_owned(),
            Need::Usage => {
                for row in self.ask(prepared, RAN_DAYS, &[]).await?.rows() {
                    if let ([Cell::Text(hub), number], known) = (&row[..], &mut *known)
                        && let Some(day) = day(number)
                    {
                        known.entry(hub.clone()).or_default().ran.insert(day);
                    }
                }
                USAGE_DAYS.to_owned()
            }
        };
        for row in self.ask(prepared, &sql, &[]).await?.rows() {
            let [Cell::Text(hub), number] = &row[..] else {
                continue;
            };
            let (known, Some(day)) = (known.entry(hub.clone()).or_default(), day(number)) else {
                continue;
            };
            if matches!(need, Need::Usage | Need::Storage) {
                known.days.entry(need).or_default().insert(day);
            } else {
                known.since.insert(need, day);
            }
        }
        Ok(())
    }

    async fn add_members(&self, prepared: &mut Prepared<'_>) -> Result<(), ReportError> {
        let reads_spans = self.reads("period_group_days") || self.reads("period_members");
        let left_out = &self.asked.site.left_out.groups;
        let asked = self.asked.group.as_deref();
        if !reads_spans && left_out.is_empty() && asked.is_none() {
            return Ok(());
        }
        let intervals: Vec<Interval> = self
            .ask(prepared, INTERVALS, &[])
            .await?
            .rows()
            .filter_map(interval)
            .collect();
        let (calendar, rule) = (&prepared.calendar, &self.asked.site.groups);
        if let Some(group) = asked {
            let is_allowed = rule.filter.allows(&group.into());
            let is_known = intervals.iter().any(|interval| interval.group == group);
            if !is_allowed || !is_known {
                return Err(ReportError::NotFound {
                    what: "group",
                    name: group.to_owned(),
                    known: Vec::new(),
                });
            }
            prepared.group_days = members::in_groups(&intervals, calendar, |name| name == group);
        }
        let is_left_out = |name: &str| left_out.iter().any(|group| group == name);
        prepared.left_out = members::in_groups(&intervals, calendar, is_left_out);
        if reads_spans {
            prepared.spans = members::attributed(&intervals, calendar, rule);
        }
        Ok(())
    }

    async fn add_activity(&self, prepared: &mut Prepared<'_>) -> Result<(), ReportError> {
        if prepared.raw > prepared.last {
            return Ok(());
        }
        let sessions = Ran::of(&self.ask(prepared, raw::SESSIONS, &[]).await?);
        let calendar = &prepared.calendar;
        let since = sessions
            .iter()
            .filter_map(|session| session.needs_events_since(calendar));
        let told = match since.min() {
            Some(since) => {
                let since = [("since", Value::Time(since))];
                Told::of(&self.ask(prepared, raw::EVENTS, &since).await?)
            }
            None => Told::default(),
        };
        prepared.activity = raw::active_days(&sessions, &told, calendar, prepared.raw);
        Ok(())
    }

    fn hubs(&self, prepared: &Prepared<'_>) -> Vec<HubOfAnswer> {
        let hubs = prepared.calendar.hubs().map(|(name, _)| {
            let known = prepared.knowledge.get(name);
            HubOfAnswer {
                name: name.clone(),
                zone: self.sources.zones().get(name).cloned().unwrap_or_default(),
                begins: known.and_then(|known| known.begins).map(date),
                read: known.and_then(|known| known.read),
            }
        });
        hubs.collect()
    }

    fn caveats(&self, prepared: &Prepared<'_>) -> Vec<String> {
        let days = Caveats {
            calendar: &prepared.calendar,
            knowledge: &prepared.knowledge,
            from: self.asked.from,
            now: prepared.now.as_microsecond(),
        };
        let mut caveats = days.about(&self.report.needs);
        if self.asked.to > date(prepared.last) {
            caveats.push(format!("The period ends today, not on {}.", self.asked.to));
        }
        // Whoever only counts people does not divide them.
        if self.reads("* share") {
            caveats.push(told_rule(&self.asked.site.groups.rule).to_owned());
        }
        let left_out = &self.asked.site.left_out;
        if !left_out.users.is_empty() {
            caveats.push(format!(
                "Accounts left out: `{}`.",
                left_out.users.join("`, `")
            ));
        }
        if !left_out.groups.is_empty() {
            let groups = left_out.groups.join("`, `");
            caveats.push(format!("Members of these groups are left out: `{groups}`."));
        }
        caveats.extend(self.report.caveats.iter().cloned());
        caveats
    }
}

fn told_rule(rule: &MultiGroupRule) -> &'static str {
    match rule {
        MultiGroupRule::InEach => {
            "People in several groups count fully in each: hours and the like overlap and add up to more than the whole."
        }
        MultiGroupRule::Split => {
            "Hours and the like of people in several groups are split evenly between them: they add up to the whole."
        }
        MultiGroupRule::Primary(_) => {
            "People in several groups count to one of them only, by the site's order: everything adds up to the whole."
        }
        MultiGroupRule::Bucket(_) => {
            "People in several groups count to a group of their own: everything adds up to the whole."
        }
    }
}

const INTERVALS: &str =
    "select hub, \"user\", \"group\", joined, \"left\" from membership_intervals";

const STORAGE_DAYS: &str =
    "select hub, day from storage where day >= $first and day <= $to group by hub, day";

/// Days with usage: of closed ones the roll-up knows. The last one before the first day that is read
/// tells that usage was collected already when it began.
const USAGE_DAYS: &str = "
select hub, day from user_days
where day >= $first and day < $raw and day <= $to
  and (cpu_core_seconds is not null or memory_byte_seconds is not null or gpu_seconds is not null)
group by hub, day
union all
select hub, day from (
    select hub, day_of(hub, hour) as day from (
        select distinct hub, hour from usage where hour >= $raw_starts and hour < $ends
    )
) where day >= $raw and day <= $to group by hub, day
union all
select hub, max(day) from user_days
where day >= $first - interval '31 days' and day < $first
  and (cpu_core_seconds is not null or memory_byte_seconds is not null or gpu_seconds is not null)
group by hub
union all
select hub, max(day) from (
    select hub, day_of(hub, hour) as day from (
        select distinct hub, hour from usage
        where $raw = $first and hour >= $starts - interval '31 days'
          and hour < $starts + interval '2 days'
    )
) where day < $first group by hub";

/// Of anybody, whoever is asked about.
const RAN_DAYS: &str = "
select hub, day from user_days
where day >= $first and day < $raw and day <= $to and sessions > 0 group by hub, day
union all
select hub, day from (
    select hub, unnest(days_of(hub, started, coalesce(ended, $now))) as day from all_sessions
    where started < $ends and (ended is null or ended >= $raw_starts)
) where day >= $raw and day <= $to group by hub, day";

fn interval(row: Vec<Cell>) -> Option<Interval> {
    let mut row = row.into_iter();
    let mut text = || match row.next() {
        Some(Cell::Text(text)) => Some(text),
        _ => None,
    };
    let (hub, user, group) = (text()?, text()?, text()?);
    let Some(Cell::Time(joined)) = row.next() else {
        return None;
    };
    let left = match row.next() {
        Some(Cell::Time(left)) => Some(left.as_microsecond()),
        _ => None,
    };
    Some(Interval {
        hub,
        user,
        group,
        joined: joined.as_microsecond(),
        left,
    })
}

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
