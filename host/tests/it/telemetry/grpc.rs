//! OTLP over gRPC.

use std::time::Duration;

use simhost::telemetry::exporter::Reason;
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::telemetry::receiver::{Answer, Got, Receiver, grpc_bytes};
use crate::telemetry::records::{full_span, log, metrics, span, spans};
use crate::telemetry::sending::{
    all_signals, export, flush, grpc, options, spans as count, start, traces_and_logs, traces_only, unharmed,
};
use simhost::telemetry::signal::{Batch, Count, Signal};

fn busy(code: Code, delay: Duration) -> Answer {
    Answer::Refuse(Status::with_error_details(code, "busy", ErrorDetails::with_retry_info(Some(delay))))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_all_signals_arrive_with_headers_and_a_name() {
    let mut receiver = Receiver::grpc([]).await;
    let mut endpoint = grpc(&receiver.url());
    endpoint.headers.insert("authorization", "Bearer 123".parse().unwrap());
    let batch = Batch {
        spans: vec![span(1), full_span()],
        logs: vec![log("low on books")],
        metrics: metrics(),
        ..Batch::default()
    };
    let totals = export(&all_signals(&endpoint), &options(), &[batch]);
    let points = Count::of(Signal::Metrics, 6);
    unharmed(&totals, Count::of(Signal::Traces, 2) + Count::of(Signal::Logs, 1) + points);

    let (mut traces, mut logs, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
    for got in receiver.rest() {
        let headers = match got {
            Got::Traces(headers, request) => {
                traces.push(request);
                headers
            }
            Got::Logs(headers, request) => {
                logs.push(request);
                headers
            }
            Got::Metrics(headers, request) => {
                metrics.push(request);
                headers
            }
            Got::Http(..) => unreachable!("a gRPC receiver"),
        };
        assert_eq!(headers["authorization"], "Bearer 123");
        let agent = headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with(concat!("simhost/", env!("CARGO_PKG_VERSION"))), "{agent}");
    }
    assert_eq!((traces.len(), logs.len(), metrics.len()), (1, 1, 1));
    let resources = &traces[0].resource_spans;
    assert_eq!(resources.len(), 2, "both services travel in one request");
    assert_eq!(resources[1].scope_spans[0].spans[0].name, "POST /stock/{item}/reserve");
    assert_eq!(logs[0].resource_logs[0].scope_logs[0].log_records[0].severity_text, "WARN");
    assert_eq!(metrics[0].resource_metrics[0].scope_metrics[0].metrics.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_used_when_asked_for() {
    let mut receiver = Receiver::grpc([]).await;
    let mut endpoint = grpc(&receiver.url());
    endpoint.gzip = true;
    let totals = export(&traces_only(endpoint), &options(), &[spans(100)]);
    unharmed(&totals, count(100));
    let Got::Traces(headers, request) = receiver.next().await else { panic!("traces") };
    assert_eq!(headers["grpc-encoding"], "gzip");
    assert_eq!(request.resource_spans[0].scope_spans[0].spans.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_receiver_is_asked_again() {
    let answers = [
        Answer::Refuse(Status::unavailable("starting")),
        busy(Code::Unavailable, Duration::from_millis(2)),
        busy(Code::ResourceExhausted, Duration::from_millis(2)),
    ];
    let mut receiver = Receiver::grpc(answers).await;
    let totals = export(&traces_only(grpc(&receiver.url())), &options(), &[spans(3)]);
    assert_eq!(totals.exported, count(3));
    assert_eq!(totals.retried, 3);
    assert_eq!(totals.dropped(), Count::default());
    let requests: Vec<_> = receiver.rest().into_iter().map(Got::traces).collect();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| *request == requests[0]), "the same request every time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_for_good_is_dropped_with_the_reason() {
    let refusals = [
        Status::permission_denied("no such tenant"),
        Status::unauthenticated("no such tenant"),
        Status::unimplemented("no such tenant"),
        Status::resource_exhausted("no such tenant"),
    ];
    for status in refusals {
        let mut receiver = Receiver::grpc([Answer::Refuse(status)]).await;
        let totals = export(&traces_only(grpc(&receiver.url())), &options(), &[spans(3)]);
        let lost = &totals.dropped[&Reason::Refused];
        assert_eq!(lost.count, count(3));
        assert!(lost.message.as_ref().unwrap().contains("no such tenant"), "{lost:?}");
        assert!(totals.trouble.is_some_and(|trouble| trouble.is_permanent));
        assert_eq!((totals.exported, totals.retried), (count(0), 0));
        assert_eq!(receiver.rest().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_end_when_the_policy_says_so() {
    let receiver = Receiver::grpc([busy(Code::Unavailable, Duration::from_secs(3600))]).await;
    let totals = export(&traces_only(grpc(&receiver.url())), &options(), &[spans(3)]);
    let lost = &totals.dropped[&Reason::Failed];
    assert_eq!(lost.count, count(3));
    assert_eq!(
        lost.message.as_deref(),
        Some("Unavailable: busy (attempt 1, the last; it asks for a wait of over 1m)")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_spans_are_counted_with_the_message() {
    let answers = [
        Answer::Partial(2, "too old"),
        Answer::Partial(99, "more than there were"),
        Answer::Partial(0, "only a warning"),
    ];
    let receiver = Receiver::grpc(answers).await;
    let mut options = options();
    options.batching[Signal::Traces].batch = 3;
    let totals = export(&traces_only(grpc(&receiver.url())), &options, &[spans(9)]);
    assert_eq!(totals.exported, count(1 + 3));
    assert_eq!(totals.rejected.count, count(2 + 3));
    assert_eq!(totals.rejected.message.as_deref(), Some("more than there were"));
    assert_eq!(totals.warning.as_deref(), Some("the receiver says: only a warning"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let receiver = Receiver::grpc([Answer::Hang]).await;
    let mut endpoint = grpc(&receiver.url());
    endpoint.timeout = Duration::from_millis(200);
    let totals = export(&traces_only(endpoint), &options(), &[spans(3)]);
    assert_eq!(totals.exported, count(3));
    assert!(totals.retried >= 1, "{totals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_slow_is_told_from_one_that_is_not_there() {
    let receiver = Receiver::grpc([Answer::Hang]).await;
    let mut endpoint = grpc(&receiver.url());
    endpoint.timeout = Duration::from_millis(50);
    let mut options = options();
    options.retry.max_elapsed = Duration::ZERO;
    let totals = export(&traces_only(endpoint), &options, &[spans(3)]);
    let lost = &totals.dropped[&Reason::Failed];
    let message = "no answer within 50ms (attempt 1, the last)";
    assert_eq!((lost.count, lost.message.as_deref()), (count(3), Some(message)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_makes_no_sense_is_counted() {
    let too_long = vec![0; 1 << 20];
    for answer in [&b"\xff\xff\xff\xff"[..], &too_long] {
        let mut receiver = Receiver::http2([grpc_bytes(answer)], None).await;
        let totals = export(&traces_only(grpc(&receiver.url())), &options(), &[spans(3)]);
        assert_eq!((totals.exported, totals.garbled, totals.retried), (count(3), 1, 0), "{totals:?}");
        assert_eq!(receiver.rest().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_grpc_server_is_an_error() {
    let receiver = Receiver::http2([crate::telemetry::receiver::http(404, &[], "who are you?")], None).await;
    let totals = export(&traces_only(grpc(&receiver.url())), &options(), &[spans(3)]);
    assert_eq!(totals.dropped[&Reason::Refused].count, count(3), "{totals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_dies_and_comes_back_gets_everything() {
    // A connection that is closed in the middle of the first request, …
    let dying = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = dying.local_addr().unwrap();
    let mut exporter = start(&traces_only(grpc(&format!("http://{address}"))), &options());
    simhost::telemetry::exporter::Exporter::export(
        &mut exporter,
        &spans(3),
        &crate::telemetry::records::resources(),
    );
    let (connection, _) = dying.accept().await.unwrap();
    connection.readable().await.unwrap();
    drop((connection, dying));
    // … and a new process on the same port.
    let mut receiver = Receiver::grpc_on(TcpListener::bind(address).await.unwrap(), [], None);
    let totals = flush(&mut exporter, crate::telemetry::sending::LONG);
    assert_eq!(totals.exported, count(3), "{totals:?}");
    assert!(totals.retried >= 1, "{totals:?}");
    assert_eq!(receiver.rest().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_not_held_up_by_a_receiver_that_takes_no_logs() {
    let mut receiver = Receiver::grpc([]).await;
    let hanging = Receiver::grpc([Answer::Hang]).await;
    let endpoints = traces_and_logs(grpc(&receiver.url()), grpc(&hanging.url()));
    let mut exporter = start(&endpoints, &options());
    let batch = Batch { logs: vec![log("stuck")], ..spans(3) };
    simhost::telemetry::exporter::Exporter::export(
        &mut exporter,
        &batch,
        &crate::telemetry::records::resources(),
    );
    let request = receiver.next().await.traces();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans.len(), 3);
    flush(&mut exporter, Duration::ZERO);
}
