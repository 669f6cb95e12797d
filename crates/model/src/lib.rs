//! Values and rules of jupyterhub-insights: what the hub told us, and what follows from it.
//!
//! Pure: plain values in, plain values out. No files, sockets, clock or async belong here, and
//! no JSON: the `hub` module of the service converts the hub's replies into these types.

pub mod at_once;
pub mod attribution;
pub mod came;
pub mod days;
pub mod diff;
pub mod fact;
pub mod filter;
pub mod homes;
pub mod last_seen;
pub mod names;
pub mod session;
pub mod slug;
pub mod snapshot;
pub mod suppression;
pub mod tally;
pub mod usage;
pub mod viewer;
