//! `POST api/v1/events`: items of any dialect, answered once they are on the disk.

use super::error::ApiError;
use super::split;
use crate::events::{Batch, Reader};
use crate::poll::clock::now;
use crate::web::{Site, access};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde::Serialize;
use std::sync::Arc;

/// Items of one request: the reply names each that was rejected.
const MAX_ITEMS: usize = 100_000;
/// Rejected items that the reply names; all are kept.
const MAX_REASONS: usize = 1000;
/// Where rejected items came from.
const ROAD: &str = "http";
/// Smaller bodies are read where they arrive: handing them over takes longer.
const SMALL_BYTES: usize = 16 * 1024;

/// What became of the items.
#[derive(Debug, Serialize)]
pub(super) struct TakenReply {
    /// Events that were not known before.
    accepted: usize,
    /// Events that were.
    known: usize,
    /// How many items could not be read; they are kept in `dead_letters`.
    n_rejected: usize,
    /// The first thousand of them.
    rejected: Vec<RejectedReply>,
}

/// An item that could not be read.
#[derive(Debug, Serialize)]
pub(super) struct RejectedReply {
    /// Its place in the request, from 0.
    pub(super) index: usize,
    /// Why.
    pub(super) reason: String,
}

/// `POST api/v1/events`
pub(super) async fn take(
    State(site): State<Site>,
    request: Request<Body>,
) -> Result<Json<TakenReply>, ApiError> {
    access::may_write_events(&site, request.headers()).await?;
    site.sink.check_room(1)?;
    let read = site.room.read(request).await?;
    let hub = Arc::clone(site.sink.hub());
    let bytes = read.bytes.clone();
    let (batch, rejected) = if bytes.len() <= SMALL_BYTES {
        batch_of(&bytes, hub)?
    } else {
        let reading = tokio::task::spawn_blocking(move || batch_of(&bytes, hub));
        reading.await.map_err(|_| ApiError::Internal)??
    };
    let n_rejected = batch.rejected.len();
    let taken = site.sink.take(batch).await?;
    Ok(Json(TakenReply {
        accepted: taken.n_new,
        known: taken.n_known,
        n_rejected,
        rejected,
    }))
}

fn batch_of(body: &[u8], hub: Arc<str>) -> Result<(Batch, Vec<RejectedReply>), ApiError> {
    let items = split::items(body);
    if items.len() > MAX_ITEMS {
        let text = format!("more than {MAX_ITEMS} items: send them in parts");
        return Err(ApiError::TooLarge(text));
    }
    let mut reader = Reader::new(hub);
    let now = now();
    let read: Vec<_> = items.iter().map(|item| reader.read(item, now)).collect();
    let rejected = read
        .iter()
        .enumerate()
        .filter_map(|(index, item)| match item {
            crate::events::Item::Rejected(rejected) => Some(RejectedReply {
                index,
                reason: rejected.reason.clone(),
            }),
            crate::events::Item::Event(_) => None,
        });
    let rejected = rejected.take(MAX_REASONS).collect();
    Ok((Batch::of(ROAD, read), rejected))
}
