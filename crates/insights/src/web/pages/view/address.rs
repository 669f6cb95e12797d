//! Addresses of our own pages, written so that no name in them can be taken for anything else.

use std::fmt;
use url::form_urlencoded::byte_serialize;

/// An address below our prefix.
///
/// Names belong into the query (`users/one?name=..`): a browser takes a step called `..` for one up,
/// however it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    path: String,
    query: String,
}

impl Address {
    /// A page of ours: `below("/services/insights/", "reports")`.
    pub(crate) fn below(prefix: &str, path: &str) -> Self {
        Self {
            path: format!("{prefix}{path}"),
            query: String::new(),
        }
    }

    /// The same with something more in its query; without it if the value is empty.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        if value.is_empty() {
            return self;
        }
        self.query
            .push(if self.query.is_empty() { '?' } else { '&' });
        self.query.extend(byte_serialize(key.as_bytes()));
        self.query.push('=');
        self.query.extend(byte_serialize(value.as_bytes()));
        self
    }

    /// Without its query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<&Address> for String {
    fn from(address: &Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path, self.query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        let cases = [
            ("ada", "/x/users?name=ada"),
            ("../../x", "/x/users?name=..%2F..%2Fx"),
            ("a&b=c#d", "/x/users?name=a%26b%3Dc%23d"),
            (
                "<script>alert(1)</script>",
                "/x/users?name=%3Cscript%3Ealert%281%29%3C%2Fscript%3E",
            ),
            ("山 田", "/x/users?name=%E5%B1%B1+%E7%94%B0"),
            ("", "/x/users"),
        ];
        for (name, expected) in cases {
            let address = Address::below("/x/", "users").with("name", name);
            assert_eq!(address.to_string(), expected);
        }
    }

    #[test]
    fn a_query_has_all_that_was_said() {
        let address = Address::below("/", "parts/a").with("from", "6 days ago");
        let address = address.with("hub", "").with("group", "x");
        assert_eq!(address.to_string(), "/parts/a?from=6+days+ago&group=x");
    }
}
