//! Real servers that a topology names: calls go out over HTTP, in real time.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{FutureExt, LocalBoxFuture};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{HttpConnector, HttpInfo};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Handle;

use crate::bus::spans::Connection;
use crate::bus::{Exchange, External};
use crate::guest::CallError;
use crate::message::{Headers, Request, Response};
use crate::socket::body::{self, Budget, Unread};
use crate::telemetry::otlp::tls::Tls;

/// A server that does not accept a connection in this time counts as unreachable.
const CONNECT: Duration = Duration::from_secs(5);

/// No exchange takes longer, whatever the caller's patience.
const LONGEST: Duration = Duration::from_secs(120);

/// A connection that nobody uses is kept for this time.
const IDLE: Duration = Duration::from_secs(90);

/// A response's body is refused beyond this: bytes.
const BODY: u64 = 16 << 20;

/// Bytes of responses that are being received, heads and bodies, together: the response that goes
/// beyond it is refused.
const BODIES: u64 = 256 << 20;

/// Header fields that follow from the URL, the body and the connection.
const OF_CONNECTION: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

/// Methods whose requests have content, if only of no length (RFC 9110, section 8.6).
const WITH_CONTENT: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];

/// An HTTP client on the network's threads. Redirects are answers, not followed:
/// a simulated service reaches only what its topology names.
///
/// It sends a path as it stands in the request. Clients that take URLs, as `reqwest`
/// does, remove dot segments first (URL Standard, section 4.4): the server would get
/// another path than the span shows.
#[derive(Debug)]
pub struct HttpClient {
    client: Wire,
    runtime: Handle,
    bodies: Arc<Budget>,
}

type Wire = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl HttpClient {
    /// # Errors
    /// The client cannot be set up; the text says why.
    pub fn new(runtime: Handle) -> Result<Self, String> {
        Self::within(runtime, BODIES)
    }

    /// One whose responses hold `bodies` bytes at most.
    fn within(runtime: Handle, bodies: u64) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        // TLS comes on top of it.
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let connector = HttpsConnector::from((tcp, Tls::default().for_http()?));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { client, runtime, bodies: Budget::new(bodies) })
    }
}

impl External for HttpClient {
    fn send(&self, base: &str, request: Request) -> LocalBoxFuture<'static, Result<Exchange, CallError>> {
        let url = format!("{base}{}", request.target);
        let sending = exchange(self.client.clone(), url, request, Arc::clone(&self.bodies));
        // Made on the network's threads, where there is a timer.
        let task = self.runtime.spawn(async { tokio::time::timeout(LONGEST, sending).await });
        async move {
            match task.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(CallError::Timeout),
                Err(error) => Err(CallError::Reset(error.to_string())),
            }
        }
        .boxed_local()
    }
}

async fn exchange(
    client: Wire,
    url: String,
    request: Request,
    bodies: Arc<Budget>,
) -> Result<Exchange, CallError> {
    let outgoing = outgoing(&url, request).map_err(|error| CallError::Invalid(error.to_string()))?;
    let incoming = client.request(outgoing).await.map_err(|error| failure(&error))?;
    let version = version(incoming.version());
    let peer = incoming.extensions().get::<HttpInfo>().map(HttpInfo::remote_addr);
    let (parts, body) = incoming.into_parts();
    let mut headers = Headers::default();
    for (name, value) in &parts.headers {
        headers.push(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    let most = bodies.most;
    let full = || format!("responses of real servers exceed {most} bytes together");
    let mut share = Share { bodies, bytes: 0 };
    share.grow(headers.footprint() as u64).map_err(|()| CallError::Reset(full()))?;
    let body = body::read(body, BODY, |bytes| share.grow(bytes)).await.map_err(|unread| {
        CallError::Reset(match unread {
            Unread::TooLong => format!("the response is longer than {BODY} bytes"),
            Unread::Full(()) => full(),
            Unread::Broken(error) => innermost(&error),
        })
    })?;
    let response = Response { status: parts.status.as_u16(), headers, body };
    Ok(Exchange { response, connection: Connection { version, peer } })
}

/// What a response that is being received holds of all; dropping it gives that back.
struct Share {
    bodies: Arc<Budget>,
    bytes: u64,
}

impl Share {
    fn grow(&mut self, bytes: u64) -> Result<(), ()> {
        if !self.bodies.take(bytes) {
            return Err(());
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.bodies.give_back(self.bytes);
    }
}

/// The request as the client takes it.
fn outgoing(url: &str, request: Request) -> Result<http::Request<Full<Bytes>>, http::Error> {
    let Request { method, headers, body, .. } = request;
    let method = Method::from_bytes(method.as_bytes())?;
    let mut fields = HeaderMap::with_capacity(headers.0.len());
    for (name, value) in headers.0 {
        if !OF_CONNECTION.contains(&name.as_str()) {
            fields.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
    }
    if body.is_empty() && WITH_CONTENT.contains(&method) {
        fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut outgoing = http::Request::new(Full::from(body));
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = Uri::try_from(url)?;
    *outgoing.headers_mut() = fields;
    Ok(outgoing)
}

/// `network.protocol.version`.
const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// What went wrong, without the URL: the span has it.
fn failure(error: &Error) -> CallError {
    let text = innermost(error);
    if error.is_connect() { CallError::Refused(text) } else { CallError::Reset(text) }
}

fn innermost(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that answers each connection once, with a field of the given size and no body.
    fn server(bytes: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nX-Long: {}\r\n\r\n",
            "x".repeat(bytes)
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        format!("http://{address}")
    }

    #[test]
    fn the_head_of_a_response_counts_and_is_given_back() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let client = HttpClient::within(runtime.handle().clone(), 10_000).unwrap();
        let (short, long) = (server(6_000), server(12_000));
        let get = |base: &str| {
            let target = "/".to_owned();
            let request =
                Request { method: "GET".to_owned(), target, headers: Headers::default(), body: Vec::new() };
            runtime.block_on(client.send(base, request)).map(|exchange| exchange.response.status)
        };
        let full = "responses of real servers exceed 10000 bytes together".to_owned();
        assert_eq!(get(&short), Ok(200));
        assert_eq!(get(&long), Err(CallError::Reset(full)));
        assert_eq!(get(&short), Ok(200), "what was received before is held no longer");
    }
}
