//! What polling learns about servers, by comparing a list of active servers with what ran before.

use crate::days::Day;
use crate::fact::{Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use crate::snapshot::Server;
use crate::tally::Tally;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A server that was ready once and has not been missed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Whose and which.
    pub key: ServerKey,
    /// When the hub started it, which names this run.
    pub started: Timestamp,
    /// Whether `started` is later than the hub says, since what came before is an erased person's.
    /// The hub's own time is not kept: it would tell who that was.
    #[serde(default)]
    pub is_cut: bool,
    /// The user's choices as JSON text.
    pub options: Option<Arc<str>>,
    /// Image it runs, where the hub tells.
    pub image: Option<Arc<str>>,
    /// The first poll that saw it ready.
    pub seen_ready: Timestamp,
    /// The last poll that surely saw this run.
    pub last_seen: Timestamp,
    /// Its activity.
    pub tally: Tally,
}

/// How and when the list of servers was read.
#[derive(Clone, Debug)]
pub struct Look {
    /// When the read began: what it lists surely ran then, and may be gone before it ends.
    pub began: Timestamp,
    /// When the read ended: what it does not list is surely gone by then.
    pub at: Timestamp,
    /// A longer time without a look counts as unwatched.
    pub watch_limit: SignedDuration,
    /// When the hub's process started, where that is known.
    pub hub_started: Option<Timestamp>,
    /// What the counter of stops says about the servers that are gone, see [`n_gone`].
    pub stops: StopEvidence,
    /// The hub's zone, for midnight and active hours.
    pub zone: TimeZone,
}

/// What a look brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerNews {
    /// `before` of the next look, sorted by key.
    pub running: Vec<Running>,
    /// What is to be recorded, together with `running`, sorted by key and time.
    pub facts: Vec<KeyedFact>,
}

/// Compares what ran before with a list of active servers.
///
/// - A server is known once it was ready with a known `started`; one that vanishes while it is
///   pending leaves nothing. It stays known while it is listed, also when it is stopping.
/// - Another `started` under the same key means that the old server is gone, unless the old one's
///   was cut: the hub goes on telling the earlier one.
/// - A listed server without `started` is the old one about to be gone, or another about to start.
///   It is kept, but was not surely seen.
/// - Activity is told at the first look of a local day and at the end, unless the hub never said
///   when there was any: then it is unknown.
/// - A clock that jumped back does not make anything end before it was seen, and leaves unknown for
///   how long nobody looked.
pub fn server_news(before: &[Running], after: &[Server], look: &Look) -> ServerNews {
    let listed = by_key(after);
    let mut news = ServerNews::default();
    let mut known: BTreeMap<ServerKey, Running> = BTreeMap::new();
    for running in before {
        match find(running, &listed) {
            Finding::Gone => news.facts.extend(running.gone(look)),
            Finding::Listed => {
                known.insert(running.key.clone(), running.clone());
            }
            Finding::Running(server) => {
                let mut running = running.clone();
                news.facts.extend(running.advance(server, look));
                known.insert(running.key.clone(), running);
            }
        }
    }
    for (key, server) in listed {
        if let Some(started) = server.started.filter(|_| server.ready)
            && !known.contains_key(&key)
        {
            let running = Running::new(key.clone(), started, server, look);
            news.facts.push(running.seen());
            known.insert(key, running);
        }
    }
    news.running = known.into_values().collect();
    news.facts.sort_unstable();
    news
}

/// How many servers [`server_news`] finds gone, which `StopCredit` has to know beforehand.
pub fn n_gone(before: &[Running], after: &[Server]) -> usize {
    let listed = by_key(after);
    let gone = before
        .iter()
        .filter(|running| matches!(find(running, &listed), Finding::Gone));
    gone.count()
}

/// What a list tells about a server that ran before.
enum Finding<'a> {
    /// It runs, or is stopping.
    Running(&'a Server),
    /// Its key is listed, without saying which run.
    Listed,
    Gone,
}

fn find<'a>(running: &Running, listed: &BTreeMap<ServerKey, &'a Server>) -> Finding<'a> {
    match listed.get(&running.key) {
        None => Finding::Gone,
        Some(server) => match server.started {
            None => Finding::Listed,
            Some(started) if started == running.started => Finding::Running(server),
            Some(started) if running.is_cut && started < running.started => {
                Finding::Running(server)
            }
            Some(_) => Finding::Gone,
        },
    }
}

fn by_key(servers: &[Server]) -> BTreeMap<ServerKey, &Server> {
    let keyed = servers.iter().map(|server| {
        let key = ServerKey {
            user: server.user.clone(),
            server: Arc::clone(&server.name),
        };
        (key, server)
    });
    keyed.collect()
}

impl Running {
    /// Its activity so far, unless it is unknown: what the next look of another day would tell.
    ///
    /// Put to the recorded facts it makes a running session's activity complete. Hours that were
    /// told before may be missing in the tally alone.
    pub fn activity(&self, now: Timestamp) -> Option<KeyedFact> {
        self.tally.last_activity?;
        let what = What::Activity {
            started: self.started,
            hours: self.tally.active_hours(),
        };
        Some(self.fact(now, what))
    }

    fn new(key: ServerKey, started: Timestamp, server: &Server, look: &Look) -> Self {
        let seen_ready = look.began.max(started);
        let mut tally = Tally::default();
        if let Some(last_activity) = server.last_activity {
            tally.advance(last_activity, &look.zone);
        }
        Self {
            key,
            started,
            is_cut: false,
            options: server.options.clone(),
            image: server.image.clone(),
            seen_ready,
            last_seen: seen_ready,
            tally,
        }
    }

    /// The server is still there. Gives its activity at the first look of a day.
    fn advance(&mut self, server: &Server, look: &Look) -> Option<KeyedFact> {
        if let Some(last_activity) = server.last_activity {
            self.tally.advance(last_activity, &look.zone);
        }
        let now = look.began.max(self.last_seen);
        let midnight = Day::of(self.last_seen, &look.zone).span(&look.zone).end;
        self.last_seen = now;
        if now < midnight {
            return None;
        }
        let activity = self.activity(now);
        self.tally.forget_finished_hours(&look.zone);
        activity
    }

    fn seen(&self) -> KeyedFact {
        let what = What::Seen {
            started: self.started,
            options: self.options.clone(),
            image: self.image.clone(),
        };
        self.fact(self.seen_ready, what)
    }

    /// Its last activity and its disappearance.
    fn gone(&self, look: &Look) -> impl Iterator<Item = KeyedFact> + use<> {
        let unwatched_for = look.at.duration_since(self.last_seen);
        let watch = if (SignedDuration::ZERO..=look.watch_limit).contains(&unwatched_for) {
            Watch::Watched
        } else {
            Watch::Unwatched
        };
        let now = look.at.max(self.last_seen);
        let hub_restarted = look.hub_started;
        let what = What::Gone {
            started: Some(self.started),
            last_seen: self.last_seen,
            watch,
            hub_restarted: hub_restarted.filter(|&started| started > self.last_seen),
            stop_counted: look.stops,
        };
        let gone = self.fact(now, what);
        self.activity(now).into_iter().chain([gone])
    }

    fn fact(&self, at: Timestamp, what: What) -> KeyedFact {
        KeyedFact {
            key: self.key.clone(),
            fact: Fact { at, what },
        }
    }
}

#[cfg(test)]
mod tests;
