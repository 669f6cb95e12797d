//! Going on from a history that was not collected row by row, as that of the demo.

use super::used::keep_all_marked;
use super::{Hub, keep_day, keep_last_closed, keep_recorded};
use crate::state::facts::{self, AT_HAND};
use crate::state::spool::{Intake, begin_by};
use crate::state::{StateError, present, used_days};
use crate::tables;
use jiff::Timestamp;
use model::days::Day;
use model::fact::{Fact, KeyedFact, ServerKey};
use model::session::{self, Recorded, Standing};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// What has to be at hand of a history that was written at once.
#[derive(Debug)]
pub struct Adopted {
    /// When it begins.
    pub begin: Timestamp,
    /// The last day with rows in `user_days`, which tell what was used.
    pub last_closed: Day,
    /// All facts of the sessions that run or ended lately, whole sessions only.
    pub facts: Vec<KeyedFact>,
    /// The rows of `user_days` of the last days.
    pub days: Vec<tables::UserDay>,
    /// The present.
    pub present: Vec<present::Change>,
}

/// Called within a transaction.
pub(crate) fn adopt(
    connection: &Connection,
    hub: &Hub,
    adopted: Adopted,
    now: Timestamp,
) -> Result<(), StateError> {
    begin_by(connection, &hub.name, adopted.begin)?;
    keep_last_closed(connection, &hub.name, adopted.last_closed)?;
    let recent = now.saturating_sub(AT_HAND).unwrap_or(Timestamp::MIN);
    let mut by_key: BTreeMap<ServerKey, Vec<Fact>> = BTreeMap::new();
    for KeyedFact { key, fact } in adopted.facts {
        by_key.entry(key).or_default().push(fact);
    }
    for (key, known) in by_key {
        for fact in &known {
            facts::put(connection, &hub.name, &key, fact)?;
        }
        for session in session::sessions(&known) {
            if session.end.is_some_and(|end| end.at >= recent) {
                let recorded = Recorded {
                    session,
                    revision: 1,
                    standing: Standing::Valid,
                };
                keep_recorded(connection, &hub.name, &key, &recorded)?;
            }
        }
    }
    for day in &adopted.days {
        keep_day(connection, &hub.name, day)?;
    }
    // Of the day that is not over there is usage in the history already.
    used_days::mark(connection, hub, adopted.last_closed.next())?;
    keep_all_marked(connection, hub, None)?;
    let mut intake = Intake::default();
    adopted
        .present
        .into_iter()
        .for_each(|change| intake.present(change));
    intake.write(connection, hub, now)?;
    Ok(())
}
