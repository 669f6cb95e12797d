//! *Users*: everybody, by name, and one of them.

use super::asked::{AskedPeriod, value_of};
use super::frame::{Frame, html};
use super::message;
use super::part::Look;
use super::shells::{Page, PartSpec, part};
use super::view::{Address, Badge, Field, Link, Notice, Pager, PersonRow, Tone, UsersPage, Width};
use crate::web::Site;
use crate::web::visitor::Visitor;
use crate::web::{audit, sight};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::names::UserName;
use model::snapshot::{Group, Server};

/// Users of a page.
const PAGE: usize = 100;

/// A person.
static PARTS: &[PartSpec] = &[
    part("sessions", "Sessions", Look::Table, Width::Whole),
    part("usage-by-day", "Resources by day", Look::Chart, Width::Half),
    part("home-storage", "Home", Look::Chart, Width::Half),
    part("session-lengths", "Lengths", Look::Both, Width::Half),
    part("login-totals", "Logins", Look::Table, Width::Half),
];

/// `GET users?search=…&page=…`
pub(in crate::web) async fn list(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let wanted = value_of(&query, "search").unwrap_or_default();
    let page = value_of(&query, "page").and_then(|text| text.parse().ok());
    let page: usize = page.unwrap_or(1).max(1);
    let snapshot = site.published.snapshot();
    let users = snapshot.users.as_ref();
    let users: &[UserName] = users.map(|users| &*users.value).unwrap_or_default();
    let lower = wanted.to_lowercase();
    let found: Vec<&UserName> = users
        .iter()
        .filter(|user| user.as_str().to_lowercase().contains(&lower))
        .collect();
    let servers = snapshot.servers.as_ref();
    let servers: &[Server] = servers.map(|servers| &*servers.value).unwrap_or_default();
    let groups = snapshot.groups.as_ref();
    let groups: &[Group] = groups.map(|groups| &*groups.value).unwrap_or_default();
    let first = (page - 1).saturating_mul(PAGE);
    let shown = found.iter().skip(first).take(PAGE);
    let people = shown.map(|user| person(&site, user, groups, servers));
    let address = Address::below(&site.config.web.prefix, "users");
    let at_page = |page: usize| {
        let address = address.clone().with("search", &wanted);
        address.with("page", &page.to_string()).to_string()
    };
    let last = (first + PAGE).min(found.len());
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "users",
    };
    let grouped = super::numbers::grouped;
    let text = match found.len() {
        0 => String::new(),
        n => format!(
            "{}–{} of {} users",
            grouped(first + 1),
            grouped(last),
            grouped(n)
        ),
    };
    let mut layout = frame.layout("Users", "Everybody the hub knows.");
    layout.notices.extend(asked_for_erasure(&site).await);
    let page = UsersPage {
        layout,
        action: address.to_string(),
        selects: Vec::new(),
        kept: Vec::new(),
        people: people.collect(),
        pager: Pager {
            text,
            previous: (page > 1).then(|| at_page(page - 1)),
            next: (last < found.len()).then(|| at_page(page + 1)),
        },
        nothing: if wanted.is_empty() {
            "The hub has told of no user yet.".to_owned()
        } else {
            format!("Nobody's name holds “{wanted}”.")
        },
        query: wanted,
    };
    html(StatusCode::OK, &page)
}

/// Who asks to be erased, and how that is done.
async fn asked_for_erasure(site: &Site) -> Option<Notice> {
    let asker = site.asker.as_deref()?;
    let requests = asker.store().erasure_requests(&site.config.hub.name).await;
    let requests = requests.unwrap_or_else(|error| {
        let cause = anyhow::Error::from(error);
        tracing::error!("Requests for erasure could not be read: {cause:#}");
        Vec::new()
    });
    let names: Vec<&str> = requests
        .iter()
        .map(|request| request.user.as_str())
        .collect();
    (!names.is_empty()).then(|| {
        let text = format!(
            "Asked to be erased: {}. `jupyterhub-insights store erase-user NAME` does it.",
            names.join(", ")
        );
        Notice::new(Tone::Warning, text)
    })
}

fn person(site: &Site, user: &UserName, groups: &[Group], servers: &[Server]) -> PersonRow {
    let filter = site.config.attribution().filter;
    let prefix = &site.config.web.prefix;
    let page = |path: &str, name: &str| {
        let address = Address::below(prefix, path).with("name", name);
        Link::new(name, address)
    };
    let theirs = servers.iter().filter(|server| server.user == *user);
    let last_seen = theirs
        .clone()
        .filter_map(|server| server.last_activity)
        .max();
    let is_in =
        |group: &&Group| filter.allows(&group.name) && group.members.binary_search(user).is_ok();
    let of_user = groups.iter().filter(is_in);
    PersonRow {
        user: page("users/one", user.as_str()),
        badges: theirs
            .take(1)
            .map(|_| Badge::new(Tone::Good, "running"))
            .collect(),
        groups: of_user
            .map(|group| page("groups/one", group.name.as_str()))
            .collect(),
        last_seen,
        added: None,
    }
}

/// `GET users/one?name=…`
pub(in crate::web) async fn one(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let name = value_of(&query, "name").unwrap_or_default();
    let mut asked = match AskedPeriod::of(&site, &query).await {
        Ok(asked) => asked,
        Err(error) => return message::unanswered(&site, &visitor, &error),
    };
    let snapshot = site.published.snapshot();
    let users = snapshot.users.as_ref();
    let is_known = users.is_some_and(|users| {
        let name = UserName::from(name.as_str());
        users.value.binary_search(&name).is_ok()
    });
    if name.is_empty() {
        return message::nothing_here(&site, Some(&visitor));
    }
    if sight::is_look_at_another(&visitor.viewer, &name)
        && let Err(response) = audit::look(&site, &visitor, &name).await
    {
        return *response;
    }
    asked.request.user = Some(name.clone());
    asked.request.group = None;
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "users",
    };
    let intro = if is_known {
        "What is known of this person. Looks at it are kept."
    } else {
        "The hub does not know this name now; what is known is from before. Looks at it are kept."
    };
    Page {
        frame,
        title: name.clone(),
        intro: intro.to_owned(),
        parts: PARTS,
        selects: Vec::new(),
        kept: vec![Field {
            name: "name".to_owned(),
            value: name,
        }],
        facts: Vec::new(),
        path: "users/one",
    }
    .html(&asked)
}
