//! What was used on closed days: into the rows of days that are closed, and into those of days whose
//! usage came later. It is summed in [`crate::used`].
//!
//! Sessions and usage of a day are told by different people at different times, so that each keeps
//! what is known of the other.

use super::days::last_over;
use super::recorded_days::recorded_between;
use super::{Hub, at_hand_since, keep_day, last_closed, nothing, used_of, user_day_row};
use crate::state::used_days::{self, Marked};
use crate::state::{
    StateError, forget_setting, keep_setting, setting, settings, settings_named, spool,
};
use crate::tables;
use jiff::Timestamp;
use model::days::Day;
use model::names::UserName;
use model::usage::Used;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Rows that one transaction looks at, or those of one day.
const ROWS_AT_ONCE: usize = if cfg!(test) { 10 } else { 10_000 };
/// What is one zone's day is another's two days later at most.
const DAYS_BETWEEN_ZONES: i64 = 2;

/// Some days and what was used on them.
#[derive(Debug, Default)]
pub(crate) struct UsedDays(BTreeMap<Day, UsedDay>);

/// A day as the history tells of it.
#[derive(Debug)]
pub(crate) struct UsedDay {
    pub(crate) marked: Marked,
    /// Who used something.
    pub(crate) used: BTreeMap<UserName, Used>,
    /// What the day's rows say, the highest revision of each.
    pub(crate) known: BTreeMap<UserName, tables::UserDay>,
}

/// Days whose rows are corrected in one transaction.
pub(crate) type Piece = RangeInclusive<Day>;

impl UsedDays {
    pub(crate) fn new(days: Vec<UsedDay>) -> Self {
        let days = days.into_iter().map(|day| (day.marked.day, day));
        Self(days.collect())
    }

    pub(crate) fn last(&self) -> Option<Day> {
        self.0.last_key_value().map(|(day, _)| *day)
    }

    /// What somebody used; `None` if the day was not looked at.
    pub(super) fn of(&self, day: Day, user: &UserName) -> Option<Used> {
        let of_day = self.0.get(&day)?;
        Some(of_day.used.get(user).copied().unwrap_or_default())
    }

    /// All days in order, in as few transactions as nobody waits long for.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut n_in_last = 0;
        for (day, of_day) in &self.0 {
            let n_rows = of_day.used.len() + of_day.known.len();
            match pieces.last_mut() {
                Some(last) if n_in_last + n_rows <= ROWS_AT_ONCE => {
                    n_in_last += n_rows;
                    *last = *last.start()..=*day;
                }
                _ => {
                    n_in_last = n_rows;
                    pieces.push(*day..=*day);
                }
            }
        }
        pieces
    }

    /// Corrects rows of closed days that say something else; gives how many. Called within a
    /// transaction.
    pub(crate) fn correct(
        &self,
        connection: &Connection,
        hub: &Hub,
        piece: Piece,
        now: Timestamp,
    ) -> Result<usize, StateError> {
        let since = at_hand_since(hub, last_closed(connection, &hub.name)?, now);
        let first_at_hand = Day::of(since, &hub.zone);
        let mut recorded: BTreeMap<Day, Rows> = BTreeMap::new();
        for row in recorded_between(connection, &hub.name, *piece.start(), *piece.end())? {
            let of_day = recorded.entry(Day::new(row.day)).or_default();
            of_day.insert(row.user.clone(), row);
        }
        let mut changed = Vec::new();
        for (day, of_day) in self.0.range(piece) {
            let recorded = recorded.remove(day).unwrap_or_default();
            let looked_at = of_day.look(hub, &recorded);
            if *day >= first_at_hand {
                let kept = looked_at.changed.iter().chain(&looked_at.not_at_hand);
                kept.into_iter()
                    .try_for_each(|row| keep_day(connection, &hub.name, row))?;
            }
            changed.extend(looked_at.changed);
            used_days::clear(connection, &hub.name, of_day.marked)?;
        }
        spool::append_all_derived(connection, &hub.name, &changed)?;
        Ok(changed.len())
    }
}

