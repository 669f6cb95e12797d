//! How hard Prometheus is asked: a share of the time, smaller parts where one was too much, and again
//! after a pause where it did not answer.

use std::str::FromStr;
use std::time::Duration;
use tokio::time::Instant;

/// Parts that are answered in a row before larger ones are tried again.
const GOOD_ONES: u32 = 10;
/// Before a question that had no answer is asked again.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_mins(1),
];

/// Part of the time, more than 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share(f64);

/// A text that is no share.
#[derive(Debug, thiserror::Error)]
#[error("expected a percentage from 1% to 100%")]
pub(super) struct NoShare;

impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
        let percent: f64 = number.parse().map_err(|_| NoShare)?;
        if !(1.0..=100.0).contains(&percent) {
            return Err(NoShare);
        }
        Ok(Self(percent / 100.0))
    }
}

impl Share {
    /// How long to rest after work.
    fn rest_after(self, worked: Duration) -> Duration {
        worked.mul_f64((1.0 - self.0) / self.0)
    }
}

/// How much is asked for, and when.
#[derive(Debug)]
pub(super) struct Pace {
    share: Share,
    /// Nothing is asked before.
    next: Instant,
    /// Hours that are asked for at once.
    n_hours: usize,
    most_hours: usize,
    n_good: u32,
    n_tries: usize,
}

impl Pace {
    pub(super) fn new(share: Share, most_hours: usize) -> Self {
        Self {
            share,
            next: Instant::now(),
            n_hours: most_hours,
            most_hours,
            n_good: 0,
            n_tries: 0,
        }
    }

    pub(super) fn n_hours(&self) -> usize {
        self.n_hours
    }

    /// Waits until it may be asked again; what was done meanwhile counts as rest.
    pub(super) async fn rest(&self) {
        tokio::time::sleep_until(self.next).await;
    }

    /// It was asked since then.
    pub(super) fn asked(&mut self, since: Instant) {
        let now = Instant::now();
        self.next = now + self.share.rest_after(now.duration_since(since));
    }

    pub(super) fn answered(&mut self) {
        self.n_tries = 0;
        self.n_good += 1;
        if self.n_good >= GOOD_ONES {
            self.n_good = 0;
            self.n_hours = (self.n_hours * 2).min(self.most_hours);
        }
    }

    /// So many hours at once were too much.
    pub(super) fn was_too_much(&mut self, n_hours: usize) {
        self.n_tries = 0;
        self.n_good = 0;
        self.n_hours = (n_hours / 2).max(1);
    }

    /// There was no answer; `None` if that was so too often.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let pause = PAUSES.get(self.n_tries).copied();
        self.n_tries += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        let share = |text: &str| text.parse::<Share>().ok().map(|share| share.0);
        assert_eq!(share("50%"), Some(0.5));
        assert_eq!(share(" 20 % "), Some(0.2));
        assert_eq!(share("100"), Some(1.0));
        for wrong in ["0%", "101%", "half", "", "NaN", "-5%"] {
            assert_eq!(share(wrong), None, "{wrong}");
        }
        let rest = |text: &str| {
            let share: Share = text.parse().unwrap();
            share.rest_after(Duration::from_secs(2))
        };
        assert_eq!(rest("50%"), Duration::from_secs(2));
        assert_eq!(rest("20%"), Duration::from_secs(8));
        assert_eq!(rest("100%"), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_meanwhile_is_rest() {
        let mut pace = Pace::new("25%".parse().unwrap(), 24);
        pace.rest().await;
        let asked = Instant::now();
        tokio::time::advance(Duration::from_secs(10)).await;
        pace.asked(asked);
        tokio::time::advance(Duration::from_secs(5)).await;
        let before = Instant::now();
        pace.rest().await;
        let rested = before.elapsed();
        assert!((24..=26).contains(&rested.as_secs()), "{rested:?}");
    }

    #[test]
    fn parts_get_smaller_at_once_and_larger_slowly() {
        let mut pace = Pace::new("100%".parse().unwrap(), 24);
        pace.was_too_much(24);
        assert_eq!(pace.n_hours(), 12);
        pace.was_too_much(1);
        assert_eq!(pace.n_hours(), 1);
        for _ in 0..GOOD_ONES {
            pace.answered();
        }
        assert_eq!(pace.n_hours(), 2);
        let pauses = std::iter::from_fn(|| pace.pause()).count();
        assert_eq!(pauses, PAUSES.len());
        pace.answered();
        assert!(pace.pause().is_some());
    }
}
