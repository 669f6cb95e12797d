//! What people read, word for word.

mod formats;
mod overview;
mod pages;
mod pictures;

use jiff::civil::date;
use std::sync::Arc;
use store::report::{Answer, Definition, HubOfAnswer};
use store::{Column, Table};

/// A definition with this head.
pub(super) fn definition(name: &str, head: &str) -> Arc<Definition> {
    Arc::new(Definition::parse(name, &format!("{head}\nselect 1")).unwrap())
}

pub(super) fn hub(name: &str, zone: &str) -> HubOfAnswer {
    HubOfAnswer {
        name: name.to_owned(),
        zone: zone.to_owned(),
        begins: Some(date(2026, 3, 1)),
        read: Some("2026-03-04T11:00:00Z".parse().unwrap()),
    }
}

/// An answer of one hub about four days.
pub(super) fn answer(report: Arc<Definition>, columns: Vec<Column>) -> Answer {
    Answer {
        report,
        from: date(2026, 3, 1),
        to: date(2026, 3, 4),
        hubs: vec![hub("lab", "Europe/Berlin")],
        group: None,
        user: None,
        chosen: Vec::new(),
        table: Table::new(columns).unwrap(),
        caveats: vec!["2026-03-04 is not over.".to_owned()],
        never_known: Vec::new(),
        computed: "2026-03-04T11:00:30Z".parse().unwrap(),
    }
}

const DAYS: &str = "\
-- title: Active users by day
-- section: Activity
-- question: How many people use the hub, day by day?
-- definition: A person counts on a day if a server of theirs ran. `weekly` are those of 7 days; a share below 1 is < 1.
-- scope: group, user
-- needs: sessions
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: users count People of whom a server ran.
-- column: weekly count The same of 7 days.
-- column: mean hours Mean server hours of a person.
-- column: success share Starts that worked.
-- column: at time When most servers ran.
-- column: quiet flag Whether nobody came.
-- chart: line x=day y=users,weekly";

/// A line over days of which one is not known.
pub(super) fn days() -> Answer {
    let days = (1..=4).map(|day| Some(date(2026, 3, day)));
    let at = |text: &str| Some(text.parse().unwrap());
    answer(
        definition("active-users", DAYS),
        vec![
            Column::text("hub", [Some("lab"); 4]),
            Column::day("day", days),
            Column::integer("users", [Some(1200), Some(30), None, Some(0)]),
            Column::integer("weekly", [Some(1200), Some(1210), None, Some(1210)]),
            Column::real("mean", [Some(3.1209), Some(0.01), None, Some(0.0)]),
            Column::real("success", [Some(1.0), Some(0.875), None, None]),
            Column::time(
                "at",
                [
                    at("2026-03-01T23:30:00Z"),
                    at("2026-03-02T08:05:59Z"),
                    None,
                    None,
                ],
            ),
            Column::flag("quiet", [Some(false), Some(false), None, Some(true)]),
        ],
    )
}

const NAMES: &str = "\
-- title: Homes by size
-- section: Resources
-- question: Whose homes are largest?
-- definition: Bytes of each home.
-- scope: none
-- needs: storage
-- column: hub text The hub.
-- column: user name The person.
-- column: server name Their server.
-- column: last_bytes bytes Size.
-- caveat: <b>None</b>.
-- chart: rows x=user y=last_bytes top=20";

/// What people could be called.
pub(super) const HOSTILE: [&str; 7] = [
    "=HYPERLINK(\"x\")",
    "<script>alert(1)</script>",
    "a|b",
    "山田太郎",
    "red\u{1b}[31m\nnext",
    "turned\u{202e}txt",
    "\"'&</td>",
];

/// Bars of people with names that somebody thought about.
pub(super) fn names() -> Answer {
    let sizes = HOSTILE.iter().enumerate();
    let sizes = sizes.map(|(place, _)| Some(f64::powi(40.0, i32::try_from(place).unwrap() + 1)));
    answer(
        definition("home-sizes", NAMES),
        vec![
            Column::text("hub", [Some("lab"); 7]),
            Column::text("user", HOSTILE.map(Some)),
            Column::text("server", ["", "lab", "", "", "", "", "<i>"].map(Some)),
            Column::real("last_bytes", sizes),
        ],
    )
}

const WEEK: &str = "\
-- title: Hours of the week
-- section: Sessions
-- question: At which hours of the week is the hub busy?
-- definition: Servers that ran, on average.
-- scope: none
-- needs: sessions
-- column: hub text The hub.
-- column: weekday count Day of the week.
-- column: hour count Hour of the clock.
-- column: servers number Servers.
-- chart: heatmap x=hour y=weekday value=servers";

/// A grid of two hubs, with hours that do not rise.
pub(super) fn week() -> Answer {
    let hubs = ["lab", "lab", "lab", "far", "far", "far"].map(Some);
    let mut answer = answer(
        definition("hour-of-week", WEEK),
        vec![
            Column::text("hub", hubs),
            Column::integer("weekday", [1, 1, 7, 1, 1, 7].map(Some)),
            Column::integer("hour", [10, 9, 9, 9, 10, 10].map(Some)),
            Column::real(
                "servers",
                [Some(1.0), Some(0.5), None, Some(3.0), Some(0.0), Some(2.0)],
            ),
        ],
    );
    answer.hubs.push(hub("far", "Asia/Kathmandu"));
    answer
}
