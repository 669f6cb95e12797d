//! The list of all users: who of them is meant, in which order, and a page of them at a time.
//!
//! It is made of the present alone, so that it is there at once with 10,000 users; only hours are asked
//! of the history, and only by whoever wants them in that order.

use model::last_seen::{LastSeen, Seen};
use model::names::UserName;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Users of a page.
pub(super) const PAGE: usize = 200;

/// In which order users stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Whoever was there last comes first.
    LastSeen,
    /// Whose servers ran longest lately.
    Hours,
    /// By name, without regard to capital letters.
    Name,
}

impl Order {
    pub(super) const ALL: [Self; 3] = [Self::LastSeen, Self::Hours, Self::Name];

    /// As addresses say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LastSeen => "seen",
            Self::Hours => "hours",
            Self::Name => "name",
        }
    }

    /// As people read it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::LastSeen => "last seen",
            Self::Hours => "hours of the last 30 days",
            Self::Name => "name",
        }
    }

    /// The order of this name; by name if there is none.
    pub(super) fn from_name(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|order| order.name() == name);
        found.unwrap_or(Self::Name)
    }
}

/// Who is meant.
pub(super) struct Wanted<'a> {
    /// A part of their names, in small letters.
    pub(super) search: String,
    /// Members of a group, sorted; `None` is everybody.
    pub(super) members: Option<&'a [UserName]>,
}

/// Those who are meant, in this order. Equals stand by name.
pub(super) fn ordered<'a>(
    users: &'a [UserName],
    wanted: &Wanted<'_>,
    order: Order,
    last_seen: &LastSeen,
    hours: &HashMap<UserName, f64>,
) -> Vec<&'a UserName> {
    let is_member = |user: &UserName| {
        let members = wanted.members;
        members.is_none_or(|members| members.binary_search(user).is_ok())
    };
    let named = users
        .iter()
        .filter(|user| is_member(user))
        .map(|user| Named {
            lower: user.as_str().to_lowercase(),
            user,
        });
    let mut found: Vec<Named<'_>> = named
        .filter(|named| named.lower.contains(&wanted.search))
        .collect();
    found.sort_by(|left, right| left.lower.cmp(&right.lower).then(left.user.cmp(right.user)));
    match order {
        Order::Name => {}
        Order::LastSeen => found.sort_by_key(|named| {
            let at = match last_seen.of(named.user) {
                Some(Seen::At(at)) => Some(at),
                Some(Seen::NotYet(_)) | None => None,
            };
            Reverse(at)
        }),
        Order::Hours => {
            let of = |named: &Named<'_>| hours.get(named.user).copied().unwrap_or(0.0);
            found.sort_by(|left, right| of(right).total_cmp(&of(left)));
        }
    }
    found.into_iter().map(|named| named.user).collect()
}

/// A user with the name as it is compared.
struct Named<'a> {
    lower: String,
    user: &'a UserName,
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn names(found: &[&UserName]) -> String {
        let names: Vec<&str> = found.iter().map(|user| user.as_str()).collect();
        names.join(" ")
    }

    /// Users of whom some were seen and some had servers, in an order.
    fn check(search: &str, members: Option<&[&str]>, order: Order, expected: &str) {
        let users: Vec<UserName> = ["Eve", "ada", "ben", "cleo", "dan"]
            .map(UserName::from)
            .into();
        let mut last_seen = LastSeen::default();
        let at = |second| Seen::At(Timestamp::from_second(second).unwrap());
        let not_yet = Seen::NotYet(Timestamp::from_second(10).unwrap());
        for (user, seen) in [("ada", at(5)), ("dan", at(9)), ("ben", not_yet)] {
            last_seen.tell(&user.into(), seen);
        }
        let hours = [("ben", 3.0), ("Eve", 8.5), ("dan", 3.0)];
        let hours = hours.map(|(user, hours)| (UserName::from(user), hours));
        let members: Option<Vec<UserName>> =
            members.map(|members| members.iter().map(|&user| user.into()).collect());
        let wanted = Wanted {
            search: search.to_owned(),
            members: members.as_deref(),
        };
        let found = ordered(&users, &wanted, order, &last_seen, &hours.into());
        assert_eq!(names(&found), expected, "{order:?}");
    }

    #[test]
    fn users_stand_in_the_order_that_was_chosen() {
        check("", None, Order::Name, "ada ben cleo dan Eve");
        check("", None, Order::LastSeen, "dan ada ben cleo Eve");
        check("", None, Order::Hours, "Eve ben dan ada cleo");
    }

    #[test]
    fn a_search_and_a_group_leave_out_the_others() {
        check("e", None, Order::Name, "ben cleo Eve");
        check("", Some(&["ada", "dan"]), Order::LastSeen, "dan ada");
        check("ad", Some(&["ada", "dan"]), Order::Name, "ada");
        check("zoë", None, Order::Name, "");
    }

    #[test]
    fn an_order_that_nobody_knows_is_that_of_names() {
        for order in Order::ALL {
            assert_eq!(Order::from_name(order.name()), order);
        }
        assert_eq!(Order::from_name("'; drop"), Order::Name);
    }
}
