//! Folders as released versions wrote them, in `fixtures/history-*`.

use super::rows::{self, HUBS, Size};
use super::{engine, figures};
use crate::support::{OtherReaders, block_on, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use store::{Folder, Store};

/// Its name is what is hardest to keep the same: it stands in paths.
const HUB: &str = HUBS[1];

/// Few rows of each kind: the folder stays in the repository for ever.
const SIZE: Size = Size {
    hubs: &[HUB],
    n_months: 1,
    n_per_month: 4,
};

/// What the version that wrote a folder said of it.
const FIGURES: &str = "figures.json";

/// Writes such a folder: `--store-fixture FOLDER`.
pub(crate) fn write(folder: &Path) {
    assert!(!folder.exists(), "{} is there already", folder.display());
    let figures = block_on(async {
        let store = Store::open(Folder::prepare(folder).unwrap()).unwrap();
        rows::fill(&store, SIZE).await;
        let figures = figures_of(&store).await;
        // The last one to close `state.db` tidies it up if it can write.
        let keeper = rows::keep(&store, HUB).await;
        drop(store);
        drop(keeper);
        figures
    });
    until("state.db is closed", || {
        (!folder.join("state.db-wal").exists()).then_some(())
    })
    .unwrap();
    for name in std::fs::read_dir(folder).unwrap() {
        let path = name.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if name == "tmp" {
            std::fs::remove_dir_all(&path).unwrap();
        } else if name.starts_with("lock-") {
            std::fs::remove_file(&path).unwrap();
        }
    }
    std::fs::write(folder.join(FIGURES), format!("{figures}\n")).unwrap();
}

async fn figures_of(store: &Store) -> Value {
    let engine = engine(store);
    let running = "select \"user\", server, started from running_sessions";
    json!({
        "tables": figures::own(store, &engine, rows::now()).await,
        "running": figures::rows_of(store, &engine, running, rows::now()).await,
    })
}

pub(super) fn old_folders_open() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let entries = std::fs::read_dir(fixtures).unwrap();
    let folders: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(FIGURES).exists())
        .collect();
    assert!(!folders.is_empty());
    let mut readers = OtherReaders::start();
    for folder in folders {
        opens(&folder, &mut readers);
    }
}

/// Later versions may add tables and columns; what was there is there.
fn opens(fixture: &Path, readers: &mut OtherReaders) {
    let what = fixture.file_name().unwrap().to_string_lossy().into_owned();
    let written = std::fs::read(fixture.join(FIGURES)).unwrap();
    let mut written: Value = serde_json::from_slice(&written).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("store");
    copy(fixture, &folder);
    let store = Store::open(Folder::prepare(&folder).unwrap()).unwrap();
    let as_written = |found: &Value, written: &Value| {
        let difference = figures::difference(written, &only_known(found, written));
        assert_eq!(difference, None, "{what}");
    };
    as_written(&block_on(figures_of(&store)), &written);
    block_on(async {
        let keeper = rows::keep(&store, HUB).await;
        assert!(keeper.n_waiting().await.unwrap() > 0, "{what}: rows wait");
        assert!(keeper.flush().await.unwrap() > 0, "{what}");
        assert_eq!(keeper.n_waiting().await.unwrap(), 0, "{what}");
        keeper.compact().await.unwrap();
    });
    let own = block_on(figures_of(&store));
    let days = &mut written["tables"]["user_days"];
    if days["columns"]["cpu_core_seconds"]["known"] == 0 {
        // Versions that did not sum up what was used on days knew of fewer, and less of each.
        assert!(own["tables"]["user_days"]["rows"].as_u64() >= days["rows"].as_u64());
        *days = own["tables"]["user_days"].clone();
        assert_ne!(days["columns"]["cpu_core_seconds"]["known"], 0, "{what}");
    }
    as_written(&own, &written);
    let theirs = readers.ask(&json!({
        "ask": "figures",
        "folder": folder.join("history"),
        "reader": "deltalake",
    }));
    let theirs = only_known(&theirs, &written["tables"]);
    assert_eq!(
        figures::difference(&written["tables"], &theirs),
        None,
        "{what}"
    );
}

/// Without what the other does not know.
fn only_known(found: &Value, known: &Value) -> Value {
    let (Value::Object(found), Value::Object(known)) = (found, known) else {
        return found.clone();
    };
    let both = found.iter().filter_map(|(name, value)| {
        let known = known.get(name)?;
        Some((name.clone(), only_known(value, known)))
    });
    Value::Object(both.collect())
}

fn copy(from: &Path, into: &Path) {
    std::fs::create_dir_all(into).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = into.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
