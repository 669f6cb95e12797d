//! The list of all keys, taken from the structs of [`super::Config`] and their comments.

use super::Config;
use serde_json::Value;

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// `hub.url`.
    pub(super) path: String,
    /// `hub`.
    pub(super) section: String,
    /// `url`.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The comment at the field: unit, limits, the default's reason.
    pub(super) description: String,
    /// As JSON; null where the default is decided at start.
    pub(super) default: Value,
}

/// What a value looks like.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    TextList,
    Choice(Vec<String>),
}

/// A part of the configuration file.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) description: String,
}

/// All sections in the order of the struct.
pub(super) fn sections() -> Vec<Section> {
    let schema = schema();
    properties(&schema)
        .map(|(name, property)| Section {
            name: name.clone(),
            description: description(property),
        })
        .collect()
}

/// All keys in the order of the structs.
pub(super) fn keys() -> Vec<Key> {
    let schema = schema();
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut keys = Vec::new();
    for (section, property) in properties(&schema) {
        for (name, field) in properties(resolve(&schema, property)) {
            keys.push(Key {
                path: format!("{section}.{name}"),
                section: section.clone(),
                name: name.clone(),
                kind: kind(&schema, field),
                description: description(field),
                default: defaults[section][name].clone(),
            });
        }
    }
    keys
}

/// The environment variable that sets a key.
pub(super) fn variable(path: &str) -> String {
    format!(
        "{}{}",
        super::environment::OWN_PREFIX,
        path.replace('.', "__").to_uppercase()
    )
}

fn schema() -> Value {
    schemars::schema_for!(Config).to_value()
}

fn properties(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object["properties"].as_object().into_iter().flatten()
}

fn description(property: &Value) -> String {
    property["description"]
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ")
}

/// Follows `$ref`, also inside the `anyOf` of an optional value.
fn resolve<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    let reference = property["$ref"]
        .as_str()
        .or_else(|| property["anyOf"][0]["$ref"].as_str());
    match reference.and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => schema.pointer(pointer).unwrap_or(property),
        None => property,
    }
}

fn kind(schema: &Value, field: &Value) -> Kind {
    let field = resolve(schema, field);
    if let Some(variants) = field["oneOf"].as_array() {
        let names = variants
            .iter()
            .filter_map(|variant| variant["const"].as_str());
        return Kind::Choice(names.map(str::to_owned).collect());
    }
    let type_name = field["type"].as_str().or_else(|| field["type"][0].as_str());
    match type_name {
        Some("integer") => Kind::Integer,
        Some("boolean") => Kind::Boolean,
        Some("array") => Kind::TextList,
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described_and_has_the_kind_of_its_field() {
        let keys = keys();
        let kind = |path: &str| &keys.iter().find(|key| key.path == path).unwrap().kind;
        assert_eq!(*kind("hub.url"), Kind::Text);
        assert_eq!(*kind("hub.interval_seconds"), Kind::Integer);
        assert_eq!(*kind("metrics.open"), Kind::Boolean);
        assert_eq!(*kind("groups.allowed"), Kind::TextList);
        assert_eq!(*kind("hub.token"), Kind::Text);
        assert!(matches!(kind("groups.multiple"), Kind::Choice(names) if names.len() == 4));
        for key in &keys {
            assert!(
                key.description.ends_with('.'),
                "{} has no description",
                key.path
            );
        }
    }
}
