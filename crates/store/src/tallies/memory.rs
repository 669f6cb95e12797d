//! The numbers in memory: as they stand on the disk, and as the open transaction leaves them.

use super::{ANONYMOUS, Labels, NOBODY, OTHER, Tally, TallyValue};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Family = BTreeMap<Labels, TallyValue>;

/// All numbers of a hub at one moment, all of them on the disk.
#[derive(Clone, Debug, Default)]
pub struct Tallied {
    families: BTreeMap<Arc<str>, Arc<Family>>,
}

impl Tallied {
    /// The numbers of one family with the values of its labels, in their order.
    pub fn family(&self, name: &str) -> impl Iterator<Item = (&[Arc<str>], &TallyValue)> {
        let numbers = self.families.get(name).into_iter();
        let numbers = numbers.flat_map(|family| family.iter());
        numbers.map(|(labels, value)| (&**labels, value))
    }
}

/// The numbers of a hub. One thread changes them, in step with its transactions; everybody reads
/// what is committed, and waits for nothing longer than it takes to copy a few pointers.
pub(crate) struct Tallies {
    /// Label sets of a family at most.
    limit: usize,
    inner: Mutex<Inner>,
}

impl Default for Tallies {
    fn default() -> Self {
        Self::new(1000, Tallied::default())
    }
}

struct Inner {
    committed: Tallied,
    /// Of the transaction that is open, in the order they were made.
    pending: Vec<Pending>,
    /// The last one of each.
    latest: HashMap<Key, usize>,
    /// Label sets of each family, with those that are pending.
    sizes: HashMap<Arc<str>, usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    family: Arc<str>,
    labels: Labels,
}

struct Pending {
    key: Key,
    /// `None`: it is taken away.
    value: Option<TallyValue>,
    /// The pending one before it.
    before: Option<usize>,
    /// Label sets of the family before it.
    size_before: usize,
}

/// A number as it is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) family: Arc<str>,
    pub(crate) labels: Labels,
    /// Which of the labels names a user.
    pub(crate) whose: Option<usize>,
    /// `None`: it is taken away.
    pub(crate) value: Option<TallyValue>,
}

impl Tallies {
    pub(crate) fn new(limit: usize, committed: Tallied) -> Self {
        let families = committed.families.iter();
        let sizes = families.map(|(name, family)| (Arc::clone(name), family.len()));
        Self {
            limit,
            inner: Mutex::new(Inner {
                sizes: sizes.collect(),
                committed,
                pending: Vec::new(),
                latest: HashMap::new(),
            }),
        }
    }

    /// What is on the disk.
    pub(crate) fn committed(&self) -> Tallied {
        self.lock().committed.clone()
    }

