//! The task that follows the files in which others write down events.

use super::tasks::{OnPanic, Task, Wish};
use crate::events;
use crate::web::Site;

/// Takes what is appended to `events.files`, once the store is open. A bug starts it again where
/// the rows that were taken end.
pub(super) fn task(site: &Site) -> Task {
    let site = site.clone();
    Task::new("files", OnPanic::Restart, move || {
        let site = site.clone();
        async move {
            events::follow_all(&site.sink, &site.config.events.files).await;
            Ok(Wish::Nothing)
        }
    })
}
