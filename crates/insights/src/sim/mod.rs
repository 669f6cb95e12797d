//! A simulated hub: a made-up [`World`] of users, groups and servers, and the REST API over it as
//! JupyterHub 6.1 answers it. For the demo, tests and benches; up to a million memberships.
//!
//! Everything a client can see of the real API's read side is the same: statuses, texts, paging,
//! fields by scope, `ETag`, and so is the OAuth that services use. `tests/it/hub_contract.rs` holds it
//! to real hubs. In place of a login there is a page on which one says who one is. Deliberately absent:
//! passwords, other pages for people, shares, the proxy's routes, services other than tokens and
//! [`ServiceClient`]s.

mod cast;
mod churn;
mod draw;
mod generate;
mod handlers;
pub mod history;
mod json;
mod listing;
mod metrics;
mod oauth;
mod offers;
mod refusal;
mod register;
mod replies;
mod scopes;
mod server;
pub mod usage;
mod world;

pub use generate::Shape;
pub use oauth::ServiceClient;
pub use scopes::Scopes;
pub use server::SimHub;
pub use world::{Group, Server, ServerState, Token, User, World};

/// Token of the read-only service in a [generated](World::generate) world.
pub const DEMO_TOKEN: &str = "demo-token";

/// What the simulated hub says it is.
pub const VERSION: &str = "6.1.1";

/// Token that may change the generated world through the API.
pub const DEMO_ADMIN_TOKEN: &str = "demo-admin-token";

/// What that token may do.
const ADMIN_SCOPES: &[&str] = &["admin:users", "admin:groups", "admin:servers", "read:hub"];
