//! Who came on which days of a period: the views of weeks, months, windows, visitors and groups, made of bits
//! by [`model::came`]. In SQL each would group and sort the days of all people.
//!
//! What is read of days that the roll-up has is remembered as long as it has the same rows of them.

use super::asked::ReportError;
use super::calendar::{DayNumber, date, number};
use super::run::Question;
use super::scope::{DayOfHub, Prepared, monday, month};
use crate::query::{Fold, QueryError, TablesByName, Weighed};
use crate::table::{Column, Table, TableError};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Date32Type;
use model::came::Came;
use std::collections::BTreeMap;
use std::sync::Arc;

const WINDOWS: &str = "period_windows";
const WEEKS: &str = "period_weeks";
const MONTHS: &str = "period_months";
const VISITORS: &str = "period_visitors";
/// Groups of which somebody came.
pub(super) const GROUPS: &str = "period_groups";
/// The names of the views.
pub(super) const VIEWS: [&str; 5] = [WINDOWS, WEEKS, MONTHS, VISITORS, GROUPS];

const STARTED_DAYS: &str = r#"select hub, "user", day from period_started_days"#;

/// Who came, by hub.
type ByHub = BTreeMap<String, Came>;

impl Weighed for ByHub {
    fn bytes(&self) -> usize {
        self.values().map(Came::bytes).sum()
    }
}

impl Question<'_> {
    /// Those of the views that the report reads.
    pub(super) async fn who_came(
        &self,
        prepared: &Prepared<'_>,
    ) -> Result<TablesByName, ReportError> {
        let key = prepared.people_and_days();
        let came = Box::pin(self.read_days(prepared));
        let came = self.sources.answers_of_moment().get_or(key, came).await?;
        let days = prepared.days_of_hubs();
        let mut all = TablesByName::new();
        let mut add = |name, table: &dyn Fn() -> Result<Table, TableError>| {
            if self.reads(name) {
                all.insert(name, Arc::new(table().map_err(QueryError::from)?));
            }
            Ok::<_, ReportError>(())
        };
        let from = number(prepared.asked.from);
        add(WINDOWS, &|| windows(&came, prepared.first, &days))?;
        add(WEEKS, &|| {
            units(&came, "week", &starts(&days, monday), from)
        })?;
        add(MONTHS, &|| {
            units(&came, "month", &starts(&days, month), from)
        })?;
        let parts = [prepared.first, from];
        add(VISITORS, &|| visitors(&came, "user", parts))?;
        add(GROUPS, &|| {
            visitors(&groups(&came, prepared, &days), "group", parts)
        })?;
        Ok(all)
    }

    /// Who came on the days that are known.
    async fn read_days(&self, prepared: &Prepared<'_>) -> Result<ByHub, ReportError> {
        let mut came = match prepared.closed() {
            Some(closed) => self.read_closed(prepared, &closed).await?,
            None => nobody(prepared),
        };
        if let Some(open) = prepared.open() {
            let lately = self.read_started(prepared, &open).await?;
            for (hub, lately) in lately {
                if let Some(came) = came.get_mut(&hub) {
                    came.merge(&lately);
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

/// Of which groups somebody came as a member, on days of which memberships are known.
fn groups(came: &ByHub, prepared: &Prepared<'_>, days: &[DayOfHub<'_>]) -> ByHub {
    let mut groups = nobody(prepared);
    let asked = prepared.asked.group.as_ref();
    let is_asked = |group: &String| asked.is_none_or(|asked| asked == group);
    for span in prepared.spans.iter().filter(|span| span.is_real) {
        if let (Some(of_hub), Some(came)) = (groups.get_mut(&span.hub), came.get(&span.hub))
            && is_asked(&span.group)
        {
            of_hub.add_all(&span.group, came, &span.user, span.first..=span.last);
        }
    }
    for (hub, of_hub) in &mut groups {
        let known = |day: &&DayOfHub<'_>| day.hub == hub && day.of.members;
        keep(of_hub, days.iter().filter(known));
    }
    groups
}

fn windows(came: &ByHub, first: DayNumber, days: &[DayOfHub<'_>]) -> Result<Table, TableError> {
    let counts: BTreeMap<&str, _> = came
        .iter()
        .map(|(hub, came)| (hub.as_str(), came.windows()))
        .collect();
    let of_day = |day: &DayOfHub<'_>| {
        let index = usize::try_from(day.day - first).ok()?;
        counts.get(day.hub)?.get(index).copied()
    };
    let rows: Vec<_> = days
        .iter()
        .filter_map(|day| Some((day.hub, day.day, of_day(day)?)))
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

/// Beginnings of weeks or months.
fn starts(days: &[DayOfHub<'_>], start: fn(DayNumber) -> DayNumber) -> Vec<DayNumber> {
    let mut all: Vec<DayNumber> = days.iter().map(|day| start(day.day)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn units(
    came: &ByHub,
    unit: &str,
    starts: &[DayNumber],
    from: DayNumber,
) -> Result<Table, TableError> {
    let rows: Vec<_> = came
        .iter()
        .flat_map(|(hub, came)| came.visited(starts).into_iter().map(move |it| (hub, it)))
        .collect();
    let rows = || rows.iter();
    Table::new(vec![
        Column::text("hub", rows().map(|(hub, _)| Some(hub))),
        Column::text("user", rows().map(|(_, it)| Some(it.name))),
        Column::day(unit, rows().map(|(_, it)| Some(date(starts[it.part])))),
        Column::flag("in_period", rows().map(|(_, it)| Some(it.last >= from))),
    ])
}

/// The lead and the period are the parts.
fn visitors(came: &ByHub, who: &str, parts: [DayNumber; 2]) -> Result<Table, TableError> {
    let rows: Vec<_> = came
        .iter()
        .flat_map(|(hub, came)| came.visited(&parts).into_iter().map(move |it| (hub, it)))
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
