//! OTLP over HTTP, with binary protobuf.

use std::error::Error;
use std::io::Write;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use prost::Message;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::retry::{self, retry_after};
use super::{Again, Endpoint, Failure, REPLY_BYTES, shorten, tls};

/// What HTTP requests and answers are made of.
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// A client of one URL.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    url: Url,
    headers: HeaderMap,
    gzip: bool,
}

impl Http {
    pub fn new(endpoint: &Endpoint) -> Result<Self, String> {
        let mut headers = endpoint.headers.clone();
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
        if endpoint.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(Self { client: client(endpoint)?, url: endpoint.url.clone(), headers, gzip: endpoint.gzip })
    }

    pub fn prepare(&self, request: Bytes) -> Bytes {
        if !self.gzip {
            return request;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(&request).and_then(|()| encoder.finish());
        written.expect("writing to memory does not fail").into()
    }

    pub async fn send(&self, body: Bytes) -> Result<Bytes, Failure> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let answer = request.send().await.map_err(|error| broken(&error))?;
        // OTLP says 200; receivers that answer 202 or 204 mean the same.
        if !answer.status().is_success() {
            return Err(refused(answer).await);
        }
        read(answer).await.map_err(|unread| match unread {
            // The records may have arrived: OTLP is at least once.
            Unread::Broken(error) => broken(&error),
            Unread::TooLong => Failure {
                again: Again::Accepted,
                message: format!("an answer of more than {REPLY_BYTES} bytes"),
                is_answer: true,
            },
        })
    }
}

/// A client of a receiver, which trusts the certificates that the endpoint names.
///
/// # Errors
/// What is wrong with the certificates.
pub fn client(endpoint: &Endpoint) -> Result<Client, String> {
    let mut client = Client::builder();
    if is_loopback(&endpoint.url) {
        // HTTP_PROXY and its like are for the world outside of this machine.
        client = client.no_proxy();
    }
    client
        .tls_backend_preconfigured(endpoint.tls.for_http()?)
        // A redirected POST turns into a GET, and credentials would go along.
        .redirect(Policy::none())
        .connect_timeout(endpoint.timeout)
        .build()
        .map_err(|error| chain(&error))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// No answer: the connection could not be made, or broke.
fn broken(error: &reqwest::Error) -> Failure {
    let again = if error.is_builder() || tls::is_refusal(error) { Again::Never } else { Again::Later };
    Failure { again, message: chain(error), is_answer: false }
}

/// An answer that is not a success: the specification's table of retryable codes.
async fn refused(answer: Response) -> Failure {
    let status = answer.status();
    let header = |name: HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let again = match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let asked =
                header(RETRY_AFTER).and_then(|value| retry_after(value, header(DATE).and_then(retry::date)));
            asked.map_or(Again::Later, Again::After)
        }
        StatusCode::PAYLOAD_TOO_LARGE => Again::Smaller,
        StatusCode::NOT_FOUND => Again::Untaken,
        _ => Again::Never,
    };
    let is_protobuf = header(CONTENT_TYPE).is_some_and(|kind| PROTOBUF == kind);
    let body = read(answer).await.unwrap_or_default();
    let said = if is_protobuf {
        // A protobuf `google.rpc.Status`, says the specification.
        tonic_types::Status::decode(body).map(|status| status.message).unwrap_or_default()
    } else {
        String::from_utf8_lossy(&body).into_owned()
    };
    let message = match shorten(&said) {
        said if said.is_empty() => format!("HTTP {status}"),
        said => format!("HTTP {status}: {said}"),
    };
    Failure { again, message, is_answer: true }
}

/// Why a body is not there.
enum Unread {
    Broken(reqwest::Error),
    TooLong,
}

async fn read(mut answer: Response) -> Result<Bytes, Unread> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > REPLY_BYTES {
            return Err(Unread::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// An error with all its causes: the outermost one alone says `error sending
/// request`. The URL is left out: its query may hold a key.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.dedup();
    if causes.is_empty() {
        causes.push(if error.is_timeout() {
            "timed out".to_owned()
        } else {
            "the request failed".to_owned()
        });
    }
    shorten(&causes.join(": "))
}
