//! Reports of odd histories, and reports asked wrongly, on the command line: a right answer, or one
//! clear sentence and code 2, never a trace.

mod place;

use crate::support::{Answer, BINARY, tools};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use place::{Place, Run, list, names, reply, written};
use serde_json::Value;
use std::process::Command;
use store::{Folder, Store};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "what_cannot_be_asked_is_told_in_one_sentence_with_code_2",
        wrong_questions,
    ),
    ("an_empty_history_answers_every_report_with_nothing", empty),
    (
        "one_user_and_ten_years_are_answered_by_every_report",
        ten_years,
    ),
    (
        "a_session_over_a_whole_day_has_the_hours_of_that_day_in_the_hubs_zone",
        clock_changes,
    ),
    (
        "names_that_somebody_would_run_are_harmless_everywhere",
        odd_names,
    ),
    (
        "a_terminal_has_its_width_and_ink_and_a_pipe_has_neither",
        terminal,
    ),
];

/// What cannot be asked, and a part of what is told of it.
const WRONG: &[(&[&str], &str)] = &[
    (
        &["active-user"],
        "there is no report `active-user`; did you mean `active-users`?",
    ),
    (
        &["Active_Users"],
        "there is no report `Active_Users`; did you mean `active-users`?",
    ),
    (
        &["active-user", "--explain"],
        "did you mean `active-users`?",
    ),
    (&["zzz"], "there is no report `zzz`"),
    (
        &["active-users", "--from", "2024-03-02", "--to", "2024-03-01"],
        "the period ends on 2024-03-01 before it begins on 2024-03-02",
    ),
    (
        &["active-users", "--from", "2023-02-29"],
        "`from`: `2023-02-29` is no time: expected",
    ),
    (
        &["active-users", "--to", "soon"],
        "`to`: `soon` is no time: expected",
    ),
    (
        &["active-users", "--from", "1000 years ago"],
        " is longer than 50 years",
    ),
    (
        &["active-users", "--from", "20000 years ago"],
        "`from`: `20000 years ago` is no time: the time is too far away",
    ),
    (
        &["active-users", "--from", "9000-01-01", "--to", "9000-01-02"],
        "the period begins on 9000-01-01, which is to come",
    ),
    (
        &["active-users", "--group", "nobody"],
        "the history knows no group `nobody`",
    ),
    (
        &["active-users", "--hub", "far"],
        "the history knows no hub `far`; it knows `lab`",
    ),
    (
        &["overview", "--user", "ada"],
        "the report `overview` is not about one user",
    ),
    (
        &["new-users", "by=year"],
        "`by=year`: `by` is one of `week`, `month`",
    ),
    (
        &["new-users", "year"],
        "`year` is no choice such as `by=week`",
    ),
    (
        &["new-users", "unit=week"],
        "has no parameter `unit`: it has `by`",
    ),
    (
        &["sessions", "--format", "svg"],
        "there is no picture of `sessions`: the report has none, or there is no row to draw",
    ),
];

fn wrong_questions() {
    let place = Place::of_a_leap_day(&["ada"]);
    for (words, expected) in WRONG {
        let Answer {
            code,
            stdout,
            stderr,
        } = place.report(words);
        assert_eq!(
            (code, stdout.as_str()),
            (Some(2), ""),
            "{words:?}: {stderr}"
        );
        let told = stderr.strip_prefix("jupyterhub-insights: wrong usage: ");
        let told = told.unwrap_or_else(|| panic!("{words:?}: {stderr}"));
        assert!(told.contains(expected), "{words:?}: {told}");
        assert_eq!(
            (told.lines().count(), told.len() < 400),
            (1, true),
            "{told}"
        );
    }
    // Nothing is meant by it.
    let told = place.report(&["zzz"]).stderr;
    assert!(!told.contains("did you mean"), "{told}");
    for words in [
        &["active-users", "--format", "doc"][..],
        &["active-users", "--form", "csv"],
    ] {
        assert_eq!(place.report(words).code, Some(2), "{words:?}");
    }
    // A day that there is.
    let day = [
        "--from",
        "2024-02-29",
        "--to",
        "2024-02-29",
        "--format",
        "csv",
    ];
    let told = place.written(&[&["active-users"], &day[..]].concat());
    assert!(told.contains("\nlab,2024-02-29,1,"), "{told}");
    // Somebody who never was came never.
    let told = place.written(&[&["active-users", "--user", "nobody"], &day[..]].concat());
    assert!(told.contains("\nlab,2024-02-29,0,"), "{told}");
}

