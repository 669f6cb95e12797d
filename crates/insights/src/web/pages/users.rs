//! *Users*: everybody, by name, and one of them.

mod order;

use super::asked::{AskedPeriod, Hubs, group_select, value_of};
use super::frame::{Frame, html};
use super::message;
use super::part::Look;
use super::shells::{Page, PartSpec, groups_of, newest_sessions, part};
use super::view::{
    Address, Choice, Field, Layout, Link, Notice, Pager, PersonRow, Select, Tone, UsersPage, Width,
};
use crate::people;
use crate::poll::clock::now;
use crate::web::Site;
use crate::web::visitor::Visitor;
use crate::web::{audit, sight};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::ToSpan as _;
use model::filter::GroupFilter;
use model::last_seen::LastSeen;
use model::names::UserName;
use model::snapshot::{Group, Snapshot};
use order::{Order, PAGE, Wanted};
use std::collections::HashMap;

/// A person.
static PARTS: &[PartSpec] = &[
    newest_sessions("Sessions"),
    part(
        "usage-by-day",
        "Resources by day",
        Look::Chart,
        Width::Whole,
    ),
    part("home-storage", "Home", Look::Chart, Width::Half),
    part("session-lengths", "Lengths", Look::Both, Width::Half),
    part("login-totals", "Logins", Look::Table, Width::Whole),
];

/// `GET users?search=…&group=…&order=…&page=…`
pub(in crate::web) async fn list(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Asked::of(&query.unwrap_or_default());
    let hours = match asked.order {
        Order::Hours => hours(&site).await,
        Order::LastSeen | Order::Name => None,
    };
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "users",
    };
    let mut layout = frame.layout("Users", "Everybody the hub knows.");
    layout.notices.extend(asked_for_erasure(&site).await);
    if asked.order == Order::Hours && hours.is_none() {
        layout.notices.push(Notice::new(
            Tone::Warning,
            "Hours are not known: no history could be read. Users stand by name.",
        ));
    }
    html(StatusCode::OK, &asked.page(&site, layout, hours.as_ref()))
}

/// What the address of the list says.
struct Asked {
    search: String,
    group: String,
    order: Order,
    /// From 1 on.
    page: usize,
}

impl Asked {
    fn of(query: &str) -> Self {
        let value = |name: &str| value_of(query, name).unwrap_or_default();
        let page = value("page").parse().unwrap_or(1);
        Self {
            search: value("search"),
            group: value("group"),
            order: Order::from_name(&value("order")),
            page: usize::max(page, 1),
        }
    }

    fn page(
        &self,
        site: &Site,
        layout: Layout,
        hours: Option<&HashMap<UserName, f64>>,
    ) -> UsersPage {
        let present = PresentPeople::of(site);
        let group = present.group(&self.group);
        let wanted = Wanted {
            search: self.search.to_lowercase(),
            members: match &*self.group {
                "" => None,
                _ => Some(group.map(|group| &*group.members).unwrap_or_default()),
            },
        };
        let nothing = HashMap::new();
        let all = present.users();
        let found = order::ordered(
            all,
            &wanted,
            self.order,
            &present.last_seen,
            hours.unwrap_or(&nothing),
        );
        let first = (self.page - 1).saturating_mul(PAGE);
        let people = found.iter().skip(first).take(PAGE);
        let people = people.map(|user| PersonRow {
            hours: hours.map(|hours| hours.get(*user).copied().unwrap_or(0.0)),
            ..present.person(site, user)
        });
        UsersPage {
            layout,
            action: format!("{}users", site.config.web.prefix),
            selects: self.selects(site),
            people: people.collect(),
            pager: self.pager(site, first, found.len()),
            has_hours: hours.is_some(),
            nothing: match (&*self.search, &*self.group) {
                ("", "") => {
                    "The hub has told of no user yet: the list is here within a minute after \
                             the hub was reached. The page Health says how that goes."
                        .to_owned()
                }
                ("", group) => format!("The hub knows no member of {group}: choose another group."),
                (search, "") => format!("Nobody's name holds “{search}”: search for less of it."),
                (search, group) => format!(
                    "The name of no member of {group} holds “{search}”: search for less of it, or in \
                     all groups."
                ),
            },
            query: self.search.clone(),
        }
    }

