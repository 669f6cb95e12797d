//! Every address below the service's prefix, and who may ask for it: the router, the guard before each
//! handler and the table in `docs/access.md` are made from this list.
//!
//! What is inside of an answer (a group's members, a person's sessions) is checked again where it is
//! written: see [`super::sight`].

use super::guard::{self, Who};
use super::{Site, api, assets, health, login, metrics, pages, parts, root, shares, squeezed};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use std::fmt::Write as _;

/// One address.
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Below the prefix; `{name}` stands for any text.
    pub path: &'static str,
    /// Who gets an answer.
    pub who: Who,
    /// What it gives.
    pub doc: &'static str,
    handler: fn() -> MethodRouter<Site>,
}

const fn route(
    method: &'static str,
    path: &'static str,
    who: Who,
    doc: &'static str,
    handler: fn() -> MethodRouter<Site>,
) -> Route {
    Route {
        method,
        path,
        who,
        doc,
        handler,
    }
}

/// All of them.
pub static ROUTES: &[Route] = &[
    route(
        "GET",
        "",
        Who::ScrapersAndPeople,
        "a scraper: the metrics; a browser: the dashboard, or what of it is theirs",
        || get(root::show),
    ),
    route("GET", "metrics", Who::Scrapers, "the metrics", || {
        get(metrics::show)
    }),
    route("GET", "health", Who::Scrapers, "every check", || {
        get(health::report)
    }),
    route(
        "GET",
        "health/live",
        Who::Anybody,
        "the process answers; names nobody",
        || get(health::live),
    ),
    route(
        "GET",
        "health/ready",
        Who::Anybody,
        "it serves; names nobody",
        || get(health::ready),
    ),
    route(
        "GET",
        "assets/{file}",
        Who::Anybody,
        "looks and scripts of pages; names nobody",
        || get(assets::show),
    ),
    route(
        "GET",
        "login",
        Who::Anybody,
        "sends a browser to the hub to log in; names nobody",
        || get(login::begin),
    ),
    route(
        "GET",
        "oauth_callback",
        Who::Anybody,
        "where the hub sends it back to; names nobody",
        || get(login::callback),
    ),
    route(
        "POST",
        "logout",
        Who::People,
        "ends the login here; the page that follows leads to the hub's logout",
        || post(login::end),
    ),
    route("GET", "now", Who::Admins, "page: running servers", || {
        get(pages::now::show)
    }),
    route(
        "GET",
        "now/rows",
        Who::Admins,
        "its rows, which refresh by themselves",
        || get(pages::now::rows),
    ),
    route(
        "GET",
        "activity",
        Who::Admins,
        "page: who comes, and how often",
        || get(pages::shells::activity),
    ),
    route(
        "GET",
        "sessions",
        Who::Admins,
        "page: servers that ran",
        || get(pages::shells::sessions),
    ),
    route(
        "GET",
        "groups",
        Who::Owners,
        "page: groups; an owner's are their own",
        || get(pages::groups::list),
    ),
    route(
        "GET",
        "groups/one",
        Who::Owners,
        "page: one group; an owner's are their own",
        || get(pages::groups::one),
    ),
    route("GET", "users", Who::Admins, "page: everybody", || {
        get(pages::users::list)
    }),
    route(
        "GET",
        "users/one",
        Who::Admins,
        "page: one person; kept in `audit`",
        || get(pages::users::one),
    ),
    route(
        "GET",
        "machines",
        Who::Admins,
        "page: what there is, and what of it is used",
        || get(pages::machines::show),
    ),
    route(
        "GET",
        "reports",
        Who::People,
        "page: all reports that one may read",
        || get(pages::reports::list),
    ),
    route(
        "GET",
        "reports/{name}",
        Who::People,
        "page: one report, about what one may see",
        || get(pages::reports::one),
    ),
    route("GET", "checks", Who::Admins, "page: every check", || {
        get(pages::health::show)
    }),
    route("GET", "me", Who::People, "page: oneself", || {
        get(pages::me::show)
    }),
    route(
        "GET",
        "me/share",
        Who::People,
        "part of it: one's share of one's groups, where enough people used something",
        || get(pages::my_share::show),
    ),
    route(
        "POST",
        "me/erasure",
        Who::People,
        "asks for erasure, which administrators see; needs a fresh login",
        || post(pages::me::ask_for_erasure),
    ),
    route(
        "POST",
        "me/erasure/withdraw",
        Who::People,
        "takes that back",
        || post(pages::me::withdraw_erasure),
    ),
    route(
        "GET",
        "parts/{report}",
        Who::People,
        "part of a page: the answer of a report, about what one may see",
        || get(parts::show),
    ),
    route(
        "GET",
        "parts/newest/accounts",
        Who::Admins,
        "part of a page: accounts that came last",
        || get(pages::newest::accounts),
    ),
    route(
        "GET",
        "parts/newest/groups",
        Who::Admins,
        "part of a page: groups that came last",
        || get(pages::newest::groups),
    ),
    route("GET", "shares", Who::Admins, "page: share links", || {
        get(shares::list)
    }),
    route(
        "POST",
        "shares",
        Who::Admins,
        "makes a share link; needs a fresh login",
        || post(shares::make),
    ),
    route(
        "POST",
        "shares/revoke",
        Who::Admins,
        "ends a share link",
        || post(shares::revoke),
    ),
    route(
        "GET",
        "shared/{token}",
        Who::ShareLink,
        "what its maker fixed, aggregates only",
        || get(shares::show),
    ),
    route(
        "GET",
        "shared/{token}/{format}",
        Who::ShareLink,
        "the same as CSV, JSON or Markdown",
        || get(shares::download),
    ),
    route("GET", "api/v1/events", Who::Admins, "events", || {
        get(api::list::list)
    }),
    route(
        "POST",
        "api/v1/events",
        Who::Writers,
        "takes events",
        || post(api::events::take),
    ),
    route(
        "POST",
        "api/v1/metrics/counter",
        Who::Writers,
        "counts",
        || post(api::custom::counter),
    ),
    route(
        "POST",
        "api/v1/metrics/gauge",
        Who::Writers,
        "sets a gauge",
        || post(api::custom::gauge),
    ),
    route(
        "POST",
        "api/v1/metrics/timing",
        Who::Writers,
        "takes a timing",
        || post(api::custom::timing),
    ),
    route(
        "GET",
        "api/v1/reports",
        Who::People,
        "reports that one may read",
        || get(api::reports::list),
    ),
    route(
        "GET",
        "api/v1/reports/{name}",
        Who::People,
        "the answer of a report, about what one may see",
        || get(api::reports::answer),
    ),
    route(
        "GET",
        "api/v1/me",
        Who::People,
        "what is known of oneself",
        || get(api::me::show),
    ),
    route(
        "GET",
        "api/v1/me/sessions/last",
        Who::People,
        "one's last session",
        || get(api::me::last_session),
    ),
    route(
        "GET",
        "api/v1/me/data",
        Who::People,
        "all that is kept about oneself, to download",
        || get(api::me::data),
    ),
    route(
        "POST",
        "api/v1/sql",
        Who::Admins,
        "read-only SQL; needs a fresh login, or a token",
        || post(api::sql::ask),
    ),
    route(
        "GET",
        "api/v1/openapi.json",
        Who::Anybody,
        "what programs may ask; names nobody",
        || get(api::openapi::show),
    ),
];

