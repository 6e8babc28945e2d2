//! The listener for real clients: HTTP/1.1 and HTTP/2 on a socket, requests to the
//! core thread over a bounded channel.

mod body;
mod budget;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use opentelemetry_semantic_conventions::attribute;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tracing::{debug, trace};

use crate::bus::spans::SYNTHETIC_AGENT;
use crate::bus::{Answer, Entry, OfClient, RequestIdentity};
use crate::context::SpanContext;
use crate::message::{Headers, Request, Response};
use crate::metrics::HttpVersion;
use crate::model::{Bounds, Limits, ServiceId};
use crate::socket::{self, Line, Shortage, Socket};
use crate::telemetry::record::KeyValue;

use budget::{Budgets, Holdings};

pub use budget::Share;

/// HTTP/2 counts 32 bytes more for each header field than `limits.headers` does:
/// room for some 500 fields, so that the limit decides.
const FIELDS: u64 = 16 << 10;

/// Fields of a head of HTTP/1.1, which the library counts.
const FIELDS_AT_MOST: usize = 100;

/// Bytes of a head of HTTP/1.1 that the library wants to have room for at least.
const HEAD_AT_LEAST: u64 = 8 << 10;

/// A live connection of HTTP/2 is asked for a sign of life after this long at most.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Requests that one HTTP/2 connection may have under way.
const STREAMS: u32 = 256;

/// Requests have this long to be answered when the run is over.
const DRAIN: Duration = Duration::from_secs(10);

/// Connections have this long to end when no request is under way any more:
/// time for the last answer to reach its client, and none for one that dawdles.
const LINGER: Duration = Duration::from_secs(1);

/// Names of the response header that carries the trace id alone, for people.
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// The server's side of W3C trace context: the trace and the SERVER span.
const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// A response as the connection takes it.
type HttpResponse = hyper::Response<Full<Bytes>>;

/// A request on its way to the core thread, and where its answer goes.
#[derive(Debug)]
pub struct Inbound {
    pub entry: Entry,
    pub reply: oneshot::Sender<Answer>,
    /// What it counts in `limits.bodies`, until it is answered: also when its client
    /// has gone.
    pub share: Share,
}

/// What the ingress needs to know of the topology.
#[derive(Clone, Debug)]
pub struct Settings {
    pub to: ServiceId,
    pub limits: Limits,
    pub bounds: Bounds,
    /// Who is told when the system gives no more connections.
    pub shortage: Shortage,
}

impl Settings {
    const fn client_time(&self) -> Duration {
        Duration::from_nanos(self.bounds.client_time)
    }
}

/// The ingress, while it listens.
#[derive(Debug)]
pub struct Ingress {
    /// Where it really listens: the port is chosen by the system if it was 0.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

/// What all connections share.
struct Shared {
    settings: Settings,
    budgets: Budgets,
    core: mpsc::Sender<Inbound>,
    /// Requests that have come in and have no answer yet.
    under_way: TaskTracker,
}

impl Ingress {
    /// Serves on `listener` until [`close`](Self::close). Call it within a tokio runtime.
    ///
    /// # Errors
    /// The socket has no local address.
    pub fn open(
        listener: TcpListener,
        settings: Settings,
    ) -> std::io::Result<(Self, mpsc::Receiver<Inbound>)> {
        let address = listener.local_addr()?;
        // What the bus may hold may also wait for it: a burst is not turned away
        // by a bound that nobody set.
        let (core, inbound) = mpsc::channel(settings.bounds.requests as usize);
        let (stop, stopped) = watch::channel(false);
        let connections = settings.bounds.connections as usize;
        let server = server(&settings);
        let budgets = Budgets::new(&settings.limits, &settings.bounds);
        let shared = Arc::new(Shared { settings, budgets, core, under_way: TaskTracker::new() });
        let serving = tokio::spawn(accept(listener, server, shared, connections, stopped));
        Ok((Self { address, stop, serving }, inbound))
    }

    /// Takes no more connections and waits until the open ones have their answers.
    pub async fn close(self) {
        self.stop.send(true).ok();
        self.serving.await.ok();
    }
}

/// What speaks HTTP/1.1 and HTTP/2 on every connection.
fn server(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let (limits, patience) = (&settings.limits, settings.client_time());
    let mut server = auto::Builder::new(TokioExecutor::new());
    // A target may be as long as all fields. What is longer by a little is refused here, by name.
    let head = (2 * limits.headers + FIELDS).max(HEAD_AT_LEAST);
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(head as usize)
        .half_close(true)
        .keep_alive(true);
    let headers = u32::try_from(limits.headers + FIELDS).unwrap_or(u32::MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(patience.min(KEEP_ALIVE))
        .max_header_list_size(headers);
    server
}

/// Accepts connections, a bounded number at a time; one more waits in the system's queue.
async fn accept(
    listener: TcpListener,
    server: auto::Builder<TokioExecutor>,
    shared: Arc<Shared>,
    connections: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    let mut open = JoinSet::new();
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            _ = stopped.changed() => break,
        };
        let accepted = tokio::select! {
            accepted = socket::accept(&listener, &shared.settings.shortage) => accepted,
            _ = stopped.changed() => break,
        };
        let connection = graceful.watcher();
        let (server, shared) = (server.clone(), Arc::clone(&shared));
        open.spawn(async move {
            serve(accepted, &server, shared, connection).await;
            drop(slot);
        });
        while open.try_join_next().is_some() {}
    }
    drop(listener);
    let answered = async {
        shared.under_way.close();
        tokio::time::timeout(DRAIN, shared.under_way.wait()).await.ok();
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        () = graceful.shutdown() => {}
        () = answered => {}
    }
    open.shutdown().await;
}

