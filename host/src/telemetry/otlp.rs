//! Records to an OTLP receiver, over gRPC or HTTP (OTLP 1.x).
//!
//! ```text
//!  pipeline thread: encode ──► queue ──► senders (tokio tasks): send, wait, retry
//! ```
//!
//! Each signal has a lane of its own, so that a receiver that takes no logs does not hold
//! up the spans.

mod grpc;
mod halves;
mod http;
mod lane;
mod patience;
pub mod retry;
pub mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::encode::{self, Packing, REQUEST_BYTES};
use super::exporter::{Account, Exporter, Reason};
use super::pipeline::{Batching, Pace};
use super::record::Resource;
use super::signal::{Batch, Count, PerSignal, Record, Signal, Signals, each_signal};
use crate::clock;
use crate::error::Problem;
use crate::model::Protocol;
use crate::rng::Key;
pub use grpc::channel;
pub use http::client;
use lane::Lane;
pub use patience::UNREACHED;
use retry::RetryPolicy;
use tls::Tls;

/// Encoded requests that wait for a receiver, in bytes, for each signal.
pub const QUEUE_BYTES: usize = 32 << 20;

/// The largest answer that is read, in bytes; a real one has a few hundred.
pub const REPLY_BYTES: usize = 64 << 10;

/// Requests under way at a time, for each signal: enough to hide the round trip of a request, few
/// enough for a small receiver.
pub const CONCURRENCY: usize = 4;

/// What simhost calls itself, over gRPC and HTTP.
const USER_AGENT: &str = concat!("simhost/", env!("CARGO_PKG_VERSION"));

/// Where each signal goes; none: nowhere.
pub type Endpoints = PerSignal<Option<Endpoint>>;

/// How long an attempt may take where nobody says: the OTLP exporter specification.
pub const ATTEMPT_AT_MOST: Duration = Duration::from_secs(10);

/// A receiver, and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Over HTTP the whole URL, `http://localhost:4318/v1/traces`; over gRPC only
    /// scheme, host and port count.
    pub url: reqwest::Url,
    pub protocol: Protocol,
    /// Sent with every request; values are marked as sensitive.
    pub headers: HeaderMap,
    pub gzip: bool,
    /// For one attempt, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// For `https` only.
    pub tls: Tls,
}

impl Endpoint {
    /// An endpoint with the defaults of the OTLP exporter specification.
    pub fn new(url: reqwest::Url, protocol: Protocol) -> Self {
        let timeout = ATTEMPT_AT_MOST;
        Self { url, protocol, headers: HeaderMap::new(), gzip: false, timeout, tls: Tls::default() }
    }
}

/// As a person may see it: without user name and password.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path) = (self.url.scheme(), self.url.path());
        write!(f, "{scheme}://{}", self.url.host_str().unwrap_or_default())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        if path == "/" { Ok(()) } else { f.write_str(path) }
    }
}

/// Without its secrets.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.to_string())
            .field("protocol", &self.protocol)
            .field("headers", &self.headers)
            .field("gzip", &self.gzip)
            .field("timeout", &self.timeout)
            .field("tls", &self.tls)
            .finish()
    }
}

/// How the exporter behaves; the same for all receivers.
#[derive(Clone, Debug)]
pub struct Options {
    pub pace: Pace,
    /// Its `queue`, `batch` and `timeout` count here.
    pub batching: PerSignal<Batching>,
    /// Encoded size of a request, before compression.
    pub request_bytes: usize,
    /// Requests under way at a time, for each signal but metrics: the points of a series are sent in
    /// their order ("Metrics SDK", "Periodic exporting MetricReader": exports are not concurrent).
    pub concurrency: usize,
    pub retry: RetryPolicy,
    /// Names the stream that the jitter of retries is drawn from.
    pub jitter: Key,
}

impl Options {
    pub fn new(pace: Pace, batching: impl Into<PerSignal<Batching>>, jitter: Key) -> Self {
        let (batching, retry) = (batching.into(), RetryPolicy::default());
        Self { pace, batching, request_bytes: REQUEST_BYTES, concurrency: CONCURRENCY, retry, jitter }
    }
}

/// Sends records to an OTLP receiver.
#[derive(Debug)]
pub struct Otlp {
    name: String,
    lanes: PerSignal<Option<Lane>>,
    packing: PerSignal<Packing>,
    account: Arc<Account>,
}

