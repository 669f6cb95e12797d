//! One part of a table with the types that queries see.
//!
//! A cast in the plan would do the same, but hide the column from the part: `hub = 'x'` would
//! no longer skip the files of other hubs, since the reader knows only filters on its own
//! columns.

use super::views::public_type;
use crate::tables::ColumnDef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal, cast};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use std::pin::Pin;
use std::sync::Arc;

/// A part whose columns are those of the definition, in their order and with plain types.
#[derive(Debug)]
pub(super) struct Plain {
    part: Arc<dyn TableProvider>,
    schema: SchemaRef,
    /// Where each column lies in the part, if the part is not older than the column.
    places: Vec<Option<usize>>,
}

impl Plain {
    pub(super) fn new(part: Arc<dyn TableProvider>, columns: &[&ColumnDef]) -> Self {
        let theirs = part.schema();
        let places: Vec<_> = columns
            .iter()
            .map(|column| theirs.index_of(column.name).ok())
            .collect();
        let fields = columns.iter().zip(&places).map(|(column, place)| {
            let is_nullable = place.is_none_or(|place| theirs.field(place).is_nullable());
            Field::new(column.name, public_type(column.kind), is_nullable)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self {
            part,
            schema,
            places,
        }
    }

    /// Whether the part has all columns that a filter names.
    fn knows(&self, filter: &Expr) -> bool {
        let theirs = self.part.schema();
        filter
            .column_refs()
            .iter()
            .all(|column| theirs.index_of(column.name()).is_ok())
    }

    async fn scan_part(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> =
            projection.map_or_else(|| (0..self.places.len()).collect(), Clone::clone);
        let places: Vec<usize> = wanted.iter().filter_map(|at| self.places[*at]).collect();
        let scan = self.part.scan(state, Some(&places), filters, limit).await?;
        let given = scan.schema();
        let mut next = 0;
        let mut is_same = true;
        let mut columns = Vec::with_capacity(wanted.len());
        for at in wanted {
            let field = self.schema.field(at);
            let column: Arc<dyn PhysicalExpr> = if self.places[at].is_some() {
                let column = Arc::new(Column::new(field.name(), next));
                let is_plain = given.field(next).data_type() == field.data_type();
                next += 1;
                if is_plain {
                    column
                } else {
                    is_same = false;
                    cast(column, &given, field.data_type().clone())?
                }
            } else {
                is_same = false;
                Arc::new(Literal::new(ScalarValue::try_from(field.data_type())?))
            };
            columns.push((column, field.name().clone()));
        }
        if is_same {
            return Ok(scan);
        }
        Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
    }
}

impl TableProvider for Plain {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// An `async fn`, as the library's macro would write it.
    fn scan<'a, 'b, 'c, 'd, 'e>(
        &'a self,
        state: &'b dyn Session,
        projection: Option<&'c Vec<usize>>,
        filters: &'d [Expr],
        limit: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'e>>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
    {
        Box::pin(self.scan_part(state, projection, filters, limit))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let known: Vec<&Expr> = filters
            .iter()
            .copied()
            .filter(|filter| self.knows(filter))
            .collect();
        let mut answers = self.part.supports_filters_pushdown(&known)?.into_iter();
        Ok(filters
            .iter()
            .map(|filter| {
                let answer = self.knows(filter).then(|| answers.next()).flatten();
                answer.unwrap_or(TableProviderFilterPushDown::Unsupported)
            })
            .collect())
    }
}