/// Whether an address below the prefix is a part of a page, which the page's own script asks for.
pub(super) fn is_part(path: &str) -> bool {
    path.starts_with("parts/") || matches!(path, "now/rows" | "me/share")
}

/// The router of all addresses.
pub(super) fn router(site: &Site) -> Router<Site> {
    let prefix = &site.config.web.prefix;
    let mut router = Router::new();
    for route in ROUTES {
        let guarded = || {
            let guard = guard::Guard {
                site: site.clone(),
                who: route.who,
            };
            let mut handler = (route.handler)();
            if squeezed::is_squeezed(route.path) {
                handler = handler.layer(from_fn(squeezed::squeeze));
            }
            handler.layer(from_fn_with_state(guard, guard::check))
        };
        router = router.route(&format!("{prefix}{}", route.path), guarded());
        if route.path.is_empty() && prefix != "/" {
            // The prefix as people type it.
            router = router.route(prefix.trim_end_matches('/'), guarded());
        }
    }
    router
}

/// The table of who may ask for what, as `docs/access.md` has it.
pub fn markdown() -> String {
    let mut text =
        String::from("| address below the prefix | who gets it | what it is |\n|---|---|---|\n");
    for route in ROUTES {
        let path = if route.path.is_empty() {
            "."
        } else {
            route.path
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| `{} {path}` | {} | {} |",
            route.method,
            route.who.told(),
            route.doc
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_address_stands_there_once() {
        let all: BTreeSet<_> = ROUTES
            .iter()
            .map(|route| (route.method, route.path))
            .collect();
        assert_eq!(all.len(), ROUTES.len());
    }

    #[test]
    fn parts_of_pages_are_read_only_and_for_people() {
        let parts: Vec<_> = ROUTES.iter().filter(|route| is_part(route.path)).collect();
        let paths: Vec<_> = parts.iter().map(|route| route.path).collect();
        for path in ["now/rows", "me/share", "parts/{report}"] {
            assert!(paths.contains(&path), "{path}");
        }
        for part in parts {
            assert!(matches!(part.who, Who::People | Who::Admins) && part.method == "GET");
        }
    }

    #[test]
    fn what_is_open_names_nobody() {
        let open = ROUTES.iter().filter(|route| route.who == Who::Anybody);
        let told: Vec<_> = open
            .filter(|route| !route.doc.ends_with("names nobody"))
            .collect();
        assert!(
            told.is_empty(),
            "{:?}",
            told.iter().map(|route| route.path).collect::<Vec<_>>()
        );
    }
}
