//! `import`: what was recorded before, or elsewhere, into the history.
//!
//! Imported twice, nothing changes a figure; interrupted, an import goes on where the rows end.

mod events;
mod prometheus;

use super::{CommandError, of_store};
use crate::config::environment::Environment;
use anyhow::anyhow;
use clap::Subcommand;
use std::process::ExitCode;
use store::{ImportError, Importer, KeeperSettings, Store, Takes};

/// What can be imported.
#[derive(Subcommand, Debug)]
pub(super) enum ImportCommand {
    /// Events of a hub, of a BinderHub or of anybody, from files with a JSON object per line.
    #[command(after_help = events::EXAMPLES)]
    Events(events::EventsArgs),
    /// The time before, from a Prometheus that watched the hub's cluster.
    #[command(after_help = prometheus::EXAMPLES)]
    Prometheus(prometheus::PrometheusArgs),
}

pub(super) fn run(
    command: &ImportCommand,
    environment: &Environment,
) -> Result<ExitCode, CommandError> {
    match command {
        ImportCommand::Events(args) => events::run(args, environment),
        ImportCommand::Prometheus(args) => prometheus::run(args, environment),
    }
}

/// Brings rows in, and says so if another process takes them.
async fn importer(store: Store, settings: KeeperSettings) -> anyhow::Result<Importer> {
    let importer = Importer::start(store, settings).await;
    let importer = importer.map_err(of_store)?;
    if importer.takes() == Takes::There {
        eprintln!("Another process keeps this history; it takes the rows.");
    }
    Ok(importer)
}

fn of_import(error: ImportError) -> anyhow::Error {
    let error = match error {
        ImportError::Store(error) => of_store(error),
        other => anyhow!(other),
    };
    error.context("the import ended early and can be started again: what was taken is kept")
}
