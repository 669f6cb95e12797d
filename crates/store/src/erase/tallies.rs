//! What metrics counted of a person becomes nobody's, so that totals stay.

use super::person::{Person, Whose};
use crate::StateError;
use crate::derive::Hub;
use crate::state::tallies;
use crate::tallies::Change;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Takes the name out of all labels; gives how many numbers had it.
pub(super) fn clean(
    connection: &Connection,
    hub: &Hub,
    person: &Person,
) -> Result<usize, StateError> {
    let all = tallies::all(connection, &hub.name)?;
    let mut changes: Vec<Change> = Vec::new();
    let mut known: BTreeMap<(Arc<str>, _), Change> = BTreeMap::new();
    let mut renamed = Vec::new();
    for change in all {
        let whose = match change.whose {
            Some(index) if person.is(&change.labels[index]) => Whose::Own,
            _ => Whose::Other,
        };
        let is_person = |label: &str| person.is(label);
        let text = |label: &str| person.without_in_label(label, whose);
        if let Some(without) = change.without(is_person, text) {
            renamed.push(without);
            changes.push(Change {
                value: None,
                ..change
            });
        } else {
            known.insert((Arc::clone(&change.family), change.labels.clone()), change);
        }
    }
    let n_renamed = renamed.len();
    for change in renamed {
        let Some(more) = &change.value else { continue };
        let key = (Arc::clone(&change.family), change.labels.clone());
        let value = match known.get(&key).and_then(|known| known.value.clone()) {
            Some(value) => value.changed(more),
            None => more.clone(),
        };
        let merged = Change {
            value: Some(value),
            ..change
        };
        known.insert(key, merged.clone());
        changes.push(merged);
    }
    tallies::write(connection, &hub.name, &changes)?;
    hub.tallies.replace(&changes);
    Ok(n_renamed)
}
