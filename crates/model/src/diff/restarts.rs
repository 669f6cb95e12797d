//! Servers that a hub stopped while it shut down.
//!
//! A hub with `cleanup_servers` stops its servers while its API still answers, and does not count
//! these stops. A look in between misses servers for which no stop was asked, as if they had crashed;
//! only the next process of the hub tells why.

use crate::fact::{Fact, KeyedFact, StopEvidence, Watch, What};
use crate::session::LONGEST_RESTART;
use jiff::{SignedDuration, Timestamp};

/// What is to be told again when a process of the hub is seen that started at `restarted`, and is
/// another one than before: servers that were missed shortly before, now with the reason.
///
/// [`crate::session`] prefers what knows of the restart.
pub fn gone_by_restart(facts: &[KeyedFact], restarted: Timestamp) -> Vec<KeyedFact> {
    let facts = facts.iter().filter_map(|keyed| {
        let What::Gone {
            started: Some(started),
            last_seen,
            watch: Watch::Watched,
            hub_restarted: None,
            stop_counted: StopEvidence::NotAsked,
        } = keyed.fact.what
        else {
            return None;
        };
        let until_restart = restarted.duration_since(keyed.fact.at);
        let is_shortly_before = (SignedDuration::ZERO..=LONGEST_RESTART).contains(&until_restart);
        let what = What::Gone {
            started: Some(started),
            last_seen,
            watch: Watch::Watched,
            hub_restarted: Some(restarted),
            stop_counted: StopEvidence::NotAsked,
        };
        is_shortly_before.then(|| KeyedFact {
            key: keyed.key.clone(),
            fact: Fact {
                at: keyed.fact.at,
                what,
            },
        })
    });
    facts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::ServerKey;
    use crate::session::{EndReason, sessions};

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn gone(watch: Watch, stop_counted: StopEvidence) -> KeyedFact {
        let what = What::Gone {
            started: Some(second(100)),
            last_seen: second(940),
            watch,
            hub_restarted: None,
            stop_counted,
        };
        KeyedFact {
            key: ServerKey {
                user: "ada".into(),
                server: "".into(),
            },
            fact: Fact {
                at: second(1000),
                what,
            },
        }
    }

    /// Why the session ended, when the hub is seen to have restarted then.
    fn reason(keyed: KeyedFact, restarted: i64) -> EndReason {
        let again = gone_by_restart(std::slice::from_ref(&keyed), second(restarted));
        let facts: Vec<Fact> = (again.into_iter().chain([keyed]))
            .map(|keyed| keyed.fact)
            .collect();
        let sessions = sessions(&facts);
        let [session] = &sessions[..] else {
            panic!("{sessions:?}")
        };
        let end = session.end.unwrap();
        if end.reason == EndReason::HubRestart {
            assert_eq!(end.at, second(1000));
        }
        end.reason
    }

    #[test]
    fn a_server_that_was_missed_shortly_before_a_restart_was_stopped_by_it() {
        let missed = || gone(Watch::Watched, StopEvidence::NotAsked);
        assert_eq!(reason(missed(), 1000), EndReason::HubRestart);
        assert_eq!(reason(missed(), 1300), EndReason::HubRestart);
        assert_eq!(reason(missed(), 1301), EndReason::Crashed);
        assert_eq!(reason(missed(), 999), EndReason::Crashed);
    }

    #[test]
    fn a_server_that_somebody_stopped_or_nobody_watched_was_not() {
        let asked = gone(Watch::Watched, StopEvidence::Asked);
        assert_eq!(reason(asked, 1010), EndReason::Stopped);
        let unwatched = gone(Watch::Unwatched, StopEvidence::Unknown);
        assert_eq!(reason(unwatched, 1010), EndReason::Unobserved);
    }
}
