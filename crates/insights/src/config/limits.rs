//! Limits of values that their types do not express, each with the message that a value beyond it
//! earns. The messages are tested in [`super::layers`], where files become configurations.

use super::{Config, ConfigError, MultipleConfig, Origin, UsageSourceConfig};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Refuses the first value beyond a limit.
pub(super) fn check(
    config: &Config,
    origins: &BTreeMap<String, Origin>,
) -> Result<(), ConfigError> {
    let problem = intervals(config)
        .or_else(|| retention(config))
        .or_else(|| timezone(config))
        .or_else(|| store(config))
        .or_else(|| event_files(config))
        .or_else(|| archive(config))
        .or_else(|| hub(config))
        .or_else(|| prometheus(config))
        .or_else(|| local(config))
        .or_else(|| reports(config))
        .or_else(|| access(config))
        .or_else(|| addresses(config))
        .or_else(|| web(config))
        .or_else(|| metrics(config))
        .or_else(|| groups(config))
        .or_else(|| pairs(config));
    match problem {
        None => Ok(()),
        Some(Problem { key, text }) => {
            let origin = origins.get(key).cloned();
            Err(ConfigError::Rejected {
                key,
                origin,
                problem: text,
            })
        }
    }
}

struct Problem {
    key: &'static str,
    text: String,
}

impl Problem {
    fn new(key: &'static str, text: impl Into<String>) -> Self {
        Self {
            key,
            text: text.into(),
        }
    }
}

fn intervals(config: &Config) -> Option<Problem> {
    let hub = &config.hub;
    let ranges = [
        ("hub.interval_seconds", hub.interval_seconds, 1..=86_400),
        (
            "hub.users_interval_seconds",
            hub.users_interval_seconds,
            60..=604_800,
        ),
        ("hub.timeout_seconds", hub.timeout_seconds, 1..=600),
        (
            "store.flush_interval_seconds",
            config.store.flush_interval_seconds,
            5..=3600,
        ),
        (
            "events.silent_after_seconds",
            config.events.silent_after_seconds,
            5..=86_400,
        ),
        (
            "usage.interval_seconds",
            config.usage.interval_seconds,
            1..=3600,
        ),
        (
            "usage.homes_interval_seconds",
            config.usage.homes_interval_seconds,
            60..=604_800,
        ),
        (
            "prometheus.timeout_seconds",
            config.prometheus.timeout_seconds,
            1..=600,
        ),
    ];
    let (key, value, range) = ranges
        .into_iter()
        .find(|(_, value, range)| !range.contains(value))?;
    let (low, high) = (range.start(), range.end());
    Some(Problem::new(
        key,
        format!("{value} is not between {low} and {high} seconds"),
    ))
}

/// A day is too short for events: the last one is still being written.
fn retention(config: &Config) -> Option<Problem> {
    const LONGEST_DAYS: u64 = 36_500;
    let retention = &config.retention;
    let events_days = retention.events_days;
    if events_days != 0 && !(2..=LONGEST_DAYS).contains(&events_days) {
        let text = format!("{events_days} is not between 2 and {LONGEST_DAYS} days, or 0 for ever");
        return Some(Problem::new("retention.events_days", text));
    }
    let audit_days = retention.audit_days;
    if audit_days > LONGEST_DAYS {
        let text = format!("{audit_days} is not between 1 and {LONGEST_DAYS} days, or 0 for ever");
        return Some(Problem::new("retention.audit_days", text));
    }
    let days = [
        ("retention.addresses_days", retention.addresses_days),
        ("retention.dead_letters_days", retention.dead_letters_days),
        (
            "retention.observations_minutes_days",
            retention.observations_minutes_days,
        ),
    ];
    let is_bad = |(_, days): &(&str, u64)| !(1..=LONGEST_DAYS).contains(days);
    let (key, days) = days.into_iter().find(is_bad)?;
    Some(Problem::new(
        key,
        format!("{days} is not between 1 and {LONGEST_DAYS} days"),
    ))
}

