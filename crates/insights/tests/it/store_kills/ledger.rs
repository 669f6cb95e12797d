//! What the client knows must be in the tables, and whether it is.

use super::batch::{Batch, Key, Span};
use crate::support::OtherReaders;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use store::tables::RowKind;

/// The client's own book of what it sent.
#[derive(Default)]
pub(super) struct Ledger {
    /// Answered requests, and unanswered ones that were found in the tables: they stay there.
    kept: HashMap<&'static str, HashSet<String>>,
    /// Highest revision by id of tables whose rows may be corrected.
    revisions: HashMap<&'static str, HashMap<String, BTreeSet<i64>>>,
    spans: BTreeSet<Span>,
    /// Sent and not answered when the writer was killed.
    unanswered: BTreeMap<u64, Batch>,
    pub(super) n_acknowledged: usize,
    pub(super) n_adopted: usize,
    pub(super) n_dropped: usize,
}

/// What Python's deltalake finds.
struct Seen {
    tables: BTreeMap<String, HashMap<String, Vec<String>>>,
}

impl Seen {
    fn of(readers: &mut OtherReaders, folder: &Path) -> Self {
        let columns = json!({
            "events": ["id"],
            "memberships": ["id"],
            "observations": ["id"],
            "dead_letters": ["id"],
            "audit": ["id"],
            "usage": ["id", "revision"],
            "storage": ["id", "revision"],
            "sessions": ["id", "revision", "user", "server", "started", "withdrawn"],
            "user_days": ["id", "revision", "user", "day", "sessions"],
        });
        let answer = readers.ask(&json!({
            "ask": "columns",
            "folder": folder.join("history"),
            "columns": columns,
        }));
        let Value::Object(tables) = answer else {
            panic!("{answer}");
        };
        let tables = tables.into_iter().map(|(table, columns)| {
            let columns = columns.as_object().unwrap().iter().map(|(name, values)| {
                let values = values.as_str().unwrap();
                let values = values.lines().map(str::to_owned).collect();
                (name.clone(), values)
            });
            (table, columns.collect())
        });
        Self {
            tables: tables.collect(),
        }
    }

    fn column(&self, table: &str, name: &str) -> &[String] {
        let columns = self.tables.get(table);
        columns.map_or(&[], |columns| &columns[name])
    }

    /// Ids with their revisions, none of which may be there twice.
    fn revisions(&self, table: &str) -> HashMap<&str, BTreeSet<i64>> {
        let mut revisions: HashMap<&str, BTreeSet<i64>> = HashMap::new();
        let ids = self.column(table, "id").iter();
        for (id, revision) in ids.zip(self.column(table, "revision")) {
            let is_new = revisions
                .entry(id)
                .or_default()
                .insert(revision.parse().unwrap());
            assert!(is_new, "{table}: {id}, revision {revision} is there twice");
        }
        revisions
    }

    /// Where the rows are that count: the highest revision of each id.
    fn newest(&self, table: &str) -> Vec<usize> {
        let revisions = self.revisions(table);
        let ids = self.column(table, "id").iter().enumerate();
        ids.filter(|(row, id)| {
            let newest = revisions[id.as_str()].last().unwrap();
            self.column(table, "revision")[*row] == newest.to_string()
        })
        .map(|(row, _)| row)
        .collect()
    }
}

impl Ledger {
    pub(super) fn acknowledged(&mut self, batch: &Batch) {
        self.n_acknowledged += self.keep(batch);
        self.unanswered.remove(&batch.number);
    }

    pub(super) fn not_answered(&mut self, batch: Batch) {
        self.unanswered.insert(batch.number, batch);
    }

    /// Every second of the unanswered requests: a client may try again or not.
    pub(super) fn to_send_again(&self) -> Vec<u64> {
        self.unanswered.keys().copied().step_by(2).collect()
    }

    fn keep(&mut self, batch: &Batch) -> usize {
        let keys = batch.keys();
        let n_keys = keys.len();
        for key in keys {
            if key.kind == RowKind::Revised {
                let revisions = self.revisions.entry(key.table).or_default();
                revisions.entry(key.id).or_default().insert(key.revision);
            } else {
                self.kept.entry(key.table).or_default().insert(key.id);
            }
        }
        self.spans.extend(batch.spans());
        n_keys
    }