impl Otlp {
    /// Starts the senders on `runtime`, which must outlive the pipeline. Nothing
    /// is sent, nor connected to, before the first record.
    ///
    /// # Errors
    /// A certificate, a key or a URL that cannot be used.
    pub fn start(endpoints: &Endpoints, options: &Options, runtime: &Handle) -> Result<Self, Vec<Problem>> {
        let name = name(endpoints);
        let account = Account::new(name.clone());
        let mut problems = Vec::new();
        let lanes = PerSignal::from_fn(|signal| {
            let endpoint = endpoints[signal].as_ref()?;
            let sender = Sender::new(signal, endpoint, runtime);
            let sender = sender.map_err(|problem| problems.push(problem)).ok()?;
            Some(Lane::start(signal, sender, endpoint.timeout, options, Arc::clone(&account), runtime))
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let packing = PerSignal::from_fn(|signal| Packing {
            bytes: options.request_bytes,
            records: options.batching[signal].batch,
        });
        Ok(Self { name, lanes, packing, account })
    }

    fn send<R: Record>(&self, records: &[R], resources: &[Resource]) {
        let Some(lane) = &self.lanes[R::SIGNAL] else { return };
        let packing = self.packing[R::SIGNAL];
        let too_large = encode::requests(records, resources, packing, |request, items| {
            lane.push(request.into(), items);
        });
        if too_large > 0 {
            let message = format!("encoded larger than a request may be, {} bytes", packing.bytes);
            self.account.dropped(Reason::TooLarge, Count::of(R::SIGNAL, too_large), Some(message));
        }
    }
}

impl Exporter for Otlp {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes(&self) -> Signals {
        Signals::from_fn(|signal| self.lanes[signal].is_some())
    }

    fn is_receiver(&self) -> bool {
        true
    }

    fn export(&mut self, batch: &Batch, resources: &[Resource]) {
        each_signal!(R => self.send(R::list(batch), resources));
    }

    fn flush(&mut self, deadline: Instant) {
        let lanes = std::mem::take(&mut self.lanes).0;
        // All of them first: the senders of one work on while the other is waited for.
        lanes.iter().flatten().for_each(Lane::close);
        // Once for all: by the time that one is through, the deadline may have passed.
        let began = Instant::now();
        let longest = deadline.saturating_duration_since(began);
        lanes.into_iter().flatten().for_each(|lane| lane.finish(began, longest));
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}

/// What a report calls receivers: by their addresses, which differ in the path at most, mostly.
fn name(endpoints: &Endpoints) -> String {
    let mut addresses: Vec<String> = Vec::new();
    let all = || endpoints.iter().filter_map(|(_, endpoint)| endpoint.as_ref());
    for endpoint in all() {
        let mut origin = endpoint.clone();
        origin.url.set_path("/");
        let address = if all().count() == 1 { endpoint.to_string() } else { origin.to_string() };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    format!("otlp {}", addresses.join(", "))
}

/// One attempt at a request, over either protocol.
#[derive(Clone, Debug)]
enum Sender {
    Grpc(grpc::Grpc),
    Http(http::Http),
}

impl Sender {
    fn new(signal: Signal, endpoint: &Endpoint, runtime: &Handle) -> Result<Self, Problem> {
        let refuse = |why: String| {
            Problem::new(format!("cannot export to {endpoint}: {why}"))
                .help("check the URL, OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_KEY and _CLIENT_CERTIFICATE")
        };
        match endpoint.protocol {
            Protocol::Grpc => grpc::Grpc::new(signal, endpoint, runtime).map(Self::Grpc),
            Protocol::HttpProtobuf => http::Http::new(endpoint).map(Self::Http),
        }
        .map_err(refuse)
    }

    /// What goes over the wire for `request`; done once, however often it is sent.
    fn prepare(&self, request: Bytes) -> Bytes {
        match self {
            // tonic compresses each message as it frames it.
            Self::Grpc(_) => request,
            Self::Http(http) => http.prepare(request),
        }
    }

    /// Sends what [`Sender::prepare`] made, and gives back the message that answered it.
    async fn send(&self, prepared: Bytes) -> Result<Bytes, Failure> {
        match self {
            Self::Grpc(grpc) => grpc.send(prepared).await,
            Self::Http(http) => http.send(prepared).await,
        }
    }
}

/// An attempt that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    again: Again,
    message: String,
    /// The receiver has said so; else it could not be reached, or broke off.
    is_answer: bool,
}

impl Failure {
    /// No answer within the time for one attempt. The receiver is slow, not absent.
    fn late(timeout: Duration) -> Self {
        let message = format!("no answer within {}", clock::show(clock::nanos(timeout)));
        Self { again: Again::Later, message, is_answer: true }
    }
}

/// Whether another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Never,
    /// The receiver has no method or path for the signal.
    Untaken,
    /// When the backoff says so.
    Later,
    /// Not before this long, says the receiver.
    After(Duration),
    /// The request is larger than the receiver takes.
    Smaller,
    /// The receiver has accepted the request, but what it said cannot be understood.
    Accepted,
}

/// Keeps what a receiver says about itself to a line, and to a length that a report can show: it shall
/// not look like a line of the report's own.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 200;
    // All of it may be an endless list of blanks.
    let words = text.split(|sign: char| sign.is_whitespace() || sign.is_control());
    let words = words.filter(|word| !word.is_empty()).take(LONGEST).collect::<Vec<_>>();
    let text = words.join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_says_stays_on_one_line_and_is_short() {
        assert_eq!(
            shorten(" no\ndigest: 00\r\n\tlost\u{b}it\u{2028}all \u{85}"),
            "no digest: 00 lost it all"
        );
        assert_eq!(shorten(&"x ".repeat(500)).chars().count(), 201);
        assert_eq!(shorten(&"ü".repeat(200)), "ü".repeat(200));
    }
}
