//! Stands before every handler: lets in whom [`super::routes::ROUTES`] names, and turns others away
//! with a page for a browser, and with JSON or a line of text for a program.

use super::routes::is_part;
use super::visitor::{self, NotIn, OWNERS_UNKNOWN, Proof, Scheme, Visitor};
use super::{Refusal, Site, access, login, pages};
use crate::web::negotiation::{Wanted, page_or_metrics};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use model::viewer::Standing;

/// Largest form that is read.
const FORM_BYTES: usize = 64 << 10;

/// Who gets an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody: it names nobody.
    Anybody,
    /// Whoever may read metrics that name people.
    Scrapers,
    /// The same, or whoever is logged in, by what they ask for.
    ScrapersAndPeople,
    /// Whoever may send events.
    Writers,
    /// Whoever is logged in.
    People,
    /// Owners of a group, and administrators.
    Owners,
    /// Administrators.
    Admins,
    /// Whoever has the link.
    ShareLink,
}

impl Who {
    /// As in the table of who may see what.
    pub fn told(self) -> &'static str {
        match self {
            Self::Anybody => "everybody",
            Self::Scrapers => "a scraper with a token, see below; open on a port of its own",
            Self::ScrapersAndPeople => "a scraper with a token; people who are logged in",
            Self::Writers => "a token that may write, see [events.md](events.md)",
            Self::People => "people who are logged in",
            Self::Owners => "group owners and admins",
            Self::Admins => "admins",
            Self::ShareLink => "whoever has a share link that is still good",
        }
    }

    /// What somebody who is logged in must be at least; nobody needs to be for the rest.
    fn standing(self) -> Option<Standing> {
        match self {
            Self::People | Self::ScrapersAndPeople => Some(Standing::User),
            Self::Owners => Some(Standing::Owner),
            Self::Admins => Some(Standing::Admin),
            Self::Anybody | Self::Scrapers | Self::Writers | Self::ShareLink => None,
        }
    }
}

/// What one guard knows.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) site: Site,
    pub(super) who: Who,
}

/// Lets a request through, or not.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Guard { site, who } = guard;
    let headers = request.headers().clone();
    let is_page = page_or_metrics(&headers) == Wanted::Page;
    match who {
        Who::Anybody | Who::ShareLink => next.run(request).await,
        Who::Scrapers => match access::may_read_names(&site, &headers).await {
            Ok(()) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        },
        Who::ScrapersAndPeople if !is_page => match access::may_read_names(&site, &headers).await {
            Ok(()) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        },
        Who::ScrapersAndPeople if site.login.is_none() || !site.is_behind_the_hub() => {
            // The page that names nobody.
            next.run(request).await
        }
        Who::Writers => match access::may_write_events(&site, &headers).await {
            Ok(()) => next.run(request).await,
            Err(refusal) => api_refusal(refusal),
        },
        Who::ScrapersAndPeople | Who::People | Who::Owners | Who::Admins => {
            let needed = who.standing().unwrap_or(Standing::Admin);
            match let_in(&site, request, needed).await {
                Ok(request) => next.run(request).await,
                Err(response) => *response,
            }
        }
    }
}

fn api_refusal(refusal: Refusal) -> Response {
    super::api::refused(refusal)
}

/// The request with who asks, or the answer that turns it away.
async fn let_in(site: &Site, request: Request, needed: Standing) -> Result<Request, Box<Response>> {
    let asking = Asking::of(site, &request);
    let (mut request, in_form) = form_token(request).await;
    let proof = match (Proof::in_head(request.headers()), in_form) {
        (Proof::Cookie, Some(token)) => Proof::PageToken(token.into()),
        (proof, _) => proof,
    };
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let visitor = match proof {
        // Nothing but the token of a page tells our own form from one of a user's server.
        Proof::Cookie if !is_reading => Err(NotIn::FromElsewhere),
        proof => visitor::of(site, request.headers(), proof).await,
    };
    let visitor = match visitor {
        Ok(visitor) => visitor,
        Err(reason) => return Err(Box::new(asking.away(site, &reason))),
    };
    if visitor.viewer.standing < needed && needed == Standing::Owner && !visitor.owners_known {
        return Err(Box::new(asking.away(site, &NotIn::OwnersUnknown)));
    }
    if visitor.viewer.standing < needed {
        return Err(Box::new(asking.forbidden(site, &visitor, needed)));
    }
    request.extensions_mut().insert(visitor);
    Ok(request)
}

