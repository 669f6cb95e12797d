//! How long to wait before the hub is asked again.

use rand::RngExt as _;
use std::time::Duration;

/// Reading should keep the hub busy for at most a tenth of the time.
const REST_FACTOR: u32 = 10;
/// While the hub fails it is asked at least this often, so that recovery shows soon.
const LONGEST_BACKOFF: Duration = Duration::from_mins(1);

/// How a round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Complete,
    Failed,
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

    /// The wait after a round that took `elapsed`, with a little chance in it so that several
    /// services do not ask in step.
    pub(super) fn next(&mut self, outcome: Outcome, elapsed: Duration) -> Duration {
        let chance = rand::rng().random_range(0.95..1.05);
        self.wait(outcome, elapsed).mul_f64(chance)
    }

    fn wait(&mut self, outcome: Outcome, elapsed: Duration) -> Duration {
        let rest = self
            .interval
            .saturating_sub(elapsed)
            .max(elapsed * REST_FACTOR);
        match outcome {
            Outcome::Complete => {
                self.n_failures = 0;
                rest
            }
            Outcome::Failed => {
                self.n_failures = (self.n_failures + 1).min(10);
                // From a second on, doubling: a hub that is just starting is soon read.
                let backoff = Duration::from_secs(1) * 2_u32.pow(self.n_failures - 1);
                backoff
                    .min(LONGEST_BACKOFF)
                    .min(self.interval.max(elapsed * REST_FACTOR))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_fast_hub_is_read_at_the_interval_and_a_slow_one_less_often() {
        let mut pace = Pace::new(MINUTE);
        let wait = pace.wait(Outcome::Complete, Duration::from_secs(1));
        assert_eq!(wait, Duration::from_secs(59));
        let wait = pace.wait(Outcome::Complete, Duration::from_secs(20));
        assert_eq!(wait, Duration::from_secs(200));
    }

    #[test]
    fn a_failing_hub_is_asked_soon_then_once_a_minute_whatever_the_interval() {
        let mut pace = Pace::new(Duration::from_hours(1));
        let waits: Vec<u64> = (0..9)
            .map(|_| pace.wait(Outcome::Failed, Duration::ZERO).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let wait = pace.wait(Outcome::Complete, Duration::ZERO);
        assert_eq!(wait, Duration::from_hours(1));
        assert_eq!(
            pace.wait(Outcome::Failed, Duration::ZERO),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn a_failing_hub_is_never_asked_more_often_than_a_well_one_would_be() {
        let mut pace = Pace::new(Duration::from_secs(5));
        let waits: Vec<u64> = (0..5)
            .map(|_| pace.wait(Outcome::Failed, Duration::ZERO).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
    }
}
