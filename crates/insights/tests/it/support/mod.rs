//! Servers for tests: started on free ports of 127.0.0.1, stopped by process id, with their
//! output kept for when a test fails.

mod browser;
mod history;
mod hub;
mod other_readers;
mod other_tools;
mod process;
mod prometheus;
mod python;
mod service;
mod sim;
mod victoria_metrics;
pub(crate) mod web_hub;

pub(crate) use browser::{Browser, Shown, Step};
pub(crate) use history::{Answer, fill_by_demo, on_folder, sql};
pub(crate) use hub::{
    ADMIN_TOKEN, HubOptions, METRICS_TOKEN, ManagedService, NAMES_TOKEN, NEWEST_NAMESPACE,
    READER_TOKEN, RealHub, WRITER_TOKEN, newest_hub, stop_shared_servers, tools,
};
pub(crate) use other_readers::OtherReaders;
pub(crate) use other_tools::duckdb;
pub(crate) use process::{Process, free_port};
pub(crate) use prometheus::{Prometheus, ScrapeJob, StaticExporter};
pub(crate) use python::{python, python_of};
pub(crate) use service::{BINARY, HOST, NO_HISTORY, Scrape, Service, http, scrape, until};
pub(crate) use sim::{SimServer, Spoiler};
pub(crate) use victoria_metrics::VictoriaMetrics;

use std::future::Future;
use std::sync::OnceLock;

/// An environment variable of the test run.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by `./test` where the tools are"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The runtime of all tests.
pub(crate) fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap())
}

/// Runs async code in a test.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}
