//! What it costs to turn records into OTLP, for each batch of 512 spans that
//! look like those of the orders topology; and what to record and digest them.

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
    Attributes, KeyValue, Resource, ResourceId, Scope, SpanKind, SpanRecord, Status, Value,
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
            status: Status::Unset,
            dropped_attributes: 0,
            dropped_events: 0,
        })
        .collect()
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

criterion_group!(benches, export);
criterion_main!(benches);
