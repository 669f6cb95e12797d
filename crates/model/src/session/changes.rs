//! What to record when a derivation differs from what is recorded.
//!
//! Recorded rows are never changed, only outdated by a row of a higher revision. How rows are
//! named and stored does not belong here.

use super::Session;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A session as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// What is known about it.
    pub session: Session,
    /// From 1; of several rows of one `started` the highest counts.
    pub revision: u32,
    /// Whether it still counts.
    pub standing: Standing,
}

/// Whether a recorded session counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It does.
    Valid,
    /// Later news say that there was no such session, or that it has not ended.
    Withdrawn,
}

/// The rows to write, sorted by `started`, so that `before` then tells what `after` does.
///
/// `before` is what is recorded of one key, in any order, also with outdated revisions. `after` is
/// a derivation of the same key; sessions that have not ended are not recorded.
pub fn changes(before: &[Recorded], after: &[Session]) -> Vec<Recorded> {
    let before = latest(before);
    let after = after.iter().filter(|session| session.end.is_some());
    let after: BTreeMap<Timestamp, &Session> =
        after.map(|session| (session.started, session)).collect();
    let starts: BTreeSet<&Timestamp> = before.keys().chain(after.keys()).collect();
    let rows = starts
        .into_iter()
        .filter_map(|started| change(before.get(started).copied(), after.get(started).copied()));
    rows.collect()
}

fn latest(recorded: &[Recorded]) -> BTreeMap<Timestamp, &Recorded> {
    let mut latest: BTreeMap<Timestamp, &Recorded> = BTreeMap::new();
    for row in recorded {
        let known = latest.entry(row.session.started).or_insert(row);
        if known.revision < row.revision {
            *known = row;
        }
    }
    latest
}

fn change(before: Option<&Recorded>, after: Option<&Session>) -> Option<Recorded> {
    let after_standing = match after {
        Some(_) => Standing::Valid,
        None => Standing::Withdrawn,
    };
    // A withdrawn row repeats what it withdraws.
    let session = after.or(before.map(|before| &before.session))?;
    if before.is_some_and(|before| before.standing == after_standing && before.session == *session)
    {
        return None;
    }
    Some(Recorded {
        session: session.clone(),
        revision: before.map_or(1, |before| before.revision + 1),
        standing: after_standing,
    })
}
