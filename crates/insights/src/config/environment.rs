//! What the environment says: our own variables, those a hub gives to the services it starts,
//! and those the Python exporter reads. Nothing else may read the environment.

use super::layers::{Layer, Origin};
use super::schema::{self, Kind};
use super::{ConfigError, Secret};
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use url::Url;

/// Begin of the variables that override keys: `JUPYTERHUB_INSIGHTS__HUB__URL` is `hub.url`.
pub const OWN_PREFIX: &str = "JUPYTERHUB_INSIGHTS__";

/// Host and port of the Prometheus that is installed beside the Python exporter.
pub const PROMETHEUS_HOST: &str = "SUPPORT_PROMETHEUS_SERVER_SERVICE_HOST";
/// See [`PROMETHEUS_HOST`].
pub const PROMETHEUS_PORT: &str = "SUPPORT_PROMETHEUS_SERVER_SERVICE_PORT";

/// Where Kubernetes tells a pod its namespace.
const POD_NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// A copy of the environment at start.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(String, String)>,
    pod_namespace_file: PathBuf,
    python_prefix: Option<&'static str>,
    working_directory: PathBuf,
    machine_timezone: Option<String>,
}

impl Environment {
    /// The process' own environment. Variables that are not Unicode are left out.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads it"
    )]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: std::env::vars_os().filter_map(text).collect(),
            pod_namespace_file: POD_NAMESPACE_FILE.into(),
            python_prefix: None,
            // One that was deleted is nobody's.
            working_directory: std::env::current_dir().unwrap_or_default(),
            machine_timezone: machine_timezone(),
        }
    }

    /// An environment made of these variables, for tests.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            variables: variables.into_iter().map(owned).collect(),
            pod_namespace_file: PathBuf::new(),
            python_prefix: None,
            working_directory: PathBuf::new(),
            machine_timezone: None,
        }
    }

    /// The same with another pod namespace file.
    #[must_use]
    pub fn with_pod_namespace_file(self, file: &Path) -> Self {
        Self {
            pod_namespace_file: file.to_owned(),
            ..self
        }
    }

    /// The same with the Python exporter's flags on the command line, whose `web.prefix` is this
    /// where nobody says otherwise.
    #[must_use]
    pub fn with_python_flags(self, python_prefix: &'static str) -> Self {
        Self {
            python_prefix: Some(python_prefix),
            ..self
        }
    }

    /// The same in another working directory.
    #[must_use]
    pub fn with_working_directory(self, folder: &Path) -> Self {
        Self {
            working_directory: folder.to_owned(),
            ..self
        }
    }

    /// The same on a machine in this time zone.
    #[must_use]
    pub fn with_machine_timezone(self, name: &str) -> Self {
        Self {
            machine_timezone: Some(name.to_owned()),
            ..self
        }
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.variables.iter().find(|(known, _)| known == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// Whether the Python exporter's flags are on the command line.
    pub fn has_python_flags(&self) -> bool {
        self.python_prefix.is_some()
    }

    /// Where the process works; empty if that is unknown.
    pub fn working_directory(&self) -> &Path {
        &self.working_directory
    }

    /// IANA name of the machine's time zone, if it has one.
    pub(super) fn machine_timezone(&self) -> Option<&str> {
        self.machine_timezone.as_deref()
    }

    /// Whether a hub started this process as its service.
    pub fn is_managed_by_hub(&self) -> bool {
        self.get("JUPYTERHUB_SERVICE_NAME").is_some() && self.get("JPY_API_TOKEN").is_some()
    }

    /// The namespace of the pod we run in, if we run in one.
    pub(super) fn pod_namespace(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.pod_namespace_file).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// What the hub, Kubernetes and the Python exporter's chart say; the weakest layer.
    pub(super) fn given(&self) -> Result<Vec<Layer>, ConfigError> {
        const KEYS: [(&str, &str); 8] = [
            ("JUPYTERHUB_API_TOKEN", "hub.token"),
            ("JUPYTERHUB_SERVICE_PREFIX", "web.prefix"),
            ("JUPYTERHUB_METRICS_PREFIX", "metrics.prefix"),
            ("JUPYTERHUB_SSL_CERTFILE", "hub.cert_file"),
            ("JUPYTERHUB_SSL_KEYFILE", "hub.key_file"),
            ("JUPYTERHUB_SSL_CLIENT_CA", "hub.ca_file"),
            ("JUPYTERHUB_CLIENT_ID", "login.client_id"),
            ("JUPYTERHUB_OAUTH_CALLBACK_URL", "login.callback_url"),
        ];
        // With `internal_ssl` the proxy speaks https to us only if our own URL says so.
        const TLS_KEYS: [(&str, &str); 3] = [
            ("JUPYTERHUB_SSL_CERTFILE", "web.cert_file"),
            ("JUPYTERHUB_SSL_KEYFILE", "web.key_file"),
            ("JUPYTERHUB_SSL_CLIENT_CA", "web.client_ca_file"),
        ];
        let is_https = self
            .get("JUPYTERHUB_SERVICE_URL")
            .is_some_and(|url| url.starts_with("https:"));
        let tls_keys = TLS_KEYS.iter().filter(|_| is_https);
        let direct = KEYS.iter().chain(tls_keys).filter_map(|&(variable, key)| {
            let value = self.get(variable)?;
            Some(Layer::of_key(
                key,
                Value::from(value),
                Origin::Variable(variable.to_owned()),
            ))
        });
        let usual_prefix = self.python_prefix.map(|prefix| {
            let origin = Origin::Flag("--hub_service_prefix".to_owned());
            Layer::of_key("web.prefix", Value::from(prefix), origin)
        });
        let mut layers: Vec<Layer> = usual_prefix.into_iter().chain(direct).collect();
        layers.extend(self.hub_url());
        layers.extend(self.hub_of_browsers());
        layers.extend(self.access_scopes()?);
        layers.extend(self.service_url()?);
        layers.extend(self.namespace());
        layers.extend(self.python_exporter());
        Ok(layers)
    }

    /// What the Python exporter does where its flags do not say otherwise: the Prometheus beside it,
    /// and the names that its panels show.
    fn python_exporter(&self) -> Vec<Layer> {
        if !self.has_python_flags() {
            return Vec::new();
        }
        let origin = Origin::Flag("--python-exporter".to_owned());
        let names = Layer::of_key("metrics.exporter_names", Value::from(true), origin);
        let url = self.get(PROMETHEUS_HOST).map(|host| {
            let port = self.get(PROMETHEUS_PORT).and_then(|port| port.parse().ok());
            let url = prometheus_url(host, port.unwrap_or(9090));
            let origin = Origin::Variable(PROMETHEUS_HOST.to_owned());
            Layer::of_key("prometheus.url", Value::from(url), origin)
        });
        std::iter::once(names).chain(url).collect()
    }

    /// `JUPYTERHUB_API_URL`, else the address of the hub's Kubernetes service.
    fn hub_url(&self) -> Option<Layer> {
        if let Some(api_url) = self.get("JUPYTERHUB_API_URL") {
            let origin = Origin::Variable("JUPYTERHUB_API_URL".to_owned());
            return Some(Layer::of_key("hub.url", Value::from(api_url), origin));
        }
        let (host, port) = (self.get("HUB_SERVICE_HOST")?, self.get("HUB_SERVICE_PORT")?);
        let base_url = self.get("JUPYTERHUB_BASE_URL").unwrap_or("/");
        let host = in_url(host);
        let url = format!("http://{host}:{port}/{}", base_url.trim_start_matches('/'));
        let origin = Origin::Variable("HUB_SERVICE_HOST".to_owned());
        Some(Layer::of_key("hub.url", Value::from(url), origin))
    }

    /// Where browsers find the hub: on a host of its own with `subdomain_host`, else where we are.
    fn hub_of_browsers(&self) -> Option<Layer> {
        let base_url = self.get("JUPYTERHUB_BASE_URL")?;
        let host = self.get("JUPYTERHUB_HOST").unwrap_or_default();
        let url = format!("{}{base_url}", host.trim_end_matches('/'));
        let origin = Origin::Variable("JUPYTERHUB_BASE_URL".to_owned());
        Some(Layer::of_key("login.hub_url", Value::from(url), origin))
    }

    /// Of which a visitor must hold one, as JSON.
    fn access_scopes(&self) -> Result<Option<Layer>, ConfigError> {
        let variable = "JUPYTERHUB_OAUTH_ACCESS_SCOPES";
        let Some(text) = self.get(variable) else {
            return Ok(None);
        };
        let origin = Origin::Variable(variable.to_owned());
        let scopes: Result<Vec<String>, _> = serde_json::from_str(text);
        match scopes {
            Ok(scopes) => Ok(Some(Layer::of_key(
                "login.scopes",
                Value::from(scopes),
                origin,
            ))),
            Err(_) => Err(ConfigError::BadValue {
                key: "login.scopes".to_owned(),
                origin,
                problem: format!("`{text}` is no JSON list of scopes"),
            }),
        }
    }

    /// The hub names the URL that its proxy forwards to; we listen there.
    ///
    /// One that cannot be used is an error: without it the service would take itself for an
    /// external one and serve metrics openly.
    fn service_url(&self) -> Result<Option<Layer>, ConfigError> {
        let Some(text) = self.get("JUPYTERHUB_SERVICE_URL") else {
            return Ok(None);
        };
        let origin = Origin::Variable("JUPYTERHUB_SERVICE_URL".to_owned());
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let listen = url.as_ref().and_then(|url| {
            Some(format!(
                "{}:{}",
                url.host_str()?,
                url.port_or_known_default()?
            ))
        });
        match listen {
            Some(listen) => Ok(Some(Layer::of_key(
                "web.listen",
                Value::from(listen),
                origin,
            ))),
            None => Err(ConfigError::BadValue {
                key: "web.listen".to_owned(),
                origin,
                problem: format!("`{text}` is not http://HOST:PORT or https://HOST:PORT"),
            }),
        }
    }

    fn namespace(&self) -> Option<Layer> {
        let namespace = self.get("NAMESPACE")?;
        let origin = Origin::Variable("NAMESPACE".to_owned());
        Some(Layer::of_key(
            "metrics.namespace",
            Value::from(namespace),
            origin,
        ))
    }

    /// Our own variables, read as the type of the key they set.
    pub(super) fn own(&self) -> Result<Vec<Layer>, ConfigError> {
        let keys = schema::keys();
        let mut layers = Vec::new();
        for (name, value) in &self.variables {
            if !name.starts_with(OWN_PREFIX) {
                continue;
            }
            let Some(key) = keys.iter().find(|key| schema::variable(&key.path) == *name) else {
                return Err(ConfigError::UnknownVariable {
                    variable: name.clone(),
                });
            };
            let origin = Origin::Variable(name.clone());
            let value =
                typed_value(&key.kind, value).map_err(|expected| ConfigError::BadValue {
                    key: key.path.clone(),
                    origin: origin.clone(),
                    problem: expected.to_owned(),
                })?;
            layers.push(Layer::of_key(&key.path, value, origin));
        }
        Ok(layers)
    }
}

/// The address of a Prometheus.
pub fn prometheus_url(host: &str, port: u16) -> String {
    format!("http://{}:{port}/", in_url(host))
}

/// A host as it stands in a URL: an IPv6 address in brackets.
fn in_url(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// From `TZ` or `/etc/localtime`. A zone given by rules or as a copied file has no name that
/// reports could use.
fn machine_timezone() -> Option<String> {
    let zone = jiff::tz::TimeZone::try_system().ok()?;
    zone.iana_name().map(str::to_owned)
}

/// Reads text as the type that a key wants; the error says what is expected.
pub(super) fn typed_value(kind: &Kind, text: &str) -> Result<Value, &'static str> {
    let parsed = || {
        let table: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
        table.and_then(|mut table| table.remove("value"))
    };
    match kind {
        Kind::Text | Kind::Choice(_) => Ok(Value::from(text)),
        Kind::Integer => parsed()
            .filter(Value::is_integer)
            .ok_or("expected a whole number, for instance 60"),
        Kind::Boolean => parsed()
            .filter(Value::is_bool)
            .ok_or("expected `true` or `false`"),
        Kind::TextList => parsed()
            .filter(Value::is_array)
            .ok_or("expected a list, for instance `[\"physics\", \"course::*\"]`"),
    }
}

/// The token in a mounted file.
pub(super) fn read_secret(key: &str, file: &Path) -> Result<Secret, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::UnreadableFile {
        key: key.to_owned(),
        file: file.to_owned(),
        source,
    })?;
    let secret = Secret::new(&text);
    if secret.is_empty() {
        return Err(ConfigError::EmptyFile {
            key: key.to_owned(),
            file: file.to_owned(),
        });
    }
    Ok(secret)
}
