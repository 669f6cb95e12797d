//! A question of a golden file.

use super::past::Past;
use super::words::Words;
use crate::report::{Asked, LeftOutAccounts, Site};
use model::attribution::{Attribution, ExtraMultipleRow, MultiGroupRule};
use model::filter::{GroupFilter, GroupPattern};

/// What the words after `ask` say.
pub(super) fn asked(words: &Words<'_>, past: &Past) -> Asked {
    let mut words = words.named.clone();
    let mut day = |name: &str| words.remove(name).unwrap().parse().unwrap();
    let (from, to) = (day("from"), day("to"));
    let mut list = |name: &str| -> Vec<String> {
        let text = words.remove(name).unwrap_or_default();
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let left_out = LeftOutAccounts {
        users: list("leave_out"),
        groups: list("leave_out_groups"),
    };
    let (allowed, denied) = (list("allowed"), list("denied"));
    let rule = match words.remove("rule") {
        None | Some("split") => MultiGroupRule::Split,
        Some("in-each") => MultiGroupRule::InEach,
        Some("bucket") => MultiGroupRule::Bucket("several".into()),
        Some(other) => {
            let groups = other.strip_prefix("primary:").expect("a rule");
            MultiGroupRule::Primary(groups.split('>').map(Into::into).collect())
        }
    };
    let patterns = |names: Vec<String>| {
        let patterns = names.iter().map(|name| GroupPattern::parse(name));
        patterns.collect()
    };
    let filter = GroupFilter {
        allowed: patterns(allowed),
        denied: patterns(denied),
    };
    let site = Site {
        left_out,
        groups: Attribution {
            filter,
            rule,
            extra_row: ExtraMultipleRow::Omit,
        },
        networks: past.networks.clone(),
    };
    let mut asked = Asked::period(from, to, site);
    let mut text = |name: &str| words.remove(name).map(str::to_owned);
    asked.hub = text("hub");
    asked.group = text("group");
    asked.user = text("user");
    for (name, value) in words {
        asked.choices.insert(name.to_owned(), value.to_owned());
    }
    asked
}
