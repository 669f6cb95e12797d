//! Real JupyterHubs of three versions with a real configurable-http-proxy.

use super::{BINARY, NO_HISTORY, Process, block_on, free_port, http, until, variable};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Where `./test` put the hubs, the proxy and Prometheus.
pub(crate) fn tools() -> PathBuf {
    let folder = variable("INSIGHTS_TOOLS").map_or_else(
        || {
            let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")));
            cache.unwrap_or_default().join("jupyterhub-insights/tools")
        },
        PathBuf::from,
    );
    assert!(
        folder.is_dir(),
        "{} is missing: run ./test, which installs it",
        folder.display()
    );
    folder
}

/// What kind of hub a test wants.
#[derive(Clone)]
pub(crate) struct HubOptions {
    /// `6.1`, `5` or `4`.
    pub(crate) version: &'static str,
    /// By which the proxy is reached: one that [`http`] finds at 127.0.0.1.
    pub(crate) host: &'static str,
    pub(crate) base_url: &'static str,
    /// `{"users": [...], "admins": [...], "groups": {...}}`
    pub(crate) people: Value,
    pub(crate) service: Option<ManagedService>,
    /// Further variables of the hub's configuration.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// Our binary as the hub's managed service.
#[derive(Clone)]
pub(crate) struct ManagedService {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Value,
}

impl Default for ManagedService {
    fn default() -> Self {
        Self {
            arguments: Vec::new(),
            environment: json!({
                "JUPYTERHUB_INSIGHTS__HUB__INTERVAL_SECONDS": "1",
                NO_HISTORY.0: NO_HISTORY.1,
            }),
        }
    }
}

impl HubOptions {
    pub(crate) fn new(version: &'static str, people: Value) -> Self {
        let service = Some(ManagedService::default());
        Self {
            version,
            host: "127.0.0.1",
            base_url: "/",
            people,
            service,
            variables: Vec::new(),
        }
    }
}

/// Value of the label `namespace` that the service of [`newest_hub`] was given.
pub(crate) const NEWEST_NAMESPACE: &str = "hub-ns";

/// The hub of most tests, for `RealHub::shared("newest", newest_hub)`. Nobody has ever logged in.
/// Tests run side by side, so one that changes people or groups starts a hub of its own.
pub(crate) fn newest_hub() -> HubOptions {
    let people = json!({
        "users": ["dora", "emil.noether@example.org"],
        "groups": {
            "physics": {"users": ["ada", "ben", "zoë.müller"]},
            "art": {"users": ["ada", "chloe-1"]},
            "team/alpha beta": {"users": ["ben", "grace.hopper@example.org"]},
            "course::ml-101": {"users": ["ada", "grace.hopper@example.org", "user--2"]},
            "empty-group": {"users": []},
            "café": {"users": ["zoë.müller"]},
        },
    });
    let mut service = ManagedService::default();
    service.environment["NAMESPACE"] = json!(NEWEST_NAMESPACE);
    HubOptions {
        service: Some(service),
        ..HubOptions::new("6.1", people)
    }
}

/// A running hub with its proxy.
pub(crate) struct RealHub {
    pub(crate) process: Process,
    /// Of the proxy, ends in the base URL.
    pub(crate) url: String,
    /// Of the hub itself, ends in the base URL.
    pub(crate) internal_url: String,
    /// Where the proxy listens.
    pub(crate) proxy_port: u16,
    /// Where the managed service listens.
    pub(crate) service_port: u16,
    pub(crate) folder: Arc<tempfile::TempDir>,
    options: HubOptions,
    ports: Ports,
    is_replaced: bool,
}

#[derive(Clone, Copy)]
struct Ports {
    proxy: u16,
    hub: u16,
    proxy_api: u16,
    service: u16,
}

/// Tokens of services that the hub does not start.
pub(crate) const READER_TOKEN: &str = "reader-token-000000000000000000";
pub(crate) const NAMES_TOKEN: &str = "names-token-0000000000000000000";
pub(crate) const ADMIN_TOKEN: &str = "admin-token-0000000000000000000";
pub(crate) const METRICS_TOKEN: &str = "metrics-token-00000000000000000";
pub(crate) const WRITER_TOKEN: &str = "writer-token-000000000000000000";

impl RealHub {
    /// Starts a hub and waits until its proxy answers.
    pub(crate) fn start(options: HubOptions) -> Self {
        let ports = Ports {
            proxy: free_port(),
            hub: free_port(),
            proxy_api: free_port(),
            service: free_port(),
        };
        let folder = Arc::new(tempfile::Builder::new().prefix("hub-").tempdir().unwrap());
        Self::start_in(options, ports, folder)
    }

    /// Starts the hub again with the same ports and database, as a service manager would after
    /// its death. One that still runs is stopped.
    pub(crate) fn start_again(mut self) -> Self {
        self.process.stop();
        let again = Self::start_in(self.options.clone(), self.ports, self.folder.clone());
        // The old proxy is the new hub's to clean up, not ours.
        self.is_replaced = true;
        again
    }

    fn start_in(options: HubOptions, ports: Ports, folder: Arc<tempfile::TempDir>) -> Self {
        let mut command = command(&options, ports, folder.path());
        let process = Process::start(&mut command, &folder.path().join("hub.log"));
        let (host, base) = (options.host, options.base_url);
        let mut hub = Self {
            process,
            url: format!("http://{host}:{}{base}", ports.proxy),
            internal_url: format!("http://127.0.0.1:{}{base}", ports.hub),
            proxy_port: ports.proxy,
            service_port: ports.service,
            folder,
            options,
            ports,
            is_replaced: false,
        };
        hub.wait_until_ready();
        hub
    }

