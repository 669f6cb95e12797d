//! What readers see who are no administrators, whatever they ask: nothing that is not theirs.

use super::story::past;
use super::{Desk, Past, period, reports, run};
use crate::report::{Answer, Asked, Audience, Definition, ParameterKind, Reader, RollUp};
use crate::{Cell, Limits};
use std::collections::BTreeSet;

/// `ada` is in both groups, from March 4 on in physics, `cy` up to March 5; `ben` and many others in math
/// only. Names say who must not see them.
const LINES: &str = r#"
hub lab Europe/Berlin
now 2026-03-10T12:00
watched 2026-02-01T00:00 2026-03-10T12:00
account ada
account ben
account cy
member ada physics 2026-03-04T00:00
member ada math 2026-02-01T00:00
member cy physics 2026-03-01T00:00 2026-03-06T00:00
member ben math 2026-02-01T00:00
member dan math 2026-02-01T00:00
member eve math 2026-02-01T00:00
member fay math 2026-02-01T00:00
member gus math 2026-02-01T00:00
session ada nonmember 2026-03-02T09:00 2026-03-02T11:00 active=3600 image=secretimage
session ada - 2026-03-05T09:00 2026-03-05T19:00 active=3600 image=secretimage options={"profile":"secretoption"}
session cy ownerseesme 2026-03-05T09:00 2026-03-05T11:00 active=3600 image=secretimage
session ada begunbefore 2026-03-03T20:00 2026-03-04T08:00 active=3600 image=secretimage
session cy endedafter 2026-03-05T20:00 2026-03-07T10:00 active=3600 image=secretimage
session cy nonmember 2026-03-08T09:00 2026-03-08T11:00 active=3600 image=secretimage
session ben - 2026-03-05T09:00 2026-03-05T12:00 active=600 image=secretimage options={"profile":"secretoption"}
session dan - 2026-03-05T09:00 2026-03-05T12:00 active=600
session eve - 2026-03-05T09:00 2026-03-05T12:00 active=600
session fay - 2026-03-05T09:00 2026-03-05T12:00 active=600
session gus - 2026-03-05T09:00 2026-03-05T12:00 active=600
running ada runningnow 2026-03-10T08:00 active=600 image=secretimage
running ben - 2026-03-10T08:00 active=600
usage 2026-03-05T10:00 ada - cpu=3600 memory=3865470566400 gpu_requested=3600 gpu_used=60 samples=60
usage 2026-03-05T10:00 ben - cpu=3600 memory=3865470566400 gpu_requested=3600 gpu_used=60 samples=60
storage 2026-03-05 ada 1000
storage 2026-03-05 ben 1000
event 2026-03-05T09:00 login ada - source=hooks {"address":"10.0.0.1"}
event 2026-03-05T09:00 login ben - source=hooks {"address":"10.0.0.2"}
event 2026-03-05T09:00 spawn-failed ben - source=hooks {"error_type":"full"}
reading 2026-03-05T10:01:00 machine_cpu_capacity_cores {} 100
reading 2026-03-05T10:01:00 machine_cpu_used_cores {} 99
"#;

fn history() -> Past {
    let lines = LINES.lines().filter(|line| !line.is_empty());
    past(&lines.map(str::to_owned).collect::<Vec<_>>())
}

/// Every choice of a report, each alone.
fn choices(report: &Definition) -> Vec<Asked> {
    let asked = || period("2026-03-01".parse().unwrap(), "2026-03-10".parse().unwrap());
    let mut all = vec![asked()];
    for parameter in &report.parameters {
        if let ParameterKind::Choice(choices) = &parameter.kind {
            all.extend(
                choices
                    .iter()
                    .map(|choice| asked().with(&parameter.name, choice)),
            );
        }
    }
    all
}

/// All words that the reader sees in any report, with those that tell them.
async fn seen(reader: Option<Reader>, narrow: impl Fn(&mut Asked)) -> BTreeSet<String> {
    let (desk, history) = (Desk::new(), history());
    let mut words = BTreeSet::new();
    for report in reports() {
        if reader.is_some_and(|reader| !report.is_for(reader.audience())) {
            continue;
        }
        for mut asked in choices(&report) {
            narrow(&mut asked);
            asked.site.left_out.users = vec!["leftout".to_owned()];
            let sources = history.sources(RollUp::Used);
            let answer = run(&desk.engine, &sources, &report, &asked, Limits::default()).await;
            let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", report.name));
            let answer = match reader {
                Some(reader) => answer.shown_to(reader),
                None => answer,
            };
            add_words(&answer, &mut words);
        }
    }
    words
}

fn add_words(answer: &Answer, words: &mut BTreeSet<String>) {
    let cells = answer.table.rows().flatten();
    let texts = cells.filter_map(|cell| match cell {
        Cell::Text(text) => Some(text),
        _ => None,
    });
    for text in texts.chain(answer.caveats.iter().cloned()) {
        let parts = text.split(|letter: char| !letter.is_alphanumeric());
        words.extend(parts.map(str::to_owned));
    }
}

/// Those of the planted words that are among these.
fn planted(words: &BTreeSet<String>) -> Vec<&str> {
    const PLANTED: [&str; 17] = [
        "ada",
        "ben",
        "campus",
        "cy",
        "dan",
        "eve",
        "fay",
        "full",
        "gus",
        "leftout",
        "math",
        "nonmember",
        "ownerseesme",
        "physics",
        "runningnow",
        "secretimage",
        "secretoption",
    ];
    let found = PLANTED.into_iter().filter(|word| words.contains(*word));
    found.collect()
}

