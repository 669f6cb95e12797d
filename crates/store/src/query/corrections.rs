//! Which rows of a table are outdated: of the rows with one id the one with the highest revision
//! counts.
//!
//! What the rows mean does not belong here.

use super::error::QueryError;
use super::views::{Part, union};
use crate::tables::{HUB, MONTH, RowKind, TableDef};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::catalog::MemTable;
use datafusion::common::{Column, JoinType, Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, col, ident, lit, not};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell};

/// More times than this are no longer cheaper than comparing every row.
pub(super) const MAX_TIMES: usize = 4_000;
/// Conditions on more partitions than this are not taken by the reader of the files.
const MAX_PARTITIONS: usize = 3;

/// What a part was once asked about its revisions.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    whole: Arc<OnceCell<Spans>>,
    by_day: Arc<OnceCell<Spans>>,
    newer: Arc<Mutex<Option<Newer>>>,
}

/// The newer rows, and the condition that found them.
type Newer = (Expr, Vec<RecordBatch>);

impl Remembered {
    /// Of a part whose revisions are known.
    pub(super) fn of_revisions(lowest: i64, highest: i64) -> Self {
        let spans = Spans::from([(Vec::new(), Span { lowest, highest })]);
        Self {
            whole: Arc::new(OnceCell::new_with(Some(spans))),
            ..Self::default()
        }
    }
}

/// The revisions of some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    lowest: i64,
    highest: i64,
}

/// By what the rows have in common.
type Spans = HashMap<Vec<ScalarValue>, Span>;

impl Span {
    fn and(self, other: Self) -> Self {
        Self {
            lowest: self.lowest.min(other.lowest),
            highest: self.highest.max(other.highest),
        }
    }

    fn has_several(self) -> bool {
        self.lowest < self.highest
    }
}

/// The outdated rows of one table.
pub(super) struct Corrections<'a> {
    pub(super) table: &'static TableDef,
    pub(super) parts: &'a [Part],
    pub(super) session: &'a SessionState,
}

impl Corrections<'_> {
    /// Whether a row has a higher revision than the first, which is 1 where rows take others away.
    pub(super) async fn is_any(&self) -> Result<bool, QueryError> {
        let spans = self.spans(&[]).await?;
        Ok(spans.values().any(|span| span.highest > 1))
    }

    /// Without the outdated rows.
    pub(super) async fn leave_out_of(&self, all: LogicalPlan) -> Result<LogicalPlan, QueryError> {
        if self.table.kind == RowKind::Final {
            return Ok(all);
        }
        let (table, batches) = (self.table, self.newer().await?);
        Ok(Superseding { table, batches }.leave_out_of(all)?)
    }

    /// The rows that may be newer than others with their id: each id with its highest revision.
    ///
    /// Asked before the query proper, since the answer is nearly always "none" or "a few" and
    /// then the query need not read every id: reading those of 1.5 M sessions takes longer than
    /// all else. Where all rows have one revision none is newer, and otherwise only those are that
    /// have more than the lowest: statistics of the files tell it. Homes have the time of the look
    /// as their revision, so that only days with several looks are of interest.
    async fn newer(&self) -> Result<Vec<RecordBatch>, QueryError> {
        let spans = self.spans(&[]).await?;
        let several = spans.values().find(|span| span.has_several());
        let Some(span) = several else {
            return Ok(Vec::new());
        };
        let mut is_newer = ident("revision").gt(lit(span.lowest));
        if self.is_by_day() {
            let by_day = self.spans(&[HUB, self.table.time]).await?;
            let several = by_day.iter().filter(|(_, span)| span.has_several());
            let days: HashSet<&ScalarValue> = several.filter_map(|(key, _)| key.last()).collect();
            if days.is_empty() {
                return Ok(Vec::new());
            }
            if days.len() <= MAX_TIMES {
                let days = days.into_iter().cloned().map(lit).collect();
                is_newer = is_newer.and(ident(self.table.time).in_list(days, false));
            }
        }
        let mut batches = Vec::new();
        for part in self.parts {
            batches.extend(self.newer_of(part, &is_newer).await?);
        }
        Ok(batches)
    }

    fn is_by_day(&self) -> bool {
        let column = self.table.all_columns();
        let mut time = column.filter(|column| column.name == self.table.time);
        time.any(|column| column.kind.arrow() == DataType::Date32)
    }

    /// The revisions of all parts together.
    async fn spans(&self, by: &[&str]) -> Result<Spans, QueryError> {
        let mut all = Spans::new();
        for part in self.parts {
            let remembered = match by {
                [] => &part.remembered.whole,
                _ => &part.remembered.by_day,
            };
            let spans = remembered.get_or_try_init(|| self.spans_of(part, by));
            for (key, span) in spans.await? {
                let known = all.entry(key.clone()).or_insert(*span);
                *known = known.and(*span);
            }
        }
        Ok(all)
    }

    async fn spans_of(&self, part: &Part, by: &[&str]) -> Result<Spans, QueryError> {
        let keys: Vec<Expr> = by.iter().map(|name| ident(*name)).collect();
        let figures = vec![min(ident("revision")), max(ident("revision"))];
        let plan = self.rows(part)?.aggregate(keys, figures)?.build()?;
        let mut spans = Spans::new();
        for batch in self.collect(&plan).await? {
            let lowest = batch.column(by.len()).as_primitive::<Int64Type>();
            let highest = batch.column(by.len() + 1).as_primitive::<Int64Type>();
            // No rows have no lowest revision.
            for (row, (lowest, highest)) in lowest.iter().zip(highest).enumerate() {
                let (Some(lowest), Some(highest)) = (lowest, highest) else {
                    continue;
                };
                let key = batch.columns()[..by.len()].iter();
                let key = key.map(|column| ScalarValue::try_from_array(column, row));
                spans.insert(key.collect::<Result<_>>()?, Span { lowest, highest });
            }
        }
        Ok(spans)
    }

    async fn newer_of(&self, part: &Part, by: &Expr) -> Result<Vec<RecordBatch>, QueryError> {
        let mut remembered = part.remembered.newer.lock().await;
        if let Some((_, batches)) = remembered.as_ref().filter(|(known, _)| known == by) {
            return Ok(batches.clone());
        }
        let newer = self.rows(part)?.filter(by.clone())?.aggregate(
            vec![
                ident(self.table.time).alias("time"),
                ident("id"),
                cast(ident(HUB), DataType::Utf8).alias(HUB),
                cast(ident(MONTH), DataType::Utf8).alias(MONTH),
            ],
            vec![max(ident("revision")).alias("newest")],
        )?;
        let batches = self.collect(&newer.build()?).await?;
        *remembered = Some((by.clone(), batches.clone()));
        Ok(batches)
    }

    fn rows(&self, part: &Part) -> Result<LogicalPlanBuilder> {
        let rows = union([part.rows()], self.table.all_columns())?;
        Ok(LogicalPlanBuilder::from(rows))
    }

    async fn collect(&self, plan: &LogicalPlan) -> Result<Vec<RecordBatch>, QueryError> {
        let physical = self.session.create_physical_plan(plan).await?;
        Ok(datafusion::physical_plan::collect(physical, self.session.task_ctx()).await?)
    }
}

