//! Every reason for an empty part says what to do next, and settings only to those who may change them.

use super::super::part::part_of;
use super::super::view::Part;
use super::*;
use jiff::civil::date;
use model::viewer::{Authority, Viewer};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::report::{Definition, HubOfAnswer};
use store::{Column, Table};

const HEAD: &str = "\
-- title: Usage by day
-- section: Resources
-- question: How much was used?
-- definition: All of it.
-- scope: none
-- needs: usage
-- column: hub text The hub.
-- column: day day The day.
-- column: used number What was used.
-- column: held hours What was held.
-- chart: line x=day y=used,held
select 1";

/// An answer of these rows, one a day.
fn answer(used: &[Option<f64>], held: &[Option<f64>]) -> Answer {
    let days = (1..=4).map(|day| Some(date(2026, 3, day)));
    Answer {
        report: Arc::new(Definition::parse("usage-by-day", HEAD).unwrap()),
        from: date(2026, 3, 1),
        to: date(2026, 3, 4),
        hubs: vec![HubOfAnswer {
            name: "lab".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            begins: Some(date(2026, 2, 1)),
            read: Some("2026-03-04T11:00:00Z".parse().unwrap()),
        }],
        group: None,
        user: None,
        chosen: Vec::new(),
        table: Table::new(vec![
            Column::text("hub", used.iter().map(|_| Some("lab"))),
            Column::day("day", days.take(used.len())),
            Column::real("used", used.iter().copied()),
            Column::real("held", held.iter().copied()),
        ])
        .unwrap(),
        caveats: Vec::new(),
        never_known: Vec::new(),
        computed: "2026-03-04T11:00:30Z".parse().unwrap(),
    }
}

fn of_report(answer: Answer, change: impl FnOnce(&mut Definition)) -> Answer {
    let mut report = Definition::clone(&answer.report);
    change(&mut report);
    Answer {
        report: Arc::new(report),
        ..answer
    }
}

fn viewer(is: Authority) -> Viewer {
    Viewer::new("ada".into(), is, BTreeSet::new())
}

/// The part as somebody gets it.
fn part(
    answer: &Answer,
    look: Look,
    viewer: Option<&Viewer>,
    source: Option<&'static str>,
) -> Part {
    let ways = Ways {
        prefix: "/x/",
        viewer,
        reader: viewer.map(|viewer| viewer.user.as_str()),
        report: None,
        longer: Some(Address::below("/x/", "reports/a").with("from", "364 days ago")),
        usual: Some(Address::below("/x/", "reports/a")),
        usage_source: source,
        downloads: Vec::new(),
    };
    part_of(answer, 900, look, &ways)
}

/// What an administrator reads instead of the answer, and where that leads.
fn told(answer: &Answer, look: Look) -> Option<(String, String)> {
    let admin = viewer(Authority::Administrator);
    let nothing = part(answer, look, Some(&admin), None).nothing?;
    let next = nothing.next.map(|link| link.href).unwrap_or_default();
    Some((nothing.text, next))
}

fn text(answer: &Answer, look: Look) -> String {
    told(answer, look).unwrap().0
}

#[test]
fn a_part_about_one_or_some_says_whom() {
    let admin = viewer(Authority::Administrator);
    let html = |user: Option<&str>, group: Option<&str>, viewer| {
        let answer = Answer {
            user: user.map(str::to_owned),
            group: group.map(str::to_owned),
            ..answer(&[Some(1.0)], &[None])
        };
        let part = part(&answer, Look::Both, viewer, Some("local"));
        askama::Template::render(&part).unwrap()
    };
    let line = |whom: &str| format!("<p class=\"whom\">About {whom}</p>");
    assert!(html(Some("ada"), None, Some(&admin)).contains(&line("you")));
    assert!(html(Some("ada"), None, None).contains(&line("ada")));
    assert!(html(None, Some("lab"), Some(&admin)).contains(&line("members of lab")));
    assert!(html(Some("<b>"), None, None).contains(&line("&#60;b&#62;")));
    assert!(!html(None, None, Some(&admin)).contains("class=\"whom\""));
}

#[test]
fn each_need_has_its_next_step() {
    let cases = [
        (Need::Sessions, "did not reach the hub", "did not"),
        (Need::Members, "`read:groups`", "Who is in which group"),
        (Need::Usage, "`prometheus.url`", "Nobody measured"),
        (Need::Accounts, "second reading", "not known"),
        (
            Need::Hooks,
            "`jupyterhub_config.py`",
            "did not tell of logins",
        ),
        (Need::Storage, "`local.homes`", "Nobody looked"),
    ];
    for (need, setting, plain) in cases {
        let answer = of_report(answer(&[], &[]), |report| report.needs = vec![need]);
        let answer = Answer {
            never_known: vec![need],
            ..answer
        };
        let (text, next) = told(&answer, Look::Chart).unwrap();
        assert!(text.contains(setting), "{need:?}: {text}");
        assert_eq!(next, "/x/checks", "{need:?}");
        let user = viewer(Authority::Ordinary);
        for who in [Some(&user), None] {
            let nothing = part(&answer, Look::Chart, who, None).nothing.unwrap();
            assert!(!nothing.text.contains('`'), "{need:?}: {}", nothing.text);
            assert!(nothing.next.is_none(), "{need:?}");
            let says = nothing.text.contains(plain) || need == Need::Sessions;
            assert!(says, "{need:?}: {}", nothing.text);
        }
    }
}

