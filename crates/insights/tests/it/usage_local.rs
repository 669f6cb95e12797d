//! What servers of a real hub use on this machine, against what they say themselves: by `getrusage`
//! and the pages that they wrote to.
//!
//! A script takes the notebook's place: it uses processor time in threads, children and grandchildren,
//! holds memory, and leaves its tree.

pub(crate) mod burners;

use crate::support::{
    METRICS_TOKEN, ManagedService, RealHub, Scrape, block_on, scrape, sql, until,
};
use burners::{Burners, MIB, Name, SLACK, assert_near, side_by_side};
use insights::config::{LocalConfig, UsageConfig};
use insights::sources::local::Local;
use insights::sources::{Known, Look};
use model::names::UserName;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
    ("what_is_counted_is_what_burners_report", counted),
    ("servers_that_outlive_their_hub_are_known_again", outlived),
    ("the_service_shows_what_burners_report", shown),
];

const ADA: Name = ("burner-ada", "");
const ADA_LAB: Name = ("burner-ada", "lab");
const BEN: Name = ("burner-ben", "");
/// Of another hub on this machine a server of the same name that outlived it would be the same.
const OTTO: Name = ("burner-otto", "");

/// All of them, of two groups.
fn people() -> Value {
    json!({
        "users": [ADA.0, BEN.0, OTTO.0],
        "groups": {"fire": {"users": [ADA.0]}, "smoke": {"users": [BEN.0]}},
    })
}

/// Sums of looks.
struct Looks {
    local: Local,
    known: Known,
    seconds: BTreeMap<String, f64>,
    /// Core seconds in what was written down, which must be the same.
    increments: BTreeMap<String, f64>,
    left_seconds: f64,
    n_left: u64,
    last: Option<Look>,
}

impl Looks {
    fn of(hub: &RealHub) -> Self {
        let usage = UsageConfig {
            interval_seconds: 5,
            ..UsageConfig::default()
        };
        let users = [ADA.0, BEN.0, OTTO.0].map(UserName::from);
        Self {
            local: Local::new(&LocalConfig::default(), &usage, Some(hub.process.pid())),
            known: Known {
                users: Some(Arc::from(users)),
                spawner: Some("jupyterhub.spawner.SimpleLocalProcessSpawner".into()),
            },
            seconds: BTreeMap::new(),
            increments: BTreeMap::new(),
            left_seconds: 0.0,
            n_left: 0,
            last: None,
        }
    }

    fn look(&mut self) {
        let look = block_on(self.local.look(&self.known)).unwrap();
        let account = |account: &model::usage::Account| {
            format!(
                "{}/{}",
                account.user,
                account.server.as_deref().unwrap_or("~")
            )
        };
        for server in &look.servers {
            let seconds = self.seconds.entry(account(&server.account)).or_default();
            *seconds += server.cpu_seconds_more;
        }
        for increment in &look.increments {
            let seconds = self
                .increments
                .entry(account(&increment.account))
                .or_default();
            *seconds += increment.totals.cpu_core_seconds.unwrap_or(0.0);
        }
        let span = self
            .last
            .as_ref()
            .map(|last| look.at.duration_since(last.at));
        let span = span.map_or(0.0, |span| span.as_secs_f64());
        let left = look
            .unattributed
            .iter()
            .find(|row| row.reason == "left its tree");
        self.n_left = left.map_or(0, |row| row.n_things);
        let cores = left.and_then(|row| row.amounts.cpu_cores).unwrap_or(0.0);
        self.left_seconds += cores * span;
        self.last = Some(look);
    }

    fn memory(&self, name: Name) -> f64 {
        let servers = self.last.iter().flat_map(|look| &look.servers);
        let mut servers = servers.filter(|server| {
            let account = &server.account;
            account.user.as_str() == name.0 && account.server.as_deref() == Some(name.1)
        });
        let server = servers
            .next()
            .unwrap_or_else(|| panic!("no {name:?}: {:?}", self.last));
        server.amounts.memory_bytes.unwrap()
    }

    /// Looks every now and then while the burners have jobs.
    fn while_running<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let work = scope.spawn(work);
            while !work.is_finished() {
                self.look();
                std::thread::sleep(Duration::from_millis(700));
            }
            work.join().unwrap()
        })
    }
}

