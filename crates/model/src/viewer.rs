//! Who looks, and what they may see. Pure: who somebody is was found out elsewhere.
//!
//! What is hidden inside of what may be seen (small groups) is the business of [`crate::suppression`].

use crate::names::{GroupName, UserName};
use std::collections::BTreeSet;

/// Somebody who has proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Their name at the hub.
    pub user: UserName,
    /// What they are here.
    pub standing: Standing,
    /// Groups that are theirs to look after. An administrator sees all groups without owning them.
    pub owns: BTreeSet<GroupName>,
}

/// What somebody is here; each may do more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Sees themselves.
    User,
    /// Sees their groups too.
    Owner,
    /// Sees everything.
    Admin,
}

/// Something that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight<'a> {
    /// The hub with everybody on it.
    Hub,
    /// A group with its members.
    Group(&'a GroupName),
    /// One person.
    Person(&'a UserName),
}

impl Viewer {
    /// Somebody with these groups to look after.
    pub fn new(user: UserName, is: Authority, owns: BTreeSet<GroupName>) -> Self {
        let standing = match is {
            Authority::Administrator => Standing::Admin,
            Authority::Ordinary if owns.is_empty() => Standing::User,
            Authority::Ordinary => Standing::Owner,
        };
        Self {
            user,
            standing,
            owns,
        }
    }

    /// Whether this may be looked at. A person's page is theirs and the administrators'; owners of a
    /// group see its members on the group's page only, where days outside of the membership are left
    /// out.
    pub fn may_see(&self, what: Sight<'_>) -> bool {
        match what {
            _ if self.standing == Standing::Admin => true,
            Sight::Hub => false,
            Sight::Group(group) => self.owns.contains(group),
            Sight::Person(user) => self.user == *user,
        }
    }
}

/// Whether somebody was made an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Of the hub, or by a scope or group that the configuration names.
    Administrator,
    /// Nobody made them one.
    Ordinary,
}

impl Standing {
    /// In tables and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Owner => "group owner",
            Self::Admin => "admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(is: Authority, owns: &[&str]) -> Viewer {
        let owns = owns.iter().map(|group| GroupName::from(*group)).collect();
        Viewer::new("ada".into(), is, owns)
    }

    #[test]
    fn each_sees_what_is_theirs() {
        let (physics, art) = (GroupName::from("physics"), GroupName::from("art"));
        let (ada, ben) = (UserName::from("ada"), UserName::from("ben"));
        let sights = [
            Sight::Hub,
            Sight::Group(&physics),
            Sight::Group(&art),
            Sight::Person(&ada),
            Sight::Person(&ben),
        ];
        let seen = |viewer: &Viewer| sights.map(|sight| viewer.may_see(sight));
        let user = viewer(Authority::Ordinary, &[]);
        assert_eq!(seen(&user), [false, false, false, true, false]);
        let owner = viewer(Authority::Ordinary, &["physics"]);
        assert_eq!(seen(&owner), [false, true, false, true, false]);
        let admin = viewer(Authority::Administrator, &["physics"]);
        assert_eq!(seen(&admin), [true; 5]);
        assert_eq!(owner.standing, Standing::Owner);
        assert!(Standing::User < Standing::Owner && Standing::Owner < Standing::Admin);
    }
}
