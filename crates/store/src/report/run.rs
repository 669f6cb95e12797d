//! Runs a report: finds out what is known of the period, prepares the views, asks.

use super::answer::{ACCOUNTS_LEFT_OUT, Answer, HubOfAnswer, MEMBERS_LEFT_OUT};
use super::asked::{Asked, Chosen, ReportError, RollUp};
use super::calendar::{Calendar, DayNumber, date, number};
use super::definition::{Definition, Lead, Need};
use super::knowledge::Caveats;
use super::members::{self, Interval};
use super::raw;
use super::registry::Registry;
use super::scope::{Members, Prepared, Providers, again};
use super::{at_once, came, people, sums};
use crate::Sources;
use crate::query::{Engine, Limits, QueryError, Rows, Scope, Value, Weighed};
use crate::table::{Cell, Table};
use crate::tables::{TableDef, memberships, user_days};
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use model::attribution::MultiGroupRule;
use model::days::Day;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Each day of a period is made before anything is read: the hours of thousands of years would take
/// minutes. No hub is as old as this.
const MOST_DAYS: DayNumber = 50 * 366;

/// Where more days are not in the roll-up, as those of a history that was just imported, each query reads
/// the sessions that it needs.
const MOST_DAYS_LATELY: DayNumber = 7;

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
        begun: Instant::now(),
    };
    question.answer().await
}

/// Rows of a table that begin before a moment, in microseconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct RowsBefore {
    pub(super) table: &'static TableDef,
    pub(super) before: i64,
}

impl RowsBefore {
    /// All rows.
    pub(super) fn all(table: &'static TableDef) -> Self {
        let before = i64::MAX;
        Self { table, before }
    }
}

/// A question on its way.
pub(super) struct Question<'a> {
    engine: &'a Engine,
    pub(super) sources: &'a Sources,
    pub(super) report: &'a Arc<Definition>,
    asked: &'a Asked,
    /// Of all its queries together.
    limits: Limits,
    begun: Instant,
}

