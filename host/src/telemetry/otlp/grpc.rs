//! OTLP over gRPC.
//!
//! Requests are encoded before they are queued, so they go out as bytes: a
//! retry costs no copy, and the bound on the queue is a bound on memory. The
//! generated clients would want the messages back, once for every attempt.

use std::error::Error;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tokio::runtime::Handle;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::{Again, Endpoint, Failure, REPLY_BYTES, Signal, USER_AGENT, shorten, tls};

/// A connection to a receiver, made when it is needed and made anew when it breaks.
#[derive(Clone, Debug)]
pub struct Grpc {
    client: tonic::client::Grpc<Channel>,
    path: PathAndQuery,
    metadata: MetadataMap,
    timeout: Duration,
}

impl Grpc {
    pub fn new(signal: Signal, endpoint: &Endpoint, runtime: &Handle) -> Result<Self, String> {
        let channel = channel(endpoint, runtime)?;
        let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(REPLY_LIMIT);
        if endpoint.gzip {
            client = client
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip);
        }
        let path = PathAndQuery::from_static(signal.spec().method);
        let metadata = MetadataMap::from_headers(endpoint.headers.clone());
        Ok(Self { client, path, metadata, timeout: endpoint.timeout })
    }

    pub async fn send(&self, message: Bytes) -> Result<Bytes, Failure> {
        let mut client = self.client.clone();
        client.ready().await.map_err(|error| unreached(&error))?;
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(self.timeout);
        let answer = client.unary(request, self.path.clone(), Raw).await;
        answer.map(tonic::Response::into_inner).map_err(|status| match status.source().is_some_and(is_late) {
            true => Failure::late(self.timeout),
            false => judge(&status),
        })
    }
}

/// A connection to a receiver, made when it is needed. Its task is one of `runtime`.
///
/// # Errors
/// What is wrong with the endpoint or its certificates.
pub fn channel(endpoint: &Endpoint, runtime: &Handle) -> Result<Channel, String> {
    let describe = |error: tonic::transport::Error| chain(&error);
    let mut target = Channel::from_shared(endpoint.to_string())
        .map_err(|error| error.to_string())?
        .user_agent(USER_AGENT)
        .map_err(describe)?
        .timeout(endpoint.timeout)
        .connect_timeout(endpoint.timeout);
    if endpoint.url.scheme() == "https" {
        target = target.tls_config(endpoint.tls.for_grpc()).map_err(describe)?;
    }
    // The channel's own task starts on the runtime that is entered.
    let _entered = runtime.enter();
    Ok(target.connect_lazy())
}

/// The largest answer for tonic. A receiver that is made of tonic refuses a request
/// that is too large with the words in which this side refuses an answer: only the
/// bound tells them apart, and no receiver has this one.
const REPLY_LIMIT: usize = REPLY_BYTES - 1;

/// How tonic refuses a message that is too large: with the code of a retryable error.
const TOO_LONG: &str = "Error, decoded message length too large";

/// What receivers of other makes say of a request that is too large: gRPC for Go and
/// C++, gRPC for Java, tonic; and tonic of an HTTP proxy's answer that is not gRPC.
const TOO_LARGE: [&str; 4] =
    ["larger than max", "exceeds maximum size", "message length too large", "HTTP status code 413"];

/// The table of retryable codes of the OTLP specification.
fn judge(status: &Status) -> Failure {
    if let Some(source) = status.source() {
        // Made on this side: the connection could not be made, or broke.
        let Failure { message, .. } = unreached(source);
        return Failure { message: format!("{:?}: {message}", status.code()), ..unreached(source) };
    }
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let again = match status.code() {
        _ if is_own_refusal(status.message()) => Again::Accepted,
        Code::ResourceExhausted | Code::OutOfRange | Code::Unknown | Code::Internal
            if TOO_LARGE.iter().any(|words| status.message().contains(words)) =>
        {
            Again::Smaller
        }
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => asked.map_or(Again::Later, Again::After),
        // Only where the receiver says that it will recover.
        Code::ResourceExhausted => asked.map_or(Again::Never, Again::After),
        Code::Unimplemented => Again::Untaken,
        _ => Again::Never,
    };
    let message = format!("{:?}: {}", status.code(), shorten(status.message()));
    Failure { again, message, is_answer: true }
}

/// Whether tonic has ended an attempt whose `grpc-timeout` is over. It does so for the
/// header's sake, an instant before the lane would.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (**error).source()).any(|cause| cause.is::<TimeoutExpired>())
}

/// Whether this side has refused the answer: the receiver has done its work.
fn is_own_refusal(message: &str) -> bool {
    message.starts_with(TOO_LONG) && message.contains(&format!("limit is: {REPLY_LIMIT} "))
}

/// There is no answer.
fn unreached(error: &(dyn Error + 'static)) -> Failure {
    let again = if tls::is_refusal(error) { Again::Never } else { Again::Later };
    Failure { again, message: chain(error), is_answer: false }
}

/// An error with all its causes: the outermost one alone says `transport error`.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    shorten(&text)
}

/// Messages that are bytes already.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_request_that_is_too_large_is_told_from_an_answer_that_is() {
        let judged = |code, message: &str| judge(&Status::new(code, message)).again;
        for (code, message) in [
            (Code::ResourceExhausted, "grpc: received message larger than max (5242880 vs. 4194304)"),
            (Code::ResourceExhausted, "SERVER: Received message larger than max (5242880 vs. 4194304)"),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4194304: 5242880"),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5242880 bytes, the limit is: 65536 bytes",
            ),
            (Code::Unknown, "grpc-status header missing, mapped from HTTP status code 413"),
        ] {
            assert_eq!(judged(code, message), Again::Smaller, "{message}");
        }
        let own = format!("{TOO_LONG}: found 70000 bytes, the limit is: {REPLY_LIMIT} bytes");
        assert_eq!(judged(Code::OutOfRange, &own), Again::Accepted);
        assert_eq!(judged(Code::ResourceExhausted, "too many spans of this tenant"), Again::Never);
    }

    #[test]
    fn the_retryable_codes_are_those_of_the_specification() {
        let retried = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        for number in 1..=16 {
            let code = Code::from_i32(number);
            let expected = match code {
                Code::Unimplemented => Again::Untaken,
                code if retried.contains(&code) => Again::Later,
                _ => Again::Never,
            };
            assert_eq!(judge(&Status::new(code, "why")).again, expected, "{code:?}");
        }
    }

    #[test]
    fn the_receiver_says_how_long_to_wait() {
        let delay = Duration::from_secs(3);
        for code in [Code::Unavailable, Code::ResourceExhausted] {
            let details = ErrorDetails::with_retry_info(Some(delay));
            let failure = judge(&Status::with_error_details(code, "busy", details));
            assert_eq!(failure.again, Again::After(delay), "{code:?}");
        }
    }
}