#[test]
fn usage_that_is_read_somewhere_is_not_to_be_configured() {
    let admin = viewer(Authority::Administrator);
    let answer = Answer {
        never_known: vec![Need::Usage],
        ..answer(&[], &[])
    };
    let nothing = part(&answer, Look::Table, Some(&admin), Some("local")).nothing;
    let text = nothing.unwrap().text;
    assert!(text.contains("read from `local`"), "{text}");
    assert!(!text.contains("prometheus.url"), "{text}");
}

#[test]
fn a_period_without_anything_leads_to_a_longer_one() {
    let quiet = told(&answer(&[], &[]), Look::Table).unwrap();
    assert!(quiet.0.contains("in this period"), "{}", quiet.0);
    assert_eq!(quiet.1, "/x/reports/a?from=364+days+ago");
    let months = of_report(answer(&[], &[]), |report| {
        report.usual_months = Some("12 months".parse().unwrap());
    });
    let short = told(&months, Look::Chart).unwrap();
    assert!(short.0.contains("about months"), "{}", short.0);
    // Not to a year of days, which is shorter than twelve months and the one that runs.
    assert_eq!(short.1, "/x/reports/a");
}

#[test]
fn who_sees_aggregates_is_not_told_that_nothing_happened() {
    let admin = viewer(Authority::Administrator);
    let told = |viewer| {
        let part = part(&answer(&[], &[]), Look::Table, viewer, None);
        part.nothing.unwrap().text
    };
    let few = "or too few people are concerned";
    assert!(told(None).contains(few), "{}", told(None));
    assert!(!told(Some(&admin)).contains(few));
}

#[test]
fn a_period_of_a_year_does_not_lead_to_itself() {
    let of_a_long_history = |from| {
        let mut answer = answer(&[], &[]);
        answer.hubs[0].begins = Some(date(2020, 1, 1));
        Answer { from, ..answer }
    };
    let next = |from| told(&of_a_long_history(from), Look::Table).unwrap().1;
    assert_eq!(next(date(2025, 3, 6)), "/x/reports/a?from=364+days+ago");
    assert_eq!(next(date(2025, 3, 5)), "");
    assert_eq!(next(date(2025, 3, 1)), "");
    // Nor do the usual months of a report.
    let months = of_report(of_a_long_history(date(2025, 3, 1)), |report| {
        report.usual_months = Some("12 months".parse().unwrap());
    });
    assert_eq!(told(&months, Look::Chart).unwrap().1, "");
}

#[test]
fn the_beginning_of_the_history_is_told() {
    let mut young = answer(&[], &[]);
    young.hubs[0].begins = None;
    assert!(text(&young, Look::Chart).contains("Nothing was collected yet"));
    young.hubs[0].begins = Some(date(2026, 4, 1));
    assert!(text(&young, Look::Chart).contains("begins on 2026-04-01"));
    let binder = of_report(answer(&[], &[]), |report| report.needs = Vec::new());
    assert!(text(&binder, Look::Chart).contains("BinderHub"));
}

#[test]
fn what_only_decorates_an_answer_is_not_the_reason_that_it_is_empty() {
    let answer = of_report(answer(&[], &[]), |report| {
        report.needs = vec![Need::Sessions, Need::Members, Need::Usage];
    });
    let answer = Answer {
        never_known: vec![Need::Usage],
        ..answer
    };
    assert!(text(&answer, Look::Chart).contains("in this period"));
}

#[test]
fn a_picture_without_a_point_gives_way_to_the_sentence() {
    let unknown = [None; 4];
    let empty = Answer {
        never_known: vec![Need::Usage],
        ..answer(&unknown, &unknown)
    };
    for look in [Look::Chart, Look::Table, Look::Both] {
        assert!(text(&empty, look).contains("`usage.source"), "{look:?}");
    }
    // Of two pictures the one with points stays, and the other is spoken of.
    let zero = [Some(0.0); 4];
    let admin = viewer(Authority::Administrator);
    let half = part(&answer(&zero, &unknown), Look::Chart, Some(&admin), None);
    assert!(half.nothing.is_none());
    assert_eq!(half.figures.all.len(), 1);
    let told = half.caveats_html.last().unwrap();
    assert!(told.contains("there is no picture of it"), "{told}");
}

#[test]
fn rows_with_a_zero_say_something() {
    let answer = Answer {
        never_known: vec![Need::Usage],
        ..answer(&[None, Some(0.0)], &[None, None])
    };
    assert_eq!(told(&answer, Look::Table), None);
}

#[test]
fn numbers_that_cannot_be_known_say_why_once() {
    let mut all = Answer {
        never_known: vec![Need::Usage, Need::Storage],
        ..answer(&[Some(1.0)], &[None])
    };
    let admin = viewer(Authority::Administrator);
    let notices = |answer: &Answer| part(answer, Look::Cards, Some(&admin), None).notices.len();
    assert_eq!(notices(&all), 2);
    all.hubs[0].begins = None;
    assert_eq!(notices(&all), 1);
    all.never_known.clear();
    assert_eq!(notices(&all), 0);
}
