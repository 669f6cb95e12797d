//! One configuration out of several: defaults, what the environment gives, the file, our own
//! variables, flags. Later ones win; each value remembers where it came from, so that an error
//! can say which of them to mend.

use super::environment::{Environment, read_secret, typed_value};
use super::{Config, limits, schema};
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "file `{}`", path.display()),
            Self::Variable(name) => write!(formatter, "environment variable `{name}`"),
            Self::Flag(name) => write!(formatter, "flag `{name}`"),
        }
    }
}

/// Values from one place.
#[derive(Clone, Debug)]
pub struct Layer {
    values: Table,
    origin: Origin,
}

impl Layer {
    /// A layer that sets one key, for instance `hub.url`.
    pub fn of_key(path: &str, value: Value, origin: Origin) -> Self {
        let mut values = Table::new();
        match path.split_once('.') {
            Some((section, name)) => {
                let mut inner = Table::new();
                inner.insert(name.to_owned(), value);
                values.insert(section.to_owned(), Value::Table(inner));
            }
            None => drop(values.insert(path.to_owned(), value)),
        }
        Self { values, origin }
    }

    /// What `--set KEY=VALUE` says.
    pub fn of_assignment(assignment: &str) -> Result<Self, ConfigError> {
        let origin = Origin::Flag("--set".to_owned());
        let (path, text) = assignment
            .split_once('=')
            .ok_or_else(|| ConfigError::NoAssignment {
                text: assignment.to_owned(),
            })?;
        let path = path.trim();
        let keys = schema::keys();
        let Some(key) = keys.iter().find(|key| key.path == path) else {
            return Err(ConfigError::UnknownKey {
                key: path.to_owned(),
                origin,
            });
        };
        match typed_value(&key.kind, text) {
            Ok(value) => Ok(Self::of_key(path, value, origin)),
            Err(expected) => Err(ConfigError::BadValue {
                key: path.to_owned(),
                origin,
                problem: expected.into(),
            }),
        }
    }

    fn of_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::UnreadableFile {
            key: "--config".to_owned(),
            file: path.to_owned(),
            source,
        })?;
        // Not the parser's own rendering, which shows the line, and in it perhaps a token.
        let values = toml::from_str(&text).map_err(|error| ConfigError::NotToml {
            file: path.to_owned(),
            line: text[..error.span().map_or(0, |span| span.start)]
                .lines()
                .count()
                .max(1),
            problem: error.message().trim().to_owned(),
        })?;
        Ok(Self {
            values,
            origin: Origin::File(path.to_owned()),
        })
    }
}