/// Ids that were corrected, each with its highest revision, the time of its rows and their
/// partition: all rows of one id have the same.
struct Superseding {
    table: &'static TableDef,
    batches: Vec<RecordBatch>,
}

impl Superseding {
    /// Only rows at a time at which something was corrected are compared with the ids, and only
    /// in the partitions of these rows are times read.
    fn leave_out_of(self, all: LogicalPlan) -> Result<LogicalPlan> {
        let mut times = HashSet::new();
        let mut partitions = BTreeSet::new();
        for batch in &self.batches {
            let (hubs, months) = (batch.column(2), batch.column(3));
            let (hubs, months) = (hubs.as_string::<i32>(), months.as_string::<i32>());
            for row in 0..batch.num_rows() {
                times.insert(ScalarValue::try_from_array(batch.column(0), row)?);
                partitions.insert((hubs.value(row).to_owned(), months.value(row).to_owned()));
            }
        }
        if times.is_empty() {
            return Ok(all);
        }
        if times.len() > MAX_TIMES {
            return self.compare(all);
        }
        let filtered = |rows: &LogicalPlan, by: Expr| {
            LogicalPlanBuilder::from(rows.clone()).filter(by)?.build()
        };
        let times: Vec<Expr> = times.into_iter().map(lit).collect();
        let is_at = |negated| ident(self.table.time).in_list(times.clone(), negated);
        let n_partitions = partitions.len();
        let is_in = partitions
            .into_iter()
            .map(|(hub, month)| ident(HUB).eq(lit(hub)).and(ident(MONTH).eq(lit(month))))
            .reduce(Expr::or)
            .filter(|_| n_partitions <= MAX_PARTITIONS);
        let mut rows = Vec::new();
        let touched = match is_in {
            Some(is_in) => {
                rows.push(filtered(&all, not(is_in.clone()))?);
                filtered(&all, is_in)?
            }
            None => all,
        };
        rows.push(filtered(&touched, is_at(true))?);
        let compared = filtered(&touched, is_at(false))?;
        let mut union = LogicalPlanBuilder::from(self.compare(compared)?);
        for rows in rows {
            union = union.union(rows)?;
        }
        union.build()
    }

    /// Without the rows of lower revisions.
    fn compare(self, rows: LogicalPlan) -> Result<LogicalPlan> {
        let schema = self
            .batches
            .first()
            .map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
        let ids = MemTable::try_new(schema, vec![self.batches])?;
        let ids = LogicalPlanBuilder::scan("newer", provider_as_source(Arc::new(ids)), None)?
            .project(vec![col("newer.id"), col("newer.newest")])?
            .build()?;
        let row = |name: &str| Column::new(Some("row"), name);
        LogicalPlanBuilder::from(rows)
            .alias("row")?
            .join(
                ids,
                JoinType::LeftAnti,
                (vec![row("id")], vec![Column::new(Some("newer"), "id")]),
                Some(Expr::Column(row("revision")).lt(col("newer.newest"))),
            )?
            .build()
    }
}