fn counted() {
    let burners = Burners::start(people(), None, &json!({}));
    for name in [ADA, ADA_LAB, BEN] {
        burners.begin(name);
    }
    let mut looks = Looks::of(&burners.hub);
    looks.look();
    let names = [ADA, ADA_LAB, BEN];
    let before = names.map(|name| burners.report(name));
    let bare = names.map(|name| looks.memory(name));

    looks.while_running(|| {
        let ada = || {
            burners.jobs(ADA, &["hold?mib=300", "sleepers?n=4", "burn?seconds=5"]);
            for _ in 0..20 {
                burners.job(ADA, "children?n=50&ms=20");
            }
            burners.job(ADA, "grandchildren?n=20&ms=50");
        };
        let lab = || {
            burners.jobs(
                ADA_LAB,
                &["hold?mib=100", "burn?seconds=3", "burn?seconds=3"],
            );
        };
        let ben = || burners.jobs(BEN, &["hold?mib=200", "burn?seconds=8", "linger"]);
        side_by_side(&[&ada, &lab, &ben]);
    });
    looks.look();
    let memory = names.map(|name| looks.memory(name));
    // One leaves its tree after it was seen there, one before.
    burners.jobs(BEN, &["release?seconds=4", "daemon?seconds=3"]);
    looks.while_running(|| {
        let is_done = || {
            let report = burners.report(BEN);
            (report.sum("lingerers") > 0.0 && report.sum("daemons") > 0.0).then_some(())
        };
        until("what left the tree to have worked", is_done).unwrap();
    });
    looks.look();

    let after = names.map(|name| burners.report(name));
    for (n, name) in names.into_iter().enumerate() {
        let told = after[n].seconds() - before[n].seconds();
        let key = format!("{}/{}", name.0, name.1);
        assert_near(&format!("time of {key}"), looks.seconds[&key], told);
        assert!((looks.increments[&key] - looks.seconds[&key]).abs() < 1e-6);
        let held = after[n].number("held");
        assert_near(&format!("memory of {key}"), memory[n] - bare[n], held);
    }
    // The sum of what each process has resident is far from it.
    assert!(
        after[0].number("resident") > 4.0 * 300.0 * MIB,
        "{}",
        after[0].0
    );
    assert!(after[0].number("waited") > 20.0, "{}", after[0].0);
    assert!(after[2].sum("lingerers") > 3.9, "{}", after[2].0);
    // All servers run under one account here, so it cannot be said whose this was.
    let daemons = after[2].sum("daemons");
    assert!(looks.n_left >= 1 && daemons > 2.9, "{:?}", looks.last);
    assert!(
        looks.left_seconds > daemons * (1.0 - SLACK),
        "{}",
        looks.left_seconds
    );
}

fn outlived() {
    let keep = json!({"JupyterHub": {"cleanup_servers": false}});
    let burners = Burners::start(people(), None, &keep);
    let _server = Outliving(burners.begin(OTTO));
    let hub = burners.hub.start_again();
    let burners = Burners { hub };
    until("the hub to know its server", || burners.server(OTTO)).unwrap();
    let mut looks = Looks::of(&burners.hub);
    looks.look();
    let before = burners.report(OTTO);
    looks.while_running(|| burners.job(OTTO, "burn?seconds=3"));
    looks.look();
    let told = burners.report(OTTO).seconds() - before.seconds();
    let key = format!("{}/{}", OTTO.0, OTTO.1);
    assert_near(
        "time of a server that outlived its hub",
        looks.seconds[&key],
        told,
    );
}

/// A server that no hub stops.
struct Outliving(Pid);

impl Drop for Outliving {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGTERM);
    }
}

