//! Whose a directory, unit or account is: names that templates make of users, looked up backwards.
//!
//! A name is never taken apart: escapes are not unique, and users choose their names. So every known
//! user's names are made, and a name that two users share is nobody's.

use crate::names::UserName;
use crate::slug;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// Characters from which The Littlest JupyterHub cuts a prefixed account name.
const TLJH_MOST: usize = 26;

/// How a name is made of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

/// Who has which name.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    by_name: HashMap<String, Owner>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    One(UserName),
    Several,
}

impl Template {
    /// A text in which `{username}`, `{USERNAME}`, `{escaped}`, `{safe}` and `{account}` stand for a
    /// user's names; everything else stands for itself.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The name that this user has.
    pub fn name_of(&self, user: &UserName) -> String {
        let name = user.as_str();
        let mut made = String::with_capacity(self.0.len() + name.len());
        let mut rest = self.0.as_str();
        // In one pass, since a user may be called `{safe}`.
        while let Some(start) = rest.find('{') {
            made.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            match &rest[..end] {
                "{username}" | "{USERNAME}" => made.push_str(name),
                "{escaped}" => made.push_str(&slug::escaped(name)),
                "{safe}" => made.push_str(&slug::safe(name)),
                "{account}" => made.push_str(&tljh_account(name)),
                other => made.push_str(other),
            }
            rest = &rest[end..];
        }
        made.push_str(rest);
        made
    }
}

impl Owners {
    /// All names that these templates make of these users.
    pub fn new<'a>(users: impl IntoIterator<Item = &'a UserName>, templates: &[Template]) -> Self {
        let mut by_name: HashMap<String, Owner> = HashMap::new();
        for user in users {
            for template in templates {
                let owner = by_name.entry(template.name_of(user));
                owner
                    .and_modify(|owner| {
                        if *owner != Owner::One(user.clone()) {
                            *owner = Owner::Several;
                        }
                    })
                    .or_insert_with(|| Owner::One(user.clone()));
            }
        }
        Self { by_name }
    }

    /// Whose this name is; nobody's if no user has it, or several have.
    pub fn owner_of(&self, name: &str) -> Option<&UserName> {
        match self.by_name.get(name)? {
            Owner::One(user) => Some(user),
            Owner::Several => None,
        }
    }

    /// Each name that one user has, with its user.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &UserName)> {
        self.by_name.iter().filter_map(|(name, owner)| match owner {
            Owner::One(user) => Some((name.as_str(), user)),
            Owner::Several => None,
        })
    }
}

/// The account that The Littlest JupyterHub gives a user: `jupyter-` before the name, and of 26
/// characters and more the first 26, `-`, and five digits of the SHA-256
/// (`tljh/normalize.py`, `generate_system_username`).
pub fn tljh_account(user: &str) -> String {
    let name = format!("jupyter-{user}");
    if name.chars().count() < TLJH_MOST {
        return name;
    }
    let hash = Sha256::digest(name.as_bytes());
    let digits = format!("{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2]);
    let cut: String = name.chars().take(TLJH_MOST).collect();
    format!("{cut}-{}", &digits[..5])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_users_share_is_nobodys() {
        let users = ["ada", "Ada", "grace"].map(UserName::from);
        let templates = [Template::new("{escaped}"), Template::new("{username}")];
        let owners = Owners::new(&users, &templates);
        assert_eq!(owners.owner_of("grace"), Some(&users[2]));
        assert_eq!(owners.owner_of("nobody"), None);
        // The escape of `Ada` is `-41da`, and its name is its own.
        assert_eq!(owners.owner_of("Ada"), Some(&users[1]));
        let same = Owners::new(&users, &[Template::new("home")]);
        assert_eq!(same.owner_of("home"), None);
    }

    #[test]
    fn a_user_called_like_a_template_is_not_one() {
        let user = UserName::from("{safe}");
        assert_eq!(Template::new("h-{username}-x").name_of(&user), "h-{safe}-x");
        assert_eq!(Template::new("{other} {").name_of(&user), "{other} {");
    }

    /// Digits by `printf jupyter-abcdefghijklmnopqr | sha256sum`.
    #[test]
    fn long_accounts_are_cut_as_in_the_littlest_jupyterhub() {
        assert_eq!(tljh_account("ada"), "jupyter-ada");
        assert_eq!(
            tljh_account("abcdefghijklmnopq"),
            "jupyter-abcdefghijklmnopq"
        );
        assert_eq!(
            tljh_account("abcdefghijklmnopqr"),
            "jupyter-abcdefghijklmnopqr-e375e"
        );
    }
}
