//! Erasing a person: afterwards no byte of the folder and no decoded value names them.
//!
//! The search looks at every file, whatever it is called and whoever refers to it, and is shown to
//! find the name in each kind of place before the erasure.

use super::*;
use crate::durable::testing::{CutPolicy, Recorder, after_power_cut, marks};
use crate::state::jobs::{self, Job};
use crate::state::present::Change;
use crate::state::{Journal, State};
use crate::tables::usage;
use crate::tables::{
    Audit, ColumnKind, DeadLetter, Event, Membership, Observation, RowId, Session, Storage, TABLES,
    Usage, UserDay,
};
use crate::{Position, TallyDef, TallyKind};
use arrow::array::Array as _;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::file::reader::{FileReader as _, SerializedFileReader};
use model::diff::{Running, StopCredit};
use model::names::UserName;
use model::snapshot::{Dated, Group};
use model::tally::Tally;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A name that needs escaping everywhere.
const ODD: &str = r#"o"neil\x"#;

// ---- the search ----

/// What is looked for.
struct Search {
    texts: Vec<String>,
    /// How they begin, so that thousands of them are looked for at once.
    beginnings: HashSet<Vec<u8>>,
    length: usize,
}

impl Search {
    fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for text in texts {
            let json = serde_json::to_string(text).unwrap();
            let json = json[1..json.len() - 1].to_owned();
            let ascii: String = json
                .encode_utf16()
                .map(|unit| match char::from_u32(u32::from(unit)) {
                    Some(letter) if letter.is_ascii() => letter.to_string(),
                    _ => format!("\\u{unit:04x}"),
                })
                .collect();
            let percent: String = text.bytes().map(percent).collect();
            let hex: String = text
                .bytes()
                .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            forms.extend([text.to_owned(), json, ascii, percent, hex]);
        }
        forms.sort();
        forms.dedup();
        let length = forms.iter().map(String::len).min().unwrap_or(1).min(8);
        let beginnings = forms
            .iter()
            .map(|form| form.as_bytes()[..length].to_vec())
            .collect();
        Self {
            texts: forms,
            beginnings,
            length,
        }
    }

    /// For a person: the name and what KubeSpawner makes of it.
    fn of_person(name: &str) -> Self {
        let slugs = [model::slug::escaped(name), model::slug::safe(name)];
        Self::new([name, &slugs[0], &slugs[1]])
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(self.length).enumerate().any(|(at, part)| {
            self.beginnings.contains(part)
                && self
                    .texts
                    .iter()
                    .any(|text| bytes[at..].starts_with(text.as_bytes()))
        })
    }

    /// Every place in the folder where it is found, as `path: how`.
    fn places(&self, folder: &Path) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        for path in files(folder) {
            let bytes = fs::read(&path).unwrap();
            let shown = path.strip_prefix(folder).unwrap().display().to_string();
            let mut look = |how: &str, bytes: &[u8]| {
                if self.is_in(bytes) {
                    places.insert(format!("{shown}: {how}"));
                }
            };
            look("name", shown.as_bytes());
            look("bytes", &bytes);
            if bytes.starts_with(b"PAR1") {
                in_parquet(&path, &mut look);
            } else if bytes.starts_with(b"SQLite format 3") {
                in_sqlite(&path, &mut look);
            } else {
                for line in bytes.split(|byte| *byte == b'\n') {
                    if let Ok(value) = serde_json::from_slice(line) {
                        in_json(&value, &mut look);
                    }
                }
            }
        }
        places
    }
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Metadata, statistics, dictionaries, pages and rows.
fn in_parquet(path: &Path, look: &mut impl FnMut(&str, &[u8])) {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let file_metadata = reader.metadata().file_metadata();
    for pair in file_metadata.key_value_metadata().into_iter().flatten() {
        look("metadata", format!("{pair:?}").as_bytes());
    }
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).unwrap();
        for column in 0..group.num_columns() {
            if let Some(statistics) = group.metadata().column(column).statistics() {
                look("statistics", statistics.min_bytes_opt().unwrap_or_default());
                look("statistics", statistics.max_bytes_opt().unwrap_or_default());
            }
            let mut pages = group.get_column_page_reader(column).unwrap();
            while let Some(page) = pages.get_next_page().unwrap() {
                let how = format!("{:?}", page.page_type());
                look(&how, page.buffer());
            }
        }
    }
    let rows = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    for batch in rows.build().unwrap() {
        let batch = batch.unwrap();
        for column in batch.columns() {
            let shown = ArrayFormatter::try_new(column, &FormatOptions::default()).unwrap();
            for row in 0..column.len() {
                look("values", shown.value(row).to_string().as_bytes());
            }
        }
    }
}

