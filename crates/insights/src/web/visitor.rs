//! Who asks: whose token or cookie comes with a request, and whether it may count.
//!
//! Without `subdomain_host` every user's server shares our origin. A notebook that an administrator
//! opens can send their cookie along, choose the Referer, open our pages and read what comes back. So
//!
//! - the cookie counts only for what a browser opens as a page of its own (`Sec-Fetch-Dest: document`,
//!   which no script can say), asked for by no service worker. Such a page is a sandbox with an origin
//!   of its own, so nobody who opened it can look into it;
//! - what our pages ask for later, and the forms in them, carry the page's token and no cookie. Only
//!   they can know it.
//!
//! `docs/access.md` says what remains.

use super::access::bearer;
use super::session::{FRESH, Session, Word};
use super::{Access, Refusal, Site};
use crate::config::Secret;
use crate::hub::{Identity, OAuthClient};
use axum::http::{HeaderMap, header};
use model::names::{GroupName, UserName};
use model::viewer::{Authority, Viewer};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use url::Url;

/// The header in which our pages send their token.
pub(super) const PAGE_TOKEN: &str = "x-insights-page";

/// Somebody who may be here.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// Who it is, and what they may see.
    pub(super) viewer: Viewer,
    /// Of a browser; a program with a token has none.
    pub(super) session: Option<Arc<Session>>,
    /// Whether the hub has said who looks after which group. A service that starts goes on with the groups of
    /// its history, which does not say it.
    pub(super) owners_known: bool,
}

/// What somebody is told who may look after a group, where that is not known yet.
pub(super) const OWNERS_UNKNOWN: &str =
    "who looks after groups is not known yet: the hub's groups are still to be read";

/// Why nobody is let in.
#[derive(Debug)]
pub(super) enum NotIn {
    /// Nobody is logged in, or not any more.
    LoggedOut,
    /// The cookie may not count here: a script asked, and not a person.
    FromElsewhere,
    /// The browser does not say who asked.
    FromAnywhere,
    /// They may not open this service.
    NotAllowed,
    /// The hub cannot be asked, or too much was asked.
    TryLater(&'static str),
    /// They may look after a group; the hub has not said yet.
    OwnersUnknown,
}

/// What a request has to show.
pub(super) enum Proof<'a> {
    /// A token of the hub.
    Token(Secret),
    /// The token of a page of ours.
    PageToken(Cow<'a, str>),
    /// At most a cookie.
    Cookie,
}

impl<'a> Proof<'a> {
    /// What stands in the head of a request.
    pub(super) fn in_head(headers: &'a HeaderMap) -> Self {
        if let Some(token) = bearer(headers) {
            return Self::Token(token);
        }
        let token = headers.get(PAGE_TOKEN);
        match token.and_then(|value| value.to_str().ok()) {
            Some(token) => Self::PageToken(token.into()),
            None => Self::Cookie,
        }
    }
}

impl From<Refusal> for NotIn {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forbidden(_) => Self::NotAllowed,
            Refusal::TryLater { reason } => Self::TryLater(reason),
        }
    }
}

impl Visitor {
    /// Whether they logged in so lately that they may do what cannot be undone. Whoever sends a token
    /// has it at hand.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        let begun = self.session.as_ref().map(|session| session.begun());
        begun.is_none_or(|begun| now.duration_since(begun) < FRESH)
    }

    /// What our pages send along.
    pub(super) fn page_token(&self) -> &str {
        let session = self.session.as_ref();
        session.map_or("", |session| session.page_token().expose())
    }
}

/// Finds out who asks.
pub(super) async fn of(
    site: &Site,
    headers: &HeaderMap,
    proof: Proof<'_>,
) -> Result<Visitor, NotIn> {
    let session = match proof {
        Proof::Token(token) => {
            let identity = site.tokens.identity(site, &token).await?;
            return with_token(site, &*identity.ok_or(NotIn::NotAllowed)?);
        }
        Proof::PageToken(token) => site.sessions.of_page(&token),
        Proof::Cookie => {
            let session = site.sessions.get(cookie(site, headers).unwrap_or_default());
            if session.is_some() {
                is_opened_by_a_person(site, headers)?;
            }
            session
        }
    };
    let session = session.ok_or(NotIn::LoggedOut)?;
    match session.ask(&site.hub).await {
        Word::LoggedIn(identity) => of_session(site, session, &identity),
        Word::LoggedOut => {
            site.sessions.end(&session);
            Err(NotIn::LoggedOut)
        }
        Word::Unknown => Err(NotIn::TryLater("the hub does not answer")),
    }
}

fn of_session(site: &Site, session: Arc<Session>, identity: &Identity) -> Result<Visitor, NotIn> {
    if !may_open(site, identity) {
        return Err(NotIn::NotAllowed);
    }
    let is_admin = identity.admin
        || holds_admin_scope(site, identity)
        || is_in_admin_group(site, &identity.name);
    Ok(visitor(
        site,
        &identity.name,
        authority(is_admin),
        Some(session),
    ))
}

/// The id in the cookie of this browser.
pub(super) fn cookie<'a>(site: &Site, headers: &'a HeaderMap) -> Option<&'a str> {
    let name = cookie_name(site);
    let found = cookies(headers).find(|(known, _)| *known == name);
    found.map(|(_, id)| id)
}

/// A token may be good for less than its owner is, so only its scopes make an administrator: neither what
/// its owner is at the hub nor their groups.
fn with_token(site: &Site, identity: &Identity) -> Result<Visitor, NotIn> {
    let is_admin = identity.has_scope("admin:users") || holds_admin_scope(site, identity);
    let is_user = identity.kind == "user" && may_open(site, identity);
    if !is_admin && !is_user {
        return Err(NotIn::NotAllowed);
    }
    Ok(visitor(site, &identity.name, authority(is_admin), None))
}

