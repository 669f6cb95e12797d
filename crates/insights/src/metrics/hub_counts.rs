//! What the hub's own histograms count, added up over its restarts: requests always, logins and
//! spawns where no hooks do ([`super::sources`]).
//!
//! A process counts from 0. What was counted of it already is kept with the counts, so that a
//! restart of this service repeats nothing; what it counted before we first saw it counts only if we
//! know that it started after we last looked.

use super::counted::{
    API_REQUEST_DURATION, CUSTOM_EVENTS, HUB_RESPONSE_DURATION, LAUNCH_DURATION, LOGIN_FAILURE,
    LOGIN_SUCCESS, REQUEST_COUNT, SPAWN_DURATION, SPAWN_FAILURE, SPAWN_SUCCESS, USER_LOGIN,
};
use super::derived::{
    SPAWN_FAILURE_EVENT, SPAWN_START_EVENT, SPAWN_SUCCESS_EVENT, UNKNOWN, USER_LOGIN_EVENT,
    class_name,
};
use super::sources::{ByGroup, Candidate, Group, Source, Sources};
use crate::hub::{HubInfo, ProcessCounts};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{ANONYMOUS, Histogram, Tally, TallyDef};

/// By how much the hub's clock and ours may differ.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(5);
/// Attempts that the hub refuses before it begins: nobody's server started.
const REFUSED_AT_ONCE: [&str; 3] = ["throttled", "too-many-users", "already-pending"];
const LOGIN_SUCCEEDED: &str = "login succeeded";
const LOGIN_FAILED: &str = "login failed";
const SPAWN_SUCCEEDED: &str = "spawn succeeded";
const SPAWN_FAILED: &str = "spawn failed ";
const API_HANDLERS: &str = "jupyterhub.apihandlers.";

/// What was counted of the hub's process that was seen last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HubCounts {
    process: Option<Process>,
    /// Up to these, requests are counted.
    requests: Totals,
    people: ByGroup<People>,
}

/// A process of the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Process {
    /// As it says itself.
    started: Option<Timestamp>,
    /// The same, else when the process before was last seen.
    began: Timestamp,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// All requests that it answered: they only become more.
    n_requests: u64,
}

/// Logins or spawns of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct People {
    /// Up to these, they are counted.
    counted: Totals,
    /// Who counts them, once that is known.
    source: Option<Source>,
    /// What they were at the last look, while it is not.
    undecided: Option<Totals>,
}

/// Counts that begin at 0 with a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Totals {
    counts: BTreeMap<String, u64>,
    durations: BTreeMap<String, Histogram>,
}

/// One look at the hub's page.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// When it was.
    pub at: Timestamp,
    /// When the hub's process started, as it says itself.
    pub started: Option<Timestamp>,
    /// What it counted.
    pub counts: &'a ProcessCounts,
    /// Its classes, if they are known.
    pub info: Option<&'a HubInfo>,
}

impl HubCounts {
    /// Takes a look; gives what is to be counted.
    pub(super) fn look(&mut self, look: &Look<'_>, sources: &mut ByGroup<Sources>) -> Vec<Tally> {
        let (seen, classes) = (Seen::of(look.counts), Classes::of(look.info));
        let mut tallies = Vec::new();
        let mut requests = self.requests.news(&seen.requests);
        if self.is_same_process(look, seen.n_requests, sources) {
            requests = requests.but_nothing(&self.requests);
        } else {
            for group in Group::ALL {
                let news = self.settle(group, sources.of_mut(group));
                tallies.extend(classes.people(&news));
            }
            self.turn_to(look, &seen);
            requests = self.requests.news(&seen.requests);
        }
        tallies.extend(of_requests(&requests));
        self.requests.raise_to(&seen.requests);
        let Some(process) = &mut self.process else {
            return tallies;
        };
        process.last_seen = look.at;
        process.n_requests = seen.n_requests;
        let candidate = process.candidate();
        for group in Group::ALL {
            let people = self.people.of_mut(group);
            let news = people.look(seen.people.of(group), candidate, sources.of_mut(group));
            tallies.extend(classes.people(&news));
        }
        tallies
    }

    fn is_same_process(
        &self,
        look: &Look<'_>,
        n_requests: u64,
        sources: &ByGroup<Sources>,
    ) -> bool {
        let Some(process) = &self.process else {
            return false;
        };
        if let (Some(before), Some(now)) = (process.started, look.started) {
            return before == now;
        }
        // Where it does not say when it started, every look of ours is a request more, and a process
        // says hello only once.
        let has_begun = |group| sources.of(group).heard_hello_after(process.last_seen);
        n_requests > process.n_requests && !Group::ALL.into_iter().any(has_begun)
    }

