//! The program `jupyterhub-insights`: hands the command line to the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The kernel would zero two megabytes for each piece of memory that the allocator takes: queries
    // take twice the memory then, and small ones twice the time.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
    insights::cli::run(std::env::args_os())
}
