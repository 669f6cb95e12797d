//! Where the history is kept, if it is: decided from the settings and the environment alone.
//!
//! Nothing is looked up on the disk here; whether a folder can be used is found out by using it.

use super::environment::Environment;
use super::{Config, KeepConfig};
use std::path::{Path, PathBuf};

/// Where a program of the system keeps what it cannot make anew.
const SYSTEM_FOLDER: &str = "/var/lib/jupyterhub-insights";
/// Name of our folder in a user's data folder.
const OWN_NAME: &str = "jupyterhub-insights";
/// Emptied by the system when it likes.
const TEMPORARY_FOLDERS: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// Where to keep the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// In the folder that `store.path` names; if it cannot be used, the service cannot start.
    Explicit {
        /// The folder.
        folder: PathBuf,
        /// What it means that its file system is read-only.
        otherwise: Otherwise,
        /// What speaks against it, for the log.
        warning: Option<String>,
    },
    /// In the first of these that can be used or made.
    FirstUsable {
        /// At least one.
        folders: Vec<PathBuf>,
        /// What it means that none of them can be used.
        otherwise: Otherwise,
    },
    /// Nowhere.
    NoHistory {
        /// Why, and what to do if that is not wanted; for the log.
        why: String,
    },
    /// Nowhere, although `store.keep` demands it: the service cannot start.
    Impossible {
        /// What to do.
        problem: String,
    },
}

/// What it means that the history has no place: that none of several folders can be used, or that
/// the file system of the one that is set is read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The service goes without a history, and says so.
    NoHistory,
    /// The service cannot start: `store.keep` demands a history.
    EndStart,
}

/// The folder that is set, else those to try in this order: the service manager's state directory,
/// `/var/lib/jupyterhub-insights`, the user's data folder.
///
/// Never by itself: a temporary folder, whose history would be gone after a restart, the working
/// directory, and what is in it where a hub starts us: it is the hub's. (Where the service manager
/// names the working directory as its state directory, that is meant so.)
pub fn folder_candidates(config: &Config, environment: &Environment) -> StoreChoice {
    let keep = config.store.keep;
    if keep == KeepConfig::Never {
        let why = "`store.keep` is `never`".to_owned();
        return StoreChoice::NoHistory { why };
    }
    if let Some(folder) = &config.store.path {
        let warning = objection(folder, environment)
            .map(|what| format!("`store.path` (`{}`) is in {what}", folder.display()));
        return StoreChoice::Explicit {
            folder: folder.clone(),
            otherwise: Otherwise::of(keep),
            warning,
        };
    }
    if keep == KeepConfig::Auto && environment.has_python_flags() {
        let why = "started like the Python exporter, which keeps none; set `store.path` to keep it";
        return StoreChoice::NoHistory {
            why: why.to_owned(),
        };
    }
    let (state, usual) = (state_directory(environment), usual_folders(environment));
    let is_meant = |folder: &Path| match objection(folder, environment) {
        None => true,
        Some(Objection::WorkingDirectory) => !environment.is_managed_by_hub(),
        Some(Objection::Temporary) => false,
    };
    let state = state.into_iter().filter(|folder| is_meant(folder));
    let usual = usual
        .into_iter()
        .filter(|folder| objection(folder, environment).is_none());
    let folders: Vec<PathBuf> = state.chain(usual).collect();
    let nowhere = "every usual folder is temporary or in the working directory; set `store.path`";
    match (folders.is_empty(), keep) {
        (true, KeepConfig::Always) => StoreChoice::Impossible {
            problem: nowhere.to_owned(),
        },
        (true, _) => StoreChoice::NoHistory {
            why: nowhere.to_owned(),
        },
        (false, keep) => StoreChoice::FirstUsable {
            folders,
            otherwise: Otherwise::of(keep),
        },
    }
}

/// The folders in which a history may be that is there already, whatever speaks against making one.
pub fn folders_to_look_in(config: &Config, environment: &Environment) -> Vec<PathBuf> {
    if let Some(folder) = &config.store.path {
        return vec![folder.clone()];
    }
    let state = state_directory(environment).into_iter();
    state.chain(usual_folders(environment)).collect()
}

impl Otherwise {
    fn of(keep: KeepConfig) -> Self {
        match keep {
            KeepConfig::Always => Self::EndStart,
            KeepConfig::Auto | KeepConfig::Never => Self::NoHistory,
        }
    }
}

/// The first of those that systemd made for us.
fn state_directory(environment: &Environment) -> Option<PathBuf> {
    let first = environment.get("STATE_DIRECTORY")?.split(':').next()?;
    absolute(first)
}

fn usual_folders(environment: &Environment) -> Vec<PathBuf> {
    let data = environment.get("XDG_DATA_HOME").and_then(absolute);
    let home = environment.get("HOME").and_then(absolute);
    let data = data.or_else(|| Some(home?.join(".local/share")));
    let data = data.map(|data| data.join(OWN_NAME));
    std::iter::once(SYSTEM_FOLDER.into()).chain(data).collect()
}

