//! Settings about people who open the pages: how they log in, and what they may see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How people log in. A service that the hub starts need not set any of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoginConfig {
    /// The service's OAuth client at the hub, which begins with `service-`. Its secret is `hub.token`.
    pub client_id: Option<String>,
    /// Where the hub sends people back to: `oauth_redirect_uri` of the service at the hub, or the path
    /// `…/oauth_callback` below `web.prefix`.
    pub callback_url: Option<String>,
    /// Address of the hub as browsers know it, with its base URL, for instance
    /// `https://hub.example.org/jupyter/`, or only the base URL where the service has the same host.
    pub hub_url: Option<String>,
    /// Scopes of which a visitor must hold one. The default is what the hub gives to visitors of the
    /// service, `access:services` or `access:services!service=NAME`.
    pub scopes: Vec<String>,
}

/// Who may see what; the table is in `docs/access.md`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Members of these groups see everything, beside the administrators of the hub.
    pub admin_groups: Vec<String>,
    /// Whoever holds one of these scopes at the hub sees everything. `custom:insights:admin` is for
    /// nothing else.
    pub admin_scopes: Vec<String>,
    /// Who looks after which group, each as `group=user`; beside those that the hub's group property
    /// `insights_owners` names.
    pub owners: Vec<String>,
    /// What they see of the members.
    pub owner_sees: OwnerSees,
    /// Figures about fewer people are not shown where aggregates are: to owners who see no names, and
    /// behind share links; 2 to 1000.
    pub least_people: u64,
    /// Let people in whose browser does not say whether they or a script opened a page: old browsers,
    /// and all of them where the hub's address begins with `http://`. There the server of any user can
    /// then read all that whoever opens it may see.
    pub trust_all_scripts: bool,
}

/// What an owner sees of the members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerSees {
    /// Names, days and hours while they were members.
    Names,
    /// Figures of the whole group.
    Aggregates,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            admin_groups: Vec::new(),
            admin_scopes: vec!["custom:insights:admin".to_owned()],
            owners: Vec::new(),
            owner_sees: OwnerSees::Names,
            least_people: 5,
            trust_all_scripts: false,
        }
    }
}

impl AccessConfig {
    /// Groups and their owners; of a text that names none, the text.
    pub fn owners(&self) -> Result<Vec<GroupOwner<'_>>, String> {
        let all = self.owners.iter().map(|text| {
            // Names of groups may hold a `=`, those of users hardly do.
            let (group, user) = text.rsplit_once('=').ok_or_else(|| text.clone())?;
            let (group, user) = (group.trim(), user.trim());
            if group.is_empty() || user.is_empty() {
                return Err(text.clone());
            }
            Ok(GroupOwner { group, user })
        });
        all.collect()
    }
}

/// Somebody who looks after a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupOwner<'a> {
    /// Name of the group.
    pub group: &'a str,
    /// Name of the user.
    pub user: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_behind_the_last_sign() {
        let owners = |text: &str| {
            let config = AccessConfig {
                owners: vec![text.to_owned()],
                ..AccessConfig::default()
            };
            let owners = config.owners();
            owners.map(|all| (all[0].group.to_owned(), all[0].user.to_owned()))
        };
        let both = |group: &str, user: &str| Ok((group.to_owned(), user.to_owned()));
        assert_eq!(owners("physics=ada"), both("physics", "ada"));
        assert_eq!(owners("a=b = ada "), both("a=b", "ada"));
        assert_eq!(owners("physics"), Err("physics".to_owned()));
        assert_eq!(owners("=ada"), Err("=ada".to_owned()));
    }
}
