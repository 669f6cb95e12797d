//! A real hub with our service behind its proxy, people of every sort, and a past: for tests of who
//! sees what.

use super::{
    HubOptions, ManagedService, RealHub, WRITER_TOKEN, block_on, http, sql, tools, until, variable,
};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

// Names that stand in no text of ours and in no other name.
pub(crate) const ADMIN: &str = "ibex-root";
/// Of [`ZEBRA`], by the property of the group.
pub(crate) const OWNER: &str = "heron-olga";
/// Of [`QUOKKA`], by the configuration.
pub(crate) const CONFIGURED_OWNER: &str = "egret-otto";
/// In both groups.
pub(crate) const USER: &str = "lynx-uma";
/// In [`ZEBRA`] only.
pub(crate) const FELLOW: &str = "civet-wanda";
/// In [`QUOKKA`] only.
pub(crate) const OTHER: &str = "tapir-xeno";
/// May not open the service.
pub(crate) const STRANGER: &str = "gecko-sid";
/// Has a server with pages of their own.
pub(crate) const ATTACKER: &str = "mallory-stoat";

pub(crate) const ZEBRA: &str = "course-zebra-a";
pub(crate) const QUOKKA: &str = "course-quokka-b";
pub(crate) const EVIL_GROUP: &str = "';--";

/// People whom the hub does not know any more.
pub(crate) const EVIL_USER: &str = "<script>alert(1)</script>";
pub(crate) const LOST_USER: &str = "../../x";
/// One whom it knows; names at a hub hold no slash.
pub(crate) const EVIL_USER_OF_HUB: &str = "<svg onload=alert(1)>";

/// Where [`OTHER`] and [`FELLOW`] logged in from, and what they run.
pub(crate) const OTHER_ADDRESS: &str = "203.0.113.77";
pub(crate) const FELLOW_ADDRESS: &str = "198.51.100.93";
pub(crate) const IMAGE: &str = "registry.invalid/moray-image";

const DAYS: i64 = 12;

/// A hub, and where its service keeps the history.
pub(crate) struct WebHub {
    pub(crate) hub: RealHub,
    pub(crate) store: PathBuf,
    _folder: tempfile::TempDir,
}

