//! *Now*: the servers that run, start or stop.

use super::frame::{Frame, html};
use super::numbers::{Given, Meaning, card, measured, used};
use super::view::{Address, Badge, Link, NowPage, NowRows, ServerRow, Tone};
use crate::chart::Unit;
use crate::web::Site;
use crate::web::no_store;
use crate::web::visitor::Visitor;
use askama::Template as _;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use model::names::{GroupName, UserName};
use model::snapshot::{Group, Pending, Server};
use model::usage::Amounts;
use std::collections::{BTreeSet, HashMap};

/// How often the page asks for its rows.
const EVERY_SECONDS: u32 = 10;
/// Most servers of a page: it is to be there at once, and again every few seconds.
const MOST: usize = 150;

const RUNNING: Meaning = Meaning::of_hub("Servers", "Servers that are ready.");
const PENDING: Meaning = Meaning::of_hub("Pending", "Servers that start, stop, or are looked for.");
const PEOPLE: Meaning = Meaning::of_hub("People", "People with at least one server.");
const MEMORY: Meaning = Meaning {
    title: "Memory",
    definition: "Memory of all servers together, as it was last measured.",
    source: "the source of usage: Prometheus or this machine",
};
const CPU: Meaning = Meaning {
    title: "CPU",
    definition: "Cores that all servers use together, over the last minutes.",
    source: "the source of usage: Prometheus or this machine",
};

/// `GET now`
pub(in crate::web) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "now",
    };
    let page = NowPage {
        layout: frame.layout("Now", "Servers that run at this moment, and whose."),
        url: format!("{}now/rows", site.config.web.prefix),
        every_seconds: EVERY_SECONDS,
        rows: all_rows(&site),
    };
    html(StatusCode::OK, &page)
}

/// `GET now/rows`
pub(in crate::web) async fn rows(State(site): State<Site>) -> Response {
    let mut response = match all_rows(&site).render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "Rows of a page could not be written.");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    no_store(&mut response);
    response
}

fn all_rows(site: &Site) -> NowRows {
    let snapshot = site.published.snapshot();
    let usage = site.published.usage_now();
    let listed = snapshot.servers.as_ref();
    let at = listed.map(|servers| servers.at);
    let servers: &[Server] = listed.map(|servers| &*servers.value).unwrap_or_default();
    let groups = snapshot.groups.as_ref();
    let groups: &[Group] = groups.map(|groups| &*groups.value).unwrap_or_default();
    let groups = groups_by_user(site, groups, servers);
    let amounts = |server: &Server| usage.as_ref()?.server(&server.user, &server.name).copied();
    let prefix = &site.config.web.prefix;
    let shown = servers.iter().take(MOST);
    let rows = shown.map(|server| row(server, amounts(server), &groups, prefix));
    let n_ready = servers
        .iter()
        .filter(|server| server.ready && server.pending.is_none())
        .count();
    let people: BTreeSet<&UserName> = servers.iter().map(|server| &server.user).collect();
    let sum = |of: fn(&Amounts) -> Option<f64>| {
        let all = servers.iter().filter_map(amounts);
        let known: Vec<f64> = all.filter_map(|amounts| of(&amounts)).collect();
        (!known.is_empty()).then(|| known.iter().sum())
    };
    let known = |count: usize| listed.map(|_| count);
    let used_at = site.usage.condition().and_then(|usage| usage.last_complete);
    NowRows {
        cards: vec![
            card(&RUNNING, known(n_ready), at, None),
            card(&PENDING, known(servers.len() - n_ready), at, None),
            card(&PEOPLE, known(people.len()), at, None),
            measured(
                &MEMORY,
                sum(|amounts| amounts.memory_bytes),
                &Unit::Bytes,
                used_at,
            ),
            measured(
                &CPU,
                sum(|amounts| amounts.cpu_cores),
                &Unit::Cores,
                used_at,
            ),
        ],
        servers: rows.collect(),
        more_servers: (servers.len() > MOST)
            .then(|| format!("… {} more servers are not shown.", servers.len() - MOST)),
        at,
    }
}

/// Groups that may be shown of those who have a server.
fn groups_by_user<'a>(
    site: &Site,
    groups: &'a [Group],
    servers: &'a [Server],
) -> HashMap<&'a UserName, Vec<&'a GroupName>> {
    let filter = site.config.attribution().filter;
    let mut by_user: HashMap<&UserName, Vec<&GroupName>> = HashMap::new();
    for server in servers {
        by_user.entry(&server.user).or_default();
    }
    for group in groups.iter().filter(|group| filter.allows(&group.name)) {
        for member in &*group.members {
            if let Some(groups) = by_user.get_mut(member) {
                groups.push(&group.name);
            }
        }
    }
    by_user
}

fn row(
    server: &Server,
    amounts: Option<Amounts>,
    groups: &HashMap<&UserName, Vec<&GroupName>>,
    prefix: &str,
) -> ServerRow {
    let amounts = amounts.unwrap_or_default();
    let page = |path: &str, name: &str| {
        let address = Address::below(prefix, path).with("name", name);
        Link::new(name, address)
    };
    let groups = groups.get(&server.user).into_iter().flatten();
    let memory = Given::of(amounts.memory_limit_bytes, amounts.memory_requested_bytes);
    let cpu = Given::of(None, amounts.cpu_requested_cores);
    ServerRow {
        user: page("users/one", server.user.as_str()),
        server: server.name.to_string(),
        state: state(server),
        groups: groups
            .map(|group| page("groups/one", group.as_str()))
            .collect(),
        started: server.started,
        last_activity: server.last_activity,
        memory: used(amounts.memory_bytes, memory, &Unit::Bytes),
        cpu: used(amounts.cpu_cores, cpu, &Unit::Cores),
        place: server.image.as_deref().unwrap_or_default().to_owned(),
    }
}

/// What a server is doing.
pub(super) fn state(server: &Server) -> Badge {
    match server.pending {
        Some(Pending::Spawn) => Badge::new(Tone::Busy, "starting"),
        Some(Pending::Stop) => Badge::new(Tone::Busy, "stopping"),
        Some(Pending::Other) => Badge::new(Tone::Busy, "being checked"),
        None if server.ready => Badge::new(Tone::Good, "running"),
        None => Badge::new(Tone::Warning, "does not answer"),
    }
}
