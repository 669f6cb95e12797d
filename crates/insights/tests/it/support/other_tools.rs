//! Scripts that ask other people's tools, each in a process of its own.

use super::tools;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a script of `tests/it/python` with DuckDB at hand; gives the lines that it writes.
#[track_caller]
pub(crate) fn duckdb(script: &str, arguments: &[&str], input: &[u8]) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python");
    let mut child = Command::new(tools().join("history/bin/python"))
        .args(["-I", "-X", "utf8", &format!("{folder}/{script}")])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A script that ends early says why on standard error.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}
