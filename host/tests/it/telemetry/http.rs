//! OTLP over HTTP.

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use simhost::telemetry::exporter::{Exporter, Reason};
use tokio::net::TcpListener;

use crate::telemetry::receiver::{Receiver, http as answer};
use crate::telemetry::records::{log, resources, spans};
use crate::telemetry::sending::{
    LONG, export, flush, http, options, spans as count, start, traces_and_logs, traces_only, unharmed,
};
use simhost::telemetry::signal::{Batch, Count, Signal};

fn traces_url(receiver: &Receiver) -> String {
    format!("{}/v1/traces", receiver.url())
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_and_logs_are_posted_to_their_urls() {
    let mut receiver = Receiver::http([]).await;
    let mut traces = http(&traces_url(&receiver));
    traces.headers.insert("x-tenant", "lab".parse().unwrap());
    let logs = http(&format!("{}/somewhere/else?key=1", receiver.url()));
    let endpoints = traces_and_logs(traces, logs);
    let batch = Batch { logs: vec![log("low on books")], ..spans(2) };
    unharmed(
        &export(&endpoints, &options(), &[batch]),
        Count::of(Signal::Traces, 2) + Count::of(Signal::Logs, 1),
    );

    let mut got: Vec<_> = receiver.rest().into_iter().map(crate::telemetry::receiver::Got::http).collect();
    got.sort_by(|one, other| one.0.cmp(&other.0));
    let [(logs_path, _, _), (traces_path, headers, body)] = &got[..] else { panic!("{got:?}") };
    assert_eq!((logs_path.as_str(), traces_path.as_str()), ("/somewhere/else?key=1", "/v1/traces"));
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["user-agent"], concat!("simhost/", env!("CARGO_PKG_VERSION")));
    assert_eq!(headers["x-tenant"], "lab");
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_used_when_asked_for() {
    let mut receiver = Receiver::http([]).await;
    let mut endpoint = http(&traces_url(&receiver));
    endpoint.gzip = true;
    unharmed(&export(&traces_only(endpoint), &options(), &[spans(100)]), count(100));
    let (_, headers, body) = receiver.next().await.http();
    assert_eq!(headers["content-encoding"], "gzip");
    let mut plain = Vec::new();
    GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
    assert!(plain.len() > body.len());
    let request = ExportTraceServiceRequest::decode(&plain[..]).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_receiver_is_asked_again_when_it_says_so() {
    let dates = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let answers = [
        answer(429, &[("retry-after", "0")], "slow down"),
        answer(503, &dates, ""),
        answer(502, &[], ""),
        answer(504, &[], ""),
    ];
    let mut receiver = Receiver::http(answers).await;
    let totals = export(&traces_only(http(&traces_url(&receiver))), &options(), &[spans(3)]);
    assert_eq!((totals.exported, totals.retried), (count(3), 4), "{totals:?}");
    assert_eq!(receiver.rest().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_beyond_all_patience_ends_the_retries() {
    let receiver = Receiver::http([answer(429, &[("retry-after", "3600")], "slow down")]).await;
    let totals = export(&traces_only(http(&traces_url(&receiver))), &options(), &[spans(3)]);
    let lost = &totals.dropped[&Reason::Failed];
    let message =
        "HTTP 429 Too Many Requests: slow down (attempt 1, the last; it asks for a wait of over 1m)";
    assert_eq!((lost.count, lost.message.as_deref()), (count(3), Some(message)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_for_good_is_dropped_with_the_reason() {
    let status = tonic_types::Status { code: 3, message: "no such tenant".to_owned(), details: Vec::new() };
    let answers = [
        answer(400, &[("content-type", "application/x-protobuf")], status.encode_to_vec()),
        answer(401, &[("content-type", "text/plain")], "no such tenant"),
        answer(403, &[], "no such tenant"),
        answer(404, &[], "no such tenant"),
        answer(301, &[("location", "http://example.invalid/")], "no such tenant"),
    ];
    for refusal in answers {
        let mut receiver = Receiver::http([refusal]).await;
        let totals = export(&traces_only(http(&traces_url(&receiver))), &options(), &[spans(3)]);
        let lost = &totals.dropped[&Reason::Refused];
        assert_eq!(lost.count, count(3));
        assert!(lost.message.as_ref().unwrap().ends_with(": no such tenant"), "{lost:?}");
        assert!(totals.trouble.is_some_and(|trouble| trouble.is_permanent));
        assert_eq!(receiver.rest().len(), 1, "no second attempt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_spans_are_counted_with_the_message() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".to_owned() };
    let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let receiver = Receiver::http([answer(200, &[], body)]).await;
    let totals = export(&traces_only(http(&traces_url(&receiver))), &options(), &[spans(3)]);
    assert_eq!((totals.exported, totals.rejected.count), (count(1), count(2)));
    assert_eq!(totals.rejected.message.as_deref(), Some("too old"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_makes_no_sense_is_counted() {
    for body in [b"<html>hello</html>".to_vec(), vec![0; 1 << 20]] {
        let mut receiver = Receiver::http([answer(200, &[], body)]).await;
        let totals = export(&traces_only(http(&traces_url(&receiver))), &options(), &[spans(3)]);
        assert_eq!((totals.exported, totals.garbled, totals.retried), (count(3), 1, 0), "{totals:?}");
        assert_eq!(receiver.rest().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut endpoint = http(&format!("http://{address}/v1/traces"));
    endpoint.timeout = Duration::from_millis(50);
    let mut options = options();
    options.retry.max_elapsed = Duration::ZERO;
    let totals = export(&traces_only(endpoint), &options, &[spans(3)]);
    let lost = &totals.dropped[&Reason::Failed];
    let message = "no answer within 50ms (attempt 1, the last)";
    assert_eq!((lost.count, lost.message.as_deref()), (count(3), Some(message)));
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_dies_and_comes_back_gets_everything() {
    let dying = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = dying.local_addr().unwrap();
    let mut exporter = start(&traces_only(http(&format!("http://{address}/v1/traces"))), &options());
    exporter.export(&spans(3), &resources());
    // Half of an answer, and the end of the process.
    let (connection, _) = dying.accept().await.unwrap();
    connection.readable().await.unwrap();
    connection.writable().await.unwrap();
    connection.try_write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123").unwrap();
    drop((connection, dying));
    let revived = TcpListener::bind(address).await.unwrap();
    let router = axum::Router::new().fallback(|| async {});
    let server = tokio::spawn(async move { axum::serve(revived, router).await.unwrap() });
    let totals = flush(&mut exporter, LONG);
    assert_eq!(totals.exported, count(3), "{totals:?}");
    assert!(totals.retried >= 1, "{totals:?}");
    server.abort();
}
