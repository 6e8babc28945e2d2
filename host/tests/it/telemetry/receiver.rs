//! OTLP receivers that do as they are told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::any;
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Status};

/// What a gRPC receiver does with one request.
#[derive(Debug)]
pub enum Answer {
    Accept,
    /// Accepts all but that many records, and says why.
    Partial(i64, &'static str),
    Refuse(Status),
    /// Accepts everything, and takes so long for it.
    After(Duration),
    /// Never answers.
    Hang,
}

/// What has come in.
#[derive(Debug)]
pub enum Got {
    Traces(HeaderMap, ExportTraceServiceRequest),
    Logs(HeaderMap, ExportLogsServiceRequest),
    Metrics(HeaderMap, ExportMetricsServiceRequest),
    /// Path, headers and body of an HTTP request.
    Http(String, HeaderMap, Bytes),
}

impl Got {
    pub fn traces(self) -> ExportTraceServiceRequest {
        match self {
            Self::Traces(_, request) => request,
            other => panic!("not traces over gRPC: {other:?}"),
        }
    }

    /// The names of the spans, over either protocol.
    pub fn span_names(self) -> Vec<String> {
        let request = match self {
            Self::Traces(_, request) => request,
            Self::Http(_, _, body) => prost::Message::decode(body).unwrap(),
            Self::Logs(..) | Self::Metrics(..) => ExportTraceServiceRequest::default(),
        };
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(|span| span.name).collect()
    }

    pub fn http(self) -> (String, HeaderMap, Bytes) {
        match self {
            Self::Http(path, headers, body) => (path, headers, body),
            other => panic!("not HTTP: {other:?}"),
        }
    }
}

/// A receiver that runs until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    pub address: SocketAddr,
    got: UnboundedReceiver<Got>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Its URL, without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request that comes in.
    pub async fn next(&mut self) -> Got {
        self.got.recv().await.expect("the receiver runs")
    }

    /// The requests that have come in and were not looked at.
    pub fn rest(&mut self) -> Vec<Got> {
        std::iter::from_fn(|| self.got.try_recv().ok()).collect()
    }

    /// A gRPC receiver that gives these answers, then accepts everything.
    pub async fn grpc(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::grpc_on(listener, answers, None)
    }

