//! `sql`: read-only SQL over the tables and views of the history.

use super::{CommandError, ConfigArgs, block_on};
use crate::collect;
use crate::config::environment::Environment;
use crate::poll::clock::now;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{BufWriter, Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use store::{AskError, Engine, EngineSettings, Format, Limits, Store};

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights sql 'select day, count(*) as users from user_days group by day order by day'
  jupyterhub-insights sql --format csv --output members.csv 'select * from current_members'
  jupyterhub-insights sql --format parquet --output sessions.parquet 'select * from sessions'
  jupyterhub-insights sql \"select * from membership_intervals where joined <= timestamp '2026-03-01'
      and (\\\"left\\\" is null or \\\"left\\\" > timestamp '2026-03-01')\"
  jupyterhub-insights sql - < question.sql
";

/// Flags of `sql`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n{}", store::schema_text()))]
pub(super) struct SqlArgs {
    /// The query, one select; `-` reads it from standard input
    sql: String,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = SqlFormat::Table)]
    format: SqlFormat,
    /// Where the result is written; standard output if not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seconds after which the query is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    #[command(flatten)]
    config: ConfigArgs,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SqlFormat {
    /// Aligned columns
    Table,
    /// An array of objects
    Json,
    /// An object per line
    Ndjson,
    /// Comma-separated values
    Csv,
    /// A Parquet file
    Parquet,
}

impl SqlFormat {
    pub(super) fn of_store(self) -> Format {
        match self {
            Self::Table => Format::Text,
            Self::Json => Format::Json,
            Self::Ndjson => Format::Ndjson,
            Self::Csv => Format::Csv,
            Self::Parquet => Format::Parquet,
        }
    }
}

pub(super) fn run(args: &SqlArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let config = args.config.load(Vec::new(), environment)?.config;
    crate::logging::start(&config.log);
    let store = collect::existing(&config, environment)?;
    let sql = match args.sql.as_str() {
        "-" => {
            let mut sql = String::new();
            std::io::stdin().read_to_string(&mut sql)?;
            sql
        }
        sql => sql.to_owned(),
    };
    let limits = Limits {
        timeout: Duration::from_secs(args.timeout),
        ..Limits::default()
    };
    let answer = Answer {
        store: &store,
        sql: &sql,
        format: args.format.of_store(),
        limits,
    };
    block_on(answer.write(args.output.as_ref()))??;
    Ok(ExitCode::SUCCESS)
}

/// A query and how its answer is written.
pub(super) struct Answer<'a> {
    pub(super) store: &'a Store,
    pub(super) sql: &'a str,
    pub(super) format: Format,
    pub(super) limits: Limits,
}

impl Answer<'_> {
    /// Writes the rows as they come, to the file or to standard output.
    pub(super) async fn write(&self, output: Option<&PathBuf>) -> anyhow::Result<()> {
        for missing in self.store.missing_rows().await? {
            eprintln!("jupyterhub-insights: warning: {missing}");
        }
        let engine = Engine::new(EngineSettings::new(self.store.folder().temporary()));
        let rows = self
            .store
            .stream(&engine, self.sql, self.limits, now())
            .await;
        let rows = rows.map_err(|error| match error {
            AskError::Query(error) => anyhow::Error::from(error),
            AskError::Store(error) => anyhow::Error::from(error),
        })?;
        if let Some(path) = output {
            let file =
                File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
            let mut file = BufWriter::new(file);
            rows.write(self.format, &mut file).await?;
            file.flush()
                .with_context(|| format!("cannot write `{}`", path.display()))
        } else {
            // Standard output is not locked over waits; the answer is written at the end.
            let mut answer = Vec::new();
            rows.write(self.format, &mut answer).await?;
            match std::io::stdout().lock().write_all(&answer) {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                outcome => Ok(outcome?),
            }
        }
    }
}
