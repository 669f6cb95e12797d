//! What ran at once in a period: the views `period_peaks`, `period_levels` and `period_hours`, made of the
//! sessions by [`model::at_once`]. In SQL each would sort all starts and ends and sum them up one by one.

use super::asked::ReportError;
use super::calendar::{Calendar, DayNumber, date, seconds};
use super::run::{Question, RowsBefore};
use super::scope::{DayOfHub, Prepared};
use crate::query::{Fold, QueryError, TablesByName, Weighed};
use crate::table::{Column, Table};
use crate::tables::sessions;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use jiff::Timestamp;
use model::at_once::{Day, Figures, Level, Numbers, OfDay, OfHour, Ran, Sessions};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

const PEAKS: &str = "period_peaks";
const LEVELS: &str = "period_levels";
const HOURS: &str = "period_hours";
/// The names of the views.
pub(super) const VIEWS: [&str; 3] = [PEAKS, LEVELS, HOURS];

/// More days are read in pieces: their sessions have to fit in memory.
const MOST_DAYS: DayNumber = 62;
/// What `started_within_10_minutes` is about.
const TEN_MINUTES: i64 = 600_000_000;

const SESSIONS: &str = r#"
select hub, "user", started, until, day is not null as has_begun from period_sessions"#;

impl Question<'_> {
    /// The tables, by the names of the views. Other questions of a page ask for them too.
    pub(super) async fn at_once(
        &self,
        prepared: &Prepared<'_>,
    ) -> Result<Arc<TablesByName>, ReportError> {
        let key = format!("at once {}", prepared.people_and_days());
        let tables = Box::pin(self.sweep(prepared));
        self.sources.answers_of_moment().get_or(key, tables).await
    }

    async fn sweep(&self, prepared: &Prepared<'_>) -> Result<TablesByName, ReportError> {
        let mut all = AtOnce::default();
        if let Some(closed) = prepared.closed() {
            all.add(&self.closed_days(prepared, &closed).await?);
        }
        if let Some(open) = prepared.open() {
            all.add(&self.days_at_once(&open).await?);
        }
        Ok(all.tables(&prepared.calendar)?)
    }

    /// Remembered as long as no other session is known that started before the end of these days, of those that
    /// run what lies before it is the same, and the same days are known.
    async fn closed_days(
        &self,
        prepared: &Prepared<'_>,
        closed: &Prepared<'_>,
    ) -> Result<Arc<Vec<OfDays>>, ReportError> {
        let ends = closed.moment(closed.last + 1).1;
        let before = ends.as_microsecond();
        let table = &sessions::TABLE;
        let sessions = self.key_of(&[RowsBefore { table, before }]);
        let running = self.sources.ran_before(ends);
        let known = closed.days_of_hubs();
        let known: Vec<_> = known.iter().map(|day| span(day, prepared.now)).collect();
        let people = closed.people_and_days();
        let key = sessions.zip(self.key_of_closed()).map(|(sessions, days)| {
            format!("{people}\n{running:?}\n{known:?}\n{sessions}\n{days}")
        });
        let days = Box::pin(self.days_at_once(closed));
        self.remembered(key, days).await
    }

    /// A piece after the other: the sessions of one have to fit in memory.
    async fn days_at_once(&self, prepared: &Prepared<'_>) -> Result<Vec<OfDays>, ReportError> {
        let mut all = Vec::new();
        let mut first = prepared.first;
        while first <= prepared.last {
            let last = prepared.last.min(first + MOST_DAYS - 1);
            let piece = prepared.of_days(first, last);
            let rows = self.stream(&piece, SESSIONS).await?;
            let found = rows.folded(Collected::new(&piece)).await;
            all.extend(found.map_err(|error| self.told(error))?);
            first = last + 1;
        }
        Ok(all)
    }
}

/// Sessions of some days, by hub.
struct Collected {
    hubs: BTreeMap<String, OfHub>,
    n_sessions: usize,
}

#[derive(Default)]
struct OfHub {
    days: Vec<DayNumber>,
    spans: Vec<Day>,
    hours: Vec<i64>,
    numbers: Numbers,
    sessions: Sessions,
}

/// The figures of one hub with the days and hours that they are of.
#[derive(Clone)]
struct OfDays {
    hub: String,
    days: Vec<DayNumber>,
    hours: Vec<i64>,
    figures: Figures,
}

impl Weighed for Vec<OfDays> {
    fn bytes(&self) -> usize {
        let of_days = |it: &OfDays| {
            let (figures, levels) = (
                &it.figures,
                it.figures.servers.len() + it.figures.people.len(),
            );
            size_of::<OfDays>()
                + figures.days.len() * (size_of::<OfDay>() + size_of::<DayNumber>())
                + figures.hours.len() * (size_of::<OfHour>() + size_of::<i64>())
                + levels * size_of::<Level>()
        };
        self.iter().map(of_days).sum()
    }
}

impl Collected {
    fn new(prepared: &Prepared<'_>) -> Self {
        let mut hubs = BTreeMap::new();
        for day in prepared.days_of_hubs() {
            let of_hub: &mut OfHub = hubs.entry(day.hub.to_owned()).or_default();
            of_hub.days.push(day.day);
            of_hub.spans.push(span(&day, prepared.now));
        }
        for (hub, of_hub) in &mut hubs {
            of_hub.add_hours(hub, &prepared.calendar);
        }
        let n_sessions = 0;
        Self { hubs, n_sessions }
    }
}

fn span(day: &DayOfHub<'_>, now: Timestamp) -> Day {
    let counted = if day.of.known {
        day.known_from..day.ends.min(now.as_microsecond())
    } else {
        day.starts..day.starts
    };
    Day {
        span: day.starts..day.ends,
        counted,
    }
}

