//! Records as the messages that `opentelemetry-proto` has for them: what simhost's own
//! protobuf and JSON are compared with.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue as Attribute;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::{LogRecord as Log, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource as Origin;
use opentelemetry_proto::tonic::trace::v1::span::Event as SpanEvent;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status as SpanStatus, TracesData,
};
use opentelemetry_semantic_conventions::SCHEMA_URL;

use simhost::telemetry::record::{
    Event, KeyValue, LogRecord, Resource, ResourceId, Scope, SpanRecord, Status, Value,
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
        links: Vec::new(),
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
