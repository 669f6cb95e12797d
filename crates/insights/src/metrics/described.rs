//! Every metric that there is, whatever it is made from: for the docs and for tests.

use super::counted::COUNTED;
use super::exposition::Kind;
use super::families::FAMILIES;
use super::live::LIVE;
use super::own::OWN_FAMILIES;
use super::usage::USAGE;

/// What all families have in common.
#[derive(Clone, Debug)]
pub struct Described {
    /// The whole name, with the usual prefix.
    pub name: String,
    /// What it is.
    pub help: &'static str,
    /// Where the number comes from.
    pub from: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
}

/// All families, in the order of a scrape.
pub fn all() -> Vec<Described> {
    let mut all = Vec::new();
    all.extend(FAMILIES.iter().map(|family| Described {
        name: format!("jupyterhub_{}", family.name),
        help: family.help,
        from: family.from,
        kind: family.kind,
        labels: family.labels,
    }));
    all.extend(USAGE.iter().map(|family| Described {
        name: format!("jupyterhub_{}", family.name),
        help: family.help,
        from: family.from,
        kind: family.kind,
        labels: family.labels,
    }));
    all.extend(LIVE.iter().map(|family| Described {
        name: format!("jupyterhub_{}", family.name),
        help: family.help,
        from: family.from,
        kind: family.kind,
        labels: family.labels,
    }));
    all.extend(COUNTED.iter().map(|family| Described {
        name: format!("jupyterhub_{}", family.def.name),
        help: family.help,
        from: family.from,
        kind: family.kind(),
        labels: family.def.labels,
    }));
    all.extend(OWN_FAMILIES.iter().map(|family| Described {
        name: family.name.to_owned(),
        help: family.help,
        from: family.from,
        kind: family.kind,
        labels: family.labels,
    }));
    all
}
