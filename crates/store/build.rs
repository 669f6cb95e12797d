//! Lists the reports, so that adding one is adding its file.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script everything through its environment"
)]
fn folder(variable: &str) -> PathBuf {
    PathBuf::from(env::var_os(variable).unwrap_or_default())
}

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=src/reports");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder("CARGO_MANIFEST_DIR").join("src/reports"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            names.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    let mut text = String::from("&[\n");
    for name in names {
        // Where the sources lie is asked when they are compiled: a clone elsewhere may share what was built.
        let _ = writeln!(
            text,
            "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/src/reports/\", {name:?}, \".sql\"))),"
        );
    }
    text.push_str("]\n");
    let out = folder("OUT_DIR");
    fs::write(out.join("reports.rs"), text)
}
