//! *Overview*: ten numbers with their change, pictures, and what is new.

use super::newest::Newest;
use super::part::Look;
use super::shells::{Chosen, PartSpec, Shell, groups_of, part, shown};
use super::view::{Fact, Number, Width};
use crate::web::Site;
use crate::web::visitor::Visitor;
use axum::response::Response;

static PARTS: &[PartSpec] = &[
    part("overview", "Ten numbers", Look::Cards, Width::Whole),
    part("active-users", "Active users", Look::Chart, Width::Whole),
    part("groups", "Groups", Look::Chart, Width::Half),
    part(
        "hour-of-week",
        "Hours of the week",
        Look::Chart,
        Width::Half,
    ),
    PartSpec {
        choices: &[Chosen {
            name: "most",
            value: "10",
        }],
        ..part("sessions", "Newest sessions", Look::Newest, Width::Whole)
    },
];

static OVERVIEW: Shell = Shell {
    path: "",
    title: "Overview",
    intro: "Who uses the hub, how much, and how that changed.",
    parts: PARTS,
    newest: &[Newest::Accounts, Newest::Groups],
};

/// The page, for an administrator.
pub(in crate::web) async fn show(site: &Site, visitor: &Visitor, query: &str) -> Response {
    shown(site, visitor, &OVERVIEW, facts(site), query).await
}

/// What is known without a question to the history.
fn facts(site: &Site) -> Vec<Fact> {
    let snapshot = site.published.snapshot();
    let fact = |name: &str, count: Option<usize>, at, definition: &str| Fact {
        name: name.to_owned(),
        number: Number {
            text: count.map_or("–".to_owned(), super::numbers::grouped),
            unit: String::new(),
            definition: definition.to_owned(),
            source: "the hub, as it was last read".to_owned(),
            at,
        },
        bar: None,
    };
    let servers = snapshot.servers.as_ref();
    let users = snapshot.users.as_ref();
    let n_groups = groups_of(site).len();
    vec![
        fact(
            "servers now",
            servers.map(|servers| servers.value.len()),
            servers.map(|servers| servers.at),
            "Servers that the hub lists as running, starting or stopping.",
        ),
        fact(
            "accounts",
            users.map(|users| users.value.len()),
            users.map(|users| users.at),
            "Everybody the hub knows, also those who never logged in.",
        ),
        fact(
            "groups",
            snapshot.groups.as_ref().map(|_| n_groups),
            snapshot.groups.as_ref().map(|groups| groups.at),
            "Groups of the hub, without those that the configuration hides.",
        ),
    ]
}
