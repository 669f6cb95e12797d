//! Which folder holds the history: the first of those in question that can.

use crate::config::environment::Environment;
use crate::config::store::{Otherwise, StoreChoice, folder_candidates};
use crate::config::{Config, KeepConfig};
use std::path::{Path, PathBuf};
use store::{Folder, FolderError, Store, StoreError};
use tracing::{info, warn};

/// Why a history that is wanted cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The folder.
    #[error("set `store.path` to another folder, or `store.keep` to `never`")]
    Folder(#[source] FolderError),
    /// What is in it.
    #[error("cannot open the history in `{path}`")]
    Store {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// There is no folder.
    #[error("{0}")]
    Nowhere(String),
}

/// Opens the folder of the history, and says which; `None` if no history is kept, which is said
/// too.
pub fn open(config: &Config, environment: &Environment) -> Result<Option<Store>, HistoryError> {
    match folder_candidates(config, environment) {
        StoreChoice::Explicit { folder, warning } => {
            if let Some(warning) = warning {
                warn!("{warning}.");
            }
            match Folder::prepare(&folder) {
                Ok(folder) => opened(folder).map(Some),
                Err(
                    error @ FolderError::Unfit {
                        is_read_only: true, ..
                    },
                ) if config.store.keep != KeepConfig::Always => {
                    warn!("No history is kept: {error}.");
                    Ok(None)
                }
                Err(error) => Err(HistoryError::Folder(error)),
            }
        }
        StoreChoice::FirstUsable { folders, otherwise } => first_usable(&folders, otherwise),
        StoreChoice::NoHistory { why } => {
            info!("No history is kept: {why}.");
            Ok(None)
        }
        StoreChoice::Impossible { problem } => Err(HistoryError::Nowhere(problem)),
    }
}

fn first_usable(folders: &[PathBuf], otherwise: Otherwise) -> Result<Option<Store>, HistoryError> {
    let mut reasons = Vec::new();
    for folder in folders {
        match Folder::prepare(folder) {
            Ok(folder) => return opened(folder).map(Some),
            Err(error) => reasons.push(format!("{:#}", anyhow::Error::from(error))),
        }
    }
    let reasons = reasons.join("; ");
    match otherwise {
        Otherwise::EndStart => Err(HistoryError::Nowhere(format!(
            "no folder can hold the history, set `store.path` to one that this service may write, or `store.keep` to `never`: {reasons}"
        ))),
        Otherwise::NoHistory => {
            warn!("No history is kept, set `store.path` to keep one: {reasons}.");
            Ok(None)
        }
    }
}

fn opened(folder: Folder) -> Result<Store, HistoryError> {
    let path = folder.root().to_owned();
    info!("The history is in `{}`.", path.display());
    Store::open(folder).map_err(|source| HistoryError::Store { path, source })
}

/// The folder of a history that is there already, for commands that only read or repair.
pub fn existing(config: &Config, environment: &Environment) -> Result<Store, HistoryError> {
    let folders = match folder_candidates(config, environment) {
        StoreChoice::Explicit { folder, .. } => vec![folder],
        StoreChoice::FirstUsable { folders, .. } => folders,
        StoreChoice::NoHistory { why } | StoreChoice::Impossible { problem: why } => {
            return Err(HistoryError::Nowhere(format!("there is no history: {why}")));
        }
    };
    let is_there = |folder: &&PathBuf| Folder::existing(folder).is_ok();
    let Some(found) = folders.iter().find(is_there) else {
        let tried: Vec<String> = folders.iter().map(|folder| shown(folder)).collect();
        return Err(HistoryError::Nowhere(format!(
            "there is no history in {}: name its folder with `--set store.path=…`",
            tried.join(" or ")
        )));
    };
    let folder = Folder::existing(found).map_err(HistoryError::Folder)?;
    let path = found.clone();
    Store::open(folder).map_err(|source| HistoryError::Store { path, source })
}

fn shown(folder: &Path) -> String {
    format!("`{}`", folder.display())
}
