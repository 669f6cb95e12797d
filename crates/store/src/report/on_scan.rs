//! Rows that are made when a query reads them, each time that it names them: what its plan leaves out costs
//! nothing, as the weeks do of a report that is asked by months.

use super::scope::again;
use crate::table::{Table, TableError};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// How rows are made.
pub(super) type Make<T> = fn(&T) -> Result<Table, TableError>;

/// Makes the rows; those of nothing tell the columns.
pub(super) struct OnScan<T> {
    of: Arc<T>,
    make: Make<T>,
    schema: SchemaRef,
}

impl<T> OnScan<T> {
    pub(super) fn new(of: Arc<T>, nothing: &T, make: Make<T>) -> Result<Self, TableError> {
        let (schema, _) = make(nothing)?.batches();
        Ok(Self { of, make, schema })
    }

    fn rows(&self) -> Result<Arc<dyn TableProvider>> {
        let failed = |error: &dyn fmt::Display| DataFusionError::Execution(error.to_string());
        let rows = (self.make)(&self.of).map_err(|error| failed(&error))?;
        again(&rows).map_err(|error| failed(&error))
    }
}

impl<T> fmt::Debug for OnScan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnScan").finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> TableProvider for OnScan<T> {
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
        Box::pin(async move {
            let rows = self.rows()?;
            rows.scan(state, projection, filters, limit).await
        })
    }
}
