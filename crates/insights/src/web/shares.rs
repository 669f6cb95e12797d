//! Links that show one report to whoever has them, without a login: aggregates only, of a period and a
//! group that their maker fixed, until they expire or are revoked.
//!
//! What of an answer is shown decides the store, as for every reader of aggregates. A link's secret is
//! shown once and kept as a digest.

use super::pages::message;
use super::pages::shared::{MakerPage, SharedPage};
use super::pages::{answers, value_of};
use super::session::random_text;
use super::sight::{self, Shown};
use super::visitor::Visitor;
use super::{Site, audit, no_store};
use crate::answers::{AnswerError, Request};
use crate::poll::clock::now;
use crate::report::{self, ReportFormat};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, body::Bytes};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use store::report::{Answer, Audience, Reader};
use store::{Revoked, Share, ShareDigest};

/// How long a link works at most, in days.
pub(super) const MOST_DAYS: u32 = 366;
/// The same, if nobody says.
pub(super) const USUAL_DAYS: u32 = 30;
/// Letters of the name by which a link is revoked.
const ID_LETTERS: usize = 12;

/// What a link shows, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SharedQuestion {
    pub(super) report: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) hub: Option<String>,
    pub(super) group: Option<String>,
    #[serde(default)]
    pub(super) choices: BTreeMap<String, String>,
}

impl SharedQuestion {
    fn request(&self) -> Request {
        Request {
            name: self.report.clone(),
            from: Some(self.from.clone()),
            to: Some(self.to.clone()),
            hub: self.hub.clone(),
            group: self.group.clone(),
            user: None,
            choices: self.choices.clone(),
        }
    }

    /// In words, for a list.
    pub(super) fn of(&self) -> String {
        let mut text = format!("{} to {}", self.from, self.to);
        for part in self.hub.iter().chain(&self.group) {
            text.push_str(", ");
            text.push_str(part);
        }
        text
    }
}

/// `GET shares`
pub(super) async fn list(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    MakerPage::new(&site, &visitor).html().await
}

/// `POST shares`
pub(super) async fn make(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    body: Bytes,
) -> Response {
    let back = format!("{}shares", site.config.web.prefix);
    if !visitor.is_fresh(Instant::now()) {
        return message::log_in_anew(&site, &visitor, &back);
    }
    let form = String::from_utf8_lossy(&body).into_owned();
    let page = MakerPage::new(&site, &visitor);
    match made(&site, &visitor, &form).await {
        Ok(secret) => page.made(&secret).html().await,
        Err(NotMade::Wrong(told)) => page.wrong(told).html().await,
        Err(NotMade::Answer(error)) => message::unanswered(&site, &visitor, &error),
        Err(NotMade::Store) => message::to(
            &site,
            &visitor,
            StatusCode::SERVICE_UNAVAILABLE,
            "The link was not made",
            "It could not be written down; the log of the service says why.",
        ),
    }
}

/// Why there is no link.
enum NotMade {
    Wrong(String),
    Answer(AnswerError),
    Store,
}

impl From<AnswerError> for NotMade {
    fn from(error: AnswerError) -> Self {
        Self::Answer(error)
    }
}

async fn made(site: &Site, visitor: &Visitor, form: &str) -> Result<String, NotMade> {
    let answers = answers(site).ok_or(NotMade::Store)?;
    let of = |name: &str| value_of(form, name);
    let name = of("report").unwrap_or_default();
    let report = answers.report(&name).map_err(AnswerError::Report)?;
    if !report.is_for(Audience::Share) {
        let told = format!("the report `{name}` names people, so it cannot be shared");
        return Err(NotMade::Wrong(told));
    }
    let days = of("days").map_or(Ok(USUAL_DAYS), |text| text.parse());
    let days = days.ok().filter(|days| (1..=MOST_DAYS).contains(days));
    let days =
        days.ok_or_else(|| NotMade::Wrong(format!("a link works for 1 to {MOST_DAYS} days")))?;
    let asked = Request {
        name: name.clone(),
        from: of("from"),
        to: of("to"),
        hub: of("hub"),
        group: of("group"),
        ..Request::default()
    };
    let period = answers.days(&asked).await?;
    // A period that runs on would tell, looked at again, what happened since, however few came.
    let to = period.to.min(period.today.saturating_sub(1.day()));
    if period.from > to {
        let told = "a link shows days that are over, up to yesterday".to_owned();
        return Err(NotMade::Wrong(told));
    }
    let question = SharedQuestion {
        report: name,
        from: period.from.to_string(),
        to: to.to_string(),
        hub: asked.hub,
        group: asked.group,
        choices: BTreeMap::new(),
    };
    // What cannot be answered is said now, and not to whoever gets the link.
    answers.answer(&question.request()).await?;
    keep(site, visitor, &question, days)
        .await
        .map_err(|()| NotMade::Store)
}

async fn keep(
    site: &Site,
    visitor: &Visitor,
    question: &SharedQuestion,
    days: u32,
) -> Result<String, ()> {
    let asker = site.asker.as_deref().ok_or(())?;
    let secret = random_text();
    let text = serde_json::to_string(question).map_err(|_| ())?;
    let made_at = now();
    let lasts = SignedDuration::from_hours(24 * i64::from(days));
    let share = Share {
        id: random_text().expose().chars().take(ID_LETTERS).collect(),
        hub: site.config.hub.name.as_str().into(),
        made_by: visitor.viewer.user.clone(),
        made_at,
        expires_at: made_at.saturating_add(lasts).unwrap_or(Timestamp::MAX),
        revoked: None,
        question: text,
    };
    let what = json!({"shared": question.report, "group": question.group, "link": share.id});
    audit::keep(site, visitor, &what).await?;
    let kept = asker
        .store()
        .make_share(share, ShareDigest::of(secret.expose()))
        .await;
    kept.map_err(|error| {
        let cause = anyhow::Error::from(error);
        tracing::error!("A share link could not be kept: {cause:#}");
    })?;
    Ok(secret.expose().to_owned())
}

