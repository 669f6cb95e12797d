//! The questions about pods of one time, and what is known of each pod after them.

use super::covered::Span;
use super::lifetimes::{Intervals, Pod, PodId};
use super::pods::PodSeries;
use crate::sources::prometheus::promql::Selector;
use crate::sources::prometheus::{Client, Labels, PrometheusError, Series};
use jiff::{SignedDuration, Timestamp};
use model::names::UserName;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A pod that was not seen for so long is gone: some scrapes may fail, and an interval be long.
pub(super) const GONE_AFTER: SignedDuration = SignedDuration::from_mins(10);
pub(super) const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Where nothing says when a pod was made, its first sample is looked for so far back.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Times of samples are read at such steps: a sample that is followed by a stale marker is not seen
/// longer than until that.
const STEP_SECONDS: i64 = 15;
/// Pods that are named in one query.
const PODS_AT_ONCE: usize = 100;

/// A user's pod in the answers.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Of one of its series.
    labels: Labels,
    user: UserName,
    pub(super) server: Arc<str>,
    /// Numbers of samples by hour, from the start of the span; of several exporters the largest.
    counts: Vec<f64>,
    /// Whether it was seen after the hours.
    pub(super) is_alive: bool,
    pub(super) created: Option<Timestamp>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Values by pod; of two exporters that tell of one pod the larger ones.
pub(super) type ByPod = HashMap<PodId, f64>;

/// All pods, in order.
pub(super) type AllSeen = BTreeMap<PodId, Seen>;

impl Seen {
    pub(super) fn pod(self, id: PodId, now: Timestamp) -> Pod {
        let last = self.last.filter(|_| !self.is_alive).unwrap_or(now);
        let first = self.first.unwrap_or(last);
        Pod {
            id,
            user: self.user,
            server: Some(self.server).filter(|server| !server.is_empty()),
            started: self.created.unwrap_or(first),
            last,
        }
    }

    fn first_hour(&self) -> Option<usize> {
        self.counts.iter().position(|count| *count > 0.0)
    }

    fn last_hour(&self) -> Option<usize> {
        self.counts.iter().rposition(|count| *count > 0.0)
    }

    fn n_samples(&self) -> f64 {
        self.counts.iter().sum()
    }
}

/// Questions about one time.
pub(super) struct Asking<'a> {
    pub(super) client: &'a Client,
    pub(super) pods: &'a PodSeries,
    pub(super) seen_in: Span,
}

