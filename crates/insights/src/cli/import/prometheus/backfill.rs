//! The import at work: piece by piece, each written with how far it came.

use super::covered::{Covered, Span};
use super::done::Done;
use super::gauges::HubSeries;
use super::lifetimes::Run;
use super::pace::{Pace, Share};
use super::pods::PodSeries;
use super::progress::Progress;
use super::recorded::{Recorded, SOURCE};
use super::rows::Rows;
use crate::cli::import::{importer, of_import};
use crate::cli::of_store;
use crate::config::Config;
use crate::sources::Known;
use crate::sources::prometheus::{DayEnd, DayHomes, HourSpan, Hours, Prometheus, PrometheusError};
use crate::usage::rows::{storage_row, unattributed_observations, usage_row};
use anyhow::anyhow;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use model::days::{Day, hour_end};
use model::names::UserName;
use std::sync::Arc;
use store::tables::Observation;
use store::{Counting, Importer, KeeperSettings, Position, Store};
use tokio::time::Instant;

/// Hours of an ordinary day: what is asked for at once.
const MOST_HOURS: usize = 24;
/// Hours in a row without an answer after which nothing more is asked.
const MOST_LEFT_OUT_IN_A_ROW: usize = 24;

/// Sessions from so long before may be those of pods that ended later.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is to be imported.
pub(super) struct Plan {
    pub(super) keeper: KeeperSettings,
    pub(super) span: Span,
    pub(super) again: bool,
    pub(super) share: Share,
    /// Under which name it is kept how far it came.
    pub(super) source: String,
    pub(super) namespace: String,
    pub(super) config: Config,
}

/// An import.
pub(super) struct Backfill {
    plan: Plan,
    importer: Importer,
    prometheus: Prometheus,
    pods: PodSeries,
    gauges: HubSeries,
    known: Known,
    recorded: Recorded,
    covered: Covered,
    pace: Pace,
    progress: Progress,
    done: Done,
}

/// What Prometheus said about some hours.
struct Answer {
    span: Span,
    hours: Hours,
    homes: Vec<DayHomes>,
    runs: Vec<Run>,
    gauges: Vec<Observation>,
}

impl Backfill {
    pub(super) async fn start(
        store: Store,
        prometheus: Prometheus,
        plan: Plan,
    ) -> anyhow::Result<Self> {
        let hub = Arc::clone(&plan.keeper.hub);
        // Pods that ended in it may have begun before.
        let longer = Span {
            from: plan
                .span
                .from
                .saturating_sub(LONGEST_LIFE)
                .unwrap_or(plan.span.from),
            ..plan.span
        };
        let recorded = Recorded::read(&store, &hub, longer).await?;
        let pods = PodSeries::new(&plan.config.prometheus, &plan.namespace);
        let gauges = HubSeries {
            hub,
            namespace: plan.namespace.clone(),
            prefix: plan.config.metrics.prefix.clone(),
        };
        let importer = importer(store, plan.keeper.clone()).await?;
        let kept = importer.position(&plan.source).await.map_err(of_store)?;
        Ok(Self {
            covered: kept.map_or_else(Covered::default, |kept| Covered::restore(&kept)),
            known: Known::default(),
            pace: Pace::new(plan.share, MOST_HOURS),
            progress: Progress::default(),
            done: Done::default(),
            plan,
            importer,
            prometheus,
            pods,
            gauges,
            recorded,
        })
    }

    pub(super) async fn run(mut self) -> anyhow::Result<Done> {
        let outcome = self.all_days().await;
        self.progress.say("writing the history");
        // What was taken before it ended is safe and told.
        let imported = self.importer.finish().await.map_err(of_import);
        self.progress.clear();
        self.done.tell_left_out();
        outcome?;
        self.done.finish(imported?, &self.plan.keeper);
        Ok(self.done)
    }

