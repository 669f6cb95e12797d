//! Parts of pages, and what pages look like, as gzip for who takes it: tables and pictures are mostly
//! repetition.
//!
//! A page itself is sent as it is: it holds its token beside words of an address that anybody may have
//! made up, and how well both go together would tell the one who made it up of the other.

use super::negotiation::encoding;
use crate::metrics::exposition::Encoding;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// Shorter ones are not worth it.
const LEAST_BYTES: usize = 1 << 10;

/// Whether replies of this address are squeezed.
pub(super) fn is_squeezed(path: &str) -> bool {
    super::routes::is_part(path) || path.starts_with("assets/")
}

/// Squeezes a reply that is whole in memory.
pub(super) async fn squeeze(request: Request, next: Next) -> Response {
    let takes_gzip = encoding(request.headers()) == Encoding::Gzip;
    let mut response = next.run(request).await;
    response.headers_mut().append(
        header::VARY,
        HeaderValue::from_name(header::ACCEPT_ENCODING),
    );
    if !takes_gzip {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // Made at once, and so without an end that is missing.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let squeezed = (bytes.len() >= LEAST_BYTES).then(|| gzip(&bytes));
    let Some(Ok(squeezed)) = squeezed else {
        return Response::from_parts(head, Body::from(bytes));
    };
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(head, Body::from(squeezed))
}

fn gzip(bytes: &Bytes) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    gzip.write_all(bytes)?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use flate2::read::GzDecoder;
    use std::io::Read as _;
    use tower::ServiceExt as _;

    async fn reply(path: &str, accepts: &str) -> Response {
        let router = Router::new()
            .route("/long", get(|| async { "a row ".repeat(1000) }))
            .route("/short", get(|| async { "a row" }))
            .layer(from_fn(squeeze));
        let request = Request::get(path)
            .header(header::ACCEPT_ENCODING, accepts)
            .body(Body::empty());
        router.oneshot(request.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn long_replies_are_squeezed_for_who_takes_it() {
        let squeezed = reply("/long", "gzip, br").await;
        assert_eq!(squeezed.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(squeezed.headers()[header::VARY], "accept-encoding");
        let bytes = to_bytes(squeezed.into_body(), usize::MAX).await.unwrap();
        assert!(bytes.len() < 100, "{}", bytes.len());
        let mut text = String::new();
        GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a row ".repeat(1000));
        for (path, accepts) in [("/long", "identity"), ("/short", "gzip")] {
            let plain = reply(path, accepts).await;
            assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
            let bytes = to_bytes(plain.into_body(), usize::MAX).await.unwrap();
            assert!(bytes.starts_with(b"a row"), "{path}");
        }
    }
}
