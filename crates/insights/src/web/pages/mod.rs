//! Pages for people: each gathers what it shows and who may see it, and hands it to its template.
//!
//! How pages look is the business of [`view`] and its templates; figures come from reports and from the
//! snapshot, never from here.

mod asked;
mod empty;
mod frame;
pub(super) mod groups;
pub(super) mod health;
pub(super) mod machines;
pub(super) mod me;
pub(super) mod message;
pub(super) mod my_share;
pub(super) mod newest;
pub(super) mod now;
mod numbers;
pub(super) mod overview;
mod part;
pub(super) mod reports;
pub(super) mod shared;
pub(super) mod shells;
pub(super) mod users;
pub(super) mod view;

pub(super) use asked::{answers, request_of, value_of};
pub(super) use empty::DAYS_BETWEEN;
pub(super) use message::told;
pub(super) use part::{Look, Ways, part_of};
