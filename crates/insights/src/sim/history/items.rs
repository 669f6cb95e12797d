//! Items that others sent to the service, as they write them: what hooks in the hub tell, and the
//! launches of a BinderHub. What happened when does not belong here.

use super::calendar::{SECOND, timestamp};
use crate::sim::draw::Draw;
use jiff::Timestamp;
use model::names::UserName;
use serde::Serialize;
use std::sync::Arc;

pub(super) const SPAWNER: &str = "KubeSpawner";
pub(super) const AUTHENTICATOR: &str = "LDAPAuthenticator";
/// What the hooks of the simulated hub tell.
const KINDS: &[&str] = &[
    "login",
    "login-failed",
    "logout",
    "spawn-asked",
    "spawn-succeeded",
    "spawn-failed",
];

/// An item as it is sent, but for its text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// Of `jupyterhub_insights.py` in the hub.
    Hook(HookItem),
    /// Of a BinderHub.
    Launch(Launch),
}

/// What our hooks in the hub send.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HookItem {
    /// Tells it from all others.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: &'static str,
    /// Who it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Which server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Arc<str>>,
    pub(super) source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<Detail>,
}

/// What hooks say beside who and when; docs/hub-side.md describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Detail {
    /// Of `hub-started`.
    HubStarted {
        version: &'static str,
        spawner: &'static str,
        authenticator: &'static str,
        hooks: &'static [&'static str],
    },
    /// Of `login-failed`.
    LoginFailed {
        authenticator: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        known_user: bool,
    },
    /// Of `login`.
    Login {
        authenticator: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// Of `spawn-failed`.
    Failed {
        spawner: &'static str,
        error_type: &'static str,
        seconds: f64,
    },
    /// Of `spawn-succeeded`.
    Succeeded {
        spawner: &'static str,
        seconds: f64,
        launch_seconds: f64,
    },
    /// Of `spawn-asked`.
    Asked { spawner: &'static str },
}

/// What a BinderHub sends of a launch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Launch {
    schema: &'static str,
    version: u32,
    /// When.
    pub timestamp: Timestamp,
    /// Where the repository is.
    pub provider: &'static str,
    /// Which repository, and which version of it.
    pub spec: &'static str,
    #[serde(rename = "ref")]
    commit: String,
    status: &'static str,
    build_token: bool,
    origin: &'static str,
}

impl Item {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Hook(item) => item.at,
            Self::Launch(launch) => launch.timestamp,
        }
    }
}

impl HookItem {
    /// About a user, and one of their servers; still without a number.
    pub(super) fn about(
        kind: &'static str,
        at: i64,
        user: &UserName,
        server: Option<&Arc<str>>,
        detail: Option<Detail>,
    ) -> Self {
        Self {
            user: Some(user.clone()),
            server: server.cloned(),
            detail,
            ..Self::of_hub(kind, at)
        }
    }

    /// About nobody whom the hub knows; still without a number.
    pub(super) fn of_hub(kind: &'static str, at: i64) -> Self {
        Self {
            id: String::new(),
            at: timestamp(at),
            kind,
            user: None,
            server: None,
            source: "hooks",
            detail: None,
        }
    }

    /// The process of the hub began.
    pub(super) fn hub_started(at: i64) -> Self {
        Self {
            detail: Some(Detail::HubStarted {
                version: crate::sim::VERSION,
                spawner: SPAWNER,
                authenticator: AUTHENTICATOR,
                hooks: KINDS,
            }),
            ..Self::of_hub("hub-started", at)
        }
    }

    /// With an id that follows from this number, the kind and the time.
    #[must_use]
    pub(super) fn numbered(self, number: u64) -> Self {
        let at = self.at.as_microsecond().cast_unsigned();
        let mut draw = Draw::of([number, Draw::number_of(self.kind), at]);
        let id = format!("{:016x}{:016x}", draw.next(), draw.next());
        Self { id, ..self }
    }
}

/// What hooks tell when the process of the hub began.
pub fn of_hub_start(at: Timestamp) -> Item {
    Item::Hook(HookItem::hub_started(at.as_microsecond()).numbered(0))
}

/// What hooks tell of somebody who logs in and has their default server started at this time, which
/// takes the simulated hub no time.
pub fn of_start(user: &UserName, at: Timestamp) -> Vec<Item> {
    let at = at.as_microsecond();
    let number = Draw::number_of(user.as_str());
    let server = Arc::from("");
    let login = Detail::Login {
        authenticator: AUTHENTICATOR,
        address: Some(format!("10.20.{}.{}", number % 250, 1 + number / 250 % 250)),
    };
    let asked = Detail::Asked { spawner: SPAWNER };
    let succeeded = Detail::Succeeded {
        spawner: SPAWNER,
        seconds: 0.3,
        launch_seconds: 0.35,
    };
    let items = [
        HookItem::about("login", at - 4 * SECOND, user, None, Some(login)),
        HookItem::about("spawn-asked", at, user, Some(&server), Some(asked)),
        HookItem::about(
            "spawn-succeeded",
            at + 350_000,
            user,
            Some(&server),
            Some(succeeded),
        ),
    ];
    items.map(|item| Item::Hook(item.numbered(number))).into()
}

impl Launch {
    /// A launch that worked, since BinderHubs tell no other.
    pub(super) fn of(at: i64, (provider, spec): (&'static str, &'static str)) -> Self {
        let mut draw = Draw::of([Draw::number_of(spec)]);
        let mut commit = format!("{:016x}{:016x}", draw.next(), draw.next());
        commit.push_str("5e7d0c3a");
        Self {
            schema: crate::events::LAUNCH,
            version: 5,
            timestamp: timestamp(at),
            provider,
            spec,
            commit,
            status: "success",
            build_token: false,
            origin: "binder.hub.example.org",
        }
    }
}
