//! Records as the messages that `opentelemetry-proto` has for them: what simhost's own
//! protobuf and JSON are compared with.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue as Attribute;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::{LogRecord as Log, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar as MetricExemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource as Origin;
use opentelemetry_proto::tonic::trace::v1::span::{Event as SpanEvent, Link};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status as SpanStatus, TracesData,
};
use opentelemetry_semantic_conventions::SCHEMA_URL;

use simhost::telemetry::record::{
    Event, Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, KeyValue, LogRecord, MetricRecord,
    Number, NumberPoint, Points, Resource, ResourceId, Scope, SpanLink, SpanRecord, Status, Value,
};

/// All spans in one message.
pub fn traces(spans: &[SpanRecord], resources: &[Resource]) -> TracesData {
    let of_scope = |(of, spans): (Scope, Vec<&SpanRecord>)| ScopeSpans {
        scope: Some(scope(of)),
        spans: spans.into_iter().map(span).collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let of_resource = |(id, scopes): (ResourceId, Scopes<'_, SpanRecord>)| ResourceSpans {
        resource: Some(origin(&resources[id.0 as usize])),
        scope_spans: scopes.into_iter().map(of_scope).collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let groups = grouped(spans, |span| (span.resource, span.scope));
    TracesData { resource_spans: groups.into_iter().map(of_resource).collect() }
}

/// All log records in one message.
pub fn logs(logs: &[LogRecord], resources: &[Resource]) -> LogsData {
    let of_scope = |(of, logs): (Scope, Vec<&LogRecord>)| ScopeLogs {
        scope: Some(scope(of)),
        log_records: logs.into_iter().map(log).collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let of_resource = |(id, scopes): (ResourceId, Scopes<'_, LogRecord>)| ResourceLogs {
        resource: Some(origin(&resources[id.0 as usize])),
        scope_logs: scopes.into_iter().map(of_scope).collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let groups = grouped(logs, |log| (log.resource, log.scope));
    LogsData { resource_logs: groups.into_iter().map(of_resource).collect() }
}

/// The points of all instruments in one message.
pub fn metrics(metrics: &[MetricRecord], resources: &[Resource]) -> MetricsData {
    let of_scope = |(of, metrics): (Scope, Vec<&MetricRecord>)| ScopeMetrics {
        scope: Some(scope(of)),
        metrics: metrics.into_iter().map(metric).collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let of_resource = |(id, scopes): (ResourceId, Scopes<'_, MetricRecord>)| ResourceMetrics {
        resource: Some(origin(&resources[id.0 as usize])),
        scope_metrics: scopes.into_iter().map(of_scope).collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let groups = grouped(metrics, |metric| (metric.resource, metric.scope));
    MetricsData { resource_metrics: groups.into_iter().map(of_resource).collect() }
}

/// The records of one resource, by scope.
type Scopes<'a, R> = BTreeMap<Scope, Vec<&'a R>>;

/// Records by resource and scope; within both in the order in which they came.
fn grouped<R>(records: &[R], origin: fn(&R) -> (ResourceId, Scope)) -> BTreeMap<ResourceId, Scopes<'_, R>> {
    let mut groups: BTreeMap<_, Scopes<'_, R>> = BTreeMap::new();
    for record in records {
        let (resource, scope) = origin(record);
        groups.entry(resource).or_default().entry(scope).or_default().push(record);
    }
    groups
}

fn scope(scope: Scope) -> InstrumentationScope {
    InstrumentationScope {
        name: scope.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn origin(resource: &Resource) -> Origin {
    Origin { attributes: attributes(&resource.attributes), ..Origin::default() }
}

fn span(record: &SpanRecord) -> Span {
    let (code, message) = match &record.status {
        Status::Unset => (StatusCode::Unset, ""),
        Status::Ok => (StatusCode::Ok, ""),
        Status::Error(message) => (StatusCode::Error, &**message),
    };
    Span {
        trace_id: record.trace_id.0.get().to_be_bytes().to_vec(),
        span_id: record.span_id.0.get().to_be_bytes().to_vec(),
        trace_state: record.trace_state.as_deref().unwrap_or_default().to_owned(),
        parent_span_id: record.parent.map_or_else(Vec::new, |parent| parent.0.get().to_be_bytes().to_vec()),
        flags: record.otlp_flags(),
        name: record.name.to_string(),
        // The numbers of `SpanKind` are those of the protocol.
        kind: record.kind as i32,
        start_time_unix_nano: record.start,
        end_time_unix_nano: record.end,
        attributes: attributes(record.attributes.iter()),
        dropped_attributes_count: record.dropped_attributes,
        events: record.events.iter().map(span_event).collect(),
        dropped_events_count: record.dropped_events,
        links: record.links.iter().map(span_link).collect(),
        dropped_links_count: 0,
        status: Some(SpanStatus { message: message.to_owned(), code: code.into() }),
    }
}

fn span_event(event: &Event) -> SpanEvent {
    SpanEvent {
        time_unix_nano: event.time,
        name: event.name.to_string(),
        attributes: attributes(&event.attributes),
        dropped_attributes_count: 0,
    }
}

fn span_link(link: &SpanLink) -> Link {
    Link {
        trace_id: link.trace_id.0.get().to_be_bytes().to_vec(),
        span_id: link.span_id.0.get().to_be_bytes().to_vec(),
        trace_state: link.trace_state.as_deref().unwrap_or_default().to_owned(),
        flags: link.otlp_flags(),
        ..Link::default()
    }
}

fn log(record: &LogRecord) -> Log {
    let mut log = Log {
        time_unix_nano: record.time,
        // The host sees a line at the instant at which the guest writes it.
        observed_time_unix_nano: record.time,
        // The numbers of `Severity` are those of the protocol.
        severity_number: record.severity as i32,
        severity_text: record.severity.text().to_owned(),
        event_name: record.event_name.as_deref().unwrap_or_default().to_owned(),
        body: Some(AnyValue { value: Some(AnyKind::StringValue(record.body.to_string())) }),
        attributes: attributes(&record.attributes),
        ..Log::default()
    };
    if let Some((trace_id, span_id, flags)) = record.span {
        log.trace_id = trace_id.0.get().to_be_bytes().to_vec();
        log.span_id = span_id.0.get().to_be_bytes().to_vec();
        log.flags = u32::from(flags.0);
    }
    log
}

fn metric(record: &MetricRecord) -> Metric {
    let (start, time) = (record.start, record.time);
    let numbers = |points: &[NumberPoint], start| points.iter().map(|of| number(of, start, time)).collect();
    let data = match &record.points {
        // A gauge has no interval.
        Points::Gauge(points) => Data::Gauge(Gauge { data_points: numbers(points, 0) }),
        Points::Sum { points, is_monotonic, temporality } => Data::Sum(Sum {
            data_points: numbers(points, start),
            // The numbers of `Temporality` are those of the protocol.
            aggregation_temporality: *temporality as i32,
            is_monotonic: *is_monotonic,
        }),
        Points::Histogram { points, temporality } => Data::Histogram(Histogram {
            data_points: points.iter().map(|point| histogram(point, start, time)).collect(),
            aggregation_temporality: *temporality as i32,
        }),
        Points::ExponentialHistogram { points, temporality } => {
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: points.iter().map(|point| exponential(point, start, time)).collect(),
                aggregation_temporality: *temporality as i32,
            })
        }
    };
    Metric {
        name: record.instrument.name.to_string(),
        description: record.instrument.description.to_string(),
        unit: record.instrument.unit.to_string(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(point: &NumberPoint, start_time_unix_nano: u64, time_unix_nano: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(&*point.attributes),
        start_time_unix_nano,
        time_unix_nano,
        value: Some(match point.value {
            Number::Int(value) => number_data_point::Value::AsInt(value),
            Number::Float(value) => number_data_point::Value::AsDouble(value),
        }),
        exemplars: point.exemplars.iter().map(metric_exemplar).collect(),
        flags: 0,
    }
}

fn histogram(point: &HistogramPoint, start_time_unix_nano: u64, time_unix_nano: u64) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(&*point.attributes),
        start_time_unix_nano,
        time_unix_nano,
        count: point.summary.count,
        sum: point.summary.sum,
        bucket_counts: point.buckets.clone(),
        explicit_bounds: point.bounds.to_vec(),
        exemplars: point.exemplars.iter().map(metric_exemplar).collect(),
        flags: 0,
        min: point.summary.range.map(|(min, _)| min),
        max: point.summary.range.map(|(_, max)| max),
    }
}

fn exponential(
    point: &ExponentialPoint,
    start_time_unix_nano: u64,
    time_unix_nano: u64,
) -> ExponentialHistogramDataPoint {
    let buckets = |buckets: &ExponentialBuckets| {
        let of = Buckets { offset: buckets.offset, bucket_counts: buckets.counts.clone() };
        Some(of).filter(|of| !of.bucket_counts.is_empty())
    };
    ExponentialHistogramDataPoint {
        attributes: attributes(&*point.attributes),
        start_time_unix_nano,
        time_unix_nano,
        count: point.summary.count,
        sum: point.summary.sum,
        scale: point.scale,
        zero_count: point.zeros,
        positive: buckets(&point.positive),
        negative: buckets(&point.negative),
        flags: 0,
        exemplars: point.exemplars.iter().map(metric_exemplar).collect(),
        min: point.summary.range.map(|(min, _)| min),
        max: point.summary.range.map(|(_, max)| max),
        zero_threshold: 0.0,
    }
}

fn metric_exemplar(of: &Exemplar) -> MetricExemplar {
    MetricExemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: of.time,
        span_id: of.span_id.0.get().to_be_bytes().to_vec(),
        trace_id: of.trace_id.0.get().to_be_bytes().to_vec(),
        value: Some(match of.value {
            Number::Int(value) => exemplar::Value::AsInt(value),
            Number::Float(value) => exemplar::Value::AsDouble(value),
        }),
    }
}

fn attributes<'a>(all: impl IntoIterator<Item = &'a KeyValue>) -> Vec<Attribute> {
    all.into_iter()
        .map(|attribute| Attribute {
            key: attribute.key.to_string(),
            value: Some(AnyValue { value: Some(value(&attribute.value)) }),
            ..Attribute::default()
        })
        .collect()
}

fn value(value: &Value) -> AnyKind {
    match value {
        Value::Text(text) => AnyKind::StringValue(text.to_string()),
        Value::Bool(value) => AnyKind::BoolValue(*value),
        Value::Int(value) => AnyKind::IntValue(*value),
        Value::Float(value) if value.is_nan() => AnyKind::StringValue("NaN".to_owned()),
        Value::Float(f64::INFINITY) => AnyKind::StringValue("Infinity".to_owned()),
        Value::Float(f64::NEG_INFINITY) => AnyKind::StringValue("-Infinity".to_owned()),
        Value::Float(value) => AnyKind::DoubleValue(*value),
        Value::Texts(texts) => array(texts.iter().map(|text| AnyKind::StringValue(text.clone()))),
        Value::Ints(ints) => array(ints.iter().map(|int| AnyKind::IntValue(*int))),
    }
}

fn array(values: impl Iterator<Item = AnyKind>) -> AnyKind {
    let values = values.map(|value| AnyValue { value: Some(value) }).collect();
    AnyKind::ArrayValue(ArrayValue { values })
}
