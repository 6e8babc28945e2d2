//! What it costs to turn records into OTLP, for each batch of 512 spans that
//! look like those of the orders topology; and what to record and digest them.
//! And the same for 1,024 data points, half of them of histograms.

#[expect(dead_code, reason = "it encodes spans only")]
#[path = "../tests/it/telemetry/message.rs"]
mod message;

use std::hint::black_box;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;
use simhost::context::{SpanId, TraceFlags, TraceId};
use simhost::telemetry::digest::Digest;
use simhost::telemetry::encode::{Packing, REQUEST_BYTES, requests};
use simhost::telemetry::record::{
    Attributes, HistogramPoint, Instrument, KeyValue, MetricRecord, Number, NumberPoint, Points, Resource,
    ResourceId, Scope, SpanKind, SpanRecord, Status, Summary, Temporality, Value,
};
use simhost::telemetry::recorder::Recorder;
use simhost::telemetry::signal::Batch;

const SPANS: u64 = 512;
const SERVICES: u32 = 4;

fn resources() -> Vec<Resource> {
    let names = ["order-service", "inventory-service", "payment-service", "notification-service"];
    let resource = |name: &'static str| Resource {
        service: name.into(),
        attributes: [
            ("service.name", name),
            ("service.namespace", "orders"),
            ("service.version", "1.4.2"),
            ("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09"),
            ("deployment.environment.name", "local"),
        ]
        .map(|(key, value)| KeyValue::new(key, value))
        .to_vec(),
    };
    names.map(resource).to_vec()
}

/// SERVER spans with the attributes that the conventions ask for, most of them
/// shared by all spans of the route.
fn spans() -> Vec<SpanRecord> {
    let shared: Arc<[KeyValue]> = Arc::new([
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("http.route", "/stock/{item}/reserve"),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("server.address", "inventory-service"),
        KeyValue::new("network.protocol.version", "1.1"),
        KeyValue { key: "http.response.status_code".into(), value: Value::Int(200) },
    ]);
    let peer: Arc<[KeyValue]> = Arc::new([
        KeyValue::new("client.address", "10.1.2.3"),
        KeyValue::new("network.peer.address", "10.1.2.3"),
        KeyValue { key: "network.peer.port".into(), value: Value::Int(50_123) },
        KeyValue::new("user_agent.original", "order-service/1.1.0"),
    ]);
    let name: Arc<str> = "POST /stock/{item}/reserve".into();
    (1..=SPANS)
        .map(|number| SpanRecord {
            trace_id: TraceId(NonZeroU128::new(u128::from(number) << 64 | 7).unwrap()),
            span_id: SpanId(NonZeroU64::new(number).unwrap()),
            parent: NonZeroU64::new(number + 1).map(SpanId),
            remote_parent: true,
            flags: TraceFlags(TraceFlags::SAMPLED),
            trace_state: None,
            resource: ResourceId(number as u32 % SERVICES),
            scope: Scope::Bus,
            kind: SpanKind::Server,
            name: Arc::clone(&name).into(),
            start: 1_700_000_000_000_000_000 + number * 1_000,
            end: 1_700_000_000_000_000_000 + number * 2_000,
            attributes: Attributes {
                shared: Some(Arc::clone(&shared)),
                peer: Some(Arc::clone(&peer)),
                own: vec![KeyValue::new("url.path", "/stock/book/reserve".to_owned())],
            },
            events: Vec::new(),
            links: Box::default(),
            status: Status::Unset,
            dropped_attributes: 0,
            dropped_events: 0,
        })
        .collect()
}

/// The points of 64 services: histograms by the conventions' bounds with 8 series each, and counters.
fn metrics() -> Vec<MetricRecord> {
    let bounds: Arc<[f64]> =
        Arc::new([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]);
    let attributes = |status: i64| -> Arc<[KeyValue]> {
        Arc::new([
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("http.route", "/stock/{item}/reserve"),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("network.protocol.version", "1.1"),
            KeyValue { key: "http.response.status_code".into(), value: Value::Int(status) },
        ])
    };
    let instrument = |name: &'static str, unit: &'static str| {
        let description = "Duration of HTTP server requests.".into();
        Arc::new(Instrument { name: name.into(), unit: unit.into(), description })
    };
    let (duration, count) =
        (instrument("http.server.request.duration", "s"), instrument("orders", "{order}"));
    let temporality = Temporality::Cumulative;
    let histogram = |status| HistogramPoint {
        attributes: attributes(status),
        summary: Summary { count: 1_234, sum: Some(45.678), range: Some((0.001, 2.3)) },
        bounds: Arc::clone(&bounds),
        buckets: vec![1, 20, 300, 500, 200, 100, 50, 30, 20, 10, 2, 1, 0, 0, 0],
        exemplars: Vec::new(),
    };
    let number = |status| NumberPoint {
        attributes: attributes(status),
        value: Number::Int(1_234),
        exemplars: Vec::new(),
    };
    let of_service = |service: u32| {
        let histograms = Points::Histogram { points: (200..208).map(histogram).collect(), temporality };
        let sums = Points::Sum { points: (200..208).map(number).collect(), is_monotonic: true, temporality };
        [(Arc::clone(&duration), histograms), (Arc::clone(&count), sums)].map(|(instrument, points)| {
            MetricRecord {
                resource: ResourceId(service % SERVICES),
                scope: Scope::Bus,
                instrument,
                start: 1_700_000_000_000_000_000,
                time: 1_700_000_060_000_000_000,
                points,
            }
        })
    };
    (0..64).flat_map(of_service).collect()
}

fn export_metrics(criterion: &mut Criterion) {
    let (metrics, resources) = (metrics(), resources());
    let packing = Packing { bytes: REQUEST_BYTES, records: usize::MAX };
    let mut group = criterion.benchmark_group("export");
    group.throughput(Throughput::Elements(metrics.iter().map(|metric| metric.points.len() as u64).sum()));
    group.bench_function("encode 1,024 data points", |bencher| {
        bencher.iter(|| {
            requests(black_box(&metrics), &resources, packing, |request, _| {
                black_box(request);
            })
        });
    });
    group.bench_function("digest 1,024 data points", |bencher| {
        let batch = Batch::from(metrics.clone());
        let mut digest = Digest::new(0, 0);
        bencher.iter(|| digest.take(black_box(&batch), &resources));
    });
    group.finish();
}

fn export(criterion: &mut Criterion) {
    let (spans, resources) = (spans(), resources());
    let packing = Packing { bytes: REQUEST_BYTES, records: usize::MAX };
    let mut group = criterion.benchmark_group("export");
    group.throughput(Throughput::Elements(SPANS));
    group.bench_function("encode 512 spans", |bencher| {
        bencher.iter(|| {
            requests(black_box(&spans), &resources, packing, |request, _| {
                black_box(request);
            })
        });
    });
    // What OTLP would cost through the generated messages.
    group.bench_function("encode 512 spans through messages", |bencher| {
        bencher.iter(|| message::traces(black_box(&spans), &resources).encode_to_vec());
    });
    group.bench_function("digest 512 spans", |bencher| {
        let batch = Batch::from(spans.clone());
        let mut digest = Digest::new(0, 0);
        bencher.iter(|| digest.take(black_box(&batch), &resources));
    });
    // With the copy that the bus moves in.
    group.bench_function("record 512 spans", |bencher| {
        let recorder = Recorder::new(|batch| {
            black_box(batch);
        });
        bencher.iter_batched(
            || spans.clone(),
            |spans| spans.into_iter().for_each(|span| recorder.span(span)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, export, export_metrics);
criterion_main!(benches);
