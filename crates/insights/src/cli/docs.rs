//! `docs`: the reference pages that are made from the code.

use super::CommandError;
use clap::{Args, ValueEnum};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights docs config > docs/config.md
  jupyterhub-insights docs metrics";

/// Flags of `docs`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DocsArgs {
    /// Which page
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every key of the configuration.
    Config,
    /// Every metric.
    Metrics,
    /// The history, its tables and columns.
    History,
    /// Every report with its definition.
    Reports,
}

pub(super) fn run(args: &DocsArgs) -> Result<ExitCode, CommandError> {
    let page = match args.page {
        Page::Config => crate::config::docs::markdown(),
        Page::Metrics => crate::metrics::docs::markdown(),
        Page::History => crate::collect::page(),
        Page::Reports => crate::answers::markdown(),
    };
    super::print(&page)?;
    Ok(ExitCode::SUCCESS)
}
