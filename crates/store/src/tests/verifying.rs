//! Damage of each kind is done for real, and found.

use super::*;
use crate::history::HistoryTable;
use crate::state::State;
use crate::tables::{Event, Session, TableDef, batch_of, events, sessions};
use crate::{AskError, Damage, Finding, Severity, StoreError};
use jiff::SignedDuration;
use std::fs;
use std::path::{Path, PathBuf};

fn later() -> Timestamp {
    real_now() + SignedDuration::from_hours(2)
}

async fn found_at(folder: &Path, now: Timestamp) -> Vec<Finding> {
    let folder = Folder::existing(folder).unwrap();
    crate::verify(&folder, None, now, |_| {}).await.unwrap()
}

/// The kinds of what is found.
async fn found(kept: &Kept) -> Vec<Damage> {
    let findings = found_at(kept.folder.path(), real_now()).await;
    for finding in &findings {
        assert!(!finding.what.is_empty() && !finding.remedy.is_empty());
        // Names of files are random: one may hold this name of three letters.
        assert!(!finding.what.contains("ada") && !finding.remedy.contains("ada"));
    }
    findings.into_iter().map(|finding| finding.kind).collect()
}

/// Three users' sessions, a flush each.
async fn filled() -> Kept {
    let kept = kept().await;
    for user in ["ada", "bob", "eve"] {
        let facts = [
            seen(user, "09:00", "09:01"),
            gone(user, "09:00", "10:00", "10:01"),
        ];
        kept.keeper.take(intake(&facts)).await.unwrap();
        kept.keeper.flush().await.unwrap();
    }
    kept
}

async fn table(kept: &Kept, def: &'static TableDef) -> HistoryTable {
    kept.store.history().table(def).await.unwrap().unwrap()
}

async fn data_file(kept: &Kept) -> PathBuf {
    let files = table(kept, &events::TABLE).await.files().await.unwrap();
    files[0].path.clone()
}

fn entry(kept: &Kept, version: u64) -> PathBuf {
    let log = kept.folder.path().join("history/events/_delta_log");
    log.join(format!("{version:020}.json"))
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

#[tokio::test]
async fn a_healthy_folder_gives_no_finding() {
    let kept = kept().await;
    assert_eq!(found(&kept).await, []);
    let kept = filled().await;
    assert_eq!(found(&kept).await, []);
    kept.keeper.compact().await.unwrap();
    table(&kept, &events::TABLE)
        .await
        .checkpoint()
        .await
        .unwrap();
    assert_eq!(found(&kept).await, []);
    // What waits for its removal is no orphan.
    assert_eq!(found_at(kept.folder.path(), later()).await, []);
    kept.keeper.erase("ada").await.unwrap();
    let waiting = [fact("bob", "2026-11-21T11:00:00Z", What::Start)];
    kept.keeper.take(intake(&waiting)).await.unwrap();
    assert_eq!(found(&kept).await, []);
}

#[tokio::test]
async fn progress_is_told_and_a_hub_can_be_named() {
    let kept = filled().await;
    let mut told = Vec::new();
    let findings = kept
        .store
        .verify(Some("hub"), real_now(), |checked| told.push(checked))
        .await
        .unwrap();
    assert_eq!(findings, []);
    assert_eq!(told.len(), 6);
    assert_eq!(
        (told[2].table, told[2].n_files, told[2].n_files_in_all),
        ("events", 3, 3)
    );
    fs::remove_file(data_file(&kept).await).unwrap();
    let other = kept.store.verify(Some("other"), real_now(), |_| {}).await;
    assert_eq!(other.unwrap(), []);
}

#[tokio::test]
async fn a_cut_off_last_entry_is_found_and_set_aside_at_the_next_start() {
    let kept = filled().await;
    let next = entry(&kept, 4);
    fs::copy(entry(&kept, 3), &next).unwrap();
    cut(&next);
    assert_eq!(found(&kept).await, [Damage::LogEntryCutOff]);
    fs::write(&next, "").unwrap();
    assert_eq!(found(&kept).await, [Damage::LogEntryCutOff]);
    let kept = kept.again().await;
    assert_eq!(found(&kept).await, [Damage::Leftover]);
    assert_eq!(kept.rows::<Event>().await.len(), 6);
}

#[tokio::test]
async fn a_table_that_another_program_made_unreadable_gives_no_rows_instead_of_some() {
    let kept = filled().await;
    let protocol = r#"{"protocol":{"minReaderVersion":2,"minWriterVersion":5}}"#;
    fs::write(entry(&kept, 4), format!("{protocol}\n")).unwrap();
    let engine = Engine::new(EngineSettings::new(kept.folder.path().join("queries")));
    let counted = "select count(*) from events";
    let limits = Limits::default();
    let refused = kept.store.query(&engine, counted, limits, real_now()).await;
    let Err(AskError::Store(StoreError::History(refused))) = refused else {
        panic!("{refused:?}");
    };
    let told = "another program changed how the table `events` is read";
    assert!(refused.to_string().starts_with(told), "{refused}");
}

#[tokio::test]
async fn a_last_entry_that_was_acknowledged_and_cut_off_is_a_loss() {
    let kept = filled().await;
    cut(&entry(&kept, 3));
    assert_eq!(
        found(&kept).await,
        [Damage::LogEntryCutOff, Damage::SpoolAhead]
    );
}

#[tokio::test]
async fn a_damaged_or_missing_entry_within_the_log_is_found() {
    let kept = filled().await;
    let path = entry(&kept, 2);
    let whole = fs::read(&path).unwrap();
    cut(&path);
    assert_eq!(found(&kept).await, [Damage::LogEntryDamaged]);
    fs::write(&path, "{\"add\": nonsense}\n").unwrap();
    assert_eq!(found(&kept).await, [Damage::LogEntryDamaged]);
    fs::remove_file(&path).unwrap();
    assert_eq!(found(&kept).await, [Damage::LogEntryMissing]);
    fs::write(&path, whole).unwrap();
    assert_eq!(found(&kept).await, []);
    // Behind a checkpoint nobody needs it.
    table(&kept, &events::TABLE)
        .await
        .checkpoint()
        .await
        .unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(found(&kept).await, []);
    let log = path.parent().unwrap();
    let checkpoint = fs::read_dir(log)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut checkpoint = checkpoint;
    let checkpoint = checkpoint.find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "parquet")
    });
    cut(&checkpoint.unwrap());
    assert_eq!(found(&kept).await, [Damage::LogUnreadable]);
}

