//! How fast rows become durable, what a busy day leaves behind, and how much memory it takes.
//!
//! `cargo bench --profile dev --workspace --bench store -- --help`; method and results are in
//! `bench/README.md`. Nothing is asserted here: clocks lie on shared cores.

#[path = "store/day.rs"]
mod day;
#[path = "store/process.rs"]
mod process;
#[path = "store/reports.rs"]
mod reports;
#[path = "store/rows.rs"]
mod rows;

use jiff::Timestamp;
use store::tables::{Event, RowId};
use tokio::runtime::Builder;

const HELP: &str = "\
Usage: cargo bench --profile dev --workspace --bench store -- COMMAND

  rows [MINUTES]   batches as fast as they are acknowledged, and single rows beside them [10]
  day [EVENTS]     a day of single events in 1,440 minutes of the service's work [50000]
  report FOLDER FROM TO NAME   one report from the rows themselves, as CSV
  pages FOLDER FROM TO         CPU and wall time of each report that was asked before
";

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // As the program does.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rows"] => block_on(&mut Builder::new_multi_thread(), rows::run(10)),
        ["rows", minutes] => block_on(&mut Builder::new_multi_thread(), rows::run(number(minutes))),
        ["day"] => block_on(
            Builder::new_current_thread().start_paused(true),
            day::run(50_000),
        ),
        ["day", events] => {
            let count = number(events);
            block_on(
                Builder::new_current_thread().start_paused(true),
                day::run(count),
            );
        }
        ["report", folder, from, to, name] => {
            let year = year(folder, from, to);
            block_on(&mut Builder::new_multi_thread(), reports::one(&year, name));
        }
        ["pages", folder, from, to] => {
            let year = year(folder, from, to);
            block_on(&mut Builder::new_multi_thread(), reports::pages(&year));
        }
        _ => print!("{HELP}"),
    }
}

fn block_on(runtime: &mut Builder, work: impl Future<Output = ()>) {
    let runtime = runtime.enable_all().build();
    runtime.expect("a runtime starts").block_on(work);
}

fn year<'a>(folder: &'a str, from: &str, to: &str) -> reports::Year<'a> {
    let day = |text: &str| text.parse().expect("a date such as 2026-11-20");
    let (from, to) = (day(from), day(to));
    reports::Year { folder, from, to }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| {
        eprintln!("store: {text} is not a number\n\n{HELP}");
        std::process::exit(2)
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no service around it that owns the clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

/// A login as the hub's event handler tells it.
fn event(number: u64, at: Timestamp) -> Event {
    Event {
        id: RowId::of(&["bench", &number.to_string()]),
        hub: "hub".into(),
        at,
        not_before: None,
        kind: "login".into(),
        user: Some(format!("user-{:05}", number % 10_000).as_str().into()),
        server: None,
        detail: Some(format!(r#"{{"address":"192.0.2.{}"}}"#, number % 254).into()),
        source: "bench".into(),
        schema: None,
        schema_version: None,
    }
}
