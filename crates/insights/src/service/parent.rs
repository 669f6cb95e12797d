//! Notices that the hub which started us is gone.
//!
//! A hub that is killed leaves its services running, with a token that still works and a port
//! that the next hub's service needs. The parent process is then another one (or none).

use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(1);

/// Waits until the process that started us is gone.
///
/// A wrapper script that starts us should do so with `exec`, or its own death is what is noticed.
pub(super) async fn gone() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(PAUSE).await;
    }
}
