//! Several services on one folder, and an erasure while a service runs.

use crate::support::{Service, SimServer, on_folder, sql, until};
use insights::sim::DEMO_TOKEN;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_second_service_of_a_hub_serves_reads_and_takes_over_when_the_first_is_gone",
        take_over,
    ),
    ("services_of_two_hubs_share_one_folder", two_hubs),
    ("an_erasure_names_nobody_in_any_log_and_in_no_row", erasure),
];

const WAITS: &str = "Another process keeps the history";
const KEEPS: &str = "this one keeps the history now";

fn hub() -> SimServer {
    SimServer::start(|world| {
        world.set_now(insights::poll::clock::now());
        for user in ["ada", "bob", "eve"] {
            world.add_user(user);
        }
        world.add_group("art");
        world.add_member("art", "ada");
        world.start_server("ada", "", insights::poll::clock::now());
    })
}

fn service(hub: &SimServer, folder: &Path, name: &str) -> Service {
    let path = format!("store.path={}", folder.display());
    let name = format!("hub.name={name}");
    let settings = ["store.keep=always", &path, &name];
    let words: Vec<&str> = settings
        .into_iter()
        .flat_map(|setting| ["--set", setting])
        .collect();
    Service::start(&hub.url, DEMO_TOKEN, &words)
}

#[track_caller]
fn logs(service: &Service, words: &str) {
    let told = until(words, || {
        service.process.output().contains(words).then_some(())
    });
    told.unwrap_or_else(|| panic!("never said `{words}`:\n{}", service.process.output()));
}

/// Waits until a query has this answer.
#[track_caller]
fn becomes(folder: &Path, query: &str, expected: &[&str]) {
    let found = until(query, || {
        (sql(folder, query).rows() == expected).then_some(())
    });
    if found.is_none() {
        assert_eq!(sql(folder, query).rows(), expected);
    }
}

const CHANGES: &str = "select user, change from memberships order by \"at\"";

fn take_over() {
    let (hub, folder) = (hub(), tempfile::tempdir().unwrap());
    let mut first = service(&hub, folder.path(), "hub");
    becomes(folder.path(), CHANGES, &["ada,joined"]);
    let mut second = service(&hub, folder.path(), "hub");
    logs(&second, WAITS);
    let is_shown = |group: &'static str| {
        move |scrape: &crate::support::Scrape| scrape.memberships().contains(&group.to_owned())
    };
    second.until("ada in art", is_shown("ada@art"));
    assert_eq!(sql(folder.path(), CHANGES).rows(), ["ada,joined"]);

    first.process.signal(Signal::SIGKILL);
    logs(&second, KEEPS);
    first.process.wait(Duration::from_secs(10));
    hub.hub.world_mut().add_member("art", "bob");
    becomes(folder.path(), CHANGES, &["ada,joined", "bob,joined"]);

    let third = service(&hub, folder.path(), "hub");
    logs(&third, WAITS);
    second.process.signal(Signal::SIGTERM);
    let ended = second.process.wait(Duration::from_secs(10));
    assert_eq!(ended.code(), Some(0), "{}", second.process.output());
    logs(&third, KEEPS);
    hub.hub.world_mut().remove_member("art", "bob");
    hub.hub.world_mut().stop_server("ada", "");
    let changes = ["ada,joined", "bob,joined", "bob,left"];
    becomes(folder.path(), CHANGES, &changes);
    let gone = "select count(*) from events where kind = 'server-gone'";
    becomes(folder.path(), gone, &["1"]);
    third.until("ada in art", is_shown("ada@art"));
    drop(third);
    let facts = "select kind, count(*), count(distinct id) from events group by kind order by kind";
    assert_eq!(
        sql(folder.path(), facts).rows(),
        [
            "server-activity,1,1",
            "server-gone,1,1",
            "server-seen,1,1",
            "user-added,3,3"
        ]
    );
    let sessions = "select user, end_reason, ended > started from sessions";
    assert_eq!(sql(folder.path(), sessions).rows(), ["ada,stopped,true"]);
    assert_eq!(sql(folder.path(), CHANGES).rows(), changes);
    let verified = on_folder(folder.path(), &["store", "verify"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
}

fn two_hubs() {
    let (physics, maths) = (hub(), hub());
    let folder = tempfile::tempdir().unwrap();
    let services = [
        service(&physics, folder.path(), "physics"),
        service(&maths, folder.path(), "maths"),
    ];
    let changes = "select hub, user, change from memberships order by hub, \"at\"";
    becomes(
        folder.path(),
        changes,
        &["maths,ada,joined", "physics,ada,joined"],
    );
    maths.hub.world_mut().add_member("art", "bob");
    physics.hub.world_mut().remove_member("art", "ada");
    let expected = [
        "maths,ada,joined",
        "maths,bob,joined",
        "physics,ada,joined",
        "physics,ada,left",
    ];
    becomes(folder.path(), changes, &expected);
    for service in services {
        let mut service = service;
        service.process.signal(Signal::SIGTERM);
        let ended = service.process.wait(Duration::from_secs(10));
        let told = service.process.output();
        assert_eq!(ended.code(), Some(0), "{told}");
        let complaints = told.lines().filter(|line| {
            let is_complaint = line.contains(" WARN ") || line.contains("ERROR ");
            is_complaint && !line.contains("in a temporary folder")
        });
        assert_eq!(complaints.count(), 0, "{told}");
    }
    assert_eq!(sql(folder.path(), changes).rows(), expected);
    let waiting = on_folder(folder.path(), &["store", "verify"]);
    assert_eq!(waiting.code, Some(0), "{}", waiting.stdout);
}

fn erasure() {
    let (with_service, without) = ("qwertzuiop", "asdfghjkl");
    let hub = hub();
    for name in [with_service, without] {
        let mut world = hub.hub.world_mut();
        world.add_user(name);
        world.add_member("art", name);
        world.start_server(name, "", insights::poll::clock::now());
    }
    let folder = tempfile::tempdir().unwrap();
    let keeping = service(&hub, folder.path(), "jupyterhub");
    let seen = "select count(*) from events where kind = 'server-seen'";
    becomes(folder.path(), seen, &["3"]);
    // Removed from the hub first, as the documentation says; its leave is written.
    hub.hub.world_mut().remove_user(with_service);
    let gone = "select count(*) from events where kind = 'server-gone'";
    becomes(folder.path(), gone, &["1"]);
    let erase = |name: &str| {
        let erased = on_folder(folder.path(), &["store", "erase-user", name, "--yes"]);
        assert_eq!(erased.code, Some(0), "{}", erased.stderr);
        erased.stdout + &erased.stderr
    };
    let mut told = erase(with_service);
    assert!(told.contains("Waiting"), "the service did it: {told}");
    told += &keeping.process.output();
    drop(keeping);
    told += &erase(without);
    for name in [with_service, without] {
        assert!(!told.contains(name), "{told}");
    }
    let audit = sql(folder.path(), "select viewer, what from audit").rows();
    assert_eq!(audit.len(), 2, "{audit:?}");
    for row in &audit {
        assert!(row.starts_with("command line,"), "{row}");
        assert!(row.contains("erased-"), "{row}");
        assert!(
            !row.contains(with_service) && !row.contains(without),
            "{row}"
        );
    }
    let named = format!("select count(*) from all_sessions where user = '{with_service}'");
    assert_eq!(sql(folder.path(), &named).rows(), ["0"]);
}