/// Serves one connection to its end.
async fn serve(
    (stream, peer): (TcpStream, SocketAddr),
    server: &auto::Builder<TokioExecutor>,
    shared: Arc<Shared>,
    connection: Watcher,
) {
    stream.set_nodelay(true).ok();
    trace!(%peer, "connection accepted");
    let patience = shared.settings.client_time();
    let line = Arc::new(Line::default());
    let client = Arc::new(Client { peer, line: Arc::clone(&line), holdings: shared.budgets.of_connection() });
    let service = service_fn({
        let client = Arc::clone(&client);
        move |request| {
            let (shared, client) = (Arc::clone(&shared), Arc::clone(&client));
            async move {
                let (is_head, version) = (request.method() == Method::HEAD, request.version());
                client.line.asked();
                let (answer, context) = shared.answer(request, &client).await?;
                let answer = to_http(answer, context, is_head, &client.holdings);
                if version != Version::HTTP_2 {
                    client.line.answered(answer.body().size_hint().exact().unwrap_or(0));
                }
                Ok::<_, BrokenOff>(answer)
            }
        }
    });
    let socket = TokioIo::new(Socket::new(stream, line, explain));
    let serving = server.serve_connection(socket, service);
    tokio::select! {
        // A client that breaks off or talks nonsense is its own affair.
        ended = connection.watch(serving.into_owned()) => match ended {
            Ok(()) => trace!(%peer, "connection closed"),
            Err(error) => debug!(%peer, %error, "connection broken"),
        },
        () = client.line.stuck(patience) => debug!(%peer, "connection closed: its client is too slow"),
        () = client.holdings.left_lying(patience) => {
            debug!(%peer, "connection closed: its client does not take its answers");
        }
    }
}

/// Why the library refuses a request by itself.
fn explain(status: u16) -> Vec<u8> {
    let response = match status {
        414 => Response::bounded(414, "limits.headers", "the target is too long"),
        431 => {
            let detail = format!("the head is too long, or it has more than {FIELDS_AT_MOST} fields");
            Response::bounded(431, "limits.headers", detail)
        }
        _ => Response::detail(status, "this is not a request of HTTP/1.1 or HTTP/2"),
    };
    response.body
}

/// Who is on the other side of a connection.
struct Client {
    peer: SocketAddr,
    line: Arc<Line>,
    holdings: Holdings,
}

/// A client is to get no answer: an error to hyper, which then closes a connection of
/// HTTP/1.1, and resets a stream of HTTP/2.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection is broken off")]
struct BrokenOff;

impl Shared {
    /// One request: to the core thread and back. The answer, and the context of its SERVER span.
    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        client: &Client,
    ) -> Result<(Response, Option<SpanContext>), BrokenOff> {
        let _under_way = self.under_way.token();
        let Settings { to, bounds, .. } = &self.settings;
        let version = HttpVersion::of(version_text(request.version()));
        let mut share = client.holdings.request();
        let (request, attributes) = match taken_in(request, &self.settings, client.peer, &mut share).await {
            Ok(taken_in) => taken_in,
            Err(refusal) => {
                debug!(peer = %client.peer, status = refusal.status, "request refused by the ingress");
                client.line.cut();
                return Ok((refusal, None));
            }
        };
        let (reply, answered) = oneshot::channel();
        let shown = OfClient { shared: None, own: attributes, version };
        let entry = Entry { to: *to, request, shown, identity: RequestIdentity::Numbered, client: None };
        if self.core.try_send(Inbound { entry, reply, share }).is_err() {
            debug!(peer = %client.peer, bound = bounds.requests, "request refused: too many wait");
            let detail = format!("more than limits.requests = {} wait at the ingress", bounds.requests);
            return Ok((Response::bounded(503, "limits.requests", detail), None));
        }
        let Ok(answer) = answered.await else {
            return Ok((Response::detail(503, "the run is over"), None));
        };
        Ok((answer.outcome.map_err(|_| BrokenOff)?, answer.context))
    }
}

/// Reads the whole request, within its bounds.
async fn taken_in(
    request: hyper::Request<Incoming>,
    settings: &Settings,
    peer: SocketAddr,
    share: &mut Share,
) -> Result<(Request, Vec<KeyValue>), Response> {
    let limits = &settings.limits;
    let (parts, body) = request.into_parts();
    let (mut request, attributes) = head(parts, limits, peer)?;
    let size = (request.headers.footprint() + request.target.len()) as u64;
    share.grow(size).map_err(|full| full.refusal(body::BODIES))?;
    request.body = body::whole(body, limits.body, settings.client_time(), share).await?;
    Ok((request, attributes))
}

