//! `import prometheus`: what a Prometheus remembers of the time before this service watched: usage by
//! the hour, sizes of homes, sessions by the lives of pods, and the hub's own gauges.
//!
//! Hours come from the same function as those of the running service, so that they are the same
//! rows. What is asked for them is the business of [`crate::sources::prometheus`].

mod asking;
mod backfill;
mod covered;
mod done;
mod gauges;
mod lifetimes;
mod pace;
mod pods;
mod progress;
mod recorded;
mod rows;

use crate::cli::store::settings;
use crate::cli::{CommandError, ConfigArgs, block_on, of_store, print};
use crate::collect;
use crate::config::environment::Environment;
use crate::moment::Moment;
use crate::poll::clock::now;
use crate::service::StartError;
use crate::sources::prometheus::{Prometheus, SETTLES};
use anyhow::{Context as _, bail};
use backfill::{Backfill, Plan};
use clap::Args;
use covered::Span;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::days::hour_start;
use pace::Share;
use std::process::ExitCode;
use url::{Position, Url};

pub(super) const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights import prometheus --from '1 year ago'
  jupyterhub-insights import prometheus --from 2026-01-01 --to 2026-07-01 --share 20%
  jupyterhub-insights import prometheus --from 'last month' \\
      --set prometheus.url=http://127.0.0.1:9090/ --set prometheus.namespace=hub

Reads, oldest first and a day at a time, what users' pods used by the hour, the sizes of homes at the
end of each day, the hub's gauges, and sessions. A session is the life of a user's pod; where
kube-state-metrics does not tell the names of servers, it is one of the default server, whichever
it was. What the history holds from polling, or from events that were imported before, is never
overwritten, so import events first. Interrupted, it goes on where it ended; repeated, it changes no
figure. A time that Prometheus cannot answer is asked for in smaller parts, down to an hour; what is
left out is named at the end, and asked for again by the next import.

Exit codes: 0 all was read, 1 something was left out, or the import ended early.";

/// Flags of `import prometheus`.
#[derive(Args, Debug)]
pub(in crate::cli) struct PrometheusArgs {
    /// Where to begin: `1 year ago`, `last month`, a day like 2026-01-31, or RFC 3339
    #[arg(long, value_name = "TIME")]
    from: Moment,
    /// Where to end
    #[arg(long, value_name = "TIME", default_value = "now")]
    to: Moment,
    /// Ask again for what was imported before; counts nothing twice
    #[arg(long)]
    again: bool,
    /// Most of the time that is spent asking, for Prometheus to have time for others
    #[arg(long, value_name = "PERCENT", default_value = "50%")]
    share: Share,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(
    args: &PrometheusArgs,
    environment: &Environment,
) -> Result<ExitCode, CommandError> {
    let effective = args.config.load(Vec::new(), environment)?;
    let config = &effective.config;
    crate::logging::start(&config.log);
    let namespace = config.namespace_of_pods();
    let prometheus = Prometheus::new(&config.prometheus, &config.usage, &namespace);
    let prometheus = prometheus.map_err(StartError::from)?;
    let place = config.prometheus.url.as_ref().map_or("", place);
    let store = collect::open(config, environment)?
        .context("there is no history to import into: set `store.path`")?;
    let import = async {
        let keeper = settings(&effective, &store.hubs().await.map_err(of_store)?)?;
        let span = args.span(now(), &keeper.zone)?;
        let plan = Plan {
            keeper,
            span,
            again: args.again,
            share: args.share,
            source: format!("import prometheus {place} {namespace}"),
            namespace: namespace.clone(),
            config: config.clone(),
        };
        Backfill::start(store, prometheus, plan).await?.run().await
    };
    let done = block_on(import)??;
    print(&done.summary())?;
    Ok(done.exit_code())
}

/// An address without the credentials that may be in it.
fn place(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPath]
}

impl PrometheusArgs {
    /// Full local hours that are over.
    fn span(&self, now: Timestamp, zone: &TimeZone) -> anyhow::Result<Span> {
        let settled = now.saturating_sub(SETTLES).unwrap_or(Timestamp::MIN);
        let from = self.from.at(now, zone).context("`--from`")?;
        let to = self.to.at(now, zone).context("`--to`")?.min(settled);
        let span = Span {
            from: hour_start(from, zone),
            to: hour_start(to, zone),
        };
        if span.from >= span.to {
            bail!(
                "from {from} to {to} no full hour is over: choose an earlier `--from` or a later `--to`"
            );
        }
        Ok(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PrometheusArgs,
    }

    fn check(words: &str, expected: &str) {
        let line = Line::try_parse_from(["import"].into_iter().chain(words.split('|')));
        let now: Timestamp = "2026-11-21T11:01:30Z".parse().unwrap();
        let zone = TimeZone::get("Asia/Kathmandu").unwrap();
        let text = match line {
            Ok(line) => match line.args.span(now, &zone) {
                Ok(span) => format!("{} {}", span.from, span.to),
                Err(error) => format!("{error:#}"),
            },
            Err(error) => error.kind().to_string(),
        };
        assert_eq!(text, expected, "{words}");
    }

    #[test]
    fn full_local_hours_that_are_over_are_asked_for() {
        check(
            "--from|2 hours ago",
            "2026-11-21T08:15:00Z 2026-11-21T10:15:00Z",
        );
        check(
            "--from|2026-11-20",
            "2026-11-19T18:15:00Z 2026-11-21T10:15:00Z",
        );
        check(
            "--from|2026-11-20|--to|2026-11-21T10:59:00Z",
            "2026-11-19T18:15:00Z 2026-11-21T10:15:00Z",
        );
        check(
            "--from|now",
            "from 2026-11-21T11:01:30Z to 2026-11-21T10:58:30Z no full hour is over: choose an \
             earlier `--from` or a later `--to`",
        );
        check(
            "--from|30000 years ago",
            "`--from`: the time is too far away",
        );
        check("--from|moon", "invalid value for one of the arguments");
        check(
            "--to|now",
            "one or more required arguments were not provided",
        );
        check(
            "--from|now|--share|0%",
            "invalid value for one of the arguments",
        );
    }
}
