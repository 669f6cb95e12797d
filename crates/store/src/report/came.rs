//! Who came on which days of a period: the views of weeks, months, windows, visitors, groups and participants,
//! made of bits by [`model::came`]. In SQL each would group and sort the days of all people.
//!
//! What is read of days that the roll-up has is remembered as long as it has the same rows of them.

use super::asked::ReportError;
use super::calendar::{DayNumber, date, number};
use super::on_scan::{Make, OnScan};
use super::run::Question;
use super::scope::{DayOfHub, Members, Prepared, Providers, monday, month};
use crate::query::{Fold, QueryError, Weighed};
use crate::table::{Column, Table, TableError};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Date32Type;
use model::came::{Came, Visited};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

const WINDOWS: &str = "period_windows";
const WEEKS: &str = "period_weeks";
const MONTHS: &str = "period_months";
const VISITORS: &str = "period_visitors";
/// Groups of which somebody came.
pub(super) const GROUPS: &str = "period_groups";
/// How many members of groups came.
pub(super) const PARTICIPANTS: &str = "period_participants";
/// The names of the views.
pub(super) const VIEWS: [&str; 6] = [WINDOWS, WEEKS, MONTHS, VISITORS, GROUPS, PARTICIPANTS];

const STARTED_DAYS: &str = r#"select hub, "user", day from period_started_days"#;

/// Who came, by hub.
type ByHub = BTreeMap<String, Came>;

impl Weighed for ByHub {
    fn bytes(&self) -> usize {
        self.values().map(Came::bytes).sum()
    }
}

/// Who came, and what the views have to know of the days.
struct Visits {
    came: Arc<ByHub>,
    /// Of each hub, up to today.
    days: Vec<(String, DayNumber)>,
    /// First day that is read, of the lead before the period if there is one.
    first: DayNumber,
    /// First day of the period.
    from: DayNumber,
    /// The group that is asked about.
    group: Option<String>,
    members: Arc<Members>,
    /// Days of which memberships are known.
    known_members: BTreeSet<(String, DayNumber)>,
}

impl Visits {
    fn new(prepared: &Prepared<'_>, came: Arc<ByHub>) -> Self {
        let days = prepared.days_of_hubs();
        let named = |day: &DayOfHub<'_>| (day.hub.to_owned(), day.day);
        Self {
            came,
            days: days.iter().map(named).collect(),
            first: prepared.first,
            from: number(prepared.asked.from),
            group: prepared.asked.group.clone(),
            members: Arc::clone(&prepared.members),
            known_members: days
                .iter()
                .filter(|day| day.of.members)
                .map(named)
                .collect(),
        }
    }

    /// Of which nobody came on any day.
    fn nothing() -> Self {
        Self {
            came: Arc::default(),
            days: Vec::new(),
            first: 0,
            from: 0,
            group: None,
            members: Arc::default(),
            known_members: BTreeSet::new(),
        }
    }
}

impl Question<'_> {
    /// Those of the views that the report reads.
    pub(super) async fn who_came(&self, prepared: &Prepared<'_>) -> Result<Providers, ReportError> {
        let key = prepared.people_and_days();
        let came = Box::pin(self.read_days(prepared));
        let came = self.sources.answers_of_moment().get_or(key, came).await?;
        let visits = Arc::new(Visits::new(prepared, came));
        let nothing = Visits::nothing();
        let makers: [(_, Make<Visits>); _] = [
            (WINDOWS, windows),
            (WEEKS, weeks),
            (MONTHS, months),
            (VISITORS, visitors),
            (GROUPS, groups),
            (PARTICIPANTS, participants),
        ];
        let mut all = Providers::new();
        for (name, make) in makers {
            if self.reads(name) {
                let rows = OnScan::new(Arc::clone(&visits), &nothing, make);
                all.insert(name, Arc::new(rows.map_err(QueryError::from)?));
            }
        }
        Ok(all)
    }

    /// Who came on the days that are known.
    async fn read_days(&self, prepared: &Prepared<'_>) -> Result<ByHub, ReportError> {
        let mut came = match prepared.closed() {
            Some(closed) => self.read_closed(prepared, &closed).await?,
            None => nobody(prepared),
        };
        if let Some(open) = prepared.open() {
            let key = format!("came lately {}", open.people_and_days());
            let lately = Box::pin(self.read_started(&open, &open));
            let lately = self.sources.answers_of_moment().get_or(key, lately);
            let lately = lately.await?;
            for (hub, lately) in &*lately {
                if let Some(came) = came.get_mut(hub) {
                    came.merge(lately);
                }
            }
        }
        let days = prepared.days_of_hubs();
        for (hub, came) in &mut came {
            let known = |day: &&DayOfHub<'_>| day.hub == hub && day.of.known;
            keep(came, days.iter().filter(known));
        }
        Ok(came)
    }

    async fn read_closed(
        &self,
        prepared: &Prepared<'_>,
        closed: &Prepared<'_>,
    ) -> Result<ByHub, ReportError> {
        let days = prepared.people_and_days();
        let key = self.key_of_closed().map(|rows| format!("{days}\n{rows}"));
        let read = Box::pin(self.read_started(prepared, closed));
        let known = self.remembered(key, read).await?;
        Ok((*known).clone())
    }

    /// Who came on some of the days.
    async fn read_started(
        &self,
        prepared: &Prepared<'_>,
        some: &Prepared<'_>,
    ) -> Result<ByHub, ReportError> {
        let rows = self.stream(some, STARTED_DAYS).await?;
        let came = rows.folded(Days(nobody(prepared))).await;
        came.map_err(|error| self.told(error))
    }
}

