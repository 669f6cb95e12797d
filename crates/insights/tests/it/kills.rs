//! Hubs and services that are killed, and what the next ones find.

use crate::support::{
    BINARY, HubOptions, METRICS_TOKEN, NO_HISTORY, Process, RealHub, free_port, scrape, until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::process::Command;
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_service_whose_hub_is_killed_while_it_waits_for_the_port_ends",
        killed_while_waiting,
    ),
    (
        "a_hub_that_is_killed_twice_in_a_row_finds_its_service_again",
        killed_hub,
    ),
    (
        "a_service_that_is_killed_is_started_again_by_the_hub",
        killed_service,
    ),
];

fn people() -> serde_json::Value {
    json!({"users": ["ana"], "groups": {"physics": {"users": ["bo"]}}})
}

fn is_served(hub: &RealHub) -> Option<()> {
    let seen = scrape(&hub.service_url("metrics"), Some(METRICS_TOKEN));
    (seen.status == 200 && seen.memberships() == ["ana@none", "bo@physics"]).then_some(())
}

fn killed_hub() {
    let mut hub = RealHub::start(HubOptions::new("6.1", people()));
    let mut pids = Vec::new();
    for _ in 0..3 {
        until("the service serves", || is_served(&hub))
            .unwrap_or_else(|| panic!("the service does not serve:\n{}", hub.log()));
        let serving = hub.service_pids();
        assert_eq!(serving.len(), 1, "{serving:?}");
        assert!(!pids.contains(&serving[0]), "an old process still serves");
        pids.push(serving[0]);
        if pids.len() < 3 {
            hub.process.signal(Signal::SIGKILL);
            hub.process.wait(Duration::from_secs(10));
            // At once, so that the new service meets the old one on the port.
            hub = hub.start_again();
        }
    }
    let log = hub.log();
    assert!(
        log.contains("Stopping: the hub that started this service is gone."),
        "{log}"
    );
}

fn killed_service() {
    let hub = RealHub::start(HubOptions::new("6.1", people()));
    until("the service serves", || is_served(&hub)).unwrap();
    let before = hub.service_pids();
    kill(
        Pid::from_raw(i32::try_from(before[0]).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    until("another process serves", || {
        let now = hub.service_pids();
        (!now.is_empty() && now != before).then_some(())
    })
    .unwrap_or_else(|| panic!("the service did not come back:\n{}", hub.log()));
    until("the service serves again", || is_served(&hub)).unwrap();
}

/// The next hub of a row that is killed: its service still waits for the one before.
fn killed_while_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let demo = |port: u16| {
        let mut command = Command::new(BINARY);
        command.args([
            "demo",
            "--hub-only",
            "--users",
            "10",
            "--port",
            &port.to_string(),
        ]);
        Process::start(&mut command, &folder.path().join(format!("{port}.log")))
    };
    let mut holder = demo(port);
    until("the port is held", || {
        holder.output().contains("Simulated hub at").then_some(())
    })
    .unwrap();

    // A shell in the place of the hub.
    let log = folder.path().join("hub.log");
    let mut command = Command::new("sh");
    command
        .args(["-c", "\"$0\" serve & echo \"pid $!\"; wait", BINARY])
        .env_clear()
        .env("JUPYTERHUB_SERVICE_NAME", "insights")
        .envs([NO_HISTORY])
        .env("JPY_API_TOKEN", "t")
        .env("JUPYTERHUB_API_TOKEN", "t")
        .env("JUPYTERHUB_API_URL", "http://127.0.0.1:9/hub/api")
        .env("JUPYTERHUB_SERVICE_URL", format!("http://127.0.0.1:{port}"));
    let mut hub = Process::start(&mut command, &log);
    until("the service waits", || {
        hub.output().contains("Waiting for process").then_some(())
    })
    .unwrap_or_else(|| panic!("{}", hub.output()));
    let pid = hub
        .output()
        .split("pid ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    hub.signal(Signal::SIGKILL);
    hub.wait(Duration::from_secs(10));
    until("the service ends", || {
        hub.output()
            .contains("the hub that started this service is gone")
            .then_some(())
    })
    .unwrap_or_else(|| panic!("{}", hub.output()));
    until("its process is gone", || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    })
    .unwrap();
    holder.stop();
}
