//! The pages in a real browser, at a real hub that started the service: who sees what, how it looks, and
//! what a user's server at the same origin can do. The checks are in `python/browser`.

use crate::support::web_hub::{self, WebHub};
use crate::support::{ADMIN_TOKEN, BINARY, Browser, Process, free_port, tools, until};
use insights::web::ROUTES;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) const TESTS: &[crate::Test] = &[
    ("pages_look_well_and_tell_what_is_so", || {
        in_a_browser(&["server_life", "walk"], 9);
    }),
    ("a_browser_shows_nobody_what_is_not_theirs", || {
        in_a_browser(&["roles", "attack", "bad_input"], 12);
    }),
    ("the_demo_opens_on_a_dashboard", demo),
    (
        "a_hub_that_is_down_during_a_login_is_told_of",
        hub_down_during_login,
    ),
];

/// Runs the checks of these modules at a real hub; there are at least so many.
fn in_a_browser(modules: &[&str], n_checks: usize) {
    let web = WebHub::start();
    let folder = web.hub.folder.path();
    let checked = checked(&told(&web, modules), folder, n_checks);
    let log = web.hub.log();
    let of_ours: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
        .collect();
    checked.unwrap_or_else(|told| panic!("{told}{}", of_ours.join("\n")));
}

/// Its pictures are those of the README.
fn demo() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new(BINARY);
    command
        .args(["demo", "--days", "60", "--port", &port.to_string()])
        .env_clear();
    let process = Process::start(&mut command, &folder.path().join("demo.log"));
    until("the demo listens", || {
        process.output().contains("Listening on").then_some(())
    })
    .unwrap_or_else(|| panic!("{}", process.output()));
    let told = json!({
        "modules": ["demo"],
        "hub": "",
        "service": format!("http://127.0.0.1:{port}/services/insights/"),
        "token": "",
        "tools": tools(),
        "screenshots": web_hub::screenshots(),
        "people": {},
        "groups": {},
        "hidden": {},
    });
    checked(&told, folder.path(), 2).unwrap_or_else(|told| panic!("{told}{}", process.output()));
}

/// Runs checks; gives what they say if one of them finds something wrong, or if they are too few.
fn checked(told: &Value, home: &Path, n_checks: usize) -> Result<(), String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/browser");
    let mut child = Command::new(tools().join("browser/bin/python"))
        .args(["-I", "-X", "utf8", script])
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(told.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let good = said.lines().filter(|line| line.contains(": ok ")).count();
    if output.status.success() && good >= n_checks {
        return Ok(());
    }
    Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

fn told(web: &WebHub, modules: &[&str]) -> Value {
    let pages = ROUTES.iter().filter(|route| {
        let is_page = route.path.is_empty() || route.doc.starts_with("page: ");
        is_page && route.method == "GET"
    });
    let pages = pages.map(|route| json!({"path": route.path, "who": format!("{:?}", route.who)}));
    let roles = [
        "owner",
        "configured",
        "user",
        "stranger",
        "attacker",
        "link",
    ];
    let hidden = roles.map(|role| (role.to_owned(), json!(WebHub::hidden_from(role))));
    json!({
        "modules": modules,
        "hub": web.hub.url,
        "service": web.hub.service_url(""),
        "token": ADMIN_TOKEN,
        "tools": tools(),
        "screenshots": web_hub::screenshots(),
        "pages": pages.collect::<Vec<_>>(),
        "people": {
            "admin": web_hub::ADMIN,
            "owner": web_hub::OWNER,
            "configured": web_hub::CONFIGURED_OWNER,
            "user": web_hub::USER,
            "fellow": web_hub::FELLOW,
            "other": web_hub::OTHER,
            "stranger": web_hub::STRANGER,
            "attacker": web_hub::ATTACKER,
        },
        "groups": {"own": web_hub::ZEBRA, "other": web_hub::QUOKKA},
        "image": web_hub::IMAGE,
        "hidden": Value::from_iter(hidden),
    })
}

/// It knew them a moment ago, and does not say who they are.
fn hub_down_during_login() {
    let web = WebHub::start();
    let mut browser = Browser::new(&web.hub);
    browser.log_in(web_hub::USER, None);
    let mut url = web.hub.service_url("me").parse().unwrap();
    for _ in 0..10 {
        let leads_to = browser.step(Method::GET, &url, None).location();
        url = leads_to.unwrap_or_else(|| panic!("no login at {url}"));
        if url.path().ends_with("/oauth_callback") {
            break;
        }
    }
    web.hub.process.signal(Signal::SIGSTOP);
    let stopped = browser.step(Method::GET, &url, None);
    web.hub.process.signal(Signal::SIGCONT);
    let page = stopped.shown();
    assert_eq!(page.status, 503, "{}", page.text);
    assert!(
        page.text.contains("<h1>The hub does not answer"),
        "{}",
        page.text
    );
    // And all is well when it is back.
    let page = browser.open("services/insights/me");
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains(web_hub::USER), "{}", page.text);
}