fn nobody(prepared: &Prepared<'_>) -> ByHub {
    let hubs = prepared.calendar.hubs().map(|(hub, _)| {
        let days = prepared.first..=prepared.last;
        (hub.clone(), Came::new(days))
    });
    hubs.collect()
}

/// Rows of a hub, a user and a day.
struct Days(ByHub);

impl Fold for Days {
    type Output = ByHub;

    fn take(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let (hubs, users) = (batch.column(0), batch.column(1));
        let (hubs, users) = (hubs.as_string_view(), users.as_string_view());
        let days = batch.column(2).as_primitive::<Date32Type>().values();
        let mut row = 0;
        while row < batch.num_rows() {
            let hub = hubs.value(row);
            let mut came = self.0.get_mut(hub);
            while row < batch.num_rows() && hubs.value(row) == hub {
                if let Some(came) = &mut came {
                    came.add(users.value(row), days[row]);
                }
                row += 1;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn finish(self) -> ByHub {
        self.0
    }
}

fn keep<'a>(came: &mut Came, days: impl Iterator<Item = &'a DayOfHub<'a>>) {
    let kept: Vec<DayNumber> = days.map(|day| day.day).collect();
    came.only(|day| kept.binary_search(&day).is_ok());
}

fn windows(visits: &Visits) -> Result<Table, TableError> {
    let counts: BTreeMap<&str, _> = visits
        .came
        .iter()
        .map(|(hub, came)| (hub.as_str(), came.windows()))
        .collect();
    let of_day = |hub: &str, day: DayNumber| {
        let index = usize::try_from(day - visits.first).ok()?;
        counts.get(hub)?.get(index).copied()
    };
    let days = visits.days.iter();
    let rows: Vec<_> = days
        .filter_map(|(hub, day)| Some((hub, *day, of_day(hub, *day)?)))
        .collect();
    let rows = || rows.iter();
    Table::new(vec![
        Column::text("hub", rows().map(|row| Some(row.0))),
        Column::day("day", rows().map(|row| Some(date(row.1)))),
        Column::integer("daily", rows().map(|row| Some(row.2[0]))),
        Column::integer("weekly", rows().map(|row| Some(row.2[1]))),
        Column::integer("monthly", rows().map(|row| Some(row.2[2]))),
    ])
}

fn weeks(visits: &Visits) -> Result<Table, TableError> {
    units(visits, "week", monday)
}

fn months(visits: &Visits) -> Result<Table, TableError> {
    units(visits, "month", month)
}

/// Weeks or months, of which the start of a day's is told.
fn units(
    visits: &Visits,
    unit: &str,
    start: fn(DayNumber) -> DayNumber,
) -> Result<Table, TableError> {
    let starts: BTreeSet<DayNumber> = visits.days.iter().map(|(_, day)| start(*day)).collect();
    let starts: Vec<DayNumber> = starts.into_iter().collect();
    let mut rows: Vec<(&str, Visited<'_>, Option<usize>)> = Vec::new();
    for (hub, came) in &*visits.came {
        let mut last: Option<Visited<'_>> = None;
        for it in came.visited(&starts) {
            let before = last.filter(|last| last.name == it.name);
            rows.push((hub, it, before.map(|before| before.part)));
            last = Some(it);
        }
    }
    let rows = || rows.iter();
    let start = |part: usize| date(starts[part]);
    Table::new(vec![
        Column::text("hub", rows().map(|(hub, ..)| Some(*hub))),
        Column::text("user", rows().map(|(_, it, _)| Some(it.name))),
        Column::day(unit, rows().map(|(_, it, _)| Some(start(it.part)))),
        Column::flag(
            "in_period",
            rows().map(|(_, it, _)| Some(it.last >= visits.from)),
        ),
        Column::day("before", rows().map(|(.., before)| before.map(start))),
    ])
}

fn visitors(visits: &Visits) -> Result<Table, TableError> {
    in_parts(visits, &visits.came, "user")
}

/// Of which groups somebody came as a member, on days of which memberships are known.
fn groups(visits: &Visits) -> Result<Table, TableError> {
    let came = visits.came.iter();
    let nobody = came.map(|(hub, came)| (hub.clone(), Came::new(came.days())));
    let mut groups: ByHub = nobody.collect();
    for span in &visits.members.attributed.spans {
        let is_asked = visits
            .group
            .as_ref()
            .is_none_or(|group| *group == span.group);
        let (came, of_hub) = (visits.came.get(&span.hub), groups.get_mut(&span.hub));
        if let (Some(came), Some(of_hub)) = (came, of_hub)
            && span.is_real
            && is_asked
        {
            of_hub.add_all(&span.group, came, &span.user, span.first..=span.last);
        }
    }
    for (hub, of_hub) in &mut groups {
        of_hub.only(|day| visits.known_members.contains(&(hub.clone(), day)));
    }
    in_parts(visits, &groups, "group")
}

/// How many of the members of each group came on days of the period on which they were members, and of which
/// memberships are known; whoever is in no group is in the one of those.
fn participants(visits: &Visits) -> Result<Table, TableError> {
    let attributed = &visits.members.attributed;
    let mut came = (*visits.came).clone();
    for (hub, came) in &mut came {
        let is_known = |day| visits.known_members.contains(&(hub.clone(), day));
        came.only(|day| day >= visits.from && is_known(day));
    }
    let mut members: HashMap<(&str, &str), HashSet<&str>> = HashMap::new();
    let mut with_groups: HashSet<(&str, &str)> = HashSet::new();
    for span in &attributed.spans {
        let (hub, user) = (span.hub.as_str(), span.user.as_str());
        with_groups.insert((hub, user));
        let of_hub = came.get(hub);
        if of_hub.is_some_and(|came| came.came(user, span.first..=span.last)) {
            members.entry((hub, &span.group)).or_default().insert(user);
        }
    }
    for (hub, of_hub) in &came {
        let without = of_hub
            .names()
            .filter(|user| !with_groups.contains(&(hub, user)));
        let without: HashSet<&str> = without
            .filter(|user| of_hub.came(user, of_hub.days()))
            .collect();
        if !without.is_empty() {
            members
                .entry((hub, &attributed.none))
                .or_default()
                .extend(without);
        }
    }
    let is_asked = |group: &str| visits.group.as_ref().is_none_or(|asked| asked == group);
    members.retain(|(_, group), _| is_asked(group));
    let members: BTreeMap<_, _> = members.into_iter().collect();
    let rows = || members.iter();
    let people = |people: &HashSet<&str>| i64::try_from(people.len()).ok();
    Table::new(vec![
        Column::text("hub", rows().map(|((hub, _), _)| Some(*hub))),
        Column::text("group", rows().map(|((_, group), _)| Some(*group))),
        Column::integer("people", rows().map(|(_, members)| people(members))),
    ])
}

/// The lead and the period are the parts.
fn in_parts(visits: &Visits, came: &ByHub, who: &str) -> Result<Table, TableError> {
    let rows: Vec<_> = came
        .iter()
        .flat_map(|(hub, came)| {
            let visited = came.visited(&[visits.first, visits.from]);
            visited.into_iter().map(move |it| (hub, it))
        })
        .collect();
    let rows = || rows.iter();
    Table::new(vec![
        Column::text("hub", rows().map(|(hub, _)| Some(hub))),
        Column::text(who, rows().map(|(_, it)| Some(it.name))),
        Column::flag("in_period", rows().map(|(_, it)| Some(it.part == 1))),
        Column::day("first_day", rows().map(|(_, it)| Some(date(it.first)))),
        Column::day("last_day", rows().map(|(_, it)| Some(date(it.last)))),
    ])
}
