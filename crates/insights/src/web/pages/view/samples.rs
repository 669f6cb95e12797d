//! Pages as they could be, with names as nobody should have them. Tests read them as text; a person
//! can have them written and look at them: see `tests::pages_can_be_looked_at`.

use super::*;
use crate::chart::{Axis, Chart, Kind, Series, Size, Style, Unit};
use crate::checks::Missing;
use askama::Template as _;
use jiff::civil::{Date, date};
use jiff::{Span, Timestamp};
use model::last_seen::Seen;

/// What a user may be called.
pub(super) const NASTY: &str = "<script>alert(1)</script>";
pub(super) const PREFIX: &str = "/services/insights/";
const TODAY: Date = date(2026, 11, 22);

/// A page and the file that it is written to.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) html: String,
}

pub(super) fn all() -> Vec<Sample> {
    let sample = |name, html: askama::Result<String>| Sample {
        name,
        html: html.unwrap(),
    };
    vec![
        sample("overview", overview().render()),
        sample("now", now().render()),
        sample("activity", activity().render()),
        sample("group", group().render()),
        sample("groups", groups().render()),
        sample("users", users().render()),
        sample("machines", machines().render()),
        sample("reports", reports().render()),
        sample("one_report", one_report().render()),
        sample("health", health().render()),
        sample("me", me().render()),
        sample("shares", shares().render()),
        sample("error", error().render()),
        sample("login_again", login_again().render()),
        sample("nothing", nothing().render()),
    ]
}

