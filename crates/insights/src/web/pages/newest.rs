//! *Newest accounts* and *newest groups*: parts of the overview that no report has.

use super::asked::{AskedPeriod, request_of, value_of};
use super::view::{
    Address, Cell, Downloads, Figures, Head, NOT_YET, Nothing, Part, PartBox, Rows, Shape, Table,
    When, Width,
};
use crate::answers::AnswerError;
use crate::ask::Asker;
use crate::people::{Newcomer, newest_accounts, newest_groups};
use crate::poll::clock::now;
use crate::report::Whom;
use crate::web::api::ApiError;
use crate::web::{Site, no_store};
use askama::Template as _;
use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use model::last_seen::Seen;
use model::names::{GroupName, UserName};
use model::snapshot::Group;

/// Rows of a list.
const MOST: usize = 10;
/// Accounts that came before are not new any more.
const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newest {
    Accounts,
    Groups,
}

impl Newest {
    /// Where it is, below the prefix.
    fn path(self) -> &'static str {
        match self {
            Self::Accounts => "parts/newest/accounts",
            Self::Groups => "parts/newest/groups",
        }
    }

    /// Its place on a page about this.
    pub(super) fn part_box(self, asked: &AskedPeriod, prefix: &str) -> PartBox {
        let group = asked.request.group.as_deref().unwrap_or_default();
        let address = Address::below(prefix, self.path()).with("group", group);
        PartBox {
            title: self.title().to_owned(),
            url: address.to_string(),
            report_href: address.to_string(),
            width: Width::Half,
            shape: Shape::Table,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Accounts => "Newest accounts",
            Self::Groups => "Newest groups",
        }
    }

    fn question(self) -> &'static str {
        match self {
            Self::Accounts => "Who got an account at the hub lately?",
            Self::Groups => "Which courses, labs and teams came last?",
        }
    }

    fn definition(self) -> &'static str {
        match self {
            Self::Accounts => {
                "Accounts that the hub lists and did not list when it was looked at before, in the last \
                 365 days; whether they ever had a server does not matter."
            }
            Self::Groups => {
                "A group is there from the moment on at which it was first seen with a member. Those that \
                 were there when the history began come last, since nobody knows when they were made."
            }
        }
    }

    fn none(self) -> &'static str {
        match self {
            Self::Accounts => {
                "No account came in the last 365 days, as far as the history goes. Whoever logs in at \
                 the hub for the first time stands here a minute later."
            }
            Self::Groups => {
                "The hub has no group with a member. Groups are made on the hub's admin page, or come \
                 with its login."
            }
        }
    }
}

/// `GET parts/newest/accounts`
pub(in crate::web) async fn accounts(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    show(&site, Newest::Accounts, &query.unwrap_or_default()).await
}

/// `GET parts/newest/groups`
pub(in crate::web) async fn groups(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    show(&site, Newest::Groups, &query.unwrap_or_default()).await
}

async fn show(site: &Site, what: Newest, query: &str) -> Result<Response, ApiError> {
    request_of(query).map_err(AnswerError::Report)?;
    let asker = site.asker.as_deref();
    let asker = asker.ok_or_else(ApiError::no_history)?;
    let group = value_of(query, "group").map(|name| GroupName::from(name.as_str()));
    let rows = match what {
        Newest::Accounts => rows_of_accounts(site, asker, group.as_ref()).await,
        Newest::Groups => rows_of_groups(site, asker).await,
    };
    let rows = rows.map_err(|error| {
        tracing::error!("A list of what is new could not be read: {error:#}");
        ApiError::Internal
    })?;
    let text = part(what, rows, group.as_ref()).render().map_err(|error| {
        tracing::error!(%error, "A part of a page could not be written.");
        ApiError::Internal
    })?;
    let mut response = Html(text).into_response();
    no_store(&mut response);
    Ok(response)
}

