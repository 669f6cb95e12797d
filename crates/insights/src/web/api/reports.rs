//! `GET api/v1/reports` and `GET api/v1/reports/{name}`: which questions there are, and their answers.
//!
//! Every answer carries its definition, its source and the age of the data.

use super::asked::{Asked, Page};
use super::error::ApiError;
use crate::answers::{AnswerError, Answers, Pending, Request};
use crate::config::Config;
use crate::report::{self, ColumnOfReply, NoPicture, Reply, ReportFormat};
use crate::web::sight::{self, Shown};
use crate::web::visitor::Visitor;
use crate::web::{Site, audit, no_store};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use store::QueryError;
use store::report::{Answer, Definition, ReportError};

/// All reports.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct List {
    /// In the order of the table of contents.
    reports: Vec<Listed>,
}

/// A report as the list has it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed {
    /// In addresses and commands.
    name: String,
    /// As a heading.
    title: String,
    /// Part of the table of contents.
    section: String,
    /// What it answers.
    question: String,
    /// How its figures are defined.
    definition: String,
    /// Filters that it knows beside `hub`.
    filters: Vec<String>,
    /// What may be chosen.
    parameters: Vec<ListedParameter>,
    /// What its rows hold.
    columns: Vec<ColumnOfReply>,
}

/// What may be chosen of a report.
#[derive(Debug, Serialize, JsonSchema)]
struct ListedParameter {
    /// As in `by=week`.
    name: String,
    /// Without a choice.
    default: String,
    /// What it does.
    description: String,
}

impl Listed {
    fn of(report: &Definition) -> Self {
        let parameters = report.parameters.iter().map(|parameter| ListedParameter {
            name: parameter.name.clone(),
            default: parameter.default.clone(),
            description: parameter.doc.clone(),
        });
        Self {
            name: report.name.clone(),
            title: report.title.clone(),
            section: report.section.to_string(),
            question: report.question.clone(),
            definition: report.definition.clone(),
            filters: report.scope.iter().map(ToString::to_string).collect(),
            parameters: parameters.collect(),
            columns: report.columns.iter().map(ColumnOfReply::from).collect(),
        }
    }
}

/// All reports, in the order of the table of contents.
pub(in crate::web) async fn list(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let registry = answers(&site)?.registry().await;
    let all = registry.all().into_iter();
    let access = &site.config.access;
    let all = all.filter(|report| sight::may_ask(&visitor.viewer, access, report));
    let reports = all.map(|report| Listed::of(report)).collect();
    let mut response = Json(List { reports }).into_response();
    no_store(&mut response);
    Ok(response)
}

/// The answer of a report. Its own parameters stand in the address beside the others, as `by=week`.
pub(in crate::web) async fn answer(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let mut asked = Asked::of(name, query.as_deref().unwrap_or_default()).map_err(ApiError::Bad)?;
    let answers = answers(&site)?;
    let report = sight::report(&visitor.viewer, answers, &asked.request.name)?;
    asked.request = sight::asked(&site, answers, &visitor, report, asked.request).await?;
    let sight = Sight {
        visitor: &visitor,
        config: &site.config,
    };
    let shown = sight.of(report, &asked.request)?;
    let user = asked.request.user.as_deref();
    audit::question(&site, &visitor, &report.name, user).await?;
    let pending = answers.ask(&asked.request).await?;
    let tag = tag(&pending.tag, &asked, shown);
    let is_kept = visitor.session.is_none();
    let mut response = if is_kept && knows(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let name = asked.page.of.clone().unwrap_or(pending.tag.clone());
        let answer = match &asked.page.of {
            None => answers.answer_to(pending).await?,
            Some(first) => go_on(answers, first, pending).await?,
        };
        let answer = sight::cut(answer, shown);
        let mut response = written(answers, &asked, &answer, &sight).await?;
        if let Some(next) = next(&asked, &answer, &name) {
            response.headers_mut().insert(header::LINK, next);
        }
        response
    };
    if !is_kept {
        // What lies in a browser's cache can be read by every user's server that shares our origin.
        no_store(&mut response);
        return Ok(response);
    }
    let headers = response.headers_mut();
    // Asked again each time, but not sent again.
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Weak, since an answer that is computed again says when.
fn tag(answer: &str, asked: &Asked, shown: Shown) -> String {
    let Page { offset, limit, .. } = asked.page;
    let of_it = match shown {
        Shown::Whole => "whole",
        Shown::To(_) => "part",
    };
    format!(
        "W/\"{answer}-{of_it}-{}-{offset}-{limit}\"",
        asked.format.name()
    )
}

/// Whether the reader has what is called so.
fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| bare(known) == bare(tag))
}

/// The answer of which a page was sent: rows of another one would repeat some, or leave some out.
async fn go_on(answers: &Answers, first: &str, pending: Pending) -> Result<Arc<Answer>, ApiError> {
    if let Some(answer) = answers.kept(first, &pending).await {
        return Ok(answer);
    }
    if pending.tag == first {
        return Ok(answers.answer_to(pending).await?);
    }
    let told = "rows came in between the pages: begin again with the first one";
    Err(ApiError::Changed(told.to_owned()))
}

