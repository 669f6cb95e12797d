//! The body of a request, within bounds: of one, and of all that are read at the same time.

use super::error::ApiError;
use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, Request, header};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::StreamExt as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The largest body, packed or not.
const BODY_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Bodies of which the sender says that they are small.
pub(super) const SMALL_BYTES: usize = 16 * 1024;
/// All bodies that are read or dealt with at the same time, in KiB: what keeps a crowd of senders
/// from filling the memory.
const ALL_BODIES_KIB: usize = 64 * 1024;
/// Large bodies whose items are read at the same time: as rows they take several times as much.
const LARGE_AT_ONCE: usize = 2;
/// A sender that takes longer for one body has to begin again.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest silence of a sender in the middle of a body.
const SILENCE: Duration = Duration::from_secs(20);

/// Memory for bodies.
#[derive(Clone)]
pub(crate) struct Room {
    kib: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// A body with the room that it takes, and its turn if it is large.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _room: Reserved,
    _turn: Option<OwnedSemaphorePermit>,
}

/// How large a body is, as far as its sender tells before it is read.
pub(super) fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return None;
    }
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

impl Default for Room {
    fn default() -> Self {
        Self {
            kib: Arc::new(Semaphore::new(ALL_BODIES_KIB)),
            turns: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        }
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
        let mut room = Reserved::of(&self.kib);
        room.grow_to(announced.unwrap_or(SMALL_BYTES))?;
        let mut incoming = Incoming {
            chunks: body.into_data_stream(),
            until: Instant::now() + PATIENCE,
            n_bytes: 0,
        };
        let bytes = match encoding {
            Encoding::Plain => plain(&mut incoming, &mut room).await?,
            Encoding::Gzip => unpacked(&mut incoming, &mut room).await?,
        };
        let turn = if bytes.len() > SMALL_BYTES {
            // Never closed, so that it is always given.
            Arc::clone(&self.turns).acquire_owned().await.ok()
        } else {
            None
        };
        Ok(Read {
            bytes: bytes.into(),
            _room: room,
            _turn: turn,
        })
    }
}

/// Room that grows with what comes.
struct Reserved {
    kib: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Reserved {
    fn of(kib: &Arc<Semaphore>) -> Self {
        Self {
            kib: Arc::clone(kib),
            permit: None,
        }
    }

    fn grow_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        let needed = bytes.div_ceil(1024);
        let held = self
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        if needed <= held {
            return Ok(());
        }
        let more = u32::try_from(needed - held).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.kib)
            .try_acquire_many_owned(more)
            .map_err(|_| ApiError::Busy("too many requests are being read".to_owned()))?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
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

fn too_large() -> ApiError {
    let mib = BODY_MAX_BYTES / 1024 / 1024;
    ApiError::TooLarge(format!("larger than {mib} MiB: send it in parts"))
}

/// A body as it comes, within time and size.
struct Incoming {
    chunks: BodyDataStream,
    until: Instant,
    n_bytes: usize,
}

impl Incoming {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let late = || ApiError::Late("the body did not come in time: send it again".to_owned());
        let until = self.until.min(Instant::now() + SILENCE);
        let Ok(chunk) = tokio::time::timeout_at(until, self.chunks.next()).await else {
            return Err(late());
        };
        let Some(chunk) = chunk.transpose().map_err(|_| late())? else {
            return Ok(None);
        };
        self.n_bytes += chunk.len();
        if self.n_bytes > BODY_MAX_BYTES {
            return Err(too_large());
        }
        Ok(Some(chunk))
    }
}

async fn plain(incoming: &mut Incoming, room: &mut Reserved) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = incoming.next().await? {
        room.grow_to(bytes.len() + chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Unpacks as it comes, so that a small body cannot become a large one unseen.
async fn unpacked(incoming: &mut Incoming, room: &mut Reserved) -> Result<Vec<u8>, ApiError> {
    let mut decoder = MultiGzDecoder::new(Bounded::default());
    while let Some(chunk) = incoming.next().await? {
        // Some KiB of input may unpack to a thousand times that: looked at after each of them.
        for part in chunk.chunks(1024) {
            if decoder.write_all(part).is_err() {
                return Err(decoder.get_ref().refusal());
            }
            room.grow_to(decoder.get_ref().bytes.len())?;
        }
    }
    if decoder.try_finish().is_err() {
        return Err(decoder.get_ref().refusal());
    }
    room.grow_to(decoder.get_ref().bytes.len())?;
    Ok(std::mem::take(&mut decoder.get_mut().bytes))
}

/// Bytes up to the limit.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Bounded {
    /// Why unpacking ended.
    fn refusal(&self) -> ApiError {
        if self.is_full {
            too_large()
        } else {
            ApiError::Bad("the body is not gzip, or ends early".to_owned())
        }
    }
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
