//! The body of a request, within bounds: of one, and of all that are read at the same time.

use super::error::ApiError;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::StreamExt as _;
use std::io::Write as _;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest body, after it was unpacked.
pub(crate) const BODY_MAX_BYTES: usize = 16 * 1024 * 1024;
/// All bodies that are read or dealt with at the same time, in KiB: what keeps a crowd of senders
/// from filling the memory.
const ALL_BODIES_KIB: usize = 64 * 1024;
/// Longest silence of a sender in the middle of a body.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Memory for bodies.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// A body with the room that it takes.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BODIES_KIB)))
    }
}

impl Room {
    /// Reads the whole body, unpacked if it is gzip; refuses what is too large, as soon as that is
    /// known, and everything while there is no room.
    pub(super) async fn read(&self, request: Request<Body>) -> Result<Read, ApiError> {
        let (parts, body) = request.into_parts();
        let encoding = Encoding::of(&parts.headers)?;
        let announced = announced_bytes(&parts.headers);
        if announced.is_some_and(|bytes| bytes > BODY_MAX_BYTES) {
            return Err(too_large());
        }
        let expected = match (encoding, announced) {
            (Encoding::Plain, Some(bytes)) => bytes,
            _ => BODY_MAX_BYTES,
        };
        let room = self.take(expected)?;
        let bytes = match encoding {
            Encoding::Plain => plain(body).await?,
            Encoding::Gzip => unpacked(body).await?,
        };
        Ok(Read {
            bytes: bytes.into(),
            _room: room,
        })
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0).try_acquire_many_owned(kib);
        room.map_err(|_| ApiError::Busy("too many requests are being read".to_owned()))
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Plain,
    Gzip,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else {
            return Ok(Self::Plain);
        };
        match value.to_str().map(str::trim) {
            Ok("" | "identity") => Ok(Self::Plain),
            Ok("gzip" | "x-gzip") => Ok(Self::Gzip),
            _ => Err(ApiError::Bad(
                "`Content-Encoding` is neither `gzip` nor `identity`".to_owned(),
            )),
        }
    }
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn too_large() -> ApiError {
    let mib = BODY_MAX_BYTES / 1024 / 1024;
    ApiError::TooLarge(format!("larger than {mib} MiB: send it in parts"))
}

async fn plain(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = next(&mut chunks).await? {
        if bytes.len() + chunk.len() > BODY_MAX_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Unpacks as it comes, so that a small body cannot become a large one unseen.
async fn unpacked(body: Body) -> Result<Vec<u8>, ApiError> {
    let broken = |_| ApiError::Bad("the body is not gzip, or ends early".to_owned());
    let mut decoder = MultiGzDecoder::new(Bounded::default());
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = next(&mut chunks).await? {
        // Some KiB of input may unpack to a thousand times that: looked at after each of them.
        for part in chunk.chunks(4096) {
            if let Err(error) = decoder.write_all(part) {
                return Err(if decoder.get_ref().is_full {
                    too_large()
                } else {
                    broken(error)
                });
            }
        }
    }
    let is_full = decoder.get_ref().is_full;
    let bytes = decoder
        .finish()
        .map_err(|error| if is_full { too_large() } else { broken(error) })?;
    if bytes.is_full {
        return Err(too_large());
    }
    Ok(bytes.bytes)
}

async fn next(chunks: &mut axum::body::BodyDataStream) -> Result<Option<Bytes>, ApiError> {
    let early = || ApiError::Bad("the body ended early".to_owned());
    match tokio::time::timeout(PATIENCE, chunks.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(chunk)) => chunk.map(Some).map_err(|_| early()),
        Err(_) => Err(early()),
    }
}

/// Bytes up to the limit.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl std::io::Write for Bounded {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + more.len() > BODY_MAX_BYTES {
            self.is_full = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