type Rows = BTreeMap<UserName, tables::UserDay>;

/// Rows of a day.
#[derive(Default)]
struct LookedAt {
    /// New revisions.
    changed: Vec<tables::UserDay>,
    /// Those that say what they should, and that `state.db` does not know of.
    not_at_hand: Vec<tables::UserDay>,
}

impl UsedDay {
    fn look(&self, hub: &Hub, recorded: &Rows) -> LookedAt {
        let mut looked_at = LookedAt::default();
        let users = self.used.keys().chain(self.known.keys());
        let users: BTreeSet<&UserName> = users.chain(recorded.keys()).collect();
        for user in users {
            let used = self.used.get(user).copied().unwrap_or_default();
            let (at_hand, known) = (recorded.get(user), self.known.get(user));
            let newest = at_hand.into_iter().chain(known);
            match newest.max_by_key(|row| row.revision) {
                Some(known)
                    if used_of(known) == used
                        && at_hand.is_none_or(|at_hand| at_hand.revision < known.revision) =>
                {
                    looked_at.not_at_hand.push(known.clone());
                }
                Some(known) if used_of(known) == used => {}
                Some(known) => looked_at.changed.push(tables::UserDay {
                    revision: known.revision + 1,
                    cpu_core_seconds: used.cpu_core_seconds,
                    memory_byte_seconds: used.memory_byte_seconds,
                    gpu_seconds: used.gpu_seconds,
                    ..known.clone()
                }),
                None if used.is_any() => {
                    let without_sessions = nothing(self.marked.day, user);
                    let row = user_day_row(&hub.name, &without_sessions, &used, 1);
                    looked_at.changed.push(row);
                }
                None => {}
            }
        }
        looked_at
    }
}

/// The first marked days of one month that are over, after a day. None while somebody is half
/// erased: what they used would be told of two people.
pub(crate) fn marked_days(
    connection: &Connection,
    hub: &Hub,
    after: Option<Day>,
) -> Result<Vec<Marked>, StateError> {
    let Some(upto) = last_over(connection, hub)? else {
        return Ok(Vec::new());
    };
    let mut marked = used_days::marked(connection, &hub.name, after, upto)?;
    let month = |marked: &Marked| marked.day.date().first_of_month();
    if let Some(first) = marked.first().map(month) {
        marked.retain(|marked| month(marked) == first);
        if !settings_named(connection, &settings::erasing(&hub.name, ""))?.is_empty() {
            marked.clear();
        }
    }
    Ok(marked)
}

/// Whether all usage that the history holds is summed, but for days that are marked.
pub(crate) fn are_all_marked(connection: &Connection, hub: &str) -> Result<bool, StateError> {
    Ok(setting(connection, &settings::summed(hub))?.is_some())
}

/// Marks all days that the spool or the history, from one day to another, holds usage of; another
/// zone's may be others.
pub(crate) fn keep_all_marked(
    connection: &Connection,
    hub: &Hub,
    in_history: Option<RangeInclusive<Day>>,
) -> Result<(), StateError> {
    let waiting = used_days::waiting(connection, hub)?;
    for days in in_history.into_iter().chain(waiting) {
        let far = jiff::Span::new().days(DAYS_BETWEEN_ZONES);
        let mut day = Day::new(days.start().date().saturating_sub(far));
        let last = Day::new(days.end().date().saturating_add(far));
        while day <= last {
            used_days::mark(connection, hub, day)?;
            day = day.next();
        }
    }
    keep_setting(connection, &settings::summed(&hub.name), "")
}

/// The usage of all days is to be summed again.
pub(crate) fn sum_all_again(connection: &Connection, hub: &str) -> Result<(), StateError> {
    forget_setting(connection, &settings::summed(hub))
}
