//! The store beside `object_store`'s own, under power cuts, and under a Delta table.

use super::disk::RealDisk;
use super::error::{disk_error, is_full};
use super::testing::{CutPolicy, Fault, FaultyDisk, Op, Recorder, after_power_cut, marks};
use super::*;
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use deltalake_core::DeltaTable;
use deltalake_core::checkpoints::create_checkpoint;
use deltalake_core::kernel::{DataType, StructField};
use futures::TryStreamExt;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStoreExt, UploadPart};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A store that a test addresses from the folder, as it would a `LocalFileSystem` with a prefix.
fn rooted(folder: &FilePath, disk: Arc<dyn Disk>) -> PrefixStore<Arc<DurableFolder>> {
    let store = Arc::new(DurableFolder::new(folder, disk).unwrap());
    let prefix = store.prefix.clone();
    PrefixStore::new(store, prefix)
}

fn recorded() -> (TempDir, Arc<Recorder>, PrefixStore<Arc<DurableFolder>>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recorder::new(folder.path());
    let disk_of_store: Arc<dyn Disk> = Arc::<Recorder>::clone(&disk);
    let store = rooted(folder.path(), disk_of_store);
    (folder, disk, store)
}

fn faulty(fault: Fault) -> (TempDir, PrefixStore<Arc<DurableFolder>>) {
    let folder = tempfile::tempdir().unwrap();
    let store = rooted(folder.path(), Arc::new(FaultyDisk::new(fault)));
    (folder, store)
}

async fn create(store: &dyn ObjectStore, path: &Path, bytes: &str) -> Result<PutResult> {
    let bytes = bytes.to_owned().into();
    store.put_opts(path, bytes, PutMode::Create.into()).await
}

/// Every file below the folder, staged ones too.
fn files(folder: &FilePath) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[tokio::test]
async fn what_was_put_reads_back_with_the_tag_that_put_gave() {
    let (_folder, _disk, store) = recorded();
    let path = Path::from("month=2025-01/a.parquet");
    let put = store.put(&path, "bytes".into()).await.unwrap();

    let read = store.get(&path).await.unwrap();
    assert_eq!(put.e_tag, read.meta.e_tag);
    assert_eq!(read.bytes().await.unwrap(), "bytes");

    let mut upload = store.put_multipart(&path).await.unwrap();
    upload.put_part("more".into()).await.unwrap();
    let put = upload.complete().await.unwrap();
    assert_eq!(put.e_tag, store.head(&path).await.unwrap().e_tag);
}

#[tokio::test]
async fn a_name_is_created_only_once() {
    let (folder, _disk, store) = recorded();
    let path = Path::from("_delta_log/0.json");
    create(&store, &path, "first").await.unwrap();
    let error = create(&store, &path, "second").await.unwrap_err();

    assert!(
        matches!(error, object_store::Error::AlreadyExists { .. }),
        "{error}"
    );
    let first = BTreeMap::from([("_delta_log/0.json".to_owned(), b"first".to_vec())]);
    assert_eq!(files(folder.path()), first);
}

#[tokio::test]
async fn of_many_who_create_a_name_one_succeeds() {
    let (_folder, _disk, store) = recorded();
    let store = &store;
    let path = &Path::from("_delta_log/0.json");
    let creates = (0..20).map(|n| async move {
        let put = create(store, path, &n.to_string()).await;
        put.is_ok().then(|| n.to_string())
    });
    let winners: Vec<_> = futures::future::join_all(creates)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(winners.len(), 1);
    let bytes = store.get(path).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, winners[0]);
}

#[tokio::test]
async fn parts_land_where_they_were_handed_in_whatever_finishes_first() {
    let (folder, _disk, store) = recorded();
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    let mut parts: Vec<UploadPart> = ["one ", "two ", "three"]
        .map(|part| upload.put_part(part.into()))
        .into();
    let last = parts.pop().unwrap();
    last.await.unwrap();
    for part in parts.into_iter().rev() {
        part.await.unwrap();
    }
    upload.complete().await.unwrap();
    assert_eq!(files(folder.path())["a"], b"one two three");
}

