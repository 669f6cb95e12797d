//! `config check`: are the values good, does the hub answer, and what may the token read.

use super::{CommandError, ConfigArgs, block_on};
use crate::config::environment::Environment;
use crate::hub::{GroupPages, HubClient, HubError, Identity, PageSize, ROLE_SCOPES};
use crate::metrics::own::Own;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::process::ExitCode;
use std::sync::Arc;
use store::{Column, Format, Table};

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights config check --config insights.toml
  JUPYTERHUB_API_TOKEN=… jupyterhub-insights config check --set hub.url=http://hub:8081/ --format json

Exits with 0 if everything works, with 1 if something is missing, with 64 if a value is bad.";

/// Flags of `config check`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = CheckFormat::Table)]
    format: CheckFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CheckFormat {
    /// Aligned columns
    Table,
    /// An array of objects
    Json,
    /// Comma-separated values
    Csv,
}

/// One question and its answer.
struct Finding {
    check: String,
    verdict: Verdict,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Missing,
}

pub(super) fn run(args: &CheckArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let effective = args.config.load(Vec::new(), environment)?;
    effective.require_hub()?;
    let own = Arc::new(Own::new(&effective.config.hub.name));
    let hub = HubClient::new(&effective.config.hub, own)?;
    let findings = block_on(ask(&hub))?;
    let is_good = findings
        .iter()
        .all(|finding| finding.verdict == Verdict::Good);
    write(&findings, args.format)?;
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn ask(hub: &HubClient) -> Vec<Finding> {
    let version = hub.version().await;
    let is_reachable = version.is_ok();
    let mut findings = vec![finding("hub answers", &version, |version| {
        format!("JupyterHub {version}")
    })];
    if !is_reachable {
        return findings;
    }
    let whoami = hub.whoami().await;
    let identity = whoami.as_ref().ok().cloned();
    findings.push(finding("token is known", &whoami, |who| {
        format!("{} `{}`", who.kind, who.name)
    }));
    let Some(identity) = identity else {
        return findings;
    };
    findings.extend(ROLE_SCOPES.map(|scope| scope_finding(&identity, scope)));
    findings.push(finding(
        "hub tells about itself",
        &hub.info().await,
        |info| format!("{}, {}", info.spawner.class, info.authenticator.class),
    ));
    findings.push(finding(
        "groups",
        &GroupPages::default().read(hub).await,
        |groups| {
            let n_memberships: usize = groups.iter().map(|group| group.members.len()).sum();
            format!("{} groups, {n_memberships} memberships", groups.len())
        },
    ));
    let servers = hub.active_servers(&mut PageSize::default()).await;
    findings.push(finding("active servers", &servers, |servers| {
        format!("{}", servers.len())
    }));
    findings.push(finding("hub's own metrics", &hub.metrics().await, |text| {
        format!("{} lines", text.lines().count())
    }));
    findings
}

fn finding<T>(
    check: &str,
    outcome: &Result<T, HubError>,
    detail: impl Fn(&T) -> String,
) -> Finding {
    let (verdict, detail) = match outcome {
        Ok(value) => (Verdict::Good, detail(value)),
        Err(error) => (
            Verdict::Missing,
            format!("{}; {}", error.with_causes(), error.remedy()),
        ),
    };
    Finding {
        check: check.to_owned(),
        verdict,
        detail,
    }
}

/// A filtered scope is good too: the service then sees that part of the hub.
fn scope_finding(identity: &Identity, scope: &str) -> Finding {
    let filtered = format!("{scope}!");
    let held = identity
        .scopes
        .iter()
        .find(|held| *held == scope || held.starts_with(&filtered));
    let (verdict, detail) = match held {
        Some(held) if held == scope => (Verdict::Good, "held".to_owned()),
        Some(held) => (
            Verdict::Good,
            format!("held for a part of the hub: `{held}`"),
        ),
        None => (
            Verdict::Missing,
            "add it to the service's role in `load_roles`".to_owned(),
        ),
    };
    Finding {
        check: format!("scope {scope}"),
        verdict,
        detail,
    }
}

fn write(findings: &[Finding], format: CheckFormat) -> anyhow::Result<()> {
    let verdict = |finding: &Finding| match finding.verdict {
        Verdict::Good => "good",
        Verdict::Missing => "missing",
    };
    let table = Table::new(vec![
        Column::text("check", findings.iter().map(|finding| Some(&finding.check))),
        Column::text(
            "verdict",
            findings.iter().map(|finding| Some(verdict(finding))),
        ),
        Column::text(
            "detail",
            findings.iter().map(|finding| Some(&finding.detail)),
        ),
    ])?;
    let format = match format {
        CheckFormat::Table => Format::Text,
        CheckFormat::Json => Format::Json,
        CheckFormat::Csv => Format::Csv,
    };
    table
        .write(format, &mut std::io::stdout().lock())
        .context("could not write the result")
}
