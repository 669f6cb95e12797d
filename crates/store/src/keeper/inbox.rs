//! Taking what other processes hand in, beside everything else that the keeper does.

use super::{Keeper, with_causes};
use crate::StoreError;
use crate::state::{StateError, inbox};
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{error, info};

/// Between two looks at an inbox that is empty.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// The same while somebody hands in: who does waits for the answer.
const BUSY_INTERVAL: Duration = Duration::from_millis(10);
/// For how long it counts as somebody handing in after the last batch.
const BUSY_FOR: Duration = Duration::from_secs(5);
/// After a failure, or while too much waits for the history.
const PAUSE: Duration = Duration::from_millis(250);
/// How long an outcome waits for its reader.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

impl Keeper {
    /// Takes what others hand in; never ends. An error is logged once and the batch tried again.
    pub(super) async fn serve_inbox(&self) {
        let mut failing = None;
        let mut last = None;
        loop {
            let pause = match self.take_next().await {
                Ok(Taken::One) => {
                    last = Some(Instant::now());
                    if std::mem::take(&mut failing).is_some() {
                        info!("Rows that another process hands in are taken again.");
                    }
                    continue;
                }
                Ok(Taken::Nothing) if last.is_some_and(|last| last.elapsed() < BUSY_FOR) => {
                    BUSY_INTERVAL
                }
                Ok(Taken::Nothing) => LOOK_INTERVAL,
                Err(error) if error.is_busy() => PAUSE,
                Err(error) => {
                    let cause = with_causes(&error);
                    if failing.as_ref() != Some(&cause) {
                        error!("Rows that another process hands in cannot be taken: {cause}");
                        failing = Some(cause);
                    }
                    PAUSE * 4
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes all that waits now, as far as there is room.
    pub(super) async fn empty_inbox(&self) -> Result<(), StoreError> {
        while let Taken::One = self.take_next().await? {}
        Ok(())
    }

    async fn take_next(&self) -> Result<Taken, StoreError> {
        let hub = Arc::clone(&self.inner.hub.name);
        let next = move |connection: &rusqlite::Connection| inbox::next(connection, &hub);
        let Some(waiting) = self.inner.state.read(next).await? else {
            return Ok(Taken::Nothing);
        };
        let id = waiting.id;
        let reading = tokio::task::spawn_blocking(move || inbox::read(&waiting.text));
        let intake = match reading.await.map_err(|_| StateError::Closed)? {
            Ok(intake) => intake,
            Err(error) => {
                self.refuse(id, error.to_string()).await?;
                return Ok(Taken::One);
            }
        };
        if !self.has_room_for(intake.n_rows()) {
            return Err(StateError::Busy.into());
        }
        let (hub, now, n_bytes) = (self.inner.hub.clone(), self.now(), intake.n_bytes());
        let taken = self.inner.writer.write(move |connection| {
            // An erasure takes what waits as well.
            if !inbox::waits(connection, id)? {
                return Ok(None);
            }
            let accepted = intake.write(connection, &hub, now)?;
            inbox::answer(connection, id, &Ok(accepted), now)?;
            let old = now.saturating_sub(KEPT).unwrap_or(now);
            inbox::forget_answered(connection, &hub.name, old)?;
            Ok(Some(accepted))
        });
        match taken.await {
            Ok(None) => {}
            Ok(Some(accepted)) => self.note_waiting(accepted, n_bytes),
            Err(StateError::Corrupt(why)) => self.refuse(id, why).await?,
            Err(error) => return Err(error.into()),
        }
        Ok(Taken::One)
    }

    /// What can never be taken must not keep out what comes behind it.
    async fn refuse(&self, id: i64, why: String) -> Result<(), StoreError> {
        let now = self.now();
        let refuse =
            move |connection: &rusqlite::Connection| inbox::answer(connection, id, &Err(why), now);
        Ok(self.inner.writer.write(refuse).await?)
    }
}

/// What a look at the inbox brought.
enum Taken {
    One,
    Nothing,
}
