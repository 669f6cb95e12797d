//! News as rows of the history.

use crate::hub::Number;
use jiff::Timestamp;
use model::diff::{Attendance, MembershipChange, Move, Running, UserChange};
use model::snapshot::Server;
use std::sync::Arc;
use store::tables::{Event, Membership, Observation, RowId};

/// When news was seen.
pub(super) struct Seen<'a> {
    pub(super) hub: &'a Arc<str>,
    pub(super) at: Timestamp,
    /// The last look before.
    pub(super) not_before: Option<Timestamp>,
}

/// What kind of change of a membership it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Ordinary,
    GroupDeleted,
    NotCollected,
    NewlyCollected,
}

impl Seen<'_> {
    pub(super) fn membership(&self, change: &MembershipChange, why: Why) -> Membership {
        let word = match change.change {
            Move::Joined => "joined",
            Move::Left => "left",
        };
        let at = self.at.to_string();
        let (user, group) = (change.user.as_str(), change.group.as_str());
        Membership {
            id: RowId::of(&["membership", self.hub, user, group, &at, word]),
            hub: Arc::clone(self.hub),
            user: change.user.clone(),
            group: change.group.clone(),
            at: self.at,
            not_before: self.not_before.filter(|_| why != Why::NewlyCollected),
            change: word.into(),
            reason: match why {
                Why::Ordinary | Why::NewlyCollected => None,
                Why::GroupDeleted => Some("group deleted".into()),
                Why::NotCollected => Some("not collected".into()),
            },
        }
    }

    pub(super) fn user(&self, change: &UserChange) -> Event {
        let kind = match change.change {
            Attendance::Added => "user-added",
            Attendance::Removed => "user-removed",
        };
        Event::about_user(self.hub, kind, &change.user, self.at, self.not_before)
    }

    pub(super) fn observation(&self, number: &Number) -> Observation {
        observation(self.hub, number, self.at)
    }
}

/// A number that was read at a moment.
pub(crate) fn observation(hub: &Arc<str>, number: &Number, at: Timestamp) -> Observation {
    let labels: Arc<str> = number.labels_json().into();
    let text = at.to_string();
    Observation {
        id: RowId::of(&["observation", hub, &text, &number.name, &labels]),
        hub: Arc::clone(hub),
        at,
        name: Arc::clone(&number.name),
        labels,
        value: number.value,
        min: None,
        max: None,
        last: None,
        n: None,
    }
}

/// A server as the snapshot shows it.
pub(super) fn server_of(running: &Running) -> Server {
    Server {
        user: running.key.user.clone(),
        name: Arc::clone(&running.key.server),
        started: Some(running.started),
        last_activity: running.tally.last_activity,
        ready: true,
        pending: None,
        options: running.options.clone(),
        image: running.image.clone(),
    }
}
