//! Sessions and days as news comes in: in which order they are derived, and when the history has to be
//! asked. How is [`crate::derive`]'s and [`crate::rebuild`]'s to know.

use super::{Keeper, Phase};
use crate::StoreError;
use crate::derive::{self, Hub};
use crate::rebuild::Scope;
use crate::state::{StateError, facts};
use crate::used::UsageReader;
use std::sync::Arc;
use tracing::info;

impl Keeper {
    /// Looks at servers with news and closes days that are over.
    pub(super) async fn derive(&self) -> Result<(), StoreError> {
        self.phase(Phase::Derive);
        self.follow_history().await?;
        self.recut_days().await?;
        self.derive_late().await?;
        self.derive_news().await?;
        let summed = self.sum_usage().await;
        // Those without usage, or without its sums: what cannot be read now is summed later.
        self.repeat(derive::close_days).await?;
        self.repeat(derive::recompute_days).await?;
        // News may have changed days that are no longer at hand.
        self.derive_late().await?;
        summed.map(drop)
    }

    /// Closes days that are over and on which something was used, and corrects those that were
    /// closed before their usage came; gives how many rows it corrected.
    ///
    /// Each day is looked at once at most, and one that is not over not at all.
    pub(super) async fn sum_usage(&self) -> Result<usize, StoreError> {
        self.mark_all_usage().await?;
        let (inner, now) = (&self.inner, self.now());
        let (mut after, mut n_corrected) = (None, 0);
        loop {
            let hub = inner.hub.clone();
            let marked = move |connection: &rusqlite::Connection| {
                derive::marked_days(connection, &hub, after)
            };
            let marked = inner.state.read(marked).await?;
            if marked.is_empty() {
                return Ok(n_corrected);
            }
            // Sums are read from the history, so that all rows have to be there.
            self.flush_rows().await?;
            self.phase(Phase::Derive);
            let used = Arc::new(self.usage().sum(marked).await?);
            after = used.last();
            let (hub, closing) = (inner.hub.clone(), Arc::clone(&used));
            let close = move |connection: &rusqlite::Connection| {
                derive::close_days_with(connection, &hub, &closing)
            };
            inner.writer.write(close).await?;
            for piece in used.pieces() {
                let (hub, used) = (inner.hub.clone(), Arc::clone(&used));
                let correct = move |connection: &rusqlite::Connection| {
                    used.correct(connection, &hub, piece, now)
                };
                n_corrected += inner.writer.write(correct).await?;
            }
        }
    }

    /// Usage that came before days were marked is summed, too: of an earlier version, or beside an
    /// older `state.db`.
    async fn mark_all_usage(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        let hub = Arc::clone(&inner.hub.name);
        let are_marked =
            move |connection: &rusqlite::Connection| derive::are_all_marked(connection, &hub);
        if inner.state.read(are_marked).await? {
            return Ok(());
        }
        let (hub, days) = (inner.hub.clone(), self.usage().days().await?);
        let mark = move |connection: &rusqlite::Connection| {
            derive::keep_all_marked(connection, &hub, days)
        };
        Ok(inner.writer.write(mark).await?)
    }

