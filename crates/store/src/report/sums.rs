//! Sums of a day over all people. Those of days that the roll-up has are remembered as long as the rows are the
//! same that they are of; only those of the last days are summed up anew.

use super::asked::ReportError;
use super::run::{Question, RowsBefore};
use super::scope::Prepared;
use crate::query::QueryError;
use crate::table::Table;
use crate::tables::storage;
use arrow::array::RecordBatch;
use std::sync::Arc;

/// What people did on a day, all together.
pub(super) const DAYS: &str = "period_day_sums";
const HOMES: &str = "period_home_sums";

/// A view with a row for each hub and day.
pub(super) struct Sums {
    pub(super) name: &'static str,
    sql: &'static str,
    of: Of,
}

/// What the sums are of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    UserDays,
    Storage,
}

pub(super) const ALL: [Sums; 2] = [
    Sums {
        name: DAYS,
        sql: include_str!("views/period_day_sums.sql"),
        of: Of::UserDays,
    },
    Sums {
        name: HOMES,
        sql: include_str!("views/period_home_sums.sql"),
        of: Of::Storage,
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
            let key = format!("{} {reads:?} {}", sums.name, open.people_and_days());
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
        let rows = match sums.of {
            Of::UserDays => self.key_of_closed(),
            Of::Storage => {
                let before = closed.moment(closed.last + 1).1.as_microsecond();
                let table = &storage::TABLE;
                let of_groups = self.key_of_closed();
                let of_storage = self.key_of(&[RowsBefore { table, before }]);
                of_storage.zip(of_groups).map(|(a, b)| a + &b)
            }
        };
        let answer = Box::pin(self.ask(closed, sums.sql, &[]));
        let Some(rows) = rows else {
            return answer.await.map(Arc::new);
        };
        let key = format!("{} {}\n{rows}", sums.name, closed.people_and_days());
        self.sources.answers().get_or(key, answer).await
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