impl Asking<'_> {
    /// Users' pods with their samples by hour, and whether they were there at the end.
    pub(super) async fn seen(&self, ended_in: Span) -> Result<AllSeen, PrometheusError> {
        let annotated = self.pods.annotated();
        let mut seen = self.by_hour(&annotated, ended_in).await?;
        let alive = annotated.map(|selector| over("count_over_time", &selector, GONE_AFTER));
        let answer = self
            .client
            .query(&alive.join(" or "), self.seen_in.to)
            .await?;
        for series in answer.series {
            let pod = seen.entry(pod_id(&series.labels));
            pod.or_insert_with(|| self.new_seen(series.labels)).is_alive = true;
        }
        Ok(seen)
    }

    async fn by_hour(
        &self,
        selectors: &[Selector],
        span: Span,
    ) -> Result<AllSeen, PrometheusError> {
        let queries = selectors.iter();
        let queries: Vec<String> = queries
            .map(|selector| over("count_over_time", selector, HOUR))
            .collect();
        let (first, last) = (hour_end(span, 0), hour_end(span, n_hours(span) - 1));
        let answer = self
            .client
            .query_range(&queries.join(" or "), first, last, HOUR.as_secs())
            .await?;
        let mut seen = AllSeen::new();
        for series in answer.series {
            let pod = seen.entry(pod_id(&series.labels));
            let pod = pod.or_insert_with(|| self.new_seen(series.labels));
            pod.counts.resize(n_hours(span), 0.0);
            for point in series.points {
                let hour = point.at.duration_since(first).as_secs() / HOUR.as_secs();
                let count = usize::try_from(hour).ok();
                if let Some(count) = count.and_then(|hour| pod.counts.get_mut(hour)) {
                    *count = point.value.max(*count);
                }
            }
        }
        Ok(seen)
    }

    fn new_seen(&self, labels: Labels) -> Seen {
        Seen {
            user: UserName::from(labels.get(self.pods.user_label())),
            server: labels.get(self.pods.server_label()).into(),
            counts: Vec::new(),
            is_alive: false,
            created: None,
            first: None,
            last: None,
            labels,
        }
    }

    /// When the pods were last seen that are gone.
    pub(super) async fn find_ends(&self, seen: &mut AllSeen) -> Result<(), PrometheusError> {
        let span = self.seen_in;
        let gone = seen.iter().filter(|(_, seen)| !seen.is_alive);
        let hours = gone.filter_map(|(id, seen)| Some((seen.last_hour()?, id.clone())));
        let lasts = self
            .times("max_over_time", span, hours.collect(), seen)
            .await?;
        for (id, last) in lasts {
            if let Some(seen) = seen.get_mut(&id) {
                seen.last = Some(last);
            }
        }
        // One that was seen between two steps only, at the beginning of its last hour.
        for seen in seen.values_mut().filter(|seen| !seen.is_alive) {
            let hour = seen.last_hour().unwrap_or_default();
            seen.last = seen.last.or(Some(hour_end(span, hour) - HOUR));
        }
        Ok(())
    }

    /// When the pods were first seen that do not tell when they were made, and further back those
    /// that were there from the beginning.
    pub(super) async fn find_starts(
        &self,
        seen: &mut AllSeen,
        ended_in: Span,
    ) -> Result<(), PrometheusError> {
        let untold = |seen: &AllSeen| -> Vec<(usize, PodId)> {
            let untold = seen.iter().filter(|(_, seen)| seen.created.is_none());
            untold
                .filter_map(|(id, seen)| Some((seen.first_hour()?, id.clone())))
                .collect()
        };
        let (old, new): (Vec<_>, Vec<_>) =
            untold(seen).into_iter().partition(|(hour, _)| *hour == 0);
        let mut firsts = self.times("min_over_time", ended_in, new, seen).await?;
        if !old.is_empty() {
            let before = Span {
                from: earlier(hour_end(ended_in, 0), LOOK_BACK),
                to: hour_end(ended_in, 0),
            };
            let old: Vec<PodId> = old.into_iter().map(|(_, id)| id).collect();
            let mut longer = AllSeen::new();
            for (selector, _) in self.naming(&old, seen) {
                longer.extend(self.by_hour(&[selector], before).await?);
            }
            longer.retain(|id, _| old.contains(id));
            let hours = untold(&longer);
            firsts.extend(self.times("min_over_time", before, hours, &longer).await?);
        }
        for (id, first) in firsts {
            if let Some(seen) = seen.get_mut(&id) {
                seen.first = Some(first);
            }
        }
        Ok(())
    }

    /// The largest or smallest time of the pods' samples in an hour of the span each.
    async fn times(
        &self,
        function: &str,
        span: Span,
        hours: Vec<(usize, PodId)>,
        seen: &AllSeen,
    ) -> Result<Vec<(PodId, Timestamp)>, PrometheusError> {
        let mut by_hour: BTreeMap<usize, Vec<PodId>> = BTreeMap::new();
        for (hour, id) in hours {
            by_hour.entry(hour).or_default().push(id);
        }
        let larger = function == "max_over_time";
        let mut times: HashMap<PodId, Timestamp> = HashMap::new();
        for (hour, ids) in by_hour {
            for (selector, of_it) in self.naming(&ids, seen) {
                let length = HOUR.as_secs();
                let query = format!("{function}(timestamp({selector})[{length}s:{STEP_SECONDS}s])");
                let answer = self.client.query(&query, hour_end(span, hour)).await?;
                for series in &answer.series {
                    let id = pod_id(&series.labels);
                    let Some(at) = time(value(series)).filter(|_| of_it.contains(&id)) else {
                        continue;
                    };
                    let known = times.entry(id).or_insert(at);
                    *known = if larger {
                        at.max(*known)
                    } else {
                        at.min(*known)
                    };
                }
            }
        }
        Ok(times.into_iter().collect())
    }

    /// Series of these pods, as many as one query may name, and which pods they are.
    fn naming(&self, ids: &[PodId], seen: &AllSeen) -> Vec<(Selector, HashSet<PodId>)> {
        let is_exported = |id: &PodId, label: &str| {
            let labels = seen.get(id).map(|seen| &seen.labels);
            labels.is_some_and(|labels| !labels.get(label).is_empty())
        };
        let mut alike: BTreeMap<(bool, bool), Vec<&PodId>> = BTreeMap::new();
        for id in ids {
            let key = (
                is_exported(id, "exported_namespace"),
                is_exported(id, "exported_pod"),
            );
            alike.entry(key).or_default().push(id);
        }
        let mut naming = Vec::new();
        for ((by_exported_namespace, by_exported_pod), ids) in alike {
            let [plain, exported] = self.pods.annotated();
            let selector = if by_exported_namespace {
                exported
            } else {
                plain
            };
            let label = if by_exported_pod {
                "exported_pod"
            } else {
                "pod"
            };
            for ids in ids.chunks(PODS_AT_ONCE) {
                let names: Vec<&str> = ids.iter().map(|id| &*id.name).collect();
                let selector = selector.clone().one_of(label, &names);
                naming.push((selector, ids.iter().map(|id| (*id).clone()).collect()));
            }
        }
        naming
    }

    /// Time between two samples, by those of the pod with the most.
    pub(super) async fn interval(&self, seen: &AllSeen) -> Result<SignedDuration, PrometheusError> {
        let gone = seen.iter().filter(|(_, seen)| !seen.is_alive);
        let most = gone.max_by(|left, right| left.1.n_samples().total_cmp(&right.1.n_samples()));
        let mut intervals = Intervals::default();
        if let Some((id, _)) = most {
            for (selector, _) in self.naming(std::slice::from_ref(id), seen) {
                let range = selector.over(milliseconds(self.length()));
                let answer = self.client.raw(&range, self.seen_in.to).await?;
                for series in answer.series {
                    for pair in series.points.windows(2) {
                        intervals.add(pair[1].at.duration_since(pair[0].at));
                    }
                }
            }
        }
        Ok(intervals.usual())
    }

    /// The largest values of a metric in all of the time.
    pub(super) async fn over(
        &self,
        metric: &str,
        select: fn(Selector) -> Selector,
    ) -> Result<Vec<Series>, PrometheusError> {
        let selectors = self.pods.selectors(metric).map(select);
        let queries = selectors.map(|selector| over("max_over_time", &selector, self.length()));
        let answer = self
            .client
            .query(&queries.join(" or "), self.seen_in.to)
            .await?;
        Ok(answer.series)
    }

    fn length(&self) -> SignedDuration {
        self.seen_in.to.duration_since(self.seen_in.from)
    }
}

