//! Everybody the hub knows, read a page at a time, so slowly that the hub does not notice.
//!
//! The hub lists users in the order they were made, so new users are at the end, and asking for
//! the last known user and what follows tells at small cost whether somebody came or went: a
//! deletion moves all later users forward, and then the last known one is not where it was.
//! Only a rename can hide from that; the complete walk every few hours finds it.

use super::client::HubClient;
use super::error::HubError;
use super::pages::PageSize;
use super::replies::{self, ListedUser};
use jiff::Timestamp;
use model::last_seen::LastSeen;
use model::names::UserName;
use std::sync::Arc;
use std::time::Instant;

/// Users asked for when the list is complete: the last known one and who came since.
const TAIL_LIMIT: u64 = 10;
/// Walks that a deletion may end before it counts as an error.
const RESTARTS_MAX: u32 = 5;

/// The state of the walk.
#[derive(Debug, Default)]
pub struct UserWalk {
    size: PageSize,
    /// In the hub's order, up to where the walk is.
    names: Vec<UserName>,
    /// When the hub last saw them, as their pages said.
    seen: LastSeen,
    /// Whether `names` was once the whole list.
    is_complete: bool,
    /// Walks in a row that a deletion ended.
    n_restarts: u32,
}

/// What one page brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalkStep {
    /// There are more pages.
    Underway,
    /// Nobody came or went since the list was complete.
    Unchanged,
    /// The whole list, sorted.
    Complete(Arc<[UserName]>),
}

impl UserWalk {
    /// Starts over at the next step; what was complete is the caller's to keep.
    pub fn restart(&mut self) {
        self.names.clear();
        self.seen = LastSeen::default();
        self.is_complete = false;
    }

    /// When the hub last saw those that are known so far.
    pub fn last_seen(&self) -> &LastSeen {
        &self.seen
    }

    /// Whoever came last, of whom the hub tells at each step.
    pub fn newest(&self) -> Option<&UserName> {
        self.names.last()
    }

    /// Asks for one page, starting with the last user known; it is `now`.
    ///
    /// # Errors
    /// A page that could not be read, or a list that changes faster than it can be read.
    pub async fn step(&mut self, hub: &HubClient, now: Timestamp) -> Result<WalkStep, HubError> {
        let anchor_offset = (self.names.len() as u64).saturating_sub(1);
        let limit = if self.is_complete {
            TAIL_LIMIT
        } else {
            self.size.limit()
        };
        let path = format!("users?offset={anchor_offset}&limit={limit}");
        let started = Instant::now();
        let page = hub
            .page(&path, "users", |reply| replies::listed_user(reply, now))
            .await?;
        if !self.is_complete {
            self.size.learn(started.elapsed());
        }
        if page.offset != anchor_offset {
            let got = page.offset;
            return Err(inconsistent(format!(
                "asked for the page at {anchor_offset}, got {got}"
            )));
        }
        let mut items = page.items.into_iter();
        if let Some(anchor) = self.names.last() {
            let Some(known) = items.next().filter(|user| user.name == *anchor) else {
                return self.start_over();
            };
            self.hear(&known);
        }
        let n_before = self.names.len();
        for user in items {
            self.hear(&user);
            self.names.push(user.name);
        }
        self.judge(n_before, page.total, page.next_offset)
    }

    fn hear(&mut self, user: &ListedUser) {
        if let Some(seen) = user.seen {
            self.seen.tell(&user.name, seen);
        }
    }

    /// Somebody before the last known user is gone, so everybody after moved.
    fn start_over(&mut self) -> Result<WalkStep, HubError> {
        self.restart();
        self.n_restarts += 1;
        if self.n_restarts < RESTARTS_MAX {
            return Ok(WalkStep::Underway);
        }
        self.n_restarts = 0;
        Err(inconsistent(format!(
            "users were deleted during {RESTARTS_MAX} walks in a row"
        )))
    }

    /// What a page that fits brought, after `n_before` users.
    fn judge(
        &mut self,
        n_before: usize,
        total: u64,
        next_offset: Option<u64>,
    ) -> Result<WalkStep, HubError> {
        let n_known = self.names.len() as u64;
        let is_new = self.names.len() > n_before;
        if next_offset.is_some() && n_known < total {
            self.is_complete = false;
            return if is_new {
                Ok(WalkStep::Underway)
            } else {
                Err(inconsistent(format!(
                    "the page at {n_before} of {total} brings nobody new"
                )))
            };
        }
        if n_known != total {
            self.restart();
            return Err(inconsistent(format!(
                "{n_known} users arrived, {total} were announced"
            )));
        }
        self.n_restarts = 0;
        if std::mem::replace(&mut self.is_complete, true) && !is_new {
            return Ok(WalkStep::Unchanged);
        }
        self.complete()
    }

    fn complete(&mut self) -> Result<WalkStep, HubError> {
        let mut sorted = self.names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != self.names.len() {
            let n_repeated = self.names.len() - sorted.len();
            self.restart();
            return Err(inconsistent(format!(
                "{n_repeated} users were listed twice"
            )));
        }
        Ok(WalkStep::Complete(sorted.into()))
    }
}

fn inconsistent(problem: String) -> HubError {
    HubError::InconsistentPages {
        path: "/users",
        problem,
    }
}
