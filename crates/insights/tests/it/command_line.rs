//! The command line as people use it: exit codes, messages, the demo.

use crate::support::{BINARY, Browser, Process, free_port, scrape, until};
use nix::sys::signal::Signal;
use reqwest::Method;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "bad_configuration_ends_with_64_before_a_port_is_bound",
        bad_configuration,
    ),
    ("help_has_examples_for_every_command", help),
    ("config_print_hides_secrets", config_print),
    ("the_demo_works_with_nothing_installed", demo),
    (
        "the_python_exporters_command_line_works_unchanged",
        python_command_line,
    ),
];

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn bad_configuration() {
    // Held, so that an attempt to bind it would be the first complaint.
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("metrics.listen={}", holder.local_addr().unwrap());
    let hub = [
        ("JUPYTERHUB_API_TOKEN", "t"),
        ("JUPYTERHUB_API_URL", "http://127.0.0.1:9/hub/api"),
    ];
    for (arguments, expected) in [
        (
            vec!["--set", "hub.interval_seconds=0"],
            "bad configuration: `hub.interval_seconds` (flag `--set`): 0 is not between 1 and 86400",
        ),
        (
            vec!["--set", "hub.nonsense=0"],
            "`hub.nonsense` (flag `--set`) is not a key",
        ),
        (
            vec!["--config", "/no/such.toml"],
            "`--config`: could not read `/no/such.toml`",
        ),
        (
            vec!["--set", "hub.ca_file=/no/such.pem"],
            "`hub.ca_file`: could not read `/no/such.pem`",
        ),
        (
            vec!["--double_count", "perhaps"],
            "`perhaps` is not `true` or `false`",
        ),
    ] {
        let arguments = [&["serve", "--set", &port], &arguments[..]].concat();
        let output = run(&arguments, &hub);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains(expected),
            "{}",
            text(&output.stderr)
        );
        assert!(output.stdout.is_empty());
    }
    let output = run(&["serve"], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("`hub.url` is not set: give the hub's address"));
    let output = run(&["serve"], &hub[1..]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("`hub.token` is not set"));
    let output = run(&["no-such-command"], &[]);
    assert_eq!(output.status.code(), Some(2));
}

fn help() {
    for command in [
        &["--help"][..],
        &["serve", "--help"],
        &["demo", "--help"],
        &["config", "print", "--help"],
        &["config", "check", "--help"],
        &["docs", "--help"],
    ] {
        let output = run(command, &[]);
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(
            text(&output.stdout).contains("Examples:\n  "),
            "{command:?}"
        );
    }
    let version = run(&["--version"], &[]);
    let expected = format!("jupyterhub-insights {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&version.stdout), expected);
}

fn config_print() {
    let variables = [
        ("JUPYTERHUB_API_TOKEN", "s3cret"),
        ("JUPYTERHUB_INSIGHTS__METRICS__SCRAPE_TOKEN", "0ther"),
    ];
    let output = run(&["config", "print", "--set", "hub.name=math"], &variables);
    let printed = text(&output.stdout);
    assert!(
        printed.contains("name = \"math\"  # flag `--set`"),
        "{printed}"
    );
    assert!(
        !printed.contains("s3cret") && !printed.contains("0ther"),
        "{printed}"
    );
    assert_eq!(printed.matches("(hidden)").count(), 2, "{printed}");
}

fn demo() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new(BINARY);
    command
        .args(["demo", "--users", "50", "--port", &port.to_string()])
        .env_clear();
    let mut process = Process::start(&mut command, &folder.path().join("demo.log"));
    let url = format!("http://127.0.0.1:{port}/services/insights/");
    until("the demo listens", || {
        process.output().contains("Listening on").then_some(())
    })
    .unwrap_or_else(|| panic!("{}", process.output()));
    until("fifty users", || {
        let seen = scrape(&url, None);
        (seen.family("jupyterhub_user_name_info").len() == 50).then_some(())
    })
    .unwrap();
    // What is printed for copying works as printed.
    let output = process.output();
    assert!(output.contains(&format!("curl {url}metrics")), "{output}");
    dashboard_of_demo(&output, &url);
    let question = output.split("  Usage        ").nth(1);
    let question = question.and_then(|rest| rest.split("\n\n").next());
    let question = question.unwrap_or_else(|| panic!("{output}"));
    let question = question.replace("jupyterhub-insights sql", &format!("{BINARY} sql"));
    let mut shell = Command::new("/bin/sh");
    let answer = shell.args(["-c", &question]).env_clear().output().unwrap();
    let (rows, errors) = (text(&answer.stdout), text(&answer.stderr));
    assert!(
        rows.contains("| course::ml-101 "),
        "{question}\n{errors}{rows}"
    );
    process.signal(Signal::SIGINT);
    assert_eq!(
        process.wait(Duration::from_secs(5)).code(),
        Some(0),
        "{}",
        process.output()
    );
}