/// The standard of these variables says that a relative folder in them is to be ignored.
fn absolute(text: &str) -> Option<PathBuf> {
    Some(PathBuf::from(text)).filter(|folder| folder.is_absolute())
}

/// What speaks against a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Objection {
    Temporary,
    WorkingDirectory,
}

impl std::fmt::Display for Objection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Temporary => "a temporary folder, which the system may empty",
            Self::WorkingDirectory => "the working directory",
        })
    }
}

fn objection(folder: &Path, environment: &Environment) -> Option<Objection> {
    // Everything is in the root, which containers and service managers work in.
    let is_in = |outer: &Path| outer.parent().is_some() && folder.starts_with(outer);
    let temporary = environment.get("TMPDIR").into_iter();
    if temporary
        .chain(TEMPORARY_FOLDERS)
        .any(|outer| is_in(Path::new(outer)))
    {
        return Some(Objection::Temporary);
    }
    let working_directory = environment.working_directory();
    // People work in their home, which holds their data folder.
    let is_hubs = environment.is_managed_by_hub() || folder == working_directory;
    (is_hubs && is_in(working_directory)).then_some(Objection::WorkingDirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Effective;
    use crate::config::{Layer, load};

    struct Start<'a> {
        variables: &'a [(&'a str, &'a str)],
        working_directory: &'a str,
        assignments: &'a [&'a str],
        has_python_flags: bool,
    }

    const USUAL: Start<'_> = Start {
        variables: &[("HOME", "/home/ada")],
        working_directory: "/",
        assignments: &[],
        has_python_flags: false,
    };

    /// What a hub gives a service that it starts.
    const OF_HUB: [(&str, &str); 2] = [("JUPYTERHUB_SERVICE_NAME", "i"), ("JPY_API_TOKEN", "t")];

    fn choice(start: &Start<'_>) -> String {
        let environment = Environment::of(start.variables.iter().copied());
        let environment = environment.with_working_directory(start.working_directory.as_ref());
        let environment = if start.has_python_flags {
            environment.with_python_flags("/services/groups-exporter/")
        } else {
            environment
        };
        let flags = start
            .assignments
            .iter()
            .map(|text| Layer::of_assignment(text));
        let flags = flags.collect::<Result<_, _>>().unwrap();
        let Effective { config, .. } = load(&environment, None, flags).unwrap();
        match folder_candidates(&config, &environment) {
            StoreChoice::Explicit {
                folder,
                warning,
                otherwise,
            } => {
                let warning = warning.map(|warning| format!(" ({warning})"));
                let warning = warning.unwrap_or_default();
                match otherwise {
                    Otherwise::NoHistory => format!("{}{warning}", folder.display()),
                    Otherwise::EndStart => format!("{}{warning}, demanded", folder.display()),
                }
            }
            StoreChoice::FirstUsable { folders, otherwise } => {
                let folders = folders.iter().map(|folder| folder.display().to_string());
                let folders = folders.collect::<Vec<_>>().join(", ");
                format!("{folders}, else {otherwise:?}")
            }
            StoreChoice::NoHistory { why } => format!("none: {why}"),
            StoreChoice::Impossible { problem } => format!("impossible: {problem}"),
        }
    }

    fn check(start: &Start<'_>, expected: &str) {
        assert_eq!(choice(start), expected);
    }

    #[test]
    fn the_state_directory_comes_before_the_systems_folder_and_that_before_the_users() {
        let system = "/var/lib/jupyterhub-insights";
        check(
            &USUAL,
            &format!("{system}, /home/ada/.local/share/jupyterhub-insights, else NoHistory"),
        );
        let variables = &[
            ("STATE_DIRECTORY", "/var/lib/insights:/var/lib/other"),
            ("XDG_DATA_HOME", "/data"),
            ("HOME", "/home/ada"),
        ];
        check(
            &Start { variables, ..USUAL },
            &format!("/var/lib/insights, {system}, /data/jupyterhub-insights, else NoHistory"),
        );
        check(
            &Start {
                variables: &[],
                ..USUAL
            },
            &format!("{system}, else NoHistory"),
        );
        let variables = &[
            ("STATE_DIRECTORY", "x"),
            ("XDG_DATA_HOME", "y"),
            ("HOME", "z"),
        ];
        check(
            &Start { variables, ..USUAL },
            &format!("{system}, else NoHistory"),
        );
    }

    #[test]
    fn temporary_folders_and_the_working_directory_are_passed_over() {
        let system = "/var/lib/jupyterhub-insights, else NoHistory";
        for (home, working_directory) in [
            ("/tmp/home", "/"),
            ("/var/tmp", "/"),
            ("/dev/shm/x", "/"),
            ("/scratch/job-7/home", "/"),
            ("/srv/hub", "/srv/hub"),
            ("/srv/hub/home", "/srv/hub"),
        ] {
            let variables = &[
                ("HOME", home),
                ("TMPDIR", "/scratch/job-7"),
                OF_HUB[0],
                OF_HUB[1],
            ];
            check(
                &Start {
                    variables,
                    working_directory,
                    ..USUAL
                },
                system,
            );
        }
        let variables = &[("HOME", "/tmpfiles"), ("TMPDIR", "/")];
        check(
            &Start {
                variables,
                working_directory: "/srv/hub",
                ..USUAL
            },
            "/var/lib/jupyterhub-insights, /tmpfiles/.local/share/jupyterhub-insights, else \
             NoHistory",
        );
    }

    #[test]
    fn a_state_directory_that_is_the_working_directory_is_meant_unless_a_hub_started_us() {
        let own = [("STATE_DIRECTORY", "/var/lib/x")];
        let start = Start {
            variables: &own,
            working_directory: "/var/lib/x",
            ..USUAL
        };
        check(
            &start,
            "/var/lib/x, /var/lib/jupyterhub-insights, else NoHistory",
        );
        let of_hub = [own[0], OF_HUB[0], OF_HUB[1]];
        let start = Start {
            variables: &of_hub,
            ..start
        };
        check(&start, "/var/lib/jupyterhub-insights, else NoHistory");
    }

    #[test]
    fn a_users_data_folder_is_usual_also_when_started_at_home() {
        check(
            &Start {
                working_directory: "/home/ada",
                ..USUAL
            },
            "/var/lib/jupyterhub-insights, /home/ada/.local/share/jupyterhub-insights, else \
             NoHistory",
        );
    }

    #[test]
    fn a_history_is_looked_for_also_where_none_would_be_made() {
        let variables = [("HOME", "/tmp/home"), OF_HUB[0], OF_HUB[1]];
        let environment = Environment::of(variables).with_working_directory("/tmp".as_ref());
        let Effective { mut config, .. } = load(&environment, None, Vec::new()).unwrap();
        config.store.keep = KeepConfig::Never;
        assert_eq!(
            folders_to_look_in(&config, &environment),
            [SYSTEM_FOLDER, "/tmp/home/.local/share/jupyterhub-insights"].map(PathBuf::from)
        );
        config.store.path = Some("/data".into());
        let set = folders_to_look_in(&config, &environment);
        assert_eq!(set, [PathBuf::from("/data")]);
    }

    #[test]
    fn a_folder_that_is_set_is_taken_and_warned_of() {
        let set = |assignment: &str, expected: &str| {
            let assignments = &[assignment];
            let working_directory = "/srv/hub";
            check(
                &Start {
                    variables: &OF_HUB,
                    working_directory,
                    assignments,
                    ..USUAL
                },
                expected,
            );
        };
        set("store.path=/data/insights", "/data/insights");
        set(
            "store.path=/tmp/insights",
            "/tmp/insights (`store.path` (`/tmp/insights`) is in a temporary folder, which the \
             system may empty)",
        );
        set(
            "store.path=/srv/hub/insights",
            "/srv/hub/insights (`store.path` (`/srv/hub/insights`) is in the working directory)",
        );
    }

    #[test]
    fn the_python_exporters_flags_keep_nothing_unless_told_to() {
        let start = Start {
            has_python_flags: true,
            ..USUAL
        };
        check(
            &start,
            "none: started like the Python exporter, which keeps none; set `store.path` to keep it",
        );
        let assignments = &["store.path=/data"];
        check(
            &Start {
                assignments,
                ..start
            },
            "/data",
        );
        let assignments = &["store.keep=always"];
        check(
            &Start {
                assignments,
                ..start
            },
            "/var/lib/jupyterhub-insights, /home/ada/.local/share/jupyterhub-insights, else EndStart",
        );
    }

    #[test]
    fn a_set_folder_that_is_demanded_may_not_be_read_only() {
        let assignments = &["store.keep=always", "store.path=/data"];
        check(
            &Start {
                assignments,
                ..USUAL
            },
            "/data, demanded",
        );
    }

    #[test]
    fn never_is_never_and_always_is_an_error_where_there_is_no_folder() {
        let assignments = &["store.keep=never", "store.path=/data"];
        check(
            &Start {
                assignments,
                ..USUAL
            },
            "none: `store.keep` is `never`",
        );
        let start = Start {
            variables: &[
                ("HOME", "/var/lib/jupyterhub-insights"),
                OF_HUB[0],
                OF_HUB[1],
            ],
            working_directory: "/var/lib/jupyterhub-insights",
            ..USUAL
        };
        let nowhere =
            "every usual folder is temporary or in the working directory; set `store.path`";
        check(&start, &format!("none: {nowhere}"));
        let assignments = &["store.keep=always"];
        check(
            &Start {
                assignments,
                ..start
            },
            &format!("impossible: {nowhere}"),
        );
    }
}
