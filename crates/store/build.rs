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
    let root = folder("CARGO_MANIFEST_DIR");
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("src/reports"))? {
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
        let path = root.join("src/reports").join(format!("{name}.sql"));
        // As literals of Rust.
        let (name, path) = (format!("{name:?}"), format!("{:?}", path.to_string_lossy()));
        let _ = writeln!(text, "    ({name}, include_str!({path})),");
    }
    text.push_str("]\n");
    let out = folder("OUT_DIR");
    fs::write(out.join("reports.rs"), text)
}
