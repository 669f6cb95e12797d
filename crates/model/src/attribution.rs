//! To which group a user counts: the one multi-group rule, applied to a snapshot.
//!
//! What is then multiplied with a share (CPU, money) and how rows are written do not belong here.

use crate::filter::GroupFilter;
use crate::names::{GroupName, UserName};
use crate::snapshot::Group;
use std::collections::{BTreeMap, HashSet};

/// Label of a user who is in no group, unless a real group has this name.
const NO_GROUP: &str = "none";
/// Label of the extra row that the Python exporter adds for users in several groups.
const SEVERAL_GROUPS: &str = "multiple";

/// How a user in several groups is counted.
///
/// `Split`, `Primary` and `Bucket` keep the sum over groups equal to the sum over users, which a
/// bill needs. `InEach` answers "how busy is physics?" and double counts on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiGroupRule {
    /// A full row in each of the groups; totals overlap.
    InEach,
    /// A row in each of the groups, each with an equal share; shares add up to one.
    Split,
    /// Only the first of these groups that the user is in, else the first by name.
    Primary(Vec<GroupName>),
    /// One row in a pseudo group of this name, which no real group has.
    Bucket(GroupName),
}

/// Whether users in several groups also get a row in the pseudo group `multiple`, as with the
/// Python exporter, which then counts a user of two groups three times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraMultipleRow {
    /// One user, one row per group.
    Omit,
    /// For dashboards that rely on it.
    Add,
}

/// The rules that turn groups into memberships.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// Groups that may be shown.
    pub filter: GroupFilter,
    /// How users in several groups count.
    pub rule: MultiGroupRule,
    /// Only has an effect with `InEach`.
    pub extra_row: ExtraMultipleRow,
}

/// One user in one group, real or pseudo.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// Who.
    pub user: UserName,
    /// In which real or pseudo group.
    pub group: GroupName,
    /// How much of the user counts here: 1, or less with `Split`.
    pub share: f64,
}

/// All memberships that may be shown, and what had to be renamed for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memberships {
    /// Sorted by user, then group.
    pub rows: Vec<Membership>,
    /// Users that may be shown, sorted: those in a visible group, and those in none if allowed.
    pub users: Vec<UserName>,
    /// Pseudo groups whose usual name a visible real group has.
    pub renamed: Vec<RenamedPseudoGroup>,
}

/// A pseudo group that had to step aside for a real group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedPseudoGroup {
    /// The name that a real group has.
    pub taken: GroupName,
    /// The name the pseudo group has instead.
    pub instead: GroupName,
}

impl Attribution {
    /// Applies the rules.
    ///
    /// `groups` sorted by name, as in a snapshot. `all_users` is everybody the hub knows, or
    /// `None` while that is not known completely: then nobody is said to be in no group.
    pub fn apply(&self, groups: &[Group], all_users: Option<&[UserName]>) -> Memberships {
        let visible = groups.iter().map(|group| &group.name);
        let mut pseudo = PseudoNames::new(visible.filter(|name| self.filter.allows(name)));
        let mut groups_by_user: BTreeMap<&UserName, Vec<&GroupName>> = BTreeMap::new();
        for group in groups
            .iter()
            .filter(|group| self.filter.allows(&group.name))
        {
            for member in &*group.members {
                groups_by_user.entry(member).or_default().push(&group.name);
            }
        }
        if let Some(all_users) = all_users.filter(|_| self.filter.allows_users_without_group()) {
            // Not `groups_by_user`: who is only in denied groups must not be said to be in none.
            let in_any_group: HashSet<&UserName> =
                groups.iter().flat_map(|group| &*group.members).collect();
            for user in all_users.iter().filter(|user| !in_any_group.contains(user)) {
                groups_by_user.entry(user).or_default();
            }
        }
        let mut rows = Vec::with_capacity(groups_by_user.len());
        for (user, groups) in &groups_by_user {
            rows.extend(self.of_user(user, groups, &mut pseudo));
        }
        Memberships {
            rows,
            users: groups_by_user.into_keys().cloned().collect(),
            renamed: pseudo.renamed,
        }
    }

