use super::{answer, days, definition, names, week};
use crate::report::{ReportFormat, write};
use store::Column;
use store::report::Answer;

pub(super) fn page(answer: &Answer, pictures: &[&Answer]) -> String {
    let mut output = Vec::new();
    write(answer, pictures, ReportFormat::Html, &mut output).unwrap();
    let page = String::from_utf8(output).unwrap();
    check_well_formed(&page);
    check_alone(&page);
    page
}

/// What is inside `<main>`, with `[picture]` instead of each.
pub(super) fn words(page: &str) -> String {
    let main = page
        .split_once("<main>")
        .unwrap()
        .1
        .split_once("</main>")
        .unwrap()
        .0;
    let mut parts = main.split("<svg");
    let mut words = parts.next().unwrap().to_owned();
    for part in parts {
        words.push_str("[picture]");
        words.push_str(part.split_once("</svg>").unwrap().1);
    }
    words.trim().replace(env!("CARGO_PKG_VERSION"), "[version]")
}

const VOID: [&str; 2] = ["meta", "br"];
const RAW: [&str; 2] = ["style", "script"];

/// Every element ends, in the right order; attributes are quoted; nothing but tags has a `<`.
fn check_well_formed(page: &str) {
    let mut rest = page.strip_prefix("<!doctype html>").unwrap();
    let mut open: Vec<&str> = Vec::new();
    while let Some((text, after)) = rest.split_once('<') {
        check_text(text);
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
            continue;
        }
        let name = check_tag(tag);
        if RAW.contains(&name) {
            rest = rest.split_once(&format!("</{name}>")).unwrap().1;
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    check_text(rest);
    assert_eq!(open, Vec::<&str>::new());
}

fn check_tag(tag: &str) -> &str {
    let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    let is_name = |text: &str| {
        text.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-:".contains(letter))
    };
    assert!(is_name(name) && !name.is_empty(), "{tag}");
    let mut rest = attributes.trim_end_matches('/').trim();
    while !rest.is_empty() {
        let (attribute, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{tag}"));
        assert!(is_name(attribute), "{tag}");
        assert!(
            !attribute.starts_with("on") && attribute != "style",
            "{tag}"
        );
        let (value, after) = value.split_once('"').unwrap();
        check_text(value);
        rest = after.trim_start();
    }
    name
}

fn check_text(text: &str) {
    assert!(!text.contains('>'), "{text}");
    assert!(
        !text
            .chars()
            .any(|letter| letter.is_control() && letter != '\n'),
        "{text:?}"
    );
    for entity in text.split('&').skip(1) {
        let (name, _) = entity.split_once(';').unwrap_or_else(|| panic!("{text}"));
        assert!(
            name.starts_with('#') || ["lt", "gt", "amp", "quot"].contains(&name),
            "{text}"
        );
    }
}

/// Nothing is loaded from anywhere.
fn check_alone(page: &str) {
    for word in [
        "src=", "href=", "@import", "fetch(", "url(h", "url(/", "<link", "<iframe",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    let addresses = page
        .split("http")
        .skip(1)
        .filter(|rest| rest.starts_with([':', 's']));
    for address in addresses {
        assert!(
            address.starts_with("://www.w3.org/2000/svg"),
            "{}",
            &address[..40]
        );
    }
}

#[test]
fn a_page_says_all_there_is_to_say() {
    insta::assert_snapshot!(words(&page(&days(), &[])), @r#"
    <header>
      <p class="section">Activity</p>
      <h1>Active users by day</h1>
      <p class="question">How many people use the hub, day by day?</p>
      <dl class="facts">
        <div><dt>Period</dt><dd>1–4 March 2026 (4 days)</dd></div>
        <div><dt>Hub</dt><dd>lab (Europe/Berlin)</dd></div>
      </dl>
    </header>
    <figure>
      [picture]
    </figure>
    <section class="notes">
      <h2>Worth knowing</h2>
      <ul>
        <li>2026-03-04 is not over.</li>
      </ul>
    </section>
    <div class="rows" tabindex="0" role="region" aria-label="Active users by day">
    <table>
      <thead><tr><th scope="col" class="short name">Day</th><th scope="col" class="number">Users</th><th scope="col" class="number">Weekly</th><th scope="col" class="number">Mean (h)</th><th scope="col" class="number">Success</th><th scope="col" class="short">At</th><th scope="col" class="short">Quiet</th></tr></thead>
      <tbody>
        <tr><th scope="row" class="short name">2026-03-01</th><td class="number">1,200</td><td class="number">1,200</td><td class="number">3.1</td><td class="number">100.0 %</td><td class="short">2026-03-02 00:30</td><td class="short">no</td></tr>
        <tr><th scope="row" class="short name">2026-03-02</th><td class="number">30</td><td class="number">1,210</td><td class="number">&#60;0.1</td><td class="number">87.5 %</td><td class="short">2026-03-02 09:05</td><td class="short">no</td></tr>
        <tr><th scope="row" class="short name">2026-03-03</th><td class="number">–</td><td class="number">–</td><td class="number">–</td><td class="number">–</td><td class="short">–</td><td class="short">–</td></tr>
        <tr><th scope="row" class="short name">2026-03-04</th><td class="number">0</td><td class="number">1,210</td><td class="number">0.0</td><td class="number">–</td><td class="short">–</td><td class="short">yes</td></tr>
      </tbody>
    </table>
    </div>
    <section class="definition">
      <h2>How it is counted</h2>
      <p>A person counts on a day if a server of theirs ran. <em>Weekly</em> are those of 7 days; a share below 1 is &#60; 1.</p>
      <dl>
        <div><dt>Day</dt><dd>Day in the hub&#39;s time zone.</dd></div>
        <div><dt>Users</dt><dd>People of whom a server ran.</dd></div>
        <div><dt>Weekly</dt><dd>The same of 7 days.</dd></div>
        <div><dt>Mean (h)</dt><dd>Mean server hours of a person.</dd></div>
        <div><dt>Success</dt><dd>Starts that worked.</dd></div>
        <div><dt>At</dt><dd>When most servers ran.</dd></div>
        <div><dt>Quiet</dt><dd>Whether nobody came.</dd></div>
      </dl>
    </section>

    <footer>From the history of lab (Europe/Berlin), last read 2026-03-04 12:00; computed 2026-03-04 12:00. Made by jupyterhub-insights [version].</footer>
    "#);
}

#[test]
fn nothing_in_a_name_is_run_or_read_as_markup() {
    let page = page(&names(), &[]);
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("alert(1)<"));
    insta::assert_snapshot!(words(&page), @r#"
    <header>
      <p class="section">Resources</p>
      <h1>Homes by size</h1>
      <p class="question">Whose homes are largest?</p>
      <dl class="facts">
        <div><dt>Period</dt><dd>1–4 March 2026 (4 days)</dd></div>
        <div><dt>Hub</dt><dd>lab (Europe/Berlin)</dd></div>
      </dl>
    </header>
    <figure>
      [picture]
    </figure>
    <section class="notes">
      <h2>Worth knowing</h2>
      <ul>
        <li>2026-03-04 is not over.</li>
      </ul>
    </section>
    <div class="rows" tabindex="0" role="region" aria-label="Homes by size">
    <table>
      <thead><tr><th scope="col" class="short name">User</th><th scope="col" class="short">Server</th><th scope="col" class="number">Last</th></tr></thead>
      <tbody>
        <tr><th scope="row" class="short name">=HYPERLINK(&#34;x&#34;)</th><td class="short">(default)</td><td class="number">40 B</td></tr>
        <tr><th scope="row" class="short name">&#60;script&#62;alert(1)&#60;/script&#62;</th><td class="short">lab</td><td class="number">1.6 KiB</td></tr>
        <tr><th scope="row" class="short name">a|b</th><td class="short">(default)</td><td class="number">62.5 KiB</td></tr>
        <tr><th scope="row" class="short name">山田太郎</th><td class="short">(default)</td><td class="number">2.4 MiB</td></tr>
        <tr><th scope="row" class="short name">red\u{1b}[31m\nnext</th><td class="short">(default)</td><td class="number">97.7 MiB</td></tr>
        <tr><th scope="row" class="short name">turned\u{202e}txt</th><td class="short">(default)</td><td class="number">3.8 GiB</td></tr>
        <tr><th scope="row" class="short name">&#34;&#39;&#38;&#60;/td&#62;</th><td class="short">&#60;i&#62;</td><td class="number">152.6 GiB</td></tr>
      </tbody>
    </table>
    </div>
    <section class="definition">
      <h2>How it is counted</h2>
      <p>Bytes of each home.</p>
      <dl>
        <div><dt>User</dt><dd>The person.</dd></div>
        <div><dt>Server</dt><dd>Their server.</dd></div>
        <div><dt>Last</dt><dd>Size.</dd></div>
      </dl>
    </section>

    <footer>From the history of lab (Europe/Berlin), last read 2026-03-04 12:00; computed 2026-03-04 12:00. Made by jupyterhub-insights [version].</footer>
    "#);
}

#[test]
fn only_our_own_script_and_looks_are_allowed() {
    let page = page(&week(), &[]);
    let policy = crate::report::content_security_policy();
    assert!(page.contains(&policy.replace('\'', "&#39;")), "{policy}");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(!policy.contains("unsafe"));
}

#[test]
fn a_page_and_a_text_have_not_more_rows_than_can_be_shown() {
    let head = "-- title: Many\n-- section: Activity\n-- question: How many?\n-- definition: Many.\n\
        -- scope: none\n-- needs: none\n-- column: hub text The hub.\n-- column: n count Number.";
    let columns = vec![
        Column::text("hub", vec![Some("lab"); 5003]),
        Column::integer("n", (0..5003).map(Some)),
    ];
    let answer = answer(definition("many", head), columns);
    let page = page(&answer, &[]);
    assert!(page.contains("<th scope=\"row\" class=\"number name\">4,999</th>"));
    assert!(!page.contains("<th scope=\"row\" class=\"number name\">5,000</th>"));
    assert!(page.contains("… 3 more rows; ask for CSV or Parquet to have them all."));
    let mut text = Vec::new();
    write(&answer, &[], ReportFormat::Markdown, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("4,999 |") && !text.contains("5,000 |"));
    assert!(text.contains("… 3 more rows; ask for CSV or Parquet to have them all."));
}
