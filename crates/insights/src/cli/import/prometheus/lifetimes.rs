//! How long pods lived, and which sessions follow. What Prometheus is asked for it is `pods`'
//! business.
//!
//! Everything here is the same however the time is cut into pieces: a pod belongs to the piece that
//! it ended in, and what it is compared with is seen in that piece too.

use super::covered::Span;
use jiff::{SignedDuration, Timestamp};
use model::fact::{Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use model::names::UserName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A user's pod, as far as it was seen in some time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pod {
    /// Tells it from all others: its name and, where it is known, its unique id.
    pub(super) id: PodId,
    pub(super) user: UserName,
    /// Only pods of named servers tell it.
    pub(super) server: Option<Arc<str>>,
    /// When Kubernetes made it, else the first sample.
    pub(super) started: Timestamp,
    /// The last sample.
    pub(super) last: Timestamp,
}

/// Tells a pod from all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PodId {
    pub(super) name: Arc<str>,
    /// Empty where nothing tells it.
    pub(super) uid: Arc<str>,
}

/// Whether pods tell the names of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerNames {
    /// Those of named servers do, so that all others are default servers.
    Told,
    /// No pod does: which of a user's servers it was is not known.
    Unknown,
}

/// A session that is over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) user: UserName,
    /// `None` where servers cannot be told apart.
    pub(super) server: Option<Arc<str>>,
    pub(super) span: Span,
}

/// The sessions of pods whose last sample lies in the span, in order.
///
/// Two pods of one server at once are one session: a pod that ran within another's time adds
/// nothing, and one that ran into another's ends where that one starts.
pub(super) fn runs(
    pods: &[Pod],
    names: ServerNames,
    ended_in: Span,
    interval: SignedDuration,
) -> Vec<Run> {
    let mut by_server: BTreeMap<(&UserName, Option<&str>), Vec<Life<'_>>> = BTreeMap::new();
    for pod in pods {
        let server = match names {
            ServerNames::Told => Some(pod.server.as_deref().unwrap_or_default()),
            ServerNames::Unknown => None,
        };
        let lives = by_server.entry((&pod.user, server)).or_default();
        lives.push(Life::of(pod, ended_in, interval));
    }
    let mut runs = Vec::new();
    for ((user, server), lives) in by_server {
        let over = lives.iter().filter(|life| life.is_over);
        let spans = over.filter_map(|life| life.alone_among(&lives));
        runs.extend(spans.map(|span| Run {
            user: user.clone(),
            server: server.map(Arc::from),
            span,
        }));
    }
    runs.sort();
    runs
}

/// From the start of a pod to its end.
struct Life<'a> {
    id: &'a PodId,
    start: Timestamp,
    /// Of one that was seen later, the end of time.
    end: Timestamp,
    /// Whether it ended in the time that is looked at.
    is_over: bool,
}

impl<'a> Life<'a> {
    fn of(pod: &'a Pod, ended_in: Span, interval: SignedDuration) -> Self {
        let is_over = ended_in.from < pod.last && pod.last <= ended_in.to;
        let end = if pod.last > ended_in.to {
            Timestamp::MAX
        } else {
            pod.last.saturating_add(interval).unwrap_or(Timestamp::MAX)
        };
        Self {
            id: &pod.id,
            start: pod.started.min(pod.last),
            end,
            is_over,
        }
    }

    /// Its own part of what it and the others ran, if it has one.
    fn alone_among(&self, others: &[Self]) -> Option<Span> {
        let others = others.iter().filter(|other| other.id != self.id);
        let mut to = self.end;
        for other in others {
            let is_within = other.start <= self.start && other.end >= self.end;
            let is_same = other.start == self.start && other.end == self.end;
            if is_within && (!is_same || other.id < self.id) {
                return None;
            }
            // One that is within this one adds nothing.
            if self.start < other.start && other.end > self.end {
                to = to.min(other.start);
            }
        }
        Some(Span {
            from: self.start,
            to,
        })
    }
}

impl Run {
    /// What it says about the server: it started, and was gone at its end; why, nobody knows.
    ///
    /// Not "stopped": pods of servers that crashed, and pods of nodes that went away, end as well.
    pub(super) fn facts(&self) -> [KeyedFact; 2] {
        let key = ServerKey {
            user: self.user.clone(),
            server: self.server.clone().unwrap_or_default(),
        };
        let Span { from, to } = self.span;
        let gone = What::Gone {
            started: None,
            last_seen: to,
            watch: Watch::Unwatched,
            hub_restarted: None,
            stop_counted: StopEvidence::Unknown,
        };
        let fact = |at, what| KeyedFact {
            key: key.clone(),
            fact: Fact { at, what },
        };
        [fact(from, What::Start), fact(to, gone)]
    }
}

/// The time between two samples, by most pairs of them; a minute if there is no pair.
#[derive(Debug, Default)]
pub(super) struct Intervals(Vec<SignedDuration>);

impl Intervals {
    /// Two samples that follow each other were so far apart.
    pub(super) fn add(&mut self, apart: SignedDuration) {
        self.0.push(apart);
    }

