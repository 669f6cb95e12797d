//! `serve`: the service, with our own flags and those of the Python exporter.

use super::{CommandError, ConfigArgs, block_on};
use crate::collect;
use crate::config::environment::{Environment, PROMETHEUS_HOST, PROMETHEUS_PORT, prometheus_url};
use crate::config::{ConfigError, Layer, Origin};
use crate::logging;
use crate::service::{Parent, Service, Starter};
use clap::Args;
use std::process::ExitCode;
use toml::Value;

const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights serve                  as a service that the hub starts
  jupyterhub-insights serve --config insights.toml --set log.format=json
  jupyterhub-insights serve --port 9090 --hub_url http://hub:8081 --allowed_groups physics art

The flags with underscores are those of the Python exporter jupyterhub-groups-exporter; with any of
them the prefix is /services/groups-exporter/ unless set otherwise. See docs/migrating.md.";

/// Prefix of the Python exporter.
const PYTHON_PREFIX: &str = "/services/groups-exporter/";

/// Flags of `serve`.
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Add the row usergroup="multiple" that the Python exporter adds for users in several groups
    #[arg(long)]
    compat: bool,
    #[command(flatten, next_help_heading = "Flags of the Python exporter")]
    python: PythonFlags,
}

/// The Python exporter's flags. An empty value means "not given", as its chart writes them.
#[derive(Args, Debug, Default)]
struct PythonFlags {
    /// Its command line without any of its flags
    #[arg(long, hide = true)]
    python_exporter: bool,
    /// Port for metrics, on all addresses: metrics.listen [default: 9090]
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Seconds between two reads of the hub: hub.interval_seconds [default: 60]
    #[arg(long = "update_info_interval", value_name = "SECONDS")]
    update_info_interval: Option<String>,
    /// Seconds between two looks at what is used: usage.interval_seconds [default: 60]
    #[arg(long = "update_metrics_interval", value_name = "SECONDS")]
    update_metrics_interval: Option<String>,
    /// Seconds between two looks at the sizes of homes: usage.homes_interval_seconds [default: 21600]
    #[arg(long = "update_dirsize_interval", value_name = "SECONDS")]
    update_dirsize_interval: Option<String>,
    /// Show only these groups: groups.allowed [default: all]
    #[arg(long = "allowed_groups", value_name = "GROUP", num_args = 0..)]
    allowed_groups: Option<Vec<String>>,
    /// true: users in several groups count in each; false: only in the group `multiple`
    #[arg(long = "double_count", value_name = "true|false")]
    double_count: Option<String>,
    /// The hub's address: hub.url [default: http://$HUB_SERVICE_HOST:$HUB_SERVICE_PORT]
    #[arg(long = "hub_url", value_name = "URL")]
    hub_url: Option<String>,
    /// Path that everything is served under: web.prefix [default: $JUPYTERHUB_SERVICE_PREFIX or
    /// /services/groups-exporter/]
    #[arg(long = "hub_service_prefix", value_name = "PATH")]
    hub_service_prefix: Option<String>,
    /// API token: hub.token [default: $JUPYTERHUB_API_TOKEN, which other users cannot see]
    #[arg(long = "hub_api_token", value_name = "TOKEN")]
    hub_api_token: Option<String>,
    /// Value of the label namespace: metrics.namespace [default: $NAMESPACE]
    #[arg(long = "jupyterhub_namespace", value_name = "NAME")]
    jupyterhub_namespace: Option<String>,
    /// First part of metric names: metrics.prefix [default: $JUPYTERHUB_METRICS_PREFIX or jupyterhub]
    #[arg(long = "jupyterhub_metrics_prefix", value_name = "NAME")]
    jupyterhub_metrics_prefix: Option<String>,
    /// Host of the Prometheus that knows what pods use: prometheus.url
    /// [default: $SUPPORT_PROMETHEUS_SERVER_SERVICE_HOST, else localhost]
    #[arg(long = "prometheus_host", value_name = "HOST")]
    prometheus_host: Option<String>,
    /// Its port [default: $SUPPORT_PROMETHEUS_SERVER_SERVICE_PORT, else 9090]
    #[arg(long = "prometheus_port", value_name = "PORT")]
    prometheus_port: Option<String>,
    /// How much is logged: log.level [possible values: DEBUG, INFO, WARNING, ERROR, CRITICAL]
    #[arg(long = "log_level", value_name = "LEVEL")]
    log_level: Option<String>,
}

