//! Names as the hub uses them. A name is opaque text: any Unicode, compared byte by byte.
//!
//! Renderings of a name for other systems (Kubernetes, Prometheus) do not belong here.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text, as the hub wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A user of the hub, for instance `ada`.
    UserName
}
name! {
    /// A group of the hub: a course, a lab, a team, for instance `course::ml-101`.
    GroupName
}

/// Hands out one allocation per distinct name.
///
/// A user in three groups is named three times by `/groups`; a hub of 100,000 memberships would
/// otherwise hold each name that often.
#[derive(Debug, Default)]
pub struct NamePool {
    users: HashSet<UserName>,
}

impl NamePool {
    /// The pooled copy of `text`.
    pub fn user(&mut self, text: &str) -> UserName {
        if let Some(name) = self.users.get(text) {
            return name.clone();
        }
        let name = UserName::from(text);
        self.users.insert(name.clone());
        name
    }

    /// Forgets the names that nobody else holds any more.
    pub fn shrink(&mut self) {
        self.users.retain(|name| Arc::strong_count(&name.0) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_gives_one_allocation_per_name_and_forgets_unused_ones() {
        let mut pool = NamePool::default();
        let first = pool.user("ada");
        let second = pool.user("ada");
        assert!(Arc::ptr_eq(&first.0, &second.0));
        pool.user("gone");
        pool.shrink();
        assert_eq!(pool.users.len(), 1);
    }
}