    pub(super) fn usual(mut self) -> SignedDuration {
        let middle = self.0.len() / 2;
        if self.0.is_empty() {
            return SignedDuration::from_mins(1);
        }
        let (_, usual, _) = self.0.select_nth_unstable(middle);
        *usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::session::{EndReason, Origin, sessions};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 / 3600 * 3600 + minute * 60).unwrap()
    }

    fn minute(at: Timestamp) -> i64 {
        (at.as_second() - self::at(0).as_second()) / 60
    }

    /// Lines of `user/server pod started last`; a pod without `/server` tells none.
    fn pods(lines: &str) -> Vec<Pod> {
        let pod = |line: &str| {
            let mut words = line.split_whitespace();
            let (user, server) = match words.next().unwrap().split_once('/') {
                Some((user, server)) => (user.to_owned(), Some(server.into())),
                None => (line.split_whitespace().next().unwrap().to_owned(), None),
            };
            let name = words.next().unwrap();
            let mut minutes = words.map(|word| at(word.parse().unwrap()));
            Pod {
                id: PodId {
                    name: name.into(),
                    uid: "".into(),
                },
                user: user.as_str().into(),
                server,
                started: minutes.next().unwrap(),
                last: minutes.next().unwrap(),
            }
        };
        lines.trim().lines().map(|line| pod(line.trim())).collect()
    }

    fn text(runs: &[Run]) -> String {
        let runs = runs.iter().map(|run| {
            let server = run.server.as_deref().unwrap_or("?");
            let (from, to) = (minute(run.span.from), minute(run.span.to));
            format!("{}/{server} {from}-{to}", run.user)
        });
        runs.collect::<Vec<_>>().join(", ")
    }

    fn check(lines: &str, names: ServerNames, ended_in: (i64, i64), expected: &str) {
        let ended_in = Span {
            from: at(ended_in.0),
            to: at(ended_in.1),
        };
        let runs = runs(&pods(lines), names, ended_in, SignedDuration::from_mins(1));
        assert_eq!(text(&runs), expected, "{lines}");
    }

    #[test]
    fn a_pod_is_a_session_of_the_piece_that_it_ended_in() {
        let lines = "ada a 10 69
                     ada/gpu b 20 70
                     ben c 5 100";
        check(lines, ServerNames::Told, (0, 60), "");
        check(lines, ServerNames::Told, (60, 69), "ada/ 10-70");
        check(lines, ServerNames::Told, (69, 99), "ada/gpu 20-71");
        check(
            lines,
            ServerNames::Told,
            (0, 100),
            "ada/ 10-70, ada/gpu 20-71, ben/ 5-101",
        );
    }

    #[test]
    fn two_pods_of_one_server_at_once_are_one_session_in_whatever_pieces() {
        // The second runs into the third, and the first within the second.
        let lines = "ada a 20 30
                     ada b 10 40
                     ada c 35 90";
        check(
            lines,
            ServerNames::Unknown,
            (0, 100),
            "ada/? 10-35, ada/? 35-91",
        );
        check(lines, ServerNames::Unknown, (0, 32), "");
        check(lines, ServerNames::Unknown, (32, 50), "ada/? 10-35");
        let same = "ada a 20 30
                    ada b 20 30";
        check(same, ServerNames::Told, (0, 100), "ada/ 20-31");
        // Started again within the last interval.
        check(
            "ada a 20 30\nada b 31 40",
            ServerNames::Told,
            (0, 99),
            "ada/ 20-31, ada/ 31-41",
        );
    }

    #[test]
    fn a_run_is_a_session_that_ended_unobserved() {
        let mut facts = Vec::new();
        let (first, second) = ("ada a 10 40", "ada b 41 90");
        for lines in [second, first, second] {
            let ended_in = Span {
                from: at(0),
                to: at(100),
            };
            let interval = SignedDuration::from_mins(1);
            for run in runs(&pods(lines), ServerNames::Unknown, ended_in, interval) {
                facts.extend(run.facts().map(|keyed| keyed.fact));
            }
        }
        let derived = sessions(&facts);
        let ends: Vec<_> = derived
            .iter()
            .map(|session| (minute(session.started), minute(session.end.unwrap().at)))
            .collect();
        assert_eq!(ends, [(10, 41), (41, 91)]);
        for session in derived {
            assert_eq!(session.origin, Origin::EventsOnly);
            assert_eq!(session.end.unwrap().reason, EndReason::Unobserved);
        }
    }

    #[test]
    fn a_pod_that_comes_back_after_a_gap_is_one_session() {
        let one = |last| Run {
            user: "ada".into(),
            server: None,
            span: Span {
                from: at(10),
                to: at(last),
            },
        };
        let facts: Vec<Fact> = [one(40), one(90)]
            .iter()
            .flat_map(Run::facts)
            .map(|keyed| keyed.fact)
            .collect();
        let derived = sessions(&facts);
        assert_eq!(derived.len(), 1);
        assert_eq!(derived[0].end.unwrap().at, at(90));
    }

    #[test]
    fn the_usual_interval_is_that_of_most_samples() {
        let mut intervals = Intervals::default();
        for seconds in [15, 15, 3600, 14, 30, 15] {
            intervals.add(SignedDuration::from_secs(seconds));
        }
        assert_eq!(intervals.usual(), SignedDuration::from_secs(15));
        assert_eq!(Intervals::default().usual(), SignedDuration::from_mins(1));
    }
}
