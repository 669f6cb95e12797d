//! The views that a report reads, made for one question: its period, hubs and people.
//!
//! Text of views is put together from the parts that stand here; values of the question come as
//! parameters and small tables, never as text.

use super::asked::Asked;
use super::calendar::{Calendar, DayNumber, date, number, seconds, weekday};
use super::functions;
use super::knowledge::{Knowledge, OfDay};
use super::members::{Attributed, Span, Stay};
use super::people::PeopleBefore;
use super::raw::ActiveDay;
use super::run::RowsBefore;
use super::sums;
use crate::query::{QueryError, Scope, Value, Weighed};
use crate::table::Table;
use crate::tables::TableDef;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::catalog::{MemTable, TableProvider};
use jiff::{Timestamp, ToSpan as _};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Name and text of the views.
const VIEWS: &[(&str, &str)] = &[
    ("ran_sessions", include_str!("views/ran_sessions.sql")),
    (RAN_IN_PERIOD, include_str!("views/ran_sessions.sql")),
    ("asked_sessions", include_str!("views/asked_sessions.sql")),
    ("sessions_raw", include_str!("views/sessions_raw.sql")),
    ("started_raw", include_str!("views/started_raw.sql")),
    (
        "period_started_days",
        include_str!("views/period_started_days.sql"),
    ),
    (
        "period_user_days",
        include_str!("views/period_user_days.sql"),
    ),
    (
        "period_group_days",
        include_str!("views/period_group_days.sql"),
    ),
    ("period_members", include_str!("views/period_members.sql")),
    ("period_sessions", include_str!("views/period_sessions.sql")),
    ("period_usage", include_str!("views/period_usage.sql")),
    ("period_storage", include_str!("views/period_storage.sql")),
    ("period_events", include_str!("views/period_events.sql")),
    (
        "period_observations",
        include_str!("views/period_observations.sql"),
    ),
    ("period_people", include_str!("views/period_people.sql")),
    (
        "period_shortages",
        include_str!("views/period_shortages.sql"),
    ),
];

/// Of the sessions those that are read: where all days are open, a table of those that ran on them stands for
/// this; else all.
const RAN_IN_PERIOD: &str = "ran_in_period";

/// What stands for `asked_sessions` where no group is asked about: it is to cost nothing.
const ALL_SESSIONS: &str = "select *, true as has_begun from ran_in_period";

/// Their names.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    VIEWS.iter().map(|(name, _)| *name)
}

/// Tests read the file, so that a changed view is tested without a build.
#[cfg(test)]
fn current(name: &str, _: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/views");
    std::fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap_or_default()
}

#[cfg(not(test))]
fn current(_: &str, text: &str) -> String {
    text.to_owned()
}

/// Tables, by the names of the views that they stand for.
pub(super) type Providers = BTreeMap<&'static str, Arc<dyn TableProvider>>;

/// Where everybody counts, also as a table.
#[derive(Default)]
pub(super) struct Members {
    pub(super) attributed: Attributed,
    table: Option<Arc<MemTable>>,
    bytes: usize,
}

impl Members {
    pub(super) fn new(attributed: Attributed) -> Result<Self, QueryError> {
        let columns = spans(&attributed.spans);
        let bytes: usize = columns.iter().map(|it| it.1.get_array_memory_size()).sum();
        Ok(Self {
            table: Some(table(columns)?),
            // Each name of a span is there twice, with what it takes to keep it.
            bytes: 2 * bytes + attributed.spans.len() * 2 * size_of::<Span>(),
            attributed,
        })
    }

    fn table(&self) -> Result<Arc<dyn TableProvider>, QueryError> {
        Ok(match &self.table {
            Some(table) => Arc::clone(table) as Arc<dyn TableProvider>,
            None => table(spans(&[]))?,
        })
    }
}

