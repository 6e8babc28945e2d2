//! Virtual time waits for a receiver that asks to wait, and the end of a run while
//! records flow; both within a bound.

use std::time::Duration;

use simhost::telemetry::exporter::{Exporter as _, Reason, Totals};
use simhost::telemetry::otlp::Options;
use simhost::telemetry::pipeline::{Batching, Handoff, Pace, Pipeline};
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::support::{Finished, Topology, finish};
use crate::telemetry::receiver::{Answer, Got, Receiver, http as answer};
use crate::telemetry::records::{log, resources, spans};
use crate::telemetry::sending::{
    LONG, flush, grpc, http, options, spans as count, start as start_otlp, traces_and_logs, traces_only,
};
use simhost::telemetry::signal::{Batch, Count, Signal};

/// Too short for a receiver that works, and so a bound that tests need not wait for.
const SHORT: Duration = Duration::from_secs(1);

/// A queue of two requests, and `timeout` for who takes nothing.
fn virtual_options(timeout: Duration) -> Options {
    let batching = Batching { queue: 20, batch: 10, timeout, ..Batching::default() };
    Options { pace: Pace::Virtual, batching: batching.into(), ..options() }
}

fn start(url: &str, options: &Options) -> (Handoff, Pipeline) {
    let otlp = start_otlp(&traces_only(grpc(url)), options);
    Pipeline::start(resources(), vec![Box::new(otlp)], None, options.pace, options.batching).unwrap()
}

