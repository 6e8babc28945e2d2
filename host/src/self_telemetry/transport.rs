//! The OTLP exporters of the SDK, over the connections of the run's own exporter: the same TLS, the same
//! headers, the same rules for proxies.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use tokio::runtime::Handle;
use tonic::metadata::MetadataMap;

use crate::error::Problem;
use crate::model;
use crate::telemetry::otlp::{self, Endpoint, REPLY_BYTES};

/// Builds an exporter of either signal, which differ in their types alone.
macro_rules! exporter {
    ($builder:expr, $endpoint:ident, $network:ident) => {
        match $endpoint.protocol {
            model::Protocol::Grpc => {
                let channel = otlp::channel($endpoint, $network).map_err(|why| refused($endpoint, &why))?;
                let builder = $builder
                    .with_tonic()
                    .with_channel(channel)
                    .with_metadata(MetadataMap::from_headers($endpoint.headers.clone()))
                    .with_timeout($endpoint.timeout)
                    .with_retry_policy(RetryPolicy::recommended());
                if $endpoint.gzip { builder.with_compression(Compression::Gzip) } else { builder }.build()
            }
            model::Protocol::HttpProtobuf => {
                let client = Client::new($endpoint, $network).map_err(|why| refused($endpoint, &why))?;
                let builder = $builder
                    .with_http()
                    .with_http_client(client)
                    .with_endpoint($endpoint.url.as_str())
                    .with_headers(texts(&$endpoint.headers))
                    .with_protocol(Protocol::HttpBinary)
                    .with_timeout($endpoint.timeout)
                    .with_retry_policy(RetryPolicy::recommended());
                if $endpoint.gzip { builder.with_compression(Compression::Gzip) } else { builder }.build()
            }
        }
        .map_err(|error| refused($endpoint, &error.to_string()))
    };
}

/// An exporter of spans, whose connection belongs to `network`.
///
/// # Errors
/// What is wrong with the endpoint or its certificates.
pub fn spans(endpoint: &Endpoint, network: &Handle) -> Result<SpanExporter, Problem> {
    exporter!(SpanExporter::builder(), endpoint, network)
}

/// An exporter of metrics, whose connection belongs to `network`.
///
/// # Errors
/// What is wrong with the endpoint or its certificates.
pub fn metrics(endpoint: &Endpoint, network: &Handle) -> Result<MetricExporter, Problem> {
    // The preference of the environment is about the services' metrics. Cumulative ones have what is lost.
    let builder = MetricExporter::builder().with_temporality(Temporality::Cumulative);
    exporter!(builder, endpoint, network)
}

fn refused(endpoint: &Endpoint, why: &str) -> Problem {
    Problem::new(format!("cannot send simhost's own telemetry to {endpoint}: {why}"))
        .help("correct the receiver, or leave out --self-telemetry")
}

/// Headers as the SDK wants them. All of them are text: others are refused where they are read.
fn texts(headers: &HeaderMap) -> HashMap<String, String> {
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

/// The run's HTTP client, as the SDK wants one. The SDK calls it on threads without a runtime.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    timeout: Duration,
    network: Handle,
}

impl Client {
    fn new(endpoint: &Endpoint, network: &Handle) -> Result<Self, String> {
        let client = otlp::client(endpoint)?;
        Ok(Self { client, timeout: endpoint.timeout, network: network.clone() })
    }
}

#[tonic::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let (client, timeout) = (self.client.clone(), self.timeout);
        // The time is counted where there is a runtime.
        let sending = async move { tokio::time::timeout(timeout, send(client, request)).await };
        self.network.spawn(sending).await??
    }
}

async fn send(client: reqwest::Client, request: reqwest::Request) -> Result<Response<Bytes>, HttpError> {
    // The URL is left out: its query may hold a key.
    let mut answer = client.execute(request).await.map_err(reqwest::Error::without_url)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > REPLY_BYTES {
            return Err(format!("an answer of more than {REPLY_BYTES} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = answer.status();
    std::mem::swap(response.headers_mut(), answer.headers_mut());
    Ok(response)
}
