//! Reports that are asked for: which there are, and answers that are kept until their rows change.
//!
//! What a report is says `store::report`, how an answer looks [`crate::report`].

mod catalogue;

pub use catalogue::{contents, explained, markdown};

use crate::ask::Asker;
use crate::config::Config;
use crate::moment::Moment;
use crate::poll::clock::now;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use moka::future::Cache;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::report::{Answer, Asked, Definition, Registry, ReportError, Site};
use store::{Limits, StoreError};
use tokio::sync::OnceCell;

/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_mins(10);
/// Days of a period that nobody chose.
const USUAL_DAYS: i32 = 30;
/// What an answer takes beside its rows, about.
const ANSWER_BYTES: usize = 4096;

/// The page for funders.
const OVERVIEW: &str = "overview";
/// What it shows beside its numbers.
const PICTURES: [&str; 3] = ["active-users", "groups", "hour-of-week"];

/// Answers questions about the hub.
pub struct Answers {
    /// Those that run; the site's are tried first.
    registry: OnceCell<Registry>,
    from_files: Registry,
    site: Site,
    zone: TimeZone,
    asker: Arc<Asker>,
    kept: Cache<String, Arc<Answer>>,
}

/// A question as it was written: on a command line or in an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Name of the report.
    pub name: String,
    /// First day; 29 days before the last one if not said.
    pub from: Option<String>,
    /// Last day; today if not said.
    pub to: Option<String>,
    /// Only this hub.
    pub hub: Option<String>,
    /// Only members of this group.
    pub group: Option<String>,
    /// Only this person.
    pub user: Option<String>,
    /// Choices of the report, by name.
    pub choices: BTreeMap<String, String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AnswerError {
    /// The question.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The store.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

/// An answer, and whatever tells it from others.
#[derive(Clone)]
pub struct Answered {
    /// The rows with what is to be said about them.
    pub answer: Arc<Answer>,
    /// Equal for equal answers.
    pub tag: String,
}

/// The reports of this program and of the site's folder.
pub fn registry(config: &Config) -> Registry {
    let mut registry = Registry::ours();
    if let Some(folder) = &config.reports.folder {
        registry.add_folder(folder);
    }
    registry
}

/// There is no report of this name.
pub fn unknown(registry: &Registry, name: &str) -> ReportError {
    ReportError::Unknown {
        name: name.to_owned(),
        nearest: registry.nearest(name).map(str::to_owned),
    }
}

impl Answers {
    /// The reports of this program and of the site.
    pub fn new(config: &Config, asker: Arc<Asker>) -> Self {
        let kept = Cache::builder()
            .max_capacity(config.reports.cache_mib << 20)
            .weigher(|_: &String, answer: &Arc<Answer>| {
                u32::try_from(answer.table.memory_bytes() + ANSWER_BYTES).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            registry: OnceCell::new(),
            from_files: registry(config),
            site: config.report_site(),
            zone: config.hub.time_zone(),
            asker,
            kept,
        }
    }

    /// All reports that run. The site's own are asked for today first; those that fail are left out.
    pub async fn registry(&self) -> &Registry {
        self.registry
            .get_or_init(async || self.checked().await)
            .await
    }

    async fn checked(&self) -> Registry {
        let mut registry = self.from_files.clone();
        let request = Request {
            from: Some("today".to_owned()),
            ..Request::default()
        };
        for report in self.from_files.all() {
            if Registry::ours_has(&report.name) {
                continue;
            }
            if let Err(error) = self.answer_of(report, &request).await {
                registry.remove(&report.name, error.to_string());
            }
        }
        for file in registry.left_out() {
            tracing::warn!("`{}` is no report: {}", file.path.display(), file.reason);
        }
        registry
    }

    /// The report of this name.
    pub async fn report(&self, name: &str) -> Result<&Arc<Definition>, ReportError> {
        let registry = self.registry().await;
        registry.get(name).ok_or_else(|| unknown(registry, name))
    }

    /// The answer, computed once for equal questions.
    pub async fn answer(&self, request: &Request) -> Result<Answered, AnswerError> {
        let report = self.report(&request.name).await?;
        self.answer_of(report, request).await
    }

    async fn answer_of(
        &self,
        report: &Arc<Definition>,
        request: &Request,
    ) -> Result<Answered, AnswerError> {
        let now = now();
        let asked = self.asked(request, now)?;
        let question = self.asker.store().question(report, asked, now).await;
        let question = question.map_err(|error| AnswerError::Store(Arc::new(error)))?;
        let tag = question.key().as_str().to_owned();
        let limits = Limits {
            timeout: TIMEOUT,
            ..Limits::default()
        };
        let engine = self.asker.engine();
        let compute = async { question.answer(engine, limits).await.map(Arc::new) };
        let answer = self.kept.try_get_with(tag.clone(), compute).await;
        let answer = answer.map_err(|error| AnswerError::Report((*error).clone()))?;
        Ok(Answered { answer, tag })
    }

    /// Answers that the page of an answer shows as pictures beside it.
    pub async fn pictures(&self, request: &Request) -> Result<Vec<Answered>, AnswerError> {
        let mut pictures = Vec::new();
        if request.name != OVERVIEW {
            return Ok(pictures);
        }
        for name in PICTURES {
            let request = Request {
                name: name.to_owned(),
                choices: BTreeMap::new(),
                ..request.clone()
            };
            // One that is not about a group or person is left out where one is asked about.
            if self
                .report(name)
                .await?
                .allows(&request.group, &request.user)
            {
                pictures.push(self.answer(&request).await?);
            }
        }
        Ok(pictures)
    }

    /// What answers lack, a sentence each; nothing in a healthy folder.
    pub async fn missing_rows(&self) -> Result<Vec<String>, StoreError> {
        self.asker.store().missing_rows().await
    }

    fn asked(&self, request: &Request, now: Timestamp) -> Result<Asked, ReportError> {
        let today = now.to_zoned(self.zone.clone()).date();
        let day = |name: &str, text: &Option<String>| match text {
            Some(text) => self.day(name, text, now).map(Some),
            None => Ok(None),
        };
        let to = day("to", &request.to)?.unwrap_or(today);
        let from = day("from", &request.from)?;
        let from = from.unwrap_or_else(|| to.saturating_sub((USUAL_DAYS - 1).days()));
        Ok(Asked {
            hub: request.hub.clone(),
            group: request.group.clone(),
            user: request.user.clone(),
            choices: request.choices.clone(),
            ..Asked::period(from, to, self.site.clone())
        })
    }

    /// Reports are about whole days.
    fn day(&self, name: &str, text: &str, now: Timestamp) -> Result<Date, ReportError> {
        let wrong = |why: &dyn std::fmt::Display| {
            ReportError::Wrong(format!("`{name}`: `{text}` is no time: {why}"))
        };
        let moment: Moment = text.parse().map_err(|error| wrong(&error))?;
        let at = moment.at(now, &self.zone).map_err(|error| wrong(&error))?;
        Ok(at.to_zoned(self.zone.clone()).date())
    }
}
