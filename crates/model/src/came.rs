//! Who came on which days: a bit for each day of each name, so that a year of ten thousand people fits into
//! half a megabyte, and how many came within days, weeks and months is counted without sorting anything.
//!
//! What it takes to have come, and which days are known, do not belong here. Days are numbers that follow each
//! other, such as days since 1970.

use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Windows that end with a day, in days.
pub const WINDOWS: [i32; 3] = [1, 7, 30];

const BITS: usize = 64;

/// The days on which each name came; of people, or of groups of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    first: i32,
    n_days: usize,
    /// Which of the rows of bits is of a name.
    rows: HashMap<Box<str>, usize>,
    /// A row of words for each name, the first day in the lowest bit of its first word.
    bits: Vec<u64>,
}

/// A part of the days in which a name came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visited<'a> {
    /// Who.
    pub name: &'a str,
    /// Which part.
    pub part: usize,
    /// First day in it on which the name came.
    pub first: i32,
    /// The last one.
    pub last: i32,
}

impl Came {
    /// Nobody came on any of the days yet.
    pub fn new(days: RangeInclusive<i32>) -> Self {
        let n_days = (*days.end() - *days.start()).max(-1) + 1;
        Self {
            first: *days.start(),
            n_days: usize::try_from(n_days).unwrap_or(0),
            rows: HashMap::new(),
            bits: Vec::new(),
        }
    }

    /// All days that there are.
    pub fn days(&self) -> RangeInclusive<i32> {
        let n_days = i32::try_from(self.n_days).unwrap_or(i32::MAX);
        self.first..=self.first + n_days - 1
    }

