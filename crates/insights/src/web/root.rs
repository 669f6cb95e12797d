//! The prefix itself: metrics for a scraper, as the Python exporter serves them; for a browser the
//! dashboard, or what of it is theirs. Where nobody can log in there is a page that says whether the
//! service works, and names nobody.

use super::negotiation::{Wanted, page_or_metrics};
use super::visitor::Visitor;
use super::{Refusal, Site, metrics, no_store, pages};
use crate::metrics::own::{Data, Own, ReadError};
use crate::poll::clock::now;
use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use model::viewer::Standing;

/// No script, no foreign host, no frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// `GET .`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Option<Extension<Visitor>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    if page_or_metrics(&headers) == Wanted::Metrics {
        return metrics::show(State(site), headers).await;
    }
    let Some(Extension(visitor)) = visitor else {
        return Ok(page(&site));
    };
    let below = |path: &str| format!("{}{path}", site.config.web.prefix);
    Ok(match visitor.viewer.standing {
        Standing::Admin => pages::overview::show(&site, &visitor, &query.unwrap_or_default()).await,
        Standing::Owner => Redirect::to(&below("groups")).into_response(),
        Standing::User => Redirect::to(&below("me")).into_response(),
    })
}

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage<'a> {
    hub_name: &'a str,
    prefix: &'a str,
    version: &'static str,
    reads: Vec<ReadStatus>,
}

/// One kind of data, how old it is, and why it is not newer.
struct ReadStatus {
    what: &'static str,
    age: Option<String>,
    error: Option<ReadError>,
}

impl ReadStatus {
    fn of(own: &Own, data: Data) -> Self {
        let seconds = |at| now().duration_since(at).as_secs().max(0);
        Self {
            what: data.as_str(),
            age: own
                .last_complete(data)
                .map(|at| format!("{} s ago", seconds(at))),
            error: own.last_error(data),
        }
    }
}

fn page(site: &Site) -> Response {
    let page = StatusPage {
        hub_name: &site.config.hub.name,
        prefix: &site.config.web.prefix,
        version: env!("CARGO_PKG_VERSION"),
        reads: Data::ALL.map(|data| ReadStatus::of(&site.own, data)).into(),
    };
    let mut response = match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "Could not write the status page.");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    let headers = response.headers_mut();
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    no_store(&mut response);
    response
}