    async fn all_days(&mut self) -> anyhow::Result<()> {
        let span = self.plan.span;
        let missing = if self.plan.again {
            vec![span]
        } else {
            self.covered.missing_in(span)
        };
        let zone = self.plan.keeper.zone.clone();
        let hours: Vec<HourSpan> = missing
            .iter()
            .flat_map(|span| hours_in(*span, &zone))
            .collect();
        if hours.is_empty() {
            eprintln!("All of that time was imported before; `--again` asks for it again.");
            return Ok(());
        }
        self.known.users = Some(self.users().await.map_err(ended_early)?);
        self.progress.begin(hours.len());
        let day_of = |hour: &HourSpan| Day::of(hour.start, &zone);
        let is_same_piece = |left: &HourSpan, right: &HourSpan| {
            left.end == right.start && day_of(left) == day_of(right)
        };
        for day in hours.chunk_by(is_same_piece) {
            let n_before = self.done.n_rows();
            self.one_day(day).await?;
            let n_rows = self.done.n_rows() - n_before;
            self.progress.day(day_of(&day[0]), n_rows);
        }
        Ok(())
    }

    /// Everybody who was ever known: homes of people who are gone are found by the names that their
    /// pods had.
    async fn users(&self) -> Result<Arc<[UserName]>, PrometheusError> {
        let mut users = self.recorded.users.clone();
        let client = self.prometheus.client();
        users.extend(self.pods.users(client, self.plan.span).await?);
        Ok(users.into_iter().collect())
    }

    /// In pieces as large as Prometheus can answer.
    async fn one_day(&mut self, day: &[HourSpan]) -> anyhow::Result<()> {
        let mut rest = day;
        while !rest.is_empty() {
            let (hours, after) = rest.split_at(self.pace.n_hours().min(rest.len()));
            match self.ask(hours).await {
                Ok(answer) => {
                    self.pace.answered();
                    self.take(answer).await?;
                }
                Err(error) if is_divisible(&error) => {
                    self.pace.was_too_much(hours.len());
                    if hours.len() > 1 {
                        continue;
                    }
                    self.leave_out(hours, &error)?;
                }
                Err(error) => {
                    let Some(pause) = self.pace.pause().filter(|_| error.is_transient()) else {
                        return Err(ended_early(error));
                    };
                    tokio::time::sleep(pause).await;
                    continue;
                }
            }
            self.progress.advance(hours.len());
            rest = after;
        }
        Ok(())
    }

    async fn ask(&mut self, hours: &[HourSpan]) -> Result<Answer, PrometheusError> {
        self.pace.rest().await;
        let asked = Instant::now();
        let answer = self.answer(hours).await;
        self.pace.asked(asked);
        answer
    }

    async fn answer(&self, hours: &[HourSpan]) -> Result<Answer, PrometheusError> {
        let span = Span {
            from: hours[0].start,
            to: hours[hours.len() - 1].end,
        };
        let client = self.prometheus.client();
        let days = day_ends(span, &self.plan.keeper.zone);
        let homes = if days.is_empty() {
            Vec::new()
        } else {
            self.prometheus.homes(&days, &self.known).await?
        };
        Ok(Answer {
            span,
            hours: self.prometheus.hours(hours).await?,
            homes,
            runs: self.pods.runs(client, span).await?,
            gauges: self.gauges.read(client, span).await?,
        })
    }

    async fn take(&mut self, answer: Answer) -> anyhow::Result<()> {
        self.done.note(&answer.hours.notes);
        self.done.n_hours += hours_in(answer.span, &self.plan.keeper.zone).count();
        let mut rows = Rows::default();
        self.add_usage(&answer, &mut rows)?;
        self.add_sessions(&answer.runs, &mut rows)?;
        for row in &answer.gauges {
            if !self.recorded.has_number(&row.name, row.at) {
                rows.place().row(row, None)?;
                self.done.n_numbers += 1;
            }
        }
        self.covered.add(answer.span);
        let position = Position {
            source: self.plan.source.clone(),
            value: self.covered.kept(),
        };
        for intake in rows.with_position(position) {
            let handed_in = self.importer.hand_in(intake, Counting::Counted).await;
            handed_in.map_err(of_import)?;
        }
        Ok(())
    }

    fn add_usage(&mut self, answer: &Answer, rows: &mut Rows) -> anyhow::Result<()> {
        let hub = &self.plan.keeper.hub;
        for used in &answer.hours.used {
            let row = usage_row(hub, used);
            rows.place().row(&row, Some(&row.user))?;
            self.done.n_usage += 1;
        }
        for used in &answer.hours.unattributed {
            for row in unattributed_observations(hub, used) {
                rows.place().row(&row, None)?;
            }
        }
        for day in &answer.homes {
            let end = Day::new(day.day).span(&self.plan.keeper.zone).end;
            self.done.n_homes_unattributed += day.n_unattributed;
            for home in &day.sizes {
                let row = storage_row(hub, day.day, home, end);
                rows.place().row(&row, Some(&row.user))?;
                self.done.n_homes += 1;
            }
        }
        Ok(())
    }

