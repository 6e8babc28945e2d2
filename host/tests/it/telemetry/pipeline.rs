//! The pipeline: nothing lost without a word, nothing waited for without need.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use simhost::run::{Intent, Plan};
use simhost::telemetry::exporter::{Account, Exporter, Reason};
use simhost::telemetry::memory::Memory;
use simhost::telemetry::otlp::{CONCURRENCY, Endpoints, Options, Otlp};
use simhost::telemetry::pipeline::{Batching, Handoff, Pace, Pipeline, Settlement};
use simhost::telemetry::record::Resource;
use tokio::time::Instant;

use crate::telemetry::receiver::{Answer, Got, Receiver};
use crate::telemetry::records::{log, logs, resources, span, spans};
use crate::telemetry::sending::{
    LONG, all_signals, flush, grpc, options, spans as count, start as start_otlp, traces_only, unharmed,
};
use simhost::telemetry::signal::{Batch, Count, PerSignal, Signal, Signals};

fn start(exporters: Vec<Box<dyn Exporter>>, pace: Pace, batching: Batching) -> (Handoff, Pipeline) {
    Pipeline::start(resources(), exporters, None, pace, batching).unwrap()
}

/// Off the runtime's threads: it blocks.
fn shutdown(pipeline: Pipeline, timeout: Duration) -> Settlement {
    tokio::task::block_in_place(|| pipeline.shutdown(timeout))
}

/// Takes a batch when it is told to.
struct Gated {
    gate: mpsc::Receiver<()>,
    entered: mpsc::Sender<()>,
    account: Arc<Account>,
}

impl Gated {
    /// The exporter, what opens its gate, and what tells that it stands before it.
    fn new() -> (Self, mpsc::Sender<()>, mpsc::Receiver<()>) {
        let (open, gate) = mpsc::channel();
        let (entered, waiting) = mpsc::channel();
        (Self { gate, entered, account: Account::new("gated") }, open, waiting)
    }
}

impl Exporter for Gated {
    fn name(&self) -> &str {
        "gated"
    }

    fn takes(&self) -> Signals {
        Signals::ALL
    }

    fn export(&mut self, batch: &Batch, _: &[Resource]) {
        let _test_is_over = self.entered.send(());
        if self.gate.recv().is_ok() {
            self.account.exported(batch.count());
        }
    }

    fn flush(&mut self, _: Instant) {}

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}

#[test]
fn every_exporter_gets_everything_in_order() {
    let ((one, kept_one), (two, kept_two)) = (Memory::new(), Memory::new());
    let (handoff, pipeline) = start(vec![Box::new(one), Box::new(two)], Pace::Real, Batching::default());
    for number in 1..=100 {
        handoff.send(Batch::from(vec![span(number)]));
    }
    handoff.send(logs(5));
    let report = pipeline.shutdown(LONG);
    let given = Count::of(Signal::Traces, 100) + Count::of(Signal::Logs, 5);
    assert_eq!((report.accepted, report.dropped), (given, Count::default()));
    for (totals, kept) in report.exporters.iter().zip([kept_one.take(), kept_two.take()]) {
        unharmed(totals, given);
        let starts: Vec<u64> = kept.spans.iter().map(|span| span.start).collect();
        assert_eq!(starts, spans(100).spans.iter().map(|span| span.start).collect::<Vec<_>>());
        assert_eq!(kept.logs.len(), 5);
    }
}

#[test]
fn in_real_time_a_full_queue_drops_and_counts() {
    let (gated, open, waiting) = Gated::new();
    let batching = Batching { queue: 10, batch: 1, ..Batching::default() };
    let (handoff, pipeline) = start(vec![Box::new(gated)], Pace::Real, batching);
    handoff.send(spans(1));
    waiting.recv().unwrap();
    // The pipeline is busy: ten may wait, no more.
    (0..15).for_each(|_| handoff.send(spans(1)));
    assert_eq!(pipeline.live().dropped, count(5));
    drop(open);
    let report = pipeline.shutdown(LONG);
    assert_eq!((report.accepted, report.dropped), (count(11), count(5)));
}

#[test]
fn a_queue_is_full_by_what_its_records_weigh_however_few_they_are() {
    const HEAVY: usize = 30 << 20;
    let (gated, open, waiting) = Gated::new();
    let batching = Batching { batch: 1, ..Batching::default() };
    let (handoff, pipeline) = start(vec![Box::new(gated)], Pace::Real, batching);
    let heavy = || Batch::from(vec![log(&"x".repeat(HEAVY))]);
    handoff.send(heavy());
    waiting.recv().unwrap();
    // The pipeline is busy: two may wait in its 64 MiB.
    (0..5).for_each(|_| handoff.send(heavy()));
    assert_eq!(pipeline.live().dropped, Count::of(Signal::Logs, 3));
    drop(open);
    assert_eq!(pipeline.shutdown(LONG).accepted, Count::of(Signal::Logs, 3));
}