impl Question<'_> {
    async fn answer(&self) -> Result<Answer, ReportError> {
        self.asked.check(self.report)?;
        let mut prepared = self.prepare()?;
        if self.report.needs.contains(&Need::Sessions) {
            prepared.lately = self.lately(&prepared).await?;
        }
        prepared.knowledge = self.knowledge(&prepared).await?;
        self.add_members(&mut prepared).await?;
        if self.reads(people::VIEW) {
            prepared.people = Some(self.people_before(&prepared).await?);
        }
        if let Some(open) = prepared.open().filter(|open| open.reads_activity) {
            prepared.activity = self.activity(&open).await?;
        }
        let computed = self.computed(&prepared).await?;
        prepared.computed = computed;
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
            never_known: self.of_days(&prepared).never_known(&self.report.needs),
            computed: self.sources.now(),
        })
    }

    pub(super) fn reads(&self, view: &str) -> bool {
        self.report.sql.to_lowercase().contains(view)
    }

    /// Whether it reads one of these columns of what people did day by day. Our own reports name the
    /// columns that they read; one of the site may read them as `*`.
    fn reads_of_days(&self, columns: &[&str]) -> bool {
        let names_all = Registry::ours_has(&self.report.name);
        let views = [
            "period_user_days",
            "period_group_days",
            sums::DAYS,
            sums::GROUPS,
        ];
        views.iter().any(|view| self.reads(view))
            && (!names_all || columns.iter().any(|column| self.reads(column)))
    }

    /// The views that are computed before the query, those of them that it reads.
    async fn computed(&self, prepared: &Prepared<'_>) -> Result<Providers, ReportError> {
        let mut all = Providers::new();
        let reads_any = |views: &[&str]| views.iter().any(|view| self.reads(view));
        if reads_any(&at_once::VIEWS) {
            for (name, rows) in &*self.at_once(prepared).await? {
                all.insert(name, again(rows)?);
            }
        }
        if reads_any(&came::VIEWS) {
            all.extend(self.who_came(prepared).await?);
        }
        if self.reads(people::VIEW)
            && let Some(rows) = or_the_view(self.people(prepared).await)?
        {
            all.insert(people::VIEW, again(&rows)?);
        }
        let n_days = prepared.last - prepared.first + 1;
        let are_read = |sums: &&sums::Sums| self.reads(sums.name) && n_days <= sums.most_days;
        for sums in sums::ALL.iter().filter(are_read) {
            if let Some(rows) = or_the_view(self.sums(prepared, sums).await)? {
                all.insert(sums.name, again(&rows)?);
            }
        }
        Ok(all)
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
        if number(to) - number(from) >= MOST_DAYS {
            let told = format!(
                "the period from {from} to {to} is longer than {} years",
                MOST_DAYS / 366
            );
            return Err(ReportError::Wrong(told));
        }
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
            reads_activity: self.reads_of_days(&["active_seconds"])
                || self.reads(sums::DAYS)
                || self.reads(sums::WEEKS),
            // Several parts of a page read sums of days, some of them with usage: all share these.
            reads_usage: self.reads(sums::DAYS)
                || self.reads_of_days(&["cpu_core_seconds", "memory_byte_seconds", "gpu_seconds"]),
            now,
            knowledge: BTreeMap::new(),
            members: Arc::default(),
            group_days: Vec::new(),
            stays: Vec::new(),
            left_out: Vec::new(),
            activity: Arc::default(),
            lately: None,
            people: None,
            computed: BTreeMap::new(),
        })
    }

    /// Asks with the calendar's functions and parameters, and what was prepared so far.
    pub(super) async fn ask(
        &self,
        prepared: &Prepared<'_>,
        sql: &str,
        more: &[(&str, Value)],
    ) -> Result<Table, ReportError> {
        let mut params: Vec<(&str, Value)> = more.to_vec();
        params.extend(prepared.params());
        let (sources, limits) = (self.sources_of(prepared)?, self.limits_left());
        let answer = self.engine.run(sql, sources, limits, &params).await;
        answer.map_err(|error| self.told(error))
    }

    /// The same, of which the rows need not fit in memory.
    pub(super) async fn stream(
        &self,
        prepared: &Prepared<'_>,
        sql: &str,
    ) -> Result<Rows, ReportError> {
        let (sources, limits) = (self.sources_of(prepared)?, self.limits_left());
        let params = prepared.params();
        let rows = self.engine.stream(sql, sources, limits, &params).await;
        rows.map_err(|error| self.told(error))
    }

    fn sources_of(&self, prepared: &Prepared<'_>) -> Result<Sources, QueryError> {
        let scope: Scope = prepared.scope()?;
        Ok(self.sources.clone().with_scope(Arc::new(scope)))
    }

    /// All queries of the question together have so much time.
    fn limits_left(&self) -> Limits {
        Limits {
            timeout: self.limits.timeout.saturating_sub(self.begun.elapsed()),
            ..self.limits
        }
    }

    /// The error as it is of the whole question.
    pub(super) fn told(&self, error: QueryError) -> ReportError {
        ReportError::Query(match error {
            QueryError::TimedOut { .. } => QueryError::TimedOut {
                seconds: self.limits.timeout.as_secs(),
            },
            error => error,
        })
    }

    /// The same, of rows of one table that begin before a moment: remembered as long as they are the
    /// same. What the query says of later rows must not depend on them.
    pub(super) async fn ask_once(
        &self,
        prepared: &Prepared<'_>,
        sql: &str,
        more: &[(&str, Value)],
        rows: RowsBefore,
    ) -> Result<Arc<Table>, ReportError> {
        // The calendar knows the days of the hubs that are asked about.
        let (hub, named) = (&self.asked.hub, named(prepared, sql, more));
        let rows = self.key_of(&[rows]);
        let key = rows.map(|rows| format!("{sql}\n{hub:?}\n{named:?}\n{rows}"));
        let answer = Box::pin(self.ask(prepared, sql, more));
        self.remembered(key, answer).await
    }

    /// An answer that is remembered by its key; computed each time where there is none.
    pub(super) async fn remembered<T: Weighed>(
        &self,
        key: Option<String>,
        compute: impl Future<Output = Result<T, ReportError>>,
    ) -> Result<Arc<T>, ReportError> {
        match key {
            Some(key) => self.sources.answers().get_or(key, compute).await,
            None => compute.await.map(Arc::new),
        }
    }

    /// The same, of all rows at this moment: other questions of a page ask it too.
    pub(super) async fn ask_of_moment(
        &self,
        prepared: &Prepared<'_>,
        sql: &str,
        more: &[(&str, Value)],
    ) -> Result<Arc<Table>, ReportError> {
        // The calendar knows the days of the hubs that are asked about.
        let (hub, named) = (&self.asked.hub, named(prepared, sql, more));
        let key = format!("{sql}\n{hub:?}\n{named:?}");
        let answer = Box::pin(self.ask(prepared, sql, more));
        self.sources.answers_of_moment().get_or(key, answer).await
    }

    /// Equal as long as the rows are the same; `None` if nobody can tell.
    pub(super) fn key_of(&self, rows: &[RowsBefore]) -> Option<String> {
        let pieces = rows
            .iter()
            .map(|rows| self.sources.pieces_of(rows.table, rows.before));
        let pieces = pieces.collect::<Option<Vec<_>>>()?;
        Some(format!("{:?}\n{pieces:?}", self.sources.zones()))
    }

    /// The same of the rows that days which the roll-up has are made of, for the people who are asked about.
    pub(super) fn key_of_closed(&self) -> Option<String> {
        let days = RowsBefore::all(&user_days::TABLE);
        let is_of_groups =
            self.asked.group.is_some() || !self.asked.site.left_out.groups.is_empty();
        if is_of_groups {
            self.key_of(&[days, RowsBefore::all(&memberships::TABLE)])
        } else {
            self.key_of(&[days])
        }
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
        Err(ReportError::Columns(told))
    }

    async fn add_members(&self, prepared: &mut Prepared<'_>) -> Result<(), ReportError> {
        let views = [
            "period_group_days",
            "period_members",
            came::GROUPS,
            came::PARTICIPANTS,
            sums::GROUPS,
            sums::GROUP_STARTS,
        ];
        let reads_members = views.iter().any(|view| self.reads(view));
        let left_out = &self.asked.site.left_out.groups;
        let asked = self.asked.group.as_deref();
        if !reads_members && left_out.is_empty() && asked.is_none() {
            return Ok(());
        }
        let intervals = self.intervals(prepared).await?;
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
            prepared.stays = members::stays(&intervals, calendar, group);
        }
        let is_left_out = |name: &str| left_out.iter().any(|group| group == name);
        prepared.left_out = members::in_groups(&intervals, calendar, is_left_out);
        // Whoever does not count in one report counts in none, however long before the period it reads.
        let from = number(self.asked.from);
        prepared.left_out.retain(|span| span.last >= from);
        if reads_members {
            prepared.members = self.members(prepared, &intervals).await?;
        }
        Ok(())
    }

    /// Sessions that ran on days that are open.
    async fn lately(&self, prepared: &Prepared<'_>) -> Result<Option<Arc<Table>>, ReportError> {
        let few = |open: &Prepared<'_>| open.last - open.first < MOST_DAYS_LATELY;
        let Some(open) = prepared.open().filter(few) else {
            return Ok(None);
        };
        // Of all hubs, and of the time in which the days are those of the hubs that are asked about.
        let (starts, ends) = (open.moment(open.first).0, open.moment(open.last + 1).1);
        let key = format!("ran lately {starts} {ends}");
        let rows = Box::pin(self.ask(&open, raw::LATELY, &[]));
        let rows = self.sources.answers_of_moment().get_or(key, rows);
        or_the_view(rows.await)
    }

    /// Who was in which group, at the hubs that are asked about.
    async fn intervals(&self, prepared: &Prepared<'_>) -> Result<Arc<Vec<Interval>>, ReportError> {
        let rows = self.key_of(&[RowsBefore::all(&memberships::TABLE)]);
        let key = rows.map(|rows| format!("intervals {:?}\n{rows}", self.asked.hub));
        let read = async {
            let rows = Box::pin(self.ask(prepared, INTERVALS, &[])).await?;
            Ok(rows.rows().filter_map(interval).collect::<Vec<_>>())
        };
        self.remembered(key, read).await
    }

    /// The same by days of the period, and by the rule.
    async fn members(
        &self,
        prepared: &Prepared<'_>,
        intervals: &[Interval],
    ) -> Result<Arc<Members>, ReportError> {
        let rows = self.key_of(&[RowsBefore::all(&memberships::TABLE)]);
        let (calendar, rule) = (&prepared.calendar, &self.asked.site.groups);
        let days = (prepared.first, prepared.last);
        let key = rows.map(|rows| format!("{:?} {days:?} {rule:?}\n{rows}", self.asked.hub));
        let attributed = async {
            let attributed = members::attributed(intervals, calendar, rule);
            Ok(Members::new(attributed)?)
        };
        self.remembered(key, attributed).await
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

    /// What is known of the days that are asked about.
    fn of_days<'p>(&self, prepared: &'p Prepared<'_>) -> Caveats<'p> {
        Caveats {
            calendar: &prepared.calendar,
            knowledge: &prepared.knowledge,
            first: prepared.first,
            from: number(self.asked.from),
            lead: self.report.lead,
            now: prepared.now.as_microsecond(),
        }
    }

    fn caveats(&self, prepared: &Prepared<'_>) -> Vec<String> {
        let mut caveats = self.of_days(prepared).about(&self.report.needs);
        if self.asked.to > date(prepared.last) {
            caveats.push(format!("The period ends today, not on {}.", self.asked.to));
        }
        // Whoever only counts people does not divide them; what reports of the site do nobody knows.
        let divides = self.reads("* share")
            || self.reads(sums::GROUPS)
            || self.reads(sums::GROUP_STARTS)
            || (!Registry::ours_has(&self.report.name)
                && (self.reads("period_group_days") || self.reads("period_members")));
        if divides {
            caveats.push(told_rule(&self.asked.site.groups.rule).to_owned());
        }
        let left_out = &self.asked.site.left_out;
        if !left_out.users.is_empty() {
            let users = left_out.users.join("`, `");
            caveats.push(format!("{ACCOUNTS_LEFT_OUT}`{users}`."));
        }
        if !left_out.groups.is_empty() {
            let groups = left_out.groups.join("`, `");
            caveats.push(format!("{MEMBERS_LEFT_OUT}`{groups}`."));
        }
        caveats.extend(self.report.caveats.iter().cloned());
        caveats
    }
}

/// The parameters that stand in a query. Views of what is remembered name none but these and the moment.
fn named<'a>(
    prepared: &Prepared<'_>,
    sql: &str,
    more: &[(&'a str, Value)],
) -> Vec<(&'a str, Value)> {
    let all = more.iter().cloned().chain(prepared.params());
    let is_named = |(name, _): &(&str, Value)| sql.contains(&format!("${name}"));
    all.filter(is_named).collect()
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
            "Hours and the like of people in several groups count in one of them only, by the site's order: they add up to the whole."
        }
        MultiGroupRule::Bucket(_) => {
            "Hours and the like of people in several groups count in a group made for them: they add up to the whole."
        }
    }
}

/// Nothing if that are more rows than can be remembered: the query can do without, and then reads the view.
fn or_the_view<T>(rows: Result<T, ReportError>) -> Result<Option<T>, ReportError> {
    match rows {
        Err(ReportError::Query(QueryError::TooLarge { .. })) => Ok(None),
        rows => rows.map(Some),
    }
}

const INTERVALS: &str = "
select hub, \"user\", \"group\", joined, \"left\" from membership_intervals
where $hub is null or hub = $hub";

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
