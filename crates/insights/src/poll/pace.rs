//! How long to wait before the hub is asked again.

use crate::hub::{ErrorKind, HubError};
use crate::metrics::own::Data;
use rand::RngExt as _;
use std::time::Duration;

/// Reading should keep the hub busy for at most a tenth of the time.
const REST_FACTOR: u32 = 10;
/// While the hub fails it is asked at least this often, so that recovery shows soon.
const LONGEST_BACKOFF: Duration = Duration::from_mins(1);
/// A hub that asks to be left alone for longer is asked again after this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Whoever waits for news gets them no sooner than this after those before.
const SOONEST: Duration = Duration::from_secs(15);

/// How a round of reads went.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Time in which the hub was working for us or we were waiting for it; our own rests left out.
    pub(super) hub_time: Duration,
    has_failed: bool,
    /// How long the hub asked to be left alone.
    retry_after: Duration,
}

impl Round {
    /// Notes a failed read.
    ///
    /// That the role lacks the scope for users or servers is a reason, not a failure: it will not
    /// go away by asking again soon. Numbers are worth no further question whatever is wrong.
    pub(super) fn failed(&mut self, data: Data, error: &HubError) {
        self.has_failed |= match data {
            Data::Groups => true,
            Data::Users | Data::Servers => error.kind() != ErrorKind::MissingScope,
            Data::Numbers => false,
        };
        self.retry_after = self
            .retry_after
            .max(error.retry_after().unwrap_or_default());
    }

    /// Whether something that has to be read could not be.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }
}

/// A wait between two rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    ordinary: Duration,
    /// If somebody waits for news.
    shortest: Duration,
}

impl Wait {
    /// Waits, and less long once `news_wanted` is done.
    pub(super) async fn over(self, news_wanted: impl Future<Output = ()>) {
        let sooner = async {
            tokio::time::sleep(self.shortest).await;
            news_wanted.await;
        };
        tokio::select! {
            () = tokio::time::sleep(self.ordinary) => {}
            () = sooner => {}
        }
    }
}

/// Waits between rounds.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    n_failures: u32,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            n_failures: 0,
        }
    }

    /// The wait after a round that took `elapsed` in all, with a little chance in it so that
    /// several services do not ask in step.
    pub(super) fn next(&mut self, round: &Round, elapsed: Duration) -> Wait {
        let chance = rand::rng().random_range(0.95..1.05);
        let ordinary = self.wait(round, elapsed).mul_f64(chance);
        Wait {
            ordinary,
            shortest: shortest(round).min(ordinary),
        }
    }

    fn wait(&mut self, round: &Round, elapsed: Duration) -> Duration {
        let asked_for = round.retry_after.min(LONGEST_RETRY_AFTER);
        if !round.has_failed {
            self.n_failures = 0;
            let rest = round.hub_time * REST_FACTOR;
            return self
                .interval
                .saturating_sub(elapsed)
                .max(rest)
                .max(asked_for);
        }
        self.n_failures = (self.n_failures + 1).min(10);
        // From a second on, doubling: a hub that is just starting is soon read. One that hangs
        // gets as long a rest as it had work.
        let backoff = Duration::from_secs(1) * 2_u32.pow(self.n_failures - 1);
        backoff
            .min(self.interval)
            .max(round.hub_time)
            .min(LONGEST_BACKOFF)
            .max(asked_for)
    }
}

/// A hub that fails is left to its back-off.
fn shortest(round: &Round) -> Duration {
    if round.has_failed {
        return Duration::MAX;
    }
    let rest = round.hub_time * REST_FACTOR;
    SOONEST.max(rest).max(round.retry_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn complete(hub_seconds: u64) -> Round {
        Round {
            hub_time: seconds(hub_seconds),
            ..Round::default()
        }
    }

    fn failed(hub_seconds: u64) -> Round {
        Round {
            has_failed: true,
            ..complete(hub_seconds)
        }
    }

    /// The waits after these many failures in a row of a hub that takes `hub_seconds` to fail.
    fn waits(pace: &mut Pace, n_failures: usize, hub_seconds: u64) -> Vec<u64> {
        let wait = |_| {
            pace.wait(&failed(hub_seconds), seconds(hub_seconds))
                .as_secs()
        };
        (0..n_failures).map(wait).collect()
    }

    /// After how many seconds the next round begins if somebody asks for news after so many.
    async fn begins(round: &Round, news_wanted: u64) -> u64 {
        let wait = Wait {
            ordinary: seconds(60),
            shortest: shortest(round).min(seconds(60)),
        };
        let begun = tokio::time::Instant::now();
        wait.over(tokio::time::sleep(seconds(news_wanted))).await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_news_waits_less_long() {
        assert_eq!(begins(&complete(0), 3600).await, 60);
        assert_eq!(begins(&complete(0), 40).await, 40);
        assert_eq!(begins(&complete(0), 10).await, 15);
        assert_eq!(begins(&complete(3), 0).await, 30, "a slow hub");
        assert_eq!(begins(&failed(0), 0).await, 60, "a hub that fails");
    }

    #[test]
    fn a_fast_hub_is_read_at_the_interval_and_a_slow_one_less_often() {
        let mut pace = Pace::new(seconds(60));
        assert_eq!(pace.wait(&complete(1), seconds(1)), seconds(59));
        assert_eq!(pace.wait(&complete(20), seconds(20)), seconds(200));
    }

    #[test]
    fn our_own_rests_do_not_make_the_hub_slow() {
        let mut pace = Pace::new(seconds(60));
        assert_eq!(pace.wait(&complete(2), seconds(50)), seconds(20));
    }

    #[test]
    fn a_failing_hub_is_asked_soon_then_once_a_minute_whatever_the_interval() {
        let mut pace = Pace::new(seconds(3600));
        assert_eq!(waits(&mut pace, 9, 0), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pace.wait(&complete(0), seconds(0)), seconds(3600));
        assert_eq!(waits(&mut pace, 1, 0), [1]);
        assert_eq!(waits(&mut Pace::new(seconds(5)), 5, 0), [1, 2, 4, 5, 5]);
    }

    #[test]
    fn a_hub_that_hangs_rests_as_long_as_it_hung() {
        assert_eq!(waits(&mut Pace::new(seconds(60)), 3, 30), [30, 30, 30]);
        assert_eq!(waits(&mut Pace::new(seconds(60)), 2, 90), [60, 60]);
    }

    #[test]
    fn a_hub_that_asks_to_be_left_alone_is() {
        let round = Round {
            retry_after: seconds(300),
            ..failed(0)
        };
        assert_eq!(
            Pace::new(seconds(60)).wait(&round, seconds(0)),
            seconds(300)
        );
    }

    #[test]
    fn a_missing_scope_for_users_or_servers_is_no_failure() {
        let missing = |path: &'static str| HubError::HiddenField {
            path,
            field: "x",
            scope: "y",
        };
        let mut round = Round::default();
        round.failed(Data::Servers, &missing("/users?state=active"));
        assert!(!round.has_failed);
        round.failed(
            Data::Numbers,
            &HubError::NotMetrics {
                path: "metrics".to_owned(),
                problem: "x".to_owned(),
            },
        );
        assert!(!round.has_failed, "numbers are worth no further question");
        round.failed(Data::Groups, &missing("/groups"));
        assert!(round.has_failed);
    }
}