/// Runs the service until it is told to stop.
pub(super) fn run(args: &ServeArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let parent = Parent::now();
    let environment = &args.python.environment(environment);
    let mut flags = args.python.layers(environment)?;
    if args.compat {
        flags.push(layer("metrics.compat", "--compat", true));
    }
    let effective = args.config.load(flags, environment)?;
    effective.require_hub()?;
    logging::start(&effective.config.log);
    let starter = if environment.is_managed_by_hub() {
        Starter::Hub(parent)
    } else {
        Starter::Other
    };
    let mut service = Service::bind(effective.config, starter)?;
    // The last that can fail: whoever mends a configuration need not remove a folder.
    if let Some(store) = collect::open(&service.site().config, environment)? {
        service = service.with_history(store);
    }
    let ending = block_on(service.run())?;
    Ok(ending.into())
}

fn layer(key: &str, flag: &str, value: impl Into<Value>) -> Layer {
    Layer::of_key(key, value.into(), Origin::Flag(flag.to_owned()))
}

impl PythonFlags {
    fn layers(&self, environment: &Environment) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = self.prometheus(environment)?;
        let texts = [
            ("hub.url", "--hub_url", &self.hub_url),
            (
                "web.prefix",
                "--hub_service_prefix",
                &self.hub_service_prefix,
            ),
            ("hub.token", "--hub_api_token", &self.hub_api_token),
            (
                "metrics.namespace",
                "--jupyterhub_namespace",
                &self.jupyterhub_namespace,
            ),
            (
                "metrics.prefix",
                "--jupyterhub_metrics_prefix",
                &self.jupyterhub_metrics_prefix,
            ),
        ];
        for (key, flag, value) in texts {
            layers.extend(given(value.as_ref()).map(|text| layer(key, flag, text)));
        }
        if let Some(text) = given(self.port.as_ref()) {
            let port: u16 = number("metrics.listen", "--port", text)?;
            layers.push(layer("metrics.listen", "--port", format!("0.0.0.0:{port}")));
        }
        let intervals = [
            (
                "hub.interval_seconds",
                "--update_info_interval",
                &self.update_info_interval,
            ),
            (
                "usage.interval_seconds",
                "--update_metrics_interval",
                &self.update_metrics_interval,
            ),
            (
                "usage.homes_interval_seconds",
                "--update_dirsize_interval",
                &self.update_dirsize_interval,
            ),
        ];
        for (key, flag, value) in intervals {
            if let Some(text) = given(value.as_ref()) {
                let seconds: u32 = number(key, flag, text)?;
                layers.push(layer(key, flag, i64::from(seconds)));
            }
        }
        if let Some(groups) = &self.allowed_groups {
            let names: Vec<Value> = groups
                .iter()
                .filter(|name| !name.is_empty())
                .map(|name| Value::from(name.as_str()))
                .collect();
            layers.push(layer("groups.allowed", "--allowed_groups", names));
        }
        if let Some(text) = given(self.double_count.as_ref()) {
            layers.extend(double_count(text)?);
        }
        if let Some(text) = given(self.log_level.as_ref()) {
            layers.push(layer("log.level", "--log_level", log_level(text)?));
        }
        Ok(layers)
    }

    /// The Prometheus that its flags name.
    fn prometheus(&self, environment: &Environment) -> Result<Vec<Layer>, ConfigError> {
        let (key, flag) = ("prometheus.url", "--prometheus_host");
        let host = given(self.prometheus_host.as_ref());
        let port = given(self.prometheus_port.as_ref());
        if host.is_none() && port.is_none() {
            return Ok(Vec::new());
        }
        let host = host.or_else(|| environment.get(PROMETHEUS_HOST));
        let port = port.or_else(|| environment.get(PROMETHEUS_PORT));
        let port: u16 = number(key, "--prometheus_port", port.unwrap_or("9090"))?;
        let url = prometheus_url(host.unwrap_or("localhost"), port);
        Ok(vec![layer(key, flag, url)])
    }

    /// The environment, which says so if the Python exporter's command line is used.
    fn environment(&self, environment: &Environment) -> Environment {
        if self.is_any_given() {
            environment.clone().with_python_flags(PYTHON_PREFIX)
        } else {
            environment.clone()
        }
    }

    fn is_any_given(&self) -> bool {
        self.python_exporter
            || self.allowed_groups.is_some()
            || [
                &self.port,
                &self.update_info_interval,
                &self.update_metrics_interval,
                &self.update_dirsize_interval,
                &self.double_count,
                &self.hub_url,
                &self.hub_service_prefix,
                &self.hub_api_token,
                &self.jupyterhub_namespace,
                &self.jupyterhub_metrics_prefix,
                &self.prometheus_host,
                &self.prometheus_port,
                &self.log_level,
            ]
            .iter()
            .any(|flag| flag.is_some())
    }
}

