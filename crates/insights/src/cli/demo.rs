//! `demo`: a simulated hub and the real service on it, with nothing to install.

mod history;

use super::{CommandError, block_on};
use crate::config::{Config, LogConfig, Secret};
use crate::logging;
use crate::poll::clock;
use crate::service::{Service, Starter, listener, port};
use crate::sim::history::HistoryShape;
use crate::sim::{DEMO_ADMIN_TOKEN, DEMO_TOKEN, Shape, SimHub, World};
use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;
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
    /// Users with a running server [default: a tenth of the users]
    #[arg(long)]
    active: Option<u32>,
    /// Port of the service on 127.0.0.1; with --hub-only that of the hub
    #[arg(long, default_value_t = 8800)]
    port: u16,
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
    history::make(&mut world, &args.history_shape(now), HUB)?;
    let sim = SimHub::new(world, "/");
    let hub_socket = TcpListener::bind("127.0.0.1:0").context("no free port for the hub")?;
    hub_socket
        .set_nonblocking(true)
        .context("could not prepare the hub's port")?;
    let hub_address = hub_socket
        .local_addr()
        .context("the hub's port has no address")?;
    let service = Service::bind(
        config(&format!("http://{hub_address}/"), args.port),
        Starter::Other,
    )?;
    let url = format!("http://127.0.0.1:{}/services/insights/", args.port);
    eprintln!("\n  Status page  {url}\n  Metrics      curl {url}metrics");
    eprintln!(
        "  Hub's API    curl -H 'Authorization: token {DEMO_TOKEN}' http://{hub_address}/hub/api/groups"
    );
    eprintln!(
        "  Prometheus   scrape 127.0.0.1:{} with metrics_path /services/insights/metrics",
        args.port
    );
    eprintln!(
        "\n  Somebody joins, leaves, starts or stops every {} s. Ctrl-C ends it.\n",
        CHURN_PAUSE.as_secs()
    );
    let ending = block_on(async move {
        // The hub outlives the service, as a real one does.
        let hub = listener::serve(hub_socket, None, sim.router(), CancellationToken::new());
        let live = async {
            loop {
                tokio::time::sleep(CHURN_PAUSE).await;
                sim.world_mut().churn(clock::now());
            }
        };
        tokio::select! {
            ending = service.run() => Ok(ending),
            outcome = hub => Err(outcome.err().unwrap_or_else(|| std::io::ErrorKind::Interrupted.into())),
            () = live => unreachable!("the loop never ends"),
        }
    })?;
    Ok(ending.context("the simulated hub stopped")?.into())
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

fn config(hub_url: &str, port: u16) -> Config {
    let mut config = Config::default();
    HUB.clone_into(&mut config.hub.name);
    config.hub.url = Url::parse(hub_url).ok();
    config.hub.token = Some(Secret::new(DEMO_TOKEN));
    config.hub.interval_seconds = 5;
    config.metrics.listen = Some(format!("127.0.0.1:{port}"));
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