    /// Where one user counts who is in these groups and no others, all of which may be shown;
    /// sorted as they are.
    pub fn of_user(
        &self,
        user: &UserName,
        groups: &[&GroupName],
        pseudo: &mut PseudoNames<'_>,
    ) -> Vec<Membership> {
        let mut rows = Vec::with_capacity(groups.len().max(1));
        let mut push = |group: GroupName, share: f64| {
            rows.push(Membership {
                user: user.clone(),
                group,
                share,
            });
        };
        let [_, _, ..] = groups else {
            let only = groups.first().map(|&group| group.clone());
            push(only.unwrap_or_else(|| pseudo.no_group()), 1.0);
            return rows;
        };
        match &self.rule {
            MultiGroupRule::InEach => {
                for &group in groups {
                    push(group.clone(), 1.0);
                }
                if self.extra_row == ExtraMultipleRow::Add {
                    push(pseudo.name(SEVERAL_GROUPS), 1.0);
                }
            }
            MultiGroupRule::Split => {
                let share = 1.0 / f64::from(u32::try_from(groups.len()).unwrap_or(u32::MAX));
                for &group in groups {
                    push(group.clone(), share);
                }
            }
            MultiGroupRule::Primary(priority) => {
                let preferred = priority.iter().find(|group| groups.contains(group));
                push(preferred.unwrap_or(groups[0]).clone(), 1.0);
            }
            MultiGroupRule::Bucket(bucket) => push(pseudo.name(bucket.as_str()), 1.0),
        }
        rows
    }
}

/// Names of pseudo groups that no visible group has.
///
/// Hidden groups do not count: a pseudo group called `none_` would tell that there is a hidden
/// group called `none`.
#[derive(Debug)]
pub struct PseudoNames<'a> {
    taken: HashSet<&'a str>,
    renamed: Vec<RenamedPseudoGroup>,
}

impl<'a> PseudoNames<'a> {
    /// Of groups that may be shown.
    pub fn new(visible: impl Iterator<Item = &'a GroupName>) -> Self {
        Self {
            taken: visible.map(GroupName::as_str).collect(),
            renamed: Vec::new(),
        }
    }

    /// What users in no group are said to be in.
    pub fn no_group(&mut self) -> GroupName {
        self.name(NO_GROUP)
    }