/// Who sees what.
struct Sight<'a> {
    visitor: &'a Visitor,
    config: &'a Config,
}

impl Sight<'_> {
    /// What of an answer they get.
    fn of(&self, report: &Definition, request: &Request) -> Result<Shown, ApiError> {
        let viewer = &self.visitor.viewer;
        let shown = sight::shown(viewer, self.config, report, request);
        shown.map_err(|denied| sight::refused(self.visitor, denied))
    }

    /// The pictures beside an answer that are theirs to see.
    async fn pictures(
        &self,
        answers: &Answers,
        request: &Request,
    ) -> Result<Vec<Arc<Answer>>, ApiError> {
        let all = answers.pictures(request).await?.into_iter();
        let seen = all.filter_map(|picture| {
            let shown = self.of(&picture.report, request).ok()?;
            Some(sight::cut(picture, shown))
        });
        Ok(seen.collect())
    }
}

async fn written(
    answers: &Answers,
    asked: &Asked,
    answer: &Arc<Answer>,
    sight: &Sight<'_>,
) -> Result<Response, ApiError> {
    let pictures = match asked.format {
        ReportFormat::Html => sight.pictures(answers, &asked.request).await?,
        _ => Vec::new(),
    };
    let disposition = asked.disposition(answer);
    let answer = Arc::clone(answer);
    let (format, page) = (asked.format, asked.page.clone());
    // Writing a large answer takes a while.
    let written = tokio::task::spawn_blocking(move || {
        let mut output = Vec::new();
        if format == ReportFormat::Json {
            let rows = page.rows(answer.table.n_rows());
            serde_json::to_writer(&mut output, &Reply::page(&answer, rows))?;
            return Ok::<_, anyhow::Error>(output);
        }
        let pictures: Vec<&Answer> = pictures.iter().map(|picture| &**picture).collect();
        report::write(&answer, &pictures, format, &mut output)?;
        Ok(output)
    });
    let output = match written.await {
        Ok(output) => output.map_err(not_written)?,
        Err(_) => return Err(ApiError::Internal),
    };
    let mut response = output.into_response();
    let kind = HeaderValue::from_static(asked.format.content_type());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CONTENT_SECURITY_POLICY, policy(asked.format)?);
    if let Some(disposition) = disposition {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// A page of ours that is opened here runs its own script and no other, and is nobody's at this
/// address. Everything else is to be kept, and does nothing.
fn policy(format: ReportFormat) -> Result<HeaderValue, ApiError> {
    let allowed = match format {
        ReportFormat::Html => report::content_security_policy(),
        _ => "default-src 'none'",
    };
    let sandbox = match format {
        ReportFormat::Html => "sandbox allow-scripts",
        _ => "sandbox",
    };
    let policy = format!("{allowed}; {sandbox}; frame-ancestors 'none'");
    HeaderValue::from_str(&policy).map_err(|_| ApiError::Internal)
}

/// A picture that is not there is no matter of ours.
fn not_written(error: anyhow::Error) -> ApiError {
    match error.downcast::<NoPicture>() {
        Ok(error) => ApiError::Bad(error.to_string()),
        Err(error) => {
            tracing::error!("A report could not be written: {error:#}");
            ApiError::Internal
        }
    }
}

fn answers(site: &Site) -> Result<&Answers, ApiError> {
    let answers = site.answers.as_deref();
    answers.ok_or_else(ApiError::no_history)
}

impl From<AnswerError> for ApiError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Report(ReportError::Query(error)) => of_query(error),
            AnswerError::Report(error @ ReportError::Wrong(_)) => Self::Bad(error.to_string()),
            AnswerError::Report(error) => Self::NotFound(error.to_string()),
            AnswerError::Store(error) if error.is_busy() => Self::Busy(error.to_string()),
            AnswerError::Store(error) => {
                let cause = anyhow::Error::from(error);
                tracing::error!("A report could not be answered: {cause:#}");
                Self::Internal
            }
        }
    }
}

fn of_query(error: QueryError) -> ApiError {
    match error {
        QueryError::TooLarge { .. } | QueryError::TimedOut { .. } => {
            ApiError::Bad(format!("{error}: ask for a shorter period"))
        }
        QueryError::Busy => ApiError::Busy(error.to_string()),
        other => {
            let cause = anyhow::Error::from(other);
            tracing::error!("A report could not be answered: {cause:#}");
            ApiError::Internal
        }
    }
}

/// Where the next rows of the answer with this tag are: the days as dates, which stay what they are.
fn next(asked: &Asked, answer: &Answer, tag: &str) -> Option<HeaderValue> {
    let n_rows = answer.table.n_rows();
    let rows = asked.page.rows(n_rows);
    if asked.format != ReportFormat::Json || rows.end >= n_rows {
        return None;
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in &asked.others {
        query.append_pair(key, value);
    }
    query.append_pair("from", &answer.from.to_string());
    query.append_pair("to", &answer.to.to_string());
    query.append_pair("offset", &rows.end.to_string());
    query.append_pair("limit", &asked.page.limit.to_string());
    query.append_pair("answer", tag);
    let link = format!("<?{}>; rel=\"next\"", query.finish());
    HeaderValue::from_str(&link).ok()
}
