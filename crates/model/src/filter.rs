//! Which groups may be shown at all. Whatever is not allowed leaves no trace anywhere.
//!
//! Who may see an allowed group (viewers, roles) does not belong here.

use crate::names::GroupName;
use wildmatch::WildMatchPattern;

/// One entry of an allow or deny list.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupPattern {
    /// The group of exactly this name, whatever characters it has.
    Exact(GroupName),
    /// `*` stands for any text, everything else for itself.
    Wildcard(Wildcard),
}

/// A pattern with `*`. A single-character wildcard is not offered: `?` is a legal character of a
/// group's name, so NUL, which no hub accepts, takes its place in the matcher.
pub type Wildcard = WildMatchPattern<'*', '\0'>;

impl GroupPattern {
    /// `course::*` is a wildcard, `physics` a name.
    pub fn parse(text: &str) -> Self {
        if text.contains('*') {
            Self::Wildcard(Wildcard::new(text))
        } else {
            Self::Exact(GroupName::from(text))
        }
    }

    fn matches(&self, group: &GroupName) -> bool {
        match self {
            Self::Exact(name) => name == group,
            Self::Wildcard(pattern) => pattern.matches(group.as_str()),
        }
    }
}

/// Allow and deny lists of groups. Denied wins; an empty allow list allows all.
#[derive(Clone, Debug, Default)]
pub struct GroupFilter {
    /// Empty: every group that is not denied.
    pub allowed: Vec<GroupPattern>,
    /// These groups are never shown.
    pub denied: Vec<GroupPattern>,
}

impl GroupFilter {
    /// Whether the group may be shown.
    pub fn allows(&self, group: &GroupName) -> bool {
        let is_allowed =
            self.allowed.is_empty() || self.allowed.iter().any(|pattern| pattern.matches(group));
        is_allowed && !self.denied.iter().any(|pattern| pattern.matches(group))
    }

    /// Whether users who are in no group may be shown.
    ///
    /// With an allow list they may not: somebody who is in none of the listed groups was not
    /// meant to be listed. A deny list hides groups, not people without one.
    pub fn allows_users_without_group(&self) -> bool {
        self.allowed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &[&str], denied: &[&str], group: &str) -> bool {
        let parse = |texts: &[&str]| texts.iter().map(|text| GroupPattern::parse(text)).collect();
        GroupFilter {
            allowed: parse(allowed),
            denied: parse(denied),
        }
        .allows(&group.into())
    }

    #[test]
    fn an_empty_filter_allows_everything() {
        assert!(check(&[], &[], "physics"));
    }

    #[test]
    fn only_listed_groups_are_allowed_by_name_or_pattern() {
        assert!(check(&["physics", "course::*"], &[], "course::ml-101"));
        assert!(check(&["*-2026"], &[], "ml-2026"));
        assert!(!check(&["physics", "course::*"], &[], "physics-2"));
        assert!(!check(&["course::*"], &[], "Course::ml"));
    }

    #[test]
    fn denied_wins() {
        assert!(!check(
            &["course::*"],
            &["course::secret*"],
            "course::secret-1"
        ));
        assert!(!check(&[], &["hr"], "hr"));
    }

    #[test]
    fn only_the_star_is_special() {
        assert!(check(&["what?"], &[], "what?"));
        assert!(!check(&["wha*?"], &[], "whats"));
        assert!(check(&["wha*?"], &[], "what?"));
        assert!(check(&["[a]\"\\n"], &[], "[a]\"\\n"));
    }
}