    /// As events, so that sessions are derived of them as of all others, and can be again.
    fn add_sessions(&mut self, runs: &[Run], rows: &mut Rows) -> anyhow::Result<()> {
        let hub = &self.plan.keeper.hub;
        let source: Arc<str> = SOURCE.into();
        for run in runs {
            if self
                .recorded
                .is_observed(&run.user, run.server.as_deref(), run.span)
            {
                self.done.n_observed += 1;
                continue;
            }
            for fact in run.facts() {
                let event = store::event_of(hub, &source, &fact);
                self.done.note_age(event.at, &self.plan.keeper);
                rows.place().event(&event)?;
            }
            self.done.n_sessions += 1;
        }
        Ok(())
    }

    /// An hour that is too much. A server that can answer nothing is not asked for a year.
    fn leave_out(&mut self, hours: &[HourSpan], error: &PrometheusError) -> anyhow::Result<()> {
        for hour in hours {
            let span = Span {
                from: hour.start,
                to: hour.end,
            };
            self.done.leave_out(span, error.with_causes());
        }
        if self.done.n_left_out_at_the_end() >= MOST_LEFT_OUT_IN_A_ROW {
            return Err(anyhow!(
                "nothing was answered for {MOST_LEFT_OUT_IN_A_ROW} hours in a row, so that no more is \
                 asked: {}",
                error.remedy()
            ));
        }
        Ok(())
    }
}

fn ended_early(error: PrometheusError) -> anyhow::Error {
    let remedy = error.remedy();
    let text = "the import ended early and goes on from there when it is started again";
    anyhow!(error).context(format!("{text} ({remedy})"))
}

/// Whether less time may be answered: also where something about an hour cannot be computed.
fn is_divisible(error: &PrometheusError) -> bool {
    error.is_too_much() || matches!(error, PrometheusError::Rejected { .. })
}

/// Local hours of a span that begins with one.
fn hours_in(span: Span, zone: &TimeZone) -> impl Iterator<Item = HourSpan> {
    let mut start = span.from;
    std::iter::from_fn(move || {
        let hour = HourSpan {
            start,
            end: hour_end(start, zone),
        };
        start = hour.end;
        (hour.end <= span.to && hour.start < hour.end).then_some(hour)
    })
}

/// Days that end in the span.
fn day_ends(span: Span, zone: &TimeZone) -> Vec<DayEnd> {
    let first = Day::of(span.from, zone);
    let days = std::iter::successors(Some(first), |day| {
        Some(day.next()).filter(|next| next > day)
    });
    let ends = days.map(|day| DayEnd {
        day: day.date(),
        end: day.span(zone).end,
    });
    ends.take_while(|day| day.end <= span.to)
        .filter(|day| day.end > span.from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, to: &str) -> Span {
        Span {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        }
    }

    #[test]
    fn a_day_has_the_hours_of_its_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let n_hours = |from, to| hours_in(span(from, to), &zone).count();
        assert_eq!(n_hours("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), 25);
        assert_eq!(n_hours("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), 23);
        assert_eq!(n_hours("2026-03-29T22:00:00Z", "2026-03-29T22:59:59Z"), 0);
    }

    #[test]
    fn homes_are_asked_for_at_the_ends_of_days() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let days = |from, to| {
            let days = day_ends(span(from, to), &zone).into_iter();
            days.map(|day| format!("{} {}", day.day, day.end))
                .collect::<Vec<_>>()
        };
        let first = "2026-11-20 2026-11-20T23:00:00Z";
        let second = "2026-11-21 2026-11-21T23:00:00Z";
        assert_eq!(
            days("2026-11-20T22:00:00Z", "2026-11-21T23:00:00Z"),
            [first, second]
        );
        assert_eq!(
            days("2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"),
            [second]
        );
        assert_eq!(
            days("2026-11-20T22:00:00Z", "2026-11-20T23:00:00Z"),
            [first]
        );
        assert_eq!(
            days("2026-11-20T23:00:00Z", "2026-11-21T22:00:00Z"),
            [""; 0]
        );
    }
}