    /// Counts, and gives what is to be written. Each number is given once.
    pub(crate) fn count<'a>(&self, tallies: impl IntoIterator<Item = &'a Tally>) -> Vec<Change> {
        let mut inner = self.lock();
        let mut changed: Vec<Change> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        for tally in tallies {
            let def = tally.family.0;
            let family = inner.name_of(def.name);
            let key = inner.place(family, def.whose, &tally.labels, self.limit);
            let value = match inner.current(&key) {
                Some(before) => before.clone().changed(&tally.change),
                None => tally.change.clone(),
            };
            inner.stage(key.clone(), Some(value.clone()));
            if let Some(place) = places.get(&key) {
                changed[*place].value = Some(value);
                continue;
            }
            places.insert(key.clone(), changed.len());
            changed.push(Change {
                family: key.family,
                labels: key.labels,
                whose: def.whose,
                value: Some(value),
            });
        }
        changed
    }

    /// Replaces numbers as they are.
    pub(crate) fn replace<'a>(&self, changes: impl IntoIterator<Item = &'a Change>) {
        let mut inner = self.lock();
        for change in changes {
            let key = Key {
                family: Arc::clone(&change.family),
                labels: change.labels.clone(),
            };
            inner.stage(key, change.value.clone());
        }
    }

    /// Where the transaction is, for [`Self::undo`].
    pub(crate) fn mark(&self) -> usize {
        self.lock().pending.len()
    }

    /// Forgets what was counted since the mark.
    pub(crate) fn undo(&self, mark: usize) {
        let mut inner = self.lock();
        while inner.pending.len() > mark {
            let Some(undone) = inner.pending.pop() else {
                break;
            };
            let family = Arc::clone(&undone.key.family);
            inner.sizes.insert(family, undone.size_before);
            match undone.before {
                Some(before) => inner.latest.insert(undone.key, before),
                None => inner.latest.remove(&undone.key),
            };
        }
    }

    /// What was counted is on the disk.
    pub(crate) fn commit(&self) {
        let mut inner = self.lock();
        inner.latest.clear();
        for Pending { key, value, .. } in std::mem::take(&mut inner.pending) {
            let families = &mut inner.committed.families;
            // Copied only if a scrape holds it right now.
            let family = Arc::make_mut(families.entry(key.family).or_default());
            match value {
                Some(value) => family.insert(key.labels, value),
                None => family.remove(&key.labels),
            };
        }
    }

    /// A panic while counting leaves numbers that are still numbers.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// One text for all keys of a family.
    fn name_of(&self, name: &'static str) -> Arc<str> {
        let known = self.sizes.get_key_value(name);
        known.map_or_else(|| Arc::from(name), |(known, _)| Arc::clone(known))
    }

    fn current(&self, key: &Key) -> Option<&TallyValue> {
        if let Some(latest) = self.latest.get(key) {
            return self.pending[*latest].value.as_ref();
        }
        let family = self.committed.families.get(&key.family)?;
        family.get(&key.labels)
    }

    /// Under which labels a number is kept: what is known keeps its own. The last tenth of the
    /// places is not for users' names, so that a family of many users still tells what happened.
    fn place(&self, family: Arc<str>, whose: Option<usize>, labels: &Labels, limit: usize) -> Key {
        let n_known = self.sizes.get(&family).copied().unwrap_or(0);
        let is_room = |n_places: usize| n_known + 1 < n_places;
        let mut key = Key {
            family,
            labels: labels.clone(),
        };
        let named = whose.filter(|index| !NOBODY.contains(&&*labels[*index]));
        let n_places = if named.is_some() {
            limit - limit / 10
        } else {
            limit
        };
        if labels.is_empty() || is_room(n_places) || self.current(&key).is_some() {
            return key;
        }
        if let Some(index) = named {
            key.labels[index] = OTHER.into();
            if is_room(limit) || self.current(&key).is_some() {
                return key;
            }
        }
        key.labels.fill(OTHER.into());
        key
    }

    fn stage(&mut self, key: Key, value: Option<TallyValue>) {
        let size_before = self.sizes.get(&key.family).copied().unwrap_or(0);
        let size = match (self.current(&key).is_some(), value.is_some()) {
            (false, true) => size_before + 1,
            (true, false) => size_before.saturating_sub(1),
            _ => size_before,
        };
        self.sizes.insert(Arc::clone(&key.family), size);
        let before = self.latest.insert(key.clone(), self.pending.len());
        self.pending.push(Pending {
            key,
            value,
            before,
            size_before,
        });
    }
}

impl FromIterator<Change> for Tallied {
    fn from_iter<T: IntoIterator<Item = Change>>(changes: T) -> Self {
        let mut families: BTreeMap<Arc<str>, Family> = BTreeMap::new();
        for change in changes {
            if let Some(value) = change.value {
                let family = families.entry(change.family).or_default();
                family.insert(change.labels, value);
            }
        }
        let families = families.into_iter();
        Self {
            families: families
                .map(|(name, family)| (name, Arc::new(family)))
                .collect(),
        }
    }
}

impl Change {
    /// The number without a person: what is counted becomes nobody's, and what is theirs alone, a
    /// gauge, is gone. `None` if its labels name nobody.
    pub(crate) fn without(
        &self,
        is_person: impl Fn(&str) -> bool,
        other_text: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let mut without = self.clone();
        let mut is_changed = false;
        for (index, label) in without.labels.iter_mut().enumerate() {
            if self.whose == Some(index) {
                if is_person(label) {
                    *label = ANONYMOUS.into();
                    is_changed = true;
                    if matches!(self.value, Some(TallyValue::Gauge(_))) {
                        without.value = None;
                    }
                }
            } else if let Some(text) = other_text(label) {
                *label = text.into();
                is_changed = true;
            }
        }
        is_changed.then_some(without)
    }
}