#[tokio::test]
async fn an_upload_that_lacks_a_part_is_refused_and_removed() {
    let (folder, _disk, store) = recorded();
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    upload.put_part("one".into()).await.unwrap();
    drop(upload.put_part("two".into()));
    let error = upload.complete().await.unwrap_err();
    let said = error
        .to_string()
        .replace(folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(said, @"Generic DurableFolder error: could not publish `/a`: not all of its parts were written");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn an_upload_that_is_aborted_or_dropped_leaves_nothing() {
    let (folder, _disk, store) = recorded();
    let runtime = Runtime::new().unwrap();
    let begin = || {
        runtime.block_on(async {
            let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
            upload.put_part("one".into()).await.unwrap();
            upload
        })
    };
    let mut upload = begin();
    runtime.block_on(upload.abort()).unwrap();
    assert!(files(folder.path()).is_empty());
    assert!(runtime.block_on(upload.complete()).is_err());

    drop(begin());
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_file_that_is_being_written_is_in_no_listing() {
    let (folder, _disk, store) = recorded();
    let mut upload = store.put_multipart(&Path::from("d/a")).await.unwrap();
    upload.put_part("one".into()).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed, []);
    let inner = store.list_with_delimiter(Some(&Path::from("d"))).await;
    assert_eq!(inner.unwrap().objects, []);
}

#[tokio::test]
async fn files_and_folders_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let store = rooted(&root, Arc::new(RealDisk));
    store.put(&Path::from("d/a"), "bytes".into()).await.unwrap();
    let mode = |path: &str| {
        let metadata = fs::metadata(root.join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("d"), mode("d/a")), (0o700, 0o700, 0o600));
}

#[tokio::test]
async fn copying_twice_leaves_no_staged_name() {
    let (folder, _disk, store) = recorded();
    let (a, b) = (Path::from("a"), Path::from("b"));
    store.put(&a, "bytes".into()).await.unwrap();
    store.copy(&a, &b).await.unwrap();
    store.copy(&a, &b).await.unwrap();
    let names: Vec<String> = files(folder.path()).into_keys().collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn deletions_sync_each_folder_once_and_are_answered_in_order() {
    let (_folder, disk, store) = recorded();
    let paths = ["d/a", "missing", "d/b", "e/a"].map(Path::from);
    for path in [&paths[0], &paths[2], &paths[3]] {
        store.put(path, "bytes".into()).await.unwrap();
    }
    let before = disk.n_ops();
    let locations = stream::iter(paths.clone().map(Ok)).boxed();
    let answers: Vec<_> = store.delete_stream(locations).collect().await;

    let is_missing =
        |answer: &Result<Path>| matches!(answer, Err(object_store::Error::NotFound { .. }));
    assert!(is_missing(&answers[1]), "{answers:?}");
    let deleted: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!(deleted, ["d/a", "d/b", "e/a"].map(Path::from));
    let ops = &disk.journal()[before..];
    let path = PathBuf::from;
    let expected = [
        Op::Unlink(path("d/a")),
        Op::Unlink(path("d/b")),
        Op::Unlink(path("e/a")),
        Op::SyncDir(path("d")),
        Op::SyncDir(path("e")),
    ];
    assert_eq!(ops, expected);
}

#[tokio::test]
async fn nothing_is_written_outside_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = DurableFolder::new(folder.path().join("history"), Arc::new(RealDisk)).unwrap();
    let outside = Path::from_absolute_path(folder.path().join("a")).unwrap();
    let error = store.put(&outside, "bytes".into()).await.unwrap_err();
    let said = error
        .to_string()
        .replace(folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(said, @"Generic DurableFolder error: `/a` is outside the folder `/history`");
    let store = Arc::new(store);
    for path in ["../a", "/etc"] {
        assert!(store.open_builder(path).is_err(), "{path}");
    }
}

#[tokio::test]
async fn a_folder_that_others_removed_is_made_again() {
    let (folder, _disk, store) = recorded();
    let path = Path::from("d/e/a");
    store.put(&path, "first".into()).await.unwrap();
    fs::remove_dir_all(folder.path().join("d")).unwrap();
    store.put(&path, "second".into()).await.unwrap();
    assert_eq!(files(folder.path())["d/e/a"], b"second");
}

#[tokio::test]
async fn what_another_process_left_unsynced_can_be_synced() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("d/e")).unwrap();
    fs::write(folder.path().join("d/e/a"), "bytes").unwrap();
    let disk = Recorder::new(folder.path());
    let disk_of_store: Arc<dyn Disk> = Arc::<Recorder>::clone(&disk);
    let store = DurableFolder::new(folder.path(), disk_of_store).unwrap();
    let before = disk.n_ops();
    store.sync_existing(vec!["d/e/a".into()]).await.unwrap();

    let ops = disk.journal().split_off(before);
    assert!(matches!(ops[0], Op::SyncFile(_)), "{ops:?}");
    let synced: Vec<_> = ops[1..].to_vec();
    let expected = ["", "d", "d/e"].map(|path| Op::SyncDir(path.into()));
    assert_eq!(synced, expected);

    let missing = store.sync_existing(vec!["d/b".into()]).await.unwrap_err();
    assert!(matches!(missing, object_store::Error::NotFound { .. }));
}

