//! Who was erased, as keyed digests: enough to refuse older rows, not enough to name anybody.
//!
//! Rows of the name from after the erasure are a new person's. A server that ran across it is cut:
//! what came before belongs to the pseudonym, so that the new person's begins at the erasure.

use super::{StateError, spool};
use jiff::{SignedDuration, Timestamp};
use model::diff::Running;
use model::fact::{Fact, KeyedFact, What};
use model::names::UserName;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;

/// Digests of rows begin with this, those of names with a hexadecimal digit.
const ROW: &str = "row:";
/// Sorts after all digests of names and before those of rows.
const AFTER_NAMES: &str = "g";

/// The erased names of one hub.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    key: String,
    by_digest: HashMap<String, Timestamp>,
}

/// What becomes of a row that arrives.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is taken.
    Take,
    /// It is of the time before its user was erased.
    Refuse,
    /// It tells of a server that ran when its user was erased; this part of it is taken.
    TakePart(KeyedFact),
}

impl Tombstones {
    pub(crate) fn of(connection: &Connection, hub: &str) -> Result<Self, StateError> {
        let mut select = connection
            .prepare_cached("select digest, at from tombstones where hub = ?1 and digest < ?2")?;
        let found = select.query_map([hub, AFTER_NAMES], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut by_digest = HashMap::new();
        for pair in found {
            let (digest, at): (String, i64) = pair?;
            by_digest.insert(digest, super::time(at)?);
        }
        let key = if by_digest.is_empty() {
            String::new()
        } else {
            spool::secret_key(connection)?
        };
        Ok(Self { key, by_digest })
    }

    /// When the user was erased.
    fn erased(&self, user: &UserName) -> Option<Timestamp> {
        if self.by_digest.is_empty() {
            return None;
        }
        self.by_digest
            .get(&digest(&self.key, user.as_str()))
            .copied()
    }

    /// What becomes of a row of this user and time.
    pub(crate) fn judge(
        &self,
        user: Option<&UserName>,
        at: Timestamp,
        fact: Option<&KeyedFact>,
    ) -> Verdict {
        let Some(erased) = user.and_then(|user| self.erased(user)) else {
            return Verdict::Take;
        };
        if at <= erased {
            return Verdict::Refuse;
        }
        match fact.and_then(|fact| part_after(erased, fact)) {
            Some(part) => Verdict::TakePart(part),
            None => Verdict::Take,
        }
    }

    /// Whether this row named an erased person when it was first taken. Rows of others are known
    /// by their ids, not by their user.
    pub(crate) fn refuse_row(
        &self,
        connection: &Connection,
        hub: &str,
        table: &str,
        id: &str,
    ) -> Result<bool, StateError> {
        if self.by_digest.is_empty() {
            return Ok(false);
        }
        let mut select =
            connection.prepare_cached("select 1 from tombstones where hub = ?1 and digest = ?2")?;
        let digest = row_digest(&self.key, table, id);
        let found: Option<i64> = select
            .query_row([hub, &digest], |row| row.get(0))
            .optional()?;
        Ok(found.is_some())
    }

    /// A running server as the new person's.
    pub(crate) fn present<'a>(&self, running: &'a Running) -> Cow<'a, Running> {
        let begin = self.erased(&running.key.user).map(begin_after);
        match begin.filter(|begin| running.started < *begin) {
            None => Cow::Borrowed(running),
            Some(begin) => Cow::Owned(Running {
                started: begin,
                is_cut: true,
                seen_ready: running.seen_ready.max(begin),
                last_seen: running.last_seen.max(begin),
                ..running.clone()
            }),
        }
    }
}

/// The first moment of the new person, in whole microseconds: it names a run, and rows and
/// tombstones hold no less.
pub(crate) fn begin_after(erased: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(erased.as_microsecond())
        .unwrap_or(erased)
        .saturating_add(SignedDuration::from_micros(1))
        .unwrap_or(Timestamp::MAX)
}

/// The part of a run that comes after the erasure; `None` if the fact says nothing of before.
fn part_after(erased: Timestamp, KeyedFact { key, fact }: &KeyedFact) -> Option<KeyedFact> {
    let begin = begin_after(erased);
    let what = match fact.what.clone() {
        What::Seen {
            started,
            options,
            image,
        } if started < begin => What::Seen {
            started: begin,
            options,
            image,
        },
        What::Activity { started, hours } if started < begin => What::Activity {
            started: begin,
            // Of the hour of the erasure nobody can say which seconds came after.
            hours: hours
                .into_iter()
                .filter(|hour| hour.hour >= begin)
                .collect(),
        },
        What::Gone {
            started,
            last_seen,
            watch,
            hub_restarted,
            stop_counted,
        } if started.is_some_and(|started| started < begin) || last_seen < begin => What::Gone {
            started: started.map(|started| started.max(begin)),
            last_seen: last_seen.max(begin),
            watch,
            hub_restarted,
            stop_counted,
        },
        _ => return None,
    };
    Some(KeyedFact {
        key: key.clone(),
        fact: Fact { at: fact.at, what },
    })
}

/// Refuses rows of this user up to `at` from now on.
pub(crate) fn set(
    connection: &Connection,
    hub: &str,
    user: &UserName,
    at: Timestamp,
) -> Result<(), StateError> {
    let digest = digest_of(connection, user)?;
    put(connection, hub, &digest, at)
}

/// Refuses this row from now on.
pub(crate) fn set_row(
    connection: &Connection,
    hub: &str,
    table: &str,
    id: &str,
    at: Timestamp,
) -> Result<(), StateError> {
    let key = spool::secret_key(connection)?;
    put(connection, hub, &row_digest(&key, table, id), at)
}

fn put(connection: &Connection, hub: &str, digest: &str, at: Timestamp) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "insert into tombstones (hub, digest, at) values (?1, ?2, ?3)
             on conflict do update set at = max(at, ?3)",
        )?
        .execute(params![hub, digest, at.as_microsecond()])?;
    Ok(())
}

/// The keyed digest of a name.
pub(crate) fn digest_of(connection: &Connection, user: &UserName) -> Result<String, StateError> {
    Ok(digest(&spool::secret_key(connection)?, user.as_str()))
}

fn row_digest(key: &str, table: &str, id: &str) -> String {
    format!("{ROW}{}", digest(key, &format!("{table}/{id}")))
}

/// The key stands on both sides of the name with a fixed length, so that no name can pretend to
/// be a longer one's beginning.
fn digest(key: &str, name: &str) -> String {
    use std::fmt::Write as _;
    let mut hash = Sha256::new();
    hash.update(key.as_bytes());
    hash.update(name.as_bytes());
    hash.update(key.as_bytes());
    let mut text = String::new();
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