#[tokio::test]
async fn a_data_file_that_is_gone_cut_or_overwritten_is_found() {
    let kept = filled().await;
    let path = data_file(&kept).await;
    let whole = fs::read(&path).unwrap();
    let mut overwritten = whole.clone();
    for byte in &mut overwritten[4..400] {
        *byte = 0xff;
    }
    fs::write(&path, &overwritten).unwrap();
    assert_eq!(found(&kept).await, [Damage::FileUndecodable]);
    cut(&path);
    assert_eq!(found(&kept).await, [Damage::FileSize]);
    fs::remove_file(&path).unwrap();
    let findings = found_at(kept.folder.path(), real_now()).await;
    assert_eq!(findings.len(), 1);
    let shown = findings[0].to_string();
    let shown = shown.replace(&path.display().to_string(), "FILE");
    insta::assert_snapshot!(shown, @"error: `FILE`: this data file is gone. Restore this file from a backup; until then queries of `events` of the hub `hub` for 2026-11 fail.");
    assert_eq!(
        (findings[0].kind, findings[0].severity),
        (Damage::FileMissing, Severity::Error)
    );
    fs::write(&path, whole).unwrap();
    assert_eq!(found(&kept).await, []);
}

#[tokio::test]
async fn a_file_with_other_rows_than_the_log_says_is_found() {
    let kept = filled().await;
    let text = fs::read_to_string(entry(&kept, 2)).unwrap();
    assert!(text.contains(r#"\"numRecords\":2"#), "{text}");
    let other = text.replace(r#"\"numRecords\":2"#, r#"\"numRecords\":7"#);
    fs::write(entry(&kept, 2), other).unwrap();
    assert_eq!(found(&kept).await, [Damage::RowCount]);
    let elsewhere = text.replace(r#""month":"2026-11""#, r#""month":"2026-10""#);
    assert_ne!(elsewhere, text);
    fs::write(entry(&kept, 2), elsewhere).unwrap();
    assert_eq!(found(&kept).await, [Damage::WrongMonth]);
}

#[tokio::test]
async fn rows_that_are_there_twice_are_found() {
    let kept = filled().await;
    let rows = kept.rows::<Event>().await;
    let batch = batch_of(&rows[..1]).unwrap();
    let mut table_of_events = table(&kept, &events::TABLE).await;
    table_of_events
        .append_unnumbered(vec![batch])
        .await
        .unwrap();
    assert_eq!(found(&kept).await, [Damage::RowTwice]);
    let rows = kept.rows::<Session>().await;
    let batch = batch_of(&rows[..1]).unwrap();
    let mut table_of_sessions = table(&kept, &sessions::TABLE).await;
    table_of_sessions
        .append_unnumbered(vec![batch])
        .await
        .unwrap();
    assert_eq!(
        found(&kept).await,
        [Damage::RowTwice, Damage::RevisionTwice]
    );
}

fn set_numbers(kept: &Kept, sql: &str) {
    let state = State::prepare(&kept.store.folder().state_db()).unwrap();
    state.execute(sql, []).unwrap();
}

#[tokio::test]
async fn a_state_db_or_history_from_a_backup_is_found() {
    let kept = filled().await;
    set_numbers(
        &kept,
        "update sequences set given = 2, flushed = 2 where tbl = 'events'",
    );
    assert_eq!(found(&kept).await, [Damage::SpoolBehind]);
    let waiting = [fact("bob", "2026-11-21T11:00:00Z", What::Start)];
    kept.keeper.take(intake(&waiting)).await.unwrap();
    kept.keeper.flush().await.unwrap();
    assert_eq!(found(&kept).await, [], "the flush set it right");

    set_numbers(
        &kept,
        "update sequences set given = 90, flushed = 90 where tbl = 'sessions'",
    );
    assert_eq!(found(&kept).await, [Damage::SpoolAhead]);
    fs::remove_dir_all(kept.folder.path().join("history/sessions")).unwrap();
    assert_eq!(found(&kept).await, [Damage::SpoolAhead]);
}

#[tokio::test]
async fn a_damaged_state_db_is_found() {
    let kept = filled().await;
    let Kept {
        folder,
        store,
        keeper,
    } = kept;
    let state_db = store.folder().state_db();
    // The last connection writes the journal back, if it is one that may write: the keeper's.
    drop((store, keeper));
    while Path::new(&format!("{}-wal", state_db.display())).exists() {
        tokio::task::yield_now().await;
    }
    let whole = fs::read(&state_db).unwrap();
    let kinds = |findings: Vec<Finding>| -> Vec<Damage> {
        findings.into_iter().map(|finding| finding.kind).collect()
    };
    let mut overwritten = whole.clone();
    let half = overwritten.len() / 2;
    for byte in &mut overwritten[half..half + 8192] {
        *byte = 0xff;
    }
    fs::write(&state_db, overwritten).unwrap();
    let now = real_now();
    assert_eq!(
        kinds(found_at(folder.path(), now).await),
        [Damage::StateDamaged]
    );
    fs::write(&state_db, "no database at all, but long enough to look at").unwrap();
    assert_eq!(
        kinds(found_at(folder.path(), now).await),
        [Damage::StateDamaged]
    );
    fs::write(&state_db, whole).unwrap();
    assert_eq!(kinds(found_at(folder.path(), now).await), []);
}

#[tokio::test]
async fn files_that_nobody_needs_are_told_when_they_are_old() {
    let kept = filled().await;
    let path = data_file(&kept).await;
    fs::copy(&path, path.with_file_name("orphan.parquet")).unwrap();
    fs::copy(&path, path.with_file_name("upload.parquet#7")).unwrap();
    assert_eq!(found(&kept).await, []);
    let findings = found_at(kept.folder.path(), later()).await;
    let kinds: Vec<(Damage, Severity)> = findings
        .iter()
        .map(|finding| (finding.kind, finding.severity))
        .collect();
    let told = |kind| (kind, Severity::Information);
    assert_eq!(kinds, [told(Damage::Orphan), told(Damage::Leftover)]);
    assert!(findings[0].what.contains("2 hours ago"), "{}", findings[0]);
}
