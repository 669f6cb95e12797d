//! `GET api/v1/me…`: what is known of whoever asks.

use super::error::ApiError;
use crate::ask::Asker;
use crate::web::visitor::Visitor;
use crate::web::{Site, no_store};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use model::names::{GroupName, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;
use store::{AskError, Format, Value, Written};

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
    let groups = site.groups_of(&viewer.user).into_iter();
    let reply = Me {
        name: viewer.user.to_string(),
        standing: viewer.standing.as_str(),
        owns: viewer.owns.iter().map(ToString::to_string).collect(),
        groups: groups.map(|group| group.name.to_string()).collect(),
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
    let found = site.last_session(&visitor.viewer.user).await;
    let found = found.ok_or_else(ApiError::no_history)??;
    let found = found.ok_or_else(|| ApiError::NotFound("you had no server yet".to_owned()))?;
    let mut response = Json(found).into_response();
    no_store(&mut response);
    Ok(response)
}

/// `GET api/v1/me/data`: every row about them, a JSON object a line, as they come.
pub(in crate::web) async fn data(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let asker = site.asker.clone();
    let asker = asker.ok_or_else(ApiError::no_history)?;
    let mut data = Data::of(&site, asker, &visitor.viewer.user).await?;
    // What fails at once is an error, not half a file.
    let first = data.next().await?;
    let rows = futures::stream::try_unfold((first, data), async |(first, mut data)| {
        let piece = match first {
            Some(piece) => Some(piece),
            None => data.next().await.inspect_err(|error| {
                tracing::warn!("The rows about a person were cut off: {error}");
            })?,
        };
        Ok::<_, AskError>(piece.map(|piece| (piece, (None, data))))
    });
    let mut response = Body::from_stream(rows).into_response();
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

/// Tables with rows about a person, and which of their rows are.
const TABLES: [(&str, &str); 8] = [
    ("sessions", "\"user\" = $user"),
    ("running_sessions", "\"user\" = $user"),
    ("events", "\"user\" = $user"),
    ("memberships", "\"user\" = $user"),
    ("usage", "\"user\" = $user"),
    ("storage", "\"user\" = $user"),
    ("user_days", "\"user\" = $user"),
    // Who looked at them.
    ("audit", "json_get_str(what, 'user') = $user"),
];

/// The rows about a person, table by table.
struct Data {
    asker: Arc<Asker>,
    questions: std::vec::IntoIter<Question>,
    written: Option<Written>,
}

struct Question {
    sql: String,
    params: Vec<(String, Value)>,
}

impl Data {
    async fn of(site: &Site, asker: Arc<Asker>, user: &UserName) -> Result<Self, AskError> {
        let params = vec![
            ("hub".to_owned(), Value::Text(site.config.hub.name.clone())),
            ("user".to_owned(), Value::Text(user.to_string())),
        ];
        let mut questions: Vec<Question> = Vec::new();
        for (table, condition) in TABLES {
            let mut question = Question {
                sql: format!(
                    "select '{table}' as \"table\", * from {table} where hub = $hub and {condition}"
                ),
                params: params.clone(),
            };
            if table == "memberships" {
                question.leave_out(&hidden_groups(site, &asker, &params).await?);
            }
            questions.push(question);
        }
        Ok(Self {
            asker,
            questions: questions.into_iter(),
            written: None,
        })
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, AskError> {
        loop {
            if let Some(written) = &mut self.written {
                let piece = written.next().await.map_err(AskError::Query)?;
                if piece.is_some() {
                    return Ok(piece);
                }
            }
            let Some(question) = self.questions.next() else {
                return Ok(None);
            };
            self.written = Some(question.ask(&self.asker).await?);
        }
    }
}

impl Question {
    fn leave_out(&mut self, groups: &[String]) {
        for (n, group) in groups.iter().enumerate() {
            // Writing into a text does not fail.
            let _ = write!(self.sql, " and \"group\" <> $group{n}");
            let value = Value::Text(group.clone());
            self.params.push((format!("group{n}"), value));
        }
    }

    async fn ask(&self, asker: &Asker) -> Result<Written, AskError> {
        let params = self.params.iter();
        let params: Vec<(&str, Value)> = params
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        asker.ask(&self.sql, &params, Format::Ndjson).await
    }
}

/// Groups of theirs that must not be known any more, also to those who were in them.
async fn hidden_groups(
    site: &Site,
    asker: &Asker,
    params: &[(String, Value)],
) -> Result<Vec<String>, AskError> {
    let question = Question {
        sql: "select distinct \"group\" from memberships where hub = $hub and \"user\" = $user"
            .to_owned(),
        params: params.to_vec(),
    };
    let mut written = question.ask(asker).await?;
    let mut text = Vec::new();
    while let Some(piece) = written.next().await.map_err(AskError::Query)? {
        text.extend(piece);
    }
    let filter = site.config.attribution().filter;
    let rows = text.split(|&byte| byte == b'\n');
    let rows = rows.filter_map(|line| serde_json::from_slice::<OfGroup>(line).ok());
    let hidden = rows.filter(|row| !filter.allows(&GroupName::from(row.group.as_str())));
    Ok(hidden.map(|row| row.group).collect())
}

#[derive(Deserialize)]
struct OfGroup {
    group: String,
}
