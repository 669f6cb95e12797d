//! Sums over many rows: of a day over all people or those of a group, of a person over a week or all days. Those
//! of days that the roll-up has are remembered as long as the rows are the same that they are of; only those of the
//! last days are summed up anew.

use super::asked::ReportError;
use super::calendar::DayNumber;
use super::run::{Question, RowsBefore};
use super::scope::Prepared;
use crate::query::QueryError;
use crate::table::Table;
use crate::tables::{TableDef, events, memberships, sessions, storage, usage};
use arrow::array::RecordBatch;
use std::sync::Arc;

/// What people did on a day, all together.
pub(super) const DAYS: &str = "period_day_sums";
/// What somebody did in a week.
pub(super) const WEEKS: &str = "period_user_weeks";
/// What people did on a day, by group.
pub(super) const GROUPS: &str = "period_group_sums";
/// Servers that were started on a day, by group.
pub(super) const GROUP_STARTS: &str = "period_group_starts";

/// A view whose rows are those of some of the days and those of the others.
pub(super) struct Sums {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// What closed days have beside the roll-up.
    beside: &'static [Beside],
    /// Rows of more days would not be remembered: the query then reads the view itself.
    pub(super) most_days: DayNumber,
}

/// What sums of closed days are made of.
enum Beside {
    /// Rows of the time until the end of these days.
    Rows(&'static TableDef),
    /// Servers that run and were started by then.
    Running,
    /// Who was in which group, and the rule of those who were in several.
    Groups,
}

pub(super) const ALL: [Sums; 7] = [
    Sums {
        name: DAYS,
        sql: include_str!("views/period_day_sums.sql"),
        beside: &[],
        most_days: DayNumber::MAX,
    },
    Sums {
        name: WEEKS,
        sql: include_str!("views/period_user_weeks.sql"),
        beside: &[],
        most_days: 92,
    },
    Sums {
        name: GROUPS,
        sql: include_str!("views/period_group_sums.sql"),
        beside: &[Beside::Groups],
        most_days: DayNumber::MAX,
    },
    Sums {
        name: GROUP_STARTS,
        sql: include_str!("views/period_group_starts.sql"),
        beside: &[
            Beside::Groups,
            Beside::Rows(&sessions::TABLE),
            Beside::Running,
        ],
        most_days: DayNumber::MAX,
    },
    Sums {
        name: "period_home_sums",
        sql: include_str!("views/period_home_sums.sql"),
        beside: &[Beside::Rows(&storage::TABLE)],
        most_days: DayNumber::MAX,
    },
    Sums {
        name: "period_logins",
        sql: include_str!("views/period_logins.sql"),
        beside: &[Beside::Rows(&events::TABLE)],
        most_days: DayNumber::MAX,
    },
    Sums {
        name: "period_usage_sums",
        sql: include_str!("views/period_usage_sums.sql"),
        beside: &[Beside::Rows(&usage::TABLE)],
        most_days: DayNumber::MAX,
    },
];

impl Question<'_> {
    pub(super) async fn sums(
        &self,
        prepared: &Prepared<'_>,
        sums: &Sums,
    ) -> Result<Table, ReportError> {
        let mut tables = Vec::new();
        if let Some(closed) = prepared.closed() {
            tables.push(self.closed_sums(&closed, sums).await?);
        }
        if let Some(open) = prepared.open() {
            let reads = (open.reads_activity, open.reads_usage);
            let (people, rule) = (open.people_and_days(), &open.asked.site.groups);
            let key = format!("{} {reads:?} {people} {rule:?}", sums.name);
            let answer = Box::pin(self.ask(&open, sums.sql, &[]));
            let answers = self.sources.answers_of_moment();
            tables.push(answers.get_or(key, answer).await?);
        }
        Ok(joined(&tables)?)
    }

    async fn closed_sums(
        &self,
        closed: &Prepared<'_>,
        sums: &Sums,
    ) -> Result<Arc<Table>, ReportError> {
        let people = closed.people_and_days();
        let rows = self.key_of_closed().zip(self.key_beside(closed, sums));
        let key = rows.map(|(days, beside)| format!("{} {people}\n{days}\n{beside}", sums.name));
        let answer = Box::pin(self.ask(closed, sums.sql, &[]));
        self.remembered(key, answer).await
    }

    /// Equal as long as what the sums are made of beside the roll-up is the same; `None` if nobody can tell.
    fn key_beside(&self, closed: &Prepared<'_>, sums: &Sums) -> Option<String> {
        let ends = closed.moment(closed.last + 1).1;
        let (mut tables, mut others) = (Vec::new(), Vec::new());
        for beside in sums.beside {
            match beside {
                Beside::Rows(table) => tables.push(RowsBefore {
                    table,
                    before: ends.as_microsecond(),
                }),
                Beside::Running => others.extend(self.sources.ran_before(ends)),
                Beside::Groups => {
                    tables.push(RowsBefore::all(&memberships::TABLE));
                    others.push(format!("{:?}", closed.asked.site.groups));
                }
            }
        }
        let tables = self.key_of(&tables)?;
        Some(format!("{tables}\n{others:?}"))
    }
}

/// All rows of tables with the same columns.
fn joined(tables: &[Arc<Table>]) -> Result<Table, QueryError> {
    let failed = |error: arrow::error::ArrowError| QueryError::Failed(error.to_string());
    let Some((schema, _)) = tables.first().map(|table| table.batches()) else {
        return Err(QueryError::Failed("there is no day".into()));
    };
    let mut batches = Vec::new();
    for table in tables {
        for batch in table.batches().1 {
            let columns = batch.columns().to_vec();
            batches.push(RecordBatch::try_new(Arc::clone(&schema), columns).map_err(failed)?);
        }
    }
    Ok(Table::of_batches(schema, batches))
}
