//! How far counters of CPU time have gone since the last look.
//!
//! Only for a counter in `/metrics`, which begins anew with this process; the history reads hours.

use super::asker::{Asker, POD, pod_of};
use super::counters::{CONTAINER_KEY, CPU, GRACE, Key, started_selector};
use super::error::PrometheusError;
use super::promql::{Selector, grouped};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A counter that is not told of for a while goes on where it was.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// Counters as they were when they were last seen.
#[derive(Debug, Default)]
pub(super) struct Steps {
    looked_at: Option<Timestamp>,
    counters: HashMap<Key, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    value: f64,
    at: Timestamp,
}

/// What began since the last look, so that its counters have gone all their way since.
#[derive(Debug, Default)]
struct News {
    pods: HashSet<Arc<str>>,
    containers: HashSet<Key>,
}

impl Steps {
    /// Core seconds since the last look by pod; nothing at the first.
    pub(super) async fn more(
        &mut self,
        asker: &mut Asker<'_>,
        at: Timestamp,
    ) -> Result<HashMap<Arc<str>, f64>, PrometheusError> {
        let query = grouped("max", &CPU.labels(), &asker.mine(CPU.selector()).now());
        let answer = asker.now(&query, at).await?;
        let mut counters: HashMap<Key, f64> = HashMap::new();
        for series in &answer.series {
            let counter = counters.entry(CPU.key_of(&series.labels)).or_default();
            let values = series.points.iter().map(|point| point.value);
            *counter = values.fold(*counter, f64::max);
        }
        let has_new = counters.keys().any(|key| !self.counters.contains_key(key));
        let news = match self.looked_at {
            Some(since) if has_new => News::since(asker, since, at).await?,
            _ => News::default(),
        };
        let mut more: HashMap<Arc<str>, f64> = HashMap::new();
        for (key, value) in counters {
            let step = match self.counters.get(&key) {
                Some(seen) if value >= seen.value => value - seen.value,
                Some(_) => value,
                None if news.includes(&key) => value,
                None => 0.0,
            };
            *more.entry(Arc::clone(&key.pod)).or_default() += step;
            self.counters.insert(key, Seen { value, at });
        }
        self.counters
            .retain(|_, seen| at.duration_since(seen.at) < REMEMBERED);
        self.looked_at = Some(at);
        Ok(more)
    }
}

impl News {
    async fn since(
        asker: &mut Asker<'_>,
        since: Timestamp,
        at: Timestamp,
    ) -> Result<Self, PrometheusError> {
        let since = (since - GRACE).as_second();
        let mut news = Self::default();
        let labels = [&POD[..], CONTAINER_KEY].concat();
        let started = grouped("max", &labels, &asker.mine(started_selector()).now());
        let answer = asker.now(&format!("{started} > {since}"), at).await?;
        let containers = answer.series.iter();
        news.containers = containers
            .map(|series| CPU.key_of(&series.labels))
            .collect();
        let created = asker.mine(Selector::new("kube_pod_created"));
        let created = grouped("max", &POD, &created.now());
        let answer = asker.now(&format!("{created} > {since}"), at).await?;
        let pods = answer.series.iter();
        news.pods = pods.map(|series| pod_of(&series.labels).into()).collect();
        Ok(news)
    }

    fn includes(&self, key: &Key) -> bool {
        self.pods.contains(&key.pod) || self.containers.contains(key)
    }
}
