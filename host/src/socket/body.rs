//! Bodies of HTTP messages, read within a bound, and what many of them hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// Why a body is not read to its end.
#[derive(Debug)]
pub enum Unread<E> {
    /// It is longer than it may be.
    TooLong,
    /// There is no room for it.
    Full(E),
    Broken(hyper::Error),
}

/// Reads the whole body, of `limit` bytes at most. `room` is asked for the room of each
/// piece. Pieces are copied at once: many of a byte each would hold a multiple of that.
///
/// # Errors
/// Why it is not read to its end.
pub async fn read<E>(
    mut body: Incoming,
    limit: u64,
    mut room: impl FnMut(u64) -> Result<(), E>,
) -> Result<Vec<u8>, Unread<E>> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(Unread::Broken)?.into_data() else { continue };
        if (bytes.len() + piece.len()) as u64 > limit {
            return Err(Unread::TooLong);
        }
        room(piece.len() as u64).map_err(Unread::Full)?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Bytes that may be held at a time.
#[derive(Debug)]
pub struct Budget {
    pub most: u64,
    held: AtomicU64,
}

impl Budget {
    pub fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, held: AtomicU64::new(0) })
    }

    /// Holds more bytes, if there is room for them.
    pub fn take(&self, bytes: u64) -> bool {
        let more = |held: u64| held.checked_add(bytes).filter(|held| *held <= self.most);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}