    /// The tables hold what was acknowledged, of each unanswered request all or nothing, and
    /// nothing else; each once.
    pub(super) fn check(&mut self, readers: &mut OtherReaders, folder: &Path) {
        let seen = Seen::of(readers, folder);
        self.settle_unanswered(&seen);
        for (table, kept) in &self.kept {
            check_final(table, kept, seen.column(table, "id"));
        }
        for (table, kept) in &self.revisions {
            check_revised(table, kept, &seen.revisions(table));
        }
        self.check_sessions(&seen);
        self.check_days(&seen);
    }

    /// Whoever was not answered finds its rows there or not, and so it stays.
    fn settle_unanswered(&mut self, seen: &Seen) {
        let mut ids: HashMap<&str, HashSet<&str>> = HashMap::new();
        for table in seen.tables.keys() {
            let column = seen.column(table, "id").iter().map(String::as_str);
            ids.insert(table, column.collect());
        }
        for batch in std::mem::take(&mut self.unanswered).into_values() {
            // A correction shares its id with the row that it corrects.
            let keys = batch.keys();
            let own: Vec<&Key> = keys.iter().filter(|key| key.table != "usage").collect();
            let is_there = |key: &&&Key| {
                ids.get(key.table)
                    .is_some_and(|ids| ids.contains(key.id.as_str()))
            };
            match own.iter().filter(is_there).count() {
                0 => self.n_dropped += 1,
                n if n == own.len() => {
                    self.n_adopted += 1;
                    self.keep(&batch);
                }
                n => panic!("{n} of {} rows of {batch:?} are there", own.len()),
            }
        }
    }

    fn check_sessions(&self, seen: &Seen) {
        let column = |name| seen.column("sessions", name);
        let found = seen.newest("sessions").into_iter();
        let found = found.filter(|row| column("withdrawn")[*row] == "false");
        let found: Vec<Span> = found
            .map(|row| Span {
                user: column("user")[row].clone(),
                server: column("server")[row].clone(),
                started: Timestamp::from_microsecond(column("started")[row].parse().unwrap())
                    .unwrap(),
            })
            .collect();
        assert_eq!(found.len(), self.spans.len(), "sessions");
        let found: BTreeSet<Span> = found.into_iter().collect();
        let missing: Vec<&Span> = self.spans.difference(&found).take(5).collect();
        assert!(missing.is_empty(), "sessions are missing: {missing:?}");
    }

    fn check_days(&self, seen: &Seen) {
        let column = |name| seen.column("user_days", name);
        let mut expected: BTreeMap<(String, String), usize> = BTreeMap::new();
        for span in &self.spans {
            *expected.entry((span.user.clone(), span.day())).or_default() += 1;
        }
        let found = seen.newest("user_days").into_iter().map(|row| {
            let n_sessions: usize = column("sessions")[row].parse().unwrap();
            let key = (column("user")[row].clone(), column("day")[row].clone());
            (key, n_sessions)
        });
        let found: BTreeMap<_, _> = found.filter(|(_, n_sessions)| *n_sessions > 0).collect();
        let differing = expected.iter().find(|(key, n)| found.get(*key) != Some(*n));
        assert_eq!(differing.map(|(key, n)| (key, n, found.get(key))), None);
        assert_eq!(found.len(), expected.len(), "days with sessions");
    }
}

fn check_final(table: &str, kept: &HashSet<String>, seen: &[String]) {
    let once: HashSet<&String> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "{table}: rows are there twice");
    let lost: Vec<&String> = kept
        .iter()
        .filter(|id| !once.contains(id))
        .take(5)
        .collect();
    assert!(lost.is_empty(), "{table}: lost {lost:?} …");
    let unknown = once.iter().find(|id| !kept.contains(**id));
    assert_eq!(unknown, None, "{table}: nobody sent it, or it came back");
}

fn check_revised(
    table: &str,
    kept: &HashMap<String, BTreeSet<i64>>,
    seen: &HashMap<&str, BTreeSet<i64>>,
) {
    for (id, revisions) in kept {
        let found = seen.get(id.as_str());
        let newest = found.and_then(BTreeSet::last);
        assert_eq!(newest, revisions.last(), "{table}: newest of {id}");
        let unknown = found.and_then(|found| found.difference(revisions).next());
        assert_eq!(unknown, None, "{table}: nobody sent this revision of {id}");
    }
    assert_eq!(seen.len(), kept.len(), "{table}: ids that nobody sent");
}
