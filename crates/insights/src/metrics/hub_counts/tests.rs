//! What is counted of a hub over its restarts and ours.

use super::super::derived::{self, HELLO, Naming, SOURCE};
use super::super::sources::Change;
use super::*;
use crate::hub::{Bucket, ClassInfo, Distribution, Logins, RequestKey};
use proptest::prelude::*;
use store::TallyValue;
use store::tables::{Event, RowId};

/// A hub, this service, and a clock.
struct Sim {
    now: i64,
    started: i64,
    tells_start: bool,
    has_hooks: bool,
    n_spawns: u64,
    n_failed: u64,
    n_requests: u64,
    hub_counts: HubCounts,
    sources: ByGroup<Sources>,
    /// Sums of what was counted.
    totals: BTreeMap<String, u64>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn info() -> HubInfo {
    let class = |class: &str| ClassInfo {
        class: class.to_owned(),
    };
    HubInfo {
        version: "6.1.1".to_owned(),
        spawner: class("k.S"),
        authenticator: class("a.A"),
    }
}

impl Sim {
    fn new(tells_start: bool) -> Self {
        Self {
            now: 0,
            started: 0,
            tells_start,
            has_hooks: false,
            n_spawns: 0,
            n_failed: 0,
            n_requests: 0,
            hub_counts: HubCounts::default(),
            sources: ByGroup::default(),
            totals: BTreeMap::new(),
        }
    }

    fn take(&mut self, tallies: &[Tally]) {
        for tally in tallies {
            let more = match tally.change() {
                TallyValue::Counter(more) => format!("{more}").parse().unwrap(),
                TallyValue::Histogram(more) => {
                    assert!(more.sum >= 0.0);
                    more.count()
                }
                TallyValue::Gauge(_) => panic!("no gauge"),
            };
            let key = format!("{}[{}]", tally.def().name, tally.labels().join(" "));
            *self.totals.entry(key).or_default() += more;
        }
    }

    fn total(&self, key: &str) -> Option<u64> {
        self.totals.get(key).copied()
    }