/// It asks who one is, and shows the administrator everything.
fn dashboard_of_demo(output: &str, url: &str) {
    assert!(
        output.contains(&format!("\n  Dashboard    {url}\n")),
        "{output}"
    );
    let mut browser = Browser::at(url);
    let away = browser.step(Method::GET, &url.parse().unwrap(), None);
    let asked = away.location().unwrap();
    let page = browser.step(Method::GET, &asked, None).shown();
    for text in ["Who are you?", "administrator", "owner of lab-physics"] {
        assert!(page.text.contains(text), "{}", page.text);
    }
    let mut chosen = asked;
    chosen.query_pairs_mut().append_pair("as", "admin");
    let back = browser.step(Method::GET, &chosen, None).location().unwrap();
    let home = browser.step(Method::GET, &back, None).location().unwrap();
    assert_eq!(home.as_str(), url);
    let page = browser.step(Method::GET, &home, None).shown();
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("<h1>Overview"), "{}", page.text);
}

/// As the Python exporter's chart starts its container, but for the name of the program.
fn python_command_line() {
    let sim = crate::support::SimServer::start(|world| {
        world.add_user("ana");
        for group in ["art", "physics", "secret"] {
            world.add_group(group);
            world.add_member(group, "ana");
        }
    });
    let (host, port) = sim
        .url
        .trim_matches(|c: char| !c.is_ascii_digit())
        .split_once(':')
        .unwrap();
    let own_port = free_port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(BINARY);
    command
        .args([
            "-m",
            "jupyterhub_groups_exporter.app",
            "--allowed_groups",
            "art",
            "physics",
        ])
        .args([
            "--double_count",
            "true",
            "--port",
            &own_port,
            "--update_info_interval",
            "3600",
        ])
        .args([
            "--update_metrics_interval",
            "15",
            "--update_dirsize_interval",
            "7200",
        ])
        .args([
            "--prometheus_host",
            "",
            "--prometheus_port",
            "",
            "--log_level",
            "INFO",
        ])
        .env_clear()
        .env("JUPYTERHUB_API_TOKEN", insights::sim::DEMO_TOKEN)
        .env("HUB_SERVICE_HOST", host)
        .env("HUB_SERVICE_PORT", port)
        .env("NAMESPACE", "release");
    let process = Process::start(&mut command, &folder.path().join("service.log"));
    let url = format!("http://127.0.0.1:{own_port}/services/groups-exporter/");
    until("it listens", || {
        process.output().contains("Listening on").then_some(())
    })
    .unwrap();
    let seen = until("two rows", || {
        let seen = scrape(&url, None);
        (seen.memberships().len() == 2).then_some(seen)
    })
    .unwrap_or_else(|| panic!("{}\n{}", scrape(&url, None).text, process.output()));
    // No extra row for users in several groups, and nothing of the third group.
    assert_eq!(seen.memberships(), ["ana@art", "ana@physics"]);
    assert!(!seen.text.contains("secret"));
    assert!(
        seen.text
            .contains("{namespace=\"release\",usergroup=\"art\",username=\"ana\",")
    );
}
