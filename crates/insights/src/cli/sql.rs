//! `sql`: read-only SQL over the tables and views of the history.

use super::files::OutputFile;
use super::{CommandError, ConfigArgs, block_on, of_store};
use crate::collect;
use crate::config::environment::Environment;
use crate::poll::clock::now;
use clap::{Args, ValueEnum};
use std::io::{BufWriter, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use store::{AskError, Engine, EngineSettings, Format, Limits, Rows, Store};

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
            .stream(&engine, self.sql, &[], self.limits, now())
            .await;
        let rows = rows.map_err(|error| match error {
            AskError::Query(error) => anyhow::Error::from(error),
            AskError::Store(error) => of_store(error),
        })?;
        match output {
            Some(path) => self.write_file(rows, path).await,
            None => self.write_out(rows).await,
        }
    }

    async fn write_file(&self, rows: Rows, path: &Path) -> anyhow::Result<()> {
        let mut file = OutputFile::begin(path)?;
        rows.write(self.format, &mut file).await?;
        file.finish()
    }

    async fn write_out(&self, rows: Rows) -> anyhow::Result<()> {
        // Not locked: the rows are waited for.
        let mut output = Reader {
            to: BufWriter::with_capacity(1 << 16, std::io::stdout()),
            has_left: false,
        };
        let written = rows.write(self.format, &mut output).await;
        let flushed = output.flush();
        // `| head`: a reader who has seen enough is no error.
        if output.has_left {
            return Ok(());
        }
        written?;
        Ok(flushed?)
    }
}

/// Whoever reads our output, and may stop to.
struct Reader<W> {
    to: W,
    has_left: bool,
}

impl<W: Write> Reader<W> {
    fn note<T>(&mut self, outcome: std::io::Result<T>) -> std::io::Result<T> {
        let is_broken = |error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe;
        self.has_left |= outcome.as_ref().is_err_and(is_broken);
        outcome
    }
}

impl<W: Write> Write for Reader<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let outcome = self.to.write(bytes);
        self.note(outcome)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let outcome = self.to.flush();
        self.note(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Folder;

    #[tokio::test]
    async fn a_file_is_there_when_the_answer_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Folder::prepare(&folder.path().join("store")).unwrap()).unwrap();
        let path = folder.path().join("answer.csv");
        let answer = |sql: &'static str| Answer {
            store: &store,
            sql,
            format: Format::Csv,
            limits: Limits::default(),
        };
        let failing = "select cast(column1 as int) from (values ('1'), ('x'))";
        answer(failing).write(Some(&path)).await.unwrap_err();
        assert!(!path.exists());
        std::fs::write(&path, "before").unwrap();
        answer(failing).write(Some(&path)).await.unwrap_err();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        let link = folder.path().join("link.csv");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        answer("select 7 as seven")
            .write(Some(&link))
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "seven\n7\n");
        // The store, the answer, the link: nothing is left over.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[tokio::test]
    async fn damage_is_told_once_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::open(Folder::prepare(&path).unwrap()).unwrap();
        let log = path.join("history/sessions/_delta_log");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(
            log.join("00000000000000000000.json"),
            "{\"protocol\":{\"min",
        )
        .unwrap();
        let answer = Answer {
            store: &store,
            sql: "select count(*) from sessions",
            format: Format::Csv,
            limits: Limits::default(),
        };
        let error = answer.write(None).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.starts_with("the last log entry of `sessions`, `"),
            "{text}"
        );
        assert!(text.contains("is cut off"), "{text}");
        assert!(text.ends_with("see what `store verify` says"), "{text}");
        assert_eq!(
            (text.lines().count(), text.matches("rror").count() <= 1),
            (1, true),
            "{text}"
        );
    }

    #[test]
    fn a_reader_who_has_seen_enough_is_noticed() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut reader = Reader {
            to: Gone,
            has_left: false,
        };
        assert!(reader.write_all(b"row").is_err());
        assert!(reader.has_left);
    }
}
