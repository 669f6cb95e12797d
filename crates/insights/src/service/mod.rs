//! Puts the parts together: ports first, then one set of supervised tasks, until somebody says
//! stop.

mod archive;
mod files;
mod history;
pub mod listener;
mod parent;
pub mod port;
pub mod tasks;
mod usage;

use crate::answers::Answers;
use crate::ask::Asker;
use crate::config::Config;
use crate::events::Sink;
use crate::hub::{self, HubClient, OAuthClient, TlsFileError};
use crate::machine::Machine;
use crate::metrics::own::{Own, Readiness};
use crate::metrics::{Counting, Published};
use crate::poll::{Poller, Turn};
use crate::sim::usage::SimUsage;
use crate::sources::prometheus::PrometheusError;
use crate::usage::Source;
use crate::web::{self, Access, Site};
use anyhow::Context as _;
pub use history::keeper_settings;
use jiff::SignedDuration;
pub use parent::Parent;
use port::PortError;
use rustls::ServerConfig;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Store;
pub use tasks::Ending;
use tasks::{OnPanic, Task, Wish};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Time for tasks to end after they were told to; the process ends within five seconds.
const GRACE: Duration = Duration::from_millis(4500);

/// Who started us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starter {
    /// A hub, as its managed service: we end when it is gone.
    Hub(Parent),
    /// Anybody else.
    Other,
}

/// A service that has its ports and could begin.
pub struct Service {
    site: Site,
    starter: Starter,
    listeners: Vec<Listener>,
    store: Option<Store>,
    usage: Option<Source>,
    stopping: CancellationToken,
}

struct Listener {
    task_name: &'static str,
    socket: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    access: Access,
}

/// Why a service could not begin.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Prometheus(#[from] PrometheusError),
}

impl Starter {
    /// Process id of the hub, if it has started us.
    fn hub_process(self) -> Option<u32> {
        match self {
            Self::Hub(parent) => Some(parent.pid()),
            Self::Other => None,
        }
    }

    /// Whether nobody needs us any more.
    fn is_gone(self) -> bool {
        matches!(self, Self::Hub(parent) if parent.is_gone())
    }
}

impl Service {
    /// Binds the ports. Blocks for some seconds if a predecessor is about to leave them.
    ///
    /// The configuration must name the hub (`Effective::require_hub`).
    pub fn bind(config: Config, starter: Starter) -> Result<Self, StartError> {
        let tls = hub::server_config(&config.web)?;
        let usage = Source::of(&config, starter.hub_process())?;
        let own = Arc::new(Own::new(&config.hub.name));
        let hub = HubClient::new(&config.hub, own.clone())?;
        let mut listeners = Vec::new();
        if let Some(address) = &config.web.listen {
            listeners.push(Listener {
                task_name: "web",
                socket: port::bind("web.listen", address, starter)?,
                tls,
                access: Access::Proxied,
            });
        }
        if let Some(address) = config.metrics_listen() {
            listeners.push(Listener {
                task_name: "metrics",
                socket: port::bind("metrics.listen", address, starter)?,
                tls: None,
                access: Access::OwnPort,
            });
        }
        let namespace = config
            .metrics
            .namespace
            .clone()
            .unwrap_or(config.hub.name.clone());
        let counting = Arc::new(Counting::new(config.metrics.naming()));
        let silent_after = i64::try_from(config.events.silent_after_seconds).unwrap_or(i64::MAX);
        own.sources()
            .set_grace(SignedDuration::from_secs(silent_after));
        let own_usage = own.usage();
        let sink = Sink::new(&config.hub.name, Arc::clone(&own));
        let sink = sink.counting_with(Arc::clone(&counting));
        let published = Published::new(config.attribution(), &namespace, &config.metrics.prefix);
        let published = published.with_usage(config.usage_shape());
        let site = Site {
            login: OAuthClient::of(&config.login),
            sessions: Arc::default(),
            config: Arc::new(config),
            hub,
            published: Arc::new(published),
            own,
            tokens: Arc::default(),
            counting,
            usage: own_usage,
            access: Access::Proxied,
            sink: Arc::new(sink),
            asker: None,
            answers: None,
            room: web::Room::default(),
        };
        Ok(Self {
            site,
            starter,
            listeners,
            store: None,
            usage,
            stopping: CancellationToken::new(),
        })
    }

    /// The same, showing what a made-up world uses.
    #[must_use]
    pub fn with_simulated_usage(self, usage: SimUsage) -> Self {
        Self {
            usage: Some(Source::Simulated(Box::new(usage))),
            ..self
        }
    }

    /// The same, keeping a history.
    #[must_use]
    pub fn with_history(self, store: Store) -> Self {
        let asker = Arc::new(Asker::new(store.clone()));
        let answers = Answers::new(&self.site.config, Arc::clone(&asker));
        Self {
            store: Some(store),
            site: Site {
                asker: Some(asker),
                answers: Some(Arc::new(answers)),
                ..self.site
            },
            ..self
        }
    }

    /// Everything the service shares, for tests and the demo.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Stops the service when cancelled.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Runs until a signal, the end of the hub that started us, or a task that cannot go on.
    pub async fn run(self) -> Ending {
        let (own, stopping) = (self.site.own.clone(), self.stopping.clone());
        self.tell();
        if let Some(store) = &self.store {
            history::restore(&self.site, store).await;
        }
        let tasks = self.tasks();
        own.set_readiness(Readiness::Ready);
        tasks::supervise(tasks, own, stopping, GRACE).await
    }

