//! Pages about share links: the one that an administrator makes them on, and what they show.

use super::asked::{answers, group_select};
use super::frame::{Frame, html};
use super::part::{Look, Ways, part_of};
use super::shells::groups_of;
use super::view::{Choice, Link, Notice, Select, ShareForm, ShareRow, SharesPage, ShellPage, Tone};
use crate::poll::clock::now;
use crate::web::Site;
use crate::web::shares::{FILES, MOST_DAYS, SharedQuestion, USUAL_DAYS};
use crate::web::visitor::Visitor;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::ToSpan as _;
use std::sync::Arc;
use store::Share;
use store::report::{Answer, Audience};

/// The report that is shown as numbers.
const NUMBERS: &str = "overview";
/// Pixels across of a picture.
const WIDTH: u32 = 960;

/// The page on which links are made and revoked.
pub(in crate::web) struct MakerPage<'a> {
    site: &'a Site,
    visitor: &'a Visitor,
    notices: Vec<Notice>,
    made: Option<String>,
    status: StatusCode,
}

impl<'a> MakerPage<'a> {
    pub(in crate::web) fn new(site: &'a Site, visitor: &'a Visitor) -> Self {
        Self {
            site,
            visitor,
            notices: Vec::new(),
            made: None,
            status: StatusCode::OK,
        }
    }

    /// With what was done.
    pub(in crate::web) fn told(mut self, text: &str) -> Self {
        self.notices.push(Notice::new(Tone::Good, text));
        self
    }

    /// With what could not be done.
    pub(in crate::web) fn wrong(mut self, text: String) -> Self {
        self.notices.push(Notice::new(Tone::Bad, text));
        self.status = StatusCode::BAD_REQUEST;
        self
    }

    /// With the link that was made just now.
    pub(in crate::web) fn made(mut self, secret: &str) -> Self {
        self.made = Some(format!("{}shared/{secret}", self.site.config.web.prefix));
        self
    }

    pub(in crate::web) async fn html(self) -> Response {
        let frame = Frame {
            site: self.site,
            visitor: Some(self.visitor),
            path: "shares",
        };
        let page = SharesPage {
            layout: frame.layout(
                "Share links",
                "A link shows one report to whoever has it: aggregates only, until it expires.",
            ),
            notices: self.notices,
            made: self.made,
            shares: rows(self.site).await,
            form: form(self.site).await,
        };
        html(self.status, &page)
    }
}

async fn rows(site: &Site) -> Vec<ShareRow> {
    let Some(asker) = site.asker.as_deref() else {
        return Vec::new();
    };
    let shares = match asker.store().shares(&site.config.hub.name).await {
        Ok(shares) => shares,
        Err(error) => {
            let cause = anyhow::Error::from(error);
            tracing::error!("Share links could not be read: {cause:#}");
            Vec::new()
        }
    };
    let now = now();
    let good = shares
        .into_iter()
        .filter(|share| share.revoked.is_none() && share.expires_at > now);
    let rows = good.filter_map(|share| {
        let question: SharedQuestion = serde_json::from_str(&share.question).ok()?;
        Some(ShareRow {
            of: question.of(),
            report: question.report,
            maker: share.made_by.to_string(),
            made: share.made_at,
            expires: share.expires_at,
            id: share.id,
        })
    });
    rows.collect()
}

async fn form(site: &Site) -> ShareForm {
    let prefix = &site.config.web.prefix;
    let mut reports = Vec::new();
    let today = now().to_zoned(site.config.hub.time_zone()).date();
    if let Some(answers) = answers(site) {
        let all = answers.registry().await.all().into_iter();
        let shared = all.filter(|report| report.is_for(Audience::Share));
        reports = shared
            .map(|report| Choice::new(&report.name, "overview").called(report.title.clone()))
            .collect();
    }
    let groups = groups_of(site);
    let groups = groups.iter().map(String::as_str);
    ShareForm {
        action: format!("{prefix}shares"),
        revoke: format!("{prefix}shares/revoke"),
        from: today.saturating_sub(30.days()),
        // A link shows days that are over.
        to: today.saturating_sub(1.day()),
        selects: vec![
            Select {
                name: "report".to_owned(),
                label: "Report".to_owned(),
                choices: reports,
            },
            group_select(groups, "", Some("everybody")),
        ],
        days: USUAL_DAYS,
        most_days: MOST_DAYS,
        least_people: u32::try_from(site.config.access.least_people).unwrap_or(u32::MAX),
    }
}

/// What a link shows.
pub(in crate::web) struct SharedPage<'a> {
    pub(in crate::web) site: &'a Site,
    pub(in crate::web) secret: &'a str,
    pub(in crate::web) question: &'a SharedQuestion,
    pub(in crate::web) share: &'a Share,
    /// The report and the pictures beside it.
    pub(in crate::web) answers: Vec<Arc<Answer>>,
}

impl SharedPage<'_> {
    pub(in crate::web) fn html(self) -> Response {
        let frame = Frame {
            site: self.site,
            visitor: None,
            path: "",
        };
        let prefix = &self.site.config.web.prefix;
        let title = self
            .answers
            .first()
            .map(|answer| answer.report.title.clone());
        let files = FILES.iter().map(|format| {
            let href = format!("{prefix}shared/{}/{}", self.secret, format.name());
            Link::new(format.label(), href)
        });
        let ways = |downloads: Vec<Link>| Ways {
            prefix,
            viewer: None,
            reader: None,
            report: None,
            longer: None,
            usual: None,
            usage_source: None,
            downloads,
        };
        let files: Vec<Link> = files.collect();
        let parts = self.answers.iter().enumerate().map(|(place, answer)| {
            let look = if answer.report.name == NUMBERS {
                Look::Cards
            } else if place == 0 {
                Look::Both
            } else {
                Look::Chart
            };
            let files = if place == 0 {
                files.clone()
            } else {
                Vec::new()
            };
            part_of(answer, WIDTH, look, &ways(files))
        });
        let until = self
            .share
            .expires_at
            .to_zoned(self.site.config.hub.time_zone())
            .date();
        let page = ShellPage {
            layout: frame.layout(title.unwrap_or_default(), self.question.of()),
            picker: None,
            notices: vec![Notice::new(
                Tone::Plain,
                format!(
                    "This was shared with you until {until}. It names nobody, and says nothing of fewer \
                         than {} people.",
                    self.site.config.access.least_people
                ),
            )],
            facts: Vec::new(),
            links: Vec::new(),
            ready: parts.collect(),
            parts: Vec::new(),
        };
        html(StatusCode::OK, &page)
    }
}