/// The request with its body still to be read, and the token of our page in its form.
async fn form_token(request: Request) -> (Request, Option<String>) {
    if request.method() != Method::POST || !is_form(request.headers()) {
        return (request, None);
    }
    let (head, body) = request.into_parts();
    // One that is larger is none of ours.
    let body = axum::body::to_bytes(body, FORM_BYTES)
        .await
        .unwrap_or_default();
    let mut fields = url::form_urlencoded::parse(&body);
    let token = fields.find(|(name, _)| name == "page_token");
    let token = token.map(|(_, token)| token.into_owned());
    (Request::from_parts(head, Body::from(body)), token)
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    kind.starts_with("application/x-www-form-urlencoded")
}

/// Who reads the answer, and of what.
struct Asking {
    reader: Reader,
    /// Whether the script of a page of ours asks.
    is_our_script: bool,
    /// Path and query, to come back to.
    target: String,
    scheme: Scheme,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// A page that a person opened.
    Person,
    /// Our own script, or somebody's program.
    Program,
}

impl Asking {
    fn of(site: &Site, request: &Request) -> Self {
        let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
        let target = request.uri().path_and_query().filter(|_| is_reading);
        let prefix = site.config.web.prefix.as_str();
        let target = target.map_or(prefix, |target| target.as_str()).to_owned();
        let below = request
            .uri()
            .path()
            .strip_prefix(site.config.web.prefix.as_str());
        let is_for_programs = below.is_some_and(|path| path.starts_with("api/") || is_part(path));
        let is_page = page_or_metrics(request.headers()) == Wanted::Page;
        let reader = if is_page && !is_for_programs {
            Reader::Person
        } else {
            Reader::Program
        };
        Self {
            reader,
            is_our_script: request.headers().contains_key(visitor::PAGE_TOKEN),
            target,
            scheme: Scheme::of(site, request.headers()),
        }
    }

    fn away(&self, site: &Site, reason: &NotIn) -> Response {
        match (self.reader, reason) {
            (Reader::Person, NotIn::LoggedOut) if site.login.is_some() => {
                login::redirect_to_login(site, self.scheme, &self.target)
            }
            (Reader::Person, NotIn::OwnersUnknown) => {
                pages::message::too_early(site, reason.told())
            }
            (Reader::Person, NotIn::TryLater(_)) => pages::message::show(
                site,
                StatusCode::SERVICE_UNAVAILABLE,
                "The hub does not answer",
                "Whether you are logged in can only be asked there. Try again in a minute.",
            ),
            (Reader::Person, _) => pages::message::show(
                site,
                StatusCode::FORBIDDEN,
                "This page cannot be shown here",
                reason.told(),
            ),
            (Reader::Program, NotIn::TryLater(_) | NotIn::OwnersUnknown) => {
                api_refusal(Refusal::TryLater {
                    reason: reason.told(),
                })
            }
            // Our own script leads to the login.
            (Reader::Program, NotIn::LoggedOut) if self.is_our_script => {
                super::api::unauthorized(reason.told())
            }
            (Reader::Program, reason) => super::api::forbidden(reason.told()),
        }
    }

    fn forbidden(&self, site: &Site, visitor: &Visitor, needed: Standing) -> Response {
        let told = match needed {
            Standing::Admin => "this names people: it is for administrators only",
            _ => "this is for those who look after a group, and for administrators",
        };
        match self.reader {
            Reader::Person => pages::message::not_theirs(site, visitor, told),
            Reader::Program => super::api::forbidden(told),
        }
    }
}

impl NotIn {
    fn told(&self) -> &'static str {
        match self {
            Self::FromElsewhere => {
                "this was not asked for by a person or a page of this service: open it anew"
            }
            Self::FromAnywhere => {
                "this browser does not say whether a person or a script opens a page, so anybody's \
                 notebook could read it: open the hub by https, or see access.trust_all_scripts"
            }
            Self::LoggedOut | Self::NotAllowed => {
                "this names people: send a hub token with the scope access:services!service=NAME of \
                 this service, or one of an administrator (scope admin:users), as Authorization: \
                 Bearer TOKEN"
            }
            Self::TryLater(reason) => reason,
            Self::OwnersUnknown => OWNERS_UNKNOWN,
        }
    }
}
