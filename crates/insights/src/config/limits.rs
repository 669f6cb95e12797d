//! Limits of values that their types do not express, each with the message that a value beyond it
//! earns. The messages are tested in [`super::layers`], where files become configurations.

use super::{Config, ConfigError, MultipleConfig, Origin};
use std::collections::BTreeMap;

/// Limits that a type does not express.
pub(super) fn check(
    config: &Config,
    origins: &BTreeMap<String, Origin>,
) -> Result<(), ConfigError> {
    let reject = |key: &'static str, problem: String| {
        Err(ConfigError::Rejected {
            key,
            origin: origins.get(key).cloned(),
            problem,
        })
    };
    let ranges = [
        (
            "hub.interval_seconds",
            config.hub.interval_seconds,
            1,
            86_400,
        ),
        (
            "hub.users_interval_seconds",
            config.hub.users_interval_seconds,
            60,
            604_800,
        ),
        ("hub.timeout_seconds", config.hub.timeout_seconds, 1, 600),
    ];
    for (key, value, low, high) in ranges {
        if !(low..=high).contains(&value) {
            return reject(
                key,
                format!("{value} is not between {low} and {high} seconds"),
            );
        }
    }
    if config.hub.name.trim().is_empty() {
        return reject("hub.name", "must not be empty".to_owned());
    }
    match config.hub.url.as_ref().map(url::Url::scheme) {
        Some("http" | "https") | None => {}
        Some(scheme) => {
            return reject("hub.url", format!("`{scheme}` is not `http` or `https`"));
        }
    }
    check_listen(config, origins)?;
    check_metrics(config, origins)?;
    check_pairs(config, origins)
}

fn check_listen(config: &Config, origins: &BTreeMap<String, Origin>) -> Result<(), ConfigError> {
    let addresses = [
        ("web.listen", &config.web.listen),
        ("metrics.listen", &config.metrics.listen),
    ];
    for (key, address) in addresses {
        let Some(address) = address else { continue };
        let port = address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            return Err(ConfigError::Rejected {
                key,
                origin: origins.get(key).cloned(),
                problem: format!("`{address}` is not HOST:PORT, for instance `127.0.0.1:10101`"),
            });
        }
    }
    Ok(())
}

fn check_metrics(config: &Config, origins: &BTreeMap<String, Origin>) -> Result<(), ConfigError> {
    let reject = |key: &'static str, problem: String| {
        Err(ConfigError::Rejected {
            key,
            origin: origins.get(key).cloned(),
            problem,
        })
    };
    let is_name_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let prefix = &config.metrics.prefix;
    if prefix.is_empty()
        || !prefix.chars().all(is_name_part)
        || prefix.starts_with(|c: char| c.is_ascii_digit())
    {
        return reject(
            "metrics.prefix",
            format!("`{prefix}` cannot begin a metric's name: letters, digits and `_` only"),
        );
    }
    if config.metrics.compat && config.groups.multiple == MultipleConfig::Split {
        let problem = "goes with `groups.multiple = \"in-each\"` or `\"bucket\"` only";
        return reject("metrics.compat", problem.to_owned());
    }
    if config.groups.multiple == MultipleConfig::Bucket && config.groups.bucket.trim().is_empty() {
        return reject("groups.bucket", "must not be empty".to_owned());
    }
    if config.groups.multiple == MultipleConfig::Primary && config.groups.priority.is_empty() {
        let problem = "`groups.multiple = \"primary\"` needs at least one group here";
        return reject("groups.priority", problem.to_owned());
    }
    Ok(())
}

/// A certificate without its key, or the other way round.
fn check_pairs(config: &Config, origins: &BTreeMap<String, Origin>) -> Result<(), ConfigError> {
    let pairs = [
        (
            "hub.cert_file",
            &config.hub.cert_file,
            "hub.key_file",
            &config.hub.key_file,
        ),
        (
            "web.cert_file",
            &config.web.cert_file,
            "web.key_file",
            &config.web.key_file,
        ),
    ];
    for (cert_key, cert, key_key, key) in pairs {
        let (set, missing) = match (cert, key) {
            (Some(_), None) => (cert_key, key_key),
            (None, Some(_)) => (key_key, cert_key),
            _ => continue,
        };
        return Err(ConfigError::Rejected {
            key: set,
            origin: origins.get(set).cloned(),
            problem: format!("needs `{missing}` beside it"),
        });
    }
    Ok(())
}