/// What was not measured is null: figures with a unit, and counts of people.
#[track_caller]
fn is_nothing(name: &str, reply: &Value) {
    let keys = ["text", "name", "day", "time", "flag", "count"];
    for column in list(reply, "columns") {
        let (column, kind) = (
            column["name"].as_str().unwrap(),
            column["kind"].as_str().unwrap(),
        );
        let is_key = keys.contains(&kind) && !column.contains("users");
        // How much is known is known.
        if is_key || column == "known_hours" {
            continue;
        }
        for row in list(reply, "rows") {
            assert_eq!(row[column], Value::Null, "{name}: {column}");
        }
    }
}

fn empty() {
    let of_a_hub = Place::new("Asia/Kathmandu", &[]);
    let folder = tempfile::tempdir().unwrap();
    let of_nobody = folder.path().join("store");
    drop(Store::open(Folder::prepare(&of_nobody).unwrap()).unwrap());
    for name in names() {
        let reply = reply(&of_a_hub.store(), &[&name]);
        is_nothing(&name, &reply);
        assert_eq!(reply["age_seconds"], Value::Null, "{name}");
        let told = reply["caveats"].to_string();
        assert!(
            told.contains("Nothing was collected yet."),
            "{name}: {told}"
        );
        let table = written(&of_nobody, &[&name]);
        assert!(
            table.contains("There is nothing to show."),
            "{name}: {table}"
        );
    }
}

fn ten_years() {
    let place = Place::of_a_leap_day(&["ada"]);
    for name in names() {
        let reply = reply(&place.store(), &[&name, "--from", "10 years ago"]);
        let day = |key: &str| -> Date { reply["period"][key].as_str().unwrap().parse().unwrap() };
        let n_days = (day("to") - day("from")).get_days() + 1;
        assert!((3_652..=3_654).contains(&n_days), "{name}: {n_days}");
        if name == "active-users" {
            let rows = list(&reply, "rows");
            assert_eq!(i32::try_from(rows.len()).unwrap(), n_days);
            let of = |users: i64| rows.iter().filter(|row| row["users"] == users).count();
            let leap_day: Date = "2024-02-29".parse().unwrap();
            let since = usize::try_from((day("to") - leap_day).get_days()).unwrap();
            assert_eq!((of(1), of(0)), (1, since), "before it nothing is known");
        }
    }
}

/// From noon of the day before to noon of the day after.
fn around(day: Date, zone: &str) -> Run<'static> {
    let zone = TimeZone::get(zone).unwrap();
    let noon = |day: Date| {
        day.at(12, 0, 0, 0)
            .to_zoned(zone.clone())
            .unwrap()
            .timestamp()
    };
    Run {
        user: "ada",
        started: noon(day.saturating_sub(1.day())),
        ended: noon(day.saturating_add(1.day())),
    }
}

fn clock_changes() {
    let cases: &[(&str, &[(&str, f64)])] = &[
        (
            "America/New_York",
            &[("2024-03-10", 23.0), ("2024-11-03", 25.0)],
        ),
        ("Asia/Kathmandu", &[("2024-03-10", 24.0)]),
        (
            "Australia/Lord_Howe",
            &[("2024-04-07", 24.5), ("2024-10-06", 23.5)],
        ),
        ("Europe/Berlin", &[("2024-02-29", 24.0)]),
    ];
    for (zone, days) in cases {
        let runs: Vec<Run<'_>> = days
            .iter()
            .map(|(day, _)| around(day.parse().unwrap(), zone))
            .collect();
        let place = Place::new(zone, &runs);
        for (day, hours) in *days {
            let period = ["--from", day, "--to", day];
            let ask = |words: &[&str]| reply(&place.store(), &[words, &period[..]].concat());
            let overview = ask(&["overview"]);
            let is_hours = |row: &&Value| row["number"] == "hours";
            let number = list(&overview, "rows").iter().find(is_hours).unwrap();
            assert_eq!(number["value"], *hours, "{zone} {day}");
            let week = ask(&["active-users-calendar", "by=week"]);
            assert_eq!(list(&week, "rows")[0]["hours"], *hours, "{zone} {day}");
            // Noon to midnight on both sides.
            let sessions = ask(&["sessions"]);
            assert_eq!(
                list(&sessions, "rows")[0]["hours"],
                hours + 24.0,
                "{zone} {day}"
            );
            // A server ran all the time, whatever the clock showed.
            for row in list(&ask(&["hour-of-week"]), "rows") {
                assert!(
                    row["servers"] == 1.0 || row["servers"].is_null(),
                    "{zone} {day} {row}"
                );
            }
        }
    }
}

