//! What stands around every page, and the head of its reply.

use super::view::{Layout, Link, NavItem, Notice, Tone, VisitorName};
use crate::metrics::own::Data;
use crate::poll::clock::now;
use crate::web::visitor::Visitor;
use crate::web::{Site, no_store};
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use model::viewer::Standing;

/// What a page of ours may do. It is a sandbox with an origin of its own: without `subdomain_host` the
/// servers of all users share ours, and could look into a page that they have opened.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     sandbox allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads \
     allow-top-navigation-by-user-activation";

/// Minutes after which a hub that was not read is told of above every page.
const STALE_MINUTES: i64 = 10;

/// Who looks at which page.
#[derive(Clone, Copy)]
pub(in crate::web) struct Frame<'a> {
    pub(in crate::web) site: &'a Site,
    /// Nobody on pages that name nobody, and behind share links.
    pub(in crate::web) visitor: Option<&'a Visitor>,
    /// Path of the page in the navigation, below the prefix.
    pub(in crate::web) path: &'a str,
}

/// A page in the navigation, and who sees it.
struct NavPage {
    path: &'static str,
    label: &'static str,
    least: Standing,
}

const fn nav(path: &'static str, label: &'static str, least: Standing) -> NavPage {
    NavPage { path, label, least }
}

/// In their order. Costs and quotas will stand before the reports.
const PAGES: [NavPage; 10] = [
    nav("", "Overview", Standing::Admin),
    nav("now", "Now", Standing::Admin),
    nav("activity", "Activity", Standing::Admin),
    nav("sessions", "Sessions", Standing::Admin),
    nav("groups", "Groups", Standing::Owner),
    nav("users", "Users", Standing::Admin),
    nav("machines", "Machines", Standing::Admin),
    nav("reports", "Reports", Standing::User),
    nav("checks", "Health", Standing::Admin),
    nav("me", "Me", Standing::User),
];

impl Frame<'_> {
    /// With this heading and this sentence below it.
    pub(in crate::web) fn layout(
        self,
        title: impl Into<String>,
        intro: impl Into<String>,
    ) -> Layout {
        let site = self.site;
        let prefix = site.config.web.prefix.clone();
        let client = site.login.as_ref();
        let visitor = self.visitor.map(|visitor| VisitorName {
            name: visitor.viewer.user.to_string(),
            role: match visitor.viewer.standing {
                Standing::User => String::new(),
                standing => standing.as_str().to_owned(),
            },
            logout_href: format!("{prefix}logout"),
        });
        Layout {
            title: title.into(),
            intro: intro.into(),
            hub_name: site.config.hub.name.clone(),
            hub_href: match (self.visitor, client) {
                (Some(_), Some(client)) => format!("{}home", client.hub()),
                _ => String::new(),
            },
            login_href: match self.visitor {
                Some(_) => format!("{prefix}login"),
                None => String::new(),
            },
            page_token: self.visitor.map_or("", Visitor::page_token).to_owned(),
            nav: self.nav(&prefix),
            zone: self.visitor.map_or(String::new(), |_| zone(site)),
            links: self.links(&prefix),
            notices: self.notices(),
            prefix,
            visitor,
        }
    }

    fn nav(self, prefix: &str) -> Vec<NavItem> {
        let Some(visitor) = self.visitor else {
            return Vec::new();
        };
        let seen = PAGES
            .iter()
            .filter(|page| visitor.viewer.standing >= page.least);
        let items = seen.map(|page| NavItem {
            label: page.label.to_owned(),
            href: format!("{prefix}{}", page.path),
            is_current: page.path == self.path,
        });
        items.collect()
    }

    fn links(self, prefix: &str) -> Vec<Link> {
        let standing = self.visitor.map(|visitor| visitor.viewer.standing);
        let mut links = Vec::new();
        if standing == Some(Standing::Admin) {
            links.push(Link::new("Share links", format!("{prefix}shares")));
        }
        if standing.is_some() {
            links.push(Link::new("API", format!("{prefix}api/v1/openapi.json")));
        }
        links
    }

    /// Old data are told to whoever would take them for new.
    fn notices(self) -> Vec<Notice> {
        if self.visitor.is_none() {
            return Vec::new();
        }
        let last = self.site.own.last_complete(Data::Servers);
        let minutes = last.map(|at| now().duration_since(at).as_mins());
        let text = match minutes {
            Some(minutes) if minutes < STALE_MINUTES => return Vec::new(),
            Some(minutes) => format!(
                "The hub was last read {minutes} minutes ago; what is shown of the present is as old."
            ),
            None => "The hub was not read yet; what is shown of the present is empty.".to_owned(),
        };
        vec![Notice::new(Tone::Warning, text)]
    }
}

/// The zone in which the hub's days are cut, for whoever reads moments in their own.
fn zone(site: &Site) -> String {
    let zone = site.config.hub.time_zone();
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// A page as a reply.
pub(in crate::web) fn html(status: StatusCode, page: &impl Template) -> Response {
    let mut response = match page.render() {
        Ok(text) => (status, axum::response::Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "A page could not be written.");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
        }
    };
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept, Cookie"));
    no_store(&mut response);
    response
}
