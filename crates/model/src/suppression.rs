//! Which rows of sums over people are left empty, so that nobody can be picked out.
//!
//! A row of few people tells what these few did, and so does a total less the other rows. What a row
//! holds and how an empty one looks do not belong here.

use std::collections::BTreeMap;

/// A row of sums over people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<Family> {
    /// Rows that add up to something somebody may know have the same one.
    pub family: Family,
    /// How many people its sums are about, if that is known.
    pub people: Option<u64>,
    /// Other numbers of people in the row, which must not be small either.
    pub further: Vec<u64>,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is shown.
    Shown,
    /// It is left empty.
    Hidden,
}

/// What becomes of each row where fewer than `least_people` are not to be told of.
///
/// Hidden is each row of fewer people, unless it is of nobody, and each of which the number is not
/// known. What one of them holds could be computed from the rest of its family, and people come in
/// several rows, so that the rows of few may all be about the same few: hence the smallest of the
/// other rows with people is hidden as well, and those as large as it, since who knows this rule could
/// tell them apart. So at least `least_people` stand behind what is hidden. If no row with people would
/// be left, the whole family is hidden, also rows of nobody: that these are shown would tell that the
/// hidden ones are about somebody.
///
/// 0 and 1 hide nothing. 2 is taken for 3: two rows of one person each are told by their total.
pub fn fates<Family: Ord>(rows: &[Row<Family>], least_people: u64) -> Vec<Fate> {
    let Some(least_people) = least(least_people) else {
        return vec![Fate::Shown; rows.len()];
    };
    let mut fates = vec![Fate::Shown; rows.len()];
    let mut families: BTreeMap<&Family, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        families.entry(&row.family).or_default().push(index);
    }
    for family in families.into_values() {
        for index in hidden(rows, &family, least_people) {
            fates[index] = Fate::Hidden;
        }
    }
    fates
}

/// Whether so many people are somebody, and fewer than may be told of: by the same rule as rows.
pub fn is_few(people: u64, least_people: u64) -> bool {
    least(least_people).is_some_and(|least| (1..least).contains(&people))
}

/// How many people at least; none where everybody may be told of.
fn least(least_people: u64) -> Option<u64> {
    match least_people {
        0 | 1 => None,
        2 => Some(3),
        more => Some(more),
    }
}

/// Which rows of one family are hidden.
fn hidden<Family>(rows: &[Row<Family>], family: &[usize], least_people: u64) -> Vec<usize> {
    let is_small = |index: &usize| rows[*index].is_small(least_people);
    if !family.iter().any(is_small) {
        return Vec::new();
    }
    let others = family.iter().filter(|index| !is_small(index));
    let with_people = others.filter_map(|index| rows[*index].people.filter(|people| *people > 0));
    let Some(next) = with_people.min() else {
        return family.to_vec();
    };
    let is_hidden = |index: &usize| is_small(index) || rows[*index].people == Some(next);
    let is_empty = |index: &usize| rows[*index].people == Some(0);
    if family
        .iter()
        .all(|index| is_hidden(index) || is_empty(index))
    {
        return family.to_vec();
    }
    family.iter().copied().filter(is_hidden).collect()
}