#[test]
fn in_virtual_time_the_core_waits_and_nothing_is_lost() {
    let (memory, kept) = Memory::new();
    let batching = Batching { queue: 10, batch: 7, ..Batching::default() };
    let (handoff, pipeline) = start(vec![Box::new(memory)], Pace::Virtual, batching);
    (0..1_000).for_each(|_| handoff.send(spans(3)));
    let report = pipeline.shutdown(LONG);
    assert_eq!(report.dropped, Count::default());
    unharmed(&report.exporters[0], count(3_000));
    assert_eq!(kept.take().spans.len(), 3_000);
}

#[test]
fn a_stuck_exporter_does_not_stop_the_end() {
    let (gated, open, waiting) = Gated::new();
    let batching = Batching { batch: 1, ..Batching::default() };
    let (handoff, pipeline) = start(vec![Box::new(gated)], Pace::Real, batching);
    handoff.send(spans(2));
    waiting.recv().unwrap();
    handoff.send(spans(3));
    let report = pipeline.shutdown(Duration::from_millis(10));
    assert_eq!(report.exporters[0].dropped[&Reason::Deadline].count, count(5));
    drop(open);
}

#[test]
fn what_comes_after_the_end_is_counted_too() {
    let (memory, _) = Memory::new();
    let (handoff, pipeline) = start(vec![Box::new(memory)], Pace::Virtual, Batching::default());
    assert_eq!(pipeline.shutdown(LONG).accepted, Count::default());
    handoff.send(spans(1));
}

#[test]
fn an_exporter_that_panics_leaves_nobody_waiting() {
    struct Panics(Arc<Account>);
    impl Exporter for Panics {
        fn name(&self) -> &str {
            "panics"
        }
        fn takes(&self) -> Signals {
            Signals::ALL
        }
        fn export(&mut self, _: &Batch, _: &[Resource]) {
            panic!("a bug in an exporter");
        }
        fn flush(&mut self, _: Instant) {}
        fn account(&self) -> Arc<Account> {
            Arc::clone(&self.0)
        }
    }
    let batching = Batching { queue: 1, batch: 1, ..Batching::default() };
    let (handoff, pipeline) = start(vec![Box::new(Panics(Account::new("panics")))], Pace::Virtual, batching);
    (0..100).for_each(|_| handoff.send(spans(1)));
    let report = pipeline.shutdown(LONG);
    assert_eq!(report.accepted + report.dropped, count(100));
    assert_eq!(report.exporters[0].dropped(), report.accepted);
}

