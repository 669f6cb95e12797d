//! Style sheets and scripts of pages: our own files, and no others.

use crate::chart;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Their addresses change with them.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=604800");

/// `GET assets/{file}`
pub(super) async fn show(Path(file): Path<String>) -> Response {
    const CSS: &str = "text/css; charset=utf-8";
    const JS: &str = "text/javascript; charset=utf-8";
    let (kind, text) = match file.as_str() {
        "insights.css" => (CSS, include_str!("pages/insights.css")),
        "insights.js" => (JS, include_str!("pages/insights.js")),
        "chart.css" => (CSS, chart::page_parts().css),
        "chart.js" => (JS, chart::page_parts().js),
        _ => return (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    };
    let kind = HeaderValue::from_static(kind);
    let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)];
    (head, text).into_response()
}
