//! Hours and days that closed since they were last asked for, of a Prometheus: after a minute, a
//! restart, or a month without us.
//!
//! How far that came is kept in the transaction of the rows, so that an outage of ours leaves no gap
//! that Prometheus can fill.

use super::keeping::Failure;
use super::rows::{storage_row, unattributed_observations, usage_row};
use crate::sources::Known;
use crate::sources::prometheus::{DayEnd, HourSpan, Prometheus, PrometheusError};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::days::{Day, hour_end, hour_start};
use std::sync::Arc;
use store::{Intake, Keeper, Position, StoreError};
use tracing::error;

/// Under which names it is kept how far hours and days were written.
const HOURS: &str = "usage: hours of prometheus";
const DAYS: &str = "usage: days of prometheus";
/// After the end of an hour, for the last samples to arrive.
const SETTLE: SignedDuration = SignedDuration::from_mins(5);
/// Hours that are asked for at once, and those before a first start that are.
const MOST_HOURS: usize = 24;
const FIRST_HOURS: SignedDuration = SignedDuration::from_hours(24);
/// Rows that are written at once.
const MOST_ROWS: usize = 20_000;
/// A position that lies further ahead was kept by a clock that was wrong.
const AHEAD: SignedDuration = SignedDuration::from_hours(2);
/// Times that one hour is asked for before it is left out: it is too much for the server.
const TRIES: u32 = 100;

/// Why nothing was caught up; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum CatchUpError {
    #[error(transparent)]
    Prometheus(#[from] PrometheusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CatchUpError {
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Prometheus(error) => Failure {
                kind: error.kind(),
                remedy: error.remedy(),
            },
            Self::Store(_) => Failure {
                kind: "store",
                remedy: "the log of this service says why the history takes no rows",
            },
        }
    }
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    More,
    Wait,
}

/// Writes what closed.
pub(super) struct CatchUp {
    hub: Arc<str>,
    zone: TimeZone,
    /// Fewer after a query that was too much, or many rows.
    n_hours: usize,
    n_tries: u32,
    /// The same of a day's homes.
    n_tries_of_day: u32,
}

impl CatchUp {
    pub(super) fn new(hub: &str, zone: TimeZone) -> Self {
        Self {
            hub: hub.into(),
            zone,
            n_hours: MOST_HOURS,
            n_tries: 0,
            n_tries_of_day: 0,
        }
    }

    /// Writes some hours, or else days.
    pub(super) async fn step(
        &mut self,
        prometheus: &Prometheus,
        keeper: &Keeper,
        known: &Known,
        now: Timestamp,
    ) -> Result<Then, CatchUpError> {
        let settled = now.saturating_sub(SETTLE).unwrap_or(Timestamp::MIN);
        let hours = self.due_hours(keeper, settled).await?;
        if hours.is_empty() {
            return self.days(prometheus, keeper, known, settled).await;
        }
        let mut intake = Intake::default();
        match prometheus.hours(&hours).await {
            Ok(used) => {
                for used in &used.used {
                    let row = usage_row(&self.hub, used);
                    intake
                        .row(&row, Some(&row.user))
                        .map_err(StoreError::from)?;
                }
                for used in &used.unattributed {
                    for row in unattributed_observations(&self.hub, used) {
                        intake.row(&row, None).map_err(StoreError::from)?;
                    }
                }
            }
            Err(error) => self.refused(error, hours.len())?,
        }
        let n_rows = intake.n_rows();
        if let Some(last) = hours.last() {
            intake.position(Position {
                source: HOURS.to_owned(),
                value: last.end.to_string(),
            });
        }
        keeper.take(intake).await?;
        let rows_per_hour = n_rows.div_ceil(hours.len()).max(1);
        self.n_hours = (MOST_ROWS / rows_per_hour).clamp(1, MOST_HOURS);
        self.n_tries = 0;
        Ok(Then::More)
    }

