//! Metrics on their way out: what only they have. What they share with other signals is
//! tested with those.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::MetricsData;
use prost::Message;
use simhost::telemetry::console::{PointLines, Style};
use simhost::telemetry::digest::Digest;
use simhost::telemetry::encode::json::{self, LINE_BYTES};
use simhost::telemetry::encode::{Packing, requests};
use simhost::telemetry::exporter::{Exporter, Reason};
use simhost::telemetry::record::{
    ExponentialBuckets, ExponentialPoint, HistogramPoint, Instrument, KeyValue, MetricRecord, Number,
    NumberPoint, Points, Summary, Temporality,
};
use simhost::telemetry::recorder::Recorder;
use simhost::telemetry::signal::{Batch, Count, Signal};
use tokio::net::TcpListener;
use tonic::Status;

use crate::support::{Topology, finish};
use crate::telemetry::message;
use crate::telemetry::receiver::{Answer, Got, Receiver, http as answer};
use crate::telemetry::records::{
    EPOCH, exponential, histogram, metric, metrics, point, resources, span, spans,
};
use crate::telemetry::sending::{all_signals, export, grpc, http, options, start};

const ALL: Packing = Packing { bytes: usize::MAX, records: usize::MAX };

fn points(points: usize) -> Count {
    Count::of(Signal::Metrics, points)
}

/// The lines of a file, each with its number of data points.
fn lines(metrics: &[MetricRecord]) -> Vec<(String, usize)> {
    let mut lines = Vec::new();
    json::lines(metrics, &resources(), LINE_BYTES, |line, items| {
        lines.push((String::from_utf8(line.to_vec()).unwrap(), items));
    });
    lines
}

/// Points that a careless reader or writer trips over.
fn odd() -> Vec<MetricRecord> {
    let empty = HistogramPoint {
        summary: Summary { count: 0, sum: Some(0.0), range: None },
        buckets: vec![0; 4],
        exemplars: Vec::new(),
        ..histogram()
    };
    let unbounded = HistogramPoint { bounds: [].into(), buckets: vec![4], ..histogram() };
    let one = ExponentialPoint {
        summary: Summary { count: 1, sum: Some(1.5), range: Some((1.5, 1.5)) },
        scale: 20,
        zeros: 0,
        positive: ExponentialBuckets { offset: 613_377, counts: vec![1] },
        negative: ExponentialBuckets::default(),
        ..exponential()
    };
    let of = Temporality::Delta;
    let mut long = metric("long", Points::Gauge(vec![point(Number::Int(i64::MIN))]));
    let name = "n".repeat(10_000).into();
    long.instrument = Arc::new(Instrument { name, unit: "".into(), description: "".into() });
    vec![
        metric("histograms", Points::Histogram { points: vec![empty, unbounded], temporality: of }),
        metric("one value", Points::ExponentialHistogram { points: vec![one], temporality: of }),
        metric("no points", Points::Gauge(Vec::new())),
        long,
    ]
}

#[test]
fn lines_can_be_read_back() {
    for records in [metrics(), odd()] {
        let lines = lines(&records);
        let [(line, items)] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(*items, records.iter().map(|record| record.points.len()).sum::<usize>());
        let read: MetricsData = serde_json::from_str(line).unwrap();
        assert_eq!(read, message::metrics(&records, &resources()));
    }
}

#[test]
fn a_line_has_no_field_without_a_value_and_numbers_of_64_bits_as_text() {
    let (line, _) = lines(&metrics()).remove(0);
    insta::assert_snapshot!(line.replace(concat!("\"", env!("CARGO_PKG_VERSION"), "\""), "\"<version>\""));
}

#[test]
fn numbers_that_json_does_not_have_are_text_and_protobuf_has_them() {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let record = metric("odd", Points::Gauge(values.map(|value| point(Number::Float(value))).to_vec()));
    let (line, _) = lines(std::slice::from_ref(&record)).remove(0);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    let read = &json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"];
    let read: Vec<_> = read.as_array().unwrap().iter().map(|point| point["asDouble"].clone()).collect();
    assert_eq!(read, ["NaN", "Infinity", "-Infinity"]);
    let mut bytes = Vec::new();
    requests(std::slice::from_ref(&record), &resources(), ALL, |request, _| bytes = request);
    assert_eq!(bytes, message::metrics(&[record], &resources()).encode_to_vec());
}