fn in_sqlite(path: &Path, look: &mut impl FnMut(&str, &[u8])) {
    let connection = State::prepare(path).unwrap();
    let mut select = connection
        .prepare("select name from sqlite_master where type = 'table'")
        .unwrap();
    let tables = select.query_map([], |row| row.get(0)).unwrap();
    for table in tables {
        let table: String = table.unwrap();
        let mut select = connection
            .prepare(&format!("select * from {table}"))
            .unwrap();
        let n_columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..n_columns {
                if let rusqlite::types::ValueRef::Text(text) = row.get_ref(column).unwrap() {
                    look(&format!("table {table}"), text);
                }
            }
        }
    }
}

fn in_json(value: &Value, look: &mut impl FnMut(&str, &[u8])) {
    match value {
        Value::String(text) => {
            look("json", text.as_bytes());
            if let Ok(inner @ Value::Object(_)) = serde_json::from_str(text) {
                in_json(&inner, look);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| in_json(value, look)),
        Value::Object(map) => {
            for (key, value) in map {
                look("json", key.as_bytes());
                in_json(value, look);
            }
        }
        _ => {}
    }
}

// ---- a folder full of a person ----

#[expect(
    clippy::needless_pass_by_value,
    reason = "it reads better with `json!`"
)]
fn event(hub: &str, user: Option<&str>, time: &str, detail: Value) -> Event {
    let detail = detail.to_string();
    Event {
        id: RowId::of(&["test", hub, user.unwrap_or_default(), time, &detail]),
        hub: hub.into(),
        at: at(time),
        not_before: None,
        kind: "login".into(),
        user: user.map(UserName::from),
        server: None,
        detail: Some(detail.into()),
        source: "hub".into(),
        schema: None,
        schema_version: None,
    }
}

/// Servers of the month: one that ended, and news that corrects it later.
fn servers(user: &str, month: &str, server: &str) -> [Vec<KeyedFact>; 2] {
    let time = |time: &str| format!("{month}-05T{time}:00Z");
    let options = serde_json::json!({"home": format!("/home/{user}"), "profile": "gpu"});
    let mut facts = vec![
        seen(user, &time("09:00"), &time("09:01")),
        gone(user, &time("09:00"), &time("10:00"), &time("10:01")),
    ];
    if let What::Seen { options: none, .. } = &mut facts[0].fact.what {
        *none = Some(options.to_string().into());
    }
    let mut correction = vec![fact(user, &format!("{month}-05T10:00:30Z"), What::Stop)];
    for fact in facts.iter_mut().chain(&mut correction) {
        fact.key.server = server.into();
    }
    [facts, correction]
}

fn events_of(hub: &str, facts: &[KeyedFact]) -> Intake {
    let mut intake = Intake::default();
    for fact in facts {
        intake
            .event(&event_of(&Arc::from(hub), &Arc::from("poll"), fact))
            .unwrap();
    }
    intake
}

/// A row of every kind that names the person.
#[expect(clippy::too_many_lines, reason = "a flat list of rows")]
fn rows_naming(hub: &str, name: &str, month: &str) -> Intake {
    let time = format!("{month}-07T11:00:00Z");
    let user: UserName = name.into();
    let id = |kind: &str| RowId::of(&[kind, hub, name, month]);
    let hub: Arc<str> = hub.into();
    let slug = model::slug::safe(name);
    let url: String = name.bytes().map(percent).collect();
    let mut rows = Intake::default();
    for detail in [
        serde_json::json!({"text": format!("{name} logged in\nfrom /user/{url}/lab")}),
        serde_json::json!({"pod": format!("jupyter-{slug}--x"), name: {"list": [name]}}),
    ] {
        rows.event(&event(&hub, Some(name), &time, detail)).unwrap();
    }
    for detail in [
        serde_json::json!({"shared_with": [name, "eve"], "profile": "gpu"}),
        serde_json::json!({"text": format!("shared with {name}."), "users": {name: 1}}),
    ] {
        rows.event(&event(&hub, Some("bob"), &time, detail.clone()))
            .unwrap();
        rows.event(&event(&hub, None, &time, detail)).unwrap();
    }
    for (group, change) in [
        ("physics", "joined"),
        ("physics", "left"),
        ("art", "joined"),
    ] {
        let membership = Membership {
            id: RowId::of(&[group, change, name, month]),
            hub: Arc::clone(&hub),
            user: user.clone(),
            group: group.into(),
            at: at(&time),
            not_before: None,
            change: change.into(),
            reason: None,
        };
        rows.row(&membership, Some(&user)).unwrap();
    }
    for revision in [1, 2] {
        let usage = Usage {
            id: id("usage"),
            revision,
            hub: Arc::clone(&hub),
            hour: at(&time),
            user: user.clone(),
            server: Some(name.into()),
            cpu_core_seconds: Some(1.5),
            memory_byte_seconds: None,
            cpu_requested_core_seconds: None,
            memory_requested_byte_seconds: None,
            gpu_requested_seconds: None,
            gpu_used_seconds: None,
            network_rx_bytes: None,
            network_tx_bytes: None,
            memory_peak_bytes: None,
            samples: revision,
        };
        rows.row(&usage, Some(&user)).unwrap();
    }
    let storage = Storage {
        id: id("storage"),
        revision: 1,
        hub: Arc::clone(&hub),
        day: format!("{month}-07").parse().unwrap(),
        user: user.clone(),
        home_bytes: 1e9,
        files: None,
    };
    rows.row(&storage, Some(&user)).unwrap();
    let observation = Observation {
        id: id("observation"),
        hub: Arc::clone(&hub),
        at: at(&time),
        name: "logins".into(),
        labels: serde_json::json!({"user": name}).to_string().into(),
        value: 1.0,
        min: None,
        max: None,
        last: None,
        n: None,
    };
    rows.row(&observation, None).unwrap();
    let cut_off = serde_json::json!({"user": name, "x": {"y": name}}).to_string();
    let letter = DeadLetter {
        id: id("letter"),
        hub: Arc::clone(&hub),
        at: at(&time),
        source: "http".into(),
        reason: format!("no user `{name}`").into(),
        text: cut_off[..cut_off.len() - 2].into(),
    };
    rows.row(&letter, None).unwrap();
    for (viewer, what) in [
        ("admin", format!("looked at {name}")),
        (name, "looked".into()),
    ] {
        let audit = Audit {
            id: id(&what),
            hub: Arc::clone(&hub),
            at: at(&time),
            viewer: viewer.into(),
            what: what.into(),
        };
        let viewer = UserName::from(viewer);
        rows.row(&audit, Some(&viewer)).unwrap();
    }
    for tally in tallies_naming(name) {
        rows.tally(tally);
    }
    rows.request(&format!("{name} in {month}"));
    rows
}

