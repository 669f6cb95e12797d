//! What changed from one answer of the hub to the next: memberships, users, and servers.
//!
//! The first answer is compared with nothing, so that history begins with everything that is there.
//! What follows from a server's news is `session`'s matter.

mod members;
mod restarts;
mod servers;
mod stops;

pub use members::{
    Attendance, MembershipChange, Move, UserChange, membership_changes, user_changes,
};
pub use restarts::gone_by_restart;
pub use servers::{Look, Running, ServerNews, n_gone, server_news};
pub use stops::StopCredit;
