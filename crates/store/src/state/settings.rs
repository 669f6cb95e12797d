//! Names under which single values are kept, all in one place so that no two are the same.

/// Since when the hub's history reaches back, in microseconds.
pub(crate) fn begin(hub: &str) -> String {
    format!("begin/{hub}")
}

/// The last day of the hub that was closed.
pub(crate) fn closed(hub: &str) -> String {
    format!("closed/{hub}")
}

/// What the hub's counter of stops said.
pub(crate) fn stops(hub: &str) -> String {
    format!("stops/{hub}")
}

/// The pseudonym of somebody whose erasure is not done, by the digest of the name.
pub(crate) fn erasing(hub: &str, digest: &str) -> String {
    format!("erasing/{hub}/{digest}")
}

/// There if the history knows more of the hub than this file, which is a restored one.
pub(crate) fn behind(hub: &str) -> String {
    format!("behind/{hub}")
}

/// There if all usage of the hub is summed in `user_days`, but for days that are marked.
pub(crate) fn summed(hub: &str) -> String {
    format!("summed/{hub}")
}

/// Before this, in microseconds, events of the hub were removed at some time.
pub(crate) fn expired(hub: &str) -> String {
    format!("expired/{hub}")
}