/// What metrics count under the name.
fn tallies_naming(name: &str) -> [crate::Tally; 3] {
    static COUNTS: TallyDef = TallyDef {
        name: "counts_total",
        kind: TallyKind::Counter,
        labels: &["what", "user"],
        whose: Some(1),
    };
    static LAST: TallyDef = TallyDef {
        name: "last",
        kind: TallyKind::Gauge,
        ..COUNTS
    };
    [
        crate::Tally::add(&COUNTS, &["login", name], 1.0),
        crate::Tally::add(&COUNTS, &[&format!("export of {name}"), name], 1.0),
        crate::Tally::set(&LAST, &["gpu", name], 1.0),
    ]
}

const MONTHS: [&str; 3] = ["2026-09", "2026-10", "2026-11"];

/// Everything that is taken of a hub, in turn; the last is left in the spool.
fn takes(hub: &str, name: &str) -> Vec<Intake> {
    let mut takes = Vec::new();
    for month in MONTHS {
        for (user, server) in [(name, ""), (name, name), ("bob", "")] {
            takes.extend(servers(user, month, server).map(|facts| events_of(hub, &facts)));
        }
        takes.push(rows_naming(hub, name, month));
    }
    let recent = [
        seen(name, "2026-11-21T08:00:00Z", "2026-11-21T08:01:00Z"),
        fact(name, "2026-11-21T09:00:00Z", What::Stop),
    ];
    takes.push(events_of(hub, &recent));
    let waiting = serde_json::json!({"text": format!("{name} waits")});
    let mut last = Intake::default();
    last.event(&event(hub, Some(name), "2026-11-21T10:00:00Z", waiting))
        .unwrap();
    takes.push(last);
    takes
}

fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

const OTHER_HUB: &str = "hub/2";

/// A store in which the person is everywhere, and another hub with a person.
async fn filled(name: &str, name_at_other_hub: &str) -> Kept {
    let folder = quick_folder();
    let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
    let other = store.try_keep(settings(OTHER_HUB)).await.unwrap().unwrap();
    fill(&other, OTHER_HUB, name_at_other_hub).await;
    drop(other);
    let keeper = store.try_keep(settings("hub")).await.unwrap().unwrap();
    fill(&keeper, "hub", name).await;
    litter(folder.path(), name);
    Kept {
        folder,
        store,
        keeper,
    }
}

async fn fill(keeper: &Keeper, hub: &str, name: &str) {
    let mut polled = Intake::default();
    let servers = Dated {
        at: at("2026-11-21T07:00:00Z"),
        value: Vec::new(),
    };
    polled.present(Change::Servers(servers, StopCredit::default()));
    polled.position(Position {
        source: format!("import /home/{name}/old.jsonl"),
        value: "7".to_owned(),
    });
    let used = |user: &str| serde_json::json!({"hour": 0, "account": {"user": user}, "totals": {}});
    for source in [usage::OPEN_HOURS, usage::METERS] {
        polled.position(Position {
            source: source.to_owned(),
            value: serde_json::json!([used(name), used("somebody else")]).to_string(),
        });
    }
    polled.position(Position {
        source: format!("{}{name}", usage::ENDED_METERS),
        value: serde_json::json!([used(name)]).to_string(),
    });
    keeper.take(polled).await.unwrap();
    let takes = takes(hub, name);
    let n_takes = takes.len();
    for (number, intake) in takes.into_iter().enumerate() {
        keeper.take(intake).await.unwrap();
        if number == n_takes / 2 {
            keeper.compact().await.unwrap();
        }
        if number < n_takes - 1 {
            keeper.flush().await.unwrap();
        }
    }
}

