//! Of every page: what comes from outside stays text, and what the browser and its readers need is there.

use super::samples::{NASTY, Sample, all, fragments};
use std::path::PathBuf;

/// Elements without an end.
const VOID: [&str; 4] = ["input", "link", "meta", "br"];

/// A tag as it stands in a page.
struct Tag<'a> {
    name: &'a str,
    attributes: &'a str,
}

impl Tag<'_> {
    fn is_end(&self) -> bool {
        self.name.starts_with('/')
    }

    /// Those of its attributes.
    fn names(&self) -> Vec<&str> {
        let pieces = self.attributes.split("=\"").collect::<Vec<_>>();
        // Behind the last one stands a value.
        let (_, before) = pieces.split_last().expect("split gives a piece");
        let names = before.iter().map(|piece| piece.rsplit([' ', '\n']).next());
        names.flatten().collect()
    }

    fn has(&self, attribute: &str) -> bool {
        let start = format!(" {attribute}=\"");
        self.attributes.contains(&start)
    }
}

/// All tags of a page. In attributes `<` and `>` are escaped.
fn tags(html: &str) -> Vec<Tag<'_>> {
    let pieces = html.split('<').skip(1);
    let tags = pieces.filter(|piece| !piece.starts_with('!')).map(|piece| {
        let (tag, _) = piece.split_once('>').expect("a tag ends");
        let end = tag.find([' ', '\n']).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(end);
        Tag { name, attributes }
    });
    tags.collect()
}

fn everything() -> Vec<Sample> {
    all().into_iter().chain(fragments()).collect()
}

#[test]
fn names_are_never_markup() {
    for Sample { name, html } in everything() {
        assert!(!html.contains(NASTY), "{name}");
        assert!(!html.contains("<script>"), "{name}");
    }
    let users = &all()[5];
    assert!(
        users
            .html
            .contains(">&#60;script&#62;alert(1)&#60;/script&#62;</a>")
    );
    assert!(
        users
            .html
            .contains("name=%3Cscript%3Ealert%281%29%3C%2Fscript%3E")
    );
    assert!(users.html.contains("name=..%2F..%2Fx"));
}