#[test]
fn a_gauge_has_no_start() {
    let record = metric("load", Points::Gauge(vec![point(Number::Int(1))]));
    assert!(!lines(&[record])[0].0.contains("startTimeUnixNano"));
}

fn digest(batch: &Batch, start: u64) -> String {
    let mut digest = Digest::new(start, 0);
    digest.take(batch, &resources());
    digest.finish()
}

#[test]
fn the_digest_counts_metrics_from_the_start_of_the_run_and_is_moved_by_each_value() {
    let batch = Batch { metrics: metrics(), ..spans(2) };
    let whole = digest(&batch, EPOCH);
    assert_eq!(whole, "6af52d30fa08d90529b4ff7d5951dc85a30732212fdec0273a5bf2266548bb9a");
    assert_ne!(whole, digest(&spans(2), EPOCH));
    let mut later = batch.clone();
    later.spans.iter_mut().for_each(|span| (span.start, span.end) = (span.start + 5, span.end + 5));
    for metric in &mut later.metrics {
        (metric.start, metric.time) = (metric.start + 5, metric.time + 5);
        let exemplars = match &mut metric.points {
            Points::Histogram { points, .. } => &mut points[0].exemplars,
            Points::ExponentialHistogram { points, .. } => &mut points[0].exemplars,
            Points::Gauge(_) | Points::Sum { .. } => continue,
        };
        exemplars[0].time += 5;
    }
    assert_eq!(digest(&later, EPOCH + 5), whole);
    for index in 0..batch.metrics.len() {
        let mut other = batch.clone();
        match &mut other.metrics[index].points {
            Points::Gauge(points) | Points::Sum { points, .. } => points[0].value = Number::Int(99),
            Points::Histogram { points, .. } => points[0].buckets[2] += 1,
            Points::ExponentialHistogram { points, .. } => points[0].zeros += 1,
        }
        assert_ne!(digest(&other, EPOCH), whole, "{index}");
    }
}

/// What a recorder hands over of one record.
fn recorded(record: MetricRecord) -> (Vec<MetricRecord>, Count) {
    let batches = Rc::new(RefCell::new(Batch::default()));
    let taken = Rc::clone(&batches);
    let recorder = Recorder::new(move |batch| taken.borrow_mut().append(batch));
    recorder.metric(record);
    recorder.finish();
    (batches.take().metrics, recorder.counts().recorded)
}

#[test]
fn points_that_are_too_many_for_a_line_leave_as_several_records_and_none_is_missing() {
    let value = "x".repeat(500);
    let of = |number: usize| HistogramPoint {
        attributes: [KeyValue::new("user", format!("{number} {value}"))].into(),
        ..histogram()
    };
    let all: Vec<_> = (0..2_000).map(of).collect();
    let record = metric("d", Points::Histogram { points: all.clone(), temporality: Temporality::Cumulative });
    let (records, counted) = recorded(record);
    assert!(records.len() > 1 && records.len() < 100, "{}", records.len());
    assert_eq!(counted, points(2_000));
    let mut together = Vec::new();
    for record in &records {
        let Points::Histogram { points, temporality: Temporality::Cumulative } = &record.points else {
            panic!("{record:?}")
        };
        together.extend_from_slice(points);
    }
    assert!(together == all);
    assert!(lines(&records).iter().all(|(line, _)| line.len() <= LINE_BYTES));
}

