//! Reports that are asked for: which there are, and answers that are kept until their rows change.
//!
//! What a report is says `store::report`, how an answer looks [`crate::report`].

mod catalogue;
#[cfg(test)]
mod tests;

pub use catalogue::{contents, explained, markdown};

use crate::ask::Asker;
use crate::config::Config;
use crate::moment::{Moment, TooFar};
use crate::poll::clock::now;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};
use moka::future::Cache;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::report::{Answer, Asked, Definition, Question, Registry, ReportError, Site};
use store::{Limits, QueryError, StoreError};
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
    /// First day; as the report is usually asked if not said, mostly 29 days before the last one.
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

/// The days of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// Today at the hub.
    pub today: Date,
    /// The first.
    pub from: Date,
    /// The last.
    pub to: Date,
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

impl AnswerError {
    /// Whether every question would fail: it is the report that is wrong.
    fn is_of_the_report(&self) -> bool {
        match self {
            Self::Report(ReportError::Query(error)) => matches!(
                error,
                QueryError::Syntax(_) | QueryError::NotAllowed { .. } | QueryError::Failed(_)
            ),
            Self::Report(ReportError::Columns(_)) => true,
            Self::Report(_) | Self::Store(_) => false,
        }
    }
}

/// A question about the rows as they are now, before anything is computed.
pub struct Pending {
    question: Question,
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

/// Why there is no report of this name.
pub fn unknown(registry: &Registry, name: &str) -> ReportError {
    if let Some(file) = registry.left_out_as(name) {
        let told = format!("`{}` is no report: {}", file.path.display(), file.reason);
        return ReportError::Wrong(told);
    }
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
    /// A service does so when it starts.
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
            match self.answer_of(report, &request).await {
                Err(error) if error.is_of_the_report() => {
                    registry.remove(&report.name, error.to_string());
                }
                Err(error) => tracing::warn!("The report `{}` was not tried: {error}", report.name),
                Ok(_) => {}
            }
        }
        for file in registry.left_out() {
            tracing::warn!("`{}` is no report: {}", file.path.display(), file.reason);
        }
        registry
    }

    /// The report of this name.
    pub fn report(&self, name: &str) -> Result<&Arc<Definition>, ReportError> {
        // Nobody waits until all reports of the site were tried.
        let registry = self.registry.get().unwrap_or(&self.from_files);
        registry.get(name).ok_or_else(|| unknown(registry, name))
    }

    /// The answer, computed once for equal questions.
    pub async fn answer(&self, request: &Request) -> Result<Arc<Answer>, AnswerError> {
        self.answer_of(self.report(&request.name)?, request).await
    }

    async fn answer_of(
        &self,
        report: &Arc<Definition>,
        request: &Request,
    ) -> Result<Arc<Answer>, AnswerError> {
        let pending = self.ask_of(report, request).await?;
        self.answer_to(pending).await
    }

    /// What there is to be answered.
    pub async fn ask(&self, request: &Request) -> Result<Pending, AnswerError> {
        self.ask_of(self.report(&request.name)?, request).await
    }

    async fn ask_of(
        &self,
        report: &Arc<Definition>,
        request: &Request,
    ) -> Result<Pending, AnswerError> {
        let now = self.now_at(request.hub.as_deref()).await?;
        let asked = self.asked(report, request, &now)?;
        let question = self
            .asker
            .store()
            .question(report, asked, now.timestamp())
            .await;
        let question = question.map_err(|error| AnswerError::Store(Arc::new(error)))?;
        let key = question.key(self.asker.engine(), limits()).await?;
        let tag = key.as_str().to_owned();
        Ok(Pending { question, tag })
    }

    /// The days that a question without a report is about, 30 if it does not say.
    pub async fn days(&self, request: &Request) -> Result<Days, AnswerError> {
        let now = self.now_at(request.hub.as_deref()).await?;
        let (from, to) = period(request, &now)?;
        let days = Days {
            today: now.date(),
            from: from.unwrap_or_else(|| usual_first(to)),
            to,
        };
        if days.from > days.to {
            let told = format!("`from` ({}) is after `to` ({})", days.from, days.to);
            return Err(AnswerError::Report(ReportError::Wrong(told)));
        }
        Ok(days)
    }

    /// Names of the hubs of the history.
    pub async fn hubs(&self) -> Result<Vec<String>, AnswerError> {
        let hubs = self.asker.store().hubs().await;
        let hubs = hubs.map_err(|error| AnswerError::Store(Arc::new(error)))?;
        Ok(hubs.iter().map(|hub| hub.name.to_string()).collect())
    }

    /// The time at a hub, or at the one of them where it is latest: days are those of the hub, also
    /// where it lies in another zone than this machine. As configured if no hub was kept yet.
    async fn now_at(&self, hub: Option<&str>) -> Result<Zoned, AnswerError> {
        let now = now();
        let hubs = self.asker.store().hubs().await;
        let hubs = hubs.map_err(|error| AnswerError::Store(Arc::new(error)))?;
        let asked = hubs
            .iter()
            .filter(|known| hub.is_none_or(|hub| hub == &*known.name));
        let times = asked.map(|known| now.to_zoned(known.zone.clone()));
        let latest = times.max_by_key(Zoned::datetime);
        Ok(latest.unwrap_or_else(|| now.to_zoned(self.zone.clone())))
    }

    /// An answer to this question that was computed before, by its tag, if it is still kept.
    pub async fn kept(&self, tag: &str, pending: &Pending) -> Option<Arc<Answer>> {
        let answer = self.kept.get(tag).await;
        answer.filter(|answer| pending.question.is_of(answer))
    }

    /// The answer, computed once for equal questions.
    pub async fn answer_to(&self, pending: Pending) -> Result<Arc<Answer>, AnswerError> {
        let Pending { question, tag } = pending;
        let engine = self.asker.engine();
        let compute = async { question.answer(engine, limits()).await.map(Arc::new) };
        let answer = self.kept.try_get_with(tag, compute).await;
        answer.map_err(|error| AnswerError::Report((*error).clone()))
    }

    /// Answers that the page of an answer shows as pictures beside it.
    pub async fn pictures(&self, request: &Request) -> Result<Vec<Arc<Answer>>, AnswerError> {
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
            if self.report(name)?.allows(&request.group, &request.user) {
                pictures.push(self.answer(&request).await?);
            }
        }
        Ok(pictures)
    }

    /// What answers lack, a sentence each; nothing in a healthy folder.
    pub async fn missing_rows(&self) -> Result<Vec<String>, StoreError> {
        self.asker.store().missing_rows().await
    }

    fn asked(
        &self,
        report: &Definition,
        request: &Request,
        now: &Zoned,
    ) -> Result<Asked, ReportError> {
        let (from, to) = period(request, now)?;
        let usual = || match report.usual_months {
            Some(usual) => usual.before(to),
            None => usual_first(to),
        };
        let from = from.unwrap_or_else(usual);
        Ok(Asked {
            hub: request.hub.clone(),
            group: request.group.clone(),
            user: request.user.clone(),
            choices: request.choices.clone(),
            ..Asked::period(from, to, self.site.clone())
        })
    }
}

/// The first day, if it is said, and the last one.
fn period(request: &Request, now: &Zoned) -> Result<(Option<Date>, Date), ReportError> {
    let first = |text: &String| day("from", text, now, Moment::day);
    let to = match &request.to {
        Some(text) => day("to", text, now, Moment::last_day)?,
        None => now.date(),
    };
    let from = request.from.as_ref().map(first).transpose()?;
    Ok((from, to))
}

fn usual_first(to: Date) -> Date {
    to.saturating_sub((USUAL_DAYS - 1).days())
}

fn limits() -> Limits {
    Limits {
        timeout: TIMEOUT,
        ..Limits::default()
    }
}

/// Reports are about whole days.
fn day(
    name: &str,
    text: &str,
    now: &Zoned,
    day_of: impl Fn(&Moment, &Zoned) -> Result<Date, TooFar>,
) -> Result<Date, ReportError> {
    let wrong = |why: &dyn std::fmt::Display| {
        ReportError::Wrong(format!("`{name}`: `{text}` is no time: {why}"))
    };
    let moment: Moment = text.parse().map_err(|error| wrong(&error))?;
    day_of(&moment, now).map_err(|error| wrong(&error))
}
