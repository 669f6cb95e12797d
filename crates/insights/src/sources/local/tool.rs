//! Programs of the system that are asked for what files do not tell.
//!
//! They get nothing of our environment: the hub's token is in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Where distributions put them.
const FOLDERS: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";

/// A driver or a directory of accounts that hangs must not hold up the looks.
const LIMIT: Duration = Duration::from_secs(10);

/// Which programs are asked.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    /// What GPUs do.
    pub(super) nvidia_smi: PathBuf,
    /// What units received and sent.
    pub(super) systemctl: PathBuf,
    /// Names of accounts that are in no file, as of LDAP.
    pub(super) getent: PathBuf,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            nvidia_smi: PathBuf::from("nvidia-smi"),
            systemctl: PathBuf::from("systemctl"),
            getent: PathBuf::from("getent"),
        }
    }
}

/// Why a program told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// It is not on this machine.
    Absent,
    /// It failed, or hung.
    Failed,
}

/// What the program writes.
pub(super) async fn ask<A: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Result<String, Silence> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", FOLDERS)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.map_err(|_| Silence::Failed)?;
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Silence::Absent,
        _ => Silence::Failed,
    })?;
    if !output.status.success() {
        return Err(Silence::Failed);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_found_runs_without_our_environment_and_may_be_missing() {
        let shell = PathBuf::from("sh");
        let script = "echo $PATH $HOME $CARGO_MANIFEST_DIR";
        let told = ask(&shell, ["-c", script]).await;
        assert_eq!(told.as_deref().map(str::trim), Ok(FOLDERS));
        assert_eq!(ask(&shell, ["-c", "exit 3"]).await, Err(Silence::Failed));
        let none = PathBuf::from("no-such-program-here");
        assert_eq!(ask(&none, ["-x"]).await, Err(Silence::Absent));
    }
}