#[test]
fn a_point_that_is_large_alone_is_a_record_and_an_instrument_without_points_is_none() {
    let large = || NumberPoint {
        attributes: [KeyValue::new("key", "x".repeat(1 << 20))].into(),
        ..point(Number::Int(1))
    };
    let (records, counted) = recorded(metric("large", Points::Gauge(vec![large(), large(), large()])));
    assert_eq!((records.len(), counted), (3, points(3)));
    assert_eq!(recorded(metric("none", Points::Gauge(Vec::new()))).0.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_rejects_data_points_and_not_metrics() {
    let receiver = Receiver::grpc([Answer::Partial(4, "out of order")]).await;
    let batch = Batch { metrics: metrics(), ..Batch::default() };
    let totals = export(&all_signals(&grpc(&receiver.url())), &options(), &[batch]);
    assert_eq!((totals.exported, totals.rejected.count), (points(2), points(4)));
    assert_eq!(totals.rejected.message.as_deref(), Some("out of order"));
}

/// What a receiver does not take at all, said in words that tell what to set.
const REMEDY: &str = " (OTEL_METRICS_EXPORTER=none leaves data points out)";

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_no_metrics_gets_the_spans_and_the_remedy_is_said() {
    let batch = Batch { metrics: metrics(), ..spans(3) };
    // It knows traces only.
    let mut receiver = Receiver::grpc_up_to(1 << 20).await;
    let totals = export(&all_signals(&grpc(&receiver.url())), &options(), &[batch.clone(), batch.clone()]);
    assert_eq!(totals.exported, Count::of(Signal::Traces, 6));
    let refused = &totals.dropped[&Reason::Refused];
    assert_eq!((refused.count, totals.retried), (points(12), 0));
    assert_eq!(refused.message.as_ref().unwrap(), &format!("Unimplemented: {REMEDY}"));
    assert!(receiver.rest().into_iter().all(|got| matches!(got, Got::Traces(..))));

    let receiver = Receiver::http([answer(404, &[], "page not found")]).await;
    let batch = Batch { metrics: metrics(), ..Batch::default() };
    let totals = export(&all_signals(&http(&receiver.url())), &options(), &[batch]);
    let refused = &totals.dropped[&Reason::Refused];
    assert_eq!(refused.count, points(6));
    assert_eq!(refused.message.as_ref().unwrap(), &format!("HTTP 404 Not Found: page not found{REMEDY}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_on_metrics_holds_up_no_span() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut receiver = Receiver::grpc([]).await;
    let mut endpoints = all_signals(&grpc(&receiver.url()));
    endpoints[Signal::Metrics] = Some(grpc(&format!("http://{}", hanging.local_addr().unwrap())));
    let batch = Batch { metrics: metrics(), spans: vec![span(1)], ..Batch::default() };
    let mut exporter = start(&endpoints, &options());
    exporter.export(&batch, &resources());
    assert_eq!(receiver.next().await.span_names(), ["POST"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_too_large_for_a_receiver_are_halved_and_points_counted_in_both() {
    let records: Vec<_> = (0..64)
        .map(|number| {
            let numbers = (0..=number % 5).map(|value| point(Number::Int(value)));
            metric("m", Points::Gauge(numbers.collect()))
        })
        .collect();
    let expected = records.iter().map(|record| record.points.len()).sum();
    let mut receiver = Receiver::http_up_to(1_500).await;
    let endpoints = all_signals(&http(&receiver.url()));
    let totals = export(&endpoints, &options(), &[Batch { metrics: records, ..Batch::default() }]);
    assert_eq!((totals.exported, totals.dropped()), (points(expected), Count::default()));
    let arrived = receiver.rest().into_iter().map(|got| {
        let (_, _, body) = got.http();
        let request = ExportMetricsServiceRequest::decode(body).unwrap();
        let scopes = request.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
        scopes.map(|scope| scope.metrics.len()).sum::<usize>()
    });
    assert_eq!(arrived.sum::<usize>(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_busy_with_metrics_is_asked_again() {
    let receiver = Receiver::grpc([Answer::Refuse(Status::unavailable("starting"))]).await;
    let batch = Batch { metrics: metrics(), ..Batch::default() };
    let totals = export(&all_signals(&grpc(&receiver.url())), &options(), &[batch]);
    assert_eq!((totals.exported, totals.retried), (points(6), 1));
}

/// What a console prints.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_console_has_a_line_for_each_data_point() {
    let printed = Printed::default();
    let mut console = PointLines::new(printed.clone(), Style { unicode: true, ..Style::default() });
    let all = [metrics(), odd()].concat();
    console.export(&Batch { metrics: all, ..spans(2) }, &resources());
    assert_eq!(console.account().totals().exported, points(10));
    let text = String::from_utf8(printed.0.lock().unwrap().clone()).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn a_run_prints_its_metrics_on_the_console_beside_its_report() {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--for", "5s"]);
    let finished = finish(command.env("OTEL_METRICS_EXPORTER", "console"));
    let durations: Vec<_> = finished
        .success()
        .lines()
        .filter(|line| line.contains(" [order-service] http.server.request.duration "))
        .collect();
    let [line] = &durations[..] else { panic!("{}", finished.stdout) };
    assert!(line.contains(" values, mean ") && line.contains("http.route=/orders"), "{line}");
    assert!(finished.stdout.contains("console metrics: "), "{}", finished.stdout);
}
