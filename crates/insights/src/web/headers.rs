//! What every reply says to browsers, and the question that they ask before our own script may.

use super::Site;
use super::routes::is_part;
use super::visitor::PAGE_TOKEN;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Of everything that is not a page.
const NOTHING: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// Adds what is not there yet.
pub(super) async fn add(State(site): State<Site>, request: Request, next: Next) -> Response {
    let ours = OfOurScript::of(&site, &request);
    let mut response = match ours {
        Some(OfOurScript::MayIAsk) => StatusCode::NO_CONTENT.into_response(),
        Some(OfOurScript::Question) | None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let fixed = [
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::CONTENT_SECURITY_POLICY, NOTHING),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(value);
    }
    if let Some(ours) = ours {
        ours.answer(headers);
    }
    response
}

/// A request that the script of a page of ours may have sent, and nothing else that a browser asks for.
///
/// A page of ours is a sandbox, so its script asks as `null`. So may the script of any site in the
/// world, in a browser within the network of the hub. It is answered for parts of pages only, which
/// are for whoever has the token of a page: never for what is open to that network, such as metrics
/// on a port of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OfOurScript {
    /// The browser asks first whether the script may send the token.
    MayIAsk,
    /// The script asks.
    Question,
}

impl OfOurScript {
    fn of(site: &Site, request: &Request) -> Option<Self> {
        let below = request.uri().path().strip_prefix(&site.config.web.prefix);
        if !site.is_behind_the_hub() || !below.is_some_and(is_part) {
            return None;
        }
        let headers = request.headers();
        let asks_first = *request.method() == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if asks_first {
            return Some(Self::MayIAsk);
        }
        let has_token = headers.contains_key(PAGE_TOKEN);
        has_token.then_some(Self::Question)
    }

    fn answer(self, headers: &mut HeaderMap) {
        let mut say = |name: HeaderName, value: &'static str| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        say(header::ACCESS_CONTROL_ALLOW_ORIGIN, "null");
        match self {
            Self::MayIAsk => {
                say(header::ACCESS_CONTROL_ALLOW_HEADERS, PAGE_TOKEN);
                say(header::ACCESS_CONTROL_MAX_AGE, "600");
            }
            Self::Question => say(header::ACCESS_CONTROL_EXPOSE_HEADERS, "retry-after"),
        }
    }
}
