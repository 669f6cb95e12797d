//! The time zone that closed days are cut in, and what becomes of them when it changes.
//!
//! Beside the zone that days are shown in, `state.db` remembers the one that the rows of
//! `user_days` were cut in. As long as both differ the rows are to be cut anew, also after a crash
//! in the midst of it. Cutting is [`crate::rebuild`]'s work.

use super::days::day_before;
use super::{Hub, keep_last_closed, last_closed, present, sum_all_again};
use crate::sources::ZONE;
use crate::state::{StateError, keep_setting, setting};
use model::days::Day;
use rusqlite::Connection;

/// Keeps the zone for queries, which other processes ask too. Called when a keeper starts.
pub(crate) fn keep_zone(connection: &Connection, hub: &Hub) -> Result<(), StateError> {
    let shown = format!("{ZONE}{}", hub.name);
    let zone = name_of(hub);
    if setting(connection, &cut_setting(hub))?.is_none() {
        // A folder that remembers only one zone has its days in that.
        let cut = setting(connection, &shown)?.unwrap_or_else(|| zone.clone());
        keep_setting(connection, &cut_setting(hub), &cut)?;
    }
    keep_setting(connection, &shown, &zone)
}

/// The zone that closed days were cut in, if it is not the hub's any more.
pub(crate) fn outdated_zone(
    connection: &Connection,
    hub: &Hub,
) -> Result<Option<String>, StateError> {
    let cut = setting(connection, &cut_setting(hub))?;
    Ok(cut.filter(|cut| *cut != name_of(hub)))
}

/// Days that are not over yet in the hub's zone are no closed ones.
pub(crate) fn reopen_days(connection: &Connection, hub: &Hub) -> Result<(), StateError> {
    let looked = present::read_at_servers(connection, &hub.name)?;
    let (Some(at), Some(last)) = (looked, last_closed(connection, &hub.name)?) else {
        return Ok(());
    };
    let yesterday = day_before(Day::of(at, &hub.zone));
    keep_last_closed(connection, &hub.name, last.min(yesterday))
}

/// All closed days are cut in the hub's zone now; what was used on them is yet to be.
pub(crate) fn keep_cut(connection: &Connection, hub: &Hub) -> Result<(), StateError> {
    sum_all_again(connection, &hub.name)?;
    keep_setting(connection, &cut_setting(hub), &name_of(hub))
}

/// How the zone is remembered.
pub(crate) fn name_of(hub: &Hub) -> String {
    hub.zone.iana_name().unwrap_or("UTC").to_owned()
}

fn cut_setting(hub: &Hub) -> String {
    format!("days cut in/{}", hub.name)
}
