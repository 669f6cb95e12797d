//! People who asked to be erased. That somebody was does not belong here: their row goes with them.

use super::{StateError, time};
use jiff::Timestamp;
use model::names::UserName;
use rusqlite::{Connection, params};

/// Somebody asked to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureRequest {
    /// Who.
    pub user: UserName,
    /// When, for the first time.
    pub asked_at: Timestamp,
}

/// Notes that somebody asks; who asks again has asked before.
pub(crate) fn ask(
    connection: &Connection,
    hub: &str,
    request: &ErasureRequest,
) -> Result<(), StateError> {
    let (user, at) = (request.user.as_str(), request.asked_at.as_microsecond());
    connection
        .prepare_cached(
            "insert into erasure_requests (hub, user, asked_at) values (?1, ?2, ?3)
             on conflict do nothing",
        )?
        .execute(params![hub, user, at])?;
    Ok(())
}

/// Takes a request back; false if there is none.
pub(crate) fn withdraw(
    connection: &Connection,
    hub: &str,
    user: &UserName,
) -> Result<bool, StateError> {
    let mut delete =
        connection.prepare_cached("delete from erasure_requests where hub = ?1 and user = ?2")?;
    Ok(delete.execute([hub, user.as_str()])? > 0)
}

/// Who waits, the one that asked first first.
pub(crate) fn open(connection: &Connection, hub: &str) -> Result<Vec<ErasureRequest>, StateError> {
    let mut select = connection.prepare_cached(
        "select user, asked_at from erasure_requests where hub = ?1 order by asked_at, user",
    )?;
    let mut rows = select.query([hub])?;
    let mut requests = Vec::new();
    while let Some(row) = rows.next()? {
        let user: String = row.get(0)?;
        requests.push(ErasureRequest {
            user: UserName::new(user),
            asked_at: time(row.get(1)?)?,
        });
    }
    Ok(requests)
}