    fn name(&mut self, usual: &str) -> GroupName {
        if !self.taken.contains(usual) {
            return GroupName::from(usual);
        }
        if let Some(known) = self
            .renamed
            .iter()
            .find(|renamed| renamed.taken.as_str() == usual)
        {
            return known.instead.clone();
        }
        let mut instead = format!("{usual}_");
        while self.taken.contains(instead.as_str()) {
            instead.push('_');
        }
        let instead = GroupName::new(instead);
        self.renamed.push(RenamedPseudoGroup {
            taken: usual.into(),
            instead: instead.clone(),
        });
        instead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::GroupPattern;
    use proptest::prelude::*;

    /// `"physics: ada grace; empty:"`
    fn parse_groups(text: &str) -> Vec<Group> {
        let mut groups: Vec<Group> = text
            .split(';')
            .filter_map(|part| part.split_once(": ").or_else(|| part.split_once(':')))
            .map(|(name, members)| {
                Group::new(
                    name.trim().into(),
                    members.split_whitespace().map(UserName::from),
                )
            })
            .collect();
        groups.sort_by(|left, right| left.name.cmp(&right.name));
        groups
    }

    fn users(text: &str) -> Vec<UserName> {
        text.split_whitespace().map(UserName::from).collect()
    }

    fn rule(rule: MultiGroupRule) -> Attribution {
        Attribution {
            filter: GroupFilter::default(),
            rule,
            extra_row: ExtraMultipleRow::Omit,
        }
    }

    fn filtered(allowed: &[&str], denied: &[&str]) -> Attribution {
        let parse = |texts: &[&str]| texts.iter().map(|text| GroupPattern::parse(text)).collect();
        let filter = GroupFilter {
            allowed: parse(allowed),
            denied: parse(denied),
        };
        Attribution {
            filter,
            ..rule(MultiGroupRule::InEach)
        }
    }

    /// Rows as `user@group`, with `*share` where it is not one.
    fn check(attribution: &Attribution, groups: &str, all_users: &str, expected: &str) {
        let all_users = users(all_users);
        let memberships = attribution.apply(&parse_groups(groups), Some(&all_users));
        let rows: Vec<String> = memberships
            .rows
            .iter()
            .map(|row| match row.share {
                share if (share - 1.0).abs() < f64::EPSILON => {
                    format!("{}@{}", row.user, row.group)
                }
                share => format!("{}@{}*{share}", row.user, row.group),
            })
            .collect();
        assert_eq!(rows.join(" "), expected);
    }

    const TWO_GROUPS: &str = "art: ada bob; physics: ada";

    #[test]
    fn in_each_gives_a_row_in_each_group() {
        let rows = "ada@art ada@physics bob@art eve@none";
        check(
            &rule(MultiGroupRule::InEach),
            TWO_GROUPS,
            "ada bob eve",
            rows,
        );
    }

    #[test]
    fn split_gives_equal_shares() {
        let rows = "ada@art*0.5 ada@physics*0.5 bob@art";
        check(&rule(MultiGroupRule::Split), TWO_GROUPS, "", rows);
    }

    #[test]
    fn primary_takes_the_first_of_the_list_else_the_first_by_name() {
        let listed = rule(MultiGroupRule::Primary(vec!["x".into(), "physics".into()]));
        check(&listed, TWO_GROUPS, "", "ada@physics bob@art");
        check(
            &rule(MultiGroupRule::Primary(vec![])),
            TWO_GROUPS,
            "",
            "ada@art bob@art",
        );
    }

    #[test]
    fn bucket_gives_one_row_in_the_bucket() {
        check(
            &rule(MultiGroupRule::Bucket("several".into())),
            TWO_GROUPS,
            "",
            "ada@several bob@art",
        );
    }

    #[test]
    fn the_extra_row_is_only_added_when_asked_for() {
        let compat = Attribution {
            extra_row: ExtraMultipleRow::Add,
            ..rule(MultiGroupRule::InEach)
        };
        check(
            &compat,
            TWO_GROUPS,
            "",
            "ada@art ada@physics ada@multiple bob@art",
        );
    }

    #[test]
    fn nobody_is_in_no_group_before_all_users_are_known() {
        let memberships = rule(MultiGroupRule::InEach).apply(&parse_groups("art: ada"), None);
        assert_eq!(memberships.users, users("ada"));
    }

    #[test]
    fn an_allow_list_shows_nothing_but_its_groups_and_their_members() {
        let groups = "art: ada bob; hr: ada eve; physics: bob";
        check(
            &filtered(&["art"], &[]),
            groups,
            "ada bob eve zoe",
            "ada@art bob@art",
        );
    }

    #[test]
    fn a_user_who_is_only_in_denied_groups_is_not_said_to_be_in_none() {
        check(
            &filtered(&[], &["hr"]),
            "art: ada; hr: ada eve",
            "ada eve zoe",
            "ada@art zoe@none",
        );
    }

    #[test]
    fn a_hidden_group_does_not_make_its_member_multiple() {
        let bucket = Attribution {
            rule: MultiGroupRule::Bucket("multiple".into()),
            ..filtered(&[], &["hr"])
        };
        check(&bucket, "art: ada; hr: ada", "", "ada@art");
    }

    #[test]
    fn real_groups_called_none_or_multiple_keep_their_names() {
        let bucket = rule(MultiGroupRule::Bucket("multiple".into()));
        let groups = "multiple: ada bob; none: ada; none_: bob";
        let memberships = bucket.apply(&parse_groups(groups), Some(&users("eve zoe")));
        let renamed: Vec<String> = memberships
            .renamed
            .iter()
            .map(|r| format!("{}->{}", r.taken, r.instead))
            .collect();
        assert_eq!(renamed, ["multiple->multiple_", "none->none__"]);
        check(
            &bucket,
            groups,
            "eve",
            "ada@multiple_ bob@multiple_ eve@none__",
        );
    }

    #[test]
    fn a_hidden_group_called_none_is_not_given_away_by_a_renamed_pseudo_group() {
        check(
            &filtered(&[], &["none"]),
            "none: ada",
            "ada eve",
            "eve@none",
        );
    }

    proptest! {
        /// With a rule that adds up, each user counts once over all groups.
        #[test]
        fn rules_that_add_up_count_each_user_once(
            members in proptest::collection::vec(proptest::collection::btree_set(0u8..9, 0..9), 1..7),
            which in 0usize..3,
        ) {
            let groups: Vec<Group> = members.iter().enumerate().map(|(index, users)| {
                let users = users.iter().map(|user| UserName::new(format!("u{user}")));
                Group::new(GroupName::new(format!("g{index}")), users)
            }).collect();
            let all_users: Vec<UserName> = (0..9).map(|user| UserName::new(format!("u{user}"))).collect();
            let rule = [
                MultiGroupRule::Split,
                MultiGroupRule::Primary(vec!["g3".into()]),
                MultiGroupRule::Bucket("b".into()),
            ][which].clone();
            let memberships = super::tests::rule(rule).apply(&groups, Some(&all_users));
            for user in &all_users {
                let sum: f64 = memberships.rows.iter().filter(|row| row.user == *user)
                    .map(|row| row.share).sum();
                prop_assert!((sum - 1.0).abs() < 1e-9);
            }
            prop_assert_eq!(&memberships.users, &all_users);
        }
    }
}