impl Weighed for Members {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A question on its way to the engine.
#[derive(Clone)]
pub(super) struct Prepared<'a> {
    pub(super) asked: &'a Asked,
    pub(super) calendar: Arc<Calendar>,
    /// First day that is read.
    pub(super) first: DayNumber,
    /// Last day of the period.
    pub(super) last: DayNumber,
    /// First day that is not in the roll-up.
    pub(super) raw: DayNumber,
    /// What nobody reads of days that are not in the roll-up is not computed.
    pub(super) reads_activity: bool,
    pub(super) reads_usage: bool,
    pub(super) now: Timestamp,
    pub(super) knowledge: BTreeMap<String, Knowledge>,
    /// If they are read.
    pub(super) members: Arc<Members>,
    pub(super) group_days: Vec<Span>,
    pub(super) stays: Vec<Stay>,
    pub(super) left_out: Vec<Span>,
    pub(super) activity: Arc<Vec<ActiveDay>>,
    /// Sessions that ran on the days that are not in the roll-up: several queries read them, those about such
    /// days only.
    pub(super) lately: Option<Arc<Table>>,
    /// If they are read.
    pub(super) people: Option<PeopleBefore>,
    /// Views that were computed, those that are read.
    pub(super) computed: Providers,
}

impl Prepared<'_> {
    /// Views, tables and functions.
    pub(super) fn scope(&self) -> Result<Scope, QueryError> {
        let views = VIEWS
            .iter()
            .map(|(name, text)| (*name, self.view(&self.text(name, text))));
        let mut tables = Providers::new();
        tables.insert("period_days", table(self.days())?);
        tables.insert("member_spans", self.members.table()?);
        tables.insert("asked_members", table(spans(&self.group_days))?);
        tables.insert("asked_stays", table(stays(&self.stays))?);
        tables.insert("left_out", table(spans(&self.left_out))?);
        tables.insert("activity", table(activity(&self.activity))?);
        tables.insert("networks", table(self.networks())?);
        if let Some(people) = &self.people {
            tables.insert("ran_before", again(&people.ran)?);
            tables.insert("accounts_before", again(&people.accounts)?);
        }
        let mut views: BTreeMap<&'static str, String> = views.collect();
        views.extend(
            sums::ALL
                .iter()
                .map(|sums| (sums.name, self.view(sums.sql))),
        );
        if let Some(lately) = self.lately.as_ref().filter(|_| self.is_open()) {
            views.remove(RAN_IN_PERIOD);
            tables.insert(RAN_IN_PERIOD, again(lately)?);
        }
        for (name, rows) in &self.computed {
            views.remove(name);
            tables.insert(name, Arc::clone(rows));
        }
        Ok(Scope {
            tables,
            views,
            functions: functions::all(&self.calendar),
        })
    }

    fn text(&self, name: &str, text: &str) -> String {
        if name == "asked_sessions" && self.asked.group.is_none() {
            return ALL_SESSIONS.to_owned();
        }
        // A view of a view would be planned twice.
        let file = if name == RAN_IN_PERIOD {
            "ran_sessions"
        } else {
            name
        };
        current(file, text)
    }

    fn view(&self, text: &str) -> String {
        let mut text = text.to_owned();
        while let Some((before, rest)) = text.split_once("/*") {
            let Some((mark, after)) = rest.split_once("*/") else {
                break;
            };
            let (kind, of) = mark.split_once(' ').unwrap_or((mark, ""));
            text = format!("{before}{}{after}", self.part(kind, of));
        }
        text
    }

    /// The conditions that a mark in a view stands for; nothing where nothing is asked.
    fn part(&self, kind: &str, of: &str) -> String {
        let (asked, left_out) = (self.asked, &self.asked.site.left_out);
        let is_of_people = kind == "people";
        let has_group = asked.group.is_some();
        let conditions = [
            (
                asked.hub.is_some() && (is_of_people || kind == "hub"),
                "{of}.hub = $hub",
            ),
            (
                asked.user.is_some() && is_of_people,
                "{of}.\"user\" = $user",
            ),
            (
                !left_out.users.is_empty() && is_of_people,
                "({of}.\"user\" is null or not regexp_like({of}.\"user\", $left_out))",
            ),
            (
                !left_out.groups.is_empty() && is_of_people,
                "not exists (select 1 from left_out o \
                 where o.hub = {of}.hub and o.\"user\" = {of}.\"user\")",
            ),
            (
                has_group && kind == "members",
                "exists (select 1 from asked_members m \
                 where m.hub = {of}.hub and m.\"user\" = {of}.\"user\" \
                 and {of}.day >= m.first_day and {of}.day <= m.last_day)",
            ),
            (
                has_group && kind == "ever",
                "exists (select 1 from asked_members m \
                 where m.hub = {of}.hub and m.\"user\" = {of}.\"user\" and m.last_day >= $from)",
            ),
            (has_group && kind == "group", "{of} = $group"),
            (kind == "closed" && self.is_open(), "false"),
            (kind == "activity" && !self.reads_activity, "false"),
            (kind == "usage" && !self.reads_usage, "false"),
        ];
        let asked = conditions.iter().filter(|(is_asked, _)| *is_asked);
        let parts = asked.map(|(_, text)| format!(" and {}", text.replace("{of}", of)));
        parts.collect()
    }

    /// Values of the parameters that views and reports name.
    pub(super) fn params(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        let (starts, ends) = (self.moment(self.first), self.moment(self.last + 1));
        let raw_starts = if self.raw > self.last {
            // Nothing ends so late.
            Timestamp::MAX
                .saturating_sub(1000.hours())
                .unwrap_or(ends.1)
        } else {
            self.moment(self.raw).0
        };
        let since = self.people.as_ref();
        let since = since.map_or(Value::Null, |people| Value::Time(people.moment));
        vec![
            ("from", Value::Day(self.asked.from)),
            ("to", Value::Day(date(self.last))),
            ("first", Value::Day(date(self.first))),
            ("raw", Value::Day(date(self.raw))),
            ("raw_starts", Value::Time(raw_starts)),
            ("starts", Value::Time(starts.0)),
            ("ends", Value::Time(ends.1)),
            ("now", Value::Time(self.now)),
            ("hub", text(&self.asked.hub)),
            ("group", text(&self.asked.group)),
            ("none", Value::Text(self.members.attributed.none.clone())),
            ("user", text(&self.asked.user)),
            (
                "left_out",
                Value::Text(pattern(&self.asked.site.left_out.users)),
            ),
            ("people_since", since),
        ]
    }

    /// Equal for questions about the same people and days.
    pub(super) fn people_and_days(&self) -> String {
        let days = (self.asked.from, self.first, self.raw, self.last);
        format!("{} {days:?}", self.whose())
    }

    /// The same, whenever the days begin: the day is told for members only, who may have left before.
    pub(super) fn people_until_the_end(&self) -> String {
        let asked = self.asked;
        let is_of_groups = asked.group.is_some() || !asked.site.left_out.groups.is_empty();
        let from = is_of_groups.then_some(asked.from);
        // A hub at which no day has begun yet has no people.
        let now = self.now.as_microsecond();
        let hubs = self.calendar.hubs();
        let have_begun: Vec<bool> = hubs.map(|(_, hub)| self.first <= hub.day_of(now)).collect();
        format!("{} {from:?} {} {have_begun:?}", self.whose(), self.last)
    }

    /// The people. Whoever is left out for a group is for all of a period, also if this is about a part of it; days
    /// are there up to that of today at each hub.
    fn whose(&self) -> String {
        let asked = self.asked;
        let people = (&asked.hub, &asked.group, &asked.user, &asked.site.left_out);
        let now = self.now.as_microsecond();
        let hubs = self.calendar.hubs().map(|(_, hub)| {
            let is_left_out_until = !asked.site.left_out.groups.is_empty();
            (hub.day_of(now), is_left_out_until.then(|| hub.last()))
        });
        let hubs: Vec<_> = hubs.collect();
        format!("{people:?} {hubs:?}")
    }

    /// The days that the roll-up has, if it has any of them.
    pub(super) fn closed(&self) -> Option<Self> {
        let last = self.last.min(self.raw - 1);
        (self.first <= last).then(|| self.of_days(self.first, last))
    }

    /// The other days.
    pub(super) fn open(&self) -> Option<Self> {
        let first = self.first.max(self.raw);
        (first <= self.last).then(|| self.of_days(first, self.last))
    }

    /// Whether the roll-up has none of the days.
    fn is_open(&self) -> bool {
        self.first >= self.raw
    }

    /// The same question about other days.
    pub(super) fn of_days(&self, first: DayNumber, last: DayNumber) -> Self {
        Self {
            first,
            last,
            ..self.clone()
        }
    }

    /// The first and the last moment at which the day begins at any of the hubs.
    pub(super) fn moment(&self, day: DayNumber) -> (Timestamp, Timestamp) {
        let starts = self.calendar.hubs().map(|(_, hub)| hub.start(day));
        let (first, last) = starts.fold((i64::MAX, i64::MIN), |(first, last), start| {
            (first.min(start), last.max(start))
        });
        let moment = |micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        (moment(first), moment(last))
    }

    /// From when to when rows are read, in microseconds since 1970.
    pub(super) fn ends(&self) -> (i64, i64) {
        let (starts, ends) = (self.moment(self.first).0, self.moment(self.last + 1).1);
        (starts.as_microsecond(), ends.as_microsecond())
    }

    /// When the month began that the first day that is read lies in, about.
    pub(super) fn month_start(&self) -> i64 {
        self.moment(month(self.first)).0.as_microsecond()
    }

    /// When today began in UTC, in microseconds since 1970: what was collected before is there.
    pub(super) fn today(&self) -> i64 {
        day_start(self.now).as_microsecond()
    }

    /// Rows of a table that began before today.
    pub(super) fn rows_before_today(&self, table: &'static TableDef) -> RowsBefore {
        let before = self.today();
        RowsBefore { table, before }
    }

    fn days(&self) -> Vec<(&'static str, ArrayRef)> {
        let from = number(self.asked.from);
        let now = self.now.as_microsecond();
        let rows = self.days_of_hubs();
        macro_rules! column {
            ($name:literal, $kind:ty, |$row:pat_param| $value:expr) => {
                (
                    $name,
                    Arc::new(rows.iter().map(|$row| $value).collect::<$kind>()) as ArrayRef,
                )
            };
        }
        macro_rules! times {
            ($name:literal, |$row:pat_param| $value:expr) => {{
                let all = rows.iter().map(|$row| Some($value));
                let all: TimestampMicrosecondArray = all.collect();
                ($name, Arc::new(all.with_timezone("UTC")) as ArrayRef)
            }};
        }
        vec![
            column!("hub", StringArray, |row| Some(row.hub)),
            column!("day", Date32Array, |row| Some(row.day)),
            times!("starts", |row| row.starts),
            times!("ends", |row| row.ends),
            times!("known_from", |row| row.known_from),
            column!("week", Date32Array, |row| Some(monday(row.day))),
            column!("month", Date32Array, |row| Some(month(row.day))),
            column!("weekday", Int64Array, |row| Some(weekday(row.day))),
            column!("in_period", BooleanArray, |row| Some(row.day >= from)),
            column!("is_over", BooleanArray, |row| Some(row.ends <= now)),
            column!("in_history", BooleanArray, |row| Some(row.of.in_history)),
            column!("known", BooleanArray, |row| Some(row.of.known)),
            column!("members_known", BooleanArray, |row| Some(row.of.members)),
            column!("usage_known", BooleanArray, |row| Some(row.of.usage)),
            column!("accounts_known", BooleanArray, |row| Some(row.of.accounts)),
            column!("hooks_known", BooleanArray, |row| Some(row.of.hooks)),
            column!("storage_known", BooleanArray, |row| Some(row.of.storage)),
            column!("watched", Float64Array, |row| row.of.watched),
            column!("seconds", Float64Array, |row| Some(seconds(
                row.ends - row.starts
            ))),
        ]
    }

    /// The days that are read, up to today, of each hub.
    pub(super) fn days_of_hubs(&self) -> Vec<DayOfHub<'_>> {
        let now = self.now.as_microsecond();
        let nothing = Knowledge::default();
        let mut rows = Vec::new();
        for (name, hub) in self.calendar.hubs() {
            let known = self.knowledge.get(name).unwrap_or(&nothing);
            let known_from = known.known_from.map_or(i64::MIN, Timestamp::as_microsecond);
            for day in self.first..=self.last.min(hub.day_of(now)) {
                let (starts, ends) = (hub.start(day), hub.start(day + 1));
                if starts < ends {
                    rows.push(DayOfHub {
                        hub: name,
                        day,
                        starts,
                        ends,
                        known_from: known_from.clamp(starts, ends),
                        of: known.of_day(day, hub, now),
                    });
                }
            }
        }
        rows
    }

    fn networks(&self) -> Vec<(&'static str, ArrayRef)> {
        let all = &self.asked.site.networks;
        let text = |pick: &dyn Fn(&super::asked::Network) -> String| -> ArrayRef {
            Arc::new(
                all.iter()
                    .map(|network| Some(pick(network)))
                    .collect::<StringArray>(),
            )
        };
        vec![
            ("network", text(&|network| network.name.clone())),
            ("first", text(&|network| network.first.clone())),
            ("last", text(&|network| network.last.clone())),
        ]
    }
}

