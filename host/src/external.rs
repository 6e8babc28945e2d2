//! Real servers that a topology names: calls go out over HTTP, in real time.

use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

use crate::bus::External;
use crate::guest::CallError;
use crate::message::{Headers, Request, Response};
use crate::telemetry::otlp::tls::Tls;

/// A server that does not accept a connection in this time counts as unreachable.
const CONNECT: Duration = Duration::from_secs(5);

/// No exchange takes longer, whatever the caller's patience.
const LONGEST: Duration = Duration::from_secs(120);

/// A response's body is refused beyond this: bytes.
const BODY: usize = 16 << 20;

/// An HTTP client on the network's threads. Redirects are answers, not followed:
/// a simulated service reaches only what its topology names.
#[derive(Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    runtime: Handle,
}

impl HttpClient {
    /// # Errors
    /// The client cannot be set up; the text says why.
    pub fn new(runtime: Handle) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(Tls::default().for_http()?)
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(LONGEST)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, runtime })
    }
}

impl External for HttpClient {
    fn send(&self, base: &str, request: Request) -> LocalBoxFuture<'static, Result<Response, CallError>> {
        let sending = exchange(self.client.clone(), format!("{base}{}", request.target), request);
        let task = self.runtime.spawn(sending);
        async move {
            match task.await {
                Ok(outcome) => outcome,
                Err(error) => Err(CallError::Reset(error.to_string())),
            }
        }
        .boxed_local()
    }
}

async fn exchange(client: reqwest::Client, url: String, request: Request) -> Result<Response, CallError> {
    let method = reqwest::Method::from_bytes(request.method.as_bytes());
    let method = method.map_err(|error| CallError::Invalid(error.to_string()))?;
    let mut outgoing = client.request(method, url).body(request.body);
    for (name, value) in &request.headers.0 {
        // These follow from the URL, the body and the connection.
        if !["host", "content-length", "connection", "transfer-encoding"].contains(&name.as_str()) {
            outgoing = outgoing.header(name, value);
        }
    }
    let mut incoming = outgoing.send().await.map_err(|error| failure(&error))?;
    let status = incoming.status().as_u16();
    let mut headers = Headers::default();
    for (name, value) in incoming.headers() {
        headers.push(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = incoming.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > BODY {
            return Err(CallError::Reset(format!("the response is longer than {BODY} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body })
}

/// What went wrong, without the URL: the span has it.
fn failure(error: &reqwest::Error) -> CallError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    if error.is_connect() {
        CallError::Refused(text)
    } else if error.is_timeout() {
        CallError::Timeout
    } else if error.is_builder() {
        CallError::Invalid(text)
    } else {
        CallError::Reset(text)
    }
}
