//! `POST api/v1/events`: items of any dialect, answered once they are on the disk.

use super::body::{self, SMALL_BYTES};
use super::error::ApiError;
use super::split;
use crate::events::{Batch, Reader};
use crate::metrics::Arrival;
use crate::poll::clock::now;
use crate::web::{Site, access};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Items of one request: the reply names each that was rejected.
const MAX_ITEMS: usize = 100_000;
/// Rejected items that the reply names; all are kept.
const MAX_REASONS: usize = 1000;
/// Where rejected items came from.
const ROAD: &str = "http";
/// Items of a large body, for which there has to be room before it is read.
const LARGE_BATCH: usize = 1000;

/// What became of the items.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::web) struct TakenReply {
    /// Events that are new, as far as can be known at once: of those that are older than a day
    /// only the next write into the history tells, and counts them once.
    accepted: usize,
    /// Events that were.
    known: usize,
    /// How many items could not be read; they are kept in `dead_letters`.
    n_rejected: usize,
    /// The first thousand of them.
    rejected: Vec<RejectedReply>,
}

/// An item that could not be read.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RejectedReply {
    /// Its place in the request, from 0.
    pub(super) index: usize,
    /// Why.
    pub(super) reason: String,
}

/// `POST api/v1/events`
pub(in crate::web) async fn take(
    State(site): State<Site>,
    request: Request<Body>,
) -> Result<Json<TakenReply>, ApiError> {
    access::may_write_events(&site, request.headers()).await?;
    let announced = body::announced_bytes(request.headers());
    let is_small = announced.is_some_and(|bytes| bytes <= SMALL_BYTES);
    site.sink
        .check_room(if is_small { 1 } else { LARGE_BATCH })?;
    let read = site.room.read(request).await?;
    let hub = Arc::clone(site.sink.hub());
    // Small ones are read here: handing them over takes longer.
    let (batch, rejected, _read) = if read.bytes.len() <= SMALL_BYTES {
        let (batch, rejected) = batch_of(&read.bytes, hub)?;
        (batch, rejected, read)
    } else {
        // Its room goes with it: the client may hang up, and the thread goes on.
        let reading = tokio::task::spawn_blocking(move || {
            let (batch, rejected) = batch_of(&read.bytes, hub)?;
            Ok::<_, ApiError>((batch, rejected, read))
        });
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
    let items = split::items(body, MAX_ITEMS);
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
    let batch = Batch {
        arrival: Arrival::Live,
        ..Batch::of(ROAD, read)
    };
    Ok((batch, rejected))
}
