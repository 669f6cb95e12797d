//! The Python packages that ours has to agree with, asked in a process of their own.

use super::tools;
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a script of `tests/it/python` in the environment of hub 6.1 with this JSON as its input;
/// gives the JSON that it writes.
pub(crate) fn python(script: &str, input: &Value) -> Value {
    python_of("hub-6.1", script, input)
}

/// The same in the environment of another tool.
pub(crate) fn python_of(tool: &str, script: &str, input: &Value) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python");
    let mut child = Command::new(tools().join(tool).join("bin/python"))
        .args(["-I", "-X", "utf8", &format!("{folder}/{script}")])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A script that ends early says why on standard error.
    let _ = stdin.write_all(input.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