fn authority(is_admin: bool) -> Authority {
    if is_admin {
        Authority::Administrator
    } else {
        Authority::Ordinary
    }
}

/// Whether they hold a scope that opens this service.
fn may_open(site: &Site, identity: &Identity) -> bool {
    let scopes = &site.config.login.scopes;
    if scopes.is_empty() {
        let client = site.config.login.client_id.as_deref().unwrap_or_default();
        let name = client.strip_prefix("service-").unwrap_or(client);
        let own = format!("access:services!service={name}");
        return identity.has_scope("access:services") || identity.has_scope(&own);
    }
    scopes.iter().any(|scope| identity.has_scope(scope))
}

fn holds_admin_scope(site: &Site, identity: &Identity) -> bool {
    let mut scopes = site.config.access.admin_scopes.iter();
    scopes.any(|scope| identity.has_scope(scope))
}

/// Whether they are in a group whose members are administrators here.
fn is_in_admin_group(site: &Site, name: &str) -> bool {
    let user = UserName::from(name);
    let snapshot = site.published.snapshot();
    let mut groups = snapshot.groups.iter().flat_map(|groups| &*groups.value);
    groups.any(|group| {
        let mut of_admins = site.config.access.admin_groups.iter();
        of_admins.any(|name| *name == *group.name.as_str())
            && group.members.binary_search(&user).is_ok()
    })
}

/// What somebody may see follows from groups as they are now.
fn visitor(
    site: &Site,
    name: &str,
    authority: Authority,
    session: Option<Arc<Session>>,
) -> Visitor {
    let user = UserName::from(name);
    let config = &site.config.access;
    let snapshot = site.published.snapshot();
    let groups = snapshot.groups.as_ref().map(|groups| &*groups.value);
    let owners_known =
        groups.is_some_and(|groups| groups.iter().all(|group| group.owners.is_some()));
    // Owners were checked when the configuration was loaded.
    let configured = config.owners().unwrap_or_default();
    let filter = site.config.attribution().filter;
    let mut owns: BTreeSet<GroupName> = BTreeSet::new();
    for group in groups.unwrap_or_default() {
        let owners = group.owners.as_deref().unwrap_or_default();
        let is_owner = owners.binary_search(&user).is_ok();
        let mut by_configuration = configured.iter();
        let is_configured =
            by_configuration.any(|owner| owner.group == group.name.as_str() && owner.user == name);
        if (is_configured || is_owner) && filter.allows(&group.name) {
            owns.insert(group.name.clone());
        }
    }
    Visitor {
        viewer: Viewer::new(user, authority, owns),
        session,
        owners_known,
    }
}

/// Whether the cookie counts: the browser opens a page, and no script asked for it.
fn is_opened_by_a_person(site: &Site, headers: &HeaderMap) -> Result<(), NotIn> {
    if site.access == Access::OwnPort {
        return Err(NotIn::LoggedOut);
    }
    match Opener::of(headers) {
        Opener::Browser => Ok(()),
        Opener::Script => Err(NotIn::FromElsewhere),
        Opener::NotTold if site.config.access.trust_all_scripts => Ok(()),
        Opener::NotTold => Err(NotIn::FromAnywhere),
    }
}

/// Who gets to read the answer first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// The browser, which shows it as a page.
    Browser,
    /// A script, or a page around it.
    Script,
    /// Old browsers do not say, and none does where the hub is not https: it could be anything.
    NotTold,
}

impl Opener {
    /// As the browser says it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // A service worker of a user's server may get hold of what the browser asks for on its behalf.
        if headers.contains_key("service-worker-navigation-preload") {
            return Self::Script;
        }
        match (text("sec-fetch-dest"), text("sec-fetch-mode")) {
            (Some("document"), Some("navigate")) => Self::Browser,
            (None, None) => Self::NotTold,
            _ => Self::Script,
        }
    }
}

/// Names and values of all cookies.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let all = headers.get_all(header::COOKIE).iter();
    let all = all.filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('='))
}

/// Of this service at this hub: another port of the same host gets the same cookies.
pub(super) fn cookie_name(site: &Site) -> String {
    let hub = site.config.hub.url.as_ref().map(Url::as_str);
    let client = site.config.login.client_id.as_deref();
    let mut hash = Sha256::new();
    for part in [
        hub.unwrap_or_default(),
        client.unwrap_or_default(),
        &site.config.web.prefix,
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    let digits = digest.iter().take(4).map(|byte| format!("{byte:02x}"));
    format!("insights-{}", digits.collect::<String>())
}

/// How the browser speaks to whoever is in front of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    /// Also where somebody in front of us ends it.
    Https,
}

impl Scheme {
    /// Of this request, as its head or the addresses in the configuration say it.
    pub(super) fn of(site: &Site, headers: &HeaderMap) -> Self {
        let forwarded = headers.get("x-forwarded-proto");
        let forwarded = forwarded.and_then(|value| value.to_str().ok());
        // The first is the browser's.
        let is_forwarded = forwarded
            .and_then(|value| value.split(',').next())
            .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
        let client = site.login.as_ref();
        if is_forwarded || client.is_some_and(OAuthClient::is_https) {
            Self::Https
        } else {
            Self::Http
        }
    }

    /// What a cookie has to say, so that it never goes over http.
    pub(super) fn cookie_attribute(self) -> &'static str {
        match self {
            Self::Http => "",
            Self::Https => "; Secure",
        }
    }
}