/// A day of a hub; moments in microseconds since 1970.
pub(super) struct DayOfHub<'a> {
    pub(super) hub: &'a str,
    pub(super) day: DayNumber,
    pub(super) starts: i64,
    pub(super) ends: i64,
    /// Since when sessions are known.
    pub(super) known_from: i64,
    pub(super) of: OfDay,
}

/// When the day of a moment began in UTC.
pub(super) fn day_start(moment: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400_000_000;
    let micros = moment.as_microsecond().div_euclid(DAY) * DAY;
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MIN)
}

pub(super) fn monday(day: DayNumber) -> DayNumber {
    day - (day + 3).rem_euclid(7)
}

pub(super) fn month(day: DayNumber) -> DayNumber {
    number(date(day).first_of_month())
}

/// Names with `*` as one regular expression.
fn pattern(names: &[String]) -> String {
    let all = names.iter().map(|name| {
        let parts = name.split('*').map(escaped);
        parts.collect::<Vec<_>>().join(".*")
    });
    format!("^(?s:{})$", all.collect::<Vec<_>>().join("|"))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if !letter.is_alphanumeric() && !letter.is_whitespace() && letter.is_ascii() {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn table(columns: Vec<(&'static str, ArrayRef)>) -> Result<Arc<MemTable>, QueryError> {
    let failed = |error: &dyn std::fmt::Display| QueryError::Failed(error.to_string());
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| failed(&error))?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]);
    Ok(Arc::new(table.map_err(|error| failed(&error))?))
}

