//! Who joined and left which group, and whom the hub knows since now or no longer.

use crate::names::{GroupName, UserName};
use crate::snapshot::Group;
use std::collections::BTreeMap;

/// A user who joined or left a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MembershipChange {
    /// Who.
    pub user: UserName,
    /// Which group.
    pub group: GroupName,
    /// Which of both.
    pub change: Move,
}

/// What became of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Move {
    /// The user is a member now.
    Joined,
    /// The user was a member before.
    Left,
}

/// A user whom the hub got to know or forgot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserChange {
    /// Who.
    pub user: UserName,
    /// Which of both.
    pub change: Attendance,
}

/// What became of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attendance {
    /// The hub knows the user now.
    Added,
    /// The hub knew the user before.
    Removed,
}

/// Replaying the changes on the memberships of `before` gives those of `after`. Sorted by user,
/// then group.
///
/// All members of a group that is gone have left it. Without a `before` all members joined. A group
/// without members leaves no trace.
pub fn membership_changes(before: Option<&[Group]>, after: &[Group]) -> Vec<MembershipChange> {
    let before = members_by_group(before.unwrap_or_default());
    let after = members_by_group(after);
    let mut changes = Vec::new();
    let mut push_lacking = |from: &Members<'_>, in_other: &Members<'_>, change: Move| {
        for (&group, &members) in from {
            let others = in_other.get(group).copied().unwrap_or_default();
            let moved = lacking(members, others);
            changes.extend(moved.map(|user| MembershipChange {
                user: user.clone(),
                group: group.clone(),
                change,
            }));
        }
    };
    push_lacking(&before, &after, Move::Left);
    push_lacking(&after, &before, Move::Joined);
    changes.sort_unstable();
    changes
}

/// Replaying the changes on `before` gives `after`; both are sorted, as in a snapshot. Sorted by
/// user. Without a `before` all users were added.
pub fn user_changes(before: Option<&[UserName]>, after: &[UserName]) -> Vec<UserChange> {
    let before = before.unwrap_or_default();
    let change = |user: &UserName, change| UserChange {
        user: user.clone(),
        change,
    };
    let added = lacking(after, before).map(|user| change(user, Attendance::Added));
    let removed = lacking(before, after).map(|user| change(user, Attendance::Removed));
    let mut changes: Vec<UserChange> = added.chain(removed).collect();
    changes.sort_unstable();
    changes
}

type Members<'a> = BTreeMap<&'a GroupName, &'a [UserName]>;

fn members_by_group(groups: &[Group]) -> Members<'_> {
    let members = groups.iter().map(|group| (&group.name, &*group.members));
    members.collect()
}

/// Users that `others` does not have; both sorted. Usually nothing changed, which is quick to see.
fn lacking<'a>(users: &'a [UserName], others: &[UserName]) -> impl Iterator<Item = &'a UserName> {
    let users = if users == others { &[] } else { users };
    users
        .iter()
        .filter(|user| others.binary_search(user).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// `"physics: ada grace; empty:"`
    fn groups(text: &str) -> Vec<Group> {
        let groups = text.split(';').filter_map(|part| part.split_once(':'));
        let groups = groups.map(|(name, members)| {
            let members = members.split_whitespace().map(UserName::from);
            Group::new(name.trim().into(), members)
        });
        groups.collect()
    }

    fn render(changes: &[MembershipChange]) -> String {
        let changes = changes.iter().map(|change| match change.change {
            Move::Joined => format!("+{}@{}", change.user, change.group),
            Move::Left => format!("-{}@{}", change.user, change.group),
        });
        changes.collect::<Vec<_>>().join(" ")
    }

    fn check(before: &str, after: &str, expected: &str) {
        let changes = membership_changes(Some(&groups(before)), &groups(after));
        assert_eq!(render(&changes), expected);
    }

    #[test]
    fn nothing_changes_between_equal_groups() {
        check(
            "art: ada; physics: ada bob",
            "art: ada; physics: ada bob",
            "",
        );
    }

    #[test]
    fn users_join_and_leave() {
        check(
            "art: ada; physics: bob",
            "art: bob; physics: bob eve",
            "-ada@art +bob@art +eve@physics",
        );
    }

    #[test]
    fn all_members_leave_a_group_that_is_gone() {
        check("art: ada bob; empty:", "", "-ada@art -bob@art");
    }

    #[test]
    fn the_first_answer_makes_everybody_join() {
        let changes = membership_changes(None, &groups("art: ada; empty:"));
        assert_eq!(render(&changes), "+ada@art");
    }

    #[test]
    fn users_are_added_and_removed() {
        let before = ["ada", "bob"].map(UserName::from);
        let after = ["ada", "eve"].map(UserName::from);
        let changes = |before| {
            let changes = user_changes(before, &after).into_iter();
            let changes = changes.map(|change| format!("{} {:?}", change.user, change.change));
            changes.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(changes(Some(&before)), "bob Removed, eve Added");
        assert_eq!(changes(None), "ada Added, eve Added");
    }

    fn some_groups() -> impl Strategy<Value = Vec<Group>> {
        let members = proptest::collection::btree_set(0u8..6, 0..6);
        let groups = proptest::collection::btree_map(0u8..4, members, 0..4);
        groups.prop_map(|groups| {
            let groups = groups.into_iter().map(|(group, members)| {
                let members = members.iter().map(|user| UserName::new(format!("u{user}")));
                Group::new(GroupName::new(format!("g{group}")), members)
            });
            groups.collect()
        })
    }

    fn memberships(groups: &[Group]) -> BTreeSet<(UserName, GroupName)> {
        let members = groups.iter().flat_map(|group| {
            let members = group.members.iter();
            members.map(|user| (user.clone(), group.name.clone()))
        });
        members.collect()
    }

    proptest! {
        #[test]
        fn replaying_the_changes_gives_the_memberships_after(
            before in proptest::option::of(some_groups()),
            after in some_groups(),
        ) {
            let changes = membership_changes(before.as_deref(), &after);
            prop_assert!(changes.is_sorted());
            let mut replayed = memberships(before.as_deref().unwrap_or_default());
            for MembershipChange { user, group, change } in changes {
                let is_news = match change {
                    Move::Joined => replayed.insert((user, group)),
                    Move::Left => replayed.remove(&(user, group)),
                };
                prop_assert!(is_news);
            }
            prop_assert_eq!(replayed, memberships(&after));
        }

        #[test]
        fn replaying_the_changes_gives_the_users_after(
            before in proptest::collection::btree_set("[a-d]", 0..4),
            after in proptest::collection::btree_set("[a-d]", 0..4),
        ) {
            let names = |texts: &BTreeSet<String>| -> Vec<UserName> {
                texts.iter().map(|text| UserName::from(text.as_str())).collect()
            };
            let mut replayed: BTreeSet<UserName> = names(&before).into_iter().collect();
            for UserChange { user, change } in user_changes(Some(&names(&before)), &names(&after)) {
                let is_news = match change {
                    Attendance::Added => replayed.insert(user),
                    Attendance::Removed => replayed.remove(&user),
                };
                prop_assert!(is_news);
            }
            prop_assert_eq!(replayed.into_iter().collect::<Vec<_>>(), names(&after));
        }
    }
}
