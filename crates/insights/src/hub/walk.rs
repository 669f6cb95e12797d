//! Everybody the hub knows, read a page at a time, so slowly that the hub does not notice.
//!
//! The hub lists users in the order they were made, so new users are at the end, and asking for
//! the last known user and what follows tells at small cost whether somebody came or went: a
//! deletion moves all later users forward, and then the last known one is not where it was.
//! Only a rename can hide from that; the complete walk every few hours finds it.

use super::client::HubClient;
use super::error::HubError;
use super::pages::PageSize;
use super::replies;
use model::names::UserName;
use std::sync::Arc;
use std::time::Instant;

/// The state of the walk.
#[derive(Debug, Default)]
pub struct UserWalk {
    size: PageSize,
    /// In the hub's order, up to where the walk is.
    names: Vec<UserName>,
    /// Whether `names` was once the whole list.
    is_complete: bool,
}

/// What one page brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalkStep {
    /// There are more pages; `None` is known as complete yet.
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
        self.is_complete = false;
    }

    /// Asks for one page, starting with the last user known.
    ///
    /// # Errors
    /// A page that could not be read; the walk stands where it stood.
    pub async fn step(&mut self, hub: &HubClient) -> Result<WalkStep, HubError> {
        let anchor_offset = (self.names.len() as u64).saturating_sub(1);
        // One more than is expected, so that a page of one never stands still on its anchor.
        let limit = if self.is_complete {
            10
        } else {
            self.size.limit()
        };
        let path = format!("users?offset={anchor_offset}&limit={limit}");
        let started = Instant::now();
        let page = hub.page(&path, "users", replies::user).await?;
        if !self.is_complete {
            self.size.learn(started.elapsed());
        }
        if page.offset != anchor_offset {
            let problem = format!(
                "asked for the page at {anchor_offset}, got that at {}",
                page.offset
            );
            return Err(HubError::InconsistentPages {
                path: "/users",
                problem,
            });
        }
        let was_complete = self.is_complete;
        let mut items = page.items.into_iter();
        if let Some(anchor) = self.names.last()
            && items.next().as_ref() != Some(anchor)
        {
            self.restart();
            return Ok(WalkStep::Underway);
        }
        let n_before = self.names.len();
        self.names.extend(items);
        let n_known = self.names.len() as u64;
        if page.next_offset.is_some_and(|next| next < page.total) && n_known < page.total {
            self.is_complete = false;
            return if self.names.len() == n_before {
                Err(stuck(anchor_offset, page.total))
            } else {
                Ok(WalkStep::Underway)
            };
        }
        if n_known != page.total {
            self.restart();
            let problem = format!("{n_known} users arrived, {} were announced", page.total);
            return Err(HubError::InconsistentPages {
                path: "/users",
                problem,
            });
        }
        self.is_complete = true;
        if was_complete && self.names.len() == n_before {
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
            let problem = format!("{n_repeated} users were listed twice");
            return Err(HubError::InconsistentPages {
                path: "/users",
                problem,
            });
        }
        Ok(WalkStep::Complete(sorted.into()))
    }
}

fn stuck(offset: u64, total: u64) -> HubError {
    HubError::InconsistentPages {
        path: "/users",
        problem: format!("the page at {offset} of {total} brings nobody new"),
    }
}
