//! What each server has used since it started: for the summary of a session the moment it ends, which
//! is before its hours are written down, and of whole hours only.
//!
//! A server that ran before this service looked is measured from then on, and says so. Kept in
//! `state.db`, so that a restart loses what was used meanwhile and no more. Which sessions there were
//! is the history's to know.

use crate::sources::Look;
use jiff::{SignedDuration, Timestamp};
use model::names::UserName;
use model::session::SLACK;
use model::snapshot::Server;
use model::usage::{Account, Amounts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use store::Position;
use store::tables::usage::{ENDED_METERS, METERS};

/// Meters of servers that run are written down at most so often.
const KEPT_EVERY: SignedDuration = SignedDuration::from_secs(55);
/// So long meters of servers that ended are at hand; later they are read from `state.db`.
const AT_HAND: SignedDuration = SignedDuration::from_hours(2);
/// Of no more servers than these.
const MOST_ENDED: usize = 20_000;
/// So many of a user's servers that ended last are written down.
const MOST_OF_USER: usize = 5;

/// What a server has used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metered {
    /// Whose and which.
    pub account: Account,
    /// When the hub started it.
    pub started: Timestamp,
    /// From when on it was measured: `started`, if all of it was.
    pub from: Timestamp,
    /// The last look that saw it.
    pub until: Timestamp,
    /// Seconds in between in which nobody counted.
    pub unmeasured_seconds: f64,
    /// Core seconds used.
    pub cpu_core_seconds: Option<f64>,
    /// Most memory at a moment, in bytes.
    pub memory_peak_bytes: Option<f64>,
    /// Memory that it could not have more of, in bytes.
    pub memory_limit_bytes: Option<f64>,
    /// Memory that was asked for, in bytes.
    pub memory_requested_bytes: Option<f64>,
    /// GPUs that were asked for.
    pub gpus_requested: Option<f64>,
    /// GPU seconds at work.
    pub gpu_used_seconds: Option<f64>,
    /// Memory at the last look.
    #[serde(skip)]
    memory_bytes: Option<f64>,
}

/// Meters of all servers that run, and of those that ended lately.
#[derive(Debug, Default)]
pub struct Meters {
    /// So long the source tells of memory that a server had which is gone.
    lingers: SignedDuration,
    /// The last look of this source; `None` before its first.
    looked: Option<Timestamp>,
    running: BTreeMap<Run, Metered>,
    ended: BTreeMap<Run, Ended>,
    strays: BTreeMap<Account, Stray>,
    /// Of them something ended that is not written down.
    unwritten: BTreeSet<UserName>,
    kept: Option<Timestamp>,
}

/// What is to be written down, all of it in one transaction.
#[derive(Debug)]
pub struct ToKeep {
    /// Where it goes.
    pub positions: Vec<Position>,
    at: Timestamp,
    users: BTreeSet<UserName>,
}

/// One run of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    user: UserName,
    server: Arc<str>,
    started: Timestamp,
}

#[derive(Debug)]
struct Ended {
    metered: Metered,
    /// The first look after it.
    missed: Timestamp,
}

/// What is used by a server that the hub has not told of yet.
#[derive(Clone, Copy, Debug, Default)]
struct Stray {
    /// From when on it is counted; `None` if from its beginning.
    from: Option<Timestamp>,
    cpu_core_seconds: Option<f64>,
}

/// What one look saw of an account.
#[derive(Clone, Copy, Debug)]
struct Used {
    amounts: Amounts,
    cpu_core_seconds: Option<f64>,
    peak_bytes: Option<f64>,
}

impl Metered {
    /// Seconds in which it was measured.
    pub fn measured_seconds(&self) -> f64 {
        let whole = self.until.duration_since(self.from).as_secs_f64();
        (whole - self.unmeasured_seconds).max(0.0)
    }

    /// Reads what is kept of a user's servers that ended.
    pub fn read(kept: &str) -> Vec<Self> {
        serde_json::from_str(kept).unwrap_or_default()
    }

    /// Whether it is of this run; some sources of sessions write whole seconds.
    pub fn is_of(&self, server: &str, started: Timestamp) -> bool {
        self.account.server.as_deref() == Some(server)
            && self.started.duration_since(started).abs() <= SLACK
    }

