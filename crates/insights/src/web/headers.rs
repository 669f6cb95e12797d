//! What every reply says to browsers, and the question that they ask before our own script may.

use super::visitor::PAGE_TOKEN;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Of everything that is not a page.
const NOTHING: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// Adds what is not there yet.
///
/// A page of ours is a sandbox, so its script asks as `null`, and is answered for the token of the page
/// alone: without cookies, `null` may read what anybody may.
pub(super) async fn add(request: Request, next: Next) -> Response {
    let asks_first = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_our_script = request.headers().contains_key(PAGE_TOKEN);
    let mut response = if asks_first {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    add(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    add(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    add(header::CONTENT_SECURITY_POLICY, NOTHING);
    if asks_first || is_our_script {
        add(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("null"),
        );
        add(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("retry-after"),
        );
    }
    if asks_first {
        add(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(PAGE_TOKEN),
        );
        add(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("600"),
        );
    }
    response
}
