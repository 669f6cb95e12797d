//! Makes long computations give way, so that a query that nobody waits for any more ends.
//!
//! A task is stopped only where it waits. A join whose rows multiply computes for minutes
//! between two waits: after each of its batches the query now gives way, and in its filter,
//! where rows are dropped before they make a batch, it asks whether it is still wanted.

use super::error::QueryError;
use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody still waits for a query.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Nobody does.
    pub(super) fn no_more(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(QueryError::Failed("it was stopped".into()).into_library());
        }
        Ok(())
    }
}

/// The last rule: it adds to the finished plan.
#[derive(Debug)]
pub(super) struct GiveWay(pub(super) Wanted);

impl PhysicalOptimizerRule for GiveWay {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|step| {
            let step: Arc<dyn ExecutionPlan> =
                if let Some(join) = step.downcast_ref::<NestedLoopJoinExec>() {
                    let filter = join.filter().map(|filter| self.asking(filter));
                    Arc::new(
                        NestedLoopJoinExecBuilder::from(join)
                            .with_filter(filter)
                            .build()?,
                    )
                } else if let Some(join) = step.downcast_ref::<HashJoinExec>() {
                    let filter = join.filter().map(|filter| self.asking(filter));
                    Arc::new(join.builder().with_filter(filter).build()?)
                } else if step.downcast_ref::<CrossJoinExec>().is_some() {
                    step
                } else {
                    return Ok(Transformed::no(step));
                };
            Ok(Transformed::yes(
                Arc::new(CooperativeExec::new(step)) as Arc<dyn ExecutionPlan>
            ))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "give_way"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl GiveWay {
    fn asking(&self, filter: &JoinFilter) -> JoinFilter {
        let expression = Arc::new(Asking {
            inner: Arc::clone(filter.expression()),
            wanted: self.0.clone(),
        });
        let columns = filter.column_indices().to_vec();
        JoinFilter::new(expression, columns, Arc::clone(filter.schema()))
    }
}

/// An expression that fails once nobody wants its query.
#[derive(Debug)]
struct Asking {
    inner: Arc<dyn PhysicalExpr>,
    wanted: Wanted,
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Asking {}

impl Hash for Asking {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Asking {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.wanted.check()?;
        self.inner.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.pop().unwrap_or_else(|| Arc::clone(&self.inner));
        Ok(Arc::new(Self {
            inner,
            wanted: self.wanted.clone(),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
