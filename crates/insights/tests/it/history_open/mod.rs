//! The history as other people open it: deltalake, pandas and DuckDB find what our own SQL finds,
//! and both what was put in; and a folder that a released version wrote opens in this one.

mod figures;
mod fixture;
mod rows;

use crate::support::{OtherReaders, block_on};
pub(crate) use fixture::write as write_fixture;
use rows::{HUBS, Made, Size, USERS};
use serde_json::{Value, json};
use std::path::Path;
use store::tables::{ColumnKind, Origin, Presence, TABLES};
use store::{Engine, EngineSettings, Folder, Store};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "deltalake_pandas_duckdb_and_our_own_sql_give_the_same_figures",
        same_figures,
    ),
    ("columns_have_the_types_that_are_documented", types),
    ("no_name_stands_in_the_log", no_names_in_the_log),
    (
        "folders_of_released_versions_open_and_give_the_same_figures",
        fixture::old_folders_open,
    ),
];

const SIZE: Size = Size {
    hubs: &HUBS,
    n_months: 4,
    n_per_month: 40,
};

struct Filled {
    folder: tempfile::TempDir,
    store: Store,
    engine: Engine,
    made: Made,
}

impl Filled {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
        let engine = engine(&store);
        let made = block_on(rows::fill(&store, SIZE));
        Self {
            folder,
            store,
            engine,
            made,
        }
    }

    fn own(&self) -> Value {
        block_on(figures::own(&self.store, &self.engine, rows::now()))
    }

    fn flush(&self) {
        for hub in HUBS {
            block_on(async {
                let keeper = rows::keep(&self.store, hub).await;
                assert!(keeper.flush().await.unwrap() > 0, "some rows waited");
            });
        }
    }

    fn history(&self) -> &Path {
        self.folder.path()
    }
}

fn engine(store: &Store) -> Engine {
    Engine::new(EngineSettings::new(store.folder().temporary()))
}

fn ask(readers: &mut OtherReaders, what: &str, folder: &Path) -> Value {
    readers.ask(&json!({"ask": what, "folder": folder.join("history")}))
}

fn same_figures() {
    let filled = Filled::new();
    let mut with_spool = filled.own();
    filled.flush();
    let own = filled.own();
    // What was used comes to its days with a flush.
    with_spool["user_days"] = own["user_days"].clone();
    assert_eq!(
        figures::difference(&own, &with_spool),
        None,
        "a flush changes no figure"
    );

    for def in TABLES.iter().filter(|def| def.origin == Origin::Collected) {
        let put_in = figures::expected(def, &filled.made.rows[def.name]);
        let difference = figures::difference(&own[def.name], &put_in);
        assert_eq!(
            difference, None,
            "our SQL and what was put into {}",
            def.name
        );
    }
    let n_sessions = own["sessions"]["rows"].as_u64().unwrap();
    assert_eq!(n_sessions, filled.made.n_sessions as u64);
    assert!(own["user_days"]["rows"].as_u64().unwrap() >= 4);
    let seconds = &own["user_days"]["columns"]["cpu_core_seconds"]["sum"];
    assert!(seconds.as_f64().unwrap() > 0.0);

    let mut readers = OtherReaders::start();
    for reader in ["deltalake", "pandas", "duckdb", "duckdb, files"] {
        let question = json!({
            "ask": "figures",
            "folder": filled.history().join("history"),
            "reader": reader,
        });
        let theirs = readers.ask(&question);
        let difference = figures::difference(&own, &theirs);
        assert_eq!(difference, None, "our SQL and {reader}");
    }
}

fn types() {
    let filled = Filled::new();
    filled.flush();
    let types = ask(&mut OtherReaders::start(), "types", filled.history());
    for def in TABLES {
        let found = &types[def.name];
        let documented: Vec<&str> = def.all_columns().map(|column| column.name).collect();
        let names: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert_eq!(names, documented, "{}", def.name);
        for column in def.all_columns() {
            let (in_log, in_files) = match column.kind {
                ColumnKind::Text | ColumnKind::Name | ColumnKind::Json => ("string", "string"),
                ColumnKind::Integer => ("long", "int64"),
                ColumnKind::Real => ("double", "double"),
                ColumnKind::Time => ("timestamp", "timestamp[us, tz=UTC]"),
                ColumnKind::Day => ("date", "date32[day]"),
                ColumnKind::Flag => ("boolean", "bool"),
            };
            let mut expected = json!({
                "type": in_log,
                "nullable": column.presence == Presence::Maybe,
            });
            if !["hub", "month"].contains(&column.name) {
                expected["files"] = json!([in_files]);
            }
            assert_eq!(found[column.name], expected, "{}.{}", def.name, column.name);
        }
    }
}

fn no_names_in_the_log() {
    let filled = Filled::new();
    filled.flush();
    let log = ask(&mut OtherReaders::start(), "log", filled.history());
    assert!(
        log["n_checkpoints"].as_u64().unwrap() >= 1,
        "{}",
        log["n_checkpoints"]
    );
    let text = log["text"].as_str().unwrap();
    assert!(text.contains("numRecords"), "statistics are there");
    for user in USERS {
        let escaped = serde_json::to_string(user).unwrap();
        for name in [user, escaped.trim_matches('"')] {
            assert!(!text.contains(name), "`{name}` stands in the log");
        }
    }
}