    /// Whoever was told of, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(|name| &**name)
    }

    /// Whether the name came on any of some days.
    pub fn came(&self, name: &str, days: RangeInclusive<i32>) -> bool {
        let row = self.rows.get(name);
        row.is_some_and(|row| {
            self.set_bits(*row)
                .any(|index| days.contains(&self.day(index)))
        })
    }

    /// The name came on the day; one that is not of the days does not count.
    pub fn add(&mut self, name: &str, day: i32) {
        if self.index(day).is_some() {
            let row = self.row_of(name);
            self.set(row, day);
        }
    }

    /// Whatever came on these days came on them under this name, too: a member of a group.
    pub fn add_all(&mut self, name: &str, other: &Self, member: &str, days: RangeInclusive<i32>) {
        let Some(from) = other.rows.get(member) else {
            return;
        };
        let row = self.row_of(name);
        for index in other.set_bits(*from) {
            let day = other.day(index);
            if days.contains(&day) {
                self.set(row, day);
            }
        }
    }

    /// Adds who came as another tells.
    pub fn merge(&mut self, other: &Self) {
        for (name, from) in &other.rows {
            let row = self.row_of(name);
            for index in other.set_bits(*from) {
                self.set(row, other.day(index));
            }
        }
    }

    /// Forgets all days but these.
    pub fn only(&mut self, is_kept: impl Fn(i32) -> bool) {
        let mut kept = vec![0; self.n_words()];
        for index in 0..self.n_days {
            if is_kept(self.day(index)) {
                kept[index / BITS] |= 1 << (index % BITS);
            }
        }
        for row in self.bits.chunks_mut(kept.len().max(1)) {
            for (word, kept) in row.iter_mut().zip(&kept) {
                *word &= kept;
            }
        }
    }

    /// Memory that it takes, about, in bytes.
    pub fn bytes(&self) -> usize {
        const OF_NAME: usize = 64;
        self.bits.capacity() * size_of::<u64>() + self.rows.capacity() * OF_NAME
    }

    /// How many names came within each of the [`WINDOWS`] that end with a day, of each day from the first on.
    pub fn windows(&self) -> Vec<[i64; WINDOWS.len()]> {
        let mut changes = vec![[0_i64; WINDOWS.len()]; self.n_days + 1];
        for row in self.rows.values() {
            let mut visits = self.set_bits(*row).peekable();
            while let Some(visit) = visits.next() {
                // Who comes again counts anew from then on, so nobody counts twice.
                let next = visits.peek().copied().unwrap_or(self.n_days);
                for (window, length) in WINDOWS.iter().enumerate() {
                    let end = visit + usize::try_from(*length).unwrap_or(0);
                    changes[visit][window] += 1;
                    changes[end.min(next)][window] -= 1;
                }
            }
        }
        let mut counts = [0; WINDOWS.len()];
        let mut all = Vec::with_capacity(self.n_days);
        for change in changes.iter().take(self.n_days) {
            for (count, change) in counts.iter_mut().zip(change) {
                *count += change;
            }
            all.push(counts);
        }
        all
    }

    /// Each name with each of the parts that it came in; the parts begin with these days, ascending, and the
    /// last one ends with all days. Sorted by name.
    pub fn visited(&self, starts: &[i32]) -> Vec<Visited<'_>> {
        let parts = self.parts(starts);
        let mut names: Vec<(&str, usize)> = self
            .rows
            .iter()
            .map(|(name, row)| (&**name, *row))
            .collect();
        names.sort_unstable();
        let mut all: Vec<Visited<'_>> = Vec::new();
        for (name, row) in names {
            for index in self.set_bits(row) {
                let (Some(part), day) = (parts[index], self.day(index)) else {
                    continue;
                };
                match all.last_mut() {
                    Some(last) if last.part == part && last.name == name => last.last = day,
                    _ => all.push(Visited {
                        name,
                        part,
                        first: day,
                        last: day,
                    }),
                }
            }
        }
        all
    }

    /// Which part each day is of.
    fn parts(&self, starts: &[i32]) -> Vec<Option<usize>> {
        let part = |index| {
            let day = self.day(index);
            starts.partition_point(|start| *start <= day).checked_sub(1)
        };
        (0..self.n_days).map(part).collect()
    }

    fn n_words(&self) -> usize {
        self.n_days.div_ceil(BITS)
    }

    fn index(&self, day: i32) -> Option<usize> {
        let index = usize::try_from(i64::from(day) - i64::from(self.first)).ok()?;
        (index < self.n_days).then_some(index)
    }

    fn day(&self, index: usize) -> i32 {
        self.first + i32::try_from(index).unwrap_or(i32::MAX)
    }

    fn set(&mut self, row: usize, day: i32) {
        if let Some(index) = self.index(day) {
            self.bits[row + index / BITS] |= 1 << (index % BITS);
        }
    }

    /// Where the words of a name begin.
    fn row_of(&mut self, name: &str) -> usize {
        if let Some(row) = self.rows.get(name) {
            return *row;
        }
        let row = self.bits.len();
        self.bits.resize(row + self.n_words(), 0);
        self.rows.insert(name.into(), row);
        row
    }

    fn set_bits(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        let words = &self.bits[row..row + self.n_words()];
        words.iter().enumerate().flat_map(|(number, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < BITS).then_some(number * BITS + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn days_outside_do_not_count() {
        let mut came = Came::new(10..=12);
        for day in [9, 13, i32::MIN, i32::MAX] {
            came.add("ada", day);
        }
        assert_eq!(came.windows(), [[0; 3]; 3]);
        assert_eq!(came.days(), 10..=12);
        assert!(!came.came("ada", 0..=99));
        assert!(came.visited(&[0]).is_empty());
    }

    #[test]
    fn a_group_came_when_its_members_came_as_such() {
        let mut people = Came::new(0..=9);
        for day in [1, 5, 8] {
            people.add("ada", day);
        }
        let mut groups = Came::new(0..=9);
        groups.add_all("physics", &people, "ada", 2..=8);
        groups.add_all("physics", &people, "nobody", 0..=9);
        let visited = Visited {
            name: "physics",
            part: 0,
            first: 5,
            last: 8,
        };
        assert_eq!(groups.visited(&[0]), [visited]);
    }

    proptest! {
        #[test]
        fn what_is_counted_by_bits_is_what_sets_hold(
            visits in proptest::collection::btree_set((0usize..6, 100i32..240), 0..60),
            later in proptest::collection::btree_set((0usize..6, 100i32..240), 0..20),
            starts in proptest::collection::btree_set(90i32..250, 0..6),
            forgotten in 100i32..240,
        ) {
            let names = ["ada", "ben", "cy", "dee", "eve", "fay"];
            let of = |visits: &BTreeSet<(usize, i32)>| {
                let mut came = Came::new(100..=239);
                for (name, day) in visits {
                    came.add(names[*name], *day);
                }
                came
            };
            let mut came = of(&visits);
            came.merge(&of(&later));
            came.only(|day| day != forgotten);
            let all: BTreeSet<(usize, i32)> =
                visits.union(&later).copied().filter(|(_, day)| *day != forgotten).collect();
            for (index, counts) in came.windows().iter().enumerate() {
                let day = 100 + i32::try_from(index).unwrap();
                for (count, length) in counts.iter().zip(WINDOWS) {
                    let within = all.iter().filter(|(_, it)| day - length < *it && *it <= day);
                    let people: BTreeSet<usize> = within.map(|(name, _)| *name).collect();
                    prop_assert_eq!(*count, i64::try_from(people.len()).unwrap());
                }
            }
            let starts: Vec<i32> = starts.into_iter().collect();
            let mut expected = Vec::new();
            for (name, told) in names.iter().enumerate() {
                for (part, start) in starts.iter().enumerate() {
                    let end = starts.get(part + 1).copied().unwrap_or(i32::MAX);
                    let days = all.iter().filter(|it| it.0 == name && (*start..end).contains(&it.1));
                    let days: Vec<i32> = days.map(|it| it.1).collect();
                    prop_assert_eq!(came.came(told, *start..=end - 1), !days.is_empty());
                    if let ([first, ..], [.., last]) = (&days[..], &days[..]) {
                        expected.push(Visited { name: told, part, first: *first, last: *last });
                    }
                }
            }
            prop_assert_eq!(came.visited(&starts), expected);
        }
    }
}