/// A function of the samples of a time, without those at its very start.
pub(super) fn over(function: &str, selector: &Selector, length: SignedDuration) -> String {
    format!("{function}({})", selector.over(milliseconds(length) - 1))
}

fn milliseconds(length: SignedDuration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(at)
}

/// Hours from the start of a span on; the last one may reach over its end.
fn n_hours(span: Span) -> usize {
    let seconds = span.to.duration_since(span.from).as_secs().max(1);
    let hour = HOUR.as_secs();
    usize::try_from((seconds + hour - 1) / hour).unwrap_or(1)
}

fn hour_end(span: Span, hour: usize) -> Timestamp {
    let hours = i64::try_from(hour).unwrap_or(i64::MAX).saturating_add(1);
    let end = span.from.saturating_add(SignedDuration::from_hours(hours));
    end.unwrap_or(span.to)
}

impl PodId {
    pub(super) fn without_uid(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            uid: "".into(),
        }
    }
}

/// Which pod a series is about: where the exporter's own labels were kept apart, not the exporter's.
pub(super) fn pod_id(labels: &Labels) -> PodId {
    let name = match labels.get("exported_pod") {
        "" => labels.get("pod"),
        name => name,
    };
    PodId {
        name: name.into(),
        uid: labels.get("uid").into(),
    }
}

pub(super) fn by_pod(series: &[Series]) -> ByPod {
    let mut by_pod = ByPod::new();
    for series in series {
        let known = by_pod
            .entry(pod_id(&series.labels))
            .or_insert(value(series));
        *known = value(series).max(*known);
    }
    by_pod
}

/// Old exporters do not tell unique ids with every metric.
pub(super) fn of_pod(by_pod: &ByPod, id: &PodId) -> Option<f64> {
    let exact = by_pod.get(id);
    exact.or_else(|| by_pod.get(&id.without_uid())).copied()
}

fn value(series: &Series) -> f64 {
    series.points.first().map_or(0.0, |point| point.value)
}

/// Seconds since 1970, as Prometheus gives times.
pub(super) fn time(seconds: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is out of range becomes the nearest number, which is no time either"
    )]
    let milliseconds = (seconds * 1000.0).round() as i64;
    Timestamp::from_millisecond(milliseconds).ok()
}
