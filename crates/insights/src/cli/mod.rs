//! The command line: what it offers, and what the process ends with.

mod check;
mod demo;
mod docs;
mod files;
mod import;
mod print;
mod report;
mod serve;
mod sql;
mod store;

use crate::collect::HistoryError;
use crate::config::environment::Environment;
use crate::config::{self, ConfigError, Effective, Layer};
use crate::hub::TlsFileError;
use crate::service::StartError;
use crate::sources::prometheus::PrometheusError;
use ::store::StoreError;
use clap::{Args, Parser, Subcommand};
use std::error::Error as _;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// `EX_USAGE` of sysexits.h is 64; service managers know it as "do not restart".
const EXIT_BAD_CONFIG: u8 = 64;
/// What the parser of the command line ends with, too.
const EXIT_USAGE: u8 = 2;
/// How the Python exporter's chart starts its image: `python -m jupyterhub_groups_exporter.app`.
const PYTHON_MODULE: [&str; 2] = ["-m", "jupyterhub_groups_exporter.app"];

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights demo                          a simulated hub and the service on it
  jupyterhub-insights serve                         as a hub's service, from the hub's environment
  jupyterhub-insights serve --config insights.toml
  jupyterhub-insights report                        which questions it can answer
  jupyterhub-insights report active-users --from '3 months ago'
  jupyterhub-insights sql 'select count(*) from sessions'
  jupyterhub-insights import events archive/        what was recorded before
  jupyterhub-insights import prometheus --from '1 year ago'
  jupyterhub-insights config check                  does the hub answer, what may the token read

Exit codes: 0 done, 1 failed, 2 wrong usage, 64 bad configuration, 70 a bug.";

/// Who uses this JupyterHub, how much, in which group: one program beside the hub.
#[derive(Parser)]
#[command(name = "jupyterhub-insights", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service.
    Serve(Box<serve::ServeArgs>),
    /// Run a simulated hub and the service on it.
    Demo(demo::DemoArgs),
    /// Answer a question about the hub: who uses it, how much, is it healthy.
    Report(report::ReportArgs),
    /// Ask the history in SQL; `--help` lists tables and columns.
    Sql(sql::SqlArgs),
    /// Take what was recorded before, or elsewhere, into the history.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Look after the history.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Show or check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a reference page, as Markdown.
    Docs(docs::DocsArgs),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Show the values in force and where each came from; secrets are hidden.
    Print(print::PrintArgs),
    /// Check the values, then ask the hub what the token may read.
    Check(check::CheckArgs),
}

/// Where values come from besides the environment.
#[derive(Args, Clone, Debug, Default)]
struct ConfigArgs {
    /// TOML file with the configuration; `jupyterhub-insights docs config` lists the keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, for instance hub.interval_seconds=30; wins over file and environment
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigArgs {
    fn load(&self, flags: Vec<Layer>, environment: &Environment) -> Result<Effective, ConfigError> {
        let assignments = self.set.iter().map(|text| Layer::of_assignment(text));
        let mut layers = flags;
        layers.extend(assignments.collect::<Result<Vec<_>, _>>()?);
        config::load(environment, self.config.as_deref(), layers)
    }
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A question that cannot be asked so.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::TlsFile(error) => Self::TlsFile(error),
            StartError::Port(error) => Self::Other(error.into()),
            StartError::Prometheus(error) => error.into(),
        }
    }
}