/// Why there is no usable configuration. Each names the key and the remedy; the process ends
/// with code 64 before a port is bound.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    #[error("`{key}` ({origin}): {problem}")]
    BadValue {
        key: String,
        origin: Origin,
        problem: String,
    },
    #[error("`{key}` ({origin}) is not a key; `jupyterhub-insights docs config` lists them")]
    UnknownKey { key: String, origin: Origin },
    #[error(
        "environment variable `{variable}` sets no key; `jupyterhub-insights docs config` lists them"
    )]
    UnknownVariable { variable: String },
    #[error("`--set {text}`: expected KEY=VALUE, for instance `hub.interval_seconds=30`")]
    NoAssignment { text: String },
    #[error("`{key}`: could not read `{}`", file.display())]
    UnreadableFile {
        key: String,
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{key}`: `{}` is empty", file.display())]
    EmptyFile { key: String, file: PathBuf },
    #[error("`{}` is not TOML: {problem} in line {line}", file.display())]
    NotToml {
        file: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("`{key}` is not set: {remedy}")]
    Missing {
        key: &'static str,
        remedy: &'static str,
    },
    #[error("`{key}`{set_by}: {problem}", set_by = set_by(origin.as_ref()))]
    Rejected {
        key: &'static str,
        origin: Option<Origin>,
        problem: String,
    },
}

fn set_by(origin: Option<&Origin>) -> String {
    origin
        .map(|origin| format!(" ({origin})"))
        .unwrap_or_default()
}

/// A checked configuration with the place each value came from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The values in force.
    pub config: Config,
    /// By key; what is not here is the default.
    pub origins: BTreeMap<String, Origin>,
}

/// Reads the file, the environment and the flags, and checks the result.
///
/// # Errors
/// The first problem, naming the key, where it was set and what is expected.
pub fn load(
    environment: &Environment,
    file: Option<&Path>,
    flags: Vec<Layer>,
) -> Result<Effective, ConfigError> {
    let mut layers = environment.given()?;
    layers.extend(file.map(Layer::of_file).transpose()?);
    layers.extend(environment.own()?);
    layers.extend(flags);

    let mut merged = Table::new();
    let mut origins = BTreeMap::new();
    for layer in layers {
        merge(&mut merged, layer, &mut origins);
    }
    let mut config = parse(&merged, &origins)?;
    complete(&mut config, environment);
    limits::check(&config, &origins)?;
    read_secrets(&mut config)?;
    Ok(Effective { config, origins })
}

/// A secret can be given as it is or as a file; a later layer's way replaces an earlier one's.
const SECRETS: [SecretKeys; 5] = [
    SecretKeys {
        section: "hub",
        value: "token",
        file: "token_file",
    },
    SecretKeys {
        section: "metrics",
        value: "scrape_token",
        file: "scrape_token_file",
    },
    SecretKeys {
        section: "events",
        value: "token",
        file: "token_file",
    },
    SecretKeys {
        section: "prometheus",
        value: "token",
        file: "token_file",
    },
    SecretKeys {
        section: "prometheus",
        value: "password",
        file: "password_file",
    },
];

struct SecretKeys {
    section: &'static str,
    value: &'static str,
    file: &'static str,
}

fn merge(merged: &mut Table, layer: Layer, origins: &mut BTreeMap<String, Origin>) {
    for (section, value) in layer.values {
        origins.insert(section.clone(), layer.origin.clone());
        let Value::Table(inner) = value else {
            merged.insert(section, value);
            continue;
        };
        let known = merged
            .entry(section.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(known) = known else { continue };
        for keys in SECRETS.iter().filter(|keys| keys.section == section) {
            for (given, other) in [(keys.value, keys.file), (keys.file, keys.value)] {
                if inner.contains_key(given) {
                    known.remove(other);
                }
            }
        }
        for (name, value) in inner {
            let path = format!("{section}.{name}");
            if path == "metrics.namespace" && says_no_namespace(&value) {
                continue;
            }
            origins.insert(path, layer.origin.clone());
            known.insert(name, value);
        }
    }
}

/// The Python exporter and its chart write nothing or `None` where nothing is set; nobody's
/// namespace is called so.
fn says_no_namespace(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|name| name.trim().is_empty() || name == "None")
}

fn parse(merged: &Table, origins: &BTreeMap<String, Origin>) -> Result<Config, ConfigError> {
    let value = Value::Table(merged.clone());
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    Config::deserialize(deserializer).map_err(|error| {
        let path = track.path().to_string();
        // Items of a list came from where the list came from.
        let key = path
            .split_once('[')
            .map_or(path.as_str(), |(key, _)| key)
            .to_owned();
        // Every key of `merged` came from a layer, which has an origin.
        let origin = origins.get(&key).cloned();
        let origin = origin.unwrap_or(Origin::Flag("--set".to_owned()));
        let problem = error.message().to_owned();
        if problem.starts_with("unknown field") {
            return ConfigError::UnknownKey { key, origin };
        }
        // The parsers' own messages repeat the value, which may be a secret or hold one.
        let is_secret = SECRETS
            .iter()
            .any(|keys| key == format!("{}.{}", keys.section, keys.value));
        let problem = match key.as_str() {
            "hub.url" => "expected an address, for instance `http://hub:8081/`".to_owned(),
            "prometheus.url" => {
                "expected an address, for instance `http://prometheus:9090/`".to_owned()
            }
            _ if is_secret => "expected text in quotes".to_owned(),
            _ => problem,
        };
        ConfigError::BadValue {
            key,
            origin,
            problem,
        }
    })
}

