//! All reports: those of this program and those of the site.

use super::definition::{BadReport, Definition, Section};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name and text of each file in `src/reports`, written by `build.rs`.
const OURS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/reports.rs"));

/// From here on a name may be meant by another one; two words without a common letter have 0, the
/// same ones 1.
const ALIKE: f64 = 0.7;

/// All reports, by name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    reports: BTreeMap<String, Arc<Definition>>,
    /// Where those of the site lie.
    folder: PathBuf,
    left_out: Vec<LeftOut>,
}

/// A file that is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl Registry {
    /// Those of this program. One that does not parse is left out; a test sees that there is none.
    pub fn ours() -> Self {
        let mut registry = Self::default();
        for (name, text) in OURS {
            registry.add(Path::new(name), Definition::parse(name, text));
        }
        registry
    }

    /// Adds the `.sql` files of a folder of the site; what is no report is left out and told.
    pub fn add_folder(&mut self, folder: &Path) {
        folder.clone_into(&mut self.folder);
        let mut paths = match std::fs::read_dir(folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(error) => {
                self.leave_out(folder, error.to_string());
                Vec::new()
            }
        };
        paths.sort();
        let is_sql = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sql");
        for path in paths.into_iter().filter(is_sql) {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let parsed = std::fs::read_to_string(&path)
                .map_err(|error| BadReport(error.to_string()))
                .and_then(|text| Definition::parse(&name, &text));
            self.add(&path, parsed);
        }
    }

    fn add(&mut self, path: &Path, parsed: Result<Definition, BadReport>) {
        match parsed {
            Err(error) => self.leave_out(path, error.to_string()),
            Ok(report) if self.reports.contains_key(&report.name) => {
                let reason = format!("there is a report `{}` already", report.name);
                self.leave_out(path, reason);
            }
            Ok(report) => {
                self.reports.insert(report.name.clone(), Arc::new(report));
            }
        }
    }

    /// Takes a report away that turned out not to run.
    pub fn remove(&mut self, name: &str, reason: String) {
        if self.reports.remove(name).is_some() {
            let path = self.folder.join(format!("{name}.sql"));
            self.leave_out(&path, reason);
        }
    }

    fn leave_out(&mut self, path: &Path, reason: String) {
        let path = path.to_owned();
        self.left_out.push(LeftOut { path, reason });
    }

    /// Files that are no reports.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The file that would be the report of this name, if it were one.
    pub fn left_out_as(&self, name: &str) -> Option<&LeftOut> {
        let is_it = |file: &&LeftOut| file.path.file_stem().is_some_and(|stem| stem == name);
        self.left_out.iter().find(is_it)
    }

    /// The report of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Definition>> {
        self.reports.get(name)
    }

    /// Whether a report is one of this program's.
    pub fn ours_has(name: &str) -> bool {
        OURS.iter().any(|(known, _)| *known == name)
    }

    /// All of them, in the order of the table of contents.
    pub fn all(&self) -> Vec<&Arc<Definition>> {
        let mut all: Vec<_> = self.reports.values().collect();
        all.sort_by_key(|report| (report.section, report.name.clone()));
        all
    }

    /// All of one section.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &Arc<Definition>> {
        let all = self.reports.values();
        all.filter(move |report| report.section == section)
    }

    /// The name most like one that does not exist, if there is one that is meant at all.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let wanted = name.to_lowercase().replace([' ', '_'], "-");
        let likeness = |known: &str| strsim::jaro_winkler(known, &wanted);
        let names = self.reports.keys().map(String::as_str);
        let alike = names.filter(|known| likeness(known) >= ALIKE);
        alike.max_by(|left, right| likeness(left).total_cmp(&likeness(right)))
    }
}