/// What crashes and queries leave.
fn litter(folder: &Path, name: &str) {
    let events = folder.join("history/events");
    let month = events.join("hub=hub/month=2026-09");
    let size = |file: &PathBuf| fs::metadata(file).unwrap().len();
    let file = files(&month).into_iter().max_by_key(size).unwrap();
    fs::copy(&file, month.join("orphan.parquet")).unwrap();
    fs::copy(&file, month.join("upload.parquet#7")).unwrap();
    let unnamed = events.join("hub=hub/month=2020-01");
    fs::create_dir(&unnamed).unwrap();
    fs::copy(&file, unnamed.join("orphan.parquet")).unwrap();
    let log = events.join("_delta_log");
    fs::write(log.join("00000000000000000099.json.cut-off"), name).unwrap();
    fs::create_dir(folder.join("tmp/spill")).unwrap();
    fs::write(folder.join("tmp/spill/1.arrow"), name).unwrap();
}

/// The erasure's own row in `audit`.
fn tells_of_an_erasure(row: &Map<String, Value>) -> bool {
    let what = row.get("what").and_then(Value::as_str);
    what.is_some_and(|what| what.starts_with(r#"{"erased""#))
}

/// All rows of the hub in the history, by table, but for what tells of erasures.
async fn everything(store: &Store, hub: &str) -> BTreeMap<&'static str, Vec<Map<String, Value>>> {
    async fn of<R: Row>(store: &Store, hub: &str) -> (&'static str, Vec<Map<String, Value>>) {
        let rows = rows::<R>(store).await.into_iter();
        let rows = rows.map(|row| match serde_json::to_value(row).unwrap() {
            Value::Object(row) => row,
            other => panic!("{other}"),
        });
        let rows = rows.filter(|row| row["hub"] == hub && !tells_of_an_erasure(row));
        (R::TABLE.name, rows.collect())
    }
    let mut all = BTreeMap::new();
    all.extend([
        of::<Event>(store, hub).await,
        of::<Membership>(store, hub).await,
    ]);
    all.extend([
        of::<Session>(store, hub).await,
        of::<UserDay>(store, hub).await,
    ]);
    all.extend([
        of::<Observation>(store, hub).await,
        of::<Usage>(store, hub).await,
    ]);
    all.extend([
        of::<Storage>(store, hub).await,
        of::<DeadLetter>(store, hub).await,
    ]);
    all.extend([of::<Audit>(store, hub).await]);
    all
}

/// Rows that count, without their ids and what holds free text; the pseudonym as the name.
fn skeleton(
    all: &BTreeMap<&'static str, Vec<Map<String, Value>>>,
    pseudonym: &str,
    name: &str,
) -> BTreeMap<&'static str, Vec<String>> {
    let mut skeletons = BTreeMap::new();
    for def in TABLES {
        let mut newest: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for row in &all[def.name] {
            let (id, revision) = (row["id"].to_string(), revision(row));
            let known = newest.get(&id);
            if known.is_none_or(|known| self::revision(known) < revision) {
                newest.insert(id, row.clone());
            } else {
                assert_ne!(
                    known.map(self::revision),
                    Some(revision),
                    "{}: twice",
                    def.name
                );
            }
        }
        let rows = newest.into_values().map(|mut row| {
            let json = def
                .columns
                .iter()
                .filter(|column| column.kind == ColumnKind::Json);
            for column in json.map(|column| column.name).chain(["id", "reason"]) {
                row.remove(column);
            }
            for value in row.values_mut().filter(|value| *value == pseudonym) {
                *value = name.into();
            }
            Value::Object(row).to_string()
        });
        let mut rows: Vec<String> = rows.collect();
        rows.sort();
        skeletons.insert(def.name, rows);
    }
    skeletons
}

/// What is no pseudonym.
const NOBODY: &str = "nobody at all";

fn check_same(
    found: &BTreeMap<&'static str, Vec<String>>,
    expected: &BTreeMap<&'static str, Vec<String>>,
    what: &str,
) {
    for (table, expected) in expected {
        let found = &found[table];
        let lacking = |rows: &[String], others: &[String]| {
            let lacking = rows.iter().filter(|row| !others.contains(row));
            lacking.cloned().collect::<Vec<_>>().join("\n")
        };
        let (more, fewer) = (lacking(found, expected), lacking(expected, found));
        assert!(
            found == expected,
            "{table}, {what}: {} rows instead of {}\n+ {more}\n- {fewer}",
            found.len(),
            expected.len()
        );
    }
}

fn revision(row: &Map<String, Value>) -> i64 {
    row.get("revision").and_then(Value::as_i64).unwrap_or(0)
}

async fn pseudonym(store: &Store) -> String {
    let sessions = rows::<Session>(store).await.into_iter();
    let mut names: BTreeSet<String> = sessions
        .filter(|session| &*session.hub == "hub")
        .map(|session| session.user.as_str().to_owned())
        .filter(|user| user.starts_with("erased-"))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.pop_first().unwrap()
}

