//! What a query sees of a tiny history.

use super::past::Past;
use crate::Sources;
use crate::query::Part;
use crate::report::RollUp;
use crate::tables::{self, Row, TableDef, batch_of};
use datafusion::catalog::{MemTable, TableProvider};
use jiff::Timestamp;
use model::days::Day;
use std::sync::Arc;

impl Past {
    /// Hubs, time and what runs, without any row.
    pub(crate) fn present(&self, rollup: RollUp) -> Sources {
        let now = self.now.expect("the history says `now`");
        let mut sources = Sources::new(now);
        for (hub, zone, name) in &self.zones {
            sources = sources.with_hub(hub, name);
            if rollup == RollUp::Used {
                let today = Day::of(now, zone).date();
                sources = sources.with_closed(hub, today.yesterday().unwrap());
            }
        }
        sources.with_running(self.running_table())
    }

    /// The same with all rows.
    pub(crate) fn sources(&self, rollup: RollUp) -> Sources {
        let mut sources = self.present(rollup);
        sources = with(sources, &self.events);
        sources = with(sources, &self.memberships);
        sources = with(sources, &self.sessions);
        sources = with(sources, &self.usage);
        sources = with(sources, &self.storage);
        sources = with(sources, &self.observations);
        if rollup == RollUp::Used {
            sources = with(sources, &self.rolled());
        }
        sources
    }

    fn running_table(&self) -> Arc<dyn TableProvider> {
        use arrow::array::{
            ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        };
        let running = &self.running;
        let text = |pick: &dyn Fn(&tables::Session) -> Option<String>| -> ArrayRef {
            Arc::new(running.iter().map(pick).collect::<StringArray>())
        };
        let time = |pick: &dyn Fn(&tables::Session) -> Timestamp| -> ArrayRef {
            let all = running.iter().map(|row| Some(pick(row).as_microsecond()));
            Arc::new(
                all.collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            )
        };
        let columns: Vec<ArrayRef> = vec![
            text(&|row| Some(row.hub.to_string())),
            text(&|row| Some(row.user.to_string())),
            text(&|row| Some(row.server.to_string())),
            time(&|row| row.started),
            time(&|row| row.last_seen),
            time(&|row| row.last_seen),
            Arc::new(running.iter().map(|_| Some(true)).collect::<BooleanArray>()),
            Arc::new(
                running
                    .iter()
                    .map(|row| row.active_seconds)
                    .collect::<Int64Array>(),
            ),
            Arc::new(self.running_by_hour.iter().collect::<StringArray>()),
            text(&|row| row.options.as_deref().map(str::to_owned)),
            text(&|row| row.image.as_deref().map(str::to_owned)),
        ];
        let batch = RecordBatch::try_new(Sources::running_schema(), columns).unwrap();
        provider(batch)
    }
}

fn provider(batch: arrow::array::RecordBatch) -> Arc<dyn TableProvider> {
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

/// The rows of a table, in addition to what was there.
pub(crate) fn with<R: Row>(sources: Sources, rows: &[R]) -> Sources {
    if rows.is_empty() {
        return sources;
    }
    let table: &'static TableDef = R::TABLE;
    sources.with_part(Part::new(table, provider(batch_of(rows).unwrap())))
}