    fn new(run: &Run, from: Timestamp) -> Self {
        Self {
            account: Account {
                user: run.user.clone(),
                server: Some(Arc::clone(&run.server)),
            },
            started: run.started,
            from,
            until: from,
            unmeasured_seconds: 0.0,
            cpu_core_seconds: None,
            memory_peak_bytes: None,
            memory_limit_bytes: None,
            memory_requested_bytes: None,
            gpus_requested: None,
            gpu_used_seconds: None,
            memory_bytes: None,
        }
    }

    fn run(&self) -> Run {
        Run {
            user: self.account.user.clone(),
            server: self.account.server.clone().unwrap_or_default(),
            started: self.started,
        }
    }

    /// Adds what a look saw. What it counts was used since `counted_from`.
    fn add(&mut self, used: &Used, counted_from: Timestamp, at: Timestamp, peaks: Peaks) {
        let gap = counted_from.duration_since(self.until).as_secs_f64();
        self.unmeasured_seconds += gap.max(0.0);
        let seconds = at.duration_since(counted_from.max(self.until));
        self.cpu_core_seconds = sum(self.cpu_core_seconds, used.cpu_core_seconds);
        let gpus = used.amounts.gpus_used;
        let gpu_seconds = gpus.map(|gpus| gpus * seconds.as_secs_f64().max(0.0));
        self.gpu_used_seconds = sum(self.gpu_used_seconds, gpu_seconds);
        let has_grown = matches!((self.memory_bytes, used.amounts.memory_bytes),
            (Some(before), Some(now)) if now > before);
        if peaks == Peaks::All || has_grown {
            self.memory_peak_bytes = largest(self.memory_peak_bytes, used.peak_bytes);
        }
        self.memory_bytes = used.amounts.memory_bytes;
        let Amounts {
            memory_limit_bytes,
            memory_requested_bytes,
            gpus_requested,
            ..
        } = used.amounts;
        self.memory_limit_bytes = memory_limit_bytes.or(self.memory_limit_bytes);
        self.memory_requested_bytes = memory_requested_bytes.or(self.memory_requested_bytes);
        self.gpus_requested = gpus_requested.or(self.gpus_requested);
        self.until = self.until.max(at);
    }

    /// Takes in what another process measured of the same run.
    fn join(&mut self, other: Self) {
        let peak = largest(self.memory_peak_bytes, other.memory_peak_bytes);
        if other.until <= self.from {
            let gap = self.from.duration_since(other.until).as_secs_f64();
            self.unmeasured_seconds += other.unmeasured_seconds + gap;
            self.from = other.from;
            self.cpu_core_seconds = sum(self.cpu_core_seconds, other.cpu_core_seconds);
            self.gpu_used_seconds = sum(self.gpu_used_seconds, other.gpu_used_seconds);
        } else if other.measured_seconds() > self.measured_seconds() {
            *self = other;
        }
        self.memory_peak_bytes = peak;
    }
}

/// Which memory counts for the peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peaks {
    All,
    /// What grew since the last look: the rest may be that of the server before.
    Grown,
}

impl Meters {
    /// Looks come from a source from now on that has not looked yet. `lingers` is how long it tells
    /// of memory that a server had which is gone.
    pub fn begin(&mut self, lingers: SignedDuration) {
        self.lingers = lingers;
        self.looked = None;
        self.strays.clear();
    }

    /// Takes in a look; `servers` are those that the hub lists, if it has been asked.
    pub fn take(&mut self, look: &Look, servers: Option<&[Server]>) {
        let mut uses = Uses::of(look, self.looked.is_some());
        let runs = runs(servers.unwrap_or_default());
        for (run, siblings) in &runs {
            let account = uses.account_of(run, *siblings);
            if let Some((account, used)) = account.and_then(|it| uses.by_account.remove_entry(&it))
            {
                self.meter(run, &account, &used, look.at);
            }
        }
        if servers.is_some() {
            self.end_others(&runs, &mut uses, look.at);
        }
        self.remember_strays(uses, look.at);
        self.looked = Some(look.at);
        self.forget(look.at);
    }

    /// What a server has used that was started then.
    pub fn of(&self, user: &UserName, server: &str, started: Timestamp) -> Option<Metered> {
        let running = of_user(&self.running, user).map(|(_, metered)| metered);
        let ended = of_user(&self.ended, user).map(|(_, ended)| &ended.metered);
        let mut metered = running.chain(ended);
        metered.find(|it| it.is_of(server, started)).cloned()
    }

