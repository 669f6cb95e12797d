//! `config print`: the values in force, where each came from, and no secret.

use super::{Effective, schema};
use std::fmt::Write as _;

/// TOML that could be used as a configuration file, secrets hidden.
pub fn effective_toml(effective: &Effective) -> String {
    let mut config = effective.config.clone();
    config.metrics.listen = config.metrics_listen().map(str::to_owned);
    let values = toml::Table::try_from(&config).unwrap_or_default();
    let mut text = String::new();
    for section in schema::sections() {
        let _ = writeln!(text, "[{}]", section.name);
        for key in schema::keys()
            .iter()
            .filter(|key| key.section == section.name)
        {
            let value = values
                .get(&section.name)
                .and_then(|inner| inner.get(&key.name));
            let origin = match effective.origins.get(&key.path) {
                Some(origin) => origin.to_string(),
                None => "default".to_owned(),
            };
            let _ = match value {
                Some(value) => writeln!(text, "{} = {value}  # {origin}", key.name),
                None => writeln!(text, "# {} is not set", key.name),
            };
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use crate::config::environment::Environment;
    use crate::config::load;

    #[test]
    fn secrets_are_hidden_and_origins_are_told() {
        let environment = Environment::of([("JUPYTERHUB_API_TOKEN", "s3cret")]);
        let text = super::effective_toml(&load(&environment, None, vec![]).unwrap());
        assert!(!text.contains("s3cret"));
        let token = "token = \"(hidden)\"  # environment variable `JUPYTERHUB_API_TOKEN`";
        assert!(text.contains(token), "{text}");
        assert!(text.contains("interval_seconds = 60  # default"), "{text}");
        assert!(text.contains("# url is not set"), "{text}");
        assert!(toml::from_str::<toml::Table>(&text).is_ok());
    }
}
