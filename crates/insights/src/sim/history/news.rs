//! Who came to the hub and went, and who joined and left which group.

use super::History;
use super::calendar::timestamp;
use super::incidents::Polls;
use super::people::Person;
use jiff::Timestamp;
use model::diff::{Attendance, MembershipChange, Move, UserChange};

/// A membership that polling saw change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberNews {
    /// The poll that saw it.
    pub at: Timestamp,
    /// The poll before; `None` for those who were there when the history began.
    pub not_before: Option<Timestamp>,
    /// What changed.
    pub change: MembershipChange,
}

/// A user whom polling saw come or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserNews {
    /// The poll that saw it.
    pub at: Timestamp,
    /// The poll before; `None` for those who were there when the history began.
    pub not_before: Option<Timestamp>,
    /// What changed.
    pub change: UserChange,
}

impl History {
    /// Everybody's memberships, in the order of time.
    pub fn members(&self) -> Vec<MemberNews> {
        let mut news = Vec::new();
        for person in &self.people {
            for stay in &person.stays {
                let mut push = |poll: Look, change| {
                    let (user, group) = (person.name.clone(), stay.group.clone());
                    news.push(MemberNews {
                        at: poll.at,
                        not_before: poll.not_before,
                        change: MembershipChange {
                            user,
                            group,
                            change,
                        },
                    });
                };
                push(self.look(stay.from), Move::Joined);
                if let Some(left) = stay.to {
                    push(self.look(left), Move::Left);
                }
            }
        }
        news.sort_by(|left, right| (left.at, &left.change).cmp(&(right.at, &right.change)));
        news
    }

    /// Everybody's coming and going, in the order of time.
    pub fn users(&self) -> Vec<UserNews> {
        let mut news = Vec::new();
        for person in &self.people {
            let mut push = |poll: Look, change| {
                let user = person.name.clone();
                news.push(UserNews {
                    at: poll.at,
                    not_before: poll.not_before,
                    change: UserChange { user, change },
                });
            };
            push(self.look(person.from), Attendance::Added);
            if person.has_left(self.calendar.until) {
                push(self.look(person.to), Attendance::Removed);
            }
        }
        news.sort_by(|left, right| (left.at, &left.change).cmp(&(right.at, &right.change)));
        news
    }

    /// The poll that saw what happened at this time.
    fn look(&self, at: i64) -> Look {
        let poll = self.polls.after(at);
        let is_first = at <= self.calendar.begin;
        Look {
            at: timestamp(poll),
            not_before: (!is_first).then(|| timestamp(self.polls.before(at))),
        }
    }
}

struct Look {
    at: Timestamp,
    not_before: Option<Timestamp>,
}

impl Person {
    pub(super) fn has_left(&self, until: i64) -> bool {
        self.to < until
    }

    /// Polls that saw the user for the first time, and missed them.
    pub(super) fn polls(&self, polls: &Polls, until: i64) -> (i64, Option<i64>) {
        let missed = self.has_left(until).then(|| polls.after(self.to));
        (polls.after(self.from), missed)
    }
}