#[tokio::test]
async fn a_full_disk_is_told_from_other_failures_and_leaves_nothing() {
    let (folder, store) = faulty(Fault::FullAfter { bytes: 3 });
    let path = Path::from("d/a");
    let put = store.put(&path, "bytes".into()).await.unwrap_err();
    assert!(is_full(&put), "{put:?}");
    assert_eq!(disk_error(&put).unwrap().raw_os_error(), Some(28));
    let created = create(&store, &path, "bytes").await.unwrap_err();
    assert!(is_full(&created));
    let mut upload = store.put_multipart(&path).await.unwrap();
    let part = upload.put_part("bytes".into()).await.unwrap_err();
    assert!(is_full(&part));
    assert!(upload.complete().await.is_err());
    assert!(files(folder.path()).is_empty());

    let (folder, store) = faulty(Fault::NoFileSync);
    let put = store.put(&path, "bytes".into()).await.unwrap_err();
    assert!(!is_full(&put));
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_file_system_without_hard_links_is_named() {
    let (folder, store) = faulty(Fault::NoLinks);
    let created = create(&store, &Path::from("a"), "bytes").await;
    let error = created.unwrap_err().to_string();
    let said = error.replace(folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(said, @"Generic DurableFolder error: could not publish `/a`: its file system has no hard links, choose another `store.path`");
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_name_that_could_not_be_synced_is_not_reported_as_written() {
    let (_folder, store) = faulty(Fault::NoFolderSync);
    let path = Path::from("a");
    assert!(store.put(&path, "bytes".into()).await.is_err());
    let created = create(&store, &Path::from("b"), "bytes").await;
    assert!(created.is_err());
    assert!(store.delete(&path).await.is_err());
}

/// A call that changes something, on a few names.
#[derive(Clone, Debug)]
enum Call {
    Put(&'static str, String),
    Create(&'static str, String),
    Upload(&'static str, Vec<String>),
    Delete(&'static str),
    Copy(&'static str, &'static str),
    CopyIfNew(&'static str, &'static str),
    Rename(&'static str, &'static str),
    RenameIfNew(&'static str, &'static str),
}

impl Call {
    /// What came of it, in the words the two stores share.
    async fn on(&self, store: &dyn ObjectStore) -> &'static str {
        let path = |name: &str| Path::from(name);
        let done = match self {
            Self::Put(name, bytes) => store.put(&path(name), bytes.clone().into()).await.map(drop),
            Self::Create(name, bytes) => create(store, &path(name), bytes).await.map(drop),
            Self::Upload(name, parts) => upload_backwards(store, &path(name), parts).await,
            Self::Delete(name) => store.delete(&path(name)).await,
            Self::Copy(from, to) => store.copy(&path(from), &path(to)).await,
            Self::CopyIfNew(from, to) => store.copy_if_not_exists(&path(from), &path(to)).await,
            Self::Rename(from, to) => store.rename(&path(from), &path(to)).await,
            Self::RenameIfNew(from, to) => store.rename_if_not_exists(&path(from), &path(to)).await,
        };
        match done {
            Ok(()) => "done",
            Err(object_store::Error::NotFound { .. }) => "not found",
            Err(object_store::Error::AlreadyExists { .. }) => "already exists",
            Err(error) => panic!("{self:?}: {error}"),
        }
    }
}

async fn upload_backwards(store: &dyn ObjectStore, path: &Path, parts: &[String]) -> Result<()> {
    let mut upload = store.put_multipart(path).await?;
    let parts: Vec<_> = parts
        .iter()
        .map(|part| upload.put_part(part.clone().into()))
        .collect();
    for part in parts.into_iter().rev() {
        part.await?;
    }
    upload.complete().await.map(drop)
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let name = || prop::sample::select(vec!["a", "b c", "d/a", "d/e/a%20", "é/ü"]);
    let bytes = || "[a-z]{0,8}";
    let call = prop_oneof![
        (name(), bytes()).prop_map(|(name, bytes)| Call::Put(name, bytes)),
        (name(), bytes()).prop_map(|(name, bytes)| Call::Create(name, bytes)),
        (name(), prop::collection::vec(bytes(), 0..4))
            .prop_map(|(name, parts)| Call::Upload(name, parts)),
        name().prop_map(Call::Delete),
        (name(), name()).prop_map(|(from, to)| Call::Copy(from, to)),
        (name(), name()).prop_map(|(from, to)| Call::CopyIfNew(from, to)),
        (name(), name()).prop_map(|(from, to)| Call::Rename(from, to)),
        (name(), name()).prop_map(|(from, to)| Call::RenameIfNew(from, to)),
    ];
    prop::collection::vec(call, 0..12)
}

/// What a reader finds: each file's bytes through the store, and the listing of each folder.
async fn seen(store: &dyn ObjectStore) -> (BTreeMap<Path, Bytes>, Vec<Vec<Path>>) {
    let mut files = BTreeMap::new();
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    for meta in listed {
        let bytes = store.get(&meta.location).await.unwrap().bytes().await;
        let bytes = bytes.unwrap();
        assert_eq!(bytes.len() as u64, meta.size);
        files.insert(meta.location, bytes);
    }
    let mut folders = Vec::new();
    for prefix in [None, Some("d"), Some("d/e"), Some("nowhere")] {
        let prefix = prefix.map(Path::from);
        let listed = store.list_with_delimiter(prefix.as_ref()).await.unwrap();
        let mut names = listed.common_prefixes;
        names.extend(listed.objects.into_iter().map(|meta| meta.location));
        names.sort();
        folders.push(names);
    }
    (files, folders)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn readers_see_what_the_local_store_would_show(calls in calls()) {
        let (folder, disk, ours) = recorded();
        let other_folder = tempfile::tempdir().unwrap();
        let theirs = LocalFileSystem::new_with_prefix(other_folder.path()).unwrap();
        Runtime::new().unwrap().block_on(async {
            for call in &calls {
                prop_assert_eq!(call.on(&ours).await, call.on(&theirs).await, "{:?}", call);
            }
            prop_assert_eq!(seen(&ours).await, seen(&theirs).await);
            Ok(())
        })?;
        let on_disk = files(folder.path());
        prop_assert!(on_disk.keys().all(|name| !name.contains('#')), "{:?}", on_disk.keys());
        // What the journal says happened is what happened.
        let replayed = tempfile::tempdir().unwrap();
        let journal = disk.journal();
        let policy = CutPolicy::EverythingInOrder;
        after_power_cut(&journal, journal.len(), policy, replayed.path()).unwrap();
        prop_assert_eq!(on_disk, files(replayed.path()));
    }
}

proptest! {
    // Each case is cut some fifty times in three ways.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_power_cut_undoes_nothing_reported_and_shows_no_half_file(calls in calls()) {
        let (folder, disk, store) = recorded();
        // What the folder held when nothing, one call, two calls … had been reported.
        let mut states = vec![files(folder.path())];
        Runtime::new().unwrap().block_on(async {
            for call in &calls {
                call.on(&store).await;
                disk.mark("reported");
                states.push(files(folder.path()));
            }
        });
        let journal = disk.journal();
        for upto in 0..=journal.len() {
            let n_reported = marks(&journal[..upto]).len();
            let before = &states[n_reported];
            let after = states.get(n_reported + 1).unwrap_or(before);
            for policy in CutPolicy::ALL {
                let disk = tempfile::tempdir().unwrap();
                after_power_cut(&journal, upto, policy, disk.path()).unwrap();
                let mut found = files(disk.path());
                found.retain(|name, _| !name.contains('#'));
                for name in before.keys().chain(after.keys()).chain(found.keys()) {
                    let held = found.get(name);
                    prop_assert!(
                        held == before.get(name) || held == after.get(name),
                        "{} is {:?} after {} operations, {:?}: {:?}",
                        name, held, upto, policy, &journal[..upto]
                    );
                }
            }
        }
    }
}

#[test]
fn a_cut_tells_a_careless_writer_from_a_careful_one() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recorder::new(folder.path());
    let path = |name| folder.path().canonicalize().unwrap().join(name);
    // As `object_store` writes: the name before the bytes, and no sync.
    let file = disk.create_new(&path("a#1")).unwrap();
    disk.write_at(&file, 0, b"bytes").unwrap();
    disk.rename(&path("a#1"), &path("a")).unwrap();
    let n_careless = disk.n_ops();
    disk.sync_dir(&path("")).unwrap();
    let n_named = disk.n_ops();
    disk.sync_file(&file).unwrap();
    let n_synced = disk.n_ops();
    disk.unlink(&path("a")).unwrap();

    let journal = disk.journal();
    let cut = |upto, policy| {
        let into = tempfile::tempdir().unwrap();
        after_power_cut(&journal, upto, policy, into.path()).unwrap();
        let held = files(into.path());
        held.get("a")
            .map(|bytes| String::from_utf8(bytes.clone()).unwrap())
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(cut(n_careless, CutPolicy::OnlySynced), None);
    assert_eq!(cut(n_careless, CutPolicy::Torn), text("by"));
    assert_eq!(cut(n_named, CutPolicy::OnlySynced), text(""));
    assert_eq!(cut(n_synced, CutPolicy::OnlySynced), text("bytes"));
    assert_eq!(cut(n_synced, CutPolicy::Torn), text("bytes"));
    // The removal was not synced.
    assert_eq!(cut(journal.len(), CutPolicy::OnlySynced), text("bytes"));
    assert_eq!(cut(journal.len(), CutPolicy::EverythingInOrder), None);
}

#[test]
fn a_recorder_knows_what_the_folder_held_before() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("d/empty")).unwrap();
    fs::write(folder.path().join("d/a"), "bytes").unwrap();
    fs::hard_link(folder.path().join("d/a"), folder.path().join("e")).unwrap();
    let journal = Recorder::new(folder.path()).journal();
    let into = tempfile::tempdir().unwrap();
    let policy = CutPolicy::OnlySynced;
    after_power_cut(&journal, journal.len(), policy, into.path()).unwrap();
    assert_eq!(files(into.path()), files(folder.path()));
    assert!(into.path().join("d/empty").is_dir());
}

/// Three appends of one row each, and a checkpoint; marked in the journal as they are reported.
async fn write_table(store: &Arc<DurableFolder>, name: &str, mark: impl Fn(&str)) -> DeltaTable {
    let table = store.open_builder(name).unwrap().build().unwrap();
    let column = StructField::new("id", DataType::LONG, true);
    let mut table = table.create().with_columns([column]).await.unwrap();
    mark("rows 0");
    for id in 1..=3 {
        table = table.write([batch(id)]).await.unwrap();
        mark(&format!("rows {id}"));
    }
    create_checkpoint(&table, None).await.unwrap();
    mark("checkpoint");
    table
}

fn batch(id: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
    RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap()
}

/// The ids in the table, as DataFusion reads them.
async fn ids_of(table: &DeltaTable) -> Vec<i64> {
    let session = SessionContext::new();
    let provider = table.table_provider().await.unwrap();
    session.register_table("rows", provider).unwrap();
    let query = session
        .sql("select id from rows order by id")
        .await
        .unwrap();
    let batches = query.collect().await.unwrap();
    batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect()
}

fn durable(folder: &FilePath) -> (Arc<Recorder>, Arc<DurableFolder>) {
    let disk = Recorder::new(folder);
    let disk_of_store: Arc<dyn Disk> = Arc::<Recorder>::clone(&disk);
    let store = Arc::new(DurableFolder::new(folder, disk_of_store).unwrap());
    (disk, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn delta_writes_all_its_files_through_the_store_and_creates_its_log_entries() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = durable(folder.path());
    let table = write_table(&store, "rows", |text| disk.mark(text)).await;
    assert_eq!(ids_of(&table).await, [1, 2, 3]);
    let (table, _) = table.optimize().await.unwrap();
    assert_eq!(ids_of(&table).await, [1, 2, 3]);

    let journal = disk.journal();
    let replayed = tempfile::tempdir().unwrap();
    let policy = CutPolicy::EverythingInOrder;
    after_power_cut(&journal, journal.len(), policy, replayed.path()).unwrap();
    assert_eq!(files(replayed.path()), files(folder.path()));
    for version in 0..=table.version().unwrap() {
        let entry = PathBuf::from(format!("rows/_delta_log/{version:020}.json"));
        let is_linked = |op: &Op| matches!(op, Op::Link { to, .. } if *to == entry);
        assert!(journal.iter().any(is_linked), "{}", entry.display());
    }
    let mut reopened = store.open_builder("rows").unwrap().build().unwrap();
    reopened.load().await.unwrap();
    assert_eq!(ids_of(&reopened).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_table_opens_after_a_power_cut_at_any_moment() {
    const FIRST_ENTRY: &str = "rows/_delta_log/00000000000000000000.json";
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = durable(folder.path());
    write_table(&store, "rows", |text| disk.mark(text)).await;
    let journal = disk.journal();
    for upto in 0..=journal.len() {
        for policy in CutPolicy::ALL {
            let disk = tempfile::tempdir().unwrap();
            after_power_cut(&journal, upto, policy, disk.path()).unwrap();
            let store = Arc::new(DurableFolder::new(disk.path(), Arc::new(RealDisk)).unwrap());
            let mut table = store.open_builder("rows").unwrap().build().unwrap();
            let reported = marks(&journal[..upto])
                .iter()
                .filter_map(|text| text.strip_prefix("rows "))
                .next_back()
                .map(|n_rows| n_rows.parse::<i64>().unwrap());
            let found = match table.load().await {
                Ok(()) => i64::try_from(ids_of(&table).await.len()).unwrap(),
                Err(_) if reported.is_none() && !disk.path().join(FIRST_ENTRY).exists() => continue,
                Err(error) => panic!("after {upto} operations, {policy:?}: {error}"),
            };
            let reported = reported.unwrap_or(0);
            assert!(
                (reported..=reported + 1).contains(&found),
                "{found} rows, {reported} reported, after {upto} operations, {policy:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_delta_file_arrives_in_parts_and_is_synced_before_it_has_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = durable(folder.path());
    let table = write_table(&store, "rows", |_| {}).await;
    let before = disk.n_ops();
    // Numbers that do not compress: 8 MB, and a part has 5.
    let ids = (0..1_000_000_i64).map(|id| id.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap();
    let table = table.write([batch]).await.unwrap();

    let ops = disk.journal().split_off(before);
    let Op::Create { path, file } = &ops[0] else {
        panic!("{:?}", ops[0]);
    };
    let last_write = ops
        .iter()
        .rposition(|op| matches!(op, Op::Write { file: of, .. } if of == file))
        .unwrap();
    // Parts are written at the same time: the first may be the last to finish.
    let is_later_part = |op: &Op| matches!(op, Op::Write { offset, .. } if *offset > 0);
    assert!(ops.iter().any(is_later_part));
    assert_eq!(ops[last_write + 1], Op::SyncFile(*file));
    let is_its = matches!(&ops[last_write + 2], Op::Rename { from, .. } if from == path);
    assert!(is_its, "{:?}", ops[last_write + 2]);
    assert_eq!(ids_of(&table).await.len(), 1_000_003);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_through_deltalake_and_harms_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = durable(folder.path());
    write_table(&store, "rows", |_| {}).await;
    let mut n_failed = 0;
    for bytes in (0..).step_by(300) {
        let disk = FaultyDisk::new(Fault::FullAfter { bytes });
        let store = Arc::new(DurableFolder::new(folder.path(), Arc::new(disk)).unwrap());
        let mut table = store.open_builder("rows").unwrap().build().unwrap();
        table.load().await.unwrap();
        assert_eq!(ids_of(&table).await, [1, 2, 3]);
        match table.write([batch(4)]).await {
            Ok(table) => {
                assert_eq!(ids_of(&table).await, [1, 2, 3, 4]);
                break;
            }
            Err(error) => assert!(is_full(&error), "{error:?}"),
        }
        n_failed += 1;
    }
    assert!(n_failed > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_lie_in_a_folder_with_an_odd_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a b", "é", "x=1", "a/b/c", "50%", "a#b", "q?"] {
        let root = folder.path().join(name);
        fs::create_dir_all(&root).unwrap();
        let (_, store) = durable(&root);
        let table = write_table(&store, "rows", |_| {}).await;
        assert_eq!(ids_of(&table).await, [1, 2, 3], "{name}");
    }
}

#[test]
fn a_folder_that_deltalake_would_misread_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a%20b");
    let error = DurableFolder::new(&root, Arc::new(RealDisk)).unwrap_err();
    let said = error.to_string();
    let said = said.replace(folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(said, @"no table can be read in `/a%20b`: its name has a `%` before two hexadecimal digits, choose another `store.path`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_may_have_any_name_as_a_partition() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = durable(folder.path());
    let table = store.open_builder("rows").unwrap().build().unwrap();
    let columns = [
        StructField::new("id", DataType::LONG, true),
        StructField::new("hub", DataType::STRING, true),
    ];
    let create = table.create().with_columns(columns);
    let mut table = create.with_partition_columns(["hub"]).await.unwrap();
    for (id, hub) in (1..).zip(["a b", "a/b", "é", "50%", "a%20b", "a#1", "..", "a=b"]) {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
        let hubs: ArrayRef = Arc::new(StringArray::from(vec![hub]));
        let columns = [("id", ids, true), ("hub", hubs, true)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        table = table.write([batch]).await.unwrap();
        let expected: Vec<i64> = (1..=id).collect();
        assert_eq!(ids_of(&table).await, expected, "{hub}");
    }
}
