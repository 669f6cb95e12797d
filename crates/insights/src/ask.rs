//! The history, asked by the service itself: one engine for all who ask, so that its bounds hold for
//! all of them together.
//!
//! What is asked is the business of whoever asks; who may, of `web`.

use crate::poll::clock::now;
use serde_json::Value as Json;
use std::time::Duration;
use store::{AskError, Engine, EngineSettings, Format, Limits, Store, Value, Written};

/// Longest time for an answer, reading it included.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Asks the history.
pub struct Asker {
    store: Store,
    engine: Engine,
}

impl Asker {
    /// Nothing runs before the first question.
    pub fn new(store: Store) -> Self {
        let engine = Engine::new(EngineSettings::new(store.folder().temporary()));
        Self { store, engine }
    }

    /// Where the rows are.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// What runs queries.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// An answer as bytes, as they come. `params` are the values of `$name` in the query.
    pub async fn ask(
        &self,
        sql: &str,
        params: &[(&str, Value)],
        format: Format,
    ) -> Result<Written, AskError> {
        let limits = Limits {
            timeout: TIMEOUT,
            ..Limits::default()
        };
        let rows = self.store.stream(&self.engine, sql, params, limits, now());
        Ok(rows.await?.written(format))
    }

    /// An answer as objects, each handed to `each` as it comes.
    pub async fn each(
        &self,
        sql: &str,
        params: &[(&str, Value)],
        mut each: impl FnMut(Json) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut written = self.ask(sql, params, Format::Ndjson).await?;
        // A piece ends with a line.
        while let Some(piece) = written.next().await? {
            for line in piece.split(|&byte| byte == b'\n') {
                if !line.is_empty() {
                    each(serde_json::from_slice(line)?)?;
                }
            }
        }
        Ok(())
    }
}