    fn selects(&self, site: &Site) -> Vec<Select> {
        let groups = groups_of(site);
        let groups = groups.iter().map(String::as_str);
        let orders = Order::ALL
            .map(|order| Choice::new(order.name(), self.order.name()).called(order.label()));
        vec![
            group_select(groups, &self.group, Some("everybody")),
            Select {
                name: "order".to_owned(),
                label: "Order by".to_owned(),
                choices: orders.into(),
            },
        ]
    }

    fn pager(&self, site: &Site, first: usize, n_found: usize) -> Pager {
        let grouped = super::numbers::grouped;
        let last = first.saturating_add(PAGE).min(n_found);
        let at_page = |page: usize| {
            let address = Address::below(&site.config.web.prefix, "users");
            let address = address
                .with("search", &self.search)
                .with("group", &self.group);
            let address = address.with("order", self.order.name());
            address.with("page", &page.to_string()).to_string()
        };
        Pager {
            text: match n_found {
                0 => String::new(),
                n if first >= n => format!("{} users, none of them on this page", grouped(n)),
                n => format!(
                    "{}–{} of {} users",
                    grouped(first + 1),
                    grouped(last),
                    grouped(n)
                ),
            },
            previous: (self.page > 1).then(|| at_page(self.page - 1)),
            next: (last < n_found).then(|| at_page(self.page + 1)),
        }
    }
}

/// Server hours of everybody on the last 30 days that are over; `None` if they are not known.
async fn hours(site: &Site) -> Option<HashMap<UserName, f64>> {
    let asker = site.asker.as_deref()?;
    let today = now().to_zoned(site.config.hub.time_zone()).date();
    let (from, to) = (
        today.saturating_sub(30.days()),
        today.saturating_sub(1.day()),
    );
    let hours = people::hours(asker, &site.config.hub.name, from, to).await;
    let told = hours.inspect_err(|error| {
        tracing::error!("Hours of users could not be read: {error:#}");
    });
    told.ok()
}

/// The present, as far as a list of people is made of it.
struct PresentPeople {
    snapshot: Snapshot,
    last_seen: LastSeen,
    filter: GroupFilter,
}

impl PresentPeople {
    fn of(site: &Site) -> Self {
        Self {
            snapshot: site.published.snapshot(),
            last_seen: site.last_seen(),
            filter: site.config.attribution().filter,
        }
    }

    fn users(&self) -> &[UserName] {
        let users = self.snapshot.users.as_ref();
        users.map(|users| &*users.value).unwrap_or_default()
    }

    /// Groups that may be shown.
    fn groups(&self) -> impl Iterator<Item = &Group> {
        let groups = self
            .snapshot
            .groups
            .iter()
            .flat_map(|groups| &*groups.value);
        groups.filter(|group| self.filter.allows(&group.name))
    }

    fn group(&self, name: &str) -> Option<&Group> {
        self.groups().find(|group| *group.name.as_str() == *name)
    }

    fn person(&self, site: &Site, user: &UserName) -> PersonRow {
        let prefix = &site.config.web.prefix;
        let page = |path: &str, name: &str| {
            let address = Address::below(prefix, path).with("name", name);
            Link::new(name, address)
        };
        let servers = self
            .snapshot
            .servers
            .iter()
            .flat_map(|servers| &*servers.value);
        let mut theirs = servers.filter(|server| server.user == *user);
        let of_user = self
            .groups()
            .filter(|group| group.members.binary_search(user).is_ok());
        PersonRow {
            user: page("users/one", user.as_str()),
            badges: theirs.next().map(super::now::state).into_iter().collect(),
            groups: of_user
                .map(|group| page("groups/one", group.name.as_str()))
                .collect(),
            last_seen: self.last_seen.of(user),
            hours: None,
        }
    }
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

/// `GET users/one?name=…`
pub(in crate::web) async fn one(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let name = value_of(&query, "name").unwrap_or_default();
    let mut asked = match AskedPeriod::of(&site, &visitor, &query, Hubs::One).await {
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
        newest: &[],
        selects: Vec::new(),
        kept: vec![Field {
            name: "name".to_owned(),
            value: name,
        }],
        facts: Vec::new(),
        instead: None,
        path: "users/one",
    }
    .html(&asked)
}