/// Rows of an earlier answer, to be asked again.
pub(super) fn again(rows: &Table) -> Result<Arc<dyn TableProvider>, QueryError> {
    let (schema, batches) = rows.batches();
    Ok(Arc::new(MemTable::try_new(schema, vec![batches.to_vec()])?))
}

fn spans(spans: &[Span]) -> Vec<(&'static str, ArrayRef)> {
    let text = |pick: &dyn Fn(&Span) -> &str| -> ArrayRef {
        let all = spans.iter().map(|span| Some(pick(span)));
        Arc::new(all.collect::<StringArray>())
    };
    let day = |pick: &dyn Fn(&Span) -> DayNumber| -> ArrayRef {
        Arc::new(
            spans
                .iter()
                .map(|span| Some(pick(span)))
                .collect::<Date32Array>(),
        )
    };
    vec![
        ("hub", text(&|span| &span.hub)),
        ("user", text(&|span| &span.user)),
        ("group", text(&|span| &span.group)),
        ("first_day", day(&|span| span.first)),
        ("last_day", day(&|span| span.last)),
        (
            "share",
            Arc::new(
                spans
                    .iter()
                    .map(|span| Some(span.share))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "is_real",
            Arc::new(
                spans
                    .iter()
                    .map(|span| Some(span.is_real))
                    .collect::<BooleanArray>(),
            ),
        ),
    ]
}

fn stays(stays: &[Stay]) -> Vec<(&'static str, ArrayRef)> {
    let text = |pick: &dyn Fn(&Stay) -> String| -> ArrayRef {
        let all = stays.iter().map(|stay| Some(pick(stay)));
        Arc::new(all.collect::<StringArray>())
    };
    let moment = |pick: &dyn Fn(&Stay) -> Option<i64>| -> ArrayRef {
        let all = stays.iter().map(pick);
        Arc::new(
            all.collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        )
    };
    vec![
        ("hub", text(&|stay| stay.hub.clone())),
        ("user", text(&|stay| stay.user.clone())),
        ("starts", moment(&|stay| Some(stay.starts))),
        ("ends", moment(&|stay| stay.ends)),
    ]
}

fn activity(days: &[ActiveDay]) -> Vec<(&'static str, ArrayRef)> {
    let text = |pick: &dyn Fn(&ActiveDay) -> String| -> ArrayRef {
        Arc::new(
            days.iter()
                .map(|day| Some(pick(day)))
                .collect::<StringArray>(),
        )
    };
    vec![
        ("hub", text(&|day| day.hub.clone())),
        ("user", text(&|day| day.user.clone())),
        (
            "day",
            Arc::new(
                days.iter()
                    .map(|day| Some(day.day))
                    .collect::<Date32Array>(),
            ),
        ),
        (
            "seconds",
            Arc::new(Float64Array::from_iter_values(
                days.iter().map(|day| day.seconds),
            )),
        ),
    ]
}