impl From<PrometheusError> for CommandError {
    fn from(error: PrometheusError) -> Self {
        match error {
            PrometheusError::Certificate(error) => Self::TlsFile(error),
            error => Self::Other(error.into()),
        }
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

impl CommandError {
    /// What is in the folder is no matter of the configuration: damage can be repaired, and a
    /// service manager may try again.
    fn is_bad_config(&self) -> bool {
        !matches!(
            self,
            Self::Other(_) | Self::Usage(_) | Self::History(HistoryError::Store { .. })
        )
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Usage(_) => "wrong usage",
            error if error.is_bad_config() => "bad configuration",
            _ => "error",
        }
    }

    fn exit_code(&self) -> ExitCode {
        if matches!(self, Self::Usage(_)) {
            ExitCode::from(EXIT_USAGE)
        } else if self.is_bad_config() {
            ExitCode::from(EXIT_BAD_CONFIG)
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Runs the command that the arguments name; the first argument is the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // reqwest and the listener both need one; the first to set it wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse_from(with_command(arguments.into_iter().collect()));
    let environment = Environment::of_process();
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(&args, &environment),
        Command::Demo(args) => demo::run(&args),
        Command::Report(args) => report::run(&args, &environment),
        Command::Sql(args) => sql::run(&args, &environment),
        Command::Import(command) => import::run(&command, &environment),
        Command::Store(command) => store::run(&command, &environment),
        Command::Config(ConfigCommand::Print(args)) => print::run(&args, &environment),
        Command::Config(ConfigCommand::Check(args)) => check::run(&args, &environment),
        Command::Docs(args) => docs::run(&args),
    };
    outcome.unwrap_or_else(failed)
}

/// Tells why the command ended early.
fn failed(error: CommandError) -> ExitCode {
    let code = error.exit_code();
    let kind = error.kind();
    // Nobody may be listening any more; that is no reason to panic.
    let message = anyhow::Error::from(error);
    let _ = writeln!(
        std::io::stderr(),
        "jupyterhub-insights: {kind}: {message:#}"
    );
    code
}

/// Makes the Python exporter's command line ours: its module name or its flags mean `serve`.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_module = arguments
        .get(1..3)
        .is_some_and(|words| words == PYTHON_MODULE);
    let first = arguments.get(1).and_then(|first| first.to_str());
    let is_python_flag = first.is_some_and(|first| {
        first == "--port"
            || first.starts_with("--port=")
            || first.starts_with("--") && first.contains('_')
    });
    if is_module {
        arguments.splice(1..3, ["serve".into(), "--python-exporter".into()]);
    } else if is_python_flag {
        arguments.insert(1, "serve".into());
    }
    arguments
}

/// Why the store did not do it. What is wrong with the tables is told once and in one line: the
/// libraries repeat their causes, and some bring a backtrace.
fn of_store(error: StoreError) -> anyhow::Error {
    if !matches!(error, StoreError::History(_)) {
        return error.into();
    }
    let mut text = error.to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    if let Some(cause) = causes.last() {
        let cause = cause.to_string();
        let line = cause.lines().next().unwrap_or_default();
        text = format!("{text}: {line}");
    }
    if !text.contains("store verify") {
        text.push_str("; `jupyterhub-insights store verify` tells what can be done");
    }
    anyhow::Error::msg(text)
}

/// Writes a text to standard output; a reader who has seen enough (`| head`) is no error.
fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// A runtime for a command that asks or serves.
fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(future);
    // A blocking thread that still compresses must not hold up the end of the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_python_exporters_command_lines_mean_serve() {
        let check = |line: &str| {
            let arguments = line.split(' ').map(OsString::from).collect();
            let arguments = with_command(arguments).into_iter();
            arguments
                .map(|word| word.into_string().unwrap())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let module = "python -m jupyterhub_groups_exporter.app";
        assert_eq!(
            check(&format!("{module} --port 8100")),
            "python serve --python-exporter --port 8100"
        );
        assert_eq!(check(module), "python serve --python-exporter");
        assert_eq!(
            check("x --update_info_interval 5"),
            "x serve --update_info_interval 5"
        );
        assert_eq!(check("x --port 1"), "x serve --port 1");
        assert_eq!(check("x --port=1"), "x serve --port=1");
        assert_eq!(check("x --help"), "x --help");
        assert_eq!(check("x serve --port 1"), "x serve --port 1");
        assert_eq!(check("x demo"), "x demo");
    }
}
