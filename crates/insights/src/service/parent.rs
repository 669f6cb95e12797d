//! Notices that the hub which started us is gone.
//!
//! A hub that is killed leaves its services running, with a token that still works and a port
//! that the next hub's service needs. The parent process is then another one (or none).

use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(1);

/// The process that started us.
///
/// A wrapper script that starts us should do so with `exec`, or its own death is what is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pid: u32,
}

impl Parent {
    /// To be asked first thing, before anything that takes time: a parent that died before this is
    /// not missed.
    pub fn now() -> Self {
        Self {
            pid: std::os::unix::process::parent_id(),
        }
    }

    /// Its number.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Whether it has died since.
    pub fn is_gone(self) -> bool {
        std::os::unix::process::parent_id() != self.pid
    }

    /// Waits until it has died.
    pub(super) async fn gone(self) {
        while !self.is_gone() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
