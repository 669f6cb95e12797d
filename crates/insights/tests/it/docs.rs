//! Pages that are made from the code are as the code makes them now.
//!
//! `INSIGHTS_WRITE_DOCS=1 ./test docs::` writes them anew.

use crate::bad_input::failures_page;
use crate::prometheus::{MEMORY_OF_ALL_GROUPS, MEMORY_OF_SELECTED_GROUP};
use crate::support::variable;
use std::path::Path;

pub(crate) const TESTS: &[crate::Test] = &[
    ("the_configuration_page_is_up_to_date", || {
        check("docs/config.md", &insights::config::docs::markdown());
    }),
    ("the_metrics_page_is_up_to_date", || {
        check("docs/metrics.md", &insights::metrics::docs::markdown());
    }),
    ("the_history_page_is_up_to_date", || {
        check("docs/history.md", &insights::collect::page());
    }),
    ("the_reports_page_is_up_to_date", || {
        check("docs/reports.md", &insights::answers::markdown());
    }),
    ("the_table_of_who_may_ask_for_what_is_up_to_date", || {
        check_part("docs/access.md", "routes", &insights::web::markdown());
    }),
    ("the_queries_in_the_docs_are_the_tested_ones", queries),
    ("the_failures_page_is_up_to_date", || {
        check("docs/failures.md", &failures_page());
    }),
    ("the_configuration_in_the_docs_is_valid", examples_are_valid),
];

fn check(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file);
    if variable("INSIGHTS_WRITE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} is stale: INSIGHTS_WRITE_DOCS=1 ./test docs:: writes it anew"
    );
}

/// A part of a page between `<!-- NAME -->` and `<!-- end of NAME -->`.
fn check_part(file: &str, name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file);
    let page = std::fs::read_to_string(path).unwrap();
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    check(file, &format!("{before}{begin}{expected}{end}{after}"));
}

/// Every TOML block of the README and the pages is a configuration that loads.
fn examples_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md")];
    pages.extend(
        std::fs::read_dir(root.join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    let mut n_blocks = 0;
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|end| end == "md"))
    {
        let text = std::fs::read_to_string(page).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("insights.toml");
            // Mounted secrets exist only where the page is followed.
            let lines = block.lines().filter(|line| !line.contains("_file"));
            std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
            let environment = insights::config::environment::Environment::of([]);
            let outcome = insights::config::load(&environment, Some(&file), Vec::new());
            assert!(
                outcome.is_ok(),
                "{}: {:?}\n{block}",
                page.display(),
                outcome.err()
            );
            n_blocks += 1;
        }
    }
    assert!(n_blocks >= 1, "no example was found");
}

fn queries() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/migrating.md");
    let page = std::fs::read_to_string(page).unwrap();
    for query in [MEMORY_OF_SELECTED_GROUP, MEMORY_OF_ALL_GROUPS] {
        assert!(page.contains(&format!("```promql{query}```")), "{query}");
    }
}