    /// A gRPC receiver that accepts requests up to a size in bytes.
    pub async fn grpc_up_to(bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sender, got) = unbounded_channel();
        let script = Arc::new(Script { answers: Mutex::default(), got: sender });
        let traces = TraceServiceServer::from_arc(script).max_decoding_message_size(bytes);
        Self::serve(listener, Routes::new(traces), None, got)
    }

    /// An HTTP receiver that accepts requests up to a size in bytes, and answers 413 to others.
    pub async fn http_up_to(bytes: usize) -> Self {
        let (listener, router, got) = scripted([]).await;
        let router = router.layer(axum::extract::DefaultBodyLimit::max(bytes));
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, got, task }
    }

    /// The same over TLS, on `https://localhost:<port>`.
    pub async fn grpc_tls(tls: ServerTlsConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::grpc_on(listener, [], Some(tls))
    }

    pub fn grpc_on(
        listener: TcpListener,
        answers: impl IntoIterator<Item = Answer>,
        tls: Option<ServerTlsConfig>,
    ) -> Self {
        let (sender, got) = unbounded_channel();
        let script = Arc::new(Script { answers: Mutex::new(answers.into_iter().collect()), got: sender });
        let traces =
            TraceServiceServer::from_arc(Arc::clone(&script)).accept_compressed(CompressionEncoding::Gzip);
        let logs =
            LogsServiceServer::from_arc(Arc::clone(&script)).accept_compressed(CompressionEncoding::Gzip);
        let metrics = MetricsServiceServer::from_arc(script).accept_compressed(CompressionEncoding::Gzip);
        let routes = Routes::new(traces).add_service(logs).add_service(metrics);
        Self::serve(listener, routes, tls, got)
    }

    /// An HTTP receiver that gives these answers, then accepts everything.
    pub async fn http(answers: impl IntoIterator<Item = Response<Body>>) -> Self {
        let (listener, router, got) = scripted(answers).await;
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, got, task }
    }

    /// An HTTP receiver whose answer depends on the path.
    pub async fn http_of(answer: impl Fn(&str) -> Response<Body> + Clone + Send + Sync + 'static) -> Self {
        let (sender, got) = unbounded_channel();
        let answer = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let _nobody_looks = sender.send(Got::Http(uri.to_string(), headers, body));
            std::future::ready(answer(uri.path()))
        };
        let router = axum::Router::new().fallback(any(answer));
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, got, task }
    }

    /// [`http`](Self::http) over HTTP/2, with or without TLS: a gRPC server that is none.
    pub async fn http2(
        answers: impl IntoIterator<Item = Response<Body>>,
        tls: Option<ServerTlsConfig>,
    ) -> Self {
        let (listener, router, got) = scripted(answers).await;
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        Self::serve(listener, Routes::from(router), tls, got)
    }

    fn serve(
        listener: TcpListener,
        routes: Routes,
        tls: Option<ServerTlsConfig>,
        got: UnboundedReceiver<Got>,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let serving = server.add_routes(routes).serve_with_incoming(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, got, task }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Script {
    answers: Mutex<VecDeque<Answer>>,
    got: UnboundedSender<Got>,
}

impl Script {
    /// How many records to reject, and why.
    async fn answer(&self, got: Got) -> Result<Option<(i64, String)>, Status> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Accept);
        let _nobody_looks = self.got.send(got);
        match answer {
            Answer::Accept => Ok(None),
            Answer::Partial(rejected, message) => Ok(Some((rejected, message.to_owned()))),
            Answer::Refuse(status) => Err(status),
            Answer::After(delay) => {
                tokio::time::sleep(delay).await;
                Ok(None)
            }
            Answer::Hang => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl TraceService for Script {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let rejected = self.answer(Got::Traces(metadata.into_headers(), message)).await?;
        let partial_success = rejected.map(|(rejected_spans, error_message)| ExportTracePartialSuccess {
            rejected_spans,
            error_message,
        });
        Ok(tonic::Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl LogsService for Script {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let rejected = self.answer(Got::Logs(metadata.into_headers(), message)).await?;
        let partial_success = rejected.map(|(rejected_log_records, error_message)| {
            ExportLogsPartialSuccess { rejected_log_records, error_message }
        });
        Ok(tonic::Response::new(ExportLogsServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl MetricsService for Script {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let rejected = self.answer(Got::Metrics(metadata.into_headers(), message)).await?;
        let partial_success = rejected.map(|(rejected_data_points, error_message)| {
            ExportMetricsPartialSuccess { rejected_data_points, error_message }
        });
        Ok(tonic::Response::new(ExportMetricsServiceResponse { partial_success }))
    }
}

struct HttpScript {
    answers: Mutex<VecDeque<Response<Body>>>,
    got: UnboundedSender<Got>,
}

async fn scripted(
    answers: impl IntoIterator<Item = Response<Body>>,
) -> (TcpListener, axum::Router, UnboundedReceiver<Got>) {
    let (sender, got) = unbounded_channel();
    let script = HttpScript { answers: Mutex::new(answers.into_iter().collect()), got: sender };
    let router = axum::Router::new().fallback(any(http_answer)).with_state(Arc::new(script));
    (TcpListener::bind("127.0.0.1:0").await.unwrap(), router, got)
}

async fn http_answer(
    State(script): State<Arc<HttpScript>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let _nobody_looks = script.got.send(Got::Http(uri.to_string(), headers, body));
    let answer = script.answers.lock().unwrap().pop_front();
    answer.unwrap_or_else(|| Response::new(Body::empty()))
}

/// An HTTP answer.
pub fn http(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// A gRPC answer with status OK and these bytes where the message should be.
pub fn grpc_bytes(message: &[u8]) -> Response<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0], &length[..], message].concat();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let body = Full::new(Bytes::from(frame)).with_trailers(async move { Some(Ok(trailers)) });
    http(200, &[("content-type", "application/grpc")], Body::new(body))
}
