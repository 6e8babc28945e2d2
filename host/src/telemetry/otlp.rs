//! Records to an OTLP receiver, over gRPC or HTTP (OTLP 1.x).
//!
//! ```text
//!  pipeline thread: encode ──► queue ──► senders (tokio tasks): send, wait, retry
//! ```
//!
//! Traces and logs each have a lane of their own, so that a receiver that
//! takes no logs does not hold up the spans.

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
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::{DecodeError, Message};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::encode::{self, Packing, REQUEST_BYTES};
use super::exporter::{Account, Count, Exporter, Reason, Signal, Signals};
use super::pipeline::{Batching, Pace};
use super::record::{Batch, Resource};
use crate::clock;
use crate::error::Problem;
use crate::model::Protocol;
use crate::rng::Key;
use lane::Lane;
pub use patience::UNREACHED;
use retry::RetryPolicy;
use tls::Tls;

/// Encoded requests that wait for a receiver, in bytes, for each signal.
pub const QUEUE_BYTES: usize = 32 << 20;

/// The largest answer that is read, in bytes; a real one has a few hundred.
pub const REPLY_BYTES: usize = 64 << 10;

/// Requests under way at a time, for each signal: enough to hide the time that
/// a request travels, few enough to be polite.
pub const CONCURRENCY: usize = 4;

/// What simhost calls itself, over gRPC and HTTP.
const USER_AGENT: &str = concat!("simhost/", env!("CARGO_PKG_VERSION"));

/// Where each signal goes; none: nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub traces: Option<Endpoint>,
    pub logs: Option<Endpoint>,
}

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
        let timeout = Duration::from_secs(10);
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

/// How the exporter behaves, whoever it talks to.
#[derive(Clone, Debug)]
pub struct Options {
    pub pace: Pace,
    /// Its `queue`, `batch` and `timeout` count here.
    pub batching: Batching,
    /// Encoded size of a request, before compression.
    pub request_bytes: usize,
    /// Requests under way at a time, for each signal.
    pub concurrency: usize,
    pub retry: RetryPolicy,
    /// Names the stream that the jitter of retries is drawn from.
    pub jitter: Key,
}

impl Options {
    pub fn new(pace: Pace, batching: Batching, jitter: Key) -> Self {
        let retry = RetryPolicy::default();
        Self { pace, batching, request_bytes: REQUEST_BYTES, concurrency: CONCURRENCY, retry, jitter }
    }
}

/// Sends records to an OTLP receiver.
#[derive(Debug)]
pub struct Otlp {
    name: String,
    traces: Option<Lane>,
    logs: Option<Lane>,
    packing: Packing,
    account: Arc<Account>,
}

impl Otlp {
    /// Starts the senders on `runtime`, which must outlive the pipeline. Nothing
    /// is sent, nor connected to, before the first record.
    ///
    /// # Errors
    /// A certificate, a key or a URL that cannot be used.
    pub fn start(settings: &Settings, options: &Options, runtime: &Handle) -> Result<Self, Vec<Problem>> {
        let name = match (&settings.traces, &settings.logs) {
            (Some(endpoint), _) | (None, Some(endpoint)) => format!("otlp {endpoint}"),
            (None, None) => "otlp".to_owned(),
        };
        let account = Account::new(name.clone());
        let mut problems = Vec::new();
        let mut lane = |signal, endpoint: &Option<Endpoint>| {
            let sender = Sender::new(signal, endpoint.as_ref()?, runtime);
            let sender = sender.map_err(|problem| problems.push(problem)).ok()?;
            let timeout = endpoint.as_ref()?.timeout;
            Some(Lane::start(signal, sender, timeout, options, Arc::clone(&account), runtime))
        };
        let traces = lane(Signal::Traces, &settings.traces);
        let logs = lane(Signal::Logs, &settings.logs);
        if !problems.is_empty() {
            return Err(problems);
        }
        let packing = Packing { bytes: options.request_bytes, records: options.batching.batch };
        Ok(Self { name, traces, logs, packing, account })
    }

    fn too_large(&self, signal: Signal, records: usize) {
        if records > 0 {
            let message = format!("encoded larger than a request may be, {} bytes", self.packing.bytes);
            self.account.dropped(Reason::TooLarge, Count::of(signal, records), Some(message));
        }
    }
}

impl Exporter for Otlp {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes(&self) -> Signals {
        Signals { traces: self.traces.is_some(), logs: self.logs.is_some() }
    }

    fn is_receiver(&self) -> bool {
        true
    }

    fn export(&mut self, batch: &Batch, resources: &[Resource]) {
        if let Some(lane) = &self.traces {
            let too_large = encode::traces(&batch.spans, resources, self.packing, |request, count| {
                lane.push(request.into(), count);
            });
            self.too_large(Signal::Traces, too_large);
        }
        if let Some(lane) = &self.logs {
            let too_large = encode::logs(&batch.logs, resources, self.packing, |request, count| {
                lane.push(request.into(), count);
            });
            self.too_large(Signal::Logs, too_large);
        }
    }

    fn flush(&mut self, deadline: Instant) {
        let lanes = [self.traces.take(), self.logs.take()];
        // All of them first: the senders of one work on while the other is waited for.
        lanes.iter().flatten().for_each(Lane::close);
        // Once for both: by the time that one is through, the deadline may have passed.
        let began = Instant::now();
        let longest = deadline.saturating_duration_since(began);
        lanes.into_iter().flatten().for_each(|lane| lane.finish(began, longest));
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
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
    /// When the backoff says so.
    Later,
    /// Not before this long, says the receiver.
    After(Duration),
    /// The request is larger than the receiver takes.
    Smaller,
    /// The receiver has accepted the request, but what it said cannot be understood.
    Accepted,
}

/// What an accepted request's answer says (OTLP's `partial_success`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Partial {
    rejected: u64,
    message: Option<String>,
}

fn decode_answer(signal: Signal, answer: Bytes) -> Result<Partial, DecodeError> {
    let (rejected, message) = match signal {
        Signal::Traces => {
            let partial = ExportTraceServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
            (partial.rejected_spans, partial.error_message)
        }
        Signal::Logs => {
            let partial = ExportLogsServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
            (partial.rejected_log_records, partial.error_message)
        }
    };
    let message = Some(message).filter(|message| !message.is_empty());
    Ok(Partial { rejected: u64::try_from(rejected).unwrap_or(0), message })
}

/// Keeps what a receiver says about itself to a length that a report can show.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 200;
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
