//! What there is to ask for, for `sql --help` and `docs/history.md`: made from the definitions.

use super::{functions, views};
use crate::tables::{ColumnDef, Presence, TABLES};
use std::fmt::Write as _;

/// A table or view as a reader sees it.
pub(super) struct Entry {
    pub(super) name: &'static str,
    doc: &'static str,
    pub(super) columns: Vec<&'static ColumnDef>,
}

pub(super) fn entries() -> impl Iterator<Item = Entry> {
    let tables = TABLES.iter().map(|table| Entry {
        name: table.name,
        doc: table.doc,
        columns: table.all_columns().collect(),
    });
    tables.chain(views::VIEWS.iter().map(|view| Entry {
        name: view.name,
        doc: view.doc,
        columns: view.columns.iter().collect(),
    }))
}

fn kind(column: &ColumnDef) -> String {
    match column.presence {
        Presence::Always => column.kind.sql().to_owned(),
        Presence::Maybe => format!("{}, may be null", column.kind.sql()),
    }
}

/// For a terminal.
pub fn schema_text() -> String {
    let mut text = String::new();
    for entry in entries() {
        let _ = writeln!(text, "{}\n  {}", entry.name, entry.doc);
        let width = entry.columns.iter().map(|column| column.name.len());
        let width = width.max().unwrap_or(0);
        for column in &entry.columns {
            let (name, doc) = (column.name, column.doc);
            let _ = writeln!(text, "  {name:width$}  {doc} ({})", kind(column));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "Functions: {}.", functions::names().join(", "));
    let _ = writeln!(
        text,
        "Beside the functions: ||, ->, ->>, extract(), cast(), case, window functions with over()."
    );
    text
}

/// For the documentation.
pub fn schema_markdown() -> String {
    let mut text = String::new();
    for entry in entries() {
        let _ = writeln!(text, "### `{}`\n\n{}\n", entry.name, entry.doc);
        text.push_str("| column | type | meaning |\n| --- | --- | --- |\n");
        for column in &entry.columns {
            let doc = column.doc.replace('|', "\\|");
            let _ = writeln!(text, "| `{}` | {} | {doc} |", column.name, kind(column));
        }
        text.push('\n');
    }
    let functions = functions::names().join("`, `");
    let _ = writeln!(text, "### Functions\n\n`{functions}`");
    text
}
