//! Servers that a look at the hub missed: their sessions are derived at once. Until then a session is
//! neither among those that run nor among those that ended, and lists lack what their reader did a
//! moment ago.
//!
//! All other news waits for the next flush ([`super::derivation`]), which may know more of it: each
//! derivation may outdate a row of the one before.

use super::{Keeper, Phase};
use crate::StoreError;
use crate::derive;
use model::fact::ServerKey;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Servers looked at in one transaction: whoever wants to be acknowledged waits for one of them.
const SERVERS_AT_ONCE: usize = 200;

/// Servers that are gone since sessions were last derived.
///
/// In memory only: after a crash the next flush derives them with everything else.
#[derive(Default)]
pub(super) struct Gone {
    servers: Mutex<Vec<ServerKey>>,
    news: Notify,
}

impl Gone {
    /// Of what was taken just now.
    pub(super) fn tell(&self, servers: Vec<ServerKey>) {
        if servers.is_empty() {
            return;
        }
        let mut known = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(servers);
        self.news.notify_one();
    }

    /// Returns when there are some.
    pub(super) async fn told(&self) {
        self.news.notified().await;
    }

    /// Everything is derived now.
    pub(super) fn forget(&self) {
        drop(self.take());
    }

    fn is_empty(&self) -> bool {
        let known = self.servers.lock();
        known.unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take(&self) -> Vec<ServerKey> {
        let mut known = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *known)
    }
}

impl Keeper {
    /// Derives sessions of the servers that are gone. Nothing is moved into the history.
    pub(crate) async fn derive_gone(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        if inner.gone.is_empty() {
            return Ok(());
        }
        let _turn = self.turn().await;
        self.phase(Phase::Derive);
        let (gone, now) = (inner.gone.take(), self.now());
        for some in gone.chunks(SERVERS_AT_ONCE) {
            let (hub, some) = (inner.hub.clone(), some.to_vec());
            let derive = move |connection: &rusqlite::Connection| {
                derive::derive_these(connection, &hub, &some, now)
            };
            inner.writer.write(derive).await?;
        }
        Ok(())
    }
}