impl OfHub {
    fn add_hours(&mut self, hub: &str, calendar: &Calendar) {
        if let (Some(hub), [first, ..], [.., last]) =
            (calendar.hub(hub), &self.days[..], &self.days[..])
        {
            self.hours = hub.hours_of_days(*first..=*last);
        }
    }
}

impl Fold for Collected {
    type Output = Vec<OfDays>;

    fn take(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let names = |column: usize| batch.column(column).as_string_view();
        let times = |column: usize| {
            let times = batch.column(column);
            times.as_primitive::<TimestampMicrosecondType>()
        };
        let (hubs, users) = (names(0), names(1));
        let (started, until) = (times(2), times(3));
        let has_begun = batch.column(4).as_boolean();
        self.n_sessions += batch.num_rows();
        let mut row = 0;
        while row < batch.num_rows() {
            let hub = hubs.value(row);
            let Some(of_hub) = self.hubs.get_mut(hub) else {
                row += 1;
                continue;
            };
            while row < batch.num_rows() && hubs.value(row) == hub {
                of_hub.sessions.add(Ran {
                    person: of_hub.numbers.of(users.value(row)),
                    started: started.value(row),
                    until: until.value(row),
                    has_begun: has_begun.value(row),
                });
                row += 1;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.n_sessions * Sessions::BYTES
    }

    fn finish(self) -> Vec<OfDays> {
        let all = self.hubs.into_iter().map(|(hub, of_hub)| OfDays {
            hub,
            figures: of_hub
                .sessions
                .figures(&of_hub.spans, &of_hub.hours, TEN_MINUTES),
            days: of_hub.days,
            hours: of_hub.hours,
        });
        all.collect()
    }
}

/// The figures of all days.
#[derive(Default)]
struct AtOnce {
    days: Vec<OfDays>,
    levels: BTreeMap<(String, &'static str, u32), Level>,
}

struct DayRow<'a> {
    hub: &'a str,
    day: DayNumber,
    of: OfDay,
}

struct HourRow<'a> {
    hub: &'a str,
    day: DayNumber,
    span: Range<i64>,
    of: OfHour,
}

impl AtOnce {
    /// Adds later days.
    fn add(&mut self, found: &[OfDays]) {
        for of_days in found {
            let figures = &of_days.figures;
            for (what, levels) in [("servers", &figures.servers), ("users", &figures.people)] {
                for level in levels {
                    let known = self.levels.entry((of_days.hub.clone(), what, level.count));
                    known
                        .and_modify(|known| known.micros += level.micros)
                        .or_insert(*level);
                }
            }
            self.days.push(of_days.clone());
        }
    }

    fn tables(&self, calendar: &Calendar) -> Result<TablesByName, QueryError> {
        let table = |columns| Table::new(columns).map(Arc::new);
        Ok(BTreeMap::from([
            (PEAKS, table(self.peaks())?),
            (LEVELS, table(self.levels())?),
            (HOURS, table(self.hours(calendar))?),
        ]))
    }

    fn peaks(&self) -> Vec<Column> {
        let mut rows = Vec::new();
        for of_days in &self.days {
            for (day, of) in of_days.days.iter().zip(&of_days.figures.days) {
                let (hub, day, of) = (of_days.hub.as_str(), *day, *of);
                rows.push(DayRow { hub, day, of });
            }
        }
        let rows = || rows.iter();
        let count = |count: u32| Some(i64::from(count));
        vec![
            Column::text("hub", rows().map(|row| Some(row.hub))),
            Column::day("day", rows().map(|row| Some(date(row.day)))),
            Column::integer("servers", rows().map(|row| count(row.of.servers.count))),
            Column::time("servers_at", rows().map(|row| time(row.of.servers.at))),
            Column::integer("users", rows().map(|row| count(row.of.people.count))),
            Column::time("users_at", rows().map(|row| time(row.of.people.at))),
            Column::integer("started", rows().map(|row| count(row.of.started))),
            Column::integer(
                "started_within_10_minutes",
                rows().map(|row| count(row.of.started_within)),
            ),
        ]
    }

    fn levels(&self) -> Vec<Column> {
        let (keys, levels) = (|| self.levels.keys(), || self.levels.values());
        vec![
            Column::text("hub", keys().map(|(hub, ..)| Some(hub))),
            Column::text("what", keys().map(|(_, what, _)| Some(*what))),
            Column::integer("level", levels().map(|level| Some(i64::from(level.count)))),
            Column::time("at", levels().map(|level| time(level.at))),
            Column::real("seconds", levels().map(|level| Some(seconds(level.micros)))),
        ]
    }

    fn hours(&self, calendar: &Calendar) -> Vec<Column> {
        let mut rows = Vec::new();
        for of_days in &self.days {
            let Some(hub) = calendar.hub(&of_days.hub) else {
                continue;
            };
            for (span, of) in of_days.hours.windows(2).zip(&of_days.figures.hours) {
                rows.push(HourRow {
                    hub: &of_days.hub,
                    day: hub.day_of(span[0]),
                    span: span[0]..span[1],
                    of: *of,
                });
            }
        }
        let rows = || rows.iter();
        let length = |row: &HourRow<'_>| row.span.end - row.span.start;
        vec![
            Column::text("hub", rows().map(|row| Some(row.hub))),
            Column::day("day", rows().map(|row| Some(date(row.day)))),
            Column::time("hour", rows().map(|row| time(row.span.start))),
            Column::real("seconds", rows().map(|row| Some(seconds(length(row))))),
            Column::real(
                "server_seconds",
                rows().map(|row| Some(seconds(row.of.server_micros))),
            ),
            Column::real(
                "user_seconds",
                rows().map(|row| Some(seconds(row.of.person_micros))),
            ),
        ]
    }
}

fn time(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok()
}
