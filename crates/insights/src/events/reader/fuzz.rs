//! Bodies of `fixtures/events`, as they are and changed at random: whatever comes, each item is an
//! event or is kept with a reason, and the same body gives the same rows.

use super::{Item, Reader};
use crate::web::body_items;
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/events");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn read(body: &[u8]) -> Vec<Item> {
    let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let mut reader = Reader::new("hub".into());
    let items = body_items(body, 100_000).into_iter();
    items.map(|item| reader.read(item, now)).collect()
}

/// Holds for every body.
fn check(body: &[u8]) {
    let items = read(body);
    assert_eq!(items, read(body), "the same again");
    for item in &items {
        match item {
            Item::Event(event) => {
                assert_eq!(event.id.as_str().len(), 32);
                let detail = event.detail.as_deref().unwrap_or("{}");
                let detail: serde_json::Value = serde_json::from_str(detail).unwrap();
                assert!(detail.is_object());
                assert!(event.at.as_second() > 1_388_000_000);
            }
            Item::Rejected(rejected) => {
                assert!(!rejected.reason.is_empty());
                assert!(rejected.text.len() <= 64 * 1024);
            }
        }
    }
}

#[test]
fn what_is_in_the_corpus_is_what_its_names_say() {
    let mut kinds = BTreeSet::new();
    for (path, body) in corpus() {
        check(&body);
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let items = read(&body);
        let n_events = items
            .iter()
            .filter(|item| matches!(item, Item::Event(_)))
            .count();
        let is_good = name.starts_with("hub-") || name == "binder" || name.starts_with("generic");
        assert_eq!(
            n_events == items.len(),
            is_good,
            "{}: {items:?}",
            path.display()
        );
        kinds.extend(items.iter().filter_map(|item| match item {
            Item::Event(event) => Some(event.kind.to_string()),
            Item::Rejected(_) => None,
        }));
    }
    for kind in [
        "server-start",
        "server-stop",
        "binder-launch",
        "login",
        "server-died",
    ] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
}

/// One change of a body.
#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, body: &mut Vec<u8>) {
        let place = |at: usize| at % (body.len() + 1);
        match self {
            Self::Flip(at, mask) => {
                let at = place(*at);
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= mask;
                }
            }
            Self::Cut(at) => body.truncate(place(*at)),
            Self::Remove(from, length) => {
                let from = place(*from);
                let to = (from + length).min(body.len());
                body.drain(from..to);
            }
            Self::Repeat(from, length) => {
                let from = place(*from);
                let to = (from + length).min(body.len());
                let part = body[from..to].to_vec();
                body.splice(from..from, part);
            }
            Self::Insert(at, bytes) => {
                let at = place(*at);
                body.splice(at..at, bytes.iter().copied());
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<usize>();
    let words: &[&[u8]] = &[
        b"\0",
        b"\xff",
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"null",
        b"1e999",
        b"\\ud800",
        b"\"kind\":",
        b"\"__schema__\":",
        b"\"schema\":\"a/server-stop\"",
        b"\"id\":",
        b"99999999999999999999",
        b"\xf0\x9f\x92\xa9",
    ];
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, mask)| Change::Flip(at, mask)),
        at().prop_map(Change::Cut),
        (at(), 0..40_usize).prop_map(|(from, length)| Change::Remove(from, length)),
        (at(), 0..200_usize).prop_map(|(from, length)| Change::Repeat(from, length)),
        (at(), proptest::sample::select(words)).prop_map(|(at, word)| Change::Insert(at, word)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_change_of_a_body_ends_the_reader(
        which in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec(change(), 1..8),
    ) {
        let corpus = corpus();
        let mut body = which.get(&corpus).1.clone();
        for change in &changes {
            change.apply(&mut body);
        }
        check(&body);
    }
}
