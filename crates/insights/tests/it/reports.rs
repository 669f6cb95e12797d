//! Every report beside a second calculation in plain Python, which shares no query with ours, over a
//! year of a thousand people.

use crate::support::{BINARY, fill_by_demo, tools};
use std::process::Command;

pub(crate) const TESTS: &[crate::Test] = &[(
    "every_report_gives_what_a_second_calculation_gives",
    second_calculation,
)];

fn second_calculation() {
    let folder = tempfile::tempdir().unwrap();
    let shape = ["--users", "1000", "--groups", "40", "--days", "365"];
    fill_by_demo(folder.path(), &shape);
    let listed = Command::new(BINARY)
        .args(["report", "--list"])
        .env_clear()
        .output()
        .unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/reports");
    let output = Command::new(tools().join("history/bin/python"))
        .args(["-I", "-X", "utf8", script])
        .arg(folder.path().join("store"))
        .arg(BINARY)
        .env_clear()
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names = listed.lines().filter_map(|line| line.strip_prefix("  "));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"overview"), "{listed}");
    for name in names {
        let ok = format!("{name} ok ");
        assert!(told.lines().any(|line| line.starts_with(&ok)), "{ok}{told}");
    }
}