fn shown() {
    let folder = tempfile::tempdir().unwrap();
    let service = ManagedService {
        environment: json!({
            "JUPYTERHUB_INSIGHTS__HUB__INTERVAL_SECONDS": "1",
            "JUPYTERHUB_INSIGHTS__STORE__PATH": folder.path(),
            "JUPYTERHUB_INSIGHTS__STORE__KEEP": "always",
            "JUPYTERHUB_INSIGHTS__USAGE__SOURCE": "local",
            "JUPYTERHUB_INSIGHTS__USAGE__INTERVAL_SECONDS": "5",
        }),
        ..ManagedService::default()
    };
    let burners = Burners::start(people(), Some(service), &json!({}));
    for name in [ADA, ADA_LAB, BEN] {
        burners.begin(name);
    }
    let page = || scrape(&burners.hub.service_url("metrics"), Some(METRICS_TOKEN));
    let value = |page: &Scrape, metric: &str, name: Name| {
        let user = format!("username=\"{}\"", name.0);
        page.value(&format!("jupyterhub_user_group_{metric}"), &[&user])
    };
    // All three were seen, so that what they use from now on is counted.
    burners.job(ADA_LAB, "hold?mib=64");
    burners.job(BEN, "hold?mib=64");
    let first = until("servers to be shown", || {
        let page = page();
        let is_seen = |name: Name| {
            let memory = value(&page, "memory_bytes", name)?;
            value(&page, "cpu_cores", name).filter(|_| memory > 64.0 * MIB)
        };
        (is_seen(ADA).is_some() && is_seen(BEN).is_some()).then_some(page)
    });
    let first = first.unwrap_or_else(|| panic!("{}\n{}", page().text, burners.hub.log()));
    let n_looks = |page: &Scrape| {
        let labels = ["data=\"usage\"", "result=\"ok\""];
        page.value("jupyterhub_insights_polls_total", &labels)
    };
    // A server goes on starting after it answers: what it takes for that is nobody's job.
    let earlier = RefCell::new(first);
    let at_rest = until("servers at rest", || {
        let page = page();
        let mut earlier = earlier.borrow_mut();
        if n_looks(&page)? < n_looks(&earlier)? + 2.0 {
            return None;
        }
        let more = [ADA, BEN].map(|name| {
            let [then, now] = [&*earlier, &page].map(|page| value(page, "cpu_seconds_total", name));
            now.zip(then).map(|(now, then)| now - then)
        });
        *earlier = page;
        more.iter()
            .all(|more| more.is_some_and(|more| more < 0.2))
            .then_some(())
    });
    at_rest.unwrap_or_else(|| panic!("{}\n{}", page().text, burners.hub.log()));
    let first = earlier.into_inner();
    let before = [ADA, ADA_LAB, BEN].map(|name| burners.report(name));
    side_by_side(&[
        &|| {
            burners.jobs(
                ADA,
                &["hold?mib=200", "burn?seconds=4", "children?n=50&ms=20"],
            );
        },
        &|| burners.jobs(ADA_LAB, &["hold?mib=200", "burn?seconds=4"]),
        &|| burners.jobs(BEN, &["hold?mib=300", "burn?seconds=6"]),
    ]);
    let after = [ADA, ADA_LAB, BEN].map(|name| burners.report(name));
    let told = |n: usize| after[n].seconds() - before[n].seconds();
    let held = |n: usize| after[n].number("held") - before[n].number("held");
    // One may have begun before the burners were done, and one may not be shown yet.
    let enough = n_looks(&page()).unwrap() + 3.0;
    let last = until("three more looks", || {
        let page = page();
        (n_looks(&page)? >= enough).then_some(page)
    });
    let last = last.unwrap_or_else(|| panic!("{}", page().text));
    for (name, told, held) in [
        (ADA, told(0) + told(1), held(0) + held(1)),
        (BEN, told(2), held(2)),
    ] {
        let more = |metric: &str| {
            let [first, last] = [&first, &last].map(|page| value(page, metric, name).unwrap());
            last - first
        };
        assert_near(name.0, more("cpu_seconds_total"), told);
        assert_near(name.0, more("memory_bytes"), held);
    }
    let query =
        "select count(distinct name) from observations where name like 'machine\\_%' escape '\\'";
    let has_ceilings = || {
        let answer = sql(folder.path(), query);
        (answer.code == Some(0) && answer.rows()[0].parse::<u32>().unwrap() >= 4).then_some(())
    };
    until("the machine's ceilings", has_ceilings).unwrap_or_else(|| {
        panic!(
            "{:?}",
            sql(folder.path(), "select distinct name from observations").rows()
        );
    });
}
