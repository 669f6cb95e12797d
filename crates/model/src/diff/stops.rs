//! Whether servers that went missing were stopped, by the hub's own counter of stops.
//!
//! The counter tells how many stops were asked for and not whose. So it only gives evidence where
//! it explains all servers that went missing between two polls, or none of them.

use crate::fact::StopEvidence;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What the counter said at the last poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopCredit {
    /// The counter; `None` when it could not be read.
    pub counter: Option<u64>,
    /// When the hub's process started as it says itself, with which the counter begins at 0; also
    /// while it cannot be read.
    pub hub_started: Option<Timestamp>,
    /// Stops counted at the last poll whose servers were not missing yet.
    pub carry: u64,
}

impl StopCredit {
    /// When the hub's process started, given when it says so itself and when the last poll was;
    /// asked before the numbers of this poll are taken.
    ///
    /// A process that the last poll did not meet has started since. What it says itself may be up to
    /// a second early, as Linux dates its boot in whole seconds, or be of another machine's clock.
    pub fn hub_started(
        &self,
        told: Option<Timestamp>,
        last_poll: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let told = told?;
        let is_another = self.hub_started.is_some_and(|before| before != told);
        let after_poll = last_poll
            .filter(|_| is_another)
            .and_then(|at| at.checked_add(SignedDuration::from_micros(1)).ok());
        Some(after_poll.map_or(told, |after_poll| told.max(after_poll)))
    }

    /// Takes the numbers of one poll, of which every one has to be told, also those at which no
    /// server is missing (the answer then means nothing).
    ///
    /// The counter is read after the list of servers, so a stop may be counted one poll before its
    /// server is missing: what is left over is carried to the next poll and no further. Without a
    /// counter now or before, with a hub that was restarted, or with a counter that went back, the
    /// answer is `Unknown`.
    pub fn advance(
        &mut self,
        counter: Option<u64>,
        hub_started: Option<Timestamp>,
        n_gone: usize,
    ) -> StopEvidence {
        let fresh = Self {
            counter,
            // A poll that could not read the numbers does not know that the hub was restarted.
            hub_started: hub_started.or(self.hub_started),
            carry: 0,
        };
        let before = std::mem::replace(self, fresh);
        let stops = match (before.counter, counter) {
            (Some(before), Some(now)) => now.checked_sub(before),
            _ => None,
        };
        let Some(stops) = stops.filter(|_| before.hub_started == hub_started) else {
            return StopEvidence::Unknown;
        };
        let n_gone = u64::try_from(n_gone).unwrap_or(u64::MAX);
        // What was carried is used up first, as it is not carried again.
        self.carry = stops.saturating_sub(n_gone.saturating_sub(before.carry));
        match stops.saturating_add(before.carry) {
            credit if credit >= n_gone => StopEvidence::Asked,
            0 => StopEvidence::NotAsked,
            _ => StopEvidence::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls as `counter/gone`, `-` for no counter, `R` before a restart of the hub; and what each
    /// of them tells.
    fn check(polls: &str, expected: &str) {
        let mut credit = StopCredit::default();
        let mut n_restarts = 0;
        let mut answers = Vec::new();
        for poll in polls.split_whitespace() {
            if poll == "R" {
                n_restarts += 1;
                continue;
            }
            let (counter, n_gone) = poll.split_once('/').unwrap();
            let hub_started = Timestamp::from_second(n_restarts).unwrap();
            let answer = credit.advance(
                counter.parse().ok(),
                Some(hub_started),
                n_gone.parse().unwrap(),
            );
            answers.push(match answer {
                StopEvidence::Asked => "asked",
                StopEvidence::NotAsked => "not",
                StopEvidence::Unknown => "unknown",
            });
        }
        assert_eq!(answers.join(" "), expected);
    }

    #[test]
    fn nothing_is_known_at_the_first_poll() {
        check("7/1", "unknown");
    }

    #[test]
    fn as_many_stops_as_servers_gone_were_asked_for() {
        check("7/0 9/2", "unknown asked");
    }

    #[test]
    fn servers_gone_without_a_stop_were_not_asked_to() {
        check("7/0 7/2", "unknown not");
    }

    #[test]
    fn with_fewer_stops_than_servers_gone_it_is_not_known_whose_they_were() {
        check("7/0 8/2", "unknown unknown");
    }

    #[test]
    fn a_stop_counted_before_its_server_is_missing_is_carried_once() {
        check("7/0 8/0 8/1", "unknown asked asked");
        check("7/0 8/0 8/0 8/1", "unknown asked asked not");
        check("7/0 8/0 9/1 9/1", "unknown asked asked asked");
        check("7/0 8/0 9/1 9/0 9/1", "unknown asked asked asked not");
    }

    #[test]
    fn a_stop_is_used_once() {
        check("7/0 8/1 8/1", "unknown asked not");
    }

    #[test]
    fn a_restart_a_missing_counter_or_one_that_goes_back_starts_afresh() {
        check("7/0 R 9/1 9/1", "unknown unknown not");
        check("7/0 -/1 8/1 8/1", "unknown unknown unknown not");
        check("7/0 3/1 4/1", "unknown unknown asked");
        check("7/0 9/0 R 9/1", "unknown asked unknown");
    }

    #[test]
    fn a_hub_that_the_last_poll_did_not_meet_started_after_it() {
        let at = |micros| Timestamp::from_microsecond(micros).unwrap();
        let mut credit = StopCredit::default();
        let told = Some(at(8_500_000));
        assert_eq!(credit.hub_started(told, Some(at(9_000_000))), told);
        credit.advance(Some(0), Some(at(1_000_000)), 0);
        // A poll that could read nothing is between.
        credit.advance(None, None, 0);
        let started = |told, last_poll| credit.hub_started(Some(at(told)), Some(at(last_poll)));
        assert_eq!(started(8_500_000, 9_000_000), Some(at(9_000_001)));
        assert_eq!(started(9_500_000, 9_000_000), Some(at(9_500_000)));
        assert_eq!(started(1_000_000, 9_000_000), Some(at(1_000_000)));
        assert_eq!(credit.hub_started(None, Some(at(9_000_000))), None);
    }
}