fn timezone(config: &Config) -> Option<Problem> {
    let name = config.hub.timezone.as_ref()?;
    if TimeZone::get(name).is_ok() {
        return None;
    }
    Some(Problem::new(
        "hub.timezone",
        format!("`{name}` is no time zone's name, for instance `Europe/Berlin` or `UTC`"),
    ))
}

fn store(config: &Config) -> Option<Problem> {
    let path = config.store.path.as_ref()?;
    if path.is_absolute() {
        return None;
    }
    let text = format!(
        "`{}` is not absolute; give the whole path, for instance `/var/lib/jupyterhub-insights`",
        path.display()
    );
    Some(Problem::new("store.path", text))
}

fn event_files(config: &Config) -> Option<Problem> {
    const KEY: &str = "events.files";
    const MOST: usize = 100;
    let files = &config.events.files;
    if files.len() > MOST {
        let text = format!("{} files are more than {MOST}", files.len());
        return Some(Problem::new(KEY, text));
    }
    let problem = files.iter().enumerate().find_map(|(index, path)| {
        let shown = path.display();
        if !path.is_absolute() {
            Some(format!(
                "`{shown}` is not absolute; give the whole path, for instance \
                 `/var/log/jupyterhub/events.jsonl`"
            ))
        } else if path.file_name().is_none() {
            Some(format!("`{shown}` is no file"))
        } else if files[..index].contains(path) {
            Some(format!("`{shown}` stands there twice"))
        } else {
            None
        }
    });
    problem.map(|text| Problem::new(KEY, text))
}

/// An archive for everybody must not come into being by leaving something out.
fn archive(config: &Config) -> Option<Problem> {
    /// Always there, as the archive writes them.
    const OWN_KEYS: [&str; 4] = ["timestamp", "schema", "version", "kind"];
    /// What people and machines are called by.
    const NAMES: [&str; 9] = [
        "user",
        "username",
        "user_name",
        "server",
        "servername",
        "server_name",
        "email",
        "ip",
        "id",
    ];
    let archive = &config.archive;
    let path = archive.path.as_ref()?;
    if !path.is_absolute() {
        let text = format!(
            "`{}` is not absolute; give the whole path, for instance `/srv/archive`",
            path.display()
        );
        return Some(Problem::new("archive.path", text));
    }
    if archive.kinds.is_empty() {
        let text = "`archive.path` needs at least one kind of events here";
        return Some(Problem::new("archive.kinds", text));
    }
    archive.keys.iter().find_map(|key| {
        let text = if OWN_KEYS.contains(&key.as_str()) {
            format!("`{key}` is the archive's own and need not be allowed")
        } else if NAMES.contains(&key.to_lowercase().as_str()) {
            format!("`{key}` would name somebody or something; it cannot be in an archive")
        } else {
            return None;
        };
        Some(Problem::new("archive.keys", text))
    })
}

fn hub(config: &Config) -> Option<Problem> {
    // The name is the label `namespace` where nothing else is known; that is never `None`.
    if config.hub.name.trim().is_empty() || config.hub.name == "None" {
        return Some(Problem::new("hub.name", "must not be empty or `None`"));
    }
    let url = config.hub.url.as_ref()?;
    if !matches!(url.scheme(), "http" | "https") {
        return Some(Problem::new(
            "hub.url",
            format!("`{}` is not `http` or `https`", url.scheme()),
        ));
    }
    // It is shown and logged; a password in it would be, too.
    if !url.username().is_empty() || url.password().is_some() {
        return Some(Problem::new(
            "hub.url",
            "must not hold a user or password; the token is `hub.token`",
        ));
    }
    None
}

