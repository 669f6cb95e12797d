//! Sessions of one person, from what is kept at hand: those that run, and those that ended in the
//! last days. Known the moment their news is taken, before anything is derived or moved.
//!
//! Older ones are asked for in SQL.

use crate::state::{StateError, facts, present};
use crate::{Store, StoreError};
use jiff::Timestamp;
use model::fact::ServerKey;
use model::names::UserName;
use model::session::{self, Session};
use rusqlite::Connection;
use std::sync::Arc;

/// A session of a server that is known by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSession {
    /// `""` is the default server.
    pub server: Arc<str>,
    /// The session; without an end it runs.
    pub session: Session,
}

impl ServerSession {
    /// When it ended; `None` if it runs.
    pub fn end(&self) -> Option<Timestamp> {
        self.session.end.map(|end| end.at)
    }
}

impl Store {
    /// Sessions of a user that are at hand, sorted by their start.
    pub async fn sessions_at_hand(
        &self,
        hub: &str,
        user: &UserName,
        now: Timestamp,
    ) -> Result<Vec<ServerSession>, StoreError> {
        let (hub, user) = (hub.to_owned(), user.clone());
        let read = move |connection: &Connection| of_user(connection, &hub, &user, now);
        Ok(self.read_state(read).await?)
    }
}

fn of_user(
    connection: &Connection,
    hub: &str,
    user: &UserName,
    now: Timestamp,
) -> Result<Vec<ServerSession>, StateError> {
    let running = present::servers_of(connection, hub, user)?;
    let mut found = Vec::new();
    for server in facts::servers_of(connection, hub, user)? {
        let key = ServerKey {
            user: user.clone(),
            server,
        };
        let mut told = facts::of_key(connection, hub, &key)?;
        // What is tallied and not told yet.
        let runs = running.iter().filter(|running| running.key == key);
        told.extend(
            runs.filter_map(|running| running.activity(now))
                .map(|it| it.fact),
        );
        found.extend(
            session::sessions(&told)
                .into_iter()
                .map(|session| ServerSession {
                    server: Arc::clone(&key.server),
                    session,
                }),
        );
    }
    found.sort_by_key(|it| it.session.started);
    Ok(found)
}
