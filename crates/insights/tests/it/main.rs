//! Tests of the whole: the real binary, real hubs, a real Prometheus, and the simulated hub.
//!
//! One test binary with a harness of its own, so that servers which several tests share are
//! started once and stopped at the end, and so that the time of each test is known. A test that
//! lacks its server fails: `./test` installs what they need.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

mod access;
mod bad_input;
mod command_line;
mod custom_metrics;
mod docs;
mod event_list;
mod events;
mod events_day;
mod events_silence;
mod exposition;
mod fixtures;
mod history_open;
mod hub_contract;
mod imports;
mod internal_ssl;
mod kills;
mod last_session;
mod people;
mod prometheus;
mod python_file;
mod real_hub;
mod report_api;
mod report_input;
mod reports;
mod scripted_day;
mod sink_kills;
mod slow_hub;
mod slugs;
mod sql_refusals;
mod stopping;
mod store_damage;
mod store_disk;
mod store_kills;
mod store_services;
mod supervision;
mod support;
mod usage_hours;
mod usage_local;
mod usage_prometheus;
mod walk;
mod web_browser;
mod web_installations;
mod web_login;
mod web_roles;
mod web_sight;

use libtest_mimic::{Arguments, Failed, Trial};
use std::io::Write as _;
use std::time::Instant;

/// A test: a sentence and what shows it.
type Test = (&'static str, fn());

const MODULES: &[(&str, &[Test])] = &[
    ("access", access::TESTS),
    ("bad_input", bad_input::TESTS),
    ("command_line", command_line::TESTS),
    ("custom_metrics", custom_metrics::TESTS),
    ("docs", docs::TESTS),
    ("event_list", event_list::TESTS),
    ("events", events::TESTS),
    ("events_day", events_day::TESTS),
    ("events_silence", events_silence::TESTS),
    ("exposition", exposition::TESTS),
    ("fixtures", fixtures::TESTS),
    ("history_open", history_open::TESTS),
    ("hub_contract", hub_contract::TESTS),
    ("imports", imports::TESTS),
    ("internal_ssl", internal_ssl::TESTS),
    ("kills", kills::TESTS),
    ("last_session", last_session::TESTS),
    ("people", people::TESTS),
    ("prometheus", prometheus::TESTS),
    ("python_file", python_file::TESTS),
    ("real_hub", real_hub::TESTS),
    ("report_api", report_api::TESTS),
    ("report_input", report_input::TESTS),
    ("reports", reports::TESTS),
    ("scripted_day", scripted_day::TESTS),
    ("sink_kills", sink_kills::TESTS),
    ("slow_hub", slow_hub::TESTS),
    ("slugs", slugs::TESTS),
    ("sql_refusals", sql_refusals::TESTS),
    ("store_damage", store_damage::TESTS),
    ("store_disk", store_disk::TESTS),
    ("store_kills", store_kills::TESTS),
    ("store_services", store_services::TESTS),
    ("stopping", stopping::TESTS),
    ("supervision", supervision::TESTS),
    ("usage_hours", usage_hours::TESTS),
    ("usage_local", usage_local::TESTS),
    ("usage_prometheus", usage_prometheus::TESTS),
    ("walk", walk::TESTS),
    ("web_browser", web_browser::TESTS),
    ("web_installations", web_installations::TESTS),
    ("web_login", web_login::TESTS),
    ("web_roles", web_roles::TESTS),
    ("web_sight", web_sight::TESTS),
];

/// What `./test --soak` runs, and nothing else: the same code as in [`MODULES`], for longer.
const LONG: &[(&str, &[Test])] = &[
    ("events", events::SOAK),
    ("sink_kills", sink_kills::TESTS),
    ("store_kills", store_kills::TESTS),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--store-writer", folder, midnight] => {
            store_kills::run_writer(folder.as_ref(), midnight.parse().unwrap());
        }
        ["--store-on-small-disk", step, disk] => store_disk::run(step, disk.as_ref()),
        ["--store-fixture", folder] => history_open::write_fixture(folder.as_ref()),
        _ => run_tests(),
    }
}

fn run_tests() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = Arguments::from_args();
    // Tests mostly wait for servers; more threads than cores would let real hubs time out.
    arguments.test_threads.get_or_insert(3);
    let modules = if support::variable("INSIGHTS_SOAK").is_some() {
        LONG
    } else {
        MODULES
    };
    let trials = modules.iter().flat_map(|(module, tests)| {
        tests.iter().map(move |&(name, test)| {
            let name = format!("{module}::{name}");
            Trial::test(name.clone(), move || timed(&name, test))
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    support::stop_shared_servers();
    report_api::stop_servers();
    usage_prometheus::stop_servers();
    conclusion.exit();
}

/// Notes how long a test took in the file that `./test` names.
fn timed(name: &str, test: fn()) -> Result<(), Failed> {
    let started = Instant::now();
    let _context = support::runtime().enter();
    let outcome = std::panic::catch_unwind(test).map_err(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        Failed::from(message.unwrap_or("the test panicked"))
    });
    let seconds = started.elapsed().as_secs_f64();
    if let Some(file) = support::variable("INSIGHTS_TEST_TIMINGS") {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .unwrap();
        writeln!(file, "{seconds:.3}\t{name}").unwrap();
    }
    outcome
}