/// `POST shares/revoke`
pub(super) async fn revoke(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    body: Bytes,
) -> Response {
    let form = String::from_utf8_lossy(&body).into_owned();
    let id = value_of(&form, "id").unwrap_or_default();
    let page = MakerPage::new(&site, &visitor);
    let Some(asker) = site.asker.as_deref() else {
        return page.html().await;
    };
    let revoked = Revoked {
        at: now(),
        by: visitor.viewer.user.clone(),
    };
    let _ = audit::keep(&site, &visitor, &json!({"revoked link": id})).await;
    match asker
        .store()
        .revoke_share(&site.config.hub.name, &id, revoked)
        .await
    {
        Ok(true) => page.told("The link does not work any more.").html().await,
        Ok(false) => {
            page.wrong("There is no such link, or it was revoked before.".to_owned())
                .html()
                .await
        }
        Err(error) => {
            let cause = anyhow::Error::from(error);
            tracing::error!("A share link could not be revoked: {cause:#}");
            page.wrong("The link could not be revoked; the log of the service says why.".to_owned())
                .html()
                .await
        }
    }
}

/// `GET shared/{token}`
pub(super) async fn show(State(site): State<Site>, Path(secret): Path<String>) -> Response {
    let (share, question) = match found(&site, &secret).await {
        Ok(found) => found,
        Err(response) => return *response,
    };
    match answered(&site, &question).await {
        Ok(answers) => SharedPage {
            site: &site,
            secret: &secret,
            question: &question,
            share: &share,
            answers,
        }
        .html(),
        Err(error) => unanswered(&site, &error),
    }
}

/// `GET shared/{token}/{format}`
pub(super) async fn download(
    State(site): State<Site>,
    Path((secret, format)): Path<(String, String)>,
) -> Response {
    let (_, question) = match found(&site, &secret).await {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let format = ReportFormat::from_name(&format).filter(|format| FILES.contains(format));
    let Some(format) = format else {
        return message::nothing_here(&site, None);
    };
    let answers = match answered(&site, &question).await {
        Ok(answers) => answers,
        Err(error) => return unanswered(&site, &error),
    };
    let mut text = Vec::new();
    let written = answers
        .first()
        .map(|answer| report::write(answer, &[], format, &mut text));
    if !matches!(written, Some(Ok(()))) {
        return message::nothing_here(&site, None);
    }
    let mut response = text.into_response();
    let kind = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if let Some(name) = saved_as(&answers, format) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    no_store(&mut response);
    response
}

/// What a file is called where it is kept: its address ends with the secret and the format.
fn saved_as(answers: &[Arc<Answer>], format: ReportFormat) -> Option<HeaderValue> {
    let name = report::file_name(answers.first()?, format);
    HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")).ok()
}

/// Files that a link gives.
pub(super) const FILES: [ReportFormat; 3] = [
    ReportFormat::Csv,
    ReportFormat::Json,
    ReportFormat::Markdown,
];

/// The link of this secret if it still works, or the page that says that it does not.
async fn found(site: &Site, secret: &str) -> Result<(Share, SharedQuestion), Box<Response>> {
    let gone =
        |status, text| Box::new(message::show(site, status, "This link does not work", text));
    let unknown = || {
        gone(
            StatusCode::NOT_FOUND,
            "It may be cut off: ask whoever sent it for the whole of it.",
        )
    };
    let asker = site.asker.as_deref().ok_or_else(unknown)?;
    let share = match asker.store().share_by_digest(ShareDigest::of(secret)).await {
        Ok(share) => share.ok_or_else(unknown)?,
        Err(error) => {
            let cause = anyhow::Error::from(error);
            tracing::error!("A share link could not be looked up: {cause:#}");
            return Err(gone(
                StatusCode::SERVICE_UNAVAILABLE,
                "Try again in a minute.",
            ));
        }
    };
    if share.revoked.is_some() || share.expires_at <= now() {
        let text = "It expired or was revoked: ask whoever sent it for another one.";
        return Err(gone(StatusCode::GONE, text));
    }
    let question = serde_json::from_str(&share.question).map_err(|_| unknown())?;
    Ok((share, question))
}

/// The answer, and the pictures beside it, as anybody may see them.
async fn answered(site: &Site, question: &SharedQuestion) -> Result<Vec<Arc<Answer>>, AnswerError> {
    let Some(answers) = answers(site) else {
        return Ok(Vec::new());
    };
    let request = question.request();
    let mut all = vec![answers.answer(&request).await?];
    all.extend(answers.pictures(&request).await?);
    all.retain(|answer| answer.report.is_for(Audience::Share));
    let reader = Reader::Shared {
        least_people: site.config.access.least_people,
    };
    let shown = all
        .into_iter()
        .map(|answer| sight::cut(answer, Shown::To(reader)));
    Ok(shown.collect())
}

/// Whoever has a link is told nothing of why.
fn unanswered(site: &Site, error: &AnswerError) -> Response {
    let (status, _) = super::pages::told(error);
    let status = if status == StatusCode::SERVICE_UNAVAILABLE {
        status
    } else {
        StatusCode::GONE
    };
    message::show(
        site,
        status,
        "This link cannot be shown now",
        "What it shows could not be read. Try again later, or tell whoever sent it.",
    )
}
