//! Things with a name and an id, in id order, as a table of the hub's database holds them.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A row: its id never changes, its name may.
pub(super) trait Row {
    type Name: Borrow<str> + Clone + Eq + Hash;

    fn id(&self) -> u64;
    fn name(&self) -> &Self::Name;
}

/// Rows in id order. A slice, so that a page at any offset costs nothing to find.
#[derive(Debug)]
pub(super) struct Register<R: Row> {
    rows: Vec<R>,
    ids: HashMap<R::Name, u64>,
    next_id: u64,
}

impl<R: Row> Default for Register<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            ids: HashMap::new(),
            next_id: 1,
        }
    }
}

impl<R: Row> Register<R> {
    pub(super) fn rows(&self) -> &[R] {
        &self.rows
    }

    /// The rows, to be changed in anything but name and id.
    pub(super) fn rows_mut(&mut self) -> &mut [R] {
        &mut self.rows
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.ids.contains_key(name)
    }

    /// Index of the row in [`Self::rows`].
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        let id = self.ids.get(name)?;
        self.rows.binary_search_by_key(id, Row::id).ok()
    }

    pub(super) fn get(&self, name: &str) -> Option<&R> {
        self.position(name).map(|position| &self.rows[position])
    }

    /// The row, to be changed in anything but name and id.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut R> {
        self.position(name).map(|position| &mut self.rows[position])
    }

    /// Adds the row that `make` makes of a new id; ids are never used again.
    ///
    /// The caller knows that the name is new.
    pub(super) fn push(&mut self, make: impl FnOnce(u64) -> R) {
        let row = make(self.next_id);
        self.next_id += 1;
        self.ids.insert(row.name().clone(), row.id());
        self.rows.push(row);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<R> {
        let position = self.position(name)?;
        self.ids.remove(name);
        Some(self.rows.remove(position))
    }

    /// Lets `change` give the row another name.
    pub(super) fn rename(&mut self, name: &str, change: impl FnOnce(&mut R)) {
        let Some(position) = self.position(name) else {
            return;
        };
        let row = &mut self.rows[position];
        self.ids.remove(name);
        change(row);
        self.ids.insert(row.name().clone(), row.id());
    }
}