    /// What is left of the process that was seen last: maybe it went before anybody knew who counts
    /// it.
    fn settle(&mut self, group: Group, sources: &mut Sources) -> Totals {
        let people = self.people.of_mut(group);
        let (Some(process), Some(undecided)) = (&self.process, people.undecided.take()) else {
            return Totals::default();
        };
        match sources.settle(process.candidate()) {
            Source::Hooks => Totals::default(),
            Source::Histograms => people.counted.news(&undecided),
        }
    }

    fn turn_to(&mut self, look: &Look<'_>, seen: &Seen) {
        let last_seen = self.process.as_ref().map(|process| process.last_seen);
        let is_younger = match (last_seen, look.started) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(last_seen), Some(started)) => started.duration_since(last_seen) > -CLOCK_SLACK,
        };
        self.requests = Totals::default();
        self.people = ByGroup::default();
        if !is_younger {
            self.requests = seen.requests.clone();
            for group in Group::ALL {
                self.people.of_mut(group).counted = seen.people.of(group).clone();
            }
        }
        self.process = Some(Process {
            started: look.started,
            began: look.started.or(last_seen).unwrap_or(Timestamp::MIN),
            first_seen: look.at,
            last_seen: look.at,
            n_requests: seen.n_requests,
        });
    }
}

impl Process {
    fn candidate(&self) -> Candidate {
        Candidate {
            began: self.began,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        }
    }
}

impl People {
    /// Takes a look at the process that is counted; gives what is more.
    fn look(&mut self, seen: &Totals, candidate: Candidate, sources: &mut Sources) -> Totals {
        let was_decided = self.source.is_some();
        if !was_decided {
            self.source = sources.decide(candidate);
        }
        self.undecided = None;
        match self.source {
            None => self.undecided = Some(seen.clone()),
            Some(Source::Hooks) => self.counted = seen.clone(),
            Some(Source::Histograms) => {
                let mut news = self.counted.news(seen);
                // At first also what there was none of, so that its counter begins at 0.
                if was_decided {
                    news = news.but_nothing(&self.counted);
                }
                self.counted.raise_to(seen);
                return news;
            }
        }
        Totals::default()
    }
}

/// A look's counts, by their keys.
struct Seen {
    people: ByGroup<Totals>,
    requests: Totals,
    n_requests: u64,
}

impl Seen {
    fn of(counts: &ProcessCounts) -> Self {
        let mut people: ByGroup<Totals> = ByGroup::default();
        if let Some(logins) = counts.logins {
            let logins = [
                (LOGIN_SUCCEEDED, logins.n_succeeded),
                (LOGIN_FAILED, logins.n_failed),
            ];
            let counts = &mut people.logins.counts;
            counts.extend(logins.map(|(key, n)| (key.to_owned(), n)));
        }
        let failed = counts.failed_spawns.iter();
        let kinds = failed.map(|(kind, n)| (format!("{SPAWN_FAILED}{kind}"), *n));
        people.spawns.counts.extend(kinds);
        let spawns = Histogram {
            counts: counts.spawns.within(SPAWN_DURATION.def.bounds()),
            sum: counts.spawns.sum_seconds,
        };
        people
            .spawns
            .durations
            .insert(SPAWN_SUCCEEDED.to_owned(), spawns);
        let mut requests = Totals::default();
        let mut n_requests = 0;
        for (key, durations) in &counts.requests {
            let histogram = Histogram {
                counts: durations.within(HUB_RESPONSE_DURATION.def.bounds()),
                sum: durations.sum_seconds,
            };
            n_requests += histogram.count();
            let key = format!("{} {} {}", key.method, key.code, key.handler);
            requests.durations.insert(key, histogram);
        }
        Self {
            people,
            requests,
            n_requests,
        }
    }
}

impl Totals {
    /// What is more in `now`, also where that is nothing. Never less: the hub may count one of two
    /// that belong together a moment later.
    fn news(&self, now: &Self) -> Self {
        let counts = now.counts.iter().map(|(key, count)| {
            let before = self.counts.get(key).copied().unwrap_or(0);
            (key.clone(), count.saturating_sub(before))
        });
        let durations = now.durations.iter().map(|(key, now)| {
            let before = self.durations.get(key);
            let more = before.map_or_else(|| now.clone(), |before| more(before, now));
            (key.clone(), more)
        });
        Self {
            counts: counts.collect(),
            durations: durations.collect(),
        }
    }

    /// Without what is no news of something that was counted before.
    fn but_nothing(mut self, before: &Self) -> Self {
        self.counts
            .retain(|key, more| *more > 0 || !before.counts.contains_key(key));
        self.durations
            .retain(|key, more| more.count() > 0 || !before.durations.contains_key(key));
        self
    }

