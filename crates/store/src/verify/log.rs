//! The log of a table: can it be replayed?

use super::{Damage, Finding, Severity, cause, finding};
use crate::history::{HistoryError, entries, is_whole};
use crate::tables::TableDef;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the names and lines of a log say.
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    /// `None` if no version can be read, `Some(None)` if the newest can.
    #[expect(clippy::option_option, reason = "whether, and up to which version")]
    pub(super) readable: Option<Option<u64>>,
}

/// Looks at what a reader has to replay: everything after the newest checkpoint.
pub(super) fn look(def: &TableDef, log: &Path) -> Result<Looked, HistoryError> {
    let checkpoint = newest_checkpoint(log)?;
    let first = checkpoint.map_or(0, |version| version + 1);
    let needed: Vec<(u64, PathBuf)> = entries(log)?
        .into_iter()
        .filter_map(|path| Some((version(&path)?, path)))
        .filter(|(version, _)| *version >= first)
        .collect();
    let mut findings = missing(def, log, first, &needed);
    let mut readable = Some(None);
    for (number, (version, path)) in needed.iter().enumerate() {
        if is_whole(path)? {
            continue;
        }
        if number + 1 < needed.len() {
            findings.push(damaged(def, path));
            continue;
        }
        findings.push(cut_off(def, path));
        let before = version.checked_sub(1);
        let has_before = checkpoint.is_some() || number > 0;
        readable = has_before.then_some(before);
    }
    let is_lost = |finding: &Finding| finding.kind != Damage::LogEntryCutOff;
    if findings.iter().any(is_lost) {
        readable = None;
    }
    Ok(Looked { findings, readable })
}

fn version(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn newest_checkpoint(log: &Path) -> Result<Option<u64>, HistoryError> {
    let failed = |source| HistoryError::File {
        path: log.to_owned(),
        source,
    };
    let mut newest = None;
    for entry in std::fs::read_dir(log).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        let is_file = Path::new(&*name)
            .extension()
            .is_some_and(|extension| extension == "parquet");
        if let Some((version, _)) = name.split_once(".checkpoint").filter(|_| is_file) {
            newest = newest.max(version.parse().ok());
        }
    }
    Ok(newest)
}

fn missing(def: &TableDef, log: &Path, first: u64, needed: &[(u64, PathBuf)]) -> Vec<Finding> {
    let there: BTreeSet<u64> = needed.iter().map(|(version, _)| *version).collect();
    let Some(last) = there.last() else {
        return Vec::new();
    };
    let missing = (first..*last).filter(|version| !there.contains(version));
    let findings = missing.map(|version| {
        finding(
            def,
            &log.join(format!("{version:020}.json")),
            Damage::LogEntryMissing,
            Severity::Error,
            "this entry of the log is missing, and later ones follow",
            format!(
                "Restore the file from a backup; until then queries of `{}` fail and its rows wait in the spool",
                def.name
            ),
        )
    });
    findings.collect()
}

fn damaged(def: &TableDef, path: &Path) -> Finding {
    finding(
        def,
        path,
        Damage::LogEntryDamaged,
        Severity::Error,
        "this entry of the log is cut off or no JSON, and later ones follow",
        format!(
            "Restore the file from a backup; until then queries of `{}` fail and its rows wait in the spool",
            def.name
        ),
    )
}

fn cut_off(def: &TableDef, path: &Path) -> Finding {
    finding(
        def,
        path,
        Damage::LogEntryCutOff,
        Severity::Warning,
        "the last entry of the log is cut off, as by a power cut or an unfinished copy",
        "The service sets it aside at its next start; its rows are still in the spool, or the file can be restored from a backup before that",
    )
}

pub(super) fn unreadable(def: &TableDef, folder: &Path, error: &HistoryError) -> Finding {
    finding(
        def,
        &folder.join("_delta_log"),
        Damage::LogUnreadable,
        Severity::Error,
        format!("the log cannot be replayed: {}", cause(error)),
        format!(
            "Restore the folder `_delta_log` of `{}` from a backup, together with the data files it names",
            def.name
        ),
    )
}
