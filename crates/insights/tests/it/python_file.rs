//! The hub side, `python/`: its own tests, run in the Python of each hub, and by the oldest Python
//! that it is for.

use crate::support::{tools, variable};
use std::process::Command;

pub(crate) const TESTS: &[crate::Test] = &[
    ("its_tests_pass_in_the_python_of_hub_6", || {
        passes("hub-6.1", "test_*.py", 90);
    }),
    ("its_tests_pass_in_the_python_of_hub_5", || {
        passes("hub-5", "test_configure.py", 40);
    }),
    ("its_tests_pass_in_the_python_of_hub_4", || {
        passes("hub-4", "test_configure.py", 40);
    }),
];

/// On older hubs what is hooked and registered; that they run is for `events_day`.
fn passes(environment: &str, pattern: &str, least: u32) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let path = variable("PATH").unwrap_or_default();
    let output = Command::new(tools().join(environment).join("bin/python"))
        .args([
            "-m",
            "unittest",
            "discover",
            "-s",
            "python/tests",
            "-p",
            pattern,
        ])
        .current_dir(root)
        .env_clear()
        .env("PATH", path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("INSIGHTS_TOOLS", tools())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    // Nothing was found is no success.
    let n_run = told.lines().find_map(|line| line.strip_prefix("Ran "));
    let n_run = n_run.and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    assert!(n_run.is_some_and(|n_run| n_run >= least), "{told}");
}