    /// What should be written down now.
    pub fn to_keep(&self, at: Timestamp) -> Option<ToKeep> {
        let kept = self.kept;
        let is_due = kept.is_none_or(|kept| at.duration_since(kept).abs() >= KEPT_EVERY);
        if !is_due && self.unwritten.is_empty() {
            return None;
        }
        let ended = |user: &UserName| {
            let ended = of_user(&self.ended, user).map(|(_, ended)| &ended.metered);
            let mut ended: Vec<&Metered> = ended.collect();
            ended.sort_by_key(|metered| std::cmp::Reverse(metered.until));
            ended.truncate(MOST_OF_USER);
            position(format!("{ENDED_METERS}{user}"), &ended)
        };
        let running: Vec<&Metered> = self.running.values().collect();
        let running = position(METERS.to_owned(), &running);
        let ended = self.unwritten.iter().map(ended);
        Some(ToKeep {
            positions: std::iter::once(running).chain(ended).collect(),
            at,
            users: self.unwritten.clone(),
        })
    }

    /// That is written down.
    pub fn kept(&mut self, done: &ToKeep) {
        self.kept = Some(done.at);
        self.unwritten.retain(|user| !done.users.contains(user));
    }

    /// Goes on from what was kept of servers that ran. What ended until now others have written down.
    pub fn restore(&mut self, kept: &str) {
        self.unwritten.clear();
        for metered in Metered::read(kept) {
            let run = metered.run();
            if let Some(ours) = self.running.get_mut(&run) {
                ours.join(metered);
            } else if let Some(ours) = self.ended.get_mut(&run) {
                ours.metered.join(metered);
                self.unwritten.insert(run.user);
            } else {
                self.running.insert(run, metered);
            }
        }
    }

    fn meter(&mut self, run: &Run, account: &Account, used: &Used, at: Timestamp) {
        let stray = self.strays.remove(account);
        // What was used before the hub told of the server.
        let used = Used {
            cpu_core_seconds: sum(
                used.cpu_core_seconds,
                stray.and_then(|stray| stray.cpu_core_seconds),
            ),
            ..*used
        };
        let peaks = self.peaks(run, account, at);
        let again = self.ended.remove(run).map(|ended| ended.metered);
        let known = self.running.remove(run).or(again);
        let counted_from = match (&known, stray, self.looked) {
            // The first look of a source counts nothing.
            (_, None, None) => at,
            (Some(known), None, Some(looked)) => looked.max(known.from),
            (None, None, Some(_)) => run.started,
            (Some(known), Some(stray), _) => stray.from.unwrap_or(known.until),
            (None, Some(stray), _) => stray.from.unwrap_or(run.started),
        };
        let from = counted_from.clamp(run.started.min(at), at);
        let mut metered = known.unwrap_or_else(|| Metered::new(run, from));
        metered.add(&used, from, at, peaks);
        self.running.insert(run.clone(), metered);
    }

    /// After a server was started anew, memory may be that of the one before.
    fn peaks(&self, run: &Run, account: &Account, at: Timestamp) -> Peaks {
        let is_young = at.duration_since(run.started) < self.lingers;
        let is_before = |other: &Run| {
            let is_same_server = account.server.is_none() || other.server == run.server;
            is_same_server && other.started < run.started
        };
        let lingers = |ended: &Ended| run.started.duration_since(ended.missed) < self.lingers;
        // One that is not known to be gone is found out to be by this look.
        let is_any = of_user(&self.running, &run.user).any(|(other, _)| is_before(other))
            || of_user(&self.ended, &run.user)
                .any(|(other, ended)| is_before(other) && lingers(ended));
        if is_young && is_any {
            Peaks::Grown
        } else {
            Peaks::All
        }
    }

