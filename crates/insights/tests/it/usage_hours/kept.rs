//! What services keep of hours that are not over, read from `state.db` while they do.

use crate::support::{block_on, until};
use insights::poll::clock::now;
use jiff::Timestamp;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use store::tables::usage::OPEN_HOURS;
use store::{Folder, Store};

const SUMMED_UNTIL: &str = "usage: summed until";

/// A look that was kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) at: Timestamp,
    /// Measurements of one user in the hours that are open, and byte seconds.
    pub(crate) samples: u64,
    pub(crate) byte_seconds: f64,
}

/// Sees each look that is kept.
pub(crate) struct Watcher {
    kept: Arc<Mutex<Vec<Kept>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Of one user in the history of a hub.
    pub(crate) fn start(folder: &Path, hub: &'static str, user: &'static str) -> Self {
        let store = Store::open(Folder::prepare(folder).unwrap()).unwrap();
        let (kept, is_over) = (Arc::<Mutex<Vec<Kept>>>::default(), Arc::default());
        let (list, end) = (Arc::clone(&kept), Arc::<AtomicBool>::clone(&is_over));
        let watch = move || {
            while !end.load(Ordering::SeqCst) {
                if let Some(last) = read(&store, hub, user) {
                    let mut list = list.lock().unwrap();
                    if list.last().is_none_or(|known| known.at < last.at) {
                        list.push(last);
                    }
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        Self {
            kept,
            is_over,
            thread: Some(std::thread::spawn(watch)),
        }
    }

    pub(crate) fn all(&self) -> Vec<Kept> {
        self.kept.lock().unwrap().clone()
    }

    /// Waits for looks from now on.
    #[track_caller]
    pub(crate) fn wait_for(&self, n_looks: usize) {
        let begun = now();
        let are_there = || {
            let all = self.all();
            let new = all.iter().filter(|kept| kept.at > begun);
            (new.count() >= n_looks).then_some(())
        };
        until("looks to be kept", are_there).unwrap_or_else(|| panic!("{:?}", self.all()));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn read(store: &Store, hub: &str, user: &str) -> Option<Kept> {
    let position = |name: &str| block_on(store.position(hub, name)).unwrap();
    let summed_until = position(SUMMED_UNTIL)?;
    let open: Value = serde_json::from_str(&position(OPEN_HOURS)?).unwrap();
    // Both of one transaction.
    if position(SUMMED_UNTIL)? != summed_until {
        return None;
    }
    let sums = open.as_array().unwrap().iter();
    let sums = sums.filter(|sum| sum["account"]["user"] == user);
    let totals: Vec<&Value> = sums.map(|sum| &sum["totals"]).collect();
    let samples = totals.iter().map(|totals| totals["samples"].as_u64());
    let byte_seconds = totals
        .iter()
        .filter_map(|totals| totals["memory_byte_seconds"].as_f64());
    Some(Kept {
        at: summed_until.parse().unwrap(),
        samples: samples.map(Option::unwrap).sum(),
        byte_seconds: byte_seconds.sum(),
    })
}
