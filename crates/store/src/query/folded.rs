//! What is made of a result while it is read: for figures that SQL would take a long way to.

use super::engine::Rows;
use super::error::QueryError;
use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::MemoryConsumer;
use tokio::task::JoinSet;

/// Takes rows, a batch after the other, and makes something of them in the end.
pub(crate) trait Fold: Send + 'static {
    /// What it makes.
    type Output: Send + 'static;
    /// Takes more rows.
    fn take(&mut self, batch: &RecordBatch) -> Result<(), QueryError>;
    /// Memory of what it holds.
    fn bytes(&self) -> usize;
    /// When there are no more rows.
    fn finish(self) -> Self::Output;
}

impl Rows {
    /// Folds the rows on the query's threads, within its memory. Dropping the future stops both.
    pub(crate) async fn folded<F: Fold>(self, fold: F) -> Result<F::Output, QueryError> {
        let threads = self.threads();
        let mut work = JoinSet::new();
        work.spawn_on(all(self, fold), &threads);
        let done = work.join_next().await;
        let failed = || QueryError::Failed("it was stopped".into());
        done.ok_or_else(failed)?.map_err(|_| failed())?
    }
}

async fn all<F: Fold>(mut rows: Rows, mut fold: F) -> Result<F::Output, QueryError> {
    let charge = MemoryConsumer::new("folded rows").register(rows.memory());
    while let Some(batch) = rows.next_batch().await? {
        fold.take(&batch)?;
        charge.try_resize(fold.bytes())?;
    }
    Ok(fold.finish())
}
