//! Everything under `api/v1/`: JSON in, JSON out, never a page.
//!
//! Who may ask for what says [`super::routes`]; what of it is theirs, [`super::sight`].

mod asked;
mod body;
pub(super) mod custom;
mod error;
pub(super) mod events;
pub(super) mod list;
pub(super) mod me;
pub(super) mod openapi;
pub(super) mod reports;
mod split;
pub(super) mod sql;

pub(crate) use body::Room;
pub(super) use error::ApiError;
#[cfg(test)]
pub(crate) use split::items as body_items;

use super::Refusal;
use axum::response::{IntoResponse as _, Response};

/// Somebody whose token is not good enough.
pub(super) fn refused(refusal: Refusal) -> Response {
    ApiError::Refused(refusal).into_response()
}

/// Somebody of whom nothing is known.
pub(super) fn unauthorized(told: &str) -> Response {
    ApiError::Unauthorized(told.to_owned()).into_response()
}

/// Somebody who may not.
pub(super) fn forbidden(told: &str) -> Response {
    ApiError::Denied(told.to_owned()).into_response()
}