fn prometheus(config: &Config) -> Option<Problem> {
    let prometheus = &config.prometheus;
    if let Some(url) = &prometheus.url {
        if !matches!(url.scheme(), "http" | "https") {
            let text = format!("`{}` is not `http` or `https`", url.scheme());
            return Some(Problem::new("prometheus.url", text));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let text = "must not hold a user or password; they are `prometheus.username` and \
                        `prometheus.password`";
            return Some(Problem::new("prometheus.url", text));
        }
    } else if config.usage.source == UsageSourceConfig::Prometheus {
        let text = "`usage.source = \"prometheus\"` needs the address here";
        return Some(Problem::new("prometheus.url", text));
    }
    let labels = [
        ("prometheus.user_label", &prometheus.user_label),
        ("prometheus.server_label", &prometheus.server_label),
    ];
    let is_label = |label: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !label.is_empty()
            && label.chars().all(is_part)
            && !label.starts_with(|c: char| c.is_ascii_digit())
    };
    if let Some((key, label)) = labels.into_iter().find(|(_, label)| !is_label(label)) {
        let text = format!("`{label}` is no label's name: letters, digits and `_` only");
        return Some(Problem::new(key, text));
    }
    if !(100..=100_000).contains(&prometheus.most_points) {
        let text = format!("{} is not between 100 and 100000", prometheus.most_points);
        return Some(Problem::new("prometheus.most_points", text));
    }
    let is_named = prometheus.username.is_some();
    if is_named && prometheus.password.is_none() && prometheus.password_file.is_none() {
        let text = "needs `prometheus.password` or `prometheus.password_file` beside it";
        return Some(Problem::new("prometheus.username", text));
    }
    let has_password = prometheus.password.is_some() || prometheus.password_file.is_some();
    if has_password && prometheus.username.is_none() {
        let text = "`prometheus.password` needs the name that goes with it";
        return Some(Problem::new("prometheus.username", text));
    }
    None
}

fn reports(config: &Config) -> Option<Problem> {
    let reports = &config.reports;
    if let Err(text) = reports.networks() {
        let text = format!("`{text}` is no range such as `campus=10.0.0.0/8`");
        return Some(Problem::new("reports.networks", text));
    }
    if reports.cache_mib > 4096 {
        let text = format!("{} is not between 0 and 4096 MiB", reports.cache_mib);
        return Some(Problem::new("reports.cache_mib", text));
    }
    None
}

fn access(config: &Config) -> Option<Problem> {
    let access = &config.access;
    if let Err(text) = access.owners() {
        let text = format!("`{text}` is no owner such as `physics=ada`");
        return Some(Problem::new("access.owners", text));
    }
    if !(2..=1000).contains(&access.least_people) {
        let text = format!("{} is not between 2 and 1000", access.least_people);
        return Some(Problem::new("access.least_people", text));
    }
    let client = config.login.client_id.as_deref();
    if client.is_some_and(|client| !client.starts_with("service-")) {
        let text = "an OAuth client of a service begins with `service-`";
        return Some(Problem::new("login.client_id", text));
    }
    None
}

fn local(config: &Config) -> Option<Problem> {
    let local = &config.local;
    if let Some(unit) = &local.unit
        && !["{USERNAME}", "{username}", "{account}"]
            .iter()
            .any(|name| unit.contains(name))
    {
        let text = format!("`{unit}` names one unit for all; `{{USERNAME}}` stands for the user");
        return Some(Problem::new("local.unit", text));
    }
    let slice = local.slice.strip_suffix(".slice");
    if slice.is_none_or(|name| name.is_empty() || name.contains('/')) {
        let text = format!("`{}` is no slice such as `system.slice`", local.slice);
        return Some(Problem::new("local.slice", text));
    }
    let homes = &local.homes;
    let names_user = homes.contains("{username}") || homes.contains("{account}");
    let is_good = homes.is_empty() || (homes.starts_with('/') && names_user);
    if !is_good {
        let text = format!("`{homes}` is no absolute path with `{{username}}` or `{{account}}`");
        return Some(Problem::new("local.homes", text));
    }
    None
}

