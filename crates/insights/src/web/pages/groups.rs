//! *Groups*: those that somebody may see, and one of them.

use super::asked::{AskedPeriod, Hubs, answers, value_of};
use super::frame::{Frame, html};
use super::message;
use super::part::Look;
use super::shells::{Page, PartSpec, part};
use super::view::{Address, Fact, Field, GroupRow, GroupsPage, Link, Notice, Number, Tone, Width};
use crate::answers::{AnswerError, Request};
use crate::config::OwnerSees;
use crate::web::Site;
use crate::web::visitor::Visitor;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::names::{GroupName, UserName};
use model::snapshot::Group;
use model::suppression::is_few;
use model::viewer::{Sight, Standing};
use std::collections::BTreeSet;
use store::report::ReportError;

/// With names of members.
static NAMED: &[PartSpec] = &[
    part("participation", "Participation", Look::Table, Width::Whole),
    part("active-users", "Active members", Look::Chart, Width::Whole),
    part(
        "usage-by-day",
        "Resources by day",
        Look::Chart,
        Width::Whole,
    ),
    part(
        "hour-of-week",
        "Hours of the week",
        Look::Chart,
        Width::Whole,
    ),
    part("home-sizes", "Homes", Look::Table, Width::Whole),
    part(
        "usage-by-user",
        "Resources by member",
        Look::Table,
        Width::Whole,
    ),
    part("last-activity", "Last activity", Look::Table, Width::Whole),
];

/// For owners who see aggregates only.
static AGGREGATES: &[PartSpec] = &[
    part("participation", "Participation", Look::Table, Width::Whole),
    part("active-users", "Active members", Look::Chart, Width::Whole),
    part("logins", "Logins", Look::Chart, Width::Half),
    part("stickiness", "Stickiness", Look::Chart, Width::Half),
];

/// `GET groups`
pub(in crate::web) async fn list(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "groups",
    };
    let filter = site.config.attribution().filter;
    let snapshot = site.published.snapshot();
    let running: BTreeSet<&UserName> = snapshot
        .servers
        .iter()
        .flat_map(|servers| &*servers.value)
        .map(|server| &server.user)
        .collect();
    let groups = snapshot.groups.iter().flat_map(|groups| &*groups.value);
    let seen = groups.filter(|group| {
        filter.allows(&group.name) && visitor.viewer.may_see(Sight::Group(&group.name))
    });
    let is_admin = visitor.viewer.standing == Standing::Admin;
    let least = least_told(&site, &visitor);
    let rows = seen.map(|group| GroupRow {
        group: link(&site, &group.name),
        members: Some(group.members.len() as u64).filter(|members| !is_few(*members, least)),
        // Who is there now is not for owners.
        running: is_admin.then(|| {
            let present = group
                .members
                .iter()
                .filter(|member| running.contains(member));
            present.count() as u64
        }),
        owners: owners(&site, group),
    });
    let page = GroupsPage {
        layout: frame.layout("Groups", "Courses, labs and teams, as the hub knows them."),
        groups: rows.collect(),
        nothing: nothing(is_admin).to_owned(),
    };
    html(StatusCode::OK, &page)
}

fn nothing(is_admin: bool) -> &'static str {
    if is_admin {
        "The hub has no groups, or `groups.allowed` and `groups.denied` leave none. They are made on the \
         hub's admin page, by its authenticator, or by its API."
    } else {
        "The hub has no group that you may see. A group gets an owner by its property \
         `insights_owners` at the hub, or by `access.owners` here."
    }
}

/// Of fewer people nothing is told: to whoever sees names this does not matter.
fn least_told(site: &Site, visitor: &Visitor) -> u64 {
    if sees_names(site, visitor) {
        0
    } else {
        site.config.access.least_people
    }
}

fn sees_names(site: &Site, visitor: &Visitor) -> bool {
    visitor.viewer.standing == Standing::Admin || site.config.access.owner_sees == OwnerSees::Names
}

fn owners(site: &Site, group: &Group) -> Vec<String> {
    let configured = site.config.access.owners().unwrap_or_default();
    let configured = configured
        .iter()
        .filter(|owner| owner.group == group.name.as_str());
    let told = group
        .owners
        .iter()
        .flat_map(|owners| owners.iter())
        .map(ToString::to_string);
    let all: BTreeSet<String> = configured
        .map(|owner| owner.user.to_owned())
        .chain(told)
        .collect();
    all.into_iter().collect()
}

fn link(site: &Site, group: &GroupName) -> Link {
    let address = Address::below(&site.config.web.prefix, "groups/one");
    Link::new(group.as_str(), address.with("name", group.as_str()))
}

/// `GET groups/one?name=…`
pub(in crate::web) async fn one(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let name = value_of(&query, "name").unwrap_or_default();
    let snapshot = site.published.snapshot();
    let filter = site.config.attribution().filter;
    let groups = snapshot.groups.iter().flat_map(|groups| &*groups.value);
    let mut seen = groups.filter(|group| {
        filter.allows(&group.name) && visitor.viewer.may_see(Sight::Group(&group.name))
    });
    // Whether there is one that they may not see is nobody's to know.
    let Some(group) = seen.find(|group| *group.name.as_str() == *name) else {
        return message::nothing_here(&site, Some(&visitor));
    };
    let mut asked = match AskedPeriod::of(&site, &visitor, &query, Hubs::One).await {
        Ok(asked) => asked,
        Err(error) => return message::unanswered(&site, &visitor, &error),
    };
    asked.request.group = Some(name.clone());
    asked.request.user = None;
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "groups",
    };
    let is_named = sees_names(&site, &visitor);
    if !is_named {
        asked.settle();
    }
    let least = least_told(&site, &visitor);
    let n_members = group.members.len();
    let nobody = match n_members {
        0 => nobody_yet(&site, &asked).await,
        _ => None,
    };
    let members = Fact {
        name: "members".to_owned(),
        number: Number {
            text: if is_few(n_members as u64, least) {
                format!("fewer than {least}")
            } else {
                super::numbers::grouped(n_members)
            },
            unit: String::new(),
            definition: "Members of the group at the hub, whether they ever came or not."
                .to_owned(),
            source: "the hub's list of groups".to_owned(),
            at: snapshot.groups.as_ref().map(|groups| groups.at),
        },
        bar: None,
    };
    Page {
        frame,
        title: name.clone(),
        intro: if is_named {
            "The group's members, on the days on which they were members.".to_owned()
        } else {
            "The group's members, on the days on which they were members: figures of whole months that \
             are over."
                .to_owned()
        },
        parts: if is_named { NAMED } else { AGGREGATES },
        newest: &[],
        selects: Vec::new(),
        kept: vec![Field {
            name: "name".to_owned(),
            value: name,
        }],
        facts: vec![members],
        instead: nobody,
        path: "groups/one",
    }
    .html(&asked)
}

/// Of a group that nobody was in reports know nothing, not even its name.
async fn nobody_yet(site: &Site, asked: &AskedPeriod) -> Option<Notice> {
    let request = Request {
        name: "participation".to_owned(),
        ..asked.request.clone()
    };
    let answer = answers(site)?.answer(&request).await;
    let is_unknown = matches!(
        answer,
        Err(AnswerError::Report(ReportError::NotFound { .. }))
    );
    is_unknown.then(|| {
        Notice::new(
            Tone::Plain,
            "Nobody was in this group yet, as far as the history goes back. Figures come when the hub \
             says who is in it.",
        )
    })
}