const LINK: &str = "=HYPERLINK(\"http://x\",\"y\")";
const SCRIPT: &str = "<script>alert(1)</script>";

fn odd_names() {
    let place = Place::of_a_leap_day(&[LINK, SCRIPT, "+1", "@sum"]);
    let period = ["--from", "2024-02-29", "--to", "2024-02-29"];
    let ask = |name: &str, more: &[&str]| -> String {
        place.written(&[&[name], &period[..], more].concat())
    };
    let csv = ask("sessions", &["--format", "csv"]);
    let users: Vec<&str> = csv
        .lines()
        .skip(1)
        .map(|row| row.strip_prefix("lab,").unwrap())
        .collect();
    assert_eq!(users.len(), 4, "{csv}");
    for expected in [
        "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",",
        SCRIPT,
        "'+1,",
        "'@sum,",
    ] {
        let found = users.iter().any(|user| user.starts_with(expected));
        assert!(found, "{expected}: {csv}");
    }
    // A number is none of a spreadsheet's formulas.
    assert!(users.iter().all(|user| user.contains(",2.5,")), "{csv}");
    let json = reply(&place.store(), &[&["sessions"], &period[..]].concat());
    let mut users: Vec<&str> = list(&json, "rows")
        .iter()
        .map(|row| row["user"].as_str().unwrap())
        .collect();
    users.sort_unstable();
    assert_eq!(users, ["+1", SCRIPT, LINK, "@sum"]);
    let asked = ask("sessions", &["--user", LINK, "--format", "csv"]);
    assert_eq!(asked.lines().count(), 2, "{asked}");
    let by_user = ["by=user", "--format"];
    for format in ["html", "svg"] {
        let page = ask("session-lengths", &[&by_user[..], &[format]].concat());
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
        assert!(
            page.contains("=HYPERLINK(&#34;http://x&#34;,&#34;y&#34;)"),
            "{page}"
        );
    }
    let markdown = ask("session-lengths", &[&by_user[..], &["md"]].concat());
    assert!(!markdown.contains("<script>"), "{markdown}");
}

/// What a program writes on a terminal of so many columns.
fn on_terminal(columns: &str, command: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/terminal.py");
    let output = Command::new(tools().join("history/bin/python"))
        .args(["-I", "-X", "utf8", script, columns])
        .args(command)
        .env_clear()
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn terminal() {
    let place = Place::of_a_leap_day(&["ada"]);
    let path = format!("store.path={}", place.store().display());
    let day = "2024-02-29";
    let words = [
        "report",
        "active-users",
        "--from",
        day,
        "--to",
        day,
        "--set",
        &path,
    ];
    let show = |columns: &str, before: &[&str]| {
        on_terminal(columns, &[before, &[BINARY], &words[..]].concat())
    };
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
    let plain = ["/usr/bin/env", "NO_COLOR=1"];
    let (narrow, wide) = (show("60", &plain), show("160", &plain));
    assert!((50..=60).contains(&widest(&narrow)), "{narrow}");
    assert!((130..=160).contains(&widest(&wide)), "{wide}");
    let styled = show("60", &[]);
    assert!(
        styled.starts_with("\u{1b}[1mActive users by day\u{1b}[0m"),
        "{styled}"
    );
    let simple = show("60", &["/usr/bin/env", "TERM=dumb"]);
    let piped = place.written(&words[1..6]);
    for text in [&narrow, &wide, &simple, &piped] {
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.contains("2024-02-29      1  ██████████"), "{text}");
    }
    assert!((90..=100).contains(&widest(&piped)), "{piped}");
}
