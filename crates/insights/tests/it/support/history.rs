//! What a history says, asked as people do.

use super::BINARY;
use std::path::Path;
use std::process::{Command, Output};

/// What `sql` answered.
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The rows of a query that worked, as CSV.
    #[track_caller]
    pub(crate) fn rows(&self) -> Vec<String> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout.lines().skip(1).map(str::to_owned).collect()
    }
}

/// Runs a command of ours on the folder.
pub(crate) fn on_folder(folder: &Path, words: &[&str]) -> Answer {
    let output = Command::new(BINARY)
        .args(words)
        .args(["--set", &format!("store.path={}", folder.display())])
        .env_clear()
        .output()
        .unwrap();
    Answer::of(&output)
}

/// Asks the history in the folder.
pub(crate) fn sql(folder: &Path, query: &str) -> Answer {
    on_folder(folder, &["sql", "--format", "csv", query])
}
