//! The program `jupyterhub-insights`: hands the command line to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    insights::cli::run(std::env::args_os())
}
