//! `docs/metrics.md`, made from the two tables of families.

use super::exposition::Kind;
use super::families::FAMILIES;
use super::own::OWN_FAMILIES;
use std::fmt::Write as _;

const HEAD: &str = "\
# Metrics

Served as Prometheus text 0.0.4 or OpenMetrics 1.0 by `Accept`, with or without gzip, at the service
prefix and at `metrics` below it. This page is made by `jupyterhub-insights docs metrics`.

## About the hub

The prefix `jupyterhub` is `metrics.prefix`. Groups that `groups.allowed` and `groups.denied` leave
out appear in none of these, nor does a user who is in no allowed group.
";

const OWN_HEAD: &str = "
## About ourselves

These name nobody. `hub` is `hub.name`.
";

/// The page, as Markdown.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for family in FAMILIES {
        let name = format!("jupyterhub_{}", family.name);
        write_family(&mut page, &name, family.kind, family.labels, family.help);
    }
    page.push_str(OWN_HEAD);
    for family in OWN_FAMILIES {
        write_family(
            &mut page,
            family.name,
            family.kind,
            family.labels,
            family.help,
        );
    }
    page
}

fn write_family(page: &mut String, name: &str, kind: Kind, labels: &[&str], help: &str) {
    let kind = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::Info => "info (gauge in the text format)",
    };
    let _ = writeln!(page, "\n### `{name}`\n\n{help}\n");
    let _ = writeln!(page, "{kind} · labels `{}`", labels.join("`, `"));
}
