//! `report`: a question, its answer, and how the answer is defined.

use super::files::OutputFile;
use super::{CommandError, ConfigArgs, block_on, of_store};
use crate::answers::{self, AnswerError, Answers, Request};
use crate::ask::Asker;
use crate::collect;
use crate::config::environment::Environment;
use crate::report::{self, Ink, NoPicture, ReportFormat, Screen};
use anyhow::anyhow;
use clap::Args;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use store::report::{Answer, ReportError};
use terminal_size::{Width, terminal_size_of};

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights report                                  what can be asked
  jupyterhub-insights report overview --from '12 months ago' --format html --output year.html
  jupyterhub-insights report active-users --from 2026-01-01 --to 2026-01-31
  jupyterhub-insights report new-users by=week --group physics
  jupyterhub-insights report usage-by-user --from 'last month' --to 'last month' --output usage.csv
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
    /// First day: a date, `3 months ago`, `last month` [default: 29 days before the last, if `--explain` says no other]
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
    /// How the answer is written [default: by the ending of `--output`, else `table`]
    #[arg(long, value_enum)]
    format: Option<ReportFormat>,
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
    let how = How {
        format: format(args),
        screen: screen(args, environment),
    };
    // A folder that is not there is told before anything is computed.
    let file = args.output.as_deref().map(OutputFile::begin).transpose()?;
    let written = block_on(answer(&answers, &request, how))?;
    let written = written.map_err(of_answer)?;
    write(&written, file)?;
    Ok(ExitCode::SUCCESS)
}

fn format(args: &ReportArgs) -> ReportFormat {
    let ending = args.output.as_ref().and_then(|path| path.extension());
    let by_ending = ending.and_then(|ending| {
        let of_it = |format: &ReportFormat| ending.eq_ignore_ascii_case(format.extension());
        ReportFormat::ALL.into_iter().find(of_it)
    });
    let chosen = args.format.or(by_ending);
    chosen.unwrap_or(ReportFormat::Table)
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

/// How an answer is written.
#[derive(Clone, Copy)]
struct How {
    format: ReportFormat,
    /// For tables.
    screen: Screen,
}

/// A terminal as wide as it is; whoever reads a file or a pipe gets letters and nothing else.
fn screen(args: &ReportArgs, environment: &Environment) -> Screen {
    let usual = Screen::default();
    if args.output.is_some() || !std::io::stdout().is_terminal() {
        return Screen {
            most_rows: usize::MAX,
            ..usual
        };
    }
    let size = terminal_size_of(std::io::stdout());
    let is_plain = environment.get("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb");
    Screen {
        width: size.map_or(usual.width, |(Width(width), _)| width.into()),
        ink: if is_plain { Ink::Plain } else { Ink::Styled },
        ..usual
    }
}

/// The answer as it is written.
async fn answer(answers: &Answers, request: &Request, how: How) -> Result<Vec<u8>, anyhow::Error> {
    for missing in answers.missing_rows().await? {
        eprintln!("jupyterhub-insights: warning: {missing}");
    }
    let answer = answers.answer(request).await?;
    let mut output = Vec::new();
    if how.format == ReportFormat::Table {
        report::write_for_terminal(&answer, how.screen, &mut output)?;
        return Ok(output);
    }
    let pictures = match how.format {
        ReportFormat::Html => answers.pictures(request).await?,
        _ => Vec::new(),
    };
    let pictures: Vec<&Answer> = pictures.iter().map(|picture| &**picture).collect();
    report::write(&answer, &pictures, how.format, &mut output)?;
    Ok(output)
}

fn usage(error: &ReportError) -> CommandError {
    CommandError::Usage(error.to_string())
}

/// A question that cannot be asked is the reader's mistake, everything else ours.
fn of_answer(error: anyhow::Error) -> CommandError {
    if let Some(error) = error.downcast_ref::<NoPicture>() {
        return CommandError::Usage(error.to_string());
    }
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

fn write(written: &[u8], file: Option<OutputFile>) -> Result<(), CommandError> {
    let Some(mut file) = file else {
        let mut output = std::io::stdout().lock();
        return match output.write_all(written).and_then(|()| output.flush()) {
            // A reader who has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            outcome => Ok(outcome?),
        };
    };
    file.write_all(written)?;
    Ok(file.finish()?)
}
