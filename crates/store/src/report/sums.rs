//! Sums over many rows: of a day over all people, of a person over all days. Those of days that the roll-up has
//! are remembered as long as the rows are the same that they are of; only those of the last days are summed up anew.

use super::asked::ReportError;
use super::run::{Question, RowsBefore};
use super::scope::Prepared;
use crate::query::QueryError;
use crate::table::Table;
use crate::tables::{TableDef, events, storage, usage};
use arrow::array::RecordBatch;
use std::sync::Arc;

/// What people did on a day, all together.
pub(super) const DAYS: &str = "period_day_sums";

/// A view whose rows are those of some of the days and those of the others.
pub(super) struct Sums {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// What closed days have beside the roll-up: rows of the time until then.
    table: Option<&'static TableDef>,
}

pub(super) const ALL: [Sums; 4] = [
    Sums {
        name: DAYS,
        sql: include_str!("views/period_day_sums.sql"),
        table: None,
    },
    Sums {
        name: "period_home_sums",
        sql: include_str!("views/period_home_sums.sql"),
        table: Some(&storage::TABLE),
    },
    Sums {
        name: "period_logins",
        sql: include_str!("views/period_logins.sql"),
        table: Some(&events::TABLE),
    },
    Sums {
        name: "period_usage_sums",
        sql: include_str!("views/period_usage_sums.sql"),
        table: Some(&usage::TABLE),
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
        let before = closed.moment(closed.last + 1).1.as_microsecond();
        let of_table = sums.table.map(|table| RowsBefore { table, before });
        let of_table = self.key_of(of_table.as_slice());
        let people = closed.people_and_days();
        let rows = self.key_of_closed().zip(of_table);
        let key = rows.map(|(days, table)| format!("{} {people}\n{days}\n{table}", sums.name));
        let answer = Box::pin(self.ask(closed, sums.sql, &[]));
        self.remembered(key, answer).await
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
