//! `POST api/v1/sql`: one read-only query over the tables and views, for administrators.

use super::error::ApiError;
use super::list::stream;
use crate::web::visitor::Visitor;
use crate::web::{Site, audit, no_store};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::time::Instant;
use store::{AskError, Format};

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct SqlQuestion {
    /// One `select` over the tables and views that `jupyterhub-insights sql --help` lists.
    sql: String,
    /// How rows are written.
    #[serde(default)]
    format: SqlFormat,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SqlFormat {
    /// An array of objects.
    #[default]
    Json,
    /// An object a line.
    Ndjson,
    /// With a head line.
    Csv,
    /// With types.
    Parquet,
}

/// `POST api/v1/sql`
pub(in crate::web) async fn ask(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    Json(question): Json<SqlQuestion>,
) -> Result<Response, ApiError> {
    if !visitor.is_fresh(Instant::now()) {
        let told = "log in again: SQL needs a login that is at most ten minutes old, or a token";
        return Err(ApiError::Unauthorized(told.to_owned()));
    }
    let asker = site.asker.as_deref();
    let asker = asker.ok_or_else(ApiError::no_history)?;
    let kept = audit::keep(&site, &visitor, &json!({"sql": question.sql})).await;
    kept.map_err(|()| ApiError::Busy("queries are kept, and this one could not be".to_owned()))?;
    let (format, kind) = match question.format {
        SqlFormat::Json => (Format::Json, "application/json"),
        SqlFormat::Ndjson => (Format::Ndjson, "application/x-ndjson"),
        SqlFormat::Csv => (Format::Csv, "text/csv; charset=utf-8"),
        SqlFormat::Parquet => (Format::Parquet, "application/vnd.apache.parquet"),
    };
    let mut written = asker
        .ask(&question.sql, &[], format)
        .await
        .map_err(of_sql)?;
    // What fails at once is an error, not half a file.
    let first = written
        .next()
        .await
        .map_err(|error| of_sql(AskError::Query(error)))?;
    let mut response = Body::from_stream(stream(first, written)).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    no_store(&mut response);
    Ok(response)
}

/// A query that cannot be run is whoever wrote it's to mend.
fn of_sql(error: AskError) -> ApiError {
    use store::QueryError;
    match error {
        AskError::Query(
            error @ (QueryError::Syntax(_) | QueryError::NotAllowed { .. } | QueryError::Failed(_)),
        ) => ApiError::Bad(error.to_string()),
        other => other.into(),
    }
}