#[tokio::test]
async fn an_administrator_sees_everything_that_is_looked_for_here() {
    let words = seen(None, |_| {}).await;
    assert_eq!(planted(&words).len(), 17, "{:?}", planted(&words));
}

#[tokio::test]
async fn an_owner_finds_no_trace_of_other_groups_and_of_days_without_membership() {
    let words = seen(Some(Reader::Owner), |asked| {
        asked.group = Some("physics".to_owned());
    });
    let words = words.await;
    assert_eq!(planted(&words), ["ada", "cy", "ownerseesme", "physics"]);
    assert!(words.contains("begunbefore") && words.contains("endedafter"));
}

/// What an owner of physics sees of people in their rows, as `user server moment`.
async fn moments_of_members() -> Vec<String> {
    let (desk, history) = (Desk::new(), history());
    let mut moments = Vec::new();
    for report in reports() {
        if !report.is_for(Audience::Owner) {
            continue;
        }
        for mut asked in choices(&report) {
            asked.group = Some("physics".to_owned());
            let sources = history.sources(RollUp::Used);
            let answer = run(&desk.engine, &sources, &report, &asked, Limits::default()).await;
            let shown = answer.unwrap().shown_to(Reader::Owner);
            for row in shown.table.rows() {
                let texts: Vec<&str> = row.iter().filter_map(text).collect();
                let times = row.iter().filter_map(|cell| match cell {
                    Cell::Time(time) => Some(time),
                    _ => None,
                });
                moments.extend(times.map(|time| format!("{} {time}", texts.join(" "))));
            }
        }
    }
    moments
}

fn text(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Text(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn an_owner_sees_of_a_session_what_lies_in_the_membership() {
    let moments = moments_of_members().await;
    let of = |user: &str| {
        let begin = format!("lab {user} ");
        let theirs = moments.iter().filter(|it| it.starts_with(&begin));
        let times = theirs.map(|it| it.rsplit(' ').next().unwrap_or_default());
        times.collect::<BTreeSet<_>>()
    };
    // Midnights of Berlin: of the first day of the one, and behind the last of the other.
    assert_eq!(of("ada").first(), Some(&"2026-03-03T23:00:00Z"));
    assert_eq!(of("cy").last(), Some(&"2026-03-05T23:00:00Z"));
}

#[tokio::test]
async fn a_session_that_began_before_the_membership_is_none_that_a_member_started() {
    let (desk, history) = (Desk::new(), history());
    let mut asked = period("2026-03-01".parse().unwrap(), "2026-03-10".parse().unwrap());
    asked.group = Some("physics".to_owned());
    let sessions = desk.tell(&history, "sessions", &asked).await;
    let hours = |server: &str| {
        let rows = sessions.cells("server").zip(sessions.cells("hours"));
        let mut found = rows.filter(|(name, _)| **name == Cell::Text(server.to_owned()));
        found.next().map(|(_, hours)| hours.clone())
    };
    assert_eq!(hours("begunbefore"), Some(Cell::Real(8.0)));
    assert_eq!(hours("endedafter"), Some(Cell::Real(4.0)));
    assert_eq!(hours("nonmember"), None);
    // By ada the one of March 5 and the one that runs, by cy two of March 5.
    let lengths = desk.tell(&history, "session-lengths", &asked).await;
    assert_eq!(
        lengths.cells("sessions").next(),
        Some(&Cell::Integer(4)),
        "sessions"
    );
    let ends = desk.tell(&history, "session-ends", &asked).await;
    assert!(
        (ends.sum("stopped") - 3.0).abs() < 1e-9,
        "{}",
        ends.sum("stopped")
    );
}

#[tokio::test]
async fn a_person_finds_no_trace_of_others() {
    let words = seen(Some(Reader::Person), |asked| {
        asked.user = Some("ben".to_owned());
    });
    let words = words.await;
    assert_eq!(
        planted(&words),
        [
            "ben",
            "campus",
            "full",
            "math",
            "secretimage",
            "secretoption"
        ]
    );
}

#[tokio::test]
async fn a_share_names_groups_and_nobody() {
    let words = seen(Some(Reader::Shared { least_people: 5 }), |_| {}).await;
    assert_eq!(planted(&words), ["full", "math", "physics"]);
}

#[tokio::test]
async fn a_share_tells_nothing_of_a_group_of_few() {
    let (desk, history) = (Desk::new(), history());
    for report in reports() {
        if !report.is_for(Audience::Share) || !report.allows(&Some(String::new()), &None) {
            continue;
        }
        for mut asked in choices(&report) {
            asked.group = Some("physics".to_owned());
            let sources = history.sources(RollUp::Used);
            let answer = run(&desk.engine, &sources, &report, &asked, Limits::default()).await;
            let shown = answer.unwrap().shown_to(Reader::Shared { least_people: 5 });
            let is_told = |cell: &Cell| match cell {
                Cell::Integer(n) => *n != 0,
                Cell::Real(n) => *n > 0.0,
                _ => false,
            };
            for row in shown.table.rows() {
                let told: Vec<&Cell> = row.iter().filter(|cell| is_told(cell)).collect();
                assert!(told.is_empty(), "{}: {row:?}", report.name);
            }
        }
    }
}