#[test]
fn elements_end_where_they_should() {
    for Sample { name, html } in everything() {
        let mut open = Vec::new();
        for tag in tags(&html) {
            if tag.is_end() {
                assert_eq!(open.pop(), Some(&tag.name[1..]), "{name}: {open:?}");
            } else if !VOID.contains(&tag.name) && !tag.attributes.ends_with('/') {
                open.push(tag.name);
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
    }
}

#[test]
fn nothing_runs_or_looks_by_itself() {
    for Sample { name, html } in everything() {
        for tag in tags(&html) {
            assert_ne!(tag.name, "style", "{name}");
            assert!(tag.name != "script" || tag.has("src"), "{name}");
            assert!(!tag.has("style"), "{name}: {}", tag.attributes);
            assert!(
                !tag.names().iter().any(|name| name.starts_with("on")),
                "{name}"
            );
            let from_elsewhere = [
                "src=\"http",
                "href=\"http",
                "action=\"http",
                "href=\"javascript",
            ];
            let is_from_elsewhere = |start: &&str| tag.attributes.contains(*start);
            assert!(!from_elsewhere.iter().any(is_from_elsewhere), "{name}");
        }
    }
}

#[test]
fn a_page_has_one_heading_and_its_landmarks() {
    for Sample { name, html } in all() {
        let n = |element| {
            let all = tags(&html);
            all.iter().filter(|tag| tag.name == element).count()
        };
        for element in ["h1", "main", "header", "footer"] {
            assert_eq!(n(element), 1, "{name}: {element}");
        }
        assert!(
            html.contains("<a class=\"skip\" href=\"#content\">"),
            "{name}"
        );
        assert!(html.contains("<html lang=\"en\">"), "{name}");
        let currents = html.matches("aria-current=\"page\"").count();
        assert!(currents <= 1, "{name}");
    }
}

#[test]
fn every_number_says_what_it_means_where_it_is_from_and_how_old_it_is() {
    for Sample { name, html } in everything() {
        let tags = tags(&html);
        let numbers = tags
            .iter()
            .filter(|tag| tag.attributes.contains("class=\"number\""));
        for number in numbers {
            for attribute in ["data-definition", "data-source", "data-at", "tabindex"] {
                assert!(number.has(attribute), "{name}: {attribute}");
            }
        }
    }
    let numbers = &fragments()[1];
    assert_eq!(numbers.html.matches("class=\"number\"").count(), 10);
}

#[test]
fn forms_that_change_something_carry_the_token() {
    for Sample { name, html } in all() {
        for form in html.split("<form").skip(1) {
            let (form, _) = form.split_once("</form>").expect("a form ends");
            let has_token = form.contains("name=\"page_token\" value=\"x7f3\"");
            assert_eq!(form.contains("method=\"post\""), has_token, "{name}");
        }
    }
}

#[test]
fn looks_and_script_are_small_and_ask_nobody_else() {
    let css = include_str!("../insights.css");
    let js = include_str!("../insights.js");
    assert!(
        css.len() + js.len() < 45_000,
        "{} and {}",
        css.len(),
        js.len()
    );
    assert!(!css.contains("url(") && !css.contains("@import"));
    for bad in [
        "innerHTML",
        "eval(",
        "insertAdjacent",
        "document.write",
        "setAttribute('style'",
    ] {
        assert!(!js.contains(bad), "{bad}");
    }
    assert_eq!(js.matches("http").count(), 1, "only the name of SVG");
}

#[test]
fn what_is_empty_says_what_to_do_next() {
    let samples = everything();
    let html = |name: &str| {
        let sample = samples.iter().find(|sample| sample.name == name);
        &sample.unwrap().html
    };
    let me = html("nothing");
    assert!(me.contains("<div class=\"empty\">"));
    assert!(me.contains(">Start a server</a>"));
    let part = html("part_empty");
    assert!(part.contains("<code>jupyterhub_config.py</code>"));
    assert!(part.contains(">How to send events</a>"));
    // The sentence stands there, and no frame without a picture.
    assert!(!part.contains("<figure") && !part.contains("<table"));
}

#[test]
fn a_server_that_runs_stands_before_the_session_that_ended() {
    let samples = all();
    let me = samples.iter().find(|sample| sample.name == "me").unwrap();
    let place = |text: &str| me.html.find(text).unwrap();
    assert!(place("My server now") < place("My last session"));
    assert!(place("since <time") < place("My last session"));
}

#[test]
fn users_were_seen_not_yet_or_nobody_knows() {
    let samples = all();
    let users = samples.iter().find(|sample| sample.name == "users");
    let html = &users.unwrap().html;
    let rows: Vec<&str> = html.split("<tr>").skip(2).collect();
    assert!(rows[0].contains("data-show=\"age\""), "{}", rows[0]);
    let not_yet = ">never, as of <time";
    assert!(rows[1].contains(not_yet), "{}", rows[1]);
    assert!(rows[2].contains(">–<"), "{}", rows[2]);
    assert!(html.contains(">Hours</th>"));
}

/// Writes pages and looks into the folder `INSIGHTS_PAGES`, if that is set, for a person to look at.
#[test]
fn pages_can_be_looked_at() {
    let Some(folder) = folder() else { return };
    let assets = folder.join("assets");
    std::fs::create_dir_all(&assets).unwrap();
    let charts = crate::chart::page_parts();
    let files = [
        ("chart.css", charts.css),
        ("chart.js", charts.js),
        ("insights.css", include_str!("../insights.css")),
        ("insights.js", include_str!("../insights.js")),
    ];
    for (name, text) in files {
        std::fs::write(assets.join(name), text).unwrap();
    }
    for Sample { name, html } in everything() {
        std::fs::write(folder.join(name).with_extension("html"), html).unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a wish of whoever runs the tests, not of the program"
)]
fn folder() -> Option<PathBuf> {
    std::env::var_os("INSIGHTS_PAGES").map(PathBuf::from)
}
