//! A request's body, read within its bounds.

use std::time::Duration;

use hyper::body::{Body as _, Incoming};

use crate::message::Response;
use crate::socket::body::{self, Unread};

use super::budget::Share;

/// What a budget counts of requests.
pub const BODIES: &str = "requests that are received or under way";

/// Reads the whole body, of `limit` bytes at most. One that announces too much need
/// not send it.
///
/// # Errors
/// The answer to one that is too long, too slow, one too many, or broken.
pub async fn whole(
    body: Incoming,
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
    let reading = body::read(body, limit, |bytes| share.grow(bytes));
    match tokio::time::timeout(patience, reading).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(Unread::TooLong)) => Err(too_large()),
        Ok(Err(Unread::Full(full))) => Err(full.refusal(BODIES)),
        Ok(Err(Unread::Broken(error))) => {
            Err(Response::detail(400, format!("the body cannot be read: {error}")))
        }
        Err(_) => {
            let limit = crate::clock::show(crate::clock::nanos(patience));
            let detail = format!("the body has not come within limits.client-time = {limit}");
            Err(Response::bounded(408, "limits.client-time", detail))
        }
    }
}