/// Ids of rows that name the person.
fn ids_naming(
    all: &BTreeMap<&'static str, Vec<Map<String, Value>>>,
    search: &Search,
) -> BTreeSet<String> {
    let rows = all.values().flatten();
    let naming =
        rows.filter(|row| search.is_in(Value::Object((*row).clone()).to_string().as_bytes()));
    naming
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

// ---- the proof ----

async fn check_erasure(name: &str) {
    let mut kept = filled(name, "somebody").await;
    let folder = kept.folder.path().to_owned();
    let search = Search::of_person(name);
    kept.keeper.flush().await.unwrap();
    let before = everything(&kept.store, "hub").await;
    let old_ids = ids_naming(&before, &search);
    assert!(old_ids.len() > 50, "{}", old_ids.len());

    let erased = kept.keeper.erase(name).await.unwrap();
    assert!(erased.n_rows >= old_ids.len(), "{erased:?}");
    assert!(!erased.to_string().contains(name));

    let ids = Search::new(old_ids.iter().map(String::as_str));
    let found_nothing = || {
        assert_eq!(search.places(&folder), BTreeSet::new(), "the name");
        assert_eq!(ids.places(&folder), BTreeSet::new(), "old ids");
    };
    found_nothing();
    let pseudonym = pseudonym(&kept.store).await;
    let after = everything(&kept.store, "hub").await;
    let totals = skeleton(&before, NOBODY, name);
    check_same(&skeleton(&after, &pseudonym, name), &totals, "after");
    for def in TABLES {
        assert!(!after[def.name].is_empty(), "{}", def.name);
        assert_eq!(
            after[def.name].len(),
            before[def.name].len(),
            "{}",
            def.name
        );
    }

    // The same source once more, then again when ids are long forgotten.
    for _ in 0..2 {
        let mut accepted = crate::Accepted::default();
        for intake in takes("hub", name) {
            let taken = kept.keeper.take(intake).await.unwrap();
            accepted.n_new += taken.n_new;
            accepted.n_erased += taken.n_erased;
        }
        assert!(accepted.n_erased > 50, "{accepted:?}");
        kept.keeper.flush().await.unwrap();
        found_nothing();
        let again = everything(&kept.store, "hub").await;
        check_same(&skeleton(&again, &pseudonym, name), &totals, "again");
        kept = kept.again().await;
    }
    let rebuilt = kept.keeper.rebuild().await.unwrap();
    assert_eq!((rebuilt.n_sessions_changed, rebuilt.n_days_changed), (0, 0));
    let kept = kept.again().await;
    assert_eq!(search.places(kept.folder.path()), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_names_an_erased_person_and_totals_stay() {
    check_erasure("ada.lovelace").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_need_escaping_are_erased_too() {
    check_erasure(ODD).await;
    check_erasure("日本").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_finds_the_name_in_every_kind_of_place() {
    let kept = filled(ODD, "somebody").await;
    let places = Search::of_person(ODD).places(kept.folder.path());
    let is_found = |part: &str, how: &str| {
        assert!(
            places
                .iter()
                .any(|place| place.contains(part) && place.ends_with(how)),
            "{part}: {how} in {places:#?}"
        );
    };
    for def in TABLES {
        is_found(&format!("history/{}/hub=hub/", def.name), ": values");
    }
    for how in ["DICTIONARY_PAGE", "statistics", "values", "bytes"] {
        is_found("history/events/hub=hub/month=2026-10", how);
        is_found("month=2026-09/orphan.parquet", how);
        is_found("month=2020-01/orphan.parquet", how);
        is_found("upload.parquet#7", how);
    }
    is_found("_delta_log/00000000000000000099.json.cut-off", ": bytes");
    is_found("tmp/spill/1.arrow", ": bytes");
    is_found("state.db-wal", ": bytes");
    for table in ["spool", "facts", "fact_marks", "recorded", "tallies"] {
        is_found("state.db", &format!(": table {table}"));
    }
    // No version of the log ever named anybody.
    let in_log = places
        .iter()
        .filter(|place| place.contains("_delta_log") && !place.contains("cut-off"));
    assert_eq!(in_log.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_at_another_hub_and_longer_names_stay() {
    let kept = filled("ada", "ada").await;
    let adam = rows_naming("hub", "adam", "2026-10");
    kept.keeper.take(adam).await.unwrap();
    kept.keeper.flush().await.unwrap();
    // What waits is flushed below.
    let other = kept.store.try_keep(settings(OTHER_HUB)).await.unwrap();
    other.unwrap().flush().await.unwrap();
    let other_before = everything(&kept.store, OTHER_HUB).await;
    let before = everything(&kept.store, "hub").await;
    kept.keeper.erase("ada").await.unwrap();
    assert_eq!(everything(&kept.store, OTHER_HUB).await, other_before);
    let after = everything(&kept.store, "hub").await;
    let adam = Search::new(["adam"]);
    let naming = |all: &BTreeMap<&'static str, Vec<Map<String, Value>>>| {
        let rows = all.values().flatten();
        let rows = rows.map(|row| Value::Object(row.clone()).to_string());
        let mut rows: Vec<String> = rows.filter(|row| adam.is_in(row.as_bytes())).collect();
        rows.sort();
        rows
    };
    assert!(naming(&before).len() > 10);
    assert_eq!(naming(&after), naming(&before));
    assert_eq!(
        after["sessions"]
            .iter()
            .filter(|row| row["user"] == "ada")
            .count(),
        0
    );
    let again = kept
        .keeper
        .take(takes("hub", "ada").remove(0))
        .await
        .unwrap();
    assert_eq!(again.n_erased, 2);
    drop(kept.keeper);
    let other = loop {
        if let Some(keeper) = kept.store.try_keep(settings(OTHER_HUB)).await.unwrap() {
            break keeper;
        }
    };
    let again = other.take(takes(OTHER_HUB, "ada").remove(0)).await.unwrap();
    assert_eq!(again.n_erased, 0);
    other.flush().await.unwrap();
    assert_eq!(everything(&kept.store, OTHER_HUB).await, other_before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_word_as_a_name_harms_nobody_else() {
    for name in ["gpu", "stopped", "a"] {
        let kept = kept().await;
        let detail =
            serde_json::json!({"profile": name, "reason": name, "text": format!("{name} x")});
        let mut rows = Intake::default();
        rows.event(&event("hub", Some("bob"), "09:00", detail))
            .unwrap();
        kept.keeper.take(rows).await.unwrap();
        for facts in servers("bob", "2026-11", name)
            .into_iter()
            .chain(servers(name, "2026-11", ""))
        {
            kept.keeper.take(intake(&facts)).await.unwrap();
        }
        kept.keeper.flush().await.unwrap();
        let of_bob = |all: BTreeMap<&'static str, Vec<Map<String, Value>>>| {
            let rows = all.into_values().flatten();
            rows.filter(|row| row.get("user").is_some_and(|user| user == "bob"))
                .collect::<Vec<_>>()
        };
        let before = of_bob(everything(&kept.store, "hub").await);
        kept.keeper.erase(name).await.unwrap();
        assert_eq!(
            of_bob(everything(&kept.store, "hub").await),
            before,
            "{name}"
        );
        let rebuilt = kept.keeper.rebuild().await.unwrap();
        assert_eq!(
            (rebuilt.n_sessions_changed, rebuilt.n_days_changed),
            (0, 0),
            "{name}"
        );
    }
}

// ---- afterwards ----

#[tokio::test]
async fn newer_rows_are_a_new_person() {
    let kept = kept().await;
    let old = [
        seen("ada", "09:00", "09:01"),
        gone("ada", "09:00", "10:00", "10:01"),
    ];
    kept.keeper.take(intake(&old)).await.unwrap();
    kept.keeper.erase("ada").await.unwrap();
    let new = [
        seen("ada", "2026-11-21T13:00:00Z", "2026-11-21T13:01:00Z"),
        fact("ada", "2026-11-21T14:00:00Z", What::Stop),
    ];
    let accepted = kept.keeper.take(intake(&new)).await.unwrap();
    assert_eq!((accepted.n_new, accepted.n_erased), (2, 0));
    kept.keeper.flush().await.unwrap();
    let sessions = kept.rows::<Session>().await;
    let of_ada = |session: &&Session| session.user.as_str() == "ada";
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions.iter().filter(of_ada).count(), 1);
    assert_eq!(
        sessions.iter().find(of_ada).unwrap().started,
        at("2026-11-21T13:00:00Z")
    );

    // The new person can be erased as well.
    kept.keeper.erase("ada").await.unwrap();
    let sessions = kept.rows::<Session>().await;
    let users: BTreeSet<&str> = sessions
        .iter()
        .map(|session| session.user.as_str())
        .collect();
    assert_eq!(users.len(), 2, "{users:?}");
    assert!(!users.contains("ada"));
}

fn present(last_seen: &str) -> Intake {
    let running = Running {
        key: key("ada"),
        started: at("09:00"),
        is_cut: false,
        options: None,
        image: None,
        seen_ready: at("09:01"),
        last_seen: at(last_seen),
        tally: Tally::default(),
    };
    let servers = Dated {
        at: at(last_seen),
        value: vec![running],
    };
    let mut intake = Intake::default();
    intake.present(Change::Servers(servers, StopCredit::default()));
    intake
}

#[tokio::test]
async fn what_runs_and_belongs_together_is_cut_at_the_erasure() {
    let kept = kept().await;
    let mut first = intake(&[seen("ada", "09:00", "09:01")]);
    let joined = model::diff::membership_changes(
        None,
        &[Group::new("physics".into(), [UserName::from("ada")])],
    );
    let groups: Arc<[Group]> = [Group::new("physics".into(), [UserName::from("ada")])].into();
    let groups = Dated {
        at: at("09:01"),
        value: groups,
    };
    first.present(Change::Groups(groups, joined));
    kept.keeper.take(first).await.unwrap();
    kept.keeper
        .take(present("2026-11-21T11:59:00Z"))
        .await
        .unwrap();
    kept.keeper.flush().await.unwrap();
    kept.keeper.erase("ada").await.unwrap();
    kept.keeper.flush().await.unwrap();

    let erased = at("2026-11-21T12:00:00Z");
    let begin = at("2026-11-21T12:00:00.000001Z");
    let sessions = kept.rows::<Session>().await;
    assert_eq!(sessions.len(), 1);
    assert!(sessions[0].user.as_str().starts_with("erased-"));
    assert_eq!(sessions[0].ended, at("2026-11-21T11:59:00Z"));
    let memberships = kept.rows::<Membership>().await;
    let told: Vec<(&str, bool, Timestamp)> = memberships
        .iter()
        .map(|row| (&*row.change, row.user.as_str() == "ada", row.at))
        .collect();
    assert_eq!(told, [("left", false, erased), ("joined", true, begin)]);

    // The poller knows the server's own start and goes on telling it.
    kept.keeper
        .take(present("2026-11-21T12:01:00Z"))
        .await
        .unwrap();
    let present = kept.keeper.present().await.unwrap();
    assert_eq!(present.servers.unwrap().value[0].started, begin);
    let end = [gone(
        "ada",
        "09:00",
        "2026-11-21T12:59:00Z",
        "2026-11-21T13:00:00Z",
    )];
    let mut rest = intake(&end);
    let servers = Dated {
        at: at("2026-11-21T13:00:00Z"),
        value: Vec::new(),
    };
    rest.present(Change::Servers(servers, StopCredit::default()));
    kept.keeper.take(rest).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let sessions = kept.rows::<Session>().await;
    let of_ada: Vec<_> = sessions
        .iter()
        .filter(|session| session.user.as_str() == "ada")
        .map(|session| (session.started, session.ended))
        .collect();
    assert_eq!(of_ada, [(begin, at("2026-11-21T13:00:00Z"))]);
    assert_eq!(sessions.len(), 2);
    let events = kept.rows::<Event>().await;
    assert!(
        events
            .iter()
            .filter(|event| event
                .user
                .as_ref()
                .is_some_and(|user| user.as_str() == "ada"))
            .all(|event| event.at > erased && !event.detail.as_ref().unwrap().contains("09:00")),
        "{events:#?}"
    );
}

#[tokio::test]
async fn the_new_persons_server_runs_on_after_a_restart() {
    turn_clock("2026-11-21T11:00:00.000000700Z");
    let kept = kept().await;
    let listed = [listed("ada", "2026-11-21T09:00:00Z", None)];
    poll(&kept.keeper, "2026-11-21T10:59:00Z", &listed).await;
    kept.keeper.erase("ada").await.unwrap();
    let kept = kept.again().await;
    let news = poll(&kept.keeper, "2026-11-21T11:01:00Z", &listed).await;
    assert_eq!(news, [], "the hub's server is not another one");
    let news = poll(&kept.keeper, "2026-11-21T11:02:00Z", &[]).await;
    assert_eq!(news.len(), 1);
    let sessions = kept
        .ask("select started, ended, end_reason from all_sessions order by started")
        .await;
    assert_eq!(
        sessions,
        [
            "2026-11-21T09:00:00Z,2026-11-21T10:59:00Z,unobserved",
            "2026-11-21T11:00:00.000001Z,2026-11-21T11:02:00Z,unobserved"
        ]
    );
}

#[tokio::test]
async fn a_day_that_closes_later_counts_the_pseudonym() {
    let kept = kept().await;
    let today = [
        seen("ada", "2026-11-21T08:00:00Z", "2026-11-21T08:01:00Z"),
        fact("ada", "2026-11-21T09:00:00Z", What::Stop),
    ];
    kept.keeper.take(intake(&today)).await.unwrap();
    kept.keeper.erase("ada").await.unwrap();
    let mut tomorrow = Intake::default();
    let servers = Dated {
        at: at("2026-11-22T12:00:00Z"),
        value: Vec::new(),
    };
    tomorrow.present(Change::Servers(servers, StopCredit::default()));
    kept.keeper.take(tomorrow).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let days = kept.rows::<UserDay>().await;
    assert_eq!(days.len(), 1);
    assert!(days[0].user.as_str().starts_with("erased-"));
    assert!((days[0].hours - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_job_leaves_no_name_in_state_db() {
    let kept = kept().await;
    let name = "ada.lovelace";
    kept.keeper
        .take(intake(&[seen(name, "09:00", "09:01")]))
        .await
        .unwrap();
    let job = Job::Erase { user: name.into() };
    let state_db = kept.store.folder().state_db();
    jobs::ask(
        &State::prepare(&state_db).unwrap(),
        "hub",
        &job,
        at("09:00"),
    )
    .unwrap();
    let search = Search::of_person(name);
    let places = search.places(kept.folder.path());
    assert!(places.contains("state.db: table jobs"), "{places:?}");
    let outcome = kept.keeper.perform(&job).await.unwrap();
    assert!(!outcome.contains(name));
    assert_eq!(search.places(kept.folder.path()), BTreeSet::new());
    let state = State::prepare(&state_db).unwrap();
    let next = jobs::begin_next(&state, "hub", at("09:01")).unwrap();
    assert_eq!(next.unwrap().job, Ok(Job::Vacuum));
}

#[tokio::test]
async fn nobody_and_strangers_can_be_erased() {
    let kept = kept().await;
    kept.keeper
        .take(intake(&[seen("bob", "09:00", "09:01")]))
        .await
        .unwrap();
    assert_eq!(
        kept.keeper.erase("").await.unwrap(),
        crate::Erased::default()
    );
    assert_eq!(kept.keeper.erase("stranger").await.unwrap().n_rows, 0);
    let events = kept.rows::<Event>().await;
    assert_eq!(events[0].user.as_ref().unwrap().as_str(), "bob");
}

// ---- crashes ----

/// Copies `state.db` at each of its commits.
struct Copies {
    recorder: Arc<Recorder>,
    state_db: PathBuf,
    into: PathBuf,
    n_commits: Mutex<usize>,
}

impl Journal for Copies {
    fn committed(&self) {
        let mut n_commits = self.n_commits.lock().unwrap();
        let into = self.into.join(n_commits.to_string());
        fs::create_dir_all(&into).unwrap();
        for suffix in ["", "-wal"] {
            let name = format!("state.db{suffix}");
            let file = self.state_db.with_file_name(&name);
            if file.exists() {
                fs::copy(file, into.join(name)).unwrap();
            }
        }
        self.recorder.mark(format!("state {n_commits}"));
        *n_commits += 1;
    }
}

/// Cut short after any operation on the history, an erasure that is asked for again is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_a_crash_cut_short_can_be_finished() {
    let (folder, copies) = (quick_folder(), quick_folder());
    let prepared = Folder::prepare(folder.path()).unwrap();
    fs::create_dir(prepared.history()).unwrap();
    drop(State::prepare(&prepared.state_db()).unwrap());
    let recorder = Recorder::new(prepared.history());
    let journal = Copies {
        recorder: Arc::clone(&recorder),
        state_db: prepared.state_db(),
        into: copies.path().to_owned(),
        n_commits: Mutex::new(0),
    };
    let disk: Arc<dyn crate::durable::disk::Disk> = Arc::clone(&recorder) as _;
    let store = Store::open_on(prepared, disk, Some(Arc::new(journal))).unwrap();
    let keeper = store.try_keep(settings("hub")).await.unwrap().unwrap();
    let name = "ada.lovelace";
    for month in ["2026-10", "2026-11"] {
        for facts in servers(name, month, "") {
            keeper.take(events_of("hub", &facts)).await.unwrap();
            keeper.flush().await.unwrap();
        }
    }
    let before = skeleton(&everything(&store, "hub").await, NOBODY, name);
    let first = recorder.n_ops();
    keeper.erase(name).await.unwrap();
    let ops = recorder.journal();
    assert!(ops.len() - first > 50, "{}", ops.len() - first);

    let search = Search::of_person(name);
    for upto in (first + 1..=ops.len()).step_by(3) {
        let what = format!("after operation {upto}: {:?}", ops[upto - 1]);
        let folder = quick_folder();
        let marks = marks(&ops[..upto]);
        let commit = marks
            .iter()
            .rev()
            .find_map(|mark| mark.strip_prefix("state "));
        for entry in fs::read_dir(copies.path().join(commit.unwrap())).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let history = folder.path().join("history");
        after_power_cut(&ops, upto, CutPolicy::EverythingInOrder, &history).unwrap();
        let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
        let keeper = store.try_keep(settings("hub")).await.unwrap().unwrap();
        keeper
            .erase(name)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(search.places(folder.path()), BTreeSet::new(), "{what}");
        keeper.flush().await.unwrap();
        let after = everything(&store, "hub").await;
        let pseudonym = pseudonym(&store).await;
        check_same(&skeleton(&after, &pseudonym, name), &before, &what);
    }
}

#[tokio::test]
async fn an_erasure_is_told_once_with_the_pseudonym_and_without_the_name() {
    let name = "qwertz";
    let kept = kept().await;
    let facts = [
        seen(name, "09:00", "09:01"),
        gone(name, "09:00", "10:00", "10:01"),
    ];
    kept.keeper.take(intake(&facts)).await.unwrap();
    kept.keeper.erase(name).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let [told] = &kept.rows::<Audit>().await[..] else {
        panic!("one row for one erasure")
    };
    assert_eq!(&*told.viewer, "command line");
    let pseudonym = pseudonym(&kept.store).await;
    assert_eq!(*told.what, *format!(r#"{{"erased":"{pseudonym}"}}"#));
    assert!(!Search::of_person(name).is_in(told.what.as_bytes()));
}
