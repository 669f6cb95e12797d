//! `docs/config.md`, made from the structs and their comments.

use super::schema::{self, Key, Kind};
use serde_json::Value;
use std::fmt::Write as _;

const HEAD: &str = "\
# Configuration

One TOML file (`--config insights.toml`), overridden by environment variables, overridden by flags
(`--set hub.interval_seconds=30`). A service that the hub starts needs no file: the hub's own
`JUPYTERHUB_*` variables say where the hub is, the token, and where to listen. Unknown keys and bad
values end the program with code 64 before a port is bound. `jupyterhub-insights config print`
shows the values in force and where each came from. This page is made by
`jupyterhub-insights docs config`.
";

/// The page, as Markdown.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let keys = schema::keys();
    for section in schema::sections() {
        let _ = writeln!(page, "\n## [{}]\n\n{}\n", section.name, section.description);
        for key in keys.iter().filter(|key| key.section == section.name) {
            write_key(&mut page, key);
        }
    }
    page
}

fn write_key(page: &mut String, key: &Key) {
    let default = match &key.default {
        Value::Null => "not set".to_owned(),
        value => format!("`{value}`"),
    };
    let kind = match &key.kind {
        Kind::Text => "text".to_owned(),
        Kind::Integer => "whole number".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::TextList => "list of texts".to_owned(),
        Kind::Choice(names) => format!("one of `{}`", names.join("`, `")),
    };
    let variable = schema::variable(&key.path);
    let _ = writeln!(page, "### `{}`\n\n{}\n", key.path, key.description);
    let _ = writeln!(page, "{kind} · default: {default} · `{variable}`\n");
}
