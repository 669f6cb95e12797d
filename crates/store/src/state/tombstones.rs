//! Who was erased, as keyed digests: enough to refuse older rows, not enough to name anybody.

use super::{StateError, spool};
use jiff::Timestamp;
use model::names::UserName;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The erased names of one hub.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    key: String,
    by_digest: HashMap<String, Timestamp>,
}

impl Tombstones {
    pub(crate) fn of(connection: &Connection, hub: &str) -> Result<Self, StateError> {
        let mut select =
            connection.prepare_cached("select digest, at from tombstones where hub = ?1")?;
        let found = select.query_map([hub], |row| Ok((row.get(0)?, row.get(1)?)))?;
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

    /// Whether a row of this user and time belongs to somebody who was erased. Newer rows are a
    /// new person.
    pub(crate) fn refuse(&self, user: Option<&UserName>, at: Timestamp) -> bool {
        let Some(user) = user.filter(|_| !self.by_digest.is_empty()) else {
            return false;
        };
        let erased = self.by_digest.get(&digest(&self.key, user.as_str()));
        erased.is_some_and(|erased| at <= *erased)
    }
}

/// Refuses rows of this user up to `at` from now on.
pub(crate) fn set(
    connection: &Connection,
    hub: &str,
    user: &UserName,
    at: Timestamp,
) -> Result<(), StateError> {
    let key = spool::secret_key(connection)?;
    connection
        .prepare_cached("insert or replace into tombstones (hub, digest, at) values (?1, ?2, ?3)")?
        .execute(params![
            hub,
            digest(&key, user.as_str()),
            at.as_microsecond()
        ])?;
    Ok(())
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
