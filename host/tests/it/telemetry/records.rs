//! Records to export.

use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

use simhost::context::{SpanId, TraceFlags, TraceId};
use simhost::telemetry::record::{
    Attributes, Event, Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, Instrument, KeyValue,
    LogRecord, MetricRecord, Number, NumberPoint, Points, Resource, ResourceId, Scope, Severity, SpanKind,
    SpanLink, SpanRecord, Status, Summary, Temporality, Value,
};
use simhost::telemetry::signal::Batch;

pub const EPOCH: u64 = 1_700_000_000_000_000_000;

pub fn trace_id(number: u128) -> TraceId {
    TraceId(NonZeroU128::new(number).unwrap())
}

pub fn span_id(number: u64) -> SpanId {
    SpanId(NonZeroU64::new(number).unwrap())
}

/// `order-service` and `inventory-service`.
pub fn resources() -> Arc<[Resource]> {
    ["order-service", "inventory-service"]
        .map(|name| Resource {
            service: name.into(),
            attributes: vec![KeyValue::new("service.name", name), KeyValue::new("service.version", "1.4.2")],
        })
        .into()
}

/// A CLIENT span of the bus with nothing special about it.
pub fn span(number: u64) -> SpanRecord {
    SpanRecord {
        trace_id: trace_id(0xa0),
        span_id: span_id(number),
        parent: None,
        remote_parent: false,
        flags: TraceFlags(TraceFlags::SAMPLED),
        trace_state: None,
        resource: ResourceId(0),
        scope: Scope::Bus,
        kind: SpanKind::Client,
        name: "POST".into(),
        start: EPOCH + number,
        end: EPOCH + number + 1_000,
        attributes: Attributes::default(),
        events: Vec::new(),
        links: Box::default(),
        status: Status::Unset,
        dropped_attributes: 0,
        dropped_events: 0,
    }
}

/// A SERVER span of `inventory-service` with everything a span can have.
pub fn full_span() -> SpanRecord {
    let shared = [KeyValue::new("http.request.method", "POST"), KeyValue::new("retry", true)];
    SpanRecord {
        parent: Some(span_id(1)),
        remote_parent: true,
        flags: TraceFlags(TraceFlags::SAMPLED | TraceFlags::RANDOM),
        trace_state: Some("vendor=1".into()),
        resource: ResourceId(1),
        kind: SpanKind::Server,
        name: "POST /stock/{item}/reserve".into(),
        attributes: Attributes {
            shared: Some(Arc::new(shared)),
            peer: None,
            own: vec![
                KeyValue { key: "quantity".into(), value: Value::Int(8) },
                KeyValue { key: "price".into(), value: Value::Float(9.5) },
                KeyValue { key: "tags".into(), value: Value::Texts(vec!["a".to_owned(), "b".to_owned()]) },
                KeyValue { key: "slots".into(), value: Value::Ints(vec![1, 2]) },
            ],
        },
        events: vec![Event {
            name: "exception".into(),
            time: EPOCH + 500,
            attributes: vec![KeyValue::new("exception.message", "out of stock")],
        }],
        links: Box::new([
            SpanLink {
                trace_id: trace_id(0xb0),
                span_id: span_id(7),
                flags: TraceFlags(TraceFlags::SAMPLED),
                trace_state: Some("vendor=2".into()),
            },
            SpanLink {
                trace_id: trace_id(0xb1),
                span_id: span_id(8),
                flags: TraceFlags(0),
                trace_state: None,
            },
        ]),
        status: Status::Error("out of stock".into()),
        dropped_attributes: 3,
        dropped_events: 2,
        ..span(2)
    }
}

pub fn log(body: &str) -> LogRecord {
    LogRecord {
        time: EPOCH + 7,
        severity: Severity::Warn,
        event_name: None,
        body: body.to_owned().into(),
        attributes: vec![KeyValue::new("item", "book")],
        resource: ResourceId(0),
        scope: Scope::Guest,
        span: Some((trace_id(0xa0), span_id(1), TraceFlags(TraceFlags::SAMPLED))),
    }
}

/// That many spans, numbered from 1.
pub fn spans(count: u64) -> Batch {
    (1..=count).map(span).collect::<Vec<_>>().into()
}

pub fn logs(count: usize) -> Batch {
    (0..count).map(|number| log(&number.to_string())).collect::<Vec<_>>().into()
}

/// Points of `order-service`, of 60 seconds.
pub fn metric(name: &'static str, points: Points) -> MetricRecord {
    MetricRecord {
        resource: ResourceId(0),
        scope: Scope::Bus,
        instrument: Arc::new(Instrument {
            name: name.into(),
            unit: "s".into(),
            description: "A test.".into(),
        }),
        start: EPOCH,
        time: EPOCH + 60_000_000_000,
        points,
    }
}

pub fn point(value: Number) -> NumberPoint {
    let attributes = Arc::new([KeyValue::new("http.request.method", "POST")]);
    NumberPoint { attributes, value, exemplars: Vec::new() }
}

/// Four values: 0.004, 0.02, 0.02, and 3.
pub fn histogram() -> HistogramPoint {
    HistogramPoint {
        attributes: Arc::new([KeyValue::new("http.route", "/orders")]),
        summary: Summary { count: 4, sum: Some(3.044), range: Some((0.004, 3.0)) },
        bounds: Arc::new([0.005, 0.025, 1.0]),
        buckets: vec![1, 2, 0, 1],
        exemplars: vec![exemplar(Number::Float(3.0))],
    }
}

/// Two values, 1.5 and -1.5, and a zero.
pub fn exponential() -> ExponentialPoint {
    ExponentialPoint {
        attributes: Arc::new([]),
        summary: Summary { count: 3, sum: None, range: Some((-1.5, 1.5)) },
        scale: -1,
        zeros: 1,
        positive: ExponentialBuckets { offset: 0, counts: vec![1] },
        negative: ExponentialBuckets { offset: 0, counts: vec![1] },
        exemplars: vec![exemplar(Number::Int(-3))],
    }
}

fn exemplar(value: Number) -> Exemplar {
    Exemplar { time: EPOCH + 8, value, trace_id: trace_id(0xa0), span_id: span_id(1) }
}

/// One record of each kind: two gauges, a counter, an up-down counter, and two histograms.
pub fn metrics() -> Vec<MetricRecord> {
    let sum = |value, is_monotonic, temporality| Points::Sum {
        points: vec![point(value)],
        is_monotonic,
        temporality,
    };
    vec![
        metric("load", Points::Gauge(vec![point(Number::Float(0.5)), point(Number::Int(-1))])),
        metric("orders", sum(Number::Int(17), true, Temporality::Delta)),
        metric("http.server.active_requests", sum(Number::Int(0), false, Temporality::Cumulative)),
        metric(
            "http.server.request.duration",
            Points::Histogram { points: vec![histogram()], temporality: Temporality::Cumulative },
        ),
        metric(
            "balance",
            Points::ExponentialHistogram { points: vec![exponential()], temporality: Temporality::Delta },
        ),
    ]
}
