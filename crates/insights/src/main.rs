//! The program `jupyterhub-insights`: hands the command line to the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    insights::cli::run(std::env::args_os())
}
