//! Which folder holds the history: the first of those in question that can.

use crate::config::Config;
use crate::config::environment::Environment;
use crate::config::store::{Otherwise, StoreChoice, folder_candidates, folders_to_look_in};
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
        StoreChoice::Explicit {
            folder,
            otherwise,
            warning,
        } => {
            if let Some(warning) = warning {
                warn!("{warning}.");
            }
            match Folder::prepare(&folder) {
                Ok(folder) => opened(folder).map(Some),
                Err(FolderError::Unfit {
                    is_read_only: true,
                    path,
                    ..
                }) if otherwise == Otherwise::NoHistory => {
                    let path = path.display();
                    warn!("No history is kept: the file system of `{path}` is read-only.");
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

/// A history that is there already, for commands that read or repair.
pub fn existing(config: &Config, environment: &Environment) -> Result<Store, HistoryError> {
    let folder = first_of(config, environment, Folder::existing)?;
    let path = folder.root().to_owned();
    Store::open(folder).map_err(|source| HistoryError::Store { path, source })
}

/// The folder of a history that is there already, whatever is left of it.
pub fn to_verify(config: &Config, environment: &Environment) -> Result<Folder, HistoryError> {
    first_of(config, environment, Folder::damaged)
}

/// The first folder with a history; why there is none says what could not be looked into.
fn first_of(
    config: &Config,
    environment: &Environment,
    found: impl Fn(&Path) -> Result<Folder, FolderError>,
) -> Result<Folder, HistoryError> {
    let folders = folders_to_look_in(config, environment);
    let mut reasons = Vec::new();
    for folder in &folders {
        match found(folder) {
            Ok(folder) => return Ok(folder),
            Err(error) if error.is_absence() => {}
            Err(error) => reasons.push(format!("{:#}", anyhow::Error::from(error))),
        }
    }
    if !reasons.is_empty() {
        return Err(HistoryError::Nowhere(reasons.join("; ")));
    }
    let tried = folders.iter().map(|path| format!("`{}`", path.display()));
    let tried = tried.collect::<Vec<_>>().join(" or ");
    let hint = match config.store.path {
        Some(_) => "",
        None => ": name its folder with `--set store.path=…`",
    };
    Err(HistoryError::Nowhere(format!(
        "there is no history in {tried}{hint}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(folder: &Path) -> Config {
        let mut config = Config::default();
        config.store.path = Some(folder.to_owned());
        config
    }

    fn problem<T>(outcome: Result<T, HistoryError>, folder: &Path) -> String {
        let error = anyhow::Error::from(outcome.err().unwrap());
        format!("{error:#}").replace(&folder.display().to_string(), "/data")
    }

    #[test]
    fn a_history_that_is_not_there_is_told_from_one_that_cannot_be_read() {
        let environment = Environment::of([]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(
            problem(existing(&set(path), &environment), path),
            "there is no history in `/data`"
        );
        let nothing = |folder: &Path| {
            Err(FolderError::Unusable {
                path: folder.to_owned(),
                source: std::io::ErrorKind::NotFound.into(),
            })
        };
        assert_eq!(
            problem(first_of(&Config::default(), &environment, nothing), path),
            "there is no history in `/var/lib/jupyterhub-insights`: name its folder with `--set \
             store.path=…`"
        );
        // Not a matter of rights, which tests that run as root do not have.
        std::fs::write(path.join("file"), "").unwrap();
        let file = path.join("file");
        assert_eq!(
            problem(existing(&set(&file), &environment), path),
            "cannot use the folder `/data/file/state.db` for the history: Not a directory (os \
             error 20)"
        );
        std::fs::create_dir(path.join("history")).unwrap();
        assert_eq!(
            problem(existing(&set(path), &environment), path),
            "`/data/state.db` is missing and the tables beside it are there: \
             `jupyterhub-insights store verify` tells what can be done"
        );
        assert!(to_verify(&set(path), &environment).is_ok());
    }

    #[test]
    fn a_folder_that_is_set_and_cannot_be_used_ends_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(path.join("file"), "").unwrap();
        let problem = problem(open(&set(path), &Environment::of([])), path);
        assert_eq!(
            problem,
            "set `store.path` to another folder, or `store.keep` to `never`: the folder `/data` \
             holds files of something else, for instance `file`: name an empty or a new folder as \
             `store.path`, for instance `/data/jupyterhub-insights`"
        );
    }
}