    fn event(&mut self, kind: &str) {
        if !self.has_hooks {
            return;
        }
        let at = at(self.now);
        let event = Event {
            id: RowId::random(),
            hub: "hub".into(),
            at,
            not_before: None,
            kind: kind.into(),
            user: None,
            server: None,
            detail: Some(r#"{"spawner": "k.S", "seconds": 4.0, "error_type": "error"}"#.into()),
            source: SOURCE.into(),
            schema: None,
            schema_version: None,
        };
        if kind == HELLO {
            self.hear_hello(at);
        }
        let group = derived::group_of(kind);
        if group.is_some_and(|group| self.sources.of(group).count_events_of(at)) {
            self.take(&derived::tallies(&event, Naming::Anonymous));
        }
    }

    fn hear_hello(&mut self, at: Timestamp) {
        for group in Group::ALL {
            self.sources.of_mut(group).hear_hello(at);
        }
    }

    fn spawn(&mut self) {
        self.n_spawns += 1;
        self.event("spawn-succeeded");
    }

    fn fail(&mut self) {
        self.n_failed += 1;
        self.event("spawn-failed");
    }

    fn counts(&self) -> ProcessCounts {
        let distribution = |count: u64, seconds: f64| Distribution {
            buckets: vec![Bucket { seconds, count }],
            sum_seconds: float(count),
            count,
        };
        let key = RequestKey {
            method: "GET".to_owned(),
            handler: "jupyterhub.apihandlers.users.UserListAPIHandler".to_owned(),
            code: "200".to_owned(),
        };
        ProcessCounts {
            logins: Some(Logins {
                n_succeeded: self.n_spawns,
                n_failed: 0,
            }),
            spawns: distribution(self.n_spawns, 5.0),
            failed_spawns: [("error".to_owned(), self.n_failed)].into(),
            requests: [(key, distribution(self.n_requests, 0.1))].into(),
        }
    }

    fn poll(&mut self) {
        self.n_requests += 1;
        let (counts, info) = (self.counts(), info());
        let look = Look {
            at: at(self.now),
            started: self.tells_start.then(|| at(self.started)),
            counts: &counts,
            info: Some(&info),
        };
        let tallies = self.hub_counts.look(&look, &mut self.sources);
        self.take(&tallies);
    }

    fn restart_hub(&mut self, has_hooks: bool) {
        self.now += 5;
        self.started = self.now;
        (self.n_spawns, self.n_failed, self.n_requests) = (0, 0, 0);
        self.has_hooks = has_hooks;
        self.now += 1;
        self.event(HELLO);
    }

    fn restart_service(&mut self) {
        let kept = serde_json::to_string(&self.hub_counts).unwrap();
        self.hub_counts = serde_json::from_str(&kept).unwrap();
        self.sources = self.sources.map(|sources| {
            let changes = [Source::Hooks, Source::Histograms]
                .map(|source| serde_json::to_string(&sources.changes_to(source)).unwrap());
            let changes = changes.map(|text| serde_json::from_str::<Vec<Change>>(&text).unwrap());
            Sources::of(changes.into_iter().flatten())
        });
    }

    fn pass(&mut self, seconds: i64) {
        self.now += seconds;
    }
}

const SPAWNS: &str = "spawn_success_total[S]";
const FAILURES: &str = "spawn_failure_total[S error]";

#[test]
fn what_a_hub_did_before_we_saw_it_does_not_count_and_counters_begin_at_0() {
    let mut sim = Sim::new(true);
    sim.spawn();
    sim.pass(1000);
    sim.poll();
    assert_eq!(sim.total("hub_response_duration_seconds[]"), Some(0));
    assert_eq!(sim.total(SPAWNS), None, "nobody knows yet who counts");
    sim.pass(60);
    sim.poll();
    assert_eq!(sim.total("hub_response_duration_seconds[]"), Some(1));
    sim.pass(60);
    sim.poll();
    assert_eq!(sim.total(SPAWNS), Some(0));
    assert_eq!(sim.total(FAILURES), Some(0));
    sim.spawn();
    sim.poll();
    assert_eq!(sim.total(SPAWNS), Some(1));
    for key in [
        "login_success_total[]",
        "user_login_total[anonymous A]",
        "custom_events_total[user_login anonymous]",
        "custom_events_total[server_spawn_start anonymous]",
        "custom_events_total[server_spawn_success anonymous]",
        "spawn_duration_seconds[S]",
        "notebook_launch_duration_seconds[S anonymous]",
    ] {
        assert_eq!(sim.total(key), Some(1), "{key}");
    }
    assert_eq!(
        sim.total("request_count_total[GET jupyterhub.apihandlers.users.UserListAPIHandler 200]"),
        Some(3)
    );
    assert_eq!(
        sim.total("api_request_duration_seconds[GET UserListAPIHandler 200]"),
        Some(3)
    );
}

#[test]
fn a_silent_process_that_started_while_we_looked_counts_from_its_beginning() {
    let mut sim = Sim::new(true);
    sim.poll();
    sim.restart_hub(false);
    sim.spawn();
    sim.poll();
    assert_eq!(sim.total(SPAWNS), Some(0), "of the process before");
    sim.pass(119);
    sim.poll();
    assert_eq!(sim.total(SPAWNS), Some(0));
    sim.pass(1);
    sim.restart_service();
    sim.poll();
    assert_eq!(sim.total(SPAWNS), Some(1));
}

#[test]
fn a_process_that_was_there_before_the_last_look_of_another_is_not_counted_from_0() {
    let mut sim = Sim::new(true);
    sim.pass(100);
    sim.poll();
    // Another hub answers now.
    sim.started = 50;
    sim.n_spawns = 7;
    for _ in 0..3 {
        sim.pass(60);
        sim.poll();
    }
    assert_eq!(sim.total(SPAWNS), Some(0));
}

#[test]
fn a_process_with_hooks_is_counted_from_its_events_alone() {
    let mut sim = Sim::new(true);
    sim.poll();
    sim.restart_hub(true);
    sim.spawn();
    assert_eq!(sim.total(SPAWNS), Some(1), "at once");
    for _ in 0..5 {
        sim.pass(60);
        sim.poll();
        sim.spawn();
        sim.restart_service();
    }
    assert_eq!(sim.total(SPAWNS), Some(6));
    sim.restart_hub(false);
    sim.spawn();
    for _ in 0..4 {
        sim.pass(60);
        sim.poll();
    }
    assert_eq!(sim.total(SPAWNS), Some(7));
}

#[test]
fn a_hello_that_waited_for_too_long_does_not_count_twice() {
    let mut sim = Sim::new(true);
    sim.poll();
    sim.restart_hub(false);
    let hello = at(sim.now);
    sim.spawn();
    for _ in 0..4 {
        sim.pass(60);
        sim.poll();
    }
    sim.hear_hello(hello);
    sim.has_hooks = true;
    sim.spawn();
    sim.poll();
    assert_eq!(sim.total(SPAWNS), Some(2));
}

#[test]
fn a_hub_that_does_not_say_when_it_started_is_told_by_its_requests() {
    let mut sim = Sim::new(false);
    for _ in 0..4 {
        sim.pass(60);
        sim.poll();
    }
    sim.spawn();
    sim.poll();
    sim.restart_hub(false);
    sim.spawn();
    for _ in 0..4 {
        sim.pass(60);
        sim.poll();
    }
    assert_eq!(sim.total(SPAWNS), Some(2));
}

#[derive(Clone, Debug)]
enum Step {
    Spawn,
    Fail,
    Poll,
    Pass(i64),
    RestartHub(bool),
    RestartService,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Spawn),
        1 => Just(Step::Fail),
        3 => Just(Step::Poll),
        3 => (1i64..200).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::RestartHub),
        1 => Just(Step::RestartService),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    /// Totals never go down is asserted at each change: none is negative.
    #[test]
    fn totals_are_the_truth_when_the_hub_is_seen_before_it_goes(steps in steps()) {
        let mut sim = Sim::new(true);
        sim.poll();
        let (mut n_spawns, mut n_failed) = (0, 0);
        for step in steps {
            match step {
                Step::Spawn => { sim.spawn(); n_spawns += 1; }
                Step::Fail => { sim.fail(); n_failed += 1; }
                Step::Poll => sim.poll(),
                Step::Pass(seconds) => sim.pass(seconds),
                Step::RestartHub(has_hooks) => { sim.poll(); sim.restart_hub(has_hooks); }
                Step::RestartService => sim.restart_service(),
            }
        }
        for _ in 0..4 {
            sim.pass(60);
            sim.poll();
        }
        prop_assert_eq!(sim.total(SPAWNS).unwrap_or(0), n_spawns);
        prop_assert_eq!(sim.total(FAILURES).unwrap_or(0), n_failed);
    }

    #[test]
    fn nothing_is_counted_twice_whatever_is_missed(steps in steps(), tells_start in any::<bool>()) {
        let mut sim = Sim::new(tells_start);
        let mut n_spawns = 0;
        for step in steps {
            match step {
                Step::Spawn => { sim.spawn(); n_spawns += 1; }
                Step::Fail => sim.fail(),
                Step::Poll => sim.poll(),
                Step::Pass(seconds) => sim.pass(seconds),
                Step::RestartHub(has_hooks) => sim.restart_hub(has_hooks),
                Step::RestartService => sim.restart_service(),
            }
            prop_assert!(sim.total(SPAWNS).unwrap_or(0) <= n_spawns);
        }
    }
}
