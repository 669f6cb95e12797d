//! Answers that are remembered as long as the rows are the same that they were read from.
//!
//! For the little that many questions have to find out before they are answered. Answers to people
//! are not kept here.

use crate::table::Table;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Memory of all that is remembered; what was asked for least lately goes first.
const MOST_BYTES: usize = 32 << 20;
/// What an answer takes beside its rows, about.
const ANSWER_BYTES: usize = 1 << 10;

/// What was answered, by question and rows.
#[derive(Debug, Default)]
pub(crate) struct AnswersOfRows(Mutex<VecDeque<(String, Arc<Table>)>>);

impl AnswersOfRows {
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Table>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = all.iter().position(|(known, _)| known == key)?;
        let found = all.remove(position)?;
        let table = Arc::clone(&found.1);
        all.push_back(found);
        Some(table)
    }

    pub(crate) fn keep(&self, key: String, table: Arc<Table>) {
        // It would put out everything else, and then itself.
        if table.memory_bytes() + ANSWER_BYTES > MOST_BYTES / 2 {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| *known != key);
        all.push_back((key, table));
        let bytes = |(_, table): &(String, Arc<Table>)| table.memory_bytes() + ANSWER_BYTES;
        while all.iter().map(bytes).sum::<usize>() > MOST_BYTES {
            all.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(n_rows: usize) -> Arc<Table> {
        let column: arrow::array::ArrayRef =
            Arc::new(arrow::array::Int64Array::from(vec![0; n_rows]));
        let batch = arrow::array::RecordBatch::try_from_iter([("n", column)]).unwrap();
        Arc::new(Table::of_batches(batch.schema(), vec![batch]))
    }

    #[test]
    fn what_was_asked_for_least_lately_goes_first() {
        let known = AnswersOfRows::default();
        let half = MOST_BYTES / 8 / 2 - ANSWER_BYTES;
        known.keep("a".to_owned(), table(half));
        known.keep("b".to_owned(), table(half));
        assert!(known.get("a").is_some());
        known.keep("c".to_owned(), table(half));
        assert!(known.get("b").is_none());
        assert!(known.get("a").is_some() && known.get("c").is_some());
        known.keep("a".to_owned(), table(1));
        assert_eq!(known.get("a").unwrap().rows().count(), 1);
        assert!(known.get("c").is_some());
    }
}
