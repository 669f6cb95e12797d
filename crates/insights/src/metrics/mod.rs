//! Everything that Prometheus reads.
//!
//! Who may read it is the business of `web`.

pub mod docs;
pub mod exposition;
pub mod families;
pub mod own;
mod piece;
mod published;

pub use published::Published;

#[cfg(test)]
mod tests {
    use super::exposition::Kind;
    use super::families::FAMILIES;
    use super::own::OWN_FAMILIES;

    /// Prometheus' naming rules: base units and suffixes, and info and counter end as they must.
    #[test]
    fn names_and_help_texts_follow_the_rules() {
        let families = FAMILIES.iter().map(|f| (f.name, f.help, f.kind, f.labels));
        let own = OWN_FAMILIES
            .iter()
            .map(|f| (f.name, f.help, f.kind, f.labels));
        for (name, help, kind, labels) in families.chain(own) {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), kind == Kind::Info, "{name}");
            assert!(
                help.ends_with('.') && !help.contains(['\\', '\n', '"']),
                "{name}: {help}"
            );
            assert!(!labels.is_empty(), "{name}");
        }
    }

    #[test]
    fn metrics_about_ourselves_name_the_hub_first_and_nobody() {
        for family in OWN_FAMILIES {
            assert_eq!(family.labels[0], "hub", "{}", family.name);
            assert!(
                !family.labels.iter().any(|label| label.contains("user")),
                "{}",
                family.name
            );
            assert!(family.name.starts_with("jupyterhub_insights_"));
        }
    }
}