    /// Asks for less next time if that may help; one hour that is too much by itself is left out in
    /// the end. A server that is away, or refuses us, is waited for.
    fn refused(&mut self, error: PrometheusError, n_hours: usize) -> Result<(), PrometheusError> {
        if !error.is_too_much() {
            return Err(error);
        }
        self.n_hours = (n_hours / 2).max(1);
        self.n_tries += 1;
        if n_hours > 1 || self.n_tries < TRIES {
            return Err(error);
        }
        error!("An hour is left out of the usage, since it cannot be asked for: {error}.");
        Ok(())
    }

    async fn due_hours(
        &self,
        keeper: &Keeper,
        settled: Timestamp,
    ) -> Result<Vec<HourSpan>, StoreError> {
        let until = hour_start(settled, &self.zone);
        let kept = keeper.position(HOURS).await?;
        let kept: Option<Timestamp> = kept.and_then(|kept| kept.parse().ok());
        let kept = kept.filter(|kept| kept.duration_since(until) <= AHEAD);
        let mut start = kept.unwrap_or_else(|| {
            let first = until.saturating_sub(FIRST_HOURS).unwrap_or(until);
            hour_start(first, &self.zone)
        });
        let mut hours = Vec::new();
        while start < until && hours.len() < self.n_hours {
            let end = hour_end(start, &self.zone);
            hours.push(HourSpan { start, end });
            start = end;
        }
        Ok(hours)
    }

    /// The last closed days of homes, one at a time.
    async fn days(
        &mut self,
        prometheus: &Prometheus,
        keeper: &Keeper,
        known: &Known,
        settled: Timestamp,
    ) -> Result<Then, CatchUpError> {
        // Without the users nothing could be attributed.
        if known.users.is_none() {
            return Ok(Then::Wait);
        }
        let today = Day::of(settled, &self.zone).date();
        let kept = keeper.position(DAYS).await?;
        let kept: Option<Date> = kept.and_then(|kept| kept.parse().ok());
        let yesterday = today.yesterday().unwrap_or(today);
        let date = kept.map_or(yesterday, |kept| kept.tomorrow().unwrap_or(kept));
        if date >= today {
            return Ok(Then::Wait);
        }
        let end = Day::new(date).span(&self.zone).end;
        let asked = DayEnd { day: date, end };
        let days = match prometheus.homes(&[asked], known).await {
            Ok(days) => days,
            Err(error) if error.is_too_much() && self.n_tries_of_day >= TRIES => Vec::new(),
            Err(error) => {
                self.n_tries_of_day += u32::from(error.is_too_much());
                return Err(error.into());
            }
        };
        self.n_tries_of_day = 0;
        let mut intake = Intake::default();
        for day in &days {
            for home in &day.sizes {
                let row = storage_row(&self.hub, day.day, home, end);
                intake
                    .row(&row, Some(&row.user))
                    .map_err(StoreError::from)?;
            }
        }
        intake.position(Position {
            source: DAYS.to_owned(),
            value: date.to_string(),
        });
        keeper.take(intake).await?;
        Ok(Then::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> PrometheusError {
        PrometheusError::Busy {
            asked: "up".to_owned(),
            status: 503,
            message: "Service Unavailable".to_owned(),
            retry_after: None,
        }
    }

    fn too_much() -> PrometheusError {
        PrometheusError::TooMuch {
            asked: "up".to_owned(),
            message: "too many samples".to_owned(),
        }
    }

    #[test]
    fn a_server_that_is_away_is_waited_for_however_long() {
        let mut catch_up = CatchUp::new("hub", TimeZone::UTC);
        for _ in 0..10 * TRIES {
            assert!(catch_up.refused(busy(), 1).is_err());
        }
        assert_eq!(catch_up.n_hours, MOST_HOURS);
    }

    #[test]
    fn what_is_too_much_is_asked_for_in_parts_and_left_out_in_the_end() {
        let mut catch_up = CatchUp::new("hub", TimeZone::UTC);
        let mut asked = Vec::new();
        while catch_up.n_hours > 1 {
            asked.push(catch_up.n_hours);
            assert!(catch_up.refused(too_much(), catch_up.n_hours).is_err());
        }
        assert_eq!(asked, [24, 12, 6, 3]);
        let n_errors = (0..TRIES).filter(|_| catch_up.refused(too_much(), 1).is_err());
        assert!(n_errors.count() < TRIES as usize);
    }
}
