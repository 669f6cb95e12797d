//! How many questions to the hub people may cause whom nobody knows. Without a limit a flood of made-up
//! tokens or logins would reach the hub, which has one thread.
//!
//! What is asked, and what a refusal looks like, is the business of whoever asks.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Questions that are left, and come back with time.
#[derive(Debug)]
pub(super) struct Questions {
    at_once: f64,
    per_second: f64,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    n: f64,
    counted: Instant,
}

/// None is left now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Questions {
    /// So many at once, and after that so many a second.
    pub(super) fn new(at_once: u32, per_second: u32) -> Self {
        let at_once = f64::from(at_once);
        Self {
            at_once,
            per_second: f64::from(per_second),
            left: Mutex::new(Left {
                n: at_once,
                counted: Instant::now(),
            }),
        }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&self) -> Result<(), TooMany> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let regained = left.counted.elapsed().as_secs_f64() * self.per_second;
        left.counted = Instant::now();
        left.n = (left.n + regained).min(self.at_once);
        if left.n < 1.0 {
            return Err(TooMany);
        }
        left.n -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_may_be_asked_at_once_and_no_more() {
        let questions = Questions::new(20, 2);
        let outcomes: Vec<bool> = (0..30).map(|_| questions.take().is_ok()).collect();
        assert!(outcomes[..20].iter().all(|&is_allowed| is_allowed));
        assert!(!outcomes[29]);
    }
}