    /// What runs, in one list.
    pub fn tasks(self) -> Vec<Task> {
        let Self {
            site,
            starter,
            listeners,
            store,
            usage,
            stopping,
        } = self;
        let own = Arc::clone(&site.own);
        let mut tasks = vec![signal_task(&stopping)];
        let mut turns = None;
        if let Some(store) = store {
            let (sender, receiver) = mpsc::channel(history::TURNS);
            tasks.push(history::task(&site, store, receiver, &stopping));
            turns = Some(sender);
            if !site.config.events.files.is_empty() {
                tasks.push(files::task(&site));
            }
            tasks.extend(archive::task(&site));
        }
        if let Some(answers) = site.answers.clone()
            && site.config.reports.folder.is_some()
        {
            tasks.push(site_reports_task(answers));
        }
        tasks.push(poll_task(&site, starter, turns));
        tasks.extend(usage.map(|source| usage::task(&site, starter, source)));
        if let Starter::Hub(parent) = starter {
            tasks.push(Task::new("parent", OnPanic::Restart, move || async move {
                parent.gone().await;
                Ok(Wish::Stop {
                    reason: "the hub that started this service is gone",
                })
            }));
        }
        for listener in listeners {
            tasks.push(listener_task(&site, listener, &stopping));
        }
        for task in &tasks {
            own.expect_panics_of(task.name);
        }
        tasks
    }

    fn tell(&self) {
        let prefix = &self.site.config.web.prefix;
        for listener in &self.listeners {
            let scheme = if listener.tls.is_some() {
                "https"
            } else {
                "http"
            };
            let Ok(address) = listener.socket.local_addr() else {
                continue;
            };
            let access = match listener.access {
                Access::Proxied if self.site.config.metrics.open => {
                    "behind the hub's proxy, metrics are open"
                }
                Access::Proxied => "behind the hub's proxy, metrics need a token",
                Access::OwnPort => "a port of its own, metrics are open",
            };
            info!("Listening on {scheme}://{address}{prefix} ({access}).");
        }
        let hub_url = self
            .site
            .config
            .hub
            .url
            .as_ref()
            .map(url::Url::as_str)
            .unwrap_or_default();
        let interval_s = self.site.config.hub.interval_seconds;
        info!(
            hub.url = hub_url,
            "Reading the hub at {hub_url} every {interval_s} s."
        );
        let config = &self.site.config;
        let needs_history = !config.events.files.is_empty() || config.archive.path.is_some();
        if self.store.is_none() && needs_history {
            warn!("`events.files` and `archive.path` do nothing here: no history is kept.");
        }
        if self.site.config.metrics.open {
            warn!(
                "`metrics.open` is set: everybody who reaches the hub can read the names of its \
                 users and groups."
            );
        }
    }
}

/// Tries the site's own reports, so that the log names those that do not run before anybody asks.
fn site_reports_task(answers: Arc<Answers>) -> Task {
    Task::new("site reports", OnPanic::Restart, move || {
        let answers = Arc::clone(&answers);
        async move {
            answers.registry().await;
            Ok(Wish::Nothing)
        }
    })
}

fn poll_task(site: &Site, starter: Starter, turns: Option<mpsc::Sender<Turn>>) -> Task {
    let site = site.clone();
    Task::new("poll", OnPanic::Restart, move || {
        let (hub, own) = (site.hub.clone(), site.own.clone());
        let mut poller = Poller::new(&site.config.hub, hub, own, site.published.clone())
            .with_metrics_prefix(&site.config.metrics.prefix);
        if let Starter::Hub(parent) = starter {
            poller = poller.with_machine(Machine::new(parent.pid()));
        }
        if let Some(turns) = &turns {
            poller = poller.with_listener(history::listener(turns.clone()));
        }
        async move {
            poller.run().await;
            Ok(Wish::Nothing)
        }
    })
}

fn signal_task(stopping: &CancellationToken) -> Task {
    let stopping = stopping.clone();
    Task::new("signal", OnPanic::Restart, move || {
        let stopping = stopping.clone();
        async move {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let reason = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = stopping.cancelled() => "the program that runs the service asked for it",
            };
            Ok(Wish::Stop { reason })
        }
    })
}

/// A listener that met a bug is not started again: its port went with it. Whoever started us
/// starts us anew.
fn listener_task(site: &Site, listener: Listener, stopping: &CancellationToken) -> Task {
    let router = web::router(Site {
        access: listener.access,
        ..site.clone()
    });
    let stopping = stopping.clone();
    let Listener {
        task_name,
        socket,
        tls,
        ..
    } = listener;
    // Owned by the run alone, so that the port closes the moment it stops accepting.
    let socket = Mutex::new(Some(socket));
    Task::new(task_name, OnPanic::End, move || {
        let (router, stopping, tls) = (router.clone(), stopping.clone(), tls.clone());
        let socket = socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let socket = socket.context("the port was given up")?;
            listener::serve(socket, tls, router, stopping).await?;
            Ok(Wish::Nothing)
        }
    })
}
