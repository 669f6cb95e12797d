//! Where log lines go: standard error, as text or as JSON.

use crate::config::{LogConfig, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Starts logging. Called once, after the configuration is known to be good.
pub fn start(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries are heard from `warn` on: their `debug` lines carry headers and names. Those of the
    // tables say what they give as an error, too.
    let library_level = level.min(LevelFilter::WARN);
    let filter = EnvFilter::new(format!(
        "{library_level},insights={level},store={level},deltalake_core=off,buoyant_kernel=off"
    ));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // Whoever read our standard error may be gone; saying so there would panic.
        .log_internal_errors(false);
    // A second start (tests) keeps the first.
    let _ = match config.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        // Not the message: it may hold what the hub sent, and so names.
        tracing::error!(panic.place = place, "Met a bug at {place}.");
    }));
}