/// The request without its body, and what SERVER spans say of its connection. The library's
/// form of the head, which takes a multiple of ours, is gone before the body is read.
fn head(
    parts: http::request::Parts,
    limits: &Limits,
    peer: SocketAddr,
) -> Result<(Request, Vec<KeyValue>), Response> {
    let mut headers = Headers::default();
    for (name, value) in &parts.headers {
        headers.push(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    if headers.size() as u64 > limits.headers {
        let detail = format!("the headers exceed limits.headers = {} bytes", limits.headers);
        return Err(Response::bounded(431, "limits.headers", detail));
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if target.len() as u64 > limits.headers {
        let detail = format!("the target exceeds limits.headers = {} bytes", limits.headers);
        return Err(Response::bounded(414, "limits.headers", detail));
    }
    check_host(&parts)?;
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let authority = headers.get("host").or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    let mut attributes = connection_attributes(authority, parts.version, peer);
    if headers.get("user-agent").is_some_and(|agent| agent.starts_with(SYNTHETIC_AGENT)) {
        attributes.push(KeyValue::new(attribute::USER_AGENT_SYNTHETIC_TYPE, "test"));
    }
    let method = parts.method.as_str().to_owned();
    Ok((Request { method, target, headers, body: Vec::new() }, attributes))
}

/// A request of HTTP/1.1 says once whom it is for (RFC 9112, section 3.2).
fn check_host(parts: &http::request::Parts) -> Result<(), Response> {
    let refuse = |detail: &str| Err(Response::detail(400, detail));
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if parts.version == Version::HTTP_11 => refuse("a request of HTTP/1.1 has a Host"),
        (Some(_), Some(_)) => refuse("a request has one Host"),
        (Some(host), None) if !host.is_empty() && Authority::try_from(host.as_bytes()).is_err() => {
            refuse("Host is no name or address, with a port perhaps")
        }
        _ => Ok(()),
    }
}

/// Attributes of the SERVER span that only the socket knows.
fn connection_attributes(authority: Option<&str>, version: Version, peer: SocketAddr) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(7);
    let authority = authority.and_then(|authority| authority.parse::<Authority>().ok());
    if let Some(authority) = authority {
        attributes.push(KeyValue::new(attribute::SERVER_ADDRESS, authority.host().to_owned()));
        let port = i64::from(authority.port_u16().unwrap_or(80));
        attributes.push(KeyValue::new(attribute::SERVER_PORT, port));
    }
    attributes.push(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version_text(version)));
    let address = peer.ip().to_string();
    attributes.push(KeyValue::new(attribute::CLIENT_ADDRESS, address.clone()));
    attributes.push(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, address));
    attributes.push(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(peer.port())));
    attributes
}

/// `network.protocol.version`.
const fn version_text(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// The answer as it goes over the wire, counted until the client has taken it.
fn to_http(
    answer: Response,
    context: Option<SpanContext>,
    is_head: bool,
    holdings: &Holdings,
) -> HttpResponse {
    let (mut answer, untaken) = holdings.answer(answer);
    let body = std::mem::take(&mut answer.body);
    let mut http = head_of(answer);
    let context = context
        .map(|context| [(TRACE_ID, context.trace_id.to_string()), (TRACE_RESPONSE, context.traceparent())]);
    for (name, value) in context.into_iter().flatten() {
        if let Ok(value) = HeaderValue::try_from(value) {
            http.headers_mut().insert(name, value);
        }
    }
    if is_head {
        // What a HEAD gets of the answer to a GET (RFC 9110, section 9.3.2). The library
        // sees to it in HTTP/1.1, but not in HTTP/2.
        http.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    }
    let has_body = !is_head && !matches!(http.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if has_body && !body.is_empty() {
        *http.body_mut() = Full::new(untaken.part(body));
    } else if let Some(value) = http.headers_mut().values_mut().next() {
        // No body leaves behind the head: one of its fields, which leave together, stands for it.
        let bytes = untaken.part(value.as_bytes().to_vec());
        if let Ok(mut part) = HeaderValue::from_maybe_shared(bytes) {
            // Or HTTP/2 would keep it in a table (RFC 7541, section 7.1.3).
            part.set_sensitive(true);
            *value = part;
        }
    }
    http
}

/// The status and the fields of an answer. Fields that belong to the connection are the
/// server's business, not the guest's (RFC 9110, section 7.6.1).
fn head_of(answer: Response) -> HttpResponse {
    const CONNECTION: [HeaderName; 6] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
        HeaderName::from_static("keep-alive"),
    ];
    let mut http = HttpResponse::default();
    *http.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers.0 {
        let field = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = field
            && !CONNECTION.contains(&name)
        {
            http.headers_mut().append(name, value);
        }
    }
    http
}
