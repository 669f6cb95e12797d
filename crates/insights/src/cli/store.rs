//! `store`: looking after the history. Where the service runs, it does the work and this waits.

use super::sql::{Answer, SqlFormat};
use super::{CommandError, ConfigArgs, block_on, print};
use crate::collect;
use crate::config::Config;
use crate::config::environment::Environment;
use crate::poll::clock::now;
use crate::service::keeper_settings;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use store::tables::TABLES;
use store::{Job, Limits, Severity, Store};

const ERASE_EXAMPLES: &str = "\
Examples:
  jupyterhub-insights store erase-user ada --yes

Every row keeps its numbers under a random pseudonym, so that totals stay. Rows from before the
erasure that arrive later are refused. What the hub itself still knows of the person comes back with
the next look: remove them there first.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  jupyterhub-insights store export --output /backup/history
  jupyterhub-insights store export --table sessions --format csv --output /backup/history";

/// What can be done with the history.
#[derive(Subcommand, Debug)]
pub(super) enum StoreCommand {
    /// Merge small files and leave out outdated revisions.
    Compact(ConfigOnly),
    /// Remove files that no reader needs any more, and rows that are past their time.
    Vacuum(ConfigOnly),
    /// Look for damage; says what can be done about it. Exits with 1 if there is any.
    Verify(ConfigOnly),
    /// Derive sessions and days again from the events.
    Rebuild(ConfigOnly),
    /// Remove a person's name everywhere, for good.
    #[command(after_help = ERASE_EXAMPLES)]
    EraseUser(EraseArgs),
    /// Write tables as files for other tools, one per table.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
}

/// Flags of most of them.
#[derive(Args, Debug)]
pub(super) struct ConfigOnly {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Flags of `store erase-user`.
#[derive(Args, Debug)]
pub(super) struct EraseArgs {
    /// The user's name, as the hub writes it
    user: String,
    /// Do it: it cannot be undone
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Flags of `store export`.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// Only this table; all if not given
    #[arg(long, value_name = "NAME", value_parser = TABLES.iter().map(|table| table.name).collect::<Vec<_>>())]
    table: Option<String>,
    /// How files are written
    #[arg(long, value_enum, default_value_t = SqlFormat::Parquet)]
    format: SqlFormat,
    /// Folder for the files; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(
    command: &StoreCommand,
    environment: &Environment,
) -> Result<ExitCode, CommandError> {
    match command {
        StoreCommand::Compact(args) => job(&args.config, environment, Job::Compact),
        StoreCommand::Vacuum(args) => job(&args.config, environment, Job::Vacuum),
        StoreCommand::Rebuild(args) => job(&args.config, environment, Job::Rebuild),
        StoreCommand::EraseUser(args) => erase(args, environment),
        StoreCommand::Verify(args) => verify(&args.config, environment),
        StoreCommand::Export(args) => export(args, environment),
    }
}

struct Opened {
    config: Config,
    store: Store,
}

fn open(args: &ConfigArgs, environment: &Environment) -> Result<Opened, CommandError> {
    let config = args.load(Vec::new(), environment)?.config;
    crate::logging::start(&config.log);
    let store = collect::existing(&config, environment)?;
    Ok(Opened { config, store })
}

fn job(args: &ConfigArgs, environment: &Environment, job: Job) -> Result<ExitCode, CommandError> {
    let opened = open(args, environment)?;
    let answer = block_on(perform(&opened, job))??;
    print(&format!("{answer}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Does the job, or has it done by the service that holds the lock.
async fn perform(Opened { config, store }: &Opened, job: Job) -> anyhow::Result<String> {
    let settings = keeper_settings(config);
    if let Some(keeper) = store.try_keep(settings).await? {
        return Ok(keeper.perform(&job).await?);
    }
    eprintln!("The service keeps this history; it does the work. Waiting …");
    let hub = config.hub.name.as_str().into();
    let outcome = store.ask(&hub, job, now()).await?;
    match outcome.split_once(": ") {
        Some(("done", text)) => Ok(text.to_owned()),
        Some(("failed", text)) => bail!("the service could not do it: {text}"),
        _ => bail!("the service answered `{outcome}`"),
    }
}

fn erase(args: &EraseArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    if !args.yes {
        let problem = anyhow::anyhow!(
            "this removes the name for good; say so with `--yes` (hub: `{}`)",
            args.config.load(Vec::new(), environment)?.config.hub.name
        );
        return Err(problem.into());
    }
    let user = args.user.clone();
    job(&args.config, environment, Job::Erase { user })
}

fn verify(args: &ConfigArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let Opened { store, .. } = open(args, environment)?;
    let bar = ProgressBar::new(1).with_style(bar_style());
    let checking = store::verify(store.folder(), None, now(), |checked| {
        bar.set_length(checked.n_files_in_all as u64);
        bar.set_position(checked.n_files as u64);
        bar.set_message(checked.table);
    });
    let findings = block_on(checking)?.map_err(anyhow::Error::from)?;
    bar.finish_and_clear();
    for finding in &findings {
        print(&format!("{finding}\n"))?;
    }
    let n_bad = findings
        .iter()
        .filter(|finding| finding.severity > Severity::Information)
        .count();
    eprintln!(
        "{}",
        if n_bad == 0 {
            "No damage found."
        } else {
            "There is damage."
        }
    );
    Ok(ExitCode::from(u8::from(n_bad > 0)))
}

/// Shown on a terminal only.
fn bar_style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{msg}  {wide_bar} {pos} of {len} files");
    // Only fails for a mistake in the text, and then the bar looks plain.
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn export(args: &ExportArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let Opened { store, .. } = open(&args.config, environment)?;
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot make the folder `{}`", args.output.display()))?;
    let wanted = TABLES.iter().filter(|table| {
        args.table
            .as_deref()
            .is_none_or(|wanted| wanted == table.name)
    });
    for table in wanted {
        let path = args
            .output
            .join(format!("{}.{}", table.name, extension(args.format)));
        let answer = Answer {
            store: &store,
            sql: &format!("select * from {}", table.name),
            format: args.format.of_store(),
            limits: Limits {
                timeout: Duration::from_hours(24),
                ..Limits::default()
            },
        };
        block_on(answer.write(Some(&path)))??;
        eprintln!("Wrote {}.", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn extension(format: SqlFormat) -> &'static str {
    match format {
        SqlFormat::Table => "txt",
        SqlFormat::Json => "json",
        SqlFormat::Ndjson => "ndjson",
        SqlFormat::Csv => "csv",
        SqlFormat::Parquet => "parquet",
    }
}