/// Sends batches of ten spans, and gives the account.
fn send(url: &str, options: &Options, batches: usize) -> Totals {
    let (handoff, pipeline) = start(url, options);
    let report = tokio::task::block_in_place(|| {
        (0..batches).for_each(|_| handoff.send(spans(10)));
        pipeline.shutdown(options.batching[Signal::Traces].timeout)
    });
    assert_eq!(report.dropped, Count::default());
    report.exporters.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_says_later_is_waited_for_and_gets_everything() {
    let busy = |code, delay| {
        let delay = ErrorDetails::with_retry_info(Some(Duration::from_millis(delay)));
        Answer::Refuse(Status::with_error_details(code, "busy", delay))
    };
    let answers = (0..5).flat_map(|_| {
        [
            Answer::Refuse(Status::unavailable("starting")),
            busy(Code::Unavailable, 2),
            busy(Code::ResourceExhausted, 2),
            Answer::Accept,
            Answer::After(Duration::from_millis(20)),
        ]
    });
    let receiver = Receiver::grpc(answers.collect::<Vec<_>>()).await;
    let totals = send(&receiver.url(), &virtual_options(LONG), 500);
    assert_eq!((totals.exported, totals.dropped.len()), (count(5_000), 0), "{totals:?}");
    assert_eq!(totals.retried, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_says_later_over_http_is_waited_for_and_gets_everything() {
    let answers = (0..5).flat_map(|_| {
        [
            answer(429, &[("retry-after", "0")], ""),
            answer(503, &[], ""),
            answer(502, &[], ""),
            answer(200, &[], ""),
        ]
    });
    let receiver = Receiver::http(answers.collect::<Vec<_>>()).await;
    let options = virtual_options(LONG);
    let otlp = start_otlp(&traces_only(http(&receiver.url())), &options);
    let (handoff, pipeline) =
        Pipeline::start(resources(), vec![Box::new(otlp)], None, options.pace, options.batching).unwrap();
    let report = tokio::task::block_in_place(|| {
        (0..500).for_each(|_| handoff.send(spans(10)));
        pipeline.shutdown(LONG)
    });
    let totals = &report.exporters[0];
    assert_eq!((totals.exported, totals.retried), (count(5_000), 15), "{totals:?}");
    assert_eq!(totals.dropped.len(), 0, "{totals:?}");
}

/// As the issue has it: a whole run, whose digest the receiver has no part in.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_run_waits_for_a_receiver_that_is_unavailable_at_first() {
    let refusals = (0..8).map(|_| Answer::Refuse(Status::unavailable("not now")));
    let mut receiver = Receiver::grpc(refusals).await;
    let topology = Topology::orders();
    let run = |more: &[&str]| {
        let mut command = topology.command(&["--virtual", "--for", "20s", "--json"]);
        command.args(more).env("OTEL_BSP_MAX_QUEUE_SIZE", "512").env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "128");
        let Finished { code, stdout, stderr } = tokio::task::block_in_place(|| finish(&mut command));
        assert_eq!(code, Some(0), "{stderr}");
        serde_json::from_str::<serde_json::Value>(&stdout).unwrap()
    };
    let (alone, sent) = (run(&[]), run(&["--otlp", &receiver.url()]));
    assert_eq!(alone["digest"], sent["digest"]);
    let spans = sent["telemetry"]["spans"].as_u64().unwrap();
    assert!(spans > 10_000, "more than any queue of it holds: {spans}");
    let exporter = &sent["telemetry"]["exporters"][0];
    assert_eq!((&exporter["exported_spans"], &exporter["lost"]), (&spans.into(), &0.into()));
    assert_eq!(exporter["retried_requests"], 8);
    // What was refused came once more, and the rest once.
    let arrived: usize = receiver.rest().into_iter().map(|got| got.span_names().len()).sum();
    assert!(arrived as u64 > spans, "{arrived} of {spans}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_accepts_nothing_for_too_long_is_not_waited_for_until_it_does() {
    let never = (0..10_000).map(|_| Answer::Refuse(Status::unavailable("not now")));
    let receiver = Receiver::grpc(never).await;
    let totals = send(&receiver.url(), &virtual_options(SHORT), 500);
    assert_eq!((totals.settled(), totals.exported), (count(5_000), count(0)), "{totals:?}");
    let full = &totals.dropped[&Reason::QueueFull];
    assert_eq!(full.count, count(4_970), "one request under way, two in the queue");
    let why = "nothing was accepted for 1s: Unavailable: not now";
    assert_eq!(full.message.as_deref(), Some(why));
    assert_eq!(totals.lost(), count(5_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_recovers_is_waited_for_again() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let options = virtual_options(SHORT);
    let (handoff, pipeline) = start(&format!("http://{address}"), &options);
    tokio::task::block_in_place(|| (0..50).for_each(|_| handoff.send(spans(10))));
    while pipeline.live().exporters[0].dropped()[Signal::Traces] == 0 {
        tokio::task::yield_now().await;
    }
    let mut receiver = Receiver::grpc_on(TcpListener::bind(address).await.unwrap(), [], None);
    let first: Got = receiver.next().await;
    assert_eq!(first.span_names().len(), 10);
    while pipeline.live().exporters[0].exported[Signal::Traces] == 0 {
        tokio::task::yield_now().await;
    }
    let lost = pipeline.live().exporters[0].dropped();
    let report = tokio::task::block_in_place(|| {
        (0..500).for_each(|_| handoff.send(spans(10)));
        pipeline.shutdown(LONG)
    });
    let totals = &report.exporters[0];
    assert_eq!(totals.dropped(), lost, "nothing more was lost: {totals:?}");
    assert_eq!(totals.settled(), count(5_500));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_while_records_flow_and_no_longer() {
    let slow = |answers: usize| (0..answers).map(|_| Answer::After(SHORT / 20));
    for pace in [Pace::Virtual, Pace::Real] {
        let mut options = virtual_options(SHORT);
        options.pace = pace;
        options.batching = Batching { queue: 1_000, ..options.batching[Signal::Traces] }.into();
        // All of it takes longer than the end waits while nothing moves.
        let receiver = Receiver::grpc(slow(40)).await;
        let totals = send(&receiver.url(), &options, 40);
        assert_eq!(totals.exported, count(400), "{pace:?}: {totals:?}");
        let stops = slow(5).chain([Answer::Hang]);
        let receiver = Receiver::grpc(stops).await;
        let totals = send(&receiver.url(), &options, 40);
        assert_eq!(totals.exported, count(50), "{pace:?}: {totals:?}");
        assert_eq!(totals.dropped[&Reason::Deadline].count, count(350), "{pace:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_for_log_records_that_flow_on_after_the_last_span() {
    for pace in [Pace::Virtual, Pace::Real] {
        let mut options = virtual_options(SHORT);
        options.pace = pace;
        options.batching = Batching { queue: 1_000, ..options.batching[Signal::Traces] }.into();
        // The spans alone take longer than the end waits while nothing moves, the log
        // records twice as long as the spans.
        let receiver = Receiver::grpc((0..75).map(|_| Answer::After(SHORT / 20))).await;
        let endpoint = grpc(&receiver.url());
        let endpoints = traces_and_logs(endpoint.clone(), endpoint);
        let mut exporter = start_otlp(&endpoints, &options);
        for number in 0..50 {
            let spans = if number < 25 { spans(10) } else { Batch::default() };
            let logs = (0..10).map(|_| log("taken")).collect();
            exporter.export(&Batch { logs, ..spans }, &resources());
        }
        let totals = flush(&mut exporter, SHORT);
        assert_eq!(
            totals.exported,
            Count::of(Signal::Traces, 250) + Count::of(Signal::Logs, 500),
            "{pace:?}: {totals:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_never_there_is_not_waited_for_long() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let totals = send(&format!("http://{gone}"), &virtual_options(LONG), 500);
    assert_eq!((totals.settled(), totals.exported), (count(5_000), count(0)));
    let full = totals.dropped[&Reason::QueueFull].message.clone().unwrap();
    assert!(full.starts_with("nothing was accepted for 5s: ") && full.contains("refused"), "{full}");
}