/// Fills in what follows from other values: files of secrets, the namespace, slashes.
fn complete(config: &mut Config, environment: &Environment) {
    // An empty scrape token would be matched by an empty one.
    config.hub.token.take_if(|token| token.is_empty());
    config
        .metrics
        .scrape_token
        .take_if(|token| token.is_empty());
    if let Some(url) = &mut config.hub.url {
        // `JUPYTERHUB_API_URL` ends in `hub/api`; the key means the hub's base.
        let path = url
            .path()
            .trim_end_matches('/')
            .trim_end_matches("/api")
            .trim_end_matches("/hub")
            .to_owned();
        url.set_path(&format!("{path}/"));
    }
    if let Some(url) = &mut config.prometheus.url {
        let path = url.path().trim_end_matches('/');
        let path = path.trim_end_matches("/api/v1").to_owned();
        url.set_path(&format!("{path}/"));
    }
    let prefix = config.web.prefix.trim_matches('/').to_owned();
    config.web.prefix = if prefix.is_empty() {
        "/".to_owned()
    } else {
        format!("/{prefix}/")
    };
    let namespace = config
        .metrics
        .namespace
        .take()
        .or_else(|| environment.pod_namespace());
    config.metrics.namespace = namespace.or_else(|| Some(config.hub.name.clone()));
    config.hub.timezone = Some(timezone(config.hub.timezone.take(), environment));
}

/// The zone that is set, spelled as its name is; else the machine's, if it is known.
fn timezone(set: Option<String>, environment: &Environment) -> String {
    let name_of = |name: &str| TimeZone::get(name).ok()?.iana_name().map(str::to_owned);
    if let Some(set) = set {
        // One that is unknown is refused as it was written.
        return name_of(&set).unwrap_or(set);
    }
    let machine = environment.machine_timezone().and_then(name_of);
    machine.unwrap_or_else(|| "UTC".to_owned())
}

/// Reads secrets that are given as files.
fn read_secrets(config: &mut Config) -> Result<(), ConfigError> {
    if let Some(file) = config
        .hub
        .token_file
        .take_if(|_| config.hub.token.is_none())
    {
        config.hub.token = Some(read_secret("hub.token_file", &file)?);
    }
    let metrics = &mut config.metrics;
    if let Some(file) = metrics
        .scrape_token_file
        .take_if(|_| metrics.scrape_token.is_none())
    {
        metrics.scrape_token = Some(read_secret("metrics.scrape_token_file", &file)?);
    }
    let events = &mut config.events;
    if let Some(file) = events.token_file.take_if(|_| events.token.is_none()) {
        events.token = Some(read_secret("events.token_file", &file)?);
    }
    let prometheus = &mut config.prometheus;
    if let Some(file) = prometheus
        .token_file
        .take_if(|_| prometheus.token.is_none())
    {
        prometheus.token = Some(read_secret("prometheus.token_file", &file)?);
    }
    if let Some(file) = prometheus
        .password_file
        .take_if(|_| prometheus.password.is_none())
    {
        prometheus.password = Some(read_secret("prometheus.password_file", &file)?);
    }
    Ok(())
}

