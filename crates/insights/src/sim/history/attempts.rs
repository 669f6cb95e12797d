//! Attempts to start a server: how long they take, and those that fail.

use super::calendar::{HOUR, SECOND};
use super::runs::Workshop;
use crate::sim::draw::Draw;

/// Shares of attempts before which another one failed, in thousandths: usually, and in a trouble.
const FAILED: u64 = 8;
const FAILED_IN_TROUBLE: u64 = 450;

/// A start that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) asked: i64,
    pub(super) ended: i64,
    pub(super) why: Why,
}

/// Why a start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The hub waits no longer than five minutes.
    TooLate,
    /// The cluster refused the pod.
    Refused,
    /// The proxy did not take the route.
    NoRoute,
}

impl Why {
    const ALL: [Self; 3] = [Self::TooLate, Self::Refused, Self::NoRoute];

    /// As the hooks call it: the class of the error.
    pub(super) fn error_type(self) -> &'static str {
        match self {
            Self::TooLate => "TimeoutError",
            Self::Refused => "ApiException",
            Self::NoRoute => "RouteNotAdded",
        }
    }

    fn draw_length(self, draw: &mut Draw) -> i64 {
        match self {
            Self::TooLate => 300 * SECOND + draw.between(0, SECOND),
            Self::Refused => draw.between(SECOND / 5, 3 * SECOND),
            Self::NoRoute => draw.between(8 * SECOND, 40 * SECOND),
        }
    }
}

impl Workshop<'_> {
    /// From the beginning of a start until the server answers.
    pub(super) fn draw_wait(&self, started: i64, draw: &mut Draw) -> i64 {
        const SECONDS: &[i64] = &[4, 6, 7, 9, 11, 14, 18, 26, 45];
        let usual = draw.quantile(SECONDS) * SECOND + draw.between(0, SECOND);
        match self.incidents.trouble_at(started) {
            Some(_) => usual + draw.quantile(&[0, 20, 60, 200]) * SECOND,
            None => usual,
        }
    }

    /// What somebody tried before, if the server was free then.
    pub(super) fn failed_before(&self, started: i64, free: i64, seed: u64) -> Option<Attempt> {
        let mut draw = Draw::of([seed, 31]);
        let trouble = self.incidents.trouble_at(started);
        let share = if trouble.is_some() {
            FAILED_IN_TROUBLE
        } else {
            FAILED
        };
        if !draw.per_mille(share) {
            return None;
        }
        let why = match trouble {
            Some(_) => Why::TooLate,
            None => Why::ALL[draw.weighted(&[5, 3, 1])],
        };
        let ended = started - draw.between(9 * SECOND, 100 * SECOND);
        let asked = ended - why.draw_length(&mut draw);
        let is_disturbed = self.incidents.restart_in(asked - HOUR, ended).is_some()
            || self.incidents.is_outage_in(asked, ended);
        (free < asked && !is_disturbed).then_some(Attempt { asked, ended, why })
    }
}
