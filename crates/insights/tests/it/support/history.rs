//! What a history says, asked as people do.

use super::{BINARY, Process, free_port};
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

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

/// Fills `store` in the folder with the history of a demo, which has ended then.
pub(crate) fn fill_by_demo(folder: &Path, shape: &[&str]) {
    let mut command = Command::new(BINARY);
    command
        .arg("demo")
        .args(shape)
        .args(["--port", &free_port().to_string(), "--store"])
        .arg(folder.join("store"))
        .env_clear();
    let mut process = Process::start(&mut command, &folder.join("demo.log"));
    // A year takes as long as it takes.
    while !process.output().contains("Listening on") {
        assert!(process.has_ended().is_none(), "{}", process.output());
        std::thread::sleep(Duration::from_millis(200));
    }
    process.signal(Signal::SIGINT);
    process.wait(Duration::from_mins(1));
}
