//! `store`: looking after the history. Where the service runs, it does the work and this waits.

use super::sql::{Answer, SqlFormat};
use super::{CommandError, ConfigArgs, EXIT_USAGE, block_on, of_store, print};
use crate::collect;
use crate::config::Effective;
use crate::config::environment::Environment;
use crate::poll::clock::now;
use crate::service::keeper_settings;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::tables::TABLES;
use store::{Job, JobError, KeeperSettings, KnownHub, Limits, Retention, Severity, Store};

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
    effective: Effective,
    store: Store,
}

fn open(args: &ConfigArgs, environment: &Environment) -> Result<Opened, CommandError> {
    let effective = args.load(Vec::new(), environment)?;
    crate::logging::start(&effective.config.log);
    let store = collect::existing(&effective.config, environment)?;
    Ok(Opened { effective, store })
}

fn job(args: &ConfigArgs, environment: &Environment, job: Job) -> Result<ExitCode, CommandError> {
    let opened = open(args, environment)?;
    let answer = block_on(perform(&opened, job))??;
    print(&format!("{answer}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Does the job, or has it done by the process that holds the lock.
async fn perform(Opened { effective, store }: &Opened, job: Job) -> anyhow::Result<String> {
    let settings = settings(effective, &store.hubs().await?)?;
    let waiting = || {
        eprintln!("Another process keeps this history and is asked to do the work. Waiting …");
    };
    let done = store.perform(settings, job, waiting).await;
    done.map_err(|error| match error {
        JobError::Store(error) => of_store(error),
        other => other.into(),
    })
}

/// How the hub is kept: as the service does, which the history knows, where nothing is set. Days
/// that are cut in another zone, or rows that are past another time, would be rewritten.
pub(super) fn settings(
    effective: &Effective,
    known: &[KnownHub],
) -> anyhow::Result<KeeperSettings> {
    let set = keeper_settings(&effective.config);
    let is_set = |key: &str| effective.origins.contains_key(key);
    let Some(hub) = which(known, is_set("hub.name").then_some(&*set.hub))? else {
        return Ok(set);
    };
    let kept = hub.retention.unwrap_or(set.retention);
    let days = |key: &str, set, kept| if is_set(key) { set } else { kept };
    let of = &set.retention;
    Ok(KeeperSettings {
        hub: Arc::clone(&hub.name),
        zone: if is_set("hub.timezone") {
            set.zone.clone()
        } else {
            hub.zone.clone()
        },
        retention: Retention {
            events: days("retention.events_days", of.events, kept.events),
            addresses: days("retention.addresses_days", of.addresses, kept.addresses),
            dead_letters: days(
                "retention.dead_letters_days",
                of.dead_letters,
                kept.dead_letters,
            ),
            audit: days("retention.audit_days", of.audit, kept.audit),
            observations_by_minute: days(
                "retention.observations_minutes_days",
                of.observations_by_minute,
                kept.observations_by_minute,
            ),
        },
        ..set
    })
}

/// The hub of that name, or the only one; `None` if the history knows none yet.
fn which<'a>(known: &'a [KnownHub], name: Option<&str>) -> anyhow::Result<Option<&'a KnownHub>> {
    let names: Vec<String> = known.iter().map(|hub| format!("`{}`", hub.name)).collect();
    let names = names.join(", ");
    match (known, name) {
        ([], _) => Ok(None),
        ([only], None) => Ok(Some(only)),
        (_, None) => {
            bail!("the history is of several hubs: choose one of {names} with `--set hub.name=…`")
        }
        (_, Some(name)) => match known.iter().find(|hub| &*hub.name == name) {
            Some(hub) => Ok(Some(hub)),
            None => bail!(
                "the history knows no hub `{name}`, there is {names}: choose with `--set hub.name=…`"
            ),
        },
    }
}

fn erase(args: &EraseArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    if !args.yes {
        eprintln!("jupyterhub-insights: this removes the name for good; say so with `--yes`");
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let user = args.user.clone();
    job(&args.config, environment, Job::Erase { user })
}

fn verify(args: &ConfigArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let config = args.load(Vec::new(), environment)?.config;
    crate::logging::start(&config.log);
    let folder = collect::to_verify(&config, environment)?;
    let bar = ProgressBar::new(1).with_style(bar_style());
    let checking = store::verify(&folder, None, now(), |checked| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, load};
    use jiff::SignedDuration;
    use jiff::tz::TimeZone;

    fn effective(assignments: &[&str]) -> Effective {
        let layers = assignments.iter().map(|text| Layer::of_assignment(text));
        let environment = Environment::of([]);
        load(
            &environment,
            None,
            layers.collect::<Result<_, _>>().unwrap(),
        )
        .unwrap()
    }

    fn hub(name: &str) -> KnownHub {
        KnownHub {
            name: name.into(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            retention: Some(Retention {
                events: Some(SignedDuration::from_hours(24 * 2000)),
                addresses: Some(SignedDuration::from_hours(24 * 7)),
                ..Retention::default()
            }),
        }
    }

    #[test]
    fn commands_keep_a_hub_as_the_service_does() {
        let hubs = [hub("demo")];
        let settings = settings(&effective(&[]), &hubs).unwrap();
        assert_eq!(&*settings.hub, "demo");
        assert_eq!(settings.zone.iana_name(), Some("Europe/Berlin"));
        assert_eq!(Some(settings.retention), hubs[0].retention);
    }

    #[test]
    fn what_is_set_wins_over_what_the_service_does() {
        let set = ["hub.timezone=Asia/Tokyo", "retention.events_days=10"];
        let settings = settings(&effective(&set), &[hub("demo")]).unwrap();
        assert_eq!(settings.zone.iana_name(), Some("Asia/Tokyo"));
        let days = |days: i64| Some(SignedDuration::from_hours(24 * days));
        assert_eq!(settings.retention.events, days(10));
        assert_eq!(settings.retention.addresses, days(7));
    }

    #[test]
    fn a_hub_that_is_not_known_is_refused() {
        let problem = |set: &[&str], hubs: &[KnownHub]| {
            settings(&effective(set), hubs)
                .map(drop)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            problem(&["hub.name=jupyterhub"], &[hub("demo")]),
            "the history knows no hub `jupyterhub`, there is `demo`: choose with \
             `--set hub.name=…`"
        );
        assert_eq!(
            problem(&[], &[hub("art"), hub("law")]),
            "the history is of several hubs: choose one of `art`, `law` with `--set hub.name=…`"
        );
        assert!(settings(&effective(&["hub.name=law"]), &[hub("art"), hub("law")]).is_ok());
        assert!(settings(&effective(&["hub.name=new"]), &[]).is_ok());
    }
}
