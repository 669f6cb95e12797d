//! A line of a golden file, cut into words.

use std::collections::BTreeMap;

/// Words of a line: `key=value` and the others.
pub(super) struct Words<'a> {
    pub(super) plain: Vec<&'a str>,
    pub(super) named: BTreeMap<&'a str, &'a str>,
    pub(super) json: Option<&'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        let (mut plain, mut named, mut json) = (Vec::new(), BTreeMap::new(), None);
        let mut rest = line.trim();
        while !rest.is_empty() {
            if rest.starts_with('{') {
                let end = rest.find('}').map_or(rest.len(), |end| end + 1);
                json = Some(&rest[..end]);
                rest = rest[end..].trim_start();
                continue;
            }
            let end = match rest.find('{') {
                // JSON may hold spaces.
                Some(brace) if !rest[..brace].contains(' ') => rest.find('}').unwrap() + 1,
                _ => rest.find(' ').unwrap_or(rest.len()),
            };
            let (word, after) = rest.split_at(end);
            rest = after.trim_start();
            match word.split_once('=') {
                Some((key, value)) if !key.contains('{') => {
                    named.insert(key, value);
                }
                _ => plain.push(word),
            }
        }
        Self { plain, named, json }
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.named.get(key).map(|value| value.parse().unwrap())
    }
}
