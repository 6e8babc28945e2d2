//! A request's body, read within its bounds.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::message::Response;

use super::budget::Share;

/// What a budget counts of requests.
pub const BODIES: &str = "requests that are received or under way";

/// Reads the whole body, of `limit` bytes at most. One that announces too much need
/// not send it.
///
/// # Errors
/// The answer to one that is too long, too slow, one too many, or broken.
pub async fn whole(
    mut body: Incoming,
    limit: u64,
    patience: Duration,
    share: &mut Share,
) -> Result<Vec<u8>, Response> {
    let too_large = || {
        let detail = format!("the body exceeds limits.body = {limit} bytes");
        Response::bounded(413, "limits.body", detail)
    };
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let reading = async {
        // Copied at once: pieces of a byte each would cost a multiple of what they hold.
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Response::detail(400, format!("the body cannot be read: {error}")))?;
            let Ok(piece) = frame.into_data() else { continue };
            if (bytes.len() + piece.len()) as u64 > limit {
                return Err(too_large());
            }
            share.grow(piece.len() as u64).map_err(|full| full.refusal(BODIES))?;
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    match tokio::time::timeout(patience, reading).await {
        Ok(read) => read,
        Err(_) => {
            let limit = crate::clock::show(crate::clock::nanos(patience));
            let detail = format!("the body has not come within limits.client-time = {limit}");
            Err(Response::bounded(408, "limits.client-time", detail))
        }
    }
}