    fn usage(&self) -> UsageReader<'_> {
        UsageReader {
            hub: &self.inner.hub,
            history: &self.inner.history,
        }
    }

    async fn derive_late(&self) -> Result<(), StoreError> {
        let late = self.late_users().await?;
        if late.is_empty() {
            return Ok(());
        }
        // It corrects closed days, and closing knows only what is at hand: days that are over are
        // closed before. It reads the history, so that all rows have to be there.
        self.repeat(derive::close_days).await?;
        self.flush_rows().await?;
        self.phase(Phase::Derive);
        self.rebuild_of(Scope::Users(late)).await.map(drop)
    }

    /// After an older `state.db` was put in place, everything is derived again from the history
    /// before anything else is: what it does not know of would be derived once more.
    async fn follow_history(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        let hub = Arc::clone(&inner.hub.name);
        let is_behind = inner
            .state
            .read(move |connection| derive::is_behind(connection, &hub));
        if !is_behind.await? {
            return Ok(());
        }
        info!("`state.db` is older than the history: deriving sessions and days again.");
        let closed = self.rebuilder().last_closed().await?;
        let hub = Arc::clone(&inner.hub.name);
        let follow =
            move |connection: &rusqlite::Connection| derive::follow(connection, &hub, closed);
        inner.writer.write(follow).await?;
        self.flush_rows().await?;
        self.phase(Phase::Derive);
        self.rebuild_of(Scope::Everything).await?;
        let hub = Arc::clone(&inner.hub.name);
        let done = move |connection: &rusqlite::Connection| derive::caught_up(connection, &hub);
        Ok(inner.writer.write(done).await?)
    }

    /// Closed days that were cut in another time zone are cut anew, once.
    async fn recut_days(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        let hub = inner.hub.clone();
        let outdated = inner
            .state
            .read(move |connection| derive::outdated_zone(connection, &hub));
        let Some(before) = outdated.await? else {
            return Ok(());
        };
        // It reads the history, so that all rows have to be there.
        self.flush_rows().await?;
        self.phase(Phase::Derive);
        let hub = inner.hub.clone();
        let reopen = move |connection: &rusqlite::Connection| derive::reopen_days(connection, &hub);
        inner.writer.write(reopen).await?;
        let rebuilt = self.rebuild_of(Scope::Everything).await?;
        let hub = inner.hub.clone();
        let keep = move |connection: &rusqlite::Connection| derive::keep_cut(connection, &hub);
        inner.writer.write(keep).await?;
        let (zone, n_days) = (derive::zone_name(&inner.hub), rebuilt.n_days_changed);
        info!(
            n_days,
            "`hub.timezone` is `{zone}` and was `{before}`: {n_days} closed days of users are cut anew."
        );
        Ok(())
    }

    async fn late_users(&self) -> Result<Vec<model::names::UserName>, StoreError> {
        let hub = Arc::clone(&self.inner.hub.name);
        let is_any_late = self
            .inner
            .state
            .read(move |connection| facts::is_any_late(connection, &hub));
        if !is_any_late.await? {
            return Ok(Vec::new());
        }
        let hub = Arc::clone(&self.inner.hub.name);
        let begin = move |connection: &rusqlite::Connection| facts::begin_late(connection, &hub);
        Ok(self.inner.writer.write(begin).await?)
    }

    /// Looks at as many servers as have news now: under load there are always more.
    async fn derive_news(&self) -> Result<(), StoreError> {
        let (inner, now) = (&self.inner, self.now());
        inner.gone.forget();
        let name = Arc::clone(&inner.hub.name);
        let n_dirty = inner
            .state
            .read(move |connection| facts::n_dirty(connection, &name));
        // Twice: the end of a server that no poll ever saw is news about it.
        let mut n_left = 2 * n_dirty.await?;
        while n_left > 0 {
            let hub = inner.hub.clone();
            let derive =
                move |connection: &rusqlite::Connection| derive::derive(connection, &hub, now);
            match inner.writer.write(derive).await? {
                0 => return Ok(()),
                n_done => n_left = n_left.saturating_sub(n_done),
            }
        }
        Ok(())
    }

    /// Repeats a piece of work, a transaction each, until there is nothing left of it.
    pub(super) async fn repeat(
        &self,
        work: impl Fn(&rusqlite::Connection, &Hub) -> Result<usize, StateError> + Clone + Send + 'static,
    ) -> Result<(), StoreError> {
        loop {
            let (hub, work) = (self.inner.hub.clone(), work.clone());
            if self
                .inner
                .writer
                .write(move |connection| work(connection, &hub))
                .await?
                == 0
            {
                return Ok(());
            }
        }
    }
}
