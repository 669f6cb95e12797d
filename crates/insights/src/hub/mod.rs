//! Asks the hub. The only module that knows the hub's addresses and JSON; everybody else gets
//! `model` types and [`HubError`].
//!
//! The hub is one thread that also serves logins. So: pages are small until the hub proves fast,
//! unchanged pages come back as 304, and
//! `include_stopped_servers` (which writes to the hub's database) is never sent.

mod client;
mod error;
mod exposition;
mod numbers;
mod oauth;
mod options;
mod pages;
mod replies;
mod tls;
mod walk;

pub use client::{HubClient, RequestLog};
pub use error::{ErrorKind, HubError};
pub use numbers::{
    Bucket, Distribution, HubNumbers, Logins, Number, ProcessCounts, RequestKey, api_numbers,
};
pub use oauth::{CodeExchange, Login, OAuthClient};
pub(crate) use options::UserOptions;
pub use pages::{GroupPages, PageSize};
pub use replies::{ClassInfo, HubInfo, Identity};
pub use tls::{TlsFileError, server_config};
pub use walk::{UserWalk, WalkStep};

/// The scopes of the documented role: it only reads.
pub const ROLE_SCOPES: [&str; 8] = [
    "list:users",
    "read:users:groups",
    "read:users:activity",
    "read:servers",
    "list:groups",
    "read:groups",
    "read:metrics",
    "read:hub",
];