/// Answers to the script, which the pages ask for.
pub(super) fn fragments() -> Vec<Sample> {
    let sample = |name, html: askama::Result<String>| Sample {
        name,
        html: html.unwrap(),
    };
    vec![
        sample("now_rows", now_rows().render()),
        sample("part_numbers", numbers_part().render()),
        sample(
            "part_active",
            chart_part("Active users", Kind::Bars, 1).render(),
        ),
        sample("part_lines", lines_part().render()),
        sample(
            "part_hours",
            chart_part("Server hours by group", Kind::StackedBars, 5).render(),
        ),
        sample("part_table", table_part().render()),
        sample("part_empty", empty_part().render()),
    ]
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn minutes_ago(minutes: i64) -> Timestamp {
    moment("2026-11-22T08:13:00Z") - Span::new().minutes(minutes)
}

fn href(path: &str) -> String {
    Address::below(PREFIX, path).to_string()
}

fn user(name: &str) -> Link {
    Link::new(name, Address::below(PREFIX, "users/one").with("name", name))
}

fn group_link(name: &str) -> Link {
    Link::new(
        name,
        Address::below(PREFIX, "groups/one").with("name", name),
    )
}

fn layout(title: &str, intro: &str) -> Layout {
    let pages = [
        ("Overview", ""),
        ("Now", "now"),
        ("Activity", "activity"),
        ("Sessions", "sessions"),
        ("Groups", "groups"),
        ("Users", "users"),
        ("Machines", "machines"),
        ("Reports", "reports"),
        ("Health", "checks"),
        ("Me", "me"),
    ];
    let nav = pages.map(|(label, path)| NavItem {
        label: label.to_owned(),
        href: href(path),
        is_current: label == title,
    });
    Layout {
        title: title.to_owned(),
        intro: intro.to_owned(),
        hub_name: "hub.physics.example.edu".to_owned(),
        hub_href: "/hub/home".to_owned(),
        prefix: PREFIX.to_owned(),
        login_href: href("login"),
        page_token: "x7f3".to_owned(),
        nav: nav.into(),
        visitor: Some(VisitorName {
            name: "ada".to_owned(),
            role: "admin".to_owned(),
            logout_href: href("logout"),
        }),
        zone: "Europe/Zurich".to_owned(),
        links: vec![
            Link::new("Share links", href("shares")),
            Link::new("API", href("api/v1/openapi.json")),
        ],
        notices: Vec::new(),
    }
}

fn outside(title: &str) -> Layout {
    Layout {
        nav: Vec::new(),
        visitor: None,
        page_token: String::new(),
        login_href: String::new(),
        links: Vec::new(),
        hub_href: String::new(),
        ..layout(title, "")
    }
}

fn picker(path: &str) -> PeriodPicker {
    PeriodPicker {
        page: Address::below(PREFIX, path),
        today: TODAY,
        from: date(2026, 10, 24),
        to: TODAY,
        selects: vec![Select {
            name: "group".to_owned(),
            label: "Group".to_owned(),
            choices: vec![
                Choice::new("", "").called("all groups"),
                Choice::new("physics", ""),
                Choice::new(NASTY, ""),
            ],
        }],
        kept: vec![Field {
            name: "kept".to_owned(),
            value: NASTY.to_owned(),
        }],
    }
}

fn number(text: &str, unit: &str) -> Number {
    Number {
        text: text.to_owned(),
        unit: unit.to_owned(),
        definition:
            "People of whom a server ran at some moment of the period. Somebody with two servers \
                     counts once."
                .to_owned(),
        source: "From the history of hub.physics.example.edu (Europe/Zurich)".to_owned(),
        at: Some(minutes_ago(3)),
    }
}

fn card(title: &str, text: &str, unit: &str, change: (&'static str, &str)) -> Card {
    Card {
        title: title.to_owned(),
        number: number(text, unit),
        unit: String::new(),
        change: Some(Change {
            sign: change.0,
            text: change.1.to_owned(),
            against: "1,146 in the 30 days before".to_owned(),
            tone: Tone::Plain,
        }),
        more: Some(Link::new("Active users", href("reports/active-users"))),
    }
}

fn numbers_part() -> Part {
    let cards = vec![
        card("Users", "1,284", "", ("▲", "12 % more")),
        card("New users", "97", "", ("▼", "4 % fewer")),
        card("Sessions", "18,406", "", ("▲", "8 % more")),
        card("Server hours", "41,220", "h", ("▲", "6 % more")),
        card("Active hours", "12,907", "h", ("", "as before")),
        card("Most servers at one moment", "212", "", ("▲", "31 more")),
        card("CPU used", "8,410", "core h", ("▲", "9 % more")),
        card("GPU held", "612", "GPU h", ("▼", "22 % less")),
        card("Groups taking part", "34", "", ("", "as before")),
        card("Homes", "4.2", "TiB", ("▲", "3 % more")),
    ];
    Part {
        cards,
        rows: Rows::None,
        ..part("Numbers of the period")
    }
}

/// Something between 0 and 90 that goes up and down.
fn wave(day: u32, of: u32) -> f64 {
    let week = [70, 90, 85, 80, 60, 12, 8];
    f64::from(week[(day % 7) as usize] + (day * 13 + of * 29) % 17)
}

fn part(title: &str) -> Part {
    Part {
        title: title.to_owned(),
        whom: "members of physics".to_owned(),
        question_html:
            "How many people used the hub on each day, and how many of them were <em>active</em>?"
                .to_owned(),
        notices: Vec::new(),
        cards: Vec::new(),
        figures: Figures::default(),
        rows: Rows::None,
        nothing: None,
        caveats_html: vec!["On 3 days nothing was collected.".to_owned()],
        definition_html: "A person counts on a day if a server of theirs ran at some moment of it."
            .to_owned(),
        source: "From the history of hub.physics.example.edu (Europe/Zurich)".to_owned(),
        at: Some(minutes_ago(2)),
        downloads: Downloads(vec![Link::new(
            "CSV",
            href("api/v1/reports/active-users?format=csv"),
        )]),
        more: Some(Link::new("More about it", href("reports/active-users"))),
    }
}

fn chart_part(title: &str, kind: Kind, n_series: u32) -> Part {
    let groups = ["physics", "chemistry", "biology", "none", NASTY];
    let days = (0..30).map(|day| {
        date(2026, 10, 24)
            .checked_add(Span::new().days(day))
            .unwrap()
    });
    let series = (0..n_series).map(|of| Series {
        name: groups[of as usize % groups.len()].to_owned(),
        points: (0..30)
            .map(|day| Some(wave(day, of)).filter(|_| !(11..14).contains(&day)))
            .collect(),
    });
    let chart = Chart {
        title: title.to_owned(),
        description: "Bars of 30 days.".to_owned(),
        series: series.collect(),
        ..Chart::new(kind, Axis::Days(days.collect()), Unit::Count)
    };
    let size = Size {
        width: 900,
        height: 300,
    };
    Part {
        figures: Figures {
            all: vec![Figure {
                title: String::new(),
                svg: chart.svg(size, Style::Themed),
            }],
            abreast: 1,
        },
        rows: Rows::Folded(table(8)),
        ..part(title)
    }
}

fn table(n_rows: u32) -> Table {
    let names = [
        "ada",
        "grace",
        NASTY,
        "../../x",
        "émilie-du-châtelet",
        "山田 太郎",
    ];
    let row = |i: u32| {
        let name = names[i as usize % names.len()];
        let hours = f64::from(i * 37 % 101);
        vec![
            Cell::text(format!("{name}{}", i / 6)).leading_to(user(name).href),
            Cell::text(["running", "stopped"][i as usize % 2]),
            Cell::number(format!("{hours:.1} h"), Some(hours)),
            Cell::number(format!("{hours} %"), Some(hours)),
            match i % 5 {
                0 => Cell::number("–", None),
                _ => Cell::when(When::Moment(minutes_ago(i64::from(i) * 700))),
            },
            Cell::when(When::Day(date(2026, 10, 24))),
        ]
    };
    Table {
        caption: "Users".to_owned(),
        heads: vec![
            Head::name("User"),
            Head::text("State"),
            Head {
                definition: "Hours that servers ran.".to_owned(),
                ..Head::number("Hours")
            },
            Head::number("Memory"),
            Head::number("Last seen"),
            Head::text("Since"),
        ],
        rows: (0..n_rows).map(row).collect(),
        more_rows: (n_rows > 20)
            .then(|| "… 1,204 more rows; ask for CSV to have them all.".to_owned()),
    }
}

fn table_part() -> Part {
    Part {
        rows: Rows::Open(table(30)),
        notices: vec![Notice::new(
            Tone::Plain,
            "Groups of fewer than 5 people are left out.",
        )],
        ..part("Users by hours")
    }
}

fn lines_part() -> Part {
    Part {
        rows: Rows::Open(table(40)),
        downloads: Downloads::default(),
        more: None,
        ..chart_part("Active users", Kind::Line, 3)
    }
}

fn empty_part() -> Part {
    Part {
        nothing: Some(Nothing {
            text: "No events yet: add one line to `jupyterhub_config.py`.".to_owned(),
            next: Some(Link::new("How to send events", href("docs/events"))),
        }),
        caveats_html: Vec::new(),
        ..part("Logins")
    }
}

fn later(title: &str, name: &str, width: Width, shape: Shape) -> PartBox {
    PartBox {
        title: title.to_owned(),
        url: Address::below(PREFIX, name)
            .with("group", NASTY)
            .to_string(),
        report_href: href("reports/active-users"),
        width,
        shape,
    }
}

fn overview() -> ShellPage {
    ShellPage {
        layout: layout(
            "Overview",
            "Who uses the hub, how much, and how that changed.",
        ),
        picker: Some(picker("")),
        notices: Vec::new(),
        facts: Vec::new(),
        links: Vec::new(),
        ready: Vec::new(),
        parts: vec![
            later(
                "Numbers of the period",
                "part_numbers",
                Width::Whole,
                Shape::Cards,
            ),
            later("Active users", "part_active", Width::Half, Shape::Chart),
            later(
                "Server hours by group",
                "part_hours",
                Width::Half,
                Shape::Chart,
            ),
            later("Users by hours", "part_table", Width::Whole, Shape::Table),
        ],
    }
}

fn activity() -> ShellPage {
    ShellPage {
        layout: layout("Activity", ""),
        parts: vec![
            later("Active users", "part_active", Width::Half, Shape::Chart),
            later("Logins", "part_empty", Width::Half, Shape::Chart),
            later(
                "Broken",
                "part_that_is_not_there",
                Width::Half,
                Shape::Chart,
            ),
            later("Users by hours", "part_table", Width::Half, Shape::Table),
        ],
        ..overview()
    }
}

fn group() -> ShellPage {
    let fact = |name: &str, text: &str, bar| Fact {
        name: name.to_owned(),
        number: number(text, ""),
        bar,
    };
    let mut layout = layout(NASTY, "A group of 24 people, owned by grace.");
    layout.notices = vec![Notice::new(
        Tone::Warning,
        "The hub was last read 14 minutes ago; what is shown of the present is as old.",
    )];
    ShellPage {
        layout,
        facts: vec![
            fact("Members", "24", None),
            fact("Running now", "7", Some(Bar::of_limit(7.0 / 24.0))),
            fact("Hours this week", "310", None),
        ],
        links: vec![user("../../x"), user(NASTY)],
        ready: vec![chart_part("Active users", Kind::Bars, 1)],
        parts: Vec::new(),
        ..overview()
    }
}

fn now() -> NowPage {
    NowPage {
        layout: layout("Now", "Servers that run at this moment."),
        url: href("now_rows"),
        every_seconds: 10,
        rows: now_rows(),
    }
}

fn now_rows() -> NowRows {
    let names = [
        "ada",
        "grace",
        NASTY,
        "../../x",
        "émilie-du-châtelet",
        "山田太郎",
    ];
    let server = |i: u32| {
        let share = f64::from(i * 29 % 97) / 97.0;
        let name = format!("{}{}", names[i as usize % names.len()], i / 6);
        ServerRow {
            user: user(&name),
            server: if i % 7 == 3 {
                "gpu".to_owned()
            } else {
                String::new()
            },
            state: match i % 9 {
                1 => Badge::new(Tone::Busy, "starting"),
                4 => Badge::new(Tone::Busy, "stopping"),
                _ => Badge::new(Tone::Good, "running"),
            },
            groups: vec![group_link("physics"), group_link("';--")],
            started: (i % 9 != 1).then(|| minutes_ago(i64::from(i) * 31)),
            last_activity: Some(minutes_ago(i64::from(i) * 2)),
            memory: (i % 9 != 1).then(|| Used {
                text: format!("{:.1} of 4 GiB", share * 4.0),
                value: share,
                beside: String::new(),
                bar: Some(Bar::of_limit(share)),
            }),
            cpu: (i % 4 != 1).then(|| Used {
                text: format!("{share:.2} cores"),
                value: share,
                beside: "2 cores requested".to_owned(),
                bar: None,
            }),
            place: "jupyter/scipy-notebook".to_owned(),
        }
    };
    NowRows {
        cards: vec![
            card("Servers running", "24", "", ("", "20 users")),
            card("Starting", "2", "", ("", "the longest for 40 s")),
            card("Memory used", "61.3", "GiB", ("", "of 128 GiB")),
            card("CPU used", "11.2", "cores", ("", "of 32 cores")),
        ],
        servers: (0..24).map(server).collect(),
        more_servers: None,
        at: Some(minutes_ago(0)),
    }
}

fn groups() -> GroupsPage {
    let group = |name: &str, members, running| GroupRow {
        group: group_link(name),
        members,
        running,
        owners: vec!["grace".to_owned(), NASTY.to_owned()],
    };
    GroupsPage {
        layout: layout("Groups", ""),
        groups: vec![
            group("physics", Some(240), Some(31)),
            group("';--", Some(24), Some(0)),
            group(NASTY, None, None),
        ],
        nothing: String::new(),
    }
}

fn users() -> UsersPage {
    let names = [
        "ada",
        "grace",
        NASTY,
        "../../x",
        "émilie-du-châtelet",
        "山田太郎",
    ];
    let person = |i: usize| PersonRow {
        user: user(names[i]),
        badges: match i {
            0 => vec![
                Badge::new(Tone::Good, "running"),
                Badge::new(Tone::Plain, "admin"),
            ],
            _ => Vec::new(),
        },
        groups: vec![group_link("physics"), group_link("';--")],
        last_seen: match i {
            1 => Some(Seen::NotYet(minutes_ago(200))),
            2 => None,
            _ => Some(Seen::At(minutes_ago(40 * 60))),
        },
        hours: Some(12.5),
    };
    UsersPage {
        layout: layout("Users", ""),
        action: href("users"),
        query: NASTY.to_owned(),
        selects: picker("users").selects,
        people: (0..names.len()).map(person).collect(),
        pager: Pager {
            text: "1–100 of 10,000 users".to_owned(),
            previous: None,
            next: Some(href("users?page=2")),
        },
        has_hours: true,
        nothing: String::new(),
    }
}

fn machines() -> MachinesPage {
    let measure =
        |name: &str, used: &str, requested: &str, capacity: &str, bar, meaning: &str| Measure {
            name: name.to_owned(),
            used: used.to_owned(),
            requested: requested.to_owned(),
            capacity: capacity.to_owned(),
            bar: Some(bar),
            meaning: meaning.to_owned(),
        };
    let bar = |share, promised, tone| Bar {
        share,
        promised: Some(promised),
        tone,
    };
    let machine = |name: &str, badge| MachineBox {
        name: name.to_owned(),
        kind: "Node with 16 cores".to_owned(),
        badges: vec![badge],
        measures: vec![
            measure(
                "Memory",
                "21.4 GiB",
                "48 GiB",
                "64 GiB",
                bar(0.33, 0.75, Tone::Plain),
                "Three quarters are promised, a third is used: limits could be lower.",
            ),
            measure(
                "CPU",
                "14.9 cores",
                "12 cores",
                "16 cores",
                bar(0.93, 0.75, Tone::Warning),
                "Nearly all of it is used; servers wait for each other.",
            ),
        ],
        servers: Some(table(4)),
        at: Some(minutes_ago(1)),
    };
    MachinesPage {
        layout: layout(
            "Machines",
            "What there is, what was asked for, and what of it is used.",
        ),
        notices: Vec::new(),
        machines: vec![
            machine("node-1", Badge::new(Tone::Good, "ready")),
            machine(NASTY, Badge::new(Tone::Warning, "under memory pressure")),
            machine("node-3", Badge::new(Tone::Bad, "not ready")),
        ],
        nothing: String::new(),
        parts: vec![later("Shortages", "part_active", Width::Half, Shape::Chart)],
    }
}

fn reports() -> ReportsPage {
    let report = |title: &str| ReportLink {
        title: title.to_owned(),
        question_html:
            "How many people used the hub on each day, in the week and in the 30 days up to it, \
                        and how <em>regular</em> were they?"
                .to_owned(),
        href: href("reports/active-users"),
    };
    let section = |title: &str, reports: &[&str]| ReportSection {
        title: title.to_owned(),
        reports: reports.iter().map(|title| report(title)).collect(),
    };
    ReportsPage {
        layout: layout("Reports", "Every question that the history answers."),
        sections: vec![
            section("Overview", &["Overview"]),
            section(
                "Activity",
                &[
                    "Active users",
                    "New users",
                    "Retention",
                    "Stickiness",
                    "Regular users",
                ],
            ),
            section(
                "Resources",
                &["Usage by user", "Usage by group", "Right sizes", NASTY],
            ),
        ],
    }
}

fn one_report() -> OneReportPage {
    let downloads = ["CSV", "Parquet", "Markdown", "HTML", "SVG"];
    let downloads = downloads.map(|label| Link::new(label, href("api/v1/reports/active-users")));
    OneReportPage {
        layout: layout("Active users", ""),
        picker: Some(picker("reports/active-users")),
        notices: Vec::new(),
        downloads: Downloads(downloads.into()),
        part: later("Active users", "part_lines", Width::Whole, Shape::Chart),
    }
}

fn health() -> HealthPage {
    let check = |name: &str, tone, text: &str, reason: &str| CheckRow {
        name: name.to_owned(),
        state: Badge::new(tone, text),
        reason: reason.to_owned(),
        duration: "12 ms".to_owned(),
        at: Some(minutes_ago(1)),
    };
    HealthPage {
        layout: layout("Health", "What is checked, and how it is."),
        overall: Notice::new(
            Tone::Warning,
            "One of four checks needs somebody to look at it.",
        ),
        checks: vec![
            check("hub answers", Tone::Good, "ok", "In 12 ms."),
            check("proxy answers", Tone::Good, "ok", ""),
            check(
                "metrics of the hub",
                Tone::Warning,
                "warning",
                "The hub refused our token: give the service's role the scope `read:metrics`.",
            ),
            check(NASTY, Tone::Bad, "failed", NASTY),
        ],
        missing: vec![Missing {
            name: "What servers use",
            gives: "CPU and memory by user, group and day.",
            line: "`prometheus.url = \"http://prometheus:9090/\"`",
        }],
        links: vec![Link::new("Metrics", href("metrics"))],
    }
}

fn me() -> MePage {
    let fact = |name: &str, text: &str, unit: &str, bar| Fact {
        name: name.to_owned(),
        number: number(text, unit),
        bar,
    };
    let kept = |what: &str, purpose: &str, how_long: &str| Kept {
        what: what.to_owned(),
        purpose: purpose.to_owned(),
        how_long: how_long.to_owned(),
    };
    MePage {
        layout: layout("Me", "What you used, and what is kept about you."),
        notices: Vec::new(),
        running: vec![SessionBox {
            server: String::new(),
            state: Badge::new(Tone::Good, "running"),
            started: Some(minutes_ago(25)),
            ended: None,
            facts: vec![
                fact("Runs for", "25 min", "", None),
                fact("Memory now", "1.2 of 4 GiB", "", Some(Bar::of_limit(0.3))),
            ],
        }],
        last: Some(SessionBox {
            server: NASTY.to_owned(),
            state: Badge::new(Tone::Plain, "stopped when idle"),
            started: Some(minutes_ago(400)),
            ended: Some(minutes_ago(30)),
            facts: vec![
                fact("Length", "6 h 10 min", "", None),
                fact("Active time", "3 h 2 min", "", None),
                fact("CPU", "2.4", "core h", None),
                fact("Memory peak", "3.8 of 4 GiB", "", Some(Bar::of_limit(0.95))),
                fact("Home", "12.1", "GiB", None),
            ],
        }),
        nothing: Nothing {
            text: String::new(),
            next: None,
        },
        picker: Some(picker("me")),
        parts: vec![
            later("My sessions", "part_table", Width::Whole, Shape::Table),
            later("My hours", "part_active", Width::Half, Shape::Chart),
            later(
                "My share of my group",
                "part_hours",
                Width::Half,
                Shape::Chart,
            ),
        ],
        kept: vec![
            kept("Sessions", "When servers ran, for these reports", "3 years"),
            kept("Usage", "CPU and memory by the hour", "3 years"),
            kept("Looks at your page", "Who looked at it", "1 year"),
        ],
        download_href: href("api/v1/me/data"),
        erasure: Erasure::MayAsk {
            action: href("me/erasure"),
        },
    }
}

fn shares() -> SharesPage {
    let share = |report: &str, id: &str| ShareRow {
        report: report.to_owned(),
        of: "1–30 October 2026 · members of physics".to_owned(),
        maker: NASTY.to_owned(),
        made: minutes_ago(4000),
        expires: moment("2026-12-24T00:00:00Z"),
        id: id.to_owned(),
    };
    SharesPage {
        layout: layout("Share links", "One report for somebody without an account."),
        notices: Vec::new(),
        made: Some("https://hub.example/services/insights/shared/8sdf7hs8d7fh".to_owned()),
        shares: vec![share("Overview", "1"), share("Active users", "2")],
        form: ShareForm {
            action: href("shares"),
            revoke: href("shares/revoke"),
            from: date(2026, 10, 24),
            to: TODAY,
            selects: picker("shares").selects,
            days: 30,
            most_days: 365,
            least_people: 5,
        },
    }
}

fn error() -> ErrorPage {
    ErrorPage {
        layout: layout("There is no such user", ""),
        status: 404,
        text: format!("The hub knows nobody called “{NASTY}”, or they are not yours to see."),
        next: vec![Link::new("All users", href("users"))],
    }
}

fn login_again() -> LoginAgainPage {
    LoginAgainPage {
        layout: outside("Log in again"),
        text: "You were logged out at the hub.".to_owned(),
        href: href("login?next=%2F"),
    }
}

/// Pages of a hub that has just begun.
fn nothing() -> MePage {
    MePage {
        running: Vec::new(),
        last: None,
        nothing: Nothing {
            text: "You had no session yet. Start a server, and it is told of here when it stops."
                .to_owned(),
            next: Some(Link::new("Start a server", "/hub/home")),
        },
        parts: Vec::new(),
        kept: Vec::new(),
        erasure: Erasure::Asked {
            at: minutes_ago(90),
            action: href("me/erasure"),
        },
        ..me()
    }
}
