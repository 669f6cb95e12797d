//! `GET api/v1/me…`: what is known of whoever asks.

use super::error::ApiError;
use crate::me::{self, LastSession};
use crate::poll::clock::now;
use crate::web::visitor::Visitor;
use crate::web::{Site, no_store};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;
use store::Value;

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Me {
    /// Their name at the hub.
    name: String,
    /// `user`, `group owner` or `admin`.
    standing: &'static str,
    /// Groups that they look after.
    owns: Vec<String>,
    /// Groups that they are in.
    groups: Vec<String>,
}

/// `GET api/v1/me`
pub(in crate::web) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let viewer = &visitor.viewer;
    let filter = site.config.attribution().filter;
    let snapshot = site.published.snapshot();
    let groups = snapshot.groups.iter().flat_map(|groups| &*groups.value);
    let theirs = groups.filter(|group| {
        filter.allows(&group.name) && group.members.binary_search(&viewer.user).is_ok()
    });
    let reply = Me {
        name: viewer.user.to_string(),
        standing: viewer.standing.as_str(),
        owns: viewer.owns.iter().map(ToString::to_string).collect(),
        groups: theirs.map(|group| group.name.to_string()).collect(),
    };
    let mut response = Json(reply).into_response();
    no_store(&mut response);
    response
}

/// `GET api/v1/me/sessions/last`
pub(in crate::web) async fn last_session(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let asker = site.asker.as_deref();
    let asker = asker.ok_or_else(|| ApiError::Busy("no history is kept here".to_owned()))?;
    let zone = site.config.hub.time_zone();
    let sources = me::Sources {
        hub: &site.config.hub.name,
        zone: &zone,
        asker,
        usage: &site.usage,
        published: &site.published,
        now: now(),
    };
    let found: Option<LastSession> = me::last_session(&sources, &visitor.viewer.user).await?;
    let found = found.ok_or_else(|| ApiError::NotFound("you had no server yet".to_owned()))?;
    let mut response = Json(found).into_response();
    no_store(&mut response);
    Ok(response)
}

/// Tables with rows about a person, by the column that names them.
const TABLES: [(&str, &str); 6] = [
    ("sessions", "user"),
    ("events", "user"),
    ("memberships", "user"),
    ("usage", "user"),
    ("storage", "user"),
    ("user_days", "user"),
];

/// `GET api/v1/me/data`: every row about them, a JSON object a line.
pub(in crate::web) async fn data(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let asker = site.asker.as_deref();
    let asker = asker.ok_or_else(|| ApiError::Busy("no history is kept here".to_owned()))?;
    let params = [
        ("hub", Value::Text(site.config.hub.name.clone())),
        ("user", Value::Text(visitor.viewer.user.to_string())),
    ];
    let mut text = Vec::new();
    for (table, column) in TABLES {
        let sql = format!(
            "select '{table}' as \"table\", * from {table} where hub = $hub and \"{column}\" = $user"
        );
        let mut written = asker.ask(&sql, &params, store::Format::Ndjson).await?;
        while let Some(piece) = written.next().await.map_err(store::AskError::Query)? {
            text.extend(piece);
        }
    }
    let mut response = Body::from(text).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"my-data.ndjson\""),
    );
    no_store(&mut response);
    Ok(response)
}