fn addresses(config: &Config) -> Option<Problem> {
    let addresses = [
        ("web.listen", &config.web.listen),
        ("metrics.listen", &config.metrics.listen),
    ];
    let has_port = |address: &str| {
        address
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    let bad = |(key, address): (&'static str, &Option<String>)| {
        let address = address.as_ref().filter(|address| !has_port(address))?;
        Some(Problem::new(
            key,
            format!("`{address}` is not HOST:PORT, for instance `127.0.0.1:10101`"),
        ))
    };
    addresses.into_iter().find_map(bad)
}

fn web(config: &Config) -> Option<Problem> {
    let prefix = &config.web.prefix;
    let is_path = |c: char| c.is_ascii_alphanumeric() || "-._~/%@+,=".contains(c);
    if prefix.chars().all(is_path) && !prefix.contains("//") {
        return None;
    }
    Some(Problem::new(
        "web.prefix",
        format!("`{prefix}` is not a path such as `/services/insights/`"),
    ))
}

fn metrics(config: &Config) -> Option<Problem> {
    let prefix = &config.metrics.prefix;
    let is_name_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let is_digit = |c: char| c.is_ascii_digit();
    if prefix.is_empty() || !prefix.chars().all(is_name_part) || prefix.starts_with(is_digit) {
        return Some(Problem::new(
            "metrics.prefix",
            format!("`{prefix}` cannot begin a metric's name: letters, digits and `_` only"),
        ));
    }
    if !(10..=100_000).contains(&config.metrics.series) {
        let text = format!("{} is not between 10 and 100000", config.metrics.series);
        return Some(Problem::new("metrics.series", text));
    }
    if config.metrics.custom_allowed.iter().any(String::is_empty) {
        let text = "holds an empty name; `*` stands for any text";
        return Some(Problem::new("metrics.custom_allowed", text));
    }
    let adds_rows = matches!(
        config.groups.multiple,
        MultipleConfig::InEach | MultipleConfig::Bucket
    );
    if config.metrics.compat && !adds_rows {
        let text = "goes with `groups.multiple = \"in-each\"` or `\"bucket\"` only";
        return Some(Problem::new("metrics.compat", text));
    }
    None
}

fn groups(config: &Config) -> Option<Problem> {
    let groups = &config.groups;
    match groups.multiple {
        MultipleConfig::Bucket if groups.bucket.trim().is_empty() => {
            Some(Problem::new("groups.bucket", "must not be empty"))
        }
        MultipleConfig::Primary if groups.priority.is_empty() => Some(Problem::new(
            "groups.priority",
            "`groups.multiple = \"primary\"` needs at least one group here",
        )),
        _ => None,
    }
}

/// Values that need another beside them, or exclude it.
fn pairs(config: &Config) -> Option<Problem> {
    let (hub, web, metrics) = (&config.hub, &config.web, &config.metrics);
    let prometheus = &config.prometheus;
    let together = [
        (
            "hub.cert_file",
            hub.cert_file.is_some(),
            "hub.key_file",
            hub.key_file.is_some(),
        ),
        (
            "web.cert_file",
            web.cert_file.is_some(),
            "web.key_file",
            web.key_file.is_some(),
        ),
    ];
    let apart = [
        (
            "hub.token",
            hub.token.is_some(),
            "hub.token_file",
            hub.token_file.is_some(),
        ),
        (
            "metrics.scrape_token",
            metrics.scrape_token.is_some(),
            "metrics.scrape_token_file",
            metrics.scrape_token_file.is_some(),
        ),
        (
            "prometheus.token",
            prometheus.token.is_some(),
            "prometheus.token_file",
            prometheus.token_file.is_some(),
        ),
        (
            "prometheus.password",
            prometheus.password.is_some(),
            "prometheus.password_file",
            prometheus.password_file.is_some(),
        ),
        (
            "prometheus.token",
            prometheus.token.is_some() || prometheus.token_file.is_some(),
            "prometheus.username",
            prometheus.username.is_some(),
        ),
    ];
    let lonely = together
        .into_iter()
        .find_map(
            |(first, has_first, second, has_second)| match (has_first, has_second) {
                (true, false) => Some(Problem::new(first, format!("needs `{second}` beside it"))),
                (false, true) => Some(Problem::new(second, format!("needs `{first}` beside it"))),
                _ => None,
            },
        );
    lonely.or_else(|| {
        let both = apart
            .into_iter()
            .find(|(_, has_first, _, has_second)| *has_first && *has_second);
        both.map(|(first, _, second, _)| Problem::new(first, format!("excludes `{second}`")))
    })
}