    fn raise_to(&mut self, now: &Self) {
        for (key, count) in &now.counts {
            let known = self.counts.entry(key.clone()).or_default();
            *known = (*known).max(*count);
        }
        for (key, histogram) in &now.durations {
            let known = self
                .durations
                .entry(key.clone())
                .or_insert_with(|| histogram.clone());
            for (known, now) in known.counts.iter_mut().zip(&histogram.counts) {
                *known = (*known).max(*now);
            }
            known.sum = known.sum.max(histogram.sum);
        }
    }
}

fn more(before: &Histogram, now: &Histogram) -> Histogram {
    let buckets = now.counts.iter().enumerate();
    Histogram {
        counts: buckets
            .map(|(bucket, count)| {
                count.saturating_sub(before.counts.get(bucket).copied().unwrap_or(0))
            })
            .collect(),
        sum: (now.sum - before.sum).max(0.0),
    }
}

/// The classes of the hub that its histograms do not name.
struct Classes<'a> {
    spawner: &'a str,
    authenticator: &'a str,
}

impl<'a> Classes<'a> {
    fn of(info: Option<&'a HubInfo>) -> Self {
        let class = |class: fn(&HubInfo) -> &str| info.map(class).filter(|text| !text.is_empty());
        Self {
            spawner: class(|info| &info.spawner.class).map_or(UNKNOWN, class_name),
            authenticator: class(|info| &info.authenticator.class).map_or(UNKNOWN, class_name),
        }
    }

    /// Logins and spawns as their families count them; histograms name nobody.
    fn people(&self, news: &Totals) -> Vec<Tally> {
        let mut tallies = Vec::new();
        let mut add = |def: &'static TallyDef, labels: &[&str], n: u64| {
            tallies.push(Tally::add(def, labels, float(n)));
        };
        for (key, n) in &news.counts {
            let n = *n;
            match key.as_str() {
                LOGIN_SUCCEEDED => {
                    add(&LOGIN_SUCCESS.def, &[], n);
                    add(&USER_LOGIN.def, &[ANONYMOUS, self.authenticator], n);
                    add(&CUSTOM_EVENTS.def, &[USER_LOGIN_EVENT, ANONYMOUS], n);
                }
                LOGIN_FAILED => add(&LOGIN_FAILURE.def, &[], n),
                key => {
                    let kind = key.strip_prefix(SPAWN_FAILED).unwrap_or(key);
                    add(&SPAWN_FAILURE.def, &[self.spawner, kind], n);
                    add(&CUSTOM_EVENTS.def, &[SPAWN_FAILURE_EVENT, ANONYMOUS], n);
                    if !REFUSED_AT_ONCE.contains(&kind) {
                        add(&CUSTOM_EVENTS.def, &[SPAWN_START_EVENT, ANONYMOUS], n);
                    }
                }
            }
        }
        if let Some(spawns) = news.durations.get(SPAWN_SUCCEEDED) {
            let n = spawns.count();
            add(&SPAWN_SUCCESS.def, &[self.spawner], n);
            add(&CUSTOM_EVENTS.def, &[SPAWN_SUCCESS_EVENT, ANONYMOUS], n);
            add(&CUSTOM_EVENTS.def, &[SPAWN_START_EVENT, ANONYMOUS], n);
            let (spawner, spawns) = (self.spawner, spawns.clone());
            let durations = Tally::merge(&SPAWN_DURATION.def, &[spawner], spawns.clone());
            let launches = Tally::merge(&LAUNCH_DURATION.def, &[spawner, ANONYMOUS], spawns);
            tallies.extend([durations, launches]);
        }
        tallies
    }
}

fn of_requests(news: &Totals) -> Vec<Tally> {
    let mut tallies = Vec::new();
    for (key, durations) in &news.durations {
        let mut parts = key.splitn(3, ' ');
        let (method, code, handler) = (parts.next(), parts.next(), parts.next());
        let (Some(method), Some(code), Some(handler)) = (method, code, handler) else {
            continue;
        };
        let n = float(durations.count());
        tallies.push(Tally::add(&REQUEST_COUNT.def, &[method, handler, code], n));
        if handler.starts_with(API_HANDLERS) {
            let endpoint = handler.rsplit('.').next().unwrap_or(handler);
            let labels = [method, endpoint, code];
            tallies.push(Tally::merge(
                &API_REQUEST_DURATION.def,
                &labels,
                durations.clone(),
            ));
        }
        tallies.push(Tally::merge(
            &HUB_RESPONSE_DURATION.def,
            &[],
            durations.clone(),
        ));
    }
    tallies
}

/// Counters pass 2^53 never.
#[expect(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
