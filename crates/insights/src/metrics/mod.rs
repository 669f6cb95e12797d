//! Everything that Prometheus reads.
//!
//! Who may read it is the business of `web`.

pub mod active_users;
pub mod counted;
mod counting;
mod derived;
pub mod described;
pub mod docs;
pub mod exposition;
pub mod families;
mod hub_counts;
pub mod live;
pub mod own;
mod piece;
mod published;
mod sources;
pub mod usage;

pub use counting::{Arrival, Counting};
pub use derived::{Naming, OWN_EVENTS};
pub use hub_counts::{HubCounts, Look};
pub use published::Published;

#[cfg(test)]
mod tests;
