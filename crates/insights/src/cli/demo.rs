//! `demo`: a simulated hub and the real service on it, with nothing to install.

mod history;
mod hooks;
mod question;
mod sink;

use super::{CommandError, block_on};
use crate::config::{Config, LogConfig, Secret};
use crate::logging;
use crate::poll::clock;
use crate::service::{Ending, Service, Starter, listener, port};
use crate::sim::history::{HistoryShape, of_hub_start, of_start};
use crate::sim::usage::SimUsage;
use crate::sim::{DEMO_ADMIN_TOKEN, DEMO_TOKEN, ServiceClient, Shape, SimHub, World};
use anyhow::Context as _;
use clap::Args;
use hooks::Hooks;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::days::Day;
use question::{month_to_ask, usage_by_group};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use store::{Folder, Store};
use tokio_util::sync::CancellationToken;
use url::Url;

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights demo
  jupyterhub-insights demo --users 10000 --groups 200 --port 8800
  jupyterhub-insights demo --days 0                 without a history
  jupyterhub-insights demo --hub-only --port 8001   just the simulated hub, for your own service";

/// Pause between two small changes of the simulated hub.
const CHURN_PAUSE: Duration = Duration::from_secs(3);
/// Between two looks at what its servers use, so that there is something to see soon.
const USAGE_SECONDS: u64 = 20;
/// Between two looks at their homes.
const HOMES_SECONDS: u64 = 3600;

/// Where its people log in from.
const NETWORKS: [&str; 3] = [
    "wireless=10.20.0.0/16",
    "offices=10.30.0.0/16",
    "vpn=10.99.0.0/16",
];

/// The service as the simulated hub's OAuth client.
const CLIENT_ID: &str = "service-insights";
/// Name of the simulated hub.
const HUB: &str = "demo";
/// Where its people live, unless this machine knows no time zones.
const ZONE: &str = "Europe/Berlin";

/// Flags of `demo`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DemoArgs {
    /// Users of the simulated hub
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    users: u32,
    /// Its groups
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    groups: u32,
    /// Groups that a user is in, on average
    #[arg(long, default_value_t = 1.5)]
    groups_per_user: f64,
    /// Days of history before today; 0 is none
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(0..=3660))]
    days: u32,
    /// Folder for the history, empty or new; without it the history is gone when the demo ends
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// Users with a running server [default: a tenth of the users]
    #[arg(long)]
    active: Option<u32>,
    /// Port of the service on 127.0.0.1; with --hub-only that of the hub
    #[arg(long, default_value_t = 8800)]
    port: u16,
    /// Port of the simulated hub, where one logs in [default: one that is free]
    #[arg(
        long,
        default_value_t = 0,
        hide_default_value = true,
        conflicts_with = "hub_only"
    )]
    hub_port: u16,
    /// The same seed makes the same hub, with the same history
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Start the simulated hub alone, and let nothing happen on it
    #[arg(long)]
    hub_only: bool,
}

pub(super) fn run(args: &DemoArgs) -> Result<ExitCode, CommandError> {
    logging::start(&LogConfig::default());
    eprintln!(
        "Making a hub of {} users in {} groups …",
        args.users, args.groups
    );
    let now = clock::now();
    let mut world = World::generate(&args.shape(), now);
    if args.hub_only {
        return hub_only(args.port, &SimHub::new(world, "/"));
    }
    let home = Home::of(args)?;
    let shape = args.history_shape(now);
    let mut config = config(args.port);
    config.hub.timezone = shape.zone.iana_name().map(str::to_owned);
    let store = Folder::prepare(home.path()).map_err(anyhow::Error::from)?;
    let store = Store::open(store).map_err(anyhow::Error::from)?;
    let past = history::make(&mut world, &shape, &config, &store)?;
    let sim = SimHub::new(world, "/");
    let usage = SimUsage::new(sim.clone(), past, config.usage.homes_interval());
    let hub_address = format!("127.0.0.1:{}", args.hub_port);
    let hub_socket = port::bind("--hub-port", &hub_address, Starter::Other);
    let hub_socket = hub_socket.map_err(anyhow::Error::from)?;
    let hub_address = hub_socket
        .local_addr()
        .context("the hub's port has no address")?;
    let hub_url = format!("http://{hub_address}/");
    config.hub.url = Url::parse(&hub_url).ok();
    config.login.hub_url = Some(hub_url);
    sim.register(client(&config));
    let service = Service::bind(config, Starter::Other)?
        .with_history(store)
        .with_simulated_usage(usage);
    tell(args.port, hub_address);
    let month = month_to_ask(Day::of(now, &shape.zone).date(), shape.n_days);
    tell_questions(home.path(), month);
    let mut hooks = Hooks::to(args.port)?;
    hooks.tell([of_hub_start(now)]);
    let ending = block_on(play(service, hub_socket, sim, hooks))?;
    Ok(ending.context("the simulated hub stopped")?.into())
}

/// The service as the simulated hub knows it.
fn client(config: &Config) -> ServiceClient {
    ServiceClient {
        client_id: CLIENT_ID.to_owned(),
        secret: Secret::new(DEMO_TOKEN),
        redirect_uri: config.login.callback_url.clone().unwrap_or_default(),
    }
}

fn service_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/services/insights/")
}

