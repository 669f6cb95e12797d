//! Links that show one page or report to whoever has them, until they expire or are revoked.
//!
//! What a link's question means does not belong here.

use super::{StateError, time};
use jiff::Timestamp;
use model::names::UserName;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Tells it from others; opens nothing.
    pub id: String,
    /// The hub that it is about.
    pub hub: Arc<str>,
    /// Who made it.
    pub made_by: UserName,
    /// When.
    pub made_at: Timestamp,
    /// From when on it shows nothing.
    pub expires_at: Timestamp,
    /// Whether somebody ended it before.
    pub revoked: Option<Revoked>,
    /// What it shows, as JSON.
    pub question: String,
}

/// Somebody ended a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: UserName,
}

/// What is kept of the secret in a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareDigest([u8; 32]);

impl ShareDigest {
    /// Of the secret as it stands in the link. It has to be so long and random that nobody guesses it.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl Share {
    /// Whether it still shows something.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.expires_at
    }
}

const COLUMNS: &str = "id, hub, made_by, made_at, expires_at, revoked_at, revoked_by, question";

/// Keeps a new link.
pub(crate) fn make(
    connection: &Connection,
    share: &Share,
    digest: ShareDigest,
) -> Result<(), StateError> {
    let insert = format!(
        "insert into shares (digest, {COLUMNS}) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    );
    let revoked = share.revoked.as_ref();
    connection.prepare_cached(&insert)?.execute(params![
        digest.0,
        share.id,
        share.hub,
        share.made_by.as_str(),
        share.made_at.as_microsecond(),
        share.expires_at.as_microsecond(),
        revoked.map(|revoked| revoked.at.as_microsecond()),
        revoked.map(|revoked| revoked.by.as_str()),
        share.question,
    ])?;
    Ok(())
}

/// The link with this secret, also one that is not open any more.
pub(crate) fn by_digest(
    connection: &Connection,
    digest: ShareDigest,
) -> Result<Option<Share>, StateError> {
    let select = format!("select {COLUMNS} from shares where digest = ?1");
    let mut select = connection.prepare_cached(&select)?;
    let found = select
        .query_row([digest.0], |row| Ok(read(row)))
        .optional()?;
    found.transpose()
}

/// All links of a hub, the newest first.
pub(crate) fn all(connection: &Connection, hub: &str) -> Result<Vec<Share>, StateError> {
    let select = format!("select {COLUMNS} from shares where hub = ?1 order by made_at desc, id");
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query([hub])?;
    let mut shares = Vec::new();
    while let Some(row) = rows.next()? {
        shares.push(read(row)?);
    }
    Ok(shares)
}

/// Ends a link; false if there is none or it was ended before.
pub(crate) fn revoke(
    connection: &Connection,
    hub: &str,
    id: &str,
    revoked: &Revoked,
) -> Result<bool, StateError> {
    let mut update = connection.prepare_cached(
        "update shares set revoked_at = ?3, revoked_by = ?4
         where hub = ?1 and id = ?2 and revoked_at is null",
    )?;
    let (at, by) = (revoked.at.as_microsecond(), revoked.by.as_str());
    Ok(update.execute(params![hub, id, at, by])? > 0)
}

/// Takes a link out whole.
pub(crate) fn forget(connection: &Connection, hub: &str, id: &str) -> Result<(), StateError> {
    connection
        .prepare_cached("delete from shares where hub = ?1 and id = ?2")?
        .execute([hub, id])?;
    Ok(())
}

/// Takes out the links of a hub that ended before this.
pub(crate) fn forget_ended(
    connection: &Connection,
    hub: &str,
    before: Timestamp,
) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "delete from shares
             where hub = ?1 and min(expires_at, coalesce(revoked_at, expires_at)) < ?2",
        )?
        .execute(params![hub, before.as_microsecond()])?;
    Ok(())
}

/// Puts another name in the place of who made or ended links; gives how many named the person.
pub(crate) fn rename(
    connection: &Connection,
    hub: &str,
    name: &UserName,
    other: &str,
) -> Result<usize, StateError> {
    let mut n_rows = 0;
    for column in ["made_by", "revoked_by"] {
        let update = format!("update shares set {column} = ?3 where hub = ?1 and {column} = ?2");
        n_rows += connection
            .prepare_cached(&update)?
            .execute([hub, name.as_str(), other])?;
    }
    Ok(n_rows)
}

fn read(row: &Row<'_>) -> Result<Share, StateError> {
    let hub: String = row.get(1)?;
    let made_by: String = row.get(2)?;
    let revoked_at: Option<i64> = row.get(5)?;
    let revoked_by: Option<String> = row.get(6)?;
    let revoked = revoked_at.zip(revoked_by).map(|(at, by)| {
        Ok::<_, StateError>(Revoked {
            at: time(at)?,
            by: UserName::new(by),
        })
    });
    Ok(Share {
        id: row.get(0)?,
        hub: hub.into(),
        made_by: UserName::new(made_by),
        made_at: time(row.get(3)?)?,
        expires_at: time(row.get(4)?)?,
        revoked: revoked.transpose()?,
        question: row.get(7)?,
    })
}