fn given(value: Option<&String>) -> Option<&str> {
    value
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
}

fn bad_value(key: &str, flag: &str, problem: String) -> ConfigError {
    let origin = Origin::Flag(flag.to_owned());
    ConfigError::BadValue {
        key: key.to_owned(),
        origin,
        problem,
    }
}

fn number<T: std::str::FromStr>(key: &str, flag: &str, text: &str) -> Result<T, ConfigError> {
    text.parse()
        .map_err(|_| bad_value(key, flag, format!("`{text}` is not a whole number")))
}

fn double_count(text: &str) -> Result<Vec<Layer>, ConfigError> {
    let flag = "--double_count";
    // The chart quotes the value twice.
    match text.trim_matches('"').to_ascii_lowercase().as_str() {
        "true" => Ok(vec![layer("groups.multiple", flag, "in-each")]),
        "false" => Ok(vec![
            layer("groups.multiple", flag, "bucket"),
            layer("groups.bucket", flag, "multiple"),
        ]),
        _ => {
            let problem = format!("`{text}` is not `true` or `false`");
            Err(bad_value("groups.multiple", flag, problem))
        }
    }
}

fn log_level(text: &str) -> Result<&'static str, ConfigError> {
    match text.to_ascii_uppercase().as_str() {
        "DEBUG" => Ok("debug"),
        "INFO" => Ok("info"),
        "WARNING" | "WARN" => Ok("warn"),
        "ERROR" | "CRITICAL" => Ok("error"),
        _ => {
            let problem =
                format!("`{text}` is not one of DEBUG, INFO, WARNING, ERROR and CRITICAL");
            Err(bad_value("log.level", "--log_level", problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::config::{Config, MultipleConfig};
    use clap::Parser as _;

    fn parsed(words: &[&str]) -> Box<ServeArgs> {
        let words = ["jupyterhub-insights", "serve"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Serve(args) => args,
            _ => unreachable!("the words begin with serve"),
        }
    }

    fn config(variables: &[(&str, &str)], words: &[&str]) -> Result<Config, ConfigError> {
        let environment = Environment::of(variables.iter().copied());
        let args = parsed(words);
        let environment = args.python.environment(&environment);
        let flags = args.python.layers(&environment)?;
        args.config
            .load(flags, &environment)
            .map(|effective| effective.config)
    }

    /// What the Python exporter's Helm chart passes with its default values.
    #[test]
    fn the_charts_own_command_line_works_unchanged() {
        let config = config(
            &[
                ("JUPYTERHUB_API_TOKEN", "t"),
                ("NAMESPACE", "release"),
                ("HUB_SERVICE_HOST", "10.0.0.7"),
                ("HUB_SERVICE_PORT", "8081"),
            ],
            &[
                "--allowed_groups",
                "physics",
                "course::ml-101",
                "--double_count",
                "\"false\"",
                "--port",
                "8100",
                "--update_info_interval",
                "3600",
                "--update_metrics_interval",
                "15",
                "--update_dirsize_interval",
                "7200",
                "--prometheus_host",
                "",
                "--prometheus_port",
                "",
                "--log_level",
                "INFO",
            ],
        )
        .unwrap();
        assert_eq!(
            config.hub.url.as_ref().unwrap().as_str(),
            "http://10.0.0.7:8081/"
        );
        assert_eq!(config.hub.interval_seconds, 3600);
        assert_eq!(config.metrics_listen(), Some("0.0.0.0:8100"));
        assert_eq!(config.metrics.namespace.as_deref(), Some("release"));
        assert_eq!(config.web.prefix, "/services/groups-exporter/");
        assert_eq!(config.groups.allowed, ["physics", "course::ml-101"]);
        assert_eq!(config.groups.multiple, MultipleConfig::Bucket);
        assert_eq!(config.groups.bucket, "multiple");
        assert_eq!(config.usage.interval_seconds, 15);
        assert_eq!(config.usage.homes_interval_seconds, 7200);
        assert!(config.metrics.exporter_names);
        assert_eq!(config.prometheus.url, None);
    }

    #[test]
    fn the_prometheus_is_the_flags_else_the_one_beside_the_chart() {
        let url = |variables: &[(&str, &str)], words: &[&str]| {
            let config = config(variables, words).unwrap();
            config.prometheus.url.map(|url| url.to_string())
        };
        let beside = [
            ("SUPPORT_PROMETHEUS_SERVER_SERVICE_HOST", "10.0.0.8"),
            ("SUPPORT_PROMETHEUS_SERVER_SERVICE_PORT", "80"),
        ];
        let given = |text: &str| Some(text.to_owned());
        assert_eq!(url(&beside, &[]), None);
        assert_eq!(url(&beside, &["--port", "1"]), given("http://10.0.0.8/"));
        assert_eq!(
            url(&beside, &["--prometheus_host", "::1"]),
            given("http://[::1]/")
        );
        assert_eq!(
            url(&[], &["--prometheus_port", "9091"]),
            given("http://localhost:9091/")
        );
        let own = [
            beside[0],
            ("JUPYTERHUB_INSIGHTS__PROMETHEUS__URL", "https://p/x/api/v1"),
        ];
        assert_eq!(url(&own, &["--port", "1"]), given("https://p/x/"));
    }

    #[test]
    fn the_prefix_is_the_flag_else_the_hubs_else_the_python_exporters() {
        let prefix = |variables: &[(&str, &str)], words: &[&str]| {
            config(variables, words).unwrap().web.prefix
        };
        let hub = [("JUPYTERHUB_SERVICE_PREFIX", "/services/x/")];
        assert_eq!(
            prefix(&hub, &["--port", "1", "--hub_service_prefix", "/y"]),
            "/y/"
        );
        assert_eq!(prefix(&hub, &["--port", "1"]), "/services/x/");
        assert_eq!(prefix(&[], &["--port", "1"]), "/services/groups-exporter/");
        assert_eq!(
            prefix(&[], &["--python-exporter"]),
            "/services/groups-exporter/"
        );
        let own = [("JUPYTERHUB_INSIGHTS__WEB__PREFIX", "/own/")];
        assert_eq!(prefix(&own, &["--port", "1"]), "/own/");
        assert_eq!(prefix(&[], &[]), "/services/insights/");
    }

    #[test]
    fn a_managed_service_with_the_flag_port_has_one_closed_listener() {
        let hub = [("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:8080")];
        let config = config(&hub, &["--port", "8080"]).unwrap();
        assert_eq!(config.metrics_listen(), None);
        assert_eq!(config.web.listen.as_deref(), Some("127.0.0.1:8080"));
    }

    #[test]
    fn bad_values_name_key_and_flag() {
        let message = |words: &[&str]| config(&[], words).unwrap_err().to_string();
        assert_eq!(
            message(&["--port", "http"]),
            "`metrics.listen` (flag `--port`): `http` is not a whole number"
        );
        assert_eq!(
            message(&["--double_count", "maybe"]),
            "`groups.multiple` (flag `--double_count`): `maybe` is not `true` or `false`"
        );
        assert_eq!(
            message(&["--update_info_interval", "0"]),
            "`hub.interval_seconds` (flag `--update_info_interval`): 0 is not between 1 and 86400 \
             seconds"
        );
        assert_eq!(
            message(&["--log_level", "LOUD"]),
            "`log.level` (flag `--log_level`): `LOUD` is not one of DEBUG, INFO, WARNING, ERROR \
             and CRITICAL"
        );
    }
}
