//! Names, help texts and labels of all metrics.

use super::counted::COUNTED;
use super::described::{Described, all};
use super::exposition::Kind;
use super::own::OWN_FAMILIES;
use std::collections::BTreeSet;

/// Prometheus' naming rules: base units and suffixes, and info and counter end as they must.
#[test]
fn names_and_help_texts_follow_the_rules() {
    let mut names = BTreeSet::new();
    for Described {
        name,
        help,
        from,
        kind,
        labels,
    } in all()
    {
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(is_plain(&name), "{name}");
        let is_counter = matches!(kind, Kind::Counter | Kind::CounterBesideGauge);
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        assert_eq!(name.ends_with("_info"), kind == Kind::Info, "{name}");
        let is_duration = name.ends_with("_duration_seconds");
        assert!(kind != Kind::Histogram || is_duration, "{name}");
        assert!(
            help.ends_with('.') && !help.contains(['\\', '\n', '"']),
            "{name}: {help}"
        );
        assert!(from.ends_with('.'), "{name}: {from}");
        for label in labels {
            assert!(is_plain(label) && *label != "le", "{name}: {label}");
        }
        assert!(names.insert(name.clone()), "{name} is there twice");
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

/// What samples of a family are called.
fn sample_names(name: &str, kind: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    if kind == "histogram" {
        let suffixes = ["_bucket", "_sum", "_count", "_created"];
        names.extend(suffixes.map(|suffix| format!("{name}{suffix}")));
    }
    if let Some(stem) = name.strip_suffix("_total") {
        names.extend([stem.to_owned(), format!("{stem}_created")]);
    }
    names
}

#[test]
fn no_hub_exports_a_name_of_ours() {
    let mut ours = BTreeSet::new();
    for family in all() {
        let kind = match family.kind {
            Kind::Histogram => "histogram",
            _ => "",
        };
        ours.extend(sample_names(&family.name, kind));
    }
    for version in ["4.x", "5.x", "6.1"] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
        let page = std::fs::read_to_string(format!("{folder}/jupyterhub-{version}/metrics.txt"));
        let page = page.unwrap();
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut n_names = 0;
        for (name, kind) in types.filter_map(|line| line.split_once(' ')) {
            for name in sample_names(name, kind) {
                assert!(!ours.contains(&name), "{version}: {name}");
                n_names += 1;
            }
        }
        assert!(n_names > 50, "{version}");
    }
}

#[test]
fn who_a_label_names_is_known_where_it_names_a_user() {
    for family in COUNTED {
        let labels = family.def.labels.iter();
        let user = labels.clone().position(|label| label.contains("user"));
        assert_eq!(family.def.whose, user, "{}", family.def.name);
    }
}
