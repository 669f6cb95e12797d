//! `state.db`: is it whole, and of the same age as the history?

use super::{Damage, Finding, InHistory, Severity, cause, finding};
use crate::folder::Folder;
use crate::state::StateError;
use crate::state::spool;
use crate::tables::{TABLES, TableDef};
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// The numbers of all tables and hubs, at one moment.
pub(super) struct Numbers {
    by_table_and_hub: BTreeMap<(&'static str, String), spool::Numbers>,
}

impl Numbers {
    /// Checks the file and reads the numbers; none if it is damaged.
    pub(super) fn read(state_db: &Path) -> (Vec<Finding>, Option<Self>) {
        match Self::try_read(state_db) {
            Ok((complaints, numbers)) if complaints.is_empty() => (Vec::new(), Some(numbers)),
            Ok((complaints, _)) => (vec![damaged(state_db, &complaints.join("; "))], None),
            Err(error) => (vec![damaged(state_db, &cause(&error))], None),
        }
    }

    fn try_read(state_db: &Path) -> Result<(Vec<String>, Self), StateError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(state_db, flags)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        let transaction = connection.transaction()?;
        let complaints = {
            let mut check = transaction.prepare("pragma integrity_check(20)")?;
            let lines = check.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<Result<Vec<_>, _>>()?
        };
        let complaints = complaints.into_iter().filter(|line| line != "ok").collect();
        let mut by_table_and_hub = BTreeMap::new();
        for def in TABLES {
            for hub in spool::hubs(&transaction, def)? {
                let numbers = spool::numbers(&transaction, def, &hub)?;
                by_table_and_hub.insert((def.name, hub), numbers);
            }
        }
        Ok((complaints, Self { by_table_and_hub }))
    }

    fn of(&self, table: &'static str, hub: &str) -> spool::Numbers {
        self.by_table_and_hub
            .get(&(table, hub.to_owned()))
            .copied()
            .unwrap_or_default()
    }
}

fn damaged(state_db: &Path, complaints: &str) -> Finding {
    Finding {
        table: None,
        path: state_db.to_owned(),
        kind: Damage::StateDamaged,
        severity: Severity::Error,
        what: format!("the database is damaged: {complaints}"),
        remedy: "Stop the service and restore the file from a backup (with its `-wal`, or without \
                 any): the history stays as it is, and numbers are set right at the next flush. \
                 Without a backup move it away; rows that were not yet in the history, erased names \
                 and positions of sources are then forgotten"
            .to_owned(),
    }
}

/// Rows leave the spool when they are in the history, so that neither may be behind the other.
///
/// `before` was read before the history and `after` after it: what a service did in between puts
/// neither behind.
pub(super) fn compare(
    folder: &Folder,
    hub: Option<&str>,
    before: &Numbers,
    after: &Numbers,
    in_history: &[InHistory],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let looked_at: BTreeSet<&str> = in_history.iter().map(|found| found.def.name).collect();
    for found in in_history {
        let given = after.of(found.def.name, &found.hub).given;
        if hub.is_none_or(|hub| hub == found.hub) && found.last > given {
            findings.push(behind(&folder.state_db(), found, given));
        }
    }
    for ((table, of_hub), numbers) in &before.by_table_and_hub {
        let Some(def) = TableDef::by_name(table) else {
            continue;
        };
        let path = folder.history().join(table);
        // Of a log that cannot be read nobody knows what it holds; that is found already.
        if path.join("_delta_log").is_dir() && !looked_at.contains(table) {
            continue;
        }
        let last = in_history
            .iter()
            .find(|found| found.def.name == *table && found.hub == *of_hub)
            .map_or(0, |found| found.last);
        if hub.is_none_or(|hub| hub == of_hub) && numbers.flushed > last {
            findings.push(ahead(def, &path, of_hub, numbers.flushed, last));
        }
    }
    findings
}

fn behind(state_db: &Path, found: &InHistory, given: i64) -> Finding {
    let InHistory { def, hub, last } = found;
    finding(
        def,
        state_db,
        Damage::SpoolBehind,
        Severity::Warning,
        format!(
            "the history holds `{}` of the hub `{hub}` up to number {last}, but only {given} were handed out: `state.db` is an older copy",
            def.name
        ),
        "Nothing has to be done: the next flush goes on behind the history. Rows that waited in the \
         newer `state.db` are lost; sources that are read again bring back what they still have",
    )
}

fn ahead(def: &TableDef, path: &Path, hub: &str, flushed: i64, last: i64) -> Finding {
    let again = match def.origin {
        crate::tables::Origin::Collected => "or read their sources again",
        crate::tables::Origin::Derived => "or derive them again with `store rebuild`",
    };
    finding(
        def,
        path,
        Damage::SpoolAhead,
        Severity::Error,
        format!(
            "rows up to number {flushed} of the hub `{hub}` were moved into the history, which holds them up to {last} only: it is an older copy"
        ),
        format!(
            "Restore a newer copy of this folder, {again}: the rows in between are not in the spool any more"
        ),
    )
}