fn virtual_options(queue: usize) -> (Options, Batching) {
    let batching = Batching { queue, batch: 10, ..Batching::default() };
    (Options { pace: Pace::Virtual, batching: batching.into(), ..options() }, batching)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_virtual_time_a_healthy_receiver_gets_everything() {
    let mut receiver = Receiver::grpc([]).await;
    let (options, batching) = virtual_options(20);
    let otlp = start_otlp(&traces_only(grpc(&receiver.url())), &options);
    let (handoff, pipeline) = start(vec![Box::new(otlp)], Pace::Virtual, batching);
    tokio::task::block_in_place(|| (0..500).for_each(|_| handoff.send(spans(10))));
    let report = shutdown(pipeline, LONG);
    unharmed(&report.exporters[0], count(5_000));
    let arrived: usize = receiver
        .rest()
        .into_iter()
        .map(Got::traces)
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .map(|scope| scope.spans.len())
        .sum();
    assert_eq!(arrived, 5_000);
}

#[test]
fn a_runtime_that_is_gone_leaves_nobody_waiting() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (options, batching) = virtual_options(20);
    let endpoints = traces_only(grpc("http://localhost:1"));
    let otlp = Otlp::start(&endpoints, &options, runtime.handle()).unwrap();
    drop(runtime);
    let (handoff, pipeline) = start(vec![Box::new(otlp)], Pace::Virtual, batching);
    (0..100).for_each(|_| handoff.send(spans(10)));
    let report = pipeline.shutdown(LONG);
    assert_eq!(report.exporters[0].dropped(), count(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_does_not_delay_the_end_beyond_its_deadline() {
    let mut receiver = Receiver::grpc([Answer::Hang]).await;
    let otlp = start_otlp(&traces_only(grpc(&receiver.url())), &options());
    let batching = Batching { batch: 1, ..Batching::default() };
    let (handoff, pipeline) = start(vec![Box::new(otlp)], Pace::Real, batching);
    handoff.send(spans(7));
    receiver.next().await;
    let report = shutdown(pipeline, Duration::from_millis(10));
    assert_eq!(report.exporters[0].dropped[&Reason::Deadline].count, count(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_real_time_what_a_slow_receiver_leaves_over_is_dropped_and_counted() {
    let mut receiver = Receiver::grpc([Answer::Hang]).await;
    let mut options = options();
    options.batching[Signal::Traces].queue = 20;
    let mut otlp = start_otlp(&traces_only(grpc(&receiver.url())), &options);
    otlp.export(&spans(10), &resources());
    receiver.next().await;
    // One request is under way, two may wait.
    (0..9).for_each(|_| otlp.export(&spans(10), &resources()));
    assert_eq!(otlp.account().totals().dropped[&Reason::QueueFull].count, count(70));
    flush(&mut otlp, Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_requests_are_under_way_at_a_time() {
    let mut receiver = Receiver::grpc([Answer::Hang, Answer::Hang, Answer::Hang]).await;
    let options = Options { concurrency: CONCURRENCY, ..options() };
    let mut otlp = start_otlp(&traces_only(grpc(&receiver.url())), &options);
    (0..10).for_each(|_| otlp.export(&spans(10), &resources()));
    for _ in 0..10 {
        receiver.next().await;
    }
    flush(&mut otlp, Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_split_by_size_and_an_oversized_span_is_left_out() {
    let mut receiver = Receiver::grpc([]).await;
    let options = Options { request_bytes: 2_000, ..options() };
    let otlp = start_otlp(&traces_only(grpc(&receiver.url())), &options);
    let (handoff, pipeline) = start(vec![Box::new(otlp)], Pace::Real, Batching::default());
    let mut batch = spans(100);
    batch.spans[50].name = "x".repeat(2_000).into();
    handoff.send(batch);
    let report = shutdown(pipeline, LONG);
    let totals = &report.exporters[0];
    assert_eq!((totals.exported, totals.dropped[&Reason::TooLarge].count), (count(99), count(1)));
    let sizes: Vec<_> =
        receiver.rest().into_iter().map(|got| prost::Message::encoded_len(&got.traces())).collect();
    assert!(sizes.len() > 3 && sizes.iter().all(|size| *size <= 2_000), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_signal_that_goes_nowhere_are_not_missed() {
    let receiver = Receiver::grpc([]).await;
    let endpoints = Endpoints::only_for(Signal::Logs, grpc(&receiver.url()));
    let otlp = start_otlp(&endpoints, &options());
    let (handoff, pipeline) = start(vec![Box::new(otlp)], Pace::Real, Batching::default());
    handoff.send(Batch { logs: logs(2).logs, ..spans(3) });
    unharmed(&shutdown(pipeline, LONG).exporters[0], Count::of(Signal::Logs, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_records_leave_when_their_own_delay_is_over_and_what_is_there_goes_along() {
    let mut receiver = Receiver::grpc([]).await;
    let mut batching = PerSignal::from(Batching { delay: LONG, ..Batching::default() });
    batching[Signal::Logs].delay = Duration::ZERO;
    let otlp = start_otlp(&all_signals(&grpc(&receiver.url())), &options());
    let (handoff, pipeline) =
        Pipeline::start(resources(), vec![Box::new(otlp)], None, Pace::Real, batching).unwrap();
    handoff.send(spans(3));
    handoff.send(logs(2));
    let got = [receiver.next().await, receiver.next().await];
    assert!(got.iter().any(|got| matches!(got, Got::Logs(..))), "{got:?}");
    handoff.send(spans(3));
    shutdown(pipeline, LONG);
}

/// Stands for a defect: simhost has no exporter that panics.
struct Panicking(Arc<Account>);

impl Exporter for Panicking {
    fn name(&self) -> &str {
        "panicking"
    }

    fn takes(&self) -> Signals {
        Signals::ALL
    }

    fn export(&mut self, _: &Batch, _: &[Resource]) {
        panic!("as the test asks for");
    }

    fn flush(&mut self, _: Instant) {}

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.0)
    }
}

#[test]
fn a_run_whose_telemetry_thread_panics_has_failed() {
    let topology = crate::support::Topology::orders();
    let options = simhost::run::Options {
        topology: topology.path(),
        virtual_time: true,
        stop_after: Some(1_000_000_000),
        loads: vec![("shoppers".to_owned(), true)],
        ..simhost::run::Options::default()
    };
    let plan = Plan::from_file(options, Intent::Run, |_| None).expect("a topology that is good");
    let panicking = Panicking(Account::new("panicking"));
    let outcome = plan.run_with(vec![Box::new(panicking)], |_| {}).expect("it has a report");
    let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
    assert!(failure.what.contains("the telemetry thread ended early"), "{failure:?}");
}
