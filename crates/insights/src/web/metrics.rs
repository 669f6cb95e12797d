//! The metrics, at the prefix itself and at `metrics` below it.

use super::negotiation::{dialect, encoding};
use super::{Refusal, Site, no_store};
use crate::metrics::exposition::Encoding;
use crate::poll::clock::now;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use std::convert::Infallible;
use std::sync::Arc;

/// `GET metrics`
pub(super) async fn show(
    State(site): State<Site>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (dialect, encoding) = (dialect(&headers), encoding(&headers));
    let (published, own) = (Arc::clone(&site.published), Arc::clone(&site.own));
    // The first gzip scrape compresses, which takes a while for a million series.
    let reply =
        tokio::task::spawn_blocking(move || published.reply(&own, now(), dialect, encoding));
    let reply = match reply.await {
        Ok(reply) => reply,
        // Goes on as the handler's own: counted, and a 500.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => {
            return Err(Refusal::TryLater {
                reason: "the service is stopping",
            });
        }
    };
    let chunks = stream::iter(reply.chunks.into_iter().map(Ok::<_, Infallible>));
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(dialect.content_type()),
    );
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(reply.length_bytes),
    );
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Encoding"),
    );
    if encoding == Encoding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    no_store(&mut response);
    Ok(response)
}
