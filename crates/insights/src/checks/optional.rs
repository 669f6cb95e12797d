//! Optional parts that are not set up: what each would give, and the line that turns it on.
//!
//! Whether something that is set up works is the business of the checks. Like them this never asks the
//! hub, and names nobody.

use crate::config::{Config, KeepConfig};
use crate::events::Source;

/// Who sends what only the hub's own hooks see.
const HOOKS: &str = "hooks";

/// A part that is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What it is.
    pub name: &'static str,
    /// What there would be.
    pub gives: &'static str,
    /// What to write where; settings and commands stand between backticks.
    pub line: &'static str,
}

/// What there is, as far as it is known without asking.
#[derive(Clone, Copy, Debug)]
pub struct Present<'a> {
    /// What was configured.
    pub config: &'a Config,
    /// Whether a history is kept.
    pub has_history: bool,
    /// Where it is read what servers use, if anywhere.
    pub usage_source: Option<&'static str>,
    /// Whether sizes of homes were looked at since the service began.
    pub has_homes: bool,
    /// Who sent events.
    pub senders: &'a [Source],
    /// Whether a group has an owner at the hub.
    pub has_owners: bool,
}

impl Present<'_> {
    /// All that is not there, in a fixed order.
    pub fn missing(&self) -> Vec<Missing> {
        let all = [
            self.history(),
            self.usage(),
            self.homes(),
            self.hooks(),
            self.networks(),
            self.owners(),
        ];
        all.into_iter().flatten().collect()
    }

    fn history(&self) -> Option<Missing> {
        let line = match self.config.store.keep {
            KeepConfig::Never => "`store.keep = \"auto\"`, and `store.path` to say in which folder",
            KeepConfig::Auto | KeepConfig::Always => {
                "`store.path = \"/var/lib/jupyterhub-insights\"`: a folder that the service may write to"
            }
        };
        (!self.has_history).then_some(Missing {
            name: "History",
            gives: "Reports, pages about more than the present, last sessions, share links.",
            line,
        })
    }

    fn usage(&self) -> Option<Missing> {
        self.usage_source.is_none().then_some(Missing {
            name: "What servers use",
            gives: "CPU, memory and GPUs by user, group and day, sizes that fit, and Machines.",
            line: "`prometheus.url = \"http://prometheus:9090/\"` where servers are pods, \
                   `usage.source = \"local\"` where they run on the same machine as this service",
        })
    }

    fn homes(&self) -> Option<Missing> {
        let line = match self.usage_source? {
            "local" if self.config.local.homes.is_empty() => "`local.homes = \"/home/{username}\"`",
            "prometheus" => "run prometheus-dirsize-exporter where `prometheus.url` leads",
            // Those of the demo, and those that are looked at but not yet or in vain, which a check tells.
            _ => return None,
        };
        (!self.has_homes).then_some(Missing {
            name: "Sizes of homes",
            gives: "Storage by user, group and day.",
            line,
        })
    }

    fn hooks(&self) -> Option<Missing> {
        let is_heard = self.senders.iter().any(|sender| sender.name == HOOKS);
        (!is_heard).then_some(Missing {
            name: "The hub's hooks",
            gives: "Logins, spawns that failed and how long they took, servers that died.",
            line: "`import jupyterhub_insights; jupyterhub_insights.configure(c)` in \
                   `jupyterhub_config.py`; they are heard of at the hub's next start",
        })
    }

    fn networks(&self) -> Option<Missing> {
        self.config.reports.networks.is_empty().then_some(Missing {
            name: "Logins by network",
            gives: "How many logins came from where, in ranges of addresses that you name.",
            line: "`reports.networks = [\"campus=10.0.0.0/8\"]`, with \
                   `jupyterhub_insights.configure(c, addresses=True)` at the hub",
        })
    }

    fn owners(&self) -> Option<Missing> {
        let has_owners = self.has_owners || !self.config.access.owners.is_empty();
        (!has_owners).then_some(Missing {
            name: "Owners of groups",
            gives: "Whoever teaches a course sees the pages of its group, and nothing else of the hub.",
            line: "`access.owners = [\"physics=ada\"]`, or the group's property `insights_owners` at the \
                   hub",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Liveness, SourceState};
    use std::collections::BTreeMap;

    fn sender(name: &str) -> Source {
        Source {
            name: name.to_owned(),
            state: SourceState {
                last_arrived: "2026-11-22T08:00:00Z".parse().unwrap(),
                n_items: 1,
                kinds: BTreeMap::new(),
                start_told: None,
            },
            liveness: Liveness::Live,
        }
    }

    fn nothing(config: &Config) -> Present<'_> {
        Present {
            config,
            has_history: false,
            usage_source: None,
            has_homes: false,
            senders: &[],
            has_owners: false,
        }
    }

    fn names(present: Present<'_>) -> Vec<&'static str> {
        let missing = present.missing().into_iter();
        missing.map(|missing| missing.name).collect()
    }

    #[test]
    fn a_bare_service_is_told_of_all_of_it() {
        let config = Config::default();
        let expected = [
            "History",
            "What servers use",
            "The hub's hooks",
            "Logins by network",
            "Owners of groups",
        ];
        assert_eq!(names(nothing(&config)), expected);
    }

    #[test]
    fn what_is_there_is_not_told_of() {
        let mut config = Config::default();
        config.reports.networks = vec!["campus=10.0.0.0/8".to_owned()];
        config.access.owners = vec!["physics=ada".to_owned()];
        let senders = [sender("hub"), sender("hooks")];
        let all = Present {
            config: &config,
            has_history: true,
            usage_source: Some("prometheus"),
            has_homes: true,
            senders: &senders,
            has_owners: false,
        };
        assert!(names(all).is_empty());
        let only_hub = Present {
            senders: &senders[..1],
            ..all
        };
        assert_eq!(names(only_hub), ["The hub's hooks"]);
        let bare = Config::default();
        let named_at_the_hub = Present {
            config: &bare,
            has_owners: true,
            ..all
        };
        assert_eq!(names(named_at_the_hub), ["Logins by network"]);
    }

    #[test]
    fn homes_are_turned_on_where_usage_is_read() {
        let line = |source, homes: &str| {
            let mut config = Config::default();
            config.local.homes = homes.to_owned();
            let present = Present {
                usage_source: Some(source),
                ..nothing(&config)
            };
            let missing = present.missing().into_iter();
            let mut homes = missing.filter(|missing| missing.name == "Sizes of homes");
            homes.next().map(|missing| missing.line)
        };
        assert_eq!(
            line("local", ""),
            Some("`local.homes = \"/home/{username}\"`")
        );
        assert_eq!(line("local", "/home/{username}"), None);
        assert!(line("prometheus", "").unwrap().contains("dirsize"));
        assert_eq!(line("simulated", ""), None);
    }

    /// A line of ours that the configuration does not know would be worse than none.
    #[test]
    fn the_lines_can_be_written_into_the_file() {
        let mut config = Config::default();
        config.store.keep = KeepConfig::Never;
        for missing in nothing(&config).missing() {
            let quoted = missing.line.split('`').skip(1).step_by(2);
            for line in quoted.filter(|text| text.contains(" = ")) {
                let parsed = toml::from_str::<Config>(line);
                assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
            }
        }
    }
}