/// What there is to look at.
fn tell(port: u16, hub_address: SocketAddr) {
    let url = service_url(port);
    eprintln!(
        "\n  Dashboard    {url}\n               It asks who you are: choose an administrator, the \
         owner of a group, or somebody else."
    );
    eprintln!("\n  Metrics      curl {url}metrics");
    eprintln!(
        "  Hub's API    curl -H 'Authorization: token {DEMO_TOKEN}' http://{hub_address}/hub/api/groups"
    );
    eprintln!(
        "  Prometheus   scrape 127.0.0.1:{port} with metrics_path /services/insights/metrics"
    );
    eprintln!("  Groups       curl -s {url}metrics | grep ^jupyterhub_group_");
    eprintln!(
        "  Reports' API curl -H 'Authorization: token {DEMO_ADMIN_TOKEN}' {url}api/v1/reports/active-users"
    );
}

/// What there is to ask.
fn tell_questions(folder: &Path, month: Date) {
    let path = quoted(&format!("store.path={}", folder.display()));
    let ask = |about: &str, sql: &str| {
        let sql = sql.replace('\n', "\n               ");
        eprintln!("  {about:<11}  jupyterhub-insights sql --set {path} \\\n               '{sql}'");
    };
    eprintln!("  Reports      jupyterhub-insights report overview --set {path}");
    ask("History", "select * from running_sessions limit 5");
    ask("Usage", &usage_by_group(month));
    eprintln!(
        "\n  Somebody joins, leaves, starts or stops every {} s. Ctrl-C ends it.\n",
        CHURN_PAUSE.as_secs()
    );
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@%+".contains(letter);
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs service and hub; the hub outlives the service, as a real one does.
async fn play(
    service: Service,
    hub_socket: TcpListener,
    sim: SimHub,
    mut hooks: Hooks,
) -> std::io::Result<Ending> {
    let hub = listener::serve(hub_socket, None, sim.router(), CancellationToken::new());
    let live = async {
        loop {
            tokio::time::sleep(CHURN_PAUSE).await;
            let now = clock::now();
            let started = sim.world_mut().churn(now);
            hooks.tell(started.iter().flat_map(|user| of_start(user, now)));
            hooks.send().await;
        }
    };
    tokio::select! {
        ending = service.run() => Ok(ending),
        outcome = hub => Err(outcome.err().unwrap_or_else(|| std::io::ErrorKind::Interrupted.into())),
        () = live => unreachable!("the loop never ends"),
    }
}

/// Where the demo's history is.
enum Home {
    Temporary(tempfile::TempDir),
    Named(PathBuf),
}

impl Home {
    fn of(args: &DemoArgs) -> anyhow::Result<Self> {
        let Some(folder) = &args.store else {
            let folder = tempfile::Builder::new()
                .prefix("jupyterhub-insights-demo-")
                .tempdir();
            return Ok(Self::Temporary(
                folder.context("no temporary folder for the history")?,
            ));
        };
        let is_taken = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        anyhow::ensure!(
            !is_taken,
            "`{}` is not empty: name a new folder",
            folder.display()
        );
        let folder = std::path::absolute(folder).context("no working directory")?;
        Ok(Self::Named(folder))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Named(folder) => folder,
        }
    }
}

fn hub_only(port: u16, sim: &SimHub) -> Result<ExitCode, CommandError> {
    let address = format!("127.0.0.1:{port}");
    let socket = port::bind("--port", &address, Starter::Other).map_err(anyhow::Error::from)?;
    eprintln!(
        "Simulated hub at http://{address}/, token {DEMO_TOKEN}, to change it {DEMO_ADMIN_TOKEN}"
    );
    let stopping = CancellationToken::new();
    let outcome = block_on(async {
        tokio::select! {
            outcome = listener::serve(socket, None, sim.router(), stopping) => outcome,
            outcome = tokio::signal::ctrl_c() => outcome,
        }
    })?;
    outcome.context("the simulated hub could not go on")?;
    Ok(ExitCode::SUCCESS)
}

fn config(port: u16) -> Config {
    let mut config = Config::default();
    HUB.clone_into(&mut config.hub.name);
    config.hub.token = Some(Secret::new(DEMO_TOKEN));
    config.hub.interval_seconds = 5;
    config.usage.interval_seconds = USAGE_SECONDS;
    config.usage.homes_interval_seconds = HOMES_SECONDS;
    config.events.token = Some(Secret::new(hooks::TOKEN));
    config.reports.networks = NETWORKS.map(str::to_owned).into();
    // As behind a hub's proxy, where browsers come; with metrics that need no token, to be looked at.
    config.web.listen = Some(format!("127.0.0.1:{port}"));
    config.metrics.open = true;
    config.login.client_id = Some(CLIENT_ID.to_owned());
    // With its address: the simulated hub is at another one.
    config.login.callback_url = Some(format!("{}oauth_callback", service_url(port)));
    config
}

impl DemoArgs {
    fn shape(&self) -> Shape {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Shape {
            n_users: count(self.users),
            n_groups: count(self.groups),
            n_active: count(self.active.unwrap_or(self.users / 10)),
            groups_per_user: self.groups_per_user,
            seed: self.seed,
        }
    }
    fn history_shape(&self, now: Timestamp) -> HistoryShape {
        HistoryShape {
            n_days: self.days,
            seed: self.seed,
            zone: TimeZone::get(ZONE).unwrap_or(TimeZone::UTC),
            until: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_word_is_one_word_for_a_shell() {
        assert_eq!(quoted("store.path=/tmp/demo-1"), "store.path=/tmp/demo-1");
        assert_eq!(quoted("store.path=/a b"), "'store.path=/a b'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
