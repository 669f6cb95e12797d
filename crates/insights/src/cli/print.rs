//! `config print`: the values in force.

use super::{CommandError, ConfigArgs};
use crate::config::environment::Environment;
use crate::config::print::effective_toml;
use clap::Args;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights config print
  jupyterhub-insights config print --config insights.toml --set groups.multiple=split";

/// Flags of `config print`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct PrintArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &PrintArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let effective = args.config.load(Vec::new(), environment)?;
    super::print(&effective_toml(&effective))?;
    Ok(ExitCode::SUCCESS)
}
