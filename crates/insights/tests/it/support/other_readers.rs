//! What other people open the history with, asked in one process that stays: starting Python and
//! its packages takes longer than reading.

use super::tools;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Python with deltalake, pandas, pyarrow and DuckDB.
pub(crate) struct OtherReaders {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl OtherReaders {
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/history.py");
        let mut child = Command::new(tools().join("history/bin/python"))
            .args(["-I", "-X", "utf8", script])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            questions,
            answers,
        }
    }

    /// One line of JSON each way; what goes wrong is on standard error.
    pub(crate) fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "no answer to {question}");
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for OtherReaders {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