/// Newest accounts, also of those who are gone again; of members of a group, if one was asked about.
async fn rows_of_accounts(
    site: &Site,
    asker: &Asker,
    group: Option<&GroupName>,
) -> anyhow::Result<Vec<Vec<Cell>>> {
    let after = now().saturating_sub(YEAR).unwrap_or(Timestamp::MIN);
    let newest = newest_accounts(asker, &site.config.hub.name, after).await?;
    let (snapshot, last_seen) = (site.published.snapshot(), site.last_seen());
    let users = snapshot.users.as_ref().map(|users| &*users.value);
    let groups: &[Group] = snapshot
        .groups
        .as_ref()
        .map(|groups| &*groups.value)
        .unwrap_or_default();
    let wanted = groups.iter().find(|known| Some(&known.name) == group);
    let is_asked = |user: &UserName| match (group, wanted) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(_), Some(group)) => group.members.binary_search(user).is_ok(),
    };
    let rows = newest.into_iter().filter_map(|newcomer| {
        let user = UserName::from(newcomer.name.as_str());
        let is_gone = users.is_some_and(|users| users.binary_search(&user).is_err());
        let seen = match last_seen.of(&user) {
            _ if is_gone => Cell::text("account removed"),
            Some(Seen::At(at)) => Cell::when(When::Age(at)),
            Some(Seen::NotYet(told)) => Cell::text(NOT_YET).followed_by(When::Age(told)),
            None => Cell::text("–"),
        };
        let mut row = row(site, "users/one", &newcomer);
        row.push(seen);
        is_asked(&user).then_some(row)
    });
    Ok(rows.take(MOST).collect())
}

/// Newest groups that may be shown, with as many members as they have now.
async fn rows_of_groups(site: &Site, asker: &Asker) -> anyhow::Result<Vec<Vec<Cell>>> {
    let newest = newest_groups(asker, &site.config.hub.name).await?;
    let filter = site.config.attribution().filter;
    let snapshot = site.published.snapshot();
    let groups: &[Group] = snapshot
        .groups
        .as_ref()
        .map(|groups| &*groups.value)
        .unwrap_or_default();
    let rows = newest.into_iter().filter_map(|newcomer| {
        let mut there = groups.iter().filter(|group| filter.allows(&group.name));
        let group = there.find(|group| *group.name.as_str() == *newcomer.name)?;
        let n_members = group.members.len();
        #[expect(clippy::cast_precision_loss, reason = "members of a group")]
        let members = Cell::number(super::numbers::grouped(n_members), Some(n_members as f64));
        let mut row = row(site, "groups/one", &newcomer);
        row.push(members);
        Some(row)
    });
    Ok(rows.take(MOST).collect())
}

fn row(site: &Site, page: &str, newcomer: &Newcomer) -> Vec<Cell> {
    let page = Address::below(&site.config.web.prefix, page).with("name", &newcomer.name);
    vec![
        Cell::text(&newcomer.name).leading_to(page),
        match newcomer.since {
            Some(at) => Cell::when(When::Moment(at)),
            None => Cell::text("before the history"),
        },
    ]
}

fn part(what: Newest, rows: Vec<Vec<Cell>>, group: Option<&GroupName>) -> Part {
    let nothing = rows.is_empty().then(|| Nothing {
        text: match group {
            Some(group) => format!("No account of the last 365 days is a member of {group}."),
            None => what.none().to_owned(),
        },
        next: None,
    });
    let heads = match what {
        Newest::Accounts => vec![
            Head::name("User"),
            Head::text("Account since"),
            Head::text("Last seen"),
        ],
        Newest::Groups => vec![
            Head::name("Group"),
            Head::text("Group since"),
            Head::number("Members"),
        ],
    };
    let whom = Whom {
        user: None,
        group: group.map(GroupName::as_str),
    };
    Part {
        title: what.title().to_owned(),
        whom: whom.in_words(None).unwrap_or_default(),
        question_html: what.question().to_owned(),
        notices: Vec::new(),
        cards: Vec::new(),
        figures: Figures::default(),
        rows: Rows::Open(Table {
            caption: what.title().to_owned(),
            heads,
            rows,
            more_rows: None,
        }),
        nothing,
        caveats_html: Vec::new(),
        definition_html: what.definition().to_owned(),
        source: "the history, and the hub as it was last read".to_owned(),
        at: Some(now()),
        downloads: Downloads::default(),
        more: None,
    }
}
