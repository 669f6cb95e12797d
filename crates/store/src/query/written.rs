//! A result as bytes in a format, piece by piece, for whoever reads it slowly or goes away.

use super::engine::Rows;
use super::error::QueryError;
use crate::table::{Format, Table, TableWriter};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Pieces that wait for a slow reader.
const PIECES_AHEAD: usize = 2;
/// Longest silence of a reader: meanwhile others wait for its place.
const PATIENCE: Duration = Duration::from_mins(1);

/// The bytes of a result. Dropped, it stops the query.
#[derive(Debug)]
pub struct Written {
    pieces: mpsc::Receiver<Result<Vec<u8>, QueryError>>,
}

impl Written {
    /// The next bytes, none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, QueryError> {
        self.pieces.recv().await.transpose()
    }
}

impl Rows {
    /// Writes the rows on the query's threads, as fast as they are read.
    pub fn written(self, format: Format) -> Written {
        let (output, pieces) = mpsc::channel(PIECES_AHEAD);
        self.threads().spawn(async move {
            tokio::select! {
                // Nobody reads any more.
                () = output.closed() => {}
                () = write(self, format, &output) => {}
            }
        });
        Written { pieces }
    }
}

async fn write(rows: Rows, format: Format, output: &mpsc::Sender<Result<Vec<u8>, QueryError>>) {
    if let Err(error) = try_write(rows, format, output).await {
        // Without it the reader would take half of the rows for all of them.
        let _ = output.send(Err(error)).await;
    }
}

async fn try_write(
    mut rows: Rows,
    format: Format,
    output: &mpsc::Sender<Result<Vec<u8>, QueryError>>,
) -> Result<(), QueryError> {
    // A query that fails at once writes nothing, not even a head.
    let mut next = rows.next_batch().await?;
    let bytes = Bytes::default();
    let mut writer: TableWriter<Bytes> =
        Table::writer(format, Arc::clone(rows.schema()), bytes.clone())?;
    while let Some(batch) = next {
        writer.write(&batch)?;
        bytes.send(output).await?;
        next = rows.next_batch().await?;
    }
    writer.finish()?;
    bytes.send(output).await
}

/// What was written and is not sent yet.
#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    async fn send(
        &self,
        output: &mpsc::Sender<Result<Vec<u8>, QueryError>>,
    ) -> Result<(), QueryError> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = tokio::time::timeout(PATIENCE, output.send(Ok(bytes))).await;
        sent.map_err(|_| QueryError::Failed("its reader stopped to read".into()))?
            .map_err(|_| QueryError::Failed("its reader went away".into()))
    }
}

impl Write for Bytes {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