    /// Servers that are gone. What the look still saw of them is theirs.
    fn end_others(&mut self, runs: &BTreeMap<Run, usize>, uses: &mut Uses, at: Timestamp) {
        let running = std::mem::take(&mut self.running);
        let (running, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = running
            .into_iter()
            .partition(|(run, _)| runs.contains_key(run));
        self.running = running;
        for (run, mut metered) in gone {
            let siblings = gone_siblings(runs, &run.user);
            let account = uses.account_of(&run, siblings);
            let last = account.and_then(|account| uses.by_account.remove(&account));
            if let (Some(last), Some(looked)) = (last, self.looked) {
                metered.add(&last, looked.max(metered.from), at, Peaks::All);
            }
            self.unwritten.insert(run.user.clone());
            self.ended.insert(
                run,
                Ended {
                    metered,
                    missed: at,
                },
            );
        }
    }

    fn remember_strays(&mut self, uses: Uses, at: Timestamp) {
        let before = std::mem::take(&mut self.strays);
        let from = if self.looked.is_none() {
            Some(at)
        } else {
            None
        };
        let strays = uses.by_account.into_iter();
        let strays = strays.filter(|(account, _)| account.server.is_some() == uses.are_told_apart);
        let strays = strays.map(|(account, used)| {
            let stray = before.get(&account).copied().unwrap_or(Stray {
                from,
                cpu_core_seconds: None,
            });
            let stray = Stray {
                cpu_core_seconds: sum(stray.cpu_core_seconds, used.cpu_core_seconds),
                ..stray
            };
            (account, stray)
        });
        self.strays = strays.collect();
    }

    fn forget(&mut self, at: Timestamp) {
        self.ended
            .retain(|_, ended| at.duration_since(ended.missed) < AT_HAND);
        if self.ended.len() > MOST_ENDED {
            let mut times: Vec<Timestamp> = self.ended.values().map(|ended| ended.missed).collect();
            times.sort_unstable();
            let oldest = times[times.len() - MOST_ENDED];
            self.ended.retain(|_, ended| ended.missed > oldest);
        }
        let ended: BTreeSet<&UserName> = self.ended.keys().map(|run| &run.user).collect();
        self.unwritten.retain(|user| ended.contains(user));
    }
}

/// Of one look, by account.
struct Uses {
    by_account: BTreeMap<Account, Used>,
    /// Whether a user's servers are.
    are_told_apart: bool,
}

impl Uses {
    /// At the first look of a source nothing is counted.
    fn of(look: &Look, is_counted: bool) -> Self {
        let peaks = look.increments.iter();
        let peaks: HashMap<&Account, Option<f64>> = peaks
            .map(|increment| (&increment.account, increment.totals.memory_peak_bytes))
            .collect();
        let servers = look.servers.iter().map(|server| {
            let (amounts, more) = (server.amounts, server.cpu_seconds_more);
            let is_known = is_counted && (amounts.cpu_cores.is_some() || more > 0.0);
            let peak = peaks.get(&server.account).copied().flatten();
            let used = Used {
                amounts,
                cpu_core_seconds: is_known.then_some(more),
                peak_bytes: largest(amounts.memory_bytes, peak),
            };
            (server.account.clone(), used)
        });
        let by_account: BTreeMap<Account, Used> = servers.collect();
        Self {
            are_told_apart: by_account.keys().any(|account| account.server.is_some()),
            by_account,
        }
    }

    /// Under which account a server is seen; `None` if together with others.
    fn account_of(&self, run: &Run, n_servers: usize) -> Option<Account> {
        let server = self.are_told_apart.then(|| Arc::clone(&run.server));
        (server.is_some() || n_servers == 1).then(|| Account {
            user: run.user.clone(),
            server,
        })
    }
}

/// Runs that the hub lists, each with the number of its user's servers.
fn runs(servers: &[Server]) -> BTreeMap<Run, usize> {
    let mut n_servers: HashMap<&UserName, usize> = HashMap::new();
    for server in servers {
        *n_servers.entry(&server.user).or_default() += 1;
    }
    let runs = servers.iter().filter_map(|server| {
        let run = Run {
            user: server.user.clone(),
            server: Arc::clone(&server.name),
            started: server.started?,
        };
        Some((run, n_servers[&server.user]))
    });
    runs.collect()
}

/// How many servers a user has of whom one is gone.
fn gone_siblings(runs: &BTreeMap<Run, usize>, user: &UserName) -> usize {
    let other = of_user(runs, user).next();
    1 + other.map_or(0, |(_, n_servers)| *n_servers)
}

fn of_user<'a, T>(
    runs: &'a BTreeMap<Run, T>,
    user: &'a UserName,
) -> impl Iterator<Item = (&'a Run, &'a T)> {
    let first = Run {
        user: user.clone(),
        server: Arc::from(""),
        started: Timestamp::MIN,
    };
    runs.range(first..)
        .take_while(move |(run, _)| run.user == *user)
}

fn position(source: String, metered: &[&Metered]) -> Position {
    Position {
        source,
        // Names and numbers always have a JSON text.
        value: serde_json::to_string(metered).unwrap_or_default(),
    }
}

fn sum(left: Option<f64>, right: Option<f64>) -> Option<f64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left + right),
        (known, None) | (None, known) => known,
    }
}

fn largest(left: Option<f64>, right: Option<f64>) -> Option<f64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.max(right)),
        (known, None) | (None, known) => known,
    }
}

#[cfg(test)]
mod tests;
