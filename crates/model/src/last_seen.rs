//! When the hub last recorded that somebody did something, at a server or on the hub's own pages.
//!
//! Who has a server now is the business of [`crate::snapshot`]; the history of activity is not here.

use crate::names::UserName;
use jiff::Timestamp;
use std::collections::HashMap;

/// Of each user that the hub told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastSeen(HashMap<UserName, Seen>);

/// What the hub said of a user. Later is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// That they had never done anything when it said so. What they did since is not known.
    NotYet(Timestamp),
    /// When they last did something.
    At(Timestamp),
}

impl LastSeen {
    /// Hears of a user; of two moments the later one counts.
    pub fn tell(&mut self, user: &UserName, seen: Seen) {
        match self.0.get_mut(user) {
            Some(known) => *known = seen.max(*known),
            None => drop(self.0.insert(user.clone(), seen)),
        }
    }

    /// What is known of a user; `None` if nothing was told.
    pub fn of(&self, user: &UserName) -> Option<Seen> {
        self.0.get(user).copied()
    }

    /// The same users with what was told of them in `before`, if that is later. A list of users that is
    /// read every few hours is behind servers that are looked at each minute.
    #[must_use]
    pub fn not_before(mut self, before: &Self) -> Self {
        for (user, seen) in &mut self.0 {
            *seen = before.of(user).map_or(*seen, |known| known.max(*seen));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Seen {
        Seen::At(Timestamp::from_second(second).unwrap())
    }

    fn not_yet(second: i64) -> Seen {
        Seen::NotYet(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn the_later_moment_counts() {
        let ada = UserName::from("ada");
        let mut seen = LastSeen::default();
        assert_eq!(seen.of(&ada), None);
        for (told, known) in [
            (not_yet(2), not_yet(2)),
            (not_yet(1), not_yet(2)),
            (not_yet(4), not_yet(4)),
            (at(3), at(3)),
            (at(5), at(5)),
            (not_yet(6), at(5)),
            (at(3), at(5)),
            (at(7), at(7)),
        ] {
            seen.tell(&ada, told);
            assert_eq!(seen.of(&ada), Some(known));
        }
    }

    #[test]
    fn a_new_list_keeps_what_is_later_and_forgets_who_is_gone() {
        let [ada, ben, eve] = ["ada", "ben", "eve"].map(UserName::from);
        let (mut before, mut list) = (LastSeen::default(), LastSeen::default());
        before.tell(&ada, at(9));
        before.tell(&eve, at(9));
        list.tell(&ada, at(3));
        list.tell(&ben, not_yet(8));
        let list = list.not_before(&before);
        let known = [&ada, &ben, &eve].map(|user| list.of(user));
        assert_eq!(known, [Some(at(9)), Some(not_yet(8)), None]);
    }
}
