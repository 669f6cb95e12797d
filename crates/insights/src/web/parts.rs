//! `GET parts/{report}`: the answer of a report as a part of a page, asked for by our own script.

use super::api::ApiError;
use super::pages::view::{Address, Link, Part};
use super::pages::{DAYS_BETWEEN, Look, Ways, answers, part_of, request_of, value_of};
use super::visitor::Visitor;
use super::{Site, audit, no_store, sight};
use crate::answers::{AnswerError, Request};
use crate::report::ReportFormat;
use askama::Template as _;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use std::sync::Arc;
use store::report::Answer;

/// Pixels across of a picture, if the script does not say how many fit.
const USUAL_WIDTH: u32 = 900;

/// Files that a part offers.
const DOWNLOADS: [ReportFormat; 4] = [
    ReportFormat::Csv,
    ReportFormat::Parquet,
    ReportFormat::Markdown,
    ReportFormat::Html,
];

/// `GET parts/{report}?look=…&width=…`, and what the question is about.
pub(super) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let request = Request {
        name,
        ..request_of(&query).map_err(AnswerError::Report)?
    };
    let look = Look::from_name(value_of(&query, "look").as_deref().unwrap_or_default());
    let width = value_of(&query, "width").and_then(|text| text.parse().ok());
    let width = width.map_or(USUAL_WIDTH, |width: u32| width.clamp(280, 1600));
    let part = part(&site, &visitor, request, look, width).await?;
    let text = part.render().map_err(|error| {
        tracing::error!(%error, "A part of a page could not be written.");
        ApiError::Internal
    })?;
    let mut response = (StatusCode::OK, Html(text)).into_response();
    no_store(&mut response);
    Ok(response)
}

/// The part with the answer to a question, as far as somebody may see it.
pub(super) async fn part(
    site: &Site,
    visitor: &Visitor,
    request: Request,
    look: Look,
    width: u32,
) -> Result<Part, ApiError> {
    let (request, answer) = answer(site, visitor, request).await?;
    let report = &answer.report;
    let address = |path: &str| address_of(&site.config.web.prefix, path, &request);
    let files = DOWNLOADS.iter().map(|format| {
        let path = format!("api/v1/reports/{}", report.name);
        Link::new(format.label(), address(&path).with("format", format.name()))
    });
    let usage = site.usage.condition();
    // At another hub the same name is somebody else's.
    let is_ours = answer
        .hubs
        .iter()
        .all(|hub| hub.name == site.config.hub.name);
    let of_days = |request: &Request| {
        let path = format!("reports/{}", report.name);
        address_of(&site.config.web.prefix, &path, request)
    };
    let ways = Ways {
        prefix: &site.config.web.prefix,
        viewer: Some(&visitor.viewer),
        reader: is_ours.then(|| visitor.viewer.user.as_str()),
        report: (look != Look::Both).then(|| address(&format!("reports/{}", report.name))),
        longer: Some(of_days(&about_a_year(&request))),
        usual: Some(of_days(&about_the_usual(&request))),
        usage_source: usage.map(|usage| usage.source),
        downloads: files.collect(),
    };
    Ok(part_of(&answer, width, look, &ways))
}

/// The same question about the last year.
fn about_a_year(request: &Request) -> Request {
    Request {
        from: Some(format!("{DAYS_BETWEEN} days ago")),
        to: None,
        ..request.clone()
    }
}

/// The same question about as long as its report is usually about.
fn about_the_usual(request: &Request) -> Request {
    Request {
        from: None,
        to: None,
        ..request.clone()
    }
}

/// The question as it was meant, and its answer as far as somebody may see it.
async fn answer(
    site: &Site,
    visitor: &Visitor,
    request: Request,
) -> Result<(Request, Arc<Answer>), ApiError> {
    let answers = answers(site).ok_or_else(ApiError::no_history)?;
    let report = sight::report(&visitor.viewer, answers, &request.name)?;
    let request = sight::asked(site, answers, visitor, report, request).await?;
    let shown = sight::shown(&visitor.viewer, &site.config, report, &request);
    let shown = shown.map_err(|denied| sight::refused(visitor, denied))?;
    audit::part(site, visitor, &report.name, request.user.as_deref()).await?;
    let answer = answers.answer(&request).await?;
    Ok((request, sight::cut(answer, shown)))
}

/// The address of a page about the same question.
pub(super) fn address_of(prefix: &str, path: &str, request: &Request) -> Address {
    let of = |value: &Option<String>| value.clone().unwrap_or_default();
    let address = Address::below(prefix, path)
        .with("from", &of(&request.from))
        .with("to", &of(&request.to))
        .with("hub", &of(&request.hub))
        .with("group", &of(&request.group))
        .with("user", &of(&request.user));
    let choices = request.choices.iter();
    choices.fold(address, |address, (key, value)| address.with(key, value))
}