impl<Family> Row<Family> {
    fn is_small(&self, least_people: u64) -> bool {
        let is_small = |people: &u64| (1..least_people).contains(people);
        self.people.as_ref().is_none_or(is_small) || self.further.iter().any(is_small)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn family(people: &[u64]) -> Vec<Row<()>> {
        let rows = people.iter().map(|people| Row {
            family: (),
            people: Some(*people),
            further: Vec::new(),
        });
        rows.collect()
    }

    /// The numbers that are shown, as a reader sees them.
    fn shown(people: &[u64], least_people: u64) -> Vec<Option<u64>> {
        let fates = fates(&family(people), least_people);
        let seen = people.iter().zip(fates);
        seen.map(|(people, fate)| (fate == Fate::Shown).then_some(*people))
            .collect()
    }

    fn check(people: &[u64], expected: &str) {
        let shown = shown(people, 5);
        let words = shown
            .iter()
            .map(|people| people.map_or("-".to_owned(), |people| people.to_string()));
        assert_eq!(
            words.collect::<Vec<_>>().join(" "),
            expected,
            "of {people:?}"
        );
    }

    #[test]
    fn a_small_row_is_hidden_and_the_next_smallest_with_it() {
        check(&[20, 7, 3, 9], "20 - - 9");
        check(&[20, 7, 3, 4, 9], "20 - - - 9");
        check(&[20, 7, 3, 7, 9], "20 - - - 9");
    }

    #[test]
    fn rows_of_nobody_are_shown_while_others_are() {
        check(&[0, 20, 7, 3], "0 20 - -");
        check(&[0, 7, 3], "- - -");
    }

    #[test]
    fn nothing_is_hidden_where_no_row_is_small() {
        check(&[5, 20, 0], "5 20 0");
        check(&[0, 0], "0 0");
        check(&[], "");
    }

    #[test]
    fn a_total_of_few_hides_everything() {
        check(&[1, 2, 0], "- - -");
        check(&[4], "-");
    }

    #[test]
    fn what_is_not_known_counts_as_few() {
        let mut rows = family(&[9, 7, 20]);
        rows[0].people = None;
        assert_eq!(fates(&rows, 5), [Fate::Hidden, Fate::Hidden, Fate::Shown]);
    }

    #[test]
    fn a_row_with_another_small_number_is_hidden() {
        let mut rows = family(&[0, 7, 20]);
        rows[0].further = vec![3];
        assert_eq!(fates(&rows, 5), [Fate::Hidden, Fate::Hidden, Fate::Shown]);
    }

    #[test]
    fn a_number_of_people_is_few_as_a_row_is() {
        let few = |least_people| (0..7).filter(move |people| is_few(*people, least_people));
        assert_eq!(few(5).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(few(2).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(few(1).count(), 0);
    }

    #[test]
    fn families_do_not_touch_each_other() {
        let mut rows: Vec<Row<&str>> = Vec::new();
        for (family, people) in [("lab", 3), ("far", 6), ("lab", 8), ("far", 7), ("lab", 9)] {
            rows.push(Row {
                family,
                people: Some(people),
                further: Vec::new(),
            });
        }
        let hidden = fates(&rows, 5).into_iter().map(|fate| fate == Fate::Hidden);
        let hidden: Vec<bool> = hidden.collect();
        assert_eq!(hidden, [true, false, true, false, false]);
    }

    #[test]
    fn one_person_is_enough_where_nobody_asks_for_more() {
        assert_eq!(shown(&[1, 2], 0), [Some(1), Some(2)]);
        assert_eq!(shown(&[1, 2], 1), [Some(1), Some(2)]);
        assert_eq!(shown(&[1, 1], 2), [None, None]);
        assert_eq!(shown(&[2, 4, 9], 2), [None, None, Some(9)]);
    }

    /// All rows of so many numbers that add up to this.
    fn that_add_up(n_rows: usize, total: u64) -> Vec<Vec<u64>> {
        match n_rows {
            0 if total == 0 => vec![Vec::new()],
            0 => Vec::new(),
            _ => {
                let of_last = |last| {
                    let firsts = that_add_up(n_rows - 1, total - last).into_iter();
                    firsts.map(move |firsts| [firsts, vec![last]].concat())
                };
                (0..=total).flat_map(of_last).collect()
            }
        }
    }

    proptest! {
        #[test]
        fn whoever_knows_the_total_the_shown_rows_and_this_rule_computes_no_hidden_one(
            people in prop::collection::vec(0_u64..9, 1..5),
            least_people in 2_u64..7,
        ) {
            let seen = shown(&people, least_people);
            let total: u64 = people.iter().sum();
            // A total of few is not shown anywhere.
            prop_assume!(total >= least_people.max(3));
            let possible: Vec<Vec<u64>> = that_add_up(people.len(), total)
                .into_iter()
                .filter(|other| shown(other, least_people) == seen)
                .collect();
            for index in 0..people.len() {
                if seen[index].is_none() {
                    let values: BTreeSet<u64> = possible.iter().map(|other| other[index]).collect();
                    prop_assert!(values.len() > 1, "{people:?}: row {index} is {values:?}");
                }
            }
        }

        #[test]
        fn enough_people_stand_behind_what_is_hidden_also_where_all_rows_are_about_the_same(
            people in prop::collection::vec(0_u64..40, 1..12),
            least_people in 3_u64..10,
        ) {
            let seen = shown(&people, least_people);
            let hidden: Vec<u64> = (0..people.len())
                .filter(|index| seen[*index].is_none())
                .map(|index| people[index])
                .collect();
            let is_everything = hidden.len() == people.len();
            if !hidden.is_empty() && !is_everything {
                prop_assert!(hidden.len() > 1, "{seen:?}");
                prop_assert!(hidden.iter().max() >= Some(&least_people), "{seen:?}");
            }
            for (people, seen) in people.iter().zip(&seen) {
                if (1..least_people).contains(people) {
                    prop_assert!(seen.is_none(), "{people} is shown");
                }
            }
            if people.iter().sum::<u64>() < least_people && people.iter().any(|people| *people > 0) {
                prop_assert!(is_everything, "{seen:?}");
            }
        }

        #[test]
        fn the_order_of_rows_changes_nothing(
            people in prop::collection::vec(0_u64..12, 1..8),
            turned_by in 0_usize..8,
        ) {
            let mut turned = people.clone();
            let turned_by = turned_by % people.len();
            turned.rotate_left(turned_by);
            let mut expected = shown(&people, 5);
            expected.rotate_left(turned_by);
            prop_assert_eq!(shown(&turned, 5), expected);
        }
    }
}
