//! The present, as the hub last told it: groups and their members, all users, running servers.
//!
//! How it was fetched (pages, retries) and how old it may get do not belong here. The history
//! is rows of tables; a snapshot has no past.

use crate::last_seen::LastSeen;
use crate::names::{GroupName, UserName};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One group with its members, sorted by name, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group's name.
    pub name: GroupName,
    /// Sorted, without repetitions. Empty groups exist.
    pub members: Arc<[UserName]>,
    /// Who looks after it, as its property [`OWNERS_PROPERTY`] says; sorted, without repetitions. `None` of
    /// a group as the history has it: only the hub tells.
    pub owners: Option<Arc<[UserName]>>,
}

/// The property of a group at the hub that names its owners: a list of names, or one text with commas
/// between them.
pub const OWNERS_PROPERTY: &str = "insights_owners";

impl Group {
    /// Sorts the members and drops repetitions.
    pub fn new(name: GroupName, members: impl IntoIterator<Item = UserName>) -> Self {
        Self {
            name,
            members: sorted(members),
            owners: None,
        }
    }

    /// The same with these owners.
    #[must_use]
    pub fn owned_by(self, owners: impl IntoIterator<Item = UserName>) -> Self {
        Self {
            owners: Some(sorted(owners)),
            ..self
        }
    }
}

fn sorted(names: impl IntoIterator<Item = UserName>) -> Arc<[UserName]> {
    let names: BTreeSet<UserName> = names.into_iter().collect();
    names.into_iter().collect()
}

/// A server that the hub lists as active: running, starting or stopping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whose it is.
    pub user: UserName,
    /// `""` is the user's default server.
    pub name: Arc<str>,
    /// When the hub started it; unknown for a moment while it is pending.
    pub started: Option<Timestamp>,
    /// Last traffic or activity report, about five minutes exact.
    pub last_activity: Option<Timestamp>,
    /// Whether it answers.
    pub ready: bool,
    /// What it is on the way to, if to anything.
    pub pending: Option<Pending>,
    /// What the user chose when it was started (profile, image, ...): `user_options` as JSON text,
    /// `None` when that is empty or hidden.
    pub options: Option<Arc<str>>,
    /// Image it runs, where the hub tells.
    pub image: Option<Arc<str>>,
}

/// What a server is on the way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// It is starting.
    Spawn,
    /// It is stopping.
    Stop,
    /// Something else, as when a hub that was restarted finds out whether it still runs.
    Other,
}

/// One complete answer of the hub and when it was complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated<T> {
    /// What the hub said.
    pub value: T,
    /// When the read that brought it was complete.
    pub at: Timestamp,
}

/// What is known of the hub now. `None`: not one complete answer yet.
///
/// Each part is replaced whole or not at all, so that an error keeps the last truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Sorted by name.
    pub groups: Option<Dated<Arc<[Group]>>>,
    /// Everybody the hub knows, also those who never logged in; sorted.
    pub users: Option<Dated<Arc<[UserName]>>>,
    /// Active servers, sorted by user and name.
    pub servers: Option<Dated<Arc<[Server]>>>,
    /// When the hub last saw whom, as far as it was told since this process began.
    pub last_seen: Arc<LastSeen>,
}

/// Sorts groups by name; of two answers about one group the later counts.
///
/// Offset paging over a table that changes can show a group twice.
pub fn sorted_groups(mut groups: Vec<Group>) -> Arc<[Group]> {
    groups.reverse();
    groups.sort_by(|left, right| left.name.cmp(&right.name));
    groups.dedup_by(|next, kept| next.name == kept.name);
    groups.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_and_unique() {
        let group = Group::new(
            "physics".into(),
            ["grace", "ada", "grace"].map(UserName::from),
        );
        assert_eq!(&*group.members, &["ada", "grace"].map(UserName::from));
    }

    #[test]
    fn of_two_answers_about_a_group_the_later_counts() {
        let group = |member: &str| Group::new("physics".into(), [UserName::from(member)]);
        let other = Group::new("art".into(), []);
        let groups = sorted_groups(vec![group("old"), other, group("new")]);
        assert_eq!(groups.len(), 2);
        assert_eq!(&*groups[1].members, &["new"].map(UserName::from));
    }
}
