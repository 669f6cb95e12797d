//! `report`: a question, its answer, and how the answer is defined.

use super::files::OutputFile;
use super::{CommandError, ConfigArgs, block_on, of_store};
use crate::answers::{self, AnswerError, Answers, Request};
use crate::ask::Asker;
use crate::collect;
use crate::config::environment::Environment;
use crate::report::{self, ReportFormat};
use anyhow::anyhow;
use clap::Args;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use store::report::{Answer, ReportError};

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights report                                  what can be asked
  jupyterhub-insights report overview --from '12 months ago' --format html --output year.html
  jupyterhub-insights report active-users --from 2026-01-01 --to 2026-01-31
  jupyterhub-insights report new-users by=week --group physics
  jupyterhub-insights report usage-by-user --format csv --output usage.csv
  jupyterhub-insights report stickiness --explain             how it is defined

Days are the hub's; `--from` and `--to` are the first and the last one.";

/// Flags of `report`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportArgs {
    /// Which report; without one all are listed
    name: Option<String>,
    /// Choices of the report, as `by=week`; `--explain` says which there are
    #[arg(value_name = "NAME=VALUE")]
    choices: Vec<String>,
    /// Lists all reports
    #[arg(long)]
    list: bool,
    /// Says how the report is defined, and answers nothing
    #[arg(long)]
    explain: bool,
    /// First day: a date, `3 months ago`, `last month` [default: 29 days before the last]
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Last day [default: today]
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// Only this hub
    #[arg(long)]
    hub: Option<String>,
    /// Only members of this group, on the days they were
    #[arg(long)]
    group: Option<String>,
    /// Only this person
    #[arg(long)]
    user: Option<String>,
    /// Accounts that do not count, beside those of the configuration; `*` stands for any text
    #[arg(long, value_name = "NAME")]
    leave_out: Vec<String>,
    /// Groups whose members do not count
    #[arg(long, value_name = "GROUP")]
    leave_out_group: Vec<String>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
    /// Where it is written; standard output if not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &ReportArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let mut config = args.config.load(Vec::new(), environment)?.config;
    crate::logging::start(&config.log);
    let reports = &mut config.reports;
    reports
        .leave_out_users
        .extend(args.leave_out.iter().cloned());
    reports
        .leave_out_groups
        .extend(args.leave_out_group.iter().cloned());
    let Some(name) = args.name.as_ref().filter(|_| !args.list) else {
        super::print(&answers::contents(&answers::registry(&config)))?;
        return Ok(ExitCode::SUCCESS);
    };
    let request = request(args, name)?;
    if args.explain {
        let registry = answers::registry(&config);
        let found = registry.get(name);
        let found = found.ok_or_else(|| usage(&answers::unknown(&registry, name)))?;
        super::print(&answers::explained(found))?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = collect::existing(&config, environment)?;
    let asker = Arc::new(Asker::new(store));
    let answers = Answers::new(&config, asker);
    let written = block_on(answer(&answers, &request, args.format))?;
    let written = written.map_err(of_answer)?;
    write(&written, args)?;
    Ok(ExitCode::SUCCESS)
}

fn request(args: &ReportArgs, name: &str) -> Result<Request, CommandError> {
    let mut request = Request {
        name: name.to_owned(),
        from: args.from.clone(),
        to: args.to.clone(),
        hub: args.hub.clone(),
        group: args.group.clone(),
        user: args.user.clone(),
        ..Request::default()
    };
    for choice in &args.choices {
        let Some((name, value)) = choice.split_once('=') else {
            let told = format!("`{choice}` is no choice such as `by=week`");
            return Err(CommandError::Usage(told));
        };
        request.choices.insert(name.to_owned(), value.to_owned());
    }
    Ok(request)
}

/// The answer as it is written.
async fn answer(
    answers: &Answers,
    request: &Request,
    format: ReportFormat,
) -> Result<Vec<u8>, anyhow::Error> {
    for missing in answers.missing_rows().await? {
        eprintln!("jupyterhub-insights: warning: {missing}");
    }
    let answered = answers.answer(request).await?;
    let pictures = match format {
        ReportFormat::Html => answers.pictures(request).await?,
        _ => Vec::new(),
    };
    let pictures: Vec<&Answer> = pictures.iter().map(|answered| &*answered.answer).collect();
    let mut output = Vec::new();
    report::write(&answered.answer, &pictures, format, &mut output)?;
    Ok(output)
}

fn usage(error: &ReportError) -> CommandError {
    CommandError::Usage(error.to_string())
}

/// A question that cannot be asked is the reader's mistake, everything else ours.
fn of_answer(error: anyhow::Error) -> CommandError {
    match error.downcast::<AnswerError>() {
        Ok(AnswerError::Report(ReportError::Query(error))) => CommandError::Other(error.into()),
        Ok(AnswerError::Report(error)) => usage(&error),
        Ok(AnswerError::Store(error)) => match Arc::try_unwrap(error) {
            Ok(error) => CommandError::Other(of_store(error)),
            Err(error) => CommandError::Other(anyhow!(error)),
        },
        Err(error) => CommandError::Other(error),
    }
}

fn write(written: &[u8], args: &ReportArgs) -> Result<(), CommandError> {
    let Some(path) = &args.output else {
        let mut output = std::io::stdout().lock();
        return match output.write_all(written).and_then(|()| output.flush()) {
            // A reader who has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            outcome => Ok(outcome?),
        };
    };
    let mut file = OutputFile::begin(path)?;
    file.write_all(written)?;
    Ok(file.finish()?)
}
