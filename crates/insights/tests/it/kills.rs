//! Hubs and services that are killed, and what the next ones find.

use crate::support::{HubOptions, METRICS_TOKEN, RealHub, scrape, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
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