impl Effective {
    /// Where the hub is and the token for it, which every command that asks the hub needs.
    pub fn require_hub(&self) -> Result<(), ConfigError> {
        if self.config.hub.url.is_none() {
            return Err(ConfigError::Missing {
                key: "hub.url",
                remedy: "give the hub's address, for instance `hub.url = \"http://hub:8081/\"`; \
                         a service that the hub starts gets it by itself",
            });
        }
        if self.config.hub.token.is_none() {
            return Err(ConfigError::Missing {
                key: "hub.token",
                remedy: "give the API token of the service's role (`JUPYTERHUB_API_TOKEN`, \
                         `hub.token` or `hub.token_file`)",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    fn load_file(text: &str) -> Result<Effective, ConfigError> {
        load_all(&[], text, &[])
    }

    fn load_all(
        variables: &[(&str, &str)],
        text: &str,
        assignments: &[&str],
    ) -> Result<Effective, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("insights.toml");
        std::fs::write(&file, text).unwrap();
        let flags = assignments.iter().map(|text| Layer::of_assignment(text));
        let environment = Environment::of(variables.iter().copied());
        load(&environment, Some(&file), flags.collect::<Result<_, _>>()?)
    }

    /// The message a bad configuration earns, with the temporary folder taken out.
    fn message(result: Result<Effective, ConfigError>) -> String {
        let error = result.unwrap_err();
        let mut text = error.to_string();
        if let Some(source) = error.source() {
            text = format!("{text}: {}", source.to_string().trim().replace('\n', " "));
        }
        let is_temporary = |word: &&str| word.contains("insights.toml");
        let path = text.split('`').find(is_temporary).map(str::to_owned);
        path.map_or(text.clone(), |path| text.replace(&path, "insights.toml"))
    }

    #[test]
    fn later_layers_win() {
        let effective = load_all(
            &[
                ("NAMESPACE", "prod"),
                ("JUPYTERHUB_INSIGHTS__HUB__INTERVAL_SECONDS", "20"),
            ],
            "[hub]\ninterval_seconds = 10\ntimeout_seconds = 5",
            &["hub.timeout_seconds=7"],
        )
        .unwrap();
        assert_eq!(effective.config.hub.interval_seconds, 20);
        assert_eq!(effective.config.hub.timeout_seconds, 7);
        assert_eq!(effective.config.metrics.namespace.as_deref(), Some("prod"));
        let origin = |key: &str| effective.origins[key].to_string();
        assert_eq!(origin("hub.timeout_seconds"), "flag `--set`");
        assert_eq!(
            origin("metrics.namespace"),
            "environment variable `NAMESPACE`"
        );
    }

    #[test]
    fn bad_configurations_earn_messages_that_name_the_key() {
        for (text, expected) in [
            (
                "[hub]\nintervall = 3",
                "`hub.intervall` (file `insights.toml`) is not a key; `jupyterhub-insights docs \
                 config` lists them",
            ),
            (
                "[hubs]",
                "`hubs` (file `insights.toml`) is not a key; `jupyterhub-insights docs config` \
                 lists them",
            ),
            (
                "[hub]\ninterval_seconds = 0",
                "`hub.interval_seconds` (file `insights.toml`): 0 is not between 1 and 86400 \
                 seconds",
            ),
            (
                "[hub]\ninterval_seconds = \"5\"",
                "`hub.interval_seconds` (file `insights.toml`): invalid type: string \"5\", \
                 expected u64",
            ),
            (
                "[groups]\nallowed = [1]",
                "`groups.allowed` (file `insights.toml`): invalid type: integer `1`, expected a \
                 string",
            ),
            (
                "[hub]\nname = \"None\"",
                "`hub.name` (file `insights.toml`): must not be empty or `None`",
            ),
            (
                "[web]\nprefix = \"/a{b\"",
                "`web.prefix` (file `insights.toml`): `/a{b/` is not a path such as \
                 `/services/insights/`",
            ),
            (
                "[metrics]\ncompat = true\n[groups]\nmultiple = \"primary\"\npriority = [\"a\"]",
                "`metrics.compat` (file `insights.toml`): goes with `groups.multiple = \
                 \"in-each\"` or `\"bucket\"` only",
            ),
            (
                "[hub]\nurl = \"ftp://hub/\"",
                "`hub.url` (file `insights.toml`): `ftp` is not `http` or `https`",
            ),
            (
                "[groups]\nmultiple = \"each\"",
                "`groups.multiple` (file `insights.toml`): unknown variant `each`, expected one \
                 of `in-each`, `split`, `primary`, `bucket`",
            ),
            (
                "[groups]\nmultiple = \"primary\"",
                "`groups.priority`: `groups.multiple = \"primary\"` needs at least one group here",
            ),
            (
                "[metrics]\nprefix = \"my hub\"",
                "`metrics.prefix` (file `insights.toml`): `my hub` cannot begin a metric's name: \
                 letters, digits and `_` only",
            ),
            (
                "[metrics]\nseries = 9",
                "`metrics.series` (file `insights.toml`): 9 is not between 10 and 100000",
            ),
            (
                "[metrics]\ncustom_allowed = [\"export\", \"\"]",
                "`metrics.custom_allowed` (file `insights.toml`): holds an empty name; `*` stands \
                 for any text",
            ),
            (
                "[web]\nlisten = \"10101\"",
                "`web.listen` (file `insights.toml`): `10101` is not HOST:PORT, for instance \
                 `127.0.0.1:10101`",
            ),
            (
                "[hub]\ncert_file = \"cert.pem\"",
                "`hub.cert_file` (file `insights.toml`): needs `hub.key_file` beside it",
            ),
            (
                "[hub]\ntoken_file = \"/no/such/file\"",
                "`hub.token_file`: could not read `/no/such/file`: No such file or directory (os \
                 error 2)",
            ),
        ] {
            assert_eq!(message(load_file(text)), expected, "{text}");
        }
    }

    #[test]
    fn bad_settings_of_the_usage_earn_messages_too() {
        for (text, expected) in [
            (
                "[usage]\ninterval_seconds = 0",
                "`usage.interval_seconds` (file `insights.toml`): 0 is not between 1 and 3600 seconds",
            ),
            (
                "[usage]\nsource = \"prometheus\"",
                "`prometheus.url`: `usage.source = \"prometheus\"` needs the address here",
            ),
            (
                "[prometheus]\nurl = \"prometheus:9090\"",
                "`prometheus.url` (file `insights.toml`): `prometheus` is not `http` or `https`",
            ),
            (
                "[prometheus]\nurl = \"http://ada:secret@p/\"",
                "`prometheus.url` (file `insights.toml`): must not hold a user or password; they are \
                 `prometheus.username` and `prometheus.password`",
            ),
            (
                "[prometheus]\npassword = \"p\"",
                "`prometheus.username`: `prometheus.password` needs the name that goes with it",
            ),
            (
                "[prometheus]\nusername = \"u\"",
                "`prometheus.username` (file `insights.toml`): needs `prometheus.password` or \
                 `prometheus.password_file` beside it",
            ),
            (
                "[prometheus]\ntoken = \"t\"\nusername = \"u\"\npassword = \"p\"",
                "`prometheus.token` (file `insights.toml`): excludes `prometheus.username`",
            ),
            (
                "[prometheus]\nuser_label = \"hub.jupyter.org/username\"",
                "`prometheus.user_label` (file `insights.toml`): `hub.jupyter.org/username` is no \
                 label's name: letters, digits and `_` only",
            ),
            (
                "[local]\nunit = \"jupyter\"",
                "`local.unit` (file `insights.toml`): `jupyter` names one unit for all; `{USERNAME}` \
                 stands for the user",
            ),
            (
                "[local]\nhomes = \"/home\"",
                "`local.homes` (file `insights.toml`): `/home` is no absolute path with `{username}` \
                 or `{account}`",
            ),
            (
                "[local]\nslice = \"users\"",
                "`local.slice` (file `insights.toml`): `users` is no slice such as `system.slice`",
            ),
        ] {
            assert_eq!(message(load_file(text)), expected, "{text}");
        }
    }

    #[test]
    fn bad_settings_of_the_history_earn_messages_too() {
        for (text, expected) in [
            (
                "[store]\nflush_interval_seconds = 4",
                "`store.flush_interval_seconds` (file `insights.toml`): 4 is not between 5 and \
                 3600 seconds",
            ),
            (
                "[store]\npath = \"data/insights\"",
                "`store.path` (file `insights.toml`): `data/insights` is not absolute; give the \
                 whole path, for instance `/var/lib/jupyterhub-insights`",
            ),
            (
                "[store]\nkeep = \"maybe\"",
                "`store.keep` (file `insights.toml`): unknown variant `maybe`, expected one of \
                 `auto`, `always`, `never`",
            ),
            (
                "[retention]\nevents_days = 1",
                "`retention.events_days` (file `insights.toml`): 1 is not between 2 and 36500 \
                 days, or 0 for ever",
            ),
            (
                "[retention]\naudit_days = 36501",
                "`retention.audit_days` (file `insights.toml`): 36501 is not between 1 and 36500 \
                 days, or 0 for ever",
            ),
            (
                "[retention]\naddresses_days = 0",
                "`retention.addresses_days` (file `insights.toml`): 0 is not between 1 and 36500 \
                 days",
            ),
            (
                "[hub]\ntimezone = \"Europe/Berln\"",
                "`hub.timezone` (file `insights.toml`): `Europe/Berln` is no time zone's name, for \
                 instance `Europe/Berlin` or `UTC`",
            ),
            (
                "[hub]\ntimezone = \"\"",
                "`hub.timezone` (file `insights.toml`): `` is no time zone's name, for instance \
                 `Europe/Berlin` or `UTC`",
            ),
        ] {
            assert_eq!(message(load_file(text)), expected, "{text}");
        }
    }

    #[test]
    fn files_that_are_read_and_written_are_checked() {
        for (text, expected) in [
            (
                "[events]\nfiles = [\"events.jsonl\"]",
                "`events.files` (file `insights.toml`): `events.jsonl` is not absolute; give the \
                 whole path, for instance `/var/log/jupyterhub/events.jsonl`",
            ),
            (
                "[events]\nfiles = [\"/\"]",
                "`events.files` (file `insights.toml`): `/` is no file",
            ),
            (
                "[events]\nfiles = [\"/a\", \"/b\", \"/a\"]",
                "`events.files` (file `insights.toml`): `/a` stands there twice",
            ),
            (
                "[archive]\npath = \"archive\"\nkinds = [\"x\"]",
                "`archive.path` (file `insights.toml`): `archive` is not absolute; give the whole \
                 path, for instance `/srv/archive`",
            ),
            (
                "[archive]\npath = \"/srv/archive\"",
                "`archive.kinds`: `archive.path` needs at least one kind of events here",
            ),
            (
                "[archive]\npath = \"/srv/archive\"\nkinds = [\"x\"]\nkeys = [\"ref\", \"UserName\"]",
                "`archive.keys` (file `insights.toml`): `UserName` would name somebody or \
                 something; it cannot be in an archive",
            ),
            (
                "[archive]\npath = \"/srv/archive\"\nkinds = [\"x\"]\nkeys = [\"kind\"]",
                "`archive.keys` (file `insights.toml`): `kind` is the archive's own and need not \
                 be allowed",
            ),
        ] {
            assert_eq!(message(load_file(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_toml_is_named_with_the_line_and_without_its_text() {
        let message = message(load_file("[hub]\ntoken = s3cret"));
        assert!(
            message.starts_with("`insights.toml` is not TOML: "),
            "{message}"
        );
        assert!(message.ends_with(" in line 2"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[test]
    fn secrets_are_not_repeated_in_messages() {
        for text in [
            "[hub]\ntoken = 5553331234567890",
            "[hub]\nurl = \"5553331234567890:@\"",
            "[hub]\nurl = \"http://ada:5553331234567890@hub/\"",
        ] {
            let message = message(load_file(text));
            assert!(!message.contains("5553331234567890"), "{message}");
            assert!(message.starts_with("`hub."), "{message}");
        }
    }

    #[test]
    fn a_secret_of_a_later_layer_replaces_one_of_an_earlier_whichever_way_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "from-file\n").unwrap();
        let text = format!("[hub]\ntoken_file = {:?}", file.to_str().unwrap());
        let given = [("JUPYTERHUB_API_TOKEN", "from-hub")];
        let token = |text: &str, assignments: &[&str]| {
            let config = load_all(&given, text, assignments).unwrap().config;
            config.hub.token.unwrap().expose().to_owned()
        };
        assert_eq!(token("", &[]), "from-hub");
        assert_eq!(token(&text, &[]), "from-file");
        assert_eq!(token(&text, &["hub.token=from-flag"]), "from-flag");
        let both = format!("{text}\ntoken = \"x\"");
        let message = message(load_file(&both));
        assert_eq!(
            message,
            "`hub.token` (file `insights.toml`): excludes `hub.token_file`"
        );
    }

    #[test]
    fn a_service_url_that_cannot_be_used_is_an_error_and_opens_no_port() {
        let environment = Environment::of([("JUPYTERHUB_SERVICE_URL", "http+unix://%2Frun%2Fx")]);
        let message = load(&environment, None, vec![]).unwrap_err().to_string();
        assert_eq!(
            message,
            "`web.listen` (environment variable `JUPYTERHUB_SERVICE_URL`): \
             `http+unix://%2Frun%2Fx` is not http://HOST:PORT or https://HOST:PORT"
        );
    }

    #[test]
    fn variables_and_assignments_are_checked_like_the_file() {
        let variable = |name, value| message(load_all(&[(name, value)], "", &[]));
        assert_eq!(
            variable("JUPYTERHUB_INSIGHTS__HUB__ITERVAL", "3"),
            "environment variable `JUPYTERHUB_INSIGHTS__HUB__ITERVAL` sets no key; \
             `jupyterhub-insights docs config` lists them"
        );
        assert_eq!(
            variable("JUPYTERHUB_INSIGHTS__GROUPS__ALLOWED", "physics"),
            "`groups.allowed` (environment variable `JUPYTERHUB_INSIGHTS__GROUPS__ALLOWED`): \
             expected a list, for instance `[\"physics\", \"course::*\"]`"
        );
        assert_eq!(
            message(load_all(&[], "", &["hub.interval_seconds=soon"])),
            "`hub.interval_seconds` (flag `--set`): expected a whole number, for instance 60"
        );
    }

    #[test]
    fn a_token_of_digits_is_text() {
        let digits = "12345678901234567890123456789012";
        let set = [("JUPYTERHUB_INSIGHTS__HUB__TOKEN", digits)];
        let effective = load_all(&set, "", &[]).unwrap();
        assert_eq!(effective.config.hub.token.unwrap().expose(), digits);
    }

    #[test]
    fn an_empty_secret_is_not_set_and_an_empty_secret_file_is_an_error() {
        let set = [("JUPYTERHUB_INSIGHTS__METRICS__SCRAPE_TOKEN", " ")];
        assert_eq!(
            load_all(&set, "", &[]).unwrap().config.metrics.scrape_token,
            None
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "\n").unwrap();
        let text = format!(
            "[metrics]\nscrape_token_file = {:?}",
            file.to_str().unwrap()
        );
        let message = load_file(&text).unwrap_err().to_string();
        assert!(
            message.starts_with("`metrics.scrape_token_file`: ") && message.ends_with("is empty")
        );
    }

    #[test]
    fn the_namespace_is_the_flag_else_the_variable_else_the_pods_else_the_hubs_name() {
        let folder = tempfile::tempdir().unwrap();
        let pod_file = folder.path().join("namespace");
        std::fs::write(&pod_file, "pod-ns\n").unwrap();
        let namespace = |variables: &[(&str, &str)], pod: Option<&Path>, flag: Option<&str>| {
            let environment = Environment::of(variables.iter().copied());
            let environment = environment.with_pod_namespace_file(pod.unwrap_or(Path::new("")));
            let flags = flag.map(|flag| {
                let origin = Origin::Flag("--jupyterhub_namespace".to_owned());
                Layer::of_key("metrics.namespace", Value::from(flag), origin)
            });
            let effective = load(&environment, None, flags.into_iter().collect()).unwrap();
            effective.config.metrics.namespace.unwrap()
        };
        let set = [("NAMESPACE", "var-ns")];
        assert_eq!(namespace(&set, Some(&pod_file), Some("flag-ns")), "flag-ns");
        assert_eq!(namespace(&set, Some(&pod_file), None), "var-ns");
        assert_eq!(namespace(&[], Some(&pod_file), None), "pod-ns");
        assert_eq!(namespace(&[], None, None), "jupyterhub");
        assert_eq!(namespace(&[("NAMESPACE", "")], None, None), "jupyterhub");
        assert_eq!(
            namespace(&[("NAMESPACE", "None")], None, Some("")),
            "jupyterhub"
        );
    }

    #[test]
    fn the_time_zone_is_the_one_set_else_the_machines_else_utc() {
        let zone = |machine: Option<&str>, assignment: &str| {
            let environment = Environment::default();
            let environment = match machine {
                Some(name) => environment.with_machine_timezone(name),
                None => environment,
            };
            let flags = vec![Layer::of_assignment(assignment).unwrap()];
            let hub = load(&environment, None, flags).unwrap().config.hub;
            assert_eq!(hub.time_zone().iana_name(), hub.timezone.as_deref());
            hub.timezone.unwrap()
        };
        let nothing = "hub.name=x";
        assert_eq!(
            zone(Some("Asia/Kolkata"), "hub.timezone=europe/BERLIN"),
            "Europe/Berlin"
        );
        assert_eq!(zone(Some("Asia/Kolkata"), nothing), "Asia/Kolkata");
        assert_eq!(zone(None, nothing), "UTC");
        assert_eq!(zone(Some("Etc/Unknown"), nothing), "UTC");
    }

    #[test]
    fn events_may_be_kept_for_ever() {
        let config = load_file("[retention]\nevents_days = 0").unwrap().config;
        assert_eq!(config.retention.events_days, 0);
    }

    #[test]
    fn a_managed_service_needs_no_file() {
        let environment = Environment::of([
            (
                "JUPYTERHUB_API_URL",
                "http://127.0.0.1:8081/jupyter/hub/api",
            ),
            ("JUPYTERHUB_API_TOKEN", "t"),
            ("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:10101"),
            ("JUPYTERHUB_SERVICE_PREFIX", "/jupyter/services/insights/"),
        ]);
        let effective = load(&environment, None, vec![]).unwrap();
        effective.require_hub().unwrap();
        let config = effective.config;
        assert_eq!(
            config.hub.url.as_ref().unwrap().as_str(),
            "http://127.0.0.1:8081/jupyter/"
        );
        assert_eq!(config.web.listen.as_deref(), Some("127.0.0.1:10101"));
        assert_eq!(config.web.prefix, "/jupyter/services/insights/");
        assert_eq!(config.metrics_listen(), None);
    }

    #[test]
    fn an_external_service_serves_metrics_on_a_port_of_its_own() {
        let of = |text: &str| load_file(text).unwrap().config;
        assert_eq!(of("").metrics_listen(), Some("0.0.0.0:9090"));
        assert_eq!(of("[web]\nlisten = \"127.0.0.1:1\"").metrics_listen(), None);
        let both = "[web]\nlisten = \"127.0.0.1:1\"\n[metrics]\nlisten = \"0.0.0.0:2\"";
        assert_eq!(of(both).metrics_listen(), Some("0.0.0.0:2"));
        let same = "[web]\nlisten = \"127.0.0.1:1\"\n[metrics]\nlisten = \"0.0.0.0:1\"";
        assert_eq!(of(same).metrics_listen(), None);
    }
}
