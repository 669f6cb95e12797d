//! Answers that are remembered as long as the rows are the same that they were read from.
//!
//! For what many questions have to find out before they are answered, and for what days that are over add to
//! them. Answers to people are not kept here.

use crate::table::Table;
use sha2::{Digest as _, Sha256};
use std::any::{Any, type_name};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OnceCell;

/// Memory of all that is remembered; what was asked for least lately goes first.
const MOST_BYTES: usize = 32 << 20;
/// What an answer takes beside its rows, about.
const ANSWER_BYTES: usize = 1 << 10;

/// What takes memory as long as it is remembered.
pub(crate) trait Weighed: Any + Send + Sync {
    /// Bytes of it.
    fn bytes(&self) -> usize;
}

impl Weighed for Table {
    fn bytes(&self) -> usize {
        self.memory_bytes()
    }
}

/// Tables that were computed together.
pub(crate) type TablesByName = BTreeMap<&'static str, Arc<Table>>;

impl Weighed for TablesByName {
    fn bytes(&self) -> usize {
        self.values().map(|table| table.memory_bytes()).sum()
    }
}

/// A question with the names of all rows that its answer is made of, which are many: their digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key([u8; 32]);

impl Key {
    fn new(kind: &str, key: &str) -> Self {
        let hash = Sha256::new().chain_update(kind).chain_update([0]);
        Self(hash.chain_update(key).finalize().into())
    }
}

/// One of whatever kind.
type Answer = Arc<dyn Weighed>;

/// What was answered, by question and rows.
#[derive(Default)]
pub(crate) struct AnswersOfRows {
    known: Mutex<VecDeque<(Key, Answer)>>,
    /// What is being computed now, for those who ask the same meanwhile.
    under_way: Mutex<HashMap<Key, Weak<OnceCell<Answer>>>>,
}

impl fmt::Debug for AnswersOfRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswersOfRows").finish_non_exhaustive()
    }
}

impl AnswersOfRows {
    /// The answer of this key; computed once, however many ask for it at the same time, as the parts of a
    /// page do. If that fails or is given up, the next who waits for it computes it; one that is too large to
    /// be kept is shared by those who wait for it only.
    pub(crate) async fn get_or<T: Weighed, E>(
        &self,
        key: String,
        compute: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let key = Key::new(type_name::<T>(), &key);
        if let Some(known) = self.get(&key) {
            return Ok(typed(known));
        }
        let cell = self.under_way(&key);
        let computed = cell.get_or_try_init(async || {
            let answer: Answer = Arc::new(compute.await?);
            Ok(answer)
        });
        let answer = Arc::clone(computed.await?);
        self.keep(key, Arc::clone(&answer));
        Ok(typed(answer))
    }

    fn under_way(&self, key: &Key) -> Arc<OnceCell<Answer>> {
        let mut all = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = all.get(key).and_then(Weak::upgrade) {
            return cell;
        }
        all.retain(|_, cell| cell.strong_count() > 0);
        let cell = Arc::default();
        all.insert(key.clone(), Arc::downgrade(&cell));
        cell
    }

    fn get(&self, key: &Key) -> Option<Answer> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let position = all.iter().position(|(known, _)| known == key)?;
        let found = all.remove(position)?;
        let answer = Arc::clone(&found.1);
        all.push_back(found);
        Some(answer)
    }

    fn keep(&self, key: Key, answer: Answer) {
        // It would put out everything else, and then itself.
        if answer.bytes() + ANSWER_BYTES > MOST_BYTES / 2 {
            return;
        }
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| *known != key);
        all.push_back((key, answer));
        let bytes = |(_, answer): &(Key, Answer)| answer.bytes() + ANSWER_BYTES;
        while all.iter().map(bytes).sum::<usize>() > MOST_BYTES {
            all.pop_front();
        }
    }
}

fn typed<T: Weighed>(answer: Answer) -> Arc<T> {
    let answer: Arc<dyn Any + Send + Sync> = answer;
    answer.downcast().expect("its key names its type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn key(name: &str) -> Key {
        Key::new("Table", name)
    }

    fn table(n_rows: usize) -> Arc<Table> {
        Arc::new(rows(n_rows))
    }

    fn rows(n_rows: usize) -> Table {
        let column: arrow::array::ArrayRef =
            Arc::new(arrow::array::Int64Array::from(vec![0; n_rows]));
        let batch = arrow::array::RecordBatch::try_from_iter([("n", column)]).unwrap();
        Table::of_batches(batch.schema(), vec![batch])
    }

    #[test]
    fn what_was_asked_for_least_lately_goes_first() {
        let known = AnswersOfRows::default();
        let half = MOST_BYTES / 8 / 2 - ANSWER_BYTES;
        known.keep(key("a"), table(half));
        known.keep(key("b"), table(half));
        assert!(known.get(&key("a")).is_some());
        known.keep(key("c"), table(half));
        assert!(known.get(&key("b")).is_none());
        assert!(known.get(&key("a")).is_some() && known.get(&key("c")).is_some());
        known.keep(key("a"), table(1));
        assert_eq!(
            typed::<Table>(known.get(&key("a")).unwrap()).rows().count(),
            1
        );
        assert!(known.get(&key("c")).is_some());
    }

    #[tokio::test]
    async fn what_is_asked_at_the_same_time_is_computed_once() {
        let known = AnswersOfRows::default();
        let n_computed = AtomicUsize::new(0);
        let compute = async || {
            n_computed.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok::<_, ()>(rows(1))
        };
        let ask = || known.get_or("a".to_owned(), compute());
        let (one, other) = tokio::join!(ask(), ask());
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        assert_eq!(n_computed.load(Ordering::Relaxed), 1);
        assert!(ask().await.is_ok());
        assert_eq!(n_computed.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_fails_or_is_given_up_is_computed_by_the_next_who_asks() {
        let known = AnswersOfRows::default();
        let given_up = known.get_or("a".to_owned(), std::future::pending::<Result<Table, ()>>());
        let fails = known.get_or("a".to_owned(), async { Err::<Table, ()>(()) });
        let works = known.get_or("a".to_owned(), async { Ok::<_, ()>(rows(1)) });
        let waiting = async {
            tokio::select! {
                biased;
                _ = given_up => unreachable!("it never ends"),
                () = tokio::task::yield_now() => {}
            }
        };
        let ((), failed, worked) = tokio::join!(waiting, fails, works);
        assert!(failed.is_err());
        assert_eq!(worked.unwrap().rows().count(), 1);
    }
}