impl WebHub {
    /// Ready to be looked at.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("web-").tempdir().unwrap();
        let store = folder.path().join("store");
        let service = ManagedService {
            environment: json!({
                "JUPYTERHUB_INSIGHTS__HUB__INTERVAL_SECONDS": "1",
                "JUPYTERHUB_INSIGHTS__STORE__PATH": store,
                "JUPYTERHUB_INSIGHTS__STORE__KEEP": "always",
                "JUPYTERHUB_INSIGHTS__STORE__FLUSH_INTERVAL_SECONDS": "5",
                "JUPYTERHUB_INSIGHTS__USAGE__INTERVAL_SECONDS": "5",
                "JUPYTERHUB_INSIGHTS__ACCESS__OWNERS":
                    json!([format!("{QUOKKA}={CONFIGURED_OWNER}")]).to_string(),
            }),
            ..ManagedService::default()
        };
        let visitors = [OWNER, CONFIGURED_OWNER, USER, FELLOW, OTHER, ATTACKER];
        let server = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/python/browser/servers.py"
        );
        let spawner = json!({
            "cmd": [tools().join("hub-6.1/bin/python"), server],
            "poll_interval": 1,
        });
        let hub = RealHub::start(HubOptions {
            service: Some(service),
            variables: vec![
                (
                    "INSIGHTS_CONFIGURE",
                    json!({"everyone": false, "addresses": true}).to_string(),
                ),
                ("SERVICE_VISITORS", json!(visitors).to_string()),
                ("HUB_CONFIG", json!({"Spawner": spawner}).to_string()),
            ],
            ..HubOptions::new("6.1", people())
        });
        let web = Self {
            hub,
            store,
            _folder: folder,
        };
        web.plant();
        web
    }

    /// Names an owner as a site would, and tells what happened before.
    fn plant(&self) {
        let properties = json!({"insights_owners": [OWNER]});
        let path = format!("groups/{ZEBRA}/properties");
        let (status, reply) = self.hub.api(Method::PUT, &path, &properties);
        assert_eq!(status, 200, "{reply}");
        let evil = json!({"usernames": [EVIL_USER_OF_HUB]});
        let (status, reply) = self.hub.api(Method::POST, "users", &evil);
        assert_eq!(status, 201, "{reply}");
        let events = past();
        let url = self.hub.service_url("api/v1/events");
        let told = until("the service to take events", || {
            let reply = crate::events::send(&url, Some(WRITER_TOKEN), events.as_bytes(), &[]);
            (reply.status < 300).then_some(())
        });
        told.unwrap_or_else(|| panic!("{}", self.hub.log()));
        let query = r#"select count(distinct "user") from sessions"#;
        until("the past to be known", || {
            let answer = sql(&self.store, query);
            (answer.code == Some(0) && answer.rows() == ["5"]).then_some(())
        })
        .unwrap_or_else(|| panic!("{}", self.hub.log()));
        until("the owner to be known", || self.knows_owner().then_some(())).unwrap();
    }

    fn knows_owner(&self) -> bool {
        let url = self
            .hub
            .service_url(&format!("api/v1/reports/active-users?group={ZEBRA}"));
        let token = self.hub.user_token(OWNER);
        let reply = block_on(http().get(url).bearer_auth(token).send());
        reply.is_ok_and(|reply| reply.status() == 200)
    }

    /// What somebody of this role may not see, whatever they ask for.
    pub(crate) fn hidden_from(role: &str) -> Vec<&'static str> {
        let groups = [ZEBRA, QUOKKA];
        let may: &[&str] = match role {
            "admin" => return Vec::new(),
            "owner" => &[OWNER, ZEBRA, USER, FELLOW],
            "configured" => &[CONFIGURED_OWNER, QUOKKA, USER, OTHER],
            // Their own groups they know.
            "user" => &[USER, ZEBRA, QUOKKA],
            "stranger" => &[STRANGER],
            "attacker" => &[ATTACKER],
            // Who made it chose the group.
            "link" => &[ZEBRA, QUOKKA],
            "nobody" => &[],
            _ => panic!("nobody is called {role}"),
        };
        let all = [
            ADMIN,
            OWNER,
            CONFIGURED_OWNER,
            USER,
            FELLOW,
            OTHER,
            STRANGER,
            ATTACKER,
            // Pages write these in several ways; this stands in all of them.
            "svg onload",
            OTHER_ADDRESS,
            FELLOW_ADDRESS,
            IMAGE,
        ];
        let all = all.into_iter().chain(groups);
        all.filter(|name| !may.contains(name)).collect()
    }
}

fn people() -> Value {
    json!({
        "users": [OWNER, CONFIGURED_OWNER, STRANGER, ATTACKER],
        "admins": [ADMIN],
        "groups": {
            ZEBRA: {"users": [USER, FELLOW]},
            QUOKKA: {"users": [USER, OTHER]},
            EVIL_GROUP: {"users": [OTHER]},
        },
    })
}

/// Sessions of the days before, two thirds of the days each, and logins.
fn past() -> String {
    let now = insights::poll::clock::now();
    let midnight = now.as_second() - now.as_second() % 86_400;
    let at = |day: i64, minutes: i64| {
        let midnight = Timestamp::from_second(midnight).unwrap();
        midnight - SignedDuration::from_hours(24 * day) + SignedDuration::from_mins(minutes)
    };
    let mut lines = Vec::new();
    for day in 1..=DAYS {
        for (i, user) in (0..).zip([USER, FELLOW, OTHER, EVIL_USER, LOST_USER]) {
            if (day + i) % 3 == 0 {
                continue;
            }
            let begin = 8 * 60 + 35 * i;
            let mut tell = |kind: &str, minutes: i64, detail: Value| {
                lines.push(json!({
                    "kind": kind, "at": at(day, minutes), "user": user, "server": "",
                    "source": "archive", "detail": detail,
                }));
            };
            let address = match user {
                OTHER => OTHER_ADDRESS,
                FELLOW => FELLOW_ADDRESS,
                _ => "192.0.2.1",
            };
            tell("login", begin - 1, json!({"address": address}));
            tell("server-start", begin, json!({}));
            tell("server-stop", begin + 60 + 11 * day, json!({}));
        }
    }
    lines
        .iter()
        .flat_map(|line| [line.to_string(), "\n".to_owned()])
        .collect()
}

/// Where pictures of pages go.
pub(crate) fn screenshots() -> PathBuf {
    variable("INSIGHTS_SCREENSHOTS").map_or_else(
        || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots"),
        PathBuf::from,
    )
}