    fn wait_until_ready(&mut self) {
        let url = format!("{}hub/api/", self.url);
        let started = std::time::Instant::now();
        loop {
            let response = block_on(http().get(&url).send());
            if response.is_ok_and(|response| response.status() == 200) {
                return;
            }
            let ended = self.process.has_ended();
            assert!(ended.is_none(), "the hub ended:\n{}", self.log());
            assert!(
                started.elapsed() < Duration::from_secs(90),
                "no hub:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sets a variable of the hub's configuration from its next start on.
    pub(crate) fn set_next(&mut self, name: &'static str, value: String) {
        self.options.variables.retain(|(known, _)| *known != name);
        self.options.variables.push((name, value));
    }

    /// Everything that hub, proxy and managed service wrote.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    /// The managed service through the proxy.
    pub(crate) fn service_url(&self, path: &str) -> String {
        format!("{}services/insights/{path}", self.url)
    }

    /// A request to the hub's API as the administrator.
    pub(crate) fn api(&self, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        block_on(async {
            let url = format!("{}hub/api/{path}", self.url);
            let request = http().request(method, url).bearer_auth(ADMIN_TOKEN);
            let request = if body.is_null() {
                request
            } else {
                request.json(body)
            };
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.json().await.unwrap_or(Value::Null))
        })
    }

    /// A token of a user with what users have by default.
    pub(crate) fn user_token(&self, user: &str) -> String {
        let path = format!("users/{user}/tokens");
        let (status, reply) = self.api(reqwest::Method::POST, &path, &json!({"note": "test"}));
        assert!(status < 300, "{status}: {reply}");
        reply["token"].as_str().unwrap().to_owned()
    }

    /// Process ids of our binary as started by this hub.
    pub(crate) fn service_pids(&self) -> Vec<u32> {
        pids_listening_on(self.service_port)
    }
}

impl Drop for RealHub {
    fn drop(&mut self) {
        self.process.stop();
        if self.is_replaced {
            return;
        }
        // A hub that was killed leaves its proxy; a service of ours leaves by itself.
        let pid_file = self.folder.path().join("proxy.pid");
        let pid = std::fs::read_to_string(pid_file).unwrap_or_default();
        if let Ok(pid) = pid.trim().parse() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        until("the service to leave", || {
            self.service_pids().is_empty().then_some(())
        });
    }
}

fn pids_listening_on(port: u16) -> Vec<u32> {
    let listeners = listeners::get_all().unwrap_or_default().into_iter();
    let on_port = listeners.filter(|listener| {
        listener.socket.port() == port && listener.state == listeners::SocketState::Listen
    });
    let mut pids: Vec<u32> = on_port.map(|listener| listener.process.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

fn command(options: &HubOptions, ports: Ports, folder: &Path) -> Command {
    let tools = tools();
    let people = folder.join("people.json");
    std::fs::write(&people, options.people.to_string()).unwrap();
    let venv = tools.join(format!("hub-{}", options.version));
    let mut command = Command::new(venv.join("bin/jupyterhub"));
    let config = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/hub_config/jupyterhub_config.py"
    );
    let path = variable("PATH").unwrap_or_default();
    command
        .args(["--config", config])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", venv.join("bin").display()))
        .env("HOME", folder)
        .env("HUB_PORT", ports.proxy.to_string())
        .env("HUB_API_PORT", ports.hub.to_string())
        .env("CHP_API_PORT", ports.proxy_api.to_string())
        .env("RUN_DIR", folder)
        .env("BASE_URL", options.base_url)
        .env("HUB_PEOPLE", people)
        .env(
            "CHP_COMMAND",
            tools.join("chp/node_modules/.bin/configurable-http-proxy"),
        )
        .env("EXTERNAL_TOKENS", external_tokens().to_string())
        .envs(options.variables.iter().map(|(name, value)| (name, value)));
    if let Some(service) = &options.service {
        let mut words = vec![BINARY.to_owned(), "serve".to_owned()];
        words.extend(service.arguments.iter().cloned());
        command
            .env("SERVICE_COMMAND", json!(words).to_string())
            .env("SERVICE_ENV", service.environment.to_string());
        if !options
            .variables
            .iter()
            .any(|(name, _)| *name == "SERVICE_URL")
        {
            command.env("SERVICE_URL", format!("http://127.0.0.1:{}", ports.service));
        }
    }
    command
}

fn external_tokens() -> Value {
    json!({
        "reader": {"token": READER_TOKEN, "scopes": insights::hub::ROLE_SCOPES},
        "names": {"token": NAMES_TOKEN, "scopes": ["list:users", "list:groups"]},
        "scraper": {"token": METRICS_TOKEN, "scopes": ["read:metrics"]},
        "writer": {"token": WRITER_TOKEN, "scopes": ["custom:insights:write"]},
        "root": {"token": ADMIN_TOKEN, "scopes": ["admin:users", "admin:groups", "admin:servers", "tokens", "read:metrics", "read:hub"]},
    })
}

/// Hubs that several tests read from.
type Shared = Mutex<Vec<(String, Arc<RealHub>)>>;

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(Mutex::default)
}

impl RealHub {
    /// The hub of this name, started by the first test that asks.
    pub(crate) fn shared(name: &str, options: impl FnOnce() -> HubOptions) -> Arc<Self> {
        let mut hubs = shared().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, hub)) = hubs.iter().find(|(known, _)| known == name) {
            return hub.clone();
        }
        let hub = Arc::new(Self::start(options()));
        hubs.push((name.to_owned(), hub.clone()));
        hub
    }
}

/// At the end of the run; statics are never dropped.
pub(crate) fn stop_shared_servers() {
    shared()
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
}
