//! The door for real clients: HTTP/1.1 and HTTP/2 on a socket, requests to the
//! core thread over a bounded channel.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
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

use crate::bus::spans::SYNTHETIC_AGENT;
use crate::bus::{Answer, Entry, Identity};
use crate::message::{Headers, Request, Response};
use crate::model::{Bounds, Limits, ServiceId};
use crate::telemetry::record::KeyValue;

/// A client has this long to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A client has this long to send a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// HTTP/2 counts 32 bytes more for each header field than `limits.headers` does:
/// room for some 500 fields, so that the limit decides.
const FIELDS: u64 = 16 << 10;

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
}

/// What the ingress needs to know of the topology.
#[derive(Clone, Debug)]
pub struct Settings {
    pub to: ServiceId,
    pub limits: Limits,
    pub bounds: Bounds,
}

/// The open door.
#[derive(Debug)]
pub struct Ingress {
    /// Where it really listens: the port is chosen by the system if it was 0.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

struct Door {
    settings: Settings,
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
        let server = server(&settings.limits);
        let door = Arc::new(Door { settings, core, under_way: TaskTracker::new() });
        let serving = tokio::spawn(accept(listener, server, door, connections, stopped));
        Ok((Self { address, stop, serving }, inbound))
    }

    /// Takes no more connections and waits until the open ones have their answers.
    pub async fn close(self) {
        self.stop.send(true).ok();
        self.serving.await.ok();
    }
}

/// What speaks HTTP/1.1 and HTTP/2 on every connection.
fn server(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(true);
    let headers = u32::try_from(limits.headers + FIELDS).unwrap_or(u32::MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(HEAD_TIMEOUT)
        .max_header_list_size(headers);
    server
}

/// Accepts connections, so many at a time; one more waits in the system's queue.
async fn accept(
    listener: TcpListener,
    server: auto::Builder<TokioExecutor>,
    door: Arc<Door>,
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
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: let some connections end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let connection = graceful.watcher();
        let (server, door) = (server.clone(), Arc::clone(&door));
        open.spawn(async move {
            serve((stream, peer), &server, door, connection).await;
            drop(slot);
        });
        while open.try_join_next().is_some() {}
    }
    drop(listener);
    let answered = async {
        door.under_way.close();
        tokio::time::timeout(DRAIN, door.under_way.wait()).await.ok();
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
    door: Arc<Door>,
    connection: Watcher,
) {
    stream.set_nodelay(true).ok();
    // Before the first byte nobody knows which HTTP it is, and no other timer runs.
    if !matches!(tokio::time::timeout(HEAD_TIMEOUT, stream.readable()).await, Ok(Ok(()))) {
        return;
    }
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move {
            let is_head = request.method() == Method::HEAD;
            door.answer(request, peer)
                .await
                .map(|response| if is_head { head_of(response) } else { response })
        }
    });
    let serving = server.serve_connection(TokioIo::new(stream), service);
    // A client that breaks off or talks nonsense is its own affair.
    connection.watch(serving.into_owned()).await.ok();
}

/// A client is to get no answer: an error to hyper, which then closes a connection of
/// HTTP/1.1, and resets a stream of HTTP/2.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection is broken off")]
struct BrokenOff;

impl Door {
    /// One request: to the core thread and back.
    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<HttpResponse, BrokenOff> {
        let _under_way = self.under_way.token();
        let Settings { to, limits, bounds } = &self.settings;
        let (request, attributes) = match taken_in(request, limits, peer).await {
            Ok(taken_in) => taken_in,
            Err(refusal) => return Ok(to_http(refusal)),
        };
        let (reply, answered) = oneshot::channel();
        let entry = Entry { to: *to, request, attributes, identity: Identity::Numbered, client: None };
        if self.core.try_send(Inbound { entry, reply }).is_err() {
            let detail = format!("more than limits.requests = {} wait at the ingress", bounds.requests);
            return Ok(to_http(Response::detail(503, detail)));
        }
        let Ok(answer) = answered.await else {
            return Ok(to_http(Response::detail(503, "the run is over")));
        };
        let mut response = to_http(answer.outcome.map_err(|_| BrokenOff)?);
        if let Some(context) = answer.context {
            let values = [(TRACE_ID, context.trace_id.to_string()), (TRACE_RESPONSE, context.traceparent())];
            for (name, value) in values {
                if let Ok(value) = HeaderValue::try_from(value) {
                    response.headers_mut().insert(name, value);
                }
            }
        }
        Ok(response)
    }
}

/// Reads the whole request, within its bounds.
async fn taken_in(
    request: hyper::Request<Incoming>,
    limits: &Limits,
    peer: SocketAddr,
) -> Result<(Request, Vec<KeyValue>), Response> {
    let (parts, body) = request.into_parts();
    let mut headers = Headers::default();
    for (name, value) in &parts.headers {
        headers.push(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    if headers.size() as u64 > limits.headers {
        let limit = limits.headers;
        return Err(Response::detail(431, format!("the headers exceed limits.headers = {limit} bytes")));
    }
    let body = whole(body, limits.body).await?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let authority = headers.get("host").or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    let mut attributes = connection_attributes(authority, parts.version, peer);
    if headers.get("user-agent").is_some_and(|agent| agent.starts_with(SYNTHETIC_AGENT)) {
        attributes.push(KeyValue::new(attribute::USER_AGENT_SYNTHETIC_TYPE, "test"));
    }
    let method = parts.method.as_str().to_owned();
    Ok((Request { method, target, headers, body: body.into() }, attributes))
}

/// Reads the whole body. One that announces too much need not send it.
async fn whole(body: Incoming, limit: u64) -> Result<Bytes, Response> {
    let too_large = || Response::detail(413, format!("the body exceeds limits.body = {limit} bytes"));
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let reading = Limited::new(body, limit as usize).collect();
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Response::detail(400, format!("the body cannot be read: {error}"))),
        Err(_) => {
            let limit = BODY_TIMEOUT.as_secs();
            Err(Response::detail(408, format!("the body has not come within {limit} s")))
        }
    }
}

/// Attributes of the SERVER span that only the socket knows.
fn connection_attributes(authority: Option<&str>, version: Version, peer: SocketAddr) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(6);
    let authority = authority.and_then(|authority| authority.parse::<http::uri::Authority>().ok());
    if let Some(authority) = authority {
        attributes.push(KeyValue::new(attribute::SERVER_ADDRESS, authority.host().to_owned()));
        let port = i64::from(authority.port_u16().unwrap_or(80));
        attributes.push(KeyValue::new(attribute::SERVER_PORT, port));
    }
    let version = match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    attributes.push(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
    attributes.push(KeyValue::new(attribute::CLIENT_ADDRESS, peer.ip().to_string()));
    attributes.push(KeyValue::new(attribute::CLIENT_PORT, i64::from(peer.port())));
    attributes
}

/// What a HEAD gets of the response to a GET (RFC 9110, section 9.3.2). The server
/// sees to it in HTTP/1.1, but not in HTTP/2.
fn head_of(response: HttpResponse) -> HttpResponse {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    HttpResponse::from_parts(parts, Full::default())
}

/// The response as it goes over the wire. Fields that belong to the connection
/// are the server's business, not the guest's (RFC 9110, section 7.6.1).
fn to_http(response: Response) -> HttpResponse {
    const CONNECTION: [HeaderName; 6] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
        HeaderName::from_static("keep-alive"),
    ];
    let mut http = HttpResponse::new(Full::from(response.body));
    *http.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers.0 {
        let field = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = field
            && !CONNECTION.contains(&name)
        {
            http.headers_mut().append(name, value);
        }
    }
    http
}
